/**
 * Programs that start another one: execvp over $PATH with the two statuses that wrappers share, 126 (found, cannot run)
 * and 127 (not found), and fork plus wait. Source: coreutils env(1), exec(3).
 */
import { SysError, shellStatus } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { fork, reap } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, Failed, strerror } from '../lib/io.ts';
import { quoted } from './quote.ts';

type Environment = Readonly<Record<string, string>>;

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Replaces this program; returns only by throwing: the SysError of the last try that mattered. */
export function* execvp(words: readonly string[], env: Environment): Call<never> {
  const name = words[0] ?? '';
  if (name === '') throw new SysError('ENOENT');
  if (name.includes('/')) return yield* sys('execve', name, words, env);
  let worst = new SysError('ENOENT');
  for (const dir of (env.PATH ?? DEFAULT_PATH).split(':')) {
    try {
      yield* sys('execve', dir === '' ? name : `${dir}/${name}`, words, env);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno === 'EACCES') worst = error;
      else if (error.errno !== 'ENOENT' && error.errno !== 'ENOTDIR') throw error;
    }
  }
  throw worst;
}

/** fork, whose failure ends the program with what it says of it. */
export function* forkOr(what: string, body: () => Body, status = 1): Call<number> {
  try {
    return yield* fork(body);
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`${what}: ${strerror(error)}`, status);
    throw error;
  }
}

/** execvp; when it fails, "WHO: NAME: why" and the status for it. */
export function* run(who: string, words: readonly string[], env: Environment, phrase: (name: string) => string = quoted): Call<number> {
  try {
    return yield* execvp(words, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`${who}: ${phrase(words[0] ?? '')}: ${strerror(error)}\n`);
    return error.errno === 'ENOENT' ? 127 : 126;
  }
}

/** A child that becomes this program; its status as the shell sees it. */
export function* runChild(who: string, words: readonly string[], env: Environment, phrase: (name: string) => string = quoted): Call<number> {
  const pid = yield* fork(function* (): Body {
    return yield* run(who, words, env, phrase);
  });
  return shellStatus(yield* reap(pid));
}
