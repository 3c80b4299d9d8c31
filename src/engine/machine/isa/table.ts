/**
 * The instruction table: one row a mnemonic over the encodings of forms.ts. The processor's decoder tables are generated
 * from it (family, cycles, privilege, encodings); the reference page, the disassembler's notes and the techniques that must
 * know what traps read the rest. Sensitivity is Popek and Goldberg's, for ring 3 without VMX: 'traps' is privileged and
 * sensitive, 'silent' is sensitive and does not trap (Robin and Irvine 2000), which is why VT-x exists.
 * Cycles are round figures of recent Intel cores, without misses of caches or TLB. Sources: SDM 2, SDM 3C 26.1.
 */
import * as op from '../../../cpu/ops.ts';
import { ALL_FORMS, CONDITIONS, type Form, parseForm } from './forms.ts';

export type Privilege = 'any' | 'ring 0' | 'iopl';
export type Sensitivity = 'innocuous' | 'traps' | 'silent';

export interface Instruction {
  mnemonic: string;
  /** Of cpu/ops.ts: what executes it. */
  family: number;
  cycles: number;
  privilege: Privilege;
  sensitivity: Sensitivity;
  /** Basic exit reasons that it can itself cause in a guest (not by its memory operand). */
  exits: readonly number[];
  /** What an encoding means that the rule carries itself (loop's kind, a VMX instruction's exit reason). */
  fixed: number;
  forms: readonly Form[];
}

/** Encodings that NASM never chooses and the processor takes all the same. */
const DECODED_ONLY = [
  'mov al, moffs | a0', 'mov eax, moffs | a1', 'mov moffs, al | a2', 'mov moffs, eax | a3',
  ...[[8, 0], [64, 1]].flatMap(([b, n]) => ['1', 'cl', 'imm8'].map((c, k) => `shl r/m${b}, ${c} | ${['d', 'd', 'c'][k]}${[0, 2, 0][k]! + n!} /6${c === 'imm8' ? ' ib' : ''}`)),
  'test r/m8, imm8 | f6 /1 ib', 'test r/m64, imm32s | f7 /1 id', 'movsxd r32, r/m32 | 63 /r',
  'push r/m64 | ff /6', 'pop r/m64 | 8f /0', 'mov r/m8, imm8 | c6 /0 ib', 'mov r/m64, imm32s | c7 /0 id',
  'sldt r/m16 | 0f 00 /0', 'str r/m16 | 0f 00 /1', 'verr r/m16 | 0f 00 /4', 'verw r/m16 | 0f 00 /5', 'smsw r/m16 | 0f 01 /4',
  'lar r32, r/m16 | 0f 02 /r', 'lsl r32, r/m16 | 0f 03 /r', 'lss r32, m | 0f b2 /r', 'lfs r32, m | 0f b4 /r', 'lgs r32, m | 0f b5 /r',
  'cmpxchg8b m64 | 0f c7 /1', 'retf | cb', 'retf imm16 | ca iw', 'jmpf m | ff /5', 'callf m | ff /3', 'xchg r8, r8 | 86 /r',
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [`nop r/m32 | 0f 1f /${n}`, `nop r/m32 | 0f 18 /${n}`, `nop r/m32 | 0f 0d /${n}`]),
  'nop r/m32 | 0f 19 /r', 'nop r/m32 | 0f 1a /r', 'nop r/m32 | 0f 1b /r', 'nop r/m32 | 0f 1c /r', 'nop r/m32 | 0f 1d /r', 'nop r/m32 | 0f 1e /r',
].map(parseForm);

interface Row {
  family: number;
  cycles?: number;
  privilege?: Privilege;
  sensitivity?: Sensitivity;
  exits?: number[];
  fixed?: number;
}

