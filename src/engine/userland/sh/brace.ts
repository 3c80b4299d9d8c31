/** Brace expansion, on the text of a word before anything else happens to it. Source: bash(1) "Brace Expansion". */
import { Bad } from './state.ts';

const MAX = 200_000;

/** The words that one word's text stands for. Throws Bad when there are too many. */
export function braces(text: string): string[] {
  const budget = { left: MAX };
  return expand(text, budget);
}

function expand(text: string, budget: { left: number }): string[] {
  for (let from = 0; ; ) {
    const open = findOpen(text, from);
    if (open < 0) return [text];
    const inner = findClose(text, open);
    if (inner === null) {
      from = open + 1;
      continue;
    }
    const middle = inner.commas.length > 0 ? pieces(text, open, inner).flatMap((p) => expand(p, budget)) : sequence(text.slice(open + 1, inner.close), budget);
    if (middle === null) {
      from = open + 1;
      continue;
    }
    const before = text.slice(0, open);
    const after = expand(text.slice(inner.close + 1), budget);
    budget.left -= middle.length * after.length;
    if (budget.left < 0) throw new Bad('brace expansion: failed to allocate memory for elements');
    return middle.flatMap((m) => after.map((a) => before + m + a));
  }
}

/** Index after a quoted stretch, an escaped character or a $-expansion that begins at `at`; `at` when none does. */
function past(text: string, at: number): number {
  const c = text[at];
  if (c === '\\') return at + 2;
  if (c === "'" || c === '`') {
    const end = text.indexOf(c, at + 1);
    return end < 0 ? text.length : end + 1;
  }
  if (c === '"') {
    let i = at + 1;
    while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
    return i + 1;
  }
  if (c === '$' && (text[at + 1] === '{' || text[at + 1] === '(')) {
    const [open, close] = text[at + 1] === '{' ? ['{', '}'] : ['(', ')'];
    let depth = 0;
    for (let i = at + 1; i < text.length; i++) {
      if (text[i] === '\\') i++;
      else if (text[i] === open) depth++;
      else if (text[i] === close && --depth === 0) return i + 1;
    }
    return text.length;
  }
  return at;
}

function findOpen(text: string, from: number): number {
  for (let i = from; i < text.length; ) {
    const after = past(text, i);
    if (after > i) i = after;
    else if (text[i] === '{') return i;
    else i++;
  }
  return -1;
}

interface Inner {
  commas: number[];
  close: number;
}

function findClose(text: string, open: number): Inner | null {
  const commas: number[] = [];
  let depth = 0;
  for (let i = open + 1; i < text.length; ) {
    const after = past(text, i);
    if (after > i) {
      i = after;
      continue;
    }
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && depth-- === 0) return { commas, close: i };
    else if (text[i] === ',' && depth === 0) commas.push(i);
    i++;
  }
  return null;
}

function pieces(text: string, open: number, inner: Inner): string[] {
  const cuts = [open, ...inner.commas, inner.close];
  return cuts.slice(1).map((end, i) => text.slice(cuts[i]! + 1, end));
}

/** 1..5, 01..10..2, a..e; null for anything else. */
function sequence(text: string, budget: { left: number }): string[] | null {
  const numbers = /^(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?$/.exec(text);
  if (numbers) {
    const [, first, last, by] = numbers as unknown as [string, string, string, string | undefined];
    const width = [first, last].some((n) => /^-?0\d/.test(n)) ? Math.max(first.length, last.length) : 0;
    return steps(Number(first), Number(last), Number(by ?? 1), budget).map((n) => padded(n, width));
  }
  const letters = /^([A-Za-z])\.\.([A-Za-z])(?:\.\.(-?\d+))?$/.exec(text);
  if (!letters) return null;
  return steps(letters[1]!.charCodeAt(0), letters[2]!.charCodeAt(0), Number(letters[3] ?? 1), budget).map((n) => quoteOdd(String.fromCharCode(n)));
}

/** Characters between Z and a stand for themselves. */
const quoteOdd = (c: string): string => (/[A-Za-z]/.test(c) ? c : `\\${c}`);

function padded(n: number, width: number): string {
  const digits = String(Math.abs(n));
  return n < 0 ? `-${digits.padStart(width - 1, '0')}` : digits.padStart(width, '0');
}

function steps(first: number, last: number, by: number, budget: { left: number }): number[] {
  const step = Math.max(1, Math.abs(by));
  const count = Math.floor(Math.abs(last - first) / step) + 1;
  if (count > budget.left) throw new Bad(`brace expansion: failed to allocate memory for ${count} elements`);
  return Array.from({ length: count }, (_, i) => (last >= first ? first + i * step : first - i * step));
}
