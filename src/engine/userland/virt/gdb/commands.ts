/** The commands of gdb, each a row: what it says to the target and what it prints. */
import { print as printInstruction } from '../../../machine/isa/objdump.ts';
import type { Call } from '../../lib/http.ts';
import { Failed, print } from '../../lib/io.ts';
import { connect, nextPacket, type Remote, sendPacket, toHex } from './remote.ts';
import { ask, littleNumber, lost, memory, type Place, registers, type Session } from './session.ts';
import { endsReplay, infoRecord, REVERSE } from './reverse.ts';
import { evaluate, name as nameOf } from './values.ts';
import { type Command, hex, resume, showWhere, where } from './motion.ts';

// ---- running

const continues: Command = function* (session) {
  if (!session.remote) throw new Failed('The program is not being run.');
  yield* print('Continuing.\n');
  yield* resume(session, 'c');
};

const steps: Command = function* (session, rest) {
  const times = rest === '' ? 1 : Number(yield* evaluate(session, rest));
  for (let n = 0; n < times && session.remote; n++) yield* resume(session, 's');
};

/** Over a call: runs to the instruction behind it. */
const nexts: Command = function* (session, rest) {
  const times = rest === '' ? 1 : Number(yield* evaluate(session, rest));
  for (let n = 0; n < times && session.remote; n++) {
    const { rip } = yield* registers(session);
    const one = printInstruction(yield* memory(session, rip!, 16), rip!, session.wide ? 64 : 32, 'att');
    if (!/^(call|lcall|rep)/.test(one.text)) {
      yield* resume(session, 's');
      continue;
    }
    const place: Place = { number: 0, kind: 'break', address: rip! + BigInt(one.length), length: 1, expression: '', enabled: true, temporary: false, hits: 0, value: 0n };
    session.places.push(place);
    const remote = session.remote;
    try {
      yield* quietly(session, remote);
    } finally {
      session.places.splice(session.places.indexOf(place), 1);
    }
  }
};

function* quietly(session: Session, remote: Remote): Call<void> {
  for (const place of session.places) yield* ask(session, `Z0,${place.address.toString(16)},1`);
  session.interrupted = false;
  yield* sendPacket(remote, 'c');
  const reply = yield* nextPacket(remote, () => session.interrupted);
  if (reply === null) return yield* lost(session);
  for (const place of session.places) yield* ask(session, `z0,${place.address.toString(16)},1`);
  if (reply.startsWith('T02')) yield* print('\nProgram received signal SIGINT, Interrupt.\n');
  yield* showWhere(session);
}

// ---- breakpoints

function stopsAt(kind: 'break' | 'hbreak', temporary: boolean): Command {
  return function* (session, rest) {
    const word = rest.trim();
    if (word === '' && !session.remote) throw new Failed('No default breakpoint location now.');
    const address = word === '' ? (yield* registers(session)).rip! : word.startsWith('*') ? yield* evaluate(session, word.slice(1)) : labelAddress(session, word);
    const place: Place = { number: session.nextPlace++, kind, address, length: 1, expression: word, enabled: true, temporary, hits: 0, value: 0n };
    session.places.push(place);
    yield* print(`${kind === 'hbreak' ? 'Hardware assisted breakpoint' : temporary ? 'Temporary breakpoint' : 'Breakpoint'} ${place.number} at ${hex(address)}\n`);
  };
}

function labelAddress(session: Session, word: string): bigint {
  const label = session.labels.find((one) => one.name === word);
  if (label) return label.address;
  throw new Failed(session.labels.length === 0 ? 'No symbol table is loaded.  Use the "file" command.' : `Function "${word}" not defined.`);
}

const SIZES: Readonly<Record<string, number>> = { char: 1, 'unsigned char': 1, short: 2, 'unsigned short': 2, int: 4, 'unsigned int': 4, unsigned: 4, long: 8, 'unsigned long': 8, 'long long': 8, uint64_t: 8, uint32_t: 4, uint16_t: 2, uint8_t: 1 };

