/** Runs 32-bit snippets on cpu.wasm: protected mode with 32-bit paging, ring 3, faults through 32-bit gates and the TSS's stack to a HLT in ring 0. */
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { module } from '../../unit/cpu/bench.ts';
import { hash, type Outcome } from './modelled.ts';
import { CODE, DATA, fillData, STACK, startFlags, STRIDE } from './snippets.ts';
import { registers32 } from './snippets32.ts';

const CODE_AT = 0x400000;
const DATA_AT = 0x200000;
const STACK_AT = 0x202000;
const DIRECTORY = 0x2000;
/** Our own descriptors, stack and handler: where no process has anything. */
const OWN = 0x60000000;
const GDT = 0x1000;
const TSS = 0x1100;
const IDT = 0x3000;
const HANDLER = 0x5000;
const RING0_TOP = 0xa000;

export function modelled32(code: Uint8Array): m.Machine {
  const bytes = (CODE_AT + code.length + 0x3fffff) & ~0x3fffff;
  const machine = m.createMachine(module, bytes, { tlb: { sets: 64, ways: 8 } });
  const memory = machine.physical;
  const put = (offset: number, value: number): void => memory.setUint32(offset, value, true);
  m.load(machine, CODE_AT, code);
  for (let n = 0; n * 0x400000 < code.length; n++) put(DIRECTORY + 4 * ((CODE >>> 22) + n), (CODE_AT + n * 0x400000) | 0x85);
  put(DIRECTORY + 4 * (DATA >>> 22), 0x7007);
  put(0x7000, DATA_AT | 7);
  put(0x7004, (DATA_AT + 4096) | 7);
  put(DIRECTORY + 4 * (STACK >>> 22), 0x8007);
  put(0x8000, STACK_AT | 7);
  put(DIRECTORY + 4 * (OWN >>> 22), 0x83);
  const descriptor = (n: number, low: number, high: number): void => {
    put(GDT + 8 * n, low);
    put(GDT + 8 * n + 4, high);
  };
  descriptor(1, 0xffff, 0xcf9b00);
  descriptor(2, 0xffff, 0xcf9300);
  descriptor(4, 0xffff, 0xcffb00);
  descriptor(5, 0xffff, 0xcff300);
  put(TSS + 4, OWN + RING0_TOP);
  put(TSS + 8, 0x10);
  for (let vector = 0; vector < 32; vector++) {
    put(IDT + 8 * vector, (8 << 16) | HANDLER);
    put(IDT + 8 * vector + 4, OWN | 0xee00);
  }
  m.load(machine, HANDLER, Uint8Array.from([0xf4]));
  for (const [name, value] of [['cr3', BigInt(DIRECTORY)], ['cr4', 0x90n], ['efer', 0n], ['cr0', 0x80010033n]] as const) m.setRegister(machine, name, value);
  return machine;
}

function enterUser(machine: m.Machine): void {
  const flat = { selector: 0x2b, base: 0n, limit: 0xffffffff, rights: 0xc0f3 };
  m.setSegment(machine, 'cs', { ...flat, selector: 0x23, rights: 0xc0fb });
  for (const name of ['ss', 'ds', 'es'] as const) m.setSegment(machine, name, flat);
  for (const name of ['fs', 'gs', 'ldtr'] as const) m.setSegment(machine, name, { selector: 0, base: 0n, limit: 0, rights: 0x10000 });
  m.setSegment(machine, 'tr', { selector: 0x30, base: BigInt(OWN + TSS), limit: 0x67, rights: 0x8b });
  m.setSegment(machine, 'gdtr', { selector: 0, base: BigInt(OWN + GDT), limit: 0x37, rights: 0 });
  m.setSegment(machine, 'idtr', { selector: 0, base: BigInt(OWN + IDT), limit: 0xff, rights: 0 });
}

export function play32(machine: m.Machine, index: number, number: number): Outcome {
  enterUser(machine);
  const data = new Uint32Array(machine.memory.buffer, machine.memory.byteOffset + DATA_AT, 2048);
  const stack = new Uint32Array(machine.memory.buffer, machine.memory.byteOffset + STACK_AT, 1024);
  fillData(number, data);
  stack.fill(0);
  registers32(number).forEach((value, n) => {
    m.setGeneral(machine, n, value);
  });
  m.setRegister(machine, 'rip', BigInt(CODE + index * STRIDE));
  m.setRegister(machine, 'rflags', BigInt(startFlags(number)));
  machine.state.setUint32(at.ACTIVITY, 0, true);
  const stop = m.run(machine, 100_000n);
  if (stop.reason !== 'halt') throw new Error(`snippet ${number}: stopped by ${stop.reason} at ${m.register(machine, 'rip').toString(16)}`);
  const vector = machine.state.getUint32(at.LAST_VECTOR, true);
  const withError = vector === 8 || (vector >= 10 && vector <= 14) || vector === 17;
  let frame = Number(m.register(machine, 'rsp')) - OWN;
  const slot = (n: number): bigint => BigInt(machine.physical.getUint32(frame + 4 * n, true));
  const error = withError ? slot(0) : 0n;
  if (withError) frame += 4;
  const out = Array.from({ length: 8 }, (_, n) => m.general(machine, n));
  out[4] = slot(3);
  return { registers: out, rip: slot(0), flags: slot(2), vector, error, address: vector === 14 ? m.register(machine, 'cr2') : 0n, memory: hash(data, stack) };
}
