/** Becoming another program: execve, and what is said or done when it fails. */
import { SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { attempt, isDir, readBytes, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, strerror } from '../lib/io.ts';
import { prefix, type Shell, type Variable } from './state.ts';
import { blank, get } from './variables.ts';

/** Replaces this process by a program; comes back with a status only when that fails. */
export function* become(sh: Shell, path: string | null, words: readonly string[], env: Record<string, string>): Call<number> {
  const name = words[0]!;
  if (path === null) {
    yield* complain(notFound(sh, name));
    return 127;
  }
  try {
    yield* sys('execve', path, words, sh.flavour === 'bash' ? { ...env, _: path } : env);
    return 126;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* refused(sh, path, words, env, error);
  }
}

function notFound(sh: Shell, name: string): string {
  if (sh.flavour === 'bash' && !get(sh, 'PATH')) return `${prefix(sh)}${name}: No such file or directory\n`;
  return sh.flavour === 'bash' ? `${prefix(sh)}${name}: command not found\n` : `${prefix(sh)}${name}: not found\n`;
}

/** execve failed: a script without #! is run here, anything else is told. */
function* refused(sh: Shell, path: string, words: readonly string[], env: Record<string, string>, error: SysError): Call<number> {
  const stat = yield* statOf(path);
  if (error.errno === 'ENOEXEC' && stat) return yield* plainScript(sh, path, words, env);
  let message = strerror(error);
  if (stat && isDir(stat)) message = sh.flavour === 'bash' ? 'Is a directory' : 'Permission denied';
  else if (error.errno === 'ENOENT' && stat) message = sh.flavour === 'bash' ? 'cannot execute: required file not found' : 'not found';
  else if (error.errno === 'ENOENT' && sh.flavour !== 'bash') message = 'not found';
  yield* complain(`${prefix(sh)}${path}: ${message}\n`);
  return error.errno === 'ENOENT' ? 127 : 126;
}

function* plainScript(sh: Shell, path: string, words: readonly string[], env: Record<string, string>): Call<number> {
  const data = yield* attempt(readBytes(path), new Uint8Array(0));
  if (data[0] === 0x7f && data[1] === 0x45) {
    yield* complain(`${prefix(sh)}${path}: not modelled: machine code of a real binary\n`);
    return 126;
  }
  const first = data.subarray(0, 80);
  if (first.includes(0)) {
    yield* complain(`${prefix(sh)}${path}: cannot execute binary file: Exec format error\n`);
    return 126;
  }
  sh.params = words.slice(1);
  sh.arg0 = path;
  sh.from = 'script';
  sh.functions.clear();
  sh.aliases.clear();
  sh.options.clear();
  sh.scopes = [new Map(Object.entries(env).map(([name, value]): [string, Variable] => [name, { ...blank(), value, exported: true }]))];
  return yield* sh.calls.text(sh, { text: text(data), firstLine: 1, name: path });
}
