/**
 * One instruction of the guest's kernel done by the monitor, on the virtual processor: what trapped because the kernel has lost
 * ring 0, or what its translation calls out for. Order of checks and results are the processor's own (src/cpu); nothing is
 * changed before the last thing that can fault. Sources: SDM 2 of each instruction.
 */
import { enabled } from '../../machine/devices/apic.ts';
import { DR0, DR6, DR7 } from '../../../cpu/layout.ts';
import { general, segment, setGeneral, setSegment, setSlot, slot } from '../../machine/machine.ts';
import { cpuid } from '../cpuid.ts';
import type { Vm, VmExit } from '../vm.ts';
import type { Parts } from '../../machine/isa/parts.ts';
import { deliver, EXCEPTION, SOFTWARE, systemCall, systemEnter, systemExit, systemReturn } from './deprivilege-deliver.ts';
import { canonical, gp, missing, readNumber, stopped, ud, writeAt, bytesOf } from './deprivilege-memory.ts';
import { readVirtualMsr, writeVirtualMsr } from './deprivilege-msr.ts';
import { after, type Emulation, getRegister, ioplAllows, linearOf, next, putRegister, readRm, reachOf, SEGMENT_ORDER, writeRm } from './deprivilege-operands.ts';
import { ports } from './deprivilege-ports.ts';
import { inLongCode, inspect, loadSegment, loadSystem, longMode, verify } from './deprivilege-segments.ts';
import { invalidate, invalidateAll, writeControl } from './deprivilege-shadow.ts';
import { drop, peek, push, setStackPointer, stackPointer } from './deprivilege-stack.ts';
import { farReturn, farTransfer, interruptReturn } from './deprivilege-transfer.ts';
import { control, IF, inReal, IOPL, setControl, own, RF, SCE, setTable, setVcpu, setVirtualFlags, table, TF, vcpu, virtualCpl, virtualFlags, virtualSegment } from './deprivilege-state.ts';

/** Null: done, the guest goes on. */
type Result = VmExit | null;
type Rule = (e: Emulation) => Result;

const kernelOnly = (rule: Rule): Rule => (e) => {
  if (virtualCpl(e.vm) !== 0) throw gp();
  return rule(e);
};

// ---- flags and interrupts

const interruptFlag = (on: boolean): Rule => (e) => {
  if (!ioplAllows(e.vm)) throw gp();
  const turned = on && vcpu(e.vm, 'interrupts') === 0n;
  setVcpu(e.vm, 'interrupts', on ? IF : 0n);
  next(e);
  own(e.vm).shadow = turned;
  return null;
};

const halt = kernelOnly((e) => {
  next(e);
  e.vm.halted = true;
  return null;
});

const stackSize = (d: Parts): 2 | 4 | 8 => (d.o16 && (d.rex & 8) === 0 ? 2 : d.bits === 64 ? 8 : 4);

const pushFlags: Rule = (e) => {
  const size = stackSize(e.d);
  push(e.vm, [virtualFlags(e.vm) & ~(RF | 0x2_0000n)], size);
  return next(e);
};

const popFlags: Rule = (e) => {
  const { vm, d } = e;
  const size = stackSize(d);
  const given = peek(vm, 0, size);
  const cpl = virtualCpl(vm);
  let may = 0x24_4cd5n | TF;
  if (cpl === 0) may |= IOPL;
  if (ioplAllows(vm)) may |= IF;
  if (size === 2) may &= 0xffffn;
  setVirtualFlags(vm, (virtualFlags(vm) & ~may & ~RF) | (given & may));
  drop(vm, size);
  return next(e);
};

const software = (vector: (d: Parts) => number, type: number): Rule => ({ vm, d }) => {
  deliver(vm, { vector: vector(d), type, error: null, length: d.length });
  return null;
};

const overflow: Rule = (e) => {
  if ((virtualFlags(e.vm) & 0x800n) === 0n) return next(e);
  deliver(e.vm, { vector: 4, type: 6, error: null, length: e.d.length });
  return null;
};

// ---- tables, segments

const protectedOnly = (rule: Rule): Rule => (e) => {
  if (inReal(e.vm)) throw ud();
  return rule(e);
};

