/**
 * The domain builder: before a paravirtualized guest's first instruction its memory is all there, mapped one to one by tables
 * that already hold machine addresses, and a page tells it what it must know (start_info). The guest's image and registers are
 * those the loader put: rdi command line, rsi bytes of memory; rdx is the address of start_info.
 *
 *   0 .. memory          guest frames in order; the last ones hold, from below, the frame list, start_info and the tables (read-only)
 *   memory               shared_info
 * Source: Xen's tools/libs/guest xg_dom_x86.c for what is built, not for where.
 */
import { setRegister, setSegment } from '../../machine/machine.ts';
import { bytes } from '../../sim/text.ts';
import { takeFrame, type Vm } from '../vm.ts';
import { domainOf, type Frame } from './domain.ts';
import * as at from './interface.ts';
import { pin, takeType } from './paging.ts';

const PAGE = 4096;
const PRESENT = 1n;
const WRITABLE = 2n;
const ACCESSED_DIRTY = 0x60n;

/** Bytes of the guest's memory. */
export const memoryOf = (vm: Vm): number => Math.max(0, ...[...vm.slots.values()].map((slot) => slot.gpa + slot.bytes));

/** Throws when the host's memory does not suffice. */
export function buildDomain(vm: Vm): void {
  const domain = domainOf(vm);
  const pages = memoryOf(vm) / PAGE;
  for (let gfn = 0; gfn < pages; gfn++) if (!vm.way.memory.back(vm, gfn)) throw new Error('no host frame for a page of the domain');
  for (let gfn = 0; gfn < pages; gfn++) domain.frames.set(machine(vm, gfn) / PAGE, { type: 'none', count: 0, pinned: false } satisfies Frame);
  domain.shared = frame(vm);
  vm.machine.memory.fill(0xff, domain.shared + at.EVENTS_MASK, domain.shared + at.EVENTS_MASK + 512);
  vm.machine.memory[domain.shared + at.UPCALL_MASK] = 1;
  reserve(vm);
  const first = tables(vm, pages);
  domain.l4 = machine(vm, pages - 1);
  const list = first - Math.ceil((8 * pages) / PAGE) - 1;
  for (let gfn = 0; gfn < pages; gfn++) vm.machine.physical.setBigUint64(machine(vm, list + Math.floor((8 * gfn) / PAGE)) + ((8 * gfn) % PAGE), BigInt(machine(vm, gfn) / PAGE), true);
  startInfo(vm, { pages, info: first - 1, list, first });
  pin(vm, domain.l4, 4);
  takeType(vm, domain.l4, 'l4');
  power(vm, first - 1);
  vm.tables = pages + vm.tables;
  domain.built = true;
}

const machine = (vm: Vm, gfn: number): number => vm.frames.get(gfn)!;

function frame(vm: Vm): number {
  const taken = takeFrame(vm);
  if (taken === null) throw new Error('no host frame for the hypervisor');
  vm.tables++;
  return taken;
}

/** One-to-one tables in the domain's last frames, the L4 in the very last; gives the first frame they take. */
function tables(vm: Vm, pages: number): number {
  const { physical } = vm.machine;
  const leaves = Math.ceil((pages + 1) / 512);
  const middles = Math.ceil(leaves / 512);
  const first = pages - 2 - middles - leaves;
  if (first < 512) throw new Error('not modelled: a domain of so little memory');
  const entry = (table: number, n: number, target: number, writable: boolean): void =>
    physical.setBigUint64(machine(vm, table) + 8 * n, BigInt(target) | PRESENT | ACCESSED_DIRTY | (writable ? WRITABLE : 0n), true);
  for (let n = 0; n < pages; n++) entry(first + Math.floor(n / 512), n % 512, machine(vm, n), n < first);
  entry(first + Math.floor(pages / 512), pages % 512, domainOf(vm).shared, true);
  for (let n = 0; n < leaves; n++) entry(first + leaves + Math.floor(n / 512), n % 512, machine(vm, first + n), true);
  for (let n = 0; n < middles; n++) entry(pages - 2, n, machine(vm, first + leaves + n), true);
  entry(pages - 1, 0, machine(vm, pages - 2), true);
  return first;
}

