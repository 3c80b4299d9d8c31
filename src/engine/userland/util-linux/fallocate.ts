/** fallocate: room for a file that nothing is written to. Source: fallocate(1). Left out: punching, collapsing, inserting, zeroing. */
import { AT_FDCWD, O_CREAT, O_RDWR, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';

const POWERS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

function bytesOf(word: string | undefined): number | null {
  const m = /^(\d+)\s*([KMGT]?)(iB|B)?$/i.exec(word ?? '');
  if (!m) return null;
  return Number(m[1]) * (m[3]?.toUpperCase() === 'B' && m[2] ? 1000 ** ' KMGT'.indexOf(m[2].toUpperCase()) : POWERS[m[2]!.toUpperCase()]!);
}

export const fallocate = command(function* (argv) {
  const o = parseOptions('l/length= o/offset= n/keep-size v/verbose x/posix c/collapse-range d/dig-holes i/insert-range p/punch-hole z/zero-range', argv.slice(1));
  for (const name of ['collapse-range', 'dig-holes', 'insert-range', 'punch-hole', 'zero-range']) if (o.on.has(name)) throw new Failed(`not modelled: --${name}`);
  if (!o.on.has('length')) throw new Failed('no length argument specified');
  const length = bytesOf(lastValue(o, 'length'));
  const offset = bytesOf(lastValue(o, 'offset') ?? '0');
  if (length === null || length <= 0) throw new Failed('invalid length value specified');
  if (offset === null) throw new Failed('invalid offset value specified');
  const [path, extra] = o.words;
  if (path === undefined) throw new Failed('no filename specified');
  if (extra !== undefined) throw new Failed('unexpected number of arguments');
  let fd: number;
  try {
    fd = yield* sys('openat', AT_FDCWD, path, O_RDWR | O_CREAT, 0o666);
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`cannot open ${path}: ${strerror(error)}`);
    throw error;
  }
  try {
    yield* sys('fallocate', fd, o.on.has('keep-size') ? 1 : 0, offset, length);
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`fallocate failed: ${strerror(error)}`);
    throw error;
  } finally {
    yield* attempt(sys('close', fd), 0);
  }
  if (o.on.has('verbose')) yield* complain(`${path}: ${length} bytes allocated.\n`);
  return 0;
});
