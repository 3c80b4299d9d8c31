/**
 * VM entries and exits, and accesses to devices in memory, one by one, for those who trace: kept only while `vm.events` is an array, and taken from there by the
 * driver of the kernel after each run. The general registers go along because what a port or an MSR gave is in them.
 */
export interface VmEntered {
  kind: 'entry';
  /** ns. */
  t: number;
  rip: bigint;
  interruption: number;
  error: number;
  rax: bigint;
  rdx: bigint;
}

export interface VmExited {
  kind: 'exit';
  t: number;
  /** The whole exit-reason field. */
  reason: number;
  rip: bigint;
  qualification: bigint;
  vectoring: number;
  interruption: number;
  error: number;
  rax: bigint;
  rcx: bigint;
  rdx: bigint;
}

/** An access to a device in memory: 'unsatisfied' when the program is asked, 'read' when there is a value. */
export interface VmDevice {
  kind: 'mmio';
  t: number;
  rip: bigint;
  access: 'unsatisfied-read' | 'read' | 'write';
  gpa: number;
  length: number;
  value: bigint;
}

export type VmEvent = VmEntered | VmExited | VmDevice;
