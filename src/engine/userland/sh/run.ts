/**
 * The interpreter over unbash's tree: lists, pipelines as real processes, compound commands, jobs in the background.
 * Statuses are returned and kept in `sh.status`; break, continue, return and exit are thrown. Source: bash(1) SHELL GRAMMAR.
 */
import type { AndOr, Case, CompoundList, For, Function as FunctionNode, If, Pipeline, PipelineNode, Redirected, Select, Statement, Subshell, While } from 'unbash';
import { O_CLOEXEC } from '../../kernel/abi.ts';
import { compute, sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { attempt, drain } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print } from '../lib/io.ts';
import { type Part, explain, spawn } from './child.ts';
import { evaluateText, expandOne, expandPattern, expandWords } from './expand.ts';
import { addJob, jobStatus, numberJob, waitAny, waitForeground, isDone } from './jobs.ts';
import { compile, matches } from './pattern.ts';
import { redirect, restore, type Saved } from './redirect.ts';
import { readLine } from './lines.ts';
import { runTrap, settle } from './signals.ts';
import { simple, type Node } from './simple.ts';
import { holdText, LONG } from './memory.ts';
import { Bad, Jump, prefix, type Shell, type Source } from './state.ts';
import { commands } from './syntax.ts';
import { testExpression } from './test.ts';
import { get, set } from './variables.ts';

/** What a round of a loop costs the shell, ns. */
const ROUND_NS = 4000;
/** The output of a command that a shell can hold, bytes. */

/** `tail`: the shell has nothing left to do after it. */
export function* list(sh: Shell, statements: readonly Statement[], tail = false): Call<number> {
  for (const [i, statement] of statements.entries()) {
    sh.replaceable = tail && i === statements.length - 1 && mayReplace(sh, statement, i);
    yield* one(sh, statement);
  }
  sh.replaceable = false;
  return sh.status;
}

export function* compound(sh: Shell, body: CompoundList, tail = false): Call<number> {
  return yield* list(sh, body.commands, tail);
}

/** May the last command of a list take the process over? bash lets a plain command do it, dash one that is alone, ash whatever is the last of its kind all the way down. */
function mayReplace(sh: Shell, { background, command }: Statement, index: number): boolean {
  if (background || sh.traps.size > 0) return false;
  return sh.flavour === 'ash' || (command.type === 'Command' && (index === 0 || sh.flavour === 'bash'));
}

function* one(sh: Shell, statement: Statement): Call<number> {
  if (sh.options.has('noexec') && !sh.interactive) return sh.status;
  sh.pos = statement.pos;
  if (statement.background) return yield* background(sh, statement);
  return yield* execute(sh, statement.command);
}

/** A list after which the process ends. */
export const lastList = (sh: Shell, statements: readonly Statement[]): Call<number> => list(sh, statements, true);

export function* execute(sh: Shell, node: Node): Call<number> {
  sh.status = yield* dispatch(sh, node);
  if (sh.pending.length > 0) yield* settle(sh);
  return sh.status;
}

function* dispatch(sh: Shell, node: Node): Call<number> {
  const tail = sh.replaceable;
  if (node.type !== 'Command') sh.replaceable = false;
  switch (node.type) {
    case 'Command': {
      const status = yield* simple(sh, node);
      sh.pipeStatus = [status];
      return yield* checked(sh, status);
    }
    case 'Pipeline': return yield* pipeline(sh, node);
    case 'AndOr': return yield* andOr(sh, node, tail);
    case 'If': return yield* conditional(sh, node, tail);
    case 'For': return yield* forEach(sh, node);
    case 'ArithmeticFor': return yield* forArithmetic(sh, node);
    case 'While': return yield* whileLoop(sh, node);
    case 'Case': return yield* select(sh, node, tail);
    case 'Select': return yield* menu(sh, node);
    case 'BraceGroup': return yield* compound(sh, node.body, tail);
    case 'CompoundList': return yield* compound(sh, node, tail);
    case 'Subshell': return yield* checked(sh, yield* tail ? lastList(sh, node.body.commands) : subshell(sh, node));
    case 'TestCommand': return yield* checked(sh, yield* conditionalCommand(sh, node));
    case 'ArithmeticCommand': return yield* checked(sh, (yield* evaluateText(sh, node.body)) === 0n ? 1 : 0);
    case 'Redirected': return yield* redirected(sh, node);
    case 'Function': return define(sh, node);
    case 'Coproc': throw new Bad('not modelled: coproc');
  }
}

