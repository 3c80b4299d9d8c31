/** as with macros, 16- and 32-bit code and Intel's syntax, ld with scripts: what binutils 2.40 made of the same sources, messages too; a kernel that boots. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { binutils } from '../../../src/engine/userland/binutils/table.ts';
import { lab } from '../virt/machine.ts';
import { LINKS, type Made, ours, SOURCES } from './gas-sources.ts';

const made = JSON.parse(readFileSync(new URL('gas-made.json', import.meta.url), 'utf8')) as Made[];

it('makes what as and ld of binutils make', () => {
  expect(made).toHaveLength(SOURCES.length + LINKS.length);
  expect(ours()).toEqual(made);
});

const BOOT = `.set ALIGN, 1<<0
.set MEMINFO, 1<<1
.set FLAGS, ALIGN | MEMINFO
.set MAGIC, 0x1BADB002
.set CHECKSUM, -(MAGIC + FLAGS)
.section .multiboot
.align 4
.long MAGIC
.long FLAGS
.long CHECKSUM
.section .bss
.align 16
stack_bottom: .skip 16384
stack_top:
.section .text
.global _start
.type _start, @function
_start:
	mov $stack_top, %esp
	call kernel_main
	cli
1:	hlt
	jmp 1b
.size _start, . - _start
`;
const KERNEL = `.macro put port, value
	mov \\value, %al
	mov $\\port, %dx
	out %al, %dx
.endm
.globl kernel_main
kernel_main:
	mov $message, %esi
next:	lodsb
	test %al, %al
	jz done
	put 0x3f8, %al
	jmp next
done:	mov $0x604, %dx
	mov $0x2000, %ax
	out %ax, %dx
	ret
.section .rodata
message: .asciz "linked by a script\\n"
`;
const SCRIPT = `ENTRY(_start)
SECTIONS
{
	. = 1M;
	.text BLOCK(4K) : ALIGN(4K) { *(.multiboot) *(.text) }
	.rodata BLOCK(4K) : ALIGN(4K) { *(.rodata) }
	.data BLOCK(4K) : ALIGN(4K) { *(.data) }
	.bss BLOCK(4K) : ALIGN(4K) { *(COMMON) *(.bss) }
}
`;

describe('a multiboot kernel in assembly', () => {
  const machine = lab({ '/boot.s': { type: 'file', data: BOOT }, '/kernel.s': { type: 'file', data: KERNEL }, '/linker.ld': { type: 'file', data: SCRIPT } }, 'lab', binutils);
  it.each([['kvm'], ['tcg']])('is assembled, linked by a script and boots under -accel %s', (accel) => {
    for (const line of ['as --32 boot.s -o boot.o', 'as --32 kernel.s -o kernel.o', 'ld -m elf_i386 -T linker.ld -o kernel.elf boot.o kernel.o']) {
      const [name, ...rest] = line.split(' ');
      expect(machine.run(`/usr/bin/${name}`, ...rest), line).toEqual({ status: 0, stdout: '', stderr: '' });
    }
    expect(machine.run('/usr/bin/qemu-system-x86_64', '-accel', accel, '-nographic', '-kernel', 'kernel.elf').stdout).toContain('linked by a script\n');
  });
});
