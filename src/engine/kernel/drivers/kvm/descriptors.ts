/**
 * The three kinds of descriptor of KVM: the system's (/dev/kvm), a VM's and a vCPU's, and their requests. A VM lives until
 * the last descriptor on it or its vCPU is closed. Who may open /dev/kvm is the node's permission bits (root and group kvm).
 * Source: Linux Documentation/virt/kvm/api.rst. Left out: more than one vCPU, memory slots over one another, everything that
 * is not named in uapi.ts (ENOTTY).
 */
import { type CostName, COSTS } from '../../../hypervisor/costs.ts';
import { createVm } from '../../../hypervisor/create.ts';
import { backPage, hostAddress, readGuest, slotOf, writeGuest } from '../../../hypervisor/memory/frames.ts';
import {
  clearInterruptibility, GUEST_SEGMENTS, guestControl, guestRegister, guestSegment, guestTable, setGuestControl, setGuestRegister, setGuestSegment, setGuestTable,
} from '../../../hypervisor/state.ts';
import { FIGURES, keyOf, lastReported } from '../../../hypervisor/papers.ts';
import { TECHNIQUES } from '../../../hypervisor/technique.ts';
import { MEMORY_MAX, type Vm } from '../../../hypervisor/vm.ts';
import { createIrqchip, setIrqLine } from '../../../machine/devices/irqchip.ts';
import { instructions } from '../../../machine/machine.ts';
import { record } from '../../../sim/trace.ts';
import { PAGE } from '../../../sim/units.ts';
import { O_CLOEXEC, O_RDWR, SysError } from '../../abi.ts';
import type { Kernel, Task } from '../../records.ts';
import { install, makeFile } from '../../vfs/descriptors.ts';
import { createSuperBlock, makeInode } from '../../vfs/inode.ts';
import type { File, FileOps, MayBlock, SuperBlock } from '../../vfs/types.ts';
import { AGAIN, GONE, wake } from '../../wait.ts';
import { startDebug } from './debug.ts';
import { actKept, beginOf, cutHistory, endOf, keepHistory } from './history.ts';
import { travel } from './reverse.ts';
import { channelOf, type Door, ENDED, ENDED_WHOLE, type KvmVm, kvmOf, machineOf, type Vcpu } from './state.ts';
import * as u from './uapi.ts';
import { runVcpu, touchGuest } from './vcpu.ts';

export const systemOps: FileOps = {
  ioctl(kernel, task, file, request, arg) {
    switch (request) {
      case u.KVM_GET_API_VERSION: return u.KVM_API_VERSION;
      case u.KVM_GET_VCPU_MMAP_SIZE: return 3 * PAGE;
      case u.KVM_CHECK_EXTENSION: return extension(Number(arg));
      case u.KVM_CREATE_VM: return createDescriptor(kernel, task, vmOps, newVm(kernel, task, file.data as Door, typeof arg === 'object' && arg !== null ? (arg as u.VmType) : {}));
      default: throw new SysError('ENOTTY');
    }
  },
};

function extension(capability: number): number {
  switch (capability) {
    case u.KVM_CAP_NR_VCPUS: return 1;
    case u.KVM_CAP_NR_MEMSLOTS: return 8;
    case u.KVM_CAP_IRQCHIP:
    case u.KVM_CAP_HLT:
    case u.KVM_CAP_USER_MEMORY:
    case u.KVM_CAP_PIT2:
    case u.KVM_CAP_IMMEDIATE_EXIT: return 1;
    default: return 0;
  }
}

