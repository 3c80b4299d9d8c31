/**
 * What the virtual control registers mean for the tables that the real processor walks: the guest runs on shadow page tables
 * (memory/shadow.ts), with the monitor's own area in every root; and page faults, sorted into the guest's own, the shadow's,
 * and writes that are watched. Checks of MOV to CR: SDM 2 MOV CR, SDM 3A 2.5, as src/cpu/control.ts has them.
 */
import { register, setRegister } from '../../machine/machine.ts';
import { badPdptes, flushAll, invlpg, loadPdptes, setRoot, shadowRoot } from '../memory/shadow.ts';
import { slotOf } from '../memory/frames.ts';
import { walkGuest } from '../memory/shadow-walk.ts';
import type { Vm } from '../vm.ts';
import { AREA, CACHE_AT, GDT_AT } from './deprivilege-area.ts';
import { gp, missing, paging } from './deprivilege-memory.ts';
import { inLongCode, longMode } from './deprivilege-segments.ts';
import { LMA, LME, NXE, own, PE, PG, setControl, setVcpu, vcpu } from './deprivilege-state.ts';

/** After any call that may have changed the root in force. */
export function applyRoot(vm: Vm): void {
  const root = shadowRoot(vm);
  if (register(vm.machine, 'cr3') !== root) setRegister(vm.machine, 'cr3', root);
  own(vm).rooted?.(vm);
}

/** The guest's paging is no longer what it was: other tables, other rules, or another root. */
export function follow(vm: Vm): void {
  setRoot(vm, paging(vm));
  applyRoot(vm);
  own(vm).remapped?.(vm);
}

/** The same for tables that the guest chose: memory of its own must not be where the monitor is. */
function followTables(vm: Vm): void {
  if (!longMode(vm)) return follow(vm);
  const access = { write: false, user: false, fetch: false, ac: true };
  for (const offset of [0, GDT_AT, CACHE_AT]) {
    const at = AREA + BigInt(offset);
    const walk = walkGuest(vm, paging(vm), [], at, access, false);
    if (walk.ok && slotOf(vm, walk.gfn * 4096)) throw missing(`a guest with memory at 0x${at.toString(16)}, where the monitor is`);
  }
  follow(vm);
}

export function invalidate(vm: Vm, address: bigint): void {
  invlpg(vm, address);
  applyRoot(vm);
  own(vm).remapped?.(vm);
}

export function invalidateAll(vm: Vm): void {
  flushAll(vm);
  applyRoot(vm);
  own(vm).remapped?.(vm);
}

const WP = 0x1_0000n;
const NW = 0x2000_0000n;
const CD = 0x4000_0000n;
const CR0_KNOWN = 0xe005_003fn;
const PAE = 0x20n;
const PCIDE = 0x2_0000n;
/** TSD DE PSE PAE PGE UMIP SMEP SMAP and what is kept without effect; PCIDE and VMXE are not offered. */
const CR4_KNOWN = 0x30_0fbcn;
/** PAE, PGE, PSE, SMEP: changing one loads the pointers. */
const POINTERS = PAE | 0x80n | 0x10n | 0x10_0000n;
const GLOBALS = 0x80n | PAE | 0x10n | PCIDE | 0x30_0000n;

/** False: there is no such register. Throws #GP. */
export function writeControl(vm: Vm, n: number, value: bigint): boolean {
  switch (n) {
    case 0:
      writeCr0(vm, value);
      return true;
    case 2:
      setVcpu(vm, 'cr2', value);
      return true;
    case 3:
      if (value >> 40n !== 0n) throw gp();
      if (paePaging(vm)) checkPointers(vm, value);
      setVcpu(vm, 'cr3', value);
      followTables(vm);
      return true;
    case 4:
      writeCr4(vm, value);
      return true;
    case 8:
      if ((value & ~15n) !== 0n) throw gp();
      setVcpu(vm, 'cr8', value);
      return true;
    default: return false;
  }
}

function writeCr0(vm: Vm, given: bigint): void {
  const value = given | 0x10n;
  const { efer } = own(vm);
  const before = vcpu(vm, 'cr0');
  if (value >> 32n !== 0n || ((value & PG) !== 0n && (value & PE) === 0n) || ((value & NW) !== 0n && (value & CD) === 0n)) throw gp();
  if ((value & PG) === 0n && (efer & LMA) !== 0n && inLongCode(vm)) throw gp();
  if ((value & PG) !== 0n && (before & PG) === 0n && (efer & LME) !== 0n && ((vcpu(vm, 'cr4') & PAE) === 0n || inLongCode(vm))) throw gp();
  if (own(vm).cache === null && ((value & PG) === 0n || (value & PE) === 0n)) throw missing('leaving long mode under trap-and-emulate');
  const turned = (before ^ value) & (PG | PE | WP | CD | NW);
  if ((value & PG) !== 0n && (efer & LME) === 0n && (vcpu(vm, 'cr4') & PAE) !== 0n && (turned & (PG | CD | NW)) !== 0n) checkPointers(vm, vcpu(vm, 'cr3'));
  setControl(vm, 'cr0', value & CR0_KNOWN);
  if ((turned & PG) !== 0n) setControl(vm, 'efer', (value & PG) !== 0n && (efer & LME) !== 0n ? efer | LMA : efer & ~LMA);
  if ((turned & (PG | PE | WP)) !== 0n) followTables(vm);
}

const paePaging = (vm: Vm): boolean => (vcpu(vm, 'cr0') & PG) !== 0n && !longMode(vm) && (vcpu(vm, 'cr4') & PAE) !== 0n;

/** The four entries that PAE paging loads: a reserved bit in one is #GP. */
function checkPointers(vm: Vm, cr3: bigint): void {
  if (badPdptes(loadPdptes(vm, cr3))) throw gp();
}

function writeCr4(vm: Vm, value: bigint): void {
  const before = vcpu(vm, 'cr4');
  if ((value & ~CR4_KNOWN) !== 0n || ((value & PAE) === 0n && (own(vm).efer & LMA) !== 0n)) throw gp();
  if ((value & PAE) !== 0n && (vcpu(vm, 'cr0') & PG) !== 0n && !longMode(vm) && ((before ^ value) & POINTERS) !== 0n) checkPointers(vm, vcpu(vm, 'cr3'));
  setControl(vm, 'cr4', value);
  if (((before ^ value) & GLOBALS) !== 0n) followTables(vm);
}

export function setEfer(vm: Vm, value: bigint): void {
  const before = own(vm).efer;
  setControl(vm, 'efer', value);
  if (((before ^ value) & NXE) !== 0n) followTables(vm);
}

export const inLongMode = (vm: Vm): boolean => (own(vm).efer & (LME | LMA)) === (LME | LMA);
