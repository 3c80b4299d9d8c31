/**
 * A virtual machine as the rest of the house sees it: one processor in `cpu.wasm` with its host-physical memory, run
 * under a technique for a budget of cycles at a time. `kernel/drivers/kvm` drives it; views read its records.
 * What needs user space comes back as a `UserExit`, exactly as KVM_RUN returns with an exit reason.
 * Source: Linux Documentation/virt/kvm/api.rst (kvm_run), SDM 3C 25-28.
 */

/** Why `runVm` came back. */
export type UserExit =
  /** The budget is spent; run again. */
  | { reason: 'budget' }
  /** Port I/O for user space: finish an `in` with `completeIo` before running again. */
  | { reason: 'io'; direction: 'in' | 'out'; port: number; size: 1 | 2 | 4; value: number }
  | { reason: 'mmio'; write: boolean; gpa: bigint; size: 1 | 2 | 4 | 8; value: bigint }
  /** HLT with interrupts on and nothing pending; run again when a timer or interrupt is due. */
  | { reason: 'hlt' }
  /** Triple fault. */
  | { reason: 'shutdown' }
  /** VM entry refused. */
  | { reason: 'fail-entry'; hardware: number }
  /** An exit that nobody handles. */
  | { reason: 'internal-error'; text: string }
  /** The debugger holds the processor. */
  | { reason: 'debug' };

export interface VmOptions {
  name: string;
  memoryBytes: number;
  technique: 'vmx-ept';
}
