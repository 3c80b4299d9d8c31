/**
 * What the container runtime interface keeps: sandboxes and containers, each with a status file, so that containerd may be
 * restarted. Times are ns since 1970; 0 not yet. Source: containerd pkg/cri/store.
 */
import { attempt, list, mkdirAll, readJson, removeAll, writeFile } from '../../lib/files.ts';
import { nowNs } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { sys } from '../../../kernel/sys.ts';
import type { Daemon } from '../containerd/daemon.ts';
import { hexOf } from '../oci.ts';
import type { Tap } from './logs.ts';

// biome-ignore lint/suspicious/noExplicitAny: messages of the interface in their JSON form; absent fields are their defaults
export type Message = any;

export interface Sandbox {
  id: string;
  config: Message;
  createdAt: number;
  pid: number;
  /** Path of its network namespace; '' on the host's. */
  netns: string;
  ip: string;
  ready: boolean;
}

export interface Container {
  id: string;
  sandboxId: string;
  config: Message;
  image: string;
  imageId: string;
  stopSignal: string;
  logPath: string;
  createdAt: number;
  startedAt: number;
  finishedAt: number;
  pid: number;
  exitCode: number;
  reason: string;
  message: string;
  removing: boolean;
}

export interface Cri {
  d: Daemon;
  sandboxes: Map<string, Sandbox>;
  containers: Map<string, Container>;
  /** Pending streams of Exec, and of Attach (no command), by token. */
  execs: Map<string, { containerId: string; cmd: string[] | null; tty: boolean; stdin: boolean }>;
  /** Output of running containers by id. */
  taps: Map<string, Tap>;
}

export const NAMESPACE = 'k8s.io';
export const ROOT = '/var/lib/containerd/io.containerd.grpc.v1.cri';
export const STATE = '/run/containerd/io.containerd.grpc.v1.cri';
export const SANDBOX_IMAGE = 'registry.k8s.io/pause:3.10';

/** A failure with gRPC's code; `message` is the description alone. */
export class CriError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export type ContainerState = 'CONTAINER_CREATED' | 'CONTAINER_RUNNING' | 'CONTAINER_EXITED';

export function stateOf(c: Container): ContainerState {
  return c.finishedAt !== 0 ? 'CONTAINER_EXITED' : c.startedAt !== 0 ? 'CONTAINER_RUNNING' : 'CONTAINER_CREATED';
}

export function* newId(cri: Cri, seed: string): Call<string> {
  const { nodename } = yield* sys('uname');
  return hexOf(`${nodename} ${seed} ${yield* nowNs()} ${++cri.d.counter}`);
}

export function* saveSandbox(s: Sandbox): Call<void> {
  yield* mkdirAll(`${ROOT}/sandboxes/${s.id}`);
  yield* writeFile(`${ROOT}/sandboxes/${s.id}/status`, JSON.stringify(s), 0o600);
}

export function* saveContainer(c: Container): Call<void> {
  yield* mkdirAll(`${ROOT}/containers/${c.id}`);
  yield* writeFile(`${ROOT}/containers/${c.id}/status`, JSON.stringify(c), 0o600);
}

export function* loadAll(d: Daemon): Call<Cri> {
  const cri: Cri = { d, sandboxes: new Map(), containers: new Map(), execs: new Map(), taps: new Map() };
  for (const { name } of yield* list(`${ROOT}/sandboxes`)) {
    const s = yield* readJson<Sandbox>(`${ROOT}/sandboxes/${name}/status`);
    if (s) cri.sandboxes.set(s.id, s);
  }
  for (const { name } of yield* list(`${ROOT}/containers`)) {
    const c = yield* readJson<Container>(`${ROOT}/containers/${name}/status`);
    if (c) cri.containers.set(c.id, c);
  }
  return cri;
}

export function* forgetFiles(kind: 'sandboxes' | 'containers', id: string): Call<void> {
  yield* attempt(removeAll(`${ROOT}/${kind}/${id}`), undefined);
  yield* attempt(removeAll(`${STATE}/${kind}/${id}`), undefined);
}

/** By id or unambiguous prefix. */
function find<T extends { id: string }>(all: ReadonlyMap<string, T>, id: string): T | null {
  const known = all.get(id);
  if (known || id === '') return known ?? null;
  const near = [...all.values()].filter((x) => x.id.startsWith(id));
  return near.length === 1 ? near[0]! : null;
}

export function sandboxOf(cri: Cri, id: string): Sandbox {
  const s = find(cri.sandboxes, String(id ?? ''));
  if (!s) throw new CriError('NotFound', `an error occurred when try to find sandbox: not found`);
  return s;
}

export function containerOf(cri: Cri, id: string): Container {
  const c = find(cri.containers, String(id ?? ''));
  if (!c) throw new CriError('NotFound', `an error occurred when try to find container "${id}": not found`);
  return c;
}

export const findContainer = (cri: Cri, id: string): Container | null => find(cri.containers, String(id ?? ''));
export const findSandbox = (cri: Cri, id: string): Sandbox | null => find(cri.sandboxes, String(id ?? ''));