const watches: Command = function* (session, rest) {
  const m = /^\*\s*\(\s*([\w ]+?)\s*\*\s*\)\s*(.+)$/.exec(rest.trim()) ?? /^-l\s+\*\s*\(\s*([\w ]+?)\s*\*\s*\)\s*(.+)$/.exec(rest.trim());
  if (!m) throw new Failed(rest.trim() === '' ? 'Argument required (expression to compute).' : `not modelled: watching ${rest.trim()}: give *(TYPE *)ADDRESS`);
  const length = SIZES[m[1]!];
  if (!length) throw new Failed(`No symbol "${m[1]}" in current context.`);
  const address = yield* evaluate(session, m[2]!);
  const place: Place = { number: session.nextPlace++, kind: 'watch', address, length, expression: rest.trim(), enabled: true, temporary: false, hits: 0, value: littleNumber(yield* memory(session, address, length)) };
  session.places.push(place);
  yield* print(`Hardware watchpoint ${place.number}: ${place.expression}\n`);
};

const deletes: Command = function* (session, rest) {
  const words = rest.replace(/^breakpoints?\b/, '').trim().split(/\s+/).filter(Boolean);
  if (words.length === 0) session.places.length = 0;
  for (const word of words) {
    const at = session.places.findIndex(({ number }) => String(number) === word);
    if (at < 0) throw new Failed(`No breakpoint number ${word}.`);
    session.places.splice(at, 1);
  }
};

function switches(on: 'on' | 'off'): Command {
  return function* (session, rest) {
    const words = rest.trim().split(/\s+/).filter(Boolean);
    for (const place of session.places) if (words.length === 0 || words.includes(String(place.number))) place.enabled = on === 'on';
    for (const word of words) if (!session.places.some(({ number }) => String(number) === word)) throw new Failed(`No breakpoint number ${word}.`);
    yield* print('');
  };
}

function placesText({ places }: Session): string {
  if (places.length === 0) return 'No breakpoints or watchpoints.\n';
  return `Num     Type           Disp Enb Address            What\n${places.map((p) => {
    const kind = p.kind === 'watch' ? 'hw watchpoint' : p.kind === 'hbreak' ? 'hw breakpoint' : 'breakpoint';
    const hits = p.hits > 0 ? `\tbreakpoint already hit ${p.hits} time${p.hits === 1 ? '' : 's'}\n` : '';
    return `${String(p.number).padEnd(8)}${kind.padEnd(15)}${p.temporary ? 'del ' : 'keep'} ${p.enabled ? 'y' : 'n'}   ${(p.kind === 'watch' ? '' : hex(p.address, 16)).padEnd(19)}${p.kind === 'watch' ? p.expression : ''}\n${hits}`;
  }).join('')}`;
}

// ---- looking

const info: Command = function* (session, rest) {
  const [what = '', ...names] = rest.trim().split(/\s+/);
  if (what === '') throw new Failed('List of info subcommands:\n\ninfo breakpoints -- Status of specified breakpoints.\ninfo registers -- List of integer registers and their contents.\ninfo symbol -- Describe what symbol is at location ADDR.');
  if ('breakpoints'.startsWith(what) && what.length > 0) return yield* print(placesText(session));
  if (what === 'record' || what === 'rec') return yield* infoRecord(session);
  if ('watchpoints'.startsWith(what)) return yield* print(session.places.some((p) => p.kind === 'watch') ? placesText({ ...session, places: session.places.filter((p) => p.kind === 'watch') }) : 'No watchpoints.\n');
  if ('registers'.startsWith(what) || what === 'all-registers') {
    const all = yield* registers(session);
    for (const name of names) if (!Object.hasOwn(all, name.replace(/^\$/, ''))) throw new Failed(`Invalid register \`${name.replace(/^\$/, '')}'`);
    const wanted = names.map((name) => name.replace(/^\$/, ''));
    return yield* print(Object.entries(all).filter(([name]) => wanted.length === 0 || wanted.includes(name)).map(([name, value]) => registerLine(session, name, value)).join(''));
  }
  if ('symbol'.startsWith(what)) {
    const address = yield* evaluate(session, names.join(' '));
    const label = session.labels.filter((one) => one.address <= address).at(-1);
    return yield* print(label ? `${label.name}${label.address === address ? '' : ` + ${address - label.address}`} in section .text\n` : `No symbol matches ${names.join(' ')}.\n`);
  }
  throw new Failed(`Undefined info command: "${what}".  Try "help info".`);
};

