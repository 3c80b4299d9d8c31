/** Guests and the exits they must cause: reason, qualification, length, and the walks that the processor recorded. */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import { ENTRY_RULES } from '../../../src/engine/machine/entry-rules.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { CODE, EPT, eptEntry, EPTP, exit, F, field, type Fields, GUEST_BASE, PML4, type Program, reg, setField, skip, vm } from './bench.ts';

const PRIMARY = 0x8401e1f2n;

describe('exits of instructions', () => {
  it.each<[source: string, reason: number, qualification: number, length: number, fields?: Fields]>([
    ['hlt', 12, 0, 1],
    ['cpuid', 10, 0, 2],
    ['vmcall', 18, 0, 3],
    ['rdtsc', 16, 0, 2, { primary: PRIMARY | 0x1000n }],
    ['rdtscp', 51, 0, 3, { primary: PRIMARY | 0x1000n }],
    ['invlpg [0x123456]', 14, 0x123456, 8, { primary: PRIMARY | 0x200n }],
    ['out 0x80, al', 30, 0x800040, 2, { primary: PRIMARY | 0x1000000n }],
    ['in al, 0x60', 30, 0x600048, 2, { primary: PRIMARY | 0x1000000n }],
    ['mov dx, 0x3f8\n out dx, al', 30, 0x3f80000, 1, { primary: PRIMARY | 0x1000000n }],
    ['mov dx, 0x1f0\n in eax, dx', 30, 0x1f0000b, 1, { primary: PRIMARY | 0x1000000n }],
    ['mov dx, 0x3f8\n mov esi, 0x5000\n mov ecx, 3\n rep outsb', 30, 0x3f80030, 2, { primary: PRIMARY | 0x1000000n }],
    ['mov ecx, 0xc0000080\n rdmsr', 31, 0, 2, { primary: PRIMARY & ~0x10000000n }],
    ['mov ecx, 0xc0000080\n wrmsr', 32, 0, 2, { primary: PRIMARY & ~0x10000000n }],
    ['mov rax, cr3\n mov cr3, rax', 28, 3, 3, { primary: PRIMARY & ~0x10000n }],
    ['mov rdi, cr3', 28, 0x713, 3],
    ['mov rax, cr0\n bts rax, 3\n mov cr0, rax', 28, 0, 3, { cr0Mask: 8n }],
    ['clts', 28, 0x20, 2, { cr0Mask: 8n, cr0Shadow: 8n }],
    ['mov eax, 0xe\n lmsw ax', 28, 0xe0030, 3, { cr0Mask: 8n }],
    ['mov rax, cr4\n bts rax, 13\n mov cr4, rax', 28, 4, 3],
    ['mov dr7, rax', 29, 7, 3, { primary: PRIMARY | 0x800000n }],
    ['pause', 40, 0, 2, { primary: PRIMARY | 0x40000000n }],
    ['invd', 13, 0, 2],
    ['wbinvd', 54, 0, 2, { secondary: 0x6an }],
    ['lgdt [0x5000]', 46, 0x5000, 8, { secondary: 0x2en }],
    ['vmxoff', 26, 0, 3],
  ])('%s', (source, reason, qualification, length, fields) => {
    const program = vm(`${source}\n ud2`, {}, { primary: PRIMARY & ~0x8000n, ...fields });
    if (source.includes('mov cr3, rax')) setField(program, 'primary', (PRIMARY | 0x8000n) & ~0x10000n);
    const stop = exit(program);
    expect([stop.reason, Number(field(program, 'reason')), Number(field(program, 'qualification')), Number(field(program, 'length'))]).toEqual(['exit', reason, qualification, length]);
    expect(m.inGuest(program.machine)).toBe(false);
  });

  it('bitmaps choose ports and MSRs', () => {
    const program = vm('in al, 0x60\n mov ecx, 0x1b\n rdmsr\n mov ecx, 0xc0000082\n wrmsr\n hlt', {}, { primary: (PRIMARY | 0x12000000n) & ~0x1000000n, ioA: 0x20000n, ioB: 0x21000n, msrBitmap: 0x22000n });
    program.machine.memory[0x20000 + 0x60 / 8] = 1;
    program.machine.memory[0x22000 + 3072 + 16] = 4;
    const reasons: number[] = [];
    for (let n = 0; n < 3; n++) {
      exit(program);
      reasons.push(Number(field(program, 'reason')));
      skip(program);
    }
    expect(reasons).toEqual([30, 32, 12]);
  });

  it('CR reads come from shadows where the host owns bits', () => {
    const program = vm('mov rax, cr4\n mov rbx, cr0\n db 0x0f, 0x01, 0xe1\n hlt', {}, { cr0Mask: 0x21n, cr0Shadow: 1n });
    exit(program);
    expect([reg(program, 'rax') & 0x2000n, reg(program, 'rbx') & 0x21n, reg(program, 'rcx') & 0x21n]).toEqual([0n, 1n, 1n]);
  });
});

