/** Assignments: scalars, elements, whole arrays, appended or integer ones. Source: bash(1) PARAMETERS, "Arrays". */
import type { ArrayValue, Assignment } from 'unbash';
import type { Call } from '../lib/http.ts';
import { evaluate, keyOf } from './arithmetic.ts';
import { expandOne, expandWords, wordOf } from './expand.ts';
import { Bad, type Shell } from './state.ts';
import { element, find, get, isName, set, setArray, setElement } from './variables.ts';

export function* arrayElements(sh: Shell, name: string, value: ArrayValue, kind: 'array' | 'assoc'): Call<[string | null, string][]> {
  const out: [string | null, string][] = [];
  for (const word of value.elements) {
    const keyed = /^\[((?:[^\]"']|"[^"]*"|'[^']*')*)\](\+?)=/.exec(word.text);
    if (keyed) {
      const rawKey = yield* expandOne(sh, wordOf(keyed[1]!));
      const key = kind === 'assoc' ? rawKey : evaluate(sh, rawKey).toString();
      const one = yield* expandOne(sh, wordOf(word.text.slice(keyed[0].length)));
      out.push([key, keyed[2] ? (element(sh, name, key) ?? '') + one : one]);
    } else for (const one of yield* expandWords(sh, [word])) out.push([null, one]);
  }
  if (kind === 'array' || out.every(([k]) => k !== null)) return out;
  const flat = out.map(([, v]) => v);
  return flat.filter((_, i) => i % 2 === 0).map((k, i) => [k, flat[2 * i + 1] ?? '']);
}

/** NAME=value, NAME+=value, NAME[i]=value, NAME=(…). */
export function* assign(sh: Shell, one: Assignment): Call<void> {
  if (sh.flavour !== 'bash' && (one.value.type === 'ArrayValue' || one.index)) throw new Bad('Syntax error: "(" unexpected', { status: 2, fatal: true });
  if (one.value.type === 'ArrayValue') {
    const kind = find(sh, one.name)?.kind === 'assoc' ? 'assoc' : 'array';
    setArray(sh, one.name, yield* arrayElements(sh, one.name, one.value, kind), one.append === true);
    return;
  }
  const value = yield* expandOne(sh, one.value, 'assignment');
  const key = one.index ? keyOf(sh, one.name, yield* expandOne(sh, one.index)) : null;
  assignText(sh, one.name, key, value, one.append === true);
}

export function assignText(sh: Shell, name: string, key: string | null, value: string, append: boolean): void {
  const integer = find(sh, name)?.integer === true;
  const before = append ? ((key === null ? get(sh, name) : element(sh, name, key)) ?? '') : '';
  const after = integer ? evaluate(sh, append ? `${before || 0}+(${value || 0})` : value || '0').toString() : before + value;
  if (key === null) set(sh, name, after);
  else setElement(sh, name, key, after);
}

/** Splits "NAME[key]+=value" as a declaration builtin gets it. */
export function splitAssignment(arg: string): { name: string; key: string | null; append: boolean; value: string | undefined } | null {
  const match = /^([A-Za-z_]\w*)(?:\[([^\]]*)\])?(?:(\+?)=([\s\S]*))?$/.exec(arg);
  if (!match || !isName(match[1]!)) return null;
  return { name: match[1]!, key: match[2] ?? null, append: match[3] === '+', value: match[4] };
}
