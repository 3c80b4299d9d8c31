/**
 * The hypercalls, a row each: what the guest asks, checked, done, counted. A call answers with a number (negative: an errno) or
 * leaves the registers to what it did (iret). The pieces that cost are told to `charge`: each entry validated, each flush.
 * Source: Xen's public headers; Barham et al., SOSP 2003.
 */
import { invlpg, register, setRegister, writeMsr } from '../../machine/machine.ts';
import type { Vm, VmExit } from '../vm.ts';
import { argument, domainOf, loadBytes, loadWord, storeWord, storeWord32 } from './domain.ts';
import { enterRing } from './build.ts';
import { DomainCrash, raisePort, setMask, setTimer, unmaskPort, upcallPending } from './events.ts';
import * as at from './interface.ts';
import { pin, Refused, takeType, dropType, unpin, updateEntry } from './paging.ts';

export interface Call {
  /** ns. */
  now: number;
  /** Entries of page tables that were validated. */
  validated: number;
  exit: VmExit | null;
  /** Registers are as the call left them: no result is put. */
  keeps: boolean;
  halts: boolean;
}

const NAMES = new Map<number, at.HypercallName>(Object.entries(at.HYPERCALLS).map(([name, number]) => [number, name as at.HypercallName]));
export const hypercallName = (number: bigint): string => NAMES.get(Number(BigInt.asUintN(32, number))) ?? `nr ${number}`;

type Handler = (vm: Vm, call: Call, args: readonly bigint[]) => number | bigint;

/** Does call `number`; the answer for rax. Throws DomainCrash. */
export function hypercall(vm: Vm, call: Call, number: bigint, args: readonly bigint[]): bigint {
  const name = NAMES.get(Number(BigInt.asUintN(32, number)));
  if (!name) return BigInt(at.ENOSYS);
  try {
    return BigInt(TABLE[name](vm, call, args));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    domainOf(vm).refused = `${name}: ${error.message}`;
    return BigInt(error.code);
  }
}

export const argumentsOf = (vm: Vm): bigint[] => [0, 1, 2, 3, 4].map((n) => argument(vm, n));

const need = (value: bigint | null): bigint => {
  if (value === null) throw new Refused(at.EFAULT, 'bad address');
  return value;
};
const word32 = (vm: Vm, address: bigint): number => {
  const bytes = loadBytes(vm, address, 4);
  if (bytes === null) throw new Refused(at.EFAULT, 'bad address');
  return new DataView(bytes.buffer).getUint32(0, true);
};
const MOST = 4096n;
const counted = (n: bigint): number => {
  if (BigInt.asUintN(32, n) > MOST) throw new Refused(at.E2BIG, 'too many at once');
  return Number(BigInt.asUintN(32, n));
};
const canonical = (address: bigint): boolean => BigInt.asIntN(48, address) === BigInt.asIntN(64, address);

/** FS, GS of processes (the one that SWAPGS keeps), GS. */
const SEGMENT_BASES = [0xc0000100, 0xc0000102, 0xc0000101];

const TABLE: Readonly<Record<at.HypercallName, Handler>> = {
  set_trap_table: setTraps,
  mmu_update: mmuUpdate,
  set_gdt: () => at.ENOSYS,
  stack_switch(vm, _call, [, sp]) {
    if (!canonical(sp!)) throw new Refused(at.EINVAL, 'not canonical');
    domainOf(vm).kernelStack = sp!;
    return 0;
  },
  set_callbacks(vm, _call, [event, failsafe, syscall]) {
    if (![event!, failsafe!, syscall!].every(canonical)) throw new Refused(at.EINVAL, 'not canonical');
    Object.assign(domainOf(vm), { event, syscall });
    return 0;
  },
  fpu_taskswitch: () => 0,
  memory_op: () => at.ENOSYS,
  multicall,
  update_va_mapping: updateMapping,
  set_timer_op(vm, call, [deadline]) {
    setTimer(vm, deadline === 0n ? null : Math.max(0, Number(deadline) - call.now), false, call.now);
    return 0;
  },
  xen_version: (_vm, _call, [cmd]) => (cmd === 0n ? 0x4_0011 : at.ENOSYS),
  console_io: consoleIo,
  iret,
  vcpu_op(vm, call, [cmd, vcpu, record]) {
    if (vcpu !== 0n) return at.ESRCH;
    if (cmd === BigInt(at.VCPU_STOP_PERIODIC_TIMER)) setTimer(vm, null, false, call.now);
    else if (cmd === BigInt(at.VCPU_SET_PERIODIC_TIMER)) {
      const period = need(loadWord(vm, record!));
      if (period < 1_000_000n) throw new Refused(at.EINVAL, 'a period below 1 ms');
      setTimer(vm, Number(period), true, call.now);
    } else return at.ENOSYS;
    return 0;
  },
  set_segment_base(vm, _call, [which, base]) {
    if (!canonical(base!)) throw new Refused(at.EINVAL, 'not canonical');
    const register = SEGMENT_BASES[Number(which)];
    return register !== undefined && writeMsr(vm.machine, register, base!) ? 0 : at.EINVAL;
  },
  mmuext_op: mmuExtended,
  sched_op: schedule,
  event_channel_op: eventChannel,
};

