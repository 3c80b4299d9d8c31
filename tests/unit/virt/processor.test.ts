/** What the processor says of itself: its registers over /dev/cpu, CPUID in words, and the flags that follow from it. */
import { expect, it } from 'vitest';
import { lab } from './machine.ts';

const machine = lab();
it.each([
  [['rdmsr', '0xc0000080'], 0, '901\n', ''],
  [['rdmsr', '-p', '1', '-x', '0x3a'], 0, '5\n', ''],
  [['rdmsr', '-a', '-X', '0x1b'], 0, 'FEE00900\nFEE00900\n', ''],
  [['rdmsr', '-f', '10:8', '0xc0000080'], 0, '1\n', ''],
  [['rdmsr', '0x999'], 4, '', 'rdmsr: CPU 0 cannot read MSR 0x00000999\n'],
  [['rdmsr', 'zz'], 127, '', 'Failed to parse register number.\n'],
  [['wrmsr', '0x999', '1'], 4, '', 'wrmsr: CPU 0 cannot set MSR 0x00000999 to 0x0000000000000001\n'],
  [['wrmsr', '-p', '1', '0xc0000081', '0x23001000000000'], 0, '', ''],
  [['rdmsr', '-p', '1', '-0', '0xc0000081'], 0, '0023001000000000\n', ''],
  [['rdmsr', '-c', '0xc0000081'], 0, '0x0ULL\n', ''],
  [['rdmsr', '-p', '9', '0x10'], 127, '', 'rdmsr: open: No such file or directory\n'],
])('%j', (argv, status, stdout, stderr) => {
  expect(machine.run(`/usr/sbin/${argv[0]}`, ...argv.slice(1))).toEqual({ status: status << 8, stdout, stderr });
});

it('tells CPUID raw and in words, and the machine is no guest', () => {
  const raw = machine.run('/usr/bin/cpuid', '-1', '-l', '1', '-r').stdout;
  const words = /^CPU:\n {3}0x00000001 0x00: eax=0x\w{8} ebx=0x\w{8} ecx=0x(\w{8}) edx=0x\w{8}\n$/.exec(raw)!;
  const ecx = Number.parseInt(words[1]!, 16);
  const told = machine.run('/usr/bin/cpuid', '-1', '-l', '1').stdout;
  expect(told).toMatch(/^ {6}VMX: virtual machine extensions +=/m);
  for (const [bit, name] of [[5, 'VMX: virtual machine extensions'], [17, 'PCID: process context identifiers'], [31, 'hypervisor guest status'], [23, 'POPCNT instruction']] as const) {
    expect(new RegExp(`^ {6}${name} += (true|false)$`, 'm').exec(told)![1]).toBe((ecx >>> bit) & 1 ? 'true' : 'false');
  }
  expect(machine.run('/usr/bin/systemd-detect-virt').stdout).toBe('none\n');
});
