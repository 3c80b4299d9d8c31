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

const BACK = `bits 64
org 0x100000
start:
  mov eax, 5
  mov rbx, 0x300000
  mov [rbx], eax
  call f
  cpuid
  mov rbx, 0x300000
  mov ecx, 3
.loop:
  add [rbx], ecx
  loop .loop
  mov dx, 0x3f8
  in al, dx
  mov al, 'A'
  out dx, al
  call f
.l: hlt
  jmp .l
f:
  add dword [rbx], 1
  ret
`;

it.each(['kvm', 'kvm,ept=off', 'tcg', 'deprivileged'])('goes back by instructions, over calls, to breakpoints and changes, %s', (accel) => {
  const machine = lab({ '/guest.bin': { type: 'file', data: assembled(BACK) } });
  const [name, ept] = accel.split(',');
  machine.start('/usr/bin/qemu-system-x86_64', '-accel', name!, ...(ept ? ['-cpu', 'host,ept=off'] : []), '-m', '16', '-kernel', '/guest.bin', '-display', 'none', '-serial', 'file:/out', '-S', '-gdb', 'tcp::1234');
  machine.pass(50e6);
  const said = gdb(machine, 'rsi', 'record stop', 'record', 'record', 'info record', 'rsi', 'break *0x10002e', 'c', 'x/i $pc', 'x/1dw 0x300000', 'rsi', 'x/i $pc', 'delete', 'watch *(int *) 0x300000', 'rc', 'x/i $pc', 'rc', 'rc', 'delete', 'rni', 'x/i $pc', 'rsi', 'x/i $pc', 'rc', 'info registers rip', 'c', 'x/1dw 0x300000', 'k');
  expect(said).toMatchInlineSnapshot(`
    [
      "0x0000000000100000 in ?? ()",
      "Active record target: record-full",
      "Record mode:",
      "No instructions have been logged.",
      "Max logged instructions is 200000.",
      "",
      "No more reverse-execution history.",
      "0x0000000000100000 in ?? ()",
      "Breakpoint 1 at 0x10002e",
      "Continuing.",
      "",
      "Breakpoint 1, 0x000000000010002e in ?? ()",
      "=> 0x10002e:	hlt",
      "0x300000:	13",
      "0x0000000000100034 in ?? ()",
      "=> 0x100034:	ret",
      "Hardware watchpoint 2: *(int *) 0x300000",
      "Continuing.",
      "",
      "Hardware watchpoint 2: *(int *) 0x300000",
      "",
      "Old value = 13",
      "New value = 12",
      "0x0000000000100031 in ?? ()",
      "=> 0x100031:	addl   $0x1,(%rbx)",
      "Continuing.",
      "",
      "Hardware watchpoint 2: *(int *) 0x300000",
      "",
      "Old value = 12",
      "New value = 11",
      "0x000000000010001d in ?? ()",
      "Continuing.",
      "",
      "Hardware watchpoint 2: *(int *) 0x300000",
      "",
      "Old value = 11",
      "New value = 9",
      "0x000000000010001d in ?? ()",
      "0x000000000010001f in ?? ()",
      "=> 0x10001f:	loop   0x10001d",
      "0x000000000010001d in ?? ()",
      "=> 0x10001d:	add    %ecx,(%rbx)",
      "Continuing.",
      "",
      "No more reverse-execution history.",
      "0x0000000000100000 in ?? ()",
      "rip            0x100000           0x100000",
      "Continuing.",
      "",
      "No more reverse-execution history.",
      "0x000000000010002e in ?? ()",
      "0x300000:	13",
      "[Inferior 1 (process 1) killed]",
      "Target remote does not support this command.",
      "No recording is currently active.",
      "Use the "record full" or "record btrace" command first.",
      "The process is already being recorded.  Use "record stop" to stop recording first.",
    ]
  `);
});

const LONG = `bits 64
org 0x100000
start:
  mov rbx, 0x300000
  mov ecx, 150000
.loop:
  add dword [rbx], 1
  test ecx, 0xffff
  jnz .next
  call seldom
.next:
  dec ecx
  jnz .loop
  mov rdi, cr3
  mov qword [rdi+8], 0x71003
  mov dx, 0x3f8
  mov al, 'A'
  out dx, al
.l: hlt
  jmp .l
seldom:
  mov [0x310000], ecx
  ret
`;

it.each(['kvm', 'tcg'])('goes back into what ran freely, %s', (accel) => {
  const machine = lab({ '/guest.bin': { type: 'file', data: assembled(LONG) } });
  machine.start('/usr/bin/qemu-system-x86_64', '-accel', accel, '-icount', 'shift=auto,rr=record,rrfile=/r', '-m', '16', '-kernel', '/guest.bin', '-display', 'none', '-serial', 'file:/out', '-S', '-gdb', 'tcp::1234');
  machine.pass(50e6);
  gdb(machine, 'detach');
  machine.pass(50e6);
  const said = gdb(machine, 'info record', 'rsi', 'x/i $pc', 'print $rcx', 'monitor break-on pt-write', 'rc', 'x/i $pc', 'monitor break-on off', 'break *0x100033', 'rc', 'print $rcx', 'rc', 'print $rcx', 'rsi 3', 'x/i $pc', 'si 3', 'delete', 'c', 'info registers rip', 'rsi', 'set $rcx=7', 'x/i $pc', 'rsi', 'k');
  expect(said).toMatchInlineSnapshot(`
    [
      "0x0000000000100031 in ?? ()",
      "No recording is currently active.",
      "0x0000000000100030 in ?? ()",
      "=> 0x100030:	hlt",
      "$1 = 0",
      "Continuing.",
      "page-table entry at guest-physical 0x70008: 0x0 -> 0x71003",
      "0x0000000000100021 in ?? ()",
      "=> 0x100021:	movq   $0x71003,0x8(%rdi)",
      "Breakpoint 1 at 0x100033",
      "Continuing.",
      "",
      "Breakpoint 1, 0x0000000000100033 in ?? ()",
      "$2 = 65536",
      "Continuing.",
      "",
      "Breakpoint 1, 0x0000000000100033 in ?? ()",
      "$3 = 131072",
      "0x0000000000100015 in ?? ()",
      "0x0000000000100013 in ?? ()",
      "0x000000000010000d in ?? ()",
      "=> 0x10000d:	test   $0xffff,%ecx",
      "0x0000000000100013 in ?? ()",
      "0x0000000000100015 in ?? ()",
      "",
      "Breakpoint 1, 0x0000000000100033 in ?? ()",
      "Continuing.",
      "",
      "No more reverse-execution history.",
      "0x0000000000100031 in ?? ()",
      "rip            0x100031           0x100031",
      "0x0000000000100030 in ?? ()",
      "=> 0x100030:	hlt",
      "0x000000000010002f in ?? ()",
      "[Inferior 1 (process 1) killed]",
    ]
  `);
});
