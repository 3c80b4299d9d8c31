/**
 * A VMCS that breaks one check of a VM entry and nothing else, for every check there is, and legal values at the limits. Run
 * here by vmx-rules.test.ts, on Debian's bochs by tests/differential/vmx.mjs.
 */
import * as m from '../../../src/engine/machine/machine.ts';
import { EPTP, GUEST_BASE, PML4, type Program } from './bench.ts';
import { OTHER, REGION, type Values } from './vmx-code.ts';

const PRIMARY = 0x85006172n | 0x80n;
const SECONDARY = 0x22n;
const EXIT = 0x36dffn | 0x300200n;
const ENTRY = 0x11ffn | 0x8200n;
const ODD = 1n << 60n;
/** An unrestricted guest; without 64-bit mode; with PAE and no 64-bit mode. */
const FREE: Values = { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x80n };
const PLAIN32: Values = { ENTRY_CONTROLS: ENTRY & ~0x200n, GUEST_IA32_EFER: 0, GUEST_CR4: 0x2000, GUEST_CS_ACCESS_RIGHTS: 0xc09b };
const PAE: Values = { ...PLAIN32, GUEST_CR4: 0x2020 };
const REAL: Values = {
  ...FREE, ...PLAIN32, GUEST_CR0: 0x20, GUEST_CS_ACCESS_RIGHTS: 0x93, GUEST_CS_LIMIT: 0xffff, GUEST_SS_ACCESS_RIGHTS: 0x93, GUEST_SS_LIMIT: 0xffff, GUEST_DS_ACCESS_RIGHTS: 0x93, GUEST_DS_LIMIT: 0xffff,
  GUEST_ES_ACCESS_RIGHTS: 0x93, GUEST_ES_LIMIT: 0xffff,
};
const V86: Values = {
  ...PLAIN32, GUEST_RFLAGS: 0x20002, ...Object.fromEntries('ES CS SS DS FS GS'.split(' ').flatMap((s) => [[`GUEST_${s}_SELECTOR`, 0x100], [`GUEST_${s}_BASE`, 0x1000], [`GUEST_${s}_LIMIT`, 0xffff], [`GUEST_${s}_ACCESS_RIGHTS`, 0xf3]])),
};
const LDT: Values = { GUEST_LDTR_SELECTOR: 0x30, GUEST_LDTR_ACCESS_RIGHTS: 0x82, GUEST_LDTR_LIMIT: 0xfff };
const IF = { GUEST_RFLAGS: 0x202 };
const inject = (info: number | bigint, more: Values = {}): Values => ({ ENTRY_INTERRUPTION_INFO: info, ...more });

/** `before`: what else must be so. */
export type Case = [rule: number, values: Values, before?: (program: Program) => void];

