/** Frames of an exec stream: a channel's byte, a length in four bytes, big end first, the data. The first channels are those of Kubernetes' remotecommand protocol. */
import { joinBytes } from '../../../sim/wire.ts';

export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, end: 3, size: 4, eof: 5 };

export function frame(channel: number, data: Uint8Array): Uint8Array {
  const head = new Uint8Array(5);
  new DataView(head.buffer).setUint32(1, data.length);
  head[0] = channel;
  return joinBytes([head, data]);
}

/** Whole frames at the beginning of `held`, and what is left. */
export function unframe(held: Uint8Array): { frames: { channel: number; data: Uint8Array }[]; rest: Uint8Array } {
  const frames: { channel: number; data: Uint8Array }[] = [];
  let at = 0;
  while (held.length - at >= 5) {
    const length = new DataView(held.buffer, held.byteOffset + at + 1, 4).getUint32(0);
    if (held.length - at - 5 < length) break;
    frames.push({ channel: held[at]!, data: held.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return { frames, rest: held.subarray(at) };
}
