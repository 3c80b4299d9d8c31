/**
 * Address spaces: areas from mmap and brk, pages that come when touched, and what they cost. A touch walks the pages that
 * are not there yet in chunks; each chunk is charged to the task's cgroup (which may reclaim, stall the task, or call the
 * OOM killer) and takes processor time. After fork a child's pages are its parent's until it writes. Source: mmap(2), brk(2),
 * mm/memory.c. Left out: huge pages, page tables' exact shape (one page a 2 MiB of present memory), NUMA.
 */
import { PAGE } from '../sim/units.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE, SIG, SysError } from './abi.ts';
import { chargeFile } from './cgroup/cache.ts';
import { headroom, type Kind, tryCharge, uncharge } from './cgroup/charge.ts';
import { highStall } from './cgroup/reclaim.ts';
import type { Cgroup } from './cgroup/types.ts';
import { reclaimOrKill } from './oom.ts';
import type { AddressSpace, Area, Kernel, Task } from './records.ts';
import { alive, killProcess, sendSignal } from './signals.ts';
import { cameBack, forgetOut, freeSlots } from './swap.ts';
import type { Path } from './vfs/types.ts';
import { owe } from './wait.ts';

/** ns: a minor fault that zeroes a page, one that finds it in the page cache, and looking at a page that is there. */
const FAULT = 500;
const FAULT_CACHED = 250;
/** ns to read a page from swap, as part of a cluster. */
const SWAP_IN = 20_000;
const PRESENT = 1;
/** ns after which a fault is tried again when there is nobody to kill for it. */
const RETRY = 100_000_000;
/** Pages a chunk: what is charged at once, as far as limits leave room for it. */
const CHUNK = 256;

const MMAP_TOP = 0x7ffff7fff000;
const PAGES_A_TABLE = 512;
/** What a small dynamic binary has once it runs: 3048 KiB mapped, 1780 KiB of it from files and present, 48 KiB of page tables (a sleep(1)). */
const IMAGE = { start: 0x555555554000, text: 690, resident: 445, data: 39, stack: 33, own: 25, tables: 12 };
const ON_STACK = 4;
const STACK_TOP = 0x7ffffffff000;
const BRK_START = IMAGE.start + (IMAGE.text + IMAGE.data + 0x21) * PAGE;
/** Pages of kernel memory that a task costs its group besides page tables: its stack. */
const TASK_PAGES = 4;

export function newAddressSpace(): AddressSpace {
  return {
    users: 1, rss: { anon: 0, file: 0, shmem: 0 }, areas: [], brk: { start: BRK_START, end: BRK_START }, pageTables: 0, peak: 0, charged: new Map(), locked: 0, swapped: 0, touched: 0,
  };
}

/** fork's copy: the same areas and pages, none of them charged again until written. */
export function copyAddressSpace(from: AddressSpace): AddressSpace {
  return {
    users: 1, rss: { ...from.rss, anon: from.rss.anon + from.swapped }, brk: { ...from.brk }, pageTables: from.pageTables, peak: from.peak, charged: new Map(), locked: 0,
    swapped: 0, touched: from.touched,
    areas: from.areas.map(copyArea),
  };
}

/** What is out in swap is its parent's too: the copy reads it from there. */
function copyArea({ start, length, prot, flags, file, present, touched }: Area): Area {
  const cow = flags & MAP_SHARED ? 0 : length / PAGE;
  return { start, length, prot, flags, file, present: typeof present === 'number' ? present : new Set(present), locked: false, cow, copied: null, touched };
}

