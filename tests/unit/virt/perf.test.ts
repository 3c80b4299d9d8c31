/** perf kvm stat over a running guest: what the tracepoints told, through the file and back, in the columns of the real program. */
import { expect, it } from 'vitest';
import { kvmOf } from '../../../src/engine/kernel/drivers/kvm.ts';
import { tracingOf } from '../../../src/engine/kernel/tracing/points.ts';
import { fieldValue, readData, writeData } from '../../../src/engine/userland/virt/perf/datafile.ts';
import { lab, type Lab } from './machine.ts';

const PERF = '/usr/bin/perf';
const perf = (machine: Lab, ...words: string[]): string => {
  const { stdout, stderr } = machine.run(PERF, ...words);
  return stdout + stderr;
};
const HEAD = '             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time \n\n';
const ROW = /^ *(\S+) +(\d+) +([\d.]+)% +([\d.]+)% +([\d.]+)us +([\d.]+)us +([\d.]+)us \( \+- +([\d.]+)% \)$/;

function running(): Lab {
  const machine = lab({ '/sys/kernel/tracing': { type: 'dir' } });
  machine.run('/usr/bin/virsh', 'start', 'tiny');
  return machine;
}

interface Row { name: string; count: number; share: number; time: number; min: number; max: number; avg: number }
function rowsOf(report: string): Row[] {
  return report.split('\n').map((line) => ROW.exec(line)).filter((m) => m !== null).map(([, name, ...numbers]) => {
    const [count, share, time, min, max, avg] = numbers.map(Number) as [number, number, number, number, number, number];
    return { name: name!, count, share, time, min, max, avg };
  });
}

it('counts every exit of the guest, with shares that sum to a hundred', () => {
  const machine = running();
  const before = [...kvmOf(machine.kernel).vms.values()][0]!.vm!;
  const had = new Map([...before.exits].map(([reason, { count }]) => [reason, count]));
  expect(perf(machine, 'kvm', 'stat', 'record', '-a', 'sleep', '2')).toMatch(/^\[ perf record: Woken up 1 times to write data \]\n\[ perf record: Captured and wrote 0\.0\d\d MB perf\.data\.guest \(\d+ samples\) \]\n$/);
  const report = perf(machine, 'kvm', 'stat', 'report');
  expect(report.startsWith(`\n\nAnalyze events for all VMs, all VCPUs:\n\n${HEAD}`)).toBe(true);
  const rows = rowsOf(report);
  expect(rows.map(({ name }) => name).sort()).toContain('HLT');
  for (const line of report.split('\n').filter((l) => l.includes('( +-'))) expect(line).toHaveLength(102);
  const near = (sum: number): void => expect(Math.abs(sum - 100)).toBeLessThanOrEqual(0.05);
  near(rows.reduce((sum, { share }) => sum + share, 0));
  near(rows.reduce((sum, { time }) => sum + time, 0));
  const total = /Total Samples:(\d+), Total events handled time:([\d.]+)us\.\n\n$/.exec(report)!;
  expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(Number(total[1]));
  expect(Math.abs(rows.reduce((sum, { count, avg }) => sum + count * avg, 0) - Number(total[2]))).toBeLessThan(2);
  const hlt = rows.find(({ name }) => name === 'HLT')!;
  expect(Math.abs(hlt.count - (before.exits.get(12)!.count - (had.get(12) ?? 0)))).toBeLessThanOrEqual(3);
  expect(hlt.avg).toBeGreaterThan(40_000);
  expect(hlt.max).toBeGreaterThanOrEqual(hlt.min);
  expect(rows.map(({ count }) => count)).toEqual(rows.map(({ count }) => count).sort((a, b) => b - a));
  expect(rowsOf(perf(machine, 'kvm', 'stat', 'report', '-k', 'time'))[0]!.name).toBe('HLT');
  expect(rowsOf(perf(machine, 'kvm', 'stat', 'report', '--vcpu=0'))).toEqual(rows);
  expect(rowsOf(perf(machine, 'kvm', 'stat', 'report', '--vcpu=3'))).toEqual([]);
  const ports = perf(machine, 'kvm', 'stat', 'report', '--event=ioport');
  expect(ports).toContain('      IO Port Access    Samples');
  expect(ports).toMatch(/^ {11}0x20:POUT +\d+ /m);
  expect(ports).toMatch(/^ {10}0x3f8:POUT +\d+ /m);
});

