/** An image on cpu.wasm beside what bochs said: states compared step by step, and their short form that is recorded for the tests. */
import type { Machine } from '../../../src/engine/machine/machine.ts';
import { selectorOf, stateOf, step } from './modelled.ts';

/** State before an instruction: rax rcx rdx rbx rsp rbp rsi rdi r8..r15 rip rflags, selector of CS. */
export interface State {
  registers: bigint[];
  cs: number;
}
export interface Step extends State {
  text: string;
  /** Exceptions and interrupts on the way to it: "0d:0010". */
  events: string[];
}

/** Compared at the end of an image: tables and stacks. */
export const DUMP = [0, 0x10000] as const;

const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip', 'flags'];

export function differing(machine: Machine, theirs: State): string[] {
  const ours = stateOf(machine);
  const wrong = NAMES.flatMap((name, k) => (ours[k] === theirs.registers[k] ? [] : [`${name} ${ours[k]!.toString(16)} bochs ${theirs.registers[k]!.toString(16)}`]));
  if (selectorOf(machine) !== theirs.cs) wrong.push(`cs ${selectorOf(machine).toString(16)} bochs ${theirs.cs.toString(16)}`);
  return wrong;
}

/** One step of a repeated instruction is one iteration there: only the last of them is compared. */
export function withoutIterations(steps: readonly Step[]): Step[] {
  return steps.filter((s, n) => {
    const before = steps[n - 1];
    return !(before && /^(\w\w: )?rep/.test(before.text) && s.registers[16] === before.registers[16] && s.text === before.text);
  });
}

/** Eight bits of a state: a difference goes on through the handler that shows all registers, so it is not missed. */
export function checkOf(state: State): number {
  let h = 0x811c9dc5;
  const mix = (n: number): void => {
    h = Math.imul(h ^ n, 0x01000193);
    h ^= h >>> 13;
  };
  for (const value of state.registers) {
    mix(Number(value & 0xffffffffn));
    mix(Number(value >> 32n));
  }
  mix(state.cs);
  return (h ^ (h >>> 8) ^ (h >>> 16) ^ (h >>> 24)) & 255;
}

export function memoryCheck(memory: Uint8Array): number {
  let h = 0x811c9dc5;
  for (const byte of memory) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

/**
 * Runs until a step differs, and gives its number; -1: none. A fault of a fetch is an event of its own here, part of the step
 * there, and bochs does not print what it cannot disassemble: so one step there may be two here.
 */
export function follow(machine: Machine, steps: number, same: (n: number) => boolean): number {
  for (let n = 1; n < steps; n++) {
    if (step(machine)) return n;
    if (!same(n) && (step(machine) !== null || !same(n))) return n;
  }
  return -1;
}
