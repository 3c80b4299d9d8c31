/**
 * Simple commands: assignments, expansion, look-up (function, builtin, PATH), redirections, and fork and execve for programs.
 * Source: bash(1) "Simple Command Expansion", COMMAND EXECUTION.
 */
import type { AndOr, Assignment, Command, CommandArgument, CompoundList, PipelineNode } from 'unbash';
import { compute, sys } from '../../kernel/sys.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain } from '../lib/io.ts';
import { arrayElements, assign } from './assign.ts';
import type { Arrays } from './builtins/builtin.ts';
import { BUILTINS, DECLARATIONS, SPECIAL } from './builtins/table.ts';
import { explain, spawn } from './child.ts';
import { become } from './exec.ts';
import { expandOne, expandString, expandWords, wordOf } from './expand.ts';
import { MISSING } from './flavour.ts';
import { addJob, waitForeground } from './jobs.ts';
import { locate } from './lookup.ts';
import { holdValues } from './memory.ts';
import { plainQuote } from './quote.ts';
import { redirect, restore, type Saved } from './redirect.ts';
import { runTrap, settle } from './signals.ts';
import { Bad, Jump, type Shell, type ShellFunction, type Variable } from './state.ts';
import { blank, environment, find, get } from './variables.ts';

export type Node = PipelineNode | AndOr | CompoundList;

/** What a simple command costs the shell before anything it does, ns. */
const COMMAND_NS = 12_000;
const MAX_DEPTH = 200;

export function* simple(sh: Shell, node: Command): Call<number> {
  const replace = sh.replaceable;
  sh.replaceable = false;
  sh.pos = node.pos;
  yield* compute(COMMAND_NS);
  if (sh.swollen > 0) yield* holdValues(sh);
  if (sh.pending.length > 0) yield* settle(sh);
  const debug = sh.traps.get('DEBUG');
  if (debug) {
    sh.traps.delete('DEBUG');
    yield* sh.calls.text(sh, { text: debug, firstLine: 1, name: sh.source.name });
    sh.traps.set('DEBUG', debug);
  }
  sh.substituted = -1;
  try {
    return yield* perform(sh, node, replace);
  } catch (error) {
    if (error instanceof Jump) throw error;
    const status = yield* explain(sh, error);
    if (error instanceof Bad && !sh.interactive && (error.fatal || sh.flavour !== 'bash')) throw new Jump('exit', sh.flavour !== 'bash' ? 2 : status === 127 && sh.from !== 'string' ? 1 : status);
    if (error instanceof Bad) throw new Jump('abandon', status);
    return status;
  } finally {
    yield* closeSubstitutions(sh);
  }
}

function* closeSubstitutions(sh: Shell): Call<void> {
  if (sh.substitutions.length === 0) return;
  for (const fd of sh.substitutions.splice(0)) yield* attempt(sys('close', fd), 0);
}

function* perform(sh: Shell, node: Command, replace: boolean): Call<number> {
  const assignments = node.prefix.filter((p): p is Assignment => p.type === 'Assignment');
  const arrays: Arrays = new Map();
  const words = yield* argumentsOf(sh, node, arrays);
  if (words.length === 0) return yield* assignOnly(sh, node, assignments);
  sh.lastWord = words.at(-1)!;
  if (sh.options.has('xtrace')) yield* trace(sh, [...assignments.map((a) => a.text), ...words.map(plainQuote)]);
  const name = words[0]!;
  const fn = SPECIAL.has(name) && sh.flavour !== 'bash' ? undefined : sh.functions.get(name);
  const builtin = fn || MISSING[sh.flavour].has(name) ? undefined : BUILTINS[name];
  if (!fn && !builtin) return yield* external(sh, words, node, assignments, replace);
  const saved: Saved[] = [];
  const keep = name === 'exec' && !fn;
  try {
    yield* redirect(sh, node.redirects, keep && words.length === 1 ? null : saved);
  } catch (error) {
    yield* restore(saved);
    const told = yield* explain(sh, error);
    const status = sh.flavour === 'ash' ? 1 : told;
    if (keep && !sh.interactive) throw new Jump('exit', status);
    return status;
  }
  const temporary = yield* prefixScope(sh, assignments);
  if (temporary) sh.scopes.push(temporary);
  try {
    if (fn) return yield* call(sh, fn, words.slice(1));
    return yield* builtin!(sh, words, arrays);
  } finally {
    if (temporary) sh.scopes = sh.scopes.filter((s) => s !== temporary);
    yield* restore(saved);
  }
}

function* argumentsOf(sh: Shell, node: Command, arrays: Arrays): Call<string[]> {
  if (!node.name) return [];
  const declares = DECLARATIONS.has(node.name.value);
  const out = yield* expandWords(sh, [node.name]);
  for (const arg of node.suffix) {
    if (arg.type === 'Word') out.push(...(yield* expandWords(sh, [arg])));
    else if (arg.type === 'Assignment') yield* assignmentArgument(sh, arg, declares, out, arrays);
  }
  return out;
}

