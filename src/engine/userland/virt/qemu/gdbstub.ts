/**
 * QEMU's gdbstub: GDB's remote serial protocol on a TCP port, over the same machine that the monitors see. Attaching stops it;
 * c and s let it go under KVM_SET_GUEST_DEBUG. Besides what the real one takes, `monitor break-on exit [REASON]` and
 * `monitor break-on ept-violation` stop at the next exit, `monitor break-on pt-write` at the next store into a page table. Source: GDB manual appendix E, QEMU gdbstub.c.
 * bs and bc go back in what is kept of the machine's doings: with -icount rr=record from its start, by QReverse:1 (the lab's own, what
 * gdb's `record` asks for) from there. Left out: threads beyond the one, x87 and vector registers, target descriptions (empty answers).
 */
import { KVM_GET_HISTORY, KVM_GET_REGS, KVM_GET_SREGS, KVM_GO_BACK, KVM_SET_GUEST_DEBUG, KVM_SET_HISTORY, KVM_SET_REGS, type DebugStop, type GuestDebug, type HistoryState, type Regs, type Sregs } from '../../../kernel/drivers/kvm/uapi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { cont, type Emulator, requestShutdown, stop } from './emulator.ts';
import { monitorLine } from './hmp.ts';
import { linearToPhysical, readPhysical } from './memory.ts';

export interface GdbClient {
  fd: number;
  held: string;
  /** Let go and not stopped since: the next stop is told. */
  running: boolean;
  breakpoints: bigint[];
  watch: { address: bigint; length: number }[];
  until: GuestDebug['until'];
}

export const newClient = (fd: number): GdbClient => ({ fd, held: '', running: false, breakpoints: [], watch: [], until: null });

const ORDER = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip'] as const;
const SEGMENTS = ['cs', 'ss', 'ds', 'es', 'fs', 'gs'] as const;

const little = (value: bigint, size: number): string => Array.from({ length: size }, (_, n) => ((value >> BigInt(8 * n)) & 255n).toString(16).padStart(2, '0')).join('');
const fromLittle = (hex: string): bigint => (hex === '' ? 0n : BigInt(`0x${hex.match(/../g)!.reverse().join('')}`));
const hexOf = (data: Uint8Array): string => [...data].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

export function packet(body: string): Uint8Array {
  const data = bytes(body);
  return bytes(`$${body}#${(data.reduce((sum, byte) => sum + byte, 0) & 255).toString(16).padStart(2, '0')}`);
}

function* answer(client: GdbClient, body: string): Call<void> {
  yield* attempt(writeAll(client.fd, packet(body)), undefined);
}

