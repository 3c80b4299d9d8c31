/**
 * One VM exit answered: a row of EXITS says who answers, this file is the answers that the hypervisor gives itself. Each
 * returns null (back into the guest) or what must leave `runVm`. An instruction that is finished here moves rip past it and
 * ends the shadow of STI and MOV SS, as its execution would have.
 * Source: SDM 3C 28, KVM's vmx_handle_exit.
 */
import { readMsr, setGeneralPart, writeMsr } from '../../machine/machine.ts';
import { enabled } from '../../machine/devices/apic.ts';
import { isApicMsr } from '../../machine/devices/apic-registers.ts';
import { irqchipOwns, readIrqchip, writeIrqchip } from '../../machine/devices/irqchip.ts';
import { readLocalMsr, writeLocalMsr } from '../apic.ts';
import { cpuid } from '../cpuid.ts';
import { serveDevice } from '../device.ts';
import { exitName, exitRow } from '../exits.ts';
import { observeOut } from '../ledger.ts';
import { hostAddress, slotOf, writeGuest } from '../memory/frames.ts';
import { guestPhysical, readLinear } from '../memory/guest.ts';
import type { Vm, VmExit } from '../vm.ts';
import { guestControl, setGuestControl } from '../state.ts';
import { guestRegister, guestSegment, readField, requestWindow, setGuestRegister, writeField } from './vmcs.ts';

export interface ExitFacts {
  reason: number;
  qualification: bigint;
  gpa: bigint;
  /** ns. */
  now: number;
}

/** CS.L, which is only ever set in long mode. */
const CODE_64 = 0x2000;
const VALID = 0x8000_0000;
const HARDWARE_EXCEPTION = 3 << 8;
const UD = 6;
const GP = 13;
const WITH_ERROR = 1 << 11;

export function skip(vm: Vm): void {
  const next = readField(vm, 'GUEST_RIP') + readField(vm, 'EXIT_INSTRUCTION_LENGTH');
  writeField(vm, 'GUEST_RIP', (guestSegment(vm, 'cs').rights & CODE_64) !== 0 ? next : BigInt.asUintN(32, next));
  writeField(vm, 'GUEST_INTERRUPTIBILITY', readField(vm, 'GUEST_INTERRUPTIBILITY') & ~3n);
}

/** An exception, with error code 0 where it has one. */
export function raise(vm: Vm, vector: number): null {
  const error = vector === GP ? WITH_ERROR : 0;
  vm.event = { info: (VALID | HARDWARE_EXCEPTION | error | vector) >>> 0, error: 0, length: 0 };
  return null;
}

/** Says whether the exit is one that the calling program will answer: what makes it heavy. */
export function isHeavy(facts: ExitFacts): boolean {
  const row = exitRow(facts.reason);
  if (row?.who !== 'user') return false;
  return facts.reason !== 30 || !irqchipOwns(Number((facts.qualification >> 16n) & 0xffffn));
}

export function answer(vm: Vm, facts: ExitFacts): VmExit | null {
  const row = exitRow(facts.reason);
  if (!row || row.who === 'stop') return { reason: 'internal-error', text: `unexpected exit ${exitName(facts.reason)} at rip 0x${readField(vm, 'GUEST_RIP').toString(16)}` };
  if (row.who === 'inject') return raise(vm, UD);
  switch (facts.reason) {
    case 2: return { reason: 'shutdown' };
    case 7:
      requestWindow(vm, false);
      return null;
    case 10: return onCpuid(vm);
    case 12:
      skip(vm);
      vm.halted = true;
      return null;
    case 18: return onHypercall(vm);
    case 28: return onControl(vm, facts.qualification);
    case 30: return onPort(vm, facts);
    case 31:
    case 32: return onMsr(vm, facts);
    case 48: return onViolation(vm, facts);
    case 0:
    case 1:
    case 8:
    case 37: return null;
    case 13:
    case 14:
    case 40:
    case 54:
      skip(vm);
      return null;
    default: return { reason: 'internal-error', text: `not modelled: exit ${exitName(facts.reason)} at rip 0x${readField(vm, 'GUEST_RIP').toString(16)}` };
  }
}

function onCpuid(vm: Vm): null {
  const found = cpuid(Number(BigInt.asUintN(32, guestRegister(vm, 'rax'))), Number(BigInt.asUintN(32, guestRegister(vm, 'rcx'))), enabled(vm.chip.apic));
  setGuestRegister(vm, 'rax', BigInt(found.eax >>> 0));
  setGuestRegister(vm, 'rbx', BigInt(found.ebx >>> 0));
  setGuestRegister(vm, 'rcx', BigInt(found.ecx >>> 0));
  setGuestRegister(vm, 'rdx', BigInt(found.edx >>> 0));
  skip(vm);
  return null;
}

