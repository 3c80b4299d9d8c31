/** A regular expression as instructions, and the search that runs them. */
/** A set of characters: codes below 256 as flags, ranges above. */
export interface CharSet {
  low: Uint8Array;
  ranges: [number, number][];
  negated: boolean;
}

export interface Regex {
  program: Instruction[];
  groups: number;
  ignoreCase: boolean;
  multiline: boolean;
  hasReferences: boolean;
  /** The pattern is these characters and nothing else. */
  literal: string | null;
}

/** Too many steps over a back reference. */
export class RegexLimit extends Error {}

export type Assertion = 'start' | 'end' | 'boundary' | 'inside' | 'word-start' | 'word-end' | 'buffer-start' | 'buffer-end';

export type Node =
  | { type: 'char'; char: string }
  | { type: 'any' }
  | { type: 'set'; set: CharSet }
  | { type: 'all'; items: Node[] }
  | { type: 'any-of'; items: Node[] }
  | { type: 'repeat'; item: Node; min: number; max: number }
  | { type: 'group'; index: number; item: Node }
  | { type: 'reference'; index: number }
  | { type: 'assert'; kind: Assertion };

export type Instruction =
  | { op: 'char'; code: number; other: number }
  | { op: 'any' }
  | { op: 'set'; set: CharSet; fold: boolean }
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  | { op: 'save'; slot: number }
  | { op: 'assert'; kind: Assertion }
  | { op: 'reference'; index: number }
  | { op: 'match' };

export function compileNode(node: Node, ignoreCase: boolean): Instruction[] {
  const program: Instruction[] = [];
  emit(program, node, ignoreCase);
  program.push({ op: 'match' });
  return program;
}

function emit(program: Instruction[], node: Node, fold: boolean): void {
  if (program.length > 30_000) return;
  switch (node.type) {
    case 'char': {
      const code = node.char.charCodeAt(0);
      const swapped = node.char === node.char.toLowerCase() ? node.char.toUpperCase() : node.char.toLowerCase();
      program.push({ op: 'char', code, other: fold && swapped.length === 1 ? swapped.charCodeAt(0) : code });
      if (node.char.length > 1) program.push({ op: 'char', code: node.char.charCodeAt(1), other: node.char.charCodeAt(1) });
      return;
    }
    case 'any': program.push({ op: 'any' }); return;
    case 'set': program.push({ op: 'set', set: node.set, fold }); return;
    case 'all': for (const item of node.items) emit(program, item, fold); return;
    case 'any-of': emitAlternatives(program, node.items, fold); return;
    case 'repeat': emitRepeat(program, node, fold); return;
    case 'group':
      program.push({ op: 'save', slot: node.index * 2 });
      emit(program, node.item, fold);
      program.push({ op: 'save', slot: node.index * 2 + 1 });
      return;
    case 'reference': program.push({ op: 'reference', index: node.index }); return;
    case 'assert': program.push({ op: 'assert', kind: node.kind });
  }
}

function emitAlternatives(program: Instruction[], items: readonly Node[], fold: boolean): void {
  const ends: { op: 'jump'; to: number }[] = [];
  items.forEach((item, i) => {
    if (i === items.length - 1) {
      emit(program, item, fold);
      return;
    }
    const split = { op: 'split' as const, first: program.length + 1, second: 0 };
    program.push(split);
    emit(program, item, fold);
    const end = { op: 'jump' as const, to: 0 };
    program.push(end);
    ends.push(end);
    split.second = program.length;
  });
  for (const end of ends) end.to = program.length;
}

function emitRepeat(program: Instruction[], node: { item: Node; min: number; max: number }, fold: boolean): void {
  for (let i = 0; i < node.min; i++) emit(program, node.item, fold);
  if (node.max < 0) {
    const split = { op: 'split' as const, first: program.length + 1, second: 0 };
    const at = program.length;
    program.push(split);
    emit(program, node.item, fold);
    program.push({ op: 'jump', to: at });
    split.second = program.length;
    return;
  }
  const splits: { op: 'split'; first: number; second: number }[] = [];
  for (let i = node.min; i < node.max; i++) {
    const split = { op: 'split' as const, first: program.length + 1, second: 0 };
    program.push(split);
    splits.push(split);
    emit(program, node.item, fold);
  }
  for (const split of splits) split.second = program.length;
}

function inSet(set: CharSet, code: number): boolean {
  return code < 256 ? set.low[code] === 1 : set.ranges.some(([from, to]) => code >= from && code <= to);
}

function accepts(instruction: { set: CharSet; fold: boolean }, code: number): boolean {
  let found = inSet(instruction.set, code);
  if (!found && instruction.fold) {
    const char = String.fromCharCode(code);
    found = inSet(instruction.set, char.toLowerCase().charCodeAt(0)) || inSet(instruction.set, char.toUpperCase().charCodeAt(0));
  }
  return found !== instruction.set.negated;
}

