/**
 * Extended regular expressions as patterns of pattern.ts, whose matching takes no exponential time: asked first whether there is a match
 * at all, so that the host's backtracking engine, which then finds the groups, is not sent on a hopeless search. Source: POSIX regex(7).
 */
import { bracket, type Cursor, type Item, type Pattern } from './pattern.ts';

const MAX_REPEAT = 255;

/** The pattern that matches a whole subject iff the expression matches somewhere in it; null when it has what patterns cannot say. */
export function wholePattern(source: string): Pattern | null {
  let body = source;
  const star: Item = { type: 'star' };
  const front: Item[] = body.startsWith('^') ? [] : [star];
  if (front.length === 0) body = body.slice(1);
  const anchored = body.endsWith('$') && !body.endsWith('\\$');
  if (anchored) body = body.slice(0, -1);
  if (/[|]/.test(body) && (front.length === 0 || anchored)) return null;
  const c: Cursor = { chars: Array.from(body), at: 0 };
  const inside = alternatives(c);
  if (!inside || c.at < c.chars.length) return null;
  return [...front, { type: 'group', operator: '@', alternatives: inside }, ...(anchored ? [] : [star])];
}

function alternatives(c: Cursor): Item[][] | null {
  const all: Item[][] = [[]];
  while (c.at < c.chars.length && c.chars[c.at] !== ')') {
    if (c.chars[c.at] === '|') {
      c.at++;
      all.push([]);
      continue;
    }
    const one = atom(c);
    const repeated = one && repeat(c, one);
    if (!repeated) return null;
    all.at(-1)!.push(...repeated);
  }
  return all;
}

function atom(c: Cursor): Item | null {
  const char = c.chars[c.at++]!;
  if (char === '.') return { type: 'any' };
  if (char === '[') return bracket(c);
  if (char === '(') {
    const inside = alternatives(c);
    if (!inside || c.chars[c.at] !== ')') return null;
    c.at++;
    return { type: 'group', operator: '@', alternatives: inside };
  }
  if ('^$*+?{'.includes(char)) return null;
  if (char !== '\\') return { type: 'char', char };
  const quoted = c.chars[c.at++];
  return quoted === undefined || /[A-Za-z0-9]/.test(quoted) ? null : { type: 'char', char: quoted };
}

/** The atom under the repetition that follows it. */
function repeat(c: Cursor, one: Item): Item[] | null {
  let items: Item[] = [one];
  for (;;) {
    const sign = c.chars[c.at];
    const counted = sign === '{' ? /^\{(\d+)(,(\d*))?\}/.exec(c.chars.slice(c.at, c.at + 12).join('')) : null;
    if (sign === '*' || sign === '+' || sign === '?') {
      c.at++;
      items = [{ type: 'group', operator: sign, alternatives: [items] }];
    } else if (counted) {
      c.at += counted[0].length;
      const least = Number(counted[1]);
      const most = counted[2] === undefined ? least : counted[3] === '' ? Number.POSITIVE_INFINITY : Number(counted[3]);
      if (least > MAX_REPEAT || (most !== Number.POSITIVE_INFINITY && most > MAX_REPEAT)) return null;
      const again = items;
      items = Array.from({ length: least }, () => again).flat();
      if (most === Number.POSITIVE_INFINITY) items.push({ type: 'group', operator: '*', alternatives: [again] });
      else for (let i = least; i < most; i++) items.push({ type: 'group', operator: '?', alternatives: [again] });
    } else return items;
  }
}
