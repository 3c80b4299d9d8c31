/**
 * VT-x without EPT: the guest runs on shadow tables. Page faults, CR3 and INVLPG leave the guest, and the bits of CR0, CR4 and
 * EFER that paging hangs on are the hypervisor's: while the guest runs WP, PG and NX are on, PCID is off, and outside long
 * mode PAE is on, whatever the guest believes. Source: KVM's vmx.c with enable_ept=0, mmu.rst; SDM 3C 26.
 * Left out: real mode, which needs unrestricted guest and so EPT (or an emulator, as KVM has).
 */
import { instructions, type Stop } from '../../machine/machine.ts';
import { noted } from '../ledger.ts';
import { emulateWrite } from '../memory/shadow-emulate.ts';
import { flushAll, giveUpTracing, invlpg, setRoot, shadowFault, shadowOf, shadowRoot } from '../memory/shadow.ts';
import { settingsOf } from '../memory/shadow-walk.ts';
import type { Fault, Paging } from '../memory/shadow-types.ts';
import type { ControlName, CpuWay, GuestState, Vm, VmExit } from '../vm.ts';
import type { ExitFacts } from './exit.ts';
import { onDevice, skip } from './exit.ts';
import { onControlAccess } from './vmx-control.ts';
import { initVmcs, readField, setGuestControl as setReal, vmxState, writeField } from './vmcs.ts';
import { handleExit, type Handled, vmxWith } from './vmx.ts';

/** What the guest believes of its control registers, and whether the tables in force still fit that. */
interface Own extends Paging {
  stale: boolean;
  /** The last instruction that could not be emulated, and how many had run by then: twice without any between is the end. */
  refused: { rip: bigint; at: bigint };
}

const own = (vm: Vm): Own => vm.own as Own;

const PAGE_FAULT = 14;
const VALID = 0x8000_0000;
const PF_INFO = (VALID | 0x300 | 0x800 | PAGE_FAULT) >>> 0;
const DF_INFO = (VALID | 0x300 | 0x800 | 8) >>> 0;
const AC = 0x40000n;

/** VPID, RDTSCP, WBINVD exiting; no EPT and so no unrestricted guest. */
const SECONDARY = (1 << 3) | (1 << 5) | (1 << 6);
const INVLPG_EXITING = 1 << 9;
const CR3_EXITING = (1 << 15) | (1 << 16);
/** MP, EM and TS are the guest's own. */
const CR0_GUEST = 0xen;
/** TSD, DE, PCE. */
const CR4_GUEST = 0x10cn;
const NE = 0x20n;
const WP = 0x10000n;
const PG = 0x8000_0000n;
const PAE = 0x20n;
const VMXE = 0x2000n;
const SMEP_SMAP = 0x30_0000n;
const LME = 0x100n;
const LMA = 0x400n;
const NXE = 0x800n;
const ALL = 0xffff_ffff_ffff_ffffn;

// ---- control registers

/** What the tables in force depend on. */
const inForce = (paging: Paging): string => `${Object.values(settingsOf(paging)).join()},${paging.cr3}`;

function setControl(vm: Vm, name: ControlName, value: bigint): void {
  if (name === 'cr2') return setReal(vm, name, value);
  const mine = own(vm);
  const before = inForce(mine);
  mine[name] = value;
  mine.stale ||= inForce(mine) !== before;
  const long = (mine.efer & LMA) !== 0n;
  const paging = (mine.cr0 & PG) !== 0n;
  writeField(vm, 'GUEST_CR0', mine.cr0 | PG | WP | NE);
  writeField(vm, 'CR0_READ_SHADOW', mine.cr0);
  writeField(vm, 'GUEST_CR4', ((mine.cr4 | VMXE | (long ? 0n : PAE)) & ~(paging ? 0n : SMEP_SMAP)));
  writeField(vm, 'CR4_READ_SHADOW', mine.cr4);
  setReal(vm, 'efer', (mine.efer | NXE) & ~(long ? 0n : LME));
}

