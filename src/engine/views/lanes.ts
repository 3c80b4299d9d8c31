/**
 * Virtual machines laid beside each other: those that run and those that have ended, with where their cycles went, by place,
 * by event, and between the marks that the guest set. Rows of every machine at once; `id` narrows to one.
 */
import type { GuestMarkRow, LaneRow, LedgerEventRow, LedgerPlaceRow, SpanRow } from '../../bridge/rows.ts';
import type { CostProfile } from '../hypervisor/costs.ts';
import { type Ledger, type Mark, PLACES, type Place } from '../hypervisor/ledger.ts';
import { type KvmVm, kvmOf } from '../kernel/drivers/kvm.ts';
import type { Kernel } from '../kernel/records.ts';
import { instructions } from '../machine/machine.ts';
import type { World } from '../world/world.ts';
import { type Arg, columns, kernelsOf, type View } from './view.ts';
import { hex } from './vmfiles.ts';

/** Columns that say whose row it is. */
export const WHOSE = `host: machine
    id [count]: of the virtual machine
    vm: its name
    technique: how it is run`;

export interface Lane {
  key: string;
  kernel: Kernel;
  kvm: KvmVm;
  ledger: Ledger;
  costs: CostProfile;
}

export function lanesOf(world: World, arg: Arg): Lane[] {
  const out: Lane[] = [];
  for (const kernel of kernelsOf(world, arg)) {
    if (!kernel.drivers.has('kvm')) continue;
    const { vms, ended } = kvmOf(kernel);
    for (const kvm of [...ended, ...vms.values()]) {
      const from = kvm.past ?? kvm.vm;
      if (from && (arg.id === undefined || arg.id === null || Number(arg.id) === kvm.id)) out.push({ key: `${kernel.name}:${kvm.id}`, kernel, kvm, ledger: from.ledger, costs: from.costs });
    }
  }
  return out.sort((a, b) => a.kvm.id - b.kvm.id);
}

const stateOf = ({ kvm }: Lane): string => (kvm.past ? (kvm.past.broken ? 'crashed' : 'ended') : kvm.vm?.broken ? 'crashed' : kvm.debug.held ? 'paused' : 'running');

export const lanes: View = {
  doc: 'Virtual machines that run or have ended (the newest 12 of those), whatever technique runs them.',
  arg: 'host?, id?',
  columns: columns(`
    host: machine
    id [count]: of the virtual machine on its host, ever rising
    vm: its name
    workload: image and command line that it booted
    technique: how it is run
    profile: costs of crossings, by processor generation
    state: running, paused, ended or crashed
    problem: why it crashed, or empty
    machine: its processor and memory are still there to be looked at
    startedAt [ns]: when it was made
    endedAt [ns]: when it was over, or null
    instructions [count]: executed in it
    cycles [cycles]: of its time, all places together
    events [count]: times that the guest was left
    marks [count]: written to port 0x80
    guest [cycles]: on the processor's own virtualization, or on the bare machine
    user [cycles]: directly, in the guest's processes
    kernel [cycles]: directly, in the ring that the guest's kernel was moved to
    translated [cycles]: in the translation cache
    monitor [cycles]: in the hypervisor, with the way there and back
    program [cycles]: in a program of the host, with the way there and back
    asleep [cycles]: halted
  `),
  rows: (world, arg) =>
    lanesOf(world, arg).map((lane): LaneRow => {
      const { kvm, kernel, ledger, costs } = lane;
      return {
        key: lane.key, host: kernel.name, id: kvm.id, vm: kvm.name, workload: kvm.workload, technique: kvm.technique, profile: costs.name, state: stateOf(lane), problem: kvm.past?.broken ?? kvm.vm?.broken ?? '',
        machine: kvm.vm !== null, startedAt: kvm.startedAt, endedAt: kvm.past?.at ?? null, instructions: kvm.vm ? Number(instructions(kvm.vm.machine)) : (kvm.past?.instructions ?? 0),
        cycles: ledger.total, events: ledger.leavesEver, marks: ledger.marks.length, ...ledger.places,
      };
    }),
};

export const ledgerEvents: View = {
  doc: 'What took each guest out, how often, and what it cost.',
  arg: 'host?, id?',
  columns: columns(`
    ${WHOSE}
    event: a VM exit as perf prints it, a trap, a hypercall, a callout
    part: a part or a kind of another event, whose cycles hold these too
    count [count]: how often
    cycles [cycles]: in all, outside the guest
    each [cycles]: on average
    lastRip [hex]: the guest's instruction, the last time
    lastText: its particulars, the last time
    source: where the costs come from
  `),
  rows: (world, arg) =>
    lanesOf(world, arg).flatMap(({ key, kernel, kvm, ledger, costs }) =>
      [...ledger.events].sort((a, b) => Number(a[1].part) - Number(b[1].part) || b[1].cycles - a[1].cycles || (a[0] < b[0] ? -1 : 1)).map(
        ([event, row]): LedgerEventRow => ({
          key: `${key}:${event}`, host: kernel.name, id: kvm.id, vm: kvm.name, technique: kvm.technique, event, part: row.part, count: row.count, cycles: row.cycles, each: Math.round(row.cycles / row.count),
          lastRip: hex(row.lastRip), lastText: row.lastText, source: costs.source,
        }),
      ),
    ),
};

