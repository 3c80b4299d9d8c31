/**
 * The bytes of a regular file, sparse: chunks of up to 64 KiB that were written, nothing for holes. A file made from a
 * Tree shares the given bytes until it is written. Sizes in bytes.
 */
export interface Content {
  /** Shared, read-only beginning. */
  base: Uint8Array | null;
  chunks: Map<number, Uint8Array>;
  /** Pages skipped by writing past the end or lengthening: nobody pays for them. How many, and which: from, to, from, to, … in order. */
  holes?: number;
  gaps?: number[];
  /** Bytes of chunks. */
  kept?: number;
}

const CHUNK = 65536;

export function emptyContent(): Content {
  return { base: null, chunks: new Map() };
}

export function sharedContent(data: Uint8Array): Content {
  return { base: data, chunks: new Map() };
}

/** `count` bytes from `offset`, not past `size`. */
export function readContent(content: Content, size: number, offset: number, count: number): Uint8Array {
  const end = Math.min(size, offset + count);
  if (end <= offset) return new Uint8Array(0);
  const { base } = content;
  if (content.chunks.size === 0 && base && end <= base.length) return base.subarray(offset, end);
  const out = new Uint8Array(end - offset);
  for (let at = offset; at < end; ) {
    const index = Math.floor(at / CHUNK);
    const from = at - index * CHUNK;
    const n = Math.min(CHUNK - from, end - at);
    const chunk = content.chunks.get(index);
    if (chunk) out.set(chunk.subarray(from, from + n), at - offset);
    else if (base && at < base.length) out.set(base.subarray(at, Math.min(at + n, base.length)), at - offset);
    at += n;
  }
  return out;
}

export function writeContent(content: Content, size: number, offset: number, data: Uint8Array): void {
  for (let done = 0; done < data.length; ) {
    const at = offset + done;
    const index = Math.floor(at / CHUNK);
    const from = at - index * CHUNK;
    const n = Math.min(CHUNK - from, data.length - done);
    const part = data.subarray(done, done + n);
    done += n;
    // Zeros where nothing was are nothing.
    if (!content.chunks.has(index) && (content.base?.length ?? 0) <= index * CHUNK && allZero(part)) continue;
    chunkFor(content, size, index, from + n).set(part, from);
  }
}

function allZero(data: Uint8Array): boolean {
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) return false;
  return true;
}

/** The chunk at `index`, at least `needed` bytes long, its old bytes in it. */
function chunkFor(content: Content, size: number, index: number, needed: number): Uint8Array {
  const old = content.chunks.get(index);
  if (old && old.length >= needed) return old;
  const start = index * CHUNK;
  const length = Math.min(CHUNK, Math.max(needed, old ? old.length * 2 : 64, Math.min(CHUNK, size - start)));
  const chunk = new Uint8Array(length);
  if (old) chunk.set(old);
  else if (content.base && start < content.base.length) chunk.set(content.base.subarray(start, Math.min(start + length, content.base.length, size)));
  content.chunks.set(index, chunk);
  content.kept = (content.kept ?? 0) + length - (old?.length ?? 0);
  return chunk;
}

/** Shortens or lengthens: what lies past the new end is gone, and reads as zero when it grows again. */
export function resizeContent(content: Content, from: number, to: number): void {
  if (to >= from) return;
  if (to === 0) {
    content.base = null;
    content.chunks.clear();
    content.kept = 0;
    return;
  }
  for (const index of [...content.chunks.keys()]) {
    const start = index * CHUNK;
    if (start >= to) {
      content.kept = (content.kept ?? 0) - content.chunks.get(index)!.length;
      content.chunks.delete(index);
    }
    else if (start + CHUNK > to) content.chunks.get(index)!.fill(0, to - start);
  }
  if (content.base && content.base.length > to) content.base = content.base.slice(0, to);
}

/** Pages from `from` up to `to`, past every other page, are a hole. */
export function addGap(content: Content, from: number, to: number): void {
  if (to <= from) return;
  const gaps = (content.gaps ??= []);
  if (gaps.at(-1) === from) gaps[gaps.length - 1] = to;
  else gaps.push(from, to);
  content.holes = (content.holes ?? 0) + to - from;
}

/** Pages from `from` up to `to` are written, or gone with the end of the file. */
export function fillGaps(content: Content, from: number, to: number): void {
  if (!content.holes) return;
  const left: number[] = [];
  let holes = 0;
  const keep = (a: number, b: number): void => {
    if (b <= a) return;
    left.push(a, b);
    holes += b - a;
  };
  const { gaps = [] } = content;
  for (let n = 0; n < gaps.length; n += 2) {
    keep(gaps[n]!, Math.min(gaps[n + 1]!, from));
    keep(Math.max(gaps[n]!, to), gaps[n + 1]!);
  }
  content.gaps = left;
  content.holes = holes;
}

/** The first page at or after `page` that is (or is not) in a hole; `end` when none is. */
export function nextPage(content: Content, page: number, wanted: 'data' | 'hole', end: number): number {
  const { gaps = [] } = content;
  for (let n = 0; n < gaps.length; n += 2) {
    if (gaps[n + 1]! <= page) continue;
    if (wanted === 'hole') return Math.min(end, Math.max(page, gaps[n]!));
    return page < gaps[n]! ? page : Math.min(end, gaps[n + 1]!);
  }
  return wanted === 'hole' ? end : page;
}
