/** VM exits of one machine: by reason, and the newest in order. */
import type { ExitLogRow, ExitRow } from '../../bridge/rows.ts';
import { exitName, explainQualification } from '../hypervisor/exits.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

const words = (reason: number, qualification: bigint): string => {
  const text = explainQualification(reason, qualification);
  return text === '' ? (qualification === 0n ? '' : hex(qualification)) : `${hex(qualification)}: ${text}`;
};

export const exits: View = {
  doc: 'VM exits by basic exit reason.',
  arg: 'host?, vm',
  columns: columns(`
    reason [count]: basic exit reason
    name: as perf prints it
    count [count]: how many
    cycles [count]: spent on them outside the guest
    lastQualification: exit qualification of the newest, with its meaning
    lastRip [hex]: where the guest was
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found) return [];
    return [...found.vm.exits].sort(([a], [b]) => a - b).map(
      ([reason, row]): ExitRow => ({
        key: String(reason), reason, name: exitName(reason), count: row.count, cycles: row.cycles, lastQualification: words(reason, row.lastQualification), lastRip: hex(row.lastRip),
      }),
    );
  },
};

export const exitLog: View = {
  doc: 'The newest 200 VM exits in order.',
  arg: 'host?, vm',
  columns: columns(`
    n [count]: number of the exit since power-on
    t [ns]: when
    reason [count]: basic exit reason
    name: as perf prints it
    qualification: exit qualification, with its meaning
    gpa [hex]: guest-physical address, where the exit has one
    rip [hex]: where the guest was
    cycles [count]: spent on it outside the guest
  `),
  rows: (world, arg) =>
    (machineIn(world, arg)?.vm.log ?? []).map(
      (row): ExitLogRow => ({
        key: String(row.n), n: row.n, t: row.t, reason: row.reason, name: exitName(row.reason), qualification: words(row.reason, row.qualification), gpa: row.gpa === null ? '' : hex(row.gpa),
        rip: hex(row.rip), cycles: row.cycles,
      }),
    ),
};
