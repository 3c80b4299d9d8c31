/**
 * An instruction of the guest's that met a device: carried out once its accesses are answered, by the interrupt controllers that are
 * the hypervisor's own, or by the program (`mmio`), one exit an access, as KVM has it. The processor does the instruction itself
 * (machine/device-access.ts), so whatever touches a device works, whichever technique runs the guest.
 * Source: KVM's x86_emulate_instruction and complete_emulated_mmio.
 */
import { type DeviceAccess, keepCounters, NAMED_MOST } from '../machine/device-access.ts';
import { pageOwned, readDevice, writeDevice } from '../machine/devices/irqchip.ts';
import type { Stop } from '../machine/machine.ts';
import type { VmDevice } from './events.ts';
import { guestRegister } from './state.ts';
import type { Vm, VmExit } from './vm.ts';

/** What leaves the guest for another reason while its instruction is tried (a page of another operand) is answered as that. */
export type Otherwise = (stop: Stop, now: number) => VmExit | null;

const PAGE = 4096;
/** More accesses than any instruction makes that is not refused. */
const MOST = 8;
const refused = (text: string): VmExit => ({ reason: 'internal-error', text: `not modelled: ${text}` });

/** The guest stands before the instruction; its access to `physical` found nothing (by `linear`, where its tables lack it). Null: it is done. */
export function serveDevice(vm: Vm, physical: number, linear: bigint | null, now: number, otherwise: Otherwise): VmExit | null {
  const device = (vm.device ??= { pages: [], given: [], want: null, stores: [], otherwise });
  const page = { physical: Math.floor(physical / PAGE) * PAGE, linear: linear === null ? null : linear & ~0xfffn };
  if (!device.pages.some((one) => one.physical === page.physical && one.linear === page.linear)) device.pages.push(page);
  if (device.pages.length > NAMED_MOST) return refused('an instruction on so many pages of devices');
  return carryOut(vm, now);
}

function told(vm: Vm, t: number, access: VmDevice['access'], { address, size, value }: DeviceAccess): void {
  // a value is there when half of the handler is over
  vm.events?.push({ kind: 'mmio', t: access === 'read' ? t + Math.floor(vm.costs.handler / vm.ghz / 2) : t, rip: guestRegister(vm, 'rip'), access, gpa: address, length: size, value });
}

function give(vm: Vm, want: DeviceAccess, value: bigint, now: number): void {
  vm.device!.given.push(value);
  told(vm, now, 'read', { ...want, value });
}

function carryOut(vm: Vm, now: number): VmExit | null {
  const device = vm.device!;
  for (;;) {
    const restore = keepCounters(vm.machine);
    const { stop, accesses, want } = vm.way.cpu.tryOne(vm, device.given, device.pages);
    restore();
    if (accesses) return store(vm, accesses, now);
    if (!want) {
      const exit = stop.reason === 'budget' ? null : device.otherwise(stop, now);
      if (exit?.reason !== 'mmio') vm.device = null;
      return exit;
    }
    device.want = want;
    if (want.size > 16 || device.given.length >= MOST) return refused('an access to devices so wide, or so many in one instruction');
    if (!pageOwned(vm.chip, want.address)) {
      told(vm, now, 'unsatisfied-read', want);
      return { reason: 'mmio', direction: 'read', gpa: want.address, size: want.size, value: 0n };
    }
    give(vm, want, readDevice(vm.chip, want.address, want.size, now), now);
  }
}

/** What the instruction stored goes to the devices. */
function store(vm: Vm, accesses: readonly DeviceAccess[], now: number): VmExit | null {
  for (const one of accesses) {
    if (one.kind === 'read') continue;
    told(vm, now, 'write', one);
    if (pageOwned(vm.chip, one.address)) writeOwn(vm, one, now);
    else vm.device!.stores.push(one);
  }
  return nextStore(vm);
}

export function writeOwn(vm: Vm, { address, size, value }: DeviceAccess, now: number): void {
  writeDevice(vm.chip, address, size, value, now);
  vm.way.cpu.priority.set(vm, vm.chip.apic.tpr >> 4);
}

function nextStore(vm: Vm): VmExit | null {
  const first = vm.device!.stores[0];
  if (first) return { reason: 'mmio', direction: 'write', gpa: first.address, size: first.size, value: first.value };
  vm.device = null;
  return null;
}

/** The program has answered an `mmio` exit. Null: the guest goes on; otherwise another answer is wanted, or what ends it. */
export function completeMmio(vm: Vm, value: bigint, now: number): VmExit | null {
  const { device } = vm;
  if (!device) return null;
  if (device.stores.length > 0) {
    device.stores.shift();
    return nextStore(vm);
  }
  if (device.want) give(vm, device.want, value, now);
  return carryOut(vm, now);
}

/** CR8 and the task priority register are one: what the guest has put into CR8 reaches the APIC. */
export function pullPriority(vm: Vm): void {
  const now = vm.way.cpu.priority.get(vm);
  if (vm.chip.apic.tpr >> 4 !== now) vm.chip.apic.tpr = now << 4;
}
