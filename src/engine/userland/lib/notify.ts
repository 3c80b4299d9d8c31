/** sd_notify(3): a daemon tells the service manager that it is ready. Silent where nobody asked to be told. */
import { AF_UNIX, SOCK_DGRAM } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { attempt } from './files.ts';
import type { Call } from './http.ts';

export function* notifyReady(env: Readonly<Record<string, string>>): Call<void> {
  const path = env.NOTIFY_SOCKET;
  if (!path) return;
  const fd = yield* sys('socket', AF_UNIX, SOCK_DGRAM, 0);
  yield* attempt(sys('sendto', fd, bytes(`READY=1\nMAINPID=${yield* sys('getpid')}`), { family: 'unix', path }), 0);
  yield* sys('close', fd);
}
