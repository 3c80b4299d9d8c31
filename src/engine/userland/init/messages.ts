/** systemd's tools say what is wrong without their own name before it; getopt's words have it. */
import { BadOption } from '../lib/args.ts';
import type { Call } from '../lib/http.ts';
import { complain, Failed } from '../lib/io.ts';

type Run = (argv: readonly string[], env: Readonly<Record<string, string>>) => Call<number | void>;

export function unprefixed(run: Run): Run {
  return function* (argv, env) {
    try {
      return yield* run(argv, env);
    } catch (error) {
      if (error instanceof BadOption) {
        yield* complain(`${(argv[0] ?? '').split('/').pop()}: ${error.message}\n`);
        return 1;
      }
      if (!(error instanceof Failed)) throw error;
      yield* complain(`${error.message}\n`);
      return error.status;
    }
  };
}
