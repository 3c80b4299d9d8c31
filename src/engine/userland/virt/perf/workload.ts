/** What perf runs while it watches: a child that waits for the word to go, and the signals that end the watching. */
import { SIG, SysError, termSignal, exited } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { execvp } from '../../coreutils/run.ts';
import { attempt, fork } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, strerror } from '../../lib/io.ts';

export interface Watch {
  /** The child; 0: none. */
  pid: number;
  go: number;
  /** The child has ended, or somebody has interrupted. */
  over: boolean;
  /** The signal that did. */
  signal: number;
  status: number;
}

/** Prepares the command (none: only signals end it) and the handlers. */
export function* prepare(words: readonly string[], env: Readonly<Record<string, string>>): Call<Watch> {
  const watch: Watch = { pid: 0, go: -1, over: false, signal: 0, status: 0 };
  for (const signal of [SIG.INT, SIG.TERM]) {
    yield* sys('rt_sigaction', signal, {
      *handler(n): Body {
        watch.over = true;
        watch.signal = n;
      },
    });
  }
  if (words.length === 0) return watch;
  yield* sys('rt_sigaction', SIG.CHLD, {
    *handler(): Body {
      watch.over = true;
    },
  });
  const [read, write] = yield* sys('pipe2', 0);
  watch.pid = yield* fork(() => child(read, write, words, env));
  yield* sys('close', read);
  watch.go = write;
  return watch;
}

function* child(read: number, write: number, words: readonly string[], env: Readonly<Record<string, string>>): Body {
  yield* sys('close', write);
  for (const signal of [SIG.INT, SIG.TERM, SIG.CHLD]) yield* sys('rt_sigaction', signal, { handler: 'default' });
  yield* sys('read', read, 1);
  yield* sys('close', read);
  try {
    yield* execvp(words, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`Workload failed: ${strerror(error)}\n`);
  }
  return 255;
}

export function* start(watch: Watch): Call<void> {
  if (watch.go < 0) return;
  yield* sys('write', watch.go, Uint8Array.of(1));
  yield* sys('close', watch.go);
}

/** Waits for the command; its exit status, or that of what ended it. */
export function* finish(watch: Watch): Call<number> {
  if (watch.pid === 0) return 0;
  if (watch.signal !== 0) yield* attempt(sys('kill', watch.pid, SIG.TERM), 0);
  for (;;) {
    try {
      const { status } = yield* sys('wait4', watch.pid, 0);
      return exited(status) ?? 128 + (termSignal(status) ?? 0);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EINTR') throw error;
    }
  }
}
