/**
 * Tracebacks as CPython 3.13 prints them: the line of each frame, underlined where less than all of it failed, with the bracket
 * of a call or subscript and the operator of a binary operation set apart from their operands.
 */
import type { Call } from '../lib/http.ts';
import type { BadSyntax, Expr, Source, Span, Stmt } from './ast.ts';
import type { PyError } from './errors.ts';
import { str, typePath } from './repr.ts';
import { type Instance, isObj, type TraceEntry, type TraceSpan, type Value } from './values.ts';
import type { Frame, Vm } from './vm.ts';

const isNode = (at: Span): at is Expr | Stmt => 'k' in at;

/** Enters a frame into an exception's traceback, unless it is the one that entered last. */
export function noteTrace(vm: Vm, frame: Frame, error: PyError): void {
  const e = error.value;
  const current = vm.handling.at(-1);
  if (e.trace === undefined && current && current !== e && e.context === undefined) e.context = current;
  let shown = frame;
  while (shown.hidden && shown.outer) shown = shown.outer;
  if (error.noted === shown) return;
  error.noted = shown;
  e.trace ??= [];
  e.trace.unshift({ source: frame.source, name: shown.name, line: frame.at.line, span: spanOf(frame) });
}

function spanOf(frame: Frame): TraceSpan | null {
  const { at } = frame;
  if (!isNode(at)) return { ...spot(at), anchor: null, plainCall: false };
  return { ...spot(at), anchor: anchorOf(at, frame.source), plainCall: at.k === 'call' && at.func.k === 'name' };
}
const spot = ({ line, col, eline, ecol }: Span): Span => ({ line, col, eline, ecol });

function anchorOf(at: Expr | Stmt, source: Source): TraceSpan['anchor'] {
  if (at.k === 'call' || at.k === 'sub') return { from: at.open, to: { line: at.eline, col: at.ecol } };
  if (at.k !== 'bin') return null;
  const line = source.lines[at.opAt.line - 1] ?? '';
  const width = line.slice(at.opAt.col, at.opAt.col + 2) === at.op && at.op.length === 2 ? 2 : 1;
  return { from: at.opAt, to: { line: at.opAt.line, col: at.opAt.col + width } };
}

/** The lines of one frame. */
function entryLines(entry: TraceEntry): string {
  let out = `  File "${entry.source.file}", line ${entry.line}, in ${entry.name}\n`;
  const { span } = entry;
  const { lines } = entry.source;
  if ((lines[entry.line - 1] ?? '').trim() === '') return out;
  if (!span) return `${out}    ${lines[entry.line - 1]!.trim()}\n`;
  const all = lines.slice(span.line - 1, span.eline);
  const indent = Math.min(...all.filter((l) => l.trim() !== '').map((l) => l.length - l.trimStart().length));
  const marks = shows(all, span, indent);
  const significant = marked(span, all.length, marks);
  let last = -1;
  for (const i of significant) {
    if (last >= 0 && i - last === 2) out += shownLine(all, i - 1, span, indent, marks);
    else if (last >= 0 && i - last > 2) out += `    ...<${i - last - 1} lines>...\n`;
    out += shownLine(all, i, span, indent, marks);
    last = i;
  }
  return out;
}

/** Lines worth showing: first, last, and those around the anchors. */
function marked(span: TraceSpan, count: number, _marks: boolean): number[] {
  const wanted = new Set([0, count - 1]);
  const { anchor } = span;
  if (anchor) for (const line of [anchor.from.line - span.line, anchor.to.line - span.line]) for (const near of [line - 1, line, line + 1]) wanted.add(near);
  return [...wanted].filter((i) => i >= 0 && i < count).sort((a, b) => a - b);
}

function shows(all: readonly string[], span: TraceSpan, indent: number): boolean {
  const first = all[0]!;
  const last = all.at(-1)!;
  const text = all.map((l) => l.slice(indent)).join('\n');
  const whole = span.col === indent ? '' : first.slice(indent, span.col);
  if (span.plainCall && last.slice(span.ecol).trim() === '' && (/^return\s*$/.test(whole.trim()) || /^[A-Za-z_]\w*\s*=\s*$/.test(whole))) return false;
  if (span.anchor && text !== '') return true;
  return first.slice(0, span.col).trimStart() !== '' || last.slice(span.ecol).trimEnd() !== '';
}

