/** Guest instructions a second of cpu.wasm, untraced, on three loops; v86 and bochs on the same loops (32-bit) in the same run. Medians. */
import { loadAssets } from '../../src/cli/assets.ts';
import { assemble } from '../../src/engine/machine/isa/assemble.ts';
import { createMachine, load, run, setRegister, setSegment } from '../../src/engine/machine/machine.ts';
import { guest, INSTRUCTIONS, LOOPS } from './loops.ts';
import { median } from './median.ts';
import { bochs, type Seconds, v86 } from './peers.ts';

const RUNS = 5;
const PEERS = { v86: { run: v86, runs: 3 }, bochs: { run: bochs, runs: 3 } } as const;
type Loop = (typeof LOOPS)[number];

/** Rounds of ours go between those of the peers, so that all meet the same machine. */
export async function cpu(): Promise<Record<string, unknown>> {
  const mine = Object.fromEntries(LOOPS.map((loop) => [loop, [] as number[]])) as Record<Loop, number[]>;
  const round1 = (): void => {
    for (const loop of LOOPS) mine[loop].push(ours(loop));
  };
  round1();
  const theirs: Record<string, Record<Loop, number | null>> = {};
  for (const [name, peer] of Object.entries(PEERS)) {
    const all: Seconds[] = [];
    for (let n = 0; n < peer.runs; n++) {
      const one = await peer.run();
      if (one === null) break;
      all.push(one);
      round1();
    }
    theirs[name] = Object.fromEntries(LOOPS.map((loop) => [loop, all.length === 0 ? null : INSTRUCTIONS[loop] / median(all.map((one) => one[loop]!)) / 1e6])) as Record<Loop, number | null>;
  }
  while (mine.arithmetic.length < RUNS) round1();
  const rate = (loop: Loop): number => median(mine[loop]);
  const versus = (name: string, loop: Loop): number | null => (theirs[name]![loop] === null ? null : rate(loop) / theirs[name]![loop]);
  const middle = (name: string): number | null => {
    const ratios = LOOPS.map((loop) => versus(name, loop)).filter((one) => one !== null);
    return ratios.length > 0 ? round(median(ratios)) : null;
  };
  const loops = Object.fromEntries(LOOPS.map((loop) => [loop, {
    mips: round(rate(loop)), v86: maybe(theirs.v86![loop]), vsV86: maybe(versus('v86', loop)), bochs: maybe(theirs.bochs![loop]), vsBochs: maybe(versus('bochs', loop)),
  }]));
  return { loops, mips: round(median(LOOPS.map(rate))), vsV86: middle('v86'), vsBochs: middle('bochs') };
}

const maybe = (n: number | null): number | null => (n === null ? null : round(n));
const round = (n: number): number => Number(n.toPrecision(3));

/** Million instructions a second of one loop in long mode, the first GiB mapped to itself. */
function ours(loop: (typeof LOOPS)[number]): number {
  const m = createMachine(loadAssets().cpu, 8 << 20);
  const { bytes, errors } = assemble(guest(loop), `${loop}.asm`);
  if (errors.length > 0) throw new Error(errors[0]!.text);
  load(m, 0x100000, bytes);
  const tables = new DataView(new ArrayBuffer(0x2000));
  tables.setBigUint64(0, 0x2003n, true);
  tables.setBigUint64(0x1000, 0x83n, true);
  load(m, 0x1000, new Uint8Array(tables.buffer));
  setRegister(m, 'efer', 0x500n);
  setRegister(m, 'cr4', 0x20n);
  setRegister(m, 'cr3', 0x1000n);
  setRegister(m, 'cr0', 0x80000011n);
  setSegment(m, 'cs', { selector: 8, base: 0n, limit: 0xffffffff, rights: 0xa09b });
  setSegment(m, 'ss', { selector: 16, base: 0n, limit: 0xffffffff, rights: 0xc093 });
  setRegister(m, 'rsp', 0x90000n);
  setRegister(m, 'rip', 0x100000n);
  const began = performance.now();
  const stop = run(m, 1n << 60n);
  const ms = performance.now() - began;
  if (stop.reason !== 'halt') throw new Error(`the loop ended by ${stop.reason}`);
  return INSTRUCTIONS[loop] / ms / 1e3;
}
