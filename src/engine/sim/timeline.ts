/**
 * The one clock and the one event queue.
 *
 * Simulated time is a number of nanoseconds since the world began (exact to 2^53 ns, about 104 days). Everything that
 * happens later is an event: plain data, ordered by (time, sequence), never a closure. What an event does is looked up
 * by its `kind` in a table that the world fills at composition. Whoever advances the world in larger or smaller steps
 * gets the same history: `runTo` handles events in exactly this order and nothing else moves the clock.
 *
 * Events that go on and on while no nanosecond passes are a fault of the engine, and would hold the world for ever: after
 * `patience` of them `step` throws, naming what kept running. Events are counted, not real time, so every replay finds it.
 */
import { insert, takeFirst } from './heap.ts';

/** Nanoseconds of simulated time. */
export type Ns = number;

export interface SimEvent {
  readonly kind: string;
  /** Whose event it is: the name of a kernel, a cluster, a VM. */
  readonly who: string;
  /** Plain data, chosen by the kind. */
  readonly arg?: unknown;
}

interface Entry {
  at: Ns;
  seq: number;
  event: SimEvent | null;
}

/** A handle on a scheduled event; opaque to its owner. */
export type Ticket = Entry;

export type Handler = (event: SimEvent) => void;

export interface Timeline {
  now: Ns;
  /** Events handled so far. */
  handled: number;
  seq: number;
  heap: Entry[];
  handlers: Map<string, Handler>;
  /** By kind, who is behind an event that was handled, for a reader. */
  namers: Map<string, (event: SimEvent) => string>;
  /** Events that may happen within one nanosecond, and those that have since `still.since`. */
  patience: number;
  still: { since: Ns; events: number; busy: Map<string, number> };
}

/** Far above what a cluster of 5,000 nodes does at one instant. */
const PATIENCE = 3_000_000;
/** Events looked at, once patience is gone, to say whose they are. */
const LOOKED_AT = 2000;
const NAMED = 5;

export function createTimeline(): Timeline {
  return { now: 0, handled: 0, seq: 0, heap: [], handlers: new Map(), namers: new Map(), patience: PATIENCE, still: { since: 0, events: 0, busy: new Map() } };
}

/** Names the function that handles every event of this kind. One handler a kind. */
export function handle(timeline: Timeline, kind: string, handler: Handler): void {
  if (timeline.handlers.has(kind)) throw new Error(`two handlers for event kind ${kind}`);
  timeline.handlers.set(kind, handler);
}

/** Says who is behind events of a kind, for the message about a clock that stands still. */
export function nameEvents(timeline: Timeline, kind: string, namer: (event: SimEvent) => string): void {
  timeline.namers.set(kind, namer);
}

/** Schedules `event` at absolute time `at` (ns); a time in the past means now, after what is already due. */
export function schedule(timeline: Timeline, at: Ns, event: SimEvent): Ticket {
  const entry: Entry = { at: Math.max(at, timeline.now), seq: timeline.seq++, event };
  insert(timeline.heap, entry, before);
  return entry;
}

/** Schedules `event` after `delay` ns. */
export function after(timeline: Timeline, delay: Ns, event: SimEvent): Ticket {
  return schedule(timeline, timeline.now + delay, event);
}

/** Takes a scheduled event back; harmless when it has happened. */
export function cancel(ticket: Ticket): void {
  ticket.event = null;
}

/** The time of the next event, or Infinity. */
export function nextAt(timeline: Timeline): Ns {
  const heap = timeline.heap;
  while (heap.length > 0 && heap[0]!.event === null) takeFirst(heap, before);
  return heap.length > 0 ? heap[0]!.at : Number.POSITIVE_INFINITY;
}

/** Handles the next event if it is due at or before `limit`; says whether it did. */
export function step(timeline: Timeline, limit: Ns): boolean {
  if (nextAt(timeline) > limit) return false;
  const entry = takeFirst(timeline.heap, before)!;
  const event = entry.event!;
  entry.event = null;
  timeline.now = entry.at;
  timeline.handled++;
  const handler = timeline.handlers.get(event.kind);
  if (!handler) throw new Error(`no handler for event kind ${event.kind}`);
  handler(event);
  const { still } = timeline;
  if (entry.at - still.since >= 1) {
    still.since = entry.at;
    still.events = 0;
  } else if (++still.events > timeline.patience) standsStill(timeline, event);
  return true;
}

/** Notes whose event this was; throws when enough have been seen. */
function standsStill(timeline: Timeline, event: SimEvent): void {
  const { busy, events, since } = timeline.still;
  const name = `${event.kind} of ${event.who}: ${timeline.namers.get(event.kind)?.(event) ?? JSON.stringify(event.arg ?? null).slice(0, 100)}`;
  busy.set(name, (busy.get(name) ?? 0) + 1);
  if (events < timeline.patience + LOOKED_AT) return;
  const most = [...busy].sort((a, b) => b[1] - a[1]).slice(0, NAMED).map(([one, count]) => `${one} (${count} of the last ${LOOKED_AT})`);
  throw new Error(`time stands still at ${(since / 1e9).toFixed(9)} s: ${events} events and no nanosecond has passed; what goes on: ${most.join('; ')}`);
}

/** Handles all events due at or before `limit` and moves the clock there. */
export function runTo(timeline: Timeline, limit: Ns): void {
  while (step(timeline, limit));
  if (timeline.now < limit) timeline.now = limit;
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}
