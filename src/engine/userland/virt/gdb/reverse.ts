/**
 * gdb's commands that go back: by one instruction, over a call, out of a function, to the last breakpoint or change of a watched place;
 * and `record`, by which a target that does not keep its doings of its own accord is asked to. Texts as of gdb 13.1. Simplified: gdb's
 * own record-full notes registers and memory itself, here the target keeps history; questions answer themselves.
 */
import { print as printInstruction } from '../../../machine/isa/objdump.ts';
import type { Call } from '../../lib/http.ts';
import { complain, Failed, print } from '../../lib/io.ts';
import { type Command, resume, where } from './motion.ts';
import { nextPacket, sendPacket } from './remote.ts';
import { ask, lost, memory, registers, type Session } from './session.ts';
import { evaluate } from './values.ts';

function reversible(session: Session): void {
  if (!session.remote) throw new Failed('Target None does not support this command.');
  if (session.reverse === null) throw new Failed('Target remote does not support this command.');
}

function* times(session: Session, rest: string): Call<number> {
  reversible(session);
  return rest.trim() === '' ? 1 : Number(yield* evaluate(session, rest));
}

const stepsBack: Command = function* (session, rest) {
  for (let n = yield* times(session, rest); n > 0 && session.remote; n--) yield* resume(session, 'bs');
};

const continuesBack: Command = function* (session) {
  reversible(session);
  yield* print('Continuing.\n');
  yield* resume(session, 'bc');
};

/** A motion of which nothing is told. True: the history ended there. */
function* move(session: Session, how: 'bs' | 'bc', stopAt: readonly bigint[]): Call<boolean> {
  const remote = session.remote!;
  for (const address of stopAt) yield* ask(session, `Z0,${address.toString(16)},1`);
  yield* sendPacket(remote, how);
  const reply = yield* nextPacket(remote, () => session.interrupted);
  if (reply === null) return yield* lost(session);
  for (const address of stopAt) yield* ask(session, `z0,${address.toString(16)},1`);
  return reply.includes('replaylog:');
}

function* showWhere(session: Session, ended: boolean): Call<void> {
  yield* print(`${ended ? '\nNo more reverse-execution history.\n' : ''}${where(session, (yield* registers(session)).rip!)}\n`);
}

/** Calls that end right before an address. */
function* callsBefore(session: Session, address: bigint): Call<bigint[]> {
  const code = yield* memory(session, address - 7n, 7);
  return [2, 3, 4, 5, 6, 7].map((length) => ({ at: address - BigInt(length), length }))
    .filter(({ at, length }) => {
      const one = printInstruction(code.subarray(7 - length), at, session.wide ? 64 : 32, 'att');
      return one.length === length && /^(l?call|int)\b/.test(one.text);
    }).map(({ at }) => at);
}

/** One instruction back, and over the whole of a call that it would go into. */
function* overBack(session: Session): Call<boolean> {
  const before = yield* registers(session);
  if (yield* move(session, 'bs', [])) return true;
  const { rip } = yield* registers(session);
  if (!/^(l?ret|iret)/.test(printInstruction(yield* memory(session, rip!, 15), rip!, session.wide ? 64 : 32, 'att').text)) return false;
  const calls = yield* callsBefore(session, before.rip!);
  if (calls.length === 0) return false;
  for (;;) {
    const ended = yield* move(session, 'bc', calls);
    if (ended || (yield* registers(session)).rsp === before.rsp) return ended;
  }
}

const nextsBack: Command = function* (session, rest) {
  for (let n = yield* times(session, rest); n > 0 && session.remote; n--) yield* showWhere(session, yield* overBack(session));
};

function* functionHere(session: Session): Call<{ name: string; address: bigint }> {
  const { rip } = yield* registers(session);
  const found = session.labels.filter(({ address }) => address <= rip!).at(-1);
  if (!found) throw new Failed('Cannot find bounds of current function');
  return found;
}

/** To the function's first instruction and one more back: the call. */
function* outBack(session: Session, start: bigint): Call<void> {
  const { rip } = yield* registers(session);
  const ended = rip !== start && (yield* move(session, 'bc', [start]));
  yield* showWhere(session, ended || (yield* move(session, 'bs', [])));
}

const finishesBack: Command = function* (session) {
  reversible(session);
  const { address } = yield* functionHere(session);
  yield* print(`Run back to call of #0  ${where(session, (yield* registers(session)).rip!)}\n`);
  yield* outBack(session, address);
};

const leavesBack: Command = function* (session) {
  reversible(session);
  const { name, address } = yield* functionHere(session);
  yield* print(`Single stepping until exit from function ${name},\nwhich has no line number information.\n`);
  yield* outBack(session, address);
};

// ---- record

const NONE = 'No recording is currently active.\n';

const record: Command = function* (session, rest) {
  const word = rest.trim();
  if (word === 'stop' || word === 's') {
    if (session.reverse !== 'record') return yield* complain(`${NONE}Use the "record full" or "record btrace" command first.\n`);
    yield* ask(session, 'QReverse:0');
    session.reverse = null;
    return yield* print('Process record is stopped and all execution logs are deleted.\n');
  }
  if (word === 'btrace') throw new Failed('Target does not support branch tracing.');
  if (word !== '' && word !== 'full') throw new Failed(`Undefined record command: "${word}".  Try "help record".`);
  if (!session.remote) throw new Failed('The program is not being run.');
  if (session.reverse === 'record') throw new Failed('The process is already being recorded.  Use "record stop" to stop recording first.');
  if ((yield* ask(session, 'QReverse:1')) !== 'OK') throw new Failed("Process record: the current architecture doesn't support record function.");
  session.reverse = 'record';
};

function* history(session: Session): Call<{ log: number; at: number | null } | null> {
  const [from, to, at] = (yield* ask(session, 'qReverse')).split(';').map((word) => Number.parseInt(word, 16));
  return from === undefined || to === undefined || Number.isNaN(from) ? null : { log: to - from, at: at === undefined ? null : at - from };
}

export function* infoRecord(session: Session): Call<void> {
  const state = session.reverse === 'record' && session.remote ? yield* history(session) : null;
  if (!state) return yield* print(NONE);
  const lines = state.log === 0 ? ['No instructions have been logged.'] : [
    'Lowest recorded instruction number is 1.', ...(state.at === null ? [] : [`Current instruction number is ${state.at + 1}.`]), `Highest recorded instruction number is ${state.log}.`, `Log contains ${state.log} instructions.`,
  ];
  yield* print(`Active record target: record-full\n${state.at === null ? 'Record' : 'Replay'} mode:\n${lines.join('\n')}\nMax logged instructions is 200000.\n`);
}

/** A change in the past: what came after it is forgotten. */
export function* endsReplay(session: Session, question: string): Call<void> {
  if (session.reverse !== 'record' || (yield* history(session))?.at == null) return;
  yield* print(`Because GDB is in replay mode, ${question}(y or n) [answered Y; input not from terminal]\n`);
}

export const REVERSE: Readonly<Record<string, Command>> = {
  'reverse-stepi': stepsBack, rsi: stepsBack, 'reverse-nexti': nextsBack, rni: nextsBack, 'reverse-continue': continuesBack, rc: continuesBack, 'reverse-finish': finishesBack, 'reverse-step': leavesBack, rs: leavesBack,
  'reverse-next': leavesBack, rn: leavesBack, record, rec: record,
};
