/**
 * The VM-exit table: every basic exit reason, what it is called and who deals with it. One row a reason, exhaustive by
 * type: a reason without a row does not compile, and one that the processor should never give stops the VM with reason
 * and rip. Numbers: SDM 3D appendix C; names: Linux uapi/asm/vmx.h, as perf prints them ("—" there: the SDM's word).
 *
 * `who`: 'kernel' is answered here and the guest goes on (a light exit); 'user' returns to the program that called
 * KVM_RUN (a heavy one; I/O at ports that the kernel's own devices have is light all the same); 'inject' answers with #UD in the guest, as KVM does for VMX instructions of a guest without
 * nested VMX; 'stop' ends the VM.
 */
export type ExitReason =
  | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24 | 25 | 26 | 27 | 28 | 29
  | 30 | 31 | 32 | 33 | 34 | 36 | 37 | 39 | 40 | 41 | 43 | 44 | 45 | 46 | 47 | 48 | 49 | 50 | 51 | 52 | 53 | 54 | 55 | 56 | 57 | 58 | 59
  | 60 | 61 | 62 | 63 | 64 | 65 | 66 | 67 | 68 | 69 | 70 | 72 | 73 | 74;

export interface ExitRow {
  name: string;
  who: 'kernel' | 'user' | 'inject' | 'stop';
  /** The instruction is finished here, so rip moves past it. */
  skips: boolean;
  /** What exit qualification holds, as a formula for people; empty: nothing. */
  qualification: string;
}

const row = (name: string, who: ExitRow['who'], skips = false, qualification = ''): ExitRow => ({ name, who, skips, qualification });

export const EXITS: Readonly<Record<ExitReason, ExitRow>> = {
  0: row('EXCEPTION_NMI', 'kernel', false, 'of #PF: the address'),
  1: row('EXTERNAL_INTERRUPT', 'kernel'),
  2: row('TRIPLE_FAULT', 'user'),
  3: row('INIT_SIGNAL', 'stop'),
  4: row('SIPI_SIGNAL', 'stop', false, '7:0 vector'),
  5: row('IO_SMI', 'stop'),
  6: row('OTHER_SMI', 'stop'),
  7: row('INTERRUPT_WINDOW', 'kernel'),
  8: row('NMI_WINDOW', 'kernel'),
  9: row('TASK_SWITCH', 'stop', false, '15:0 selector, 31:30 source'),
  10: row('CPUID', 'kernel', true),
  11: row('GETSEC', 'inject'),
  12: row('HLT', 'kernel', true),
  13: row('INVD', 'kernel', true),
  14: row('INVLPG', 'kernel', true, 'linear address'),
  15: row('RDPMC', 'inject'),
  16: row('RDTSC', 'kernel', true),
  17: row('RSM', 'inject'),
  18: row('VMCALL', 'kernel', true),
  19: row('VMCLEAR', 'inject'),
  20: row('VMLAUNCH', 'inject'),
  21: row('VMPTRLD', 'inject'),
  22: row('VMPTRST', 'inject'),
  23: row('VMREAD', 'inject'),
  24: row('VMRESUME', 'inject'),
  25: row('VMWRITE', 'inject'),
  26: row('VMOFF', 'inject'),
  27: row('VMON', 'inject'),
  28: row('CR_ACCESS', 'kernel', true, '3:0 register, 5:4 type, 11:8 general register'),
  29: row('DR_ACCESS', 'kernel', true, '2:0 register, 4 from, 11:8 general register'),
  30: row('IO_INSTRUCTION', 'user', true, '2:0 size-1, 3 in, 4 string, 5 rep, 6 immediate, 31:16 port'),
  31: row('MSR_READ', 'kernel', true),
  32: row('MSR_WRITE', 'kernel', true),
  33: row('INVALID_STATE', 'stop'),
  34: row('MSR_LOAD_FAIL', 'stop', false, 'number of the entry'),
  36: row('MWAIT_INSTRUCTION', 'inject'),
  37: row('MONITOR_TRAP_FLAG', 'kernel'),
  39: row('MONITOR_INSTRUCTION', 'inject'),
  40: row('PAUSE_INSTRUCTION', 'kernel', true),
  41: row('MCE_DURING_VMENTRY', 'stop'),
  43: row('TPR_BELOW_THRESHOLD', 'kernel'),
  44: row('APIC_ACCESS', 'stop', false, '11:0 offset, 15:12 type'),
  45: row('EOI_INDUCED', 'kernel', false, 'vector'),
  46: row('GDTR_IDTR', 'stop', false, 'displacement'),
  47: row('LDTR_TR', 'stop', false, 'displacement'),
  48: row('EPT_VIOLATION', 'kernel', false, '0 read, 1 write, 2 fetch, 5:3 rights of the entries, 7 linear address valid, 8 final translation'),
  49: row('EPT_MISCONFIG', 'stop'),
  50: row('INVEPT', 'inject'),
  51: row('RDTSCP', 'kernel', true),
  52: row('PREEMPTION_TIMER', 'kernel'),
  53: row('INVVPID', 'inject'),
  54: row('WBINVD', 'kernel', true),
  55: row('XSETBV', 'inject'),
  56: row('APIC_WRITE', 'stop', false, '11:0 offset'),
  57: row('RDRAND', 'inject'),
  58: row('INVPCID', 'inject'),
  59: row('VMFUNC', 'inject'),
  60: row('ENCLS', 'inject'),
  61: row('RDSEED', 'inject'),
  62: row('PML_FULL', 'kernel'),
  63: row('XSAVES', 'inject'),
  64: row('XRSTORS', 'inject'),
  65: row('PCONFIG', 'inject'),
  66: row('SPP', 'stop'),
  67: row('UMWAIT', 'inject'),
  68: row('TPAUSE', 'inject'),
  69: row('LOADIWKEY', 'inject'),
  70: row('ENCLV', 'inject'),
  72: row('ENQCMD_PASID', 'stop'),
  73: row('ENQCMDS_PASID', 'stop'),
  74: row('BUS_LOCK', 'kernel'),
};

