/**
 * The last step of decoding: records of a block become cheaper ones that do the same. An address of base and displacement alone
 * has operations of its own (QUICK); flags that nothing can see are not worked out (QUIET): another operation writes all of them
 * before one reads them, may fault or ends the block; a comparison and the jump that follows are one record. What a budget cuts
 * within a block is decoded anew without this step (`decodePlain`), so every instruction is still a place to stop at.
 */
import { ZERO } from './layout';
import { ZERO_STACK } from './state';
import { B_END, B_HEADER, R_BASE, R_DISPLACEMENT, R_FLAGS, R_IMMEDIATE, R_INDEX, R_OP, R_SEGMENT, R_SRC, RECORD, RF_LAST } from './record';
import {
  ADD, AND, CMP, CMP_JUMP16, CMP_JUMP32, CMP_JUMP64, CMP_JUMP8, CONVERT_A, CONVERT_D, DEC, IMUL2, IMUL3, INC, JCC, LEA, LOAD, MOV, MOVSX32, MOVZX16, MOVZX8, NARROW, NEG, NOP, NOT, OR, QUICK_ADD32, QUICK_CMP32,
  QUICK_CMP_STORE32, QUICK_LEA32, QUICK_LOAD32, QUICK_MOVSX32, QUICK_MOVZX16, QUICK_MOVZX8, QUICK_STORE32, QUICK_STORE8, QUIET_ADD32, QUIET_AND32, QUIET_DEC32, QUIET_INC32, QUIET_OR32,
  QUIET_SAR32, QUIET_SHL32, QUIET_SHR32, QUIET_SUB32, QUIET_XOR32, RESULT_JUMP, ROL, ROR, SAR, SHIFT_ROL32, SHIFT_ROR32, SHIFT_SAR32, SHIFT_SHL32, SHIFT_SHR32, SHL, SHR, STORE, SUB, TEST,
  TEST_JUMP16, TEST_JUMP32, TEST_JUMP64, TEST_JUMP8, XCHG, XOR,
} from './ops';

export function specialise(block: usize): void {
  const first = block + B_HEADER;
  fuse(block, first);
  let live = true;
  for (let r: usize = load<u32>(block, B_END) - RECORD; r >= first; r -= RECORD) {
    const operation: u32 = load<u16>(r, R_OP);
    const effect = effectOf(r, operation);
    if (effect != NEUTRAL && !live) {
      const quiet = quietOf(r, operation);
      if (quiet != 0) {
        store<u16>(r, u16(quiet), R_OP);
        continue;
      }
    }
    if (effect != NEUTRAL) live = effect == READS;
    const quick = quickOf(r, operation);
    if (quick != 0) store<u16>(r, u16(quick), R_OP);
  }
}

const NEUTRAL: u32 = 0;
/** All six flags, none read, no fault. */
const WRITES: u32 = 1;
/** Flags are read, or can be seen by a handler. */
const READS: u32 = 2;

function effectOf(r: usize, operation: u32): u32 {
  if ((operation & 12) != 0) return operation >> 4 == NARROW || operation >> 4 == NOP ? NEUTRAL : READS;
  switch (operation >> 4) {
    case ADD: case OR: case AND: case SUB: case XOR: case CMP: case TEST: case NEG: case IMUL2: case IMUL3: return WRITES;
    case SHL: case SHR: case SAR: return counted(r, operation) ? WRITES : READS;
    case NARROW: return (operation & 15) == 1 ? READS : NEUTRAL;
    case MOV: case LEA: case NOT: case XCHG: case CONVERT_A: case CONVERT_D: case NOP: return NEUTRAL;
    default: return operation >> 4 >= u32(MOVZX8) && operation >> 4 <= u32(MOVSX32) ? NEUTRAL : READS;
  }
}

/** A shift of 32 or 64 bits by a count in the code that is not 0. */
function counted(r: usize, operation: u32): bool {
  return (operation & 15) >> 1 == 1 && load<u32>(r, R_SRC) == u32(r + R_IMMEDIATE) && (load<u8>(r, R_IMMEDIATE) & ((operation & 1) != 0 ? 63 : 31)) != 0;
}

