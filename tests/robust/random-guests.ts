/**
 * Guests of random bytes in every mode. Each must end in a state that the processor reports (halt, shutdown, exit, budget, a port),
 * never by a trap of WebAssembly, and change nothing outside its memory: behind the memory lies a guard, before it the processor's
 * tables and the slots that are always zero. Half of the guests have gates that lead somewhere, so that they survive exceptions.
 */
import * as at from '../../src/cpu/layout.ts';
import * as m from '../../src/engine/machine/machine.ts';
import { EPT, exit, F, GUEST_BASE, module, vm } from '../unit/cpu/bench.ts';

export const MODES = ['real', 'protected-16', 'protected-32', 'paging-32', 'pae', 'long', 'compatibility', 'vmx-ept'] as const;
export type Mode = (typeof MODES)[number];
export interface End {
  reason: string;
  instructions: number;
}

const MEMORY = 0x1c0000;
const GUARD = 0x40000;
const CODE = 0x7c00;
const TABLES = 0x100000;
const GDT = 0x180000;
const IDT = 0x181000;
const BUDGET = 20_000n;
const INSTRUCTIONS = 2_000n;
const PORTS = 20;
const PATTERN = 0x5a;
const ZEROES = [at.ZERO, 0x9a8];

/** xorshift32 of a number. */
export function generator(number: number): () => number {
  let state = (Math.imul(number, 2654435761) ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** Bytes as they come, or with more prefixes, two-byte opcodes and ModRM of memory than chance gives. */
function fill(bytes: Uint8Array, next: () => number): void {
  const seasoned = next() % 2 === 0;
  const often = [0x0f, 0x66, 0x48, 0x67, 0xf0, 0xf3, 0x8b, 0x89, 0xff, 0x01, 0xc7, 0x8e, 0xcf, 0xcb, 0xea, 0x9a, 0xa4, 0xa5, 0xab, 0x20, 0x22, 0x05, 0x45];
  for (let n = 0; n < bytes.length; n++) bytes[n] = seasoned && next() % 4 === 0 ? often[next() % often.length]! : next() & 255;
}

interface Bench {
  machine: m.Machine;
  guard: Uint8Array;
  statics: Uint8Array;
  before: Uint8Array;
}

function bench(machine: m.Machine): Bench {
  const { buffer } = machine.cpu.memory;
  const guard = new Uint8Array(buffer, at.HOST + MEMORY, GUARD);
  const statics = new Uint8Array(buffer, at.STATIC, at.HOST - at.STATIC);
  guard.fill(PATTERN);
  return { machine, guard, statics, before: statics.slice() };
}

export function createBench(mode: Mode): Bench {
  if (mode === 'vmx-ept') return { ...bench(vm('hlt', {}, { eptp: BigInt(EPT) | 0x1en }).machine), guard: new Uint8Array(0) };
  const made = bench(m.createMachine(module, MEMORY + GUARD));
  m.setSlot(made.machine, at.MEMORY_BYTES, BigInt(MEMORY));
  return made;
}

/** Runs one guest; throws when it leaves a trace where it may not, or the processor fails. */
export function play({ machine, guard, statics, before }: Bench, mode: Mode, number: number): End {
  const next = generator(number * 8 + MODES.indexOf(mode));
  const began = m.instructions(machine);
  const reason = mode === 'vmx-ept' ? nested(machine, next) : bare(machine, mode, next);
  for (let n = 0; n < guard.length; n++) if (guard[n] !== PATTERN) throw new Error(`guest ${number} in ${mode}: wrote ${n} bytes behind its memory`);
  if (Buffer.compare(statics, before) !== 0) throw new Error(`guest ${number} in ${mode}: changed the processor's tables`);
  for (const slot of ZEROES) if (m.slot(machine, slot) !== 0n) throw new Error(`guest ${number} in ${mode}: the zero is not`);
  return { reason, instructions: Number(m.instructions(machine) - began) };
}

const FLAT = { selector: 0x10, base: 0n, limit: 0xffffffff };

function bare(machine: m.Machine, mode: Mode, next: () => number): string {
  machine.memory.fill(0, 0, MEMORY);
  machine.cpu.reset();
  machine.state.setUint32(at.ACTIVITY, 0, true);
  machine.state.setUint32(at.INTERRUPTIBILITY, 0, true);
  machine.state.setUint32(at.VMX_OPERATION, 0, true);
  fill(machine.memory.subarray(CODE, CODE + 0x1000), next);
  fill(machine.memory.subarray(0, 0x800), next);
  m.codeWritten(machine, 0, MEMORY);
  tables(machine.physical, mode);
  gates(machine.physical, mode, next);
  for (let n = 0; n < 16; n++) m.setGeneral(machine, n, next() % 3 === 0 ? BigInt(next()) << 16n : BigInt(next() % MEMORY));
  const ring = mode === 'real' || next() % 3 > 0 ? 0 : 3;
  const control: Record<string, [cr0: bigint, cr4: bigint, efer: bigint]> = {
    real: [0x10n, 0n, 0n], 'protected-16': [0x11n, 0n, 0n], 'protected-32': [0x11n, 0n, 0n], 'paging-32': [0x80010011n, 0x10n, 0n], pae: [0x80010011n, 0x20n, 0x800n], long: [0x80010011n, 0x20n, 0xd01n],
    compatibility: [0x80010011n, 0x20n, 0xd01n],
  };
  const [cr0, cr4, efer] = control[mode]!;
  for (const [name, value] of [['cr3', BigInt(TABLES)], ['cr4', cr4], ['efer', efer], ['cr0', cr0], ['rip', BigInt(CODE + next() % 0x800)], ['rsp', BigInt(0x90000 + next() % 0x1000)], ['rflags', BigInt(next() & 0x3cd5) | 2n]] as const) {
    m.setRegister(machine, name, value);
  }
  const size = mode === 'long' ? 0x2000 : mode === 'protected-16' ? 0 : 0x4000;
  for (const name of ['cs', 'ss', 'ds', 'es', 'fs', 'gs'] as const) {
    if (mode === 'real') m.setSegment(machine, name, { selector: 0, base: 0n, limit: 0xffff, rights: name === 'cs' ? 0x9b : 0x93 });
    else if (name === 'cs') m.setSegment(machine, name, { ...FLAT, selector: 8 + ring * 9, rights: 0x809b | (ring << 5) | size });
    else m.setSegment(machine, name, { ...FLAT, selector: 0x10 + ring * 5, rights: 0xc093 | (ring << 5) });
  }
  m.setSegment(machine, 'gdtr', { selector: 0, base: BigInt(GDT), limit: 0x3f, rights: 0 });
  m.setSegment(machine, 'idtr', { selector: 0, base: mode === 'real' ? 0n : BigInt(IDT), limit: mode === 'real' ? 0x3ff : 0xfff, rights: 0 });
  m.setSegment(machine, 'tr', { selector: 0x28, base: BigInt(GDT + 0x800), limit: 0x67, rights: 0x8b });
  machine.cpu.flushTlb();
  for (let port = 0; ; port++) {
    const { reason } = m.run(machine, BUDGET, INSTRUCTIONS);
    if (reason !== 'io' || port === PORTS) return reason;
    m.finishIo(machine, BigInt(next()));
  }
}

/** The first 2 MiB to themselves, by the format of the mode; one page of them is read-only. */
function tables(memory: DataView, mode: Mode): void {
  const put = (offset: number, value: number): void => memory.setBigUint64(TABLES + offset, BigInt(value), true);
  if (mode === 'paging-32') {
    memory.setUint32(TABLES, TABLES + 0x1007, true);
    for (let k = 0; k < 512; k++) memory.setUint32(TABLES + 0x1000 + 4 * k, (k * 4096) | (k === 0x40 ? 5 : 7), true);
  } else if (mode === 'pae') {
    put(0, TABLES + 0x1001);
    put(0x1000, TABLES + 0x2007);
  } else {
    put(0, TABLES + 0x1007);
    put(0x1000, TABLES + 0x3007);
    put(0x3000, TABLES + 0x2007);
  }
  if (mode !== 'paging-32') for (let k = 0; k < 512; k++) put(0x2000 + 8 * k, (k * 4096) | (k === 0x40 ? 5 : 7));
}

function gates(memory: DataView, mode: Mode, next: () => number): void {
  const put = (offset: number, value: bigint): void => memory.setBigUint64(offset, value, true);
  [0n, mode === 'long' || mode === 'compatibility' ? 0x00af9b000000ffffn : mode === 'protected-16' ? 0x00809b000000ffffn : 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00cff3000000ffffn, 0x00affb000000ffffn].forEach((d, n) => {
    put(GDT + 8 * n, d);
  });
  put(GDT + 0x28, 0x0000890000000067n | (BigInt(GDT + 0x800 & 0xffffff) << 16n));
  put(GDT + 0x804, 0x9f000n);
  memory.setUint32(GDT + 0x808, 0x10, true);
  if (mode === 'real' || next() % 2 === 0) return;
  const wide = mode === 'long' || mode === 'compatibility';
  if (wide) memory.setBigUint64(GDT + 0x804, 0x9f000n, true);
  for (let vector = 0; vector < 256; vector++) {
    put(IDT + vector * (wide ? 16 : 8), BigInt(CODE + next() % 0x1000) | (8n << 16n) | (BigInt(mode === 'protected-16' ? 0x8600 : 0x8e00 | (next() % 2) * 0x6000) << 32n));
  }
}

/** As a guest with EPT over 4 KiB pages: the EPT's own tables and the host's memory outside the guest must stay. */
function nested(machine: m.Machine, next: () => number): string {
  const memory = machine.memory;
  fill(memory.subarray(GUEST_BASE + 0x100000, GUEST_BASE + 0x101000), next);
  m.codeWritten(machine, GUEST_BASE + 0x100000, 0x1000);
  const outside = memory.slice(0, GUEST_BASE);
  const fresh: [keyof typeof F, bigint][] = [['rip', BigInt(0x100000 + next() % 0x800)], ['rsp', 0x8000n], ['rflags', BigInt(next() & 0xcd5) | 2n], ['activity', 0n], ['interruptibility', 0n], ['cr0', 0x80010033n], ['cr4', 0x20a0n], ['cr3', 0x2000n], ['inject', 0n]];
  for (const [name, value] of fresh) m.vmwrite(machine, F[name], value);
  for (let n = 0; n < 16; n++) m.setGeneral(machine, n, next() % 3 === 0 ? BigInt(next()) << 16n : BigInt(next() % 0xc00000));
  m.setGeneral(machine, 4, 0x8000n);
  const stop = exit({ machine, labels: new Map() });
  if (m.inGuest(machine)) m.leaveGuest(machine, 1);
  if (Buffer.compare(outside, memory.subarray(0, GUEST_BASE)) !== 0) throw new Error("wrote to the host's memory");
  return stop.reason === 'exit' ? `exit ${Number(stop.payload[0]) & 0xffff}` : stop.reason;
}