const KVM_ENOSYS = BigInt.asUintN(64, -1000n);
const KVM_EPERM = BigInt.asUintN(64, -1n);
const SCHED_YIELD = 11n;

function onHypercall(vm: Vm): null {
  const privileged = ((guestSegment(vm, 'ss').rights >> 5) & 3) === 0;
  setGuestRegister(vm, 'rax', !privileged ? KVM_EPERM : guestRegister(vm, 'rax') === SCHED_YIELD ? 0n : KVM_ENOSYS);
  skip(vm);
  return null;
}

export const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const TS = 8n;
const PE = 1n;
const PG = 0x8000_0000n;
const LME = 0x100n;
const LMA = 0x400n;

function onControl(vm: Vm, qualification: bigint): VmExit | null {
  const control = Number(qualification & 15n);
  const type = Number((qualification >> 4n) & 3n);
  const general = GENERAL[Number((qualification >> 8n) & 15n)]!;
  if (type === 2) setGuestControl(vm, 'cr0', guestControl(vm, 'cr0') & ~TS);
  else if (type === 3) setGuestControl(vm, 'cr0', (guestControl(vm, 'cr0') & ~14n) | (((qualification >> 16n) & 15n) | (guestControl(vm, 'cr0') & PE)));
  else if (control === 0 && type === 0) {
    const value = guestRegister(vm, general);
    if ((value & PG) !== 0n && (value & PE) === 0n) return raise(vm, GP);
    const efer = guestControl(vm, 'efer');
    setGuestControl(vm, 'efer', (value & PG) !== 0n && (efer & LME) !== 0n ? efer | LMA : efer & ~LMA);
    setGuestControl(vm, 'cr0', value);
  } else if (control === 8 && type === 0) {
    if (!setTaskPriority(vm, guestRegister(vm, general))) return raise(vm, GP);
  } else if (control === 4 && type === 0) setGuestControl(vm, 'cr4', guestRegister(vm, general));
  else if (control === 3 && type === 0) setGuestControl(vm, 'cr3', guestRegister(vm, general) & 0x7fff_ffff_ffff_ffffn);
  else if (control === 3 && type === 1) setGuestRegister(vm, general, guestControl(vm, 'cr3'));
  else return { reason: 'internal-error', text: `not modelled: CR${control} access of type ${type}` };
  skip(vm);
  return null;
}

/** CR8, asked for only while an interrupt waits for it to fall. */
export function setTaskPriority(vm: Vm, value: bigint): boolean {
  if ((value & ~15n) !== 0n) return false;
  vm.chip.apic.tpr = Number(value) << 4;
  vm.way.cpu.priority.set(vm, Number(value));
  return true;
}

const EFER = 0xc0000080;
const EFER_BITS = 0xd01n;
const TSC = 0x10;
const PAT = 0x277;

function onMsr(vm: Vm, { reason, now }: ExitFacts): null {
  const index = Number(BigInt.asUintN(32, guestRegister(vm, 'rcx')));
  if (reason === 31) {
    const value = readGuestMsr(vm, index, now);
    if (value === null) return raise(vm, GP);
    setGuestRegister(vm, 'rax', value & 0xffff_ffffn);
    setGuestRegister(vm, 'rdx', value >> 32n);
  } else {
    const value = (BigInt.asUintN(32, guestRegister(vm, 'rdx')) << 32n) | BigInt.asUintN(32, guestRegister(vm, 'rax'));
    if (!writeGuestMsr(vm, index, value, now)) return raise(vm, GP);
  }
  skip(vm);
  return null;
}

function readGuestMsr(vm: Vm, index: number, now: number): bigint | null {
  if (index === EFER) return guestControl(vm, 'efer');
  if (index === PAT) return readField(vm, 'GUEST_IA32_PAT');
  if (index === TSC) return timeStamp(vm, now);
  if (isApicMsr(index)) return readLocalMsr(vm, index, now);
  return readMsr(vm.machine, index);
}

const timeStamp = (vm: Vm, now: number): bigint => BigInt.asUintN(64, BigInt(Math.round(now * vm.ghz)) + readField(vm, 'TSC_OFFSET'));

function writeGuestMsr(vm: Vm, index: number, value: bigint, now: number): boolean {
  if (index === EFER) {
    const old = guestControl(vm, 'efer');
    const paging = (guestControl(vm, 'cr0') & PG) !== 0n;
    if ((value & ~EFER_BITS) !== 0n || (paging && ((value ^ old) & LME) !== 0n)) return false;
    setGuestControl(vm, 'efer', (value & ~LMA) | (old & LMA));
    return true;
  }
  if (isApicMsr(index)) return writeLocalMsr(vm, index, value, now, timeStamp(vm, now));
  if (index === PAT) writeField(vm, 'GUEST_IA32_PAT', value);
  else if (index === TSC) writeField(vm, 'TSC_OFFSET', value - BigInt(Math.round(now * vm.ghz)));
  else return writeMsr(vm.machine, index, value);
  return true;
}