function newVm(kernel: Kernel, task: Task, door: Door, type: u.VmType): KvmVm {
  const technique = type.technique === undefined ? door.techniques[0] : door.techniques.find((name) => name === type.technique);
  const costs = type.generation ?? 'default';
  if (!technique || !TECHNIQUES[technique] || !Object.hasOwn(COSTS, costs)) throw new SysError('EINVAL');
  const kvm = kvmOf(kernel);
  const id = kvm.nextId++;
  const one: KvmVm = {
    id, technique, costs: costs as CostName, name: nameOf(task), workload: workloadOf(task), pid: task.tgid, descriptors: 1, vm: null, irqchip: false, vcpu: null, debug: { held: false, wishes: [] }, told: new Map(), traced: { exit: null, given: null }, debugged: null, stopped: null, history: null, startedAt: kernel.timeline.now, past: null,
  };
  kvm.vms.set(id, one);
  record(kernel.trace, 'hypervisor', kernel.name, 'vm.create', { vm: one.name, pid: task.tgid });
  return one;
}

/** "-name guest=tiny,…", "-name tiny", or the process. */
function nameOf(task: Task): string {
  const at = task.argv.indexOf('-name');
  const value = at < 0 ? '' : (task.argv[at + 1] ?? '');
  const guest = value.split(',').find((part) => part.startsWith('guest='));
  return (guest ? guest.slice(6) : value.split(',')[0]!) || `${task.comm}-${task.tgid}`;
}

function workloadOf(task: Task): string {
  const after = (option: string): string => {
    const at = task.argv.indexOf(option);
    return at < 0 ? '' : (task.argv[at + 1] ?? '');
  };
  return `${after('-kernel').split('/').at(-1)} ${after('-append')}`.trim();
}

/** An anonymous inode, as every descriptor of KVM's has. */
function createDescriptor(kernel: Kernel, task: Task, ops: FileOps, data: unknown): number {
  let sb = kernel.drivers.get('kvmfs') as SuperBlock | undefined;
  if (!sb) {
    sb = createSuperBlock(kernel, 'anon_inodefs', 'anon_inodefs', { lookup: () => null, readdir: () => [], open: () => ({ ops: {}, data: null }) });
    kernel.drivers.set('kvmfs', sb);
  }
  return install(task, makeFile(null, makeInode(kernel, sb, 'file', 0o600, null), ops, O_RDWR | O_CLOEXEC, data), true);
}

const vmIn = (file: File): KvmVm => file.data as KvmVm;

/** One descriptor less on a VM or its vCPU; the last one ends it. */
function letGo(kernel: Kernel, one: KvmVm): void {
  if (--one.descriptors > 0) return;
  kvmOf(kernel).vms.delete(one.id);
  bury(kernel, one);
  record(kernel.trace, 'hypervisor', kernel.name, 'vm.shutdown', { vm: one.name, exits: one.vm?.exitsEver ?? 0 });
}

/** A VM that is over stays to be looked at, until enough others have ended. */
function bury(kernel: Kernel, one: KvmVm): void {
  const { vm } = one;
  if (!vm) return;
  const { ended, measured } = kvmOf(kernel);
  for (const figure of FIGURES) {
    const cycles = figure.technique === one.technique && figure.profile === vm.costs.name ? lastReported(figure, vm.ledger.said) : null;
    if (cycles !== null) measured.set(keyOf(figure), cycles);
  }
  one.past = { at: kernel.timeline.now, ledger: vm.ledger, costs: vm.costs, ghz: vm.ghz, instructions: Number(instructions(vm.machine)), broken: vm.broken };
  one.vcpu = null;
  ended.push(one);
  if (ended.length > ENDED) ended.shift();
  const oldest = ended[ended.length - 1 - ENDED_WHOLE];
  if (oldest) oldest.vm = null;
}

