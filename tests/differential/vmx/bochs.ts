/**
 * Debian's bochs with VMX as the judge: a boot stub in place of firmware enters long mode as the flat images are entered (tables
 * at 0x70000, image at 1 MiB), sets IA32_FEATURE_CONTROL as firmware does, and the serial line goes to a file. Programs end by
 * "Shutdown" at port 0x8900. Needs bochs, bochs-term, nasm and util-linux's script.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageOf } from '../../../src/engine/userland/virt/qemu/image.ts';

export const lacking = (): string | null => ['bochs-bin', 'nasm', 'script'].find((tool) => spawnSync('which', [tool]).status !== 0) ?? null;

/** In place of the debug port and the halt behind it. */
export const END = `    mov ecx, 4
.pad:
    mov al, 10
    call put
    loop .pad
    mov edx, 0x3fd
.sent:
    in al, dx
    test al, 0x40
    jz .sent
    mov edx, 0x8900
    lea rsi, [rel t_shutdown]
    mov ecx, 8
.word:
    lodsb
    out dx, al
    loop .word
    hlt
t_shutdown: db 'Shutdown'`;

/** Long mode with these tables and descriptors (selectors 8 and 10), then to 1 MiB. */
export const boot = (cr3: number, gdt: number, limit: number): string => `org 0x7c00
bits 16
  cli
  xor ax, ax
  mov ds, ax
  lgdt [gdtr]
  mov dx, 0x3fb
  mov al, 3
  out dx, al
  mov eax, 0x20
  mov cr4, eax
  mov eax, ${cr3}
  mov cr3, eax
  mov ecx, 0x3a
  mov eax, 5
  xor edx, edx
  wrmsr
  mov ecx, 0xc0000080
  mov eax, 0x900
  wrmsr
  mov eax, 0x80000033
  mov cr0, eax
  jmp 8:wide
bits 64
wide:
  mov eax, 0x10
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov fs, eax
  mov gs, eax
  mov esp, 0x70000
  mov eax, 0x100000
  jmp rax
gdtr: dw ${limit}
  dd ${gdt}`;

function rom(): Uint8Array {
  const bytes = new Uint8Array(0x10000).fill(0xf4);
  bytes.set([0xea, 0x00, 0x7c, 0x00, 0x00], 0xfff0);
  return bytes;
}

export function nasm(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'asm-'));
  writeFileSync(join(folder, 'a.asm'), source);
  execFileSync('nasm', ['-f', 'bin', '-w-all', '-o', join(folder, 'a.bin'), join(folder, 'a.asm')], { stdio: ['ignore', 'inherit', 'inherit'] });
  const bytes = new Uint8Array(readFileSync(join(folder, 'a.bin')));
  rmSync(folder, { recursive: true });
  return bytes;
}

export interface Part {
  at: number;
  bytes: Uint8Array;
}

/** Runs bochs on at most four pieces of memory with commands of its debugger; `serial`: what went to COM1, `read`: a file they wrote. */
function run(parts: readonly Part[], commands: (folder: string) => string, read?: string): { serial: string; file: Uint8Array | null } {
  const folder = mkdtempSync(join(tmpdir(), 'bochs-vmx-'));
  writeFileSync(join(folder, 'rom.bin'), rom());
  for (const [n, { bytes }] of parts.entries()) writeFileSync(join(folder, `part${n}`), bytes);
  writeFileSync(join(folder, 'rc'), `${[
    'cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0', 'memory: guest=32, host=32', `romimage: file=${folder}/rom.bin, address=0xffff0000`,
    ...parts.map(({ at }, n) => `optramimage${n + 1}: file=${folder}/part${n}, address=0x${at.toString(16)}`), `com1: enabled=1, mode=file, dev=${folder}/serial`,
    'display_library: term', `log: ${folder}/log.txt`, 'panic: action=report', 'error: action=report', 'info: action=ignore', 'debug: action=ignore', 'clock: sync=none',
  ].join('\n')}\n`);
  writeFileSync(join(folder, 'commands'), commands(folder));
  spawnSync('script', ['-qec', `bochs-bin -q -f ${folder}/rc -rc ${folder}/commands`, `${folder}/tty`], { stdio: 'ignore', env: { ...process.env, TERM: 'xterm' }, timeout: 60_000 });
  const serial = existsSync(join(folder, 'serial')) ? readFileSync(join(folder, 'serial'), 'latin1') : '';
  const file = read && existsSync(join(folder, read)) ? new Uint8Array(readFileSync(join(folder, read))) : null;
  if (process.env.KEEP) process.stdout.write(`kept ${folder}\n`);
  else rmSync(folder, { recursive: true });
  return { serial, file };
}

/** What a flat image wrote to COM1 within so many instructions. */
export function judge(image: Uint8Array, ticks = 20_000_000): string {
  const low = new Uint8Array(0x8000);
  for (const { gpa, data } of imageOf(image, '', 0x2000000).parts) if (gpa < 0x80000) low.set(data, gpa - 0x70000);
  return run([{ at: 0x7c00, bytes: nasm(boot(0x70000, 0x76000, 23)) }, { at: 0x70000, bytes: low }, { at: 0x100000, bytes: image }], () => `s ${ticks}\nq\n`).serial;
}

/** Memory when the program comes to `stop`; null: it did not. */
export const memoryAt = (parts: readonly Part[], stop: number, at: number, bytes: number): Uint8Array | null =>
  run(parts, (folder) => `pb 0x${stop.toString(16)}\nc\nwritemem "${folder}/memory" 0x${at.toString(16)} ${bytes}\nq\n`, 'memory').file;
