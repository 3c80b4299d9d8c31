/**
 * One session: a world, the clock that drives it, the views somebody watches and the frames that go out.
 *
 * Real time becomes simulated time here and nowhere else: while playing, `speed` simulated seconds pass a real one, as
 * far as the work of each slice (at most 8 ms of real time) allows. One frame is in flight at a time; what changes
 * meanwhile goes with the next. Seeking into the past rebuilds the world and replays; what was done later stays until
 * somebody acts. The headless tool runs this very code with a clock of its own.
 */
import type { Calls, Cell, Frame, Input, Query, Recording, Row, ToPage, ToWorker } from '../bridge/protocol.ts';
import { checkRecording } from '../engine/world/recording.ts';
import {
  act, advance, advanceSome, type Assets, openRecording, takeOutput, toRecording, TTYS, type World,
} from '../engine/world/world.ts';
import { assemble } from '../engine/machine/isa/assemble.ts';
import { nextAt } from '../engine/sim/timeline.ts';
import { text } from '../engine/sim/text.ts';
import { answer } from '../engine/views/match.ts';
import { type CellFeed, closeFeed, openFeed, takeCells } from '../engine/views/cells.ts';
import { diff, nothingSent, type Sent } from '../engine/views/diff.ts';
import { VIEWS } from '../engine/views/views.ts';
import { createGate, type Rest } from './gate.ts';

/** What the surroundings give a session. */
export interface Surroundings {
  assets: Assets;
  post(message: ToPage): void;
  /** Real milliseconds, monotonic. */
  now(): number;
  /** Calls back soon, after messages that wait have been handled. */
  soon(callback: () => void): void;
  /** Calls back in about that many milliseconds. */
  later(callback: () => void, ms: number): void;
  /** Where the session is kept as it happens; without one it is not. */
  journal?: Journal;
  /** Programs that come later; without it all are there. */
  rest?: Rest;
}

/** Keeps the session beyond this page. Nothing here fails: what cannot be kept is said in `problem`. */
export interface Journal {
  /** The session kept last, as it was when this page began. */
  last: Recording | null;
  problem: string | null;
  begin(recording: Recording): void;
  /** From the input with that index on, these are the inputs. */
  inputs(from: number, made: readonly Input[], until: number): void;
  /** Simulated ns reached without an input. */
  reached(until: number): void;
  forget(): void;
}

export const SLICE_MS = 8;
/** How often time that merely passes is kept, ms. */
const KEEP_MS = 1000;
const FRAME_MS = 15;
/** How soon to look again whether the page has taken the frame in flight. */
const ACK_MS = 4;
/** A view that takes long to recompute waits so many times that long before it is recomputed, at most PATIENCE_MS. */
const PATIENCE = 25;
const PATIENCE_MS = 500;
/** Bytes of a line that a listing shows. */
const LISTED = 12;
/** Characters kept of each terminal, so that a page that comes back sees what was there. */
const SCROLLBACK = 400_000;

/** Calls that need no world. */
const WORLDLESS = new Set<keyof Calls>(['open', 'resume', 'views', 'assemble', 'forget']);
/** Calls that wait for a replay to arrive: what is typed meanwhile is not lost. */
const AFTER_REPLAY = new Set<keyof Calls>(['act', 'step', 'seek']);

type Call = Extract<ToWorker, { type: 'call' }>;

/** A session in which nobody has done anything is as good as new: nothing of it needs to be run again. */
const sinceTouched = (recording: Recording): Recording =>
  recording.inputs.every((input) => input.do === 'open' || input.do === 'resize') ? { ...recording, inputs: [], until: 0 } : recording;

interface Subscription {
  view: string;
  arg: Record<string, Cell>;
  sent: Sent;
  /** Says nothing more until it is asked anew. */
  broken: boolean;
  /** Real time before which it is not recomputed while the world runs. */
  due: number;
}

interface Session {
  world: World;
  running: boolean;
  speed: number;
  /** Real and simulated time at which the present pace began. */
  pace: { real: number; sim: number };
  /** The furthest time reached. */
  end: number;
  /** Replay in progress: from `from` to `to`, then `then`. */
  seek: { from: number; to: number; running: boolean } | null;
  /** Simulated ns of the records, ascending, as far as this history was ever seen: where a step back can go before a replay has come there. */
  known: Float64Array;
  scrollback: Map<string, string>;
  pendingTerm: Frame['term'];
  fault: Frame['fault'];
  /** Crashes of the world that the page knows of. */
  crashesTold: number;
}

export interface Server {
  receive(message: ToWorker): void;
}

