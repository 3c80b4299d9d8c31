/**
 * KVM as a driver of the modelled kernel: /dev/kvm, and the debugger that a person attaches to a VM from outside. The only
 * place where the kernel and the hypervisor are both named. The rest is in the folder of the same name.
 */
import type { Kernel } from '../records.ts';
import { endStretch } from '../sched.ts';
import { wake } from '../wait.ts';
import { systemOps } from './kvm/descriptors.ts';
import { channelOf, type Door, type KvmState, vmByName } from './kvm/state.ts';
import { defineKvmPoints } from './kvm/trace.ts';

export { type KvmState, type KvmVm, kvmOf, vmByName } from './kvm/state.ts';

export type DebugCommand = 'pause' | 'resume' | 'step' | 'step-exit';

/**
 * Who runs guests here, by device node: KVM; a monitor as VMware's before VT-x; a hypervisor for guests that know it, as
 * Xen's; and a bench with a physical machine of its own. They take the requests of KVM; what they do with the processor differs.
 */
const DOORS: Readonly<Record<string, Door>> = {
  'c10:232': { name: 'kvm', techniques: ['vmx-ept', 'vmx-shadow'] },
  'c10:165': { name: 'vmmon', techniques: ['binary-translation', 'trap-and-emulate'] },
  'c10:60': { name: 'privcmd', techniques: ['paravirt'] },
  'c10:61': { name: 'bench', techniques: ['native'] },
};

/** Registers the devices. `module` is the processor's. */
export function installKvm(kernel: Kernel, module: WebAssembly.Module): void {
  kernel.drivers.set('kvm', { module, vms: new Map(), ended: [], measured: new Map(), nextId: 1 } satisfies KvmState);
  defineKvmPoints(kernel);
  for (const [number, door] of Object.entries(DOORS)) kernel.devices.set(number, () => ({ ops: systemOps, data: door }));
}

/**
 * What the debugger asks of a running VM. Its vCPU thread acts on it when the host's scheduler next lets it run, so a step
 * takes simulated time like any other running. Stepping a VM that runs pauses it first.
 */
export function debugVm(kernel: Kernel, name: string, command: DebugCommand): void {
  const one = vmByName(kernel, name);
  if (!one) return;
  const { debug } = one;
  debug.held = command !== 'resume';
  if (command === 'step' || command === 'step-exit') debug.wishes.push(command);
  else debug.wishes.length = 0;
  wake(kernel, channelOf(one));
  if (one.vcpu?.task) endStretch(kernel, one.vcpu.task);
}
