/**
 * A virtual machine as the rest of the house sees it: one processor in `cpu.wasm` with its host-physical memory, run
 * under a technique (technique.ts) for a budget of time at a time. `kernel/drivers/kvm` drives it; views read its records.
 * What it cannot answer itself comes back as a `VmExit`, exactly as KVM_RUN returns with an exit reason.
 *
 * Host-physical memory is this VM's alone: frames are handed out in order to the guest's pages when they are first used and
 * to EPT tables between them, so a guest-physical address and the frame behind it differ, as on a real host.
 * Source: Linux Documentation/virt/kvm/api.rst (kvm_run), SDM 3C 25-28.
 */
import type { DeviceAccess, NamedPage, Try } from '../machine/device-access.ts';
import type { Irqchip } from '../machine/devices/irqchip.ts';
import type { Machine, Stop } from '../machine/machine.ts';
import { HOST_MAX } from '../../cpu/layout.ts';
import type { CostName, CostProfile } from './costs.ts';
import type { VmEvent } from './events.ts';
import type { ExitReason } from './exits.ts';
import type { Ledger, Place } from './ledger.ts';
import type { Shadow } from './memory/shadow-types.ts';

/** Why `runVm` came back. */
export type VmExit =
  /** The budget is spent; run again. */
  | { reason: 'budget' }
  /** Port I/O for user space: finish an `in` with `completeIo` before running again. */
  | { reason: 'io'; direction: 'in' | 'out'; port: number; size: 1 | 2 | 4; value: number }
  /** A guest page without a frame: charge one, `backPage`, run again. */
  | { reason: 'page'; gpa: number }
  /** An access to where the guest has no memory: `completeMmio` before running again, with the value of a read. */
  | { reason: 'mmio'; direction: 'read' | 'write'; gpa: number; size: number; value: bigint }
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

export const TECHNIQUE_NAMES = ['native', 'trap-and-emulate', 'binary-translation', 'paravirt', 'vmx-shadow', 'vmx-ept'] as const;
export type TechniqueName = (typeof TECHNIQUE_NAMES)[number];

export interface VmOptions {
  name: string;
  technique: TechniqueName;
  costs?: CostName;
  /** Bytes of guest memory, for the size of the host's. */
  memoryBytes: number;
  /** The host backs guest memory by pages of 2 MiB where a slot holds one wholly. */
  hugePages?: boolean;
  /** Tags its translations; not 0. */
  vpid: number;
  ghz: number;
  /** ns, now. */
  now: number;
}

export type ControlName = 'cr0' | 'cr2' | 'cr3' | 'cr4' | 'efer';
export type SegmentName = 'es' | 'cs' | 'ss' | 'ds' | 'fs' | 'gs' | 'ldt' | 'tr';
export type TableName = 'gdt' | 'idt';

export interface GuestSegment {
  selector: number;
  base: bigint;
  limit: number;
  /** As in a VMCS: 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable. */
  rights: number;
}

/** See state.ts, which is how everybody asks. */
export interface GuestState {
  register(vm: Vm, name: string): bigint;
  setRegister(vm: Vm, name: string, value: bigint): void;
  control(vm: Vm, name: ControlName): bigint;
  setControl(vm: Vm, name: ControlName, value: bigint): void;
  segment(vm: Vm, name: SegmentName): GuestSegment;
  setSegment(vm: Vm, name: SegmentName, value: GuestSegment): void;
  table(vm: Vm, name: TableName): { base: bigint; limit: number };
  setTable(vm: Vm, name: TableName, value: { base: bigint; limit: number }): void;
  clearInterruptibility(vm: Vm): void;
}

/** What one answer of the hypervisor cost. */
export interface Answer {
  /** Null: the guest goes on. */
  exit: VmExit | null;
  /** Cycles in the hypervisor and, when a program must answer, for the way there and back. */
  monitor: number;
  program: number;
  /** What it was, for the ledger; empty: nothing happened that has a name. */
  event: string;
  /** The guest's instruction that it belongs to, where rip was not the guest's. */
  at?: bigint;
  /** Its particulars in words, asked for when it is one of those that are kept. */
  detail?: () => string;
  /** The instruction that a step was meant for is done (a missing page is not). */
  stepped: boolean;
}

