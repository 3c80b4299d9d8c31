/** sysctl: parameters of the kernel by dotted name, as files of /proc/sys. Source: sysctl(8) of procps. */
import { SysError } from '../../kernel/abi.ts';
import type { Program } from '../../kernel/sys.ts';
import { parseOptions } from '../lib/args.ts';
import { exists, isDir, list, poke, readText, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print, strerror } from '../lib/io.ts';

interface How {
  values: boolean;
  names: boolean;
  quiet: boolean;
  /** Only names that it matches. */
  pattern: RegExp | null;
  /** Without the end of the line. */
  bare: boolean;
  ignore: boolean;
}

const pathOf = (name: string): string => `/proc/sys/${name.includes('/') ? name : name.replaceAll('.', '/')}`;
const dotted = (path: string): string => path.slice('/proc/sys/'.length).replaceAll('/', '.');

function* show(path: string, how: How): Call<number> {
  const name = dotted(path);
  if (!(yield* exists(path))) {
    if (how.ignore) return 0;
    yield* complain(`sysctl: cannot stat ${path}: No such file or directory\n`);
    return 1;
  }
  if (isDir((yield* statOf(path))!)) {
    let worst = 0;
    for (const one of yield* list(path)) worst = Math.max(worst, yield* show(`${path}/${one.name}`, how));
    return worst;
  }
  if (how.pattern && !how.pattern.test(name)) return 0;
  try {
    const text = yield* readText(path);
    if (how.bare) yield* print(text.replace(/\n$/, ''));
    else for (const line of text.replace(/\n$/, '').split('\n')) yield* print(how.names ? `${name}\n` : how.values ? `${line}\n` : `${name} = ${line}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(error.errno === 'EACCES' ? `sysctl: permission denied on key '${name}'\n` : `sysctl: reading key "${name}": ${strerror(error)}\n`);
    return 1;
  }
}

function* write(setting: string, how: How): Call<number> {
  const cut = setting.indexOf('=');
  const key = setting.slice(0, cut).trim();
  const value = setting.slice(cut + 1).trim();
  const path = pathOf(key);
  const name = dotted(path);
  if (!(yield* exists(path))) {
    if (how.ignore) return 0;
    yield* complain(`sysctl: cannot stat ${path}: No such file or directory\n`);
    return 1;
  }
  try {
    yield* poke(path, `${value}\n`);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const denied = error.errno === 'EACCES' || error.errno === 'EPERM' || error.errno === 'EROFS';
    yield* complain(denied ? `sysctl: permission denied on key "${name}"\n` : `sysctl: setting key "${name}": ${strerror(error)}\n`);
    return 1;
  }
  if (!how.quiet) yield* print(how.values ? `${value}\n` : `${name} = ${value}\n`);
  return 0;
}

export const sysctl: Program = command(function* (argv) {
  const options = parseOptions('a/all A X n/values N/names w/write q/quiet e/ignore p/load? r/pattern= b/binary system', argv.slice(1));
  const { on, words } = options;
  const pattern = options.values.get('pattern')?.at(-1);
  const how: How = { values: on.has('values'), names: on.has('names'), quiet: on.has('quiet'), ignore: on.has('ignore'), bare: on.has('binary'), pattern: pattern === undefined ? null : new RegExp(pattern) };
  if (on.has('all') || on.has('A') || on.has('X')) return yield* show('/proc/sys', how);
  let worst = 0;
  if (on.has('load') || on.has('system')) {
    for (const file of words.length > 0 ? words : ['/etc/sysctl.conf']) {
      const source = yield* tryRead(file);
      if (source === null) {
        yield* complain(`sysctl: cannot open "${file}": No such file or directory\n`);
        worst = 1;
      }
      for (const line of (source ?? '').split('\n')) if (/^\s*[^#;\s][^=]*=/.test(line)) worst = Math.max(worst, yield* write(line, how));
    }
    return worst;
  }
  if (words.length === 0) {
    yield* complain('sysctl: no variables specified\nTry `sysctl --help\' for more information.\n');
    return 1;
  }
  for (const [i, word] of words.entries()) {
    if (!on.has('write') || word.includes('=')) continue;
    yield* complain(`sysctl: command line(${i}): invalid syntax, continuing...\n`);
    worst = 1;
  }
  for (const word of words.filter((one) => !on.has('write') || one.includes('='))) worst = Math.max(worst, word.includes('=') ? yield* write(word, how) : yield* show(pathOf(word), how));
  return worst;
});
