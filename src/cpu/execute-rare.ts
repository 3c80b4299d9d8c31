/** Operations outside the inner loop, by family. False: not done, `pend` says why. */
import { CPL, RFLAGS, TRAP_SILENT, TRAPS } from './layout';
import { F_AC, F_DF, g32, g64, gp, leave, s64, trap, ud } from './state';
import { R_FLAGS, R_IMMEDIATE, R_LENGTH, R_OP, R_REG, RF_RING0 } from './record';
import { cf, setCarry } from './flags';
import { bitTest, byteSwap, compareExchange, compareExchangeWide, countBits, divide, doubleShift, exchangeAdd, multiplyWide, scanBits } from './arithmetic';
import { enter, lahf, leaveFrame, loop, popFlags, pushFlags, sahf, translateByte } from './stack';
import { stringOperation } from './strings';
import { clearOrSetInterrupts, cpuid, halt, machineStatus, portIn, portOut, readCounter, readMsrs, readTime, writeMsrs } from './system';
import { clearTaskSwitched, fromControl, fromDebug, invalidatePage, invalidatePcid, loadMachineStatus, toControl, toDebug } from './control';
import { accessRights, fromSegment, loadFarPointer, loadLocal, loadTable, loadTask, popSegment, pushSegment, storeSelector, storeTable, swapGs, toSegment, verify } from './segments';
import { callFar, jumpFar } from './transfer';
import { interruptReturn, returnFar } from './returns';
import { systemCall, systemEnter, systemExit, systemReturn } from './fast-calls';
import { fpuLoad, fpuPlain, fpuStore } from './fpu';
import { adjustPrivilege, ascii, asciiDivide, asciiMultiply, bound, call, callTo, carryToAl, decimal, jump, jumpIf, jumpTo, legacy, overflowTrap, pop, popAll, push, pushAll, returnNear } from './legacy';
import { PRIMARY_PROCESSOR_CONTROLS, field32 } from './vmx/fields';
import { monitorOrWait } from './monitor';
import { vmcall, vmxInstruction } from './vmx/instructions';
import { guest } from './state';
import { flushFast } from './memory';
import {
  AAA, AAD, AAM, AAS, ARPL, BOUND, DAA, DAS, INTO, L_CALL, L_CALL_TO, L_JCC, L_JMP, L_JMP_TO, L_POP, L_PUSH, L_RET, POPA, PUSHA, SALC,
  BSF, BSR, BSWAP, BT, BTC, BTR, BTS, CALL_FAR, CLC, CLD, CLI, CLTS, CMC, CMPS, CMPXCHG, CMPXCHG8B, CPUID, DIV, ENTER, HLT, IDIV, IMUL, IN, INS, INT, INT1, INT3, INVD, INVLPG, INVPCID, IRET,
  JMP_FAR, LAHF, LAR, LEAVE, LGDT, LIDT, LLDT, LMSW, LOAD_FAR_POINTER, LODS, LOOP, LSL, LTR, MONITOR, MOV_FROM_CR, MOV_FROM_DR, MOV_FROM_SEGMENT, MOV_TO_CR, MOV_TO_DR, MOV_TO_SEGMENT, MOVS, MUL, OUT, OUTS,
  PAUSE, POP_SEGMENT, POPCNT, POPF, PUSH_SEGMENT, PUSHF, RDMSR, RDPMC, RDTSC, RDTSCP, RET_FAR, SAHF, SCAS, SET_AC, SGDT, SHLD, SHRD, SIDT, SLDT, SMSW, STC, STD, STI, STOS, STR, SWAPGS, SYSCALL,
  FPU, FPU_LOAD, FPU_STORE, SYSENTER, SYSEXIT, SYSRET, UD, VERR, VERW, VMCALL, VMX_INSTRUCTION, WBINVD, WRMSR, XADD, XLAT,
} from './ops';

