/** VMX instructions of code: what they demand, how they answer, what they leave in memory and in the processor. */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare, exceptions, finish, type Gates, type Program, reg } from './bench.ts';
import { OTHER, prepared, proceed, read, REGION, resume, REVISION, VMXON, write } from './vmx-code.ts';

const FLAGS = 0x60000;
const ERRORS = 0x61000;
const ON = 'mov rax, cr4\n bts rax, 13\n mov cr4, rax\n vmxon [rel a_on]\n';
const CURRENT = `${ON} vmclear [rel a_region]\n vmptrld [rel a_region]\n`;
const DATA = `
a_on: dq ${VMXON}
a_region: dq ${REGION}
a_other: dq ${OTHER}
a_odd: dq ${REGION + 8}
a_wide: dq 0x10000000000
a_none: dq 0x800000
a_ept: dq 0x1005e, 0
a_badept: dq 0x10059, 0
a_highept: dq 0x1005e, 1
a_vpid: dq 1, 0x123456
a_vpid0: dq 0, 0
a_badvpid: dq 0x10000, 0
a_noncanonical: dq 1, 0x1000000000000000
a_result: dq 0, 0`;

interface Answer {
  /** 'ok', 'invalid', or the number of a VMfailValid. */
  answer: string | number;
  program: Program;
}

/** Runs what comes before, then the instruction, and says how it answered. */
function answerOf(before: string, instruction: string, prepare: (p: Program) => void = () => undefined): Answer {
  const program = bare(`${before}\n ${instruction}\n pushfq\n pop qword [${FLAGS}]\n test byte [${FLAGS}], 0x40\n jz end\n mov edx, 0x4400\n vmread [${ERRORS}], rdx\nend: hlt\nud: mov r15d, 6\n hlt\ngp: mov r15d, 13\n hlt\n${DATA}`, { 6: 'ud', 13: 'gp' });
  for (const address of [VMXON, REGION, OTHER]) program.machine.physical.setUint32(address, REVISION, true);
  prepare(program);
  const stop = finish(program);
  if (stop.reason !== 'halt') throw new Error(`stopped: ${stop.reason}`);
  if (reg(program, 'r15') !== 0n) return { answer: reg(program, 'r15') === 6n ? '#UD' : '#GP', program };
  const flags = program.machine.physical.getUint32(FLAGS, true) & 0x8d5;
  if (flags === 0) return { answer: 'ok', program };
  if (flags === 1) return { answer: 'invalid', program };
  if (flags !== 0x40) throw new Error(`flags ${flags.toString(16)}`);
  return { answer: program.machine.physical.getUint32(ERRORS, true), program };
}

