/**
 * Accesses where the guest has no memory and no device, on shadow tables: as memory/holes.ts does it over EPT, a scratch page stands
 * in for one instruction under the monitor trap flag; loads read zeros, stores are lost.
 */
import { takeFrame, type Vm } from '../vm.ts';
import { dropEntry, flushProcessor, setLeaf } from './shadow-pages.ts';
import { reachLeaf, shadowIndex } from './shadow-fault.ts';
import { type Fault, MAY_USER, MAY_WRITE } from './shadow-types.ts';
import { accessOf, settingsOf, walkGuest } from './shadow-walk.ts';

const PAGE = 4096;
const FETCH = 16;

/** True: the instruction may be tried again and the monitor trap is wanted after it. False: it cannot be answered so. */
export function openHole(vm: Vm, fault: Fault): boolean {
  const s = vm.shadow;
  if (!s || (fault.error & FETCH) !== 0) return false;
  s.scratch ||= takeFrame(vm) ?? 0;
  const settings = settingsOf(fault.paging);
  const access = accessOf(fault);
  const walk = walkGuest(vm, fault.paging, s.pdptes, fault.address, access, false);
  if (s.scratch === 0 || !walk.ok) return false;
  const gva = settings.mode === 'long' ? fault.address : BigInt.asUintN(32, fault.address);
  const page = reachLeaf(vm, s, walk, { access, settings, gva, gpa: walk.gfn * PAGE });
  const index = shadowIndex(1, gva);
  setLeaf(vm, s, page, index, { gfn: walk.gfn, hpa: s.scratch, rights: access.user ? (walk.rights & MAY_WRITE) | MAY_USER : MAY_WRITE, traced: false });
  s.holes.push({ page, index });
  return true;
}

/** After the instruction: the page is gone again and what was stored there is lost. False: there was none. */
export function closeHoles(vm: Vm): boolean {
  const s = vm.shadow;
  if (!s || s.holes.length === 0) return false;
  for (const { page, index } of s.holes) if (page.hpa >= 0) dropEntry(vm, s, page, index);
  s.holes = [];
  vm.machine.memory.fill(0, s.scratch, s.scratch + PAGE);
  flushProcessor(vm, s);
  return true;
}
