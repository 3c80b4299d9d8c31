/**
 * What the bits of a VMCS field are called: the five vectors of controls, the exception bitmap, interruptibility. A bit without a
 * name is reserved. Source: SDM 3C 24.6 to 24.8 (tables 24-5 to 24-15), 24.4.2.
 */
import { exitName } from './exits.ts';

const names = (table: string): ReadonlyMap<number, string> =>
  new Map(table.split(';').map((part) => {
    const [bit, ...words] = part.trim().split(' ');
    return [Number(bit), words.join(' ')];
  }));

export const FIELD_BITS: Readonly<Record<string, ReadonlyMap<number, string>>> = {
  PIN_BASED_CONTROLS: names('0 external-interrupt exiting; 3 NMI exiting; 5 virtual NMIs; 6 activate VMX-preemption timer; 7 process posted interrupts'),
  PRIMARY_PROCESSOR_CONTROLS: names(
    '2 interrupt-window exiting; 3 use TSC offsetting; 7 HLT exiting; 9 INVLPG exiting; 10 MWAIT exiting; 11 RDPMC exiting; 12 RDTSC exiting; 15 CR3-load exiting; 16 CR3-store exiting; 17 activate tertiary controls; ' +
      '19 CR8-load exiting; 20 CR8-store exiting; 21 use TPR shadow; 22 NMI-window exiting; 23 MOV-DR exiting; 24 unconditional I/O exiting; 25 use I/O bitmaps; 27 monitor trap flag; 28 use MSR bitmaps; 29 MONITOR exiting; ' +
      '30 PAUSE exiting; 31 activate secondary controls',
  ),
  SECONDARY_PROCESSOR_CONTROLS: names(
    '0 virtualize APIC accesses; 1 enable EPT; 2 descriptor-table exiting; 3 enable RDTSCP; 4 virtualize x2APIC mode; 5 enable VPID; 6 WBINVD exiting; 7 unrestricted guest; 8 APIC-register virtualization; 9 virtual-interrupt delivery; ' +
      '10 PAUSE-loop exiting; 11 RDRAND exiting; 12 enable INVPCID; 13 enable VM functions; 14 VMCS shadowing; 15 enable ENCLS exiting; 16 RDSEED exiting; 17 enable PML; 18 EPT-violation #VE; 19 conceal VMX from PT; ' +
      '20 enable XSAVES/XRSTORS; 21 PASID translation; 22 mode-based execute control for EPT; 23 sub-page write permissions for EPT; 24 Intel PT uses guest-physical addresses; 25 use TSC scaling; 26 enable user wait and pause; ' +
      '27 enable PCONFIG; 28 enable ENCLV exiting; 30 VMM bus-lock detection; 31 instruction timeout',
  ),
  EXIT_CONTROLS: names(
    '2 save debug controls; 9 host address-space size; 12 load IA32_PERF_GLOBAL_CTRL; 15 acknowledge interrupt on exit; 18 save IA32_PAT; 19 load IA32_PAT; 20 save IA32_EFER; 21 load IA32_EFER; 22 save VMX-preemption timer value; ' +
      '23 clear IA32_BNDCFGS; 24 conceal VMX from PT; 25 clear IA32_RTIT_CTL; 26 clear IA32_LBR_CTL; 28 load CET state; 29 load PKRS; 31 activate secondary controls',
  ),
  ENTRY_CONTROLS: names(
    '2 load debug controls; 9 IA-32e mode guest; 10 entry to SMM; 11 deactivate dual-monitor treatment; 13 load IA32_PERF_GLOBAL_CTRL; 14 load IA32_PAT; 15 load IA32_EFER; 16 load IA32_BNDCFGS; 17 conceal VMX from PT; ' +
      '18 load IA32_RTIT_CTL; 20 load CET state; 21 load guest IA32_LBR_CTL; 22 load PKRS',
  ),
  EXCEPTION_BITMAP: names(
    '0 #DE; 1 #DB; 2 NMI; 3 #BP; 4 #OF; 5 #BR; 6 #UD; 7 #NM; 8 #DF; 9 coprocessor overrun; 10 #TS; 11 #NP; 12 #SS; 13 #GP; 14 #PF; 16 #MF; 17 #AC; 18 #MC; 19 #XM; 20 #VE; 21 #CP',
  ),
  GUEST_INTERRUPTIBILITY: names('0 blocking by STI; 1 blocking by MOV SS; 2 blocking by SMI; 3 blocking by NMI; 4 enclave interruption'),
};

const EVENT_TYPES = ['external interrupt', 'reserved', 'NMI', 'hardware exception', 'software interrupt', 'privileged software exception', 'software exception', 'other event'];

