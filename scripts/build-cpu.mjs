// Builds src/cpu with AssemblyScript into build/cpu.wasm. The decoder tables are made here from the instruction table.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'build');
const STATIC = 0xb00000;

async function instructionTable() {
  const bundled = await build({
    stdin: {
      contents: "export { COST_ROWS, INSTRUCTIONS, LEGACY_ONLY } from './src/engine/machine/isa/table.ts'; export * as op from './src/cpu/ops.ts';",
      resolveDir: root, loader: 'ts',
    },
    bundle: true, format: 'esm', write: false, platform: 'neutral',
  });
  return import(`data:text/javascript;base64,${Buffer.from(bundled.outputFiles[0].text).toString('base64')}`);
}

const { COST_ROWS, INSTRUCTIONS, LEGACY_ONLY, op } = await instructionTable();
const has = (form, kind) => form.operands.includes(kind);
const immediateOf = (form) => form.operands.find((o) => /^(imm|rel)\d/.test(o) || o === 'moffs');

/** Family of one encoding: most are the mnemonic's own. */
function familyOf(row, form) {
  const [a, b] = form.operands;
  if (row.mnemonic === 'mov') {
    if (b === 'cr') return op.MOV_FROM_CR;
    if (a === 'cr') return op.MOV_TO_CR;
    if (b === 'dr') return op.MOV_FROM_DR;
    if (a === 'dr') return op.MOV_TO_DR;
    if (b === 'sreg') return op.MOV_FROM_SEGMENT;
    if (a === 'sreg') return op.MOV_TO_SEGMENT;
  }
  if (row.mnemonic === 'imul') return form.operands.length === 1 ? op.IMUL : immediateOf(form) ? op.IMUL3 : op.IMUL2;
  if (/^(jmp|call)$/.test(row.mnemonic) && a.startsWith('r/m')) return row.mnemonic === 'jmp' ? op.JMP_TO : op.CALL_TO;
  if (/^mov[sz]x$/.test(row.mnemonic) && b === 'r/m16') return row.family === op.MOVZX8 ? op.MOVZX16 : op.MOVSX16;
  if (row.mnemonic === 'push' && /^[c-gs]s$/.test(a)) return op.PUSH_SEGMENT;
  if (row.mnemonic === 'pop' && /^[c-gs]s$/.test(a)) return op.POP_SEGMENT;
  return row.family;
}

function patternOf(family, form) {
  const [a, b, c] = form.operands;
  const isRm = (o) => /^(r\/m|m)\d*$/.test(o ?? '');
  if (a === undefined) return family >= op.MOVS && family <= op.OUTS ? op.P_STRING : op.P_NONE;
  if (has(form, 'sreg') || has(form, 'cr') || has(form, 'dr')) return op.P_REG_RM;
  if (a === 'moffs') return op.P_MOFFS_A;
  if (b === 'moffs') return op.P_A_MOFFS;
  if (family === op.PUSH_SEGMENT || family === op.POP_SEGMENT) return op.P_NONE;
  if (family === op.IN || family === op.OUT) return has(form, 'dx') ? op.P_DX : op.P_I;
  if (a === 'ptr') return op.P_I;
  if (form.plus) return immediateOf(form) ? op.P_O_I : b === undefined ? op.P_O : op.P_O_A;
  if (isRm(a) || (typeof form.modrm === 'number' && /^r\d/.test(a))) {
    if (b === undefined) return op.P_RM;
    if (b === '1') return op.P_RM_1;
    if (b === 'cl') return op.P_RM_CL;
    if (c === 'cl') return op.P_RM_R_CL;
    if (c !== undefined) return op.P_RM_R_I;
    return immediateOf(form) ? op.P_RM_I : op.P_RM_R;
  }
  if (family === op.LEA || family === op.LOAD_FAR_POINTER || family === op.INVPCID) return op.P_R_M;
  if (isRm(b)) return immediateOf(form) ? op.P_R_RM_I : op.P_R_RM;
  if (/^(al|ax|eax|rax)$/.test(a)) return op.P_A_I;
  if (family === op.IMUL3) return op.P_R_RM_I;
  if (form.modrm === 'r') return op.P_R_RM;
  return op.P_I;
}