const vmOps: FileOps = {
  ioctl(kernel, task, file, request, arg) {
    const one = vmIn(file);
    switch (request) {
      case u.KVM_CHECK_EXTENSION: return extension(Number(arg));
      case u.KVM_SET_TSS_ADDR:
      case u.KVM_CREATE_PIT2: return 0;
      case u.KVM_CREATE_IRQCHIP:
        if (one.irqchip) throw new SysError('EEXIST');
        one.irqchip = true;
        return 0;
      case u.KVM_SET_IRQCHIP:
        if (!one.irqchip) throw new SysError('ENXIO');
        cutHistory(one);
        actKept(one, machineOf(one), (vm) => Object.assign(vm.chip, createIrqchip()));
        return 0;
      case u.KVM_SET_USER_MEMORY_REGION: return setRegion(kernel, one, arg as u.MemoryRegion);
      case u.KVM_CREATE_VCPU: return createVcpu(kernel, task, one, Number(arg));
      case u.KVM_IRQ_LINE: return setIrq(kernel, one, arg as { irq: number; level: number });
      default: throw new SysError('ENOTTY');
    }
  },
  read: (_kernel, _task, file, count, offset) => readGuest(machineOf(vmIn(file)), offset, count),
  write: storeGuest,
  release: (kernel, file) => letGo(kernel, vmIn(file)),
};

function setRegion(kernel: Kernel, one: KvmVm, region: u.MemoryRegion): number {
  const { slot, guestPhysAddr, memorySize, userspaceAddr } = region;
  if (guestPhysAddr % PAGE !== 0 || memorySize % PAGE !== 0 || userspaceAddr % PAGE !== 0) throw new SysError('EINVAL');
  if (memorySize === 0) {
    if (!one.vm?.slots.delete(slot)) throw new SysError('EINVAL');
    return 0;
  }
  if (memorySize > MEMORY_MAX) throw new SysError('ENOMEM');
  one.vm ??= makeVm(kernel, one, memorySize);
  for (const [n, other] of one.vm.slots) {
    if (n !== slot && guestPhysAddr < other.gpa + other.bytes && other.gpa < guestPhysAddr + memorySize) throw new SysError('EEXIST');
  }
  one.vm.slots.set(slot, { gpa: guestPhysAddr, bytes: memorySize, userspace: userspaceAddr });
  return 0;
}

/** Throws ENOMEM when the memory of a processor cannot be had from whoever runs this model. */
function makeVm(kernel: Kernel, one: KvmVm, memoryBytes: number): Vm {
  try {
    return createVm(kvmOf(kernel).module, { name: one.name, technique: one.technique, costs: one.costs, hugePages: kernel.hugePages === 'always', memoryBytes, vpid: ((one.id - 1) % 0xffff) + 1, ghz: kernel.ghz, now: kernel.timeline.now });
  } catch (error) {
    if (error instanceof RangeError) throw new SysError('ENOMEM');
    throw error;
  }
}

function createVcpu(kernel: Kernel, task: Task, one: KvmVm, id: number): number {
  if (one.vcpu) throw new SysError(id === 0 ? 'EEXIST' : 'EINVAL');
  if (id !== 0) throw new SysError('EINVAL');
  const vcpu: Vcpu = { task: null, kicked: false, faulting: null, inside: false };
  one.vcpu = vcpu;
  one.descriptors++;
  return createDescriptor(kernel, task, vcpuOps, { one, vcpu });
}

function setIrq(kernel: Kernel, one: KvmVm, { irq, level }: { irq: number; level: number }): number {
  if (!one.irqchip || irq < 0 || irq > 15) throw new SysError(one.irqchip ? 'EINVAL' : 'ENXIO');
  actKept(one, machineOf(one), (vm) => setIrqLine(vm.chip, irq, level !== 0));
  wake(kernel, channelOf(one));
  return 0;
}

/** A store of the program into guest memory: the pages are touched as its mapping's, then hold the bytes. */
function storeGuest(kernel: Kernel, task: Task, file: File, data: Uint8Array, offset: number): MayBlock<number> {
  const one = vmIn(file);
  const vm = machineOf(one);
  cutHistory(one);
  for (let gpa = Math.floor(offset / PAGE) * PAGE; gpa < offset + data.length; gpa += PAGE) {
    if (!slotOf(vm, gpa)) throw new SysError('EFAULT');
    if (hostAddress(vm, gpa) !== null) continue;
    const touched = touchGuest(kernel, task, vm, gpa);
    if (touched === 'more') return AGAIN as unknown as number;
    if (touched === 'dead') return GONE as unknown as number;
    let backed = false;
    actKept(one, vm, () => {
      backed = backPage(vm, gpa);
    });
    if (!backed) throw new SysError('ENOMEM');
  }
  const bytes = data.slice();
  actKept(one, vm, () => writeGuest(vm, offset, bytes));
  return data.length;
}

