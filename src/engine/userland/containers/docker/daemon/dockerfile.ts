/**
 * Dockerfiles: instructions with their lines, flags and heredocs, and what is wrong with them in BuildKit's words.
 * Source: buildkit frontend/dockerfile/parser, instructions, command; docs.docker.com dockerfile reference.
 */
import { text } from '../../../../sim/text.ts';
import { editDistance } from '../../../lib/nearest.ts';
import { durationFault } from '../../../lib/duration.ts';

export interface Heredoc {
  name: string;
  content: string;
  /** Variables are put in: the word was not quoted. */
  expand: boolean;
}

export interface Instruction {
  word: string;
  /** The word as written. */
  written: string;
  /** What follows the word and its flags, continued lines joined. */
  rest: string;
  /** "--from=x", in order, of those that take flags. */
  flags: string[];
  heredocs: Heredoc[];
  /** First and last line, from 1. */
  from: number;
  to: number;
  /** Heredocs as they stood, for a shell that reads them itself. */
  raw: string;
}

/** A Dockerfile that cannot be one; `line` is 0 when it is about none. */
export class BadDockerfile extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

const WORDS = 'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(' ');
/** Flags that each instruction knows. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  FROM: ['platform'], COPY: ['from', 'chown', 'chmod', 'link', 'parents', 'exclude'], ADD: ['chown', 'chmod', 'link', 'keep-git-dir', 'checksum', 'exclude'], RUN: ['mount', 'network', 'security'],
  HEALTHCHECK: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'],
};
const MAX_LINES = 20_000;

export interface Parsed {
  instructions: Instruction[];
  escape: string;
}

export function parseDockerfile(data: Uint8Array, name: string): Instruction[] {
  return parse(data, name).instructions;
}

/** Throws BadDockerfile. */
export function parse(data: Uint8Array, name: string): Parsed {
  const parsed = readDockerfile(data, name);
  for (const one of parsed.instructions) check(one);
  return parsed;
}

/** Divides into instructions, which may be none that there are. Throws BadDockerfile. */
export function readDockerfile(data: Uint8Array, name: string): Parsed {
  const lines = text(data).replace(/^\uFEFF/, '').split('\n').map((l) => l.replace(/\r$/, ''));
  if (lines.length > MAX_LINES) throw new BadDockerfile(`dockerfile parse error on line ${MAX_LINES}: dockerfile line greater than maximum allowed size of 65535`, MAX_LINES);
  const { mark, next } = directives(lines);
  const out: Instruction[] = [];
  for (let i = next; i < lines.length; i++) {
    const first = lines[i]!.trim();
    if (first === '' || first.startsWith('#')) continue;
    const joined = joinLines(lines, i, mark);
    const m = /^(\S+)\s*([\s\S]*)$/.exec(joined.whole.trim());
    if (!m) {
      i = joined.last;
      continue;
    }
    const one: Instruction = { word: m[1]!.toUpperCase(), written: m[1]!, rest: m[2]!.trim(), flags: [], heredocs: [], from: i + 1, to: joined.last + 1, raw: '' };
    i = takeHeredocs(lines, one, joined.last);
    takeFlags(one);
    out.push(one);
  }
  if (out.length === 0) throw new BadDockerfile(name, 0);
  for (const one of out) if (/^(ENV|LABEL)$/.test(one.word)) pairs(one);
  return { instructions: out, escape: mark };
}

/** "# escape=`" and the like, only at the very top. */
function directives(lines: readonly string[]): { mark: string; next: number } {
  let mark = '\\';
  let i = 0;
  const seen = new Set<string>();
  for (; i < lines.length; i++) {
    const m = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(lines[i]!);
    if (!m || !['escape', 'syntax', 'check'].includes(m[1]!.toLowerCase())) break;
    const key = m[1]!.toLowerCase();
    if (seen.has(key)) throw new BadDockerfile(`dockerfile parse error on line ${i + 1}: only one ${key} parser directive can be used`, i + 1);
    seen.add(key);
    if (key !== 'escape') continue;
    if (m[2] !== '`' && m[2] !== '\\') throw new BadDockerfile(`dockerfile parse error on line ${i + 1}: invalid escape token '${m[2]}' does not match \` or \\`, i + 1);
    mark = m[2]!;
  }
  return { mark, next: i };
}

