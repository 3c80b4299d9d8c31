/** The same image on cpu.wasm, instruction by instruction, against recorded or just made steps. */
import { readFileSync } from 'node:fs';
import * as m from '../../../src/engine/machine/machine.ts';
import { FRAME_BYTES, FRAMES, filled } from './world.ts';

const MEMORY = 0x2000000;

export function processor(path: URL): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(path));
}

/** A machine in real mode at 0:7c00. */
export function machineOf(module: WebAssembly.Module, image: Uint8Array, origin: number, registers: readonly bigint[]): m.Machine {
  const machine = m.createMachine(module, MEMORY);
  m.load(machine, origin, image);
  m.load(machine, FRAMES, filled(FRAME_BYTES));
  m.setSegment(machine, 'cs', { selector: 0, base: 0n, limit: 0xffff, rights: 0x93 });
  for (let n = 0; n < 16; n++) m.setGeneral(machine, n, registers[n]!);
  m.setRegister(machine, 'rip', registers[16]!);
  m.setRegister(machine, 'rflags', registers[17]!);
  return machine;
}

/** As in Step: sixteen registers, rip, rflags. */
export function stateOf(machine: m.Machine): bigint[] {
  const out: bigint[] = [];
  for (let n = 0; n < 16; n++) out.push(m.general(machine, n));
  out.push(m.register(machine, 'rip'), m.register(machine, 'rflags'));
  return out;
}

export const selectorOf = (machine: m.Machine): number => m.segment(machine, 'cs').selector;
/** One instruction or the delivery of one event. Null: it went on. */
export function step(machine: m.Machine): string | null {
  const stop = m.run(machine, 1n << 40n, 1n);
  return stop.reason === 'budget' ? null : stop.reason === 'io' ? (m.finishIo(machine, 0xffffffffn), null) : stop.reason;
}
