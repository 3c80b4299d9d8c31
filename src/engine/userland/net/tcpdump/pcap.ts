/** Capture files: the classic format, microseconds, little-endian. Source: pcap-savefile(5). Both byte orders and nanoseconds are read. */
export const ETHERNET = 1;
export const SLL2 = 276;

export interface Saved {
  /** ns since 1970. */
  at: number;
  data: Uint8Array;
  length: number;
}

export function fileHeader(linktype: number, snaplen: number): Uint8Array {
  const out = new DataView(new ArrayBuffer(24));
  out.setUint32(0, 0xa1b2c3d4, true);
  out.setUint16(4, 2, true);
  out.setUint16(6, 4, true);
  out.setUint32(16, snaplen, true);
  out.setUint32(20, linktype, true);
  return new Uint8Array(out.buffer);
}

export function record({ at, data, length }: Saved): Uint8Array {
  const out = new Uint8Array(16 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, Math.floor(at / 1e9), true);
  view.setUint32(4, Math.floor((at % 1e9) / 1000), true);
  view.setUint32(8, data.length, true);
  view.setUint32(12, length, true);
  out.set(data, 16);
  return out;
}

/** null for what is no capture file. */
export function readFile(data: Uint8Array): { linktype: number; snaplen: number; frames: Saved[]; cut: boolean } | null {
  if (data.length < 24) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const magic = view.getUint32(0, true);
  const little = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  const swapped = view.getUint32(0, false);
  if (!little && swapped !== 0xa1b2c3d4 && swapped !== 0xa1b23c4d) return null;
  const unit = magic === 0xa1b23c4d || swapped === 0xa1b23c4d ? 1 : 1000;
  const u = (at: number): number => view.getUint32(at, little);
  const frames: Saved[] = [];
  let at = 24;
  while (at + 16 <= data.length) {
    const size = u(at + 8);
    if (at + 16 + size > data.length) return { linktype: u(20), snaplen: u(16), frames, cut: true };
    frames.push({ at: u(at) * 1e9 + u(at + 4) * unit, data: data.subarray(at + 16, at + 16 + size), length: u(at + 12) });
    at += 16 + size;
  }
  return { linktype: u(20), snaplen: u(16), frames, cut: at < data.length };
}
