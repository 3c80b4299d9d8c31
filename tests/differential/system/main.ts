/**
 * Runs random system-level cases on bochs and on cpu.wasm in lockstep: all registers, RIP, flags and CS before every instruction,
 * memory at the end of an image. `--count N --seed S --world none,legacy,pae,long,real` (default: all in turn), `--per N` cases
 * an image, `--most N` differences, `--record FILE` keeps what was compared for the tests.
 *
 * Where bochs 2.7 and the manual or a real processor differ, cases keep away from it: IRETD and IRETW within a ring in 64-bit
 * code leave SS:RSP alone there (a real processor takes them from the frame); upper halves of IA32_FMASK and
 * unknown MSRs are accepted there; pushes to an interrupt stack behind conforming code go by the segment's DPL there;
 * an interrupt pushes before it looks whether the gate's target is canonical, and of a stack that is not the error code names the old one;
 * a call gate to an inner ring pushes before it checks the limit of the code segment, SGDT over two pages writes the first of them
 * before it faults, and RF is gone right after an IRET of real mode.
 * It does not print an instruction that lies before a page that is not there and within reach of its disassembler, so that a step is missing.
 * Where both are allowed: accesses over the top of 4 GiB. What is here and not there: UMIP, INVPCID; there and not here: VME,
 * PVI, MCE, task switches, virtual-8086 mode, hardware breakpoints, alignment checks, x87 and SSE beyond their state.
 */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Case } from './cases.ts';
import { assemble, judge, lacking } from './bochs.ts';
import { checkOf, differing, DUMP, follow, memoryCheck, type Step, withoutIterations } from './lockstep.ts';
import { machineOf, processor } from './modelled.ts';
import { type Image, imageOf, type Setting, setting, WORLDS } from './settings.ts';

const option = (name: string, otherwise: string): string => {
  const n = process.argv.indexOf(`--${name}`);
  return n < 0 ? otherwise : (process.argv[n + 1] ?? otherwise);
};

interface Numbered {
  seed: number;
  c: Case;
}

/** What the tests replay: image, first state, a check of each step, a check of the memory. */
interface Recorded {
  world: string;
  image: string;
  first: string[];
  checks: string;
  memory: number;
}

const recorded: Recorded[] = [];
const met = new Map<string, number>();

/** Number of the case that differs, or all of them are alike: NONE; below that, NONE - 1 - n for a case n from which both ran away alike. */
const NONE = -1;
function round(module: WebAssembly.Module, w: Setting, cases: readonly Numbered[]): number {
  const image = imageOf(w, cases.map((x) => x.c), assemble);
  const verdict = judge(image.bytes, 0, cases.length * 150 + 1000, DUMP);
  const begin = verdict.steps.findIndex((s) => s.registers[16] === 0x7c00n && s.cs === 0);
  if (begin < 0) throw new Error('bochs did not begin');
  const end = verdict.steps.findIndex((s, n) => n > 0 && s.text.startsWith('jmp') && verdict.steps[n - 1]!.registers[16] === s.registers[16]);
  const steps = withoutIterations(verdict.steps.slice(begin, end < 0 ? undefined : end));
  for (const event of steps.flatMap((s) => s.events)) met.set(event.slice(0, 2), (met.get(event.slice(0, 2)) ?? 0) + 1);
  const machine = machineOf(module, image.bytes, 0, steps[0]!.registers);
  let first: string[] = [];
  const wrong = follow(machine, steps.length, (n) => {
    const found = differing(machine, steps[n]!);
    if (found.length > 0 && first.length === 0) first = found;
    else if (found.length === 0) first = [];
    return found.length === 0;
  });
  if (wrong >= 0) return tell(w, image, cases, steps, wrong, first);
  // a case ran away, in both the same
  if (end < 0) return NONE - 1 - caseAt(image, steps, steps.length - 1);
  const at = verdict.memory.findIndex((byte, n) => machine.memory[DUMP[0] + n] !== byte);
  if (at >= 0) return tell(w, image, cases, steps, steps.length - 1, [`memory at ${at.toString(16)}: ${machine.memory[DUMP[0] + at]!.toString(16)} bochs ${verdict.memory[at]!.toString(16)}`]);
  recorded.push({
    world: w.name, image: gzipSync(image.bytes, { level: 9 }).toString('base64'), first: steps[0]!.registers.map(String), checks: Buffer.from(steps.map(checkOf)).toString('base64'), memory: memoryCheck(verdict.memory),
  });
  return NONE;
}

function caseAt(image: Image, steps: readonly Step[], at: number): number {
  const starts = new Map(image.starts.map((start, n) => [BigInt(start), n]));
  let which = 0;
  for (let n = 0; n < at; n++) which = starts.get(steps[n]!.registers[16]!) ?? which;
  return which;
}

function tell(w: Setting, image: Image, cases: readonly Numbered[], steps: readonly Step[], at: number, wrong: readonly string[]): number {
  const which = caseAt(image, steps, at);
  const culprit = cases[which];
  const before = steps[Math.max(0, at - 1)]!;
  const text = culprit ? [...culprit.c.setup, '|', ...culprit.c.body].join('; ') : '';
  process.stdout.write(`--- ${w.name} seed ${culprit?.seed} ${culprit?.c.family} ring ${culprit?.c.ring}: at ${before.registers[16]!.toString(16)} ${before.text}\n    ${wrong.join('; ')}\n    bochs met ${steps[at]!.events.join(' ')}\n    ${text}\n`);
  return which;
}

function main(): void {
  const missing = lacking();
  if (missing) throw new Error(`not here: ${missing}`);
  const module = processor(new URL(`file://${process.cwd()}/build/cpu.wasm`));
  const [count, seed, per, most] = [Number(option('count', '1000')), Number(option('seed', '1')), Number(option('per', '250')), Number(option('most', '20'))];
  const worlds = option('world', WORLDS.join(',')).split(',');
  let differences = 0;
  for (let first = 0; first < count && differences <= most; first += per) {
    const w = setting(worlds[(first / per) % worlds.length]!);
    let left = Array.from({ length: Math.min(per, count - first) }, (_, n): Numbered => ({ seed: seed + first + n, c: w.make(seed + first + n) }));
    while (left.length > 0 && differences <= most) {
      const wrong = round(module, w, left);
      if (wrong === NONE) break;
      if (wrong >= 0) differences++;
      left = left.slice((wrong >= 0 ? wrong : NONE - 1 - wrong) + 1);
    }
    if (process.argv.includes('--tell')) process.stdout.write(`${first + per} of ${count}, ${differences} differences\n`);
  }
  process.stdout.write(`exceptions met: ${[...met].sort().map(([v, n]) => `${v}:${n}`).join(' ')}\n${count} cases, ${differences} differences\n`);
  const file = option('record', '');
  if (file !== '') writeFileSync(file, gzipSync(JSON.stringify(recorded), { level: 9 }));
}

main();
