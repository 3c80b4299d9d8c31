/** Builtins that steer: break, continue, return, exit, eval, source, exec, command, builtin, trap, getopts, set, shift, … */
import { SysError } from '../../../kernel/abi.ts';
import { text } from '../../../sim/text.ts';
import { attempt, isDir, readBytes, statOf } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, strerror } from '../../lib/io.ts';
import { evaluate } from '../arithmetic.ts';
import { become } from '../exec.ts';
import { isStopped } from '../jobs.ts';
import { locate } from '../lookup.ts';
import { ansiQuote } from '../quote.ts';
import { catchSignal, defaultSignal, ignoreSignal, parseSignal, signalName, SIGNALS } from '../signals.ts';
import { Bad, Jump, type Shell } from '../state.ts';
import { environment, get, set, unset } from '../variables.ts';
import { type Builtin, fault, output } from './builtin.ts';

function leaveLoop(kind: 'break' | 'continue'): Builtin {
  return function* (sh, words) {
    const n = words[1] ?? '1';
    if (!/^\d+$/.test(n)) return yield* fault(sh, `${kind}: ${n}: numeric argument required`, 128);
    if (Number(n) < 1) return yield* fault(sh, `${kind}: ${n}: loop count out of range`);
    if (sh.loopDepth === 0) return sh.flavour === 'bash' ? yield* fault(sh, `${kind}: only meaningful in a \`for', \`while', or \`until' loop`, 0) : 0;
    throw new Jump(kind, Number(n));
  };
}

const leave: Builtin = function* (sh, words) {
  const n = words[1];
  if (n !== undefined && !/^-?\d+$/.test(n)) {
    yield* fault(sh, `return: ${n}: numeric argument required`, 2);
    throw new Jump('return', 2);
  }
  if (sh.functionNames.length === 0 && sh.sourceDepth === 0) {
    if (sh.flavour !== 'bash') throw new Jump('exit', n === undefined ? sh.status : Number(n) & 255);
    return yield* fault(sh, "return: can only `return' from a function or sourced script", 2);
  }
  throw new Jump('return', n === undefined ? sh.status : Number(n) & 255);
};

const exit: Builtin = function* (sh, words) {
  const n = words[1];
  if (words[0] === 'logout' && !sh.login) return yield* fault(sh, "logout: not login shell: use `exit'");
  if (sh.interactive) {
    yield* complain(words[0] === 'logout' ? 'logout\n' : sh.login ? 'logout\n' : 'exit\n');
    if (!sh.warned && sh.jobs.some(isStopped)) {
      sh.warned = true;
      return yield* stoppedJobs();
    }
  }
  if (n !== undefined && !/^\s*[-+]?\d+\s*$/.test(n)) {
    yield* fault(sh, `exit: ${n}: numeric argument required`);
    throw new Jump('exit', 2);
  }
  if (words.length > 2) throw new Jump('abandon', yield* fault(sh, 'exit: too many arguments'));
  throw new Jump('exit', n === undefined ? sh.status : Number(n) & 255);
};

function* stoppedJobs(): Call<number> {
  yield* complain('There are stopped jobs.\n');
  return 1;
}

const evaluateWords: Builtin = function* (sh, words) {
  const body = words.slice(words[1] === '--' ? 2 : 1).join(' ');
  if (body.trim() === '') return 0;
  if (sh.sourceDepth > 200) throw new Bad('eval: maximum eval nesting level exceeded (200)');
  sh.sourceDepth += sh.from === 'prompt' ? 0 : 1;
  try {
    return yield* sh.calls.text(sh, { text: body, firstLine: 1, name: sh.source.name }, 'eval');
  } finally {
    sh.sourceDepth -= sh.from === 'prompt' ? 0 : 1;
  }
};