/** A line with those it goes on in; comments and empty lines between are passed over. */
function joinLines(lines: readonly string[], from: number, mark: string): { whole: string; last: number } {
  const goesOn = new RegExp(`${mark === '\\' ? '\\\\' : '`'}[ \\t]*$`);
  let whole = lines[from]!.trimStart();
  let last = from;
  while (goesOn.test(whole) && last + 1 < lines.length) {
    const next = lines[++last]!;
    if (/^\s*#/.test(next)) continue;
    if (next.trim() === '') {
      if (last + 1 >= lines.length) whole = whole.replace(goesOn, '');
      continue;
    }
    whole = whole.replace(goesOn, '') + next;
  }
  return { whole: whole.replace(goesOn, last + 1 >= lines.length ? '' : '$&'), last };
}

/** Reads the heredocs that the line opens; the last line used. Only where heredocs are: RUN, COPY, ADD. */
function takeHeredocs(lines: readonly string[], one: Instruction, last: number): number {
  const inner = one.word === 'ONBUILD' ? (/^(\w+)/.exec(one.rest)?.[1] ?? '').toUpperCase() : one.word;
  if (!/^(RUN|COPY|ADD)$/.test(inner) || /^\[/.test(one.rest)) return last;
  let at = last;
  for (const m of one.rest.matchAll(/(?:^|\s)\d*<<(-?)\s*(["']?)([A-Za-z_][\w.]*)\2(?=\s|$|[>|;&])/g)) {
    const body: string[] = [];
    for (;;) {
      if (++at >= lines.length) throw new BadDockerfile(`dockerfile parse error on line ${one.from}: unterminated heredoc`, one.from);
      const line = m[1] === '-' ? lines[at]!.replace(/^\t+/, '') : lines[at]!;
      one.raw += `\n${lines[at]!}`;
      if (line === m[3]) break;
      body.push(line);
    }
    one.heredocs.push({ name: m[3]!, content: body.map((l) => `${l}\n`).join(''), expand: m[2] === '' });
  }
  one.to = at + 1;
  return at;
}

function takeFlags(one: Instruction): void {
  const known = FLAGS[one.word];
  if (!known) return;
  for (;;) {
    const m = /^--(\S*)(?:\s+|$)/.exec(one.rest);
    if (!m) return;
    if (m[1] === '') {
      one.rest = one.rest.slice(2).trimStart();
      return;
    }
    const name = m[1]!.split('=')[0]!;
    if (!known.includes(name)) {
      const near = nearest(name, known);
      throw new BadDockerfile(`dockerfile parse error on line ${one.from}: unknown flag: ${name}${near ? ` (did you mean ${near}?)` : ''}`, one.from);
    }
    if (!m[1]!.includes('=') && !/^(link|parents|keep-git-dir)$/.test(name)) throw new BadDockerfile(`dockerfile parse error on line ${one.from}: missing a value on flag: --${name}`, one.from);
    one.flags.push(`--${m[1]}`);
    one.rest = one.rest.slice(m[0].length);
  }
}

export const flagOf = (one: Instruction, name: string): string | undefined => one.flags.find((f) => f === `--${name}` || f.startsWith(`--${name}=`))?.replace(/^--[\w-]+=?/, '');

/** The known word that differs in one or two letters. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  return known.map((w) => [w, editDistance(w, word)] as const).filter(([, d]) => d < 3).sort(([, a], [, b]) => a - b)[0]?.[0];
}

const AT_LEAST_TWO = 'requires at least two arguments, but only one was provided. Destination could not be determined';
const NEEDS: Readonly<Record<string, string>> = {
  FROM: 'requires either one or three arguments', COPY: AT_LEAST_TWO, ADD: AT_LEAST_TWO, ARG: 'requires at least one argument', ENV: 'requires at least one argument', LABEL: 'requires at least one argument', EXPOSE: 'requires at least one argument',
  VOLUME: 'requires at least one argument', HEALTHCHECK: 'requires at least one argument', SHELL: 'requires at least one argument', ONBUILD: 'requires at least one argument', RUN: '', CMD: '', ENTRYPOINT: '',
};

/** Throws BadDockerfile for an instruction that is none, or without what it needs. */
export function check(one: Instruction): void {
  const at = (why: string): BadDockerfile => new BadDockerfile(`dockerfile parse error on line ${one.from}: ${why}`, one.from);
  const { word, rest } = one;
  if (!WORDS.includes(word)) {
    const near = nearest(word, WORDS);
    throw at(`unknown instruction: ${word}${near ? ` (did you mean ${near}?)` : ''}`);
  }
  const need = NEEDS[word] ?? 'requires exactly one argument';
  if (rest === '' && need !== '') throw at(`${word} ${need}`);
  if (/^(COPY|ADD)$/.test(word)) {
    const all = words(rest);
    if (all.length < 2) throw at(`${word} ${AT_LEAST_TWO}`);
  }
  if (/^(WORKDIR|USER|STOPSIGNAL)$/.test(word) && word !== 'WORKDIR' && /\S\s+\S/.test(rest)) throw at(`${word} requires exactly one argument`);
  if (word === 'SHELL' && !jsonList(rest)) throw at('SHELL requires the arguments to be in JSON form');
  if (word === 'HEALTHCHECK') checkHealth(one, at);
  if (word === 'ONBUILD') {
    const inner = (/^(\S+)/.exec(rest)?.[1] ?? '').toUpperCase();
    if (inner === 'ONBUILD') throw at("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (/^(FROM|MAINTAINER)$/.test(inner)) throw at(`${inner} isn't allowed as an ONBUILD trigger`);
  }
}

function checkHealth({ rest, flags }: Instruction, at: (why: string) => BadDockerfile): void {
  const kind = (/^(\S+)/.exec(rest)?.[1] ?? '').toUpperCase();
  const after = rest.slice(kind.length).trim();
  if (kind === 'NONE') {
    if (after !== '') throw at('HEALTHCHECK NONE takes no arguments');
    return;
  }
  if (kind !== 'CMD') throw at(`Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`);
  if (after === '') throw at('Missing command after HEALTHCHECK CMD');
  for (const f of flags) {
    const [name, value = ''] = f.slice(2).split('=');
    const fault = name !== 'retries' ? durationFault(value) : /^\d+$/.test(value) ? null : `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`;
    if (fault !== null) throw at(fault);
  }
}

/** A JSON list of texts, or null. */
export function jsonList(rest: string): string[] | null {
  if (!rest.startsWith('[')) return null;
  try {
    const list: unknown = JSON.parse(rest);
    return Array.isArray(list) && list.every((s) => typeof s === 'string') ? list : null;
  } catch {
    return null;
  }
}

/** Words of COPY and ADD: by spaces, or a JSON list. */
export function words(rest: string): string[] {
  return jsonList(rest) ?? splitWords(rest);
}

/** Divides at blanks that no quote holds; quotes and escapes stay. */
export function splitWords(rest: string): string[] {
  const out: string[] = [];
  let word = '';
  let quote = '';
  let depth = 0;
  for (let i = 0; i < rest.length; i++) {
    const c = rest[i]!;
    if (c === '\\' && i + 1 < rest.length && quote !== "'") {
      word += c + rest[++i]!;
      continue;
    }
    if (quote === '' && (c === '"' || c === "'")) quote = c;
    else if (c === quote) quote = '';
    else if (c === '$' && rest[i + 1] === '{') depth++;
    else if (c === '}' && depth > 0) depth--;
    if (quote === '' && depth === 0 && /\s/.test(c)) {
      if (word !== '') out.push(word);
      word = '';
    } else word += c;
  }
  if (word !== '') out.push(word);
  return out;
}

/** "A=1 B='x y'" or "A rest of the line", quotes and variables still in. Throws BadDockerfile. */
export function pairs(one: Instruction): [string, string][] {
  const at = (why: string): BadDockerfile => new BadDockerfile(why, one.from);
  const all = splitWords(one.rest);
  if (all.length > 0 && !all[0]!.includes('=')) {
    const m = /^(\S+)\s+([\s\S]*)$/.exec(one.rest);
    if (!m) throw at(`${one.word} must have two arguments`);
    return [[m[1]!, m[2]!]];
  }
  return all.map((w) => {
    const cut = w.indexOf('=');
    if (cut < 0) throw at(`Syntax error - can't find = in ${JSON.stringify(w)}. Must be of the form: name=value`);
    if (cut === 0) throw at(`dockerfile parse error on line ${one.from}: ${one.word} names can not be blank`);
    return [w.slice(0, cut), w.slice(cut + 1)];
  });
}

/** A line on each side at a time until they are enough: as buildkit's errdefs/source.go counts. */
function padded(from: number, to: number, all: number): { first: number; last: number } {
  const enough = from === to ? 4 : 2;
  let first = from;
  let last = Math.min(to, all);
  for (let p = 0; p < enough; p++) {
    if (first > 1) {
      first--;
      p++;
    }
    if (last !== all) {
      last++;
      p++;
    }
  }
  return { first, last };
}

/** The lines round a fault, as BuildKit shows them. */
export function excerpt(data: Uint8Array, name: string, from: number, to: number): string {
  const lines = text(data).split('\n');
  const { first, last } = padded(from, to, lines.length);
  let out = `${name}:${from}\n--------------------\n`;
  for (let n = first; n <= last; n++) out += `${String(n).padStart(4)} | ${n >= from && n <= to ? '>>>' : '   '} ${lines[n - 1]}\n`;
  return `${out}--------------------\n`;
}
