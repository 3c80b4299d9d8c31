/** subprocess: run, call, check_call, check_output, Popen with pipes. Source: Python 3.13 library reference, subprocess. Left out: preexec_fn, communicate's timeout. */
import { AT_FDCWD, O_CLOEXEC, O_RDWR, type Errno, exited, SIG, SysError, termSignal } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { joinBytes } from '../../../sim/wire.ts';
import type { Call } from '../../lib/http.ts';
import { bytesArg, calling } from '../arguments.ts';
import { METHODS } from '../call.ts';
import { decode } from '../codecs.ts';
import { defineType, bytesOf, isObj, type Instance, type Kw, type Native, tuple, type Type, type Value } from '../values.ts';
import { exceptionType, makeException, osError, PyError, typeError } from '../errors.ts';
import { fileOf, flush, makeFile } from '../files.ts';
import { collect } from '../iterate.ts';
import { repr } from '../repr.ts';
import { sysc, type Vm } from '../vm.ts';
import { environmentOf, setShell } from './os.ts';

const PIPE = -1n;
const STDOUT = -2n;
const DEVNULL = -3n;

const COMPLETED = defineType('CompletedProcess', undefined, 'subprocess');
const POPEN = defineType('Popen', undefined, 'subprocess');
const FAILED = defineType('CalledProcessError', exceptionType('Exception'), 'subprocess');
FAILED.make = function* (_vm, a) { return makeException(FAILED, a); };

interface Process {
  pid: number;
  /** Parent's ends of pipes, by the child's descriptor. */
  ends: Map<number, number>;
  status: number | null;
  text: boolean;
}

/** One of stdin, stdout, stderr as the child shall have it: a descriptor, or none of its own. */
interface Wiring {
  child: number[];
  ends: Map<number, number>;
  opened: number[];
}

function* wire(vm: Vm, kw: Kw): Call<Wiring> {
  const w: Wiring = { child: [0, 1, 2], ends: new Map(), opened: [] };
  for (const [i, name] of ['stdin', 'stdout', 'stderr'].entries()) {
    const v = kw.get(name) ?? null;
    if (v === PIPE) {
      const [r, write] = yield* sysc(vm, 'pipe2', O_CLOEXEC);
      w.child[i] = i === 0 ? r : write;
      w.ends.set(i, i === 0 ? write : r);
      w.opened.push(w.child[i]!);
    } else if (v === DEVNULL) {
      w.child[i] = yield* sysc(vm, 'openat', AT_FDCWD, '/dev/null', O_RDWR | O_CLOEXEC);
      w.opened.push(w.child[i]!);
    } else if (v === STDOUT) w.child[i] = w.child[1]!;
    else if (typeof v === 'bigint') w.child[i] = Number(v);
    else if (isObj(v, 'native')) {
      yield* flush(vm, fileOf(v));
      w.child[i] = fileOf(v).fd;
    }
  }
  return w;
}

/** The child's side: its descriptors, its directory, then execve; what fails goes to the parent by its pipe. */
function childBody(report: number, w: Wiring, argv: readonly string[], env: Readonly<Record<string, string>>, cwd: string | null, session: boolean): () => Body {
  const descriptors = [...w.child];
  return function* (): Body {
    try {
      yield* sys('rt_sigaction', SIG.PIPE, { handler: 'default' });
      const safe: number[] = [];
      for (const fd of descriptors) safe.push(fd <= 2 ? yield* sys('fcntl', fd, 'dupfd_cloexec', 3) : fd);
      for (const [i, fd] of safe.entries()) yield* sys('dup3', fd, i, 0);
      if (session) yield* sys('setsid');
      if (cwd !== null) yield* sys('chdir', cwd);
      yield* direct(argv, env);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* sys('write', report, bytes(error.errno));
    }
    return 255;
  };
}

function* direct(argv: readonly string[], env: Readonly<Record<string, string>>): Call<void> {
  const file = argv[0]!;
  const places = file.includes('/') ? [file] : (env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin').split(':').map((dir) => `${dir}/${file}`);
  let failed = new SysError('ENOENT');
  for (const place of places) {
    try {
      yield* sys('execve', place, argv, env);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno !== 'ENOENT') failed = error;
    }
  }
  throw failed;
}

function* words(vm: Vm, v: Value, shell: boolean): Call<string[]> {
  if (shell) return ['/bin/sh', '-c', typeof v === 'string' ? v : String((yield* collect(vm, v))[0])];
  if (typeof v === 'string') return [v];
  const out: string[] = [];
  for (const one of yield* collect(vm, v)) {
    if (typeof one !== 'string' && !isObj(one, 'bytes')) throw typeError(`expected str, bytes or os.PathLike object, not ${one === null ? 'NoneType' : typeof one === 'bigint' ? 'int' : typeof one === 'number' ? 'float' : 'object'}`);
    out.push(typeof one === 'string' ? one : decode(bytesArg(one)));
  }
  return out;
}

