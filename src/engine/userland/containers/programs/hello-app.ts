/** A web server of a few lines that says where it runs: for services with several pods behind them. Port 8080, or $PORT. */
import { SIG } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { reply, serve } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';

export function* helloApp(_argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  const port = Number(env.PORT ?? 8080);
  const { nodename } = yield* sys('uname');
  for (const signal of [SIG.TERM, SIG.INT]) {
    yield* sys('rt_sigaction', signal, {
      *handler(): Body {
        yield* sys('exit_group', 0);
      },
    });
  }
  yield* print(`Server listening on port ${port}\n`);
  return yield* serve({ family: 'inet', address: '0.0.0.0', port }, function* (exchange) {
    yield* print(`Serving request: ${exchange.path}\n`);
    yield* reply(exchange, 200, `Hello, world!\nVersion: 1.0.0\nHostname: ${nodename}\n`, { 'Content-Type': 'text/plain' });
  });
}
