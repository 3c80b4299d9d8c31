/** Encodings: utf-8, ascii and latin-1, with the errors strict, ignore, replace and surrogateescape. */
import { bytes } from '../../sim/text.ts';
import { raised } from './errors.ts';
import { bytesOf, type Value } from './values.ts';

const NAMES: Readonly<Record<string, 'utf-8' | 'ascii' | 'latin-1'>> = {
  'utf-8': 'utf-8', utf8: 'utf-8', u8: 'utf-8', ascii: 'ascii', 'us-ascii': 'ascii', 'latin-1': 'latin-1', latin1: 'latin-1', 'iso-8859-1': 'latin-1',
};

function codec(name: string): 'utf-8' | 'ascii' | 'latin-1' {
  const found = NAMES[name.toLowerCase().replaceAll('_', '-')];
  if (!found) throw raised('LookupError', `unknown encoding: ${name}`);
  return found;
}

export function encode(s: string, encoding = 'utf-8', errors = 'strict'): Value {
  const how = codec(encoding);
  if (how === 'utf-8') return bytesOf(bytes(s));
  const most = how === 'ascii' ? 127 : 255;
  const out: number[] = [];
  for (const [i, c] of [...s].entries()) {
    const code = c.codePointAt(0)!;
    if (code <= most) out.push(code);
    else if (errors === 'replace') out.push(63);
    else if (errors === 'strict') {
      const shown = code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
      throw raised('UnicodeEncodeError', `'${how}' codec can't encode character '${shown}' in position ${i}: ordinal not in range(${most + 1})`);
    }
  }
  return bytesOf(Uint8Array.from(out));
}

/** Bytes as text. Throws UnicodeDecodeError. */
export function decode(data: Uint8Array, encoding = 'utf-8', errors = 'strict'): string {
  const how = codec(encoding);
  if (how === 'utf-8') return errors === 'strict' || errors === 'surrogateescape' || errors === 'ignore' ? utf8(data, errors) : new TextDecoder('utf-8', { ignoreBOM: true }).decode(data);
  let out = '';
  for (const [i, code] of data.entries()) {
    if (how === 'ascii' && code > 127) {
      if (errors === 'strict') throw raised('UnicodeDecodeError', `'ascii' codec can't decode byte 0x${code.toString(16)} in position ${i}: ordinal not in range(128)`);
      if (errors === 'replace') out += '\ufffd';
    } else out += String.fromCharCode(code);
  }
  return out;
}

function utf8(data: Uint8Array, errors: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return byHand(data, errors);
  }
}

function byHand(data: Uint8Array, errors: string): string {
  let out = '';
  for (let i = 0; i < data.length; ) {
    const c = data[i]!;
    const length = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    const part = data.subarray(i, i + length);
    const sound = length > 0 && part.length === length && part.subarray(1).every((b) => (b & 0xc0) === 0x80);
    if (sound) {
      out += new TextDecoder().decode(part);
      i += length;
      continue;
    }
    if (errors === 'strict') throw raised('UnicodeDecodeError', badByte(data, i, length));
    if (errors === 'surrogateescape') out += String.fromCharCode(0xdc00 + c);
    i++;
  }
  return out;
}

function badByte(data: Uint8Array, i: number, length: number): string {
  const c = data[i]!.toString(16).padStart(2, '0');
  if (length === 0) return `'utf-8' codec can't decode byte 0x${c} in position ${i}: invalid start byte`;
  let good = 1;
  while (good < length && i + good < data.length && (data[i + good]! & 0xc0) === 0x80) good++;
  const why = i + good >= data.length ? 'unexpected end of data' : 'invalid continuation byte';
  if (good === 1) return `'utf-8' codec can't decode byte 0x${c} in position ${i}: ${why}`;
  return `'utf-8' codec can't decode bytes in position ${i}-${i + good - 1}: ${why}`;
}
