/**
 * A scoring rule as arithmetic over a node and a pod: `100 * cpuAfter`, `label("disk") == "ssd" ? 80 : 10 * free(memory)`. Numbers, texts,
 * + - * / %, comparisons, && || !, ?:, and a few functions; compiled to closures, nothing is evaluated as code. Errors say where.
 */
import type { CycleState } from './profile.ts';

export class ExpressionError extends Error {
  /** 1 for the first character. */
  readonly column: number;
  constructor(message: string, column: number) {
    super(message);
    this.column = column;
  }
}

type Value = number | string;
type Run = (state: CycleState, index: number) => Value;
export type Rule = (state: CycleState, index: number) => number;

const MOST_CHARACTERS = 1000;
const MOST_DEPTH = 40;

const room = (column: 'cpu' | 'memory' | 'usedCpu' | 'usedMemory' | 'pods' | 'slots'): Run => (state, i) => state.snapshot.room[column][i]!;
const share = (used: number, all: number): number => (all === 0 ? 0 : used / all);

/** What a rule may name: amounts in thousandths of a core, bytes and pods; shares from 0 to 1. */
export const NAMES: Readonly<Record<string, Run>> = {
  cpu: room('cpu'), memory: room('memory'), slots: room('slots'), cpuUsed: room('usedCpu'), memoryUsed: room('usedMemory'), pods: room('pods'),
  podCpu: ({ demand }) => demand.cpu, podMemory: ({ demand }) => demand.memory, podPriority: ({ pod }) => pod.spec.priority ?? 0,
  cpuAfter: ({ demand, snapshot: { room: r } }, i) => share(r.usedCpu[i]! + demand.cpu, r.cpu[i]!), memoryAfter: ({ demand, snapshot: { room: r } }, i) => share(r.usedMemory[i]! + demand.memory, r.memory[i]!),
  podsAfter: ({ snapshot: { room: r } }, i) => share(r.pods[i]! + 1, r.slots[i]!), nodes: ({ nodes }) => nodes.length,
};

const MATHS: Readonly<Record<string, { most: number; least: number; run: (...n: number[]) => number }>> = {
  min: { least: 1, most: 8, run: Math.min }, max: { least: 1, most: 8, run: Math.max }, abs: { least: 1, most: 1, run: Math.abs }, floor: { least: 1, most: 1, run: Math.floor }, ceil: { least: 1, most: 1, run: Math.ceil },
  round: { least: 1, most: 1, run: Math.round }, sqrt: { least: 1, most: 1, run: (x) => Math.sqrt(Math.max(0, x)) }, clamp: { least: 3, most: 3, run: (x, low, high) => Math.min(high!, Math.max(low!, x!)) },
};

interface Token { kind: 'number' | 'text' | 'name' | 'sign' | 'end'; text: string; at: number }

function tokens(source: string): Token[] {
  const out: Token[] = [];
  const pattern = /\s*(?:((?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?)|"([^"\n]*)"|([A-Za-z_]\w*)|(&&|\|\||[=!<>]=|[-+*/%()<>?:,!]))/gy;
  let at = 0;
  while (at < source.length) {
    pattern.lastIndex = at;
    const m = pattern.exec(source);
    if (!m) {
      const rest = source.slice(at).search(/\S/);
      if (rest < 0) break;
      throw new ExpressionError(`unexpected character ${JSON.stringify(source[at + rest])}`, at + rest + 1);
    }
    const [whole, number, text, name, sign] = m;
    const kind = number !== undefined ? 'number' : text !== undefined ? 'text' : name !== undefined ? 'name' : 'sign';
    at += whole.length;
    const shown = number ?? text ?? name ?? sign!;
    out.push({ kind, text: shown, at: at - shown.length - (kind === 'text' ? 2 : 0) + 1 });
  }
  out.push({ kind: 'end', text: '', at: source.length + 1 });
  return out;
}

/** Throws ExpressionError. */
export function compile(source: string): Rule {
  if (source.length > MOST_CHARACTERS) throw new ExpressionError(`longer than ${MOST_CHARACTERS} characters`, MOST_CHARACTERS + 1);
  const p: Parser = { tokens: tokens(source), at: 0, depth: 0 };
  const run = choice(p);
  const rest = p.tokens[p.at]!;
  if (rest.kind !== 'end') throw new ExpressionError(`unexpected ${JSON.stringify(rest.text)}`, rest.at);
  return (state, index) => {
    const value = run(state, index);
    return typeof value === 'number' && Number.isFinite(value) ? value : 0;
  };
}

interface Parser { tokens: Token[]; at: number; depth: number }

function accept(p: Parser, ...signs: string[]): string | null {
  const token = p.tokens[p.at]!;
  if (token.kind !== 'sign' || !signs.includes(token.text)) return null;
  p.at++;
  return token.text;
}

