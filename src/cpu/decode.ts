/**
 * From bytes to records, by the tables that the build makes of the instruction table. One instruction is prefixes, REX,
 * opcode (maps 0F and 0F 38), ModRM, SIB, displacement, immediate (SDM 2A 2.1-2.2), at most 15 bytes. What no rule explains
 * becomes a record that raises #UD when it is reached. Left out: VEX, EVEX, x87 and every vector instruction.
 */
import { COSTS, DS, GPR, HOST, PAGE_BASE, SEGMENT_SIZE, SEGMENTS, SS, ZERO } from './layout';
import { CODE_KIND, g32, NARROWED, ZERO_STACK } from './state';
import {
  B_COUNT, B_CYCLES, B_END, B_FALL, B_HEADER, B_KEY, B_NOT_TAKEN, B_TAKEN, LINK_NOT_TAKEN, LINK_TAKEN, R_BASE, R_CYCLES, R_DISPLACEMENT, R_DST, R_FLAGS, R_IMMEDIATE, R_INDEX, R_LENGTH, R_OFFSET,
  R_OP, R_ORDINAL, R_REG, R_RM, R_SCALE, R_SEGMENT, R_SIZE, R_SRC, RECORD, RF_A16, RF_LAST, RF_NARROW, RF_REP, RF_REPNE, RF_RING0,
} from './record';
import { accessBytes, legacyFamily, stores } from './decode-legacy';
import {
  END, I_FAR, JMP, L_JCC, L_POP, LEA,
  CALL, CMOV, CMOV_LOAD, ENTER, F_ENDS, F_LOCK, F_MEMORY, F_RING0, IRET, LEAVE, POP_SEGMENT, POPF, PUSH_SEGMENT, PUSHF, RET, RET_FAR, I_B, I_BS, I_FIXED, I_MOFFS, I_REL32, I_REL8,
  I_V, I_W, I_WB, I_Z, JCC, LOAD, MOVSX16, MOVSX32, MOVSX8, MOVZX16, MOVZX8, NARROW, NOP, P_A_I, P_A_MOFFS, P_I, P_MOFFS_A, P_O, P_O_A, P_O_I, P_R_M, P_R_RM, P_R_RM_I, P_REG_RM,
  P_RM, P_RM_1, P_RM_CL, P_RM_I, P_RM_R, P_RM_R_CL, P_RM_R_I, POP, PUSH, REGISTER, SETCC, SETCC_STORE, STORE, UD, W_16, W_32, W_BYTE, W_D64, W_IO, W_V, XCHG,
} from './ops';
import { keepBlock, newBlock } from './blocks';
import { specialise } from './specialise';
import { NODES, NOP_ROW, RULES, TABLE } from './tables';

/** Instructions of one block at most. */
const LONGEST: u32 = 32;

let at: usize = 0;
let limit: usize = 0;
let short: bool = false;
let rex: u32 = 0;
let o16: bool = false;
/** A 66 prefix stands there. */
let p66: bool = false;
let narrow: bool = false;
/** Addresses of 16 bits. */
let a16: bool = false;
/** 0 64-bit code, 1 32-bit, 2 16-bit. */
let code: u32 = 0;
let segment: u32 = 0;
let rule: usize = 0;
let ends: bool = false;
let cost: u32 = 0;
let startAt: usize = 0;

@inline function byte(): u32 {
  if (at >= limit) {
    short = true;
    return 0;
  }
  return load<u8>(at++);
}
function take(size: u32): u64 {
  if (at + size > limit) {
    short = true;
    return 0;
  }
  const p = at;
  at += size;
  if (size == 1) return load<u8>(p);
  if (size == 2) return load<u16>(p);
  return size == 4 ? load<u32>(p) : load<u64>(p);
}
function signed(size: u32): i64 {
  const v = take(size);
  return size == 1 ? i64(i8(v)) : size == 2 ? i64(i16(v)) : size == 4 ? i64(i32(v)) : i64(v);
}

/**
 * Decodes a run from `hpa`; the page's bytes are read in place. Returns the block, or 0 when the first instruction goes
 * on in the next page: then `decodeAcross` with its bytes.
 */