/** [[ … ]]: 2 for a pattern that is none. dash takes it for a command's name. */
function* conditionalCommand(sh: Shell, node: Extract<Node, { type: 'TestCommand' }>): Call<number> {
  if (sh.flavour === 'dash') {
    yield* complain(`${prefix(sh)}[[: not found\n`);
    return 127;
  }
  try {
    return (yield* testExpression(sh, node.expression)) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Bad) || error.message !== '') throw error;
    return error.status;
  }
}

/** set -e and the ERR trap look at the status of a plain command. */
function* checked(sh: Shell, status: number): Call<number> {
  sh.status = status;
  if (status === 0 || sh.errexitOff > 0) return status;
  const trap = sh.traps.get('ERR');
  if (trap && (sh.functionNames.length === 0 || sh.options.has('errtrace'))) yield* runTrap(sh, trap);
  if (sh.options.has('errexit')) throw new Jump('exit', status);
  return status;
}

/** Runs without set -e: conditions, all but the last of && and ||, what ! inverts. */
function* tolerant(sh: Shell, run: Call<number>): Call<number> {
  sh.errexitOff++;
  try {
    return yield* run;
  } finally {
    sh.errexitOff--;
  }
}

function* andOr(sh: Shell, node: AndOr, tail: boolean): Call<number> {
  const last = node.commands.length - 1;
  for (const [i, command] of node.commands.entries()) {
    const operator = node.operators[i - 1];
    if (operator && (operator === '&&') !== (sh.status === 0)) continue;
    if (i < last) yield* tolerant(sh, execute(sh, command));
    else {
      sh.replaceable = tail;
      yield* execute(sh, command);
    }
  }
  return sh.status;
}

function* pipeline(sh: Shell, node: Pipeline): Call<number> {
  const negations = node.prefixes.filter((p) => p.type === 'Negation').length;
  const timed = node.prefixes.some((p) => p.type === 'Time');
  const before = timed ? yield* clocks() : null;
  let status: number;
  if (node.commands.length === 0) status = 0;
  else if (node.commands.length > 1) {
    status = yield* piped(sh, node);
    if (negations === 0) status = yield* checked(sh, status);
  } else if (negations > 0) status = yield* tolerant(sh, execute(sh, node.commands[0]!));
  else status = yield* execute(sh, node.commands[0]!);
  if (before) yield* complain(elapsed(before, yield* clocks()));
  return negations % 2 === 1 ? (status === 0 ? 1 : 0) : status;
}

interface Clocks {
  real: number;
  user: number;
  sys: number;
}

function* clocks(): Call<Clocks> {
  const real = yield* sys('clock_gettime', 'monotonic');
  const own = yield* sys('getrusage', 0);
  const children = yield* sys('getrusage', -1);
  return { real, user: own.utime + children.utime, sys: own.stime + children.stime };
}

function elapsed(from: Clocks, to: Clocks): string {
  const show = (ns: number): string => `${Math.floor(ns / 60e9)}m${((ns % 60e9) / 1e9).toFixed(3)}s`;
  return `\nreal\t${show(to.real - from.real)}\nuser\t${show(to.user - from.user)}\nsys\t${show(to.sys - from.sys)}\n`;
}

/** A node's words as a job listing shows them. */
function textOf(sh: Shell, node: { pos: number; end: number }): string {
  const cut = sh.source.text.slice(node.pos, node.end).replace(/\s*\n\s*/g, ' ').trim();
  return cut.length > 200 ? `${cut.slice(0, 200)}…` : cut;
}

/** A subshell alone is written with blanks within its parentheses. */
function labelOf(sh: Shell, node: { type?: string; pos: number; end: number }): string {
  const text = textOf(sh, node);
  return node.type === 'Subshell' ? text.replace(/^\(\s*(.*\S)\s*\)$/, '( $1 )') : text;
}

/** What a process of a pipeline or in the background does; where that is a subshell, the process is the subshell. */
const partOf = (node: Node): Part =>
  function* (child) {
    child.replaceable = child.traps.size === 0 && (node.type === 'Command' || child.flavour === 'ash');
    if (node.type === 'Subshell') return yield* lastList(child, node.body.commands);
    if (node.type !== 'Redirected' || node.command.type !== 'Subshell') return yield* execute(child, node);
    try {
      yield* redirect(child, node.redirects, null);
    } catch (error) {
      return yield* explain(child, error);
    }
    return yield* lastList(child, node.command.body.commands);
  };