const D64 = new Set([op.PUSH, op.POP, op.PUSHF, op.POPF, op.ENTER, op.LEAVE, op.PUSH_SEGMENT, op.POP_SEGMENT]);
const FIXED64 = new Set([op.JMP, op.JMP_TO, op.CALL, op.CALL_TO, op.RET, op.LOOP, op.JCC, op.MOV_FROM_CR, op.MOV_TO_CR, op.MOV_FROM_DR, op.MOV_TO_DR, op.LGDT,
  op.LIDT, op.SGDT, op.SIDT, op.INVLPG, op.INVPCID, op.VMX_INSTRUCTION]);
const WORDS = new Set([op.ARPL, op.LLDT, op.LTR, op.VERR, op.VERW, op.LMSW]);

function widthOf(family, form) {
  if (D64.has(family)) return op.W_D64;
  if (FIXED64.has(family)) return op.W_64;
  if (WORDS.has(family) || (form.operands[0] === 'm16' && (family === op.FPU_STORE || family === op.FPU_LOAD))) return op.W_16;
  const first = form.operands.find((o) => !/^imm|^moffs|^dx$/.test(o)) ?? '';
  const narrow = /^(r\/m8|r8|m8|al)$/.test(first) || /^(movs|cmps|stos|lods|scas|ins|outs)b$/.test(form.mnemonic);
  if (narrow && !/^prefetch/.test(form.mnemonic)) return op.W_BYTE;
  if (family === op.IN || family === op.OUT || family === op.INS || family === op.OUTS) return op.W_IO;
  return op.W_V;
}

function immediateKind(family, form) {
  const kind = immediateOf(form);
  if (family === op.ENTER) return op.I_WB;
  if (form.operands[0] === 'ptr') return op.I_FAR;
  if (kind === undefined) return op.I_NONE;
  if (kind === 'moffs') return op.I_MOFFS;
  if (kind === 'rel8') return op.I_REL8;
  if (kind === 'rel32') return op.I_REL32;
  if (kind === 'imm8s') return op.I_BS;
  if (kind === 'imm8') return op.I_B;
  if (family === op.RET || family === op.RET_FAR) return op.I_W;
  return family === op.MOV && form.plus ? op.I_V : op.I_Z;
}

const LOCKABLE = new Set([op.ADD, op.OR, op.ADC, op.SBB, op.AND, op.SUB, op.XOR, op.INC, op.DEC, op.NOT, op.NEG, op.XCHG, op.BTS, op.BTR, op.BTC, op.CMPXCHG, op.XADD, op.CMPXCHG8B]);
const ENDS = new Set([op.INTO, op.BOUND, op.JCC, op.JMP, op.JMP_TO, op.CALL, op.CALL_TO, op.RET, op.LOOP, op.MOVS, op.CMPS, op.STOS, op.LODS, op.SCAS, op.INS, op.OUTS, op.IN, op.OUT, op.CLI, op.STI,
  op.HLT, op.POPF, op.WRMSR, op.MOV_TO_CR, op.MOV_TO_DR, op.CLTS, op.LMSW, op.INVLPG, op.INVPCID, op.MOV_TO_SEGMENT, op.POP_SEGMENT, op.LOAD_FAR_POINTER, op.INT, op.INT3, op.INT1,
  op.IRET, op.SYSCALL, op.SYSRET, op.SYSENTER, op.SYSEXIT, op.JMP_FAR, op.CALL_FAR, op.RET_FAR, op.SET_AC, op.VMCALL, op.VMX_INSTRUCTION, op.UD]);
const MEMORY = new Set([op.BOUND, op.LGDT, op.LIDT, op.SGDT, op.SIDT, op.INVLPG, op.INVPCID, op.CMPXCHG8B, op.JMP_FAR, op.CALL_FAR, op.LOAD_FAR_POINTER, op.LEA, op.FPU_STORE, op.FPU_LOAD]);
/** What these ask for besides ring 0 is #UD and comes first: they look at the ring themselves. */
const UNDEFINED_FIRST = new Set([op.MOV_FROM_CR, op.MOV_TO_CR, op.MOV_FROM_DR, op.MOV_TO_DR, op.SYSRET, op.SWAPGS]);
const CONDITIONAL = new Set([op.JCC, op.SETCC, op.CMOV]);
const VMX_MEMORY = new Set([19, 21, 22, 27, 50, 53]);

