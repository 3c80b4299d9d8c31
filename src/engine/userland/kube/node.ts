/** What the parts of a kubelet share: its state, its clock, its events. */
import type { Json, Pod } from '../../cluster/types/objects.ts';
import { rfc3339 } from '../../cluster/types/time.ts';
import { type Body, type SockAddr, sys } from '../../kernel/sys.ts';
import { SECOND } from '../../sim/units.ts';
import { type Call, thread } from '../lib/http.ts';
import { api } from './api.ts';
import type { Mounted, NodeVolume } from './volumes/claims.ts';

/** A pod the kubelet has, as its worker and the watch share it. */
export interface Held {
  pod: Pod;
  /** The API server no longer has it. */
  gone: boolean;
  /** From a manifest on this machine: it lives as long as that. */
  static: boolean;
  /** The node takes it away: why. */
  evict: null | { reason: string; message: string; grace: number };
  /** CRI ids by container name, newest. */
  ids: Map<string, string>;
  /** Log file by container name, newest, and the one before. */
  logs: Map<string, { current: string; previous: string | null }>;
  /** Links in /var/log/containers by container name. */
  links: Map<string, string[]>;
  /** Claims that are mounted, by the volume's name. */
  claims: Map<string, Mounted>;
  sandbox: string | null;
  /** "Running", "Succeeded", …, as last found. */
  phase: string;
  startTime: string;
  /** What the API server was told last does not hold there any more. */
  untold: boolean;
}

/** /var/lib/kubelet/config.yaml, as far as it is heeded. */
export interface KubeletConfig {
  clusterDNS: string[];
  clusterDomain: string;
  staticPodPath: string;
  maxPods: number;
  evictionHard: Record<string, string>;
  kubeReserved: Record<string, string>;
  systemReserved: Record<string, string>;
  containerLogMaxSize: string;
  containerLogMaxFiles: number;
}

export interface Kubelet {
  node: string;
  ip: string;
  server: SockAddr;
  config: KubeletConfig;
  cpus: number;
  /** Bytes of memory of the machine, what pods may have of it, and bytes of its disk. */
  memory: number;
  allocatable: number;
  disk: number;
  pods: Map<string, Held>;
  /** What the runtime last said: state by container id, readiness by sandbox id; how often it was asked. */
  states: Map<string, string>;
  sandboxes: Map<string, boolean>;
  relist: number;
  /** It answered. */
  runtimeUp: boolean;
  /** Counts what a pod's worker should look at. */
  changes: number;
  /** Conditions of pressure that hold: "MemoryPressure", "DiskPressure", "PIDPressure". */
  pressure: Set<string>;
  /** Drivers of volumes by name: their sockets; volumes of theirs on this node by name. */
  drivers: Map<string, string>;
  volumes: Map<string, NodeVolume>;
  events: Map<string, { name: string; count: number }>;
  /** Spam filter of events by object: tokens and when (ns). */
  tokens: Map<string, { left: number; at: number }>;
  counter: number;
  /** What is to be told to the API server, in order, and whether somebody is at it. */
  outbox: (() => Call<void>)[];
  posting: boolean;
  /** Monotonic ns since when a call to the API server has not been answered; 0 while none is under way. */
  asking: number;
  beating: number;
  /** Last answers, for while the API server does not answer. */
  known: Map<string, Json>;
}

/** A pod's life does not wait for the API server: what it should hear is sent by a thread of its own. */
export function* post(k: Kubelet, job: () => Call<void>): Call<void> {
  k.outbox.push(job);
  if (k.posting) return;
  k.posting = true;
  yield* thread(function* (): Body {
    for (let next = k.outbox.shift(); next; next = k.outbox.shift()) {
      k.asking = yield* sys('clock_gettime', 'monotonic');
      yield* next();
      k.asking = 0;
    }
    k.posting = false;
    return 0;
  });
}

const PATIENCE = 3 * SECOND;

/** An object or list from the API server, or what it said last when it is silent. */
export function* fetched(k: Kubelet, path: string): Call<Json | null> {
  const now = yield* sys('clock_gettime', 'monotonic');
  const silent = [k.asking, k.beating].some((since) => since > 0 && now - since > PATIENCE);
  if (silent && k.known.has(path)) return k.known.get(path)!;
  const answer = yield* api(k.server, 'GET', path);
  if (!answer || answer.status >= 500) return k.known.get(path) ?? null;
  if (answer.status >= 400) return null;
  k.known.set(path, answer.body);
  return answer.body;
}

export function* wallclock(): Call<string> {
  return rfc3339((yield* sys('clock_gettime', 'realtime')) / 1e9);
}

const BURST = 25;
const REFILL = 300 * SECOND;

/** client-go's spam filter: 25 events about an object at once, one more in five minutes. */
function spared(k: Kubelet, about: string, now: number): boolean {
  const t = k.tokens.get(about) ?? { left: BURST, at: now };
  t.left = Math.min(BURST, t.left + (now - t.at) / REFILL);
  t.at = now;
  k.tokens.set(about, t);
  if (t.left < 1) return true;
  t.left--;
  return false;
}

/** An event about an object; the same words count up. */
export function* say(k: Kubelet, about: Json, type: string, reason: string, message: string, field?: string): Call<void> {
  const namespace = about.metadata.namespace ?? 'default';
  const same = `${about.metadata.uid}|${reason}|${message}|${field ?? ''}`;
  if (spared(k, String(about.metadata.uid), yield* sys('clock_gettime', 'monotonic'))) return;
  const now = yield* wallclock();
  const known = k.events.get(same);
  if (known) known.count++;
  const name = `${about.metadata.name}.${(BigInt(Math.floor(yield* sys('clock_gettime', 'realtime'))) + BigInt(k.counter++ % 256)).toString(16)}`;
  const count = known?.count ?? 1;
  if (!known) k.events.set(same, { name, count: 1 });
  const whole = {
    apiVersion: 'v1', kind: 'Event', metadata: { name, namespace },
    involvedObject: { apiVersion: 'v1', kind: about.kind, name: about.metadata.name, ...(about.metadata.namespace ? { namespace } : {}), uid: about.metadata.uid, ...(field ? { fieldPath: field } : {}) },
    type, reason, message, count: 1, firstTimestamp: now, lastTimestamp: now, source: { component: 'kubelet', host: k.node }, reportingComponent: 'kubelet', reportingInstance: k.node,
  };
  yield* post(k, function* () {
    const path = `/api/v1/namespaces/${namespace}/events`;
    if (known && (yield* api(k.server, 'PATCH', `${path}/${known.name}`, { count, lastTimestamp: now }, 'merge'))?.status !== 404) return;
    if (known) k.events.set(same, { name, count: 1 });
    yield* api(k.server, 'POST', path, whole);
  });
}
