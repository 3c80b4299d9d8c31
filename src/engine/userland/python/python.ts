/**
 * python3: -c, -m, a script, or standard input; then the main program's frame, and what is said when an exception leaves it.
 * Source: python3(1), CPython 3.13. Left out: the interactive prompt, -i, -X, -W and the site's own modules.
 */
import { AT_FDCWD, ERRNO, O_RDONLY, S_IFDIR, S_IFMT, SIG, SysError } from '../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { drain } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { strerror } from '../lib/io.ts';
import { BadSyntax, type Source } from './ast.ts';
import { builtinsOf } from './builtins.ts';
import { isError, PyError } from './errors.ts';
import { caught, execute, within } from './exec.ts';
import { fileOf, flush, standardStreams } from './files.ts';
import { createHeap, warmUp } from './heap.ts';
import { importModule, setModuleRunner } from './imports.ts';
import { arm, install, interrupt, VERSION } from './modules/system.ts';
import { runServer } from './modules/httpserver.ts';
import './modules/table.ts';
import './types/bytes.ts';
import { parse } from './parse.ts';
import { str } from './repr.ts';
import { type Tape, taped } from './tape.ts';
import { report, syntaxReport } from './traceback.ts';
import { trampolined } from './trampoline.ts';
import { type Instance, isObj, type Module, type Value } from './values.ts';
import { catchUp, type Frame, settle, type Vm } from './vm.ts';

const USAGE = 'usage: python3 [option] ... [-c cmd | -m mod | file | -] [arg] ...\n';

interface Task {
  kind: 'command' | 'module' | 'file' | 'stdin' | 'version' | 'help' | 'bad';
  word: string;
  argv: string[];
  unbuffered: boolean;
}

function taskOf(words: readonly string[]): Task {
  const task: Task = { kind: 'stdin', word: '', argv: [''], unbuffered: false };
  for (let i = 0; i < words.length; i++) {
    const w = words[i]!;
    if (w === '-' || !w.startsWith('-')) return { ...task, kind: w === '-' ? 'stdin' : 'file', word: w, argv: words.slice(i) };
    if (w === '--version') return { ...task, kind: 'version' };
    if (w === '--help') return { ...task, kind: 'help' };
    for (let j = 1; j < w.length; j++) {
      const c = w[j]!;
      if (c === 'V') return { ...task, kind: 'version' };
      if (c === 'h' || c === '?') return { ...task, kind: 'help' };
      if (c === 'c' || c === 'm') {
        const inline = w.slice(j + 1);
        const word = inline || words[i + 1];
        if (word === undefined) return { ...task, kind: 'bad', word: `Argument expected for the -${c} option` };
        return { ...task, kind: c === 'c' ? 'command' : 'module', word, argv: [c === 'c' ? '-c' : '-m', ...words.slice(inline ? i + 1 : i + 2)] };
      }
      if (c === 'u') task.unbuffered = true;
      else if (!'BEIsSOPqbd'.includes(c)) return { ...task, kind: 'bad', word: `Unknown option: -${c}` };
    }
  }
  return task;
}

export const python: Program = function* (argv, env): Body {
  const task = taskOf(argv.slice(1));
  if (task.kind === 'version') {
    yield* writeAll(1, bytes(`Python ${VERSION}\n`));
    return 0;
  }
  if (task.kind === 'help' || task.kind === 'bad') {
    yield* writeAll(task.kind === 'bad' ? 2 : 1, bytes(task.kind === 'bad' ? `${task.word}\n${USAGE}Try \`python -h' for more information.\n` : USAGE));
    return task.kind === 'bad' ? 2 : 0;
  }
  const loaded = yield* programText(task);
  if (typeof loaded === 'number') return loaded;
  const forks = /fork|multiprocessing/.test(loaded.source);
  if (!forks) return yield* trampolined(interpreter(task, loaded, env, null));
  return yield* taped((tape) => {
    const vm = newVm(task, env, tape);
    return { body: trampolined(interpreter(task, loaded, env, tape, vm)), arrive: (signal) => vm.pending.push(signal) };
  }, null);
};