function control(vm: Vm, name: ControlName): bigint {
  if (name === 'cr2') return vmxState.control(vm, name);
  const mine = own(vm);
  if (name === 'cr0') return (mine.cr0 & ~CR0_GUEST) | (readField(vm, 'GUEST_CR0') & CR0_GUEST);
  if (name === 'cr4') return (mine.cr4 & ~CR4_GUEST) | (readField(vm, 'GUEST_CR4') & CR4_GUEST);
  return mine[name];
}

const state: GuestState = { ...vmxState, control, setControl };

function init(vm: Vm, now: number): void {
  initVmcs(vm, now);
  vm.own = { cr0: 0n, cr3: 0n, cr4: 0n, efer: 0n, stale: true, refused: { rip: 0n, at: -1n } } satisfies Own;
  const primary = Number(readField(vm, 'PRIMARY_PROCESSOR_CONTROLS'));
  writeField(vm, 'PRIMARY_PROCESSOR_CONTROLS', BigInt((primary | INVLPG_EXITING | CR3_EXITING) >>> 0));
  writeField(vm, 'SECONDARY_PROCESSOR_CONTROLS', SECONDARY);
  writeField(vm, 'EPT_POINTER', 0);
  writeField(vm, 'EXCEPTION_BITMAP', 1 << PAGE_FAULT);
  writeField(vm, 'CR0_MASK', ALL & ~CR0_GUEST);
  writeField(vm, 'CR4_MASK', ALL & ~CR4_GUEST);
}

/** As the guest believes it: what decides how its tables are read. */
const pagingOf = (vm: Vm): Paging => ({ cr0: control(vm, 'cr0'), cr3: control(vm, 'cr3'), cr4: control(vm, 'cr4'), efer: control(vm, 'efer') });

/** The root for the guest's state, made or found; cycles that tables read again cost. */
export function reload(vm: Vm): number {
  own(vm).stale = false;
  const { synced } = setRoot(vm, pagingOf(vm));
  return resynced(vm, synced);
}

function resynced(vm: Vm, tables: number): number {
  const cycles = vm.costs.shadow.resync;
  for (let n = 0; n < tables; n++) noted(vm, 'shadow: resync', cycles, readField(vm, 'GUEST_RIP'));
  return tables * cycles;
}

// ---- exits

const handled = (handler: number, exit: VmExit | null = null, done = true): Handled => ({ exit, handler, done });

function handle(vm: Vm, facts: ExitFacts): Handled {
  const { shadow } = vm.costs;
  const rip = readField(vm, 'GUEST_RIP');
  switch (facts.reason) {
    case 0: return onException(vm, facts);
    case 14:
      invlpg(vm, facts.qualification);
      skip(vm);
      noted(vm, 'shadow: INVLPG', shadow.invlpg, rip);
      return handled(shadow.invlpg);
    case 28: return onControl(vm, facts, rip);
    default: return handleExit(vm, facts);
  }
}

function onControl(vm: Vm, facts: ExitFacts, rip: bigint): Handled {
  const { handler, shadow } = vm.costs;
  const { exit, what } = onControlAccess(vm, facts.qualification);
  if (exit || what === 'nothing') return handled(handler, exit);
  if (what === 'switch') {
    const synced = reload(vm);
    noted(vm, 'shadow: CR3 switch', shadow.switch, rip);
    return handled(shadow.switch + synced);
  }
  const synced = what === 'flush' ? resynced(vm, flushAll(vm)) : reload(vm);
  return handled(handler + synced);
}

function faultOf(vm: Vm, facts: ExitFacts): Fault {
  return {
    address: facts.qualification, error: Number(readField(vm, 'EXIT_INTERRUPTION_ERROR_CODE')), paging: pagingOf(vm), ac: (readField(vm, 'GUEST_RFLAGS') & AC) !== 0n,
    rip: readField(vm, 'GUEST_RIP'), delivering: vm.event !== null,
  };
}

