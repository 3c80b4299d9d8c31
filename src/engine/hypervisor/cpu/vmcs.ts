/**
 * Filling a VMCS: controls as KVM sets them for a guest with EPT, VPID and an interrupt controller in the kernel, host state
 * enough for entry checks, and the guest's registers both ways. RSP, RIP and RFLAGS of a guest that is out are in the VMCS,
 * its other general registers stay in the processor, where the host has no use for them.
 * Source: SDM 3C 25; control bits as in Linux asm/vmx.h.
 */
import { general, REGISTER_NAMES, setGeneral, setSlot, vmread, vmwrite } from '../../machine/machine.ts';
import { CR2 } from '../../../cpu/layout.ts';
import { type ControlName, type GuestSegment, type GuestState, type SegmentName, takeFrame, type Vm } from '../vm.ts';
import { FIELDS } from '../vmcs.ts';

export const field = (name: string): number => {
  const encoding = FIELDS.get(name);
  if (encoding === undefined) throw new Error(`no VMCS field ${name}`);
  return encoding;
};
export const readField = (vm: Vm, name: string): bigint => vmread(vm.machine, field(name));
export const writeField = (vm: Vm, name: string, value: bigint | number): void => vmwrite(vm.machine, field(name), BigInt(value));

/** External-interrupt and NMI exiting, virtual NMIs. */
const PIN = 0x16 | 0x1 | 0x8 | 0x20;
const INTERRUPT_WINDOW = 1 << 2;
const CR8_LOAD_EXITING = 1 << 19;
/** TSC offsetting, HLT, MWAIT, RDPMC, unconditional I/O, MSR bitmaps, MONITOR exiting, secondary controls; must-be-one bits. */
const PRIMARY = (0x0401_6172 | (1 << 3) | (1 << 7) | (1 << 10) | (1 << 11) | (1 << 24) | (1 << 28) | (1 << 29) | 0x8000_0000) & ~((1 << 15) | (1 << 16));
/** EPT, RDTSCP, VPID, WBINVD exiting, unrestricted guest. */
const SECONDARY = (1 << 1) | (1 << 3) | (1 << 5) | (1 << 6) | (1 << 7);
/** 64-bit host, acknowledge no interrupt, save and load EFER and PAT. */
const EXIT_CONTROLS = 0x36dff | (1 << 9) | (1 << 18) | (1 << 19) | (1 << 20) | (1 << 21);
const ENTRY_CONTROLS = 0x11ff | (1 << 14) | (1 << 15);
const IA32E_GUEST = 1 << 9;

export const CR0_FIXED = 0x20n;
export const CR4_VMXE = 0x2000n;
const PAT = 0x0007040600070406n;
const LMA = 0x400n;
const NO_LINK = 0xffffffffffffffffn;

/** MSRs that a guest reads and writes without an exit, as KVM lets it: FS, GS and kernel GS bases, the SYSENTER three. */
const PASSED = [0xc0000100, 0xc0000101, 0xc0000102, 0x174, 0x175, 0x176];

export function initVmcs(vm: Vm, now: number): void {
  const bitmap = takeFrame(vm)!;
  vm.machine.memory.fill(0xff, bitmap, bitmap + 4096);
  for (const msr of PASSED) {
    const bit = msr & 0x1fff;
    for (const half of [0, 2048]) {
      const at = bitmap + half + (msr >= 0xc0000000 ? 1024 : 0) + (bit >> 3);
      vm.machine.memory[at]! &= ~(1 << (bit & 7));
    }
  }
  const fields: Record<string, bigint | number> = {
    VPID: vm.vpid, EPT_POINTER: vm.ept?.pointer ?? 0n, MSR_BITMAP: bitmap, VMCS_LINK_POINTER: NO_LINK,
    PIN_BASED_CONTROLS: PIN, PRIMARY_PROCESSOR_CONTROLS: BigInt(PRIMARY >>> 0), SECONDARY_PROCESSOR_CONTROLS: SECONDARY,
    EXIT_CONTROLS, ENTRY_CONTROLS, TSC_OFFSET: -BigInt(Math.round(now * vm.ghz)),
    CR0_MASK: CR0_FIXED, CR4_MASK: CR4_VMXE,
    HOST_CS_SELECTOR: 0x10, HOST_SS_SELECTOR: 0x18, HOST_TR_SELECTOR: 0x40, HOST_CR0: 0x80050033n, HOST_CR3: 0, HOST_CR4: 0x3420f0n, HOST_IA32_EFER: 0xd01n, HOST_IA32_PAT: PAT,
    HOST_RIP: 0xffffffff81000000n, HOST_RSP: 0xffffc90000000000n, HOST_GDTR_BASE: 0xfffffe0000001000n, HOST_IDTR_BASE: 0xfffffe0000000000n, HOST_TR_BASE: 0xfffffe0000003000n,
    GUEST_IA32_PAT: PAT, GUEST_DR7: 0x400,
  };
  for (const [name, value] of Object.entries(fields)) writeField(vm, name, value);
}


