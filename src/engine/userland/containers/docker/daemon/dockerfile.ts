/** Dockerfiles: instructions with their lines, variables, and what is wrong with them in BuildKit's words. Source: docs.docker.com dockerfile reference. */
import { text } from '../../../../sim/text.ts';

export interface Instruction {
  word: string;
  /** What follows the word, continued lines joined. */
  rest: string;
  /** First and last line, from 1. */
  from: number;
  to: number;
}

/** A Dockerfile that cannot be one; `line` is 0 when it is about none. */
export class BadDockerfile extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

const WORDS = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
];

export function parseDockerfile(data: Uint8Array, name: string): Instruction[] {
  const source = text(data);
  const out: Instruction[] = [];
  const lines = source.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const first = lines[i]!.trim();
    if (first === '' || first.startsWith('#')) continue;
    const from = i + 1;
    let whole = first;
    while (whole.endsWith('\\') && i + 1 < lines.length) {
      const next = lines[++i]!.trim();
      if (next.startsWith('#')) continue;
      whole = `${whole.slice(0, -1)}${next}`;
    }
    const m = /^(\S+)\s*([\s\S]*)$/.exec(whole)!;
    out.push({ word: m[1]!.toUpperCase(), rest: m[2]!.trim(), from, to: i + 1 });
  }
  if (out.length === 0) throw new BadDockerfile(name, 0);
  for (const one of out) check(one);
  return out;
}

function check(one: Instruction): void {
  const at = (why: string): BadDockerfile => new BadDockerfile(`dockerfile parse error on line ${one.from}: ${why}`, one.from);
  if (!WORDS.includes(one.word)) {
    const near = WORDS.map((w) => [w, distance(w, one.word)] as const)
      .filter(([, d]) => d < 3)
      .sort(([, a], [, b]) => a - b)[0];
    throw at(`unknown instruction: ${one.word}${near ? ` (did you mean ${near[0]}?)` : ''}`);
  }
  if (one.rest === '')
    throw at(
      one.word === 'FROM'
        ? 'FROM requires either one or three arguments'
        : `${one.word} requires ${/^(COPY|ADD)$/.test(one.word) ? 'at least two arguments, but only one was provided. Destination could not be determined' : 'exactly one argument'}`,
    );
  if (/^(COPY|ADD)$/.test(one.word) && words(one.rest).filter((w) => !w.startsWith('--')).length < 2)
    throw at(`${one.word} requires at least two arguments, but only one was provided. Destination could not be determined`);
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** Words of COPY and ADD: by spaces, or a JSON list after the flags. */
export function words(rest: string): string[] {
  const m = /^((?:--\S+\s+)*)(\[.*\])$/.exec(rest);
  if (!m) return rest.split(/\s+/).filter((w) => w !== '');
  try {
    return [...m[1]!.split(/\s+/).filter((w) => w !== ''), ...(JSON.parse(m[2]!) as unknown[]).map(String)];
  } catch {
    return rest.split(/\s+/);
  }
}

/** $NAME, ${NAME}, ${NAME:-word}, ${NAME:+word}. */
export function substitute(source: string, env: ReadonlyMap<string, string>): string {
  return source.replace(
    /\\\$|\$\{(\w+)(?::([-+])([^}]*))?\}|\$(\w+)/g,
    (whole, braced: string | undefined, op: string | undefined, word: string | undefined, bare: string | undefined) => {
      if (whole === '\\$') return '$';
      const value = env.get((braced ?? bare)!) ?? '';
      if (op === '-') return value === '' ? (word ?? '') : value;
      if (op === '+') return value === '' ? '' : (word ?? '');
      return value;
    },
  );
}

/** The lines round a fault, as BuildKit shows them. */
export function excerpt(data: Uint8Array, name: string, from: number, to: number): string {
  const lines = text(data).split('\n');
  const first = Math.max(1, from - 4);
  const last = Math.min(lines.length, to + 4);
  let out = `${name}:${from}\n--------------------\n`;
  for (let n = first; n <= last; n++) out += `${String(n).padStart(4)} | ${n >= from && n <= to ? '>>>' : '   '} ${lines[n - 1]}\n`;
  return `${out}--------------------\n`;
}