const FETCH = 4n;

function onViolation(vm: Vm, { gpa, qualification, now }: ExitFacts): VmExit | null {
  const at = Number(gpa);
  if (!slotOf(vm, at)) {
    if ((qualification & FETCH) !== 0n) return { reason: 'internal-error', text: `emulation failure: no memory to run at 0x${gpa.toString(16)}` };
    return onDevice(vm, at, null, now);
  }
  if (hostAddress(vm, at) === null) return { reason: 'page', gpa: at };
  return !vm.way.memory.map(vm, at) ? { reason: 'internal-error', text: 'no host memory for an EPT table' } : null;
}

/** An instruction of the guest's on a device; what leaves the guest for another reason on the way is answered as that. */
export function onDevice(vm: Vm, gpa: number, linear: bigint | null, now: number, next = answer): VmExit | null {
  if (vm.event !== null) return { reason: 'internal-error', text: `emulation failure: an event is delivered to a device at 0x${gpa.toString(16)}` };
  return serveDevice(vm, gpa, linear, now, (stop, at) => (stop.reason === 'exit' ? next(vm, factsOf(vm, at)) : { reason: 'internal-error', text: `the processor stopped: ${stop.reason}` }));
}

export const factsOf = (vm: Vm, now: number): ExitFacts => ({
  reason: Number(readField(vm, 'EXIT_REASON')) & 0xffff, qualification: readField(vm, 'EXIT_QUALIFICATION'), gpa: readField(vm, 'GUEST_PHYSICAL_ADDRESS'), now,
});

// ---- ports

function onPort(vm: Vm, { qualification, now }: ExitFacts): VmExit | null {
  const size = (Number(qualification & 7n) + 1) as 1 | 2 | 4;
  const port = Number((qualification >> 16n) & 0xffffn);
  const reading = (qualification & 8n) !== 0n;
  const string = (qualification & 16n) !== 0n;
  let value = Number(BigInt.asUintN(8 * size, guestRegister(vm, 'rax')));
  if (string && !reading) {
    const bytes = readLinear(vm, readField(vm, 'GUEST_LINEAR_ADDRESS'), size);
    value = bytes === null ? 0 : bytes.reduce((sum, byte, n) => sum + byte * 2 ** (8 * n), 0);
  }
  if (string && reading) {
    const gpa = guestPhysical(vm, readField(vm, 'GUEST_LINEAR_ADDRESS'));
    if (gpa !== null && slotOf(vm, gpa) && hostAddress(vm, gpa) === null) return { reason: 'page', gpa };
  }
  vm.io = reading ? { size, string, linear: string ? readField(vm, 'GUEST_LINEAR_ADDRESS') : 0n } : null;
  if (string) stepString(vm, size, reading, (qualification & 32n) !== 0n);
  else skip(vm);
  if (irqchipOwns(port)) {
    if (reading) completeIo(vm, readIrqchip(vm.chip, port, now));
    else for (let n = 0; n < size; n++) writeIrqchip(vm.chip, port + n, Math.floor(value / 2 ** (8 * n)) & 255, now);
    return null;
  }
  if (!reading) observeOut(vm, port, value);
  return { reason: 'io', direction: reading ? 'in' : 'out', port, size, value: reading ? 0 : value };
}

/**
 * One element of INS or OUTS is done: the index moves, and the instruction is over when its count is. Index and count have the
 * width of the instruction's addresses (instruction information 9:7); 32-bit results clear the upper half.
 */
function stepString(vm: Vm, size: number, reading: boolean, repeats: boolean): void {
  const index = reading ? 'rdi' : 'rsi';
  const back = (readField(vm, 'GUEST_RFLAGS') & 0x400n) !== 0n;
  const width = 16 << Number((readField(vm, 'EXIT_INSTRUCTION_INFO') >> 7n) & 7n);
  const add = (name: string, n: number): bigint => {
    const old = guestRegister(vm, name);
    const value = BigInt.asUintN(width, old + BigInt(n));
    setGuestRegister(vm, name, width === 16 ? (old & ~0xffffn) | value : value);
    return value;
  };
  add(index, back ? -size : size);
  if (!repeats || add('rcx', -1) === 0n) skip(vm);
}

/** Finishes an `in` with the value that the port gave. */
export function completeIo(vm: Vm, value: number): void {
  const { io } = vm;
  vm.io = null;
  if (!io) return;
  if (io.string) {
    const gpa = guestPhysical(vm, io.linear);
    if (gpa !== null && hostAddress(vm, gpa) !== null) writeGuest(vm, gpa, Uint8Array.from({ length: io.size }, (_, n) => Math.floor(value / 2 ** (8 * n)) & 255));
    return;
  }
  setGeneralPart(vm.machine, 0, io.size, BigInt(value));
}
