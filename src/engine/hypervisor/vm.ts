/**
 * A virtual machine as the rest of the house sees it: one processor in `cpu.wasm` with its host-physical memory, run
 * under a technique for a budget of time at a time. `kernel/drivers/kvm` drives it; views read its records.
 * What it cannot answer itself comes back as a `VmExit`, exactly as KVM_RUN returns with an exit reason.
 *
 * Host-physical memory is this VM's alone: frames are handed out in order to the guest's pages when they are first used and
 * to EPT tables between them, so a guest-physical address and the frame behind it differ, as on a real host.
 * Source: Linux Documentation/virt/kvm/api.rst (kvm_run), SDM 3C 25-28.
 */
import type { Irqchip } from '../machine/devices/irqchip.ts';
import type { Machine } from '../machine/machine.ts';
import { HOST_MAX } from '../../cpu/layout.ts';
import type { CostProfile } from './costs.ts';
import type { ExitReason } from './exits.ts';

/** Why `runVm` came back. */
export type VmExit =
  /** The budget is spent; run again. */
  | { reason: 'budget' }
  /** Port I/O for user space: finish an `in` with `completeIo` before running again. */
  | { reason: 'io'; direction: 'in' | 'out'; port: number; size: 1 | 2 | 4; value: number }
  /** A guest page without a frame: charge one, `backPage`, run again. */
  | { reason: 'page'; gpa: number }
  /** Nobody has memory there and no device is modelled. */
  | { reason: 'mmio'; gpa: bigint; qualification: bigint }
  /** HLT and nothing pending; run again when a timer or interrupt is due. */
  | { reason: 'hlt' }
  /** Triple fault. */
  | { reason: 'shutdown' }
  /** VM entry refused. */
  | { reason: 'fail-entry'; hardware: number }
  /** An exit that nobody handles. */
  | { reason: 'internal-error'; text: string }
  /** The debugger's step is done. */
  | { reason: 'debug' };

export interface VmOptions {
  name: string;
  technique: 'vmx-ept';
  /** Bytes of guest memory, for the size of the host's. */
  memoryBytes: number;
  /** Tags its translations; not 0. */
  vpid: number;
  ghz: number;
  /** ns, now. */
  now: number;
}

export interface Slot {
  gpa: number;
  bytes: number;
  userspace: number;
}

export interface ExitCount {
  count: number;
  cycles: number;
  lastQualification: bigint;
  lastRip: bigint;
}

/** One exit as it happened. */
export interface ExitRecord {
  n: number;
  /** ns. */
  t: number;
  reason: number;
  qualification: bigint;
  gpa: bigint | null;
  rip: bigint;
  cycles: number;
}

export interface Ept {
  root: number;
  pointer: bigint;
  tables: number;
}

export interface Vm {
  name: string;
  technique: VmOptions['technique'];
  machine: Machine;
  costs: CostProfile;
  ghz: number;
  vpid: number;
  chip: Irqchip;
  slots: Map<number, Slot>;
  /** Guest frame number to the host-physical address of its frame. */
  frames: Map<number, number>;
  nextFrame: number;
  ept: Ept;
  /** An event to be delivered at the next entry: interruption information, error code, instruction length. */
  event: { info: number; error: number; length: number } | null;
  halted: boolean;
  /** A port read that waits for its value; an element of INS goes to memory at `linear`. */
  io: { size: 1 | 2 | 4; string: boolean; linear: bigint } | null;
  exits: Map<ExitReason, ExitCount>;
  /** The newest, at most LOG of them. */
  log: ExitRecord[];
  exitsEver: number;
  /** Bytes sent to COM1, ever; the divisor latch is open. */
  serial: { bytes: number; latch: boolean };
  /** When the stretch began in which the newest page walk was recorded, and its cycles then: dates the walk. */
  walked: { ns: number; cycles: bigint; walks: bigint };
  /** Broken beyond running: why. */
  broken: string | null;
}

export const LOG = 200;
const PAGE = 4096;

/** Host memory that a guest of this size can come to need: its pages, a table for every 2 MiB, and the bitmaps. */
export function hostBytes(memoryBytes: number): number {
  const pages = Math.ceil(memoryBytes / PAGE);
  return (pages + Math.ceil(pages / 512) + 16) * PAGE;
}

export const MEMORY_MAX = HOST_MAX;

/** Takes the next host frame, zeroed; null when the machine has none left. */
export function takeFrame(vm: Vm): number | null {
  if (vm.nextFrame + PAGE > vm.machine.memory.length) return null;
  const hpa = vm.nextFrame;
  vm.nextFrame += PAGE;
  return hpa;
}
