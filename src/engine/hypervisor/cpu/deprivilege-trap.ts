/**
 * What a trap of the real processor means for a deprivileged guest, whichever technique runs it: a page fault is sorted by the
 * shadow tables; an exception of the guest's code, an INT n, a SYSCALL goes to the guest's own handler by software.
 */
import { CR2, INTERRUPTIBILITY } from '../../../cpu/layout.ts';
import { register, setRegister, slot, type Stop } from '../../machine/machine.ts';
import { emulateWrite } from '../memory/shadow-emulate.ts';
import { giveUpTracing, shadowFault, shadowOf } from '../memory/shadow.ts';
import type { Fault } from '../memory/shadow-types.ts';
import type { Answer, Vm, VmExit } from '../vm.ts';
import { deliver, type Event, systemCall, systemEnter } from './deprivilege-deliver.ts';
import { isStopped, missing, paging, type Stopped, stopped } from './deprivilege-memory.ts';
import { readVirtualMsr } from './deprivilege-msr.ts';
import { copyGdt } from './deprivilege-segments.ts';
import { applyRoot } from './deprivilege-shadow.ts';
import { own, virtualFlags } from './deprivilege-state.ts';

export const TRAP_SYSCALL = 256;
export const TRAP_SYSENTER = 257;
const AC = 0x4_0000n;

export interface Trap {
  vector: number;
  error: number;
  type: number;
  length: number;
  cr2: bigint;
}

export const trapOf = (vm: Vm, { payload }: Stop): Trap => ({
  vector: Number(payload[0]), error: Number(payload[1]), type: Number(payload[2]), length: Number(payload[3]), cr2: slot(vm.machine, CR2),
});

/** What one answer of the monitor was called and came to. */
export interface Done {
  exit: VmExit | null;
  event: string;
  cycles: number;
  stepped: boolean;
}

export const done = (event: string, cycles: number, exit: VmExit | null = null, stepped = true): Done => ({ exit, event, cycles, stepped });

export const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);
const NAMES: Readonly<Record<number, string>> = {
  0: '#DE', 1: '#DB', 2: 'NMI', 3: '#BP', 4: '#OF', 5: '#BR', 6: '#UD', 7: '#NM', 8: '#DF', 10: '#TS', 11: '#NP', 12: '#SS', 13: '#GP', 14: '#PF', 16: '#MF', 17: '#AC', 18: '#MC', 19: '#XM',
};
export const vectorName = (vector: number): string => NAMES[vector] ?? `vector ${vector}`;

/** Runs what may be stopped half way, with nothing changed by then; what stopped it becomes the VM's exit. */
export function attempt(vm: Vm, work: () => VmExit | null): VmExit | null {
  try {
    return work();
  } catch (thrown) {
    if (!isStopped(thrown)) throw thrown;
    return exitFor(vm, thrown);
  }
}

function exitFor(vm: Vm, why: Stopped): VmExit | null {
  switch (why.kind) {
    case 'page': return { reason: 'page', gpa: why.gpa };
    case 'mmio': return { reason: 'internal-error', text: `not modelled: the monitor's own access to a device at 0x${why.gpa.toString(16)}, rip 0x${register(vm.machine, 'rip').toString(16)}` };
    case 'shutdown': return { reason: 'shutdown' };
    case 'missing': return { reason: 'internal-error', text: `${why.text}, rip 0x${register(vm.machine, 'rip').toString(16)}` };
    case 'fault': return attempt(vm, () => {
      deliver(vm, { vector: why.vector, type: 3, error: why.error, length: 0, ...(why.cr2 === undefined ? {} : { cr2: why.cr2 }) });
      return null;
    });
  }
}

/** An exception, INT n or SYSCALL goes where the guest's tables say. */
export function reflect(vm: Vm, trap: Trap, now: number): VmExit | null {
  return attempt(vm, () => {
    if (trap.vector === TRAP_SYSCALL) {
      systemCall(vm, (index) => readVirtualMsr(vm, index, now) ?? 0n);
      own(vm).shadow = false;
    } else if (trap.vector === TRAP_SYSENTER) {
      systemEnter(vm, (index) => readVirtualMsr(vm, index, now) ?? 0n);
      own(vm).shadow = false;
    } else deliver(vm, eventOf(trap));
    return null;
  });
}

export function eventOf({ vector, type, error, length, cr2 }: Trap): Event {
  const has = type === 3 && WITH_ERROR.has(vector);
  return { vector, type, error: has ? error : null, length, ...(vector === 14 && type === 3 ? { cr2 } : {}) };
}

export type Sorting =
  /** The guest tries again. */
  | { kind: 'again'; event: string; watched: boolean }
  | { kind: 'exit'; exit: VmExit; event: string }
  /** A device is there, or nothing. */
  | { kind: 'device'; gpa: number }
  /** The guest's own fault: to its handler. */
  | { kind: 'guest'; trap: Trap };

/** `rip` of the faulting instruction in the guest's code; it may have been emulated and moved. */
export function sortPageFault(vm: Vm, trap: Trap): Sorting {
  const fault: Fault = {
    address: trap.cr2, error: trap.error, paging: paging(vm), ac: (virtualFlags(vm) & AC) !== 0n, rip: register(vm.machine, 'rip'), delivering: false,
  };
  const sorted = shadowFault(vm, fault);
  applyRoot(vm);
  switch (sorted.kind) {
    case 'filled': return { kind: 'again', event: 'hidden #PF', watched: false };
    case 'inject': return { kind: 'guest', trap: { ...trap, error: sorted.error } };
    case 'page': return { kind: 'exit', exit: { reason: 'page', gpa: sorted.gpa }, event: 'host page' };
    case 'mmio': return { kind: 'device', gpa: sorted.gpa };
    case 'reserved':
      if (own(vm).makeRoom?.(vm, trap.cr2)) return { kind: 'again', event: 'monitor moved', watched: false };
      throw stopped(missing(`memory of the guest's at 0x${trap.cr2.toString(16)}, where the monitor is`));
    case 'write': return watchedWrite(vm, fault, sorted.gpa, trap);
  }
}

/** A write to a frame that is watched (a page table, translated code) is done by the monitor. */
export function watchedWrite(vm: Vm, fault: Fault, gpa: number, trap: Trap): Sorting {
  const emulated = emulateWrite(vm, shadowOf(vm), fault);
  if (emulated.kind === 'unknown') {
    giveUpTracing(vm, gpa);
    if (shadowOf(vm).watched.has(Math.floor(gpa / 4096))) {
      own(vm).unseen?.(vm, gpa, () => {
        shadowFault(vm, fault);
        applyRoot(vm);
      });
    }
  }
  applyRoot(vm);
  switch (emulated.kind) {
    case 'done':
      own(vm).shadow = false;
      return { kind: 'again', event: 'watched write', watched: true };
    case 'unknown': return { kind: 'again', event: 'watch given up', watched: true };
    case 'page': return { kind: 'exit', exit: { reason: 'page', gpa: emulated.gpa }, event: 'host page' };
    case 'inject': return { kind: 'guest', trap: { ...trap, cr2: emulated.address, error: emulated.error } };
  }
}

/** Before the guest runs again: its descriptors and its interrupt shadow are where the real processor sees them. */
export function prepare(vm: Vm): void {
  copyGdt(vm);
  vm.machine.state.setUint32(INTERRUPTIBILITY, 0, true);
}

export const answered = ({ exit, event, cycles, stepped }: Done, program = 0): Answer => ({ exit, monitor: cycles, program, event, stepped });
export const moveTo = (vm: Vm, rip: bigint): void => setRegister(vm.machine, 'rip', rip);
