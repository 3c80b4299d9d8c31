/** The virtual processor of a deprivileged guest beside the real one, and the sensitive instructions that told it of the real one. */
import type { SensitiveRow, VirtualCpuRow } from '../../bridge/rows.ts';
import { own, table, vcpu, virtualCpl, virtualFlags, virtualSegment } from '../hypervisor/cpu/deprivilege-state.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { privilege, register, segment } from '../machine/machine.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

const deprivileged = (vm: Vm): boolean => vm.technique === 'trap-and-emulate' || vm.technique === 'binary-translation';

const BITS: readonly [name: string, bit: bigint][] = [['IF', 0x200n], ['IOPL', 0x3000n]];

function rowsOf(vm: Vm): Omit<VirtualCpuRow, 'key'>[] {
  const { machine } = vm;
  const flags = register(machine, 'rflags');
  const ring = { name: 'ring', virtual: String(virtualCpl(vm)), real: String(privilege(machine)), text: 'the kernel is in ring 1, where it has no privilege' };
  const bits = BITS.map(([name, bit]) => ({ name, virtual: hex(virtualFlags(vm) & bit), real: hex(flags & bit), text: name === 'IF' ? 'interrupts of the host are never held up' : '' }));
  const controls = (['cr0', 'cr2', 'cr3', 'cr4', 'cr8'] as const).map((name) => ({ name, virtual: hex(vcpu(vm, name)), real: hex(register(machine, name)), text: name === 'cr3' ? 'real: a shadow of the tables that the guest means' : '' }));
  const selectors = (['cs', 'ss'] as const).map((name) => ({ name, virtual: hex(virtualSegment(vm, name).selector), real: hex(segment(machine, name).selector), text: '' }));
  const tables = (['gdt', 'idt'] as const).map((name) => {
    const real = segment(machine, name === 'gdt' ? 'gdtr' : 'idtr');
    return { name: `${name}r`, virtual: `${hex(table(vm, name).base)}/${hex(table(vm, name).limit)}`, real: `${hex(real.base)}/${hex(real.limit)}`, text: 'base and limit' };
  });
  const system = (['tr', 'ldt'] as const).map((name) => ({ name: name === 'ldt' ? 'ldtr' : name, virtual: hex(virtualSegment(vm, name).selector), real: hex(segment(machine, name === 'ldt' ? 'ldtr' : 'tr').selector), text: '' }));
  const efer = { name: 'efer', virtual: hex(own(vm).efer), real: hex(register(machine, 'efer')), text: '' };
  return [ring, ...bits, ...controls, efer, ...selectors, ...tables, ...system];
}

export const virtualCpu: View = {
  doc: 'What a deprivileged guest believes of its processor, and what the real one holds meanwhile.',
  arg: 'host?, vm or id',
  columns: columns(`
    name: of the register, or the ring
    virtual: as the monitor keeps it for the guest
    real: as the processor has it
    text: why they differ
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found || !deprivileged(found.vm)) return [];
    return rowsOf(found.vm).map((row) => ({ key: row.name, ...row }));
  },
};

export const sensitive: View = {
  doc: 'Under trap-and-emulate: sensitive instructions that the guest\'s kernel ran and that did not trap, with what they did and what they should have done.',
  arg: 'host?, vm or id',
  columns: columns(`
    rip [hex]: of the instruction
    text: the instruction
    times [count]: that it ran
    saw: what the guest saw or got; of one that ever went wrong, the first time that it did
    should: what it should have been
    wrong: they differ
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (found?.vm.technique !== 'trap-and-emulate') return [];
    return [...own(found.vm).silent].map(([key, { text, rip, times, saw, should }]): SensitiveRow => ({ key, rip: hex(rip), text, times, saw, should, wrong: saw !== should }));
  },
};