const storeTable = (name: 'gdt' | 'idt'): Rule => (e) => {
  const { base, limit } = table(e.vm, name);
  const bytes = new Uint8Array(10);
  bytes.set(bytesOf(BigInt(limit), 2));
  bytes.set(bytesOf(base, 8), 2);
  writeAt(e.vm, linearOf(e.vm, e.d, e.rip), e.d.bits === 64 ? bytes : bytes.subarray(0, 6), reachOf(e.vm));
  return next(e);
};

const loadTable = (name: 'gdt' | 'idt'): Rule => kernelOnly((e) => {
  const at = linearOf(e.vm, e.d, e.rip);
  const limit = Number(readNumber(e.vm, at, 2));
  const base = readNumber(e.vm, BigInt.asUintN(64, at + 2n), e.d.bits === 64 ? 8 : 4) & (e.d.bits !== 64 && e.d.o16 ? 0xff_ffffn : ~0n);
  if (e.d.bits === 64 && !canonical(base)) throw gp();
  setTable(e.vm, name, { base, limit });
  return next(e);
});

const storeSelector = (name: 'ldt' | 'tr'): Rule => (e) => {
  const value = BigInt(virtualSegment(e.vm, name).selector);
  writeRm(e.vm, e.d, e.rip, e.d.memory ? 2 : e.d.size, value);
  return next(e);
};

const loadSystemSegment = (name: 'ldt' | 'tr'): Rule => kernelOnly((e) => {
  loadSystem(e.vm, name, Number(readRm(e.vm, e.d, e.rip, 2)));
  return next(e);
});

const setZero = (e: Emulation, good: boolean): void => {
  const flags = virtualFlags(e.vm);
  setVirtualFlags(e.vm, good ? flags | 0x40n : flags & ~0x40n);
};

const look = (wantsRights: boolean): Rule => (e) => {
  const value = inspect(e.vm, Number(readRm(e.vm, e.d, e.rip, 2)), wantsRights);
  if (value !== null) putRegister(e.vm, e.d.reg, e.d.size, value);
  setZero(e, value !== null);
  return next(e);
};

const verifies = (writes: boolean): Rule => (e) => {
  setZero(e, verify(e.vm, Number(readRm(e.vm, e.d, e.rip, 2)), writes));
  return next(e);
};

const fromSegment: Rule = (e) => {
  const name = SEGMENT_ORDER[e.d.reg & 7];
  if (!name) throw ud();
  writeRm(e.vm, e.d, e.rip, e.d.memory ? 2 : e.d.size, BigInt(virtualSegment(e.vm, name).selector));
  return next(e);
};

type DataName = 'es' | 'ss' | 'ds' | 'fs' | 'gs';
function putSegment(e: Emulation, name: DataName, selector: number): void {
  loadSegment(e.vm, name, selector);
}

const toSegment: Rule = (e) => {
  const name = SEGMENT_ORDER[e.d.reg & 7];
  if (!name || name === 'cs') throw ud();
  putSegment(e, name, Number(readRm(e.vm, e.d, e.rip, 2)));
  next(e);
  own(e.vm).shadow = name === 'ss';
  return null;
};

/** Outside 64-bit code four bytes are taken and two written. */
const pushSegment = (name: DataName | 'cs'): Rule => (e) => {
  const { vm } = e;
  const selector = BigInt(virtualSegment(vm, name).selector);
  const size = stackSize(e.d);
  if (size !== 4) push(vm, [selector], size);
  else {
    const top = stackPointer(vm);
    setStackPointer(vm, top - 2n);
    try {
      push(vm, [selector], 2);
    } catch (thrown) {
      setStackPointer(vm, top);
      throw thrown;
    }
  }
  return next(e);
};

const popSegment = (name: DataName): Rule => (e) => {
  const size = stackSize(e.d);
  const selector = Number(peek(e.vm, 0, size) & 0xffffn);
  const top = stackPointer(e.vm) + BigInt(size);
  putSegment(e, name, selector);
  setStackPointer(e.vm, top);
  next(e);
  own(e.vm).shadow = name === 'ss';
  return null;
};

