/**
 * KVM as a driver of the modelled kernel: /dev/kvm, and the debugger that a person attaches to a VM from outside. The only
 * place where the kernel and the hypervisor are both named. The rest is in the folder of the same name.
 */
import type { Kernel } from '../records.ts';
import { endStretch } from '../sched.ts';
import { wake } from '../wait.ts';
import { systemOps } from './kvm/descriptors.ts';
import { channelOf, type KvmState, vmByName } from './kvm/state.ts';

export { type KvmState, type KvmVm, kvmOf, vmByName } from './kvm/state.ts';

export type DebugCommand = 'pause' | 'resume' | 'step' | 'step-exit';

/** Registers /dev/kvm. `module` is the processor's. */
export function installKvm(kernel: Kernel, module: WebAssembly.Module): void {
  kernel.drivers.set('kvm', { module, vms: new Map(), nextId: 1 } satisfies KvmState);
  kernel.devices.set('c10:232', () => ({ ops: systemOps, data: null }));
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
