/**
 * The checks of a VM entry by the number that the processor gives when one fails (payload 1 of a failed entry, payload 3 of
 * exit 0x80000021): what is wanted, and where the manual says so.
 */
export interface EntryRule {
  what: 'control' | 'guest';
  rule: string;
  source: string;
}

const control = (rule: string, source = 'SDM 3C 27.2.1.1'): EntryRule => ({ what: 'control', rule, source });
const guest = (rule: string, source: string): EntryRule => ({ what: 'guest', rule, source });

export const ENTRY_RULES: Readonly<Record<number, EntryRule>> = {
  1: control('pin-based controls: only bits that exist'),
  2: control('primary processor-based controls: only bits that exist'),
  3: control('secondary processor-based controls: only bits that exist'),
  4: control('VM-exit controls: only bits that exist', 'SDM 3C 27.2.1.2'),
  5: control('VM-entry controls: only bits that exist', 'SDM 3C 27.2.1.3'),
  6: control('CR3-target count is at most 4'),
  7: control('I/O bitmaps lie on page boundaries within physical memory'),
  8: control('MSR bitmap lies on a page boundary within physical memory'),
  9: control('EPT pointer: memory type 0 or 6, walk length 4, no reserved bits'),
  10: control('VPID is not 0 when VPIDs are enabled'),
  11: control('virtual NMIs need NMI exiting, the NMI window needs virtual NMIs'),
  12: control('injected event: type, vector, error code and length go together', 'SDM 3C 27.2.1.3'),
  13: control('MSR lists are empty (not modelled)', 'SDM 3C 27.2.1.2'),
  14: control('saving the preemption timer needs the timer', 'SDM 3C 27.2.1.2'),
  20: guest('CR0 has PE, NE and PG, nothing above bit 31, NW only with CD', 'SDM 3C 27.3.1.1'),
  21: guest('CR4 has VMXE and only bits that exist', 'SDM 3C 27.3.1.1'),
  22: guest('CR4 has PAE in IA-32e mode', 'SDM 3C 27.3.1.1'),
  23: guest('entry control "IA-32e mode guest" is 1 (other modes are not modelled)', 'SDM 3C 27.3.1.1'),
  24: guest('CR3 lies within physical memory', 'SDM 3C 27.3.1.1'),
  25: guest('EFER: no reserved bits, LMA and LME as the entry control says', 'SDM 3C 27.3.1.1'),
  26: guest('DR7 has nothing above bit 31, DEBUGCTL no reserved bits', 'SDM 3C 27.3.1.1'),
  27: guest('SYSENTER_ESP and SYSENTER_EIP are canonical', 'SDM 3C 27.3.1.1'),
  28: guest('CS: accessed code, present, DPL as SS, not L and D together', 'SDM 3C 27.3.1.2'),
  29: guest('SS: accessed writable data, present, RPL equal to DPL', 'SDM 3C 27.3.1.2'),
  30: guest('DS, ES, FS, GS when usable: accessed, present, readable', 'SDM 3C 27.3.1.2'),
  31: guest('TR: usable busy TSS, present, from the GDT', 'SDM 3C 27.3.1.2'),
  32: guest('LDTR when usable: present LDT, from the GDT', 'SDM 3C 27.3.1.2'),
  33: guest('GDTR and IDTR: canonical base, limit of 16 bits', 'SDM 3C 27.3.1.3'),
  34: guest('RIP is canonical', 'SDM 3C 27.3.1.4'),
  35: guest('RFLAGS: reserved bits as they must be, VM 0', 'SDM 3C 27.3.1.4'),
  36: guest('RFLAGS.IF is 1 when an external interrupt is injected', 'SDM 3C 27.3.1.4'),
  37: guest('activity state exists, and fits blocking and privilege', 'SDM 3C 27.3.1.5'),
  38: guest('interruptibility: no reserved bits, not STI and MOV SS together, STI only with IF', 'SDM 3C 27.3.1.5'),
  39: guest('VMCS link pointer is all ones', 'SDM 3C 27.3.1.5'),
  40: guest('FS, GS and TR bases are canonical', 'SDM 3C 27.3.1.2'),
  41: guest('PAT holds memory types that exist', 'SDM 3C 27.3.1.1'),
};
