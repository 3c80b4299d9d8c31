/**
 * Runs random system-level cases on bochs and on cpu.wasm in lockstep: all registers, RIP, flags and CS before every instruction,
 * memory at the end of an image. `--count N --seed S --world none|legacy|pae|long|real` (default: all in turn), `--per N` cases an image.
 */
import { assemble, judge, lacking, type Step } from './bochs.ts';
import { type Case, makeCase, sourceOf } from './cases.ts';
import { machineOf, processor, selectorOf, stateOf, step } from './modelled.ts';
import { longKernel, longTables } from './world-long.ts';
import type { Machine } from '../../../src/engine/machine/machine.ts';
import { type LongCase, longSource, makeLongCase } from './cases-long.ts';
import { makeRealCase, realKernel, realSource, realTables } from './real.ts';
import { random } from './random.ts';
import { CODE, filled, GDT, kernel, ORIGIN, type Paging, STACKS, tables, world } from './world.ts';

const option = (name: string, otherwise: string): string => {
  const n = process.argv.indexOf(`--${name}`);
  return n < 0 ? otherwise : (process.argv[n + 1] ?? otherwise);
};

/** One of the worlds: how a case is made, and an image of several. */
interface Setting {
  name: string;
  make(seed: number): Case;
  source(cases: readonly Case[]): string;
  tables(image: Uint8Array, handler: number): void;
}

function setting(name: string): Setting {
  if (name === 'long') {
    return {
      name, make: (seed) => makeLongCase(random(seed)), tables: longTables,
      source: (cases) => longKernel(cases.map((c, n) => longSource(c as LongCase, n)).join('\n'), CODE),
    };
  }
  if (name === 'real') {
    return { name, make: (seed) => makeRealCase(random(seed)), tables: realTables, source: (cases) => realKernel(cases.map((c, n) => realSource(c, n)).join('\n')) };
  }
  const w = world(name as Paging);
  return { name, make: (seed) => makeCase(random(seed), w), tables: (image, handler) => tables(image, w, handler), source: (cases) => kernel(w, cases.map((c, n) => sourceOf(c, n, w)).join('\n')) };
}

interface Image { bytes: Uint8Array; starts: number[] }

/** Where the handler and the cases begin is learned from markers that the source itself carries. */
function imageOf(w: Setting, cases: readonly Case[]): Image {
  const source = `${w.source(cases)}\nalign 4\ndb 'STARTS'\ndd handler\n${cases.map((_, n) => `dd case_${n}`).join('\n')}\n`.replace('jmp case_0', cases.length > 0 ? 'jmp case_0' : 'jmp the_end');
  const code = assemble(source);
  const view = new DataView(code.buffer, code.byteOffset);
  const mark = Buffer.from(code).lastIndexOf('STARTS') + 6;
  const bytes = filled(Math.ceil((CODE - ORIGIN + mark) / 512) * 512);
  bytes.fill(0, GDT - ORIGIN, STACKS[3] - 0x1000 - ORIGIN);
  bytes.set(code.subarray(0, mark - 6), CODE - ORIGIN);
  w.tables(bytes, view.getUint32(mark, true));
  bytes.set([0xea, 0, 0, 0, 0x10], 0x7c00 - ORIGIN);
  return { bytes, starts: cases.map((_, n) => view.getUint32(mark + 4 + 4 * n, true)) };
}

const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip', 'flags'];

/** Compared at the end of an image: tables and stacks. */
const DUMP = [0, 0x10000] as const;

interface Difference { at: number; text: string }

function differing(machine: Machine, theirs: Step): string[] {
  const ours = stateOf(machine);
  const wrong = NAMES.flatMap((name, k) => (ours[k] === theirs.registers[k] ? [] : [`${name} ${ours[k]!.toString(16)} bochs ${theirs.registers[k]!.toString(16)}`]));
  if (selectorOf(machine) !== theirs.cs) wrong.push(`cs ${selectorOf(machine).toString(16)} bochs ${theirs.cs.toString(16)}`);
  return wrong;
}