/** What a field's value says, in words; empty where a number says it all. */
export function explainField(name: string, value: bigint): string {
  const bits = FIELD_BITS[name];
  if (bits) {
    const on = setBits(value);
    const reserved = on.filter((bit) => !bits.has(bit)).length;
    return [...on.flatMap((bit) => bits.get(bit) ?? []), ...(reserved > 0 ? [`${reserved} reserved`] : [])].join(', ');
  }
  if (name === 'EXIT_REASON') return `${exitName(Number(value))}${(value >> 31n) & 1n ? ', the entry failed' : ''}`;
  if (/INTERRUPTION_INFO$|^IDT_VECTORING_INFO$/.test(name)) return explainEvent(value);
  if (name === 'EPT_POINTER') return value === 0n ? '' : `${(value & 7n) === 6n ? 'write-back' : 'uncached'}, ${Number((value >> 3n) & 7n) + 1} levels${(value >> 6n) & 1n ? ', accessed and dirty flags' : ''}`;
  if (/_ACCESS_RIGHTS$/.test(name)) return explainRights(value);
  if (name === 'GUEST_ACTIVITY') return ['active', 'HLT', 'shutdown', 'wait-for-SIPI'][Number(value)] ?? '';
  return '';
}

export function setBits(value: bigint): number[] {
  const out: number[] = [];
  for (let bit = 0; bit < 64; bit++) if ((value >> BigInt(bit)) & 1n) out.push(bit);
  return out;
}

function explainEvent(value: bigint): string {
  if (((value >> 31n) & 1n) === 0n) return '';
  return `${EVENT_TYPES[Number((value >> 8n) & 7n)]} ${value & 255n}${(value >> 11n) & 1n ? ', with error code' : ''}`;
}

function explainRights(value: bigint): string {
  const on = (bit: bigint): boolean => ((value >> bit) & 1n) === 1n;
  if (on(16n)) return 'unusable';
  const kind = on(4n) ? (on(3n) ? 'code' : 'data') : 'system';
  return [`${kind}, type ${value & 15n}`, `DPL ${(value >> 5n) & 3n}`, on(7n) ? 'present' : 'not present', on(13n) ? '64-bit' : on(14n) ? '32-bit' : '', on(15n) ? 'limit in pages' : ''].filter(Boolean).join(', ');
}

/**
 * Which bits decide that an exit happens, by its name: those that were set are the reason. An exit that is not here always
 * happens in a guest. Source: SDM 3C 25.1.
 */
export const EXIT_DECIDED_BY: Readonly<Record<string, readonly (readonly [field: string, bit: number])[]>> = {
  EXCEPTION_NMI: [['EXCEPTION_BITMAP', 14], ['EXCEPTION_BITMAP', 1], ['EXCEPTION_BITMAP', 3], ['EXCEPTION_BITMAP', 6], ['EXCEPTION_BITMAP', 17], ['EXCEPTION_BITMAP', 18], ['PIN_BASED_CONTROLS', 3]],
  EXTERNAL_INTERRUPT: [['PIN_BASED_CONTROLS', 0]],
  INTERRUPT_WINDOW: [['PRIMARY_PROCESSOR_CONTROLS', 2]],
  NMI_WINDOW: [['PRIMARY_PROCESSOR_CONTROLS', 22]],
  HLT: [['PRIMARY_PROCESSOR_CONTROLS', 7]],
  INVLPG: [['PRIMARY_PROCESSOR_CONTROLS', 9]],
  RDPMC: [['PRIMARY_PROCESSOR_CONTROLS', 11]],
  RDTSC: [['PRIMARY_PROCESSOR_CONTROLS', 12]],
  RDTSCP: [['PRIMARY_PROCESSOR_CONTROLS', 12], ['SECONDARY_PROCESSOR_CONTROLS', 3]],
  CR_ACCESS: [['PRIMARY_PROCESSOR_CONTROLS', 15], ['PRIMARY_PROCESSOR_CONTROLS', 16], ['PRIMARY_PROCESSOR_CONTROLS', 19], ['PRIMARY_PROCESSOR_CONTROLS', 20]],
  DR_ACCESS: [['PRIMARY_PROCESSOR_CONTROLS', 23]],
  IO_INSTRUCTION: [['PRIMARY_PROCESSOR_CONTROLS', 24], ['PRIMARY_PROCESSOR_CONTROLS', 25]],
  MSR_READ: [['PRIMARY_PROCESSOR_CONTROLS', 28]],
  MSR_WRITE: [['PRIMARY_PROCESSOR_CONTROLS', 28]],
  MWAIT_INSTRUCTION: [['PRIMARY_PROCESSOR_CONTROLS', 10]],
  MONITOR_TRAP_FLAG: [['PRIMARY_PROCESSOR_CONTROLS', 27]],
  MONITOR_INSTRUCTION: [['PRIMARY_PROCESSOR_CONTROLS', 29]],
  PAUSE_INSTRUCTION: [['PRIMARY_PROCESSOR_CONTROLS', 30], ['SECONDARY_PROCESSOR_CONTROLS', 10]],
  GDTR_IDTR: [['SECONDARY_PROCESSOR_CONTROLS', 2]],
  LDTR_TR: [['SECONDARY_PROCESSOR_CONTROLS', 2]],
  EPT_VIOLATION: [['SECONDARY_PROCESSOR_CONTROLS', 1]],
  EPT_MISCONFIG: [['SECONDARY_PROCESSOR_CONTROLS', 1]],
  PREEMPTION_TIMER: [['PIN_BASED_CONTROLS', 6]],
  WBINVD: [['SECONDARY_PROCESSOR_CONTROLS', 6]],
  INVPCID: [['PRIMARY_PROCESSOR_CONTROLS', 9], ['SECONDARY_PROCESSOR_CONTROLS', 12]],
};