function ruleOf(row, form) {
  const family = familyOf(row, form);
  const privileged = row.privilege === 'ring 0' && !UNDEFINED_FIRST.has(family);
  const flags = (privileged ? op.F_RING0 : 0) | (LOCKABLE.has(family) ? op.F_LOCK : 0) | (ENDS.has(family) ? op.F_ENDS : 0) |
    (MEMORY.has(family) || (family === op.VMX_INSTRUCTION && VMX_MEMORY.has(row.fixed)) ? op.F_MEMORY : 0);
  const code = form.opcode.at(-1);
  let fixed = row.fixed;
  if (CONDITIONAL.has(family)) fixed = code & 15;
  if (row.mnemonic === 'fnstsw' && form.operands[0] === 'ax') return { family: op.FPU, pattern: op.P_NONE, width: op.W_16, immediate: op.I_NONE, flags: 0, cycles: row.cycles, fixed: 3 };
  if (family === op.PUSH_SEGMENT || family === op.POP_SEGMENT) fixed = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'].indexOf(form.operands[0]);
  if (family === op.LOAD_FAR_POINTER) fixed = { les: 0, lss: 2, lds: 3, lfs: 4, lgs: 5 }[row.mnemonic];
  return { family, pattern: patternOf(family, form), width: widthOf(family, form), immediate: immediateKind(family, form), flags, cost: COST_ROWS.indexOf(row), fixed };
}

// ---- the tree: opcode, then mandatory prefix, then ModRM.reg with memory or register, then ModRM.rm
const VARIANTS = [[], [0x66], [0xf3], [0xf2]];
const tree = new Map();

function place(opcode, variant, path, rule) {
  const key = opcode;
  if (!tree.has(key)) tree.set(key, [null, null, null, null]);
  const variants = tree.get(key);
  if (path.length === 0) {
    variants[variant] ??= { rule };
    return;
  }
  variants[variant] ??= { group: Array(16).fill(null) };
  const group = variants[variant].group;
  if (!group) throw new Error(`group over a rule at ${opcode.toString(16)}`);
  const [digit, low] = path;
  if (low === undefined) {
    for (const n of [digit, digit + 8]) group[n] ??= { rule };
    return;
  }
  if (group[digit + 8]?.rule) group[digit + 8] = { low: Array(8).fill(group[digit + 8]) };
  group[digit + 8] ??= { low: Array(8).fill(null) };
  group[digit + 8].low[low] = { rule };
}

function onlyMemory(form) {
  return form.operands.some((o) => /^m\d*$/.test(o)) && form.operands.every((o) => !o.startsWith('r/m'));
}

function grow() {
  for (const row of LEGACY_ONLY) {
    for (const form of row.forms) {
      for (let n = 0; n < (form.plus ? 8 : 1); n++) {
        if (typeof form.modrm === 'number') placeDigit(768 + form.opcode[0], 0, form, ruleOf(row, form));
        else place(768 + form.opcode[0] + n, 0, [], ruleOf(row, form));
      }
    }
  }
  const forms = [...INSTRUCTIONS.values()].flatMap((row) => row.forms.map((form) => ({ row, form })));
  // longer opcodes last: a fixed ModRM goes over its group
  const rank = ({ form }) => form.opcode.length * 2 + (typeof form.modrm === 'number' ? 1 : 0);
  for (const { row, form } of forms.slice().sort((x, y) => rank(x) - rank(y))) {
    let bytes = form.opcode.slice();
    let map = 0;
    if (bytes[0] === 0x0f) {
      map = bytes[1] === 0x38 ? 2 : 1;
      bytes = bytes.slice(map);
    }
    const variant = VARIANTS.findIndex((v) => v.length === form.mandatory.length && v.every((b, i) => b === form.mandatory[i]));
    const rule = ruleOf(row, form);
    const codes = form.plus ? [0, 1, 2, 3, 4, 5, 6, 7].map((n) => bytes[0] + n) : [bytes[0]];
    for (const code of codes) {
      const key = map * 256 + code;
      if (bytes.length > 1) place(key, variant, [(bytes[1] >> 3) & 7, bytes[1] & 7], rule);
      else if (typeof form.modrm === 'number') placeDigit(key, variant, form, rule);
      else place(key, variant, [], rule);
    }
  }
  for (const variants of tree.values()) for (let n = 1; n < 4; n++) variants[n] = overlay(variants[n], variants[0]);
}

