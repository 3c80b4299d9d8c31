/**
 * The times that guests were left, one by one, and the same stretch of several machines laid line by line beside each other.
 * What they have in common is the guest's instruction: the same image runs the same instructions in the same order whatever
 * runs it, so two lists of places are merged along their longest common subsequence. What came from outside (an interrupt of
 * the host's, a timer) has no place of its own in the guest and is a line by itself.
 */
import type { LeaveRow, LockstepRow } from '../../bridge/rows.ts';
import type { Leave } from '../hypervisor/ledger.ts';
import { disassemble } from '../machine/isa/disassemble.ts';
import { type Lane, lanesOf } from './lanes.ts';
import { type Arg, columns, type View } from './view.ts';
import { hex } from './vmfiles.ts';

const codeOf = (leave: Leave): { bytes: string; text: string } => {
  if (leave.code.length === 0) return { bytes: '', text: '' };
  const one = disassemble(leave.code, leave.rip);
  return { bytes: [...leave.code.subarray(0, one.length)].map((byte) => byte.toString(16).padStart(2, '0')).join(' '), text: one.text };
};

export const leaves: View = {
  doc: 'Times that a guest was left, in order: the first 64 after each of its marks.',
  arg: 'host?, id?, segment?',
  columns: columns(`
    host: machine
    id [count]: of the virtual machine
    technique: how it is run
    n [count]: number since power-on; below 0: it should have been left and was not
    segment [count]: stretch between marks, see guest-marks
    at [cycles]: of this machine's, before its end
    rip [hex]: the guest's instruction
    ring [count]: privilege, as the guest believes
    bytes: of the instruction
    text: disassembled
    event: why, as in ledger-events
    detail: its particulars
    cycles [cycles]: until the guest went on
    program [cycles]: of these, in a program of the host
  `),
  rows: (world, arg) =>
    lanesOf(world, arg).flatMap((lane) =>
      lane.ledger.leaves.filter((one) => arg.segment === undefined || arg.segment === null || one.segment === Number(arg.segment)).map(
        (one): LeaveRow => ({
          key: `${lane.key}:${one.n}`, host: lane.kernel.name, id: lane.kvm.id, technique: lane.kvm.technique, n: one.n, segment: one.segment, at: one.at, rip: hex(one.rip), ring: one.ring, ...codeOf(one),
          event: one.event, detail: one.text, cycles: one.cycles, program: one.program,
        }),
      ),
    ),
};

export const lockstep: View = {
  doc: 'One stretch between marks of several machines, aligned by the instructions at which any of them left the guest.',
  arg: 'host?, ids, segment',
  columns: columns(`
    line [count]: from the top
    rip [hex]: the guest's instruction
    ring [count]: privilege, as the guest believes
    bytes: of the instruction
    text: disassembled
    id [count]: of the virtual machine
    technique: how it is run
    how: how this machine ran the instruction where it did not leave the guest
    n [count]: number of the leave since power-on; null: the guest ran on
    event: why it was left; empty: it ran on
    detail: its particulars
    cycles [cycles]: outside the guest
    program [cycles]: of these, in a program of the host
  `),
  rows(world, arg) {
    const wanted = String(arg.ids ?? '').split(',').filter(Boolean).map(Number);
    const lanes = wanted.flatMap((id) => lanesOf(world, { ...hostOf(arg), id }));
    return lines(lanes, Number(arg.segment ?? 0)).flatMap(({ first, cells }, line) =>
      lanes.map((lane): LockstepRow => {
        const leave = cells.get(lane);
        return {
          key: `${line}:${lane.kvm.id}`, line, rip: hex(first.rip), ring: first.ring, ...codeOf(first), id: lane.kvm.id, technique: lane.kvm.technique, how: HOW[lane.kvm.technique](first.ring),
          n: leave?.n ?? null, event: leave?.event ?? '', detail: leave?.text ?? '', cycles: leave?.cycles ?? 0, program: leave?.program ?? 0,
        };
      }),
    );
  },
};

const hostOf = (arg: Arg): Arg => (arg.host === undefined ? {} : { host: arg.host });

const HOW: Readonly<Record<Lane['kvm']['technique'], (ring: number) => string>> = {
  native: () => 'same bytes', 'vmx-ept': () => 'same bytes', 'vmx-shadow': () => 'same bytes',
  'trap-and-emulate': (ring) => (ring === 3 ? 'direct execution' : 'direct execution, deprivileged'),
  'binary-translation': (ring) => (ring === 3 ? 'direct execution' : 'translated'),
  paravirt: (ring) => (ring === 3 ? 'direct execution' : 'changed kernel, ring 1'),
};

export interface Line {
  first: Leave;
  cells: Map<Lane, Leave>;
}

/** From outside the guest: it could have happened at any instruction. */
const OUTSIDE = /^(EXTERNAL_INTERRUPT|INTERRUPT_WINDOW|PREEMPTION_TIMER|host )/;

/** Machines are merged one after the other, those that left most often first. */
export function lines(lanes: readonly Lane[], segment: number): Line[] {
  const lists = lanes.map((lane) => ({ lane, list: lane.ledger.leaves.filter((one) => one.segment === segment) })).sort((a, b) => b.list.length - a.list.length);
  let out: Line[] = [];
  for (const { lane, list } of lists) out = merge(out, list, lane);
  return out;
}

const meets = (line: Line, leave: Leave): boolean => line.first.rip === leave.rip && !OUTSIDE.test(leave.event) && !OUTSIDE.test(line.first.event);

function merge(lines: readonly Line[], list: readonly Leave[], lane: Lane): Line[] {
  const width = list.length + 1;
  // longest common subsequence of lines[i…] and list[j…]
  const longest = new Uint16Array((lines.length + 1) * width);
  const at = (i: number, j: number): number => longest[i * width + j]!;
  for (let i = lines.length - 1; i >= 0; i--) {
    for (let j = list.length - 1; j >= 0; j--) longest[i * width + j] = meets(lines[i]!, list[j]!) ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  const out: Line[] = [];
  for (let i = 0, j = 0; i < lines.length || j < list.length; ) {
    const line = lines[i];
    const leave = list[j];
    if (line && leave && meets(line, leave) && at(i, j) === at(i + 1, j + 1) + 1) {
      line.cells.set(lane, leave);
      out.push(line);
      i++;
      j++;
    } else if (line && (!leave || at(i + 1, j) >= at(i, j + 1))) {
      out.push(line);
      i++;
    } else if (leave) {
      out.push({ first: leave, cells: new Map([[lane, leave]]) });
      j++;
    }
  }
  return out;
}