const farPointer = (name: DataName): Rule => (e) => {
  const at = linearOf(e.vm, e.d, e.rip);
  const offset = readNumber(e.vm, at, e.d.size, reachOf(e.vm));
  putSegment(e, name, Number(readNumber(e.vm, BigInt.asUintN(64, at + BigInt(e.d.size)), 2, reachOf(e.vm))));
  putRegister(e.vm, e.d.reg, e.d.size, offset);
  next(e);
  own(e.vm).shadow = name === 'ss';
  return null;
};

// ---- control transfers

const returns: Rule = ({ vm, d }) => {
  interruptReturn(vm, d.size);
  own(vm).shadow = false;
  return null;
};

const farReturns: Rule = ({ vm, d }) => {
  farReturn(vm, d.size, d.opcode === 0xca ? Number(BigInt.asUintN(16, d.immediate)) : 0);
  own(vm).shadow = false;
  return null;
};

/** The pointer in the instruction. */
const farDirect = (call: boolean): Rule => (e) => {
  const { vm, d } = e;
  const width = 8 * d.size;
  farTransfer(vm, BigInt.asUintN(width, d.immediate), Number(BigInt.asUintN(16, d.immediate >> BigInt(width))), call ? { back: after(e), size: d.size } : null);
  own(vm).shadow = false;
  return null;
};

const farGoes = (call: boolean): Rule => (e) => {
  const { vm, d } = e;
  const at = linearOf(vm, d, e.rip);
  const target = readNumber(vm, at, d.size, reachOf(vm));
  const selector = Number(readNumber(vm, BigInt.asUintN(64, at + BigInt(d.size)), 2, reachOf(vm)));
  farTransfer(vm, target, selector, call ? { back: after(e), size: d.size } : null);
  own(vm).shadow = false;
  return null;
};

const msrOf = (vm: Vm, now: number) => (index: number): bigint => readVirtualMsr(vm, index, now) ?? 0n;

const systemCalls: Rule = ({ vm, now }) => {
  if (!inLongCode(vm) || (control(vm, 'efer') & SCE) === 0n) throw ud();
  systemCall(vm, msrOf(vm, now));
  return null;
};

const systemReturns: Rule = kernelOnly(({ vm, d, now }) => {
  if (!inLongCode(vm) || (control(vm, 'efer') & SCE) === 0n) throw ud();
  systemReturn(vm, d.size === 8, msrOf(vm, now));
  return null;
});

const systemEnters: Rule = ({ vm, now }) => {
  systemEnter(vm, msrOf(vm, now));
  own(vm).shadow = false;
  return null;
};

const systemExits: Rule = kernelOnly(({ vm, d, now }) => {
  systemExit(vm, d.size === 8, msrOf(vm, now));
  own(vm).shadow = false;
  return null;
});

// ---- control registers, MSRs, what the processor says of itself

const toControl = kernelOnly((e) => {
  if (!writeControl(e.vm, e.d.reg, getRegister(e.vm, e.d.rm, e.d.bits === 64 ? 8 : 4))) throw ud();
  return next(e);
});

const CONTROLS = { 0: 'cr0', 2: 'cr2', 3: 'cr3', 4: 'cr4', 8: 'cr8' } as const;
const fromControl = kernelOnly((e) => {
  const name = CONTROLS[e.d.reg as keyof typeof CONTROLS];
  if (!name) throw ud();
  putRegister(e.vm, e.d.rm, e.d.bits === 64 ? 8 : 4, vcpu(e.vm, name));
  return next(e);
});

const CR0_TS = 8n;
const clearTask = kernelOnly((e) => {
  setControl(e.vm, 'cr0', vcpu(e.vm, 'cr0') & ~CR0_TS);
  return next(e);
});

const machineStatus: Rule = (e) => {
  writeRm(e.vm, e.d, e.rip, e.d.memory ? 2 : e.d.size, vcpu(e.vm, 'cr0'));
  return next(e);
};

const loadStatus = kernelOnly((e) => {
  const given = readRm(e.vm, e.d, e.rip, 2) & 15n;
  const cr0 = vcpu(e.vm, 'cr0');
  writeControl(e.vm, 0, (cr0 & ~14n) | given | (cr0 & 1n));
  return next(e);
});

function debugAt(vm: Vm, n: number): number {
  if (n < 4) return DR0 + 8 * n;
  if (n > 7 || (n < 6 && (vcpu(vm, 'cr4') & 8n) !== 0n)) throw ud();
  return n % 2 === 1 ? DR7 : DR6;
}

