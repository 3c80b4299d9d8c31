/**
 * Exit reasons, qualifications, instruction information and encodings, exactly as the manual has them (SDM 3C 28.2, tables
 * 28-3 to 28-14; 3D appendices B and C), seen by a hypervisor in code.
 */
import { describe, expect, it } from 'vitest';
import { EXITS, type ExitReason } from '../../../src/engine/hypervisor/exits.ts';
import { FIELDS } from '../../../src/engine/hypervisor/vmcs.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { CODE, EPTP, eptEntry, GUEST_BASE, PML4, type Program } from './bench.ts';
import { prepared, proceed, read, resume, type Values, write } from './vmx-code.ts';

const PRIMARY = 0x84006172n | 0x80n;
const primary = (bits: bigint | number, more: Values = {}): Values => ({ PRIMARY_PROCESSOR_CONTROLS: PRIMARY | BigInt(bits), ...more });
const secondary = (bits: number, more: Values = {}): Values => ({ SECONDARY_PROCESSOR_CONTROLS: 0x22 | bits, ...more });
const INVLPG = 0x200;
const DESCRIPTOR = 4;
const LGDT_LIKE = 0x08418100n;

type Row = [source: string, reason: ExitReason, length: number, qualification: number | bigint, information: number | bigint, values?: Values];

/** The instruction that leaves is the last of its source. */
const INSTRUCTIONS: Row[] = [
  ['cpuid', 10, 2, 0, 0], ['hlt', 12, 1, 0, 0], ['invd', 13, 2, 0, 0], ['invlpg [0x123456]', 14, 8, 0x123456, 0, primary(INVLPG)], ['rdpmc', 15, 2, 0, 0, primary(0x800)], ['rdtsc', 16, 2, 0, 0, primary(0x1000)],
  ['vmcall', 18, 3, 0, 0], ['vmlaunch', 20, 3, 0, 0], ['vmresume', 24, 3, 0, 0], ['vmxoff', 26, 3, 0, 0],
  ['vmclear [fs:rax]', 19, 5, 0, 0x420100], ['vmptrld [0x1234]', 21, 8, 0x1234, LGDT_LIKE], ['vmptrst [rsp+8]', 22, 5, 8, 0x02410100], ['vmxon [rel $$+0x40]', 27, 8, CODE + 0x40, LGDT_LIKE],
  ['vmread [rbx+rcx*4+0x10], rdx', 23, 5, 0x10, 0x21858102], ['vmread rax, rdx', 23, 3, 0, 0x20000400], ['vmread r9, r10', 23, 4, 0, 0xa0000448n], ['vmwrite rdx, [rbp]', 25, 4, 0, 0x22c10100], ['vmwrite rdx, rcx', 25, 3, 0, 0x20000408],
  ['vmwrite rdx, [rbp-16]', 25, 4, 0xfffffffffffffff0n, 0x22c10100],
  ['invept rcx, [r8+r9*8]', 50, 7, 0, 0x14258103], ['invvpid rsi, [rax]', 53, 5, 0, 0x60418100], ['mov eax, 2\n invpcid rax, [rdi+0x40]', 58, 6, 0x40, 0x03c18100, { ...primary(INVLPG), ...secondary(0x1000) }],
  ['mov rax, cr3\n mov cr3, rax', 28, 3, 3, 0, primary(0x8000)], ['mov rdi, cr3', 28, 3, 0x713, 0, primary(0x10000)], ['mov r12, cr3', 28, 4, 0xc13, 0, primary(0x10000)], ['mov rax, cr0\n bts rax, 3\n mov cr0, rax', 28, 3, 0, 0, { CR0_MASK: 8 }],
  ['clts', 28, 2, 0x20, 0, { CR0_MASK: 8, CR0_READ_SHADOW: 8 }], ['mov eax, 0xe\n lmsw ax', 28, 3, 0xe0030, 0, { CR0_MASK: 8 }], ['mov word [0x50000], 0xf\n lmsw [0x50000]', 28, 8, 0xf0070, 0, { CR0_MASK: 8 }],
  ['mov rcx, cr4\n bts rcx, 7\n btc rcx, 7\n mov cr4, rcx', 28, 3, 0x104, 0, { CR4_MASK: 0x80, CR4_READ_SHADOW: 0x80 }], ['mov cr8, rbx', 28, 4, 0x308, 0, primary(0x80000)], ['mov rbx, cr8', 28, 4, 0x318, 0, primary(0x100000)],
  ['mov dr7, rax', 29, 3, 7, 0, primary(0x800000)], ['mov rsi, dr3', 29, 3, 0x613, 0, primary(0x800000)],
  ['in al, 0x60', 30, 2, 0x600048, 0, primary(0x1000000)], ['mov dx, 0x3f8\n out dx, al', 30, 1, 0x3f80000, 0, primary(0x1000000)], ['mov dx, 0x1f0\n in eax, dx', 30, 1, 0x1f0000b, 0, primary(0x1000000)],
  ['mov dx, 0x1f0\n in ax, dx', 30, 2, 0x1f00009, 0, primary(0x1000000)], ['mov dx, 0x3f8\n mov esi, 0x5000\n mov ecx, 3\n rep outsb', 30, 2, 0x3f80030, 0x18100, primary(0x1000000)],
  ['mov dx, 0x1f0\n mov edi, 0x5000\n insd', 30, 1, 0x1f0001b, 0x100, primary(0x1000000)], ['mov dx, 0x3f8\n mov esi, 0x5000\n db 0x64, 0x67, 0x6e', 30, 3, 0x3f80010, 0x20080, primary(0x1000000)],
  ['mov ecx, 0xc0000080\n rdmsr', 31, 2, 0, 0], ['mov ecx, 0xc0000080\n wrmsr', 32, 2, 0, 0], ['mov eax, 0x50000\n xor ecx, ecx\n monitor\n mwait', 36, 3, 1, 0, primary(0x400)], ['mwait', 36, 3, 0, 0, primary(0x400)],
  ['monitor', 39, 3, 0, 0, primary(0x20000000)], ['pause', 40, 2, 0, 0, primary(0x40000000)],
  ['lgdt [0x5000]', 46, 8, 0x5000, LGDT_LIKE | 0x20000000n, secondary(DESCRIPTOR)], ['lidt [rbx]', 46, 3, 0, 0x31c18100, secondary(DESCRIPTOR)], ['sgdt [rax+rax]', 46, 4, 0, 0x18100, secondary(DESCRIPTOR)],
  ['sidt [rel $$]', 46, 7, CODE, LGDT_LIKE | 0x10000000n, secondary(DESCRIPTOR)], ['lgdt [ebx]', 46, 4, 0, 0x21c18080, secondary(DESCRIPTOR)],
  ['sldt [rsi]', 47, 3, 0, 0x03418100, secondary(DESCRIPTOR)], ['str eax', 47, 3, 0, 0x10000400, secondary(DESCRIPTOR)], ['lldt ax', 47, 3, 0, 0x20000400, secondary(DESCRIPTOR)], ['ltr bx', 47, 3, 0, 0x30000418, secondary(DESCRIPTOR)],
  ['rdtscp', 51, 3, 0, 0, { ...primary(0x1000), ...secondary(8) }], ['wbinvd', 54, 2, 0, 0, secondary(0x40)],
];

