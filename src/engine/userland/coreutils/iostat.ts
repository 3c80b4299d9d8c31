/** sysstat's iostat: processors and disks since boot, then over each interval, from /proc/stat and /proc/diskstats. */
import { sys } from '../../kernel/sys.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import { readText } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';
import { strftime } from './calendar.ts';

const SECTOR = 512;

interface Sample { /** s since boot */ at: number; cpu: number[]; disks: Map<string, number[]> }

function* sample(): Call<Sample> {
  const at = Number((yield* readText('/proc/uptime')).split(' ')[0]);
  const cpu = /^cpu +(.*)$/m.exec(yield* readText('/proc/stat'))![1]!.split(' ').map(Number);
  const disks = new Map((yield* readText('/proc/diskstats')).split('\n').filter(Boolean).map((line) => {
    const [, , name, ...counts] = line.trim().split(/\s+/);
    return [name!, counts.map(Number)] as const;
  }));
  return { at, cpu, disks };
}

const minus = (a: readonly number[], b: readonly number[] | undefined): number[] => a.map((value, i) => value - (b?.[i] ?? 0));
const two = (value: number): string => (Number.isFinite(value) ? value : 0).toFixed(2);

function processors(now: Sample, before: Sample | null): string {
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = minus(now.cpu, before?.cpu);
  const total = user + nice + system + idle + iowait + irq + softirq + steal;
  const cells = [user, nice, system + irq + softirq, iowait, steal, idle].map((ticks) => two((ticks / total) * 100).padStart(8));
  return `avg-cpu:  %user   %nice %system %iowait  %steal   %idle\n       ${cells.join('')}\n\n`;
}

type Column = readonly [string, number, (d: number[], seconds: number, unit: number) => number, number?];
const kind = (prefix: 'r' | 'w', at: number): Column[] => [
  [`${prefix}/s`, 8, (d, s) => d[at]! / s],
  [`${prefix}kB/s`, 9, (d, s, unit) => (d[at + 2]! * SECTOR) / unit / s],
  [`${prefix}rqm/s`, 8, (d, s) => d[at + 1]! / s],
  [`%${prefix}rqm`, 6, (d) => (100 * d[at + 1]!) / (d[at]! + d[at + 1]!)],
  [`${prefix}_await`, 7, (d) => d[at + 3]! / d[at]!],
  [`${prefix}areq-sz`, 8, (d, _s, unit) => (d[at + 2]! * SECTOR) / unit / d[at]!],
];
const SHORT: Column[] = [
  ['tps', 9, (d, s) => (d[0]! + d[4]! + d[11]!) / s],
  ['kB_read/s', 12, (d, s, unit) => (d[2]! * SECTOR) / unit / s], ['kB_wrtn/s', 12, (d, s, unit) => (d[6]! * SECTOR) / unit / s], ['kB_dscd/s', 12, (d, s, unit) => (d[13]! * SECTOR) / unit / s],
  ['kB_read', 10, (d, _s, unit) => Math.floor((d[2]! * SECTOR) / unit), 0], ['kB_wrtn', 10, (d, _s, unit) => Math.floor((d[6]! * SECTOR) / unit), 0], ['kB_dscd', 10, (d, _s, unit) => Math.floor((d[13]! * SECTOR) / unit), 0],
];
const LONG: Column[] = [...kind('r', 0), ...kind('w', 4), ['aqu-sz', 7, (d, s) => d[10]! / 1000 / s], ['%util', 6, (d, s) => Math.min(100, d[9]! / 10 / s)]];

function devices(now: Sample, before: Sample | null, columns: readonly Column[], unit: number, names: string[]): string {
  const seconds = now.at - (before?.at ?? 0);
  const heading = columns.map(([name, width]) => (unit === 1024 ? name : name.replace('kB', 'MB')).padStart(width + 1)).join('');
  const rows = [...now.disks].filter(([name]) => (names.length > 0 ? names.includes(name) || names.includes('ALL') : !/\d$/.test(name)));
  const lines = rows.map(([name, counts]) => {
    const d = minus(counts, before?.disks.get(name));
    return `${name.padEnd(13)}${columns.map(([, width, of, digits]) => {
      const value = of(d, seconds, unit);
      return (digits === 0 ? String(value) : two(value)).padStart(width + 1);
    }).join('')}\n`;
  });
  return `${'Device'.padEnd(13)}${heading}\n${lines.join('')}\n\n`;
}

export const iostat = command(function* (argv) {
  const o = parseOptions('c d x k m y z t h p= V', argv.slice(1));
  if (o.on.has('V')) {
    yield* print('sysstat version 12.7.5\n(C) Sebastien Godard (sysstat <at> orange.fr)\n');
    return 0;
  }
  const numbers = o.words.filter((word) => /^\d+$/.test(word)).map(Number);
  const names = [...o.words.filter((word) => !/^\d+$/.test(word)), ...(lastValue(o, 'p')?.split(',') ?? [])].map((name) => name.replace('/dev/', ''));
  const [interval = 0, count = interval > 0 ? Infinity : 1] = numbers;
  if (numbers.length > 0 && interval < 1) throw new Failed('interval must be at least 1 second');
  const u = yield* sys('uname');
  let before: Sample | null = null;
  const [cpus, now] = [((yield* readText('/proc/stat')).match(/^cpu\d/gm) ?? []).length, Math.floor((yield* sys('clock_gettime', 'realtime')) / 1e9)];
  yield* print(`Linux ${u.release} (${u.nodename}) \t${strftime('%m/%d/%y', now)} \t_${u.machine}_\t(${cpus} CPU)\n\n`);
  if (o.on.has('y') && interval > 0) {
    before = yield* sample();
    yield* sys('nanosleep', interval * 1e9);
  }
  for (let n = 0; n < count; n++) {
    const taken: Sample = yield* sample();
    const text = `${o.on.has('d') && !o.on.has('c') ? '' : processors(taken, before)}${o.on.has('c') && !o.on.has('d') ? '' : devices(taken, before, o.on.has('x') ? LONG : SHORT, o.on.has('m') ? 1024 * 1024 : 1024, names)}`;
    yield* print(text);
    before = taken;
    if (n + 1 < count) yield* sys('nanosleep', interval * 1e9);
  }
  return 0;
});