/** The areas of a program just executed: text from its file, data and stack of its own. */
export function loadImage(kernel: Kernel, task: Task): void {
  const { mm } = task;
  const touched = kernel.timeline.now;
  const { start, text, data, resident, stack, own, tables } = IMAGE;
  const onStack = new Set<number>();
  for (let i = 1; i <= ON_STACK; i++) onStack.add(stack - i);
  const part = (at: number, pages: number, prot: number, flags: number, file: Path | null, present: Area['present']): Area =>
    ({ start: at, length: pages * PAGE, prot, flags, file, present, locked: false, cow: 0, copied: null, touched });
  mm.areas = [
    part(start, text, PROT_READ | PROT_EXEC, MAP_PRIVATE, task.exe, resident),
    part(start + text * PAGE, data, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, null, own - ON_STACK),
    part(STACK_TOP - stack * PAGE, stack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, null, onStack),
  ];
  if (!charge(kernel, task, 'anon', own) || !charge(kernel, task, 'kernel', TASK_PAGES + tables)) return;
  mm.rss = { anon: own, file: resident, shmem: 0 };
  mm.pageTables = tables;
  mm.peak = own + resident;
}

/** A new task's stack and page tables, as far as they fit: fork does not fail for a memory limit here. */
export function chargeTask(kernel: Kernel, task: Task): void {
  const pages = TASK_PAGES + (task.leader === task ? task.mm.pageTables : 0);
  if (tryCharge(kernel, task.cgroup, 'kernel', pages) === null) note(task.mm, task.cgroup, 'kernel', pages);
}

/** One user less; the last one gives everything back. */
export function dropAddressSpace(kernel: Kernel, mm: AddressSpace): void {
  if (--mm.users > 0) return;
  for (const [cgroup, pages] of mm.charged) {
    uncharge(kernel, cgroup, 'anon', pages.anon);
    uncharge(kernel, cgroup, 'shmem', pages.shmem);
    uncharge(kernel, cgroup, 'kernel', pages.kernel);
    freeSlots(kernel, cgroup, pages.swap);
  }
  mm.charged.clear();
  mm.swapped = 0;
  mm.areas = [];
  mm.rss = { anon: 0, file: 0, shmem: 0 };
  mm.pageTables = 0;
}

function note(mm: AddressSpace, cgroup: Cgroup, kind: 'anon' | 'shmem' | 'kernel', pages: number): void {
  let own = mm.charged.get(cgroup);
  if (!own) {
    own = { anon: 0, shmem: 0, kernel: 0, swap: 0 };
    mm.charged.set(cgroup, own);
  }
  own[kind] += pages;
}

/** Takes pages off the books, from the newest payer on. */
function give(kernel: Kernel, mm: AddressSpace, kind: 'anon' | 'shmem' | 'kernel', pages: number): void {
  let left = pages;
  for (const [cgroup, own] of [...mm.charged].reverse()) {
    const part = Math.min(left, own[kind]);
    if (part <= 0) continue;
    own[kind] -= part;
    uncharge(kernel, cgroup, kind, part);
    left -= part;
  }
}

// ---- areas

const roundUp = (n: number): number => Math.ceil(n / PAGE) * PAGE;
const end = (area: Area): number => area.start + area.length;

export function areaAt(mm: AddressSpace, address: number): Area | null {
  for (const area of mm.areas) if (address >= area.start && address < end(area)) return area;
  return null;
}

/** The highest gap below the stack that is long enough. */
function findGap(mm: AddressSpace, length: number): number {
  let top = MMAP_TOP;
  for (const area of [...mm.areas].sort((a, b) => b.start - a.start)) {
    if (area.start >= MMAP_TOP) continue;
    if (top - end(area) >= length) break;
    top = Math.min(top, area.start);
  }
  return top - length;
}

function insert(mm: AddressSpace, area: Area): void {
  const at = mm.areas.findIndex((one) => one.start > area.start);
  if (at < 0) mm.areas.push(area);
  else mm.areas.splice(at, 0, area);
}

export function mappedBytes(mm: AddressSpace): number {
  return mm.areas.reduce((sum, area) => sum + area.length, 0);
}

