/** Runs snippets on cpu.wasm: ring 3, the same addresses, faults through a real IDT to a HLT in ring 0. */
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { module, segments } from '../../unit/cpu/bench.ts';
import { CODE, DATA, fillData, registers, STACK, startFlags, STRIDE } from './snippets.ts';

export interface Outcome {
  registers: bigint[];
  rip: bigint;
  flags: bigint;
  vector: number;
  error: bigint;
  address: bigint;
  memory: bigint;
}

const CODE_AT = 0x400000;
const DATA_AT = 0x200000;
const STACK_AT = 0x202000;
const GDT = 0x1000;
const TSS = 0x1100;
const HANDLERS = 0x5000;
/** Our own descriptors lie in the upper half, so that the lower is as empty as the process's. */
const UPPER = 0xffff800000000000n;

/** A machine whose code region holds these bytes. */
export function modelled(code: Uint8Array): m.Machine {
  const bytes = (CODE_AT + code.length + 0x1fffff) & ~0x1fffff;
  const machine = m.createMachine(module, bytes, { tlb: { sets: 64, ways: 8 } });
  const memory = machine.physical;
  const put = (offset: number, value: bigint): void => memory.setBigUint64(offset, value, true);
  m.load(machine, CODE_AT, code);
  put(0x2000, 0x3007n);
  put(0x3000, 0x6007n);
  put(0x2000 + 8 * 256, 0xb003n);
  put(0xb000, 0x83n); // 1 GiB
  for (let n = 0; n * 0x200000 < code.length; n++) put(0x6000 + 8 * ((CODE >> 21) + n), BigInt(CODE_AT + n * 0x200000) | 0x85n);
  put(0x6000 + 8 * (DATA >> 21), 0x7007n);
  put(0x7000, BigInt(DATA_AT) | 7n | (1n << 63n));
  put(0x7008, BigInt(DATA_AT + 4096) | 7n | (1n << 63n));
  put(0x6000 + 8 * (STACK >> 21), 0x8007n);
  put(0x8000, BigInt(STACK_AT) | 7n | (1n << 63n));
  [0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn, 0x00cff3000000ffffn, 0x00affb000000ffffn, 0x0000890000000067n | (BigInt(TSS) << 16n), 0xffff8000n].forEach((d, n) => {
    put(GDT + 8 * n, d);
  });
  put(TSS + 4, UPPER + 0xa000n);
  for (let vector = 0; vector < 32; vector++) {
    put(0x9000 + 16 * vector, BigInt(HANDLERS) | (8n << 16n) | (0xee00n << 32n));
    put(0x9000 + 16 * vector + 8, UPPER >> 32n);
  }
  m.load(machine, HANDLERS, Uint8Array.from([0xf4]));
  for (const [name, value] of [['cr3', 0x2000n], ['cr4', 0xa0n], ['efer', 0xd01n], ['cr0', 0x80010033n]] as const) m.setRegister(machine, name, value);
  return machine;
}

function enterUser(machine: m.Machine): void {
  for (const [name, value] of segments()) {
    if (name === 'cs') m.setSegment(machine, name, { ...value, selector: 0x23, rights: 0xa0fb });
    else if (name === 'idtr') m.setSegment(machine, name, { ...value, base: UPPER + 0x9000n, limit: 0x1ff });
    else if (name.length === 2 && name !== 'tr') m.setSegment(machine, name, { ...value, selector: 0x1b, rights: 0xc0f3 });
    else m.setSegment(machine, name, { ...value, base: UPPER + value.base });
  }
}

export function play(machine: m.Machine, index: number, number: number): Outcome {
  enterUser(machine);
  const buffer = machine.memory.buffer;
  const data = new Uint32Array(buffer, machine.memory.byteOffset + DATA_AT, 2048);
  const stack = new Uint32Array(buffer, machine.memory.byteOffset + STACK_AT, 1024);
  fillData(number, data);
  stack.fill(0);
  registers(number).forEach((value, n) => {
    m.setGeneral(machine, n, value);
  });
  m.setRegister(machine, 'rip', BigInt(CODE + index * STRIDE));
  m.setRegister(machine, 'rflags', BigInt(startFlags(number)));
  machine.state.setUint32(at.ACTIVITY, 0, true);
  const stop = m.run(machine, 100_000n);
  if (stop.reason !== 'halt') throw new Error(`snippet ${number}: stopped by ${stop.reason} at ${m.register(machine, 'rip').toString(16)}`);
  const vector = machine.state.getUint32(at.LAST_VECTOR, true);
  const withError = vector === 8 || (vector >= 10 && vector <= 14) || vector === 17;
  let frame = Number(m.register(machine, 'rsp') - UPPER);
  const read = withError ? machine.physical.getBigUint64(frame, true) : 0n;
  // Linux says of every address of the kernel's half that it is protected
  const error = vector === 14 && m.register(machine, 'cr2') >> 63n ? read | 1n : read;
  if (withError) frame += 8;
  const slot = (n: number): bigint => machine.physical.getBigUint64(frame + 8 * n, true);
  const out = Array.from({ length: 16 }, (_, n) => m.general(machine, n));
  out[4] = slot(3);
  return { registers: out, rip: slot(0), flags: slot(2), vector, error, address: vector === 14 ? m.register(machine, 'cr2') : 0n, memory: hash(data, stack) };
}

export function hash(data: Uint32Array, stack: Uint32Array): bigint {
  let a = 0x811c9dc5;
  let b = 0x1234567;
  for (let n = 0; n < data.length; n++) {
    a = Math.imul(a ^ data[n]!, 0x01000193);
    b = Math.imul(b + data[n]!, 0x85ebca6b);
    b ^= b >>> 13;
  }
  for (let n = 0; n < stack.length; n++) a = Math.imul(a ^ stack[n]!, 0x01000193);
  return (BigInt(b >>> 0) << 32n) | BigInt(a >>> 0);
}

/** Everything that the manual defines, in 64 bits: what the recorded vectors keep. */
export function digest(outcome: Outcome, mask: number): bigint {
  let h = 0xcbf29ce484222325n;
  const flags = outcome.vector === 3 ? outcome.flags & BigInt(mask | 0x400) : 0n;
  for (const word of [...outcome.registers, outcome.rip, flags, BigInt(outcome.vector), outcome.error, outcome.address, outcome.memory]) {
    h = BigInt.asUintN(64, (h ^ word) * 0x100000001b3n);
    h ^= h >> 29n;
  }
  return h;
}
