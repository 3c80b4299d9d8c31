/** rm, rmdir and unlink. */
import { AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_RDONLY, type Stat, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions } from '../lib/args.ts';
import { isDir, walked } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { agreed } from './copy.ts';
import { typeName } from './modes.ts';
import { baseName, dirName, joined } from './paths.ts';
import { quoted } from './quote.ts';

export const rm = command(function* (argv) {
  const o = parseOptions('d/dir f/force i I r R/recursive v/verbose interactive? one-file-system preserve-root? no-preserve-root', argv.slice(1));
  if (o.words.length === 0) {
    if (o.on.has('force')) return 0;
    throw new BadOption('missing operand');
  }
  let status = 0;
  const recursive = o.on.has('recursive') || o.on.has('r');
  if (o.on.has('I') && (o.words.length > 3 || recursive)) {
    const many = `${o.words.length} argument${o.words.length === 1 ? '' : 's'}`;
    if (!(yield* agreed(`rm: remove ${many}${recursive ? ' recursively' : ''}? `))) return 0;
  }
  for (const word of o.words) {
    const last = baseName(word);
    if (recursive && (last === '.' || last === '..')) {
      yield* complain(`rm: refusing to remove '.' or '..' directory: skipping ${quoted(word)}\n`);
      status = 1;
    } else if (recursive && /^\/+$/.test(word) && !o.on.has('no-preserve-root')) {
      yield* complain("rm: it is dangerous to operate recursively on '/'\nrm: use --no-preserve-root to override this failsafe\n");
      status = 1;
    } else if (!(yield* removeOne(o, word, recursive))) status = 1;
  }
  return status;
});

function* removeOne(o: Options, path: string, recursive: boolean): Call<boolean> {
  const force = o.on.has('force');
  let stat: Stat;
  try {
    stat = yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (force && (error.errno === 'ENOENT' || error.errno === 'ENOTDIR')) return true;
    yield* complain(`rm: cannot remove ${quoted(path)}: ${strerror(error)}\n`);
    return false;
  }
  if (isDir(stat) && !recursive && !o.on.has('dir')) {
    yield* complain(`rm: cannot remove ${quoted(path)}: Is a directory\n`);
    return false;
  }
  if (o.on.has('i') && !(yield* agreed(`rm: ${isDir(stat) && recursive ? `descend into ${typeName(stat.mode, stat.size)}` : `remove ${typeName(stat.mode, stat.size)}`} ${quoted(path)}? `))) return true;
  if (isDir(stat) && recursive && !(yield* emptied(o, path))) return false;
  try {
    yield* sys('unlinkat', AT_FDCWD, path, isDir(stat) ? AT_REMOVEDIR : 0);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`rm: cannot remove ${quoted(path)}: ${strerror(error)}\n`);
    return false;
  }
  if (o.on.has('verbose')) yield* print(isDir(stat) ? `removed directory ${quoted(path)}\n` : `removed ${quoted(path)}\n`);
  return true;
}

function* emptied(o: Options, path: string): Call<boolean> {
  try {
    yield* sys('close', yield* sys('openat', AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`rm: cannot remove ${quoted(path)}: ${strerror(error)}\n`);
    return false;
  }
  let well = true;
  for (const { name } of yield* walked(path)) well = (yield* removeOne(o, joined(path, name), true)) && well;
  return well;
}

export const rmdir = command(function* (argv) {
  const o = parseOptions('p/parents v/verbose ignore-fail-on-non-empty', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing operand');
  let status = 0;
  for (const word of o.words) {
    const chain = [word];
    if (o.on.has('parents')) for (let up = dirName(word.replace(/\/+$/, '')); up !== '.' && up !== '/'; up = dirName(up)) chain.push(up);
    for (const path of chain) {
      if (o.on.has('verbose')) yield* print(`rmdir: removing directory, ${quoted(path)}\n`);
      try {
        yield* sys('unlinkat', AT_FDCWD, path, AT_REMOVEDIR);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        if (o.on.has('ignore-fail-on-non-empty') && (error.errno === 'ENOTEMPTY' || error.errno === 'EEXIST')) break;
        yield* complain(`rmdir: failed to remove ${path === word ? '' : 'directory '}${quoted(path)}: ${strerror(error)}\n`);
        status = 1;
        break;
      }
    }
  }
  return status;
});

export const unlink = command(function* (argv) {
  const { words } = parseOptions('', argv.slice(1));
  if (words.length === 0) throw new BadOption('missing operand');
  if (words.length > 1) throw new BadOption(`extra operand ${quoted(words[1]!)}`);
  try {
    yield* sys('unlinkat', AT_FDCWD, words[0]!, 0);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`cannot unlink ${quoted(words[0]!)}: ${strerror(error)}`);
  }
});
