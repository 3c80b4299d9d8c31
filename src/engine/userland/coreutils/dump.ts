/** od, hexdump, xxd: bytes as numbers. */
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, Failed } from '../lib/io.ts';
import { curly } from './quote.ts';
import { parseSize } from './sizes.ts';
import { bytesOf, createOut, eachInput, flush, put, readRest, refuseDirectory } from './streams.ts';

interface Format {
  size: number;
  width: number;
  show: (data: string, at: number) => string;
  trailer: boolean;
}

const NAMED: Readonly<Record<string, string>> = { a: 'a', b: 'o1', c: 'c', d: 'u2', f: 'fF', i: 'dI', l: 'dL', o: 'o2', s: 'd2', x: 'x2', h: 'x2' };
const CONTROL = 'nul soh stx etx eot enq ack bel bs ht nl vt ff cr so si dle dc1 dc2 dc3 dc4 nak syn etb can em sub esc fs gs rs us sp'.split(' ');
const ESCAPES: Readonly<Record<number, string>> = { 0: '\\0', 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r' };
const SIZES: Readonly<Record<string, number>> = { C: 1, S: 2, I: 4, L: 8, F: 4, D: 8 };

function numberAt(data: string, at: number, size: number): bigint {
  let n = 0n;
  for (let i = size - 1; i >= 0; i--) n = (n << 8n) | BigInt(at + i < data.length ? data.charCodeAt(at + i) : 0);
  return n;
}

function formatOf(spec: string): Format[] {
  const out: Format[] = [];
  for (const m of spec.matchAll(/([acdfoux])(\d+|[CSILFD])?(z)?/g)) {
    const [, type, size0, z] = m as unknown as [string, string, string | undefined, string | undefined];
    const size = type === 'a' || type === 'c' ? 1 : size0 === undefined ? (type === 'f' ? 8 : 4) : (SIZES[size0] ?? Number(size0));
    if (![1, 2, 4, 8].includes(size)) throw new Failed(`invalid type string ${curly(spec)};\nthis system doesn't provide a ${size}-byte integral type`);
    out.push({ ...one(type, size), trailer: z !== undefined });
  }
  if (out.length === 0) throw new Failed(`invalid character '${spec[0] ?? ''}' in type string ${curly(spec)}`);
  return out;
}

function one(type: string, size: number): Omit<Format, 'trailer'> {
  const bits = size * 8;
  if (type === 'c') return { size, width: 3, show: (d, i) => character(d.charCodeAt(i)) };
  if (type === 'a') return { size, width: 3, show: (d, i) => ((d.charCodeAt(i) & 127) === 127 ? 'del' : (CONTROL[d.charCodeAt(i) & 127] ?? String.fromCharCode(d.charCodeAt(i) & 127))) };
  if (type === 'o') return { size, width: Math.ceil(bits / 3), show: (d, i) => numberAt(d, i, size).toString(8).padStart(Math.ceil(bits / 3), '0') };
  if (type === 'x') return { size, width: size * 2, show: (d, i) => numberAt(d, i, size).toString(16).padStart(size * 2, '0') };
  if (type === 'u') return { size, width: String(2n ** BigInt(bits) - 1n).length, show: (d, i) => String(numberAt(d, i, size)) };
  if (type === 'd') return { size, width: String(-(2n ** BigInt(bits - 1))).length, show: (d, i) => String(BigInt.asIntN(bits, numberAt(d, i, size))) };
  return { size, width: size === 4 ? 15 : 24, show: (d, i) => floatText(d, i, size) };
}

function floatText(data: string, at: number, size: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, numberAt(data, at, size), true);
  return String(size === 4 ? Number(view.getFloat32(0, true).toPrecision(8)) : view.getFloat64(0, true));
}

function character(code: number): string {
  if (ESCAPES[code]) return ESCAPES[code];
  return code >= 32 && code < 127 ? String.fromCharCode(code) : code.toString(8).padStart(3, '0');
}