describe('two-dimensional walks', () => {
  const last = (program: Program, gva: bigint): m.Walk => {
    for (let n = 0; n < 64; n++) {
      const walk = m.walk(program.machine, n);
      if (walk?.gva === gva) return walk;
    }
    throw new Error('not walked');
  };

  it('24 references for 4K over 4K, each with its entry', () => {
    const program = vm('mov rax, [0x123456]\n hlt');
    program.machine.physical.setBigUint64(GUEST_BASE + 0x123456, 0x1122334455667788n, true);
    exit(program);
    const walk = last(program, 0x123456n);
    expect([walk.references.length, walk.result, walk.guestShift, walk.hostShift, walk.gpa, walk.hpa, walk.rip]).toEqual([24, 'ok', 12, 12, 0x123456n, BigInt(GUEST_BASE + 0x123456), BigInt(CODE)]);
    expect(reg(program, 'rax')).toBe(0x1122334455667788n);
    expect(walk.references.map((r) => (r.table === 'ept' ? r.level : `g${r.level}`)).join(' ')).toBe('4 3 2 1 g4 4 3 2 1 g3 4 3 2 1 g2 4 3 2 1 g1 4 3 2 1');
    for (const r of walk.references) {
      const now = program.machine.physical.getBigUint64(Number(r.hpa), true);
      expect(now).toBe(r.after);
      expect(r.index).toBe(Number(((r.table === 'guest' ? 0x123456n : r.gpa) >> BigInt(3 + 9 * r.level)) & 511n));
    }
    expect(walk.cycles).toBe(7 + 24 * 12);
  });

  it.each<[guest: string, host: string, references: number]>([
    ['4K', '4K', 24], ['4K', '2M', 19], ['2M', '4K', 19], ['2M', '2M', 15], ['1G', '1G', 8],
  ])('%s over %s: %d', (guest, host, references) => {
    const program = vm('mov rax, [0x5000]\n hlt');
    const memory = program.machine.physical;
    if (guest === '2M') memory.setBigUint64(GUEST_BASE + PML4 + 0x2000, 0x87n, true);
    if (guest === '1G') memory.setBigUint64(GUEST_BASE + PML4 + 0x1000, 0x87n, true);
    if (host === '2M') for (let n = 0; n < 6; n++) memory.setBigUint64(EPT + 0x2000 + 8 * n, BigInt(GUEST_BASE + n * 0x200000) | 0xb7n, true);
    if (host === '1G') {
      program.machine.memory.copyWithin(0, GUEST_BASE, GUEST_BASE + 0x9000);
      program.machine.memory.copyWithin(CODE, GUEST_BASE + CODE, GUEST_BASE + CODE + 64);
      memory.setBigUint64(EPT + 0x1000, 0xb7n, true);
    }
    const stop = exit(program);
    expect(stop.reason).toBe('exit');
    // with a large page on both sides the fetch of the code has brought the translation already
    expect(last(program, host === '4K' || guest === '4K' ? 0x5000n : BigInt(CODE)).references.length).toBe(references);
  });

  it.each<[given: string, source: string, gpa: number, entry: bigint, reason: number, qualification: number]>([
    ['first touch, read', 'mov rax, [0x50008]', 0x50000, 0n, 48, 0x181],
    ['first touch, write', 'mov [0x50008], rax', 0x50000, 0n, 48, 0x182],
    ['fetch', 'mov eax, 0x50008\n jmp rax', 0x50000, 0n, 48, 0x184],
    ['write to read-only', 'mov [0x50008], rax', 0x50000, BigInt(GUEST_BASE + 0x50000) | 0x31n, 48, 0x18a],
    ['fetch without execute', 'mov eax, 0x50008\n jmp rax', 0x50000, BigInt(GUEST_BASE + 0x50000) | 0x33n, 48, 0x19c],
    ['write-only is a misconfiguration', 'mov rax, [0x50008]', 0x50000, 0x32n, 49, 0],
    ['memory type 2', 'mov rax, [0x50008]', 0x50000, 0x17n, 49, 0],
    ['reserved bit', 'mov rax, [0x50008]', 0x50000, 0x37n | (1n << 45n), 49, 0],
  ])('EPT: %s', (_, source, gpa, entry, reason, qualification) => {
    const program = vm(`${source}\n hlt`);
    program.machine.physical.setBigUint64(eptEntry(gpa), entry, true);
    exit(program);
    expect([field(program, 'reason'), field(program, 'qualification'), field(program, 'gpa')]).toEqual([BigInt(reason), BigInt(qualification), BigInt(gpa + 8)]);
    if (reason === 48) expect(field(program, 'gla')).toBe(0x50008n);
    expect(m.walk(program.machine)!.result).toBe(reason === 48 ? 'violation' : 'misconfiguration');
    // repaired, the same instruction goes on
    program.machine.physical.setBigUint64(eptEntry(gpa), BigInt(GUEST_BASE + gpa) | 0x37n, true);
    program.machine.memory[GUEST_BASE + gpa + 8] = 0xf4;
    m.codeWritten(program.machine, GUEST_BASE + gpa, 4096);
    m.invept(program.machine, EPTP);
    exit(program);
    expect(field(program, 'reason')).toBe(12n);
  });

  it('a guest table that EPT does not map: bit 8 is clear, the access counts as a write under A/D', () => {
    for (const [eptp, qualification] of [[EPTP, 0x83n], [EPTP & ~0x40n, 0x81n]] as const) {
      const program = vm('mov rax, [0x50008]\n hlt', {}, { eptp });
      const memory = program.machine.physical;
      memory.setBigUint64(GUEST_BASE + PML4 + 0x2000 + 8 * 2, 0x60007n, true);
      memory.setBigUint64(eptEntry(0x60000), 0n, true);
      program.machine.memory.set([0x48, 0x8b, 0x04, 0x25, 0, 0, 0x40, 0], GUEST_BASE + CODE);
      exit(program);
      expect([field(program, 'reason'), field(program, 'qualification'), field(program, 'gpa'), field(program, 'gla')]).toEqual([48n, qualification, 0x60000n, 0x400000n]);
    }
  });

  it('accessed and dirty are kept in EPT entries', () => {
    const program = vm('mov rax, [0x50000]\n hlt\n mov [0x50000], rax\n hlt');
    const bits = (): bigint => program.machine.physical.getBigUint64(eptEntry(0x50000), true) & 0x300n;
    exit(program);
    expect(bits()).toBe(0x100n);
    skip(program);
    exit(program);
    expect(bits()).toBe(0x300n);
  });

  it('the TLB keeps what VPIDs tag, and loses it without', () => {
    for (const [secondary, walks] of [[0x2an, 0n], [0x0an, 1n]] as const) {
      const program = vm('mov rax, [0x50000]\n hlt\n mov rax, [0x50000]\n hlt', {}, { secondary });
      exit(program);
      skip(program);
      const before = m.slot(program.machine, at.WALKS);
      exit(program);
      expect(m.slot(program.machine, at.WALKS) - before >= walks && (walks > 0n || m.slot(program.machine, at.WALKS) === before)).toBe(true);
    }
  });
});

