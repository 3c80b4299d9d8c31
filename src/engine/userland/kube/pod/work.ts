/**
 * What the parts of a pod's worker share: the pod as it is held, a record for each of its containers, and the back-off that
 * restarts and pulls have in common. Source: kubelet pkg/kubelet/kuberuntime, client-go util/flowcontrol/backoff.go 1.32.
 */
import type { Mounted } from '../volumes/claims.ts';
import type { Container, ContainerState, Json, Pod, PodStatus } from '../../../cluster/types/objects.ts';
import { sys } from '../../../kernel/sys.ts';
import { SECOND } from '../../../sim/units.ts';
import type { Call } from '../../lib/http.ts';
import type { Held, Kubelet } from '../node.ts';
import type { Health } from '../probes.ts';

const FIRST = 10;
const MOST = 300;

/** Seconds to wait, and when (monotonic ns) that was last changed. */
export interface Backoff {
  delay: number;
  at: number;
}

export type Role = 'init' | 'main' | 'ephemeral';

/** What the worker knows of one container. */
export interface Runner {
  spec: Container;
  role: Role;
  /** An init container that stays: restartPolicy Always. */
  sidecar: boolean;
  id: string | null;
  attempt: number;
  state: ContainerState;
  last: ContainerState;
  restarts: number;
  image: string;
  imageId: string;
  crash: Backoff | null;
  pull: (Backoff & { why: string }) | null;
  /** Monotonic ns: its end, its start, before which nothing is tried, the last word of a back-off. */
  ended: number;
  started: number;
  notBefore: number;
  saidAt: number;
  health: Health | null;
  /** Host path of its termination message. */
  messagePath: string;
  /** The look at the runtime from which on its state is believed. */
  relist: number;
  /** A thread is ending it. */
  stopping: boolean;
}

export interface Work {
  k: Kubelet;
  held: Held;
  sandbox: string | null;
  sandboxConfig: Json;
  sandboxes: number;
  /** Monotonic ns before which no sandbox is tried again. */
  sandboxAfter: number;
  ip: string;
  runners: Runner[];
  startTime: string;
  /** Monotonic ns. */
  since: number;
  told: PodStatus | null;
  /** It has failed for good: evicted, rejected, past its deadline. */
  verdict: { reason: string; message: string; disrupted?: boolean } | null;
  /** Monotonic ns of the last look at what its volumes are made of, and that as text. */
  volumesAt: number;
  volumesSeen: Map<string, string>;
  saidMount: string;
  /** Claims that are mounted, by the volume's name; monotonic ns since when others are waited for, and of the last look at their growth. */
  claims: Map<string, Mounted>;
  claimsSince: number;
  grownAt: number;
}

export const rootOf = (pod: Pod): string => `/var/lib/kubelet/pods/${pod.metadata.uid}`;
export const monotonic = (): Call<number> => sys('clock_gettime', 'monotonic');
export const fieldOf = (r: Runner): string => `spec.${r.role === 'init' ? 'initContainers' : r.role === 'main' ? 'containers' : 'ephemeralContainers'}{${r.spec.name}}`;
/** "web_default(uid)" */
export const formatPod = (pod: Pod): string => `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
export const policyOf = (w: Work): string => w.held.pod.spec.restartPolicy ?? 'Always';

export function newRunner(spec: Container, role: Role, waiting: string): Runner {
  return {
    spec, role, sidecar: role === 'init' && spec.restartPolicy === 'Always', id: null, attempt: 0, state: { waiting: { reason: waiting } }, last: {}, restarts: 0, image: spec.image, imageId: '', crash: null, pull: null, ended: 0, started: 0,
    notBefore: 0, saidAt: 0, health: null, messagePath: '', relist: 0, stopping: false,
  };
}

const expired = (b: Backoff, at: number): boolean => at - b.at > 2 * MOST * SECOND;

/** The next longer wait; what is older than ten minutes is forgotten. */
export function longer(b: Backoff | null, at: number, now: number): Backoff {
  return { delay: b === null || expired(b, at) ? FIRST : Math.min(MOST, b.delay * 2), at: now };
}

/** Is it, at `now`, still too early after what happened `at`? */
export const tooEarly = (b: Backoff | null, at: number, now: number): boolean => b !== null && !expired(b, at) && now - at < b.delay * SECOND;
