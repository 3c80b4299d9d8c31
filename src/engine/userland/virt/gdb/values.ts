/** Values in gdb: registers as the target sends them, and expressions of numbers, registers, symbols and memory. */
import type { Call } from '../../lib/http.ts';
import { Failed } from '../../lib/io.ts';
import { littleNumber, memory, registers, type Session } from './session.ts';

export const showValue = (value: bigint, length: number): string => String(BigInt.asIntN(8 * length, value));

/** " <main+4>", or nothing. */
export function name(labels: Session['labels'], address: bigint): string {
  const label = labels.filter((one) => one.address <= address).at(-1);
  if (!label || address - label.address > 0x10000n) return '';
  return ` <${label.name}${address === label.address ? '' : `+${address - label.address}`}>`;
}

const TOKEN = /\s*(0x[0-9a-f]+|\d+|\$\w+|&?[A-Za-z_.][\w.]*|<<|>>|[-+*/%&|()])/iy;
const LEVEL: Readonly<Record<string, number>> = { '|': 1, '&': 2, '<<': 3, '>>': 3, '+': 4, '-': 4, '*': 5, '/': 5, '%': 5 };

/** Throws Failed in gdb's words. */
export function* evaluate(session: Session, text: string): Call<bigint> {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  const source = text.trim();
  while (TOKEN.lastIndex < source.length) {
    const from = TOKEN.lastIndex;
    const m = TOKEN.exec(source);
    if (!m) throw new Failed(`A syntax error in expression, near \`${source.slice(from)}'.`);
    tokens.push(m[1]!);
  }
  const state = { tokens, at: 0 };
  const value = yield* binary(session, state, 0);
  if (state.at < tokens.length) throw new Failed(`A syntax error in expression, near \`${tokens.slice(state.at).join(' ')}'.`);
  return value;
}

interface State { tokens: string[]; at: number }

function* binary(session: Session, state: State, level: number): Call<bigint> {
  let left = yield* unary(session, state);
  for (;;) {
    const sign = state.tokens[state.at] ?? '';
    const own = LEVEL[sign];
    if (own === undefined || own <= level) return left;
    state.at++;
    const right = yield* binary(session, state, own);
    if ((sign === '/' || sign === '%') && right === 0n) throw new Failed('Division by zero');
    left = { '|': left | right, '&': left & right, '<<': left << (right & 63n), '>>': left >> (right & 63n), '+': left + right, '-': left - right, '*': left * right, '/': right ? left / right : 0n, '%': right ? left % right : 0n }[sign]!;
  }
}

function* unary(session: Session, state: State): Call<bigint> {
  const token = state.tokens[state.at++];
  if (token === undefined) throw new Failed("A syntax error in expression, near `'.");
  if (token === '-') return -(yield* unary(session, state));
  if (token === '*') {
    const address = BigInt.asUintN(64, yield* unary(session, state));
    return littleNumber(yield* memory(session, address, 4));
  }
  if (token === '(') {
    const cast = /^(char|short|int|long|unsigned|void|uint\d+_t)$/.test(state.tokens[state.at] ?? '');
    if (cast) return yield* castMemory(session, state);
    const value = yield* binary(session, state, 0);
    if (state.tokens[state.at++] !== ')') throw new Failed("A syntax error in expression, near `'.");
    return value;
  }
  if (/^(0x|\d)/i.test(token)) return BigInt(token);
  if (token.startsWith('$')) return yield* registerOrValue(session, token.slice(1));
  const wanted = token.replace(/^&/, '');
  const label = session.labels.find((one) => one.name === wanted);
  if (!label) throw new Failed(session.labels.length === 0 ? 'No symbol table is loaded.  Use the "file" command.' : `No symbol "${wanted}" in current context.`);
  return label.address;
}

/** "(long *) X" is X. */
function* castMemory(session: Session, state: State): Call<bigint> {
  while (state.at < state.tokens.length && state.tokens[state.at] !== ')') state.at++;
  state.at++;
  return yield* unary(session, state);
}

const LOW: Readonly<Record<string, [string, bigint]>> = Object.fromEntries(['a', 'b', 'c', 'd'].flatMap((l) => [[`e${l}x`, [`r${l}x`, 0xffff_ffffn]], [`${l}x`, [`r${l}x`, 0xffffn]], [`${l}l`, [`r${l}x`, 0xffn]]]));

function* registerOrValue(session: Session, word: string): Call<bigint> {
  if (/^\d+$/.test(word)) return session.values[Number(word) - 1] ?? 0n;
  const all = yield* registers(session);
  const low = LOW[word];
  if (low) return all[low[0]]! & low[1];
  const full = word === 'pc' ? 'rip' : word === 'sp' ? 'rsp' : word === 'fp' ? 'rbp' : /^e(si|di|bp|sp|ip)$/.test(word) ? `r${word.slice(1)}` : word;
  const value = all[full];
  if (value === undefined) throw new Failed(`Value can't be converted to integer.`);
  return value;
}
