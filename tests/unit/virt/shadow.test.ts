/** `qemu-system-x86_64 -accel kvm -cpu host,ept=off`: the guest runs on shadow tables, and the views tell of them. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { VIEWS } from '../../../src/engine/views/views.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { assembled, lab } from './machine.ts';

/** Loads CR3 with what is there, writes an entry of its PD (2 MiB pages) and uses it, ends. */
const GUEST = `bits 64
org 0x100000
    mov rax, cr3
    mov cr3, rax
    mov rax, [0x72000 + 16]
    mov [0x72000 + 16], rax
    mov rax, [0x400000]
    mov dx, 0xf4
    mov eax, 0x10
    out dx, eax
    hlt
`;

const kernel = (name: string) => ({ type: 'file' as const, data: new Uint8Array(readFileSync(new URL(`../../fixtures/kernels/${name}`, import.meta.url))) });
const { guests } = loadAssets();
const machine = lab({
  '/root/guest.img': { type: 'file', data: assembled(GUEST) }, '/root/hello.elf': kernel('hello.elf'), '/root/full.elf': kernel('full.elf'), '/root/long.elf': kernel('long.elf'), '/root/a.mod': { type: 'file', data: 'module a\n' },
  '/root/nest.img': { type: 'file', data: assemble(guests['nest.asm']!, 'nest.asm', (name) => guests[name] ?? null).bytes },
});
const world = { kernels: new Map([['lab', machine.kernel]]) } as unknown as World;
const rows = (view: string, arg: Record<string, string | number> = {}) => VIEWS[view]!.rows(world, arg);

it('shows its tables, the entries along an address and the faults', () => {
  machine.pass(100e6);
  const ran = machine.run('/usr/bin/qemu-system-x86_64', '-accel', 'kvm', '-cpu', 'host,ept=off', '-m', '16', '-display', 'none', '-serial', 'null', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', '/root/guest.img');
  expect([ran.stderr, ran.status >> 8]).toEqual(['', 0x21]);
  expect(rows('lanes')[0]).toMatchObject({ technique: 'vmx-shadow', problem: '' });
  const events = Object.fromEntries(rows('ledger-events').map((row) => [row.event, row.count]));
  expect(events).toMatchObject({ CR_ACCESS: 2, 'shadow: CR3 switch': 1, 'shadow: page-table write (traced)': 1 });
  expect(events.EPT_VIOLATION).toBeUndefined();
  const tables = rows('shadow', { id: 1 });
  expect(tables.filter((row) => row.root).map((row) => [row.level, row.gfn, row.protected, row.entries])).toEqual([['PML4', '0x70', true, 1]]);
  expect(tables.filter((row) => row.direct).every((row) => row.level === 'PT' && !row.protected)).toBe(true);
  const along = rows('tables', { id: 1, gva: '0x400000' });
  expect(along.map((row) => row.level)).toEqual(['PML4', 'PDPT', 'PD', 'PT']);
  // the guest's page is of 2 MiB: its PDE leads the shadow to a table of its own
  expect(along.map((row) => row.table === '')).toEqual([false, false, false, true]);
  expect(along.every((row) => row.shadowPresent)).toBe(true);
  const faults = rows('shadow-faults', { id: 1 });
  expect(faults.find((row) => row.kind === 'write')).toMatchObject({ gva: '0x72010', error: '0x3', gpa: '0x72010' });
});

/** Kernels in C that begin in 32-bit mode without paging; one stays in 32-bit paging, one goes on to long mode. */
it.each([['hello', ['-m', '32']], ['full', []], ['long', ['-m', '16', '-append', 'root=none quiet', '-initrd', '/root/a.mod']]] as const)('%s says without EPT what it says on real QEMU', (name, options) => {
  const ran = machine.run('/usr/bin/qemu-system-x86_64', '-accel', 'kvm', '-cpu', 'host,ept=off', '-display', 'none', '-nodefaults', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', `/root/${name}.elf`, ...options);
  expect(`${ran.stdout}status ${ran.status >> 8}\n`).toBe(readFileSync(new URL(`../../fixtures/kernels/${name}.txt`, import.meta.url), 'utf8'));
});

/** Exits of one run of nest, by name. */
function exitsOf(line: string, ...cpu: string[]): Record<string, number> {
  machine.run('/usr/bin/qemu-system-x86_64', '-accel', 'kvm', ...cpu, '-m', '16', '-display', 'none', '-nodefaults', '-serial', 'null', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', '/root/nest.img', '-append', `${line} exit`);
  const { id } = rows('lanes').at(-1)!;
  return Object.fromEntries(rows('exits', { id: Number(id) }).map((row) => [String(row.name), Number(row.count)]));
}

it('has the shape of a boot with and without EPT: page faults, CR3 and INVLPG leave, what is not memory is as before', () => {
  const lines = ['fork 20', 'ctxsw 20', 'invlpg 200', 'cpuid 50'];
  const total = (...cpu: string[]): Record<string, number> => {
    const out: Record<string, number> = {};
    for (const line of lines) for (const [name, n] of Object.entries(exitsOf(line, ...cpu))) out[name] = (out[name] ?? 0) + n;
    return out;
  };
  const over = total();
  const without = total('-cpu', 'host,ept=off');
  expect([over.INVLPG, over.EXCEPTION_NMI, over.CR_ACCESS ?? 0]).toEqual([undefined, undefined, 0]);
  expect([without.EPT_VIOLATION, without.EPT_MISCONFIG]).toEqual([undefined, undefined]);
  expect(without.INVLPG).toBeGreaterThanOrEqual(200);
  expect(without.CR_ACCESS).toBeGreaterThan(100);
  expect(without.EXCEPTION_NMI).toBeGreaterThan(1000);
  for (const name of ['IO_INSTRUCTION', 'CPUID']) {
    expect(over[name]).toBeGreaterThan(40);
    expect(Math.abs(without[name]! - over[name]!)).toBeLessThanOrEqual(0.1 * over[name]!);
  }
});