/** First step that differs, or null. */
function compare(module: WebAssembly.Module, image: Image, steps: readonly Step[], memory: Uint8Array | null): Difference | null {
  const machine = machineOf(module, image.bytes, ORIGIN, steps[0]!.registers);
  for (let n = 0; n + 1 < steps.length; n++) {
    const stopped = step(machine);
    if (stopped) return { at: n, text: `stopped: ${stopped}` };
    const before = steps[n]!;
    while (/^(\w\w: )?rep/.test(before.text) && n + 2 < steps.length && steps[n + 1]!.registers[16] === before.registers[16] && steps[n + 1]!.text === before.text) n++;
    const theirs = steps[n + 1]!;
    let wrong = differing(machine, theirs);
    // a fault of the fetch behind it is an event of its own here, part of the step there; and what cannot be disassembled is not printed
    if (wrong.length > 0 && !step(machine) && differing(machine, theirs).length === 0) wrong = [];
    if (wrong.length > 0) return { at: n, text: wrong.join('; ') };
  }
  if (!memory) return null;
  const at = memory.findIndex((byte, n) => machine.memory[DUMP[0] + n] !== byte);
  return at < 0 ? null : { at: steps.length - 2, text: `memory at ${at.toString(16)}: ${machine.memory[DUMP[0] + at]!.toString(16)} bochs ${memory[at]!.toString(16)}` };
}

function main(): void {
  const missing = lacking();
  if (missing) throw new Error(`not here: ${missing}`);
  const module = processor(new URL(`file://${process.cwd()}/build/cpu.wasm`));
  const count = Number(option('count', '1000'));
  const seed = Number(option('seed', '1'));
  const per = Number(option('per', '250'));
  const worlds = option('world', 'none,legacy,pae,long,real').split(',');
  let differences = 0;
  let done = 0;
  const seen = new Map<string, number>();
  for (let first = 0; first < count; first += per) {
    const w = setting(worlds[(first / per) % worlds.length]!);
    const all = Array.from({ length: Math.min(per, count - first) }, (_, n) => ({ seed: seed + first + n, c: w.make(seed + first + n) }));
    let left = all;
    while (left.length > 0) {
      const image = imageOf(w, left.map((x) => x.c));
      const { steps, memory } = judge(image.bytes, ORIGIN, left.length * 150 + 1000, DUMP);
      const begin = steps.findIndex((s) => s.registers[16] === 0x7c00n && s.cs === 0);
      const end = steps.findIndex((s, n) => n > 0 && s.text.startsWith('jmp') && steps[n - 1]!.registers[16] === s.registers[16]);
      const used = steps.slice(begin, end < 0 ? undefined : end + 1);
      if (begin < 0) throw new Error('bochs did not begin');
      if (end < 0) process.stdout.write(`(bochs ended early, at ${used.at(-1)!.registers[16]!.toString(16)} after ${used.length})\n`);
      for (const s of used) for (const e of s.events) seen.set(e.slice(0, 2), (seen.get(e.slice(0, 2)) ?? 0) + 1);
      const wrong = compare(module, image, used, end < 0 ? null : memory);
      const at = wrong ? wrong.at : used.length - 1;
      let which = -1;
      const starts = new Map(image.starts.map((s, n) => [BigInt(s), n]));
      for (let n = 0; n <= at; n++) which = starts.get(used[n]!.registers[16]!) ?? which;
      if (!wrong && end >= 0) {
        done += left.length;
        break;
      }
      differences++;
      const culprit = left[which];
      const s = used[at]!;
      process.stdout.write(`--- ${w.name} seed ${culprit?.seed} ${culprit?.c.family} ring ${culprit?.c.ring}: at ${s.registers[16]!.toString(16)} ${s.text}\n    ${wrong?.text ?? 'bochs ended'}\n    bochs events ${used[at + 1]?.events.join(' ') ?? ''} ${steps[begin + at + 1]?.events.join(' ') ?? ''}\n    ${culprit ? [...culprit.c.setup, '|', ...culprit.c.body].join('; ') : ''}\n`);
      done += which + 1;
      if (which < 0) break;
      left = left.slice(which + 1);
      if (differences > Number(option('most', '20'))) return;
    }
  }
  process.stdout.write(`exceptions met: ${[...seen].sort().map(([v, n]) => `${v}:${n}`).join(' ')}\n`);
  process.stdout.write(`${done} cases, ${differences} differences\n`);
}

main();
