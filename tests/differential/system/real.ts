/** The world of real mode: vector table at 0, code at 1000:0, data at 2000:0; some cases go to protected mode and back. */
import { type Case, hex, SIZES } from './cases.ts';
import type { Random } from './random.ts';
import { descriptor, DONE, GDT } from './world.ts';

export function realTables(image: Uint8Array, handler: number): void {
  const view = new DataView(image.buffer);
  for (let n = 0; n < 256; n++) view.setUint32(4 * n, handler | 0x10000000, true);
  view.setBigUint64(GDT + 8, descriptor(0x10000, 0xffff, 0x9b), true);
  view.setBigUint64(GDT + 16, descriptor(0, 0xfffff, 0x8093), true);
  view.setBigUint64(GDT + 24, descriptor(0x20000, 0xfff, 0x93), true);
  view.setBigUint64(GDT + 32, descriptor(0, 0xfffff, 0xc093), true);
  view.setBigUint64(GDT + 40, descriptor(0x10000, 0xffff, 0x409b), true);
}

export function realKernel(cases: string): string {
  return `org 0
bits 16
  cli
  cld
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0xf000
  mov eax, cr0
  and eax, 0x1fffffff
  mov cr0, eax
  jmp case_0
next: dw 0
gdtr: dw 0x2f
  dd ${GDT}
align 16
handler:
  pop ax
  pop bx
  pop cx
  mov dx, ds
  mov si, es
  mov di, ss
  xor bp, bp
  mov ss, bp
  mov esp, 0xf000
  mov ds, bp
  mov es, bp
  mov fs, bp
  mov gs, bp
  push word 2
  popf
  jmp [cs:next]
align 16
${cases}
the_end:
  jmp the_end
`;
}

const SEGMENTS = ['ds', 'es', 'fs', 'gs'] as const;
const SELECTORS = [0x2000, 0x2000, 0x2fff, 0xb00, 0x1fff] as const;

function memory(r: Random): string[] {
  const s = r.pick(SEGMENTS);
  const offset = r.once(2) ? 0xfffc + r.below(4) : r.below(0x1000);
  const size = r.pick(SIZES);
  const at = r.pick([`[${s}:${hex(offset)}]`, `[${s}:bx+si]`, `[${s}:bp+di]`, `[${s}:bx+${r.below(100)}]`, `[${s}:ebx+esi*2]`, `[bp+di]`, `[${s}:ebx]`]);
  return [`mov bx, ${hex(offset)}`, `mov si, ${r.below(8)}`, `mov bp, ${hex(0xb000 + r.below(16))}`, `mov di, ${r.below(16)}`, `mov ax, ${hex(r.pick(SELECTORS))}`, `mov ${s}, ax`,
    r.pick([`mov ${{ byte: 'al', word: 'ax', dword: 'eax' }[size]}, ${at}`, `add ${size} ${at}, 1`, `mov ${size} ${at}, 0x5a`, `lea ax, ${at}`, `lea eax, ${at}`, `les cx, ${at}`, `xchg ${at}, ax`, `cmp ${size} ${at}, 3`, `push word ${at}`, `pop word ${at}`])];
}

function strings(r: Random): string[] {
  const body = [`mov ecx, ${r.below(6)}`, `mov si, ${hex(r.pick([0x10, 0xfffd, 0xfffe, 0xffff]))}`, `mov di, ${hex(r.pick([0x40, 0xfffd, 0xfffe, 0xffff]))}`, 'mov ax, 0x2000', 'mov ds, ax', 'mov es, ax', 'mov eax, 0xcdcdffcd'];
  return [...body, ...(r.once(3) ? ['std'] : []), `${r.pick(['rep ', 'rep ', 'repne ', ''])}${r.pick(['movsb', 'movsw', 'movsd', 'stosb', 'stosw', 'stosd', 'lodsb', 'lodsw', 'scasb', 'scasw', 'cmpsb', 'cmpsw', 'a32 movsb', 'a32 stosw', 'a32 lodsb'])}`, 'cld'];
}

function transfers(r: Random, n: number): string[] {
  return r.pick([
    [`call 0x1000:t_${n}`, `jmp u_${n}`, `t_${n}: mov ax, [esp]`, 'retf', `u_${n}:`], [`push word 0x1000`, `push word t_${n}`, 'retf', 'ud2', `t_${n}:`], ['pushf', 'push cs', `push word t_${n}`, 'iret', 'ud2', `t_${n}:`],
    [`push dword ${hex(r.pick([2, 0x3202, 0x244ad7, 0x180002]))}`, 'push dword 0x1000', `push dword t_${n}`, 'o32 iret', 'ud2', `t_${n}: pushfd`, 'pop eax'], [`jmp dword 0x1000:t_${n}`, 'ud2', `t_${n}:`], [`mov cx, ${1 + r.below(3)}`, `t_${n}: inc ax`, `${r.pick(['loop', 'loope', 'loopne'])} t_${n}`],
    [`mov ecx, ${hex(r.pick([0, 0x10000, 1]))}`, `${r.pick(['jcxz', 'jecxz'])} t_${n}`, 'inc ax', `t_${n}:`], ['push dword 0x12345', 'o32 ret'], ['mov eax, 0x10000', 'jmp eax'], [`call t_${n}`, `jmp u_${n}`, `t_${n}: ret`, `u_${n}:`], ['jmp dword 0x1000:0x10000'],
    ['mov ax, 0xb00', 'mov ss, ax', 'mov sp, 0x200', 'pusha', 'popa'], ['mov cx, 0x2000', 'mov ss, cx', 'mov sp, 0', 'push ax', 'pop bx'], ['enter 8, 2', 'leave'], ['enter 4, 0', 'mov ax, bp', 'leave'], ['push esp', 'pop eax'], ['pushad', 'popad'], ['push sp', 'pop ax'],
  ]).slice();
}

