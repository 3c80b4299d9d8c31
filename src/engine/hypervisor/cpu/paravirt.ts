/**
 * Running a guest that knows its hypervisor: its kernel in ring 1, its processes in ring 3, both directly on the processor, in
 * root operation and without VT-x. Nothing is trapped to be emulated but ports (which a privileged domain may use): what the
 * guest needs it asks for by hypercall, what happens to it is bounced to the handlers it named. Source: Barham et al., SOSP 2003.
 */

import { register, run, setGeneralPart, setRegister, setTraps, type Stop } from '../../machine/machine.ts';
import { takeVector } from '../../machine/devices/irqchip.ts';
import { syncTsc } from '../clock.ts';
import { happened, observeOut } from '../ledger.ts';
import { buildDomain } from '../paravirt/build.ts';
import { type Domain, domainOf, loadBytes, ring } from '../paravirt/domain.ts';
import { bounce, bounceTrap, DomainCrash, raisePort, startController, takeInterrupt, upcall } from '../paravirt/events.ts';
import { argumentsOf, type Call, hypercall, hypercallName } from '../paravirt/hypercalls.ts';
import { HYPERCALL_VECTOR } from '../paravirt/interface.ts';
import type { Answer, CpuWay, GuestState, Vm, VmExit } from '../vm.ts';
import { directState } from './direct.ts';

const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);
const SYSCALL = 256;
const GP = 13;
const SOFTWARE = 4;

/** Before it is built the loader writes general registers only; what belongs to the hypervisor it cannot set. */
const state: GuestState = { ...directState, setControl: () => {}, setSegment: () => {}, setTable: () => {} };

export const paravirt: CpuWay = { init, state, open: () => true, deliver, stretch, pause: () => {}, answer, completeIo, place: (vm) => (ring(vm) === 3 ? 'user' : 'kernel'), hostTick: true, tryOne: () => ({ stop: IDLE, accesses: null, want: null }), priority: { get: () => 0, set: () => {} } };

function init(vm: Vm): void {
  vm.own = {
    built: false, frames: new Map(), traps: new Map(), kernelStack: 0n, event: 0n, syscall: 0n, shared: 0, l4: 0, reserved: new Map(), ports: new Map(), console: [], owed: 0, refused: '',
  } satisfies Domain;
  setTraps(vm.machine, true);
  startController(vm);
}

function deliver(vm: Vm, ready: boolean, now: number): void {
  syncTsc(vm, now);
  const domain = domainOf(vm);
  if (!domain.built) return;
  if (ready) {
    const virq = takeInterrupt(vm, takeVector(vm.chip), now);
    for (const [port, bound] of domain.ports) if (bound === virq) raisePort(vm, port);
  }
  if (domain.console.length > 0) return;
  try {
    if (upcall(vm)) owe(vm, 'event upcall', vm.costs.paravirt.bounce);
  } catch (error) {
    crash(vm, error);
  }
}

/** The hypervisor spends it with its next answer. */
function owe(vm: Vm, event: string, cycles: number): void {
  domainOf(vm).owed += cycles;
  happened(vm, event, cycles, register(vm.machine, 'rip'));
}

function crash(vm: Vm, error: unknown): VmExit {
  if (!(error instanceof DomainCrash)) throw error;
  vm.broken = `domain crash: ${error.message}`;
  return { reason: 'internal-error', text: vm.broken };
}

/** The processor stands still while the console sends, a byte an exit to the program. */
const IDLE: Stop = { reason: 'halt', payload: [0n, 0n, 0n, 0n] };

function stretch(vm: Vm, cycles: number, single: boolean): Stop {
  const domain = domainOf(vm);
  if (!domain.built) buildDomain(vm);
  if (vm.broken || domain.console.length > 0) return IDLE;
  return run(vm.machine, BigInt(cycles), single ? 1n : NO_LIMIT);
}

function answer(vm: Vm, stop: Stop, now: number): Answer {
  const domain = domainOf(vm);
  const { owed } = domain;
  domain.owed = 0;
  let result: Answer;
  if (stop.reason === 'trap') {
    try {
      result = onTrap(vm, stop, now);
    } catch (error) {
      result = { exit: crash(vm, error), monitor: 0, program: 0, event: 'domain crash', stepped: true };
    }
  } else if (stop.reason === 'budget' || stop === IDLE) result = { exit: null, monitor: 0, program: 0, event: '', stepped: true };
  else result = { exit: { reason: 'internal-error', text: `the processor stopped: ${stop.reason}` }, monitor: 0, program: 0, event: '', stepped: true };
  result.monitor += owed;
  const byte = result.exit === null ? domain.console.shift() : undefined;
  if (byte !== undefined) {
    observeOut(vm, 0x3f8, byte);
    result.exit = { reason: 'io', direction: 'out', port: 0x3f8, size: 1, value: byte };
  }
  return result;
}