it('watches a process, counts for perf stat, and stops listening', () => {
  const machine = running();
  const { pid, vm } = [...kvmOf(machine.kernel).vms.values()][0]!;
  machine.pass(300e6);
  const from = vm!.exitsEver;
  const text = perf(machine, 'stat', '-e', 'kvm:kvm_exit', '-p', String(pid), 'sleep', '1');
  expect(text).toMatch(/^\n Performance counter stats for process id '\d+':\n\n {16}\d+ {6}kvm:kvm_exit {55}\n\n {6}1\.0\d{8} seconds time elapsed\n\n$/);
  const counted = Number(/(\d+) {6}kvm:kvm_exit/.exec(text)![1]);
  expect(Math.abs(counted - (vm!.exitsEver - from))).toBeLessThanOrEqual(3);
  expect(perf(machine, 'stat', '-e', 'kvm:kvm_exit', 'sleep', '1')).toMatch(/^ {17}0 {6}kvm:kvm_exit/m);
  expect(tracingOf(machine.kernel).listeners).toEqual([]);
  machine.pass(100e6);
  expect(vm!.events).toBeNull();
});

it('writes the file that it reads', () => {
  const format = 'name: kvm_msr\nID: 9\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\tfield:u32 ecx;\toffset:8;\tsize:4;\tsigned:0;\n\nprint fmt: "%x", __print_symbolic(REC->ecx, { 5, "five" })\n';
  const sample = new DataView(new ArrayBuffer(72));
  sample.setUint32(0, 9, true);
  sample.setUint16(6, 72, true);
  sample.setBigUint64(8, 77n, true);
  sample.setUint32(24, 40, true);
  sample.setUint32(28, 41, true);
  sample.setBigUint64(32, 123_456n, true);
  sample.setUint32(56, 12, true);
  sample.setUint32(68, 0x1b, true);
  const file = writeData({
    events: [{ config: 9, ids: [77, 78] }], sampleType: 0x10587, data: new Uint8Array(sample.buffer), formats: [{ system: 'kvm', text: format }], headerPage: 'p', headerEvent: 'e',
    features: [{ id: 9, value: 'GenuineIntel,6,85,7' }, { id: 7, value: { u32: [2, 2] } }, { id: 11, value: ['perf', 'kvm'] }],
  });
  const read = readData(file)!;
  expect(read.cpuid).toBe('GenuineIntel,6,85,7');
  expect(read.samples).toHaveLength(1);
  const event = read.events.get(read.samples[0]!.id)!;
  expect(event.name).toBe('kvm:kvm_msr');
  expect(event.symbols.get(5)).toBe('five');
  expect(read.samples[0]).toMatchObject({ tgid: 40, pid: 41, time: 123_456 });
  expect(fieldValue(event, read.samples[0]!.raw, 'ecx')).toBe(0x1bn);
  for (const cut of [4, 60, 120, 300, file.length - 3]) expect(() => readData(file.subarray(0, cut))).not.toThrow();
  expect(readData(new Uint8Array(500))).toBeNull();
});

it.each([
  [[PERF], 1, /usage: perf/, ''],
  [[PERF, 'foo'], 1, '', "perf: 'foo' is not a perf-command. See 'perf --help'.\n"],
  [[PERF, '--version'], 0, 'perf version 6.1.192\n', ''],
  [[PERF, 'kvm', 'stat', 'report'], 255, '', 'failed to open perf.data.guest: No such file or directory\nInitializing perf session failed\n'],
  [[PERF, 'kvm', '--host', 'stat', 'report'], 255, '', 'failed to open perf.data.kvm: No such file or directory\nInitializing perf session failed\n'],
  [[PERF, 'kvm', 'stat', 'report', '-k', 'foo'], 234, '', 'Unknown compare key:foo\n'],
  [[PERF, 'kvm', 'stat', 'report', '--event=foo'], 234, '', ''],
  [[PERF, 'kvm', 'stat', 'report', '--bogus'], 129, '', /^ {2}Error: unknown option `bogus'\n\n Usage: perf kvm stat report \[<options>\]\n\n {4}-f, --force {11}don't complain, do it\n/],
  [[PERF, 'kvm', 'stat', 'record', '-p', '99999'], 1, '', "Couldn't create thread/CPU maps: No such process\n"],
  [[PERF, 'record', 'ls'], 1, '', /^not modelled: perf record/],
  [[PERF, 'stat', '-e', 'nosuch:thing', 'sleep', '1'], 129, '', /^event syntax error: 'nosuch:thing'\n/],
])('%j', (argv, status, stdout, stderr) => {
  const got = shared.run(...argv);
  expect(got.status >> 8).toBe(status);
  for (const [text, want] of [[got.stdout, stdout], [got.stderr, stderr]] as const) {
    if (typeof want === 'string') expect(text).toBe(want);
    else expect(text).toMatch(want);
  }
});
const shared = lab({ '/sys/kernel/tracing': { type: 'dir' } });
