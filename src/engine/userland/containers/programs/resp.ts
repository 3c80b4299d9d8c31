/** RESP2, the protocol that redis speaks: reading commands and replies from bytes, writing them. Source: redis.io/docs/reference/protocol-spec. */
import { bytes, text } from '../../../sim/text.ts';

export type Reply = { kind: 'simple'; text: string } | { kind: 'error'; text: string } | { kind: 'integer'; value: number } | { kind: 'bulk'; text: string | null } | { kind: 'array'; items: Reply[] };

export class ProtocolError extends Error {}

const LIMIT = 512 * 1024 * 1024;

/** One reply at the beginning of `source`, and how many characters it took; null when more must come. */
export function readReply(source: string, from = 0): { reply: Reply; end: number } | null {
  const eol = source.indexOf('\r\n', from);
  if (eol < 0) return null;
  const line = source.slice(from + 1, eol);
  const at = eol + 2;
  switch (source[from]) {
    case '+':
      return { reply: { kind: 'simple', text: line }, end: at };
    case '-':
      return { reply: { kind: 'error', text: line }, end: at };
    case ':':
      return { reply: { kind: 'integer', value: Number(line) }, end: at };
    case '$': {
      const length = sizeOf(line);
      if (length < 0) return { reply: { kind: 'bulk', text: null }, end: at };
      if (source.length < at + length + 2) return null;
      return { reply: { kind: 'bulk', text: source.slice(at, at + length) }, end: at + length + 2 };
    }
    case '*': {
      const items: Reply[] = [];
      let end = at;
      for (let i = sizeOf(line); i > 0; i--) {
        const one = readReply(source, end);
        if (!one) return null;
        items.push(one.reply);
        end = one.end;
      }
      return { reply: { kind: 'array', items }, end };
    }
  }
  throw new ProtocolError(`expected '$', got '${source[from]}'`);
}

function sizeOf(line: string): number {
  const n = Number(line);
  if (!/^-?\d+$/.test(line) || n > LIMIT) throw new ProtocolError('invalid bulk length');
  return n;
}

/** A command: an array of bulk strings, or a plain line of words ("PING\r\n"). */
export function readCommand(source: string): { words: string[]; end: number } | null {
  if (source === '') return null;
  if (source[0] !== '*') {
    const eol = source.indexOf('\n');
    return eol < 0 ? null : { words: splitWords(source.slice(0, eol).trim()), end: eol + 1 };
  }
  const read = readReply(source);
  if (!read || read.reply.kind !== 'array') return null;
  return { words: read.reply.items.map((i) => (i.kind === 'bulk' ? (i.text ?? '') : '')), end: read.end };
}

/** Words of a line, with double and single quotes. */
export function splitWords(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map((m) => m[1]?.replace(/\\(.)/g, (_, c: string) => ({ n: '\n', t: '\t', r: '\r' })[c] ?? c) ?? m[2] ?? m[3]!);
}

export function writeReply(r: Reply): string {
  if (r.kind === 'simple') return `+${r.text}\r\n`;
  if (r.kind === 'error') return `-${r.text}\r\n`;
  if (r.kind === 'integer') return `:${r.value}\r\n`;
  if (r.kind === 'bulk') return r.text === null ? '$-1\r\n' : `$${r.text.length}\r\n${r.text}\r\n`;
  return `*${r.items.length}\r\n${r.items.map(writeReply).join('')}`;
}

export const writeCommand = (words: readonly string[]): string => writeReply({ kind: 'array', items: words.map((w) => ({ kind: 'bulk', text: w })) });

/** Lengths count bytes: text crosses as one character a byte. */
export const toWire = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));
export const fromWire = (data: Uint8Array): string => {
  let out = '';
  for (const b of data) out += String.fromCharCode(b);
  return out;
};
/** Text as the bytes that UTF-8 makes of it, a character each, and back. */
export const encode = (s: string): string => fromWire(bytes(s));
export const decode = (s: string): string => text(toWire(s));
