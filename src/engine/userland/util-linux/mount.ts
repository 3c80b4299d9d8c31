/**
 * mount and umount of util-linux 2.41: options into flags and data, one or more mount(2), the messages for each errno.
 * Source: mount(8), libmount's context_mount.c behaviour.
 */
import {
  ContextRefused, type Errno, MNT_DETACH, MS_BIND, MS_MOVE, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, S_IFBLK, S_IFREG, SysError,
} from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, mkdirAll, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print, strerror } from '../lib/io.ts';
import { findGroup, findUser, readAccounts } from '../coreutils/accounts.ts';
import { isType } from '../coreutils/modes.ts';
import { realPath } from '../coreutils/paths.ts';
import { parseSize } from '../coreutils/sizes.ts';
import { probe } from './blocks.ts';
import { bindLoop, boundLoops, freeLoop, releaseLoop } from './losetup.ts';
import { allOptions, isOfType, mountAt, mountOver, type MountRow, readMounts } from './mounts.ts';

const MS_SYNCHRONOUS = 16;
const MS_NOATIME = 1024;
const MS_NODIRATIME = 2048;
const MS_RELATIME = 1 << 21;
const MS_STRICTATIME = 1 << 24;

/** Option to the bits it sets and the bits it clears. */
const FLAGS: Readonly<Record<string, [set: number, clear: number]>> = {
  ro: [MS_RDONLY, 0], rw: [0, MS_RDONLY], nosuid: [MS_NOSUID, 0], suid: [0, MS_NOSUID], nodev: [MS_NODEV, 0], dev: [0, MS_NODEV], noexec: [MS_NOEXEC, 0], exec: [0, MS_NOEXEC],
  sync: [MS_SYNCHRONOUS, 0], async: [0, MS_SYNCHRONOUS], noatime: [MS_NOATIME, 0], atime: [0, MS_NOATIME], nodiratime: [MS_NODIRATIME, 0], diratime: [0, MS_NODIRATIME], relatime: [MS_RELATIME, 0],
  norelatime: [0, MS_RELATIME], strictatime: [MS_STRICTATIME, 0], remount: [MS_REMOUNT, 0], bind: [MS_BIND, 0], rbind: [MS_BIND | MS_REC, 0], move: [MS_MOVE, 0],
  defaults: [0, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS],
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS_PRIVATE, rprivate: MS_PRIVATE | MS_REC, shared: MS_SHARED, rshared: MS_SHARED | MS_REC, slave: MS_SLAVE, rslave: MS_SLAVE | MS_REC, unbindable: MS_UNBINDABLE,
  runbindable: MS_UNBINDABLE | MS_REC,
};

/** Ways to keep the time of access: one replaces another. */
const ATIME = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;

/** Handled by mount(8) itself. */
const USERSPACE = new Set(['auto', 'noauto', 'user', 'nouser', 'users', 'nofail', '_netdev', 'owner', 'group']);

interface Wish {
  flags: number;
  /** Bits that an option took away. */
  cleared: number;
  propagation: number[];
  data: string[];
}

export function readOptions(list: readonly string[]): Wish {
  const wish: Wish = { flags: 0, cleared: 0, propagation: [], data: [] };
  for (const option of list.flatMap(splitOptions)) {
    const flag = FLAGS[option];
    if (flag) {
      wish.flags = (wish.flags & ~flag[1]) | flag[0];
      wish.cleared = (wish.cleared | flag[1] | (flag[0] & ATIME ? ATIME : 0)) & ~flag[0];
    }
    else if (PROPAGATION[option] !== undefined) wish.propagation.push(PROPAGATION[option]);
    else if (!USERSPACE.has(option) && !option.startsWith('x-') && option !== '') wish.data.push(option);
  }
  return wish;
}

/** Commas within quotes do not divide. */
function splitOptions(list: string): string[] {
  return (list.match(/(?:"[^"]*"|[^,"])+/g) ?? []).map((o) => o.replaceAll('"', ''));
}

const SPEC =
  'a/all B/bind c f/fake F/fork T/fstab= i l/show-labels M/move m/mkdir? n/no-mtab N/namespace= o/options= O/test-opts= r/read-only R/rbind s t/types= U= L= v/verbose w/rw ' +
  'make-shared make-slave make-private make-unbindable make-rshared make-rslave make-rprivate make-runbindable source= target= onlyonce';

const DMESG = '       dmesg(1) may have more information after failed mount system call.\n';

