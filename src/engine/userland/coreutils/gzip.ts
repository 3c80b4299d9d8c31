/** gzip, gunzip and zcat, by fflate. Source: gzip(1). */
import { gzipSync } from 'fflate';
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY, S_IFDIR, S_IFMT, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { inflate } from '../containers/oci.ts';
import { TarError } from '../containers/tar.ts';
import { type Options, parseOptions } from '../lib/args.ts';
import { attempt, drain, readBytes } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';

export const gzip = command(function* (argv) {
  const called = (argv[0] ?? 'gzip').split('/').pop()!;
  const o = parseOptions('c/stdout d/decompress f/force k/keep l/list n q/quiet r/recursive t/test v/verbose 1 2 3 4 5 6 7 8 9 N S=', argv.slice(1));
  const unpacking = o.on.has('decompress') || called === 'gunzip' || called === 'zcat';
  const toStdout = o.on.has('stdout') || called === 'zcat';
  const convert = (data: Uint8Array, name: string): Uint8Array => {
    if (!unpacking && !o.on.has('test')) return gzipSync(data, { mtime: 0 });
    if (data[0] !== 0x1f || data[1] !== 0x8b) throw new Failed(`${name}: not in gzip format`);
    try {
      return inflate(data);
    } catch (error) {
      if (error instanceof TarError) throw new Failed(`${name}: unexpected end of file`);
      throw error;
    }
  };
  let status = 0;
  for (const name of o.words.length > 0 ? o.words : ['-']) {
    try {
      if (name === '-') yield* writeAll(1, convert(yield* drain(0), 'stdin'));
      else status = Math.max(status, yield* oneFile(o, name, convert, unpacking, toStdout));
    } catch (error) {
      if (error instanceof SysError && error.errno !== 'EPIPE') yield* complain(`gzip: ${unpacking && !/\.(gz|tgz|z)$/i.test(name) ? `${name}.gz` : name}: ${strerror(error)}\n`);
      else if (error instanceof Failed) yield* complain(`\ngzip: ${error.message}\n`);
      else throw error;
      status = 1;
    }
  }
  return status;
});

function* oneFile(o: Options, given: string, convert: (data: Uint8Array, name: string) => Uint8Array, unpacking: boolean, toStdout: boolean): Call<number> {
  const bare = unpacking ? yield* attempt(sys('newfstatat', AT_FDCWD, given, 0), null, 'ENOENT') : null;
  // what is to be unpacked may be named without its suffix
  const name = unpacking && bare === null && !/\.(gz|tgz|z)$/i.test(given) ? `${given}.gz` : given;
  const stat = bare ?? (yield* sys('newfstatat', AT_FDCWD, name, 0));
  if ((stat.mode & S_IFMT) === S_IFDIR) {
    yield* complain(`gzip: ${name} is a directory -- ignored\n`);
    return 2;
  }
  if (!unpacking && !toStdout && !o.on.has('force') && /\.(gz|tgz|z)$/i.test(name)) {
    yield* complain(`gzip: ${name} already has ${/\.[^.]*$/.exec(name)![0]} suffix -- unchanged\n`);
    return 0;
  }
  const target = unpacking ? name.replace(/\.(gz|z)$/i, '').replace(/\.tgz$/, '.tar') : `${name}.gz`;
  if (!toStdout && unpacking && target === name) {
    yield* complain(`gzip: ${name}: unknown suffix -- ignored\n`);
    return 2;
  }
  const out = convert(yield* readBytes(name), name);
  if (o.on.has('test')) return 0;
  if (toStdout) {
    yield* writeAll(1, out);
    return 0;
  }
  if (!o.on.has('force') && (yield* attempt(sys('newfstatat', AT_FDCWD, target, 0), null)) !== null) {
    yield* complain(`gzip: ${target} already exists;\tnot overwritten\n`);
    return 2;
  }
  const fd = yield* sys('openat', AT_FDCWD, target, O_WRONLY | O_CREAT | O_TRUNC, stat.mode & 0o777);
  yield* writeAll(fd, out);
  yield* sys('close', fd);
  yield* attempt(sys('utimensat', AT_FDCWD, target, stat.atime, stat.mtime, 0), 0);
  if (!o.on.has('keep')) yield* sys('unlinkat', AT_FDCWD, name, 0);
  return 0;
}
