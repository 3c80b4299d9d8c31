/**
 * What /dev/kvm keeps: one record a VM, kept by its open descriptors, with its one vCPU. A VM has no name of its own; the
 * one it is shown by is what its program was told with -name.
 */
import type { CostName, CostProfile } from '../../../hypervisor/costs.ts';
import type { VmExited } from '../../../hypervisor/events.ts';
import type { Ledger } from '../../../hypervisor/ledger.ts';
import type { TechniqueName, Vm } from '../../../hypervisor/vm.ts';
import type { Debugged } from './debug.ts';
import type { History } from './history.ts';
import type { DebugStop } from './uapi.ts';
import type { Kernel, Task } from '../../records.ts';
import { SysError } from '../../abi.ts';

export interface KvmState {
  module: WebAssembly.Module;
  vms: Map<number, KvmVm>;
  /** VMs that are over, oldest first: the newest ENDED. Nothing of the modelled kernel reads them; pictures do. */
  ended: KvmVm[];
  /** Published figures that VMs which are over have measured again, cycles by keyOf of papers.ts: these outlive `ended`. */
  measured: Map<string, number>;
  nextId: number;
}

export interface Vcpu {
  /** The thread that has called KVM_RUN last. */
  task: Task | null;
  /** It leaves KVM_RUN with EINTR at the next chance. */
  kicked: boolean;
  /** A guest page that is being charged. */
  faulting: number | null;
  /** In KVM_RUN now: running, or asleep in HLT or under the debugger. */
  inside: boolean;
}

export interface Debugger {
  /** The vCPU waits for the debugger whenever it comes by. */
  held: boolean;
  /** Steps that were asked for and not taken yet. */
  wishes: ('step' | 'step-exit')[];
}

/** One of the devices that make virtual machines, with the techniques it offers; the first is what it takes when nothing is said. */
export interface Door {
  name: string;
  techniques: readonly TechniqueName[];
}

/** What is kept of a VM that is over. */
export interface Past {
  at: number;
  ledger: Ledger;
  costs: CostProfile;
  ghz: number;
  instructions: number;
  broken: string | null;
}

export interface KvmVm {
  id: number;
  technique: TechniqueName;
  costs: CostName;
  name: string;
  /** The image that its program was told to boot, and what it is to append: "nest.img fork 100 exit". */
  workload: string;
  pid: number;
  /** Open on it and on its vCPU. */
  descriptors: number;
  /** Made with the first memory slot, when it is known how large the guest is. */
  vm: Vm | null;
  irqchip: boolean;
  vcpu: Vcpu | null;
  debug: Debugger;
  /** Exit reasons seen, and how many of each when last told to the trace. */
  told: Map<number, number>;
  /** For the tracepoints: the exit that no entry has followed yet, and what a port gave to it. */
  traced: { exit: VmExited | null; given: number | null };
  /** Under KVM_SET_GUEST_DEBUG; and why it must stop once what it asked for is answered. */
  debugged: Debugged | null;
  stopped: DebugStop | null;
  /** What it has done, while a debugger wants to go back. */
  history: History | null;
  startedAt: number;
  /** Set when it has ended. Then `vm` is the machine as it stood, for the newest few, else null. */
  past: Past | null;
}

export const ENDED = 12;
/** Of these, so many with their machine. */
export const ENDED_WHOLE = 6;

export const kvmOf = (kernel: Kernel): KvmState => kernel.drivers.get('kvm') as KvmState;

/** The running VM of this name, the newest if there are several. */
export function vmByName(kernel: Kernel, name: string): KvmVm | null {
  const found = [...kvmOf(kernel).vms.values()].filter((one) => one.name === name);
  return found.at(-1) ?? null;
}

export const channelOf = (one: KvmVm): string => `kvm:${one.id}`;

export function machineOf(one: KvmVm): Vm {
  if (!one.vm) throw new SysError('EINVAL');
  return one.vm;
}
