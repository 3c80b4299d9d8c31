/**
 * The contract of containerd's socket, and a client of it. Every call is a POST of JSON to the name that gRPC gives it,
 * `/containerd.services.tasks.v1.Tasks/Create`, with the header `containerd-namespace: moby`; field names are the
 * protobuf's in camelCase. Kubernetes' calls (`/runtime.v1.RuntimeService/X`, `/runtime.v1.ImageService/X`) come over the
 * same socket in the JSON form of their protobuf: bytes as base64, 64-bit numbers as text.
 *
 * A failure is a status of 400 or more and `{code, message}`; `message` is what dockerd prints after its own words, e.g.
 * `failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec:
 * "x": executable file not found in $PATH: unknown`.
 *
 * Streams are paths of fifos which the caller makes (mkfifo) before Create or Exec and of which it opens its ends when it
 * likes: the shim opens both ends itself, so nobody blocks and nothing is lost while no reader is there. An empty path is
 * no stream (/dev/null). With `terminal` the shim holds the pty's master and copies: stdin -> master -> stdout; stderr is ''.
 * The caller gets end of file on stdout and stderr when the process and all that shared its streams have let go of them.
 */
import { SysError } from '../../../kernel/abi.ts';
import { text } from '../../../sim/text.ts';
import { type Call, open, request, type Stream } from '../../lib/http.ts';
import type { Process, Resources, Spec } from '../runc/spec.ts';

export const SOCKET = '/run/containerd/containerd.sock';
const TASKS = 'containerd.services.tasks.v1.Tasks';

export interface Streams {
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}

/**
 * What Tasks/X takes. `Create` makes the bundle /run/containerd/io.containerd.runtime.v2.task/NS/ID (config.json, rootfs),
 * starts a shim and runs `runc create`; the process waits at its exec fifo until `Start`. With `rootfs` empty,
 * `spec.root.path` is taken as it is (docker mounts its overlay itself, and takes it down after Delete).
 */
export interface Requests {
  Create: Streams & { containerId: string; spec: Spec; rootfs?: MountSpec[]; options?: { systemdCgroup?: boolean } };
  /** With an execId starts what Exec added. */
  Start: { containerId: string; execId?: string };
  /** `all` sends to every process of the container. NOT_FOUND once it has ended. */
  Kill: { containerId: string; execId?: string; signal: number; all?: boolean };
  /** Of an ended task (with execId: an ended exec); frees the cgroup, the bundle and the shim. */
  Delete: { containerId: string; execId?: string };
  /** Adds a process; nothing runs before Start. */
  Exec: Streams & { containerId: string; execId: string; spec: Process };
  ResizePty: { containerId: string; execId?: string; width: number; height: number };
  /** Closes the container's end of stdin (end of file for the process), with the fifo's writers still there. */
  CloseIO: { containerId: string; execId?: string };
  Pause: { containerId: string };
  Resume: { containerId: string };
  Update: { containerId: string; resources: Resources };
  ListPids: { containerId: string };
  /** The cgroup's figures now. */
  Metrics: { containerId: string };
  /** Answers when the process has ended; at once if it has already. */
  Wait: { containerId: string; execId?: string };
  Get: { containerId: string; execId?: string };
  List: Record<string, never>;
}

export interface Responses {
  Create: { containerId: string; pid: number };
  Start: { pid: number };
  Kill: object;
  Delete: { pid: number; exitStatus: number; exitedAt: string };
  Exec: object;
  ResizePty: object;
  CloseIO: object;
  Pause: object;
  Resume: object;
  Update: object;
  ListPids: { processes: { pid: number }[] };
  Metrics: { metrics: Metrics };
  Wait: { exitStatus: number; exitedAt: string };
  Get: { process: TaskState };
  List: { tasks: TaskState[] };
}

export interface MountSpec {
  type: string;
  source: string;
  options: string[];
}

export interface TaskState {
  containerId: string;
  /** The exec's, or the container's own. */
  id: string;
  pid: number;
  status: 'CREATED' | 'RUNNING' | 'STOPPED' | 'PAUSED';
  exitStatus: number;
  /** ISO; '' while it runs. */
  exitedAt: string;
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}

