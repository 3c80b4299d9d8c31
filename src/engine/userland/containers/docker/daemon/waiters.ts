/** Threads of the daemon that wait for one another: a pipe each, woken by a byte. A lock is the same with one holder. */
import { sys } from '../../../../kernel/sys.ts';
import { attempt } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';

/** Write ends of the pipes of those that wait. */
export type Waiters = Set<number>;

const BYTE = new Uint8Array(1);

/** Waits until somebody wakes the list; the caller has checked that what it wants is not so yet. */
export function* waitOn(waiters: Waiters): Call<void> {
  const [read, write] = yield* sys('pipe2', 0);
  waiters.add(write);
  yield* attempt(sys('read', read, 1), null);
  waiters.delete(write);
  yield* attempt(sys('close', read), 0);
  yield* attempt(sys('close', write), 0);
}

/** As waitOn, for at most `ns`; says whether it was woken. */
export function* waitFor(waiters: Waiters, ns: number): Call<boolean> {
  const [read, write] = yield* sys('pipe2', 0);
  waiters.add(write);
  const ready = yield* attempt(sys('poll', [{ fd: read, events: 1 }], Math.max(0, ns)), []);
  waiters.delete(write);
  yield* attempt(sys('close', read), 0);
  yield* attempt(sys('close', write), 0);
  return ready.length > 0;
}

export function* wake(waiters: Waiters): Call<void> {
  for (const fd of [...waiters]) yield* attempt(sys('write', fd, BYTE), 0);
}

export interface Lock {
  held: boolean;
  waiters: Waiters;
}

export function createLock(): Lock {
  return { held: false, waiters: new Set() };
}

/** Runs a call while nobody else holds the lock. */
export function* withLock<T>(lock: Lock, call: () => Call<T>): Call<T> {
  while (lock.held) yield* waitOn(lock.waiters);
  lock.held = true;
  try {
    return yield* call();
  } finally {
    lock.held = false;
    yield* wake(lock.waiters);
  }
}