export function createServer(around: Surroundings): Server {
  const subscriptions = new Map<number, Subscription>();
  const feeds = new Map<number, CellFeed | null>();
  /** Calls in their order, from the first that waits for the replay. */
  let held: Call[] = [];
  let session!: Session;
  let open = false;
  let inFlight = false;
  let dirty = true;
  let lastFrame = 0;
  /** Real ms that frames take to make of late: the next waits longer than that, so that the world goes on. */
  let frameCost = 0;
  let lastKept = 0;
  const { journal } = around;
  let ticking = false;
  const gate = createGate(around.rest, (spoilt, failure, kept) => {
    if (failure) stop(failure);
    else if (spoilt) anew();
    repace();
    for (const message of kept) receive(message);
    again();
  });

  function start(world: World): Session {
    return {
      world, running: true, speed: 1, pace: { real: around.now(), sim: world.timeline.now }, end: world.timeline.now,
      seek: null, known: new Float64Array(0), scrollback: new Map(), pendingTerm: [], fault: undefined, crashesTold: 0,
    };
  }

  /** Runs `work` on the world; an exception of the engine stops it, keeps the recording and tells. */
  function guarded(work: () => void): void {
    if (session.fault) return;
    try {
      work();
    } catch (error) {
      if (!gate.spoilt()) stop(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    gate.spoilt();
    dirty = true;
  }

  function stop(message: string): void {
    session.fault = { message, at: session.world.timeline.now };
    session.running = false;
    session.seek = null;
  }

  /** The world as it would be if all programs had been there. */
  function anew(): void {
    const { world, running, seek } = session;
    rebuild();
    session.running = running;
    if (seek) session.seek = { ...seek, from: 0 };
    else guarded(() => advance(session.world, world.timeline.now));
    collectOutput();
  }

  function collectOutput(): void {
    for (const { tty, data } of takeOutput(session.world)) {
      const shown = text(data);
      session.scrollback.set(tty, ((session.scrollback.get(tty) ?? '') + shown).slice(-SCROLLBACK));
      const last = session.pendingTerm[session.pendingTerm.length - 1];
      if (last?.tty === tty) last.data += shown;
      else session.pendingTerm.push({ tty, data: shown });
    }
  }

  function tick(): void {
    ticking = false;
    if (!open || gate.closed()) return;
    const began = around.now();
    // a slice ends when a frame is due
    const until = dirty && !inFlight ? Math.max(began + 1, Math.min(began + SLICE_MS, frameDue())) : began + SLICE_MS;
    const enough = (): boolean => around.now() >= until;
    if (session.seek) guarded(() => replaySlice(enough));
    else if (session.running && !session.fault) guarded(() => playSlice(began, enough));
    while (held.length > 0 && !session.seek && !gate.closed()) perform(held.shift()!);
    if (gate.closed()) return;
    if (journal && session.running && around.now() - lastKept >= KEEP_MS) {
      lastKept = around.now();
      journal.reached(session.end);
    }
    if (dirty && !inFlight && (around.now() >= frameDue() || !session.running)) sendFrame();
    again();
  }

  const frameDue = (): number => lastFrame + Math.max(FRAME_MS, frameCost * 2.5);

  /** When to come back: at once while there is work, else when the next event or frame is due. */
  function again(): void {
    if (ticking || !open || gate.closed()) return;
    if (session.seek || (session.running && !session.fault)) {
      ticking = true;
      const due = session.pace.real + (nextAt(session.world.timeline) - session.pace.sim) / 1e6 / session.speed;
      const idle = session.seek ? 0 : Math.min(due - around.now(), dirty ? Math.max(frameDue() - around.now(), inFlight ? ACK_MS : 0) : 50);
      if (idle <= 1) around.soon(tick);
      else around.later(tick, idle);
    } else if (dirty && !inFlight) {
      ticking = true;
      around.later(tick, 1);
    }
  }

  function playSlice(began: number, enough: () => boolean): void {
    const { world, pace } = session;
    const target = Math.floor(pace.sim + (began - pace.real) * 1e6 * session.speed);
    const before = world.timeline.handled;
    if (!advanceSome(world, target, enough)) repace();
    session.end = Math.max(session.end, world.timeline.now);
    if (world.timeline.handled !== before) collectOutput();
  }

  function replaySlice(enough: () => boolean): void {
    const seek = session.seek!;
    const reached = advanceSome(session.world, seek.to, enough);
    if (!reached) return;
    collectOutput();
    session.seek = null;
    session.running = seek.running;
    repace();
  }

  function repace(): void {
    session.pace = { real: around.now(), sim: session.world.timeline.now };
  }

  function sendFrame(): void {
    inFlight = true;
    dirty = false;
    lastFrame = around.now();
    const { world, seek } = session;
    const frame: Frame = {
      type: 'frame', t: world.timeline.now, instructions: 0, running: session.running, speed: session.speed,
      end: Math.max(session.end, world.timeline.now), patches: [], term: [],
    };
    if (seek) frame.seeking = seek.to === 0 ? 1 : world.timeline.now / seek.to;
    else {
      for (const [sub, subscription] of subscriptions) {
        if (session.running && subscription.due > lastFrame) {
          dirty = true;
          continue;
        }
        const began = around.now();
        const patch = patchOf(sub, subscription);
        if (patch) frame.patches.push(patch);
        const ended = around.now();
        subscription.due = ended + Math.min(PATIENCE_MS, (ended - began) * PATIENCE);
      }
      for (const sub of feeds.keys()) cellsInto(frame, sub);
      frame.term = session.pendingTerm;
      session.pendingTerm = [];
      for (const vm of VIEWS.vms!.rows(world, {})) frame.instructions += Number(vm.instructions);
    }
    if (session.fault) frame.fault = session.fault;
    const crash = world.crashes[session.crashesTold];
    if (crash) {
      session.crashesTold++;
      frame.crashed = `${crash.who}: ${crash.text}`;
    }
    if (journal?.problem) frame.unkept = journal.problem;
    frameCost += (around.now() - lastFrame - frameCost) / 4;
    around.post(frame);
    if (frame.term.some(({ data }) => data !== '')) gate.ask();
  }

  /** What a picture of cells has not seen; another world's begins anew. */
  function cellsInto(frame: Frame, sub: number): void {
    const { cluster } = session.world;
    let feed = feeds.get(sub) ?? null;
    if (feed && feed.cluster !== cluster) {
      closeFeed(feed);
      feed = null;
    }
    if (!feed && cluster) feed = openFeed(cluster);
    feeds.set(sub, feed);
    const patch = feed ? takeCells(feed, sub) : null;
    if (patch) (frame.cells ??= []).push(patch);
  }

  function patchOf(sub: number, subscription: Subscription): Frame['patches'][number] | null {
    const view = VIEWS[subscription.view];
    if (!view || subscription.broken) return null;
    try {
      return diff(sub, subscription.sent, view.rows(session.world, subscription.arg));
    } catch (error) {
      subscription.broken = true;
      if (!session.fault) {
        session.fault = { message: `view ${subscription.view}: ${error instanceof Error ? (error.stack ?? error.message) : error}`, at: session.world.timeline.now };
      }
      return null;
    }
  }

  /** Another world: every terminal and view begins anew. */
  function replace(next: Session): void {
    session = next;
    for (const subscription of subscriptions.values()) subscription.broken = false;
    session.pendingTerm = TTYS.map((tty) => ({ tty, data: '', reset: true }));
    dirty = true;
  }

  const calls: { [K in keyof Calls]: (input: Calls[K]['in']) => Calls[K]['out'] } = {
    open({ recording, at }) {
      const checked = checkRecording(recording);
      const world = openRecording(around.assets, checked);
      const target = at ?? checked.until;
      for (const call of held.splice(0)) around.post({ type: 'reply', id: call.id, error: 'another session was opened' });
      replace({ ...start(world), end: Math.max(checked.until, target) });
      open = true;
      if (target > 0) {
        session.seek = { from: 0, to: target, running: true };
        gate.wait();
      }
      journal?.begin(checked);
      return { scenario: checked.scenario, seed: checked.seed };
    },
    resume({ fresh, kept }) {
      const recording = kept && journal?.last ? sinceTouched(journal.last) : fresh;
      try {
        return { recording: { ...recording, ...calls.open({ recording }) }, problem: null };
      } catch (error) {
        if (recording === fresh) throw error;
        calls.open({ recording: fresh });
        return { recording: fresh, problem: error instanceof Error ? error.message : String(error) };
      }
    },
    act(action) {
      if (session.fault) throw new Error('the world has stopped');
      const { world } = session;
      const from = world.applied;
      guarded(() => act(world, action));
      // what was seen of another course of events is no guide any more
      session.known = new Float64Array(0);
      session.end = world.timeline.now;
      journal?.inputs(from, world.inputs.slice(from), session.end);
      collectOutput();
      return null;
    },
    play({ running, speed }) {
      if (speed !== undefined) {
        if (!(speed > 0 && speed <= 1000)) throw new Error('speed is from above 0 to 1000');
        session.speed = speed;
      }
      if (session.seek) session.seek.running = running;
      else session.running = running && !session.fault;
      repace();
      dirty = true;
      return null;
    },
    seek({ t }) {
      if (!(t >= 0)) throw new Error('a time is at least 0');
      const running = session.seek ? session.seek.running : false;
      const target = Math.floor(t);
      if (target < session.world.timeline.now || session.fault) rebuild();
      session.seek = { from: session.world.timeline.now, to: target, running };
      session.running = false;
      return null;
    },
    step({ by }) {
      const { world, seek } = session;
      session.running = false;
      if (by === 1) {
        const next = nextAt(world.timeline);
        const input = world.inputs[world.applied]?.t ?? Number.POSITIVE_INFINITY;
        const target = Math.min(next, input);
        if (target !== Number.POSITIVE_INFINITY) session.seek = { from: world.timeline.now, to: target, running: false };
      } else {
        learn();
        const target = lastBefore(session.known, seek ? seek.to : world.timeline.now);
        if (target < world.timeline.now) rebuild();
        session.seek = { from: session.world.timeline.now, to: target, running: false };
      }
      return null;
    },
    recording() {
      return toRecording(session.world);
    },
    forget() {
      journal?.forget();
      return null;
    },
    rows({ view, arg }) {
      return rowsOf(view, arg ?? {});
    },
    check({ checks }) {
      return checks.map((query: Query) => answer(query, rowsOf(query.view, query.arg ?? {})));
    },
    assemble({ name, source }) {
      const { bytes, origin, lines, errors } = assemble(source, name);
      const shown = (at: number, length: number): string => [...bytes.subarray(at, at + Math.min(length, LISTED))].map((byte) => byte.toString(16).padStart(2, '0')).join(' ') + (length > LISTED ? ' …' : '');
      return {
        origin: `0x${origin.toString(16)}`, size: bytes.length, errors: errors.slice(0, 100).map(({ line, column, text: said }) => ({ line, column, text: said })),
        lines: bytes.length === 0 ? [] : lines.filter((one) => one.file === null).map((one) => ({ line: one.line, address: `0x${one.address.toString(16)}`, bytes: shown(Number(one.address - origin), one.length) })),
      };
    },
    views() {
      return Object.entries(VIEWS).map(([name, view]) => ({ name, doc: view.doc, arg: view.arg, columns: [...view.columns] }));
    },
  };

  function rowsOf(name: string, arg: Record<string, Cell>): Row[] {
    const view = VIEWS[name];
    if (!view) throw new Error(`no view '${name}'`);
    return view.rows(session.world, arg);
  }

  /** The same session at its beginning, its inputs still to come. */
  function rebuild(): void {
    const { world, end, speed } = session;
    const recording: Recording = { nestbox: 1, scenario: world.source, seed: world.seed, inputs: world.inputs, until: world.timeline.now };
    learn();
    replace({ ...start(openRecording(around.assets, recording)), end, speed, known: session.known, crashesTold: session.crashesTold, running: false });
  }

  function learn(): void {
    const { records } = session.world.trace;
    if ((records.at(-1)?.t ?? 0) > (session.known.at(-1) ?? -1)) session.known = Float64Array.from(records, (record) => record.t);
  }

  function perform({ id, name, in: input }: Call): void {
    try {
      const run = calls[name] as ((input: unknown) => unknown) | undefined;
      if (!run) throw new Error(`no call '${name}'`);
      if (!open && !WORLDLESS.has(name)) throw new Error('no world is open');
      around.post({ type: 'reply', id, out: run(input) });
    } catch (error) {
      around.post({ type: 'reply', id, error: error instanceof Error ? error.message : String(error) });
    }
    dirty = true;
  }

  /** Whether a call waits: it acts on where the replay arrives, or one before it does. A further seek or step back replaces the replay instead. */
  const waits = ({ name, in: input }: Call): boolean =>
    open && session.seek !== null && AFTER_REPLAY.has(name) && (held.length > 0 || name === 'act' || (name === 'step' && (input as Calls['step']['in']).by === 1));

  function receive(message: ToWorker): void {
    if (gate.keep(message)) return;
    if (message.type === 'ack') inFlight = false;
    else if (message.type === 'subscribe') {
      subscriptions.set(message.sub, { view: message.view, arg: message.arg ?? {}, sent: nothingSent(), broken: false, due: 0 });
      dirty = true;
    } else if (message.type === 'cells') {
      feeds.set(message.sub, null);
      dirty = true;
    } else if (message.type === 'unsubscribe') {
      subscriptions.delete(message.sub);
      const feed = feeds.get(message.sub);
      if (feed) closeFeed(feed);
      feeds.delete(message.sub);
    }
    else if (waits(message)) held.push(message);
    else perform(message);
    again();
  }
  return { receive };
}

/** The last of ascending times that lies before `t`; 0 if none does. */
function lastBefore(times: Float64Array, t: number): number {
  let i = times.length - 1;
  while (i >= 0 && times[i]! >= t) i--;
  return i >= 0 ? times[i]! : 0;
}
