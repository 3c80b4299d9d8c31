/**
 * What dash and busybox's ash do otherwise than bash: builtins they lack, expansions they do not know, and their words for the same
 * faults. One list of rewriting rules, so that the interpreter says everything once, as bash does. Source: dash(1), busybox ash.
 */
import type { ParameterOperation } from 'unbash';
import type { Flavour } from './state.ts';

const BASH_ONLY = ['declare', 'typeset', 'shopt', 'pushd', 'popd', 'dirs', 'mapfile', 'readarray', 'disown', 'enable', 'logout', 'builtin', 'suspend'];

/** Builtins that are not there. */
export const MISSING: Readonly<Record<Flavour, ReadonlySet<string>>> = {
  bash: new Set(), ash: new Set(BASH_ONLY), dash: new Set([...BASH_ONLY, 'let', 'source', 'history', 'help']),
};

/** Does the shell know this operation of ${…}? */
export function knows(flavour: Flavour, operation: ParameterOperation): boolean {
  if (flavour === 'bash' || operation.type === 'Default' || operation.type === 'Remove') return true;
  return flavour === 'ash' && (operation.type === 'Slice' || operation.type === 'Replace');
}

type Rule = readonly [pattern: RegExp, dash: string, ash: string];

const RULES: readonly Rule[] = [
  [/^(\w+): (\S*): numeric argument required$/, '$1: Illegal number: $2', '$1: Illegal number: $2'],
  [/^(\[|test): (.*): integer expression expected$/, '$1: Illegal number: $2', '$2: bad number'],
  [/^\[: missing `\]'$/, '[: missing ]', '[: missing ]'],
  [/^(\[|test): (.*): (binary|unary) operator expected$/, '$1: $2: unexpected operator', '$2: unknown operand'],
  [/^(\S+): unbound variable$/, '$1: parameter not set', '$1: parameter not set'],
  [/^(?:\w+: )?(\w+): readonly variable$/, '$1: is read only', '$1: is read only'],
  [/^(.*): division by 0 \(error token is .*\)$/, 'arithmetic expression: division by zero: "$1"', 'divide by zero'],
  [/^(.*): syntax error.*\(error token is .*\)$/, 'arithmetic expression: expecting primary: "$1"', 'arithmetic syntax error'],
  [/^kill: \((.*)\) - (.*)$/, 'kill: $2\n', "kill: can't kill pid $1: $2"],
  [/^(fg|bg): (no job control|current: no such job)$/, '$1: No current job', '$1: no current job'],
  [/^(\w+): (%\S+): no such job$/, '$1: No such job: $2', '$1: $2: no such job'],
  [/^local: can only be used in a function$/, 'local: not in a function', 'local: not in a function'],
  [/^set: (\S+): invalid option name$/, 'set: Illegal option -o $1', 'set: illegal option -o $1'],
  [/^(\w+): -(\w): invalid option$/, '$1: Illegal option -$2', '$1: illegal option -$2'],
  [/^shift: .*out of range$/, "shift: can't shift that many", "shift: can't shift that many"],
  [/^trap: (\S+): invalid signal specification$/, 'trap: $1: bad trap', "trap: $1: invalid signal specification"],
  [/^unset: (\S+): cannot unset: readonly variable$/, 'unset: $1: is read only', 'unset: $1: is read only'],
  [/^(\S+): bad substitution$/, 'Bad substitution', 'bad substitution'],
  [/^(\w+): write error: (?!Broken pipe)(.*)$/, '$1: $1: I/O error', '$1: write error: $2'],
  [/^fork: (.*)$/, 'Cannot fork', "can't fork: $1"],
];

/** Faults of builtins that end a script in these shells, since the builtin is a special one. */
const FATAL = /^(local: not in a function|set: [Ii]llegal option|shift: can't|export: |readonly: |\w+: is read only)/;

/** The message as the flavour has it; `fatal` when it ends a script. */
export function reword(flavour: Flavour, message: string): { message: string; fatal: boolean } {
  if (flavour === 'bash') return { message, fatal: false };
  for (const [pattern, dash, ash] of RULES) {
    if (!pattern.test(message)) continue;
    const said = message.replace(pattern, flavour === 'dash' ? dash : ash);
    return { message: said, fatal: FATAL.test(said) };
  }
  return { message, fatal: FATAL.test(message) };
}