export function decodeBlock(hpa: u64): usize {
  const block = decodeRun(hpa, LONGEST);
  if (block == 0) return 0;
  specialise(block);
  keepBlock(block, hpa, min<u32>(load<u32>(block, B_FALL), 4096) - (u32(hpa) & 0xfff));
  return block;
}

/** The first instructions of a block that was decoded before, for a budget that ends within it; not kept. */
export function decodePlain(hpa: u64, most: u32): usize {
  const block = decodeRun(hpa, most);
  store<u64>(block + B_KEY, ~u64(0));
  return block;
}

function decodeRun(hpa: u64, most: u32): usize {
  const block = newBlock();
  const page = HOST + usize(hpa & ~u64(0xfff));
  let offset = u32(hpa) & 0xfff;
  let record = block + B_HEADER;
  let count: u32 = 0;
  let cycles: u32 = 0;
  while (count < most) {
    const next = decodeOne(record, page + offset, page + 4096, offset, count, cycles);
    if (next == 0) {
      if (count == 0) return 0;
      break;
    }
    record = next;
    count++;
    cycles += cost;
    offset += u32(at - startAt);
    if (ends || offset >= 4096 || cycles > 0x7fff) break;
  }
  finish(block, record, count, cycles, offset);
  return block;
}

/** One instruction from a copy of its bytes; the block is not kept. 0: even 15 bytes do not end it. */
export function decodeAcross(bytes: usize, length: u32, offset: u32): usize {
  const block = newBlock();
  const next = decodeOne(block + B_HEADER, bytes, bytes + length, offset, 0, 0);
  if (next == 0) return 0;
  finish(block, next, 1, cost, offset + u32(at - startAt));
  store<u64>(block + B_KEY, ~u64(0));
  return block;
}

function finish(block: usize, end: usize, count: u32, cycles: u32, offset: u32): void {
  store<u32>(block + B_END, u32(end));
  store<u32>(block + B_CYCLES, cycles);
  store<u32>(block + B_COUNT, count);
  store<u32>(block + B_FALL, offset);
  store<u32>(block + B_TAKEN, u32(LINK_TAKEN));
  store<u32>(block + B_NOT_TAKEN, u32(LINK_NOT_TAKEN));
  if (ends) return;
  store<u16>(end, u16(END), R_OP);
  store<u16>(end, u16(offset), R_OFFSET);
  store<u16>(end, u16(cycles), R_CYCLES);
  store<u16>(end, u16(count), R_ORDINAL);
  store<u8>(end, RF_LAST, R_FLAGS);
}

/** Returns where the next record goes, or 0 when the bytes ran out. */
function decodeOne(record: usize, bytes: usize, end: usize, offset: u32, ordinal: u32, cyclesBefore: u32): usize {
  at = startAt = bytes;
  limit = min<usize>(end, bytes + 15);
  short = false;
  ends = false;
  rex = 0;
  o16 = false;
  narrow = false;
  a16 = false;
  code = g32(CODE_KIND);
  segment = ZERO;
  let repeat: u32 = 0;
  let lock = false;
  let opcode: u32 = 0;
  for (;;) {
    opcode = byte();
    if (opcode == 0x66) o16 = true;
    else if (opcode == 0x67) narrow = true;
    else if (opcode == 0xf2 || opcode == 0xf3) repeat = opcode;
    else if (opcode == 0xf0) lock = true;
    else if (opcode == 0x64) segment = SEGMENTS + 4 * SEGMENT_SIZE;
    else if (opcode == 0x65) segment = SEGMENTS + 5 * SEGMENT_SIZE;
    else if (opcode == 0x2e || opcode == 0x36 || opcode == 0x3e || opcode == 0x26) segment = code == 0 ? ZERO : SEGMENTS + ((opcode >> 3) & 3) * SEGMENT_SIZE;
    else if ((opcode & 0xf0) == 0x40 && code == 0) {
      rex = opcode;
      continue;
    } else break;
    rex = 0;
  }
  p66 = o16;
  if (code != 0) defaults();
  memory.fill(record, 0, RECORD * 2);
  if (short) return outOfBytes(record, end, bytes, offset, ordinal, cyclesBefore);
  const node = lookup(opcode, repeat);
  if (short) return outOfBytes(record, end, bytes, offset, ordinal, cyclesBefore);
  if (node == 0) return undefinedRecord(record, offset, ordinal, cyclesBefore);
  rule = RULES + node * 12;
  let flags: u8 = repeat == 0xf3 ? RF_REP : repeat == 0xf2 ? RF_REPNE : 0;
  const ruleFlags = load<u8>(rule + 5);
  if ((ruleFlags & F_RING0) != 0) flags |= RF_RING0;
  if (narrow || (code != 0 && !a16)) flags |= RF_NARROW;
  if (a16) flags |= RF_A16;
  const next = operands(record, offset, lock);
  if (short) return outOfBytes(record, end, bytes, offset, ordinal, cyclesBefore);
  if (next == 0) return undefinedRecord(record, offset, ordinal, cyclesBefore);
  // xchg of the accumulator with itself is nop
  cost = load<u16>(COSTS + ((load<u16>(record, R_OP) == NOP * 16 && load<u16>(rule) == XCHG ? NOP_ROW : u32(load<u16>(rule + 6))) << 1));
  ends = ends || (ruleFlags & F_ENDS) != 0;
  for (let r = record; r < next; r += RECORD) {
    store<u8>(r + R_LENGTH, u8(at - startAt));
    store<u16>(r + R_OFFSET, u16(offset));
    store<u16>(r + R_CYCLES, u16(cyclesBefore));
    store<u16>(r + R_ORDINAL, u16(ordinal));
    store<u8>(r + R_FLAGS, flags);
  }
  if (ends) store<u8>(next - RECORD, flags | RF_LAST, R_FLAGS);
  return next;
}

