/** One row a virtual machine, defined or running. */
import type { VmRow } from '../../bridge/rows.ts';
import { guestControl, guestPrivilege, guestRegister, guestSegment } from '../hypervisor/state.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { cycles, instructions } from '../machine/machine.ts';
import { columns, kernelsOf, type View } from './view.ts';
import { type Guest, guestsOf, hex } from './vmfiles.ts';

export const vms: View = {
  doc: 'Virtual machines: those that libvirt knows and those that run under KVM.',
  arg: 'host?',
  columns: columns(`
    host: machine
    name: of the domain, or what QEMU was told with -name
    id [count]: libvirt's id while it runs, or KVM's; null when shut off
    state: running, paused, crashed or shut off
    pid [count]: of its QEMU process
    memory [bytes]: guest memory
    vcpus [count]: virtual processors
    technique: how the guest is run
    instructions [count]: executed in the guest
    cycles [count]: spent in the guest and on its exits
    exits [count]: VM exits
    rip [hex]: instruction pointer
    mode: of the processor, with privilege
    debugger: "held" when the debugger holds it, or empty
    serialBytes [bytes]: sent to the serial line
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => guestsOf(kernel).map(row)),
};

function row(guest: Guest): VmRow {
  const { kernel, name, kvm, status, defined } = guest;
  const xml = status || defined;
  const vm = kvm?.vm ?? null;
  const number = (pattern: RegExp): number => Number(pattern.exec(xml)?.[1] ?? 0);
  const id = kvm ? Number(/<domain type='\w+' id='(\d+)'/.exec(status)?.[1] ?? kvm.id) : null;
  return {
    key: `${kernel.name}:${name}`, host: kernel.name, name, id, state: stateOf(guest), pid: kvm?.pid ?? null,
    memory: vm ? [...vm.slots.values()].reduce((sum, slot) => sum + slot.bytes, 0) : memoryOf(xml), vcpus: number(/<vcpu[^>]*>(\d+)/) || 1,
    technique: vm?.technique ?? '', instructions: vm ? Number(instructions(vm.machine)) : 0, cycles: vm ? Number(cycles(vm.machine)) : 0, exits: vm?.exitsEver ?? 0,
    rip: vm ? hex(guestRegister(vm, 'rip')) : '', mode: vm ? modeOf(vm) : '', debugger: kvm?.debug.held ? 'held' : '', serialBytes: vm?.serial.bytes ?? 0,
  };
}

const UNITS: Readonly<Record<string, number>> = { b: 1, KiB: 1024, k: 1024, MiB: 2 ** 20, M: 2 ** 20, GiB: 2 ** 30, G: 2 ** 30 };

function memoryOf(xml: string): number {
  const m = /<memory(?:\s+unit=['"](\w+)['"])?>\s*(\d+)/.exec(xml);
  return m ? Number(m[2]) * (UNITS[m[1] ?? 'KiB'] ?? 0) : 0;
}

function stateOf({ kvm, status }: Guest): string {
  if (!kvm) return 'shut off';
  if (kvm.vm?.broken) return 'crashed';
  const known = /^<domstatus state='(\w+)'/.exec(status)?.[1];
  return kvm.debug.held ? 'paused' : (known ?? 'running');
}

/** "64-bit, ring 3", "HLT" when it sleeps. */
export function modeOf(vm: Vm): string {
  const long = (guestControl(vm, 'efer') & 0x400n) !== 0n;
  const code = guestSegment(vm, 'cs').rights;
  const ring = guestPrivilege(vm);
  const mode = long ? (code & 0x2000 ? '64-bit' : 'compatibility') : (guestControl(vm, 'cr0') & 1n) !== 0n ? 'protected' : 'real';
  return `${mode}, ring ${ring}${vm.halted ? ', HLT' : ''}`;
}
