/** What the parts of a kubelet share: its state, its clock, its events. */
import type { Json, Pod } from '../../cluster/types/objects.ts';
import { rfc3339 } from '../../cluster/types/time.ts';
import { type SockAddr, sys } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { api } from './api.ts';

/** A pod the kubelet has, as its worker and the watch share it. */
export interface Held {
  pod: Pod;
  /** The API server no longer has it. */
  gone: boolean;
  /** CRI ids by container name, newest. */
  ids: Map<string, string>;
  /** Log file by container name, newest, and the one before. */
  logs: Map<string, { current: string; previous: string | null }>;
}

export interface Kubelet {
  node: string;
  ip: string;
  server: SockAddr;
  /** Bytes of memory of the machine. */
  memory: number;
  pods: Map<string, Held>;
  events: Map<string, { name: string; count: number }>;
  counter: number;
}

export function* wallclock(): Call<string> {
  return rfc3339((yield* sys('clock_gettime', 'realtime')) / 1e9);
}

/** An event about an object; the same words count up. */
export function* say(k: Kubelet, about: Json, type: string, reason: string, message: string, field?: string): Call<void> {
  const namespace = about.metadata.namespace ?? 'default';
  const same = `${about.metadata.uid}|${reason}|${message}`;
  const now = yield* wallclock();
  const known = k.events.get(same);
  if (known) {
    known.count++;
    yield* api(k.server, 'PATCH', `/api/v1/namespaces/${namespace}/events/${known.name}`, { count: known.count, lastTimestamp: now }, 'merge');
    return;
  }
  const name = `${about.metadata.name}.${(BigInt(Math.floor(yield* sys('clock_gettime', 'realtime'))) + BigInt(k.counter++ % 256)).toString(16)}`;
  k.events.set(same, { name, count: 1 });
  yield* api(k.server, 'POST', `/api/v1/namespaces/${namespace}/events`, {
    apiVersion: 'v1', kind: 'Event', metadata: { name, namespace },
    involvedObject: { apiVersion: 'v1', kind: about.kind, name: about.metadata.name, ...(about.metadata.namespace ? { namespace } : {}), uid: about.metadata.uid, ...(field ? { fieldPath: field } : {}) },
    type, reason, message, count: 1, firstTimestamp: now, lastTimestamp: now, source: { component: 'kubelet', host: k.node }, reportingComponent: 'kubelet', reportingInstance: k.node,
  });
}