interface Loaded {
  file: string;
  source: string;
}

/** The text to run, or the status after saying why there is none. */
function* programText(task: Task): Call<Loaded | number> {
  if (task.kind === 'command') return { file: '<string>', source: task.word };
  if (task.kind === 'module') return { file: task.word, source: '' };
  if (task.kind === 'stdin') {
    const terminal = yield* onTerminal();
    if (terminal) {
      yield* writeAll(2, bytes('python3: not modelled: the interactive prompt; give a program with -c, as a file, or on standard input\n'));
      return 1;
    }
    return { file: '<stdin>', source: text(yield* drain(0)) };
  }
  let fd = -1;
  try {
    fd = yield* sys('openat', AT_FDCWD, task.word, O_RDONLY);
    const directory = ((yield* sys('fstat', fd)).mode & S_IFMT) === S_IFDIR;
    if (directory) {
      yield* writeAll(2, bytes(`python3: can't find '__main__' module in '${task.word}'\n`));
      return 1;
    }
    const source = text(yield* drain(fd));
    yield* sys('close', fd);
    return { file: yield* absolute(task.word), source };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const at = yield* absolute(task.word);
    yield* writeAll(2, bytes(`python3: can't open file '${at}': [Errno ${ERRNO[error.errno][0]}] ${strerror(error)}\n`));
    return 2;
  }
}

function* absolute(path: string): Call<string> {
  return path.startsWith('/') ? path : `${yield* sys('getcwd')}/${path}`;
}

