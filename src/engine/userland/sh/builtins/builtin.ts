/** The type of a builtin, and the few things that all of them do. */
import { SysError } from '../../../kernel/abi.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print, strerror } from '../../lib/io.ts';
import { reword } from '../flavour.ts';
import { Jump, prefix, type Shell } from '../state.ts';

/** Arrays given to declare and its kin: name to elements. */
export type Arrays = Map<string, readonly (readonly [string | null, string])[]>;

/** `words[0]` is the name it was called by; returns its exit status. */
export type Builtin = (sh: Shell, words: readonly string[], arrays: Arrays) => Call<number>;

/** "bash: cd: /x: No such file or directory": one message, the status 1 or as given. */
export function* fault(sh: Shell, message: string, status = 1): Call<number> {
  const said = reword(sh.flavour, message);
  yield* complain(`${prefix(sh)}${said.message}\n`);
  if (said.fatal && !sh.interactive) throw new Jump('exit', 2);
  return status;
}

/** Standard output of a builtin, in bash a write for each line as through a line-buffered stream; a failed write is told. */
export function* output(sh: Shell, name: string, text: string): Call<number> {
  try {
    if (sh.flavour === 'bash') for (const line of text.split(/(?<=\n)/)) yield* print(line);
    else yield* print(text);
    return 0;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* fault(sh, `${name}: write error: ${strerror(error)}`);
  }
}

/**
 * Single-letter options before the words. `spec` as getopts: letters, ":" after those with a value. Gives null after telling
 * of a bad one.
 */
export function* options(sh: Shell, words: readonly string[], spec: string, usage: string): Call<{ on: Map<string, string>; rest: string[] } | null> {
  const on = new Map<string, string>();
  let at = 1;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (word === '--') {
      at++;
      break;
    }
    if (!/^-./.test(word)) break;
    for (let i = 1; i < word.length; i++) {
      const letter = word[i]!;
      const known = spec.indexOf(letter);
      if (known < 0 || letter === ':') {
        yield* fault(sh, `${words[0]}: -${letter}: invalid option`);
        yield* complain(`${words[0]}: usage: ${usage}\n`);
        return null;
      }
      if (spec[known + 1] !== ':') {
        on.set(letter, '');
        continue;
      }
      const value = word.slice(i + 1) || words[++at];
      if (value === undefined) {
        yield* fault(sh, `${words[0]}: -${letter}: option requires an argument`);
        yield* complain(`${words[0]}: usage: ${usage}\n`);
        return null;
      }
      on.set(letter, value);
      break;
    }
  }
  return { on, rest: words.slice(at) };
}
