/** `qemu-system-x86_64 -accel kvm -cpu host,ept=off`: the guest runs on shadow tables, and the views tell of them. */
import { expect, it } from 'vitest';
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

const machine = lab({ '/root/guest.img': { type: 'file', data: assembled(GUEST) } });
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