export const CONTROL: Case[] = [
  [1, { PIN_BASED_CONTROLS: 0x14 }], [1, { PIN_BASED_CONTROLS: 0x116 }], [2, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY & ~2n }], [2, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 1n }],
  [2, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY & ~0x4000000n }], [3, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x80000000n }], [3, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x100000n }],
  [4, { EXIT_CONTROLS: EXIT & ~1n }], [4, { EXIT_CONTROLS: EXIT | 0x1000000n }], [5, { ENTRY_CONTROLS: ENTRY & ~1n }], [5, { ENTRY_CONTROLS: ENTRY | 0x400n }], [5, { ENTRY_CONTROLS: ENTRY | 0x800n }],
  [6, { CR3_TARGET_COUNT: 5 }], [7, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x2000000n, IO_BITMAP_A: 0x20001 }], [7, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x2000000n, IO_BITMAP_A: 1n << 40n }],
  [8, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x2000000n, IO_BITMAP_B: 0x800 }], [9, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x10000000n, MSR_BITMAP: 0x20010 }],
  [10, { PIN_BASED_CONTROLS: 0x36 }], [11, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x400000n }], [12, { VPID: 0 }], [13, { EPT_POINTER: (EPTP & ~7n) | 1n }], [14, { EPT_POINTER: (EPTP & ~0x38n) | 0x20n }],
  [15, { EPT_POINTER: EPTP | 0x80n }], [15, { EPT_POINTER: EPTP | (1n << 40n) }], [16, { SECONDARY_PROCESSOR_CONTROLS: 0xa0 }], [17, { EXIT_CONTROLS: EXIT | 0x400000n }],
  [18, { EXIT_MSR_STORE_COUNT: 1, EXIT_MSR_STORE_ADDRESS: 0x20008 }], [18, { EXIT_MSR_STORE_COUNT: 2, EXIT_MSR_STORE_ADDRESS: (1n << 40n) - 16n }], [19, { EXIT_MSR_LOAD_COUNT: 1, EXIT_MSR_LOAD_ADDRESS: 4 }],
  [20, { ENTRY_MSR_LOAD_COUNT: 1, ENTRY_MSR_LOAD_ADDRESS: 1n << 40n }], [21, inject(0x80000140)], [22, inject(0x80000203)], [22, inject(0x80000320)], [22, inject(0x80000701)],
  [23, inject(0x8000030d)], [23, inject(0x80000b06)], [23, inject(0x80000b0d, { ...REAL })], [23, inject(0x80000840, IF)], [24, inject(0x80001b0d)], [24, inject(0x80002040, IF)],
  [25, inject(0x80000b0d, { ENTRY_EXCEPTION_ERROR_CODE: 0x10000 })], [26, inject(0x80000480, { ENTRY_INSTRUCTION_LENGTH: 0 })], [26, inject(0x80000603, { ENTRY_INSTRUCTION_LENGTH: 16 })],
  [30, { PIN_BASED_CONTROLS: 0x97 }], [31, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x200000n }], [31, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 1n }], [31, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x10n }],
  [31, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x200n }], [32, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x2000n }], [33, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x20000n }],
  [34, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x4000n }], [35, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x40000n }], [36, { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x20000n }],
  [37, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x400n }], [38, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x800n }], [38, { SECONDARY_PROCESSOR_CONTROLS: SECONDARY | 0x10000n }],
  [39, { EXIT_CONTROLS: EXIT | 0x1000n }], [39, { ENTRY_CONTROLS: ENTRY | 0x2000n }],
];

export const outsideLong = (program: Program): void => {
  m.setSegment(program.machine, 'cs', { selector: 8, base: 0n, limit: 0xffffffff, rights: 0xc09b });
  m.setRegister(program.machine, 'cr0', 0x31n);
  m.setRegister(program.machine, 'efer', 0n);
  m.setRegister(program.machine, 'cr4', 0x2000n);
};
/** A host and a guest of 32 bits. */
const HOST32: Values = { ...PLAIN32, EXIT_CONTROLS: EXIT & ~0x200n, HOST_IA32_EFER: 0, HOST_CR4: 0x2000 };

export const HOST: Case[] = [
  [40, {}, outsideLong], [40, { ...HOST32, ENTRY_CONTROLS: ENTRY }, outsideLong], [41, { EXIT_CONTROLS: EXIT & ~0x200n }], [42, { ...HOST32, HOST_CR4: 0x22000 }, outsideLong],
  [43, { ...HOST32, HOST_RIP: 1n << 32n }, outsideLong], [44, { HOST_CR4: 0x2080 }], [45, { HOST_RIP: ODD }], [45, { HOST_RIP: 1n << 47n }], [46, { HOST_CR0: 0x80010013n }], [46, { HOST_CR0: 0x33 }], [46, { HOST_CR0: 0x180010033n }],
  [47, { HOST_CR4: 0xa0 }], [47, { HOST_CR4: 0x400020a0 }], [48, { HOST_CR3: 1n << 40n }], [49, { HOST_SYSENTER_ESP: ODD }], [50, { HOST_SYSENTER_EIP: ODD }],
  [51, { EXIT_CONTROLS: EXIT | 0x80000n, HOST_IA32_PAT: 2 }], [52, { HOST_IA32_EFER: 0xd03 }], [53, { HOST_IA32_EFER: 0x901 }], [53, { HOST_IA32_EFER: 0xc01 }], [54, { HOST_DS_SELECTOR: 0x13 }], [54, { HOST_TR_SELECTOR: 0x2c }],
  [55, { HOST_CS_SELECTOR: 0 }], [56, { HOST_TR_SELECTOR: 0 }], [57, { ...HOST32, HOST_SS_SELECTOR: 0 }, outsideLong], [58, { HOST_FS_BASE: ODD }], [59, { HOST_GS_BASE: ODD }], [60, { HOST_TR_BASE: ODD }],
  [61, { HOST_GDTR_BASE: ODD }], [62, { HOST_IDTR_BASE: ODD }],
];