/** Bit 31 of the exit-reason field: the entry itself failed. */
export const ENTRY_FAILED = 0x80000000;

/** The row of an exit-reason field (bits 15:0 are the basic reason), or null for one the manual reserves. */
export function exitRow(field: number): ExitRow | null {
  return (EXITS as Readonly<Record<number, ExitRow>>)[field & 0xffff] ?? null;
}

/** "IO_INSTRUCTION"; a reserved number as "UNKNOWN(35)". */
export function exitName(field: number): string {
  return exitRow(field)?.name ?? `UNKNOWN(${field & 0xffff})`;
}

/** The exit qualification in words, for the reasons that have one (SDM 3C 28.2.1). */
export function explainQualification(field: number, q: bigint): string {
  const bits = (high: number, low: number): number => Number((q >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n));
  const on = (n: number): boolean => bits(n, n) === 1;
  switch (field & 0xffff) {
    case 28: return explainControl(bits(3, 0), bits(5, 4), bits(11, 8));
    case 29: return on(4) ? `mov ${GENERAL[bits(11, 8)]}, dr${bits(2, 0)}` : `mov dr${bits(2, 0)}, ${GENERAL[bits(11, 8)]}`;
    case 30: return `${on(5) ? 'rep ' : ''}${on(3) ? 'in' : 'out'}${on(4) ? 's' : ''} port 0x${bits(31, 16).toString(16)}, ${bits(2, 0) + 1} byte${bits(2, 0) === 0 ? '' : 's'}`;
    case 48: {
      const access = [on(0) && 'read', on(1) && 'write', on(2) && 'fetch'].filter(Boolean).join('+');
      const rights = (on(3) ? 'r' : '-') + (on(4) ? 'w' : '-') + (on(5) ? 'x' : '-');
      return `${access}, entries allow ${rights}, ${!on(7) ? 'no linear address' : on(8) ? 'the page itself' : "a table of the guest's"}`;
    }
    default: return '';
  }
}

const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];

function explainControl(register: number, type: number, general: number): string {
  if (type === 0) return `mov cr${register}, ${GENERAL[general]}`;
  if (type === 1) return `mov ${GENERAL[general]}, cr${register}`;
  return type === 2 ? 'clts' : 'lmsw';
}
