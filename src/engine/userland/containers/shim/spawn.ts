/** fork and exec as daemons do it: chosen standard streams, nothing else open, and the end waited for. */
import { AT_FDCWD, O_CLOEXEC, O_RDWR, SIG } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { attempt, fork } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { closeOnExec } from '../runc/identity.ts';

export const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

interface Spawn {
  argv: readonly string[];
  /** Descriptors that become 0, 1 and 2; -1 is /dev/null. */
  stdio: readonly number[];
  env?: Readonly<Record<string, string>>;
  /** Runs in the child before the program. */
  first?: () => Call<void>;
}

/** Starts a program; argv[0] is its path. Returns its pid. */
export function* spawn(s: Spawn): Call<number> {
  return yield* fork(function* (): Body {
    const nothing = yield* sys('openat', AT_FDCWD, '/dev/null', O_RDWR | O_CLOEXEC);
    for (const [to, fd] of s.stdio.entries()) {
      const from = fd < 0 ? nothing : fd;
      if (from !== to) yield* sys('dup3', from, to, 0);
      else yield* sys('fcntl', to, 'setfd', 0);
    }
    yield* sys('rt_sigaction', SIG.PIPE, { handler: 'default' });
    if (s.first) yield* s.first();
    yield* closeOnExec(s.stdio.length);
    yield* attempt(sys('execve', s.argv[0]!, s.argv, s.env ?? ENV), 0);
    return 127;
  });
}
