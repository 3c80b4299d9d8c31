/** awk: patterns and actions over records. Source: awk(1p), messages of mawk. Numbers are doubles; arrays keep insertion order. */
import { AT_FDCWD, O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, SysError, shellStatus } from '../../kernel/abi.ts';
import { type Body, compute, sys } from '../../kernel/sys.ts';
import { parseOptions } from '../lib/args.ts';
import { attempt, fork, readText, reap } from '../lib/files.ts';
import { createHeap, hold } from '../lib/heap.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { type Expr, parseAwk, type Stmt } from './awk-parse.ts';
import { array, binary, type Cell, cell, dynamic, fieldAt, type Machine, number, pure, record, setRecord, split, sprintf, str, truth, type Value } from './awk-values.ts';
import { type Regex, search } from './regex-program.ts';
import { run } from './run.ts';
import { bytesOf, chomp, createOut, createReader, decoded, encoded, flush, lineWaits, nextLine, put, type Reader } from './streams.ts';

class Jump extends Error {
  readonly how: string;
  readonly value: Value;
  constructor(how: string, value: Value = undefined) {
    super(how);
    this.how = how;
    this.value = value;
  }
}

export const awk = command(function* (argv, env) {
  const o = parseOptions('F= v= f= W= version', argv.slice(1), 'in-order');
  const words = [...o.words];
  let source = '';
  for (const file of o.values.get('f') ?? []) source += `${yield* readText(file)}\n`;
  if (!o.on.has('f')) {
    const first = words.shift();
    if (first === undefined) {
      yield* complain('Usage: mawk [Options] [Program] [file ...]\n');
      return 2;
    }
    source = first;
  }
  const m: Machine = {
    program: parseAwk(source), globals: new Map(), locals: null, fields: [], record: '', stale: false, args: words, nextArg: 0, reader: null, usedFile: false, out: createOut(), sinks: new Map(), sources: new Map(),
    regexes: new Map(), env, seed: 1, depth: 0, steps: 0, heap: createHeap(), kept: { elements: 0, longest: 0 },
  };
  const start: Record<string, Value> = { FS: ' ', OFS: ' ', ORS: '\n', RS: '\n', NR: 0, FNR: 0, NF: 0, SUBSEP: '\x1c', CONVFMT: '%.6g', OFMT: '%.6g', RSTART: 0, RLENGTH: -1, FILENAME: '', ARGC: words.length + 1 };
  for (const [name, value] of Object.entries(start)) cell(m, name).value = value;
  cell(m, 'ENVIRON').array = new Map(Object.entries(env).map(([k, v]) => [k, { text: v }]));
  cell(m, 'ARGV').array = new Map(['awk', ...words].map((w, i) => [String(i), { text: w }]));
  const separator = o.values.get('F')?.at(-1);
  if (separator !== undefined) cell(m, 'FS').value = separator === 't' ? '\t' : unslashed(separator);
  for (const given of o.values.get('v') ?? []) assignWord(m, given);
  return yield* runAll(m);
}, 2);

const unslashed = (text: string): string => text.replace(/\\(.)/g, (_, c: string) => ({ n: '\n', t: '\t', '\\': '\\', '"': '"' })[c] ?? `\\${c}`);

function assignWord(m: Machine, word: string): void {
  const cut = word.indexOf('=');
  cell(m, word.slice(0, cut)).value = { text: unslashed(word.slice(cut + 1)) };
}

function* runAll(m: Machine): Call<number> {
  let status = 0;
  const guarded = function* (work: () => Call<void>): Call<boolean> {
    try {
      yield* work();
      return true;
    } catch (error) {
      if (!(error instanceof Jump) || error.how !== 'exit') throw error;
      if (error.value !== undefined) status = number(error.value) & 255;
      return false;
    }
  };
  const { rules } = m.program;
  let going = yield* guarded(function* () {
    for (const rule of rules) if (rule.when === 'BEGIN' && rule.body) yield* exec(m, rule.body);
  });
  if (going && rules.some((r) => r.when !== 'BEGIN')) {
    going = yield* guarded(function* () {
      for (let line = yield* nextRecord(m); line !== null; line = yield* nextRecord(m)) {
        setRecord(m, line);
        yield* applyRules(m);
        if (m.reader && !lineWaits(m.reader)) yield* flush(m.out);
      }
    });
  }
  yield* guarded(function* () {
    for (const rule of rules) if (rule.when === 'END' && rule.body) yield* exec(m, rule.body);
  });
  yield* flush(m.out);
  for (const sink of m.sinks.values()) yield* closeSink(sink);
  return status;
}