describe('events', () => {
  it('the exception bitmap intercepts, with address and error of a page fault', () => {
    const program = vm('mov [0x50000000], rax', {}, { exceptions: 1n << 14n });
    exit(program);
    expect(['reason', 'info', 'infoError', 'qualification'].map((n) => field(program, n as keyof typeof F))).toEqual([0n, 0x80000b0en, 2n, 0x50000000n]);
    expect(reg(program, 'cr2')).toBe(0n);
  });

  it('page-fault mask and match turn the bit round', () => {
    const program = vm('mov rax, [0x50000000]\n hlt\nfault: hlt', { 14: 'fault' }, { exceptions: 1n << 14n, pfMask: 2n, pfMatch: 2n });
    exit(program);
    expect([field(program, 'reason'), reg(program, 'cr2')]).toEqual([12n, 0x50000000n]);
  });

  it('injects an interrupt, an exception with its error code, and a software interrupt past its instruction', () => {
    const source = 'nop\n nop\n hlt\nirq: mov rax, [rsp]\n hlt\nfault: mov rax, [rsp]\n mov rbx, [rsp+8]\n hlt';
    const gates = { 0x40: 'irq', 13: 'fault', 14: 'fault' };
    const irq = vm(source, gates, { inject: 0x80000040n, rflags: 0x202n });
    exit(irq);
    expect([reg(irq, 'rax'), field(irq, 'inject') >> 31n]).toEqual([BigInt(CODE), 0n]);
    const gp = vm(source, gates, { inject: 0x80000b0dn, injectError: 0x18n });
    exit(gp);
    expect([reg(gp, 'rax'), reg(gp, 'rbx')]).toEqual([0x18n, BigInt(CODE)]);
    const soft = vm(source, gates, { inject: 0x80000440n, injectLength: 2n });
    exit(soft);
    expect(reg(soft, 'rax')).toBe(BigInt(CODE) + 2n);
  });

  it('an EPT violation while an event is delivered says which', () => {
    const program = vm('hlt\nirq: hlt', { 0x40: 'irq' }, { inject: 0x80000040n, rflags: 0x202n, rsp: 0x51000n });
    program.machine.physical.setBigUint64(eptEntry(0x50000), 0n, true);
    exit(program);
    expect([field(program, 'reason'), field(program, 'vectoring'), field(program, 'gpa')]).toEqual([48n, 0x80000040n, 0x51000n - 40n]);
  });

  it('external interrupts leave the guest, acknowledged or not', () => {
    for (const [exitControls, info, line] of [[0x36dffn | 0x8000n, 0x80000041n, null], [0x36dffn & ~0x8000n, 0n, 0x41]] as const) {
      const program = vm('jmp $', {}, { pin: 0x17n, exitControls });
      m.setInterruptLine(program.machine, 0x41);
      exit(program);
      expect([field(program, 'reason'), field(program, 'info'), m.interruptLine(program.machine)]).toEqual([1n, info, line]);
    }
  });

  it('the interrupt window opens after STI and its shadow', () => {
    const program = vm('nop\n sti\n nop\n nop\n hlt', {}, { primary: PRIMARY | 4n });
    exit(program);
    expect([field(program, 'reason'), field(program, 'rip')]).toEqual([7n, BigInt(CODE) + 3n]);
  });

  it('monitor trap: one instruction at a time, rep by iterations', () => {
    const program = vm('mov ecx, 2\n mov edi, 0x5000\n rep stosb\n nop', {}, { primary: PRIMARY | 0x8000000n });
    const rips: number[] = [];
    for (let n = 0; n < 5; n++) {
      exit(program);
      expect(field(program, 'reason')).toBe(37n);
      rips.push(Number(field(program, 'rip')) - CODE);
    }
    expect(rips).toEqual([5, 10, 10, 12, 13]);
  });

  it('monitor trap after an injected event comes before its handler', () => {
    const program = vm('nop\nirq: nop\n hlt', { 0x40: 'irq' }, { inject: 0x80000040n, rflags: 0x202n, primary: PRIMARY | 0x8000000n });
    exit(program);
    expect([field(program, 'reason'), field(program, 'rip')]).toEqual([37n, program.labels.get('irq')]);
  });

  it('the preemption timer runs out', () => {
    const program = vm('jmp $', {}, { pin: 0x56n, timer: 10n });
    const before = m.cycles(program.machine);
    exit(program);
    expect(field(program, 'reason')).toBe(52n);
    expect(m.cycles(program.machine) - before).toBeGreaterThanOrEqual(320n);
    expect(m.cycles(program.machine) - before).toBeLessThan(700n);
  });

  it('a triple fault leaves with reason 2', () => {
    const program = vm('ud2');
    exit(program);
    expect(field(program, 'reason')).toBe(2n);
  });

  it('HLT without exiting waits in the guest; an interrupt wakes it', () => {
    const program = vm('sti\n hlt\n mov ebx, 3\n vmcall\nirq: mov eax, 8\n iretq', { 0x40: 'irq' }, { primary: PRIMARY & ~0x80n });
    expect(exit(program).reason).toBe('halt');
    expect(m.inGuest(program.machine)).toBe(true);
    m.setInterruptLine(program.machine, 0x40);
    expect(m.run(program.machine, 10_000n).reason).toBe('exit');
    expect([field(program, 'reason'), reg(program, 'rax'), reg(program, 'rbx')]).toEqual([18n, 8n, 3n]);
  });
});