function* piped(sh: Shell, node: Pipeline): Call<number> {
  const job = addJob(sh, textOf(sh, node), true);
  yield* startPipeline(sh, job, node, false);
  return yield* waitForeground(sh, job);
}

function* startPipeline(sh: Shell, job: ReturnType<typeof addJob>, node: Pipeline, inBackground: boolean): Call<void> {
  let input: number | undefined;
  for (const [i, command] of node.commands.entries()) {
    const last = i === node.commands.length - 1;
    const pipe = last ? null : yield* sys('pipe2', O_CLOEXEC);
    try {
      yield* spawn(sh, job, partOf(command), {
        background: inBackground, both: node.operators[i] === '|&', close: pipe ? [pipe[0]] : [],
        ...(input === undefined ? {} : { stdin: input }), ...(pipe ? { stdout: pipe[1] } : {}),
      });
    } finally {
      if (input !== undefined) yield* attempt(sys('close', input), 0);
      if (pipe) yield* attempt(sys('close', pipe[1]), 0);
      input = pipe?.[0];
    }
  }
}

function* background(sh: Shell, statement: Statement): Call<number> {
  const node = statement.command;
  const job = addJob(sh, labelOf(sh, { type: node.type, pos: statement.pos, end: node.end }), false);
  if (node.type === 'Pipeline' && node.commands.length > 1 && node.prefixes.length === 0) yield* startPipeline(sh, job, node, true);
  else yield* spawn(sh, job, partOf(node), { background: true, close: [] });
  sh.lastBackground = job.processes.at(-1)!.pid;
  numberJob(sh, job);
  if (sh.interactive) yield* complain(`[${job.id}] ${sh.lastBackground}\n`);
  sh.status = 0;
  return 0;
}

function* subshell(sh: Shell, node: Subshell): Call<number> {
  return yield* inChild(sh, labelOf(sh, node), (child) => lastList(child, node.body.commands));
}

/** Runs a part in a child process in the foreground. */
export function* inChild(sh: Shell, label: string, part: Part): Call<number> {
  const job = addJob(sh, label, true);
  yield* spawn(sh, job, part, { background: false, close: [] });
  return yield* waitForeground(sh, job);
}

function* redirected(sh: Shell, node: Redirected): Call<number> {
  if (node.command.type === 'Subshell') {
    const { body } = node.command;
    return yield* checked(sh, yield* inChild(sh, textOf(sh, node), function* (child) {
      yield* redirect(child, node.redirects, null);
      return yield* lastList(child, body.commands);
    }));
  }
  const saved: Saved[] = [];
  try {
    yield* redirect(sh, node.redirects, saved);
  } catch (error) {
    yield* restore(saved);
    return yield* checked(sh, yield* explain(sh, error));
  }
  try {
    return yield* execute(sh, node.command);
  } finally {
    yield* restore(saved);
  }
}

function define(sh: Shell, node: FunctionNode): number {
  const name = node.name.value;
  const source = sh.from === 'string' && sh.source.name === '' && sh.flavour === 'bash' ? { ...sh.source, name: 'environment' } : sh.source;
  sh.functions.set(name, { name, body: node.body, source, exported: false });
  return 0;
}

function* conditional(sh: Shell, node: If, tail: boolean): Call<number> {
  for (const branch of [node, ...node.elif]) {
    if ((yield* tolerant(sh, compound(sh, branch.clause))) === 0) return yield* compound(sh, branch.then, tail);
  }
  if (node.else) return yield* compound(sh, node.else, tail);
  return 0;
}

/** One round of a loop; false when the loop is over. */
function* round(sh: Shell, body: CompoundList): Call<boolean> {
  yield* compute(ROUND_NS);
  if (sh.pending.length > 0) yield* settle(sh);
  try {
    yield* compound(sh, body);
    return true;
  } catch (error) {
    if (!(error instanceof Jump) || (error.kind !== 'break' && error.kind !== 'continue')) throw error;
    if (error.count > 1 && sh.loopDepth > 1) {
      error.count--;
      throw error;
    }
    sh.status = 0;
    return error.kind === 'continue';
  }
}

function* loop(sh: Shell, body: Call<number>): Call<number> {
  sh.loopDepth++;
  try {
    return yield* body;
  } finally {
    sh.loopDepth--;
  }
}

function* forEach(sh: Shell, node: For): Call<number> {
  const values = node.wordlist ? yield* expandWords(sh, node.wordlist) : sh.params.slice();
  const name = node.name.value;
  if (!/^[A-Za-z_]\w*$/.test(name)) throw new Bad(`\`${node.name.text}': not a valid identifier`);
  sh.status = 0;
  return yield* loop(sh, (function* () {
    for (const value of values) {
      set(sh, name, value);
      if (!(yield* round(sh, node.body))) break;
    }
    return sh.status;
  })());
}

