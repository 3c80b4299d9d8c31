/** The active queue: by priority, then by the time a pod was first queued; who leaves early is skipped when its turn comes. */
import { insert, takeFirst } from '../../sim/heap.ts';

export interface Queued {
  key: string;
  priority: number;
  /** ns: when it was first queued. */
  since: number;
  attempts: number;
  /** ns: of the last attempt. */
  tried: number;
}

export interface Heap {
  entries: { item: Queued; seq: number }[];
  /** Who is in it. */
  members: Map<string, Queued>;
  seq: number;
}

export function createHeap(): Heap {
  return { entries: [], members: new Map(), seq: 0 };
}

type Entry = Heap['entries'][number];

function before(a: Entry, b: Entry): boolean {
  if (a.item.priority !== b.item.priority) return a.item.priority > b.item.priority;
  return a.item.since !== b.item.since ? a.item.since < b.item.since : a.seq < b.seq;
}

export function enter(heap: Heap, item: Queued): void {
  heap.members.set(item.key, item);
  insert(heap.entries, { item, seq: heap.seq++ }, before);
}

/** The first that is still a member. */
export function leave(heap: Heap): Queued | undefined {
  for (;;) {
    const top = takeFirst(heap.entries, before);
    if (!top) return undefined;
    if (heap.members.get(top.item.key) !== top.item) continue;
    heap.members.delete(top.item.key);
    return top.item;
  }
}