export const od = command(function* (argv) {
  const o = parseOptions('A/address-radix= a b c d f i j/skip-bytes= l N/read-bytes= o s S= t/format= v/output-duplicates w/width? x h endian= traditional', argv.slice(1).map((a) => (/^-w\d+$/.test(a) ? `--width=${a.slice(2)}` : a)));
  const formats = [...[...o.on.keys()].filter((k) => NAMED[k]).flatMap((k) => formatOf(NAMED[k]!)), ...(o.values.get('format') ?? []).flatMap(formatOf)];
  if (formats.length === 0) formats.push(...formatOf('o2'));
  const width = o.on.has('width') ? Number(lastValue(o, 'width') ?? 32) : 16;
  const radix = lastValue(o, 'address-radix') ?? 'o';
  const { text, status } = yield* input('od', o);
  const skip = parseSize(lastValue(o, 'skip-bytes') ?? '0') ?? 0;
  const data = text.slice(skip, o.on.has('read-bytes') ? skip + (parseSize(lastValue(o, 'read-bytes')!) ?? 0) : undefined);
  const out = createOut();
  const address = (n: number): string => (radix === 'n' ? '' : radix === 'x' ? n.toString(16).padStart(6, '0') : radix === 'd' ? String(n).padStart(7, '0') : n.toString(8).padStart(7, '0'));
  // Cells of different sizes line up: the widest needs of one unit set the pitch.
  const unit = Math.max(...formats.map((f) => f.size));
  const pitch = Math.max(...formats.map((f) => (f.width + 1) * (unit / f.size)));
  let before = '';
  let starred = false;
  for (let at = 0; at < data.length; at += width) {
    const line = data.slice(at, at + width);
    if (line === before && line.length === width && !o.on.has('output-duplicates')) {
      if (!starred) yield* put(out, '*\n');
      starred = true;
      continue;
    }
    starred = false;
    before = line;
    for (const [i, format] of formats.entries()) yield* put(out, `${i === 0 ? address(skip + at) : ' '.repeat(address(0).length)}${row(format, line, width, (pitch * format.size) / unit)}\n`);
  }
  if (radix !== 'n') yield* put(out, `${address(skip + data.length)}\n`);
  yield* flush(out);
  return status;
});

function row(format: Format, line: string, width: number, pitch: number): string {
  let text = '';
  for (let i = 0; i < line.length; i += format.size) text += format.show(line, i).padStart(pitch);
  if (!format.trailer) return text;
  return `${text.padEnd((width / format.size) * pitch)}  >${line.replace(/[^ -~]/g, '.')}<`;
}

function* input(who: string, o: Options): Call<{ text: string; status: number }> {
  let text = '';
  const status = yield* eachInput(who, o.words, function* ({ fd }) {
    yield* refuseDirectory(fd);
    text += yield* readRest(fd);
  });
  return { text, status };
}

export const hexdump = command(function* (argv) {
  const canonical = (argv[0] ?? '').endsWith('hd');
  const o = parseOptions('b c C/canonical d e= f= n/length= o s/skip= v/no-squeezing x', argv.slice(1));
  const { text, status } = yield* input('hexdump', o);
  const skip = parseSize(lastValue(o, 'skip') ?? '0') ?? 0;
  const data = text.slice(skip, o.on.has('length') ? skip + (parseSize(lastValue(o, 'length')!) ?? 0) : undefined);
  const wide = o.on.has('canonical') || canonical;
  const kind = o.on.has('b') ? 'b' : o.on.has('c') ? 'c' : o.on.has('d') ? 'd' : o.on.has('o') ? 'o' : o.on.has('x') ? 'x' : '';
  const address = (n: number): string => n.toString(16).padStart(wide ? 8 : 7, '0');
  const out = createOut();
  let before = '';
  let starred = false;
  for (let at = 0; at < data.length; at += 16) {
    const line = data.slice(at, at + 16);
    if (line === before && line.length === 16 && !o.on.has('no-squeezing')) {
      if (!starred) yield* put(out, '*\n');
      starred = true;
      continue;
    }
    starred = false;
    before = line;
    yield* put(out, `${address(skip + at)}${wide ? canonicalRow(line) : hexdumpRow(line, kind)}\n`);
  }
  if (data.length > 0) yield* put(out, `${address(skip + data.length)}\n`);
  yield* flush(out);
  return status;
});