describe('VM entry from outside', () => {
  it.each<[rule: number, fields: Fields]>([[1, { pin: 0x10016n }], [2, { primary: PRIMARY & ~0x100n }], [10, { pin: 0x36n }], [12, { vpid: 0n }], [29, { msrStore: 1n }]])('VMfail, rule %d', (rule, fields) => {
    const program = vm('hlt', {}, fields);
    const stop = m.enterGuest(program.machine);
    expect([stop?.reason, stop?.payload[0], stop?.payload[1], field(program, 'instructionError')]).toEqual(['failed-entry', 7n, BigInt(rule), 7n]);
    expect(ENTRY_RULES[rule]!.what).toBe('control');
  });

  it.each<[rule: number, fields: Fields]>([[70, { cr0: 0x80010011n }], [83, { entryControls: 0x91ffn }], [134, { inject: 0x80000040n }]])('exit 0x80000021, rule %d', (rule, fields) => {
    const program = vm('hlt', {}, fields);
    const stop = m.enterGuest(program.machine);
    expect([stop?.reason, stop?.payload[3], field(program, 'reason')]).toEqual(['exit', BigInt(rule), 0x80000021n]);
    expect(ENTRY_RULES[rule]!.what).toBe('guest');
  });

  it('asks nothing of the host', () => {
    const program = vm('hlt');
    expect([exit(program).reason, m.register(program.machine, 'rip')]).toEqual(['exit', BigInt(CODE)]);
  });
});