function* assignmentArgument(sh: Shell, arg: Extract<CommandArgument, { type: 'Assignment' }>, declares: boolean, out: string[], arrays: Arrays): Call<void> {
  if (arg.value.type === 'ArrayValue') {
    out.push(arg.name);
    arrays.set(arg.name, yield* arrayElements(sh, arg.name, arg.value, (out.includes('-A') || find(sh, arg.name)?.kind === 'assoc') ? 'assoc' : 'array'));
    return;
  }
  if (!declares) {
    out.push(...(yield* expandWords(sh, [wordOf(arg.text)])));
    return;
  }
  const index = arg.index ? `[${arg.index.text}]` : '';
  out.push(`${arg.name}${index}${arg.append ? '+' : ''}=${yield* expandOne(sh, arg.value, 'assignment')}`);
}

function* assignOnly(sh: Shell, node: Command, assignments: readonly Assignment[]): Call<number> {
  for (const one of assignments) {
    yield* assign(sh, one);
    if (sh.options.has('xtrace')) yield* trace(sh, [one.value.type === 'Word' && !one.index ? `${one.name}=${plainQuote(get(sh, one.name) ?? '')}` : one.text]);
  }
  if (node.redirects.length > 0) {
    const saved: Saved[] = [];
    try {
      yield* redirect(sh, node.redirects, saved);
    } catch (error) {
      return yield* explain(sh, error);
    } finally {
      yield* restore(saved);
    }
  }
  return sh.substituted >= 0 ? sh.substituted : 0;
}

/** The scope of assignments before a command; null when there are none. */
function* prefixScope(sh: Shell, assignments: readonly Assignment[]): Call<Map<string, Variable> | null> {
  if (assignments.length === 0) return null;
  const scope = new Map<string, Variable>();
  for (const one of assignments) {
    if (find(sh, one.name)?.readonly) throw new Bad(`${one.name}: readonly variable`);
    const value = one.value.type === 'Word' ? yield* expandOne(sh, one.value, 'assignment') : '';
    scope.set(one.name, { ...blank(), exported: true, value: one.append ? (get(sh, one.name) ?? '') + value : value });
  }
  return scope;
}

function* trace(sh: Shell, words: readonly string[]): Call<void> {
  const ps4 = yield* expandString(sh, get(sh, 'PS4') ?? '+ ');
  yield* complain(`${ps4.charAt(0).repeat(sh.sourceDepth)}${ps4}${words.join(' ')}\n`);
}

export function* call(sh: Shell, fn: ShellFunction, args: readonly string[]): Call<number> {
  if (sh.functionNames.length >= MAX_DEPTH) throw new Bad(`${fn.name}: maximum function nesting level exceeded (${MAX_DEPTH})`, { fatal: false });
  const { params, source, pos, loopDepth } = sh;
  const depth = sh.scopes.length;
  sh.params = args.slice();
  sh.functionNames.push(fn.name);
  sh.functionScopes.push(sh.scopes.length);
  sh.scopes.push(new Map());
  sh.source = fn.source;
  sh.loopDepth = 0;
  try {
    return yield* sh.calls.compound(sh, { type: 'CompoundList', pos: fn.body.pos, end: fn.body.end, commands: [{ type: 'Statement', pos: fn.body.pos, end: fn.body.end, command: fn.body as PipelineNode, background: undefined }] });
  } catch (error) {
    if (!(error instanceof Jump) || error.kind !== 'return') throw error;
    sh.status = error.count;
    return error.count;
  } finally {
    const action = sh.traps.get('RETURN');
    if (action) yield* runTrap(sh, action);
    sh.scopes.length = depth;
    sh.functionNames.pop();
    sh.functionScopes.pop();
    sh.params = params;
    sh.source = source;
    sh.pos = pos;
    sh.loopDepth = loopDepth;
  }
}

/** Runs words as a command: for builtin, command, and traps of those. */
export function* runWords(sh: Shell, words: readonly string[], how: 'any' | 'no-functions' | 'builtin'): Call<number> {
  const name = words[0]!;
  const fn = how === 'any' ? sh.functions.get(name) : undefined;
  if (fn) return yield* call(sh, fn, words.slice(1));
  const builtin = MISSING[sh.flavour].has(name) ? undefined : BUILTINS[name];
  if (builtin) return yield* builtin(sh, words, new Map());
  if (how === 'builtin') throw new Bad(`builtin: ${name}: not a shell builtin`);
  return yield* program(sh, words, environment(sh), [], false, words.join(' '));
}

function* external(sh: Shell, words: readonly string[], node: Command, assignments: readonly Assignment[], replace: boolean): Call<number> {
  const scope = yield* prefixScope(sh, assignments);
  if (scope) sh.scopes.push(scope);
  const env = environment(sh);
  if (scope) sh.scopes.pop();
  return yield* program(sh, words, env, node.redirects, replace, sh.source.text.slice(node.pos, node.end));
}

function* program(
  sh: Shell, words: readonly string[], env: Record<string, string>, redirects: Command['redirects'], replace: boolean, label: string,
): Call<number> {
  const path = yield* locate(sh, words[0]!);
  if (replace && sh.traps.size === 0) {
    yield* redirect(sh, redirects, null);
    return yield* become(sh, path, words, env);
  }
  const job = addJob(sh, label, true);
  yield* spawn(sh, job, function* (child) {
    yield* redirect(child, redirects, null);
    return yield* become(child, path, words, env);
  }, { background: false, close: [] });
  return yield* waitForeground(sh, job);
}
