/** The example hypervisor as people run it: `bare` in the lab's shell, and under KVM, which has no nested VMX for its guests. */
import { expect, it } from 'vitest';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { GOOD, SOURCE } from '../cpu/own-vmx-mistakes.ts';
import { lab } from './machine.ts';

const machine = lab({ '/root/own-vmx.bin': { type: 'file', data: assemble(SOURCE, 'own-vmx.asm').bytes } });

it('bare runs it to its end', () => {
  expect(machine.run('/usr/bin/bare', '-kernel', '/root/own-vmx.bin', '-m', '16')).toEqual({ status: 1 << 8, stdout: GOOD, stderr: '' });
});

it("a guest of KVM's is told that there is no VMX", () => {
  const { status, stdout } = machine.run('/usr/bin/qemu-system-x86_64', '-accel', 'kvm', '-nographic', '-no-reboot', '-m', '16', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', '/root/own-vmx.bin');
  expect([status, stdout]).toEqual([3 << 8, 'vmx: this processor has none\n']);
});