export function executeRare(p: usize): bool {
  if ((load<u8>(p, R_FLAGS) & RF_RING0) != 0 && g32(CPL) != 0) return gp(0);
  const operation: u32 = load<u16>(p, R_OP);
  const family = operation >> 4;
  const length: u32 = load<u8>(p, R_LENGTH);
  if (g32(TRAPS) == 2 && g32(CPL) != 3 && silent(p, family)) return trap(TRAP_SILENT, 4, length);
  switch (family) {
    case MUL: case IMUL: return multiplyWide(p, family == IMUL);
    case DIV: case IDIV: return divide(p, family == IDIV);
    case BT: case BTS: case BTR: case BTC: return bitTest(p, family);
    case SHLD: case SHRD: return doubleShift(p, family == SHLD);
    case BSF: case BSR: return scanBits(p, family == BSF);
    case POPCNT: return countBits(p);
    case BSWAP: return byteSwap(p);
    case CMPXCHG: return compareExchange(p);
    case XADD: return exchangeAdd(p);
    case CMPXCHG8B: return compareExchangeWide(p);
    case LOOP: return loop(p);
    case CLC: setCarry(false); return true;
    case STC: setCarry(true); return true;
    case CMC: setCarry(!cf()); return true;
    case CLD: s64(RFLAGS, g64(RFLAGS) & ~F_DF); return true;
    case STD: s64(RFLAGS, g64(RFLAGS) | F_DF); return true;
    case LAHF: return lahf();
    case SAHF: return sahf();
    case PUSHF: return pushFlags(p);
    case POPF: return popFlags(p);
    case ENTER: return enter(p);
    case LEAVE: return leaveFrame(p);
    case XLAT: return translateByte(p);
    case MOVS: case CMPS: case STOS: case LODS: case SCAS: case INS: case OUTS: return stringOperation(p, family);
    case IN: return portIn(p);
    case OUT: return portOut(p);
    case CLI: return clearOrSetInterrupts(false);
    case STI: return clearOrSetInterrupts(true);
    case HLT: return halt(length);
    case CPUID: return cpuid(length);
    case RDTSC: return readTime(p, false);
    case RDTSCP: return readTime(p, true);
    case RDPMC: return readCounter(length);
    case RDMSR: return readMsrs(length);
    case WRMSR: return writeMsrs(length);
    case MOV_FROM_CR: return fromControl(p);
    case MOV_TO_CR: return toControl(p);
    case MOV_FROM_DR: return fromDebug(p);
    case MOV_TO_DR: return toDebug(p);
    case CLTS: return clearTaskSwitched(length);
    case LMSW: return loadMachineStatus(p);
    case SMSW: return machineStatus(p);
    case INVLPG: return invalidatePage(p);
    case INVPCID: return invalidatePcid(p);
    case LGDT: case LIDT: return loadTable(p, family == LGDT);
    case SGDT: case SIDT: return storeTable(p, family == SGDT);
    case LLDT: return loadLocal(p);
    case LTR: return loadTask(p);
    case SLDT: case STR: return storeSelector(p, family == SLDT);
    case LAR: case LSL: return accessRights(p, family == LAR);
    case VERR: case VERW: return verify(p, family == VERW);
    case MOV_FROM_SEGMENT: return fromSegment(p);
    case MOV_TO_SEGMENT: return toSegment(p);
    case PUSH_SEGMENT: return pushSegment(p);
    case POP_SEGMENT: return popSegment(p);
    case LOAD_FAR_POINTER: return loadFarPointer(p);
    case INT: return trap(load<u32>(p, R_IMMEDIATE), 4, length);
    case INT3: return trap(3, 6, length);
    case INT1: return trap(1, 5, length);
    case IRET: return interruptReturn(p);
    case SYSCALL: return legacy() ? ud() : systemCall(p);
    case SYSRET: return legacy() ? ud() : systemReturn(p);
    case SYSENTER: return systemEnter(p);
    case SYSEXIT: return systemExit(p);
    case FPU: return fpuPlain(p);
    case FPU_STORE: return fpuStore(p);
    case FPU_LOAD: return fpuLoad(p);
    case SWAPGS: return legacy() ? ud() : swapGs();
    case JMP_FAR: return jumpFar(p);
    case CALL_FAR: return callFar(p);
    case RET_FAR: return returnFar(p);
    case WBINVD: return cacheExit(length, 54);
    case INVD: return cacheExit(length, 13);
    case PAUSE: return guest() && (field32(PRIMARY_PROCESSOR_CONTROLS) & (1 << 30)) != 0 ? leave(40, 0, length) : true;
    case SET_AC: return setAccessCheck(load<u32>(p, R_IMMEDIATE) != 0);
    case MONITOR: return monitorOrWait(p);
    case VMCALL: return vmcall(length);
    case VMX_INSTRUCTION: return vmxInstruction(p);
    case L_PUSH: return push(p);
    case L_POP: return pop(p);
    case L_JCC: return jumpIf(p);
    case L_JMP: return jump(p);
    case L_JMP_TO: return jumpTo(p);
    case L_CALL: return call(p);
    case L_CALL_TO: return callTo(p);
    case L_RET: return returnNear(p);
    case PUSHA: return pushAll(p);
    case POPA: return popAll(p);
    case DAA: case DAS: return decimal(family == DAS);
    case AAA: case AAS: return ascii(family == AAS);
    case AAM: return asciiMultiply(p);
    case AAD: return asciiDivide(p);
    case BOUND: return bound(p);
    case INTO: return overflowTrap(p);
    case ARPL: return adjustPrivilege(p);
    case SALC: return carryToAl();
    case UD: return (operation & 15) == 1 ? gp(0) : ud();
    default: return ud();
  }
}

/** Sensitive, and not privileged (Robin and Irvine 2000). */
function silent(p: usize, family: u32): bool {
  switch (family) {
    case PUSHF: case POPF: case IRET: case RET_FAR: case SGDT: case SIDT: case SLDT: case STR: case SMSW: case LAR: case LSL: case VERR: case VERW: case CPUID: return true;
    case MOV_FROM_SEGMENT: return (u32(load<u8>(p, R_REG)) - 1) < 2;
    default: return false;
  }
}

/** INVD always leaves a guest; WBINVD when the secondary control says so. */
function cacheExit(length: u32, reason: u32): bool {
  if (!guest()) return true;
  if (reason == 13) return leave(13, 0, length);
  const secondary: u32 = (field32(PRIMARY_PROCESSOR_CONTROLS) >> 31) != 0 ? field32(0x401e) : 0;
  return (secondary & 0x40) != 0 ? leave(54, 0, length) : true;
}

/** STAC, CLAC: only in ring 0, else #UD. */
function setAccessCheck(on: bool): bool {
  if (g32(CPL) != 0) return ud();
  s64(RFLAGS, on ? g64(RFLAGS) | F_AC : g64(RFLAGS) & ~F_AC);
  flushFast();
  return true;
}
