/** Machines beside each other: what took each out of the guest, between which marks, for how many cycles; also when they are over. */
import { expect, it } from 'vitest';
import { COSTS, lightCost } from '../../../src/engine/hypervisor/costs.ts';
import { kvmOf } from '../../../src/engine/kernel/drivers/kvm.ts';
import { ENDED, ENDED_WHOLE } from '../../../src/engine/kernel/drivers/kvm/state.ts';
import { VIEWS } from '../../../src/engine/views/views.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { assembled, lab } from './machine.ts';

/** Three marks; between the first two a CPUID and a byte on COM1, between the others an `in`. */
const GUEST = `bits 64
org 0x100000
    mov al, 1
    out 0x80, al
    xor eax, eax
    cpuid
    mov dx, 0x3f8
    mov al, '!'
    out dx, al
    mov al, 2
    out 0x80, al
    mov ecx, 3
again:
    mov dx, 0x3fd
    in al, dx
    loop again
    mov al, 3
    out 0x80, al
    mov dx, 0xf4
    mov eax, 0x10
    out dx, eax
    hlt
`;

const machine = lab({ '/root/marks.img': { type: 'file', data: assembled(GUEST) } });
const world = { kernels: new Map([['lab', machine.kernel]]) } as unknown as World;
const rows = (view: string, arg: Record<string, string | number> = {}) => VIEWS[view]!.rows(world, arg);
const qemu = (accel: string) => machine.run('/usr/bin/qemu-system-x86_64', '-accel', accel, '-m', '16', '-display', 'none', '-serial', 'null', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', '/root/marks.img', '-append', 'once');

it('keeps a machine that ended, with its processor and its sums', () => {
  machine.pass(100e6);
  expect(rows('lanes')).toEqual([]);
  expect(qemu('kvm').status >> 8).toBe(0x21);
  const [lane] = rows('lanes');
  expect(lane).toMatchObject({ id: 1, technique: 'vmx-ept', state: 'ended', workload: 'marks.img once', machine: true, marks: 3, problem: '' });
  expect(lane!.endedAt).toBeGreaterThan(Number(lane!.startedAt));
  const places = rows('ledger-places', { id: 1 });
  expect(places.reduce((sum, row) => sum + Number(row.cycles), 0)).toBe(lane!.cycles);
  const events = rows('ledger-events', { id: 1 });
  expect(events.reduce((sum, row) => sum + Number(row.count), 0)).toBe(lane!.events);
  expect(events.reduce((sum, row) => sum + Number(row.cycles), 0)).toBe(Number(lane!.monitor) + Number(lane!.program));
  expect(rows('vmcs', { id: 1 }).find((row) => row.name === 'GUEST_CR0')?.value).not.toBe('0x0');
  expect(rows('walk-head', { id: 1 })).toHaveLength(1);
});

it('tells every leave with the instruction that caused it, and what its qualification says', () => {
  const segment = (n: number) => rows('leaves', { id: 1, segment: n }).map((row) => [row.text, row.event, String(row.detail).split(': ')[1] ?? '', row.cycles]);
  const light = lightCost(COSTS.default);
  const heavy = light + COSTS.default.userspace;
  expect(segment(1).filter(([, event]) => event !== 'EXTERNAL_INTERRUPT')).toEqual([
    ['out 0x80, al', 'IO_INSTRUCTION', 'out port 0x80, 1 byte', heavy], ['cpuid', 'CPUID', '', light], ['out dx, al', 'IO_INSTRUCTION', 'out port 0x3f8, 1 byte', heavy],
  ]);
  expect(segment(2).filter(([, event]) => event !== 'EXTERNAL_INTERRUPT').map(([text]) => text)).toEqual(['out 0x80, al', 'in al, dx', 'in al, dx', 'in al, dx']);
});

it('sums the stretches between marks to the whole', () => {
  const stretches = rows('guest-marks', { id: 1 });
  expect(stretches.map((row) => row.value)).toEqual([null, '0x1', '0x2', '0x3']);
  expect(stretches.reduce((sum, row) => sum + Number(row.cycles), 0)).toBe(rows('lanes')[0]!.cycles);
  expect(stretches.map((row) => row.ratio)).toEqual([null, null, null, null]);
});

it('lays two machines side by side, line by line', () => {
  expect(qemu('kvm').status >> 8).toBe(0x21);
  const all = rows('lockstep', { ids: '1,2', segment: 2 });
  const common = all.filter((row) => row.id === 1 && row.event !== '' && row.event !== 'EXTERNAL_INTERRUPT');
  expect(common).toHaveLength(4);
  for (const row of common) expect(all.find((other) => other.line === row.line && other.id === 2)).toMatchObject({ rip: row.rip, event: row.event, cycles: row.cycles });
  expect(all.every((row) => row.event !== '' || row.how === 'same bytes')).toBe(true);
});

it('lists every cost with its source', () => {
  const costs = rows('costs', { profile: 'nehalem' });
  expect(costs.find((row) => row.name === 'round')).toMatchObject({ cycles: COSTS.nehalem.round, launched: 2009, source: COSTS.nehalem.source, confidence: 'high' });
  expect(new Set(rows('costs').map((row) => row.profile))).toEqual(new Set(Object.keys(COSTS)));
});

it('forgets the oldest, and of others the machine', () => {
  for (let n = 2; n < ENDED + 2; n++) qemu('kvm');
  const kept = rows('lanes');
  expect(kept).toHaveLength(ENDED);
  expect(kept.filter((row) => row.machine)).toHaveLength(ENDED_WHOLE);
  expect(kept.at(-1)).toMatchObject({ machine: true, marks: 3 });
  expect(kvmOf(machine.kernel).vms.size).toBe(0);
  const gone = kept[0]!;
  expect(rows('vmcs', { id: Number(gone.id) })).toEqual([]);
  expect(rows('guest-marks', { id: Number(gone.id) })).toHaveLength(4);
});
