/** The debugger over the gdbstub: a small guest stopped by instruction, address, value and exit. */
import { expect, it } from 'vitest';
import { assembled, lab, type Lab } from './machine.ts';

const GUEST = `bits 64
org 0x100000
start:
  mov eax, 5
  mov rbx, 0x300000
  mov [rbx], eax
  call f
.l: hlt
  jmp .l
f:
  add eax, 1
  mov [rbx], eax
  mov dx, 0x3f8
  out dx, al
  ret
`;

function guest(): Lab {
  const machine = lab({ '/guest.bin': { type: 'file', data: assembled(GUEST) } });
  machine.start('/usr/bin/qemu-system-x86_64', '-accel', 'kvm', '-m', '16', '-kernel', '/guest.bin', '-display', 'none', '-serial', 'file:/out', '-S', '-gdb', 'tcp::1234');
  machine.pass(50e6);
  return machine;
}

function gdb(machine: Lab, ...commands: string[]): string[] {
  const { stdout, stderr } = machine.run('/usr/bin/gdb', '-q', '-batch', ...['target remote :1234', ...commands].flatMap((one) => ['-ex', one]));
  return (stdout.slice(stdout.indexOf('0x')) + stderr).trimEnd().split('\n');
}

it('steps, breaks, watches, changes registers and memory', () => {
  const machine = guest();
  const said = gdb(machine, 'x/3i $pc', 'si', 'print $rax', 'watch *(int *) 0x300000', 'c', 'c', 'info breakpoints', 'delete 1', 'set *(int *)0x300000=77', 'x/1dw 0x300000', 'set $rax=0x41', 'break *0x100019', 'info registers rax rip', 'reverse-stepi', 'monitor info status');
  expect(said).toEqual([
    '0x0000000000100000 in ?? ()', '=> 0x100000:\tmov    $0x5,%eax', '   0x100005:\tmov    $0x300000,%ebx', '   0x10000a:\tmov    %eax,(%rbx)', '0x0000000000100005 in ?? ()', '$1 = 5',
    'Hardware watchpoint 1: *(int *) 0x300000', 'Continuing.', '', 'Hardware watchpoint 1: *(int *) 0x300000', '', 'Old value = 0', 'New value = 5', '0x000000000010000c in ?? ()', 'Continuing.', '',
    'Hardware watchpoint 1: *(int *) 0x300000', '', 'Old value = 5', 'New value = 6', '0x0000000000100019 in ?? ()', 'Num     Type           Disp Enb Address            What',
    '1       hw watchpoint  keep y                      *(int *) 0x300000', '\tbreakpoint already hit 2 times', '0x300000:\t77', 'Breakpoint 2 at 0x100019', 'rax            0x41               65', 'rip            0x100019           0x100019', 'VM status: paused',
    'Target remote does not support this command.',
  ]);
});

it('stops at the next exit of a kind, goes over calls, and lets the guest go', () => {
  const machine = guest();
  const said = gdb(machine, 'break *0x10000c', 'c', 'ni', 'monitor break-on exit HLT', 'c', 'bogus', 'detach');
  expect(said.slice(1, 7)).toEqual(['Breakpoint 1 at 0x10000c', 'Continuing.', '', 'Breakpoint 1, 0x000000000010000c in ?? ()', '0x0000000000100011 in ?? ()', 'Continuing.']);
  expect(said[7]).toBe('exit HLT, qualification 0x0');
  expect(said.join('\n')).toContain('Undefined command: "bogus".  Try "help".');
  machine.pass(50e6);
  expect(gdb(machine, 'monitor info status', 'p/x $rax', 'k')).toContain('VM status: paused');
  machine.pass(50e6);
  expect(machine.run('/usr/bin/gdb', '-q', '-batch', '-ex', 'target remote :1234').stderr).toBe(':1234: Connection refused.\n');
});

it('tells an EPT violation with its address, and what it cannot do', () => {
  const machine = guest();
  const said = gdb(machine, 'monitor break-on ept-violation', 'c', 'monitor break-on nothing', 'watch x', 'x/i', 'info foo').join('\n');
  expect(said).toMatch(/exit EPT_VIOLATION, qualification 0x[0-9a-f]+, guest-physical 0x[0-9a-f]+\n/);
  expect(said).toContain('usage: break-on exit [REASON] | ept-violation | pt-write | off');
  expect(machine.run('/usr/bin/gdb', '-q', '-batch', '-ex', 'info registers').stderr).toBe('The program has no registers now.\n');
});

it('stops at a store into a page table that is in use, not at what the processor sets there', () => {
  const tables = `bits 64
org 0x100000
start:
  mov rax, [0x300000]
  mov rdi, cr3
  mov qword [0x400000], 1
  mov qword [rdi+8], 0x71003
  hlt
`;
  const machine = lab({ '/guest.bin': { type: 'file', data: assembled(tables) } });
  machine.start('/usr/bin/qemu-system-x86_64', '-accel', 'kvm', '-m', '16', '-kernel', '/guest.bin', '-display', 'none', '-serial', 'null', '-S', '-s');
  machine.pass(50e6);
  const said = gdb(machine, 'monitor break-on pt-write', 'c', 'x/i $pc', 'k');
  expect(said.slice(1, 4)).toEqual(['Continuing.', 'page-table entry at guest-physical 0x70008: 0x0 -> 0x71003', expect.stringMatching(/^0x00000000001000[0-9a-f]{2} in \?\? \(\)$/)]);
  expect(said[4]).toMatch(/:\thlt$/);
});
