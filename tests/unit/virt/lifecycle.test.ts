/** tiny as libvirt's domain: QEMU as a process that KVM_RUN keeps busy, from start to every end it can come to. */
import { expect, it } from 'vitest';
import { kvmOf } from '../../../src/engine/kernel/drivers/kvm.ts';
import { debugVm } from '../../../src/engine/kernel/drivers/kvm.ts';
import { assembled, type Lab, lab } from './machine.ts';

const virsh = (machine: Lab, ...words: string[]): string => {
  const { stdout, stderr } = machine.run('/usr/bin/virsh', ...words);
  return stdout + stderr;
};
const only = (machine: Lab) => [...kvmOf(machine.kernel).vms.values()][0]!;

it('starts, ticks, and is destroyed', () => {
  const machine = lab();
  expect(virsh(machine, 'start', 'tiny')).toBe("Domain 'tiny' started\n\n");
  machine.pass(200e6);
  expect(virsh(machine, 'list')).toBe(' Id   Name   State\n----------------------\n 1    tiny   running\n\n');
  const { vm, pid } = only(machine);
  expect(vm!.serial.bytes).toBeGreaterThan(60);
  expect(vm!.exits.get(48)!.count).toBeGreaterThan(60);
  const qemu = machine.kernel.tasks.get(pid)!;
  expect(qemu.comm).toBe('qemu-system-x86');
  expect(qemu.cgroup.parent!.name).toBe('machine-qemu\\x2d1\\x2dtiny.scope');
  expect(qemu.mm.rss.anon).toBeGreaterThan(60);
  expect(virsh(machine, 'qemu-monitor-command', 'tiny', '--hmp', 'info status')).toContain('VM status: running');
  expect(virsh(machine, 'qemu-monitor-command', 'tiny', '--hmp', 'info registers')).toMatch(/RIP=00000000001[0-9a-f]{5} RFL=[0-9a-f]{8} .*HLT=1/);
  expect(virsh(machine, 'destroy', 'tiny')).toBe("Domain 'tiny' destroyed\n\n");
  expect(virsh(machine, 'domstate', 'tiny', '--reason')).toBe('shut off (destroyed)\n\n');
  expect(kvmOf(machine.kernel).vms.size).toBe(0);
});

it('ends when asked by the power button, resets, suspends and resumes', () => {
  const machine = lab();
  virsh(machine, 'start', 'tiny');
  machine.pass(300e6);
  expect(virsh(machine, 'suspend', 'tiny')).toBe("Domain 'tiny' suspended\n\n");
  const before = only(machine).vm!.exitsEver;
  machine.pass(500e6);
  expect(only(machine).vm!.exitsEver).toBe(before);
  expect(virsh(machine, 'domstate', 'tiny', '--reason')).toBe('paused (user)\n\n');
  expect(virsh(machine, 'resume', 'tiny')).toBe("Domain 'tiny' resumed\n\n");
  machine.pass(200e6);
  expect(only(machine).vm!.exitsEver).toBeGreaterThan(before);
  const said = only(machine).vm!.serial.bytes;
  expect(virsh(machine, 'reset', 'tiny')).toBe("Domain 'tiny' was reset\n\n");
  machine.pass(200e6);
  expect(only(machine).vm!.serial.bytes).toBeGreaterThan(said + 60);
  expect(virsh(machine, 'shutdown', 'tiny')).toBe("Domain 'tiny' is being shutdown\n\n");
  machine.pass(300e6);
  expect(virsh(machine, 'domstate', 'tiny', '--reason')).toBe('shut off (shutdown)\n\n');
  expect(virsh(machine, 'start', 'tiny')).toBe("Domain 'tiny' started\n\n");
  expect(virsh(machine, 'domid', 'tiny')).toBe('2\n\n');
});

it('crashes when QEMU is killed', () => {
  const machine = lab();
  virsh(machine, 'start', 'tiny');
  machine.pass(100e6);
  machine.kernel.exit(machine.kernel, machine.kernel.tasks.get(only(machine).pid)!, 9, 'kill');
  machine.pass(100e6);
  expect(virsh(machine, 'domstate', 'tiny', '--reason')).toBe('shut off (crashed)\n\n');
});