function shownLine(all: readonly string[], i: number, span: TraceSpan, indent: number, marks: boolean): string {
  const line = all[i]!;
  const text = line.slice(Math.min(indent, line.length - line.trimStart().length));
  const cut = line.length - text.length;
  let out = `    ${text}\n`;
  if (!marks) return out;
  const spaces = line.length - line.trimStart().length;
  const end = i === all.length - 1 ? span.ecol : line.length;
  let carets = '';
  for (let col = cut; col < end; col++) {
    if (col < spaces || (i === 0 && col < span.col)) carets += ' ';
    else carets += span.anchor ? (anchored(span, i + span.line, col) ? '^' : '~') : '^';
  }
  if (carets.trim() !== '') out += `    ${carets}\n`;
  return out;
}

function anchored({ anchor }: TraceSpan, line: number, col: number): boolean {
  const { from, to } = anchor!;
  return (line > from.line || (line === from.line && col >= from.col)) && (line < to.line || (line === to.line && col < to.col));
}

const CUTOFF = 3;

export function traceLines(trace: readonly TraceEntry[]): string {
  let out = '';
  let last = '';
  let count = 0;
  const repeated = (): string => (count > CUTOFF ? `  [Previous line repeated ${count - CUTOFF} more time${count - CUTOFF > 1 ? 's' : ''}]\n` : '');
  for (const entry of trace) {
    const key = `${entry.source.file}\0${entry.line}\0${entry.name}`;
    if (key !== last) {
      out += repeated();
      last = key;
      count = 0;
    }
    if (++count <= CUTOFF) out += entryLines(entry);
  }
  return out + repeated();
}

/** The whole message of an exception that nobody caught, with what it came from. */
export function* report(vm: Vm, e: Instance, seen: Set<Value> = new Set()): Call<string> {
  seen.add(e);
  let out = '';
  if (isObj(e.cause, 'inst') && !seen.has(e.cause)) {
    out += `${yield* report(vm, e.cause, seen)}\nThe above exception was the direct cause of the following exception:\n\n`;
  } else if (isObj(e.context, 'inst') && !e.suppress && !seen.has(e.context)) {
    out += `${yield* report(vm, e.context, seen)}\nDuring handling of the above exception, another exception occurred:\n\n`;
  }
  if (e.trace && e.trace.length > 0) out += `Traceback (most recent call last):\n${traceLines(e.trace)}`;
  return out + (yield* lastLine(vm, e));
}

/** Modules of the standard library that a forgotten import is likely about. */
const STDLIB = new Set('argparse array ast asyncio atexit base64 bisect calendar codecs collections configparser contextlib copy csv ctypes dataclasses datetime decimal difflib dis email enum errno fcntl fnmatch fractions functools gc getopt getpass glob gzip hashlib heapq hmac html http importlib inspect io itertools json keyword locale logging math mmap multiprocessing operator os pathlib pickle platform pprint pty pwd queue random re resource sched secrets select shlex shutil signal socket socketserver sqlite3 ssl stat statistics string struct subprocess sys sysconfig tarfile tempfile termios textwrap threading time timeit token tokenize trace traceback tty types typing unittest urllib uuid venv warnings weakref xml zipfile zlib'.split(' '));

export function* lastLine(vm: Vm, e: Instance): Call<string> {
  const text = yield* str(vm, e);
  const name = e.type.module === '__main__' ? (e.type.qualname ?? e.type.name) : typePath(e.type);
  const missing = e.type.name === 'NameError' ? /^name '(\w+)' is not defined$/.exec(text)?.[1] : undefined;
  if (missing !== undefined && STDLIB.has(missing)) return `${name}: ${text}. Did you forget to import '${missing}'?\n`;
  let out = text === '' ? `${name}\n` : `${name}: ${text}\n`;
  const notes = e.attrs.get('__notes__');
  if (isObj(notes, 'list')) for (const note of notes.items) out += `${yield* str(vm, note)}\n`;
  return out;
}

/** A syntax error's message: the line and a caret under what is wrong. */
export function syntaxReport(error: BadSyntax, source: Source): string {
  const { at } = error;
  const line = source.lines[at.line - 1];
  let out = `  File "${source.file}", line ${at.line}\n`;
  if (line !== undefined && line.trim() !== '' && !(error.late && source.file.startsWith('<'))) {
    const cut = line.length - line.trimStart().length;
    const width = at.eline === at.line ? Math.max(1, at.ecol - at.col) : Math.max(1, line.length - at.col);
    out += `    ${line.trim()}\n`;
    if (error.message !== 'unexpected indent') out += `    ${' '.repeat(Math.max(0, at.col - cut))}${'^'.repeat(width)}\n`;
  }
  return `${out}${error.kind}: ${error.message}\n`;
}