const ring0 = (family: number, cycles: number, ...exits: number[]): Row => ({ family, cycles, privilege: 'ring 0', sensitivity: 'traps', exits });
const silent = (family: number, cycles: number, ...exits: number[]): Row => ({ family, cycles, sensitivity: 'silent', exits });
const port = (family: number): Row => ({ family, cycles: 40, privilege: 'iopl', sensitivity: 'traps', exits: [30] });
const vmx = (reason: number): Row => ({ family: op.VMX_INSTRUCTION, cycles: 1, sensitivity: 'traps', exits: [reason], fixed: reason });
const plain = (family: number, cycles = 1, fixed = 0): Row => ({ family, cycles, fixed });

const ROWS: Record<string, Row> = {
  add: plain(op.ADD), or: plain(op.OR), adc: plain(op.ADC), sbb: plain(op.SBB), and: plain(op.AND), sub: plain(op.SUB), xor: plain(op.XOR), cmp: plain(op.CMP),
  test: plain(op.TEST), mov: plain(op.MOV), lea: plain(op.LEA), inc: plain(op.INC), dec: plain(op.DEC), not: plain(op.NOT), neg: plain(op.NEG),
  rol: plain(op.ROL), ror: plain(op.ROR), rcl: plain(op.RCL, 2), rcr: plain(op.RCR, 2), shl: plain(op.SHL), sal: plain(op.SHL), shr: plain(op.SHR), sar: plain(op.SAR),
  shld: plain(op.SHLD, 3), shrd: plain(op.SHRD, 3), bt: plain(op.BT), bts: plain(op.BTS), btr: plain(op.BTR), btc: plain(op.BTC),
  bsf: plain(op.BSF, 3), bsr: plain(op.BSR, 3), popcnt: plain(op.POPCNT, 3), bswap: plain(op.BSWAP), xchg: plain(op.XCHG, 2), cmpxchg: plain(op.CMPXCHG, 5),
  xadd: plain(op.XADD, 3), cmpxchg8b: plain(op.CMPXCHG8B, 10), movsxd: plain(op.MOVSX32), mul: plain(op.MUL, 3), imul: plain(op.IMUL, 3), div: plain(op.DIV, 25),
  idiv: plain(op.IDIV, 25), push: plain(op.PUSH), pop: plain(op.POP), call: plain(op.CALL, 2), ret: plain(op.RET, 2), jmp: plain(op.JMP), enter: plain(op.ENTER, 10),
  leave: plain(op.LEAVE, 2), loopne: plain(op.LOOP, 2, 0), loopnz: plain(op.LOOP, 2, 0), loope: plain(op.LOOP, 2, 1), loopz: plain(op.LOOP, 2, 1), loop: plain(op.LOOP, 2, 2),
  jrcxz: plain(op.LOOP, 2, 3), cbw: plain(op.CONVERT_A), cwde: plain(op.CONVERT_A), cdqe: plain(op.CONVERT_A), cwd: plain(op.CONVERT_D), cdq: plain(op.CONVERT_D),
  cqo: plain(op.CONVERT_D), clc: plain(op.CLC), stc: plain(op.STC), cmc: plain(op.CMC), cld: plain(op.CLD), std: plain(op.STD), lahf: plain(op.LAHF), sahf: plain(op.SAHF),
  xlatb: plain(op.XLAT), nop: plain(op.NOP), prefetcht0: plain(op.NOP), mfence: plain(op.NOP, 30), lfence: plain(op.NOP, 10), sfence: plain(op.NOP, 5), ud2: plain(op.UD),
  int3: plain(op.INT3, 10), int1: plain(op.INT1, 10), pause: { family: op.PAUSE, cycles: 10, exits: [40] },
  pushf: silent(op.PUSHF, 2), pushfq: silent(op.PUSHF, 2), popf: silent(op.POPF, 10), popfq: silent(op.POPF, 10), int: silent(op.INT, 20),
  iret: silent(op.IRET, 30), iretd: silent(op.IRET, 30), iretq: silent(op.IRET, 30), retf: silent(op.RET_FAR, 20), jmpf: silent(op.JMP_FAR, 20), callf: silent(op.CALL_FAR, 20),
  sgdt: silent(op.SGDT, 5, 46), sidt: silent(op.SIDT, 5, 46), sldt: silent(op.SLDT, 5, 47), str: silent(op.STR, 5, 47), smsw: silent(op.SMSW, 5),
  lar: silent(op.LAR, 10), lsl: silent(op.LSL, 10), verr: silent(op.VERR, 10), verw: silent(op.VERW, 10),
  lss: silent(op.LOAD_FAR_POINTER, 10), lfs: silent(op.LOAD_FAR_POINTER, 10), lgs: silent(op.LOAD_FAR_POINTER, 10),
  hlt: ring0(op.HLT, 5, 12), cpuid: { family: op.CPUID, cycles: 100, sensitivity: 'silent', exits: [10] }, rdtsc: { family: op.RDTSC, cycles: 20, sensitivity: 'silent', exits: [16] },
  rdtscp: { family: op.RDTSCP, cycles: 30, sensitivity: 'silent', exits: [51] }, rdpmc: ring0(op.RDPMC, 20, 15), rdmsr: ring0(op.RDMSR, 50, 31), wrmsr: ring0(op.WRMSR, 80, 32),
  clts: ring0(op.CLTS, 10, 28), lmsw: ring0(op.LMSW, 10, 28), invlpg: ring0(op.INVLPG, 100, 14), invpcid: ring0(op.INVPCID, 100, 58), lgdt: ring0(op.LGDT, 10, 46), lidt: ring0(op.LIDT, 10, 46),
  lldt: ring0(op.LLDT, 20, 47), ltr: ring0(op.LTR, 20, 47), wbinvd: ring0(op.WBINVD, 2000, 54), invd: ring0(op.INVD, 2000, 13), swapgs: ring0(op.SWAPGS, 5),
  sysret: ring0(op.SYSRET, 25), sysretq: ring0(op.SYSRET, 25), o64sysret: ring0(op.SYSRET, 25), syscall: { family: op.SYSCALL, cycles: 25, sensitivity: 'innocuous' },
  sysenter: { family: op.SYSENTER, cycles: 25 }, sysexit: ring0(op.SYSEXIT, 25), sysexitq: ring0(op.SYSEXIT, 25),
  fninit: plain(op.FPU, 20, 0), fnclex: plain(op.FPU, 10, 1), fwait: plain(op.FPU, 2, 2), fnstsw: plain(op.FPU_STORE, 5, 1), fnstcw: plain(op.FPU_STORE, 5, 0), fxsave: plain(op.FPU_STORE, 60, 2),
  fxsave64: plain(op.FPU_STORE, 60, 2), fldcw: plain(op.FPU_LOAD, 7, 0), fxrstor: plain(op.FPU_LOAD, 60, 1), fxrstor64: plain(op.FPU_LOAD, 60, 1),
  clac: { family: op.SET_AC, privilege: 'any', fixed: 0 }, stac: { family: op.SET_AC, privilege: 'any', fixed: 1 },
  cli: { family: op.CLI, cycles: 2, privilege: 'iopl', sensitivity: 'traps' }, sti: { family: op.STI, cycles: 2, privilege: 'iopl', sensitivity: 'traps' },
  in: port(op.IN), out: port(op.OUT), vmcall: { family: op.VMCALL, cycles: 5, sensitivity: 'traps', exits: [18] },
  vmclear: vmx(19), vmlaunch: vmx(20), vmptrld: vmx(21), vmptrst: vmx(22), vmread: vmx(23), vmresume: vmx(24), vmwrite: vmx(25), vmxoff: vmx(26), vmxon: vmx(27), invept: vmx(50), invvpid: vmx(53),
  xsetbv: plain(op.XSETBV), vmfunc: plain(op.UD), monitor: { ...ring0(op.MONITOR, 20, 39), privilege: 'any', fixed: 39 }, mwait: { ...ring0(op.MONITOR, 20, 36), privilege: 'any', fixed: 36 }, rdrand: plain(op.UD), rdseed: plain(op.UD), rsm: plain(op.UD), xgetbv: plain(op.UD),
};
for (const [name, family, cycles] of [['movs', op.MOVS, 3], ['cmps', op.CMPS, 4], ['stos', op.STOS, 2], ['lods', op.LODS, 2], ['scas', op.SCAS, 3]] as const) {
  for (const size of 'bwdq') ROWS[name + size] = plain(family, cycles);
}
for (const size of 'bwd') {
  ROWS[`ins${size}`] = port(op.INS);
  ROWS[`outs${size}`] = port(op.OUTS);
}
for (const names of CONDITIONS) {
  for (const name of names) {
    ROWS[`j${name}`] = plain(op.JCC);
    ROWS[`set${name}`] = plain(op.SETCC);
    ROWS[`cmov${name}`] = plain(op.CMOV);
  }
}
for (const name of ['movzx', 'movsx']) ROWS[name] = plain(name === 'movzx' ? op.MOVZX8 : op.MOVSX8);

