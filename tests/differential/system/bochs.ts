/**
 * Debian's bochs as the judge: an image in memory from the start (its own 64 KiB of ROM jumps to 0:7c00), every instruction
 * printed with all registers before it. Needs bochs, bochs-term, nasm and util-linux's script.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Step } from './lockstep.ts';
import { FRAME_BYTES, FRAMES, filled } from './world.ts';

export interface Verdict {
  steps: Step[];
  /** Memory at the end: what `dump` asked for. */
  memory: Uint8Array;
}

export const lacking = (): string | null =>
  ['bochs-bin', 'nasm', 'script'].find((tool) => spawnSync('which', [tool]).status !== 0) ?? null;

export function assemble(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'asm-'));
  writeFileSync(join(folder, 'a.asm'), source);
  execFileSync('nasm', ['-f', 'bin', '-w-all', '-o', join(folder, 'a.bin'), join(folder, 'a.asm')], { stdio: ['ignore', 'inherit', 'inherit'] });
  const bytes = new Uint8Array(readFileSync(join(folder, 'a.bin')));
  rmSync(folder, { recursive: true });
  return bytes;
}

/** The last 64 KiB below 4 GiB: a far jump at the reset vector. */
function rom(): Uint8Array {
  const bytes = new Uint8Array(0x10000).fill(0xf4);
  bytes.set([0xea, 0x00, 0x7c, 0x00, 0x00], 0xfff0);
  return bytes;
}

function settings(folder: string, origin: number): string {
  const fixed = [
    'cpu: model=bx_generic, count=1, ips=50000000, reset_on_triple_fault=0',
    'cpuid: level=6, x86_64=1, 1g_pages=1, pcid=1, smep=1, smap=1, simd=sse2, apic=xapic, sep=1, fsgsbase=0, vmx=2',
    'memory: guest=32, host=32', `romimage: file=${folder}/rom.bin, address=0xffff0000`, `optramimage1: file=${folder}/image.bin, address=0x${origin.toString(16)}`, `optramimage2: file=${folder}/frames.bin, address=0x${FRAMES.toString(16)}`,
    'display_library: term', `log: ${folder}/log.txt`, 'panic: action=report', 'error: action=report', 'info: action=ignore', 'debug: action=ignore', 'clock: sync=none',
  ];
  return `${fixed.join('\n')}\n`;
}

/** Runs at most `most` instructions from 0:7c00. */
export function judge(image: Uint8Array, origin: number, most: number, dump: readonly [at: number, bytes: number]): Verdict {
  const folder = mkdtempSync(join(tmpdir(), 'bochs-'));
  writeFileSync(join(folder, 'rom.bin'), rom());
  writeFileSync(join(folder, 'image.bin'), image);
  writeFileSync(join(folder, 'frames.bin'), filled(FRAME_BYTES));
  writeFileSync(join(folder, 'rc'), settings(folder, origin));
  writeFileSync(join(folder, 'commands'), `trace-reg on\ntrace on\ns ${most}\nwritemem "${folder}/memory.bin" 0x${dump[0].toString(16)} ${dump[1]}\nq\n`);
  spawnSync('script', ['-qec', `bochs-bin -q -f ${folder}/rc -rc ${folder}/commands`, `${folder}/tty`], { stdio: 'ignore', env: { ...process.env, TERM: 'xterm' }, timeout: 120_000 });
  const steps = parse(readFileSync(join(folder, 'tty'), 'latin1'));
  const memory = existsSync(join(folder, 'memory.bin')) ? new Uint8Array(readFileSync(join(folder, 'memory.bin'))) : new Uint8Array(0);
  if (process.env.KEEP) process.stdout.write(`kept ${folder}\n`);
  else rmSync(folder, { recursive: true });
  return { steps, memory };
}

const NAMES = ['rax: ', 'rcx: ', 'rdx: ', 'rbx: ', 'rsp: ', 'rbp: ', 'rsi: ', 'rdi: ', 'r8 : ', 'r9 : ', 'r10: ', 'r11: ', 'r12: ', 'r13: ', 'r14: ', 'r15: ', 'rip: '];

function parse(text: string): Step[] {
  const steps: Step[] = [];
  let registers: bigint[] = [];
  let events: string[] = [];
  for (const line of text.split('\n')) {
    const name = NAMES.indexOf(line.slice(0, 5));
    if (name >= 0) registers[name] = BigInt(`0x${line.slice(5, 13)}${line.slice(14, 22)}`);
    else if (line.startsWith('eflags 0x')) registers[17] = BigInt(line.slice(7, 17));
    else if (line.startsWith('CPU 0: Exc')) events.push(`${line.slice(19, 21)}:${/error_code=0x(\w+)/.exec(line)?.[1] ?? ''}`);
    else if (line.startsWith('(0).[')) {
      const where = /\] ([0-9a-f]{4}):([0-9a-f]+) \([^)]*\): (.*)/.exec(line);
      if (where && registers.length === 18) steps.push({ registers, cs: Number.parseInt(where[1]!, 16), text: where[3]!.trim(), events });
      registers = [];
      events = [];
    }
  }
  return steps;
}