export const mount = command(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  const source0 = lastValue(o, 'source');
  const target0 = lastValue(o, 'target');
  const words = [...(source0 === undefined ? [] : [source0]), ...(target0 === undefined ? [] : [target0]), ...o.words];
  const wish = readOptions(o.values.get('options') ?? []);
  for (const name of Object.keys(PROPAGATION)) if (o.on.has(`make-${name}`)) wish.propagation.push(PROPAGATION[name]!);
  if (o.on.has('bind')) wish.flags |= MS_BIND;
  if (o.on.has('rbind')) wish.flags |= MS_BIND | MS_REC;
  if (o.on.has('move')) wish.flags |= MS_MOVE;
  if (o.on.has('read-only')) wish.flags |= MS_RDONLY;
  if (o.on.has('rw')) {
    wish.flags &= ~MS_RDONLY;
    wish.cleared |= MS_RDONLY;
  }
  if (o.on.has('all')) return yield* mountAll(o);
  if (words.length === 0) {
    if (o.on.size > 0 && !o.on.has('types') && !o.on.has('show-labels') && !o.on.has('verbose')) throw new BadOption('bad usage');
    yield* listMounts(lastValue(o, 'types'));
    return 0;
  }
  if (words.length > 2) throw new BadOption('bad usage');
  let [source, target] = words.length === 2 ? (words as [string, string]) : [null, words[0]!];
  let type = lastValue(o, 'types') ?? null;
  const remaking = (wish.flags & MS_REMOUNT) !== 0 || (wish.propagation.length > 0 && !(wish.flags & MS_BIND) && type === null);
  if (source === null && !remaking) {
    const entry = yield* fromTable(target);
    if (!entry) {
      yield* complain(`mount: ${target}: can't find in /etc/fstab.\n`);
      return 1;
    }
    [source, target, type] = [entry.source, entry.target, type ?? entry.type];
    const more = readOptions([entry.options]);
    wish.flags |= more.flags;
    wish.data.unshift(...more.data);
  }
  try {
    wish.data = yield* numbered(wish.data);
  } catch (error) {
    if (!(error instanceof Unparsed)) throw error;
    yield* complain(`mount: ${target}: failed to parse mount options '${wish.flags & MS_RDONLY ? 'ro' : 'rw'},${wish.data.join(',')}': Invalid argument.\n`);
    return 1;
  }
  if (o.on.has('fake')) return 0;
  return yield* mountOne(source, target, type, wish, o);
});

/** An option whose value mount(8) cannot make out. */
class Unparsed extends Error {}

/** uid= and gid= may name users and groups; the kernel takes numbers. Throws Unparsed. */
function* numbered(data: readonly string[]): Call<string[]> {
  if (!data.some((one) => /^[ug]id=\D/.test(one))) return [...data];
  const accounts = yield* readAccounts();
  return data.map((one) => {
    const [, which, name] = /^([ug]id)=(\D.*)$/.exec(one) ?? [];
    const id = which === undefined ? null : which === 'uid' ? findUser(accounts, name!)?.uid : findGroup(accounts, name!);
    if (which !== undefined && (id === null || id === undefined)) throw new Unparsed(one);
    return which === undefined ? one : `${which}=${id}`;
  });
}

function* listMounts(type: string | undefined): Call<void> {
  const rows = (yield* readMounts()).filter((r) => type === undefined || isOfType(r.type, type));
  const loops = new Map((yield* boundLoops()).filter((one) => one.autoclear).map((one) => [one.device, one.file]));
  yield* print(rows.map((r) => `${loops.get(r.source) ?? r.source} on ${r.target} type ${r.type} (${allOptions(r)})\n`).join(''));
}

interface Entry {
  source: string;
  target: string;
  type: string;
  options: string;
}

/** An entry of fstab by its source or target. */
function* fromTable(name: string): Call<Entry | null> {
  return (yield* readTable()).find((e) => e.source === name || e.target === name) ?? null;
}