const hex = (code: number): string => code.toString(16).padStart(2, '0');

function canonicalRow(line: string): string {
  let text = '';
  for (let i = 0; i < 16; i++) text += `${i === 8 ? ' ' : ''} ${i < line.length ? hex(line.charCodeAt(i)) : '  '}`;
  return ` ${text}  |${line.replace(/[^ -~]/g, '.')}|`;
}

function hexdumpRow(line: string, kind: string): string {
  let text = '';
  const byBytes = kind === 'b' || kind === 'c';
  const cell = kind === '' ? 5 : byBytes ? 4 : 8;
  for (let i = 0; i < line.length; i += byBytes ? 1 : 2) {
    const n = Number(numberAt(line, i, byBytes ? 1 : 2));
    const shown = kind === 'b' ? n.toString(8).padStart(3, '0') : kind === 'c' ? character(n) : kind === 'd' ? String(n).padStart(5, '0') : kind === 'o' ? n.toString(8).padStart(6, '0') : n.toString(16).padStart(4, '0');
    text += shown.padStart(cell);
  }
  return text.padEnd((byBytes ? 16 : 8) * cell);
}

export const xxd = command(function* (argv) {
  const o = parseOptions('a b c= g= i l= p r s= u ps', argv.slice(1).map((a) => (a === '-ps' ? '-p' : a)));
  const [name, target] = o.words;
  let text = '';
  const status = yield* eachInput('xxd', name === undefined ? [] : [name], function* ({ fd }) {
    yield* refuseDirectory(fd);
    text = yield* readRest(fd);
  });
  if (status > 0) return 2;
  const skip = parseSize(lastValue(o, 's') ?? '0') ?? 0;
  if (o.on.has('r')) return yield* deliver(fromDump(text, o.on.has('p')), target);
  const data = text.slice(skip, o.on.has('l') ? skip + (parseSize(lastValue(o, 'l')!) ?? 0) : undefined);
  if (o.on.has('p')) {
    const digits = [...data].map((c) => hex(c.charCodeAt(0))).join('');
    const width = o.on.has('c') ? Number(lastValue(o, 'c')) * 2 : 60;
    return yield* deliver((digits.match(new RegExp(`.{1,${width}}`, 'g')) ?? []).map((l) => `${l}\n`).join(''), target);
  }
  const width = Number(lastValue(o, 'c') ?? (o.on.has('b') ? 6 : 16));
  const group = Number(lastValue(o, 'g') ?? (o.on.has('b') ? 1 : 2)) || width;
  const cell = o.on.has('b') ? 8 : 2;
  let out = '';
  for (let at = 0; at < data.length; at += width) {
    const line = data.slice(at, at + width);
    let shown = '';
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i);
      shown += (i > 0 && i % group === 0 ? ' ' : '') + (o.on.has('b') ? code.toString(2).padStart(8, '0') : o.on.has('u') ? hex(code).toUpperCase() : hex(code));
    }
    const full = width * cell + Math.ceil(width / group) - 1;
    out += `${(skip + at).toString(16).padStart(8, '0')}: ${shown.padEnd(full)}  ${line.replace(/[^ -~]/g, '.')}\n`;
  }
  return yield* deliver(out, target);
});

function fromDump(text: string, plain: boolean): string {
  let out = '';
  for (const line of text.split('\n')) {
    const body = plain ? line : line.replace(/^[0-9a-f]+:\s?/i, '').replace(/ {2}.*$/, '');
    for (const pair of body.replace(/\s/g, '').match(/[0-9a-fA-F]{2}/g) ?? []) out += String.fromCharCode(Number.parseInt(pair, 16));
  }
  return out;
}

function* deliver(text: string, target: string | undefined): Call<number> {
  const fd = target === undefined ? 1 : yield* sys('openat', AT_FDCWD, target, O_WRONLY | O_CREAT | O_TRUNC, 0o666);
  if (text !== '') yield* writeAll(fd, bytesOf(text));
  return 0;
}