// ---- a vCPU

const vcpuIn = (file: File): { one: KvmVm; vcpu: Vcpu } => file.data as { one: KvmVm; vcpu: Vcpu };

const vcpuOps: FileOps = {
  ioctl(kernel, task, file, request, arg) {
    const { one, vcpu } = vcpuIn(file);
    switch (request) {
      case u.KVM_RUN: return runVcpu(kernel, task, one, vcpu, (arg ?? {}) as u.RunArgument);
      case u.KVM_IMMEDIATE_EXIT:
        vcpu.kicked = true;
        wake(kernel, channelOf(one));
        return 0;
      case u.KVM_SET_GUEST_DEBUG:
        one.debugged = startDebug(machineOf(one), arg as u.GuestDebug);
        one.stopped = null;
        return 0;
      case u.KVM_GET_REGS: return getRegs(machineOf(one));
      case u.KVM_SET_REGS: return changed(one, (vm) => setRegs(vm, arg as u.Regs));
      case u.KVM_GET_SREGS: return getSregs(machineOf(one));
      case u.KVM_SET_SREGS: return changed(one, (vm) => setSregs(vm, arg as u.Sregs));
      case u.KVM_SET_HISTORY:
        keepHistory(one, machineOf(one), arg === 1);
        return 0;
      case u.KVM_GET_HISTORY: return one.history ? { from: beginOf(one.history), to: endOf(one.history), at: one.history.past } satisfies u.HistoryState : refuse('ENXIO');
      case u.KVM_GO_BACK: return one.history ? travel(one, machineOf(one), arg as u.GuestDebug, 'back') : refuse('ENXIO');
      default: throw new SysError('ENOTTY');
    }
  },
  release: (kernel, file) => letGo(kernel, vcpuIn(file).one),
};

function refuse(errno: ConstructorParameters<typeof SysError>[0]): never {
  throw new SysError(errno);
}

function changed(one: KvmVm, act: (vm: Vm) => 0): 0 {
  cutHistory(one);
  actKept(one, machineOf(one), act);
  return 0;
}

function getRegs(vm: Vm): u.Regs {
  return Object.fromEntries(u.REGISTERS.map((name) => [name, guestRegister(vm, name)])) as u.Regs;
}

function setRegs(vm: Vm, regs: u.Regs): 0 {
  for (const name of u.REGISTERS) setGuestRegister(vm, name, regs[name]);
  vm.event = null;
  return 0;
}

function getSregs(vm: Vm): u.Sregs {
  return {
    segments: Object.fromEntries(GUEST_SEGMENTS.map((name) => [name, guestSegment(vm, name)])) as u.Sregs['segments'],
    gdt: guestTable(vm, 'gdt'),
    idt: guestTable(vm, 'idt'),
    cr0: guestControl(vm, 'cr0'), cr2: guestControl(vm, 'cr2'), cr3: guestControl(vm, 'cr3'), cr4: guestControl(vm, 'cr4'), efer: guestControl(vm, 'efer'), halted: vm.halted,
  };
}

function setSregs(vm: Vm, sregs: u.Sregs): 0 {
  for (const name of ['efer', 'cr0', 'cr2', 'cr3', 'cr4'] as const) setGuestControl(vm, name, sregs[name]);
  for (const name of GUEST_SEGMENTS) setGuestSegment(vm, name, sregs.segments[name]);
  for (const name of ['gdt', 'idt'] as const) setGuestTable(vm, name, sregs[name]);
  clearInterruptibility(vm);
  vm.halted = sregs.halted;
  return 0;
}