describe('exits of instructions', () => {
  it.each(INSTRUCTIONS)('%s: reason %d', (source, reason, length, qualification, information, values) => {
    const program = prepared(`${source}\n ud2`, values);
    expect(proceed(program)).toEqual({ exit: reason, error: null, rule: 0 });
    const seen = ['EXIT_INSTRUCTION_LENGTH', 'EXIT_QUALIFICATION', 'EXIT_INSTRUCTION_INFO', 'IDT_VECTORING_INFO', 'EXIT_INTERRUPTION_INFO'].map((name) => read(program, name));
    expect(seen).toEqual([BigInt(length), BigInt(qualification), BigInt(information), 0n, 0n]);
  });

  it('without its control an instruction stays in the guest', () => {
    const inside = ['rdtsc', 'mov rax, cr3', 'mov cr3, rax', 'mov rax, dr7', 'mov dr7, rax', 'pause', 'mov rax, cr8', 'mov cr8, rax', 'invlpg [0x5000]', 'sgdt [0x50000]', 'str eax', 'wbinvd', 'in al, dx', 'xor ecx, ecx\n monitor\n mwait'];
    const program = prepared(`${inside.join('\n')}\n cpuid\n ud2`, primary(0));
    expect(finishIo(program)).toBe(10);
  });

  /** Port I/O of a guest that may do it reaches the board. */
  function finishIo(program: Program): number {
    const stop = m.run(program.machine, 1_000_000n);
    expect(stop.reason).toBe('io');
    m.finishIo(program.machine, 0x33n);
    return proceed(program).exit!;
  }

  it('CR3 targets, RDTSCP and INVPCID by their controls', () => {
    const program = prepared('mov rax, cr3\n mov cr3, rax\n bts rax, 3\n mov cr3, rax', primary(0x8000, { CR3_TARGET_COUNT: 1, CR3_TARGET0: PML4 }));
    expect([proceed(program).exit, read(program, 'GUEST_RIP')]).toEqual([28, BigInt(CODE) + 11n]);
    for (const source of ['rdtscp', 'invpcid rax, [0x5000]']) {
      expect(proceed(prepared(source, { EXCEPTION_BITMAP: 0x40 }))).toMatchObject({ exit: 0 });
    }
  });

  it('linear address of a string of ports, and of LMSW from memory', () => {
    const ports = prepared('mov dx, 0x3f8\n mov esi, 0x5010\n outsb', primary(0x1000000));
    proceed(ports);
    expect(read(ports, 'GUEST_LINEAR_ADDRESS')).toBe(0x5010n);
    const word = prepared('mov word [0x50000], 0xf\n lmsw [0x50000]', { CR0_MASK: 8 });
    proceed(word);
    expect(read(word, 'GUEST_LINEAR_ADDRESS')).toBe(0x50000n);
  });

  it('32-bit code: addresses of 32 bits, table operands of their size', () => {
    const compat: Values = { GUEST_CS_ACCESS_RIGHTS: 0xc09b };
    for (const [bytes, reason, information, length, qualification] of [
      [[0x0f, 0x01, 0x54, 0x8b, 0x20], 46, 0x21858882n, 5, 0x20n], [[0x66, 0x0f, 0x01, 0x13], 46, 0x21c18080n, 4, 0n], [[0x67, 0x0f, 0x01, 0x10], 46, 0x21998800n, 4, 0n], [[0x0f, 0xc7, 0x35, 0x78, 0x56, 0x34, 0x12], 6, 0n, 0, 0n],
    ] as const) {
      const program = prepared(`db ${bytes.join(', ')}`, { ...compat, ...secondary(DESCRIPTOR), EXCEPTION_BITMAP: 0x40 });
      const exit = proceed(program).exit;
      if (reason === 6) {
        // VMX instructions are #UD in compatibility mode, and the exception is what leaves
        expect([exit, read(program, 'EXIT_INTERRUPTION_INFO')]).toEqual([0, 0x80000306n]);
        continue;
      }
      expect([exit, read(program, 'EXIT_INSTRUCTION_INFO'), read(program, 'EXIT_INSTRUCTION_LENGTH'), read(program, 'EXIT_QUALIFICATION')]).toEqual([reason, information, BigInt(length), qualification]);
    }
  });
});

