/** What decoding 16- and 32-bit code needs to know of a family: its operation there, and how it touches its memory operand. */
import { JCC, JMP, JMP_TO, CALL, CALL_TO, CALL_FAR, CMP, CMPXCHG8B, BT, DIV, FPU_LOAD, FPU_STORE, IDIV, IMUL, INVLPG, JMP_FAR, L_CALL, L_CALL_TO, L_JCC, L_JMP, L_JMP_TO, L_POP, L_PUSH, L_RET, LAR, LGDT, LIDT, LLDT, LMSW,
  LSL, LTR, MOV_FROM_SEGMENT, MOV_TO_SEGMENT, MOVSX16, MOVSX8, MOVZX16, MOVZX8, MUL, POP, PUSH, RET, SETCC, SGDT, SIDT, SLDT, SMSW, STORE, STR, TEST, VERR, VERW, VMX_INSTRUCTION } from './ops';
import { CODE_KIND, g32 } from './state';

/** The stack has operations of its own, near branches where the code segment may refuse their target. */
export function legacyFamily(family: u32, o16: bool): u32 {
  const checked = o16 || g32(CODE_KIND) != 1;
  switch (family) {
    case PUSH: return L_PUSH;
    case POP: return L_POP;
    case JCC: return checked ? L_JCC : JCC;
    case JMP: return checked ? L_JMP : JMP;
    case JMP_TO: return L_JMP_TO;
    case CALL: return L_CALL;
    case CALL_TO: return L_CALL_TO;
    case RET: return L_RET;
    default: return family;
  }
}

/** Is the memory operand written? */
export function stores(family: u32, form: u32, which: u32): bool {
  if (family == VMX_INSTRUCTION) return which == VMPTRST || which == VMREAD;
  if (form != STORE) return false;
  switch (family) {
    case CMP: case TEST: case BT: case L_PUSH: case L_JMP_TO: case L_CALL_TO: case MUL: case IMUL: case DIV: case IDIV: case MOV_TO_SEGMENT: case LLDT: case LTR: case VERR: case VERW:
    case LMSW: case LGDT: case LIDT: case INVLPG: case JMP_FAR: case CALL_FAR: case FPU_LOAD: return false;
    default: return true;
  }
}

/** VMX instructions by their exit reasons. */
const VMPTRST: u32 = 22;
const VMREAD: u32 = 23;
const VMWRITE: u32 = 25;
const INVEPT: u32 = 50;
const INVVPID: u32 = 53;

/** Bytes of the memory operand, or of its first part (`behind` of legacy.ts). */
export function accessBytes(family: u32, size: u32, which: u32): u8 {
  switch (family) {
    case VMX_INSTRUCTION: return which == VMREAD || which == VMWRITE ? 4 : which == INVEPT || which == INVVPID ? 16 : 8;
    case MOVZX8: case MOVSX8: case SETCC: case INVLPG: return 1;
    case MOVZX16: case MOVSX16: case MOV_TO_SEGMENT: case MOV_FROM_SEGMENT: case LLDT: case LTR: case SLDT: case STR: case VERR: case VERW: case LMSW: case SMSW: case LAR: case LSL: return 2;
    case LGDT: case LIDT: case SGDT: case SIDT: return 6;
    case CMPXCHG8B: return 8;
    case FPU_STORE: case FPU_LOAD: return size == 1 ? 2 : 0; // 0: an FXSAVE image
    default: return <u8>(u32(1) << size);
  }
}
