/**
 * Shadow paging: the processor walks tables of the hypervisor's that map guest-linear to host-physical, filled as the guest
 * faults and kept true to the guest's own tables. It knows nothing of how the guest runs: under VT-x (cpu/vmx-shadow.ts), or
 * in a lesser ring of root operation. After any call here load `shadowRoot` into CR3 when it changed.
 * While the guest runs CR0.WP, and EFER.NXE, must be on whatever it believes; CR4.PCIDE off; outside long mode CR4.PAE on
 * (or, `wide`, the processor in long mode). Source: Linux arch/x86/kvm/mmu, Documentation/virt/kvm/x86/mmu.rst.
 */
import { type MemoryWay, takeFrame, type Vm } from '../vm.ts';
import { backFrame, storedFrame } from './frames.ts';
import { baseRole, shadowIndex, sortFault, topIndex, unprotect } from './shadow-fault.ts';
import { childOf, dropEntry, entryOf, flushProcessor, setEntry, setLeaf, shadowLimit, shadowPage } from './shadow-pages.ts';
import { readyLeaf, syncReachable, tablesWritten } from './shadow-sync.ts';
import { type Fault, FRAME, MAY_ALL, type Paging, PRESENT, type Role, type Shadow, type Sorted, USER, WRITE } from './shadow-types.ts';
import { readEntry, settingsOf } from './shadow-walk.ts';

const PAGE = 4096;
const RESERVE = 16;

export interface ShadowOptions {
  vpid: number;
  wide: boolean;
  memoryBytes: number;
}

/** Sets `vm.shadow`. Nothing is mapped; call `setRoot` before the guest runs. */
export function createShadow(vm: Vm, { vpid, wide, memoryBytes }: ShadowOptions): Shadow {
  const s: Shadow = {
    vpid, wide, pages: new Map(), byHpa: new Map(), byGfn: new Map(), rmap: new Map(), unsync: new Set(), watched: new Set(), free: [], limit: shadowLimit(memoryBytes), ids: 1, clock: 0,
    root: 0, tops: [], paging: null, pdptes: [], pointers: 0, above: 0, fixed: new Map(), deep: null, low: null, policy: { unsync: true, prefetch: 8, flooding: 3 }, pending: null, emulating: false,
    counts: { hidden: 0, true: 0, write: 0, switch: 0, found: 0, invlpg: 0, resync: 0, flooded: 0, recycled: 0, prefetched: 0, unsynced: 0, unprotected: 0 }, faults: [], faultsEver: 0,
  };
  vm.shadow = s;
  // enough for any one address, whatever the guest's own pages take later
  for (let n = 0; n < RESERVE; n++) s.free.push(tableFrame(vm));
  return s;
}

export const shadowOf = (vm: Vm): Shadow => {
  if (!vm.shadow) throw new Error('this guest has no shadow tables');
  return vm.shadow;
};

/** What CR3 must hold while the guest runs. */
export const shadowRoot = (vm: Vm): bigint => BigInt(shadowOf(vm).root);

/** Keeps a PML4 slot for the monitor, in every root that is and will be; with `deep` only one entry of the table below it. */
export function fixSlot(vm: Vm, slot: number, entry: bigint, deep: { index: number; entry: bigint } | null = null): void {
  const s = shadowOf(vm);
  s.fixed.set(slot, entry);
  s.deep = deep && { slot, ...deep };
  for (const page of s.pages.values()) {
    if (page.role.level !== 4) continue;
    dropEntry(vm, s, page, slot);
    setEntry(vm, page.hpa + 8 * slot, entry);
  }
  if (s.above !== 0) setEntry(vm, s.above + 8 * slot, entry);
}