function* forArithmetic(sh: Shell, node: Extract<Node, { type: 'ArithmeticFor' }>): Call<number> {
  const source = sh.source.text;
  const part = (expression: { pos: number; end: number } | undefined): string => (expression ? source.slice(expression.pos, expression.end) : '');
  const [first, test, update] = [part(node.initialize), part(node.test), part(node.update)] as const;
  yield* evaluateText(sh, first);
  sh.status = 0;
  return yield* loop(sh, (function* () {
    while (test.trim() === '' || (yield* evaluateText(sh, test)) !== 0n) {
      if (!(yield* round(sh, node.body))) break;
      yield* evaluateText(sh, update);
    }
    return sh.status;
  })());
}

function* whileLoop(sh: Shell, node: While): Call<number> {
  const wanted = node.kind === 'while';
  return yield* loop(sh, (function* () {
    let status = 0;
    for (;;) {
      let holds: boolean;
      try {
        holds = ((yield* tolerant(sh, compound(sh, node.clause))) === 0) === wanted;
      } catch (error) {
        if (!(error instanceof Jump) || error.kind !== 'break') throw error;
        if (error.count > 1 && sh.loopDepth > 1) {
          error.count--;
          throw error;
        }
        return 0;
      }
      if (!holds) return status;
      const on = yield* round(sh, node.body);
      status = sh.status;
      if (!on) return status;
    }
  })());
}

function* select(sh: Shell, node: Case, tail: boolean): Call<number> {
  const word = yield* expandOne(sh, node.word);
  sh.status = 0;
  let fall = false;
  for (const item of node.items) {
    let hit = fall;
    for (const pattern of hit ? [] : item.pattern) {
      if (matches(compile(yield* expandPattern(sh, pattern)), word, sh.shopts.has('nocasematch'))) {
        hit = true;
        break;
      }
    }
    if (!hit) continue;
    yield* compound(sh, item.body, tail && item.terminator !== ';&' && item.terminator !== ';;&');
    fall = item.terminator === ';&';
    if (item.terminator !== ';&' && item.terminator !== ';;&') break;
  }
  return sh.status;
}

/** select: the numbered menu on standard error, the answer in REPLY. */
function* menu(sh: Shell, node: Select): Call<number> {
  const values = node.wordlist ? yield* expandWords(sh, node.wordlist) : sh.params.slice();
  if (values.length === 0) return 0;
  return yield* loop(sh, (function* () {
    let show = true;
    for (;;) {
      if (show) yield* complain(values.map((v, i) => `${String(i + 1).padStart(String(values.length).length)}) ${v}\n`).join(''));
      yield* complain(get(sh, 'PS3') ?? '#? ');
      const answer = yield* readLine(0);
      if (answer === null) {
        yield* print('\n');
        return 1;
      }
      show = answer.trim() === '';
      if (show) continue;
      set(sh, 'REPLY', answer);
      set(sh, node.name.value, values[Number(answer.trim()) - 1] ?? '');
      if (!(yield* round(sh, node.body))) return sh.status;
    }
  })());
}

/** The output of a list run in a child, without its trailing newlines. */
export function* substitute(sh: Shell, statements: readonly Statement[], source: Source): Call<string> {
  const direct = inputOnly(statements);
  const [r, w] = yield* sys('pipe2', O_CLOEXEC);
  const job = addJob(sh, '', true);
  job.grouped = false;
  yield* spawn(sh, job, function* (child) {
    child.source = source;
    child.loopDepth = 0;
    if (direct) {
      yield* redirect(child, direct, null);
      yield* print(text(yield* drain(0)));
      return 0;
    }
    return yield* lastList(child, statements);
  }, { background: false, stdout: w, close: [r] });
  yield* sys('close', w);
  let output: Uint8Array;
  try {
    output = yield* drainThrough(sh, r);
  } finally {
    yield* attempt(sys('close', r), 0);
  }
  while (!isDone(job)) yield* waitAny(sh);
  const pipeStatus = sh.pipeStatus;
  sh.substituted = jobStatus(sh, job);
  sh.pipeStatus = pipeStatus;
  sh.status = sh.substituted;
  sh.jobs = sh.jobs.filter((j) => j !== job);
  return text(output).replace(/\0/g, '').replace(/\n+$/, '');
}

