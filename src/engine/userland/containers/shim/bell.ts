/** Threads of one process that wait for one another: a pipe is the bell, a byte in it a ring. */
import { sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';

export interface Bell {
  read: number;
  write: number;
  rung: boolean;
}

export function* makeBell(): Call<Bell> {
  const [read, write] = yield* sys('pipe2', 0o2000000);
  return { read, write, rung: false };
}

/** Wakes the one who waits; rings that nobody has heard yet count once. */
export function* ring(bell: Bell): Call<void> {
  if (bell.rung) return;
  bell.rung = true;
  yield* attempt(sys('write', bell.write, new Uint8Array(1)), 0);
}

export function* hear(bell: Bell): Call<void> {
  yield* attempt(sys('read', bell.read, 64), null, 'EINTR');
  bell.rung = false;
}

export function* dropBell(bell: Bell): Call<void> {
  yield* attempt(sys('close', bell.read), 0);
  yield* attempt(sys('close', bell.write), 0);
}