/** Records of 16 bytes: vector, flags (1:0 privilege, 2 masks events), code selector, address; address 0 ends. */
function setTraps(vm: Vm, _call: Call, [table]: readonly bigint[]): number {
  const { traps } = domainOf(vm);
  if (table === 0n) {
    traps.clear();
    return 0;
  }
  for (let n = 0n; n <= 256n; n++) {
    const head = word32(vm, table! + 16n * n);
    const address = need(loadWord(vm, table! + 16n * n + 8n));
    if (address === 0n) return 0;
    if (!canonical(address)) throw new Refused(at.EINVAL, 'not canonical');
    traps.set(head & 255, { cs: head >>> 16, address, dpl: (head >> 8) & 3, masks: (head & 0x400) !== 0 });
  }
  return at.EINVAL;
}

/** Requests of 16 bytes: machine address of the entry (low bits 0: a page table's), value. The number done goes to `done`. */
function mmuUpdate(vm: Vm, call: Call, [requests, count, done]: readonly bigint[]): number {
  const n = counted(count!);
  let finished = 0;
  try {
    for (; finished < n; finished++) {
      const pointer = need(loadWord(vm, requests! + BigInt(16 * finished)));
      const value = need(loadWord(vm, requests! + BigInt(16 * finished + 8)));
      if ((pointer & 3n) !== 0n) throw new Refused(at.ENOSYS, 'only updates of page tables');
      updateEntry(vm, Number(BigInt.asUintN(52, pointer)), value);
      call.validated++;
    }
  } finally {
    if (done !== 0n) storeWord32(vm, done!, finished);
  }
  return 0;
}

function updateMapping(vm: Vm, call: Call, [address, entry, flags]: readonly bigint[]): number {
  let table = domainOf(vm).l4;
  for (let shift = 39n; shift > 12n; shift -= 9n) {
    const above = vm.machine.physical.getBigUint64(table + 8 * Number((address! >> shift) & 511n), true);
    if ((above & 1n) === 0n) throw new Refused(at.EINVAL, `nothing maps 0x${address!.toString(16)}`);
    table = Number(above & 0x000f_ffff_ffff_f000n);
  }
  updateEntry(vm, table + 8 * Number((address! >> 12n) & 511n), entry!);
  call.validated++;
  if ((flags! & 3n) === 1n) vm.machine.cpu.flushTlb();
  else if ((flags! & 3n) === 2n) invlpg(vm.machine, address!);
  return 0;
}

function mmuExtended(vm: Vm, call: Call, [operations, count, done]: readonly bigint[]): number {
  const n = counted(count!);
  let finished = 0;
  try {
    for (; finished < n; finished++) extended(vm, call, operations! + BigInt(24 * finished));
  } finally {
    if (done !== 0n) storeWord32(vm, done!, finished);
  }
  return 0;
}

function extended(vm: Vm, call: Call, record: bigint): void {
  const command = word32(vm, record);
  const value = need(loadWord(vm, record + 8n));
  const hpa = Number(BigInt.asUintN(40, value)) * 4096;
  if (command >= at.MMUEXT_PIN_L1 && command <= at.MMUEXT_PIN_L4) call.validated += pin(vm, hpa, command + 1);
  else if (command === at.MMUEXT_UNPIN) unpin(vm, hpa);
  else if (command === at.MMUEXT_NEW_BASEPTR) {
    const domain = domainOf(vm);
    call.validated += takeType(vm, hpa, 'l4');
    const old = domain.l4;
    domain.l4 = hpa;
    setRegister(vm.machine, 'cr3', BigInt(hpa));
    vm.machine.cpu.flushTlb();
    dropType(vm, old);
  } else if (command === at.MMUEXT_TLB_FLUSH_LOCAL) vm.machine.cpu.flushTlb();
  else if (command === at.MMUEXT_INVLPG_LOCAL) invlpg(vm.machine, value);
  else throw new Refused(at.ENOSYS, `mmuext ${command}`);
}