function* start(vm: Vm, args: Value, kw: Kw): Call<Process> {
  const shell = kw.get('shell') === true;
  const argv = yield* words(vm, args, shell);
  const cwd = kw.get('cwd');
  const own = kw.get('env') ?? null;
  const env = own === null ? Object.fromEntries(vm.env) : environmentOf(own);
  const w = yield* wire(vm, kw);
  const [r, report] = yield* sysc(vm, 'pipe2', O_CLOEXEC);
  const pid = yield* sysc(vm, 'clone', { flags: 0, run: childBody(report, w, argv, env, typeof cwd === 'string' ? cwd : null, kw.get('start_new_session') === true) });
  yield* sysc(vm, 'close', report);
  for (const fd of w.opened) yield* sysc(vm, 'close', fd);
  const said = yield* sysc(vm, 'read', r, 64);
  yield* sysc(vm, 'close', r);
  if (said.length > 0) {
    yield* sysc(vm, 'wait4', pid, 0);
    for (const fd of w.ends.values()) yield* sysc(vm, 'close', fd);
    throw osError(new SysError(decode(said) as Errno), typeof cwd === 'string' && decode(said) === 'ENOENT' && !argv[0]!.includes('/') ? argv[0]! : argv[0]!);
  }
  return { pid, ends: w.ends, status: null, text: kw.get('text') === true || kw.get('universal_newlines') === true || kw.get('encoding') !== undefined };
}

function* wait(vm: Vm, p: Process): Call<bigint> {
  if (p.status === null) {
    const { status } = yield* sysc(vm, 'wait4', p.pid, 0);
    p.status = exited(status) ?? -(termSignal(status) ?? 0);
  }
  return BigInt(p.status);
}

/** Feeds and drains the pipes until their ends, by poll. */
function* communicate(vm: Vm, p: Process, input: Value): Call<[Value, Value]> {
  let left = input === null ? new Uint8Array(0) : typeof input === 'string' ? bytes(input) : bytesArg(input);
  const parts = new Map<number, Uint8Array[]>([[1, []], [2, []]]);
  while (p.ends.size > 0) {
    const fd = p.ends.get(0);
    if (fd !== undefined) {
      try {
        if (left.length > 0) left = left.subarray(yield* sysc(vm, 'write', fd, left.subarray(0, 4096)));
      } catch (error) {
        if (!(error instanceof SysError) || error.errno !== 'EPIPE') throw error;
        left = new Uint8Array(0);
      }
      if (left.length === 0) {
        yield* sysc(vm, 'close', fd);
        p.ends.delete(0);
      }
    }
    const reading = [...p.ends].filter(([i]) => i > 0);
    if (reading.length === 0) continue;
    const ready = yield* sysc(vm, 'poll', reading.map(([, end]) => ({ fd: end, events: 1 })), left.length > 0 ? 0 : -1);
    for (const [i, end] of reading) {
      if (!ready.some((one) => one.fd === end)) continue;
      const data = yield* sysc(vm, 'read', end, 32768);
      if (data.length > 0) parts.get(i)!.push(data);
      else {
        yield* sysc(vm, 'close', end);
        p.ends.delete(i);
      }
    }
  }
  const shown = (i: number): Value => (p.text ? decode(joinBytes(parts.get(i)!)).replaceAll('\r\n', '\n') : bytesOf(joinBytes(parts.get(i)!)));
  return [shown(1), shown(2)];
}

function* run(vm: Vm, args: Value, kw: Kw): Call<{ code: bigint; out: Value; err: Value }> {
  const options = new Map(kw);
  if (kw.get('capture_output') === true) options.set('stdout', PIPE).set('stderr', PIPE);
  if (kw.get('input') !== undefined) options.set('stdin', PIPE);
  const p = yield* start(vm, args, options);
  const [hasOut, hasErr] = [p.ends.has(1), p.ends.has(2)];
  const [out, err] = yield* communicate(vm, p, kw.get('input') ?? null);
  const code = yield* wait(vm, p);
  return { code, out: hasOut ? out : null, err: hasErr ? err : null };
}

function* failure(vm: Vm, args: Value, code: bigint, out: Value, err: Value): Call<never> {
  const made: Instance = makeException(FAILED, [code, args]);
  made.attrs.set('returncode', code).set('cmd', args).set('output', out).set('stdout', out).set('stderr', err);
  const cmd = yield* repr(vm, args);
  const name = Object.entries(SIG).find(([, n]) => BigInt(n) === -code)?.[0];
  made.args = [code < 0n ? `Command ${quoted(cmd, args)} died with <Signals.SIG${name ?? '?'}: ${-code}>.` : `Command ${quoted(cmd, args)} returned non-zero exit status ${code}.`];
  throw new PyError(made);
}
const quoted = (cmd: string, v: Value): string => (typeof v === 'string' ? `'${v}'` : `'${cmd}'`);

