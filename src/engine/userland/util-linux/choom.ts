/** choom: shows and sets how readily the OOM killer takes a process. Source: choom(1) of util-linux 2.41. */
import { SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { execOr } from '../coreutils/control.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import { poke, readText } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';

const INT_MAX = 2 ** 31 - 1;

function whole(word: string, what: string): number {
  const n = /^\s*[+-]?\d+$/.test(word) ? Number(word) : Number.NaN;
  if (Number.isNaN(n)) throw new Failed(`invalid ${what} argument: '${word}'`);
  if (Math.abs(n) > INT_MAX) throw new Failed(`invalid ${what} argument: '${word}': Numerical result out of range`);
  return n;
}

function* reading(path: string, what: string): Call<string> {
  try {
    return (yield* readText(path)).trim();
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`failed to read ${what} value: ${strerror(error)}`);
    throw error;
  }
}

function* setAdjust(path: string, value: number): Call<void> {
  try {
    yield* poke(path, `${value}`);
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`failed to set score adjust value: ${strerror(error)}`);
    throw error;
  }
}

function* misused(what: string): Call<number> {
  yield* complain(`choom: ${what}\nTry 'choom --help' for more information.\n`);
  return 1;
}

const HELP = `
Usage:
 choom [options] -p pid
 choom [options] -n number -p pid
 choom [options] -n number [--] command [args...]]

Display and adjust OOM-killer score.

Options:
 -n, --adjust <num>     specify the adjust score value
 -p, --pid <num>        process ID

 -h, --help             display this help
 -V, --version          display version

For more details see choom(1).
`;

export const choom = command(function* (argv, env) {
  const o = parseOptions('n/adjust= p/pid= h/help V/version', argv.slice(1));
  if (o.on.has('help') || o.on.has('version')) {
    yield* print(o.on.has('help') ? HELP : 'choom from util-linux 2.41.5\n');
    return 0;
  }
  const adjust = lastValue(o, 'adjust');
  const asked = lastValue(o, 'pid');
  const value = adjust === undefined ? null : whole(adjust, 'adjust');
  const pid = asked === undefined ? null : whole(asked, 'PID');
  if (pid !== null && o.words.length > 0) return yield* misused(`invalid argument: ${o.words[0]}`);
  if (!pid && o.words.length === 0) return yield* misused('no PID or COMMAND specified');
  if (!pid && value === null) return yield* misused('no OOM score adjust value specified');
  const dir = `/proc/${pid ?? (yield* sys('getpid'))}`;
  if (pid === null) {
    yield* setAdjust(`${dir}/oom_score_adj`, value!);
    return yield* execOr('choom', o.words, env);
  }
  if (value === null) {
    yield* print(`pid ${pid}'s current OOM score: ${yield* reading(`${dir}/oom_score`, 'OOM score')}\n`);
    yield* print(`pid ${pid}'s current OOM score adjust value: ${yield* reading(`${dir}/oom_score_adj`, 'OOM score adjust')}\n`);
    return 0;
  }
  const before = yield* reading(`${dir}/oom_score_adj`, 'OOM score adjust');
  yield* setAdjust(`${dir}/oom_score_adj`, value);
  yield* print(`pid ${pid}'s OOM score adjust value changed from ${before} to ${value}\n`);
  return 0;
});