function* readTable(): Call<Entry[]> {
  return ((yield* tryRead('/etc/fstab')) ?? '').split('\n').map((l) => l.replace(/#.*/, '').trim().split(/\s+/)).filter((f) => f.length >= 3)
    .map((f) => ({ source: f[0]!, target: f[1]!, type: f[2]!, options: f[3] ?? 'defaults' }));
}

function* mountAll(o: Options): Call<number> {
  let status = 0;
  const rows = yield* readMounts();
  for (const e of yield* readTable()) {
    if (e.type === 'swap' || e.options.split(',').includes('noauto') || mountAt(rows, e.target)) continue;
    status = Math.max(status, yield* mountOne(e.source, e.target, e.type, readOptions([e.options]), o));
  }
  return status;
}

/** Options that are of the loop device. */
const LOOP_WORD = /^(loop(=.*)?|offset=.*|sizelimit=.*)$/;

/** A file is mounted by a loop device: where that is asked for, or where a file system of its own lies in it. */
function* wantsLoop(source: string, type: string | null, wish: Wish): Call<boolean> {
  const stat = yield* statOf(source);
  if (type !== null && (yield* isNodev(type))) return false;
  if (wish.data.some((word) => LOOP_WORD.test(word))) return stat === null || isType(stat.mode, S_IFREG);
  return stat !== null && isType(stat.mode, S_IFREG) && (type === null || type === 'auto' || type === 'ext4') && (yield* probe(source)) !== null;
}

function* isNodev(type: string): Call<boolean> {
  return ((yield* tryRead('/proc/filesystems')) ?? '').includes(`nodev\t${type}\n`);
}

/** The device of a file: one that has it already in the same way, else a new one that goes with its last mount. Null when it cannot be made. */
function* loopFor(source: string, wish: Wish): Call<string | null> {
  const number = (name: string): number => parseSize(wish.data.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? '0') ?? 0;
  const path = yield* attempt(realPath(source, 'none'), null);
  const stat = path === null ? null : yield* statOf(path);
  if (path === null || stat === null) return null;
  const [offset, sizeLimit] = [number('offset'), number('sizelimit')];
  const known = (yield* boundLoops()).find((one) => one.ino === stat.ino && one.dev === stat.dev && one.offset === offset && one.sizeLimit === sizeLimit);
  if (known) return known.device;
  const named = wish.data.find((word) => word.startsWith('loop='))?.slice(5);
  try {
    const device = named ?? (yield* freeLoop());
    yield* bindLoop(device, path, { offset, sizeLimit, readonly: (wish.flags & MS_RDONLY) !== 0, autoclear: true });
    return device;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return null;
  }
}

function* mountOne(source: string | null, target: string, type: string | null, wish: Wish, o: Options): Call<number> {
  const { propagation } = wish;
  if (source !== null && !(wish.flags & (MS_BIND | MS_MOVE | MS_REMOUNT)) && (yield* wantsLoop(source, type, wish))) {
    const device = yield* loopFor(source, wish);
    if (device === null) {
      yield* complain(`mount: ${target}: failed to setup loop device for ${source}.\n`);
      return 32;
    }
    source = device;
  }
  const looped = source?.startsWith('/dev/loop') ?? false;
  wish.data = wish.data.filter((word) => !LOOP_WORD.test(word));
  const { flags } = wish;
  if (o.on.has('mkdir') && (yield* statOf(target)) === null) yield* attempt(mkdirAll(target, Number.parseInt(lastValue(o, 'mkdir') ?? '755', 8)), undefined);
  const at = yield* attempt(realPath(target, 'none'), null);
  const where = at ?? target;
  const plain = !(flags & (MS_BIND | MS_MOVE | MS_REMOUNT));
  const remaking = source === null && propagation.length > 0 && !(flags & MS_REMOUNT);
  try {
    if (!remaking) {
      const from = source === null ? yield* sourceOf(where) : flags & (MS_BIND | MS_MOVE) ? yield* absolute(source) : source;
      if (flags & MS_BIND && !(flags & MS_REMOUNT)) yield* bindMount(from, where, wish);
      // What mount(2) passes over here, fsconfig(2), which mount(8) calls, refuses.
      else if (flags & MS_REMOUNT && !(flags & MS_BIND) && mountAt(yield* readMounts(), where)?.type === 'overlay') throw new ContextRefused('overlay: No changes allowed in reconfigure');
      else if (wish.data.some((one) => one.length - one.indexOf('=') - 1 > FSCONFIG_MAX)) throw new SysError('EINVAL');
      else if (flags & MS_REMOUNT) yield* remount(from, where, type, wish);
      else yield* sys('mount', from, where, plain ? (type ?? (yield* guessType(from))) : (type ?? 'none'), flags, wish.data.join(','));
    }
    for (const p of propagation) yield* sys('mount', 'none', where, '', p, '');
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (looped) yield* attempt(releaseLoop(source!), undefined);
    return yield* explain(error, { source, target: at ?? target, type, flags, remaking });
  }
  if (looped && !(flags & MS_RDONLY) && (yield* boundLoops()).find((one) => one.device === source)?.readonly) yield* complain(`mount: ${where}: WARNING: source write-protected, mounted read-only.\n`);
  if (o.on.has('verbose')) yield* print(`mount: ${source ?? where} ${flags & MS_BIND ? 'bound' : flags & MS_MOVE ? 'moved' : 'mounted'} ${flags & MS_MOVE ? 'to' : 'on'} ${where}.\n`);
  return 0;
}

/** Flags that are not named stay as they are: mount(8) changes them by mount_setattr(2). */
function* remount(from: string, where: string, type: string | null, wish: Wish): Call<void> {
  const kept = readOptions([mountAt(yield* readMounts(), where)?.options ?? '']).flags;
  yield* sys('mount', from, where, type ?? 'none', wish.flags | (kept & ~wish.cleared), wish.data.join(','));
}

/** A bind with further options is two calls: the kernel takes them at the remount only. */
function* bindMount(from: string, where: string, wish: Wish): Call<void> {
  yield* sys('mount', from, where, 'none', wish.flags & (MS_BIND | MS_REC), '');
  const rest = wish.flags & ~(MS_BIND | MS_REC);
  const kept = readOptions([mountAt(yield* readMounts(), where)?.options ?? '']).flags;
  if (rest) yield* sys('mount', 'none', where, 'none', rest | kept | MS_BIND | MS_REMOUNT, '');
}

function* absolute(source: string): Call<string> {
  return (yield* attempt(realPath(source, 'none'), null)) ?? source;
}

function* sourceOf(target: string): Call<string> {
  return mountAt(yield* readMounts(), target)?.source ?? 'none';
}

/** Block devices of the lab hold one kind of file system. */
function* guessType(source: string): Call<string> {
  const stat = yield* statOf(source);
  return stat ? 'ext4' : 'none';
}

interface Tried {
  source: string | null;
  target: string;
  type: string | null;
  flags: number;
  remaking: boolean;
}

/** The longest value that fsconfig(2) takes, bytes. */
const FSCONFIG_MAX = 255;

function* explain(error: SysError, tried: Tried): Call<number> {
  const { target } = tried;
  const there = yield* statOf(target);
  yield* complain(`mount: ${target}: ${yield* reason(error, tried, there !== null)}\n${DMESG}`);
  return 32;
}

function* reason(error: SysError, tried: Tried, targetThere: boolean): Call<string> {
  const source = tried.source ?? '';
  const plain = !tried.remaking && !(tried.flags & (MS_BIND | MS_MOVE | MS_REMOUNT));
  const euid = yield* sys('geteuid');
  const other = error.errno === 'EBUSY' ? (yield* readMounts()).find((row) => row.source === source) : undefined;
  const texts: Partial<Record<Errno, string>> = {
    EPERM: euid === 0 ? 'permission denied.' : 'must be superuser to use mount.',
    EBUSY: other ? `${source} already mounted on ${other.target}.` : `${source} already mounted or mount point busy.`,
    EACCES: `permission denied.`,
    ENOTDIR: 'mount point is not a directory.',
    ENODEV: `unknown filesystem type '${tried.type ?? 'none'}'.`,
    ENOTBLK: `${source} is not a block device.`,
    ENXIO: `${source} is not a valid block device.`,
    ELOOP: 'too many levels of symbolic links.',
    EIO: `can't read superblock on ${source}.`,
  };
  if (error instanceof ContextRefused) return `fsconfig() failed: ${error.said}.`;
  if (plain && tried.type === 'overlay' && targetThere) {
    if (error.errno === 'ENOENT') return `special device ${source} does not exist.`;
    if (error.errno === 'ELOOP' || error.errno === 'ESTALE') return `fsconfig() failed: ${strerror(error)}.`;
  }
  if (plain && ['ENODEV', 'ENOTBLK', 'ENOENT'].includes(error.errno) && targetThere && !(yield* isBlock(source))) return `fsconfig() failed: ${source}: Can't lookup blockdev.`;
  if (error.errno === 'ENOENT') {
    if (!targetThere) return 'mount point does not exist.';
    return tried.flags & (MS_BIND | MS_MOVE) || (yield* statOf(source)) === null && source.startsWith('/') ? `special device ${source} does not exist.` : `mount(2) system call failed: ${strerror(error)}.`;
  }
  if (error.errno === 'EINVAL' || (error.errno === 'ENOTDIR' && (plain || tried.flags & MS_BIND))) {
    if (tried.flags & MS_MOVE && mountOver(yield* readMounts(), source)?.propagation.some((one) => one.startsWith('shared'))) return 'bad option; moving a mount residing under a shared mount is unsupported.';
    if (tried.remaking || tried.flags & (MS_REMOUNT | MS_MOVE)) return 'not mount point or bad option.';
    return `wrong fs type, bad option, bad superblock on ${source}, missing codepage or helper program, or other error.`;
  }
  return texts[error.errno] ?? `mount(2) system call failed: ${strerror(error)}.`;
}

function* isBlock(source: string): Call<boolean> {
  const stat = yield* statOf(source);
  return stat !== null && isType(stat.mode, S_IFBLK);
}

export const umount = command(function* (argv) {
  const o = parseOptions('a/all A/all-targets c/no-canonicalize d/detach-loop f/force i l/lazy n N/namespace= O= q/quiet R/recursive r/read-only t/types= v/verbose fake', argv.slice(1));
  if (o.on.has('all')) return yield* umountAll(o);
  if (o.words.length === 0) throw new BadOption('bad usage');
  let status = 0;
  for (const word of o.words) status = Math.max(status, yield* umountOne(o, word));
  return status;
});

function* umountAll(o: Options): Call<number> {
  const types = lastValue(o, 'types');
  const kept = new Set(['/', '/proc', '/sys', '/dev', '/run']);
  let status = 0;
  for (const row of (yield* readMounts()).reverse()) {
    if (kept.has(row.target) || (types !== undefined ? !isOfType(row.type, types) : ['proc', 'sysfs', 'devtmpfs', 'devpts', 'cgroup2'].includes(row.type))) continue;
    status = Math.max(status, yield* umountOne(o, row.target));
  }
  return status;
}

function* umountOne(o: Options, word: string): Call<number> {
  const path = yield* attempt(realPath(word, 'none'), null);
  const rows = yield* readMounts();
  // Without /proc only the kernel knows.
  if (rows.length === 0 && path !== null) return yield* detach(o, path);
  const loop = path === null ? undefined : (yield* boundLoops()).find((one) => one.file === path)?.device;
  const row = (path === null ? null : mountAt(rows, path)) ?? (loop === undefined ? undefined : rows.findLast((r) => r.source === loop)) ?? rows.findLast((r) => r.source === word && word.startsWith('/')) ?? null;
  if (path === null && !row) {
    if (!o.on.has('quiet')) yield* complain(`umount: ${word}: no mount point specified.\n`);
    return 32;
  }
  if (!row) {
    if (!o.on.has('quiet')) yield* complain(`umount: ${word}: not mounted.\n`);
    return 32;
  }
  if (o.on.has('recursive')) {
    for (const inner of below(rows, row).reverse()) {
      const status = yield* detach(o, inner.target);
      if (status > 0) return status;
    }
    return 0;
  }
  return yield* detach(o, row.target);
}

/** A mount and all mounted beneath it, parents first. */
function below(rows: readonly MountRow[], top: MountRow): MountRow[] {
  const out = [top];
  for (const row of rows) if (out.some((r) => r.id === row.parent)) out.push(row);
  return out;
}

function* detach(o: Options, target: string): Call<number> {
  // an absolute path is unmounted without a look at what is mounted there
  const source = o.on.has('verbose') && !o.words.includes(target) ? (yield* readMounts()).findLast((row) => row.target === target)?.source : undefined;
  try {
    yield* sys('umount2', target, (o.on.has('lazy') ? MNT_DETACH : 0) | (o.on.has('force') ? 1 : 0));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const texts: Partial<Record<Errno, string>> = {
      EBUSY: 'target is busy.', EINVAL: 'not mounted.', ENOENT: 'no mount point specified.',
      EPERM: 'must be superuser to unmount.',
    };
    if (!o.on.has('quiet') || error.errno !== 'EINVAL') yield* complain(`umount: ${target}: ${texts[error.errno] ?? `${strerror(error)}.`}\n`);
    return 32;
  }
  if (o.on.has('verbose')) yield* complain(`umount: ${target}${source === undefined ? '' : ` (${source})`} unmounted\n`);
  return 0;
}
