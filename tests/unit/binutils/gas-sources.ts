/** Sources of as and ld for what binutils made of them (gas-made.json), and what the lab's own make. */
import { assembleGas } from '../../../src/engine/userland/binutils/as.ts';
import { END } from '../../../src/engine/userland/binutils/gas-blocks.ts';
import { binutils } from '../../../src/engine/userland/binutils/table.ts';
import { coreutils } from '../../../src/engine/userland/coreutils/table.ts';
import { lab } from '../virt/machine.ts';
import { shown } from './shown.ts';

export interface Made {
  said: string[];
  shown: string[];
}

export const SOURCES: readonly (readonly [option: string, source: string])[] = [
  ['--32', 'call foo\n'],
  ['--32', 'jmp foo\n'],
  ['--32', 'jz foo\n'],
  ['--32', 'x: call x\njmp y\ny: mov $x,%eax\n'],
  ['--32', '.globl x\nx: call x\nmov x,%eax\nmov %al,x\n'],
  ['--32', 'mov foo+4,%ebx\nmov $foo,%eax\npush $foo\n'],
  ['--32', '.code16\njmp foo\ncall foo\nmov foo,%ax\nmov $foo,%ax\n'],
  ['--32', '.code16\nx: nop\njmp x\nmov x,%eax\njz y\n.skip 200\ny: jmp x\n'],
  ['--32', 'ljmp $8,$foo\n'],
  ['--32', '.code16\nljmp $8,$foo\nljmpl $8,$foo\n'],
  ['--32', 'ljmp *(%eax)\nlcall $8,$5\nljmpw $8,$5\n'],
  ['--32', 'lret\nlretw\nlretl $4\niret\niretl\niretw\n'],
  ['--32', 'pusha\npushal\npushaw\npopa\npushf\npushfl\npopfl\n'],
  ['--32', 'push %ds\npop %es\npush %fs\npushl %ds\npopw %ds\n'],
  ['--32', 'pushl (%eax)\npush (%eax)\npushw (%eax)\n'],
  ['--32', 'mov %eax,%cr0\nmovl %cr3,%ebx\n'],
  ['--32', 'mov %ax,%ds\nmovw %ax,%ds\nmov %ds,%ax\nmov %ds,%eax\nmovl %eax,%ds\nmovw %ds,%bx\n'],
  ['--32', 'mov %rax,%rbx\n'],
  ['--32', 'mov %r8d,%eax\n'],
  ['--32', 'movq $1,%eax\n'],
  ['--32', 'syscall\nswapgs\n'],
  ['--32', 'pushq $5\n'],
  ['--32', 'lgdt foo\nlgdtl foo\nlidt (%eax)\nlgdtw foo\n'],
  ['--32', '.code16\nlgdt foo\nlgdtl foo\nmov %cr0,%eax\nor $1,%al\nmov %eax,%cr0\n'],
  ['--32', '.code16\nmov (%bx),%ax\nmov 4(%bp,%si),%eax\nmov (%eax),%ax\nmovw $5,(%bx)\n'],
  ['--32', 'mov (%bx),%ax\n'],
  ['--32', 'mov (%si),%ax\nmov 3(%di),%al\nmov (%bp),%al\n'],
  ['--32', 'nop\n.align 4\nnop\n.align 8\nnop\n.align 16\nnop\n'],
  ['--32', 'nop\n.align 32\nnop\n'],
  ['--32', '.code16\nnop\n.align 16\nnop\n'],
  ['--32', 'inc %eax\ndec %bx\ninc %cl\n'],
  ['--32', 'call *foo\njmp *foo(,%eax,4)\ncall *%ecx\n'],
  ['--32', 'outb %al,%dx\ninb %dx,%al\noutl %eax,%dx\ninw $5,%ax\n'],
  ['--32', 'rep stosl\nrep movsb\nlodsb\n'],
  ['--32', 'jecxz 1f\n1: loop 1b\njcxz 1b\n'],
  ['--32', 'mov %fs:0,%eax\nmov %gs:(%eax),%ebx\n'],
  ['--32', '.long foo\n.long foo-.\n.word foo\n.byte 5\n'],
  ['--32', 'movl $foo-4,(%eax)\n'],
  ['--32', 'add $foo,%eax\nadd $4,%eax\nsub $0x1000,%esp\n'],
  ['--32', 'int $0x80\nint3\ninto\naam\naad\n'],
  ['--32', 'enter $8,$0\nleave\n'],
  ['--32', 'bound %eax,(%ebx)\narpl %ax,%bx\nles (%eax),%ebx\n'],
  ['--32', 'xchg %eax,%ebx\nxchg %eax,%eax\n'],
  ['--32', 'movzbl (%eax),%ecx\nmovsbl %al,%ecx\nmovzwl %ax,%eax\nmovzx %al,%eax\n'],
  ['--32', 'cmpxchg8b (%eax)\nlock cmpxchg %ecx,(%edx)\n'],
  ['--64', 'pusha\n'],
  ['--64', 'push %eax\n'],
  ['--64', '.code32\npush %eax\nmov %eax,foo\ncall foo\n'],
  ['--64', '.code32\nmov $foo,%eax\nljmp $8,$foo\n'],
  ['--32', 'data16 nop\naddr16 nop\n'],
  ['--32', 'imul $5,%eax\nimul $5,%ebx,%ecx\n'],
  ['--32', 'test $1,%eax\ntestb $1,(%eax)\n'],
  ['--32', 'shl %eax\nshl $4,%ebx\nshll %cl,(%eax)\n'],
  ['--32', 'mov $0x12345678,%ax\n'],
  ['--32', 'movb $300,%al\n'],
  ['--32', 'foo %eax\n'],
  ['--32', 'mov %eax\n'],
  ['--32', 'movl %al,%ebx\n'],
  ['--32', 'mov $5,(%eax)\n'],
  ['--32', 'pop %cs\n'],
  ['--32', 'ltr %ax\nlldt %ax\nstr %ax\nsldt %eax\nsmsw %ax\nlmsw %ax\n'],
  ['--32', '.intel_syntax noprefix\nmov eax, [ebx+ecx*4+8]\nmov eax, foo\nmov eax, offset foo\nmov dword ptr [eax], 5\npush offset foo\ncall foo\njmp [eax]\ncall [foo]\n'],
  ['--32', '.intel_syntax noprefix\nmov eax, foo[ebx]\nmov eax, [foo+4]\nlea eax, [foo]\nmov al, byte ptr [ebx]\nmov eax, ds:[0x10]\nmov eax, fs:[ebx]\nmov [eax], ebx\n'],
  ['--32', '.intel_syntax noprefix\nmov eax, 5\njmp 0x8:foo\nljmp 8:foo\nout dx, al\nin al, 0x60\nshl eax, 4\nmovzx eax, al\nmovzx eax, byte ptr [eax]\nrep movsb\nret\nint 0x80\n'],
  ['--64', '.intel_syntax noprefix\nmov rax, [rip+foo]\nmov rax, foo\nlea rax, [rip+foo]\nmov rax, qword ptr [rsp+8]\nmov eax, -1\nmov rax, offset foo\n'],
  ['--64', '.intel_syntax noprefix\nmov rax, foo bar\nmov rax\nfoo rax\nmov [rax], 5\n'],
  ['--32', '.intel_syntax noprefix\n.att_syntax prefix\nmov $5,%eax\n'],
  ['--32', '.intel_syntax noprefix\nmov cr0, eax\nmov ds, ax\nlgdt [foo]\npush ds\npushf\niretd\nmov eax, [4*ecx+ebx]\nmov eax, [ebx][ecx]\nstosd\nxor eax,eax\ntest al,al\nje 1f\n1: cmp eax, 0x10 + 2*3\n'],
  ['--32', '.intel_syntax\nmov %eax, 5\n'],
  ['--32', '.macro isr v, err=0\n.globl isr\\v\nisr\\v:\n.if \\err == 0\n push $0\n.endif\n push $\\v\n jmp common\n.endm\n isr 0\n isr 8, 1\n isr v=3 err=0\ncommon: nop\n'],
  ['--32', '.rept 3\n nop\n.endr\n.irp r, eax, ebx, ecx\n push %\\r\n.endr\n.irpc c, 12\n .byte \\c\n.endr\n.set X, 5\nY = X + 1\n.equ Z, Y*2\n.ifdef X\n mov $Z, %eax\n.else\n nop\n.endif\n.ifndef Q\n .byte 0x77\n.endif\n'],
  ['--32', '.macro cnt\n .byte \\@\n.endm\ncnt\ncnt\n.macro va args:vararg\n .long \\args\n.endm\nva 1,2,3\n.fill 3, 2, 0x1234\n.comm buf, 64, 16\n.lcomm lbuf, 8\n'],
  ['--32', '.macro push_all\n .irp r, eax,ebx\n push %\\r\n .endr\n.endm\npush_all\n.ifc a,a\n.byte 1\n.endif\n.set X,5\n.ifeq X-5\n.byte 2\n.elseif 1\n.byte 3\n.endif\n.balign 4\n.pushsection .data\n.long 7\n.popsection\n.ascii "a" "b"\n'],
  ['--32', '.macro a x\n foo \\x\n.endm\n.macro b\n nop\n a 1\n.endm\n b\n.rept 2\n bar\n.endr\n a 1, 2\n'],
  ['--32', '.macro r z:req\n.endm\n r\n.endm\n.endr\n.endif\n.else\n.if x\n.endif\n'],
  ['--32', '.if 1\nnop\n'],
  ['--32', '.rept 2\nnop\n'],
  ['--32', '.macro q\n.endm\n.macro q\n.endm\n.exitm\n.byte 1 2\n.rept x\n.endr\n'],
  ['--32', '.set MAGIC, 0x1BADB002\n.section .multiboot\n.align 4\n.long MAGIC\n.long 3\n.long -(MAGIC+3)\n.section .bss\n.align 16\nstack: .skip 16384\ntop:\n.section .text\n.global _start\n.type _start, @function\n_start: mov $top, %esp\npush %ebx\npush %eax\ncall kmain\ncli\n1: hlt\njmp 1b\n.size _start, . - _start\n'],
  ['--32', '.macro IDT v\n.long isr\\v - . , \\v\n.endm\nisr1: nop\nIDT 1\n'],
  ['--32', '.altmacro\n.macro loc\n LOCAL l\nl: jmp l\n.endm\nloc\nloc\n'],
  ['--32', '.error "bad"\n'],
  ['--32', '.warning "hm"\n'],
  ['--32', '.quad 5\n.octa 1\n'],
  ['--32', 'call 0x100000\njmp 0x200000\n'],
  ['--32', 'mov $gdt_end - gdt - 1, %eax\ngdt: .long 0\ngdt_end:\n'],
  ['--32', '.word gdt_end - gdt - 1\n.long gdt\ngdt: .quad 0\n.quad 0x00cf9a000000ffff\ngdt_end:\n'],
  ['--32', 'movw $0x10, %ax\nmovw %ax, %ss\nmovb $0, 0xb8000\nmovl $0x2f4b2f4f, 0xb8000\nor $0x80000000, %eax\nbtsl $5, %eax\nbts $8,%eax\nrdmsr\nwrmsr\ncpuid\ninvlpg (%eax)\nfninit\n'],
  ['--64', '.code32\nmov $1<<31,%eax\norl $(1<<8),%eax\nmovl $p4, %eax\nmov %eax,%cr3\nljmp $8,$long\n.code64\nlong: mov $0,%ax\ncall kmain\nhlt\n.bss\n.align 4096\np4: .skip 4096\n'],
  ['--64', '.macro s a, b\nmov \\a, %rax\nmov $\\b, %ebx\n.endm\ns %rcx, 5\ns %rdx 6\ns (%rsi), 7\n'],
];

