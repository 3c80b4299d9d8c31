/** What is typed while something is asked is not shown: passwords. */
import { TCGETS, TCSETS, type Termios } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt } from './files.ts';
import type { Call } from './http.ts';

/** A call with the echo of standard input's terminal off, if it is one. */
export function* unseen<T>(call: Call<T>): Call<T> {
  const before = (yield* attempt(sys('ioctl', 0, TCGETS), null)) as Termios | null;
  if (before) yield* attempt(sys('ioctl', 0, TCSETS, { ...before, echo: false }), 0);
  try {
    return yield* call;
  } finally {
    if (before) yield* attempt(sys('ioctl', 0, TCSETS, before), 0);
  }
}
