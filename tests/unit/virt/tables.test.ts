/** A guest under shadow paging as pictures see it: its tables beside those that the processor walks, its faults, the host's frames. */
import { expect, it } from 'vitest';
import { VIEWS } from '../../../src/engine/views/views.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { assembled, lab } from './machine.ts';

/** Touches three pages in a page table of its own that maps 2 MiB at 4 MiB, and changes an entry. */
const GUEST = `bits 64
org 0x100000
    mov rsp, 0x90000
    mov rdi, cr3
    mov rdi, [rdi]
    and rdi, -4096
    mov rdi, [rdi]
    and rdi, -4096
    mov qword [rdi + 16], 0x300003
    mov ecx, 512
    mov rsi, 0x300000
    mov rax, 0x600003
fill:
    mov [rsi], rax
    add rsi, 8
    add rax, 0x1000
    loop fill
    mov rax, cr3
    mov cr3, rax
    mov [0x400000], rax
    mov [0x401000], rax
    mov qword [0x300008], 0x700003
    invlpg [0x401000]
    mov [0x401000], rax
    mov dx, 0xf4
    mov eax, 0x10
    out dx, eax
`;

const machine = lab({ '/root/own.img': { type: 'file', data: assembled(GUEST) } });
const world = { kernels: new Map([['lab', machine.kernel]]) } as unknown as World;
const rows = (view: string, arg: Record<string, string | number> = {}) => VIEWS[view]!.rows(world, arg);
const run = (...cpu: string[]) =>
  machine.run('/usr/bin/qemu-system-x86_64', '-accel', 'kvm', ...cpu, '-m', '16', '-display', 'none', '-serial', 'null', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', '/root/own.img').status >> 8;
const frame = (entry: unknown): number => Number(BigInt(String(entry)) & 0xffffff000n);

it('lays the shadow tables beside the guest’s: same levels, other frames, the guest page behind the last', () => {
  machine.pass(100e6);
  expect(run('-cpu', 'host,ept=off')).toBe(0x21);
  const levels = rows('tables', { id: 1, gva: '0x401000' });
  expect(levels.map((row) => row.level)).toEqual(['PML4', 'PDPT', 'PD', 'PT']);
  for (const [n, row] of levels.entries()) {
    expect(row).toMatchObject({ present: true, shadowPresent: true });
    const next = levels[n + 1];
    if (next) expect([frame(row.entry), frame(row.shadowEntry)]).toEqual([Number(next.table), Number(next.shadow)]);
  }
  const last = levels[3]!;
  expect(frame(last.entry)).toBe(0x700000);
  const run0 = rows('host-memory', { id: 1 });
  const holds = (hpa: number) => run0.find((row) => hpa >= Number(row.hpa) && hpa < Number(row.hpa) + Number(row.pages) * 4096)!;
  const behind = holds(frame(last.shadowEntry));
  expect(Number(behind.gpa) + frame(last.shadowEntry) - Number(behind.hpa)).toBe(0x700000);
  expect(holds(Number(last.shadow))).toMatchObject({ kind: 'table' });
  expect(String(holds(Number(last.shadow)).what)).toMatch(/^shadow PT/);
});

it('tells walks of shadow tables from walks of the guest’s', () => {
  expect(new Set(rows('walk', { id: 1 }).map((row) => row.table))).toEqual(new Set(['shadow']));
  const faults = rows('shadow-faults', { id: 1 });
  expect(faults.map((row) => row.kind)).toContain('hidden');
  expect(rows('walk-head', { id: 1 })).toMatchObject([{ format: '4-level' }]);
});

it('has EPT tables in the host’s memory, and no shadow, under EPT', () => {
  expect(run()).toBe(0x21);
  const kinds = new Set(rows('host-memory', { id: 2 }).map((row) => row.what));
  for (const what of ['EPT PML4', 'EPT PDPT', 'EPT PD', 'EPT PT']) expect(kinds).toContain(what);
  expect(rows('shadow-faults', { id: 2 })).toEqual([]);
  expect(rows('tables', { id: 2, gva: '0x401000' }).every((row) => row.shadow === '' && row.present)).toBe(true);
  const pages = rows('host-memory', { id: 2 }).filter((row) => row.kind === 'guest').reduce((sum, row) => sum + Number(row.pages), 0);
  expect(pages).toBeGreaterThan(4);
  expect(pages).toBeLessThan(4096);
});

it('names the bits that decided an exit', () => {
  expect(rows('exit-causes', { id: 2, name: 'CPUID' })).toMatchObject([{ name: 'always exits in a guest', on: true }]);
  expect(rows('exit-causes', { id: 2, name: 'EPT_VIOLATION' })).toMatchObject([{ field: 'SECONDARY_PROCESSOR_CONTROLS', encoding: '0x401e', bit: 1, name: 'enable EPT', on: true }]);
  expect(rows('exit-causes', { id: 1, name: 'EXCEPTION_NMI' }).find((row) => row.bit === 14)).toMatchObject({ name: '#PF', on: true });
  expect(String(rows('vmcs', { id: 2 }).find((row) => row.name === 'SECONDARY_PROCESSOR_CONTROLS')?.text)).toContain('enable EPT');
});
