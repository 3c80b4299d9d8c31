/**
 * The processor: `run` executes from RIP until the budget is spent or something outside must act, `enter` loads a guest from
 * the VMCS, the rest is what a host does to a processor. Code is decoded once into blocks (decode.ts, blocks.ts), executed from
 * records (execute.ts), and blocks that follow each other are linked, so a loop runs without asking the TLB again.
 *
 * Time: every instruction costs the cycles of its row in the instruction table (COSTS, read when it is decoded), a TLB miss
 * COST_WALK and COST_REFERENCE a table entry (paging.ts), delivery of an event COST_EVENT (interrupts.ts). What crossing between guest and host costs is the hypervisor's table.
 * Nothing depends on anything but the state in memory and the arguments of `run`.
 */
import {
  ACTIVITY, APIC_BASE, ARENA, COST_ENTRY, COST_EVENT, COST_EXIT, COST_REFERENCE, COST_WALK, COSTS, CURRENT_VMCS, CYCLES, DEVICE_PAGES, DEVICE_USED, DR6, DR7, FEATURE_CONTROL, INSTRUCTIONS, INTERRUPTIBILITY, LINE, LINE_ASKS, NMI_LINE, PAGE_BASE, PAT, RFLAGS, RIP, SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SIZE,
  SEGMENTS, STOP, STOP_BUDGET, STOP_DEVICE, STOP_EXIT, STOP_HALT, STOP_IO, STOP_SHUTDOWN, TRACE, TRACE_COUNT, TRACE_ON, TRACE_SIZE, TRACED, VMX, VMX_OPERATION, VOID_READ, CR0,
} from './layout';
import {
  CEILING, CROSSED, CURRENT, A_HALT, A_INTERRUPT, A_STEP, A_STOP, ARENA_TOP, ATTENTION, E_LENGTH, F_IF, F_RF, F_TF, FOLLOWER, g32, g64, guest, IO_SIZE, PEND, PEND_DEVICE, PEND_EXCEPTION,
  PEND_NONE, PENDING_MTF, raise, REP_LIMIT, s32, s64, setPrivilege, TIMER, X_KIND,
} from './state';
import { B_COUNT, B_CYCLES, B_END, B_HEADER, B_KEY, R_CYCLES, R_OFFSET, R_OP, R_ORDINAL, RECORD } from './record';
import { flushPage, flushTlb, tagInForce } from './memory';
import { DEAD, dropAllCode, unpatch } from './blocks';
import { decodePlain } from './decode';
import { current } from './fetch';
import { STOP as STOP_OP } from './ops';
import { execute } from './execute';
import { ROW_COUNT, ROWS } from './tables';
import { resetFpu } from './fpu';
import { flags, setFlagsWhole } from './flags';
import { deliver, deliverPending } from './interrupts';
import { refreshAttention } from './attention';
import { exitGuest, exitPlain, exitWithEvent, left } from './vmx/exit';
import { EXIT_ACKNOWLEDGE, EXIT_CONTROLS, field32, MONITOR_TRAP, NMI_WINDOW, PIN_BASED_CONTROLS, PIN_EXTERNAL, PIN_NMI, PRIMARY_PROCESSOR_CONTROLS, WINDOW } from './vmx/fields';
import { finishIo as finish, identify, rdmsr as readMsr, wrmsr as writeMsr } from './system';
import { enter as enterGuest } from './vmx/entry';
import { modeChanged as modeFollows, privilegeFromStack } from './mode';

export { flushTlb, flushEpt, flushVpid, probe } from './memory';
export { dropCode } from './blocks';

const CONTINUE: i32 = -1;
const EVENT: i32 = -2;
const PHYSICAL: u64 = 0xffffffffffffff;