/** Prefixes turn round what the code segment says: sizes of 32 bits (code 1) or 16 (code 2). */
function defaults(): void {
  o16 = o16 != (code == 2);
  a16 = narrow != (code == 2);
  narrow = false;
}

/** The page ends here, or 15 bytes were not enough: the latter is #GP, made by an #UD record of length 0. */
function outOfBytes(record: usize, end: usize, bytes: usize, offset: u32, ordinal: u32, cycles: u32): usize {
  if (end < bytes + 15) return 0;
  memory.fill(record, 0, RECORD);
  at = bytes + 15;
  return ending(record, offset, ordinal, cycles, 1);
}
function undefinedRecord(record: usize, offset: u32, ordinal: u32, cycles: u32): usize {
  memory.fill(record, 0, RECORD);
  return ending(record, offset, ordinal, cycles, 0);
}
function ending(record: usize, offset: u32, ordinal: u32, cycles: u32, form: u32): usize {
  store<u16>(record + R_OP, u16(UD * 16 + form));
  store<u8>(record + R_LENGTH, u8(at - startAt));
  store<u16>(record + R_OFFSET, u16(offset));
  store<u16>(record + R_CYCLES, u16(cycles));
  store<u16>(record + R_ORDINAL, u16(ordinal));
  store<u8>(record + R_FLAGS, RF_LAST);
  cost = 1;
  ends = true;
  return record + RECORD;
}

/** The rule's number, or 0; reads further opcode bytes, and peeks at ModRM where it chooses. */
function lookup(opcode: u32, repeat: u32): u32 {
  let map: u32 = 0;
  if (opcode == 0x0f) {
    map = 1;
    opcode = byte();
    if (opcode == 0x38) {
      map = 2;
      opcode = byte();
    }
    if (short) return 0;
  }
  lastOpcode = opcode;
  let node: u32 = code != 0 && map == 0 ? load<u16>(TABLE + ((768 + opcode) << 1)) : 0;
  if (node == 0) node = load<u16>(TABLE + ((map * 256 + opcode) << 1));
  if (node >> 14 == 3) {
    const which: u32 = repeat == 0xf3 ? 2 : repeat == 0xf2 ? 3 : p66 ? 1 : 0;
    node = load<u16>(NODES + (((node & 0x3fff) + which) << 1));
  }
  if (node >> 14 == 1) {
    if (at >= limit) {
      short = true;
      return 0;
    }
    const modrm: u32 = load<u8>(at);
    node = load<u16>(NODES + (((node & 0x3fff) + ((modrm >> 3) & 7) + (modrm >= 0xc0 ? 8 : 0)) << 1));
    if (node >> 14 == 2) node = load<u16>(NODES + (((node & 0x3fff) + (modrm & 7)) << 1));
    // a ModRM that only names the instruction (vmcall, swapgs) is read here, one with operands by `operands`
    if (node != 0 && !hasModrm(load<u8>(RULES + node * 12 + 2))) at++;
  }
  return node;
}

