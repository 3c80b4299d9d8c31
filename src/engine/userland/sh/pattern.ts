/**
 * Shell patterns: * ? [..] and the extended @(..) ?(..) *(..) +(..) !(..). A pattern is text in which a backslash makes the
 * next character literal. Matching keeps the set of places reached so far, so no pattern takes exponential time.
 * Source: bash(1) "Pattern Matching".
 */

export type Item =
  | { type: 'char'; char: string }
  | { type: 'any' }
  | { type: 'star' }
  | { type: 'class'; not: boolean; tests: ((char: string) => boolean)[] }
  | { type: 'group'; operator: string; alternatives: Item[][] };

export type Pattern = readonly Item[];

const CLASSES: Record<string, RegExp> = {
  alpha: /[A-Za-z\u00aa-\uffff]/, digit: /[0-9]/, alnum: /[A-Za-z0-9\u00aa-\uffff]/, upper: /[A-Z]/, lower: /[a-z]/, space: /\s/, blank: /[ \t]/,
  punct: /[!-/:-@[-`{-~]/, print: /[ -~\u00a0-\uffff]/, graph: /[!-~\u00a1-\uffff]/, cntrl: /[\x00-\x1f\x7f]/, xdigit: /[0-9A-Fa-f]/, word: /\w/,
};

export function hasGlob(pattern: string): boolean {
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]!;
    if (c === '\\') i++;
    else if (c === '*' || c === '?' || (c === '[' && pattern.indexOf(']', i + 1) > 0)) return true;
    else if ('@+!'.includes(c) && pattern[i + 1] === '(') return true;
  }
  return false;
}

export function quotePattern(text: string): string {
  return text.replace(/[\\*?[\]@+!()|^&-]/g, '\\$&');
}

export function compile(text: string): Pattern {
  return parse({ chars: Array.from(text), at: 0 }, false);
}

export interface Cursor {
  chars: string[];
  at: number;
}

function parse(c: Cursor, inGroup: boolean): Item[] {
  const items: Item[] = [];
  while (c.at < c.chars.length) {
    const char = c.chars[c.at]!;
    if (inGroup && (char === '|' || char === ')')) break;
    c.at++;
    if ('@?*+!'.includes(char) && c.chars[c.at] === '(' && closes(c)) {
      items.push(group(c, char));
    } else if (char === '\\') {
      items.push({ type: 'char', char: c.chars[c.at] ?? '\\' });
      c.at++;
    } else if (char === '*') {
      if (items.at(-1)?.type !== 'star') items.push({ type: 'star' });
    } else if (char === '?') items.push({ type: 'any' });
    else if (char === '[') items.push(bracket(c) ?? { type: 'char', char });
    else items.push({ type: 'char', char });
  }
  return items;
}

function closes(c: Cursor): boolean {
  let depth = 0;
  for (let i = c.at; i < c.chars.length; i++) {
    if (c.chars[i] === '\\') i++;
    else if (c.chars[i] === '(') depth++;
    else if (c.chars[i] === ')' && --depth === 0) return true;
  }
  return false;
}

function group(c: Cursor, operator: string): Item {
  const alternatives: Item[][] = [];
  do {
    c.at++;
    alternatives.push(parse(c, true));
  } while (c.chars[c.at] === '|');
  c.at++;
  return { type: 'group', operator, alternatives };
}

/** After "[": null (and nothing read) when it is not closed. */
export function bracket(c: Cursor): Item | null {
  let at = c.at;
  let not = false;
  if (c.chars[at] === '!' || c.chars[at] === '^') {
    not = true;
    at++;
  }
  const tests: ((char: string) => boolean)[] = [];
  for (let first = true; ; first = false) {
    let char = c.chars[at];
    if (char === undefined) return null;
    if (char === ']' && !first) break;
    if (char === '[' && c.chars[at + 1] === ':') {
      const end = c.chars.indexOf(':', at + 2);
      const named = end > 0 && c.chars[end + 1] === ']' ? CLASSES[c.chars.slice(at + 2, end).join('')] : undefined;
      if (named) {
        tests.push((x) => named.test(x));
        at = end + 2;
        continue;
      }
    }
    if (char === '\\') char = c.chars[++at] ?? '\\';
    const low = char;
    if (c.chars[at + 1] === '-' && c.chars[at + 2] !== ']' && c.chars[at + 2] !== undefined) {
      const high = c.chars[at + 2] === '\\' ? c.chars[(at += 1) + 2]! : c.chars[at + 2]!;
      tests.push((x) => x >= low && x <= high);
      at += 3;
    } else {
      tests.push((x) => x === low);
      at++;
    }
  }
  c.at = at + 1;
  return { type: 'class', not, tests };
}

const fold = (text: string): string => text.toLowerCase();

/** Every place where a match that begins at one of `starts` may end, ascending. */
function ends(items: readonly Item[], chars: readonly string[], starts: readonly number[], noCase: boolean): number[] {
  let places = starts;
  for (const item of items) {
    if (places.length === 0) return [];
    places = step(item, chars, places, noCase);
  }
  return places as number[];
}

function step(item: Item, chars: readonly string[], places: readonly number[], noCase: boolean): number[] {
  const out: number[] = [];
  switch (item.type) {
    case 'star':
      for (let i = places[0]!; i <= chars.length; i++) out.push(i);
      return out;
    case 'any':
      for (const p of places) if (p < chars.length) out.push(p + 1);
      return out;
    case 'char':
      for (const p of places) if (p < chars.length && (chars[p] === item.char || (noCase && fold(chars[p]!) === fold(item.char)))) out.push(p + 1);
      return out;
    case 'class':
      for (const p of places) {
        if (p >= chars.length) continue;
        const c = chars[p]!;
        const hit = item.tests.some((t) => t(c) || (noCase && (t(fold(c)) || t(c.toUpperCase()))));
        if (hit !== item.not) out.push(p + 1);
      }
      return out;
    case 'group':
      return stepGroup(item, chars, places, noCase);
  }
}

function stepGroup(item: Extract<Item, { type: 'group' }>, chars: readonly string[], places: readonly number[], noCase: boolean): number[] {
  const once = (from: readonly number[]): Set<number> => {
    const found = new Set<number>();
    for (const one of item.alternatives) for (const e of ends(one, chars, from, noCase)) found.add(e);
    return found;
  };
  if (item.operator === '!') {
    const out = new Set<number>();
    for (const p of places) {
      const taken = once([p]);
      for (let i = p; i <= chars.length; i++) if (!taken.has(i)) out.add(i);
    }
    return sorted(out);
  }
  const found = once(places);
  if (item.operator === '*' || item.operator === '+') {
    for (let fresh = sorted(found); fresh.length > 0; ) {
      const more = [...once(fresh)].filter((e) => !found.has(e));
      for (const e of more) found.add(e);
      fresh = more.sort((a, b) => a - b);
    }
  }
  if (item.operator === '*' || item.operator === '?') for (const p of places) found.add(p);
  return sorted(found);
}

const sorted = (set: ReadonlySet<number>): number[] => [...set].sort((a, b) => a - b);

export function matches(pattern: Pattern, text: string, noCase = false): boolean {
  const chars = Array.from(text);
  return ends(pattern, chars, [0], noCase).at(-1) === chars.length;
}

/** Length in characters of the shortest or longest prefix that matches; -1 none. */
export function prefixMatch(pattern: Pattern, chars: readonly string[], from: number, want: 'shortest' | 'longest'): number {
  const found = ends(pattern, chars, [from], false);
  if (found.length === 0) return -1;
  return (want === 'shortest' ? found[0]! : found.at(-1)!) - from;
}

/** Where a matching suffix begins; -1 none. */
export function suffixMatch(pattern: Pattern, chars: readonly string[], want: 'shortest' | 'longest'): number {
  const n = chars.length;
  for (let k = 0; k <= n; k++) {
    const from = want === 'longest' ? k : n - k;
    if (ends(pattern, chars, [from], false).at(-1) === n) return from;
  }
  return -1;
}
