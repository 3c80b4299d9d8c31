/**
 * From bytes to keys, one byte at a time so that what was typed ahead stays in the terminal for whoever reads next. A key is a
 * name of an operation, or text. Bracketed paste is text to the end of its bracket. Source: xterm's ctlseqs.
 */
import { POLLIN } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import type { Call } from '../../lib/http.ts';

export type Key = { type: 'text'; text: string } | { type: 'name'; name: string } | { type: 'eof' };

const CONTROL: Readonly<Record<number, string>> = {
  0: 'mark', 1: 'home', 2: 'left', 3: 'interrupt', 4: 'end-of-file', 5: 'end', 6: 'right', 7: 'abort', 8: 'backspace', 9: 'complete', 10: 'accept', 11: 'kill-end', 12: 'clear',
  13: 'accept', 14: 'next', 15: 'accept', 16: 'previous', 17: 'quote', 18: 'search', 19: 'search-forward', 20: 'transpose', 21: 'kill-start', 22: 'quote', 23: 'kill-blank-left',
  24: 'prefix', 25: 'yank', 26: 'nothing', 28: 'nothing', 29: 'nothing', 30: 'nothing', 31: 'undo', 127: 'backspace',
};
const META: Readonly<Record<string, string>> = {
  b: 'word-left', f: 'word-right', d: 'kill-word-right', '\x7f': 'kill-word-left', '\b': 'kill-word-left', u: 'upcase', l: 'downcase', c: 'capitalize', '.': 'last-argument',
  _: 'last-argument', '<': 'first-history', '>': 'last-history', '\r': 'newline', '\n': 'newline', r: 'undo-all', y: 'nothing', t: 'nothing',
};
const FINAL: Readonly<Record<string, string>> = { A: 'previous', B: 'next', C: 'right', D: 'left', H: 'home', F: 'end', Z: 'complete' };
const TILDE: Readonly<Record<string, string>> = { 1: 'home', 3: 'delete', 4: 'end', 7: 'home', 8: 'end', 5: 'first-history', 6: 'last-history' };
const MODIFIED: Readonly<Record<string, string>> = { C: 'word-right', D: 'word-left' };

/** How long an escape character waits for the rest of its sequence, ns. */
const ESCAPE_NS = 50_000_000;

function* byte(fd: number): Call<number> {
  const data = yield* sys('read', fd, 1);
  return data.length === 0 ? -1 : data[0]!;
}

const named = (name: string): Key => ({ type: 'name', name });

export function* readKey(fd: number): Call<Key> {
  const first = yield* byte(fd);
  if (first < 0) return { type: 'eof' };
  if (first === 0x1b) return yield* sequence(fd);
  if (first < 0x20 || first === 0x7f) return named(CONTROL[first] ?? 'nothing');
  return { type: 'text', text: yield* character(fd, first) };
}

/** The character whose first byte is given. */
function* character(fd: number, first: number): Call<string> {
  const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
  const all = [first];
  for (let i = 0; i < more; i++) {
    const next = yield* byte(fd);
    if (next < 0) break;
    all.push(next);
    if ((next & 0xc0) !== 0x80) break;
  }
  return text(new Uint8Array(all));
}

/** The next byte as it is, for C-v. */
export function* readQuoted(fd: number): Call<string> {
  const first = yield* byte(fd);
  return first < 0 ? '' : yield* character(fd, first);
}

function* sequence(fd: number): Call<Key> {
  const ready = yield* sys('poll', [{ fd, events: POLLIN }], ESCAPE_NS);
  if (ready.length === 0) return named('nothing');
  const next = yield* byte(fd);
  if (next < 0) return { type: 'eof' };
  const char = String.fromCharCode(next);
  if (char === '[') return yield* csi(fd);
  if (char === 'O') return named(FINAL[String.fromCharCode(Math.max(0, yield* byte(fd)))] ?? 'nothing');
  if (next === 0x1b) return named('nothing');
  return named(META[char] ?? META[char.toLowerCase()] ?? 'nothing');
}

function* csi(fd: number): Call<Key> {
  let parameters = '';
  for (let n = 0; n < 32; n++) {
    const next = yield* byte(fd);
    if (next < 0) return { type: 'eof' };
    if (next < 0x40 || next > 0x7e) {
      parameters += String.fromCharCode(next);
      continue;
    }
    const final = String.fromCharCode(next);
    if (final === '~') return parameters === '200' ? yield* pasted(fd) : named(TILDE[parameters.split(';')[0]!] ?? 'nothing');
    if (/;[3-8]$/.test(parameters) && MODIFIED[final]) return named(MODIFIED[final]);
    return named(FINAL[final] ?? 'nothing');
  }
  return named('nothing');
}

/** Up to ESC [ 201 ~. */
function* pasted(fd: number): Call<Key> {
  const all: number[] = [];
  const end = [0x1b, 0x5b, 0x32, 0x30, 0x31, 0x7e];
  while (all.length < 1_000_000) {
    const next = yield* byte(fd);
    if (next < 0) break;
    all.push(next);
    if (next === 0x7e && end.every((b, i) => all[all.length - end.length + i] === b)) {
      all.length -= end.length;
      break;
    }
  }
  return { type: 'text', text: text(new Uint8Array(all)).replace(/\r\n?/g, '\n') };
}
