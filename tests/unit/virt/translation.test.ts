/** `qemu-system-x86_64 -accel tcg` and `-accel deprivileged`: the guest runs without VT-x, and the views tell how. */
import { expect, it } from 'vitest';
import { VIEWS } from '../../../src/engine/views/views.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { assembled, lab } from './machine.ts';

const GUEST = `bits 64
org 0x100000
    mov rsp, 0x180000
    lgdt [rel gdtr]
    mov ecx, 3
.loop:
    cli
    pushfq
    pop rax
    sti
    dec ecx
    jnz .loop
    mov ebx, cs
    mov rax, cr0
    cpuid
    mov dx, 0xf4
    mov eax, 0x10
    out dx, eax
    hlt
align 8
gdt: dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr: dw 23
    dq gdt
`;

const machine = lab({ '/root/guest.img': { type: 'file', data: assembled(GUEST) } });
const world = { kernels: new Map([['lab', machine.kernel]]) } as unknown as World;
const rows = (view: string, arg: Record<string, string | number> = {}) => VIEWS[view]!.rows(world, arg);
const start = (accel: string) =>
  machine.run('/usr/bin/qemu-system-x86_64', '-accel', accel, '-m', '16', '-display', 'none', '-serial', 'null', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', '/root/guest.img');

it('shows units and one of them beside its source', () => {
  machine.pass(100e6);
  const ran = start('tcg');
  expect([ran.stderr, ran.status >> 8]).toEqual(['', 0x21]);
  expect(rows('lanes')[0]).toMatchObject({ technique: 'binary-translation', problem: '' });
  const units = rows('translation', { id: 1 });
  expect(units[0]).toMatchObject({ unit: 0, rip: '0x100000', dead: false });
  expect(units.every((row) => Number(row.instructions) <= 12)).toBe(true);
  const loop = units.find((row) => row.to !== '' && String(row.to).startsWith(`${row.rip} `))!;
  expect(loop).toMatchObject({ instructions: 6, ident: 2, exits: 2, chained: 2, callouts: 1 });
  const lines = rows('translated', { id: 1, unit: Number(loop.unit) });
  const source = lines.filter((row) => row.rip !== '').map((row) => [row.text, row.kind]);
  expect(source).toEqual([['cli', 'SEQUENCE'], ['pushfq', 'SEQUENCE'], ['pop rax', 'IDENT'], ['sti', 'SEQUENCE'], ['dec ecx', 'IDENT'], [expect.stringMatching(/^jnz? |^jne /), 'CHAIN']]);
  expect(lines[0]!.does).toBe('mov byte [0xffffffffffc00021], 0x0');
  expect(lines.filter((row) => row.calls !== '').map((row) => row.calls)).toEqual(['pending']);
  expect(lines.find((row) => row.kind === 'CHAIN')!.does).toContain(`(unit ${loop.unit})`);
});

it('shows the virtual processor beside the real one, and what did not trap', () => {
  start('deprivileged');
  expect(rows('lanes').map((row) => row.technique)).toEqual(['binary-translation', 'trap-and-emulate']);
  const cpu = Object.fromEntries(rows('virtual-cpu', { id: 2 }).map((row) => [row.name, [row.virtual, row.real]]));
  expect(cpu.ring).toEqual(['0', '1']);
  expect(cpu.IF).toEqual(['0x200', '0x200']);
  expect(cpu.gdtr![1]).toBe('0xffffffffffc02000/0x17');
  expect(rows('sensitive', { id: 2 }).map((row) => [row.text, row.times, row.saw, row.should, row.wrong])).toEqual([
    ['pushfq', 3, '0x200', '0x0', true], ['mov ebx, cs', 1, '0x9', '0x8', true], ['cpuid', 1, expect.stringContaining('real'), 'the virtual processor', true],
  ]);
});
