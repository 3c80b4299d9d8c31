/**
 * Compose files as text: YAML with anchors and merge keys into plain data, several files merged, and what is wrong with one
 * in the words of go-yaml. Source: compose-spec/compose-go loader, override; gopkg.in/yaml.v3.
 */
import { isMap, isNode, isPair, isScalar, isSeq, parseDocument } from 'yaml';
import { yamlFault } from '../../kube/kubectl/yamlfaults.ts';

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

export const isDict = (value: unknown): value is Dict => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A file's data, and the paths that its "!reset" and "!override" take out of the files before it. */
export interface Read {
  model: Dict;
  cleared: string[][];
}

/** Throws ComposeError. */
export function readYaml(source: string): Read {
  const bad = (why: string): ComposeError => new ComposeError(`yaml: ${why}`, BAD_FILE);
  if (source.length > MAX_BYTES) throw bad('document is larger than 1 MiB');
  const document = parseDocument(source, { version: '1.2', prettyErrors: false, merge: true, uniqueKeys: true, logLevel: 'silent', resolveKnownTags: false });
  const fault = document.errors[0];
  if (fault && /Map keys must be unique/.test(fault.message)) throw bad(`unmarshal errors:\n  line ${lineOf(source, fault.pos[0])}: mapping key ${JSON.stringify(keyAt(source, fault.pos[0]))} already defined at line ${firstOf(source, keyAt(source, fault.pos[0]))}`);
  if (fault) throw new ComposeError(yamlFault(source, document.errors), BAD_FILE);
  if (isNode(document.contents) && tooDeep(document.contents, 0)) throw bad('exceeded max depth');
  const cleared: string[][] = [];
  asGoReads(document.contents, [], cleared);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    const missing = /(?:^|[\s[{,])\*([\w.-]+)/g;
    const anchors = new Set([...source.matchAll(/&([\w.-]+)/g)].map((m) => m[1]));
    const name = [...source.matchAll(missing)].map((m) => m[1]!).find((n) => !anchors.has(n));
    if (name !== undefined) throw bad(`unknown anchor '${name}' referenced`);
    throw bad(error instanceof Error && /alias/i.test(error.message) ? 'document contains excessive aliasing' : 'unreadable');
  }
  if (value === null || value === undefined) throw new ComposeError('empty compose file', BAD_FILE);
  if (!isDict(value)) throw bad(`unmarshal errors:\n  line ${lineOf(source, source.search(/^[^#\s]/m))}: cannot unmarshal ${Array.isArray(value) ? '!!seq' : `${tagOf(value)} \`${excerpt(String(value))}\``} into cli.named`);
  return { model: plain(value) as Dict, cleared };
}

/** As yaml.v3 cuts what it could not take. */
const excerpt = (text: string): string => (text.length > 10 ? `${text.slice(0, 7)}...` : text);
const lineOf = (source: string, at: number): number => source.slice(0, Math.max(0, at)).split('\n').length;
const tagOf = (value: unknown): string => (typeof value === 'string' ? '!!str' : typeof value === 'boolean' ? '!!bool' : Number.isInteger(value) ? '!!int' : '!!float');

/** Scalars that go-yaml v3 reads in another way ("0440" is octal), and nodes with a tag of compose's own. */
function asGoReads(node: unknown, path: readonly string[], cleared: string[][]): void {
  if (isScalar(node)) {
    const text = typeof node.source === 'string' && (node.type === 'PLAIN' || node.type === undefined) ? node.source : '';
    if (/^[-+]?0[0-7]+$/.test(text) && typeof node.value !== 'string') node.value = Number.parseInt(text, 8);
    return;
  }
  if (isSeq(node)) {
    for (const [i, item] of node.items.entries()) asGoReads(item, [...path, String(i)], cleared);
    return;
  }
  if (!isMap(node)) return;
  node.items = node.items.filter((pair) => {
    const at = [...path, String(isScalar(pair.key) ? pair.key.value : pair.key)];
    const tag = isNode(pair.value) ? pair.value.tag : undefined;
    if (tag === '!reset' || tag === '!override') cleared.push(at);
    if (tag === '!reset') return false;
    asGoReads(pair.value, at, cleared);
    return true;
  });
}

/** The same without what stands at a path. */
export function without(model: Any, path: readonly string[]): Any {
  const [first, ...rest] = path;
  if (!isDict(model) || first === undefined || !(first in model)) return model;
  if (rest.length > 0) return { ...model, [first]: without(model[first], rest) };
  const { [first]: _gone, ...kept } = model;
  return kept;
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
  const merged = new Map<string, Any>();
  for (const one of [...base, ...over]) merged.set(identity(key, one), one);
  return [...merged.values()];
}

/** What tells entries of a list apart; a later one takes an earlier one's place. */
function identity(key: string, one: Any): string {
  if (key === 'volumes' || key === 'devices') return isDict(one) ? String(one.target) : (String(one).split(':')[1] ?? String(one));
  if (key === 'secrets' || key === 'configs') return isDict(one) ? String(one.target ?? one.source) : String(one);
  if (key === 'env_file') return isDict(one) ? String(one.path) : String(one);
  return JSON.stringify(one);
}

export const conditions = (value: Any): Dict =>
  Array.isArray(value) ? Object.fromEntries(value.map((name) => [String(name), { condition: 'service_started', required: true }])) : isDict(value) ? value : {};
const named = (value: Any): Dict => (Array.isArray(value) ? Object.fromEntries(value.map((name) => [String(name), null])) : (value ?? {}));