function* applyRules(m: Machine): Call<void> {
  try {
    for (const rule of m.program.rules) {
      if (rule.when === 'BEGIN' || rule.when === 'END') continue;
      if (rule.when === 'test' && !truth(yield* evaluate(m, rule.test!))) continue;
      if (rule.when === 'range') {
        if (!rule.inside && !truth(yield* evaluate(m, rule.test!))) continue;
        rule.inside = !truth(yield* evaluate(m, rule.until!));
      }
      if (rule.body) yield* exec(m, rule.body);
      else yield* put(m.out, encoded(record(m) + str(m, cell(m, 'ORS').value)));
    }
  } catch (error) {
    if (!(error instanceof Jump) || (error.how !== 'next' && error.how !== 'nextfile')) throw error;
    if (error.how === 'nextfile') m.reader = null;
  }
}

function* nextRecord(m: Machine): Call<string | null> {
  for (;;) {
    if (!m.reader) {
      if (m.nextArg >= m.args.length) {
        if (m.usedFile) return null;
        m.usedFile = true;
        m.reader = createReader(0);
      } else {
        const word = m.args[m.nextArg++]!;
        if (/^[A-Za-z_]\w*=/.test(word)) {
          assignWord(m, word);
          continue;
        }
        if (word === '') continue;
        m.usedFile = true;
        try {
          m.reader = createReader(word === '-' ? 0 : yield* sys('openat', AT_FDCWD, word, O_RDONLY));
        } catch (error) {
          if (!(error instanceof SysError)) throw error;
          throw new Failed(`cannot open ${word} (${strerror(error)})`, 2);
        }
        cell(m, 'FILENAME').value = word;
        cell(m, 'FNR').value = 0;
      }
    }
    const line = yield* recordOf(m, m.reader);
    if (line !== null) {
      for (const name of ['NR', 'FNR']) cell(m, name).value = number(cell(m, name).value) + 1;
      return line;
    }
    m.reader = null;
    if (m.nextArg >= m.args.length) return null;
  }
}

function* recordOf(m: Machine, reader: Reader): Call<string | null> {
  const rs = str(m, cell(m, 'RS').value);
  if (rs === '') {
    let text = '';
    for (;;) {
      const line = yield* nextLine(reader);
      if (line === null) return text === '' ? null : decoded(text.replace(/\n$/, ''));
      if (line === '\n') {
        if (text !== '') return decoded(text.replace(/\n$/, ''));
      } else text += line;
    }
  }
  const mark = encoded(rs).length === 1 ? encoded(rs) : '\n';
  const line = yield* nextLine(reader, mark);
  return line === null ? null : decoded(chomp(line, mark));
}

/** What a step takes, ns, and after how many it is spent, so that a program that never ends can be stopped as any other. */
const STEP_NS = 100;
const STEPS = 4096;
/** Bytes of an element of an array besides its name and its text. */
const ELEMENT = 64;

function* spend(m: Machine): Call<void> {
  m.steps = 0;
  yield* compute(STEPS * STEP_NS);
  yield* hold(m.heap, m.kept.elements + m.kept.longest);
}

const lengthOf = (value: Value): number => (typeof value === 'string' ? value.length : typeof value === 'object' ? value.text.length : 0);

function keep(m: Machine, arr: Map<string, Value>, k: string, value: Value): void {
  if (!arr.has(k)) m.kept.elements += ELEMENT + k.length + lengthOf(value);
  arr.set(k, value);
}

function drop(m: Machine, arr: Map<string, Value>, k: string): void {
  if (arr.has(k)) m.kept.elements -= Math.min(m.kept.elements, ELEMENT + k.length + lengthOf(arr.get(k)));
  arr.delete(k);
}

