/** Rebuilds a recorded overlay from its layers, replays its operations on the file calls, and lists every difference. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { SysError, type Stat } from '../../../src/engine/kernel/abi.ts';
import { takeDown } from '../../../src/engine/kernel/vfs/hanging.ts';
import { createMount } from '../../../src/engine/kernel/vfs/mount.ts';
import { createOverlay } from '../../../src/engine/kernel/vfs/overlay.ts';
import type { Dentry } from '../../../src/engine/kernel/vfs/types.ts';
import { bare, type Bare, calls } from '../../unit/vfs/bare.ts';

interface Entry {
  t: 'd' | 'f' | 'l' | 'w';
  mode?: string; data?: string; target?: string; link?: string; opaque?: boolean; impure?: boolean; nlink?: number; same_ino_as?: string; redirect?: string;
}
type Listing = Record<string, Entry>;
interface Op { op: string; path: string; to?: string; data?: string; mode?: string; target?: string; len?: number; res: string; out?: unknown }
export interface Case { id: string; mount_opts: string; lowers: Listing[]; initial_merged: Listing; ops: Op[]; final_merged: Listing; final_upper: Listing }

const AT = -100;
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (data: Uint8Array): string => new TextDecoder().decode(data);

export function cases(name: string): Case[] {
  const file = new URL(`./${name}.jsonl.gz`, import.meta.url);
  return gunzipSync(readFileSync(file)).toString().trim().split('\n').map((line) => JSON.parse(line) as Case);
}

type Call = ReturnType<typeof calls>;

function writeFile(call: Call, path: string, flags: number, mode: number, data: string): void {
  const fd = call('openat', AT, path, flags, mode) as number;
  if (data !== '') call('write', fd, encode(data));
  call('close', fd);
}

function build(call: Call, at: string, layer: Listing): void {
  const names = Object.keys(layer).sort();
  for (const name of names) {
    const entry = layer[name]!;
    const path = `${at}/${name}`;
    if (entry.t === 'd') {
      call('mkdirat', AT, path, 0o755);
      call('fchmodat', AT, path, Number.parseInt(entry.mode!, 8));
      if (entry.opaque) call('setxattr', path, 'trusted.overlay.opaque', encode('y'), 0);
    } else if (entry.t === 'l') call('symlinkat', entry.target!, AT, path);
    else if (entry.t === 'w') call('mknodat', AT, path, 0o020000, 0, 0);
    else if (entry.link === undefined) {
      writeFile(call, path, 0o101, 0o644, entry.data!);
      call('fchmodat', AT, path, Number.parseInt(entry.mode!, 8));
    }
  }
  for (const name of names) if (layer[name]!.link !== undefined) call('linkat', AT, `${at}/${layer[name]!.link}`, AT, `${at}/${name}`, 0);
}

function perform(call: Call, op: Op): unknown {
  const path = `/${op.path}`;
  switch (op.op) {
    case 'write': return writeFile(call, path, 0o1101, 0o644, op.data!);
    case 'append': return writeFile(call, path, 0o2001, 0, op.data!);
    case 'create': return writeFile(call, path, 0o301, Number.parseInt(op.mode!, 8), op.data!);
    case 'truncate': return void call('truncate', path, op.len);
    case 'mkdir': return void call('mkdirat', AT, path, Number.parseInt(op.mode!, 8));
    case 'rmdir': return void call('unlinkat', AT, path, 0x200);
    case 'unlink': return void call('unlinkat', AT, path, 0);
    case 'rename': return void call('renameat2', AT, path, AT, `/${op.to}`, 0);
    case 'link': return void call('linkat', AT, path, AT, `/${op.to}`, 0);
    case 'symlink': return void call('symlinkat', op.target!, AT, path);
    case 'chmod': return void call('fchmodat', AT, path, Number.parseInt(op.mode!, 8));
    case 'read': {
      const fd = call('openat', AT, path, 0) as number;
      const data = decode(call('read', fd, 1 << 20) as Uint8Array);
      call('close', fd);
      return data;
    }
    case 'readdir': {
      const fd = call('openat', AT, path, 0o200000) as number;
      const names = (call('getdents64', fd) as { name: string }[]).map((one) => one.name).filter((one) => one !== '.' && one !== '..').sort();
      call('close', fd);
      return names;
    }
    case 'lstat': {
      const stat = call('newfstatat', AT, path, 0x100) as Stat;
      const kind = typeOf(stat);
      const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
      return kind === 'd' ? { t: kind, mode } : { t: kind, mode, nlink: stat.nlink };
    }
    default: throw new Error(`no operation ${op.op}`);
  }
}

const typeOf = (stat: Stat): string => ({ 0o040000: 'd', 0o100000: 'f', 0o120000: 'l', 0o020000: 'w' })[stat.mode & 0o170000] ?? '?';

/** Everything below a directory, as a listing. */
function listing(call: Call, at: string, raw: boolean): Listing {
  const found: Listing = {};
  const inodes = new Map<number, string>();
  const same = (stat: Stat, key: string, entry: Entry): Entry => {
    const first = inodes.get(stat.ino);
    if (first === undefined) inodes.set(stat.ino, key);
    return first === undefined ? entry : { ...entry, same_ino_as: first };
  };
  const walk = (dir: string, prefix: string): void => {
    const fd = call('openat', AT, dir, 0o200000) as number;
    const names = (call('getdents64', fd) as { name: string }[]).map((one) => one.name).filter((one) => one !== '.' && one !== '..').sort();
    call('close', fd);
    for (const name of names) {
      const path = `${dir}/${name}`;
      const key = prefix + name;
      const stat = call('newfstatat', AT, path, 0x100) as Stat;
      const t = typeOf(stat) as Entry['t'];
      const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
      if (t === 'd') {
        found[key] = { t, mode };
        if (raw) {
          const xattrs = call('listxattr', path) as string[];
          if (xattrs.includes('trusted.overlay.opaque')) found[key].opaque = true;
          if (xattrs.includes('trusted.overlay.impure')) found[key].impure = true;
          if (xattrs.includes('trusted.overlay.redirect')) found[key].redirect = decode(call('getxattr', path, 'trusted.overlay.redirect') as Uint8Array);
        }
        walk(path, `${key}/`);
      } else if (t === 'w') found[key] = { t };
      else if (t === 'l') found[key] = same(stat, key, { t, target: call('readlinkat', AT, path) as string });
      else {
        const file = call('openat', AT, path, 0) as number;
        found[key] = same(stat, key, { t, mode, data: decode(call('read', file, 1 << 20) as Uint8Array), nlink: stat.nlink });
        call('close', file);
      }
    }
  };
  walk(at, '');
  return found;
}