/** A new area. Throws EINVAL, ENOMEM (RLIMIT_AS, overcommit 2, more than the machine could ever give). */
export function map(kernel: Kernel, task: Task, length: number, prot: number, flags: number, file: Path | null): Area {
  if (!(length > 0)) throw new SysError('EINVAL');
  if (length > MMAP_TOP) throw new SysError('ENOMEM');
  const size = roundUp(length);
  const { mm } = task;
  const limit = task.limits.RLIMIT_AS?.cur ?? Number.POSITIVE_INFINITY;
  if (mappedBytes(mm) + size > limit) throw new SysError('ENOMEM');
  if (flags & MAP_ANONYMOUS && prot & PROT_WRITE) requireCommit(kernel, mm, size);
  const area: Area = { start: findGap(mm, size), length: size, prot, flags, file, present: 0, locked: false, cow: 0, copied: null, touched: kernel.timeline.now };
  insert(mm, area);
  return area;
}

/** Overcommit: 0 refuses what exceeds all memory at once, 1 nothing, 2 what the sum of promises exceeds half of memory. */
function requireCommit(kernel: Kernel, mm: AddressSpace, size: number): void {
  if (kernel.overcommit === 1) return;
  if (kernel.overcommit === 0 ? size > kernel.memory : mappedBytes(mm) + size > kernel.memory / 2) throw new SysError('ENOMEM');
}

function count(area: Area, from: number, to: number): number {
  if (typeof area.present === 'number') return Math.max(0, Math.min(area.present, to) - from);
  let n = 0;
  for (const page of area.present) if (page >= from && page < to) n++;
  return n;
}

function kindOf(area: Area): 'anon' | 'file' | 'shmem' {
  if (area.flags & MAP_ANONYMOUS || !area.file) return area.flags & MAP_SHARED ? 'shmem' : 'anon';
  return 'file';
}

/** Takes the pages [from, to) of an area out of memory. */
function discard(kernel: Kernel, mm: AddressSpace, area: Area, from: number, to: number): void {
  const all = count(area, from, to);
  const present = all - (area.slots ? forgetOut(kernel, mm, area, from, to) : 0);
  if (present > 0) {
    const kind = kindOf(area);
    mm.rss[kind] = Math.max(0, mm.rss[kind] - present);
    const shared = Math.max(0, Math.min(area.cow, to) - from);
    const own = Math.max(0, present - shared + (area.copied ? [...area.copied].filter((page) => page >= from && page < to).length : 0));
    if (kind !== 'file') give(kernel, mm, kind, own);
  }
  if (typeof area.present === 'number') {
    if (from >= area.present) return;
    if (to >= area.present) {
      area.present = from;
      return;
    }
    area.present = new Set(Array.from({ length: area.present }, (_, i) => i));
  }
  for (let page = from; page < to; page++) area.present.delete(page);
}

/** munmap(2): cuts a range out of whatever areas it meets. */
export function unmap(kernel: Kernel, task: Task, address: number, length: number): void {
  if (address % PAGE !== 0 || length <= 0) throw new SysError('EINVAL');
  const { mm } = task;
  const stop = address + roundUp(length);
  for (const area of mm.areas.filter((one) => one.start < stop && end(one) > address)) {
    const from = (Math.max(address, area.start) - area.start) / PAGE;
    const to = (Math.min(stop, end(area)) - area.start) / PAGE;
    discard(kernel, mm, area, from, to);
    mm.areas.splice(mm.areas.indexOf(area), 1);
    const pages = area.length / PAGE;
    if (from > 0) insert(mm, part(area, 0, from));
    if (to < pages) insert(mm, part(area, to, pages));
  }
}

function part(area: Area, from: number, to: number): Area {
  const present =
    typeof area.present === 'number'
      ? Math.max(0, Math.min(area.present, to) - from)
      : new Set([...area.present].filter((page) => page >= from && page < to).map((page) => page - from));
  const shifted = (pages?: Set<number>): Set<number> | undefined => pages && new Set([...pages].filter((page) => page >= from && page < to).map((page) => page - from));
  const [out, slots] = [shifted(area.out), shifted(area.slots)];
  return { ...area, ...(out ? { out } : {}), ...(slots ? { slots } : {}), hand: 0, start: area.start + from * PAGE, length: (to - from) * PAGE, present, cow: Math.max(0, Math.min(area.cow, to) - from), copied: null };
}

