/**
 * What Python's objects weigh. An object of 128 KiB or more has anonymous pages of its own, mapped and touched as malloc's are,
 * and given back once nothing reaches it any more; small ones share arenas that follow their sum. Sizes are CPython 3.13's
 * sys.getsizeof. Left out: objects that only an iterator under way still holds count as free.
 */
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE, SysError } from '../../kernel/abi.ts';
import { sys, touch } from '../../kernel/sys.ts';
import { KiB, MiB } from '../../sim/units.ts';
import type { Call } from '../lib/http.ts';
import { raised } from './errors.ts';
import type { Obj, Value } from './values.ts';
import { settle, type Vm } from './vm.ts';

interface Part {
  address: number;
  length: number;
}
export interface Holding {
  parts: Part[];
  total: number;
  depth: number;
}

export interface Heap {
  held: Map<Obj, Holding>;
  /** Open files: closed when nothing reaches them any more. */
  files: Map<Obj, { depth: number; close: () => Call<void> }>;
  arenas: Part[];
  small: number;
  /** Bytes of small objects made since the last look. */
  since: number;
  statements: number;
  visited: number;
}

const OWN = 128 * KiB;
/** What the interpreter itself has on its heap after start. */
const START = 5 * MiB;
const PAGE = 4096;

export function createHeap(): Heap {
  return { held: new Map(), files: new Map(), arenas: [], small: 0, since: 0, statements: 0, visited: 0 };
}

/** Bytes as sys.getsizeof tells them. */
export function sizeOf(v: Value): number {
  switch (typeof v) {
    case 'bigint': return v === 0n ? 28 : 24 + 4 * Math.ceil(v.toString(16).length / 7.5);
    case 'number': return 24;
    case 'boolean': return 28;
    case 'string': return stringSize(v);
    default: break;
  }
  if (v === null) return 16;
  switch (v.t) {
    case 'long': return 41 + (stringSize(v.unit) - 41) * v.count;
    case 'bytes': return v.mutable ? 57 + v.length : 33 + v.length;
    case 'list': return 56 + 8 * v.items.length;
    case 'tuple': return 40 + 8 * v.items.length;
    case 'dict': return v.map.size === 0 ? 64 : v.map.size <= 5 ? 184 : 72 + Math.ceil(36 * 1.5 * v.map.size);
    case 'set': return v.map.size <= 4 ? 216 : 200 + 16 * 2 ** Math.ceil(Math.log2(v.map.size * 2));
    default: return 48;
  }
}

function stringSize(s: string): number {
  if (s.length > 4096) return 41 + s.length;
  let wide = 0;
  for (let i = 0; i < s.length; i++) wide |= s.charCodeAt(i);
  return wide < 128 ? 41 + s.length : wide < 256 ? 57 + s.length : 58 + 2 * s.length;
}

