/**
 * Files: open(), the standard streams, print and input. Text and buffered binary files alike: what is written waits in a buffer of
 * 8 KiB, or goes at each line end on a terminal; stderr never waits. Source: Python 3.13 library reference, io. Left out: text
 * positions after decoding, newline= other than the default's reading, update mode across reads and writes without seek.
 */
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, S_IFDIR, S_IFMT, SysError } from '../../kernel/abi.ts';
import { bytes } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import type { Call } from '../lib/http.ts';
import { argument, bytesArg, calling, intArg, pathArg } from './arguments.ts';
import { METHODS, call, getAttr } from './call.ts';
import { decode, encode } from './codecs.ts';
import { defineType, type Async, type Builtin, bytesOf, isObj, list, type Native, type Type, typeName, type Value } from './values.ts';
import { osError, raised, typeError, valueError } from './errors.ts';
import { collect } from './iterate.ts';
import { asInt } from './ops.ts';
import { stringRepr, str } from './repr.ts';
import { sysc, type Vm } from './vm.ts';

export interface File {
  fd: number;
  name: Value;
  mode: string;
  text: boolean;
  readable: boolean;
  writable: boolean;
  waiting: Uint8Array[];
  size: number;
  /** 'line' on terminals, 'none' for stderr. */
  buffering: 'full' | 'line' | 'none';
  input: Uint8Array;
  closed: boolean;
  encoding: string;
  errors: string;
}

const BUFFER = 8192;

const base = defineType('_IOBase', undefined, '_io');
const TYPES: Readonly<Record<string, Type>> = {
  text: defineType('TextIOWrapper', base, '_io'), read: defineType('BufferedReader', base, '_io'), write: defineType('BufferedWriter', base, '_io'), both: defineType('BufferedRandom', base, '_io'), raw: defineType('FileIO', base, '_io'),
};

export const fileOf = (v: Value): File => (v as Native).data as File;

export function makeFile(vm: Vm, fd: number, name: Value, mode: string, over: Partial<File> = {}): Native {
  const text = !mode.includes('b');
  const update = mode.includes('+');
  const readable = mode.includes('r') || update;
  const writable = !mode.includes('r') || update;
  const file: File = { fd, name, mode, text, readable, writable, waiting: [], size: 0, buffering: 'full', input: new Uint8Array(0), closed: false, encoding: 'utf-8', errors: 'strict', ...over };
  const type = text ? TYPES.text! : update ? TYPES.both! : writable ? TYPES.write! : TYPES.read!;
  const made: Native = { t: 'native', type, attrs: new Map<string, Value>([['name', name], ['mode', mode], ['closed', false]]), data: file };
  if (text) made.attrs.set('encoding', file.encoding).set('errors', file.errors);
  vm.files.add({ flush: () => flush(vm, file) });
  if (fd > 2) vm.heap.files.set(made, { depth: vm.frames.length, close: () => closeFile(vm, made) });
  return made;
}

export function* flush(vm: Vm, f: File): Call<void> {
  if (f.size === 0 || f.closed) return;
  let data = joinBytes(f.waiting);
  f.waiting = [];
  f.size = 0;
  try {
    while (data.length > 0) data = data.subarray(yield* sysc(vm, 'write', f.fd, data));
  } catch (error) {
    if (error instanceof SysError) throw osError(error);
    throw error;
  }
}

export function* writeTo(vm: Vm, f: File, data: Uint8Array): Call<void> {
  f.waiting.push(data);
  f.size += data.length;
  if (f.buffering === 'none' || f.size > BUFFER || (f.buffering === 'line' && data.includes(10))) yield* flush(vm, f);
}

/** Fills the input until `enough` says so, or the end. */
function* fillUntil(vm: Vm, f: File, enough: (have: Uint8Array) => boolean): Call<void> {
  const parts = [f.input];
  while (!enough(parts.length === 1 ? parts[0]! : (parts.splice(0, parts.length, joinBytes(parts)), parts[0]!))) {
    const more = yield* sysc(vm, 'read', f.fd, BUFFER);
    if (more.length === 0) break;
    parts.push(more);
  }
  f.input = parts.length === 1 ? parts[0]! : joinBytes(parts);
}

function takeInput(f: File, count: number): Uint8Array {
  const out = f.input.subarray(0, count);
  f.input = f.input.subarray(out.length);
  return out;
}

