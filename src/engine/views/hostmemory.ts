/** Host-physical memory of one machine, frame by frame, told in runs: which guest page lies in it, or which table of the hypervisor's. */
import type { FrameRow } from '../../bridge/rows.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

const PAGE = 4096;
const ENTRIES = 512;
const ADDRESS = 0x000f_ffff_ffff_f000n;
const LARGE = 0x80n;
const LEVELS = ['', 'PT', 'PD', 'PDPT', 'PML4'];

interface Held {
  kind: 'guest' | 'table' | 'other';
  /** Guest frame number, or -1. */
  gfn: number;
  what: string;
}

export const hostMemory: View = {
  doc: "Host-physical memory of one machine in runs of frames: guest pages, tables of the hypervisor's, what else is taken; what is free is not listed.",
  arg: 'host?, vm or id',
  columns: columns(`
    hpa [hex]: first byte
    pages [count]: frames of 4 KiB
    kind: guest, table or other
    gpa [hex]: guest-physical address of the first, which rises with it; empty: no guest page
    what: for a table, its kind and level
    total [count]: frames that the machine has
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found) return [];
    const { vm } = found;
    const total = vm.machine.memory.length / PAGE;
    const held = framesOf(vm, total);
    const out: FrameRow[] = [];
    let run: { from: number; pages: number; held: Held } | null = null;
    const end = (): void => {
      if (run) out.push({ key: hex(run.from * PAGE), hpa: hex(run.from * PAGE), pages: run.pages, kind: run.held.kind, gpa: run.held.gfn < 0 ? '' : hex(run.held.gfn * PAGE), what: run.held.what, total });
      run = null;
    };
    for (let frame = 0; frame < total; frame++) {
      const one = held[frame];
      const before: { from: number; pages: number; held: Held } | null = run;
      const goesOn = one && before && one.kind === before.held.kind && one.what === before.held.what && (one.gfn < 0 ? before.held.gfn < 0 : one.gfn === before.held.gfn + before.pages);
      if (goesOn && before) before.pages++;
      else {
        end();
        if (one) run = { from: frame, pages: 1, held: one };
      }
    }
    end();
    return out;
  },
};

function framesOf(vm: Vm, total: number): (Held | undefined)[] {
  const held: (Held | undefined)[] = new Array(total);
  // handed out so far: what is neither a page nor a table below is the hypervisor's own
  for (let frame = 0; frame < Math.min(total, vm.nextFrame / PAGE); frame++) held[frame] = { kind: 'other', gfn: -1, what: '' };
  if (vm.technique === 'native') for (let frame = 0; frame < total; frame++) held[frame] = { kind: 'guest', gfn: frame, what: '' };
  for (const [gfn, hpa] of vm.frames) held[hpa / PAGE] = { kind: 'guest', gfn, what: '' };
  if (vm.ept) eptTables(vm, vm.ept.root, 4, held);
  for (const page of vm.shadow?.pages.values() ?? []) held[page.hpa / PAGE] = { kind: 'table', gfn: -1, what: `shadow ${LEVELS[page.role.level]}${page.unsync ? ', unsync' : ''}` };
  return held;
}

function eptTables(vm: Vm, table: number, level: number, held: (Held | undefined)[]): void {
  held[table / PAGE] = { kind: 'table', gfn: -1, what: `EPT ${LEVELS[level]}` };
  if (level === 1) return;
  for (let n = 0; n < ENTRIES; n++) {
    const entry = vm.machine.physical.getBigUint64(table + 8 * n, true);
    if ((entry & 7n) !== 0n && (entry & LARGE) === 0n) eptTables(vm, Number(entry & ADDRESS), level - 1, held);
  }
}