describe('other exits', () => {
  const events = (program: Program): bigint[] => ['EXIT_INTERRUPTION_INFO', 'EXIT_INTERRUPTION_ERROR_CODE', 'IDT_VECTORING_INFO', 'EXIT_QUALIFICATION', 'EXIT_INSTRUCTION_LENGTH'].map((name) => read(program, name));

  it.each<[source: string, bitmap: number, info: number, error: number, qualification: number, length?: number]>([
    ['ud2', 1 << 6, 0x80000306, 0, 0], ['mov rax, 0x123456789000\n mov rax, [rax]', 1 << 14, 0x80000b0e, 0, 0x12345678_9000], ['mov ecx, 0x123\n wrmsr', 1 << 13, 0x80000b0d, 0, 0],
    ['int3', 1 << 3, 0x80000603, 0, 0, 1], ['int1', 1 << 1, 0x80000501, 0, 0, 1], ['xor ecx, ecx\n div ecx', 1, 0x80000300, 0, 0], ['mov eax, 0x2000\n mov dr7, rax\n mov rax, dr0', 2, 0x80000301, 0, 0x2000],
    ['pushfq\n bts qword [rsp], 8\n popfq\n nop\n nop', 2, 0x80000301, 0, 0x4000],
  ])('exception: %s', (source, bitmap, info, error, qualification, length) => {
    const program = prepared(source, { EXCEPTION_BITMAP: bitmap, PRIMARY_PROCESSOR_CONTROLS: PRIMARY | 0x10000000n, MSR_BITMAP: 0x80000 });
    expect(proceed(program).exit).toBe(0);
    expect(events(program).slice(0, 4)).toEqual([info, error, 0, qualification].map(BigInt));
    if (length !== undefined) expect(events(program)[4]).toBe(BigInt(length));
  });

  it('INT n is no exception: its gate counts, and what goes wrong there tells of it', () => {
    const program = prepared('int 0x40', { EXCEPTION_BITMAP: 1 << 13 });
    expect(proceed(program).exit).toBe(0);
    expect(events(program)).toEqual([0x80000b0dn, 0x202n, 0x80000440n, 0n, 2n]);
  });

  it('a fault while a fault is delivered, and a double fault', () => {
    const program = prepared('ud2', { EXCEPTION_BITMAP: 1 << 13 });
    expect(proceed(program).exit).toBe(0);
    // the gate of #UD is not there: #GP with the vector's code, the external bit set
    expect(events(program).slice(0, 3)).toEqual([0x80000b0dn, 0x33n, 0x80000306n]);
    const double = prepared('xor ecx, ecx\n div ecx', { EXCEPTION_BITMAP: 1 << 8 });
    expect(proceed(double).exit).toBe(0);
    expect(events(double).slice(0, 3)).toEqual([0x80000b08n, 0n, 0x80000300n]);
  });

  it('windows, monitor trap, timer, triple fault', () => {
    expect(proceed(prepared('sti\n nop\n nop', primary(4))).exit).toBe(7);
    expect(proceed(prepared('nop', primary(0x400000, { PIN_BASED_CONTROLS: 0x3e }))).exit).toBe(8);
    const trap = prepared('nop\n nop', primary(0x8000000));
    expect([proceed(trap).exit, read(trap, 'GUEST_RIP')]).toEqual([37, BigInt(CODE) + 1n]);
    expect([resume(trap, false).exit, read(trap, 'GUEST_RIP')]).toEqual([37, BigInt(CODE) + 2n]);
    expect(proceed(prepared('jmp $', { PIN_BASED_CONTROLS: 0x56, GUEST_PREEMPTION_TIMER: 3 })).exit).toBe(52);
    expect(proceed(prepared('ud2')).exit).toBe(2);
  });

  it.each<[what: string, source: string, entry: bigint, reason: number, qualification: number, pointer?: bigint]>([
    ['read', 'mov rax, [0x50008]', 0n, 48, 0x181], ['write', 'mov [0x50008], rax', 0n, 48, 0x182], ['fetch', 'mov eax, 0x50008\n jmp rax', 0n, 48, 0x184],
    ['write to read-only', 'mov [0x50008], rax', BigInt(GUEST_BASE + 0x50000) | 0x31n, 48, 0x18a], ['write without read', 'mov rax, [0x50008]', 0x32n, 49, 0],
  ])('EPT: %s', (_, source, entry, reason, qualification) => {
    const program = prepared(source);
    program.machine.physical.setBigUint64(eptEntry(0x50000), entry, true);
    expect(proceed(program).exit).toBe(reason);
    expect([read(program, 'EXIT_QUALIFICATION'), read(program, 'GUEST_PHYSICAL_ADDRESS')]).toEqual([BigInt(qualification), 0x50008n]);
    if (reason === 48) expect(read(program, 'GUEST_LINEAR_ADDRESS')).toBe(0x50008n);
  });

  it("EPT: a table of the guest's", () => {
    for (const [pointer, qualification] of [[EPTP, 0x83n], [EPTP & ~0x40n, 0x81n]] as const) {
      const program = prepared('mov rax, [0x400000]', { EPT_POINTER: pointer });
      program.machine.physical.setBigUint64(GUEST_BASE + PML4 + 0x2010, 0x60007n, true);
      program.machine.physical.setBigUint64(eptEntry(0x60000), 0n, true);
      expect(proceed(program).exit).toBe(48);
      expect([read(program, 'EXIT_QUALIFICATION'), read(program, 'GUEST_PHYSICAL_ADDRESS')]).toEqual([qualification, 0x60000n]);
    }
  });

  it('an EPT violation while an event is delivered keeps the event, with its length and error', () => {
    const program = prepared('int 0x40');
    program.machine.physical.setBigUint64(eptEntry(0), 0n, true);
    expect(proceed(program).exit).toBe(48);
    expect([read(program, 'IDT_VECTORING_INFO'), read(program, 'EXIT_INSTRUCTION_LENGTH')]).toEqual([0x80000440n, 2n]);
  });
});