describe('answers', () => {
  it.each<[before: string, instruction: string, answer: string | number]>([
    ['', 'vmxon [rel a_on]', '#UD'], ['', 'vmptrld [rel a_region]', '#UD'], ['', 'vmlaunch', '#UD'], ['', 'vmxoff', '#UD'], ['', 'vmcall', '#UD'], ['', 'vmread rax, rdx', '#UD'], ['', 'invept rax, [rel a_ept]', '#UD'],
    [ON, 'nop', 'ok'], [ON, 'vmxon [rel a_on]', 'invalid'], [CURRENT, 'vmxon [rel a_on]', 15],
    [ON.replace('a_on', 'a_odd'), 'nop', 'invalid'], [ON.replace('a_on', 'a_wide'), 'nop', 'invalid'], [ON.replace('a_on', 'a_none'), 'nop', 'invalid'],
    [ON, 'vmclear [rel a_region]', 'ok'], [ON, 'vmclear [rel a_odd]', 'invalid'], [CURRENT, 'vmclear [rel a_odd]', 2], [CURRENT, 'vmclear [rel a_wide]', 2], [CURRENT, 'vmclear [rel a_on]', 3], [CURRENT, 'vmclear [rel a_region]', 'ok'],
    [CURRENT, 'vmptrld [rel a_odd]', 9], [CURRENT, 'vmptrld [rel a_wide]', 9], [CURRENT, 'vmptrld [rel a_on]', 10], [CURRENT, 'vmptrld [rel a_none]', 11], [CURRENT, 'vmptrld [rel a_other]', 'ok'], [ON, 'vmptrld [rel a_none]', 'invalid'],
    [ON, 'vmptrst [rel a_result]', 'ok'], [CURRENT, 'vmptrst [rel a_result]', 'ok'],
    [ON, 'mov edx, 0x681e\n vmread rax, rdx', 'invalid'], [CURRENT, 'mov edx, 0x681e\n vmread rax, rdx', 'ok'], [CURRENT, 'mov edx, 0x6830\n vmread rax, rdx', 12], [CURRENT, 'mov edx, 0x1000\n vmread rax, rdx', 12],
    [CURRENT, 'mov rdx, 0x100000000\n vmread rax, rdx', 12], [CURRENT, 'mov edx, 0x681f\n vmread rax, rdx', 12], [CURRENT, 'mov edx, 0x2001\n vmread rax, rdx', 'ok'], [CURRENT, 'mov edx, 0x200e\n vmread rax, rdx', 12],
    [CURRENT, 'mov edx, 0x8000\n vmread rax, rdx', 12], [CURRENT, 'mov edx, 0x401c\n vmread rax, rdx', 12],
    [ON, 'mov edx, 0x681e\n vmwrite rdx, rax', 'invalid'], [CURRENT, 'mov edx, 0x681e\n vmwrite rdx, rax', 'ok'], [CURRENT, 'mov edx, 0x4402\n vmwrite rdx, rax', 13], [CURRENT, 'mov edx, 0x6400\n vmwrite rdx, rax', 13],
    [CURRENT, 'mov edx, 0x4820\n vmwrite rdx, [rel a_other]', 'ok'], [CURRENT, 'mov edx, 0x0812\n vmwrite rdx, rax', 12],
    [ON, 'vmlaunch', 'invalid'], [CURRENT, 'vmlaunch', 7], [CURRENT, 'vmresume', 5], [CURRENT, 'mov eax, 0x10\n mov ss, eax\n vmlaunch', 26], [CURRENT, 'vmcall', 1], [ON, 'vmcall', 'invalid'],
    [CURRENT, 'mov eax, 1\n invept rax, [rel a_ept]', 'ok'], [CURRENT, 'mov eax, 2\n invept rax, [rel a_ept]', 'ok'], [CURRENT, 'mov eax, 0\n invept rax, [rel a_ept]', 28], [CURRENT, 'mov eax, 3\n invept rax, [rel a_ept]', 28],
    [CURRENT, 'mov eax, 1\n invept rax, [rel a_badept]', 28], [CURRENT, 'mov eax, 1\n invept rax, [rel a_highept]', 28], [CURRENT, 'mov rax, 0x100000001\n invept rax, [rel a_ept]', 28], [ON, 'mov eax, 5\n invept rax, [rel a_ept]', 'invalid'],
    ...[0, 1, 2, 3].map((n): [string, string, string] => [CURRENT, `mov eax, ${n}\n invvpid rax, [rel a_vpid]`, 'ok']),
    [CURRENT, 'mov eax, 4\n invvpid rax, [rel a_vpid]', 28], [CURRENT, 'mov eax, 1\n invvpid rax, [rel a_vpid0]', 28], [CURRENT, 'mov eax, 0\n invvpid rax, [rel a_vpid0]', 28], [CURRENT, 'mov eax, 3\n invvpid rax, [rel a_vpid0]', 28],
    [CURRENT, 'mov eax, 2\n invvpid rax, [rel a_vpid0]', 'ok'], [CURRENT, 'mov eax, 2\n invvpid rax, [rel a_badvpid]', 28], [CURRENT, 'mov eax, 0\n invvpid rax, [rel a_noncanonical]', 28],
    [CURRENT, 'mov rax, cr4\n btr rax, 13\n mov cr4, rax', '#GP'], [CURRENT, 'mov rax, cr0\n btr rax, 5\n mov cr0, rax', '#GP'], [`${CURRENT} vmxoff\n`, 'mov rax, cr4\n btr rax, 13\n mov cr4, rax\n vmptrst [rel a_result]', '#UD'],
    ['mov rax, cr0\n btr rax, 5\n mov cr0, rax\n' + ON, 'nop', '#GP'],
  ])('%s %s', (before, instruction, answer) => {
    expect(answerOf(before, instruction).answer).toBe(answer);
  });

  it.each<[what: string, prepare: (p: Program) => void, before: string, answer: string]>([
    ['another revision', (p) => p.machine.physical.setUint32(VMXON, REVISION + 1, true), ON, 'invalid'],
    ['a shadow VMCS', (p) => p.machine.physical.setUint32(VMXON, REVISION + 0x80000000, true), ON, 'invalid'],
    ['a revision of the VMCS region that is not this', (p) => p.machine.physical.setUint32(REGION, 1, true), CURRENT, 'invalid'],
    ['IA32_FEATURE_CONTROL unlocked', (p) => m.setSlot(p.machine, at.FEATURE_CONTROL, 4n), ON, '#GP'],
    ['IA32_FEATURE_CONTROL locked without VMX', (p) => m.setSlot(p.machine, at.FEATURE_CONTROL, 1n), ON, '#GP'],
    ['a machine that hides it', (p) => p.machine.state.setUint32(at.VMX_HIDDEN, 1, true), ON, '#GP'],
  ])('%s', (_, prepare, before, answer) => {
    const found = answerOf(before, '', prepare).answer;
    expect(found).toBe(answer);
  });

  it('an unlocked IA32_FEATURE_CONTROL is set, locked, and then final', () => {
    const machine = bare('hlt', {}, { vmx: 'unlocked' }).machine;
    expect([m.readMsr(machine, 0x3a), m.writeMsr(machine, 0x3a, 2n), m.writeMsr(machine, 0x3a, 5n), m.writeMsr(machine, 0x3a, 0n), m.readMsr(machine, 0x3a)]).toEqual([0n, false, true, false, 5n]);
  });

  it('rings above 0 get #GP, whatever the instruction', () => {
    for (const instruction of ['vmxon [rel a_on]', 'vmptrld [rel a_region]', 'vmread rax, rdx', 'vmlaunch', 'vmxoff', 'vmcall', 'invept rax, [rel a_ept]']) {
      const user = 'push qword 0x1b\n push qword 0x7000\n push qword 2\n push qword 0x23\n lea rax, [rel user]\n push rax\n iretq\nuser:';
      expect(answerOf(`${CURRENT}${user}`, instruction, (p) => m.setSegment(p.machine, 'tr', { selector: 0x28, base: 0x1100n, limit: 0x67, rights: 0x8b })).answer).toBe('#GP');
    }
  });

  it('compatibility mode gets #UD', () => {
    const gates: Gates = { 6: 'ud' };
    const program = bare(`${CURRENT} push qword 0x38\n push qword compat\n db 0x48, 0xcb\ncompat: db 0x0f, 0x01, 0xc4\n hlt\nud: mov r15d, 6\n hlt\n${DATA}`, gates);
    for (const address of [VMXON, REGION]) program.machine.physical.setUint32(address, REVISION, true);
    program.machine.physical.setBigUint64(0x1038, 0x00cf9b000000ffffn, true);
    m.setSegment(program.machine, 'gdtr', { selector: 0, base: 0x1000n, limit: 0x3f, rights: 0 });
    finish(program);
    expect([reg(program, 'r15'), exceptions(program, 6)]).toEqual([6n, 1n]);
  });
});

