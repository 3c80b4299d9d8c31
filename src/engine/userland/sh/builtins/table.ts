/** Every builtin by name. */
import type { Builtin } from './builtin.ts';
import { directories } from './dirs.ts';
import { flow } from './flow.ts';
import { names, namesOf } from './names.ts';
import { processes } from './processes.ts';
import { textBuiltins } from './text.ts';
import { variables } from './variables.ts';

const most: Readonly<Record<string, Builtin>> = { ...flow, ...variables, ...textBuiltins, ...directories, ...processes, ...names };
const all: ReadonlySet<string> = new Set([...Object.keys(most), 'type', 'command', 'enable', 'help']);

/** A record without a prototype: a command called "constructor" is no builtin. */
export const BUILTINS: Readonly<Record<string, Builtin | undefined>> = Object.assign(Object.create(null) as Record<string, Builtin>, most, namesOf(all));

/** Builtins whose arguments of the form NAME=value are assignments. */
export const DECLARATIONS: ReadonlySet<string> = new Set(['declare', 'typeset', 'local', 'export', 'readonly', 'alias']);

/** POSIX special builtins: in dash and ash a function cannot hide them. */
export const SPECIAL: ReadonlySet<string> = new Set(['break', ':', 'continue', '.', 'eval', 'exec', 'exit', 'export', 'readonly', 'return', 'set', 'shift', 'times', 'trap', 'unset']);