function* onTerminal(): Call<boolean> {
  try {
    yield* sys('ioctl', 0, 0x5401);
    return true;
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
}

function newVm(task: Task, env: Readonly<Record<string, string>>, tape: Tape | null): Vm {
  const main: Module = { t: 'module', name: '__main__', vars: new Map<string, Value>([['__name__', '__main__'], ['__doc__', null], ['__builtins__', null]]), file: '' };
  const directory = task.kind === 'file' ? task.word.replace(/[^/]*$/, '').replace(/(.)\/$/, '$1') : '';
  const vm: Vm = {
    argv: task.argv, env: new Map(Object.entries(env)), frames: [], modules: new Map(), builtins: new Map(), main, handling: [], pending: [], handlers: new Map(), heap: createHeap(), cost: 0, tape, files: new Set(),
    path: [directory, '/usr/lib/python3/dist-packages'], random: null, atexit: [], unbuffered: task.unbuffered, showing: new Set(), addresses: 0x1000, display: null, rearm: (signal) => arm(vm, signal),
  };
  vm.modules.set('__main__', main);
  builtinsOf(vm);
  return vm;
}

/** ns that CPython takes to start. */
const START = 9_000_000;

function* interpreter(task: Task, loaded: Loaded, env: Readonly<Record<string, string>>, tape: Tape | null, given?: Vm): Body {
  const vm = given ?? newVm(task, env, tape);
  vm.cost = START;
  let status: number;
  try {
    yield* warmUp(vm);
    yield* importModule(vm, 'sys');
    const streams = yield* standardStreams(vm);
    const module = vm.modules.get('sys')!.vars;
    for (const [name, stream] of Object.entries(streams)) module.set(name, stream).set(`__${name}__`, stream);
    const before = yield* sys('rt_sigaction', SIG.INT, { handler: 'default' });
    if (before.handler === 'ignore') yield* sys('rt_sigaction', SIG.INT, before);
    else yield* install(vm, SIG.INT, interrupt);
    yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
    status = yield* runMain(vm, task, loaded);
  } catch (error) {
    status = yield* uncaught(vm, error);
  }
  return yield* finish(vm, status);
}

function* runMain(vm: Vm, task: Task, loaded: Loaded): Call<number> {
  if (task.kind === 'module') return yield* runNamed(vm, task);
  const source: Source = { file: loaded.file, lines: loaded.source.split('\n') };
  if (task.kind === 'file') vm.main.vars.set('__file__', loaded.file);
  try {
    const { body, scope } = parse(loaded.source);
    const shown = task.kind === 'stdin' ? { ...source, lines: [] } : source;
    const frame: Frame = { name: '<module>', source: shown, scope, vars: vm.main.vars, globals: vm.main.vars, outer: null, at: body[0] ?? { line: 1, col: 0, eline: 1, ecol: 0 }, hidden: false, depth: 0, holds: [] };
    yield* within(vm, frame, () => execute(vm, frame, body));
    yield* catchUp(vm);
  } catch (error) {
    if (!(error instanceof BadSyntax)) throw error;
    yield* writeAll(2, bytes(syntaxReport(error, source)));
    return 1;
  }
  return 0;
}

function* runNamed(vm: Vm, task: Task): Call<number> {
  if (task.word === 'http.server') return yield* runServer(vm, task.argv.slice(1));
  yield* writeAll(2, bytes(`/usr/bin/python3: No module named ${task.word}\n`));
  return 1;
}

setModuleRunner(function* (vm, frame, body) {
  return yield* within(vm, frame, () => execute(vm, frame, body));
});

/** Says what an exception that nobody caught was, and gives the status for it. */
function* uncaught(vm: Vm, error: unknown): Call<number> {
  const found = error instanceof PyError ? error : error instanceof SysError || error instanceof RangeError ? caught(vm, { ...emptyFrame(vm) }, error) : null;
  if (!found) throw error;
  vm.frames.length = 0;
  if (isError(found, 'SystemExit')) return yield* exitStatus(vm, found.value);
  yield* flushOut(vm);
  yield* writeAll(2, bytes(yield* report(vm, found.value)));
  if (!isError(found, 'KeyboardInterrupt')) return 1;
  yield* flushAll(vm);
  yield* sys('rt_sigaction', SIG.INT, { handler: 'default' });
  yield* sys('kill', yield* sys('getpid'), SIG.INT);
  return 130;
}

function emptyFrame(vm: Vm): Frame {
  return { name: '<module>', source: { file: '<string>', lines: [] }, scope: { kind: 'module', parent: null, bound: new Set(), globals: new Set(), nonlocals: new Set() }, vars: new Map(), globals: vm.main.vars, outer: null, at: { line: 1, col: 0, eline: 1, ecol: 0 }, hidden: false, depth: 0, holds: [] };
}

function* exitStatus(vm: Vm, e: Instance): Call<number> {
  const code = e.attrs.get('code') ?? null;
  if (code === null) return 0;
  if (typeof code === 'bigint' || typeof code === 'boolean') return Number(BigInt.asUintN(8, BigInt(code)));
  yield* flushOut(vm);
  yield* writeAll(2, bytes(`${yield* str(vm, code)}\n`));
  return 1;
}

function* flushOut(vm: Vm): Call<void> {
  const out = vm.modules.get('sys')?.vars.get('stdout');
  if (isObj(out, 'native')) {
    try {
      yield* flush(vm, fileOf(out));
    } catch (error) {
      if (!(error instanceof PyError)) throw error;
    }
  }
}

function* flushAll(vm: Vm): Call<boolean> {
  let good = true;
  for (const f of vm.files) {
    try {
      yield* f.flush();
    } catch (error) {
      if (!(error instanceof PyError)) throw error;
      good = false;
      yield* writeAll(2, bytes(`Exception ignored in: <_io.TextIOWrapper name='<stdout>' mode='w' encoding='utf-8'>\n${yield* report(vm, error.value)}`));
    }
  }
  return good;
}

function* finish(vm: Vm, status: number): Call<number> {
  for (const work of vm.atexit.reverse()) yield* work();
  const good = yield* flushAll(vm);
  yield* settle(vm);
  return good ? status : 120;
}