/** As drain, but a signal does not end it. */
function* drainThrough(sh: Shell, fd: number): Call<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const data = yield* attempt(sys('read', fd, 65536), null, 'EINTR');
    if (data === null) {
      if (sh.interactive) yield* settle(sh);
      continue;
    }
    if (data.length === 0) break;
    parts.push(data);
    size += data.length;
    if (size >= LONG) yield* holdText(sh, size);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

/** $(<file): only a redirection of input. */
function inputOnly(statements: readonly Statement[]): Extract<PipelineNode, { type: 'Command' }>['redirects'] | null {
  const only = statements.length === 1 ? statements[0]!.command : null;
  if (only?.type !== 'Command' || only.name || only.prefix.some((p) => p.type === 'Assignment') || only.redirects.length !== 1) return null;
  const first = only.redirects[0]!;
  return first.type === 'Redirect' && first.operator === '<' ? only.redirects : null;
}

/** <(…) and >(…): a child on the other end of a pipe that is named by its descriptor. */
export function* processSubstitution(sh: Shell, statements: readonly Statement[], source: Source, direction: '<' | '>'): Call<string> {
  const [r, w] = yield* sys('pipe2', 0);
  const job = addJob(sh, '', false);
  job.grouped = false;
  job.disowned = true;
  const [mine, theirs] = direction === '<' ? [r, w] : [w, r];
  yield* spawn(sh, job, function* (child) {
    child.source = source;
    return yield* lastList(child, statements);
  }, { background: true, ...(direction === '<' ? { stdout: theirs, stdin: 0 } : { stdin: theirs }), close: [mine] });
  yield* sys('close', theirs);
  const fd = yield* sys('fcntl', mine, 'dupfd', 63);
  yield* sys('close', mine);
  sh.substitutions.push(fd);
  return `/dev/fd/${fd}`;
}

/** Runs a text command by command. A syntax error is told (`what` says whose text it was) and ends it. */
export function* runText(sh: Shell, source: Source, what = ''): Call<number> {
  const { source: outer, pos } = sh;
  try {
    for (const reading of commands(sh, source)) {
      if (reading.state === 'wrong') {
        yield* complain(syntaxMessage(sh, source, reading, what));
        sh.status = 2;
        if (sh.flavour !== 'bash' && !sh.interactive) throw new Jump('exit', 2);
        return 2;
      }
      sh.source = reading.source;
      if (reading.state === 'complete' && reading.warning) yield* complain(`${source.name || sh.arg0}: ${reading.warning}\n`);
      if (sh.options.has('verbose')) yield* complain(reading.source.text);
      if (reading.script.commands.length > 0) yield* list(sh, reading.script.commands);
    }
    return sh.status;
  } finally {
    sh.source = outer;
    sh.pos = pos;
  }
}

/** What bash prints about a command that it cannot parse. */
export function syntaxMessage(sh: Shell, source: Source, wrong: { message: string; line: number; lineText: string }, what = ''): string {
  if (sh.flavour === 'dash') return `${source.name || sh.arg0}: ${wrong.line}: ${what === 'eval' ? 'eval: ' : ''}${posixMessage(wrong.message)}\n`;
  if (sh.flavour === 'ash') return `${sh.from === 'prompt' ? 'sh' : source.name || sh.arg0}: ${sh.from === 'script' ? `line ${wrong.line}: ` : ''}${posixMessage(wrong.message)}\n`;
  if (sh.from === 'prompt' && source.name === '' && what === '') return `${prefix(sh)}${wrong.message}\n`;
  const shell = sh.arg0.replace(/^-|^.*\//, '');
  const name = sh.from === 'prompt' ? (source.name ? `${shell}: ${source.name}` : shell) : source.name || sh.arg0;
  const where = `${name}: ${what !== '' ? `${what}: ` : sh.from === 'string' && source.name === '' ? '-c: ' : ''}line ${wrong.line}: `;
  return `${where}${wrong.message}\n${wrong.lineText === '' ? '' : `${where}\`${wrong.lineText}'\n`}`;
}

/** dash and ash say it with another word. */
function posixMessage(message: string): string {
  const token = /unexpected token `(.*)'$/.exec(message)?.[1];
  if (token !== undefined) return token === 'newline' ? 'Syntax error: newline unexpected' : `Syntax error: "${token}" unexpected`;
  if (message.startsWith('unexpected EOF')) return 'Syntax error: Unterminated quoted string';
  return 'Syntax error: end of file unexpected';
}

