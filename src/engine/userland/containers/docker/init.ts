/** docker-init (tini): process 1 of a container that starts the program, passes signals on and reaps orphans. Source: krallin/tini. */
import { exited, SIG, SysError, termSignal } from '../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { attempt, fork } from '../../lib/files.ts';
import { complain } from '../../lib/io.ts';

const PASSED = [SIG.HUP, SIG.INT, SIG.QUIT, SIG.USR1, SIG.USR2, SIG.TERM, SIG.ALRM, SIG.CONT, SIG.WINCH];

export const dockerInit: Program = function* (argv, env): Body {
  const command = argv.slice(argv[1] === '--' ? 2 : 1);
  if (command.length === 0) return 1;
  const child = yield* fork(function* (): Body {
    yield* attempt(sys('setpgid', 0, 0), 0);
    for (const path of candidates(command[0]!, env.PATH ?? '')) yield* attempt(sys('execve', path, command, env), 0);
    yield* complain(`[FATAL tini (7)] exec ${command[0]} failed: No such file or directory\n`);
    return 127;
  });
  for (const signal of PASSED) {
    yield* sys('rt_sigaction', signal, {
      restart: true,
      *handler(): Body {
        yield* attempt(sys('kill', child, signal), 0);
      },
    });
  }
  for (;;) {
    try {
      const { pid, status } = yield* sys('wait4', -1, 0);
      if (pid === child) return exited(status) ?? 128 + (termSignal(status) ?? 0);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EINTR') throw error;
    }
  }
};

function candidates(name: string, path: string): string[] {
  return name.includes('/') ? [name] : path.split(':').map((dir) => `${dir}/${name}`);
}