/** Bytes, nanoseconds, counts; a limit of null is "max". */
export interface Metrics {
  memory: { usage: number; limit: number | null; peak: number; stat: Record<string, number>; events: Record<string, number> };
  cpu: { usage: number; user: number; system: number; periods: number; throttledPeriods: number; throttled: number };
  pids: { current: number; limit: number | null };
  io: { readBytes: number; writeBytes: number; reads: number; writes: number };
}

/**
 * What `subscribe` gives, one JSON object a line; none is lost from the moment the answer's head has come.
 * An exit's `id` is the execId, or the container's id for its first process; `exitStatus` is 128 + signal for one killed.
 */
export interface Envelope {
  timestamp: string;
  namespace: string;
  topic:
    | '/tasks/create' | '/tasks/start' | '/tasks/exit' | '/tasks/oom' | '/tasks/delete' | '/tasks/exec-added' | '/tasks/exec-started'
    | '/tasks/paused' | '/tasks/resumed';
  event: { containerId: string; id?: string; execId?: string; pid?: number; exitStatus?: number; exitedAt?: string };
}

/** A refusal, in containerd's words. */
export class Refusal extends Error {
  /** gRPC's name: NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, UNKNOWN, UNAVAILABLE… */
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** gRPC code to the HTTP status it travels with. */
export const STATUS: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400, NOT_FOUND: 404, ALREADY_EXISTS: 409, FAILED_PRECONDITION: 412, UNIMPLEMENTED: 501, UNAVAILABLE: 503, DEADLINE_EXCEEDED: 504, UNKNOWN: 500, INTERNAL: 500,
};

/** One call of the tasks service. Throws Refusal; UNAVAILABLE when nobody listens. */
export function* tasks<K extends keyof Requests>(namespace: string, method: K, body: Requests[K]): Call<Responses[K]> {
  return (yield* call(`${TASKS}/${method}`, body, namespace)) as Responses[K];
}

/** Any call by its full name, such as `containerd.services.version.v1.Version/Version`. */
export function* call(name: string, body: object, namespace: string, socket = SOCKET): Call<unknown> {
  try {
    const r = yield* request({ family: 'unix', path: socket }, {
      method: 'POST', path: `/${name}`, headers: { 'Content-Type': 'application/json', 'containerd-namespace': namespace }, body: JSON.stringify(body),
    });
    const answer = JSON.parse(r.body === '' ? '{}' : r.body) as { code?: string; message?: string };
    if (r.status >= 400) throw new Refusal(answer.code ?? 'UNKNOWN', answer.message ?? `status ${r.status}`);
    return answer;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Refusal('UNAVAILABLE', `connection error: desc = "transport: Error while dialing: dial unix ${socket}: connect: ${error.message.toLowerCase()}"`);
  }
}

/** Opens the stream of events of a namespace ('' all). Read it with `nextEvents`. Throws SysError, Refusal. */
export function* subscribe(namespace: string): Call<Subscription> {
  const stream = yield* open({ family: 'unix', path: SOCKET }, {
    method: 'POST', path: '/containerd.services.events.v1.Events/Subscribe', headers: { 'containerd-namespace': namespace }, body: '{}',
  });
  if (stream.status >= 400) throw new Refusal('UNKNOWN', `status ${stream.status}`);
  return { stream, rest: '' };
}

export interface Subscription {
  stream: Stream;
  rest: string;
}

/** The events that come next, one or more; null when containerd has gone. */
export function* nextEvents(s: Subscription): Call<Envelope[] | null> {
  for (;;) {
    let piece: Uint8Array | null = null;
    try {
      piece = yield* s.stream.readChunk();
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
    if (piece === null) return null;
    const lines = (s.rest + text(piece)).split('\n');
    s.rest = lines.pop()!;
    if (lines.length > 0) return lines.filter((l) => l !== '').map((l) => JSON.parse(l) as Envelope);
  }
}