function* map(vm: Vm, bytes: number, touched: boolean): Call<Part> {
  const length = Math.ceil(bytes / PAGE) * PAGE;
  if (!Number.isSafeInteger(length)) throw raised('MemoryError');
  yield* settle(vm);
  try {
    const address = yield* sys('mmap', length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    if (touched) yield* touch(address, length, 'w');
    return { address, length };
  } catch (error) {
    if (error instanceof SysError) throw raised('MemoryError');
    throw error;
  }
}

function* release(vm: Vm, parts: readonly Part[]): Call<void> {
  yield* settle(vm);
  for (const { address, length } of parts) yield* sys('munmap', address, length);
}

/** Counts a small object that an operation made. */
export function made(vm: Vm, v: Value): void {
  if (typeof v === 'string') vm.heap.since += 41 + v.length;
  else if (typeof v === 'bigint' || typeof v === 'number') vm.heap.since += 28;
}

/** Before the program begins. */
export function* warmUp(vm: Vm): Call<void> {
  vm.heap.arenas.push(yield* map(vm, START, true));
  vm.heap.small = START;
}

/** Gives a value the memory it needs; what calloc makes is not touched. Throws MemoryError. */
export function* weigh(vm: Vm, v: Value, touched = true): Call<void> {
  if (typeof v !== 'object' || v === null) {
    if (typeof v === 'string') vm.heap.since += v.length;
    return;
  }
  if (v.t !== 'long' && v.t !== 'bytes' && v.t !== 'list' && v.t !== 'tuple' && v.t !== 'dict' && v.t !== 'set') return;
  const size = sizeOf(v);
  const { held } = vm.heap;
  const holding = held.get(v);
  if (size < OWN) {
    vm.heap.since += holding ? 0 : size;
    return;
  }
  if (!holding) {
    held.set(v, { parts: [yield* map(vm, size, touched)], total: size, depth: vm.frames.length });
    return;
  }
  if (size <= holding.total) return;
  const more = Math.max(size - holding.total, Math.floor(size / 8));
  holding.parts.push(yield* map(vm, more, touched));
  holding.total += more;
}

/** Whether a value may weigh anything: keeps `weigh` out of the way of small things. */
export function heavy(v: Value): boolean {
  if (typeof v !== 'object' || v === null) return typeof v === 'string' && v.length > 256;
  return v.t === 'list' ? v.items.length > 64 : v.t === 'bytes' || v.t === 'long' || (v.t === 'dict' && v.map.size > 64) || (v.t === 'tuple' && v.items.length > 64) || (v.t === 'set' && v.map.size > 64);
}

/** After a statement: returns the pages of what nothing reaches, and lets the arenas follow. */
export function* tidy(vm: Vm): Call<void> {
  const { heap } = vm;
  heap.statements++;
  const wanted = heap.since > Math.max(MiB, heap.small / 2);
  if (!wanted && (heap.held.size + heap.files.size === 0 || heap.statements * 256 < heap.visited)) return;
  heap.statements = 0;
  const seen = new Set<object>();
  const small = reach(vm, seen);
  heap.visited = seen.size;
  for (const [owner, holding] of [...heap.held]) {
    if (seen.has(owner) || holding.depth < vm.frames.length) continue;
    heap.held.delete(owner);
    yield* release(vm, holding.parts);
  }
  for (const [file, { depth, close }] of [...heap.files]) {
    if (seen.has(file) || depth < vm.frames.length) continue;
    heap.files.delete(file);
    yield* close();
  }
  heap.since = 0;
  yield* arenas(vm, START + small);
}

function* arenas(vm: Vm, wanted: number): Call<void> {
  const { heap } = vm;
  while (wanted - heap.small >= MiB) {
    const part = yield* map(vm, Math.floor((wanted - heap.small) / MiB) * MiB, true);
    heap.arenas.push(part);
    heap.small += part.length;
  }
  while (heap.arenas.length > 1 && heap.small - heap.arenas.at(-1)!.length >= wanted) {
    const part = heap.arenas.pop()!;
    heap.small -= part.length;
    yield* release(vm, [part]);
  }
}

/** Marks what the frames and modules reach; returns the bytes of the small ones. */
function reach(vm: Vm, seen: Set<object>): number {
  let small = 0;
  const todo: Value[] = [];
  const look = (v: Value | undefined): void => {
    if (typeof v === 'object' && v !== null) {
      if (!seen.has(v)) {
        seen.add(v);
        todo.push(v);
      }
    } else if (typeof v === 'string') small += v.length > 1 ? 41 + v.length : 0;
    else if (typeof v === 'number' || (typeof v === 'bigint' && (v > 256n || v < -5n))) small += 28;
  };
  for (const module of vm.modules.values()) if (module.file !== null) for (const v of module.vars.values()) look(v);
  for (const frame of vm.frames) for (let f: typeof frame | null = frame; f; f = f.outer) for (const v of [...f.vars.values(), ...f.holds]) look(v);
  for (const e of vm.handling) look(e);
  while (todo.length > 0) small += visit(todo.pop()! as Obj, look, vm.heap);
  return small;
}

function visit(o: Obj, look: (v: Value | undefined) => void, heap: Heap): number {
  switch (o.t) {
    case 'list': case 'tuple': for (const v of o.items) look(v); break;
    case 'set': for (const v of o.map.values()) look(v); break;
    case 'dict': for (const [k, v] of o.map.values()) { look(k); look(v); } break;
    case 'inst': case 'native': for (const v of o.attrs.values()) look(v); break;
    case 'type': for (const v of o.attrs.values()) look(v); break;
    case 'method': look(o.self); look(o.func); break;
    case 'func': for (const v of o.defaults.values()) look(v); for (let f = o.outer; f; f = f.outer) for (const v of f.vars.values()) look(v); break;
    case 'builtin': look(o.self); break;
    case 'iter': look(o.source); if (o.vars) for (const v of o.vars.values()) look(v); break;
    default: break;
  }
  return heap.held.has(o) ? 0 : sizeOf(o);
}