/** How the guest's instructions are run. The loop that calls these is cpu/run.ts. */
export interface CpuWay {
  init(vm: Vm, now: number): void;
  state: GuestState;
  /** Interrupts can be delivered now. */
  open(vm: Vm): boolean;
  /** Before the guest runs: a waiting event, or the interrupt that `ready` announces (`takeVector`), reaches it; TSC at `now` ns. */
  deliver(vm: Vm, ready: boolean, now: number): void;
  /** Runs at most so many cycles (one instruction when `single`). Afterwards the guest is out. */
  stretch(vm: Vm, cycles: number, single: boolean): Stop;
  /** The end of a budget is only the model's: what must be kept for going on. */
  pause(vm: Vm): void;
  /** Why the stretch ended is dealt with. `now` in ns. */
  answer(vm: Vm, stop: Stop, now: number): Answer;
  /** Without an event: the instruction where the guest stands is tried with these answers of devices; `accesses`: it is done. The guest is out afterwards. */
  tryOne(vm: Vm, given: readonly bigint[], pages: readonly NamedPage[]): Try;
  /** CR8, 0 to 15. */
  priority: { get(vm: Vm): number; set(vm: Vm, value: number): void };
  /** The value that a port gave to an \`in\`. */
  completeIo(vm: Vm, value: number): void;
  /** Where the stretch that has ended ran. */
  place(vm: Vm): Place;
  /** The guest's instruction behind an instruction pointer of the processor's; null: it stands within one. Without it both are the same. */
  inside?(vm: Vm, rip: bigint): bigint | null;
  /** The host's own timer interrupts take the guest out; not on a bare machine. */
  hostTick: boolean;
}

/** How the guest's physical memory becomes reachable for it. */
export interface MemoryWay {
  init(vm: Vm): void;
  /** Host-physical address of a guest frame, or null: it has none yet. */
  frame(vm: Vm, gfn: number): number | null;
  /** Gives it one; false: the host has none left. */
  back(vm: Vm, gfn: number): boolean;
  /** After a fault of the host's on `gpa`: enters the backed page where that is the hypervisor's duty; false: no frame for a table. */
  map(vm: Vm, gpa: number): boolean;
  /** Somebody other than the guest stored into guest memory. */
  written(vm: Vm, gpa: number, length: number): void;
}

export interface Way {
  cpu: CpuWay;
  memory: MemoryWay;
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
}

export interface Vm {
  name: string;
  technique: TechniqueName;
  way: Way;
  machine: Machine;
  costs: CostProfile;
  ghz: number;
  vpid: number;
  chip: Irqchip;
  slots: Map<number, Slot>;
  /** Guest frame number to the host-physical address of its frame. */
  frames: Map<number, number>;
  nextFrame: number;
  /** Frames of 2 MiB are handed out from the top, down to here. */
  topFrame: number;
  hugePages: boolean;
  /** Frames that hold the hypervisor's own page tables. */
  tables: number;
  ept: Ept | null;
  /** Shadow page tables, under the techniques that keep them. */
  shadow: Shadow | null;
  /** An event to be delivered at the next entry: interruption information, error code, instruction length. */
  event: { info: number; error: number; length: number } | null;
  halted: boolean;
  /** A port read that waits for its value; an element of INS goes to memory at `linear`. */
  io: { size: 1 | 2 | 4; string: boolean; linear: bigint } | null;
  /** An instruction on devices that waits for the program: where its pages are, what was answered, what it has stored. */
  device: { pages: NamedPage[]; given: bigint[]; want: DeviceAccess | null; stores: DeviceAccess[]; otherwise: (stop: Stop, now: number) => VmExit | null } | null;
  exits: Map<ExitReason, ExitCount>;
  /** The newest, at most LOG of them. */
  log: ExitRecord[];
  exitsEver: number;
  ledger: Ledger;
  /** What the technique keeps for itself. */
  own: unknown;
  /** In the guest as far as anybody outside can tell: no exit since the last entry. */
  entered: boolean;
  /** Entries and exits of this run, when somebody traces. */
  events: VmEvent[] | null;
  /** Bytes sent to COM1, ever; the divisor latch is open. */
  serial: { bytes: number; latch: boolean };
  /** When the stretch began in which the newest page walk was recorded, and its cycles then: dates the walk. */
  walked: { ns: number; cycles: bigint; walks: bigint };
  /** Broken beyond running: why. */
  broken: string | null;
}

export const LOG = 200;
const PAGE = 4096;

/** Host memory that a guest of this size can come to need: its pages, tables for every 2 MiB or shadow pages to their limit, and what is the hypervisor's own. */
export function hostBytes(memoryBytes: number): number {
  const pages = Math.ceil(memoryBytes / PAGE);
  return (pages + Math.max(4 * Math.ceil(pages / 512), Math.ceil(pages / 45)) + 768) * PAGE;
}

export const MEMORY_MAX = HOST_MAX;

/** Takes the next host frame, zeroed; null when the machine has none left. */
export function takeFrame(vm: Vm): number | null {
  if (vm.nextFrame + PAGE > vm.topFrame) return null;
  const hpa = vm.nextFrame;
  vm.nextFrame += PAGE;
  return hpa;
}

export const HUGE = 2 ** 21;

/** Takes 2 MiB of host memory, aligned; null when there is not so much. */
export function takeHugeFrame(vm: Vm): number | null {
  const hpa = Math.floor(vm.topFrame / HUGE) * HUGE - HUGE;
  if (hpa < vm.nextFrame) return null;
  vm.topFrame = hpa;
  return hpa;
}