describe('determinism', () => {
  const SOURCE = 'mov ecx, 3000\n.l: mov [0x50000+rcx*8], rcx\n add rax, [0x50000+rcx*4]\n push rax\n pop rbx\n rdtsc\n dec ecx\n jnz .l\n mov esi, 0x50000\n mov edi, 0x60001\n mov ecx, 7000\n rep movsb\n hlt';
  const state = (program: Program): string => [...m.REGISTER_NAMES, 'rip', 'rflags'].map((n) => reg(program, n).toString(16)).join(' ');

  it('pieces of any size end as one run does', () => {
    const whole = vm(SOURCE);
    exit(whole);
    for (const [budget, count] of [[1n, 1n << 40n], [97n, 1n << 40n], [1n << 40n, 1n], [1n << 40n, 13n]] as const) {
      const program = vm(SOURCE);
      expect(m.enterGuest(program.machine)).toBe(null);
      let stop: m.Stop;
      do stop = m.run(program.machine, budget, count);
      while (stop.reason === 'budget');
      expect([state(program), m.instructions(program.machine)]).toEqual([state(whole), m.instructions(whole.machine)]);
    }
  });

  it('tracing changes nothing', () => {
    const plain = vm(SOURCE);
    exit(plain);
    const traced = vm(SOURCE);
    m.setTracing(traced.machine, true);
    exit(traced);
    expect([state(traced), m.cycles(traced.machine)]).toEqual([state(plain), m.cycles(plain.machine)]);
    expect(m.slot(traced.machine, at.TRACED)).toBeGreaterThan(20_000n);
  });
});
