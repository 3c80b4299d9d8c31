/** IN, OUT, INS and OUTS of a deprivileged guest: permission by the guest's IOPL and TSS, then the port. Sources: SDM 2 IN, OUT, INS, OUTS; SDM 1 18.5.2. */
import { irqchipOwns, readIrqchip, writeIrqchip } from '../../machine/devices/irqchip.ts';
import { observeOut } from '../ledger.ts';
import type { Vm, VmExit } from '../vm.ts';
import { gp, readNumber, writeNumber } from './deprivilege-memory.ts';
import { type Emulation, getRegister, ioplAllows, next, putRegister, reachOf, SEGMENT_ORDER } from './deprivilege-operands.ts';
import { own, virtualFlags, virtualSegment } from './deprivilege-state.ts';

const DF = 0x400n;
/** Nobody is behind it but the card that shows progress codes: the monitor answers for it, as VMware's did. */
const DIAGNOSTIC = 0x80;

function permitted(vm: Vm, port: number, size: number): boolean {
  if (ioplAllows(vm)) return true;
  const { tr } = own(vm);
  if (tr.limit < 103) return false;
  const first = Number(readNumber(vm, tr.base + 102n, 2, { implicit: true })) + (port >> 3);
  if (first + 1 > tr.limit) return false;
  const map = Number(readNumber(vm, tr.base + BigInt(first), 2, { implicit: true }));
  return ((map >> (port & 7)) & ((1 << size) - 1)) === 0;
}

export function ports(e: Emulation): VmExit | null {
  const { vm, d } = e;
  const size = (d.opcode % 2 === 0 ? 1 : d.o16 ? 2 : 4) as 1 | 2 | 4;
  const string = d.opcode < 0x70;
  const reading = string ? d.opcode < 0x6e : (d.opcode & 2) === 0;
  const port = d.immediateSize === 1 ? Number(BigInt.asUintN(8, d.immediate)) : Number(getRegister(vm, 2, 2));
  if (string && d.rep !== 0 && getRegister(vm, 1, d.addressSize) === 0n) return next(e);
  if (!permitted(vm, port, size)) throw gp();
  if (string) return reading ? inString(e, port, size) : outString(e, port, size);
  if (!reading) {
    const value = Number(getRegister(vm, 0, size));
    next(e);
    return send(e, port, size, value);
  }
  vm.io = { size, string: false, linear: 0n };
  next(e);
  return receive(e, port, size);
}

function send({ vm, now }: Emulation, port: number, size: 1 | 2 | 4, value: number): VmExit | null {
  if (irqchipOwns(port)) {
    for (let n = 0; n < size; n++) writeIrqchip(vm.chip, port + n, Math.floor(value / 2 ** (8 * n)) & 255, now);
    return null;
  }
  observeOut(vm, port, value);
  if (port === DIAGNOSTIC) return null;
  return { reason: 'io', direction: 'out', port, size, value };
}

function receive({ vm, now }: Emulation, port: number, size: 1 | 2 | 4): VmExit | null {
  if (irqchipOwns(port)) {
    completeIo(vm, readIrqchip(vm.chip, port, now));
    return null;
  }
  if (port === DIAGNOSTIC) {
    completeIo(vm, 0xff);
    return null;
  }
  return { reason: 'io', direction: 'in', port, size, value: 0 };
}

function outString(e: Emulation, port: number, size: 1 | 2 | 4): VmExit | null {
  const { vm, d } = e;
  const name = d.segment === 4 || d.segment === 5 ? SEGMENT_ORDER[d.segment]! : null;
  const base = name ? virtualSegment(vm, name).base : 0n;
  const value = Number(readNumber(vm, BigInt.asUintN(64, base + getRegister(vm, 6, d.addressSize)), size, reachOf(vm)));
  advance(e, 6, size);
  return send(e, port, size, value);
}

/** The page is made ready first, so that the value has a place when it comes. */
function inString(e: Emulation, port: number, size: 1 | 2 | 4): VmExit | null {
  const { vm, d } = e;
  const linear = getRegister(vm, 7, d.addressSize);
  const before = readNumber(vm, linear, size, reachOf(vm));
  writeNumber(vm, linear, size, before, reachOf(vm));
  vm.io = { size, string: true, linear };
  advance(e, 7, size);
  return receive(e, port, size);
}

/** One element is done: the index moves, and the instruction is over when its count is. */
function advance(e: Emulation, index: number, size: number): void {
  const { vm, d } = e;
  const width = d.addressSize;
  const step = BigInt((virtualFlags(vm) & DF) !== 0n ? -size : size);
  putRegister(vm, index, width, BigInt.asUintN(8 * width, getRegister(vm, index, width) + step));
  const left = d.rep === 0 ? 0n : BigInt.asUintN(8 * width, getRegister(vm, 1, width) - 1n);
  if (d.rep !== 0) putRegister(vm, 1, width, left);
  if (left === 0n) next(e);
}

/** The value that a port gave. */
export function completeIo(vm: Vm, value: number): void {
  const { io } = vm;
  vm.io = null;
  if (!io) return;
  if (io.string) writeNumber(vm, io.linear, io.size, BigInt.asUintN(8 * io.size, BigInt(value)));
  else putRegister(vm, 0, io.size, BigInt(value));
}