export function subprocessModule(): Map<string, Value> {
  const vars = new Map<string, Value>(Object.entries(calling({
    run: function* (vm, a, kw) {
      const { code, out, err } = yield* run(vm, a[0]!, kw);
      if (kw.get('check') === true && code !== 0n) yield* failure(vm, a[0]!, code, out, err);
      return { t: 'native', type: COMPLETED, attrs: new Map<string, Value>([['args', a[0]!], ['returncode', code], ['stdout', out], ['stderr', err]]), data: null };
    },
    call: function* (vm, a, kw) { return (yield* run(vm, a[0]!, kw)).code; },
    check_call: function* (vm, a, kw) {
      const { code } = yield* run(vm, a[0]!, kw);
      return code === 0n ? 0n : yield* failure(vm, a[0]!, code, null, null);
    },
    check_output: function* (vm, a, kw) {
      const { code, out, err } = yield* run(vm, a[0]!, new Map([...kw, ['stdout', PIPE]]));
      return code === 0n ? out : yield* failure(vm, a[0]!, code, out, err);
    },
    getoutput: function* (vm, a) {
      const { out } = yield* run(vm, a[0]!, new Map<string, Value>([['shell', true], ['text', true], ['stdout', PIPE], ['stderr', STDOUT]]));
      return String(out).replace(/\n$/, '');
    },
  })));
  POPEN.make = function* (vm, a, kw) {
    const p = yield* start(vm, a[0]!, kw);
    const made: Native = { t: 'native', type: POPEN, attrs: new Map<string, Value>([['pid', BigInt(p.pid)], ['args', a[0]!], ['returncode', null]]), data: p };
    for (const [i, name] of ['stdin', 'stdout', 'stderr'].entries()) {
      const end = p.ends.get(i);
      made.attrs.set(name, end === undefined ? null : makeFile(vm, end, BigInt(end), `${i === 0 ? 'w' : 'r'}${p.text ? '' : 'b'}`));
    }
    return made;
  };
  for (const [name, v] of Object.entries({ PIPE, STDOUT, DEVNULL, CompletedProcess: COMPLETED, CalledProcessError: FAILED, Popen: POPEN, SubprocessError: exceptionType('Exception') as Type })) vars.set(name, v);
  return vars;
}

METHODS.set('CompletedProcess', calling({
  __repr__: function* (vm, a) {
    const { attrs } = a[0] as Native;
    let out = `CompletedProcess(args=${yield* repr(vm, attrs.get('args')!)}, returncode=${String(attrs.get('returncode'))}`;
    for (const name of ['stdout', 'stderr']) if (attrs.get(name) !== null) out += `, ${name}=${yield* repr(vm, attrs.get(name)!)}`;
    return `${out})`;
  },
  check_returncode: function* (vm, a) {
    const { attrs } = a[0] as Native;
    const code = attrs.get('returncode') as bigint;
    return code === 0n ? null : yield* failure(vm, attrs.get('args')!, code, attrs.get('stdout')!, attrs.get('stderr')!);
  },
}));

const processOf = (v: Value): Process => (v as Native).data as Process;
METHODS.set('Popen', calling({
  wait: function* (vm, a) {
    const code = yield* wait(vm, processOf(a[0]!));
    (a[0] as Native).attrs.set('returncode', code);
    return code;
  },
  poll: function* (vm, a) {
    const p = processOf(a[0]!);
    if (p.status === null) {
      const { pid, status } = yield* sysc(vm, 'wait4', p.pid, 1);
      if (pid === 0) return null;
      p.status = exited(status) ?? -(termSignal(status) ?? 0);
    }
    (a[0] as Native).attrs.set('returncode', BigInt(p.status));
    return BigInt(p.status);
  },
  communicate: function* (vm, a, kw) {
    const p = processOf(a[0]!);
    const [hasOut, hasErr] = [p.ends.has(1), p.ends.has(2)];
    for (const name of ['stdin', 'stdout', 'stderr']) {
      const f = (a[0] as Native).attrs.get(name);
      if (!isObj(f, 'native')) continue;
      yield* flush(vm, fileOf(f));
      fileOf(f).closed = true;
    }
    const [out, err] = yield* communicate(vm, p, a[1] ?? kw.get('input') ?? null);
    (a[0] as Native).attrs.set('returncode', yield* wait(vm, p));
    return tuple([hasOut ? out : null, hasErr ? err : null]);
  },
  ...Object.fromEntries(([['kill', SIG.KILL], ['terminate', SIG.TERM]] as const).map(([name, signal]) => [name, function* (vm: Vm, a: readonly Value[]): Call<Value> {
    if (processOf(a[0]!).status === null) yield* sysc(vm, 'kill', processOf(a[0]!).pid, signal);
    return null;
  }])),
  send_signal: function* (vm, a) {
    if (processOf(a[0]!).status === null) yield* sysc(vm, 'kill', processOf(a[0]!).pid, Number(a[1]));
    return null;
  },
  __enter__: function* (_vm, a) { return a[0]!; },
  __exit__: function* (vm, a) {
    yield* wait(vm, processOf(a[0]!));
    return null;
  },
}));

setShell(function* (vm, command) {
  const p = yield* start(vm, command, new Map<string, Value>([['shell', true]]));
  const { status } = yield* sysc(vm, 'wait4', p.pid, 0);
  return status;
});
