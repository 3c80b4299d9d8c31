/** The guest's local APIC by its MSRs, with the guest's own time-stamp counter for deadlines. */
import { mayWriteMsr, readApicMsr, writeApicMsr } from '../machine/devices/apic-registers.ts';
import { settle } from '../machine/devices/irqchip.ts';
import type { Vm } from './vm.ts';

/** Null: #GP. `now` in ns. */
export const readLocalMsr = (vm: Vm, index: number, now: number): bigint | null => readApicMsr(vm.chip.apic, index, now);

export const mayWriteLocalMsr = (vm: Vm, index: number, value: bigint): boolean => mayWriteMsr(vm.chip.apic, index, value);

/** False: #GP. `stamp`: what the guest's time-stamp counter reads at `now`. */
export function writeLocalMsr(vm: Vm, index: number, value: bigint, now: number, stamp: bigint): boolean {
  const toNs = (deadline: bigint): number => now + Math.max(0, Math.ceil(Number(BigInt.asUintN(64, deadline) - stamp) / vm.ghz));
  const done = writeApicMsr(vm.chip.apic, index, value, now, { toNs });
  settle(vm.chip);
  vm.way.cpu.priority.set(vm, vm.chip.apic.tpr >> 4);
  return done;
}
