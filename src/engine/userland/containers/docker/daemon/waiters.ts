/** Threads of the daemon that wait for one another: a pipe each, woken by a byte. A lock is the same with one holder. */
import { POLLIN } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { attempt } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';

/** Write ends of the pipes of those that wait. */
export type Waiters = Set<number>;

const BYTE = new Uint8Array(1);

/**
 * Waits while something is so, asked again at every wake and once more after the list has been joined, so that no wake is
 * missed. At most `ns` when given; says whether it came to an end in time.
 */
export function* waitWhile(waiters: Waiters, so: () => boolean, ns = -1): Call<boolean> {
  if (!so()) return true;
  const until = ns < 0 ? 0 : (yield* sys('clock_gettime', 'monotonic')) + ns;
  const [read, write] = yield* sys('pipe2', 0);
  waiters.add(write);
  try {
    while (so()) {
      const left = ns < 0 ? -1 : until - (yield* sys('clock_gettime', 'monotonic'));
      if (ns >= 0 && left <= 0) return false;
      const ready = yield* attempt(sys('poll', [{ fd: read, events: POLLIN }], left), [], 'EINTR');
      if (ready.length > 0) yield* sys('read', read, 64);
    }
    return true;
  } finally {
    waiters.delete(write);
    yield* attempt(sys('close', read), 0);
    yield* attempt(sys('close', write), 0);
  }
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
  while (lock.held) yield* waitWhile(lock.waiters, () => lock.held);
  lock.held = true;
  try {
    return yield* call();
  } finally {
    lock.held = false;
    yield* wake(lock.waiters);
  }
}
