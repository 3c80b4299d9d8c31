/**
 * One linear address through the guest's own tables and, beside them, through the shadow tables that the processor walks in
 * their place: level by level, with what the hypervisor does about each table. Read from memory, nothing is set.
 */
import type { TableRow } from '../../bridge/rows.ts';
import { readGuest, slotOf } from '../hypervisor/memory/frames.ts';
import { shadowIndex, topIndex } from '../hypervisor/memory/shadow-fault.ts';
import { childOf, entryOf } from '../hypervisor/memory/shadow-pages.ts';
import { PRESENT as SHADOW_PRESENT, type Shadow, type ShadowPage, TRACED } from '../hypervisor/memory/shadow-types.ts';
import { guestControl } from '../hypervisor/state.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { entryIn, indexOf, isLeaf, pagingFormat, pointsAt, PRESENT } from '../machine/paging-formats.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';
import { lastWalk } from './walk.ts';

const NAMES: Readonly<Record<number, string>> = { 39: 'PML4', 30: 'PDPT', 21: 'PD', 22: 'PD', 12: 'PT' };
const LEVELS = ['', 'PT', 'PD', 'PDPT', 'PML4'];

interface GuestStep {
  name: string;
  table: number;
  index: number;
  gpa: number;
  entry: bigint;
  leaf: boolean;
}

function guestSteps(vm: Vm, gva: bigint): GuestStep[] {
  const format = pagingFormat({ cr0: guestControl(vm, 'cr0'), cr4: guestControl(vm, 'cr4'), efer: guestControl(vm, 'efer') });
  const out: GuestStep[] = [];
  if (!format) return out;
  let table = guestControl(vm, 'cr3') & format.root;
  for (const level of format.levels) {
    const index = indexOf(level, gva);
    const gpa = Number(table) + format.entryBytes * index;
    if (!slotOf(vm, gpa)) break;
    const entry = entryIn(readGuest(vm, gpa, format.entryBytes), format);
    const leaf = isLeaf(level, entry);
    out.push({ name: NAMES[level.shift] ?? '', table: Number(table), index, gpa, entry, leaf });
    if ((entry & PRESENT) === 0n || leaf) break;
    table = pointsAt(format, level, entry);
  }
  return out;
}

interface ShadowStep {
  page: ShadowPage;
  index: number;
  at: number;
  entry: bigint;
}

function shadowSteps(vm: Vm, s: Shadow, gva: bigint): ShadowStep[] {
  const out: ShadowStep[] = [];
  for (let page = s.tops[topIndex(s, gva)]; page; ) {
    const index = shadowIndex(page.role.level, gva);
    const at = page.hpa + 8 * index;
    const entry = entryOf(vm, at);
    out.push({ page, index, at, entry });
    if ((entry & SHADOW_PRESENT) === 0n || page.role.level === 1) break;
    page = childOf(s, entry);
  }
  return out;
}

export const tables: View = {
  doc: "A linear address through the guest's tables, and through the shadow tables beside them where there are such. Without gva: the address of the newest walk.",
  arg: 'host?, vm or id, gva?',
  columns: columns(`
    level: PML4, PDPT, PD or PT
    gva [hex]: the address
    table [hex]: guest-physical address of the guest's table; empty: part of a large page
    index [count]: entry of the guest's table
    gpa [hex]: where the entry is
    entry [hex]: its value, as the guest reads it
    present: the guest's entry is present
    leaf: it ends the guest's walk
    protected: the hypervisor sees every write to this table
    unsync: the guest may write it unseen until it flushes
    shadow [hex]: host-physical address of the shadow table; empty: none here
    shadowIndex [count]: entry of the shadow table
    shadowAt [hex]: where that entry is
    shadowEntry [hex]: its value, as the processor reads it
    shadowPresent: the processor's walk goes on
    traced: writable for the guest, but mapped read-only because the frame is one of its tables
    writes [count]: writes emulated since the shadow table was last used
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found) return [];
    const { vm } = found;
    const gva = typeof arg.gva === 'string' && /^0x[0-9a-f]{1,16}$/i.test(arg.gva) ? BigInt(arg.gva) : lastWalk(vm)?.gva;
    if (gva === undefined) return [];
    const guest = guestSteps(vm, gva);
    const s = vm.shadow;
    const shadow = s ? shadowSteps(vm, s, gva) : [];
    const levels = s ? [4, 3, 2, 1] : guest.map((step) => LEVELS.indexOf(step.name));
    return levels.flatMap((level): TableRow[] => {
      const name = LEVELS[level]!;
      const step = guest.find((one) => one.name === name);
      const other = shadow.find((one) => one.page.role.level === level);
      if (!step && !other) return [];
      const kept = [...(step && s ? (s.byGfn.get(Math.floor(step.table / 4096)) ?? []) : [])].filter((page) => !page.role.direct);
      return [{
        key: name, level: name, gva: hex(gva), table: step ? hex(step.table) : '', index: step?.index ?? 0, gpa: step ? hex(step.gpa) : '', entry: step ? hex(step.entry) : '', present: step !== undefined && (step.entry & PRESENT) !== 0n,
        leaf: step?.leaf ?? false, protected: kept.length > 0 && kept.every((page) => !page.unsync), unsync: kept.some((page) => page.unsync),
        shadow: other ? hex(other.page.hpa) : '', shadowIndex: other?.index ?? 0, shadowAt: other ? hex(other.at) : '', shadowEntry: other ? hex(other.entry) : '',
        shadowPresent: other !== undefined && (other.entry & SHADOW_PRESENT) !== 0n, traced: other !== undefined && (other.entry & TRACED) !== 0n, writes: other?.page.writes ?? 0,
      }];
    });
  },
};
