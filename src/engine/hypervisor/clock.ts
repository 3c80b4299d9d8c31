/** The guest's time-stamp counter goes with the host's clock, whatever the processor itself has counted. */
import { setTimeStamp } from '../machine/machine.ts';
import type { Vm } from './vm.ts';

/** At `now` (ns); `offset`: cycles that the guest set it apart by. */
export const syncTsc = (vm: Vm, now: number, offset = 0n): void => setTimeStamp(vm.machine, BigInt(Math.round(now * vm.ghz)) + offset);
