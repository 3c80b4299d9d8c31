/**
 * Options of a tmpfs: read at mount(2) and at a remount, refused with the words of the kernel's log, shown as /proc/mounts shows
 * them. Source: tmpfs(5), shmem_parse_one, shmem_reconfigure and shmem_show_options in mm/shmem.c. Left out: quotas, mpol's effect.
 */
import { PAGE } from '../../sim/units.ts';
import { ContextRefused } from '../abi.ts';
import { memparse } from '../cgroup/numbers.ts';
import { idInside, idOutside } from '../credentials.ts';
import type { Kernel, Task } from '../records.ts';
import { mountOptions } from './options.ts';
import type { SuperBlock } from './types.ts';

const HUGE = ['never', 'always', 'within_size', 'advise', 'deny', 'force'];

/** What a mount was told; null where it was told nothing. Ids are the first namespace's. */
export interface TmpfsOptions {
  /** Pages; 0 is without limit. */
  pages: number | null;
  inodes: number | null;
  mode: number | null;
  uid: number | null;
  gid: number | null;
  huge: string;
  mpol: string;
  short: boolean;
  noswap: boolean;
}

const nothingTold = (): TmpfsOptions => ({ pages: null, inodes: null, mode: null, uid: null, gid: null, huge: 'never', mpol: '', short: false, noswap: false });

/** A number with a unit. Null where none is there. */
function sizeOf(text: string): number | null {
  const size = /^\d/.test(text) ? memparse(text) : null;
  return size === null ? null : Number(size);
}

function pagesIn(kernel: Kernel, name: string, text: string): number {
  const share = name === 'size' ? /^(\d+)%$/.exec(text)?.[1] : undefined;
  const bytes = share === undefined ? sizeOf(text) : (kernel.memory * Number(share)) / 100;
  if (bytes === null) throw bad(name);
  return name === 'size' ? Math.ceil(bytes / PAGE) : bytes;
}

const bad = (name: string): ContextRefused => new ContextRefused(`tmpfs: Bad value for '${name}'`);

function idIn(task: Task, name: 'uid' | 'gid', text: string): number {
  const id = /^\d+$/.test(text) ? idOutside(task.ns.user, Number(text), `${name}Map`) : null;
  if (id === null) throw bad(name);
  return id;
}

const TAKERS: Readonly<Record<string, (told: TmpfsOptions, value: string, kernel: Kernel, task: Task, name: string) => void>> = {
  size: (told, value, kernel, _task, name) => { told.pages = pagesIn(kernel, name, value); },
  nr_blocks: (told, value, kernel, _task, name) => { told.pages = pagesIn(kernel, name, value); },
  nr_inodes(told, value) {
    told.inodes = sizeOf(value);
    if (told.inodes === null) throw bad('nr_inodes');
  },
  mode(told, value) {
    if (!/^[0-7]+$/.test(value)) throw bad('mode');
    told.mode = Number.parseInt(value, 8) & 0o7777;
  },
  uid: (told, value, _kernel, task) => { told.uid = idIn(task, 'uid', value); },
  gid: (told, value, _kernel, task) => { told.gid = idIn(task, 'gid', value); },
  huge(told, value) {
    if (!HUGE.includes(value)) throw bad('huge');
    told.huge = value;
  },
  mpol: (told, value) => { told.mpol = value === 'default' ? '' : value; },
  inode32: (told) => { told.short = true; },
  inode64: (told) => { told.short = false; },
  noswap: (told) => { told.noswap = true; },
};

function take(kernel: Kernel, task: Task, told: TmpfsOptions, data: string): void {
  for (const [name, value] of mountOptions(data)) {
    const taker = Object.hasOwn(TAKERS, name) ? TAKERS[name]! : null;
    if (!taker) throw new ContextRefused(`tmpfs: Unknown parameter '${name}'`);
    taker(told, value, kernel, task, name);
  }
}

export const defaultPages = (kernel: Kernel): number => Math.floor(kernel.memory / PAGE / 2);

/** What is not the default. */
function shown(kernel: Kernel, task: Task, told: TmpfsOptions): string {
  const id = (one: number | null, which: 'uidMap' | 'gidMap'): number | null => (one ? idInside(task.ns.user, one, which) : null);
  const uid = id(told.uid, 'uidMap');
  const gid = id(told.gid, 'gidMap');
  return [
    told.pages === null || told.pages === defaultPages(kernel) ? '' : `size=${(told.pages * PAGE) / 1024}k`,
    told.inodes === null || told.inodes === defaultPages(kernel) ? '' : `nr_inodes=${told.inodes}`,
    told.mode === null || told.mode === 0o1777 ? '' : `mode=${told.mode.toString(8).padStart(3, '0')}`,
    uid === null ? '' : `uid=${uid}`, gid === null ? '' : `gid=${gid}`, told.short ? 'inode32' : 'inode64',
    told.huge === 'never' ? '' : `huge=${told.huge}`, told.mpol === '' ? '' : `mpol=${told.mpol}`, told.noswap ? 'noswap' : '',
  ].filter(Boolean).join(',');
}

/** At a remount only limits and huge change, and no limit below what is used. */
function retell(kernel: Kernel, task: Task, told: TmpfsOptions, sb: SuperBlock, data: string): void {
  const next = { ...nothingTold(), noswap: told.noswap, short: told.short, huge: told.huge, mpol: told.mpol };
  take(kernel, task, next, data);
  const space = sb.space!;
  const refuse = (said: string): never => { throw new ContextRefused(`tmpfs: ${said}`); };
  if (next.pages !== null && next.pages > 0) {
    if (told.pages === 0) refuse('Cannot retroactively limit size');
    if (next.pages < space.used) refuse('Too small a size for current use');
  }
  if (next.inodes !== null && next.inodes > 0) {
    if (told.inodes === 0) refuse('Cannot retroactively limit inodes');
    if (next.inodes < space.names!.used) refuse('Too few inodes for current use');
  }
  if (next.noswap && !told.noswap) refuse('Cannot disable swap on remount');
  Object.assign(told, { pages: next.pages ?? told.pages, inodes: next.inodes ?? told.inodes, huge: next.huge, mpol: next.mpol, short: next.short });
}

function limit(kernel: Kernel, sb: SuperBlock, told: TmpfsOptions): void {
  sb.space!.pages = told.pages === 0 ? Number.POSITIVE_INFINITY : (told.pages ?? defaultPages(kernel));
  sb.space!.names!.most = told.inodes === 0 ? Number.POSITIVE_INFINITY : (told.inodes ?? defaultPages(kernel));
}

/** Gives a new tmpfs its options, and the way it takes others later. */
export function tellTmpfs(kernel: Kernel, task: Task, sb: SuperBlock, data: string): void {
  const told = nothingTold();
  take(kernel, task, told, data);
  const { inode } = sb.root;
  inode.mode = told.mode ?? 0o1777;
  inode.uid = told.uid ?? task.cred.euid;
  inode.gid = told.gid ?? task.cred.egid;
  const settle = (looker: Task): void => {
    limit(kernel, sb, told);
    sb.options = shown(kernel, looker, told);
  };
  sb.reconfigure = (writer, more) => {
    retell(kernel, writer, told, sb, more);
    settle(writer);
  };
  settle(task);
}
