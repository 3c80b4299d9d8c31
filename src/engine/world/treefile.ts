/**
 * Trees as one file: parts of disks worked out beforehand, for a page whose first prompt must not wait for tars, gzip and
 * digests. A header in JSON, then the contents, each once. Text comes back as bytes, which is what a disk makes of it.
 */
import type { Tree, TreeEntry } from '../kernel/vfs/build.ts';
import { bytes, text, toBase64 } from '../sim/text.ts';
import { joinBytes } from '../sim/wire.ts';

type Stored = [path: string, entry: Exclude<TreeEntry, { type: 'file' }> | { type: 'file'; mode?: number; data: number }];

interface Header {
  trees: Record<string, Stored[]>;
  /** Bytes of each content, in the order in which they lie in the file. */
  sizes: number[];
}

export function writeTrees(trees: Readonly<Record<string, Tree>>): Uint8Array {
  const contents: Uint8Array[] = [];
  const known = new Map<string, number>();
  const kept = (data: Uint8Array): number => {
    const key = toBase64(data);
    const at = known.get(key) ?? contents.push(data) - 1;
    known.set(key, at);
    return at;
  };
  const stored = (tree: Tree): Stored[] =>
    Object.entries(tree).map(([path, entry]) => [path, entry.type === 'file' ? { ...entry, data: kept(typeof entry.data === 'string' ? bytes(entry.data) : entry.data) } : entry]);
  const header: Header = { trees: Object.fromEntries(Object.entries(trees).map(([name, tree]) => [name, stored(tree)])), sizes: [] };
  header.sizes = contents.map(({ length }) => length);
  const head = bytes(JSON.stringify(header));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, head.length, true);
  return joinBytes([length, head, ...contents]);
}

export function readTrees(file: Uint8Array): Record<string, Tree> {
  const start = 4 + new DataView(file.buffer, file.byteOffset).getUint32(0, true);
  const { trees, sizes }: Header = JSON.parse(text(file.subarray(4, start)));
  let at = start;
  const contents = sizes.map((size) => file.subarray(at, (at += size)));
  const tree = (stored: readonly Stored[]): Tree =>
    Object.fromEntries(stored.map(([path, entry]) => [path, entry.type === 'file' ? { ...entry, data: contents[entry.data]! } : entry]));
  return Object.fromEntries(Object.entries(trees).map(([name, stored]) => [name, tree(stored)]));
}