function* evaluate(m: Machine, e: Expr): Call<Value> {
  if (++m.steps >= STEPS) yield* spend(m);
  switch (e.t) {
    case 'num': return e.v;
    case 'str': return e.v;
    case 'regex': return search(e.v, record(m)) ? 1 : 0;
    case 'var': return cell(m, e.name).value;
    case 'group': return e.list.length === 1 ? yield* evaluate(m, e.list[0]!) : yield* key(m, e.list);
    case 'field': return fieldAt(m, number(yield* evaluate(m, e.of)));
    case 'index': {
      const arr = array(m, e.name);
      const k = yield* key(m, e.at);
      if (!arr.has(k)) keep(m, arr, k, undefined);
      return arr.get(k);
    }
    case 'in': return array(m, e.name).has(yield* key(m, e.at)) ? 1 : 0;
    case 'assign': return yield* assignment(m, e);
    case 'cond': return truth(yield* evaluate(m, e.test)) ? yield* evaluate(m, e.yes) : yield* evaluate(m, e.no);
    case 'and': return truth(yield* evaluate(m, e.a)) && truth(yield* evaluate(m, e.b)) ? 1 : 0;
    case 'or': return truth(yield* evaluate(m, e.a)) || truth(yield* evaluate(m, e.b)) ? 1 : 0;
    case 'match': return (search(yield* regexOf(m, e.b), str(m, yield* evaluate(m, e.a))) !== null) !== e.negated ? 1 : 0;
    case 'unary': {
      const value = yield* evaluate(m, e.a);
      return e.op === '!' ? (truth(value) ? 0 : 1) : e.op === '-' ? -number(value) : number(value);
    }
    case 'step': {
      const old = number(yield* evaluate(m, e.to));
      const fresh = e.op === '++' ? old + 1 : old - 1;
      yield* store(m, e.to, fresh);
      return e.when === 'after' ? old : fresh;
    }
    case 'binary': return binary(m, e.op, yield* evaluate(m, e.a), yield* evaluate(m, e.b));
    case 'call': return e.own ? yield* callOwn(m, e.name, e.args) : yield* builtin(m, e.name, e.args);
    case 'getline': return yield* getline(m, e);
  }
}

function* key(m: Machine, at: readonly Expr[]): Call<string> {
  const parts: string[] = [];
  for (const e of at) parts.push(str(m, yield* evaluate(m, e)));
  return parts.join(str(m, cell(m, 'SUBSEP').value));
}

function* regexOf(m: Machine, e: Expr): Call<Regex> {
  return e.t === 'regex' ? e.v : e.t === 'group' && e.list[0]?.t === 'regex' ? e.list[0].v : dynamic(m, str(m, yield* evaluate(m, e)));
}

function* assignment(m: Machine, e: Expr & { t: 'assign' }): Call<Value> {
  const from = yield* evaluate(m, e.from);
  const value = e.op === '' ? from : binary(m, e.op, yield* evaluate(m, e.to), from);
  yield* store(m, e.to, value);
  return value;
}

function* store(m: Machine, to: Expr, value: Value): Call<void> {
  if (to.t === 'group' && to.list.length === 1) return yield* store(m, to.list[0]!, value);
  if (to.t === 'index') keep(m, array(m, to.name), yield* key(m, to.at), value);
  else if (to.t === 'var') {
    cell(m, to.name).value = value;
    m.kept.longest = Math.max(m.kept.longest, lengthOf(value));
    if (to.name === 'NF') {
      m.fields.length = Math.max(0, Math.min(100_000, number(value)));
      m.stale = true;
    }
  } else if (to.t === 'field') {
    const n = Math.floor(number(yield* evaluate(m, to.of)));
    if (n === 0) return setRecord(m, str(m, value));
    if (n < 0 || n > 100_000) throw new Failed(`attempt to access field ${n}`, 2);
    while (m.fields.length < n) m.fields.push('');
    m.fields[n - 1] = value;
    cell(m, 'NF').value = m.fields.length;
    m.stale = true;
  }
}

function* callOwn(m: Machine, name: string, args: readonly Expr[]): Call<Value> {
  const fn = m.program.functions.get(name);
  if (!fn) throw new Failed(`function ${name} never defined`, 2);
  if (++m.depth > 400) throw new Failed('function calls nested too deeply', 2);
  const locals = new Map<string, Cell>();
  for (const [i, param] of fn.params.entries()) {
    const arg = args[i];
    const own: Cell = { value: undefined, array: null };
    if (arg?.t === 'var') {
      const outer = cell(m, arg.name);
      // An array goes by reference; an untouched name may become one.
      if (outer.array || outer.value === undefined) own.array = outer.array ?? (outer.array = new Map());
      own.value = outer.value;
    } else if (arg) own.value = yield* evaluate(m, arg);
    locals.set(param, own);
  }
  const saved = m.locals;
  m.locals = locals;
  try {
    yield* exec(m, fn.body);
    return undefined;
  } catch (error) {
    if (!(error instanceof Jump) || error.how !== 'return') throw error;
    return error.value;
  } finally {
    m.locals = saved;
    m.depth--;
  }
}