/** Power-on: what SDM 3A table 9-1 says, as far as it exists here. */
export function reset(): void {
  setFlagsWhole(2);
  s64(CR0, 0x60000010);
  s64(PAT, 0x0007040600070406);
  s64(APIC_BASE, 0xfee00900);
  s64(FEATURE_CONTROL, 5);
  s64(CURRENT_VMCS, ~u64(0));
  s32(VMX, 0);
  s32(VMX_OPERATION, 0);
  s32(COST_ENTRY, 500);
  s32(COST_EXIT, 500);
  s64(DR6, 0xffff0ff0);
  s64(DR7, 0x400);
  s64(TIMER, ~u64(0));
  s32(REP_LIMIT, 4096);
  memory.fill(VOID_READ, 0xff, 4096);
  for (let n: u32 = 0; n < 8; n++) s32(SEGMENTS + n * SEGMENT_SIZE + SEGMENT_RIGHTS, n < 6 ? 0x93 : 0x10000);
  for (let n: u32 = 0; n < 10; n++) s32(SEGMENTS + n * SEGMENT_SIZE + SEGMENT_LIMIT, 0xffff);
  memory.copy(COSTS, ROWS, usize(ROW_COUNT << 1));
  s32(COST_EVENT, 60);
  s32(COST_WALK, 7);
  s32(COST_REFERENCE, 12);
  memory.fill(DEVICE_PAGES, 0xff, 64);
  resetFpu();
  setPrivilege(0);
  s32(ARENA_TOP, ARENA);
  dropAllCode();
  flushTlb();
  modeFollows();
}

/** At most so many cycles and instructions more; the reason why it stopped. */
export function run(cycles: u64, instructions: u64): i32 {
  const reason = loop(g64(CYCLES) + min<u64>(cycles, 1 << 62), g64(INSTRUCTIONS) + min<u64>(instructions, 1 << 62));
  flags();
  s32(STOP, reason);
  return reason;
}

function loop(limit: u64, most: u64): i32 {
  let block: usize = 0;
  let events: u64 = 0;
  s32(PEND, PEND_NONE);
  refreshAttention();
  while (true) {
    if (g32(ATTENTION) != 0) {
      if ((g32(ATTENTION) & A_STOP) != 0) return g32(IO_SIZE) != 0 ? STOP_IO : STOP_DEVICE;
      if (g64(CYCLES) >= limit || g64(INSTRUCTIONS) + events >= most) return STOP_BUDGET;
      const r = attend(limit);
      if (r >= 0) return r;
      block = 0;
      if (r == EVENT) {
        events++;
        continue;
      }
    }
    if (g64(CYCLES) >= limit || g64(INSTRUCTIONS) + events >= most) return STOP_BUDGET;
    if (g64(CYCLES) >= g64(TIMER)) {
      exitPlain(52, 0);
      if (left() >= 0) return STOP_EXIT;
      block = 0;
      continue;
    }
    if (block == 0) {
      block = current();
      if (block == 0) {
        const r = fault();
        if (r >= 0) return r;
        events++;
        continue;
      }
    }
    const ceiling = min<u64>(limit, g64(TIMER));
    s64(CEILING, ceiling);
    const alone = (g32(ATTENTION) | g32(TRACE_ON)) != 0;
    const step = (g32(ATTENTION) & A_STEP) != 0;
    const before = g64(RFLAGS);
    const shadow = g32(INTERRUPTIBILITY) & 3;
    s32(CROSSED, 0);
    const at = alone || !fits(block, ceiling, most - events) ? part(block, ceiling, alone ? 1 : most - g64(INSTRUCTIONS) - events) : execute(block, ceiling, most - events);
    block = g32(FOLLOWER);
    s32(CURRENT, 0);
    unpatch();
    if (at != 0) stopAt(at);
    if (g32(PEND) != PEND_NONE) {
      const r = fault();
      if (r >= 0) return r;
      events++;
      block = 0;
      if (step && guest() && (field32(PRIMARY_PROCESSOR_CONTROLS) & MONITOR_TRAP) != 0) {
        exitPlain(37, 0);
        if (left() >= 0) return STOP_EXIT;
      }
    } else if (step) {
      const r = stepped(before, shadow);
      if (r >= 0) return r;
      block = 0;
    }
  }
}