it('waits for the debugger and steps by one instruction', () => {
  const machine = lab();
  virsh(machine, 'start', 'tiny');
  machine.pass(100e6);
  debugVm(machine.kernel, 'tiny', 'pause');
  machine.pass(100e6);
  const { vm } = only(machine);
  const at = (): [number, string] => [Number(vm!.machine.state.getBigUint64(0x6c8, true)), String(vm!.exitsEver)];
  const [before] = at();
  machine.pass(100e6);
  expect(at()[0]).toBe(before);
  debugVm(machine.kernel, 'tiny', 'step');
  machine.pass(100e6);
  debugVm(machine.kernel, 'tiny', 'step');
  machine.pass(100e6);
  expect(at()[0] - before).toBeLessThanOrEqual(2);
  expect(at()[0] - before).toBeGreaterThanOrEqual(1);
  const exits = vm!.exitsEver;
  debugVm(machine.kernel, 'tiny', 'step-exit');
  machine.pass(100e6);
  expect(vm!.exitsEver).toBe(exits + 1);
  debugVm(machine.kernel, 'tiny', 'resume');
  machine.pass(200e6);
  expect(vm!.exitsEver).toBeGreaterThan(exits + 3);
});

const flat = (code: string): Uint8Array => assembled(`bits 64\norg 0x100000\n${code}\nhlt`);
const guests = lab({
  '/root/hello.bin': { type: 'file', data: flat('mov esi, text\nmov ecx, 6\nmov dx, 0x3f8\nrep outsb\nmov al, 0x10\nout 0xf4, al\ntext: db "hello", 10') },
  '/root/off.bin': { type: 'file', data: flat('mov dx, 0x604\nmov ax, 0x2000\nout dx, ax') },
  '/root/triple.bin': { type: 'file', data: flat('ud2') },
  '/root/mmio.bin': { type: 'file', data: flat('mov eax, 0xfee00020\nmov eax, [rax]') },
  '/root/line.bin': { type: 'file', data: flat('mov rsi, rdi\nmov dx, 0x3f8\n.next: lodsb\ntest al, al\njz .done\nout dx, al\njmp .next\n.done: out 0xf4, al') },
});
const QEMU = ['/usr/bin/qemu-system-x86_64', '-accel', 'kvm', '-m', '64', '-nographic', '-no-reboot', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4'];

it.each([
  ['hello.bin', [], 33, 'hello\n', ''],
  ['off.bin', [], 0, '', ''],
  ['triple.bin', [], 0, '', ''],
  ['line.bin', ['-append', 'one two'], 1, 'one two', ''],
])('%s under qemu-system-x86_64', (name, more, status, stdout, stderr) => {
  expect(guests.run(...QEMU, '-kernel', `/root/${name}`, ...more)).toEqual({ status: status << 8, stdout, stderr });
});

it('installs a domain from a flat image', () => {
  const made = guests.run('/usr/bin/virt-install', '--name', 'mine', '--memory', '64', '--import', '--disk', 'none', '--boot', 'kernel=/root/off.bin');
  expect([made.stderr, made.status]).toEqual(['', 0]);
  guests.pass(200e6);
  expect(virsh(guests, 'list', '--all')).toContain(' -    mine   shut off\n');
  expect(virsh(guests, 'start', 'mine')).toBe("Domain 'mine' started\n\n");
});

it('is limited by its control group: the OOM killer takes QEMU, and libvirt says crashed', () => {
  const machine = lab();
  virsh(machine, 'start', 'tiny', '--paused');
  expect(virsh(machine, 'memtune', 'tiny', '--hard-limit', '200')).toBe('\n');
  virsh(machine, 'resume', 'tiny');
  machine.pass(500e6);
  expect(virsh(machine, 'domstate', 'tiny', '--reason')).toBe('shut off (crashed)\n\n');
});
