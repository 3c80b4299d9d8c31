/**
 * A virtual machine as it stands, to be put back later: the processor with its memory as pages (zero pages left out, pages like the
 * last snapshot's shared with it) and a copy of every record of the hypervisor's. What follows from it is the same again, given the
 * same calls: the machine depends on nothing else.
 */
import type { Vm } from './vm.ts';

const PAGE = 4096;

export interface Snapshot {
  /** By page of the processor's linear memory. */
  pages: Map<number, Uint8Array>;
  record: Vm;
  emulated: number;
}

/** Pages in use: the processor's own, guest frames from below and, of 2 MiB, from above. */
function* inUse(vm: Vm, nextFrame: number, topFrame: number): Generator<number> {
  const first = vm.machine.memory.byteOffset / PAGE;
  for (let n = 0; n < first + Math.ceil(nextFrame / PAGE); n++) yield n;
  for (let n = first + Math.floor(topFrame / PAGE); n < first + vm.machine.memory.length / PAGE; n++) yield n;
}

const whole = (vm: Vm): Uint8Array => new Uint8Array(vm.machine.state.buffer);

export function takeSnapshot(vm: Vm, last: Snapshot | null): Snapshot {
  const memory = whole(vm);
  const words = new BigUint64Array(memory.buffer);
  const pages = new Map<number, Uint8Array>();
  for (const n of inUse(vm, vm.technique === 'native' ? vm.machine.memory.length : vm.nextFrame, vm.topFrame)) {
    const from = n * (PAGE / 8);
    const known = last?.pages.get(n);
    if (known && sameWords(words, from, known)) pages.set(n, known);
    else if (anyWord(words, from)) pages.set(n, memory.slice(n * PAGE, (n + 1) * PAGE));
  }
  return { pages, record: copyRecord(vm), emulated: vm.machine.tape?.emulated ?? 0 };
}

function anyWord(words: BigUint64Array, from: number): boolean {
  for (let n = from; n < from + PAGE / 8; n++) if (words[n] !== 0n) return true;
  return false;
}

function sameWords(words: BigUint64Array, from: number, page: Uint8Array): boolean {
  const other = new BigUint64Array(page.buffer, page.byteOffset, PAGE / 8);
  for (let n = 0; n < PAGE / 8; n++) if (words[from + n] !== other[n]) return false;
  return true;
}

export function putBack(vm: Vm, { pages, record, emulated }: Snapshot): void {
  const memory = whole(vm);
  for (const n of inUse(vm, vm.technique === 'native' ? vm.machine.memory.length : Math.max(vm.nextFrame, record.nextFrame), Math.min(vm.topFrame, record.topFrame))) {
    const page = pages.get(n);
    if (page) memory.set(page, n * PAGE);
    else memory.fill(0, n * PAGE, (n + 1) * PAGE);
  }
  Object.assign(vm, copyRecord({ ...record, machine: vm.machine, way: vm.way, costs: vm.costs }));
  if (vm.machine.tape) vm.machine.tape.emulated = emulated;
}

/** Everything but the processor, the technique and its costs, which do not change. */
const copyRecord = (vm: Vm): Vm => copy(vm, new Map<unknown, unknown>([[vm.machine, vm.machine], [vm.way, vm.way], [vm.costs, vm.costs]]));

/** Records, arrays, maps, sets and bytes, with what they share; functions stay. */
function copy<T>(value: T, known: Map<unknown, unknown>): T {
  if (typeof value !== 'object' || value === null) return value;
  const found = known.get(value);
  if (found !== undefined) return found as T;
  if (ArrayBuffer.isView(value)) return keep(value, (value as unknown as Uint8Array).slice(), known) as T;
  if (Array.isArray(value)) {
    const out: unknown[] = [];
    known.set(value, out);
    for (const one of value) out.push(copy(one, known));
    return out as T;
  }
  if (value instanceof Map) {
    const out = new Map<unknown, unknown>();
    known.set(value, out);
    for (const [key, one] of value) out.set(copy(key, known), copy(one, known));
    return out as T;
  }
  if (value instanceof Set) {
    const out = new Set<unknown>();
    known.set(value, out);
    for (const one of value) out.add(copy(one, known));
    return out as T;
  }
  const out: Record<string, unknown> = {};
  known.set(value, out);
  for (const [name, one] of Object.entries(value)) out[name] = copy(one, known);
  return out as T;
}

function keep(value: unknown, made: unknown, known: Map<unknown, unknown>): unknown {
  known.set(value, made);
  return made;
}