function onTrap(vm: Vm, stop: Stop, now: number): Answer {
  const [vector, error, type, length] = stop.payload.map(Number) as [number, number, number, number];
  const { bounce: cost } = vm.costs.paravirt;
  const after = (event: string, monitor = cost): Answer => ({ exit: null, monitor, program: 0, event, stepped: true });
  if (vector === SYSCALL) {
    forward(vm, length);
    if (domainOf(vm).syscall === 0n) throw new DomainCrash('no callback for system calls');
    bounce(vm, domainOf(vm).syscall);
    return after('system call bounced');
  }
  if (type === SOFTWARE && vector === HYPERCALL_VECTOR && ring(vm) === 1) {
    forward(vm, length);
    return onHypercall(vm, now);
  }
  if (type === SOFTWARE) {
    const gate = domainOf(vm).traps.get(vector);
    if (!gate || gate.dpl < ring(vm)) {
      bounceTrap(vm, GP, vector * 8 + 2, 0n);
      return after('trap #GP bounced');
    }
    forward(vm, length);
    bounceTrap(vm, vector, null, 0n);
    return after(`int ${vector} bounced`);
  }
  if (vector === GP && ring(vm) === 1) {
    const port = onPort(vm);
    if (port) return port;
  }
  if (type > SOFTWARE) forward(vm, length);
  bounceTrap(vm, vector, WITH_ERROR.has(vector) ? error : null, vector === 14 ? register(vm.machine, 'cr2') : 0n);
  return after(vector === 14 ? 'page fault bounced' : `trap ${vector} bounced`);
}

const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);

const forward = (vm: Vm, length: number): void => setRegister(vm.machine, 'rip', register(vm.machine, 'rip') + BigInt(length));

function onHypercall(vm: Vm, now: number): Answer {
  const number = register(vm.machine, 'rax');
  const call: Call = { now, validated: 0, exit: null, keeps: false, halts: false };
  const result = hypercall(vm, call, number, argumentsOf(vm));
  if (!call.keeps) setRegister(vm.machine, 'rax', result);
  vm.halted = call.halts;
  const { paravirt: costs } = vm.costs;
  return {
    exit: call.exit, monitor: costs.hypercall + costs.validate * call.validated + (call.halts ? vm.costs.sleep : 0), program: call.exit ? vm.costs.userspace : 0,
    event: `hypercall ${hypercallName(number)}`, stepped: true,
  };
}

/** IN and OUT of a domain that may use ports: the hypervisor does them. Null: another instruction. */
function onPort(vm: Vm): Answer | null {
  const m = vm.machine;
  const rip = register(m, 'rip');
  const code = loadBytes(vm, rip, 3) ?? new Uint8Array(3);
  const wide = code[0] === 0x66;
  const [op = 0, immediate = 0] = code.subarray(wide ? 1 : 0);
  if ((op & 0xf4) !== 0xe4) return null;
  const size = (op & 1) === 0 ? 1 : wide ? 2 : 4;
  const byDx = (op & 8) !== 0;
  const port = byDx ? Number(register(m, 'rdx') & 0xffffn) : immediate;
  const reading = (op & 2) === 0;
  forward(vm, (wide ? 1 : 0) + (byDx ? 1 : 2));
  const value = reading ? 0 : Number(BigInt.asUintN(8 * size, register(m, 'rax')));
  if (reading) vm.io = { size, string: false, linear: 0n };
  else observeOut(vm, port, value);
  return {
    exit: { reason: 'io', direction: reading ? 'in' : 'out', port, size, value }, monitor: vm.costs.paravirt.bounce, program: vm.costs.userspace, event: `trap #GP: ${reading ? 'in' : 'out'}`, stepped: true,
  };
}

function completeIo(vm: Vm, value: number): void {
  const { io } = vm;
  vm.io = null;
  if (io) setGeneralPart(vm.machine, 0, io.size, BigInt(value));
}
