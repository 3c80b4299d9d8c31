/** The target runs, forth or back, and its stop is told. */
import type { Call } from '../../lib/http.ts';
import { Failed, print } from '../../lib/io.ts';
import { nextPacket, sendPacket } from './remote.ts';
import { ask, littleNumber, lost, memory, registers, type Session } from './session.ts';
import { showValue } from './values.ts';

export type Command = (session: Session, rest: string) => Call<void>;

export const hex = (n: bigint, digits = 0): string => `0x${n.toString(16).padStart(digits, '0')}`;

export const where = (session: Session, rip: bigint): string => {
  const label = session.labels.filter(({ address }) => address <= rip).at(-1);
  return label ? `${hex(rip, 16)} in ${label.name} ()` : `${hex(rip, 16)} in ?? ()`;
};

export function* showWhere(session: Session): Call<void> {
  yield* print(`${where(session, (yield* registers(session)).rip!)}\n`);
}

/** Forth or back, on or by one instruction: packets. */
export type Motion = 'c' | 's' | 'bc' | 'bs';

/** Breakpoints go in while the target runs; waits for its stop and tells it. */
export function* resume(session: Session, how: Motion): Call<void> {
  const { remote } = session;
  if (!remote) throw new Failed('The program is not being run.');
  for (const place of session.places) if (place.enabled) yield* ask(session, `Z${place.kind === 'watch' ? 2 : place.kind === 'hbreak' ? 1 : 0},${place.address.toString(16)},${place.length}`);
  session.interrupted = false;
  yield* sendPacket(remote, how);
  const reply = yield* nextPacket(remote, () => session.interrupted);
  session.interrupted = false;
  if (reply === null) return yield* lost(session);
  if (reply.startsWith('W') || reply.startsWith('X')) {
    session.remote = null;
    return yield* print('[Inferior 1 (process 1) exited normally]\n');
  }
  for (const place of session.places) yield* ask(session, `z${place.kind === 'watch' ? 2 : place.kind === 'hbreak' ? 1 : 0},${place.address.toString(16)},${place.length}`);
  yield* tellStop(session, reply);
}

function* tellStop(session: Session, reply: string): Call<void> {
  const { rip } = yield* registers(session);
  if (reply.includes('replaylog:')) return yield* print(`\nNo more reverse-execution history.\n${where(session, rip!)}\n`);
  if (reply.startsWith('T02')) yield* print('\nProgram received signal SIGINT, Interrupt.\n');
  const watched = /watch:([0-9a-f]+);/.exec(reply);
  const watch = watched ? session.places.find((p) => p.kind === 'watch' && p.address === BigInt(`0x${watched[1]}`)) : undefined;
  const hit = session.places.find((p) => p.kind !== 'watch' && p.enabled && p.address === rip);
  if (watch) {
    watch.hits++;
    const now = littleNumber(yield* memory(session, watch.address, watch.length));
    yield* print(`\nHardware watchpoint ${watch.number}: ${watch.expression}\n\nOld value = ${showValue(watch.value, watch.length)}\nNew value = ${showValue(now, watch.length)}\n`);
    watch.value = now;
  } else if (hit && !reply.startsWith('T02')) {
    hit.hits++;
    yield* print(`\n${hit.temporary ? 'Temporary breakpoint' : 'Breakpoint'} ${hit.number}, ${where(session, rip!)}\n`);
    if (hit.temporary) session.places.splice(session.places.indexOf(hit), 1);
    return;
  }
  yield* print(`${where(session, rip!)}\n`);
}
