/**
 * Memory that a program holds: mapped in growing blocks and touched as it fills, so that the kernel charges it and, where
 * a limit says so, ends the program. Beyond what the lab itself can keep, the program gives up as xmalloc(3) does.
 */
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../kernel/abi.ts';
import { sys, touch } from '../../kernel/sys.ts';
import { KiB, MiB } from '../../sim/units.ts';
import type { Call } from './http.ts';
import { Failed } from './io.ts';

export interface Heap {
  /** The block being filled. */
  address: number;
  length: number;
  used: number;
  /** Bytes held in all. */
  total: number;
}

/** What one modelled program may keep for real. */
const KEPT = 192 * MiB;

export function createHeap(): Heap {
  return { address: 0, length: 0, used: 0, total: 0 };
}

/** Makes the heap hold `total` bytes; a smaller total than before changes nothing, as free(3) rarely gives pages back. */
export function* hold(heap: Heap, total: number): Call<void> {
  if (total > KEPT) throw new Failed('memory exhausted');
  yield* extend(heap, total - heap.total);
}

/** Holds `more` bytes that need no place in the lab's own memory. */
export function* extend(heap: Heap, more: number): Call<void> {
  let left = more;
  while (left > 0) {
    if (heap.used === heap.length) {
      heap.length = Math.min(Math.max(256 * KiB, heap.total), 32 * MiB);
      heap.address = yield* sys('mmap', heap.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
      heap.used = 0;
    }
    const some = Math.min(left, heap.length - heap.used);
    yield* touch(heap.address + heap.used, some, 'w');
    heap.used += some;
    heap.total += some;
    left -= some;
  }
}
