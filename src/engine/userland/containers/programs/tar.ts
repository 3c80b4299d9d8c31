/** tar: create, list and extract, from files or streams, gzip read by its magic and written with -z. Source: GNU tar 1.35. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CREAT, O_TRUNC, O_WRONLY } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { gzipSync } from 'fflate';
import { isoSeconds } from '../../lib/clock.ts';
import { attempt, drain, readBytes } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { command, complain, Failed, print } from '../../lib/io.ts';
import { parseOptions, lastValue as given } from '../../lib/args.ts';
import { gather } from '../docker/cli/copy.ts';
import { inflate } from '../oci.ts';
import { unpack } from '../store.ts';
import { readTar, type TarEntry, TarError, writeTar } from '../tar.ts';

const SPEC = 'c/create x/extract t/list v/verbose z/gzip p/preserve-permissions f/file= C/directory= O/to-stdout exclude= strip-components= numeric-owner same-owner no-same-owner m/touch no-same-permissions';

export const tar = command(function* (argv) {
  // The first word may be a cluster of letters without its dash.
  const words = argv.slice(1);
  if (words[0] && /^[cxtvzpfCOm]+$/.test(words[0])) words[0] = `-${words[0]}`;
  const o = parseOptions(SPEC, words);
  const mode = ['create', 'extract', 'list'].filter((m) => o.on.has(m));
  if (mode.length === 0) throw new Failed("You must specify one of the '-Acdtrux', '--delete' or '--test-label' options\nTry 'tar --help' or 'tar --usage' for more information.", 2);
  if (mode.length > 1) throw new Failed("You may not specify more than one '-Acdtrux', '--delete' or  '--test-label' option\nTry 'tar --help' or 'tar --usage' for more information.", 2);
  const archive = given(o, 'file') ?? '-';
  const dir = given(o, 'directory');
  const options: Options = { archive, verbose: o.on.has('verbose'), gzip: o.on.has('gzip'), out: o.on.has('to-stdout'), strip: Number(given(o, 'strip-components') ?? 0), exclude: o.values.get('exclude') ?? [], names: o.words };
  const data = mode[0] === 'create' ? null : yield* input(archive);
  if (mode[0] === 'create' && archive !== '-') options.fd = yield* sys('openat', AT_FDCWD, archive, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  if (dir !== undefined && (yield* attempt(sys('chdir', dir), null)) === null) throw new Failed(`${dir}: Cannot open: No such file or directory\ntar: Error is not recoverable: exiting now`, 2);
  return yield* data === null ? create(options) : take(options, mode[0] === 'list', data);
}, 2);

interface Options {
  archive: string;
  fd?: number;
  verbose: boolean;
  gzip: boolean;
  out: boolean;
  strip: number;
  exclude: readonly string[];
  names: readonly string[];
}

function* input(archive: string): Call<Uint8Array> {
  if (archive === '-') return yield* drain(0);
  const data = yield* attempt(readBytes(archive), null);
  if (data === null) throw new Failed(`${archive}: Cannot open: No such file or directory\ntar: Error is not recoverable: exiting now`, 2);
  return data;
}

function* create(o: Options): Call<number> {
  if (o.names.length === 0) throw new Failed("Cowardly refusing to create an empty archive\nTry 'tar --help' or 'tar --usage' for more information.", 2);
  let status = 0;
  const entries: TarEntry[] = [];
  for (const name of o.names) {
    if (name.startsWith('/')) yield* complain("tar: Removing leading `/' from member names\n");
    const clean = name.replace(/\/+$/, '') || '/';
    if ((yield* attempt(sys('newfstatat', AT_FDCWD, clean, AT_SYMLINK_NOFOLLOW), null)) === null) {
      yield* complain(`tar: ${name}: Cannot stat: No such file or directory\n`);
      status = 2;
      continue;
    }
    yield* gather(clean, clean.replace(/^\/+/, '') || '.', entries);
  }
  const kept = entries.filter((e) => !o.exclude.some((x) => e.name === x || e.name.startsWith(`${x}/`) || e.name.endsWith(`/${x}`)));
  if (o.verbose) for (const e of kept) yield* (o.archive === '-' ? complain : print)(`${shown(e)}\n`);
  const data = writeTar(kept);
  yield* writeAll(o.fd ?? 1, o.gzip ? gzipSync(data, { mtime: 0 }) : data);
  if (status !== 0) yield* complain('tar: Exiting with failure status due to previous errors\n');
  return status;
}

const shown = (e: TarEntry): string => (e.type === 'dir' ? `${(e.read ?? e.name).replace(/\/+$/, '')}/` : (e.read ?? e.name));

function* take(o: Options, list: boolean, raw: Uint8Array): Call<number> {
  if (o.gzip && raw.length > 0 && !(raw[0] === 0x1f && raw[1] === 0x8b)) {
    yield* complain('\ngzip: stdin: not in gzip format\n');
    throw new Failed('Child returned status 1\ntar: Error is not recoverable: exiting now', 2);
  }
  let entries: TarEntry[];
  try {
    entries = readTar(inflate(raw));
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    throw new Failed(error.message === 'unexpected EOF' ? 'Unexpected EOF in archive\ntar: Error is not recoverable: exiting now' : 'This does not look like a tar archive\ntar: Exiting with failure status due to previous errors', 2);
  }
  const wanted = o.names.map((n) => n.replace(/^(\.?\/)+|\/+$/g, ''));
  const chosen = entries.filter((e) => wanted.length === 0 || wanted.some((w) => e.name === w || e.name.startsWith(`${w}/`)));
  for (const name of wanted) if (!entries.some((e) => e.name === name || e.name.startsWith(`${name}/`))) throw new Failed(`${name}: Not found in archive\ntar: Exiting with failure status due to previous errors`, 2);
  if (list) {
    for (const e of chosen) yield* print(`${o.verbose ? long(e) : shown(e)}\n`);
    return 0;
  }
  if (o.out) {
    for (const e of chosen) if (e.type === 'file') yield* writeAll(1, e.data);
    return 0;
  }
  if (o.verbose) for (const e of chosen) yield* print(`${shown(e)}\n`);
  const placed = o.strip === 0 ? chosen : chosen.map((e) => ({ ...e, name: e.name.split('/').slice(o.strip).join('/') })).filter((e) => e.name !== '');
  yield* unpack(placed, '.');
  return 0;
}

const LETTERS: Readonly<Record<TarEntry['type'], string>> = { file: '-', dir: 'd', link: 'l', hardlink: 'h', chr: 'c', blk: 'b', fifo: 'p' };

function long(e: TarEntry): string {
  const bits = [6, 3, 0].map((shift) => ['r', 'w', 'x'].map((letter, i) => ((e.mode >> shift) & (4 >> i) ? letter : '-')).join('')).join('');
  const owner = `${e.uid === 0 ? 'root' : e.uid}/${e.gid === 0 ? 'root' : e.gid}`;
  const size = e.type === 'chr' || e.type === 'blk' ? `${e.rdev[0]},${e.rdev[1]}` : String(e.data.length);
  const time = isoSeconds(e.mtime * 1e9).replace('T', ' ').slice(0, 16);
  return `${LETTERS[e.type]}${bits} ${owner} ${size.padStart(Math.max(0, 18 - owner.length))} ${time} ${shown(e)}${e.type === 'link' ? ` -> ${e.target}` : e.type === 'hardlink' ? ` link to ${e.target}` : ''}`;
}