function control(vm: Vm, bit: number, on: boolean): void {
  const now = Number(readField(vm, 'PRIMARY_PROCESSOR_CONTROLS'));
  writeField(vm, 'PRIMARY_PROCESSOR_CONTROLS', BigInt((on ? now | bit : now & ~bit) >>> 0));
}
export const requestWindow = (vm: Vm, on: boolean): void => control(vm, INTERRUPT_WINDOW, on);
/** An exit at MOV to CR8. */
export const watchPriority = (vm: Vm, on: boolean): void => control(vm, CR8_LOAD_EXITING, on);

// ---- the guest's registers, while it is out

const IN_VMCS: Readonly<Record<string, string>> = { rsp: 'GUEST_RSP', rip: 'GUEST_RIP', rflags: 'GUEST_RFLAGS' };

/** rax..r15, rip, rflags. */
export function guestRegister(vm: Vm, name: string): bigint {
  const inside = IN_VMCS[name];
  return inside ? readField(vm, inside) : general(vm.machine, (REGISTER_NAMES as readonly string[]).indexOf(name));
}

export function setGuestRegister(vm: Vm, name: string, value: bigint): void {
  const inside = IN_VMCS[name];
  if (inside) writeField(vm, inside, value);
  else setGeneral(vm.machine, (REGISTER_NAMES as readonly string[]).indexOf(name), value);
}

const prefix = (name: SegmentName): string => `GUEST_${name === 'ldt' ? 'LDTR' : name.toUpperCase()}`;

export function guestSegment(vm: Vm, name: SegmentName): GuestSegment {
  const p = prefix(name);
  return {
    selector: Number(readField(vm, `${p}_SELECTOR`)), base: readField(vm, `${p}_BASE`), limit: Number(readField(vm, `${p}_LIMIT`)), rights: Number(readField(vm, `${p}_ACCESS_RIGHTS`)),
  };
}

function setGuestSegment(vm: Vm, name: SegmentName, value: GuestSegment): void {
  const p = prefix(name);
  writeField(vm, `${p}_SELECTOR`, value.selector);
  writeField(vm, `${p}_BASE`, value.base);
  writeField(vm, `${p}_LIMIT`, value.limit);
  writeField(vm, `${p}_ACCESS_RIGHTS`, value.rights);
}

/** Control registers as the guest sees them: where the host owns a bit, the shadow's. */
export function guestControl(vm: Vm, name: ControlName): bigint {
  switch (name) {
    case 'cr2': return vm.machine.state.getBigUint64(CR2, true);
    case 'cr3': return readField(vm, 'GUEST_CR3');
    case 'efer': return readField(vm, 'GUEST_IA32_EFER');
    case 'cr0':
    case 'cr4': {
      const upper = name.toUpperCase();
      const mask = readField(vm, `${upper}_MASK`);
      return (readField(vm, `GUEST_${upper}`) & ~mask) | (readField(vm, `${upper}_READ_SHADOW`) & mask);
    }
  }
}

export function setGuestControl(vm: Vm, name: ControlName, value: bigint): void {
  switch (name) {
    case 'cr2': setSlot(vm.machine, CR2, value); return;
    case 'cr3': writeField(vm, 'GUEST_CR3', value); return;
    case 'efer': {
      writeField(vm, 'GUEST_IA32_EFER', value);
      const controls = Number(readField(vm, 'ENTRY_CONTROLS'));
      writeField(vm, 'ENTRY_CONTROLS', (value & LMA) !== 0n ? controls | IA32E_GUEST : controls & ~IA32E_GUEST);
      return;
    }
    case 'cr0':
      writeField(vm, 'GUEST_CR0', value | CR0_FIXED);
      writeField(vm, 'CR0_READ_SHADOW', value);
      return;
    case 'cr4':
      writeField(vm, 'GUEST_CR4', value | CR4_VMXE);
      writeField(vm, 'CR4_READ_SHADOW', value);
  }
}

/** The guest's state in a VMCS. */
export const vmxState: GuestState = {
  register: guestRegister, setRegister: setGuestRegister, control: guestControl, setControl: setGuestControl, segment: guestSegment, setSegment: setGuestSegment,
  table: (vm, name) => ({ base: readField(vm, `GUEST_${name.toUpperCase()}R_BASE`), limit: Number(readField(vm, `GUEST_${name.toUpperCase()}R_LIMIT`)) }),
  setTable(vm, name, { base, limit }) {
    writeField(vm, `GUEST_${name.toUpperCase()}R_BASE`, base);
    writeField(vm, `GUEST_${name.toUpperCase()}R_LIMIT`, limit);
  },
  clearInterruptibility(vm) {
    writeField(vm, 'GUEST_INTERRUPTIBILITY', 0);
    writeField(vm, 'GUEST_ACTIVITY', 0);
  },
};
