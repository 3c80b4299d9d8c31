/**
 * VM entries and exits one by one, for those who trace: kept only while `vm.events` is an array, and taken from there by the
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

export type VmEvent = VmEntered | VmExited;
