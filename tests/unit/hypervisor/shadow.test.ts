/** Guests of real machine code on shadow tables: the same as without, and what it took. */
import { expect, it } from 'vitest';
import { exitName } from '../../../src/engine/hypervisor/exits.ts';
import { readGuest } from '../../../src/engine/hypervisor/memory/frames.ts';
import { shadowOf } from '../../../src/engine/hypervisor/memory/shadow.ts';
import type { TechniqueName } from '../../../src/engine/hypervisor/vm.ts';
import { createRandom, uint32 } from '../../../src/engine/sim/random.ts';
import { type Bench, go, key, MS, power, tiny } from './bench.ts';

const counts = (b: Bench): Record<string, number> => Object.fromEntries([...b.vm.exits].map(([reason, row]) => [exitName(reason), row.count]));

it('boots tiny to its banner on shadow tables, and everything works as before', () => {
  const b = power(tiny(), { technique: 'vmx-shadow' });
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  const exits = counts(b);
  expect(exits.EPT_VIOLATION).toBeUndefined();
  expect(exits.EXCEPTION_NMI).toBeGreaterThan(70);
  expect(exits.CR_ACCESS).toBe(1);
  expect(b.vm.ledger.events.get('shadow: hidden fault')?.count).toBe(exits.EXCEPTION_NMI);
  for (const [pressed, says] of [['t', /\d+\r\n$/], ['c', /cpu GenuineIntel\r\n$/], ['v', /called the hypervisor\r\n$/], ['p', /touched 64 pages\r\n$/]] as const) {
    b.said = '';
    key(b, pressed);
    go(b, b.now + 60 * MS);
    expect(b.said).toMatch(says);
  }
});

/** Four-level tables of its own at 2 MiB: 8 MiB to itself in 4 KiB pages, a second space, and a table of 512 pages at 1 GiB. */
const OWN_TABLES = `bits 64
org 0x100000
    mov rsp, 0x180000
    cld
    mov edi, 0x200000
    xor eax, eax
    mov ecx, 0x10 * 512
    rep stosq
    mov qword [0x200000], 0x202007
    mov qword [0x201000], 0x202007
    mov qword [0x202000], 0x203007
    mov qword [0x202008], 0x208007
    mov qword [0x208000], 0x209007
    mov edi, 0x203000
    mov eax, 0x204007
    mov ecx, 4
.pd: mov [rdi], rax
    add eax, 4096
    add edi, 8
    loop .pd
    mov edi, 0x204000
    mov eax, 3
    mov ecx, 2048
.pt: mov [rdi], rax
    add eax, 4096
    add edi, 8
    loop .pt
    mov eax, 0x200000
    mov cr3, rax
`;
const END = '\nmov al, 0x10\nout 0xf4, al\nhlt\n';

/** What took the guest out between two marks (port 0x80), and of which kind that was. */
function between(code: string, technique: TechniqueName = 'vmx-shadow'): Record<string, number> {
  const b = power(`${OWN_TABLES}${code}${END}`, { technique, memory: 8 * 2 ** 20 });
  go(b, 50 * MS);
  expect([b.ended, b.vm.ledger.marks.length]).toEqual(['{"how":"debug-exit","status":33}', 2]);
  const out: Record<string, number> = {};
  for (const { event, text, segment } of b.vm.ledger.leaves) {
    if (segment !== 1 || event === 'IO_INSTRUCTION' || event === 'EXTERNAL_INTERRUPT') continue;
    for (const name of [event, ...text.split('; ')[0]!.split(', ').filter((part) => part.startsWith('shadow: '))]) out[name] = (out[name] ?? 0) + 1;
  }
  return out;
}
const MARK = '\nout 0x80, al\n';

it('takes one exit for a context switch, and finds the root of a space it knows', () => {
  const warm = 'mov eax, 0x201000\nmov cr3, rax\nmov eax, 0x200000\nmov cr3, rax\n';
  expect(between(`${warm}${MARK}${warm}${MARK}`)).toEqual({ CR_ACCESS: 2, 'shadow: CR3 switch': 2 });
  expect(between(`${warm}${MARK}${warm}${MARK}`, 'vmx-ept')).toEqual({});
});

it('takes one hidden fault for a new entry, and for writing entries of a leaf one a table between flushes', () => {
  // the table at 0x209000 is one of the guest's from its first use on
  const used = 'mov edi, 0x209000\nmov rax, 0x300003\nmov [rdi], rax\nmov rax, [0x40000000]\nmov rax, [0x300000]\nmov rax, [0x301000]\nmov rax, [0x302000]\n';
  const fill = '%assign n 8\n%rep 32\nmov qword [rdi + n], 0x301003\n%assign n n + 8\n%endrep\n';
  expect(between(`${used}${MARK}${fill}${MARK}`)).toEqual({ EXCEPTION_NMI: 1, 'shadow: hidden fault': 1 });
  expect(between(`${used}${MARK}${fill}mov rax, [0x40001000]\n${MARK}`)).toEqual({ EXCEPTION_NMI: 2, 'shadow: hidden fault': 2 });
  // a flush: traced again, so the next write is seen again
  const flush = 'mov rcx, cr3\nmov cr3, rcx\n';
  expect(between(`${used}${MARK}${fill}${flush}${fill}${MARK}`)).toMatchObject({ 'shadow: hidden fault': 2, 'shadow: resync': 1, 'shadow: CR3 switch': 1 });
  expect(between(`${used}${MARK}${fill}${flush}${fill}${MARK}`, 'vmx-ept')).toEqual({});
});