const isWord = (code: number): boolean => (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122) || code >= 170;

function holds(kind: Assertion, regex: Regex, text: string, at: number): boolean {
  const before = at > 0 && isWord(text.charCodeAt(at - 1));
  const after = at < text.length && isWord(text.charCodeAt(at));
  switch (kind) {
    case 'start': return at === 0 || (regex.multiline && text[at - 1] === '\n');
    case 'end': return at === text.length || (regex.multiline && text[at] === '\n');
    case 'buffer-start': return at === 0;
    case 'buffer-end': return at === text.length;
    case 'boundary': return before !== after;
    case 'inside': return before === after;
    case 'word-start': return !before && after;
    case 'word-end': return before && !after;
  }
}

/** [start, end, start of group 1, end of group 1, …]; -1 where a group took no part. */
export type Match = number[];

const STEPS = 2_000_000;
/** States visited, by stamp, so that it need not be cleared. */
let visited = new Uint32Array(1 << 12);
let stamp = 0;

/** The leftmost match at or after `from`, the longest there. Null when there is none. */
export function search(regex: Regex, text: string, from = 0): Match | null {
  if (regex.literal !== null) {
    const found = text.indexOf(regex.literal, from);
    return found < 0 ? null : [found, found + regex.literal.length];
  }
  const cells = regex.program.length * (text.length - from + 1);
  const remember = !regex.hasReferences && cells <= 1 << 26;
  if (remember && visited.length < cells) visited = new Uint32Array(Math.max(cells, visited.length * 2));
  if (++stamp >= 0xffffffff) {
    visited.fill(0);
    stamp = 1;
  }
  const budget = { steps: 0 };
  for (let start = from; start <= text.length; start++) {
    const found = attemptAt(regex, text, from, start, remember, budget);
    if (found) return found;
  }
  return null;
}

/** Does all of the text match? */
export function matchesWhole(regex: Regex, text: string): boolean {
  const found = search(regex, text);
  return found !== null && found[0] === 0 && found[1] === text.length;
}

function attemptAt(regex: Regex, text: string, base: number, start: number, remember: boolean, budget: { steps: number }): Match | null {
  const { program } = regex;
  const slots = new Array<number>((regex.groups + 1) * 2).fill(-1);
  slots[0] = start;
  let best: Match | null = null;
  // Jobs: an instruction and a position, or (instruction -1 - slot) a capture to put back.
  const jobs: number[] = [0, start];
  while (jobs.length > 0) {
    let at = jobs.pop()!;
    let pc = jobs.pop()!;
    if (pc < 0) {
      slots[-1 - pc] = at;
      continue;
    }
    for (;;) {
      if (remember) {
        const cell = pc * (text.length - base + 1) + (at - base);
        if (visited[cell] === stamp) break;
        visited[cell] = stamp;
      } else if (++budget.steps > STEPS) throw new RegexLimit('too many steps');
      const instruction = program[pc]!;
      if (instruction.op === 'match') {
        if (!best || at > best[1]!) {
          best = slots.slice();
          best[1] = at;
        }
        break;
      }
      if (instruction.op === 'split') {
        jobs.push(instruction.second, at);
        pc = instruction.first;
        continue;
      }
      if (instruction.op === 'jump') {
        pc = instruction.to;
        continue;
      }
      if (instruction.op === 'save') {
        jobs.push(-1 - instruction.slot, slots[instruction.slot]!);
        slots[instruction.slot] = at;
        pc++;
        continue;
      }
      const next = step(instruction, regex, text, at, slots);
      if (next < 0) break;
      at = next;
      pc++;
    }
  }
  return best;
}

/** The position after what this instruction takes, or -1. */
function step(instruction: Instruction, regex: Regex, text: string, at: number, slots: readonly number[]): number {
  switch (instruction.op) {
    case 'char': {
      if (at >= text.length) return -1;
      const code = text.charCodeAt(at);
      return code === instruction.code || code === instruction.other ? at + 1 : -1;
    }
    case 'any': {
      if (at >= text.length) return -1;
      const code = text.charCodeAt(at);
      return code >= 0xd800 && code < 0xdc00 && at + 1 < text.length ? at + 2 : at + 1;
    }
    case 'set': return at < text.length && accepts(instruction, text.charCodeAt(at)) ? at + 1 : -1;
    case 'assert': return holds(instruction.kind, regex, text, at) ? at : -1;
    case 'reference': {
      const [from, to] = [slots[instruction.index * 2]!, slots[instruction.index * 2 + 1]!];
      if (from < 0 || to < 0) return -1;
      const held = text.slice(from, to);
      const here = text.slice(at, at + held.length);
      return held === here || (regex.ignoreCase && held.toLowerCase() === here.toLowerCase()) ? at + held.length : -1;
    }
    default: return -1;
  }
}