function startInfo(vm: Vm, { pages, info, list, first }: { pages: number; info: number; list: number; first: number }): void {
  const { memory, physical } = vm.machine;
  const base = machine(vm, info);
  memory.fill(0, base, base + PAGE);
  memory.set(bytes('xen-3.0-x86_64'), base + at.START_MAGIC);
  const line = commandLine(vm);
  memory.set(line.subarray(0, 1023), base + at.START_COMMAND_LINE);
  for (const [offset, value] of [[at.START_PAGES, pages], [at.START_SHARED, domainOf(vm).shared], [at.START_TABLES, (pages - 1) * PAGE], [at.START_TABLE_FRAMES, pages - first], [at.START_FRAME_LIST, list * PAGE]] as const) {
    physical.setBigUint64(base + offset, BigInt(value), true);
  }
}

/** What the loader left where rdi points. */
function commandLine(vm: Vm): Uint8Array {
  const address = Number(vm.way.cpu.state.register(vm, 'rdi'));
  const base = vm.frames.get(Math.floor(address / PAGE));
  if (base === undefined) return new Uint8Array(0);
  const from = vm.machine.memory.subarray(base + (address % PAGE), base + PAGE);
  return from.slice(0, Math.max(0, from.indexOf(0)));
}

/** The hypervisor's own corner of every address space: machine-to-physical list and descriptor table, both read-only. */
function reserve(vm: Vm): void {
  const { physical } = vm.machine;
  const frames = vm.machine.memory.length / PAGE;
  const list = Array.from({ length: Math.ceil((8 * frames) / PAGE) }, () => frame(vm));
  for (const [gfn, hpa] of vm.frames) physical.setBigUint64(list[Math.floor((8 * hpa) / PAGE / PAGE)]! + ((8 * hpa) / PAGE) % PAGE, BigInt(gfn), true);
  const empty = frame(vm);
  const descriptors = frame(vm);
  for (const [n, value] of [[1, 0x00afbb000000ffffn], [2, 0x00cfb3000000ffffn], [3, 0x00cff3000000ffffn], [4, 0x00affb000000ffffn]] as const) physical.setBigUint64(descriptors + 8 * n, value, true);
  map(vm, at.RESERVED_SLOTS[0], list);
  map(vm, at.RESERVED_SLOTS[1], [...Array.from({ length: 14 }, () => empty), descriptors]);
}

function map(vm: Vm, slot: number, targets: readonly number[]): void {
  const { physical } = vm.machine;
  const level3 = frame(vm);
  const level2 = frame(vm);
  const flags = PRESENT | ACCESSED_DIRTY;
  physical.setBigUint64(level3, BigInt(level2) | flags, true);
  for (let n = 0; n < targets.length; n += 512) {
    const level1 = frame(vm);
    physical.setBigUint64(level2 + n / 64, BigInt(level1) | flags, true);
    for (const [i, target] of targets.slice(n, n + 512).entries()) physical.setBigUint64(level1 + 8 * i, BigInt(target) | flags, true);
  }
  domainOf(vm).reserved.set(slot, BigInt(level3) | flags);
}

const CR0 = 0x8005_0033n;
const CR4 = 0x620n;
const EFER = 0xd01n;
const INTERRUPTS_ON = 0x202n;

/** The processor as the domain finds it: long mode, ring 1, the hypervisor's descriptors. */
function power(vm: Vm, info: number): void {
  const m = vm.machine;
  for (const [name, value] of [['efer', EFER], ['cr4', CR4], ['cr3', BigInt(domainOf(vm).l4)], ['cr0', CR0]] as const) setRegister(m, name, value);
  setSegment(m, 'gdtr', { selector: 0, base: at.HYPERVISOR_TABLES, limit: 0xe027, rights: 0 });
  for (const name of ['ldtr', 'tr'] as const) setSegment(m, name, { selector: 0, base: 0n, limit: 0, rights: 0x10000 });
  enterRing(vm, 1);
  for (const name of ['ds', 'es', 'fs', 'gs'] as const) setSegment(m, name, { selector: at.KERNEL_DATA, base: 0n, limit: 0xffffffff, rights: 0xc0b3 });
  setRegister(m, 'rflags', INTERRUPTS_ON);
  setRegister(m, 'rdx', BigInt(info * PAGE));
  m.cpu.flushTlb();
}

/** Code and stack of a ring, as its descriptors have them. */
export function enterRing(vm: Vm, to: 1 | 3): void {
  setSegment(vm.machine, 'cs', { selector: to === 1 ? at.KERNEL_CODE : at.USER_CODE, base: 0n, limit: 0xffffffff, rights: to === 1 ? 0xa0bb : 0xa0fb });
  setSegment(vm.machine, 'ss', { selector: to === 1 ? at.KERNEL_DATA : at.USER_DATA, base: 0n, limit: 0xffffffff, rights: to === 1 ? 0xc0b3 : 0xc0f3 });
}