export const GUEST: Case[] = [
  [70, { GUEST_CR0: 0x80010013n }], [70, { GUEST_CR0: 0x33 }], [70, { ...REAL, GUEST_CR0: 0 }], [71, { ...REAL, GUEST_CR0: 0x80000020n }], [72, { GUEST_CR0: 0x180010033n }], [73, { GUEST_CR4: 0xa0 }], [73, { GUEST_CR4: 0x400020a0 }],
  [74, { GUEST_CR4: 0x2080 }], [75, { ...PLAIN32, GUEST_CR4: 0x22000 }], [76, { GUEST_CR3: 1n << 40n }], [77, { ENTRY_CONTROLS: ENTRY | 4n, GUEST_IA32_DEBUGCTL: 4 }], [78, { GUEST_DR7: 1n << 32n }],
  [79, { GUEST_SYSENTER_ESP: ODD }], [80, { GUEST_SYSENTER_EIP: ODD }], [81, { ENTRY_CONTROLS: ENTRY | 0x4000n, GUEST_IA32_PAT: 3 }], [82, { GUEST_IA32_EFER: 0xd03 }], [83, { GUEST_IA32_EFER: 0x901 }],
  [84, { GUEST_IA32_EFER: 0xc01 }], [85, { GUEST_TR_SELECTOR: 0x2c }], [86, { ...LDT, GUEST_LDTR_SELECTOR: 0x34 }], [87, { GUEST_CS_SELECTOR: 0xb }], [88, { GUEST_TR_BASE: ODD }], [89, { GUEST_FS_BASE: ODD }],
  [90, { GUEST_GS_BASE: ODD }], [91, { ...LDT, GUEST_LDTR_BASE: ODD }], [92, { GUEST_CS_BASE: 1n << 32n }], [93, { GUEST_DS_BASE: 1n << 32n }], [93, { GUEST_SS_BASE: 1n << 40n }],
  [94, { GUEST_CS_ACCESS_RIGHTS: 0xa09a }], [94, { GUEST_CS_ACCESS_RIGHTS: 0xa093 }], [95, { GUEST_CS_ACCESS_RIGHTS: 0xa08b }], [96, { GUEST_CS_ACCESS_RIGHTS: 0xa0fb }],
  [96, { GUEST_CS_ACCESS_RIGHTS: 0xa0ff }], [96, { ...REAL, GUEST_CS_ACCESS_RIGHTS: 0xf3 }], [97, { GUEST_CS_ACCESS_RIGHTS: 0xa01b }], [98, { GUEST_CS_ACCESS_RIGHTS: 0xa19b }], [98, { GUEST_CS_ACCESS_RIGHTS: 0x2a09b }],
  [99, { GUEST_CS_ACCESS_RIGHTS: 0xe09b }], [100, { GUEST_CS_LIMIT: 0xfffffffen }], [100, { GUEST_CS_ACCESS_RIGHTS: 0x209b }], [101, { GUEST_SS_ACCESS_RIGHTS: 0xc091 }], [101, { GUEST_SS_ACCESS_RIGHTS: 0xc09b }],
  [102, { GUEST_SS_ACCESS_RIGHTS: 0xc083 }], [103, { GUEST_SS_ACCESS_RIGHTS: 0xc0f3, GUEST_CS_ACCESS_RIGHTS: 0xa0fb }], [104, { ...REAL, GUEST_SS_ACCESS_RIGHTS: 0xf3 }], [105, { GUEST_SS_ACCESS_RIGHTS: 0xc013 }],
  [106, { GUEST_SS_ACCESS_RIGHTS: 0xc893 }], [107, { GUEST_SS_LIMIT: 0x100000, GUEST_SS_ACCESS_RIGHTS: 0x4093 }], [108, { GUEST_DS_ACCESS_RIGHTS: 0xc092 }], [108, { GUEST_FS_ACCESS_RIGHTS: 0xc099 }],
  [109, { GUEST_ES_ACCESS_RIGHTS: 0xc083 }], [110, { GUEST_GS_SELECTOR: 0x13 }], [111, { GUEST_GS_ACCESS_RIGHTS: 0xc013 }], [112, { GUEST_FS_ACCESS_RIGHTS: 0xc493 }], [113, { GUEST_DS_LIMIT: 0xffff0000 }],
  [114, { GUEST_TR_ACCESS_RIGHTS: 0x89 }], [114, { GUEST_TR_ACCESS_RIGHTS: 0x83 }], [115, { GUEST_TR_ACCESS_RIGHTS: 0x9b }], [116, { GUEST_TR_ACCESS_RIGHTS: 0x0b }], [117, { GUEST_TR_ACCESS_RIGHTS: 0x18b }],
  [118, { GUEST_TR_ACCESS_RIGHTS: 0x808b }], [119, { GUEST_TR_ACCESS_RIGHTS: 0x1008b }], [120, { ...LDT, GUEST_LDTR_ACCESS_RIGHTS: 0x83 }], [121, { ...LDT, GUEST_LDTR_ACCESS_RIGHTS: 0x92 }],
  [122, { ...LDT, GUEST_LDTR_ACCESS_RIGHTS: 2 }], [123, { ...LDT, GUEST_LDTR_ACCESS_RIGHTS: 0x20082 }], [124, { ...LDT, GUEST_LDTR_LIMIT: 0x100000 }], [125, { GUEST_GDTR_BASE: ODD }], [126, { GUEST_IDTR_BASE: ODD }],
  [127, { GUEST_GDTR_LIMIT: 0x10000 }], [128, { GUEST_IDTR_LIMIT: 0x10000 }], [129, { ...PLAIN32, GUEST_RIP: 1n << 32n }], [130, { GUEST_RIP: ODD }], [131, { GUEST_RFLAGS: 0 }], [131, { GUEST_RFLAGS: 0xa }], [131, { GUEST_RFLAGS: 0x400002 }],
  [132, { ...V86, ENTRY_CONTROLS: ENTRY, GUEST_IA32_EFER: 0xd01, GUEST_CR4: 0x2020 }], [133, V86], [134, inject(0x80000040)], [135, { GUEST_ACTIVITY: 4 }],
  [136, { GUEST_ACTIVITY: 1, GUEST_SS_ACCESS_RIGHTS: 0xc0f3, GUEST_SS_SELECTOR: 0x1b, GUEST_CS_ACCESS_RIGHTS: 0xa0fb, GUEST_CS_SELECTOR: 0x23 }], [137, { ...IF, GUEST_ACTIVITY: 1, GUEST_INTERRUPTIBILITY: 1 }],
  [138, inject(0x80000306, { GUEST_ACTIVITY: 1 })], [138, inject(0x80000040, { ...IF, GUEST_ACTIVITY: 2 })], [138, inject(0x80000202, { GUEST_ACTIVITY: 3 })], [139, { GUEST_INTERRUPTIBILITY: 0x10 }], [140, { ...IF, GUEST_INTERRUPTIBILITY: 3 }],
  [141, { GUEST_INTERRUPTIBILITY: 1 }], [142, inject(0x80000040, { ...IF, GUEST_INTERRUPTIBILITY: 1 })], [142, inject(0x80000040, { ...IF, GUEST_INTERRUPTIBILITY: 2 })], [143, inject(0x80000202, { GUEST_INTERRUPTIBILITY: 2 })],
  [144, { GUEST_INTERRUPTIBILITY: 4 }], [145, inject(0x80000202, { PIN_BASED_CONTROLS: 0x3e, GUEST_INTERRUPTIBILITY: 8 })], [146, { GUEST_PENDING_DEBUG: 0x10 }], [146, { GUEST_PENDING_DEBUG: 0x2000 }],
  [147, { GUEST_RFLAGS: 0x102, GUEST_INTERRUPTIBILITY: 2 }], [147, { GUEST_PENDING_DEBUG: 0x4000, GUEST_INTERRUPTIBILITY: 2 }], [147, { GUEST_RFLAGS: 0x102, GUEST_ACTIVITY: 1 }],
  [148, { VMCS_LINK_POINTER: 0x800 }], [148, { VMCS_LINK_POINTER: 1n << 40n }], [149, { VMCS_LINK_POINTER: 0x50000 }], [150, { VMCS_LINK_POINTER: REGION }], [151, { ...PAE, GUEST_PDPTE2: 0x20003 }],
  [151, { ...PAE, GUEST_PDPTE0: (1n << 41n) | 1n }], [152, { ...PAE, SECONDARY_PROCESSOR_CONTROLS: 0x20, GUEST_CR3: 0x51000 }, (program) => program.machine.physical.setBigUint64(0x51008, 0x20007n, true)],
  [153, { ...V86, GUEST_FS_BASE: 0x2000 }], [154, { ...V86, GUEST_GS_LIMIT: 0xfffff }], [155, { ...V86, GUEST_DS_ACCESS_RIGHTS: 0x93 }],
];

