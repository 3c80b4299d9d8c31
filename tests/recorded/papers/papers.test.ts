/** Published figures, measured again by a guest under each technique; and the shapes that the papers report. */
import { describe, expect, it } from 'vitest';
import { COSTS } from '../../../src/engine/hypervisor/costs.ts';
import { agrees, commandOf, FIGURES, keyOf, measuredOf, reported } from '../../../src/engine/hypervisor/papers.ts';
import { kvmOf } from '../../../src/engine/kernel/drivers/kvm.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { lab } from '../../unit/virt/machine.ts';

const { guests } = loadAssets();
const image = (name: string): Uint8Array => assemble(guests[`${name}.asm`]!, `${name}.asm`, (included) => guests[included] ?? null).bytes;
const machine = lab({ '/var/lib/libvirt/images/nest.img': { type: 'file', data: image('nest') }, '/var/lib/libvirt/images/nest-pv.img': { type: 'file', data: image('nest-pv') } });

/** A command of a shell line without a shell. */
const words = (line: string): string[] => [...line.matchAll(/'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2]!);
const run = (line: string): string => machine.run(...words(line).map((word, n) => (n === 0 ? `/usr/bin/${word}` : word))).stdout.replace(/\r/g, '');
const cycles = (line: string): number => {
  const workload = /'(\w+)/.exec(line)![1]!;
  const found = run(line).split('\n').map((one) => reported(one, workload)).find((value) => value !== null);
  if (found === undefined || found === null) throw new Error(`nothing reported by ${line}`);
  return found;
};

describe('Adams and Agesen, ASPLOS 2006', () => {
  const measured = new Map<string, number>();
  const cyclesBy = (key: string): number => {
    const figure = FIGURES.find((one) => keyOf(one) === key)!;
    if (!measured.has(key)) measured.set(key, cycles(commandOf(figure)));
    return measured.get(key)!;
  };

  it.each(FIGURES.filter(({ tolerance }) => tolerance !== null).map((figure) => [`${figure.row}, ${figure.column}`, figure] as const))('%s', (_name, figure) => {
    const value = measuredOf(figure, cyclesBy)!;
    expect(agrees(figure, value), `measured ${value}, published ${figure.published}`).toBe(true);
  });

  it('forking is dearest with traced tables, then translated, then native, whatever the size of the process', () => {
    const fork = (command: string): number => cycles(`${command} -kernel /var/lib/libvirt/images/nest.img -append 'fork 30'`);
    const native = fork('bare -cpu pentium4');
    const software = fork('qemu-system-x86_64 -accel tcg -cpu pentium4 -nographic') / native;
    const hardware = fork('qemu-system-x86_64 -accel kvm -cpu pentium4,ept=off -nographic') / native;
    expect(software).toBeGreaterThan(3);
    expect(hardware).toBeGreaterThan(software * 1.5);
    expect(hardware).toBeLessThan(25);
  });
});

describe('crossings by generation', () => {
  it.each([['prescott', 3963], ['merom', 1579], ['penryn', 1266], ['nehalem', 1009], ['westmere', 761], ['sandy-bridge', 784]] as const)('%s: exit and entry take %i cycles', (name, round) => {
    expect(COSTS[name].round).toBe(round);
  });

  it('are what a guest measures: CPUID costs exit, entry and handler more than natively', () => {
    const native = cycles("bare -kernel /var/lib/libvirt/images/nest.img -append 'cpuid 100'");
    const guest = cycles("qemu-system-x86_64 -accel kvm -cpu SandyBridge -nographic -kernel /var/lib/libvirt/images/nest.img -append 'cpuid 100'");
    const { round, handler } = COSTS['sandy-bridge'];
    expect(Math.abs(guest - native - round - handler)).toBeLessThan(110);
  });
});

describe('EPT against shadow tables', () => {
  const NEST = '-nographic -kernel /var/lib/libvirt/images/nest.img -append';
  const both = (workload: string): [ept: number, shadow: number] => [
    cycles(`qemu-system-x86_64 -accel kvm ${NEST} '${workload}'`), cycles(`qemu-system-x86_64 -accel kvm -cpu host,ept=off ${NEST} '${workload}'`),
  ];

  it('whoever changes tables wants EPT, whoever only misses the TLB wants shadow tables', () => {
    const [forkEpt, forkShadow] = both('fork 30');
    expect(forkShadow / forkEpt).toBeGreaterThan(1.48);
    const [missEpt, missShadow] = both('tlbthrash 512 6');
    expect(missEpt / missShadow).toBeGreaterThan(1.5);
  });

  it('the exits of a boot have the shape that was measured', () => {
    const before = kvmOf(machine.kernel).ended.length;
    run(`qemu-system-x86_64 -accel kvm ${NEST} 'boot'`);
    run(`qemu-system-x86_64 -accel kvm -cpu host,ept=off ${NEST} 'boot'`);
    const [ept, shadow] = kvmOf(machine.kernel).ended.slice(Math.min(before, kvmOf(machine.kernel).ended.length - 2)).slice(-2).map((one) => (name: string): number => one.past?.ledger.events.get(name)?.count ?? 0);
    expect([ept!('INVLPG'), ept!('EXCEPTION_NMI'), shadow!('EPT_VIOLATION')]).toEqual([0, 0, 0]);
    expect(shadow!('INVLPG')).toBeGreaterThan(0);
    expect(shadow!('EXCEPTION_NMI')).toBeGreaterThan(50);
    expect(shadow!('CR_ACCESS')).toBeGreaterThan(10 * Math.max(1, ept!('CR_ACCESS')));
    expect(Math.abs(shadow!('CPUID') - ept!('CPUID'))).toBeLessThanOrEqual(0.1 * ept!('CPUID'));
    expect(Math.abs(shadow!('IO_INSTRUCTION') - ept!('IO_INSTRUCTION'))).toBeLessThanOrEqual(0.1 * ept!('IO_INSTRUCTION'));
  });
});

describe('Barham et al., SOSP 2003', () => {
  const PV = 'qemu-system-x86_64 -accel xen -cpu pentium4 -nographic -kernel /var/lib/libvirt/images/nest-pv.img -append';
  it('a system call costs a crossing, a fork under twice what it costs natively in the order of the paper', () => {
    const native = cycles("bare -cpu pentium4 -kernel /var/lib/libvirt/images/nest.img -append 'fork 30'");
    const twin = cycles(`${PV} 'fork 30'`) / native;
    const traced = cycles("qemu-system-x86_64 -accel kvm -cpu pentium4,ept=off -nographic -kernel /var/lib/libvirt/images/nest.img -append 'fork 30'") / native;
    expect(twin).toBeGreaterThan(1);
    expect(twin).toBeLessThan(traced / 2);
  });

  it('changes of a table go sixty-four in a hypercall', () => {
    run(`${PV} 'ptemod 640'`);
    const { ledger } = kvmOf(machine.kernel).ended.at(-1)!.past!;
    const calls = ledger.events.get('hypercall mmu_update')!;
    expect(calls.count).toBeGreaterThanOrEqual(10);
    expect(calls.count).toBeLessThanOrEqual(30);
  });
});
