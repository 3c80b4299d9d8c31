/** What every command does with its standard streams, and how it reports a failure. */
import { ERRNO, SysError } from '../../kernel/abi.ts';
import type { Body, Program } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { BadOption } from './args.ts';
import { type Call, writeAll } from './http.ts';

/** Writes text to standard output; throws SysError (EPIPE, ENOSPC, …). */
export function* print(text: string): Call<void> {
  if (text !== '') yield* writeAll(1, bytes(text));
}

/** Writes text to standard error. */
export function* complain(text: string): Call<void> {
  yield* writeAll(2, bytes(text));
}

/** A command's own complaint: printed as "NAME: message", then this exit status. */
export class Failed extends Error {
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** "No such file or directory": strerror of a failed call. */
export function strerror(error: SysError): string {
  return ERRNO[error.errno][1];
}

/**
 * Wraps a command's body: a bad option, its own complaint or an uncaught failed call becomes a message and a status.
 * `usage` is the status of a bad command line (GNU: 1 for most, 2 for ls, grep, …).
 */
export function command(run: (argv: readonly string[], env: Readonly<Record<string, string>>) => Call<number | void>, usage = 1): Program {
  return function* (argv, env): Body {
    const name = (argv[0] ?? '').split('/').pop()!;
    try {
      return (yield* run(argv, env)) ?? 0;
    } catch (error) {
      if (error instanceof BadOption) {
        yield* complain(`${name}: ${error.message}\nTry '${name} --help' for more information.\n`);
        return usage;
      }
      if (error instanceof Failed) {
        yield* complain(`${name}: ${error.message}\n`);
        return error.status;
      }
      if (error instanceof SysError) {
        if (error.errno === 'EPIPE') return 1;
        yield* complain(`${name}: ${strerror(error)}\n`);
        return 1;
      }
      throw error;
    }
  };
}