describe('numbers', () => {
  it('the reasons that this processor gives are told by a row each', () => {
    const given = new Set<number>([...INSTRUCTIONS.map(([, reason]) => reason), 0, 1, 2, 7, 8, 33, 34, 37, 48, 49, 52]);
    expect([...given].sort((a, b) => a - b).map((n) => `${n} ${EXITS[n as ExitReason].name}`)).toMatchInlineSnapshot(`
      [
        "0 EXCEPTION_NMI",
        "1 EXTERNAL_INTERRUPT",
        "2 TRIPLE_FAULT",
        "7 INTERRUPT_WINDOW",
        "8 NMI_WINDOW",
        "10 CPUID",
        "12 HLT",
        "13 INVD",
        "14 INVLPG",
        "15 RDPMC",
        "16 RDTSC",
        "18 VMCALL",
        "19 VMCLEAR",
        "20 VMLAUNCH",
        "21 VMPTRLD",
        "22 VMPTRST",
        "23 VMREAD",
        "24 VMRESUME",
        "25 VMWRITE",
        "26 VMOFF",
        "27 VMON",
        "28 CR_ACCESS",
        "29 DR_ACCESS",
        "30 IO_INSTRUCTION",
        "31 MSR_READ",
        "32 MSR_WRITE",
        "33 INVALID_STATE",
        "34 MSR_LOAD_FAIL",
        "36 MWAIT_INSTRUCTION",
        "37 MONITOR_TRAP_FLAG",
        "39 MONITOR_INSTRUCTION",
        "40 PAUSE_INSTRUCTION",
        "46 GDTR_IDTR",
        "47 LDTR_TR",
        "48 EPT_VIOLATION",
        "49 EPT_MISCONFIG",
        "50 INVEPT",
        "51 RDTSCP",
        "52 PREEMPTION_TIMER",
        "53 INVVPID",
        "54 WBINVD",
        "58 INVPCID",
      ]
    `);
  });

  it.each<[encoding: number, name: string]>([
    [0x0000, 'VPID'], [0x080e, 'GUEST_TR_SELECTOR'], [0x0c0c, 'HOST_TR_SELECTOR'], [0x2004, 'MSR_BITMAP'], [0x2006, 'EXIT_MSR_STORE_ADDRESS'], [0x200a, 'ENTRY_MSR_LOAD_ADDRESS'], [0x2010, 'TSC_OFFSET'], [0x201a, 'EPT_POINTER'],
    [0x2400, 'GUEST_PHYSICAL_ADDRESS'], [0x2800, 'VMCS_LINK_POINTER'], [0x2806, 'GUEST_IA32_EFER'], [0x2810, 'GUEST_PDPTE3'], [0x2c02, 'HOST_IA32_EFER'], [0x4004, 'EXCEPTION_BITMAP'], [0x400a, 'CR3_TARGET_COUNT'], [0x4012, 'ENTRY_CONTROLS'],
    [0x401e, 'SECONDARY_PROCESSOR_CONTROLS'], [0x4400, 'VM_INSTRUCTION_ERROR'], [0x4402, 'EXIT_REASON'], [0x440e, 'EXIT_INSTRUCTION_INFO'], [0x4812, 'GUEST_IDTR_LIMIT'], [0x4822, 'GUEST_TR_ACCESS_RIGHTS'], [0x4824, 'GUEST_INTERRUPTIBILITY'],
    [0x482e, 'GUEST_PREEMPTION_TIMER'], [0x4c00, 'HOST_SYSENTER_CS'], [0x6008, 'CR3_TARGET0'], [0x6400, 'EXIT_QUALIFICATION'], [0x640a, 'GUEST_LINEAR_ADDRESS'], [0x6806, 'GUEST_ES_BASE'], [0x681e, 'GUEST_RIP'], [0x6822, 'GUEST_PENDING_DEBUG'],
    [0x6c0e, 'HOST_IDTR_BASE'], [0x6c16, 'HOST_RIP'],
  ])('encoding 0x%s is %s', (encoding, name) => {
    expect(FIELDS.get(name)).toBe(encoding);
  });

  it('fields that an exit fills are those of these encodings', () => {
    const program = prepared('nop\n cpuid');
    write(program, 'EXCEPTION_BITMAP', 0x1234);
    proceed(program);
    expect([m.vmread(program.machine, 0x4402), m.vmread(program.machine, 0x440c), m.vmread(program.machine, 0x681e), m.vmread(program.machine, 0x4004)]).toEqual([10n, 2n, BigInt(CODE) + 1n, 0x1234n]);
  });
});
