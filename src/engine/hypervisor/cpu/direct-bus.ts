/**
 * What hangs on a bare machine's bus beside memory: the APICs' pages, the local APIC's MSRs, CR8. An instruction that met one is tried
 * again with what it reads; after what it writes the interrupt line may have changed.
 */
import { beginTry, type DeviceAccess, endTry, SPACE_CR8, SPACE_MSR, type Try } from '../../machine/device-access.ts';
import { isApicMsr } from '../../machine/devices/apic-registers.ts';
import { pageOwned, readDevice } from '../../machine/devices/irqchip.ts';
import { cycles as cyclesOf, run, setSlot, slot, type Stop } from '../../machine/machine.ts';
import { APIC_BASE, TSC_BASE } from '../../../cpu/layout.ts';
import { mayWriteLocalMsr, readLocalMsr, writeLocalMsr } from '../apic.ts';
import { type Otherwise, writeOwn } from '../device.ts';
import type { Vm } from '../vm.ts';

const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);
/** Enough answers for any instruction but FXSAVE. */
const MOST = 8;

/** The instruction where the processor stands, with these answers. */
export function tryBare(vm: Vm, given: readonly bigint[], _pages: unknown = [], refused = false): Try {
  const { machine } = vm;
  beginTry(machine, given, [], refused);
  return endTry(machine, run(machine, NO_LIMIT, 1n));
}

const otherwise: Otherwise = ({ reason }) => (reason === 'shutdown' ? { reason } : { reason: 'internal-error', text: `the processor stopped: ${reason}` });

/** 'again': go on; 'changed': go on after a look at the interrupts; a stop: the device that was met is not on the bus (`vm.device`), or something else. */
export function onBus(vm: Vm, now: number): 'again' | 'changed' | Stop {
  const device = (vm.device = { pages: [], given: [] as bigint[], want: null as DeviceAccess | null, stores: [] as DeviceAccess[], otherwise });
  let refused = false;
  for (let n = 0; n <= MOST; n++) {
    const { stop, accesses, want } = tryBare(vm, device.given, [], refused);
    if (accesses) return store(vm, accesses, now);
    if (!want) {
      vm.device = null;
      return stop.reason === 'budget' ? 'changed' : stop;
    }
    device.want = want;
    const value = answer(vm, want, now);
    if (value === 'elsewhere') return stop;
    refused = value === null;
    device.given.push(value ?? 0n);
  }
  vm.device = null;
  return { reason: 'failed-entry', payload: [] };
}

/** Null: #GP. */
function answer(vm: Vm, { address, size, kind, value }: DeviceAccess, now: number): bigint | null | 'elsewhere' {
  if (address >= SPACE_MSR && address < SPACE_CR8) {
    const index = address - SPACE_MSR;
    if (!isApicMsr(index)) return null;
    if (kind === 'read') return readLocalMsr(vm, index, now);
    return mayWriteLocalMsr(vm, index, value) ? 0n : null;
  }
  return pageOwned(vm.chip, address) ? readDevice(vm.chip, address, size, now) : 'elsewhere';
}

function store(vm: Vm, accesses: readonly DeviceAccess[], now: number): 'again' | 'changed' | Stop {
  const writes = accesses.filter(({ kind }) => kind !== 'read');
  vm.device!.stores = writes.filter(({ address }) => address < SPACE_MSR && !pageOwned(vm.chip, address));
  for (const one of writes) {
    if (one.address === SPACE_CR8) vm.chip.apic.tpr = Number(one.value) << 4;
    else if (one.address >= SPACE_MSR) {
      writeLocalMsr(vm, one.address - SPACE_MSR, one.value, now, cyclesOf(vm.machine) + slot(vm.machine, TSC_BASE));
      setSlot(vm.machine, APIC_BASE, vm.chip.apic.base);
    } else if (pageOwned(vm.chip, one.address)) writeOwn(vm, one, now);
  }
  if (vm.device!.stores.length > 0) return { reason: 'device', payload: [] };
  vm.device = null;
  return writes.length > 0 ? 'changed' : 'again';
}


