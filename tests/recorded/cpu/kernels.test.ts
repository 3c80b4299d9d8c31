/**
 * Whole multiboot kernels in C against what QEMU's emulator made them say: 32-bit (own tables, rings, paging of 4K, 4M, PAE,
 * SYSENTER, timer) and one that goes to long mode by itself (16-byte gates, interrupt stacks, SYSCALL, compatibility mode).
 * With RECORD_KERNELS=1 code and output are made anew here (gcc -m32, qemu-system-x86_64).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Board, createBoard, nextEvent, pending, readPort, takeInterrupt, writePort } from '../../../src/engine/machine/devices/board.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { module } from '../../unit/cpu/bench.ts';

const FILE = new URL('kernels.json', import.meta.url);
const SOURCES = new URL('kernels/', import.meta.url).pathname;
const FLAGS = '-O2 -mgeneral-regs-only -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -nostdlib -static -Wl,-T,link.ld,--build-id=none,-z,noexecstack,--no-warn-rwx-segments,-z,max-page-size=4096'.split(' ');
const EXIT = 'isa-debug-exit,iobase=0xf4,iosize=4';

interface Kernel { elf: string; said: string; status: number }

function record(): void {
  const folder = mkdtempSync(join(tmpdir(), 'kernels-'));
  const at = (name: string): string => join(folder, name);
  const gcc = (...args: string[]): unknown => execFileSync('gcc', args, { cwd: SOURCES });
  gcc('-m32', ...FLAGS, '-o', at('protected'), 'start.S', 'protected.c');
  gcc('-m64', '-mno-red-zone', '-no-pie', ...FLAGS, '-o', at('long64'), 'long-start.S', 'long.c');
  execFileSync('objcopy', ['-I', 'elf64-x86-64', '-O', 'elf32-i386', at('long64'), at('long')]);
  const kernels = Object.fromEntries(['protected', 'long'].map((name): [string, Kernel] => {
    const args = ['-accel', 'tcg', '-cpu', 'max', '-display', 'none', '-nodefaults', '-serial', 'stdio', '-device', EXIT, '-kernel', at(name)];
    const ran = spawnSync('qemu-system-x86_64', args, { timeout: 60_000 });
    return [name, { elf: gzipSync(readFileSync(at(name))).toString('base64'), said: ran.stdout.toString(), status: ran.status ?? -1 }];
  }));
  writeFileSync(FILE, `${JSON.stringify(kernels)}\n`);
  rmSync(folder, { recursive: true });
}

/** Multiboot's state at entry: 32-bit flat segments, paging off, EAX the magic, EBX the information. */
function boot(elf: Uint8Array): m.Machine {
  const machine = m.createMachine(module, 0x2000000);
  const view = new DataView(elf.buffer, elf.byteOffset);
  for (let n = 0; n < view.getUint16(44, true); n++) {
    const at = view.getUint32(28, true) + 32 * n;
    if (view.getUint32(at, true) === 1) m.load(machine, view.getUint32(at + 12, true), elf.subarray(view.getUint32(at + 4, true), view.getUint32(at + 4, true) + view.getUint32(at + 16, true)));
  }
  machine.physical.setUint32(0x9000, 1, true);
  m.setRegister(machine, 'cr0', 0x11n);
  for (const name of m.SEGMENT_NAMES.slice(0, 6)) m.setSegment(machine, name, { selector: name === 'cs' ? 8 : 16, base: 0n, limit: 0xffffffff, rights: name === 'cs' ? 0xc09b : 0xc093 });
  m.setRegister(machine, 'rax', 0x2badb002n);
  m.setRegister(machine, 'rbx', 0x9000n);
  m.setRegister(machine, 'rip', BigInt(view.getUint32(24, true)));
  return machine;
}

/** One cycle is a nanosecond. */
function play(machine: m.Machine): { said: string; ended: Board['ended']; stopped: string } {
  const board = createBoard({ debugExit: { port: 0xf4, size: 4 } });
  let now = 0;
  for (let turns = 0; turns < 200_000; turns++) {
    const stop = m.run(machine, 100_000n, 1n << 40n);
    now = Math.max(now, Number(m.cycles(machine)));
    if (stop.reason === 'io') {
      const [port, size, incoming, value] = stop.payload.map(Number) as [number, number, number, number];
      if (incoming) m.finishIo(machine, BigInt(readPort(board, port, size, now)));
      else {
        writePort(board, port, size, value, now);
        m.finishIo(machine, 0n);
      }
    } else if (stop.reason === 'halt') now = nextEvent(board) ?? now;
    else if (stop.reason !== 'budget') return { said: '', ended: null, stopped: stop.reason };
    if (board.ended) return { said: String.fromCharCode(...board.uart.output), ended: board.ended, stopped: '' };
    if (pending(board, now) && m.interruptLine(machine) === null) m.setInterruptLine(machine, takeInterrupt(board));
  }
  return { said: String.fromCharCode(...board.uart.output), ended: null, stopped: 'never' };
}

describe('multiboot kernels in C', () => {
  it.runIf(process.env.RECORD_KERNELS)('are recorded', record, 120_000);

  it.each(['protected', 'long'])('%s says what it says under QEMU', (name) => {
    const kernel = (JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, Kernel>)[name]!;
    const played = play(boot(new Uint8Array(gunzipSync(Buffer.from(kernel.elf, 'base64')))));
    expect(played.said.split('\n')).toEqual(kernel.said.split('\n'));
    expect(played.ended).toEqual({ how: 'debug-exit', status: kernel.status });
  });
});