const KERNEL = '.set MAGIC, 0x1BADB002\n.section .multiboot\n.align 4\n.long MAGIC\n.long 0\n.long -(MAGIC)\n.section .bss\n.align 16\nstack: .skip 16384\ntop:\n.section .text\n.global _start\n.type _start, @function\n_start: mov $top, %esp\ncall main\n1: hlt\njmp 1b\n.size _start, . - _start\n';
const MAIN = '.globl main\n.extern other\nmain: mov msg, %al\n mov %al, buf\n mov $data, %eax\n call other\n ret\n.section .rodata\nmsg: .asciz "hi"\n.data\ndata: .long main, msg\n.comm buf, 10, 8\n.text\n.globl other\n.weak nothing\nother: mov $nothing, %eax\nret\n';
const SCRIPTS: Readonly<Record<string, string>> = {
  'l.ld': 'ENTRY(_start)\nSECTIONS\n{\n  . = 1M;\n  .text BLOCK(4K) : ALIGN(4K) { *(.multiboot) *(.text) }\n  .rodata BLOCK(4K) : ALIGN(4K) { *(.rodata) }\n  .data BLOCK(4K) : ALIGN(4K) { *(.data) }\n  .bss BLOCK(4K) : ALIGN(4K) { *(COMMON) *(.bss) }\n  kernel_end = .;\n}\n',
  'hh.ld': 'KB = 0xC0000000;\nENTRY(_start)\nSECTIONS { . = 0x100000; .boot : { *(.multiboot) } . += KB; .text ALIGN(4K) : AT(ADDR(.text) - KB) { *(.text) } .rodata : AT(ADDR(.rodata)-KB) { *(.rodata*) } .data ALIGN(4K) : AT(ADDR(.data) - KB) { data_start = .; *(.data) . = ALIGN(16); LONG(5) } .bss : AT(ADDR(.bss)-KB) { *(COMMON) *(.bss) } _end = . ; PROVIDE(foo = 5); /DISCARD/ : { *(.comment) } }',
  'one.ld': 'SECTIONS { . = 0x100000; .text : { *(.multiboot) *(.text) *(.rodata) *(.data) *(.bss) } }',
  'bad.ld': 'ENTRY(_start)\nSECTIONS {\n . = 1M\n .text : { *(.text) }\n}\n',
  'as.ld': 'SECTIONS { .text 0x1000 : { *(.text) } .rodata 0x3000 : { *(.rodata) } .data 0x5000 : { *(.data) } .bss : { *(.bss) *(COMMON) } ASSERT(. < 5, "too big") }',
  'un.ld': 'SECTIONS { .text 0x1000 : { *(.text) x = y; } }',
};

