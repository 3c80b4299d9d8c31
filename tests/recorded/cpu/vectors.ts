/**
 * Recorded vectors: what a real processor (the one that `recorded-on` of the file names) made of snippets. A gzip of
 * u32 length of a JSON head, the head, then per snippet: u8 length of its code, code, u16 flags to compare, u64 digest.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { STRIDE } from './snippets.ts';

export const FILE = new URL('vectors.bin.gz', import.meta.url);
export const FILE32 = new URL('vectors32.bin.gz', import.meta.url);

export interface Vectors {
  head: { first: number; count: number; recordedOn: string; ended: number };
  code: Uint8Array;
  masks: number[];
  digests: bigint[];
}

export function packVectors({ head, code, masks, digests }: Vectors): Uint8Array {
  const text = Buffer.from(JSON.stringify(head));
  const parts: Buffer[] = [Buffer.alloc(4), text];
  parts[0]!.writeUInt32LE(text.length);
  for (let n = 0; n < head.count; n++) {
    const whole = code.subarray(n * STRIDE, (n + 1) * STRIDE);
    let length = STRIDE;
    while (length > 0 && whole[length - 1] === 0xcc) length--;
    const tail = Buffer.alloc(10);
    tail.writeUInt16LE(masks[n]!, 0);
    tail.writeBigUInt64LE(digests[n]!, 2);
    parts.push(Buffer.from([length]), Buffer.from(whole.subarray(0, length)), tail);
  }
  return gzipSync(Buffer.concat(parts), { level: 9 });
}

export function readVectors(file = FILE): Vectors {
  const bytes = gunzipSync(readFileSync(file));
  const start = 4 + bytes.readUInt32LE(0);
  const head = JSON.parse(bytes.subarray(4, start).toString()) as Vectors['head'];
  const code = new Uint8Array(head.count * STRIDE).fill(0xcc);
  const masks: number[] = [];
  const digests: bigint[] = [];
  let at = start;
  for (let n = 0; n < head.count; n++) {
    const length = bytes[at]!;
    code.set(bytes.subarray(at + 1, at + 1 + length), n * STRIDE);
    at += 1 + length;
    masks.push(bytes.readUInt16LE(at));
    digests.push(bytes.readBigUInt64LE(at + 2));
    at += 10;
  }
  return { head, code, masks, digests };
}