export const ledgerPlaces: View = {
  doc: 'Where the cycles of each virtual machine went.',
  arg: 'host?, id?',
  columns: columns(`
    ${WHOSE}
    place: guest, user, kernel, translated, monitor, program or asleep
    cycles [cycles]: spent there
    share [%]: of all
  `),
  rows: (world, arg) =>
    lanesOf(world, arg).flatMap(({ key, kernel, kvm, ledger }) =>
      PLACES.filter((place) => ledger.places[place] > 0).map(
        (place): LedgerPlaceRow => ({
          key: `${key}:${place}`, host: kernel.name, id: kvm.id, vm: kvm.name, technique: kvm.technique, place, cycles: ledger.places[place], share: Math.round((ledger.places[place] / ledger.total) * 1000) / 10,
        }),
      ),
    ),
};

export const spans: View = {
  doc: 'The newest 600 stretches of virtual machines, in order: where each was spent and what for.',
  arg: 'host?, id?',
  columns: columns(`
    host: machine
    id [count]: of the virtual machine
    n [count]: number of the span since power-on
    at [cycles]: of this machine's, before it
    cycles [cycles]: how long
    place: guest, user, kernel, translated, monitor, program or asleep
    why: what it was for; empty in the guest
    rip [hex]: the guest's instruction pointer at its end
  `),
  rows: (world, arg) =>
    lanesOf(world, arg).flatMap(({ key, kernel, kvm, ledger }) =>
      ledger.spans.map((span): SpanRow => ({ key: `${key}:${span.n}`, host: kernel.name, id: kvm.id, n: span.n, at: span.at, cycles: span.cycles, place: span.place, why: span.why, rip: hex(span.rip) })),
    ),
};

/** What passed between two marks: the stretch that a mark opens goes on to the next, the last one to now. */
interface Segment {
  value: number | null;
  at: number;
  cycles: number;
  places: Record<Place, number>;
  events: number;
}

function segmentsOf(ledger: Ledger): Segment[] {
  const zero = Object.fromEntries(PLACES.map((place) => [place, 0])) as Record<Place, number>;
  const start: Omit<Mark, 'value'> & { value: number | null } = { value: null, at: 0, places: zero, events: 0 };
  const edges = [start, ...ledger.marks, { value: null, at: ledger.total, places: ledger.places, events: ledger.leavesEver }];
  return edges.slice(0, -1).map((edge, n) => {
    const next = edges[n + 1]!;
    return {
      value: edge.value, at: edge.at, cycles: next.at - edge.at, events: next.events - edge.events,
      places: Object.fromEntries(PLACES.map((place) => [place, next.places[place] - edge.places[place]])) as Record<Place, number>,
    };
  });
}

export const guestMarks: View = {
  doc: 'Stretches between the marks that guests write to port 0x80, compared with the same stretch on the bare machine where that was run too. Stretch 0 is from power-on to the first mark.',
  arg: 'host?, id?',
  columns: columns(`
    ${WHOSE}
    segment [count]: number of the stretch
    value [hex]: the mark that opens it; null: power-on
    at [cycles]: of this machine's, before it
    cycles [cycles]: how long, sleep not counted
    native [cycles]: of the newest native run of the same workload, or null
    ratio: cycles by native
    events [count]: times that the guest was left
    guest [cycles]: as in lanes
    user [cycles]: as in lanes
    kernel [cycles]: as in lanes
    translated [cycles]: as in lanes
    monitor [cycles]: as in lanes
    program [cycles]: as in lanes
    asleep [cycles]: as in lanes
  `),
  rows(world, arg) {
    const all = lanesOf(world, { host: arg.host ?? null }).map((lane) => ({ lane, segments: segmentsOf(lane.ledger) }));
    return all.filter(({ lane }) => arg.id === undefined || arg.id === null || lane.kvm.id === Number(arg.id)).flatMap(({ lane, segments }) => {
      const native = all.findLast((other) => other.lane.kvm.technique === 'native' && comparable(other.lane, lane));
      return segments.map((one, segment): GuestMarkRow => {
        const same = native?.segments[segment];
        const cycles = one.cycles - one.places.asleep;
        // the last stretch of a machine that runs on is not over
        const over = same !== undefined && segment < segments.length - (lane.kvm.past ? 0 : 1) && same.value === one.value;
        const alone = over ? same.cycles - same.places.asleep : null;
        return {
          key: `${lane.key}:${segment}`, host: lane.kernel.name, id: lane.kvm.id, vm: lane.kvm.name, technique: lane.kvm.technique, segment, value: one.value === null ? null : hex(one.value), at: one.at, cycles,
          native: alone, ratio: alone ? Math.round((cycles / alone) * 100) / 100 : null, events: one.events, ...one.places,
        };
      });
    });
  },
};

/** They booted with the same command line, and set the same marks as far as both have come. */
export function comparable(a: Lane, b: Lane): boolean {
  const line = (lane: Lane): string => lane.kvm.workload.split(' ').slice(1).join(' ');
  return line(a) === line(b) && a.ledger.marks.every((mark, n) => n >= b.ledger.marks.length || b.ledger.marks[n]!.value === mark.value);
}