/** The rest of a file, in pieces that need no joining on the way. */
function* readAll(vm: Vm, f: File): Call<Uint8Array> {
  const parts = [takeInput(f, f.input.length)];
  for (;;) {
    const more = yield* sysc(vm, 'read', f.fd, 65536);
    if (more.length === 0) return joinBytes(parts);
    parts.push(more);
  }
}

export function* readLine(vm: Vm, f: File): Call<Uint8Array> {
  yield* fillUntil(vm, f, (have) => have.includes(10));
  const at = f.input.indexOf(10);
  return takeInput(f, at < 0 ? f.input.length : at + 1);
}

const shown = (f: File, data: Uint8Array): Value => (f.text ? decode(data, f.encoding, f.errors).replace(/\r\n?/g, '\n') : bytesOf(data.slice()));

function live(v: Value, want?: 'read' | 'write'): File {
  const f = fileOf(v);
  if (f.closed) throw valueError('I/O operation on closed file.');
  if (want === 'read' && !f.readable) throw unsupported(f.text ? 'not readable' : 'read');
  if (want === 'write' && !f.writable) throw unsupported(f.text ? 'not writable' : 'write');
  return f;
}

const UNSUPPORTED = defineType('UnsupportedOperation', undefined, 'io');
function unsupported(message: string): Error {
  const error = raised('OSError', message);
  (error.value as { type: Type }).type = UNSUPPORTED_TYPE();
  return error;
}
function UNSUPPORTED_TYPE(): Type {
  if (UNSUPPORTED.mro.length < 3) {
    const os = raised('OSError').value.type;
    UNSUPPORTED.mro = [UNSUPPORTED, ...os.mro];
  }
  return UNSUPPORTED;
}

const TABLE: Readonly<Record<string, Async>> = {
  read: function* (vm, a) {
    const f = live(a[0]!, 'read');
    const count = a[1] === undefined || a[1] === null ? -1 : intArg(a[1]);
    if (count < 0) return shown(f, yield* readAll(vm, f));
    if (!f.text) {
      yield* fillUntil(vm, f, (have) => have.length >= count);
      return bytesOf(takeInput(f, count).slice());
    }
    yield* fillUntil(vm, f, (have) => characters(have) >= count);
    const all = decode(f.input, f.encoding, 'surrogateescape');
    const taken = [...all].slice(0, count).join('');
    takeInput(f, bytes(taken).length);
    return taken;
  },
  readline: function* (vm, a) {
    const f = live(a[0]!, 'read');
    return shown(f, yield* readLine(vm, f));
  },
  readlines: function* (vm, a) {
    const f = live(a[0]!, 'read');
    const out: Value[] = [];
    for (let line = yield* readLine(vm, f); line.length > 0; line = yield* readLine(vm, f)) out.push(shown(f, line));
    return list(out);
  },
  write: function* (vm, a) {
    const f = live(a[0]!, 'write');
    const v = a[1]!;
    if (isObj(v, 'long')) return yield* writeLong(vm, f, v.unit, v.count);
    if (f.text && typeof v !== 'string') throw typeError(`write() argument must be str, not ${typeName(v)}`);
    if (!f.text && !isObj(v, 'bytes')) throw typeError(`a bytes-like object is required, not '${typeName(v)}'`);
    yield* writeTo(vm, f, typeof v === 'string' ? encoded(f, v) : bytesArg(v));
    return BigInt(typeof v === 'string' ? [...v].length : bytesArg(v).length);
  },
  writelines: function* (vm, a) {
    for (const one of yield* collect(vm, a[1]!)) yield* TABLE.write!(vm, [a[0]!, one], new Map());
    return null;
  },
  flush: function* (vm, a) {
    yield* flush(vm, live(a[0]!));
    return null;
  },
  close: function* (vm, a) {
    yield* closeFile(vm, a[0] as Native);
    return null;
  },
  seek: function* (vm, a) {
    const f = live(a[0]!);
    yield* flush(vm, f);
    const whence = a[2] === undefined ? 0 : intArg(a[2]);
    const at = intArg(a[1]!) - (whence === 1 ? f.input.length : 0);
    f.input = new Uint8Array(0);
    return BigInt(yield* sysc(vm, 'lseek', f.fd, at, whence));
  },
  tell: function* (vm, a) {
    const f = live(a[0]!);
    yield* flush(vm, f);
    return BigInt((yield* sysc(vm, 'lseek', f.fd, 0, 1)) - f.input.length);
  },
  truncate: function* (vm, a) {
    const f = live(a[0]!, 'write');
    yield* flush(vm, f);
    const to = a[1] === undefined || a[1] === null ? yield* sysc(vm, 'lseek', f.fd, 0, 1) : intArg(a[1]);
    yield* sysc(vm, 'ftruncate', f.fd, to);
    return BigInt(to);
  },
  fileno: function* (_vm, a) { return BigInt(live(a[0]!).fd); },
  isatty: function* (vm, a) { return yield* isTerminal(vm, live(a[0]!).fd); },
  readable: function* (_vm, a) { return live(a[0]!).readable; },
  writable: function* (_vm, a) { return live(a[0]!).writable; },
  __enter__: function* (_vm, a) {
    live(a[0]!);
    return a[0]!;
  },
  __exit__: function* (vm, a) {
    yield* closeFile(vm, a[0] as Native);
    return null;
  },
  __iter__: function* (_vm, a) { return a[0]!; },
  __next__: function* (vm, a) {
    const f = live(a[0]!, 'read');
    const line = yield* readLine(vm, f);
    if (line.length === 0) throw raised('StopIteration');
    return shown(f, line);
  },
  __repr__: function* (_vm, a) {
    const f = fileOf(a[0]!);
    const name = typeof f.name === 'string' ? stringRepr(f.name) : String(f.name);
    return f.text ? `<_io.TextIOWrapper name=${name} mode='${f.mode}' encoding='${f.encoding.toUpperCase().replace('UTF-8', 'utf-8')}'>` : `<_io.${(a[0] as Native).type.name} name=${name}>`;
  },
};
METHODS.set('_IOBase', calling(TABLE));