function* builtin(m: Machine, name: string, args: readonly Expr[]): Call<Value> {
  if (name === 'length') {
    const [a] = args;
    if (!a) return [...record(m)].length;
    if (a.t === 'var' && cell(m, a.name).array && cell(m, a.name).value === undefined) return cell(m, a.name).array!.size;
    return [...str(m, yield* evaluate(m, a))].length;
  }
  if (name === 'split') {
    const text = str(m, yield* evaluate(m, args[0]!));
    const by = args[2] ? (args[2].t === 'regex' ? args[2].v : yield* evaluate(m, args[2])) : cell(m, 'FS').value;
    const parts = split(m, text, by);
    const arr = array(m, (args[1] as { name: string }).name);
    arr.clear();
    for (const [i, part] of parts.entries()) arr.set(String(i + 1), { text: part });
    return parts.length;
  }
  if (name === 'sub' || name === 'gsub') return yield* replace(m, name, args);
  if (name === 'match') {
    const found = search(yield* regexOf(m, args[1]!), str(m, yield* evaluate(m, args[0]!)));
    cell(m, 'RSTART').value = found ? found[0]! + 1 : 0;
    cell(m, 'RLENGTH').value = found ? found[1]! - found[0]! : -1;
    return cell(m, 'RSTART').value;
  }
  const v: Value[] = [];
  for (const a of args) v.push(yield* evaluate(m, a));
  if (name === 'system') return yield* system(m, str(m, v[0]));
  if (name === 'close') return yield* close(m, str(m, v[0]));
  if (name === 'fflush') {
    yield* flush(m.out);
    return 0;
  }
  return pure(m, name, v);
}

function* replace(m: Machine, how: string, args: readonly Expr[]): Call<Value> {
  const regex = yield* regexOf(m, args[0]!);
  const template = str(m, yield* evaluate(m, args[1]!));
  const target: Expr = args[2] ?? { t: 'field', of: { t: 'num', v: 0 } };
  const text = str(m, yield* evaluate(m, target));
  const put1 = (hit: string): string => template.replace(/\\\\|\\&|&/g, (c) => (c === '&' ? hit : c === '\\&' ? '&' : '\\'));
  let [out, at, count] = ['', 0, 0];
  while (at <= text.length) {
    const found = search(regex, text, at);
    if (!found) break;
    const [from, to] = found as [number, number];
    out += text.slice(at, from) + put1(text.slice(from, to));
    count++;
    at = to;
    if (from === to) {
      out += text[at] ?? '';
      at++;
    }
    if (how === 'sub') break;
  }
  if (count > 0) yield* store(m, target, out + text.slice(at));
  return count;
}

function* system(m: Machine, line: string): Call<number> {
  yield* flush(m.out);
  const { env } = m;
  const pid = yield* attempt(fork(function* (): Body {
    return yield* run('awk', ['sh', '-c', line], env);
  }), -1, 'EAGAIN', 'ENOMEM');
  return pid < 0 ? -1 : shellStatus(yield* reap(pid));
}

function* close(m: Machine, name: string): Call<number> {
  const sink = m.sinks.get(name);
  const source = m.sources.get(name);
  m.sinks.delete(name);
  m.sources.delete(name);
  if (sink) return yield* closeSink(sink);
  if (!source) return -1;
  yield* sys('close', source.reader.fd);
  return source.pid > 0 ? shellStatus(yield* reap(source.pid)) : 0;
}

function* closeSink(sink: { fd: number; pid: number }): Call<number> {
  if (sink.fd > 2) yield* sys('close', sink.fd);
  return sink.pid > 0 ? shellStatus(yield* reap(sink.pid)) : 0;
}

function* getline(m: Machine, e: Expr & { t: 'getline' }): Call<Value> {
  let line: string | null;
  if (e.how === 'input') line = yield* nextRecord(m);
  else {
    const name = str(m, yield* evaluate(m, e.from!));
    const source = m.sources.get(name) ?? (yield* openSource(m, name, e.how));
    if (!source) return -1;
    m.sources.set(name, source);
    line = yield* recordOf(m, source.reader);
    if (line !== null && e.how === 'command') cell(m, 'NR').value = number(cell(m, 'NR').value) + 1;
  }
  if (line === null) return 0;
  if (e.to) yield* store(m, e.to, { text: line });
  else setRecord(m, line);
  return 1;
}