/** The four entries that loading CR3 reads for PAE paging. */
export const loadPdptes = (vm: Vm, cr3: bigint): bigint[] => [0, 1, 2, 3].map((n) => readEntry(vm, Number(cr3 & 0xffff_ffe0n) + 8 * n, 8));
const PDPTE_BAD = 0xffff_ff00_0000_01e6n;
/** Loading them is #GP. */
export const badPdptes = (entries: readonly bigint[]): boolean => entries.some((entry) => (entry & PRESENT) !== 0n && (entry & PDPTE_BAD) !== 0n);

/**
 * The guest loads CR3, or what decides how tables are read has changed: the root for that state, found or made, everything it
 * reaches in step with the guest's tables, and nothing of before in the processor. Returns whether the root was there
 * already and how many tables were read again.
 */
export function setRoot(vm: Vm, paging: Paging): { found: boolean; synced: number } {
  const s = shadowOf(vm);
  s.clock++;
  s.paging = { ...paging };
  s.pending = null;
  s.counts.switch++;
  if (settingsOf(paging).mode === 'pae') s.pdptes = loadPdptes(vm, paging.cr3);
  const before = s.ids;
  buildRoot(vm, s);
  const found = s.ids === before;
  if (found) s.counts.found++;
  const synced = syncReachable(vm, s);
  flushProcessor(vm, s);
  return { found, synced };
}

/** The root for `s.paging`, as it was or after its pages were given up. */
function buildRoot(vm: Vm, s: Shadow): void {
  const paging = s.paging!;
  const settings = settingsOf(paging);
  const role = (more: Partial<Role>): Role => ({ ...baseRole(settings), level: 2, direct: false, access: MAY_ALL, quadrant: 0, ...more });
  const frame = Number((paging.cr3 & FRAME) >> 12n);
  s.tops = [];
  if (settings.mode === 'long') {
    s.tops = [shadowPage(vm, s, frame, role({ level: 4 }))];
    s.root = s.tops[0]!.hpa;
    return;
  }
  s.pointers ||= tableFrame(vm);
  for (let n = 0; n < 4; n++) {
    const pdpte = s.pdptes[n] ?? 0n;
    // a directory that is not there gets an empty one of its own: the guest's walk refuses before it is filled
    const top = settings.mode === 'none' ? { gfn: n << 18, role: role({ direct: true }) }
      : settings.mode === '32' ? { gfn: Number((paging.cr3 & 0xffff_f000n) >> 12n), role: role({ quadrant: n }) }
        : (pdpte & PRESENT) !== 0n ? { gfn: Number((pdpte & FRAME) >> 12n), role: role({ quadrant: s.wide ? n : 0 }) } : { gfn: 0, role: role({ direct: true, access: 0 }) };
    const page = shadowPage(vm, s, top.gfn, top.role);
    s.tops.push(page);
    setEntry(vm, s.pointers + 8 * n, BigInt(page.hpa) | PRESENT | (s.wide ? WRITE | USER : 0n));
  }
  s.root = s.pointers;
  enterLow(vm, s);
  if (!s.wide) return;
  if (s.above === 0) {
    s.above = tableFrame(vm);
    for (const [slot, entry] of s.fixed) setEntry(vm, s.above + 8 * slot, entry);
  }
  setEntry(vm, s.above, BigInt(s.pointers) | PRESENT | WRITE | USER);
  s.root = s.above;
}

/** The directory below the root that holds the monitor's entries, and the first of them. */
const lowPlace = (base: number): { top: number; index: number } => ({ top: Math.floor(base / 2 ** 30), index: Math.floor(base / 2 ** 21) % 512 });

function enterLow(vm: Vm, s: Shadow): void {
  if (!s.low) return;
  const { top, index } = lowPlace(s.low.base);
  const page = s.tops[top];
  s.low.entries.forEach((entry, n) => {
    if (!page || entryOf(vm, page.hpa + 8 * (index + n)) === entry) return;
    dropEntry(vm, s, page, index + n);
    setEntry(vm, page.hpa + 8 * (index + n), entry);
    flushProcessor(vm, s);
  });
}