const characters = (have: Uint8Array): number => have.reduce((n, b) => n + ((b & 0xc0) === 0x80 ? 0 : 1), 0);

const encoded = (f: File, s: string): Uint8Array => (f.encoding === 'utf-8' ? bytes(s) : bytesArg(encode(s, f.encoding, f.errors)));

/** A long run is written a piece at a time. */
function* writeLong(vm: Vm, f: File, unit: string, count: number): Call<Value> {
  const each = Math.max(1, Math.floor(65536 / unit.length));
  const piece = encoded(f, unit.repeat(Math.min(each, count)));
  const one = piece.length / Math.min(each, count);
  for (let left = count; left > 0; left -= each) yield* writeTo(vm, f, piece.subarray(0, Math.min(each, left) * one));
  return BigInt(unit.length * count);
}

export function* closeFile(vm: Vm, v: Native): Call<void> {
  const f = fileOf(v);
  vm.heap.files.delete(v);
  if (f.closed) return;
  try {
    yield* flush(vm, f);
  } finally {
    f.closed = true;
    v.attrs.set('closed', true);
    yield* sysc(vm, 'close', f.fd);
  }
}

export function* isTerminal(vm: Vm, fd: number): Call<boolean> {
  try {
    yield* sysc(vm, 'ioctl', fd, 0x5401);
    return true;
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
}

function flagsOf(mode: string): number {
  if (!/^(?:[rwax][bt]?\+?|[rwax]\+?[bt]?|[bt][rwax]\+?)$/.test(mode)) {
    if (/^[rwaxbt+]*$/.test(mode)) throw valueError('must have exactly one of create/read/write/append mode');
    throw valueError(`invalid mode: '${mode}'`);
  }
  const how = mode.includes('+') ? O_RDWR : mode.includes('r') ? O_RDONLY : O_WRONLY;
  if (mode.includes('w')) return how | O_CREAT | O_TRUNC;
  if (mode.includes('a')) return how | O_CREAT | O_APPEND;
  return mode.includes('x') ? how | O_CREAT | O_EXCL : how;
}

const open: Async = function* (vm, a, kw) {
  const mode = String(argument(a, kw, 1, 'mode', 'r'));
  const buffering = intArg(argument(a, kw, 2, 'buffering', -1n));
  const encoding = argument(a, kw, 3, 'encoding', 'utf-8');
  const flags = flagsOf(mode);
  if (buffering === 0 && !mode.includes('b')) throw valueError("can't have unbuffered text I/O");
  const at = argument(a, kw, 0, 'file', null);
  let fd = asInt(at) === undefined ? -1 : intArg(at);
  if (fd < 0) {
    try {
      const path = pathArg('open', at);
      fd = yield* sysc(vm, 'openat', AT_FDCWD, path, flags | O_CLOEXEC, 0o666);
      if (((yield* sysc(vm, 'fstat', fd)).mode & S_IFMT) === S_IFDIR) {
        yield* sysc(vm, 'close', fd);
        throw new SysError('EISDIR');
      }
      if (mode.includes('a')) yield* sysc(vm, 'lseek', fd, 0, 2);
    } catch (error) {
      if (error instanceof SysError) throw osError(error, at);
      throw error;
    }
  }
  const over: Partial<File> = { encoding: encoding === null ? 'utf-8' : String(encoding), errors: String(argument(a, kw, 4, 'errors', 'strict') ?? 'strict') };
  if (buffering === 0) over.buffering = 'none';
  else if (buffering === 1 || (mode !== 'r' && (yield* isTerminal(vm, fd)))) over.buffering = 'line';
  return makeFile(vm, fd, at, mode, over);
};

/** sys.stdout as it stands now. */
export function* streamOf(vm: Vm, name: 'stdin' | 'stdout' | 'stderr'): Call<Value> {
  const sysModule = vm.modules.get('sys')!;
  return sysModule.vars.get(name) ?? null;
}

const print: Async = function* (vm, a, kw) {
  for (const name of kw.keys()) if (!['sep', 'end', 'file', 'flush'].includes(name)) throw typeError(`print() got an unexpected keyword argument '${name}'`);
  const to = kw.get('file') ?? (yield* streamOf(vm, 'stdout'));
  const word = (name: string, fallback: string): string => {
    const v = kw.get(name) ?? fallback;
    if (typeof v !== 'string') throw typeError(`${name} must be None or a string, not ${typeName(v)}`);
    return v;
  };
  const [sep, end] = [word('sep', ' '), word('end', '\n')];
  if (to === null) return null;
  const ours = isObj(to, 'native') && to.type === TYPES.text;
  const write = ours ? TABLE.write! : function* (v: Vm, args: readonly Value[]): Call<Value> { return yield* call(v, yield* getAttr(v, to, 'write'), args.slice(1)); };
  if (a.length === 1 && isObj(a[0], 'long')) yield* write(vm, [to, a[0]], new Map());
  const parts: string[] = [];
  if (a.length !== 1 || !isObj(a[0], 'long')) for (const v of a) parts.push(yield* str(vm, v));
  yield* write(vm, [to, parts.join(sep) + end], new Map());
  const now = kw.get('flush');
  if (now !== undefined && now !== false && now !== null) yield* call(vm, yield* getAttr(vm, to, 'flush'), []);
  return null;
};

const input: Async = function* (vm, a) {
  const out = yield* streamOf(vm, 'stdout');
  if (a[0] !== undefined) yield* TABLE.write!(vm, [out, yield* str(vm, a[0])], new Map());
  yield* flush(vm, fileOf(out));
  const f = fileOf(yield* streamOf(vm, 'stdin'));
  const line = yield* readLine(vm, f);
  if (line.length === 0) throw raised('EOFError', 'EOF when reading a line');
  return decode(line, f.encoding, 'surrogateescape').replace(/\r?\n$/, '');
};

export const filesBuiltins: Readonly<Record<string, Builtin>> = calling({ open, print, input });

/** The three standard streams of a new interpreter. */
export function* standardStreams(vm: Vm): Call<Record<'stdin' | 'stdout' | 'stderr', Native>> {
  const made = {
    stdin: makeFile(vm, 0, '<stdin>', 'r', { errors: 'strict' }),
    stdout: makeFile(vm, 1, '<stdout>', 'w', { buffering: vm.unbuffered ? 'none' : (yield* isTerminal(vm, 1)) ? 'line' : 'full' }),
    stderr: makeFile(vm, 2, '<stderr>', 'w', { buffering: 'none', errors: 'backslashreplace' }),
  };
  for (const one of Object.values(made)) {
    const f = fileOf(one);
    one.attrs.set('buffer', { t: 'native', type: f.readable ? TYPES.read! : TYPES.write!, attrs: new Map(), data: new Proxy(f, { get: (target, key) => (key === 'text' ? false : Reflect.get(target, key)) }) });
  }
  return made;
}