/** What came over the connection. */
export function* receiveGdb(emu: Emulator, client: GdbClient, data: Uint8Array): Call<void> {
  client.held += text(data);
  for (;;) {
    if (client.held.startsWith('\x03')) {
      client.held = client.held.slice(1);
      yield* interrupt(emu, client);
      continue;
    }
    const m = /^\+*-*\$([^#]*)#(..)/.exec(client.held);
    if (!m) {
      if (/^[+-]+$/.test(client.held)) client.held = '';
      return;
    }
    client.held = client.held.slice(m[0].length);
    yield* attempt(writeAll(client.fd, bytes('+')), undefined);
    yield* command(emu, client, m[1]!);
  }
}

const TRAP = 'T05thread:01;';

function* interrupt(emu: Emulator, client: GdbClient): Call<void> {
  yield* stop(emu, 'paused');
  if (client.running) yield* answer(client, 'T02thread:01;');
  client.running = false;
}

/** The vCPU came out for the debugger. */
export function* told(client: GdbClient, why: DebugStop): Call<void> {
  if (!client.running) return;
  client.running = false;
  if (why.kind === 'begin' || why.kind === 'end') return yield* answer(client, `T05thread:01;replaylog:${why.kind};`);
  if (why.kind === 'watch') return yield* answer(client, `T05thread:01;watch:${why.address.toString(16)};`);
  if (why.kind === 'exit') {
    client.until = null;
    const detail = why.gpa === null ? '' : `, guest-physical 0x${why.gpa.toString(16)}`;
    yield* answer(client, `O${hexOf(bytes(`exit ${why.reason}, qualification 0x${why.qualification.toString(16)}${detail}\n`))}`);
  }
  if (why.kind === 'table-write') {
    client.until = null;
    yield* answer(client, `O${hexOf(bytes(`page-table entry at guest-physical 0x${why.gpa.toString(16)}: 0x${why.before.toString(16)} -> 0x${why.after.toString(16)}\n`))}`);
  }
  yield* answer(client, TRAP);
}

const wantedBy = (client: GdbClient, singlestep: boolean): GuestDebug => ({ singlestep, breakpoints: client.breakpoints, watch: client.watch, until: client.until });

function* goBack(emu: Emulator, client: GdbClient, singlestep: boolean): Call<void> {
  const why = (yield* attempt(sys('ioctl', emu.vcpu, KVM_GO_BACK, wantedBy(client, singlestep)), null, 'ENXIO')) as DebugStop | null;
  if (why === null) return yield* answer(client, '');
  client.running = true;
  yield* told(client, why);
}

/** "from;to;at" in hexadecimal, as far as the machine has come; `at` is left out at the end. */
function* historyText(emu: Emulator): Call<string> {
  const state = (yield* attempt(sys('ioctl', emu.vcpu, KVM_GET_HISTORY), null, 'ENXIO')) as HistoryState | null;
  return state ? [state.from, state.to, ...(state.at === null ? [] : [state.at])].map((n) => n.toString(16)).join(';') : '';
}

function* go(emu: Emulator, client: GdbClient, singlestep: boolean): Call<void> {
  const wanted = wantedBy(client, singlestep);
  yield* sys('ioctl', emu.vcpu, KVM_SET_GUEST_DEBUG, wanted);
  client.running = true;
  yield* cont(emu);
}

/** Attaching stops the machine. */
export function* attach(emu: Emulator): Call<void> {
  yield* stop(emu, 'paused');
}

/** The client is gone: nothing holds the machine any more. */
export function* detach(emu: Emulator): Call<void> {
  yield* sys('ioctl', emu.vcpu, KVM_SET_GUEST_DEBUG, { singlestep: false, breakpoints: [], watch: [], until: null } satisfies GuestDebug);
  yield* cont(emu);
}

function* command(emu: Emulator, client: GdbClient, body: string): Call<void> {
  const rest = body.slice(1);
  switch (body[0]) {
    case '?': return yield* answer(client, TRAP);
    case 'g': return yield* answer(client, yield* readRegisters(emu));
    case 'P': return yield* answer(client, yield* writeRegister(emu, rest));
    case 'm': return yield* answer(client, yield* readMemory(emu, rest));
    case 'M': return yield* answer(client, yield* writeMemory(emu, rest));
    case 'Z': return yield* answer(client, place(client, rest, 'insert'));
    case 'z': return yield* answer(client, place(client, rest, 'remove'));
    case 'c': return yield* go(emu, client, false);
    case 's': return yield* go(emu, client, true);
    case 'b': return yield* (rest === 's' || rest === 'c' ? goBack(emu, client, rest === 's') : answer(client, ''));
    case 'Q':
      if (!rest.startsWith('Reverse:')) return yield* answer(client, '');
      yield* sys('ioctl', emu.vcpu, KVM_SET_HISTORY, rest.endsWith('1') ? 1 : 0);
      return yield* answer(client, 'OK');
    case 'H':
    case 'T': return yield* answer(client, 'OK');
    case 'D':
      yield* answer(client, 'OK');
      return yield* detach(emu);
    case 'k': return yield* requestShutdown(emu, 'host-qmp-quit');
    case 'q': return yield* query(emu, client, rest);
    default: return yield* answer(client, '');
  }
}

function* query(emu: Emulator, client: GdbClient, rest: string): Call<void> {
  if (rest.startsWith('Supported')) return yield* answer(client, `PacketSize=1000${emu.options.recorded ? ';ReverseStep+;ReverseContinue+' : ''}`);
  if (rest === 'Reverse') return yield* answer(client, yield* historyText(emu));
  if (rest === 'Attached') return yield* answer(client, '1');
  if (rest === 'C') return yield* answer(client, 'QC01');
  if (rest === 'fThreadInfo') return yield* answer(client, 'm01');
  if (rest === 'sThreadInfo') return yield* answer(client, 'l');
  if (!rest.startsWith('Rcmd,')) return yield* answer(client, '');
  const line = text(bytesOf(rest.slice(5)));
  const said = /^break-on\b/.test(line) ? breakOn(client, line) : yield* monitorLine(emu, line);
  if (said !== '') yield* answer(client, `O${hexOf(bytes(said))}`);
  yield* answer(client, 'OK');
}

function breakOn(client: GdbClient, line: string): string {
  const [, what, reason] = line.trim().split(/\s+/);
  if (what === 'exit') client.until = { reason: reason?.toUpperCase() ?? null };
  else if (what === 'ept-violation') client.until = { reason: 'EPT_VIOLATION' };
  else if (what === 'pt-write') client.until = 'table-write';
  else if (what === 'off') client.until = null;
  else return 'usage: break-on exit [REASON] | ept-violation | pt-write | off\n';
  return '';
}

function* readRegisters(emu: Emulator): Call<string> {
  const regs = (yield* sys('ioctl', emu.vcpu, KVM_GET_REGS)) as Regs;
  const sregs = (yield* sys('ioctl', emu.vcpu, KVM_GET_SREGS)) as Sregs;
  return ORDER.map((name) => little(regs[name], 8)).join('') + little(regs.rflags, 4) + SEGMENTS.map((name) => little(BigInt(sregs.segments[name].selector), 4)).join('');
}

function* writeRegister(emu: Emulator, rest: string): Call<string> {
  const [n = '', value = ''] = rest.split('=');
  const name = [...ORDER, 'rflags' as const][Number.parseInt(n, 16)];
  if (!name) return 'E22';
  const regs = (yield* sys('ioctl', emu.vcpu, KVM_GET_REGS)) as Regs;
  yield* sys('ioctl', emu.vcpu, KVM_SET_REGS, { ...regs, [name]: fromLittle(value) });
  return 'OK';
}

function* eachPage(emu: Emulator, address: bigint, length: number, act: (gpa: number, at: number, count: number) => Call<boolean>): Call<boolean> {
  const sregs = (yield* sys('ioctl', emu.vcpu, KVM_GET_SREGS)) as Sregs;
  for (let at = 0; at < length; ) {
    const here = BigInt.asUintN(64, address + BigInt(at));
    const count = Math.min(length - at, 4096 - Number(here & 4095n));
    const gpa = yield* linearToPhysical(emu, sregs, here);
    if (gpa === null || !(yield* act(gpa, at, count))) return false;
    at += count;
  }
  return true;
}

function* readMemory(emu: Emulator, rest: string): Call<string> {
  const [address = '0', length = '0'] = rest.split(',');
  const out = new Uint8Array(Math.min(Number.parseInt(length, 16), 0x800));
  const whole = yield* eachPage(emu, BigInt(`0x${address}`), out.length, function* (gpa, at, count) {
    const data = yield* readPhysical(emu, gpa, count);
    if (data) out.set(data, at);
    return data !== null;
  });
  return whole ? hexOf(out) : 'E14';
}

function* writeMemory(emu: Emulator, rest: string): Call<string> {
  const m = /^([0-9a-f]+),([0-9a-f]+):([0-9a-f]*)$/i.exec(rest);
  if (!m) return 'E22';
  const data = bytesOf(m[3]!);
  const whole = yield* eachPage(emu, BigInt(`0x${m[1]}`), data.length, function* (gpa, at, count) {
    return (yield* attempt(sys('pwrite64', emu.vm, data.subarray(at, at + count), gpa), -1)) === count;
  });
  return whole ? 'OK' : 'E14';
}

/** Z0 and Z1 are breakpoints, Z2 a place whose change stops; reads and accesses (Z3, Z4) are not told. */
function place(client: GdbClient, rest: string, what: 'insert' | 'remove'): string {
  const m = /^([0-4]),([0-9a-f]+),([0-9a-f]+)/i.exec(rest);
  if (!m || m[1] === '3' || m[1] === '4') return '';
  const address = BigInt(`0x${m[2]}`);
  if (m[1] === '2') {
    client.watch = client.watch.filter((one) => one.address !== address);
    if (what === 'insert') client.watch.push({ address, length: Math.min(8, Number.parseInt(m[3]!, 16)) });
  } else {
    client.breakpoints = client.breakpoints.filter((one) => one !== address);
    if (what === 'insert') client.breakpoints.push(address);
  }
  return 'OK';
}
