/**
 * Compose files as text: YAML with anchors and merge keys into plain data, several files merged, and what is wrong with one
 * in the words of go-yaml. Source: compose-spec/compose-go loader, override; gopkg.in/yaml.v3.
 */
import { isMap, isNode, isPair, isSeq, LineCounter, parseDocument } from 'yaml';

// biome-ignore lint/suspicious/noExplicitAny: what people write is checked by schema.ts
export type Any = any;
export type Dict = Record<string, Any>;

/** Ends the command; the status is compose's for that kind of failure. */
export class ComposeError extends Error {
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

export const FILE_NOT_FOUND = 14;
export const BAD_FILE = 15;
export const BAD_SYNTAX = 16;
export const BUILD_FAILED = 17;
export const PULL_FAILED = 18;

const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 60;

const WORDS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'found character that cannot start any token', BLOCK_AS_IMPLICIT_KEY: 'mapping values are not allowed in this context',
  BAD_INDENT: 'did not find expected key', MISSING_CHAR: 'did not find expected node content', UNEXPECTED_TOKEN: 'did not find expected key',
  BAD_SCALAR_START: 'found character that cannot start any token', MULTILINE_IMPLICIT_KEY: "could not find expected ':'", BAD_PROP_ORDER: 'did not find expected node content',
  MISSING_ANCHOR: 'did not find expected alphabetic or numeric character', BAD_DQ_ESCAPE: 'found unknown escape character', BLOCK_IN_FLOW: "did not find expected ',' or ']'",
  BAD_ALIAS: 'did not find expected alphabetic or numeric character',
};

export const isDict = (value: unknown): value is Dict => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The file's data. Throws ComposeError. */
export function readYaml(source: string): Dict {
  const bad = (why: string): ComposeError => new ComposeError(`yaml: ${why}`, BAD_FILE);
  if (source.length > MAX_BYTES) throw bad('document is larger than 1 MiB');
  const counter = new LineCounter();
  const document = parseDocument(source, { version: '1.2', lineCounter: counter, prettyErrors: false, merge: true, uniqueKeys: true, logLevel: 'silent', resolveKnownTags: false });
  const fault = document.errors[0];
  if (fault) {
    const line = counter.linePos(Math.min(fault.pos[0], Math.max(0, source.trimEnd().length - 1))).line;
    if (/Map keys must be unique/.test(fault.message)) throw bad(`unmarshal errors:\n  line ${line}: mapping key ${JSON.stringify(keyAt(source, fault.pos[0]))} already defined at line ${firstOf(source, keyAt(source, fault.pos[0]))}`);
    throw bad(`line ${line}: ${/end with a/.test(fault.message) ? 'found unexpected end of stream' : (WORDS[fault.code] ?? fault.message.replace(/\s+/g, ' '))}`);
  }
  if (isNode(document.contents) && tooDeep(document.contents, 0)) throw bad('exceeded max depth');
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    const missing = error instanceof Error ? /Unresolved alias.*: (\S+)/.exec(error.message) : null;
    if (missing) throw bad(`unknown anchor '${missing[1]}' referenced`);
    throw bad(error instanceof Error && /alias/i.test(error.message) ? 'document contains excessive aliasing' : 'unreadable');
  }
  if (value === null || value === undefined) throw new ComposeError('empty compose file', BAD_FILE);
  if (!isDict(value)) throw new ComposeError('top-level object must be a mapping', BAD_FILE);
  return plain(value) as Dict;
}

const keyAt = (source: string, at: number): string => /^["']?([^"':\s]*)/.exec(source.slice(at))?.[1] ?? '';

function firstOf(source: string, key: string): number {
  return source.split('\n').findIndex((l) => l.trim().replace(/["']/g, '').startsWith(`${key}:`)) + 1;
}

function tooDeep(node: unknown, level: number): boolean {
  if (level > MAX_DEPTH) return true;
  if (isMap(node)) return node.items.some((p) => isPair(p) && tooDeep(p.value, level + 1));
  return isSeq(node) && node.items.some((i) => tooDeep(i, level + 1));
}

/** Only what JSON has; keys are text, and none of them reaches a prototype. */
function plain(value: unknown, level = 0): Any {
  if (level > 4 * MAX_DEPTH) throw new ComposeError('yaml: exceeded max depth', BAD_FILE);
  if (Array.isArray(value)) return value.map((v) => plain(v, level + 1));
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Map) return plain(Object.fromEntries([...value].map(([k, v]) => [String(k), v])), level);
  if (!isDict(value)) return value === undefined ? null : value;
  return Object.fromEntries(Object.entries(value).filter(([k]) => k !== '__proto__').map(([k, v]) => [k, plain(v, level + 1)]));
}

/** Lists that a second file replaces instead of adding to. */
const REPLACED: ReadonlySet<string> = new Set(['command', 'entrypoint', 'test']);
/** Lists of "KEY=value" and mappings that mean the same. */
const PAIRS: ReadonlySet<string> = new Set(['environment', 'labels', 'args', 'sysctls', 'annotations', 'extra_hosts']);

export function pairsOf(value: Any): Dict {
  if (!Array.isArray(value)) return isDict(value) ? value : {};
  return Object.fromEntries(value.map((one) => {
    const text = String(one);
    const cut = text.indexOf('=');
    return cut < 0 ? [text, null] : [text.slice(0, cut), text.slice(cut + 1)];
  }));
}

/** What a later file says over what an earlier one says. */
export function overlay(base: Any, over: Any, key = ''): Any {
  if (over === null || over === undefined) return base;
  if (PAIRS.has(key) && (Array.isArray(base) || Array.isArray(over))) return { ...pairsOf(base), ...pairsOf(over) };
  if (key === 'depends_on' && (Array.isArray(base) || Array.isArray(over))) return overlay(conditions(base), conditions(over));
  if (key === 'networks' && (Array.isArray(base) !== Array.isArray(over))) return overlay(named(base), named(over));
  if (isDict(base) && isDict(over)) {
    return Object.fromEntries([...new Set([...Object.keys(base), ...Object.keys(over)])].map((k) => [k, k in base ? overlay(base[k], over[k], k) : over[k]]));
  }
  if (!Array.isArray(base) || !Array.isArray(over) || REPLACED.has(key)) return over;
  const target = (one: Any): string => (key === 'volumes' ? (isDict(one) ? String(one.target) : (String(one).split(':')[1] ?? String(one))) : JSON.stringify(one));
  return [...base.filter((b) => !over.some((o) => target(o) === target(b))), ...over];
}

export const conditions = (value: Any): Dict =>
  Array.isArray(value) ? Object.fromEntries(value.map((name) => [String(name), { condition: 'service_started', required: true }])) : isDict(value) ? value : {};
const named = (value: Any): Dict => (Array.isArray(value) ? Object.fromEntries(value.map((name) => [String(name), null])) : (value ?? {}));
