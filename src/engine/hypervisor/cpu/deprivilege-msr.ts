/** Model-specific registers of the virtual processor: most live in the real one's, unused there; what would reach the real one's mode is kept apart. */
import { isApicMsr } from '../../machine/devices/apic-registers.ts';
import { readMsr, writeMsr } from '../../machine/machine.ts';
import { readLocalMsr, writeLocalMsr } from '../apic.ts';
import { syncTsc } from '../clock.ts';
import type { Vm } from '../vm.ts';
import { setEfer } from './deprivilege-shadow.ts';
import { LMA, LME, NXE, own, PG, SCE, vcpu } from './deprivilege-state.ts';

const EFER = 0xc0000080;
const TSC = 0x10;

/** Null: #GP. */
export function readVirtualMsr(vm: Vm, index: number, now: number): bigint | null {
  if (index === EFER) return own(vm).efer;
  if (index === TSC) return BigInt.asUintN(64, BigInt(Math.round(now * vm.ghz)) + own(vm).tscOffset);
  return isApicMsr(index) ? readLocalMsr(vm, index, now) : readMsr(vm.machine, index);
}

/** False: #GP. */
export function writeVirtualMsr(vm: Vm, index: number, value: bigint, now: number): boolean {
  if (index === TSC) {
    own(vm).tscOffset = value - BigInt(Math.round(now * vm.ghz));
    syncVirtualTsc(vm, now);
    return true;
  }
  if (isApicMsr(index)) return writeLocalMsr(vm, index, value, now, readVirtualMsr(vm, TSC, now)!);
  if (index !== EFER) return writeMsr(vm.machine, index, value);
  const before = own(vm).efer;
  if ((value & ~(SCE | LME | LMA | NXE)) !== 0n || ((vcpu(vm, 'cr0') & PG) !== 0n && ((before ^ value) & LME) !== 0n)) return false;
  setEfer(vm, (value & ~LMA) | (before & LMA));
  return true;
}

/** The real counter is the guest's, so that RDTSC runs by itself. */
export const syncVirtualTsc = (vm: Vm, now: number): void => syncTsc(vm, now, own(vm).tscOffset);