const source: Builtin = function* (sh, words) {
  const name = words[1] === '--' ? words[2] : words[1];
  if (name === undefined) {
    yield* fault(sh, `${words[0]}: filename argument required`);
    yield* complain(`${words[0]}: usage: ${words[0]} filename [arguments]\n`);
    return 2;
  }
  const path = name.includes('/') ? name : ((yield* inPath(sh, name)) ?? name);
  const stat = yield* statOf(path);
  if (stat && isDir(stat)) return yield* fault(sh, `${words[0]}: ${name}: is a directory`);
  let body: string;
  try {
    body = text(yield* readBytes(path));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (sh.flavour !== 'bash') throw new Bad(sh.flavour === 'dash' ? `.: cannot open ${name}: No such file` : `.: can't open '${name}': ${strerror(error)}`, { status: 2, fatal: true });
    return yield* fault(sh, `${name}: ${strerror(error)}`);
  }
  if (sh.sourceDepth > 200) throw new Bad(`${name}: maximum source nesting level exceeded (200)`);
  const { params } = sh;
  if (words.length > 2) sh.params = words.slice(2);
  sh.sourceDepth++;
  sh.status = 0;
  try {
    return yield* sh.calls.text(sh, { text: body, firstLine: 1, name: path });
  } catch (error) {
    if (!(error instanceof Jump) || error.kind !== 'return') throw error;
    return error.count;
  } finally {
    sh.sourceDepth--;
    if (words.length > 2) sh.params = params;
  }
};

/** source looks in PATH for a readable file, executable or not, then here. */
function* inPath(sh: Shell, name: string): Call<string | null> {
  for (const dir of (get(sh, 'PATH') ?? '').split(':')) {
    const at = `${dir || '.'}/${name}`;
    const stat = yield* statOf(at);
    if (stat && !isDir(stat)) return at;
  }
  return null;
}

const exec: Builtin = function* (sh, words) {
  let at = 1;
  let name: string | null = null;
  let env = environment(sh);
  for (; words[at]?.startsWith('-') && words[at] !== '-'; at++) {
    if (words[at] === '--') {
      at++;
      break;
    }
    if (words[at] === '-a') name = words[++at] ?? '';
    else if (words[at] === '-c') env = {};
    else if (words[at] === '-l') name = `-${words[at + 1] ?? ''}`;
    else return yield* fault(sh, `exec: ${words[at]}: invalid option`, 2);
  }
  const command = words.slice(at);
  if (command.length === 0) return 0;
  const path = yield* locate(sh, command[0]!);
  if (path === null) {
    yield* fault(sh, sh.flavour === 'bash' ? `exec: ${command[0]}: not found` : `exec: ${command[0]}: not found`, 127);
    if (!sh.interactive) throw new Jump('exit', 127);
    return 127;
  }
  const status = yield* become(sh, path, name === null ? command : [name, ...command.slice(1)], env);
  if (!sh.interactive) throw new Jump('exit', status);
  return status;
};

const runBuiltin: Builtin = function* (sh, words) {
  return words.length < 2 ? 0 : yield* sh.calls.words(sh, words.slice(1), 'builtin');
};

const shift: Builtin = function* (sh, words) {
  const n = words[1] ?? '1';
  if (!/^-?\d+$/.test(n)) return yield* fault(sh, `shift: ${n}: numeric argument required`);
  if (Number(n) < 0) return yield* fault(sh, `shift: ${n}: shift count out of range`);
  if (Number(n) > sh.params.length) return sh.flavour === 'bash' ? 1 : yield* fault(sh, `shift: ${n}: shift count out of range`);
  sh.params = sh.params.slice(Number(n));
  return 0;
};

const trap: Builtin = function* (sh, words) {
  let args = words.slice(1);
  if (args[0] === '-l') return yield* output(sh, 'trap', listSignals());
  if (args[0] === '--') args = args.slice(1);
  if (args.length === 0 || args[0] === '-p') return yield* output(sh, 'trap', showTraps(sh, args.slice(1)));
  const reset = args[0] === '-' || args.length === 1 || /^\d+$/.test(args[0]!);
  const action = reset ? null : args[0]!;
  let status = 0;
  for (const spec of args.slice(reset && args[0] !== '-' ? 0 : 1)) {
    const signal = parseSignal(spec);
    if (signal === null) status = yield* fault(sh, `trap: ${spec}: invalid signal specification`);
    else yield* setTrap(sh, signal, action);
  }
  return status;
};

function* setTrap(sh: Shell, signal: number | string, action: string | null): Call<void> {
  const name = typeof signal === 'number' ? signalName(signal) : signal;
  if (typeof signal === 'number' && sh.ignored.has(signal) && !sh.interactive) return;
  if (action === null) sh.traps.delete(name);
  else sh.traps.set(name, action);
  if (typeof signal !== 'number') return;
  if (action === '') yield* attempt(ignoreSignal(signal), undefined);
  else if (action !== null || (sh.interactive && name === 'INT')) yield* attempt(catchSignal(sh, signal), undefined);
  else yield* attempt(defaultSignal(signal), undefined);
}

