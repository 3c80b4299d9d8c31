/**
 * The local APIC under every technique: the same guest says the same. Timer, priorities by TPR and CR8, an interrupt sent to itself,
 * a deadline of the time-stamp counter, x2APIC's registers and what they refuse, the I/O APIC.
 */
import { describe, expect, it } from 'vitest';
import type { TechniqueName } from '../../../src/engine/hypervisor/vm.ts';
import { createRandom, uint32 } from '../../../src/engine/sim/random.ts';
import { type Bench, go, MS, power } from './bench.ts';

const WAYS: TechniqueName[] = ['native', 'vmx-ept', 'vmx-shadow', 'trap-and-emulate', 'binary-translation'];

/** Handlers count at 0x200000 + 8 * vector and end the interrupt; `body` runs with interrupts off and r15 at the APIC's page. */
const guest = (body: string, end = 'mov dword [r15+0xb0], 0'): string => `bits 64
org 0x100000
  mov rsp, 0x90000
  mov r15d, 0xfee00000
  mov edi, 0x201000
  lea rax, [rel common]
  xor ecx, ecx
.gate:
  mov rdx, rcx
  shl rdx, 4
  lea rbx, [rel stubs]
  lea rbx, [rbx+rcx*8]
  mov [rdi+rdx], bx
  mov word [rdi+rdx+2], 8
  mov word [rdi+rdx+4], 0x8e00
  shr rbx, 16
  mov [rdi+rdx+6], bx
  mov dword [rdi+rdx+8], 0
  inc ecx
  cmp ecx, 256
  jne .gate
  lidt [rel idtr]
  mov al, 0xff
  out 0x21, al
  out 0xa1, al
${body}
  mov al, 0
  out 0xf4, al
say: ; rax, in hex to the serial line
  push rcx
  push rdx
  push rax
  mov r8, rax
  mov ecx, 60
.d:
  mov rax, r8
  shr rax, cl
  and eax, 15
  cmp al, 10
  jb .n
  add al, 39
.n:
  add al, 48
  mov dx, 0x3f8
  out dx, al
  sub ecx, 4
  jns .d
  mov al, 32
  out dx, al
  pop rax
  pop rdx
  pop rcx
  ret
common:
  push rax
  push rbx
  mov rax, [rsp+16]
  mov ebx, 0x200000
  inc qword [rbx+rax*8]
  cmp al, 13
  je .fault
  ${end}
  pop rbx
  pop rax
  add rsp, 8
  iretq
.fault: ; step over a two-byte instruction
  pop rbx
  pop rax
  add rsp, 16
  add qword [rsp], 2
  iretq
align 8
stubs:
${Array.from({ length: 256 }, (_, n) => `  push qword strict dword ${n}\n  jmp strict near common\n  ${'align 8'}`).join('\n').replaceAll('push qword strict dword', 'push').replaceAll('jmp strict near', 'jmp')}
idtr: dw 4095
  dq 0x201000
`;

function said(b: Bench): string[] {
  go(b, b.now + 200 * MS);
  expect(b.ended).toBe('{"how":"debug-exit","status":1}');
  return b.said.trim().split(' ').map((word) => word.replace(/^0+(?=.)/, ''));
}

const count = (vector: number): string => `mov eax, 0x200000\n  mov rax, [rax+8*${vector}]\n  call say`;

