/**
 * Text and bytes: UTF-8 both ways, and bytes as base64 for recordings. A byte that is no UTF-8 may stand in text as a lone
 * surrogate, U+DC80 to U+DCFF, and comes out as itself (Python's surrogateescape); nothing but `byteChar` makes them.
 */
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const RAW = /[\udc80-\udcff]/u;

/** Characters up to which a loop is quicker than the encoder. */
const SHORT = 64;

export function bytes(text: string): Uint8Array {
  if (text.length > SHORT) return encoded(text);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return encoded(text);
    out[i] = code;
  }
  return out;
}

/** Text as long as its bytes is ASCII: there is nothing to look for in it. */
function encoded(text: string): Uint8Array {
  const out = encoder.encode(text);
  return out.length === text.length || !RAW.test(text) ? out : withRaw(text);
}

function withRaw(text: string): Uint8Array {
  const out: number[] = [];
  for (const char of text) {
    if (RAW.test(char)) out.push(char.charCodeAt(0) - 0xdc00);
    else out.push(...encoder.encode(char));
  }
  return Uint8Array.from(out);
}

/** Texts as one, for what is kept: what `+` and templates make stays a tree of its parts in V8, of 32 bytes a joint. */
export const joined = (parts: readonly string[]): string => parts.join('');

/** The character that stands for a byte: ASCII for itself, others for the byte alone. */
export function byteChar(value: number): string {
  return String.fromCharCode(value < 0x80 ? value : 0xdc00 + value);
}

/** Invalid sequences become U+FFFD, as a terminal shows them. */
export function text(data: Uint8Array): string {
  return decoder.decode(data);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

export function toBase64(data: Uint8Array): string {
  let out = '';
  for (let i = 0; i < data.length; i += 3) {
    const b = (data[i]! << 16) | ((data[i + 1] ?? 0) << 8) | (data[i + 2] ?? 0);
    out += ALPHABET[b >> 18]! + ALPHABET[(b >> 12) & 63]!;
    out += i + 1 < data.length ? ALPHABET[(b >> 6) & 63]! : '=';
    out += i + 2 < data.length ? ALPHABET[b & 63]! : '=';
  }
  return out;
}

/** Throws on anything that is not base64. */
export function fromBase64(encoded: string): Uint8Array {
  const clean = encoded.replace(/=+$/, '');
  const out = new Uint8Array(Math.floor((clean.length * 3) / 4));
  let at = 0;
  let held = 0;
  let bits = 0;
  for (let i = 0; i < clean.length; i++) {
    const value = ALPHABET.indexOf(clean[i]!);
    if (value < 0) throw new Error(`not base64 at character ${i}`);
    held = ((held << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (held >> bits) & 255;
    }
  }
  return out;
}