/** Memory and register forms of one digit may be different instructions (vmptrld, rdrand). */
function placeDigit(key, variant, form, rule) {
  if (!tree.has(key)) tree.set(key, [null, null, null, null]);
  const variants = tree.get(key);
  variants[variant] ??= { group: Array(16).fill(null) };
  const group = variants[variant].group;
  const memory = onlyMemory(form);
  const registers = form.operands.length > 0 && form.operands.every((o) => /^r\d/.test(o) && !o.startsWith('r/m'));
  if (!registers) group[form.modrm] ??= { rule };
  if (!memory || !(key === 0x1c7)) group[form.modrm + 8] ??= { rule };
}

/** Without its own meaning a prefix changes nothing. */
function overlay(own, base) {
  if (!own) return base;
  if (!own.group || !base?.group) return own;
  return { group: own.group.map((node, n) => node ?? base.group[n]) };
}

function emit() {
  const primary = new Uint16Array(1024);
  const nodes = [];
  const rules = [];
  const known = new Map();
  const addRule = (rule) => {
    const text = JSON.stringify(rule);
    if (!known.has(text)) {
      rules.push(rule);
      known.set(text, rules.length);
    }
    return known.get(text);
  };
  const addNodes = (kind, list) => {
    const first = nodes.length;
    nodes.push(...list.map(() => 0));
    list.forEach((node, n) => {
      nodes[first + n] = addNode(node);
    });
    return (kind << 14) | first;
  };
  const addNode = (node) => (node === null || node === undefined ? 0 : node.rule ? addRule(node.rule) : node.group ? addNodes(1, node.group) : addNodes(2, node.low));
  for (const [key, variants] of [...tree].sort((x, y) => x[0] - y[0])) {
    const same = variants.every((v) => v === variants[0]);
    primary[key] = same ? addNode(variants[0]) : addNodes(3, variants);
  }
  if (nodes.length >= 0x4000) throw new Error('decoder tables too big');
  const ruleBytes = Buffer.alloc((rules.length + 1) * 12);
  rules.forEach((r, n) => {
    const at = (n + 1) * 12;
    ruleBytes.writeUInt16LE(r.family, at);
    ruleBytes.set([r.pattern, r.width, r.immediate, r.flags], at + 2);
    ruleBytes.writeUInt16LE(r.cost, at + 6);
    ruleBytes.writeUInt16LE(r.fixed, at + 8);
  });
  const data = (bytes) => `memory.data<u8>([${[...bytes].join(',')}])`;
  return `export const TABLE: usize = ${data(new Uint8Array(primary.buffer))};\nexport const NODES: usize = ${data(new Uint8Array(Uint16Array.from(nodes).buffer))};\nexport const RULES: usize = ${data(ruleBytes)};\n` +
    `export const ROWS: usize = ${data(new Uint8Array(Uint16Array.from(COST_ROWS, (row) => row.cycles).buffer))};\nexport const ROW_COUNT: u32 = ${COST_ROWS.length};\nexport const NOP_ROW: u32 = ${COST_ROWS.indexOf(INSTRUCTIONS.get('nop'))};\n`;
}

grow();
const tables = emit();
const source = join(root, 'src', 'cpu');
const argv = ['src/cpu/index.ts', '--runtime', 'stub', '-O3', '--noAssert', '--memoryBase', String(STATIC), '--initialMemory', '256', '--enable', 'bulk-memory',
  '--outFile', 'build/cpu.wasm', '--use', 'abort=', '--disableWarning', '201'];
if (process.argv.includes('--text')) argv.push('--textFile', 'build/cpu.wat');
const done = await asc.main(argv, {
  readFile(name, base) {
    const path = join(base || root, name);
    if (path === join(source, 'tables.ts') || name === 'src/cpu/tables.ts') return tables;
    try {
      return readFileSync(join(root, name), 'utf8');
    } catch {
      return null;
    }
  },
  writeFile(name, contents) {
    mkdirSync(out, { recursive: true });
    writeFileSync(join(root, name), contents);
  },
  listFiles: () => [],
  stdout: process.stdout,
  stderr: process.stderr,
});
if (done.error) {
  console.error(String(done.error.message ?? done.error));
  process.exit(1);
}
