/**
 * Published figures that a run can be held against: what was measured, by whom, how far to trust it, and which workload of nest
 * under which technique and processor generation measures the same here. `tolerance` in per cent of the published figure; null:
 * only the order of the figures of one row is meant. Confidence: high where the table was read or is often quoted, medium where
 * remembered (docs/fidelity.md says more).
 */
import type { CostName } from './costs.ts';
import type { TechniqueName } from './vm.ts';

export interface Figure {
  paper: string;
  row: string;
  column: string;
  /** Of one operation: cycles, or how many times those of the native column. */
  published: number;
  unit: 'cycles' | '× native';
  tolerance: number | null;
  confidence: 'high' | 'medium';
  technique: TechniqueName;
  profile: CostName;
  /** The first word of nest's command line. */
  workload: string;
}

const ADAMS = 'Adams and Agesen, ASPLOS 2006, nanobenchmarks (cycles)';
const COLUMNS: readonly [string, TechniqueName][] = [['native', 'native'], ['software VMM', 'binary-translation'], ['hardware VMM', 'vmx-shadow']];

/** Row, workload, and the three columns; a figure that is only remembered is negative here. */
const NANOBENCHMARKS: readonly [string, string, readonly [number, number, number]][] = [
  ['system call', 'syscall', [-242, -2308, -242]],
  ['IN from port 0x80', 'in', [3209, -214, 15826]],
  ['MOV to CR8', 'cr8', [-140, 35, -140]],
  ['call and return', 'callret', [11, 51, 11]],
  ['page fault', 'pgfault', [1093, 3927, 11242]],
  ['division by zero', 'divzero', [889, 3223, 1014]],
  ['page-table entry changed', 'ptemod', [1, 391, 12733]],
];

const OPERATIONS: readonly Figure[] = NANOBENCHMARKS.flatMap(([row, workload, values]) =>
  values.map((value, n): Figure => ({
    paper: ADAMS, row, column: COLUMNS[n]![0], published: Math.abs(value), unit: 'cycles', tolerance: value < 0 ? 15 : 5, confidence: value < 0 ? 'medium' : 'high', technique: COLUMNS[n]![1], profile: 'pentium4-672', workload,
  })),
);

/** 40,000 processes made and waited for: 6.0, 36.9 and 106.4 s at 3.8 GHz. A process of nest is smaller than theirs, so of the native time only the order is meant. */
const FORKWAIT: readonly Figure[] = [(6 * 3.8e9) / 40_000, 6.1, 17.7].map((published, n): Figure => ({
  paper: 'Adams and Agesen, ASPLOS 2006, forkwait', row: 'process made and waited for', column: COLUMNS[n]![0], published, unit: n === 0 ? 'cycles' : '× native', tolerance: n === 0 ? null : 10,
  confidence: 'high', technique: COLUMNS[n]![1], profile: 'pentium4-672', workload: 'forkwait',
}));

export const FIGURES: readonly Figure[] = [...OPERATIONS, ...FORKWAIT];

/** A figure in its unit, from what runs took: cycles of one operation by keyOf. */
export function measuredOf(figure: Figure, cyclesBy: (key: string) => number | null): number | null {
  const cycles = cyclesBy(keyOf(figure));
  if (figure.unit === 'cycles' || cycles === null) return cycles;
  const native = cyclesBy(keyOf({ workload: figure.workload, technique: 'native' }));
  return native === null ? null : cycles / native;
}

/** What nest reports of a workload: "syscall 1000 242.00"; null: another line. */
export function reported(line: string, workload: string): number | null {
  const found = /^(\w+) \d+ (\d+\.\d\d)$/.exec(line);
  return found?.[1] === workload ? Number(found[2]) : null;
}

/** The last report of a figure's workload among what a guest sent to its serial line; null: there is none. */
export const lastReported = (figure: Figure, said: string): number | null =>
  said.replace(/\r/g, '').split('\n').map((line) => reported(line, figure.workload)).findLast((value) => value !== null) ?? null;

/** Names a figure among all. */
export const keyOf = ({ workload, technique }: Pick<Figure, 'workload' | 'technique'>): string => `${workload}:${technique}`;

export const agrees = ({ published, tolerance, unit }: Figure, measured: number): boolean | null => (tolerance === null ? null : Math.abs(measured - published) <= Math.max(unit === 'cycles' ? 0.5 : 0, (published * tolerance) / 100));

/** The command that measures a figure. */
export function commandOf({ technique, workload }: Figure): string {
  const image = "-kernel /var/lib/libvirt/images/nest.img -append";
  const times = workload === 'forkwait' ? 40 : 1000;
  if (technique === 'native') return `bare -cpu pentium4 ${image} '${workload} ${times}'`;
  return `qemu-system-x86_64 ${technique === 'binary-translation' ? '-accel tcg -cpu pentium4' : '-accel kvm -cpu pentium4,ept=off'} -nographic ${image} '${workload} ${times}'`;
}