function expect(p: Parser, sign: string): void {
  const token = p.tokens[p.at]!;
  if (accept(p, sign) === null) throw new ExpressionError(`expected ${JSON.stringify(sign)}${token.kind === 'end' ? ', but it ends here' : `, found ${JSON.stringify(token.text)}`}`, token.at);
}

const truth = (value: Value): boolean => value !== 0 && value !== '';
const numeric = (value: Value): number => (typeof value === 'number' ? value : Number(value) || 0);

function choice(p: Parser): Run {
  if (++p.depth > MOST_DEPTH) throw new ExpressionError('nested too deep', p.tokens[p.at]!.at);
  const test = binary(p, 0);
  let out = test;
  if (accept(p, '?')) {
    const yes = choice(p);
    expect(p, ':');
    const no = choice(p);
    out = (s, i) => (truth(test(s, i)) ? yes(s, i) : no(s, i));
  }
  p.depth--;
  return out;
}

const LEVELS: readonly (readonly string[])[] = [['||'], ['&&'], ['==', '!='], ['<', '<=', '>', '>='], ['+', '-'], ['*', '/', '%']];
const SIGNS: Readonly<Record<string, (a: Value, b: Value) => Value>> = {
  '||': (a, b) => (truth(a) || truth(b) ? 1 : 0), '&&': (a, b) => (truth(a) && truth(b) ? 1 : 0), '==': (a, b) => (a === b ? 1 : 0), '!=': (a, b) => (a === b ? 0 : 1),
  '<': (a, b) => (numeric(a) < numeric(b) ? 1 : 0), '<=': (a, b) => (numeric(a) <= numeric(b) ? 1 : 0), '>': (a, b) => (numeric(a) > numeric(b) ? 1 : 0), '>=': (a, b) => (numeric(a) >= numeric(b) ? 1 : 0),
  '+': (a, b) => numeric(a) + numeric(b), '-': (a, b) => numeric(a) - numeric(b), '*': (a, b) => numeric(a) * numeric(b), '/': (a, b) => (numeric(b) === 0 ? 0 : numeric(a) / numeric(b)), '%': (a, b) => (numeric(b) === 0 ? 0 : numeric(a) % numeric(b)),
};

function binary(p: Parser, level: number): Run {
  if (level === LEVELS.length) return unary(p);
  let left = binary(p, level + 1);
  for (;;) {
    const sign = accept(p, ...LEVELS[level]!);
    if (sign === null) return left;
    const [a, b, apply] = [left, binary(p, level + 1), SIGNS[sign]!];
    left = (s, i) => apply(a(s, i), b(s, i));
  }
}

function unary(p: Parser): Run {
  if (accept(p, '-')) {
    const inner = unary(p);
    return (s, i) => -numeric(inner(s, i));
  }
  if (accept(p, '!')) {
    const inner = unary(p);
    return (s, i) => (truth(inner(s, i)) ? 0 : 1);
  }
  if (accept(p, '(')) {
    const inner = choice(p);
    expect(p, ')');
    return inner;
  }
  const token = p.tokens[p.at++]!;
  if (token.kind === 'number') {
    const value = Number(token.text);
    return () => value;
  }
  if (token.kind === 'text') return () => token.text;
  if (token.kind === 'name') return named(p, token);
  throw new ExpressionError(token.kind === 'end' ? 'a number, name or "(" is missing at the end' : `unexpected ${JSON.stringify(token.text)}`, token.at);
}

function named(p: Parser, token: Token): Run {
  if (!accept(p, '(')) {
    const run = Object.hasOwn(NAMES, token.text) ? NAMES[token.text]! : null;
    if (!run) throw new ExpressionError(`unknown name "${token.text}": ${Object.keys(NAMES).join(', ')}, label("key"), ${Object.keys(MATHS).join(', ')}`, token.at);
    return run;
  }
  const args: Run[] = [];
  if (!accept(p, ')')) {
    do args.push(choice(p));
    while (accept(p, ','));
    expect(p, ')');
  }
  if (token.text === 'label') {
    if (args.length !== 1) throw new ExpressionError('label takes one text: label("disk")', token.at);
    return (s, i) => s.nodes[i]!.node.metadata.labels?.[String(args[0]!(s, i))] ?? '';
  }
  const f = Object.hasOwn(MATHS, token.text) ? MATHS[token.text]! : null;
  if (!f) throw new ExpressionError(`unknown function "${token.text}": label, ${Object.keys(MATHS).join(', ')}`, token.at);
  if (args.length < f.least || args.length > f.most) throw new ExpressionError(`${token.text} takes ${f.least === f.most ? f.least : `${f.least} to ${f.most}`} argument${f.most === 1 ? '' : 's'}, not ${args.length}`, token.at);
  return (s, i) => f.run(...args.map((a) => numeric(a(s, i))));
}
