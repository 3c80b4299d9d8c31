/** The active queue: by priority, then by the time a pod was first queued; who leaves early is skipped when its turn comes. */
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
  const { entries } = heap;
  const entry: Entry = { item, seq: heap.seq++ };
  let i = entries.length;
  entries.push(entry);
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!before(entry, entries[parent]!)) break;
    entries[i] = entries[parent]!;
    i = parent;
  }
  entries[i] = entry;
}

/** The first that is still a member. */
export function leave(heap: Heap): Queued | undefined {
  for (;;) {
    const top = pop(heap.entries);
    if (!top) return undefined;
    if (heap.members.get(top.item.key) !== top.item) continue;
    heap.members.delete(top.item.key);
    return top.item;
  }
}

function pop(entries: Entry[]): Entry | undefined {
  const top = entries[0];
  const last = entries.pop();
  if (!top || !last || entries.length === 0) return top;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= entries.length) break;
    if (child + 1 < entries.length && before(entries[child + 1]!, entries[child]!)) child++;
    if (!before(entries[child]!, last)) break;
    entries[i] = entries[child]!;
    i = child;
  }
  entries[i] = last;
  return top;
}