const fromDebug = kernelOnly((e) => {
  const at = debugAt(e.vm, e.d.reg);
  setGeneral(e.vm.machine, e.d.rm, slot(e.vm.machine, at));
  return next(e);
});

const toDebug = kernelOnly((e) => {
  const at = debugAt(e.vm, e.d.reg);
  const value = general(e.vm.machine, e.d.rm);
  if (at >= DR6 && value >> 32n !== 0n) throw gp();
  setSlot(e.vm.machine, at, at === DR6 ? (value & 0xe00fn) | 0xffff_0ff0n : at === DR7 ? (value & 0xffff_2fffn) | 0x400n : value);
  return next(e);
});

const readsMsr = kernelOnly((e) => {
  const value = readVirtualMsr(e.vm, Number(getRegister(e.vm, 1, 4)), e.now);
  if (value === null) throw gp();
  setGeneral(e.vm.machine, 0, value & 0xffff_ffffn);
  setGeneral(e.vm.machine, 2, value >> 32n);
  return next(e);
});

const writesMsr = kernelOnly((e) => {
  const value = (getRegister(e.vm, 2, 4) << 32n) | getRegister(e.vm, 0, 4);
  if (!writeVirtualMsr(e.vm, Number(getRegister(e.vm, 1, 4)), value, e.now)) throw gp();
  return next(e);
});

const identify: Rule = (e) => {
  const found = cpuid(Number(getRegister(e.vm, 0, 4)), Number(getRegister(e.vm, 1, 4)), enabled(e.vm.chip.apic));
  [found.eax, found.ecx, found.edx, found.ebx].forEach((value, n) => {
    setGeneral(e.vm.machine, n, BigInt(value >>> 0));
  });
  return next(e);
};

const TSD = 4n;
const readsTime: Rule = (e) => {
  if ((vcpu(e.vm, 'cr4') & TSD) !== 0n && virtualCpl(e.vm) !== 0) throw gp();
  const time = readVirtualMsr(e.vm, 0x10, e.now)!;
  setGeneral(e.vm.machine, 0, time & 0xffff_ffffn);
  setGeneral(e.vm.machine, 2, time >> 32n);
  if (e.d.opcode === 0x01) setGeneral(e.vm.machine, 1, readVirtualMsr(e.vm, 0xc0000103, e.now)! & 0xffff_ffffn);
  return next(e);
};

const invalidatePage = kernelOnly((e) => {
  const at = linearOf(e.vm, e.d, e.rip);
  if (!longMode(e.vm) || canonical(at)) invalidate(e.vm, at);
  return next(e);
});

const invalidatePcid = kernelOnly((e) => {
  const kind = general(e.vm.machine, e.d.reg);
  const at = linearOf(e.vm, e.d, e.rip);
  const pcid = readNumber(e.vm, at, 8);
  const address = readNumber(e.vm, BigInt.asUintN(64, at + 8n), 8);
  if (kind > 3n || pcid >> 12n !== 0n || (kind < 2n && pcid !== 0n) || (kind === 0n && !canonical(address))) throw gp();
  if (kind === 0n) invalidate(e.vm, address);
  else invalidateAll(e.vm);
  return next(e);
});

const swapBase = kernelOnly((e) => {
  const gs = segment(e.vm.machine, 'gs');
  const other = readVirtualMsr(e.vm, 0xc0000102, e.now)!;
  writeVirtualMsr(e.vm, 0xc0000102, gs.base, e.now);
  setSegment(e.vm.machine, 'gs', { ...gs, base: other });
  return next(e);
});

const AC = 0x4_0000n;
const accessCheck = (on: boolean): Rule => (e) => {
  if (virtualCpl(e.vm) !== 0) throw ud();
  const flags = virtualFlags(e.vm);
  setVirtualFlags(e.vm, on ? flags | AC : flags & ~AC);
  return next(e);
};

const refuses = kernelOnly(() => {
  throw gp();
});
const nothing = kernelOnly(next);
const undefinedHere: Rule = () => {
  throw ud();
};

// ---- the table: what the monitor knows to do, by map and opcode