/** Records of 64 bytes: number, result, six arguments. */
function multicall(vm: Vm, call: Call, [calls, count]: readonly bigint[]): number {
  const n = counted(count!);
  for (let i = 0; i < n; i++) {
    const base = calls! + BigInt(64 * i);
    const number = need(loadWord(vm, base));
    if (number === BigInt(at.HYPERCALLS.iret) || number === BigInt(at.HYPERCALLS.multicall)) throw new Refused(at.EINVAL, 'not in a multicall');
    const args = [0, 1, 2, 3, 4].map((k) => need(loadWord(vm, base + BigInt(16 + 8 * k))));
    if (!storeWord(vm, base + 8n, hypercall(vm, call, number, args))) throw new Refused(at.EFAULT, 'bad address');
  }
  return 0;
}

const WRITE = 0n;
const READ = 1n;

function consoleIo(vm: Vm, _call: Call, [command, count, buffer]: readonly bigint[]): number {
  if (command === READ) return 0;
  if (command !== WRITE) return at.ENOSYS;
  const text = loadBytes(vm, buffer!, Math.min(Number(BigInt.asUintN(32, count!)), 4096));
  if (text === null) return at.EFAULT;
  const domain = domainOf(vm);
  domain.console.push(...text);
  return 0;
}

/** rax, r11, rcx, flags, rip, cs, rflags, rsp, ss lie at rsp. */
function iret(vm: Vm, call: Call): number {
  const m = vm.machine;
  const rsp = register(m, 'rsp');
  const frame = Array.from({ length: 9 }, (_, n) => loadWord(vm, rsp + BigInt(8 * n)));
  if (frame.some((word) => word === null)) throw new DomainCrash('iret: bad stack');
  const [rax, r11, rcx, , rip, cs, flags, stack] = frame as bigint[];
  if (!canonical(rip!) || !canonical(stack!)) throw new DomainCrash('iret: address not canonical');
  const user = (cs! & 3n) === 3n;
  enterRing(vm, user ? 3 : 1);
  for (const [name, value] of [['rax', rax], ['r11', r11], ['rcx', rcx], ['rip', rip], ['rsp', stack], ['rflags', (flags! & 0x1_0dd5n) | 0x202n]] as const) setRegister(m, name, value!);
  setMask(vm, (flags! & 0x200n) === 0n);
  call.keeps = true;
  return 0;
}

const POWER_OFF = 0;
const REBOOT = 1;

function schedule(vm: Vm, call: Call, [command, record]: readonly bigint[]): number {
  if (command === BigInt(at.SCHED_YIELD)) return 0;
  if (command === BigInt(at.SCHED_BLOCK)) {
    setMask(vm, false);
    call.halts = !upcallPending(vm);
    return 0;
  }
  if (command !== BigInt(at.SCHED_SHUTDOWN)) return at.ENOSYS;
  const reason = word32(vm, record!);
  if (reason > REBOOT) throw new DomainCrash(`the guest reported a crash (shutdown reason ${reason})`);
  call.exit = { reason: 'io', direction: 'out', ...(reason === POWER_OFF ? { port: 0x604, size: 2, value: 0x2000 } : { port: 0x64, size: 1, value: 0xfe }) };
  return 0;
}

function eventChannel(vm: Vm, _call: Call, [command, record]: readonly bigint[]): number {
  const { ports } = domainOf(vm);
  const known = (port: number): number => {
    if (!ports.has(port) || port < 1) throw new Refused(at.EINVAL, `port ${port} is not bound`);
    return port;
  };
  switch (Number(command)) {
    case at.EVTCHN_BIND_VIRQ: {
      const virq = word32(vm, record!);
      if (virq !== at.VIRQ_TIMER && virq !== at.VIRQ_CONSOLE) throw new Refused(at.EINVAL, `virtual interrupt ${virq}`);
      let port = 1;
      while (ports.has(port)) port++;
      if (!storeWord32(vm, record! + 8n, port)) throw new Refused(at.EFAULT, 'bad address');
      ports.set(port, virq);
      return 0;
    }
    case at.EVTCHN_CLOSE: return ports.delete(known(word32(vm, record!))) ? 0 : at.EINVAL;
    case at.EVTCHN_SEND:
      raisePort(vm, known(word32(vm, record!)));
      return 0;
    case at.EVTCHN_UNMASK:
      unmaskPort(vm, known(word32(vm, record!)));
      return 0;
    default: return at.ENOSYS;
  }
}