const FLAGS: readonly [number, string][] = [[0, 'CF'], [2, 'PF'], [4, 'AF'], [6, 'ZF'], [7, 'SF'], [8, 'TF'], [9, 'IF'], [10, 'DF'], [11, 'OF'], [14, 'NT'], [16, 'RF'], [17, 'VM'], [18, 'AC'], [19, 'VIF'], [20, 'VIP'], [21, 'ID']];

function registerLine(session: Session, name: string, value: bigint): string {
  const natural = name === 'rip' ? `${hex(value)}${nameOf(session.labels, value)}` : name === 'rsp' || name === 'rbp' ? hex(value) : name === 'eflags' ? `[ ${FLAGS.filter(([bit]) => (value >> BigInt(bit)) & 1n).map(([, flag]) => `${flag} `).join('')}]` : String(BigInt.asIntN(name.length === 2 && name.endsWith('s') ? 32 : 64, value));
  return `${name.padEnd(15)}${hex(value).padEnd(19)}${natural}\n`;
}

const UNITS: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 };

const examines: Command = function* (session, rest) {
  const m = /^(?:\/(-?\d*)([a-z]*))?\s*(.*)$/.exec(rest)!;
  const letters = m[2] ?? '';
  const count = m[1] ? Number(m[1]) : 1;
  session.unit = [...letters].find((c) => c in UNITS) ?? session.unit;
  session.letter = [...letters].find((c) => 'xduotacfsi'.includes(c)) ?? session.letter;
  const { unit, letter } = session;
  if (m[3] === '') throw new Failed('Argument required (starting display address).');
  let address = yield* evaluate(session, m[3]!);
  if (letter === 'i') return yield* print(yield* instructions(session, address, count));
  if (letter === 's') {
    for (let n = 0; n < count; n++) {
      const found = yield* stringAt(session, address);
      yield* print(`${hex(address)}${nameOf(session.labels, address)}:\t"${found}"\n`);
      address += BigInt(found.length + 1);
    }
    return;
  }
  const size = UNITS[unit]!;
  const line = letter === 'c' ? 8 : { 1: 8, 2: 8, 4: 4, 8: 2 }[size]!;
  const data = yield* memory(session, address, size * count);
  let out = '';
  for (let n = 0; n < count; n++) {
    const at = address + BigInt(n * size);
    if (n % line === 0) out += `${n === 0 ? '' : '\n'}${hex(at)}${nameOf(session.labels, at)}:`;
    out += `\t${formatted(littleNumber(data.subarray(n * size, (n + 1) * size)), size, letter)}`;
  }
  yield* print(`${out}\n`);
};

export function formatted(value: bigint, size: number, how: string): string {
  switch (how) {
    case 'd': return String(BigInt.asIntN(8 * size, value));
    case 'u': return String(BigInt.asUintN(8 * size, value));
    case 'o': return `0${BigInt.asUintN(8 * size, value).toString(8)}`;
    case 't': return BigInt.asUintN(8 * size, value).toString(2).padStart(8 * size, '0');
    case 'c': return `${BigInt.asIntN(8, value)} '${value >= 32n && value < 127n ? String.fromCharCode(Number(value)) : `\\${value.toString(8).padStart(3, '0')}`}'`;
    case 'a': return hex(BigInt.asUintN(64, value));
    default: return hex(BigInt.asUintN(8 * size, value), 2 * size);
  }
}