/** Outside long mode: 4 MiB of the linear space, aligned, are the monitor's by these directory entries, and nowhere else. */
export function keepLow(vm: Vm, base: number, entries: readonly [bigint, bigint]): void {
  const s = shadowOf(vm);
  if (s.low && s.low.base !== base) {
    const { index } = lowPlace(s.low.base);
    for (const page of s.pages.values()) {
      if (page.role.level !== 2) continue;
      for (const [n, entry] of s.low.entries.entries()) if (entryOf(vm, page.hpa + 8 * (index + n)) === entry) setEntry(vm, page.hpa + 8 * (index + n), 0n);
    }
    flushProcessor(vm, s);
  }
  s.low = { base, entries };
  if (s.tops.length === 4) enterLow(vm, s);
}

function tableFrame(vm: Vm): number {
  const hpa = takeFrame(vm);
  if (hpa === null) throw new Error('shadow paging: no frame for a root');
  vm.tables++;
  return hpa;
}

/** A page fault of the guest's that the monitor took. */
export function shadowFault(vm: Vm, fault: Fault): Sorted {
  const s = shadowOf(vm);
  const sorted = sortFault(vm, s, fault);
  if (s.tops.some((page) => page.hpa < 0)) buildRoot(vm, s);
  return sorted;
}

/** INVLPG: a translation that may be stale is dropped and read again. */
export function invlpg(vm: Vm, address: bigint): void {
  const s = shadowOf(vm);
  s.counts.invlpg++;
  const gva = settingsOf(s.paging!).mode === 'long' ? address : BigInt.asUintN(32, address);
  let page = s.tops[topIndex(s, gva)];
  while (page && page.role.level > 1) page = childOf(s, entryOf(vm, page.hpa + 8 * shadowIndex(page.role.level, gva)));
  if (page?.unsync) {
    const index = shadowIndex(1, gva);
    dropEntry(vm, s, page, index);
    const leaf = readyLeaf(vm, s, page, index);
    if (leaf) setLeaf(vm, s, page, index, leaf);
  }
  flushProcessor(vm, s);
}

/** Everything that the guest's processor remembers of translations is to go (CR4.PGE, INVPCID). Returns how many tables were read again. */
export function flushAll(vm: Vm): number {
  const s = shadowOf(vm);
  const synced = syncReachable(vm, s);
  flushProcessor(vm, s);
  return synced;
}

/** Guest memory was stored to by an emulated instruction, a device or a program: `writeGuest` says so by itself. */
export function guestWrote(vm: Vm, gpa: number, length: number): void {
  const s = shadowOf(vm);
  if (tablesWritten(vm, s, gpa, length, s.emulating)) buildRoot(vm, s);
}

/** An instruction that cannot be emulated writes to a table: for now it is none, and the guest tries again. */
export function giveUpTracing(vm: Vm, gpa: number): void {
  const s = shadowOf(vm);
  unprotect(vm, s, Math.floor(gpa / PAGE));
  if (s.tops.some((page) => page.hpa < 0)) buildRoot(vm, s);
}

/** The page that a fault waited for has its frame: the fault is finished without another. */
function finish(vm: Vm): boolean {
  const s = vm.shadow;
  if (s?.pending) {
    s.clock++;
    shadowFault(vm, s.pending);
  }
  return true;
}

/** `guest`: translations are tagged with the VM's VPID, else with none. */
export const shadowMemory = ({ guest, wide }: { guest: boolean; wide: boolean }): MemoryWay => ({
  init: (vm) => void createShadow(vm, { vpid: guest ? vm.vpid : 0, wide, memoryBytes: vm.machine.memory.length }),
  frame: storedFrame, back: backFrame, map: finish,
  written(vm, gpa, length) {
    if (vm.shadow?.root) guestWrote(vm, gpa, length);
  },
});

export const shadow = shadowMemory({ guest: true, wide: false });