@inline function fits(block: usize, ceiling: u64, most: u64): bool {
  return g64(CYCLES) + u64(load<u32>(block, B_CYCLES)) <= ceiling && g64(INSTRUCTIONS) + u64(load<u32>(block, B_COUNT)) <= most;
}

/** The first instructions of a block and no more: at most `room`, none that begins at `ceiling`. They are decoded anew, one record each. */
function part(block: usize, ceiling: u64, room: u64): usize {
  const whole = load<u64>(block, B_KEY) == DEAD;
  const plain = whole ? block : decodePlain(load<u64>(block, B_KEY) & PHYSICAL, u32(min<u64>(room, u64(load<u32>(block, B_COUNT)))));
  const last: usize = load<u32>(plain, B_END);
  const end = cut(plain + B_HEADER, last, room, ceiling - g64(CYCLES));
  if (end != last) store<u16>(end, u16(STOP_OP), R_OP);
  if (g32(TRACE_ON) != 0) trace();
  return execute(plain, 0, 0);
}

/** The records before this one are done, this one is not. */
function stopAt(at: usize): void {
  s64(RIP, g64(PAGE_BASE) + u64(load<u16>(at, R_OFFSET)));
  s64(CYCLES, g64(CYCLES) + u64(load<u16>(at, R_CYCLES)));
  s64(INSTRUCTIONS, g64(INSTRUCTIONS) + u64(load<u16>(at, R_ORDINAL)));
}

/** Where to stop so that no more than `room` instructions begin, none after `ceiling` cycles. */
function cut(first: usize, last: usize, room: u64, ceiling: u64): usize {
  let p = first;
  while (p < last && (load<u16>(p, R_ORDINAL) == 0 || (u64(load<u16>(p, R_ORDINAL)) < room && u64(load<u16>(p, R_CYCLES)) < ceiling))) p += RECORD;
  return p;
}

/** An instruction did not complete: its exception is delivered or the guest is left. */
function fault(): i32 {
  if (g32(PEND) == PEND_DEVICE) {
    s32(PEND, PEND_NONE);
    s32(DEVICE_USED, 0);
    return STOP_DEVICE;
  }
  s32(DEVICE_USED, 0);
  if (g32(PEND) == PEND_EXCEPTION) {
    if (g32(X_KIND) != 3) s64(INSTRUCTIONS, g64(INSTRUCTIONS) + 1);
    return deliverPending();
  }
  s32(PEND, PEND_NONE);
  exitGuest(0, 0, g32(E_LENGTH));
  return left();
}

/** After one instruction in step: the shadow ends, RF ends, TF traps, the monitor trap fires. */
function stepped(before: u64, shadow: u32): i32 {
  if (g32(CROSSED) != 0) return CONTINUE;
  if (shadow != 0) s32(INTERRUPTIBILITY, g32(INTERRUPTIBILITY) & ~shadow);
  if ((before & F_RF) != 0) s64(RFLAGS, g64(RFLAGS) & ~F_RF);
  refreshAttention();
  if ((before & F_TF) != 0 && (g32(INTERRUPTIBILITY) & 2) == 0) {
    s64(DR6, g64(DR6) | 0x4000);
    raise(1, 0, false);
    const r = deliverPending();
    if (r >= 0) return r;
  }
  if (guest() && (field32(PRIMARY_PROCESSOR_CONTROLS) & MONITOR_TRAP) != 0) {
    exitPlain(37, 0);
    return left();
  }
  return CONTINUE;
}