export type LegalCase = [what: string, values: Values, reason: number, before?: (program: Program) => void];

export const LEGAL: LegalCase[] = [
  ['as it is', {}, 12],
  ['four CR3 targets', { CR3_TARGET_COUNT: 4 }, 12],
  ['bitmaps on the last page of the width', { PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x12000000n, IO_BITMAP_A: (1n << 40n) - 4096n, IO_BITMAP_B: 0, MSR_BITMAP: 0x20000 }, 12],
  ['EPT uncacheable, without accessed and dirty', { EPT_POINTER: EPTP & ~0x47n }, 12],
  ['no EPT, no VPID', { SECONDARY_PROCESSOR_CONTROLS: 0, GUEST_RIP: GUEST_BASE + 0x100000 }, 12],
  ['neither secondary controls', { PRIMARY_PROCESSOR_CONTROLS: PRIMARY & ~0x80000000n, SECONDARY_PROCESSOR_CONTROLS: 0xffffffffn, GUEST_RIP: GUEST_BASE + 0x100000 }, 12],
  ['virtual NMIs, NMI window', { PIN_BASED_CONTROLS: 0x3e, PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x400000n }, 8],
  ['NW without CD', { GUEST_CR0: 0xa0010033n }, 12],
  ['an LDT', LDT, 12],
  ['unusable segments hold anything', { GUEST_DS_ACCESS_RIGHTS: 0xffff0fffn, GUEST_DS_LIMIT: 0x123, GUEST_DS_BASE: 1n << 50n, GUEST_LDTR_ACCESS_RIGHTS: 0x10000 }, 12],
  ['a null stack segment', { GUEST_SS_SELECTOR: 0, GUEST_SS_ACCESS_RIGHTS: 0x10000 }, 12],
  ['conforming code below the stack', { GUEST_CS_ACCESS_RIGHTS: 0xa09f }, 12],
  ['conforming data selector rules do not bind', { GUEST_DS_SELECTOR: 0x13, GUEST_DS_ACCESS_RIGHTS: 0xc09f }, 12],
  ['a canonical RIP but for bit 47 passes the check; fetching is #GP, then #DF, then a triple fault', { GUEST_RIP: 1n << 47n, EXCEPTION_BITMAP: 0 }, 2],
  ['32-bit guest without PAE', { ...PLAIN32, GUEST_CR0: 0x31, ...FREE }, 12],
  ['PAE guest, pointers present', { ...PAE, GUEST_CR3: 0x3000, ...Object.fromEntries([0, 1, 2, 3].map((n) => [`GUEST_PDPTE${n}`, 0x4001])) }, 12, (p) => p.machine.physical.setBigUint64(GUEST_BASE + 0x3000, BigInt(PML4 + 0x2001), true)],
  ['unrestricted guest in real mode', { ...REAL, GUEST_CS_SELECTOR: 0x1000, GUEST_CS_BASE: 0x10000, GUEST_RIP: 0 }, 12, (p) => m.load(p.machine, GUEST_BASE + 0x10000, Uint8Array.of(0xf4))],
  ['link to another region', { VMCS_LINK_POINTER: OTHER }, 12],
  ['MOV SS shadow with TF and BS', { GUEST_RFLAGS: 0x102, GUEST_INTERRUPTIBILITY: 2, GUEST_PENDING_DEBUG: 0x4000 }, 12],
  ['debug controls not loaded may be wrong', { ENTRY_CONTROLS: ENTRY & ~4n, GUEST_DR7: 1n << 40n, GUEST_IA32_DEBUGCTL: 0xff }, 12],
  ['an MSR list that ends with the width', { ENTRY_MSR_LOAD_COUNT: 0, ENTRY_MSR_LOAD_ADDRESS: 7 }, 12],
  ['a monitor trap injected', inject(0x80000700), 37],
  ['an NMI into HLT', inject(0x80000202, { GUEST_ACTIVITY: 1 }), 2],
];