function showTraps(sh: Shell, only: readonly string[]): string {
  const wanted = only.map((s) => parseSignal(s)).map((s) => (typeof s === 'number' ? signalName(s) : s));
  const realTime = Array.from({ length: 31 }, (_, i) => signalName(34 + i));
  const order = ['EXIT', ...SIGNALS.map(([name]) => name), ...realTime, 'DEBUG', 'ERR', 'RETURN'];
  return order
    .filter((name) => sh.traps.has(name) && (wanted.length === 0 || wanted.includes(name)))
    .map((name) => `trap -- ${ansiQuote(sh.traps.get(name)!)} ${(SIGNALS.some(([n]) => n === name) || realTime.includes(name)) && sh.flavour === 'bash' ? 'SIG' : ''}${name}\n`)
    .join('');
}

/** The table of kill -l and trap -l. */
export function listSignals(): string {
  const all = SIGNALS.map(([name, number]) => `${String(number).padStart(2)}) ${`SIG${name}`}`);
  for (let n = 34; n <= 64; n++) all.push(`${n}) SIG${signalName(n)}`);
  let out = '';
  for (let i = 0; i < all.length; i += 5) out += `${all.slice(i, i + 5).join('\t')}\n`;
  return out;
}

const getopts: Builtin = function* (sh, words) {
  const [, spec, name] = words;
  if (spec === undefined || name === undefined) {
    yield* complain('getopts: usage: getopts optstring name [arg ...]\n');
    return 2;
  }
  const args = words.length > 3 ? words.slice(3) : sh.params;
  const state = { ...sh.getopts };
  const done = (letter: string, value: string | null): void => {
    set(sh, name, letter);
    if (value === null) unset(sh, 'OPTARG');
    else set(sh, 'OPTARG', value);
    set(sh, 'OPTIND', String(state.index));
    sh.getopts = state;
  };
  const word = args[state.index - 1];
  if (state.offset === 0) {
    if (word === undefined || !/^-./.test(word) || word === '--') {
      if (word === '--') state.index++;
      done('?', null);
      return 1;
    }
    state.offset = 1;
  }
  const letter = word![state.offset]!;
  state.offset++;
  const inWord = state.offset < word!.length;
  const at = spec.indexOf(letter);
  const silent = spec.startsWith(':');
  const advance = (): void => {
    state.index++;
    state.offset = 0;
  };
  if (at < 0 || letter === ':') {
    if (!inWord) advance();
    if (!silent) yield* complain(sh.flavour === 'bash' ? `${sh.arg0}: illegal option -- ${letter}\n` : `Illegal option -${letter}\n`);
    done('?', silent ? letter : null);
    return 0;
  }
  if (spec[at + 1] !== ':') {
    if (!inWord) advance();
    done(letter, null);
    return 0;
  }
  const value = inWord ? word!.slice(state.offset) : args[state.index];
  if (!inWord) state.index++;
  advance();
  if (value === undefined) {
    if (!silent) yield* complain(sh.flavour === 'bash' ? `${sh.arg0}: option requires an argument -- ${letter}\n` : `No arg for -${letter} option\n`);
    done(silent ? ':' : '?', silent ? letter : null);
    return 0;
  }
  done(letter, value);
  return 0;
};

const letBuiltin: Builtin = function* (sh, words) {
  if (words.length < 2) return yield* fault(sh, 'let: expression expected');
  let last = 0n;
  for (const word of words.slice(1)) last = evaluate(sh, word);
  return last === 0n ? 1 : 0;
};

// biome-ignore lint/correctness/useYield: the shape of every builtin
const constant = (status: number): Builtin => function* () { return status; };

export const flow: Readonly<Record<string, Builtin>> = {
  ':': constant(0), true: constant(0), false: constant(1), break: leaveLoop('break'), continue: leaveLoop('continue'), return: leave, exit, logout: exit,
  eval: evaluateWords, source, '.': source, exec, builtin: runBuiltin, shift, trap, getopts, let: letBuiltin,
};