@inline function register(n: u32, size: u32): u32 {
  return size == 0 && rex == 0 && n >= 4 ? GPR + (n - 4) * 8 + 1 : GPR + n * 8;
}

function sizeOf(width: u32): u32 {
  switch (width) {
    case W_BYTE: return 0;
    case W_V: return (rex & 8) != 0 ? 3 : o16 ? 1 : 2;
    case W_D64: return o16 && (rex & 8) == 0 ? 1 : code == 0 ? 3 : 2;
    case W_16: return 1;
    case W_32: return 2;
    case W_IO: return o16 ? 1 : 2;
    default: return code == 0 ? 3 : o16 ? 1 : 2;
  }
}

/** Fills operands and operation; returns the record after, or 0: undefined. */
function operands(first: usize, offset: u32, lock: bool): usize {
  ripRelative = false;
  let family: u32 = load<u16>(rule);
  const pattern: u32 = load<u8>(rule + 2);
  const size = sizeOf(load<u8>(rule + 3));
  const ruleFlags: u32 = load<u8>(rule + 5);
  const fixed: u32 = load<u16>(rule + 8);
  let record = first;
  let form: u32 = REGISTER;
  store<u16>(record + R_BASE, u16(ZERO));
  store<u16>(record + R_INDEX, u16(ZERO));
  store<u16>(record + R_SEGMENT, u16(code != 0 && segment == ZERO ? SEGMENTS + DS * SEGMENT_SIZE : segment));
  store<u8>(record + R_RM, 0xff);
  let reg: u32 = 0;
  let rm: u32 = 0;
  let inMemory = false;
  if (hasModrm(pattern)) {
    const modrm = byte();
    reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    inMemory = modrm < 0xc0;
    if (inMemory) {
      if (a16) address16(record, modrm);
      else address(record, modrm);
    } else {
      rm = (modrm & 7) | ((rex & 1) << 3);
      store<u8>(record + R_RM, u8(rm));
    }
    if (short) return 0;
    if (!inMemory && (ruleFlags & F_MEMORY) != 0) return 0;
  }
  if (lock && !(inMemory && (ruleFlags & F_LOCK) != 0)) return 0;
  const kind: u32 = load<u8>(rule + 4);
  immediate(record, kind, size, fixed);
  if (short) return 0;
  if (inMemory && ripRelative) store<i64>(record + R_DISPLACEMENT, load<i64>(record + R_DISPLACEMENT) + i64(offset) + i64(at - startAt));
  ripRelative = false;
  const regAt = register(reg, size);
  const rmAt = register(rm, size);
  const immediateAt = u32(record + R_IMMEDIATE);
  let dst: u32 = 0;
  let src: u32 = 0;
  switch (pattern) {
    case P_RM_R: case P_RM_R_I: case P_RM_R_CL:
      dst = rmAt;
      src = regAt;
      form = inMemory ? STORE : REGISTER;
      if (pattern == P_RM_R_CL) store<i64>(record + R_IMMEDIATE, -1);
      break;
    case P_R_RM: case P_R_RM_I:
      dst = regAt;
      src = sourceAt(family, rm, rmAt);
      form = inMemory ? LOAD : REGISTER;
      break;
    case P_RM_I: case P_RM_1: case P_RM_CL:
      dst = rmAt;
      src = pattern == P_RM_CL ? GPR + 8 : immediateAt;
      form = inMemory ? STORE : REGISTER;
      if (pattern == P_RM_1) store<i64>(record + R_IMMEDIATE, 1);
      break;
    case P_RM: case P_REG_RM:
      dst = rmAt;
      src = rmAt;
      form = inMemory ? STORE : REGISTER;
      break;
    case P_A_I:
      dst = GPR;
      src = immediateAt;
      break;
    case P_O: case P_O_I: case P_O_A: {
      const n = (lastOpcode & 7) | ((rex & 1) << 3);
      dst = register(n, size);
      src = pattern == P_O_I ? immediateAt : pattern == P_O_A ? GPR : dst;
      if (pattern == P_O_A && n == 0) family = NOP;
      break;
    }
    case P_R_M:
      dst = regAt;
      if (!inMemory) return 0;
      break;
    case P_A_MOFFS:
      dst = GPR;
      form = LOAD;
      break;
    case P_MOFFS_A:
      src = GPR;
      form = STORE;
      break;
    case P_I:
      src = immediateAt;
      break;
    default: break;
  }
  if (code == 0 && form == REGISTER && usesStack(family)) store<u16>(record + R_SEGMENT, u16(ZERO_STACK));
  store<u32>(record + R_DST, dst);
  store<u32>(record + R_SRC, src);
  store<u8>(record + R_SIZE, u8(size));
  store<u8>(record + R_REG, u8(reg));
  if (code != 0) family = legacyFamily(family, o16);
  let operation: u32 = family * 16 + form + (family == JMP ? 3 : size);
  if (family == JCC || family == L_JCC) operation = family * 16 + fixed;
  else if (family == SETCC) operation = (inMemory ? SETCC_STORE : SETCC) * 16 + fixed;
  else if (family == CMOV) operation = (inMemory ? CMOV_LOAD : CMOV) * 16 + fixed;
  else if (family == NOP) operation = NOP * 16;
  if (kind == I_REL8 || kind == I_REL32) store<i64>(record + R_DISPLACEMENT, load<i64>(record + R_IMMEDIATE) + i64(offset) + i64(at - startAt));
  if (kind == I_FIXED || (kind == I_REL8 && family != JCC && family != L_JCC)) store<i64>(record + R_IMMEDIATE, i64(fixed));
  store<u16>(record + R_OP, u16(operation));
  if (code != 0 && (inMemory || pattern == P_A_MOFFS || pattern == P_MOFFS_A)) record = located(record, family, form, size);
  else if (narrow && (inMemory || pattern == P_A_MOFFS || pattern == P_MOFFS_A)) record = narrowed(record);
  return record + RECORD;
}

