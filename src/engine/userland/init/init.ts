/**
 * Process 1: mounts, name, links; then either a service manager in systemd's shape (manager.ts) or, where
 * /etc/nestbox/plain-init exists, only shells on the terminals, all in the root cgroup. Source: init(8), systemd(1).
 */
import { SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { exists } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { manage } from './manager.ts';
import { linksUp, mountAll, nameMachine } from './mounts.ts';
import { start } from './processes.ts';

export const TERMINALS = ['tty1', 'tty2', 'tty3', 'tty4'];
export const GETTY = '/usr/sbin/agetty';
const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin', TERM: 'linux' };
/** Between a shell's end and the next one, ns. */
const RESPAWN_NS = 100_000_000;

export const initProgram: Program = function* () {
  yield* mountAll();
  yield* nameMachine();
  const bare = yield* exists('/etc/nestbox/plain-init');
  yield* linksUp(bare);
  if (bare) yield* plain();
  else yield* manage(TERMINALS, GETTY, ENV);
  return 0;
};

/** A shell on every terminal, for ever; orphans are reaped. */
function* plain(): Call<void> {
  const running = new Map<number, string>();
  for (const tty of TERMINALS) running.set(yield* gettyOn(tty), tty);
  for (;;) {
    try {
      const { pid } = yield* sys('wait4', -1, 0);
      const tty = running.get(pid);
      if (tty === undefined) continue;
      running.delete(pid);
      yield* sys('nanosleep', RESPAWN_NS);
      running.set(yield* gettyOn(tty), tty);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }
}

function* gettyOn(tty: string): Call<number> {
  return yield* start({ cgroup: null, argv: [GETTY, '--autologin', 'root', tty], env: ENV, output: null, cwd: '/' });
}