/** The operation without flags; 0: there is none. */
function quietOf(r: usize, operation: u32): u32 {
  if ((operation & 15) >> 1 != 1) return 0;
  const wide = operation & 1;
  switch (operation >> 4) {
    case ADD: return QUIET_ADD32 + wide;
    case OR: return QUIET_OR32 + wide;
    case AND: return QUIET_AND32 + wide;
    case SUB: return QUIET_SUB32 + wide;
    case XOR: return QUIET_XOR32 + wide;
    case INC: return QUIET_INC32 + wide;
    case DEC: return QUIET_DEC32 + wide;
    case SHL: return counted(r, operation) ? QUIET_SHL32 + wide : 0;
    case SHR: return counted(r, operation) ? QUIET_SHR32 + wide : 0;
    case SAR: return counted(r, operation) ? QUIET_SAR32 + wide : 0;
    default: return 0;
  }
}

function quickOf(r: usize, operation: u32): u32 {
  const wide = operation & 1;
  const family = operation >> 4;
  if ((operation & 15) >> 1 == 1 && family >= u32(ROL) && family <= u32(SAR) && counted(r, operation)) {
    switch (family) {
      case SHL: return SHIFT_SHL32 + wide;
      case SHR: return SHIFT_SHR32 + wide;
      case SAR: return SHIFT_SAR32 + wide;
      case ROL: return SHIFT_ROL32 + wide;
      case ROR: return SHIFT_ROR32 + wide;
      default: return 0;
    }
  }
  const segment: usize = load<u16>(r, R_SEGMENT);
  if (load<u16>(r, R_INDEX) != u16(ZERO) || (segment != ZERO && segment != ZERO_STACK)) return 0;
  switch (operation & ~1) {
    case MOV * 16 + LOAD + 2: return QUICK_LOAD32 + wide;
    case MOV * 16 + STORE + 2: return QUICK_STORE32 + wide;
    case MOV * 16 + STORE: return wide == 0 ? QUICK_STORE8 : 0;
    case MOVZX8 * 16 + LOAD + 2: return wide == 0 ? QUICK_MOVZX8 : 0;
    case MOVZX16 * 16 + LOAD + 2: return wide == 0 ? QUICK_MOVZX16 : 0;
    case MOVSX32 * 16 + LOAD + 2: return wide == 1 ? QUICK_MOVSX32 : 0;
    case ADD * 16 + LOAD + 2: return QUICK_ADD32 + wide;
    case CMP * 16 + LOAD + 2: return QUICK_CMP32 + wide;
    case CMP * 16 + STORE + 2: return QUICK_CMP_STORE32 + wide;
    case LEA * 16 + 2: return load<u16>(r, R_BASE) == u16(ZERO) ? 0 : QUICK_LEA32 + wide;
    default: return 0;
  }
}

/** A jump takes in the operation before it, when that works on registers alone. */
function fuse(block: usize, first: usize): void {
  const last: usize = load<u32>(block, B_END) - RECORD;
  const jump: u32 = load<u16>(last, R_OP);
  if (last <= first || jump >> 4 != JCC) return;
  const before = last - RECORD;
  const operation = fusedOf(load<u16>(before, R_OP), jump & 15);
  if (operation == 0) return;
  store<u16>(before, u16(operation), R_OP);
  store<u64>(before, load<u64>(last, R_DISPLACEMENT), R_DISPLACEMENT);
  store<u8>(before, load<u8>(before, R_FLAGS) | RF_LAST, R_FLAGS);
  store<u32>(block, u32(last), B_END);
}

function fusedOf(operation: u32, condition: u32): u32 {
  switch (operation) {
    case CMP * 16: return CMP_JUMP8 + condition;
    case CMP * 16 + 1: return CMP_JUMP16 + condition;
    case CMP * 16 + 2: return CMP_JUMP32 + condition;
    case CMP * 16 + 3: return CMP_JUMP64 + condition;
    case TEST * 16: return TEST_JUMP8 + condition;
    case TEST * 16 + 1: return TEST_JUMP16 + condition;
    case TEST * 16 + 2: return TEST_JUMP32 + condition;
    case TEST * 16 + 3: return TEST_JUMP64 + condition;
    default: break;
  }
  if ((condition >> 1) != 2 || (operation & 15) >> 1 != 1) return 0;
  const n = (operation & 1) * 2 + (condition & 1);
  switch (operation >> 4) {
    case DEC: return RESULT_JUMP + n;
    case SUB: return RESULT_JUMP + 4 + n;
    case ADD: return RESULT_JUMP + 8 + n;
    case AND: return RESULT_JUMP + 12 + n;
    default: return 0;
  }
}