/** brk(2): 0 asks. The heap is one area. */
export function setBreak(kernel: Kernel, task: Task, address: number): number {
  const { mm } = task;
  if (address < mm.brk.start) return mm.brk.end;
  const heap = areaAt(mm, mm.brk.start);
  const size = roundUp(address - mm.brk.start);
  if (size > (heap?.length ?? 0) && size > kernel.memory) return mm.brk.end;
  if (heap && size < heap.length) {
    discard(kernel, mm, heap, size / PAGE, heap.length / PAGE);
    if (size === 0) mm.areas.splice(mm.areas.indexOf(heap), 1);
  }
  if (heap && size > 0) heap.length = size;
  if (!heap && size > 0) {
    insert(mm, {
      start: mm.brk.start, length: size, prot: PROT_READ | PROT_WRITE, flags: MAP_ANONYMOUS | 2, file: null, present: 0, locked: false, cow: 0, copied: null, touched: kernel.timeline.now,
    });
  }
  mm.brk.end = address;
  return address;
}

/** madvise(2): MADV_DONTNEED gives pages back; other advice is taken silently. */
export function advise(kernel: Kernel, task: Task, address: number, length: number, advice: string): void {
  const { mm } = task;
  const stop = address + roundUp(length);
  const areas = mm.areas.filter((one) => one.start < stop && end(one) > address);
  if (areas.length === 0) throw new SysError('ENOMEM');
  if (!/dontneed|free|remove/i.test(advice)) return;
  for (const area of areas) discard(kernel, mm, area, (Math.max(address, area.start) - area.start) / PAGE, (Math.min(stop, end(area)) - area.start) / PAGE);
}

// ---- touching

interface Progress {
  at: number;
}

/** What came of a stretch of touching: all there, more to do when the time it cost is paid, or dead. */
export type Touched = 'done' | 'more' | 'dead';

/** Goes on with a touch from where it stood; one chunk a call. Bad addresses get SIGSEGV. */
export function touchMemory(kernel: Kernel, task: Task, address: number, length: number, mode: 'r' | 'w'): Touched {
  const progress = (task.scratch ??= { at: address }) as Progress;
  const stop = address + length;
  while (progress.at < stop) {
    const area = areaAt(task.mm, progress.at);
    if (!area || !(area.prot & (mode === 'w' ? PROT_WRITE : PROT_READ | PROT_EXEC))) {
      sendSignal(kernel, task, SIG.SEGV, 'fault');
      task.killedBy = 'fault';
      killProcess(kernel, task.leader, SIG.SEGV | 0x80, 'fault');
      return 'dead';
    }
    const first = Math.floor((progress.at - area.start) / PAGE);
    const last = Math.min(Math.ceil((stop - area.start) / PAGE), area.length / PAGE);
    const missing = nextMissing(area, first, last, mode);
    if (missing > first) {
      task.owed.user += (missing - first) * PRESENT;
      progress.at = area.start + missing * PAGE;
      continue;
    }
    const outcome = fault(kernel, task, area, first, last, mode, progress);
    if (outcome !== 'done') return outcome;
  }
  return 'done';
}

const isCopied = (area: Area, page: number): boolean => page >= area.cow || (area.copied?.has(page) ?? false);

/** The first page in [from, to) that a touch must fault in. */
function nextMissing(area: Area, from: number, to: number, mode: 'r' | 'w'): number {
  for (let page = from; page < to; page++) {
    const there = typeof area.present === 'number' ? page < area.present : area.present.has(page);
    if (!there || area.out?.has(page) || (mode === 'w' && !isCopied(area, page))) return page;
    if (typeof area.present === 'number' && area.cow === 0 && !area.out?.size) return Math.min(to, area.present);
  }
  return to;
}

