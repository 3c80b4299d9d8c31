/** (being written) */
import type { Call } from '../lib/http.ts';
import { start } from './processes.ts';
import { sys } from '../../kernel/sys.ts';
export function* manage(ttys: readonly string[], getty: string, env: Readonly<Record<string, string>>): Call<void> {
  for (const tty of ttys) yield* start({ cgroup: null, argv: [getty, '--autologin', 'root', tty], env, output: null, cwd: '/' });
  for (;;) yield* sys('wait4', -1, 0);
}