function onException(vm: Vm, facts: ExitFacts): Handled {
  const { shadow } = vm.costs;
  const fault = faultOf(vm, facts);
  const sorted = shadowFault(vm, fault);
  switch (sorted.kind) {
    case 'filled':
      noted(vm, 'shadow: hidden fault', shadow.hidden, fault.rip);
      return handled(shadow.hidden, null, false);
    case 'inject': return injected(vm, fault, fault.address, sorted.error);
    case 'write': return onWrite(vm, fault, sorted.gpa);
    case 'page':
      noted(vm, 'shadow: hidden fault', shadow.hidden, fault.rip);
      return handled(shadow.hidden, { reason: 'page', gpa: sorted.gpa }, false);
    case 'mmio':
      return onHole(vm, facts, fault, sorted.gpa);
    case 'reserved': return handled(0, { reason: 'internal-error', text: "a slot of the monitor's, which has none here" }, false);
  }
}

const FETCH = 16;

/** Where the guest has no memory: a device, or nothing. */
function onHole(vm: Vm, { now }: ExitFacts, fault: Fault, gpa: number): Handled {
  if ((fault.error & FETCH) !== 0) return handled(vm.costs.handler, { reason: 'internal-error', text: `emulation failure: no memory to run at 0x${gpa.toString(16)}` }, false);
  const linear = (own(vm).efer & LMA) !== 0n ? fault.address : BigInt.asUintN(32, fault.address);
  const exit = onDevice(vm, gpa, linear, now, (_vm, facts) => handle(vm, facts).exit);
  return handled(vm.costs.handler, exit, exit === null);
}

/** The guest's own page fault; of two at once SDM 3A table 6-5 makes one. */
function injected(vm: Vm, fault: Fault, address: bigint, error: number): Handled {
  const { shadow } = vm.costs;
  noted(vm, 'shadow: true fault', shadow.true, fault.rip);
  const first = vm.event?.info ?? 0;
  const exception = ((first >> 8) & 7) === 3 && vm.event !== null;
  if (exception && (first & 255) === 8) return handled(shadow.true, { reason: 'shutdown' });
  const double = exception && (first & 255) === PAGE_FAULT;
  if (!double) setReal(vm, 'cr2', address);
  vm.event = double ? { info: DF_INFO, error: 0, length: 0 } : { info: PF_INFO, error, length: 0 };
  return handled(shadow.true, null, false);
}

/** A write to a traced table is carried out here; what cannot be is tried again by the guest, without tracing. */
function onWrite(vm: Vm, fault: Fault, gpa: number): Handled {
  const { shadow } = vm.costs;
  const s = shadowOf(vm);
  const flooded = s.counts.flooded;
  const done = emulateWrite(vm, s, fault);
  switch (done.kind) {
    case 'done':
      writeField(vm, 'GUEST_INTERRUPTIBILITY', readField(vm, 'GUEST_INTERRUPTIBILITY') & ~3n);
      noted(vm, 'shadow: page-table write (traced)', shadow.write, fault.rip);
      for (let n = flooded; n < s.counts.flooded; n++) noted(vm, 'shadow: unshadow (flooding)', 0, fault.rip);
      return handled(shadow.write);
    case 'inject': return injected(vm, fault, done.address, done.error);
    case 'page': return handled(shadow.hidden, { reason: 'page', gpa: done.gpa }, false);
    case 'unknown': {
      const { refused } = own(vm);
      const at = instructions(vm.machine);
      if (refused.rip === fault.rip && refused.at === at) return handled(shadow.write, { reason: 'internal-error', text: `emulation failure at rip 0x${fault.rip.toString(16)}` }, false);
      own(vm).refused = { rip: fault.rip, at };
      giveUpTracing(vm, gpa);
      noted(vm, 'shadow: unshadow (not emulated)', shadow.write, fault.rip);
      return handled(shadow.write, null, false);
    }
  }
}

const way = vmxWith(handle);

/** Whatever the root is by now is what the guest enters on. */
function stretch(vm: Vm, cycles: number, single: boolean): Stop {
  if (own(vm).stale) reload(vm);
  writeField(vm, 'GUEST_CR3', shadowRoot(vm));
  return way.stretch(vm, cycles, single);
}

const tryOne: CpuWay['tryOne'] = (vm, given, pages) => {
  if (own(vm).stale) reload(vm);
  writeField(vm, 'GUEST_CR3', shadowRoot(vm));
  return way.tryOne(vm, given, pages);
};

export const vmxShadow: CpuWay = { ...way, init, state, stretch, tryOne };