function* stringAt(session: Session, address: bigint): Call<string> {
  let out = '';
  for (let at = address; out.length < 200; at++) {
    const [byte = 0] = yield* memory(session, at, 1);
    if (byte === 0) break;
    out += byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return out;
}

function* instructions(session: Session, from: bigint, count: number): Call<string> {
  const { rip } = yield* registers(session);
  let out = '';
  let at = from;
  for (let n = 0; n < count; n++) {
    const one = printInstruction(yield* memory(session, at, 15), at, session.wide ? 64 : 32, 'att');
    const to = one.target ? nameOf(session.labels, one.target.address) : '';
    out += `${at === rip ? '=> ' : '   '}${hex(at)}${nameOf(session.labels, at)}:\t${one.text}${one.target?.kind === 'data' ? `        # ${hex(one.target.address)}` : ''}${to}\n`;
    at += BigInt(one.length);
  }
  return out;
}

const disassembles: Command = function* (session, rest) {
  const word = rest.replace(/^\/\w+\s*/, '').trim();
  const [first = '', second] = word.split(',').map((part) => part.trim());
  const { rip } = yield* registers(session);
  let from: bigint;
  let to: bigint;
  if (second === undefined) {
    const at = first === '' ? rip! : yield* evaluate(session, first);
    const label = session.labels.filter(({ address }) => address <= at).at(-1);
    if (!label) throw new Failed(first === '' ? 'No function contains program counter for selected frame.' : 'No function contains specified address.');
    from = label.address;
    to = session.labels.find(({ address }) => address > at)?.address ?? at + 64n;
    yield* print(`Dump of assembler code for function ${label.name}:\n`);
  } else {
    from = yield* evaluate(session, first);
    to = second.startsWith('+') ? from + (yield* evaluate(session, second.slice(1))) : yield* evaluate(session, second);
    yield* print(`Dump of assembler code from ${hex(from)} to ${hex(to)}:\n`);
  }
  let out = '';
  for (let at = from; at < to; ) {
    const one = printInstruction(yield* memory(session, at, 15), at, session.wide ? 64 : 32, 'att');
    const label = session.labels.filter(({ address }) => address <= at).at(-1);
    out += `${at === rip ? '=> ' : '   '}${hex(at, 16)}${label ? ` <+${at - label.address}>` : ''}:\t${one.text}${one.target ? nameOf(session.labels, one.target.address) : ''}\n`;
    at += BigInt(one.length);
  }
  yield* print(`${out}End of assembler dump.\n`);
};

const prints: Command = function* (session, rest) {
  const m = /^(?:\/([a-z]))?\s*(.*)$/.exec(rest)!;
  const value = yield* evaluate(session, m[2]!);
  session.values.push(value);
  const plain = /^\$(rip|pc)$/.test(m[2]!.trim()) ? `(void (*)()) ${hex(value)}${nameOf(session.labels, value)}` : /^\$(rsp|sp|rbp|fp)$/.test(m[2]!.trim()) ? `(void *) ${hex(value)}` : String(BigInt.asIntN(64, value));
  yield* print(`$${session.values.length} = ${m[1] === undefined ? plain : m[1] === 'x' ? hex(BigInt.asUintN(64, value)) : formatted(value, 8, m[1]).replace(m[1] === 't' ? /^0+(?=.)/ : /$^/, '')}\n`);
};

const NUMBERS = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip', 'eflags'];

const sets: Command = function* (session, rest) {
  const word = rest.replace(/^var(iable)?\s+/, '').trim();
  if (/^(pagination|confirm|disassembly-flavor|architecture|logging|height|width|print|arch)\b/.test(word)) return;
  const register = /^\$(\w+)\s*=\s*(.+)$/.exec(word);
  if (register) {
    const name = register[1] === 'pc' ? 'rip' : register[1] === 'sp' ? 'rsp' : register[1]!;
    if (!NUMBERS.includes(name)) throw new Failed(`Invalid register \`${register[1]}'`);
    const value = BigInt.asUintN(64, yield* evaluate(session, register[2]!));
    yield* endsReplay(session, `changing the value of a register will make the execution log unusable from this point onward.  Change register ${name}?`);
    const reply = yield* ask(session, `P${NUMBERS.indexOf(name).toString(16)}=${littleHex(value, 8)}`);
    if (reply !== 'OK') throw new Failed(`Could not write register "${name}"; remote failure reply '${reply}'`);
    return;
  }
  const store = /^\*\s*\(\s*([\w ]+?)\s*\*\s*\)\s*([^=]+)=\s*(.+)$/.exec(word);
  if (!store || !SIZES[store[1]!]) throw new Failed(`not modelled: set ${word}: give $register=VALUE or *(TYPE *)ADDRESS=VALUE`);
  const address = yield* evaluate(session, store[2]!);
  const length = SIZES[store[1]!]!;
  yield* endsReplay(session, `writing to memory will make the execution log unusable from this point onward.  Write memory at address ${hex(address)}?`);
  const reply = yield* ask(session, `M${address.toString(16)},${length.toString(16)}:${littleHex(BigInt.asUintN(8 * length, yield* evaluate(session, store[3]!)), length)}`);
  if (reply !== 'OK') throw new Failed(`Cannot access memory at address ${hex(address)}`);
};

const littleHex = (value: bigint, size: number): string => Array.from({ length: size }, (_, n) => ((value >> BigInt(8 * n)) & 255n).toString(16).padStart(2, '0')).join('');

// ---- the target

const target: Command = function* (session, rest) {
  const [kind, where_] = rest.trim().split(/\s+/);
  if (kind !== 'remote' && kind !== 'extended-remote') throw new Failed(kind ? `not modelled: target ${kind}: only remote` : 'Argument required (target name).  Try `help target\'');
  if (!where_) throw new Failed('To open a remote debug connection, you need to specify what\nserial device is attached to the remote system\n(e.g. /dev/ttyS0, /dev/ttyUSB0, COM1, etc.).');
  session.remote = yield* connect(where_);
  session.reverse = (yield* ask(session, 'qSupported:multiprocess+;swbreak+;hwbreak+')).includes('ReverseStep+') ? 'target' : null;
  yield* ask(session, '?');
  yield* print(`Remote debugging using ${where_}\n`);
  if (session.labels.length === 0) yield* print('warning: No executable has been specified and target does not support\ndetermining executable automatically.  Try using the "file" command.\n');
  yield* showWhere(session);
};

const monitor: Command = function* (session, rest) {
  if (!session.remote) throw new Failed('"monitor" command not supported by this target.');
  yield* ask(session, `qRcmd,${toHex(rest.trim())}`);
};

function ends(how: 'detach' | 'kill' | 'quit'): Command {
  return function* (session) {
    const { remote } = session;
    if (!remote && how !== 'quit') throw new Failed('The program is not being run.');
    if (remote && how === 'kill') yield* sendPacket(remote, 'k');
    else if (remote) {
      yield* ask(session, 'D');
      if (how === 'detach') yield* print('Detaching from program: , process 1\nEnding remote debugging.\n');
    }
    if (how === 'kill') yield* print('[Inferior 1 (process 1) killed]\n');
    session.remote = null;
    if (how === 'quit') session.over = true;
  };
}

const help: Command = function* () {
  yield* print(`Commands that are modelled:\n\n${Object.keys(COMMANDS).sort().join(' ')}\n`);
};

const backtrace: Command = function* (session) {
  yield* print(`#0  ${where(session, (yield* registers(session)).rip!)}\n`);
};

const echo: Command = function* (_session, rest) {
  yield* print(rest.replaceAll('\\n', '\n'));
};

export const COMMANDS: Readonly<Record<string, Command>> = {
  b: stopsAt('break', false), break: stopsAt('break', false), hbreak: stopsAt('hbreak', false), tbreak: stopsAt('break', true), watch: watches, delete: deletes, d: deletes, disable: switches('off'), enable: switches('on'),
  c: continues, continue: continues, si: steps, stepi: steps, ni: nexts, nexti: nexts, ...REVERSE,
  x: examines, p: prints, print: prints, info, i: info, set: sets, disassemble: disassembles, bt: backtrace, backtrace, target, monitor, detach: ends('detach'), kill: ends('kill'), k: ends('kill'), quit: ends('quit'), q: ends('quit'), help, echo,
};
