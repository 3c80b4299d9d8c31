/** The last completed page walk of one machine, as its processor recorded it: one row a reference, and what it was for. */
import type { WalkHeadRow, WalkListRow, WalkRow } from '../../bridge/rows.ts';
import { readLinear } from '../hypervisor/memory/guest.ts';
import { guestControl } from '../hypervisor/state.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { disassemble } from '../machine/isa/disassemble.ts';
import { pagingFormat } from '../machine/paging-formats.ts';
import { type Walk, walk as walkAt } from '../machine/machine.ts';
import { type Arg, columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';
import type { World } from '../world/world.ts';

const LEVELS = ['', 'PTE', 'PDE', 'PDPTE', 'PML4E'];
const SIZES: Readonly<Record<number, string>> = { 12: '4 KiB', 21: '2 MiB', 30: '1 GiB' };

/** The newest walk that ended in a translation: a two-dimensional one when any is remembered (a hypervisor of the guest's own walks for itself too). */
export function lastWalk(vm: Vm): Walk | null {
  let newest: Walk | null = null;
  for (let back = 0; ; back++) {
    const one = walkAt(vm.machine, back);
    if (!one) return newest;
    if (one.result !== 'ok') continue;
    if (one.eptp !== 0n) return one;
    newest ??= one;
  }
}

function found(world: World, arg: Arg): { vm: Vm; walk: Walk; ghz: number } | null {
  const machine = machineIn(world, arg);
  const one = machine ? lastWalk(machine.vm) : null;
  return machine && one ? { vm: machine.vm, walk: one, ghz: machine.kernel.ghz } : null;
}

export const walk: View = {
  doc: 'The newest completed page walk, two-dimensional under EPT, one row a memory reference, in order.',
  arg: 'host?, vm',
  columns: columns(`
    n [count]: number of the reference, from 1
    table: guest, ept, or shadow: the hypervisor's in place of the guest's
    level: PML4E, PDPTE, PDE or PTE
    row [count]: which translation it belongs to: 0 to 3 the guest's tables from the top, 4 the page
    index [count]: entry of the table
    gpa [hex]: guest-physical address being translated
    hpa [hex]: where the entry was read
    entry [hex]: the 64 bits as read
    present: the entry leads on
    leaf: it ends its walk
    cycles [count]: cost of the reference
  `),
  rows(world, arg) {
    const one = found(world, arg);
    const shadowed = one !== null && one.vm.shadow !== null;
    return (one?.walk.references ?? []).map(
      (ref, at): WalkRow => ({
        key: String(at + 1), n: at + 1, table: shadowed && ref.table === 'guest' ? 'shadow' : ref.table, level: LEVELS[ref.level] ?? '', row: ref.row, index: ref.index, gpa: hex(ref.gpa), hpa: hex(ref.hpa), entry: hex(ref.entry),
        present: ref.table === 'ept' ? (ref.entry & 7n) !== 0n : (ref.entry & 1n) !== 0n, leaf: ref.leaf, cycles: ref.cycles,
      }),
    );
  },
};

export const walkHead: View = {
  doc: 'What the newest completed page walk was for.',
  arg: 'host?, vm',
  columns: columns(`
    walk [count]: number of the walk since power-on
    gva [hex]: linear address translated
    gpa [hex]: guest-physical
    hpa [hex]: host-physical
    access: read, write or fetch
    size: of the translation that went to the TLB
    ring [count]: 0 supervisor, 3 user
    rip [hex]: the instruction that needed it
    instruction: disassembled
    cr3 [hex]: the guest's table root, guest-physical
    eptp [hex]: EPT pointer
    references [count]: memory references made
    cycles [count]: cost in all
    result: ok, page-fault, violation or misconfiguration
    guestPage: size of the guest's page
    hostPage: size of the EPT's page
    format: of the guest's tables: 4-level, PAE or 32-bit
    t [ns]: when
  `),
  rows(world, arg) {
    const one = found(world, arg);
    if (!one) return [];
    const { walk: w, vm, ghz } = one;
    const small = Math.min(w.guestShift || 12, w.hostShift || w.guestShift || 12);
    const row: WalkHeadRow = {
      key: 'walk', walk: Number(w.number), gva: hex(w.gva), gpa: hex(w.gpa), hpa: hex(w.hpa), access: w.access, size: SIZES[small] ?? '', ring: w.privilege, rip: hex(w.rip),
      instruction: instructionAt(vm, w.rip), cr3: hex(w.cr3), eptp: hex(w.eptp), references: w.references.length, cycles: w.cycles, result: w.result,
      guestPage: SIZES[w.guestShift] ?? '', hostPage: SIZES[w.hostShift] ?? '', format: formatOf(vm), t: vm.walked.ns + Math.round(Number(w.at - vm.walked.cycles) / ghz),
    };
    return [row];
  },
};

export const walks: View = {
  doc: 'The newest 64 page walks, the newest first, those that ended in a fault among them.',
  arg: 'host?, vm',
  columns: columns(`
    walk [count]: number of the walk since power-on
    gva [hex]: linear address translated
    access: read, write or fetch
    ring [count]: 0 supervisor, 3 user
    rip [hex]: the instruction that needed it
    references [count]: memory references made
    cycles [count]: cost in all
    result: ok, page-fault, violation or misconfiguration
    guestPage: size of the guest's page
    hostPage: size of the EPT's page; empty without EPT
  `),
  rows(world, arg) {
    const machine = machineIn(world, arg);
    const out: WalkListRow[] = [];
    for (let back = 0; machine; back++) {
      const one = walkAt(machine.vm.machine, back);
      if (!one) break;
      out.push({
        key: String(one.number), walk: Number(one.number), gva: hex(one.gva), access: one.access, ring: one.privilege, rip: hex(one.rip), references: one.references.length, cycles: one.cycles, result: one.result,
        guestPage: SIZES[one.guestShift] ?? '', hostPage: SIZES[one.hostShift] ?? '',
      });
    }
    return out;
  },
};

const formatOf = (vm: Vm): string => pagingFormat({ cr0: guestControl(vm, 'cr0'), cr4: guestControl(vm, 'cr4'), efer: guestControl(vm, 'efer') })?.name ?? '';

export function instructionAt(vm: Vm, rip: bigint): string {
  const code = readLinear(vm, rip, 15);
  return code && code.length > 0 ? disassemble(code, rip).text : '';
}