it('emulates a write to a table above the leaves, and gives up one that is written again and again', () => {
  const used = 'mov edi, 0x208000\nmov rax, [0x200000]\nmov qword [0x209000], 0x300003\nmov rax, [0x40000000]\n';
  expect(between(`${used}${MARK}mov qword [rdi + 8], 0\n${MARK}`)).toEqual({ EXCEPTION_NMI: 1, 'shadow: page-table write (traced)': 1 });
  // the third write without a use between ends it; then the frame is written freely
  const often = '%assign n 8\n%rep 40\nmov qword [rdi + n], 0\n%assign n n + 8\n%endrep\n';
  expect(between(`${used}${MARK}${often}${MARK}`)).toEqual({ EXCEPTION_NMI: 4, 'shadow: page-table write (traced)': 3, 'shadow: unshadow (flooding)': 1, 'shadow: hidden fault': 1 });
});

it('leaves for each INVLPG, where over EPT none does', () => {
  const code = `mov rax, [0x300000]\n${MARK}mov ecx, 10\n.l: invlpg [0x300000]\nmov rax, [0x300000]\nloop .l\n${MARK}`;
  expect(between(code)).toEqual({ INVLPG: 10, 'shadow: INVLPG': 10 });
  expect(between(code, 'vmx-ept')).toEqual({});
});

it('fills neighbours that were used before along with a page', () => {
  const touch = '%assign n 0\n%rep 16\nmov rax, [0x300000 + n]\n%assign n n + 4096\n%endrep\n';
  // every page has its frame and its accessed bit; then the leaf is dropped by a write to the entry above it
  expect(between(`${touch}mov edi, 0x203000\nmov rax, [rdi + 8]\nxor edx, edx\nlock xadd [rdi + 8], rdx\n${MARK}${touch}${MARK}`)['shadow: hidden fault']).toBeLessThanOrEqual(4);
});

it('answers where there is no memory: zeros, and stores are lost', () => {
  const code = 'mov eax, 0xfee00003\nmov [0x204008], rax\nmov edi, 0x1000\ninvlpg [rdi]\nmov rsi, -1\nmov [rdi + 8], rsi\nmov rax, [rdi + 8]\nmov [0x300000], rax\ninc qword [0x300000]';
  const b = power(`${OWN_TABLES}${code}${END}`, { technique: 'vmx-shadow', memory: 8 * 2 ** 20 });
  go(b, 10 * MS);
  expect([b.ended, readGuest(b.vm, 0x300000, 8)[0]]).toEqual(['{"how":"debug-exit","status":33}', 1]);
  expect(shadowOf(b.vm).faults.filter(({ kind }) => kind === 'mmio').length).toBe(2);
  expect(counts(b).MONITOR_TRAP_FLAG).toBeUndefined();
});

it('recycles shadow pages when there are too many', () => {
  // a table for each of 200 address spaces: PML4 copies at 0x400000 and up
  const code = 'mov edi, 0x400000\nmov ecx, 200\n.c: mov rax, [0x200000]\nmov [rdi], rax\nadd edi, 4096\nloop .c\nmov ebx, 2\n.again: mov edi, 0x400000\nmov ecx, 200\n.s: mov cr3, rdi\ninc qword [0x300000]\nadd edi, 4096\nloop .s\ndec ebx\njnz .again';
  const b = power(`${OWN_TABLES}${code}${END}`, { technique: 'vmx-shadow', memory: 8 * 2 ** 20 });
  go(b, 100 * MS);
  const s = b.vm.shadow!;
  expect([b.ended, readGuest(b.vm, 0x300000, 2)]).toEqual(['{"how":"debug-exit","status":33}', Uint8Array.of(400 & 255, 1)]);
  expect(s.pages.size).toBeLessThanOrEqual(s.limit);
  expect(s.counts.recycled).toBeGreaterThan(200);
});

it('ends somehow or goes on, whatever bytes it is given', () => {
  const random = createRandom(11);
  for (let n = 0; n < 40; n++) {
    const b = power(Uint8Array.from({ length: 256 }, () => uint32(random) & 255), { technique: 'vmx-shadow', memory: 2 * 2 ** 20 });
    go(b, 1 * MS);
    expect([b.ended.includes('no frame'), b.vm.shadow!.pages.size <= b.vm.shadow!.limit]).toEqual([false, true]);
  }
});

it('says that real mode needs EPT', () => {
  const b = power('bits 64\norg 0x100000\nmov rsp, 0x180000\nlgdt [gdtr]\npush qword 8\npush qword narrow\ndb 0x48, 0xcb\nnarrow: mov rax, cr0\nand eax, 0x7ffffffe\nmov cr0, rax\nhlt\ngdt: dq 0, 0x00cf9a000000ffff\ngdtr: dw 15\ndq gdt', { technique: 'vmx-shadow' });
  go(b, 10 * MS);
  expect(b.ended).toContain('not modelled: real mode without EPT');
});