export const LINKS: readonly { files: Readonly<Record<string, string>>; argv: string[] }[] = [
  { files: { 'k.s': KERNEL, 'm.s': MAIN }, argv: ['-m', 'elf_i386', '-o', 'k.elf', 'k.o', 'm.o'] },
  ...Object.entries(SCRIPTS).map(([name, text]) => ({ files: { 'k.s': KERNEL, 'm.s': MAIN, [name]: text }, argv: ['-m', 'elf_i386', '-T', name, '-o', 'k.elf', 'k.o', 'm.o'] })),
  { files: { 'k.s': KERNEL, 'm.s': MAIN, 'l.ld': SCRIPTS['l.ld']! }, argv: ['-m', 'elf_i386', '-Tl.ld', '--oformat', 'binary', '-o', 'k.bin', 'k.o', 'm.o'] },
  { files: { 'k.s': KERNEL }, argv: ['-m', 'elf_i386', '-o', 'k.elf', 'k.o'] },
  { files: { 'k.s': KERNEL, 'm.s': MAIN }, argv: ['-o', 'k.elf', 'k.o', 'm.o'] },
  { files: { 'k.s': KERNEL, 'm.s': MAIN }, argv: ['-m', 'elf_i386', '-T', 'nosuch.ld', '-o', 'k.elf', 'k.o', 'm.o'] },
];

