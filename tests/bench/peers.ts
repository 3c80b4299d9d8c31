/**
 * Seconds that other emulators take for the three loops, in 32-bit protected mode behind a boot sector that writes A, B, C, D to the
 * serial port around them. Null, and why on stderr, where one cannot run.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../src/cli/assets.ts';
import { bootSector, LOOPS } from './loops.ts';

export type Seconds = Record<string, number>;

const MARKS = LOOPS.length + 1;
const PATIENCE = 120_000;
const BIOS = ['/usr/share/seabios/bios.bin', '/usr/share/qemu/bios.bin', '/usr/local/share/qemu/bios.bin', '/opt/homebrew/share/qemu/bios.bin'];
const BOCHS_BIOS = '/usr/share/bochs/BIOS-bochs-latest';
const BOCHS_VGA = '/usr/share/vgabios/vgabios.bin';

const between = (marks: readonly number[]): Seconds => Object.fromEntries(LOOPS.map((loop, i) => [loop, (marks[i + 1]! - marks[i]!) / 1e3]));

/** v86 with its compiler. */
export async function v86(): Promise<Seconds | null> {
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
    const timer = setTimeout(() => resolve(null), PATIENCE);
    emulator.add_listener('serial0-output-byte', (byte: number) => {
      if (byte !== 65 + seen.length) return;
      seen.push(performance.now());
      if (seen.length < MARKS) return;
      clearTimeout(timer);
      resolve(seen);
    });
  });
  await emulator.destroy();
  if (!marks) {
    console.error('v86: the loops did not end in two minutes; left out');
    return null;
  }
  return between(marks);
}

/** Debian's bochs, whose display is a terminal that nobody sees. */
export async function bochs(): Promise<Seconds | null> {
  if (spawnSync('bochs-bin', ['--help']).error || spawnSync('script', ['--version']).error || !existsSync(BOCHS_BIOS) || !existsSync(BOCHS_VGA)) {
    console.error('bochs: not here (Debian: apt-get install bochs bochs-term bochsbios vgabios); left out');
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bochs-'));
  const at = (name: string): string => join(folder, name);
  writeFileSync(at('floppy'), bootSector());
  writeFileSync(at('serial'), '');
  writeFileSync(at('commands'), 'c\n');
  writeFileSync(at('rc'), [
    'megs: 32', 'cpu: model=corei7_skylake_x', `romimage: file=${BOCHS_BIOS}`, `vgaromimage: file=${BOCHS_VGA}`, `floppya: 1_44=${at('floppy')}, status=inserted`, 'boot: floppy', 'display_library: term',
    `log: ${at('log')}`, `com1: enabled=1, mode=file, dev=${at('serial')}`, 'speaker: enabled=0', 'sound: driver=dummy', '',
  ].join('\n'));
  const child = spawn('script', ['-qec', `bochs-bin -q -f ${at('rc')} -rc ${at('commands')}`, at('tty')], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, env: { ...process.env, TERM: 'xterm' } });
  const marks = await growth(at('serial'));
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
  rmSync(folder, { recursive: true, force: true });
  if (!marks) {
    console.error('bochs: the loops did not end in two minutes; left out');
    return null;
  }
  return between(marks);
}

/** When each byte of a file came, looked at every 2 ms. */
async function growth(path: string): Promise<number[] | null> {
  const began = performance.now();
  const marks: number[] = [];
  while (performance.now() - began < PATIENCE) {
    const { size } = statSync(path);
    while (marks.length < size) marks.push(performance.now());
    if (size >= MARKS) return marks;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return null;
}