/** The address is worked out and cut to 32 bits by a record of its own; the second uses what it left. */
function narrowed(record: usize): usize {
  const second = record + RECORD;
  memory.copy(second, record, RECORD);
  const moved = u32(record + R_IMMEDIATE);
  if (load<u32>(second + R_SRC) == moved) store<u32>(second + R_SRC, moved + u32(RECORD));
  store<u16>(second + R_BASE, u16(NARROWED));
  store<u16>(second + R_INDEX, u16(ZERO));
  store<i64>(second + R_DISPLACEMENT, 0);
  store<u16>(record + R_OP, u16(NARROW * 16));
  store<u16>(record + R_SEGMENT, u16(ZERO));
  return second;
}

/** In code of 16 and 32 bits the linear address is worked out and checked by a record of its own. */
function located(record: usize, family: u32, form: u32, size: u32): usize {
  const from: u32 = load<u16>(record, R_SEGMENT);
  const second = narrowed(record);
  const plain = family == LEA || family == NOP;
  if (plain) {
    store<u16>(record + R_OP, u16(NARROW * 16 + (a16 ? 2 : 0)));
    store<u16>(second + R_SEGMENT, u16(ZERO));
    return second;
  }
  const n = (from - SEGMENTS) / SEGMENT_SIZE;
  const which = load<u32>(record + R_IMMEDIATE);
  store<u16>(record + R_OP, u16(NARROW * 16 + 1));
  store<u16>(second + R_SEGMENT, u16(ZERO));
  store<u8>(record + R_REG, u8(n | (stores(family, form, which) ? 8 : 0) | (a16 ? 16 : 0)));
  store<u8>(record + R_RM, accessBytes(family, size, which));
  // the stack pointer of a POP is the one after it
  if (family == L_POP && load<u16>(record, R_BASE) == u16(GPR + 32)) store<i64>(record + R_DISPLACEMENT, load<i64>(record, R_DISPLACEMENT) + i64(1 << size));
  return second;
}

let lastOpcode: u32 = 0;
let ripRelative: bool = false;

/** Source registers of movzx and its like have their own size. */
function sourceAt(family: u32, rm: u32, usual: u32): u32 {
  if (family == MOVZX8 || family == MOVSX8) return register(rm, 0);
  if (family == MOVZX16 || family == MOVSX16 || family == MOVSX32) return register(rm, 2);
  return usual;
}