/** Opcodes that mean this outside 64-bit mode only; a table of their own for the decoder. */
const legacyRow = (family: number, cycles: number, ...forms: string[]): Instruction => ({
  mnemonic: forms[0]!.split(' ')[0]!, family, cycles, privilege: 'any', sensitivity: 'innocuous', exits: [], fixed: 0, forms: forms.map(parseForm),
});
export const LEGACY_ONLY: readonly Instruction[] = [
  legacyRow(op.PUSH, 2, 'push es | 06', 'push cs | 0e', 'push ss | 16', 'push ds | 1e'), legacyRow(op.POP, 5, 'pop es | 07', 'pop ss | 17', 'pop ds | 1f'),
  legacyRow(op.DAA, 4, 'daa | 27'), legacyRow(op.DAS, 4, 'das | 2f'), legacyRow(op.AAA, 4, 'aaa | 37'), legacyRow(op.AAS, 4, 'aas | 3f'),
  legacyRow(op.AAM, 20, 'aam imm8 | d4 ib'), legacyRow(op.AAD, 7, 'aad imm8 | d5 ib'), legacyRow(op.SALC, 2, 'salc | d6'),
  legacyRow(op.INC, 1, 'inc r32 | 40+r'), legacyRow(op.DEC, 1, 'dec r32 | 48+r'), legacyRow(op.PUSHA, 8, 'pusha | 60'), legacyRow(op.POPA, 8, 'popa | 61'),
  legacyRow(op.BOUND, 7, 'bound r32, m | 62 /r'), legacyRow(op.ARPL, 5, 'arpl r/m16, r16 | 63 /r'),
  ...['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'].map((name, n) => legacyRow(ROWS[name]!.family, 1, `${name} r/m8, imm8 | 82 /${n} ib`)),
  legacyRow(op.CALL_FAR, 20, 'callf ptr | 9a'), legacyRow(op.JMP_FAR, 20, 'jmpf ptr | ea'), legacyRow(op.LOAD_FAR_POINTER, 10, 'les r32, m | c4 /r'),
  legacyRow(op.LOAD_FAR_POINTER, 10, 'lds r32, m | c5 /r'), legacyRow(op.INTO, 5, 'into | ce'),
];

/** By mnemonic. */
export const INSTRUCTIONS: ReadonlyMap<string, Instruction> = build();

function build(): Map<string, Instruction> {
  const out = new Map<string, Instruction>();
  for (const form of [...ALL_FORMS, ...DECODED_ONLY]) {
    const known = out.get(form.mnemonic);
    if (known) {
      (known.forms as Form[]).push(form);
      continue;
    }
    const row = ROWS[form.mnemonic];
    if (!row) throw new Error(`no row for ${form.mnemonic}`);
    out.set(form.mnemonic, {
      mnemonic: form.mnemonic, family: row.family, cycles: row.cycles ?? 1, privilege: row.privilege ?? 'any',
      sensitivity: row.sensitivity ?? 'innocuous', exits: row.exits ?? [], fixed: row.fixed ?? 0, forms: [form],
    });
  }
  return out;
}

/** Every row in the order of the processor's table of costs: a mnemonic has one row, and one more for what it means outside 64-bit mode only. */
export const COST_ROWS: readonly Instruction[] = [...INSTRUCTIONS.values(), ...LEGACY_ONLY];
