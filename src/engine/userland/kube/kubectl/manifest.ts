/**
 * Manifests: YAML 1.1 (as Kubernetes reads it: `y` is true) or JSON, many documents a file, with the line of every field for
 * errors. Sizes, depth and aliases are bounded. Messages for broken YAML are go-yaml's where the fault has a like there.
 */
import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, type Document } from 'yaml';
import type { Json } from '../../../cluster/types/objects.ts';
import { chunks, yamlFault } from './yamlfaults.ts';

export interface Item {
  object: Json;
  source: string;
  /** Line of a field ("spec.template.spec.containers[0].image"), or of the document. */
  lineOf(path: string): number | null;
}

export class ManifestError extends Error {}

const MAX_BYTES = 3 * 1024 * 1024;
const MAX_DEPTH = 100;

const OPTIONS = { version: '1.1', prettyErrors: false, merge: true, uniqueKeys: true, logLevel: 'silent' } as const;

export function readManifest(text: string, source: string): Item[] {
  const broken = (why: string): ManifestError => new ManifestError(`error parsing ${source}: error converting YAML to JSON: ${why}`);
  if (text.length > MAX_BYTES) throw broken('yaml: document is larger than 3 MiB');
  const counter = new LineCounter();
  let documents: Document[];
  try {
    documents = parseAllDocuments(text, { ...OPTIONS, lineCounter: counter }) as Document[];
  } catch (error) {
    throw broken(`yaml: ${error instanceof Error ? error.message : 'unreadable'}`);
  }
  const out: Item[] = [];
  for (const document of documents) {
    if (document.errors.some((f) => f.code !== 'DUPLICATE_KEY')) throw broken(faultOf(text));
    let value: Json;
    try {
      if (isNode(document.contents) && depth(document.contents, 0) > MAX_DEPTH) throw broken('yaml: exceeded max depth');
      const odd = isNode(document.contents) ? oddKey(document.contents) : null;
      if (odd !== null) throw broken(`yaml: invalid map key: ${odd}`);
      value = document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      if (error instanceof ManifestError) throw error;
      const missing = error instanceof Error ? /Unresolved alias.*: (\S+)/.exec(error.message) : null;
      if (missing) throw broken(`yaml: unknown anchor '${missing[1]}' referenced`);
      throw broken(`yaml: ${error instanceof Error && /alias/i.test(error.message) ? 'document contains excessive aliasing' : 'unreadable'}`);
    }
    if (value === null || value === undefined) continue;
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw new ManifestError(`error parsing ${source}: json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type map[string]interface {}`);
    }
    const lineOf = (path: string): number | null => position(document, path, counter);
    const clean = plain(value);
    if (clean.kind === 'List' && Array.isArray(clean.items)) {
      for (const [i, object] of clean.items.entries()) out.push({ object, source, lineOf: (path) => lineOf(`items[${i}].${path}`) });
    } else out.push({ object: clean, source, lineOf });
  }
  return out;
}

/** What the first document that is broken by itself has. */
function faultOf(text: string): string {
  for (const chunk of chunks(text)) {
    const faults = parseAllDocuments(chunk, OPTIONS).flatMap((d) => d.errors).filter((f) => f.code !== 'DUPLICATE_KEY');
    if (faults.length > 0) return yamlFault(chunk, faults);
  }
  return 'yaml: document is broken';
}

/** A key that is itself a map or a list, as Go prints it: what a template that was not filled in looks like. */
function oddKey(node: unknown): string | null {
  const parts = isMap(node) ? node.items.flatMap((p) => [p.key, p.value]) : isSeq(node) ? node.items : [];
  for (const key of isMap(node) ? node.items.map((p) => p.key) : []) if (isMap(key) || isSeq(key)) return goText(key);
  for (const part of parts) {
    const found = oddKey(part);
    if (found !== null) return found;
  }
  return null;
}

function goText(node: unknown): string {
  if (isMap(node)) return `map[interface {}]interface {}{${node.items.map((p) => `${goText(p.key)}:${goText(p.value)}`).join(', ')}}`;
  if (isSeq(node)) return `[]interface {}{${node.items.map(goText).join(', ')}}`;
  const value = isScalar(node) ? node.value : null;
  return value === null ? 'interface {}(nil)' : JSON.stringify(value);
}

function depth(node: unknown, level: number): number {
  if (level > MAX_DEPTH) return level;
  if (isMap(node)) return Math.max(level, ...node.items.map((p) => depth(isPair(p) ? p.value : null, level + 1)));
  if (isSeq(node)) return Math.max(level, ...node.items.map((i) => depth(i, level + 1)));
  return level;
}

/** Only what JSON has: text keys, numbers that JSON can say, no dates. */
function plain(value: Json): Json {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value === null || typeof value !== 'object') return value === undefined ? null : value;
  if (Object.prototype.toString.call(value) === '[object Date]') return value.toISOString().replace('.000Z', 'Z');
  const out: Json = {};
  for (const [key, inner] of Object.entries(value)) if (key !== '__proto__') out[key] = plain(inner);
  return out;
}

function position(document: Document, path: string, counter: LineCounter): number | null {
  let node: unknown = document.contents;
  let found: number | null = isNode(node) ? (node.range?.[0] ?? null) : null;
  for (const part of path.split(/\.|\[(\d+)\]/).filter((p) => p !== undefined && p !== '')) {
    if (isMap(node)) {
      const pair = node.items.find((p) => isScalar(p.key) && String(p.key.value) === part);
      if (!pair) break;
      found = isNode(pair.key) ? (pair.key.range?.[0] ?? found) : found;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      found = isNode(node) ? (node.range?.[0] ?? found) : found;
    } else break;
  }
  return found === null ? null : counter.linePos(found).line;
}
