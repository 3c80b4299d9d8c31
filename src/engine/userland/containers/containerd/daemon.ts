/** What containerd's threads share: tasks by namespace, subscribers to events, the image store. */
import type { Call } from '../../lib/http.ts';
import { type Bell, makeBell, ring } from '../shim/bell.ts';
import { CONTAINERD, openStore, type Store } from '../store.ts';
import type { Envelope } from './api.ts';

export interface Task {
  namespace: string;
  id: string;
  bundle: string;
  /** Its shim's socket. */
  socket: string;
}

interface Subscriber {
  namespace: string;
  queue: Envelope[];
  bell: Bell;
}

export interface Daemon {
  /** By "namespace/id". */
  tasks: Map<string, Task>;
  /** Sockets of shims whose end is watched for. */
  watched: Set<string>;
  subscribers: Set<Subscriber>;
  store: Store;
  /** Counts what needs an id. */
  counter: number;
  /** Called for every event, before subscribers. */
  listeners: ((e: Envelope) => Call<void>)[];
}

export const RUN = '/run/containerd/io.containerd.runtime.v2.task';

export function* createDaemon(): Call<Daemon> {
  return { tasks: new Map(), watched: new Set(), subscribers: new Set(), store: yield* openStore(CONTAINERD), counter: 0, listeners: [] };
}

export function* subscriber(d: Daemon, namespace: string): Call<Subscriber> {
  const s: Subscriber = { namespace, queue: [], bell: yield* makeBell() };
  d.subscribers.add(s);
  return s;
}

export function* publish(d: Daemon, e: Envelope): Call<void> {
  for (const listener of d.listeners) yield* listener(e);
  for (const s of [...d.subscribers]) {
    if (s.namespace !== '' && s.namespace !== e.namespace) continue;
    s.queue.push(e);
    yield* ring(s.bell);
  }
}
