/**
 * The page's end of the bridge: calls answered once, subscriptions whose rows arrive as patches, one acknowledged frame
 * at a time. Rows of equal views and arguments are subscribed once. React reads them through `useRows`.
 */
import { useCallback, useEffect, useSyncExternalStore } from 'react';
import type { Calls, Cell, CellPatch, Frame, Patch, Row, ToPage, ToWorker } from '../../bridge/protocol.ts';
import { FIRST_CALL, listen } from './start-worker.ts';

type Arg = Record<string, Cell>;
interface Shared {
  sub: number;
  users: number;
  byKey: Map<string, Row>;
  order: string[];
  rows: Row[];
  listeners: Set<() => void>;
}

const NONE: Row[] = [];
const shared = new Map<string, Shared>();
const bySub = new Map<number, Shared>();
const pending = new Map<number, { resolve: (out: never) => void; reject: (error: Error) => void }>();
let worker: Worker | null = null;
let onFrame: (frame: Frame) => void = () => {};
let serial = 1;

/** Hears the worker; gives the session that it has opened. */
export function connect(frame: (frame: Frame) => void, failed: (message: string) => void): Promise<Calls['resume']['out']> {
  onFrame = frame;
  const opened = answerTo<'resume'>(FIRST_CALL);
  worker = listen(receive, failed);
  return opened;
}

function answerTo<K extends keyof Calls>(id: number): Promise<Calls[K]['out']> {
  return new Promise((resolve, reject) => {
    pending.set(id, { resolve: resolve as (out: never) => void, reject });
  });
}

function send(message: ToWorker): void {
  worker?.postMessage(message);
}

function receive(message: ToPage): void {
  if (message.type === 'reply') {
    const waiting = pending.get(message.id);
    pending.delete(message.id);
    if (message.error !== undefined) waiting?.reject(new Error(message.error));
    else waiting?.resolve(message.out as never);
    return;
  }
  const changed: Shared[] = [];
  for (const patch of message.patches) {
    const one = bySub.get(patch.sub);
    if (one) {
      apply(one, patch);
      changed.push(one);
    }
  }
  for (const patch of message.cells ?? []) cells.get(patch.sub)?.(patch);
  onFrame(message);
  for (const one of changed) for (const listener of one.listeners) listener();
  send({ type: 'ack' });
}

function apply(one: Shared, patch: Patch): void {
  for (const key of patch.gone) one.byKey.delete(key);
  const known = new Set(one.order);
  for (const row of patch.set) {
    if (!patch.order && !known.has(row.key)) one.order.push(row.key);
    one.byKey.set(row.key, row);
  }
  if (patch.order) one.order = [...patch.order];
  const rows: Row[] = [];
  for (const key of one.order) {
    const row = one.byKey.get(key);
    if (row) rows.push(row);
  }
  if (patch.gone.length > 0) one.order = rows.map((row) => row.key);
  one.rows = rows;
}

export function call<K extends keyof Calls>(name: K, input: Calls[K]['in']): Promise<Calls[K]['out']> {
  const id = serial++;
  const answer = answerTo<K>(id);
  send({ type: 'call', id, name, in: input });
  return answer;
}

const cells = new Map<number, (patch: CellPatch) => void>();
/** Hears the cluster's cells until the returned function is called. */
export function watchCells(listener: (patch: CellPatch) => void): () => void {
  const sub = serial++;
  cells.set(sub, listener);
  send({ type: 'cells', sub });
  return () => {
    cells.delete(sub);
    send({ type: 'unsubscribe', sub });
  };
}

function hold(key: string, view: string, arg: Arg | undefined): Shared {
  let one = shared.get(key);
  if (!one) {
    one = { sub: serial++, users: 0, byKey: new Map(), order: [], rows: NONE, listeners: new Set() };
    shared.set(key, one);
    bySub.set(one.sub, one);
    send({ type: 'subscribe', sub: one.sub, view, ...(arg ? { arg } : {}) });
  }
  one.users++;
  return one;
}

function release(key: string): void {
  const one = shared.get(key);
  if (!one || --one.users > 0) return;
  shared.delete(key);
  bySub.delete(one.sub);
  send({ type: 'unsubscribe', sub: one.sub });
}

/** The live rows of a view; a null view or argument subscribes to nothing. */
export function useRows<T extends { key: string }>(view: string | null, arg?: Arg | null): T[] {
  return useOfRows<T, T[]>(view, arg, (rows) => rows);
}

/** What `pick` makes of a view's rows: a plain value, and nothing is drawn again until it is another. */
export function useOfRows<T extends { key: string }, R>(view: string | null, arg: Arg | null | undefined, pick: (rows: T[]) => R): R {
  const key = view && arg !== null ? `${view} ${JSON.stringify(arg ?? {})}` : '';
  // biome-ignore lint/correctness/useExhaustiveDependencies: key stands for view and arg, which are new objects at every call
  useEffect(() => {
    if (key === '' || !view) return;
    const one = hold(key, view, arg ?? undefined);
    // Those who read before the subscription was there are told about it.
    for (const listener of waiting.get(key) ?? []) one.listeners.add(listener);
    for (const listener of one.listeners) listener();
    return () => release(key);
  }, [key]);
  const listen = useCallback((listener: () => void) => {
    if (key === '') return () => {};
    const set = waiting.get(key) ?? new Set();
    set.add(listener);
    waiting.set(key, set);
    shared.get(key)?.listeners.add(listener);
    return () => {
      set.delete(listener);
      if (set.size === 0) waiting.delete(key);
      shared.get(key)?.listeners.delete(listener);
    };
  }, [key]);
  return useSyncExternalStore(listen, () => pick((shared.get(key)?.rows ?? NONE) as unknown as T[]));
}
const waiting = new Map<string, Set<() => void>>();

/** Of nodes and pods: as many as a list that is only glanced at needs. */
export const GLANCE: Arg = { most: 2000 };

/** What the page knows of a view now, without subscribing. */
export function known(view: string, arg: Arg = {}): readonly Row[] {
  return shared.get(`${view} ${JSON.stringify(arg)}`)?.rows ?? NONE;
}
