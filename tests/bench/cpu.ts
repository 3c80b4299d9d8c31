/** Guest instructions a second of cpu.wasm, untraced, on three loops; v86 on the same loops (32-bit) in the same run. */
import { existsSync, readFileSync } from 'node:fs';
import { loadAssets, root } from '../../src/cli/assets.ts';
import { assemble } from '../../src/engine/machine/isa/assemble.ts';
import { createMachine, load, run, setRegister, setSegment } from '../../src/engine/machine/machine.ts';
import { bootSector, guest, INSTRUCTIONS, LOOPS } from './loops.ts';
import { median } from './median.ts';

const RUNS = 5;
const BIOS = ['/usr/share/seabios/bios.bin', '/usr/share/qemu/bios.bin', '/usr/local/share/qemu/bios.bin', '/opt/homebrew/share/qemu/bios.bin'];

export async function cpu(): Promise<Record<string, unknown>> {
  const loops: Record<string, unknown> = {};
  const peer = await v86();
  const rates: number[] = [];
  const ratios: number[] = [];
  for (const loop of LOOPS) {
    const mine = median(Array.from({ length: RUNS }, () => ours(loop)));
    const theirs = peer === null ? null : INSTRUCTIONS[loop] / peer[loop]! / 1e6;
    rates.push(mine);
    if (theirs !== null) ratios.push(mine / theirs);
    loops[loop] = { mips: round(mine), v86: theirs === null ? null : round(theirs), vsV86: theirs === null ? null : round(mine / theirs) };
  }
  return { loops, mips: round(median(rates)), vsV86: ratios.length > 0 ? round(median(ratios)) : null, vsBochs: null };
}

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

/** Seconds that v86 takes for each loop, or null (and why, on stderr) when it cannot run here. */
async function v86(): Promise<Record<string, number> | null> {
  const bios = BIOS.find((path) => existsSync(path));
  if (!bios) {
    console.error('v86: no SeaBIOS found (Debian: apt-get install seabios); left out');
    return null;
  }
  const { V86 } = await import('v86');
  const buffer = (path: string): { buffer: ArrayBuffer } => {
    const data = readFileSync(path);
    return { buffer: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) as ArrayBuffer };
  };
  const sector = bootSector();
  const emulator = new V86({
    wasm_path: `${root()}/node_modules/v86/build/v86.wasm`, bios: buffer(bios), fda: { buffer: sector.buffer as ArrayBuffer }, boot_order: 0x321,
    memory_size: 16 << 20, autostart: true, disable_keyboard: true, disable_mouse: true,
  });
  const marks = await new Promise<number[] | null>((resolve) => {
    const seen: number[] = [];
    const timer = setTimeout(() => resolve(null), 120_000);
    emulator.add_listener('serial0-output-byte', (byte: number) => {
      if (byte !== 65 + seen.length) return;
      seen.push(performance.now());
      if (seen.length < 4) return;
      clearTimeout(timer);
      resolve(seen);
    });
  });
  await emulator.destroy();
  if (!marks) {
    console.error('v86: the loops did not end in two minutes; left out');
    return null;
  }
  return Object.fromEntries(LOOPS.map((loop, i) => [loop, (marks[i + 1]! - marks[i]!) / 1e3]));
}
