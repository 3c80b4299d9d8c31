/**
 * Accesses to control registers that the hypervisor answers in the processor's place, for a guest whose paging is its own
 * business: the same checks and faults as the processor's (SDM 2 MOV CR, SDM 3A 2.5), without PCID, which the guest is not told of.
 */
import { badPdptes, loadPdptes } from '../memory/shadow.ts';
import { modeOf } from '../memory/shadow-walk.ts';
import { guestControl, guestSegment, setGuestControl } from '../state.ts';
import type { Vm, VmExit } from '../vm.ts';
import { GENERAL, raise, setTaskPriority, skip } from './exit.ts';
import { guestRegister, setGuestRegister } from './vmcs.ts';

export interface ControlOutcome {
  exit: VmExit | null;
  /** What it means for the tables in force: CR3 was loaded, how tables are read changed, translations are to be forgotten. */
  what: 'switch' | 'mode' | 'flush' | 'nothing';
}

const GP = 13;
const PE = 1n;
const TS = 8n;
const ET = 0x10n;
const WP = 0x10000n;
const NW = 0x2000_0000n;
const CD = 0x4000_0000n;
const PG = 0x8000_0000n;
const CR0_KNOWN = 0xe005_003fn;
const LME = 0x100n;
const LMA = 0x400n;
const PSE = 0x10n;
const PAE = 0x20n;
const PGE = 0x80n;
const SMEP = 0x10_0000n;
const SMAP = 0x20_0000n;
/** What the guest's CPUID tells of. */
const CR4_KNOWN = 0x30_0fbcn;
const CODE_64 = 0x2000;

const nothing: ControlOutcome = { exit: null, what: 'nothing' };

/** #GP, or what the register became. */
export function onControlAccess(vm: Vm, qualification: bigint): ControlOutcome {
  const control = Number(qualification & 15n);
  const type = Number((qualification >> 4n) & 3n);
  const general = GENERAL[Number((qualification >> 8n) & 15n)]!;
  const long = (guestSegment(vm, 'cs').rights & CODE_64) !== 0;
  if (type === 1 && control === 3) {
    setGuestRegister(vm, general, guestControl(vm, 'cr3'));
    skip(vm);
    return nothing;
  }
  if (control === 8 && type === 0) {
    if (!setTaskPriority(vm, guestRegister(vm, general))) raise(vm, GP);
    else skip(vm);
    return nothing;
  }
  const given = long ? guestRegister(vm, general) : BigInt.asUintN(32, guestRegister(vm, general));
  const cr0 = guestControl(vm, 'cr0');
  const outcome = type === 2 ? loadCr0(vm, cr0 & ~TS)
    : type === 3 ? loadCr0(vm, (cr0 & ~14n) | ((qualification >> 16n) & 15n) | (cr0 & PE))
      : control === 0 ? loadCr0(vm, given) : control === 4 ? loadCr4(vm, given) : control === 3 ? loadCr3(vm, given) : 'unknown';
  if (outcome === 'unknown') return { exit: { reason: 'internal-error', text: `not modelled: CR${control} access of type ${type}` }, what: 'nothing' };
  if (outcome === 'real mode') return { exit: { reason: 'internal-error', text: 'not modelled: real mode without EPT (unrestricted guest needs EPT)' }, what: 'nothing' };
  if (outcome === null) {
    raise(vm, GP);
    return nothing;
  }
  skip(vm);
  return { exit: null, what: outcome };
}

type Loaded = ControlOutcome['what'] | 'unknown' | 'real mode' | null;

const pointersBad = (vm: Vm): boolean => badPdptes(loadPdptes(vm, guestControl(vm, 'cr3')));

function loadCr0(vm: Vm, given: bigint): Loaded {
  const value = (given | ET) & CR0_KNOWN;
  const cr4 = guestControl(vm, 'cr4');
  const efer = guestControl(vm, 'efer');
  const before = guestControl(vm, 'cr0');
  if (given >> 32n !== 0n || ((value & PG) !== 0n && (value & PE) === 0n) || ((value & NW) !== 0n && (value & CD) === 0n)) return null;
  const wide = (guestSegment(vm, 'cs').rights & CODE_64) !== 0;
  const long = (efer & LME) !== 0n;
  const turnedOn = (value & ~before & PG) !== 0n;
  if ((value & PG) === 0n && (efer & LMA) !== 0n && wide) return null;
  if (turnedOn && long && ((cr4 & PAE) === 0n || wide)) return null;
  if (turnedOn && !long && (cr4 & PAE) !== 0n && pointersBad(vm)) return null;
  if ((value & PE) === 0n) return 'real mode';
  setGuestControl(vm, 'efer', (value & PG) !== 0n && long ? efer | LMA : efer & ~LMA);
  setGuestControl(vm, 'cr0', value);
  return ((value ^ before) & (PG | WP)) !== 0n ? 'mode' : 'nothing';
}

function loadCr3(vm: Vm, value: bigint): Loaded {
  if (value >> 40n !== 0n) return null;
  const mode = modeOf({ cr0: guestControl(vm, 'cr0'), cr3: value, cr4: guestControl(vm, 'cr4'), efer: guestControl(vm, 'efer') });
  if (mode === 'pae' && badPdptes(loadPdptes(vm, value))) return null;
  setGuestControl(vm, 'cr3', value);
  return 'switch';
}

function loadCr4(vm: Vm, value: bigint): Loaded {
  const before = guestControl(vm, 'cr4');
  if ((value & ~CR4_KNOWN) !== 0n || ((value & PAE) === 0n && (guestControl(vm, 'efer') & LMA) !== 0n)) return null;
  const pae = (value & PAE) !== 0n && (guestControl(vm, 'cr0') & PG) !== 0n && (guestControl(vm, 'efer') & LMA) === 0n;
  const changed = value ^ before;
  if (pae && (changed & (PAE | PGE | PSE | SMEP)) !== 0n && pointersBad(vm)) return null;
  setGuestControl(vm, 'cr4', value);
  if ((changed & (PSE | PAE | SMEP | SMAP)) !== 0n) return 'mode';
  return (changed & PGE) !== 0n ? 'flush' : 'nothing';
}