describe('fields', () => {
  it('are cut to their width, and read in halves', () => {
    const { program } = answerOf(CURRENT, `mov rax, 0x1122334455667788
      mov edx, 0x0800\n vmwrite rdx, rax\n vmread r8, rdx
      mov edx, 0x4800\n vmwrite rdx, rax\n vmread r9, rdx
      mov edx, 0x2800\n vmwrite rdx, rax\n vmread r10, rdx
      mov edx, 0x2801\n vmread r11, rdx\n vmwrite rdx, rdx\n mov edx, 0x2800\n vmread r12, rdx
      mov edx, 0x681c\n vmwrite rdx, rax\n vmread r13, rdx`);
    expect(['r8', 'r9', 'r10', 'r11', 'r12', 'r13'].map((name) => reg(program, name))).toEqual([0x7788n, 0x55667788n, 0x1122334455667788n, 0x11223344n, 0x280155667788n, 0x1122334455667788n]);
  });

  it('stay with their region: two VMCSs keep theirs apart', () => {
    const { program } = answerOf(CURRENT, `mov edx, 0x681e\n mov eax, 0x1111\n vmwrite rdx, rax
      vmclear [rel a_other]\n vmptrld [rel a_other]\n mov eax, 0x2222\n vmwrite rdx, rax
      vmptrld [rel a_region]\n vmread r8, rdx\n vmptrst [rel a_result]\n mov r10, [rel a_result]
      vmptrld [rel a_other]\n vmread r9, rdx
      vmclear [rel a_other]\n vmptrst [rel a_result]\n mov r11, [rel a_result]\n vmptrld [rel a_other]\n vmread r12, rdx`);
    expect(['r8', 'r9', 'r10', 'r11', 'r12'].map((name) => reg(program, name))).toEqual([0x1111n, 0x2222n, BigInt(REGION), 0xffffffffffffffffn, 0x2222n]);
  });
});