function* openSource(m: Machine, name: string, how: 'file' | 'command'): Call<{ reader: Reader; pid: number } | null> {
  if (how === 'file') {
    try {
      return { reader: createReader(name === '-' ? 0 : yield* sys('openat', AT_FDCWD, name, O_RDONLY)), pid: 0 };
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return null;
    }
  }
  yield* flush(m.out);
  const [from, to] = yield* sys('pipe2', 0);
  const pid = yield* commandOn(m, name, to, 1, from);
  yield* sys('close', to);
  return { reader: createReader(from), pid };
}

function* commandOn(m: Machine, line: string, end: number, as: number, other: number): Call<number> {
  const { env } = m;
  return yield* fork(function* (): Body {
    yield* sys('dup3', end, as, 0);
    yield* sys('close', end);
    yield* sys('close', other);
    return yield* run('awk', ['sh', '-c', line], env);
  });
}

function* exec(m: Machine, s: Stmt): Call<void> {
  switch (s.t) {
    case 'block': for (const one of s.body) yield* exec(m, one); return;
    case 'expr': yield* evaluate(m, s.e); return;
    case 'print': case 'printf': yield* output(m, s); return;
    case 'if':
      if (truth(yield* evaluate(m, s.test))) yield* exec(m, s.yes);
      else if (s.no) yield* exec(m, s.no);
      return;
    case 'while': while (truth(yield* evaluate(m, s.test))) if (yield* broken(m, s.body)) return; return;
    case 'do': do if (yield* broken(m, s.body)) return; while (truth(yield* evaluate(m, s.test))); return;
    case 'for':
      if (s.init) yield* exec(m, s.init);
      while (!s.test || truth(yield* evaluate(m, s.test))) {
        if (yield* broken(m, s.body)) return;
        if (s.step) yield* exec(m, s.step);
      }
      return;
    case 'forin':
      for (const k of [...array(m, s.array).keys()]) {
        cell(m, s.name).value = { text: k };
        if (yield* broken(m, s.body)) return;
      }
      return;
    case 'delete':
      if (s.at) drop(m, array(m, s.name), yield* key(m, s.at));
      else for (const k of [...array(m, s.name).keys()]) drop(m, array(m, s.name), k);
      return;
    case 'jump': throw new Jump(s.how);
    case 'exit': case 'return': throw new Jump(s.t, s.e ? yield* evaluate(m, s.e) : undefined);
  }
}

/** Runs a loop's body; says whether it broke out. */
function* broken(m: Machine, body: Stmt): Call<boolean> {
  if (++m.steps >= STEPS) yield* spend(m);
  try {
    yield* exec(m, body);
    return false;
  } catch (error) {
    if (!(error instanceof Jump) || (error.how !== 'break' && error.how !== 'continue')) throw error;
    return error.how === 'break';
  }
}

function* output(m: Machine, s: Stmt & { t: 'print' | 'printf' }): Call<void> {
  const values: Value[] = [];
  for (const a of s.args) values.push(yield* evaluate(m, a));
  const text = s.t === 'printf' ? sprintf(m, values) : (values.length === 0 ? record(m) : values.map((v) => str(m, v, 'OFMT')).join(str(m, cell(m, 'OFS').value))) + str(m, cell(m, 'ORS').value);
  if (!s.to) return yield* put(m.out, encoded(text));
  const name = str(m, yield* evaluate(m, s.to.e));
  let sink = m.sinks.get(name);
  if (!sink) {
    yield* flush(m.out);
    if (s.to.how === '|') {
      const [from, to] = yield* sys('pipe2', 0);
      const pid = yield* commandOn(m, name, from, 0, to);
      yield* sys('close', from);
      sink = { fd: to, pid };
    } else {
      const fd = name === '/dev/stdout' ? 1 : name === '/dev/stderr' ? 2 : yield* sys('openat', AT_FDCWD, name, O_WRONLY | O_CREAT | (s.to.how === '>' ? O_TRUNC : O_APPEND), 0o666);
      sink = { fd, pid: 0 };
    }
    m.sinks.set(name, sink);
  }
  yield* writeAll(sink.fd, bytesOf(encoded(text)));
}