const STRICT = ['t', 'mode', 'data', 'target', 'opaque', 'redirect'] as const;

function compare(what: string, real: Listing, ours: Listing, keys: readonly (keyof Entry)[]): string[] {
  const wrong: string[] = [];
  for (const path of [...new Set([...Object.keys(real), ...Object.keys(ours)])].sort()) {
    const a = real[path];
    const b = ours[path];
    if (!a || !b) wrong.push(`${what} ${path}: real ${a ? a.t : 'nothing'}, ours ${b ? b.t : 'nothing'}`);
    else for (const key of keys) if (a[key] !== b[key]) wrong.push(`${what} ${path} ${key}: real ${a[key]}, ours ${b[key]}`);
  }
  return wrong;
}

function mountOverlay(b: Bare, lowers: number, options: string): void {
  const dirs = Array.from({ length: lowers }, (_, i) => `/l${i}`).join(':');
  const text = `lowerdir=${dirs},upperdir=/u,workdir=/w${options ? `,${options}` : ''}`;
  const sb = createOverlay(b.kernel, b.task, 'overlay', text);
  createMount(b.kernel, b.task.ns.mnt, sb, sb.root, { mount: b.task.ns.mnt.root, dentry: entry(b, 'm') }, 0, 'overlay');
}

const entry = (b: Bare, name: string): Dentry => b.root.ops.lookup(b.kernel, b.root.root, name)!;

/** Differences in strict fields and in finer ones; `errno` of an operation and its output are strict. */
export function replay(one: Case): { strict: string[]; fine: string[] } {
  const b = bare();
  const call = calls(b);
  for (const dir of ['/u', '/w', '/m', ...one.lowers.map((_, i) => `/l${i}`)]) call('mkdirat', AT, dir, 0o755);
  b.task.fs.umask = 0;
  one.lowers.forEach((layer, i) => build(call, `/l${i}`, layer));
  b.task.fs.umask = 0o022;
  mountOverlay(b, one.lowers.length, one.mount_opts);
  const strict = compare('initial', one.initial_merged, listing(call, '/m', false), STRICT);
  // The operations were recorded with the merged directory as root.
  const outside = b.task.fs.root;
  call('chroot', '/m');
  one.ops.forEach((op, i) => {
    const name = `op ${i} ${op.op} ${op.path}${op.to ? ` ${op.to}` : ''}`;
    let res = 'ok';
    let out: unknown;
    try {
      out = perform(call, op);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      res = error.errno;
    }
    if (res !== op.res) strict.push(`${name}: real ${op.res}, ours ${res}`);
    else if (op.res === 'ok' && op.out !== undefined && JSON.stringify(sortKeys(out)) !== JSON.stringify(sortKeys(op.out))) {
      strict.push(`${name}: real ${JSON.stringify(op.out)}, ours ${JSON.stringify(out)}`);
    }
  });
  b.task.fs.root = outside;
  const merged = listing(call, '/m', false);
  const upper = listing(call, '/u', true);
  strict.push(...compare('merged', one.final_merged, merged, STRICT), ...compare('upper', one.final_upper, upper, STRICT));
  const fine = [...compare('merged', one.final_merged, merged, ['nlink', 'same_ino_as']), ...compare('upper', one.final_upper, upper, ['impure'])];
  takeDown([b.task.ns.mnt.mounts.at(-1)!]);
  mountOverlay(b, one.lowers.length, one.mount_opts);
  strict.push(...compare('remounted', merged, listing(call, '/m', false), [...STRICT]));
  return { strict, fine };
}

function sortKeys(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