describe.each(WAYS)('%s', (technique) => {
  it('counts, holds back what its priorities hold, and lets it go', () => {
    const b = power(guest(`
      mov eax, [r15+0x30]
      call say
      mov dword [r15+0x3e0], 0xb
      mov dword [r15+0x320], 0x20040
      mov dword [r15+0x380], 100000
    .wait:
      sti
      hlt
      cli
      mov eax, 0x200000
      cmp qword [rax+8*0x40], 5
      jb .wait
      mov dword [r15+0x380], 0
      mov eax, [r15+0x390]
      call say
      mov eax, 0x60
      mov [r15+0x80], eax
      mov rax, cr8
      call say
      mov dword [r15+0x300], 0x40055
      sti
      nop
      nop
      cli
      ${count(0x55)}
      mov eax, [r15+0x220]
      call say
      mov eax, 4
      mov cr8, rax
      sti
      hlt
      cli
      ${count(0x55)}
      mov eax, [r15+0xa0]
      call say
      or dword [r15+0xf0], 0x200
      and dword [r15+0xf0], 0xfffffdff
      mov eax, [r15+0xf0]
      call say
    `), { technique });
    expect(said(b)).toEqual(['50014', '0', '6', '0', '200000', '1', '40', '1ff']);
    if (technique === 'vmx-ept') expect(b.vm.log.filter(({ reason, gpa }) => reason === 48 && gpa !== null && gpa >= 0xfee00000n).length).toBeGreaterThan(15);
  });

  it('takes interrupts of the I/O APIC, by edge and by level', () => {
    const b = power(guest(`
      mov r14d, 0xfec00000
      mov dword [r14], 0x15
      mov dword [r14+0x10], 0
      mov dword [r14], 0x14
      mov dword [r14+0x10], 0x41
      mov al, 0x34
      out 0x43, al
      mov al, 0xa9
      out 0x40, al
      mov al, 4
      out 0x40, al
    .wait:
      sti
      hlt
      cli
      mov eax, 0x200000
      cmp qword [rax+8*0x41], 3
      jb .wait
      mov dword [r14+0x10], 0x10000
      mov dword [r14], 0x18
      mov dword [r14+0x10], 0x8042
      mov dx, 0x3fc
      mov al, 8
      out dx, al
      mov dx, 0x3f9
      mov al, 2
      out dx, al
      sti
      nop
      nop
      cli
      mov eax, [r14+0x10]
      call say
      mov eax, 0x200000
      cmp qword [rax+8*0x42], 0
      setne al
      movzx eax, al
      call say
    `, 'mov dword [r15+0xb0], 0\n  push rdx\n  mov dx, 0x3fa\n  in al, dx\n  pop rdx'), { technique });
    expect(said(b).at(-1)).toBe('1');
  });

  it('wakes by a deadline and speaks by MSRs as x2APIC; what they refuse is #GP', () => {
    const b = power(guest(`
      mov ecx, 0x1b
      rdmsr
      or eax, 0x400
      wrmsr
      mov ecx, 0x802
      rdmsr
      call say
      mov ecx, 0x80d
      rdmsr
      call say
      mov eax, [r15+0x20]
      call say
      mov ecx, 0x832
      mov eax, 0x40043
      xor edx, edx
      wrmsr
      rdtsc
      shl rdx, 32
      or rax, rdx
      add rax, 400000
      mov rdx, rax
      mov rbx, rax
      shr rdx, 32
      mov ecx, 0x6e0
      wrmsr
      sti
      hlt
      cli
      rdtsc
      shl rdx, 32
      or rax, rdx
      sub rax, rbx
      shr rax, 20
      call say
      ${count(0x43)}
      mov ecx, 0x6e0
      rdmsr
      call say
      mov ecx, 0x83f
      mov eax, 0x44
      xor edx, edx
      wrmsr
      sti
      nop
      cli
      ${count(0x44)}
      mov ecx, 0x80b
      mov eax, 1
      wrmsr
      mov ecx, 0x802
      wrmsr
      mov ecx, 0x80e
      rdmsr
      mov ecx, 0x1b
      mov eax, 0xfee00800
      wrmsr
      ${count(13)}
    `, 'push rcx\n  push rdx\n  mov ecx, 0x80b\n  xor eax, eax\n  xor edx, edx\n  wrmsr\n  pop rdx\n  pop rcx'), { technique });
    expect(said(b)).toEqual(['0', '1', '0', '0', '1', '0', '1', '4']);
  });
});

/** Loads, stores and changes of all sizes at random places of both pages, interrupts off; what they read and what the registers are at the end. */
function anyAccesses(seed: number): string {
  const random = createRandom(seed);
  const below = (n: number): number => uint32(random) % n;
  const of = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const lines: string[] = ['mov r14d, 0xfec00000', 'xor r13d, r13d'];
  const size = (): string => of(['byte', 'word', 'dword', 'dword', 'dword', 'dword', 'qword']);
  const register = { byte: 'al', word: 'ax', dword: 'eax', qword: 'rax' };
  for (let n = 0; n < 120; n++) {
    const one = size() as keyof typeof register;
    const timer = [0x380, 0x390];
    const offset = below(5) === 0 ? below(0x400) : 16 * below(0x40);
    const place = below(4) === 0 ? `[r14+${of([0, 0x10, 0x10, 0x10, 4, 0x40])}]` : `[r15+${timer.includes(offset & 0xff0) || offset > 0x3f8 ? 0x80 : offset}]`;
    lines.push(`mov eax, ${below(2) === 0 ? below(0x40) : uint32(random)}`);
    lines.push(of([`mov ${place}, ${register[one]}`, `mov ${register[one]}, ${place}`, `xchg ${place}, ${register[one]}`, `or ${one} ${place}, 1`, `add ${place}, ${register[one]}`, `cmp ${place}, ${register[one]}`, `inc ${one} ${place}`, `bts dword ${place}, 3`,
      `lock xadd ${place}, ${register[one]}`, `push qword ${place}\n  pop rax`, `lea rsi, ${place}\n  mov edi, 0x300000\n  mov ecx, 3\n  rep movsd\n  mov eax, [0x300004]`]), 'rol r13, 7', 'xor r13, rax', 'pushf', 'pop rax', 'and eax, 0x8c5', 'add r13, rax');
  }
  lines.push('mov rax, r13', 'call say', ...[0x20, 0x80, 0xa0, 0xd0, 0xe0, 0xf0, 0x120, 0x220, 0x300, 0x310, 0x320, 0x350, 0x3e0].flatMap((at) => [`mov eax, [r15+${at}]`, 'call say']));
  return lines.join('\n');
}

it.each([1, 2, 3, 4, 5, 6])('whatever is done to the registers (%i), every technique reads the same', (seed) => {
  const source = guest(anyAccesses(seed));
  const [first, ...others] = WAYS.map((technique) => said(power(source, { technique })));
  for (const other of others) expect(other).toEqual(first);
});