function others(r: Random): string[] {
  return r.pick([
    [`int ${hex(r.below(256))}`], ['into'], ['mov al, 0x7f', 'add al, 1', 'into'], ['xor cx, cx', 'div cx'], ['mov ax, 5', 'bound ax, [0x7000]'], ['ud2'], ['lldt ax'], ['ltr ax'], ['sldt ax'], ['str ax'], ['lar ax, bx'], ['verr ax'], ['arpl ax, bx'],
    ['smsw ax'], ['mov eax, cr0'], ['mov eax, 0x80000010', 'mov cr0, eax'], ['mov eax, 0x20000010', 'mov cr0, eax'], [`sgdt [0x7100]`, 'mov eax, [0x7102]'], ['o32 sidt [0x7100]', 'mov eax, [0x7102]', 'mov bx, [0x7100]'], ['cli'], ['sti', 'cli'], ['pushf', 'pop ax'],
    [`push word ${hex(r.pick([0x3202, 0x7002, 0xad7, 0x4002]))}`, 'popf', 'pushfd', 'pop eax'], [`push dword ${hex(r.pick([0x243202, 0x10002, 0x180002, 0x40002]))}`, 'popfd', 'pushfd', 'pop eax'], ['db 0xf1'], ['int3'], ['sysenter'], ['mov ax, 0x1234', 'mov ds, ax', 'mov bx, ds'],
    ['aaa'], ['mov ax, 0x905', 'aad'], ['mov al, 0x57', 'aam'], ['mov bx, 0x7000', 'mov al, 3', 'xlatb'], ['mov ecx, 0x174', 'rdmsr'], ['clts'], ['fninit'], ['mov eax, 4', 'mov cr0, eax', 'fninit'], ['mov eax, 10', 'lmsw ax', 'fwait'],
    ['mov cs, ax'], ['mov ax, 0xffff', 'mov es, ax', 'mov al, [es:0x10]'], ['sysexit'], ['rdtscp'].slice(1), ['o32 pushf', 'o32 popf'],
  ]).slice();
}

/** To 16- or 32-bit protected mode without faults, and back: what segments keep. */
function protectedAndBack(r: Random, n: number): string[] {
  const wide = r.once(2);
  const inside = wide
    ? ['mov eax, [0x7000]', 'mov ecx, cs', 'push eax\n pop edx', 'mov edi, 0x22000\n mov ecx, 4\n rep stosb', 'sgdt [0x7100]', 'pushad\n popad', 'lar eax, ecx', 'lsl edx, ecx', 'verw cx']
    : ['mov ax, [0x7000]', 'mov cx, cs', 'push ax\n pop dx', 'mov edi, 0x22000\n a32 stosw', 'lar eax, ecx', 'str cx', 'sldt dx', 'pusha\n popa', 'push ds\n pop es'];
  const some = inside.filter(() => r.below(3) > 0);
  const data = r.pick([16, 32, 32]);
  const unreal = r.once(2);
  return ['o32 lgdt [cs:gdtr]', 'mov eax, cr0', 'or al, 1', 'mov cr0, eax', `jmp ${wide ? 40 : 8}:p_${n}`, wide ? 'bits 32' : '', `p_${n}:`, `mov ax, ${data}`, 'mov ds, ax', 'mov es, ax', 'mov ss, ax', 'movzx esp, sp', ...some,
    wide ? `jmp 8:q_${n}` : '', 'bits 16', `q_${n}:`, ...(unreal ? [`mov ax, ${r.pick([16, 32])}`, 'mov fs, ax'] : ['mov ax, 24', 'mov fs, ax']), 'mov eax, cr0', 'and al, 0xfe', 'mov cr0, eax', `jmp 0x1000:r_${n}`, `r_${n}:`, 'xor ax, ax', 'mov ds, ax', 'mov es, ax', 'mov ss, ax',
    ...(unreal ? ['mov ebx, 0x21000', 'mov al, [fs:ebx]', 'mov ax, 0x2000', 'mov fs, ax', 'mov al, [fs:ebx]'] : ['mov bx, 0xfff', 'mov al, [fs:bx]', 'mov ax, [fs:bx]'])].filter((line) => line !== '');
}

export function makeRealCase(r: Random): Case {
  const n = r.below(100);
  const family = n < 25 ? 'memory' : n < 40 ? 'strings' : n < 60 ? 'transfer' : n < 85 ? 'other' : 'switch';
  const id = 100000 + r.below(1 << 30);
  const body = family === 'memory' ? memory(r) : family === 'strings' ? strings(r) : family === 'transfer' ? transfers(r, id) : family === 'other' ? others(r) : protectedAndBack(r, id);
  return { family, setup: [], ring: 0, flags: 2, body, after: ['mov eax, 0x10', 'mov cr0, eax'] };
}

export function realSource(c: Case, n: number): string {
  const lines = [`case_${n}:`, `mov word [cs:next], after_${n}`, 'mov eax, 0xa0a10010', 'mov ebx, 0xb0', 'mov ecx, 0xc0c10002', 'mov edx, 0xd0d1d2d3', 'mov esi, 0x100', 'mov edi, 0x200', 'mov ebp, 0xb300', ...c.body, `int ${DONE}`, `after_${n}:`, ...c.after];
  return lines.map((line) => (line.endsWith(':') || line.startsWith('bits') ? line : `  ${line}`)).join('\n');
}