const byReg = (rules: Partial<Record<number, Rule>>): Rule => (e) => (rules[e.d.reg & 7] ?? undefinedHere)(e);
const group6 = protectedOnly(byReg({ 0: storeSelector('ldt'), 1: storeSelector('tr'), 2: loadSystemSegment('ldt'), 3: loadSystemSegment('tr'), 4: verifies(false), 5: verifies(true) }));
const group7Memory = byReg({ 0: storeTable('gdt'), 1: storeTable('idt'), 2: loadTable('gdt'), 3: loadTable('idt'), 4: machineStatus, 6: loadStatus, 7: invalidatePage });
const GROUP7: Readonly<Record<number, Rule>> = { 0xca: accessCheck(false), 0xcb: accessCheck(true), 0xf8: swapBase, 0xf9: readsTime };
const group7: Rule = (e) => {
  if (e.d.memory) return group7Memory(e);
  if (e.d.modrm >= 0xe0 && e.d.modrm <= 0xe7) return machineStatus(e);
  if (e.d.modrm >= 0xf0 && e.d.modrm <= 0xf7) return loadStatus(e);
  return (GROUP7[e.d.modrm] ?? undefinedHere)(e);
};

const ONE: Readonly<Record<number, Rule>> = {
  0xfa: interruptFlag(false), 0xfb: interruptFlag(true), 0xf4: halt, 0x9c: pushFlags, 0x9d: popFlags, 0xcf: returns, 0xca: farReturns, 0xcb: farReturns, 0x8c: fromSegment, 0x8e: toSegment,
  0xcc: software(() => 3, 6), 0xcd: software((d) => Number(BigInt.asUintN(8, d.immediate)), SOFTWARE), 0xf1: software(() => 1, 5), 0xff: byReg({ 3: farGoes(true), 5: farGoes(false) }),
  // not of 64-bit code
  0x07: popSegment('es'), 0x0e: pushSegment('cs'), 0x16: pushSegment('ss'), 0x17: popSegment('ss'), 0x1f: popSegment('ds'), 0x9a: farDirect(true), 0xc4: farPointer('es'), 0xc5: farPointer('ds'), 0xce: overflow, 0xea: farDirect(false),
  ...Object.fromEntries([0x6c, 0x6d, 0x6e, 0x6f, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef].map((op) => [op, ports])),
};
const TWO: Readonly<Record<number, Rule>> = {
  0x00: group6, 0x01: group7, 0x02: protectedOnly(look(true)), 0x03: protectedOnly(look(false)), 0x05: systemCalls, 0x06: clearTask, 0x07: systemReturns, 0x08: nothing, 0x09: nothing, 0x20: fromControl, 0x21: fromDebug, 0x22: toControl,
  0x23: toDebug, 0x30: writesMsr, 0x31: readsTime, 0x32: readsMsr, 0x33: refuses, 0x34: systemEnters, 0x35: systemExits, 0xa0: pushSegment('fs'), 0xa1: popSegment('fs'), 0xa2: identify, 0xa8: pushSegment('gs'), 0xa9: popSegment('gs'),
  0xb2: farPointer('ss'), 0xb4: farPointer('fs'), 0xb5: farPointer('gs'),
};

/** Has the monitor a rule for it? */
export const knows = (d: Parts): boolean => (d.map === 0 ? d.opcode in ONE && (d.opcode !== 0xff || (d.memory && ((d.reg & 7) === 3 || (d.reg & 7) === 5))) : d.map === 1 ? d.opcode in TWO : d.map === 2 && d.opcode === 0x82);

/** Does it, or throws what it raises. The instruction pointer is moved. */
export function emulate(e: Emulation): Result {
  const { d } = e;
  const rule = d.map === 0 ? ONE[d.opcode] : d.map === 1 ? TWO[d.opcode] : d.map === 2 && d.opcode === 0x82 ? invalidatePcid : undefined;
  if (!rule) throw stopped(missing(`the monitor does not know the instruction at 0x${e.rip.toString(16)}`));
  if (d.lock) throw ud();
  return rule(e);
}

/** The exception that an instruction raised, given to the guest; the instruction pointer is still its own. */
export function raise(vm: Vm, vector: number, error: number | null, cr2?: bigint): void {
  deliver(vm, { vector, type: EXCEPTION, error, length: 0, ...(cr2 === undefined ? {} : { cr2 }) });
}