describe('capability MSRs', () => {
  it('say what there is', () => {
    const { machine } = bare('hlt');
    const value = (index: number): bigint | null => m.readMsr(machine, index);
    expect([0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487, 0x488, 0x48a, 0x48b, 0x48d, 0x48e, 0x48f, 0x490, 0x491].map(value)).toEqual([
      0xd8100000004e42n, 0x7f00000016n, 0xffd9fffe0401e172n, 0x7fefff00036dffn, 0xd3ff000011ffn, 0x401e5n, 0x80000021n, 0xffffffffn, 0x2000n, 0x2en, 0x10ee00000000n, 0x7f00000016n, 0xffd9fffe04006172n,
      0x7fefff00036dfbn, 0xd3ff000011fbn, null,
    ]);
    expect(m.writeMsr(machine, 0x480, 0n)).toBe(false);
  });

  it('a machine that hides VT-x has none of it', () => {
    const { machine } = bare('hlt', {}, { vmx: 'hidden' });
    expect([m.readMsr(machine, 0x3a), m.readMsr(machine, 0x480), m.cpuid(machine, 1, 0).ecx & 0x20]).toEqual([null, null, 0]);
  });
});

describe('into the guest and out', () => {
  it('host state is what the VMCS says, whatever the guest did', () => {
    const program = prepared('mov eax, 0x18\n mov ds, eax\n mov es, eax\n std\n stc\n mov eax, 0xffff\n mov dr7, rax\n hlt', { HOST_FS_BASE: 0x12345, HOST_GS_BASE: 0x54321, HOST_FS_SELECTOR: 0, HOST_SYSENTER_ESP: 0x777 } as const);
    expect(proceed(program)).toEqual({ exit: 12, error: null, rule: 0 });
    const { machine } = program;
    expect(['rsp', 'rflags', 'cr3', 'dr7', 'efer'].map((name) => m.register(machine, name))).toEqual([0x9000n, 2n, 0x2000n, 0x400n, 0xd01n]);
    expect(m.segment(machine, 'cs')).toEqual({ selector: 8, base: 0n, limit: 0xffffffff, rights: 0xa09b });
    expect(m.segment(machine, 'ds')).toEqual({ selector: 0x10, base: 0n, limit: 0xffffffff, rights: 0xc093 });
    expect(m.segment(machine, 'fs')).toEqual({ selector: 0, base: 0x12345n, limit: 0xffffffff, rights: 0x1c093 });
    expect(m.segment(machine, 'gs').base).toBe(0x54321n);
    expect(m.segment(machine, 'tr')).toEqual({ selector: 0x28, base: 0x1100n, limit: 0x67, rights: 0x8b });
    expect([m.segment(machine, 'gdtr').limit, m.segment(machine, 'ldtr').rights, m.readMsr(machine, 0x175)]).toEqual([0xffff, 0x10000, 0x777n]);
    expect([read(program, 'GUEST_DS_SELECTOR'), read(program, 'GUEST_RFLAGS')]).toEqual([0x18n, 0x403n]);
  });

  it('a VMCS is launched once and resumed after; VMCLEAR makes it clear', () => {
    const program = prepared('hlt\n hlt\n hlt');
    expect(proceed(program).exit).toBe(12);
    expect(resume(program).exit).toBe(12);
    expect(m.slot(program.machine, at.ENTRIES)).toBe(2n);
    expect(program.machine.state.getUint32(at.LAUNCHED, true)).toBe(1);
  });

  it('a failed entry leaves the launch state and loads the MSRs of the exit', () => {
    const program = prepared('hlt', { GUEST_RFLAGS: 0, EXIT_MSR_LOAD_COUNT: 1, EXIT_MSR_LOAD_ADDRESS: 0x70000 });
    program.machine.physical.setBigUint64(0x70000, 0xc0000082n, true);
    program.machine.physical.setBigUint64(0x70008, 0x4321n, true);
    expect(proceed(program)).toEqual({ exit: 0x80000021, error: null, rule: 131 });
    expect([program.machine.state.getUint32(at.LAUNCHED, true), m.readMsr(program.machine, 0xc0000082)]).toEqual([0, 0x4321n]);
  });

  const list = (program: Program, address: number, ...entries: [index: bigint, value: bigint][]): void => {
    for (const [n, [index, value]] of entries.entries()) {
      program.machine.physical.setBigUint64(address + 16 * n, index, true);
      program.machine.physical.setBigUint64(address + 16 * n + 8, value, true);
    }
  };

  it('MSR lists: loaded for the guest, stored from it, loaded for the host', () => {
    const source = 'mov ecx, 0xc0000102\n rdmsr\n mov ebx, eax\n mov eax, 0x99\n wrmsr\n hlt';
    const program = prepared(source, {
      PRIMARY_PROCESSOR_CONTROLS: 0x84006172n | 0x11000080n, MSR_BITMAP: 0x80000, ENTRY_MSR_LOAD_COUNT: 1, ENTRY_MSR_LOAD_ADDRESS: 0x70000, EXIT_MSR_STORE_COUNT: 2, EXIT_MSR_STORE_ADDRESS: 0x70100,
      EXIT_MSR_LOAD_COUNT: 1, EXIT_MSR_LOAD_ADDRESS: 0x70200,
    });
    list(program, 0x70000, [0xc0000102n, 0x55n]);
    list(program, 0x70100, [0xc0000102n, 0n], [0x174n, 7n]);
    list(program, 0x70200, [0xc0000102n, 0x77n]);
    expect(proceed(program).exit).toBe(12);
    expect([reg(program, 'rbx'), program.machine.physical.getBigUint64(0x70108, true), program.machine.physical.getBigUint64(0x70118, true), m.readMsr(program.machine, 0xc0000102)]).toEqual([0x55n, 0x99n, 0n, 0x77n]);
  });

  it.each<[what: string, entries: [bigint, bigint][], number: bigint]>([
    ['no such MSR', [[0x174n, 1n], [0x9999n, 0n]], 2n], ['FS base', [[0xc0000100n, 0n]], 1n], ['a value that WRMSR refuses', [[0xc0000082n, 1n << 60n]], 1n], ['reserved bits', [[0x100000174n, 0n]], 1n], ['an APIC MSR', [[0x808n, 0n]], 1n],
  ])('exit 0x80000022: %s', (_, entries, number) => {
    const program = prepared('hlt', { ENTRY_MSR_LOAD_COUNT: entries.length, ENTRY_MSR_LOAD_ADDRESS: 0x70000 });
    list(program, 0x70000, ...entries);
    expect(proceed(program).exit).toBe(0x80000022);
    expect([read(program, 'EXIT_QUALIFICATION'), read(program, 'GUEST_RIP')]).toEqual([number, 0x100000n]);
  });

  it('an MSR that the host cannot load is a VMX abort: shutdown, indicator 4', () => {
    const program = prepared('hlt', { EXIT_MSR_LOAD_COUNT: 1, EXIT_MSR_LOAD_ADDRESS: 0x70000 });
    list(program, 0x70000, [0x9999n, 0n]);
    expect(finish(program).reason).toBe('shutdown');
    expect(program.machine.physical.getUint32(REGION + 4, true)).toBe(4);
  });

  it('interrupts that the host gets leave the guest and come in when it opens', () => {
    const program = prepared('jmp $', { PIN_BASED_CONTROLS: 0x17 });
    m.setInterruptLine(program.machine, 0x41);
    expect(proceed(program).exit).toBe(1);
    expect(m.interruptLine(program.machine)).toBe(0x41);
    write(program, 'EXIT_CONTROLS', 0x36dff | 0x308200);
    expect(resume(program, false).exit).toBe(1);
    expect([read(program, 'EXIT_INTERRUPTION_INFO'), m.interruptLine(program.machine)]).toEqual([0x80000041n, null]);
  });

  it('an NMI leaves the guest and blocks the next until IRET', () => {
    const program = prepared('jmp $', { PIN_BASED_CONTROLS: 0x1e });
    m.run(program.machine, 2_000n);
    expect(m.inGuest(program.machine)).toBe(true);
    m.raiseNmi(program.machine);
    expect(proceed(program).exit).toBe(0);
    expect([read(program, 'EXIT_INTERRUPTION_INFO'), program.machine.state.getUint32(at.INTERRUPTIBILITY, true)]).toEqual([0x80000202n, 8]);
  });

  it('the preemption timer counts in HLT too, is saved, and ends exactly', () => {
    const program = prepared('hlt', { PIN_BASED_CONTROLS: 0x56, PRIMARY_PROCESSOR_CONTROLS: 0x85006172n, EXIT_CONTROLS: 0x36dff | 0x700200, GUEST_PREEMPTION_TIMER: 1000 });
    const before = m.cycles(program.machine);
    expect(proceed(program).exit).toBe(52);
    expect([read(program, 'GUEST_PREEMPTION_TIMER'), read(program, 'GUEST_ACTIVITY')]).toEqual([0n, 1n]);
    expect(Number(m.cycles(program.machine) - before)).toBeGreaterThan(32_000);
    expect(Number(m.cycles(program.machine) - before)).toBeLessThan(34_000);
  });

  it('pieces of any size end as one run does', () => {
    const source = 'mov ecx, 40\n.l: mov [rcx*8+0x50000], rcx\n rdtsc\n add ebx, eax\n loop .l\n cpuid\n hlt';
    const values = { PIN_BASED_CONTROLS: 0x56, GUEST_PREEMPTION_TIMER: 20 };
    const state = (p: Program): unknown => [...m.REGISTER_NAMES, 'rip', 'rflags'].map((name) => reg(p, name)).concat(m.cycles(p.machine), m.instructions(p.machine), read(p, 'GUEST_RIP'));
    const whole = prepared(source, values);
    proceed(whole);
    for (const [budget, count] of [[1n, 1n << 40n], [97n, 1n << 40n], [1n << 40n, 1n], [1n << 40n, 3n]] as const) {
      const program = prepared(source, values);
      let stop: m.Stop;
      do stop = m.run(program.machine, budget, count);
      while (stop.reason === 'budget');
      expect(state(program)).toEqual(state(whole));
    }
  });
});