/** Faults in a run of pages from `first`: as many as a chunk and the limits allow. */
function fault(kernel: Kernel, task: Task, area: Area, first: number, last: number, mode: 'r' | 'w', progress: Progress): Touched {
  const { mm, cgroup } = task;
  let run = 0;
  while (run < CHUNK && first + run < last && nextMissing(area, first + run, last, mode) === first + run) run++;
  const kind = kindOf(area);
  if (kind === 'file') return faultFile(kernel, task, area, first, run, progress);
  const tables = Math.max(0, IMAGE.tables + Math.ceil((mm.rss.anon + mm.rss.shmem - IMAGE.own + run) / PAGES_A_TABLE) - mm.pageTables);
  if (tables > 0) {
    if (!charge(kernel, task, 'kernel', tables)) return refused(task);
    mm.pageTables += tables;
  }
  const room = Math.max(1, Math.min(run, headroom(cgroup), frameRoom(kernel)));
  if (!charge(kernel, task, kind, room)) return refused(task);
  const back = settlePages(kernel, mm, area, first, room, kind, mode);
  mm.touched = kernel.timeline.now + kernel.ahead;
  area.touched = mm.touched;
  progress.at = area.start + (first + room) * PAGE;
  task.faults.minor += room - back;
  task.faults.major += back;
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    at.memory.pgfault += room;
    at.memory.pgmajfault += back;
  }
  owe(task, back * SWAP_IN, 'system');
  owe(task, room * FAULT, 'system');
  task.heldBack = highStall(kernel, cgroup, room);
  return progress.at < area.start + last * PAGE || task.heldBack > 0 ? 'more' : 'done';
}

const residents = (mm: AddressSpace): number => mm.rss.anon + mm.rss.file + mm.rss.shmem;

function frameRoom(kernel: Kernel): number {
  const { frames } = kernel;
  return frames.total - frames.anon - frames.file - frames.kernel;
}

/** Charges the task's group and books it with its address space; false when the task had to die, or nobody may be killed. */
export function charge(kernel: Kernel, task: Task, kind: Exclude<Kind, 'file'>, pages: number): boolean {
  const { cgroup, mm } = task;
  if (reclaimOrKill(kernel, task, cgroup, kind, pages)) {
    if (!alive(task)) {
      uncharge(kernel, cgroup, kind, pages);
      return false;
    }
    note(mm, cgroup, kind, pages);
    return true;
  }
  return false;
}

/** A fault that could not be charged: the task is dead, or nobody may be killed for it and it tries again later. */
function refused(task: Task): Touched {
  if (!alive(task)) return 'dead';
  task.heldBack = RETRY;
  return 'more';
}

/** Books pages that have come; says how many of them came from swap. */
function settlePages(kernel: Kernel, mm: AddressSpace, area: Area, first: number, pages: number, kind: 'anon' | 'file' | 'shmem', mode: 'r' | 'w'): number {
  let fresh = 0;
  let back = 0;
  for (let page = first; area.out && page < first + pages; page++) {
    if (!area.out.has(page)) continue;
    cameBack(kernel, mm, area, page);
    back++;
  }
  if (typeof area.present === 'number' && first === area.present) {
    area.present += pages;
    fresh = pages;
  } else {
    for (let page = first; page < first + pages; page++) {
      if (typeof area.present === 'number') {
        if (page < area.present) continue;
        area.present = new Set(Array.from({ length: area.present }, (_, i) => i));
      }
      if (area.present.has(page)) continue;
      area.present.add(page);
      fresh++;
    }
  }
  if (mode === 'w' && first < area.cow) {
    area.copied ??= new Set();
    for (let page = first; page < Math.min(first + pages, area.cow); page++) area.copied.add(page);
  }
  mm.rss[kind] += fresh + back;
  mm.peak = Math.max(mm.peak, residents(mm));
  return back;
}

function faultFile(kernel: Kernel, task: Task, area: Area, first: number, run: number, progress: Progress): Touched {
  const { inode } = area.file!.dentry;
  if (first * PAGE >= inode.size) {
    killProcess(kernel, task.leader, SIG.BUS | 0x80, 'fault');
    return 'dead';
  }
  chargeFile(kernel, task, inode, Math.min(inode.size, (first + run) * PAGE));
  if (!alive(task)) return 'dead';
  settlePages(kernel, task.mm, area, first, run, 'file', 'r');
  progress.at = area.start + (first + run) * PAGE;
  task.faults.minor += run;
  owe(task, run * FAULT_CACHED, 'system');
  return 'done';
}
