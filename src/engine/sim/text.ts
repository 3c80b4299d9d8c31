/** Text and bytes: UTF-8 both ways, and bytes as base64 for recordings. */
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function bytes(text: string): Uint8Array {
  return encoder.encode(text);
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