/** Something asks for attention between two instructions; CONTINUE: go on, one at a time when stepping. */
function attend(limit: u64): i32 {
  const why = g32(ATTENTION);
  if (g32(PENDING_MTF) != 0) {
    exitPlain(37, 0);
    return left();
  }
  if ((why & A_INTERRUPT) != 0 && (g32(INTERRUPTIBILITY) & 3) == 0) {
    const r = interrupt();
    if (r != CONTINUE) return r;
  }
  return (why & A_HALT) != 0 ? idle(limit) : CONTINUE;
}

/** Nothing executes; in a guest the preemption timer goes on in HLT and shutdown (SDM 3C 26.5.1). */
function idle(limit: u64): i32 {
  const activity = g32(ACTIVITY);
  if (!guest() || g64(TIMER) == ~u64(0) || activity == 3) return activity == 2 ? STOP_SHUTDOWN : STOP_HALT;
  s64(CYCLES, min<u64>(limit, max<u64>(g64(CYCLES), g64(TIMER))));
  if (g64(CYCLES) < g64(TIMER)) return STOP_BUDGET;
  exitPlain(52, 0);
  return left();
}

/** By priority: NMI, windows, external interrupts (SDM 3A 6.9, SDM 3C 26.2). */
function interrupt(): i32 {
  const pin = guest() ? field32(PIN_BASED_CONTROLS) : 0;
  const primary = guest() ? field32(PRIMARY_PROCESSOR_CONTROLS) : 0;
  const on = (g64(RFLAGS) & F_IF) != 0;
  if (g32(NMI_LINE) != 0 && (g32(INTERRUPTIBILITY) & 8) == 0) {
    s32(NMI_LINE, 0);
    if ((pin & PIN_NMI) == 0) return delivered(2, 2);
    exitWithEvent(0x80000202, 0, 0, 0, 0, 0);
    return left();
  }
  if ((primary & NMI_WINDOW) != 0 && (g32(INTERRUPTIBILITY) & 8) == 0) {
    exitPlain(8, 0);
    return left();
  }
  if ((primary & WINDOW) != 0 && on) {
    exitPlain(7, 0);
    return left();
  }
  const line = g32(LINE);
  if (line == 0) return CONTINUE;
  if ((pin & PIN_EXTERNAL) != 0) {
    if ((field32(EXIT_CONTROLS) & EXIT_ACKNOWLEDGE) == 0) exitPlain(1, 0);
    else {
      if (line == LINE_ASKS) return STOP_BUDGET;
      s32(LINE, 0);
      exitWithEvent(0x80000000 | (line & 255), 0, 0, 0, 0, 0);
    }
    return left();
  }
  if (!on) return CONTINUE;
  if (line == LINE_ASKS) return STOP_BUDGET;
  s32(LINE, 0);
  return delivered(line & 255, 0);
}
function delivered(vector: u32, kind: u32): i32 {
  const r = deliver(vector, kind, 0, false, 0, false);
  refreshAttention();
  return r >= 0 ? r : EVENT;
}

function trace(): void {
  const n = g64(TRACED);
  const at = TRACE + u32(n % TRACE_COUNT) * TRACE_SIZE;
  s64(at, g64(RIP));
  s64(at + 8, g64(CYCLES));
  s64(TRACED, n + 1);
}

// ---- what the host does

/** INVLPG of the loaded state. */
export function invlpg(address: u64): void { flushPage(address, tagInForce()); }

export function enter(launched: u32): i32 { return enterGuest(launched); }
export function leave(reason: u32, qualification: u64): void {
  if (guest()) exitPlain(reason, qualification);
}
export function finishIo(value: u64): void {
  finish(value);
  refreshAttention();
}
export function setFlags(value: u64): void {
  setFlagsWhole(value);
  refreshAttention();
}
export function modeChanged(): void {
  privilegeFromStack();
  modeFollows();
}
export function rdmsr(index: u32): i32 { return readMsr(index); }
export function wrmsr(index: u32, value: u64): i32 { return writeMsr(index, value); }
/** CPUID's answer into the first four payload slots. */
export function cpuid(leaf: u32, subleaf: u32): void { identify(leaf, subleaf); }