/** What the lab's programs make, in the same order. */
export function ours(): Made[] {
  const out: Made[] = [];
  for (const [option, source] of SOURCES) {
    const { object, mistakes } = assembleGas(source, option === '--64');
    const said = mistakes.flatMap(({ line, text, warning, from }) => [
      `s.s:${line > 0 && line !== END ? `${line > END ? line - END : line}:` : ''} ${warning ? 'Warning' : 'Error'}: ${text}`, ...(from ?? []).map((at, n) => `s.s:${at}: ${' '.repeat(n + 1)}Info: macro invoked from here`),
    ]);
    out.push({ said, shown: object.length > 0 ? shown(object) : [] });
  }
  for (const { files, argv } of LINKS) {
    const machine = lab(Object.fromEntries(Object.entries(files).map(([name, data]) => [`/${name}`, { type: 'file' as const, data }])), 'lab', { ...binutils, '/usr/bin/base64': coreutils['/usr/bin/base64']! });
    for (const name of Object.keys(files)) if (name.endsWith('.s')) machine.run('/usr/bin/as', '--32', '-o', name.replace(/s$/, 'o'), name);
    const { stderr } = machine.run('/usr/bin/ld', ...argv);
    const made = machine.run('/usr/bin/base64', '-w0', argv[argv.indexOf('-o') + 1]!);
    out.push({ said: stderr.split('\n').filter((line) => line !== ''), shown: made.status === 0 ? shown(new Uint8Array(Buffer.from(made.stdout, 'base64'))) : [] });
  }
  return out;
}
