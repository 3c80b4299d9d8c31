/**
 * The monitor's area for 32-bit code: the same two tables once more, somewhere in the first 4 GiB, where the guest has nothing. It
 * goes elsewhere when the guest puts something there (its own directory entry, or an access), and what was translated is translated
 * again for the new place. VMware's monitor kept to the top 4 MiB and cut the guest's segments short instead; a kernel that maps its
 * page tables there wants them. Source: Adams and Agesen 2006, 3.1.
 */
import { keepLow } from '../memory/shadow.ts';
import { walkGuest } from '../memory/shadow-walk.ts';
import { slotOf } from '../memory/frames.ts';
import type { Vm } from '../vm.ts';
import { lowEntries } from './deprivilege-area.ts';
import { missing, paging, stopped } from './deprivilege-memory.ts';
import { longMode } from './deprivilege-segments.ts';
import { own } from './deprivilege-state.ts';
import { shadowOf } from '../memory/shadow.ts';

const SIZE = 0x40_0000n;
const HALF = 0x20_0000n;
/** Pages of the I/O APIC and the local APIC lie here. */
const DEVICES = [0xfec0_0000n, 0xfee0_0000n - (0xfee0_0000n % SIZE)];
const LOOK = { write: false, user: false, fetch: false, ac: true };

/** The guest has nothing there: no directory entry, or a large page without memory behind it. */
function free(vm: Vm, base: bigint): boolean {
  if (DEVICES.includes(base)) return false;
  return [base, base + HALF].every((at) => {
    const walk = walkGuest(vm, paging(vm), shadowOf(vm).pdptes, at, LOOK, false);
    if (!walk.ok) return (walk.steps.at(-1)?.level ?? 2) >= 2;
    return (walk.steps.at(-1)?.level ?? 2) >= 2 && !slotOf(vm, walk.gfn * 4096);
  });
}

/** After every change of the guest's tables: the area is mapped where the guest has nothing. */
export function keepArea(vm: Vm, but: bigint | null = null): void {
  const o = own(vm);
  if (longMode(vm)) return;
  if (o.low === null || o.low === but || !free(vm, o.low)) o.low = choose(vm, but);
  keepLow(vm, Number(o.low), lowEntries(o.area));
}

function choose(vm: Vm, but: bigint | null): bigint {
  for (let base = 0xff40_0000n - (0xff40_0000n % SIZE); base > SIZE; base -= SIZE) if (base !== but && free(vm, base)) return base;
  throw stopped(missing('a guest with memory everywhere, and no place for the monitor'));
}

/** The guest reached for an address where it believed nothing, or a device, to be. */
export function makeRoom(vm: Vm, linear: bigint): boolean {
  const { low } = own(vm);
  if (longMode(vm) || low === null || linear < low || linear >= low + SIZE) return false;
  keepArea(vm, low);
  return true;
}
