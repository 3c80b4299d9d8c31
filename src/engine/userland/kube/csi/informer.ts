/**
 * What programs in pods need of client-go: the API server by the environment, lists that are kept by watches, work queues with
 * backoff, events. One thread a watch; the worker sleeps on a pipe until a key is due.
 */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { rfc3339 } from '../../../cluster/types/time.ts';
import { SysError } from '../../../kernel/abi.ts';
import { type Body, type SockAddr, sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { type Call, open, thread, writeAll } from '../../lib/http.ts';
import { type Answer, api } from '../api.ts';

const SECOND = 1_000_000_000;

/** The API server as a pod's environment names it. */
export function inCluster(env: Readonly<Record<string, string>>): SockAddr {
  return { family: 'inet', address: env.KUBERNETES_SERVICE_HOST ?? '10.96.0.1', port: Number(env.KUBERNETES_SERVICE_PORT ?? 443) };
}

/** Tells of every object of a list now and from now on; `gone` when it was deleted. For ever. */
export function* follow(server: SockAddr, path: string, see: (object: KubeObject, gone: boolean) => Call<void>): Body {
  const known = new Map<string, KubeObject>();
  for (;;) {
    const listed = yield* api(server, 'GET', path);
    if (listed && listed.status < 400) {
      const items = listed.body.items as KubeObject[];
      const now = new Set(items.map((o) => o.metadata.uid!));
      for (const [uid, old] of known) if (!now.has(uid)) yield* see(old, true);
      known.clear();
      for (const object of items) {
        known.set(object.metadata.uid!, object);
        yield* see(object, false);
      }
      yield* watch(server, `${path}${path.includes('?') ? '&' : '?'}watch=true&resourceVersion=${listed.body.metadata.resourceVersion}`, known, see);
    }
    yield* sys('nanosleep', SECOND);
  }
}

function* watch(server: SockAddr, path: string, known: Map<string, KubeObject>, see: (object: KubeObject, gone: boolean) => Call<void>): Call<void> {
  try {
    const stream = yield* open(server, { method: 'GET', path, headers: { 'User-Agent': 'csi/v1' } });
    let rest = '';
    for (;;) {
      const piece = yield* stream.readChunk();
      if (piece === null) break;
      rest += text(piece);
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === '') continue;
        const { type, object } = JSON.parse(line) as { type: string; object: KubeObject };
        if (type === 'DELETED') known.delete(object.metadata.uid!);
        else known.set(object.metadata.uid!, object);
        yield* see(object, type === 'DELETED');
      }
    }
    yield* stream.close();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}

/** Keys to be worked on, each with how often it failed. */
export interface Queue {
  due: Map<string, { at: number; failures: number }>;
  wake: number;
  sleep: number;
}

export function* createQueue(): Call<Queue> {
  const [sleep, wake] = yield* sys('pipe2', 0);
  return { due: new Map(), wake, sleep };
}

export function* enqueue(queue: Queue, key: string): Call<void> {
  queue.due.set(key, { at: 0, failures: queue.due.get(key)?.failures ?? 0 });
  yield* writeAll(queue.wake, new Uint8Array(1));
}

/** Works for ever on one key after another; `work` says whether to try again, later each time: 1 s doubling to 60. */
export function* drainQueue(queue: Queue, work: (key: string) => Call<boolean>): Body {
  for (;;) {
    const now = yield* sys('clock_gettime', 'monotonic');
    const next = [...queue.due].find(([, entry]) => entry.at <= now);
    if (!next) {
      const soonest = Math.min(...[...queue.due.values()].map((entry) => entry.at));
      if (Number.isFinite(soonest)) yield* sys('nanosleep', Math.min(SECOND, soonest - now));
      else yield* sys('read', queue.sleep, 4096);
      continue;
    }
    const [key, entry] = next;
    queue.due.delete(key);
    if (!(yield* work(key))) continue;
    const failures = entry.failures + 1;
    if (!queue.due.has(key)) queue.due.set(key, { at: now + Math.min(60, 2 ** (failures - 1)) * SECOND, failures });
  }
}

/** A list that a thread keeps, and calls back when one changes. */
export function* keep(server: SockAddr, path: string, changed: (object: KubeObject, gone: boolean) => Call<void>): Call<Map<string, KubeObject>> {
  const all = new Map<string, KubeObject>();
  const key = (o: KubeObject): string => (o.metadata.namespace ? `${o.metadata.namespace}/${o.metadata.name}` : o.metadata.name);
  yield* thread(() => follow(server, path, function* (object, gone): Call<void> {
    if (gone) all.delete(key(object));
    else all.set(key(object), object);
    yield* changed(object, gone);
  }));
  return all;
}

/** An event about an object. */
export function* tellEvent(server: SockAddr, about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, component: string): Call<void> {
  const t = yield* sys('clock_gettime', 'realtime');
  const now = rfc3339(t / 1e9);
  const namespace = about.metadata.namespace ?? 'default';
  const listed = yield* api(server, 'GET', `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name%3D${about.metadata.name}`);
  const same = (listed?.status === 200 ? (listed.body.items as Json[]) : []).find((e) => e.involvedObject?.uid === about.metadata.uid && e.reason === reason && e.message === message);
  if (same) {
    yield* api(server, 'PATCH', `/api/v1/namespaces/${namespace}/events/${same.metadata.name}`, { count: (same.count ?? 1) + 1, lastTimestamp: now }, 'merge');
    return;
  }
  yield* api(server, 'POST', `/api/v1/namespaces/${namespace}/events`, {
    apiVersion: 'v1', kind: 'Event', metadata: { name: `${about.metadata.name}.${BigInt(Math.floor(t)).toString(16)}`, namespace },
    involvedObject: { apiVersion: about.apiVersion, kind: about.kind, name: about.metadata.name, ...(about.metadata.namespace ? { namespace } : {}), uid: about.metadata.uid, resourceVersion: about.metadata.resourceVersion },
    type, reason, message, count: 1, firstTimestamp: now, lastTimestamp: now, source: { component }, reportingComponent: component, reportingInstance: '',
  });
}

/** Good answers only; null otherwise. */
export const good = (answer: Answer | null): Json | null => (answer && answer.status < 400 ? answer.body : null);
export const why = (answer: Answer | null): string => (answer === null ? 'connection refused' : String(answer.body?.message ?? answer.status));
