/**
 * What the hypervisor brings to the guest by itself: exceptions bounced to the handlers it named, system calls of its processes,
 * and events, which stand for interrupts: a bit a port in shared_info, one upcall for all, and a mask byte that is the guest's
 * cli and sti. The frame is Xen's for x86-64: rcx, r11, [error code], rip, cs with the mask as it was in its upper half, rflags,
 * rsp, ss. Sources: Barham et al., SOSP 2003, 3.2; Xen's create_bounce_frame.
 */
import { register, setRegister } from '../../machine/machine.ts';
import { writeIrqchip } from '../../machine/devices/irqchip.ts';
import type { Vm } from '../vm.ts';
import { enterRing } from './build.ts';
import { domainOf, ring, storeWord } from './domain.ts';
import { ARCH_CR2, EVENTS_MASK, EVENTS_PENDING, KERNEL_CODE, KERNEL_DATA, PENDING_SELECTOR, UPCALL_MASK, UPCALL_PENDING, USER_CODE, USER_DATA, VIRQ_CONSOLE, VIRQ_TIMER } from './interface.ts';

const IF = 0x200n;
/** TF, NT, RF, VM, AC do not go on into a handler. */
const CLEARED = 0x7_4100n;

/** A crash of the domain: the reason in words. */
export class DomainCrash extends Error {}

export const masked = (vm: Vm): boolean => vm.machine.memory[domainOf(vm).shared + UPCALL_MASK] !== 0;
export const setMask = (vm: Vm, on: boolean): void => {
  vm.machine.memory[domainOf(vm).shared + UPCALL_MASK] = on ? 1 : 0;
};
export const upcallPending = (vm: Vm): boolean => vm.machine.memory[domainOf(vm).shared + UPCALL_PENDING] !== 0;

/** Goes to a handler of the guest's kernel. Throws DomainCrash when its stack cannot take the frame. */
export function bounce(vm: Vm, handler: bigint, { error = null, masks = false }: { error?: number | null; masks?: boolean } = {}): void {
  const m = vm.machine;
  const from = ring(vm);
  const was = masked(vm);
  const rsp = register(m, 'rsp');
  const flags = (register(m, 'rflags') & ~IF) | (was ? 0n : IF);
  const selectors = from === 3 ? { cs: USER_CODE, ss: USER_DATA } : { cs: KERNEL_CODE, ss: KERNEL_DATA };
  const words = [register(m, 'rcx'), register(m, 'r11'), ...(error === null ? [] : [BigInt(error)]), register(m, 'rip'), BigInt(selectors.cs) | (was ? 1n << 32n : 0n), flags, rsp, BigInt(selectors.ss)];
  const top = (from === 3 ? domainOf(vm).kernelStack : rsp) & ~15n;
  const bottom = top - BigInt(8 * words.length);
  if (from === 3) enterRing(vm, 1);
  for (const [n, word] of words.entries()) if (!storeWord(vm, bottom + BigInt(8 * n), word)) throw new DomainCrash(`no stack for a frame at 0x${BigInt.asUintN(64, bottom).toString(16)}`);
  setRegister(m, 'rsp', bottom);
  setRegister(m, 'rip', handler);
  setRegister(m, 'rflags', (register(m, 'rflags') & ~CLEARED) | IF);
  if (masks) setMask(vm, true);
}

/** An exception of the domain's, or an INT n that it may raise. Throws DomainCrash when nobody handles it. */
export function bounceTrap(vm: Vm, vector: number, error: number | null, address: bigint): void {
  const domain = domainOf(vm);
  if (vector === 14) vm.machine.physical.setBigUint64(domain.shared + ARCH_CR2, address, true);
  const gate = domain.traps.get(vector);
  if (!gate) throw new DomainCrash(`unhandled trap ${vector}${error === null ? '' : ` [error code ${error.toString(16)}]`} at rip 0x${register(vm.machine, 'rip').toString(16)}`);
  bounce(vm, gate.address, { error, masks: gate.masks });
}

/** The port's bit is set; and an upcall is due unless it is masked. Says whether anything is new. */
export function raisePort(vm: Vm, port: number): boolean {
  const { shared } = domainOf(vm);
  const { physical, memory } = vm.machine;
  const word = Math.floor(port / 64);
  const bit = 1n << BigInt(port % 64);
  const at = shared + EVENTS_PENDING + 8 * word;
  const before = physical.getBigUint64(at, true);
  physical.setBigUint64(at, before | bit, true);
  if ((before & bit) !== 0n || (physical.getBigUint64(shared + EVENTS_MASK + 8 * word, true) & bit) !== 0n) return false;
  physical.setBigUint64(shared + PENDING_SELECTOR, physical.getBigUint64(shared + PENDING_SELECTOR, true) | (1n << BigInt(word)), true);
  memory[shared + UPCALL_PENDING] = 1;
  return true;
}

export function unmaskPort(vm: Vm, port: number): void {
  const { shared } = domainOf(vm);
  const { physical, memory } = vm.machine;
  const word = Math.floor(port / 64);
  const bit = 1n << BigInt(port % 64);
  const mask = shared + EVENTS_MASK + 8 * word;
  physical.setBigUint64(mask, physical.getBigUint64(mask, true) & ~bit, true);
  if ((physical.getBigUint64(shared + EVENTS_PENDING + 8 * word, true) & bit) === 0n) return;
  physical.setBigUint64(shared + PENDING_SELECTOR, physical.getBigUint64(shared + PENDING_SELECTOR, true) | (1n << BigInt(word)), true);
  memory[shared + UPCALL_PENDING] = 1;
}

/** The upcall, when one is due and the guest lets it in. */
export function upcall(vm: Vm): boolean {
  const domain = domainOf(vm);
  if (!upcallPending(vm) || masked(vm) || domain.event === 0n) return false;
  bounce(vm, domain.event, { masks: true });
  return true;
}

// ---- the hypervisor's own timer and console line, behind virtual interrupts

const TIMER_LINE = 0;
const CONSOLE_LINE = 4;
const BASE = 0x20;

/** The interrupt controller is the hypervisor's: lines of timer and console open, nothing else. */
export function startController(vm: Vm): void {
  for (const [port, value] of [[0x20, 0x11], [0x21, BASE], [0x21, 4], [0x21, 1], [0xa0, 0x11], [0xa1, BASE + 8], [0xa1, 2], [0xa1, 1], [0x21, 0xee], [0xa1, 0xff]] as const) writeIrqchip(vm.chip, port, value, 0);
}

/** An interrupt that the controller gave: which virtual interrupt it is. Ends it. */
export function takeInterrupt(vm: Vm, vector: number, now: number): number | null {
  writeIrqchip(vm.chip, 0x20, 0x20, now);
  return vector === BASE + TIMER_LINE ? VIRQ_TIMER : vector === BASE + CONSOLE_LINE ? VIRQ_CONSOLE : null;
}

const PIT_HZ = 1_193_182;

/** Periodic (a rate), one shot, or none; at most what 16 bits of the timer hold, 54.9 ms. */
export function setTimer(vm: Vm, ns: number | null, periodic: boolean, now: number): void {
  const reload = ns === null ? 0 : Math.min(0xffff, Math.max(1, Math.round((ns * PIT_HZ) / 1e9)));
  writeIrqchip(vm.chip, 0x43, periodic ? 0x34 : 0x30, now);
  if (ns === null) return;
  writeIrqchip(vm.chip, 0x40, reload & 255, now);
  writeIrqchip(vm.chip, 0x40, reload >> 8, now);
}
