/** getfattr and setfattr. Source: getfattr(1): namespace user. unless -m says otherwise; values as text, base64 or hex. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, type Errno, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { joined } from '../coreutils/paths.ts';
import { BadRegex, compileRegex } from '../coreutils/regex.ts';
import { search } from '../coreutils/regex-program.ts';
import { binaryOf, bytesOf, encoded, putOut } from '../coreutils/streams.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { entriesAt, isDir } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { fromBase64, toBase64 } from '../../sim/text.ts';

interface Show {
  o: Options;
  pattern: ReturnType<typeof compileRegex> | null;
  stripped: boolean;
  status: number;
}

export const getfattr = command(function* (argv) {
  const o = parseOptions('n/name= d/dump e/encoding= h/no-dereference m/match= absolute-names only-values R/recursive L/logical P/physical', argv.slice(1));
  if (o.words.length === 0) {
    yield* complain('Usage: getfattr [-hRLP] [-n name|-d] [-e en] [-m pattern] path...\nTry `getfattr --help\' for more information.\n');
    return 2;
  }
  const match = lastValue(o, 'match') ?? '^user\\.';
  let pattern: Show['pattern'] = null;
  try {
    pattern = match === '-' ? null : compileRegex(match, { syntax: 'extended' });
  } catch (error) {
    if (!(error instanceof BadRegex)) throw error;
    throw new Failed(`invalid regular expression "${match}"`);
  }
  const show: Show = { o, pattern, stripped: false, status: 0 };
  for (const path of o.words) yield* showFile(show, path);
  return show.status;
}, 2);

const attributeError = (error: SysError, name: string): string => (error.errno === ('ENODATA' satisfies Errno) ? `${name}: No such attribute` : `${name}: ${strerror(error)}`);

function* showFile(show: Show, path: string): Call<void> {
  const { o } = show;
  try {
    const stat = yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    const link = o.on.has('no-dereference');
    const given = lastValue(o, 'name');
    const names = given !== undefined ? [given] : (yield* sys(link ? 'llistxattr' : 'listxattr', path)).filter((n) => !show.pattern || search(show.pattern, n)).sort();
    let text = '';
    for (const name of names) {
      if (!o.on.has('dump') && given === undefined) {
        text += `${name}\n`;
        continue;
      }
      try {
        const value = yield* sys(link ? 'lgetxattr' : 'getxattr', path, name);
        if (o.on.has('only-values')) yield* putOut(binaryOf(value));
        else text += `${encoded(name)}=${shown(value, lastValue(o, 'encoding'))}\n`;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        yield* complain(`${path}: ${attributeError(error, name)}\n`);
        show.status = 1;
      }
    }
    if (text !== '') yield* putOut(`# file: ${yield* shortName(show, path)}\n${text}\n`);
    if (o.on.has('recursive') && isDir(stat)) for (const { name } of yield* entriesAt(path)) yield* showFile(show, joined(path, name));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`getfattr: ${path}: ${strerror(error)}\n`);
    show.status = 1;
  }
}

function* shortName(show: Show, path: string): Call<string> {
  if (!path.startsWith('/') || show.o.on.has('absolute-names')) return encoded(path);
  if (!show.stripped) yield* complain("getfattr: Removing leading '/' from absolute path names\n");
  show.stripped = true;
  return encoded(path.replace(/^\/+/, ''));
}

/** Text where it is text (or asked), else base64. */
function shown(value: Uint8Array, encoding: string | undefined): string {
  const textual = value.every((b) => b >= 32 && b < 127) || encoding === 'text';
  if (encoding === 'hex') return `0x${[...value].map((b) => b.toString(16).padStart(2, '0')).join('')}`;
  if (encoding === 'base64' || (!textual && encoding === undefined)) return `0s${toBase64(value)}`;
  return `"${binaryOf(value).replace(/["\\]/g, '\\$&').replace(/[\0\n\r]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)}"`;
}

export const setfattr = command(function* (argv) {
  const o = parseOptions('n/name= v/value= x/remove= h/no-dereference raw restore=', argv.slice(1));
  const name = lastValue(o, 'name') ?? lastValue(o, 'remove');
  if (name === undefined || o.words.length === 0) {
    yield* complain("Usage: setfattr {-n name} [-v value] [-h] file...\n       setfattr {-x name} [-h] file...\nTry `setfattr --help' for more information.\n");
    return 2;
  }
  let status = 0;
  for (const path of o.words) {
    try {
      const link = o.on.has('no-dereference');
      if (o.on.has('remove')) yield* sys(link ? 'lremovexattr' : 'removexattr', path, name);
      else yield* sys(link ? 'lsetxattr' : 'setxattr', path, name, valueBytes(lastValue(o, 'value') ?? ''), 0);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`setfattr: ${path}: ${error.errno === 'ENODATA' ? 'No such attribute' : strerror(error)}\n`);
      status = 1;
    }
  }
  return status;
}, 2);

function valueBytes(source: string): Uint8Array {
  if (/^0[xX]/.test(source)) return Uint8Array.from(source.slice(2).match(/../g) ?? [], (h) => Number.parseInt(h, 16));
  if (/^0[sS]/.test(source)) return fromBase64(source.slice(2));
  return bytesOf(encoded(source.replace(/^"(.*)"$/s, '$1')));
}