/** Its own accesses go by the stack segment. */
function usesStack(family: u32): bool {
  switch (family) {
    case PUSH: case POP: case CALL: case RET: case PUSHF: case POPF: case ENTER: case LEAVE: case IRET: case RET_FAR: case PUSH_SEGMENT: case POP_SEGMENT: return true;
    default: return false;
  }
}

function hasModrm(pattern: u32): bool {
  switch (pattern) {
    case P_RM_R: case P_R_RM: case P_RM_I: case P_RM: case P_RM_1: case P_RM_CL: case P_R_RM_I: case P_RM_R_I: case P_RM_R_CL: case P_R_M: case P_REG_RM: return true;
    default: return false;
  }
}

function address(record: usize, modrm: u32): void {
  const mod = modrm >> 6;
  const low = modrm & 7;
  let stack = false;
  let displaced: u32 = mod == 1 ? 1 : mod == 2 ? 4 : 0;
  if (low == 4) {
    const sib = byte();
    const base = (sib & 7) | ((rex & 1) << 3);
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if ((sib & 7) == 5 && mod == 0) displaced = 4;
    else {
      store<u16>(record + R_BASE, u16(GPR + base * 8));
      stack = base == 4 || base == 5;
    }
    if (index != 4) {
      store<u16>(record + R_INDEX, u16(GPR + index * 8));
      store<u8>(record + R_SCALE, u8(sib >> 6));
    }
  } else if (low == 5 && mod == 0) {
    displaced = 4;
    if (code == 0) {
      ripRelative = true;
      store<u16>(record + R_BASE, u16(PAGE_BASE));
    }
  } else {
    const base = low | ((rex & 1) << 3);
    store<u16>(record + R_BASE, u16(GPR + base * 8));
    stack = base == 5;
  }
  if (displaced != 0) store<i64>(record + R_DISPLACEMENT, signed(displaced));
  if (stack && segment == ZERO) store<u16>(record + R_SEGMENT, u16(code == 0 ? ZERO_STACK : SEGMENTS + SS * SEGMENT_SIZE));
}

/** Addresses of 16 bits: BX or BP, SI or DI, displacement (SDM 2A table 2-1). */
function address16(record: usize, modrm: u32): void {
  const mod = modrm >> 6;
  const low = modrm & 7;
  const absolute = low == 6 && mod == 0;
  const base: u32 = low == 0 || low == 1 || low == 7 ? 3 : low == 4 ? 6 : low == 5 ? 7 : 5;
  if (!absolute) store<u16>(record + R_BASE, u16(GPR + base * 8));
  if (low < 4) store<u16>(record + R_INDEX, u16(GPR + (6 + (low & 1)) * 8));
  const displaced: u32 = absolute || mod == 2 ? 2 : mod == 1 ? 1 : 0;
  if (displaced != 0) store<i64>(record + R_DISPLACEMENT, signed(displaced));
  if (base == 5 && !absolute && segment == ZERO) store<u16>(record + R_SEGMENT, u16(SEGMENTS + SS * SEGMENT_SIZE));
}

function immediate(record: usize, kind: u32, size: u32, fixed: u32): void {
  const at64 = record + R_IMMEDIATE;
  switch (kind) {
    case I_B: store<i64>(at64, i64(take(1))); break;
    case I_BS: case I_REL8: store<i64>(at64, signed(1)); break;
    case I_W: store<i64>(at64, i64(take(2))); break;
    case I_Z: store<i64>(at64, size == 0 ? signed(1) : size == 1 ? signed(2) : signed(4)); break;
    case I_V: store<i64>(at64, size == 0 ? signed(1) : size == 1 ? signed(2) : size == 2 ? signed(4) : signed(8)); break;
    case I_REL32: store<i64>(at64, signed(code != 0 && o16 ? 2 : 4)); break;
    case I_FAR: {
      const bytes: u32 = o16 ? 2 : 4;
      const offset = take(bytes);
      store<u64>(at64, offset | (take(2) << u64(bytes * 8)));
      break;
    }
    case I_WB: {
      const words = take(2);
      store<i64>(at64, i64(words | (take(1) << 16)));
      break;
    }
    case I_MOFFS: store<i64>(record + R_DISPLACEMENT, code != 0 ? i64(take(a16 ? 2 : 4)) : narrow ? i64(take(4)) : signed(8)); break;
    default: store<i64>(at64, i64(fixed));
  }
}
