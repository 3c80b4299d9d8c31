/** What the pictures of a virtual machine are drawn from, while tiny runs. */
import { expect, it } from 'vitest';
import { debugVm } from '../../../src/engine/kernel/drivers/kvm.ts';
import { disassembly } from '../../../src/engine/views/disassembly.ts';
import { exitLog, exits } from '../../../src/engine/views/exits.ts';
import { memory } from '../../../src/engine/views/memory.ts';
import { registers } from '../../../src/engine/views/registers.ts';
import { tlb } from '../../../src/engine/views/tlb.ts';
import { vmcs } from '../../../src/engine/views/vmcs.ts';
import { vms } from '../../../src/engine/views/vms.ts';
import { walk, walkHead } from '../../../src/engine/views/walk.ts';
import type { View } from '../../../src/engine/views/view.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { lab } from './machine.ts';

const machine = lab();
const world = { kernels: new Map([['lab', machine.kernel]]) } as unknown as World;
const rows = (view: View, arg: Record<string, string> = { host: 'lab', vm: 'tiny' }) => view.rows(world, arg);

it('shows a domain that is off, then one that runs', () => {
  machine.pass(100e6);
  expect(rows(vms, {})).toMatchObject([{ name: 'tiny', id: null, state: 'shut off', pid: null, memory: 16 * 2 ** 20, vcpus: 1 }]);
  expect([walk, walkHead, exits, exitLog, tlb, registers, vmcs, disassembly].flatMap((view) => rows(view))).toEqual([]);
  machine.run('/usr/bin/virsh', 'start', 'tiny');
  machine.pass(200e6);
  expect(rows(vms, {})).toMatchObject([{ name: 'tiny', id: 1, state: 'running', technique: 'vmx-ept', mode: '64-bit, ring 0, HLT', debugger: '' }]);
  machine.run('/usr/bin/virsh', 'suspend', 'tiny');
  expect(rows(vms, {})).toMatchObject([{ state: 'paused' }]);
  machine.run('/usr/bin/virsh', 'resume', 'tiny');
  machine.pass(100e6);
});

it('shows the walk with 24 references that lead from each to the next', () => {
  const refs = rows(walk);
  expect(refs.map((r) => `${String(r.table)[0]}${String(r.level)}`).join(' ')).toBe(
    Array.from({ length: 4 }, (_, row) => `ePML4E ePDPTE ePDE ePTE g${['PML4E', 'PDPTE', 'PDE', 'PTE'][row]}`).join(' ') + ' ePML4E ePDPTE ePDE ePTE',
  );
  const frame = (entry: unknown): bigint => BigInt(String(entry)) & 0xffffffffff000n;
  const head = rows(walkHead)[0]!;
  for (const [n, ref] of refs.entries()) {
    expect(ref).toMatchObject({ present: true, n: n + 1 });
    const next = refs[n + 1];
    if (next && ref.table === 'ept') expect(frame(next.hpa)).toBe(frame(ref.entry));
    const word = rows(memory, { host: 'lab', vm: 'tiny', hpa: String(ref.hpa) }).find((row) => row.hpa === ref.hpa)!;
    const flags = 0x60n | 0x300n;
    expect(BigInt(String(word.word)) & ~flags).toBe(BigInt(String(ref.entry)) & ~flags);
  }
  expect(frame(refs.at(-1)!.entry)).toBe(frame(head.hpa));
  expect(head).toMatchObject({ references: 24, result: 'ok', guestPage: '4 KiB', hostPage: '4 KiB' });
  expect(Number(head.cycles)).toBeGreaterThanOrEqual(refs.reduce((sum, ref) => sum + Number(ref.cycles), 0));
  expect(String(head.instruction)).not.toBe('');
});

it('counts exits by reason and lists the newest', () => {
  const counted = rows(exits);
  expect(counted.map((row) => row.name)).toEqual(expect.arrayContaining(['HLT', 'IO_INSTRUCTION', 'MSR_WRITE', 'EPT_VIOLATION']));
  const log = rows(exitLog);
  expect(log.length).toBe(Math.min(200, Number(log.at(-1)!.n) + 1));
  expect(counted.reduce((sum, row) => sum + Number(row.count), 0)).toBe(Number(log.at(-1)!.n) + 1);
});

it('shows registers, VMCS, TLB and the code that stands still under the debugger', () => {
  debugVm(machine.kernel, 'tiny', 'pause');
  machine.pass(100e6);
  expect(rows(vms, {})).toMatchObject([{ state: 'paused', debugger: 'held' }]);
  const of = (name: string) => rows(registers).find((row) => row.name === name)!;
  expect(of('efer').text).toBe('SCE LME LMA NXE');
  expect(of('cr0').text).toContain('PG');
  const field = (name: string) => rows(vmcs).find((row) => row.name === name)!;
  expect(field('GUEST_RIP')).toMatchObject({ group: 'guest', encoding: '0x681e', value: `0x${BigInt(String(of('rip').value)).toString(16)}` });
  expect(rows(tlb).every((row) => row.vpid === 1 && /^r[w-][x-][u-]g?$/.test(String(row.rights)))).toBe(true);
  expect(rows(tlb).length).toBeGreaterThan(20);
  const code = rows(disassembly);
  expect(code.length).toBe(16);
  expect(code.find((row) => row.current)?.text).toBe('cli');
  debugVm(machine.kernel, 'tiny', 'step');
  machine.pass(100e6);
  expect(rows(vms, {})).toMatchObject([{ debugger: 'held' }]);
});

it('answers nothing for what is not there', () => {
  for (const arg of [{}, { vm: 'nosuch' }, { host: 'nosuch', vm: 'tiny' }]) expect(rows(walk, arg as Record<string, string>)).toEqual([]);
  for (const hpa of ['', '-1', 'x', '0xffffffffff', '99999999999999999999']) expect(rows(memory, { host: 'lab', vm: 'tiny', hpa })).toEqual([]);
});
