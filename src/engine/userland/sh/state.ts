/**
 * All state of one shell process, as plain records. A forked child gets a copy (`copyShell`): nothing is shared but the
 * syntax trees, which nobody changes. Behaviour lives in the files named after it; what would make them depend on each
 * other in a circle goes through `calls`.
 */
import type { Heap } from '../lib/heap.ts';
import type { CompoundList, Function as FunctionNode, Statement } from 'unbash';
import type { Call } from '../lib/http.ts';

export type Flavour = 'bash' | 'dash' | 'ash';

export interface Variable {
  /** A scalar, an indexed array or an associative one; undefined when declared and not set. */
  value: string | Map<number, string> | Map<string, string> | undefined;
  kind: 'scalar' | 'array' | 'assoc';
  exported: boolean;
  readonly: boolean;
  integer: boolean;
  letters: 'lower' | 'upper' | null;
  /** declare -n. */
  nameref: boolean;
}

/** A text that commands come from, for the line numbers of messages. */
export interface Source {
  text: string;
  /** Line number of its first line. */
  firstLine: number;
  /** What messages call it: the script's name, or empty at a prompt. */
  name: string;
}

export interface ShellFunction {
  name: string;
  body: FunctionNode['body'];
  source: Source;
  exported: boolean;
}

export interface Process {
  pid: number;
  /** Status word of wait4; null while it runs. */
  status: number | null;
  stopped: boolean;
}

export interface Job {
  id: number;
  pgid: number;
  processes: Process[];
  text: string;
  foreground: boolean;
  /** Its present state has been told. */
  told: boolean;
  disowned: boolean;
  /** Runs in a process group of its own. */
  grouped: boolean;
  /** The parent shell's: shown, not waited for. */
  foreign: boolean;
}

/** What files of the shell need of each other without importing each other. */
export interface Calls {
  /** Runs statements; the status of the last. */
  list(sh: Shell, statements: readonly Statement[]): Call<number>;
  compound(sh: Shell, list: CompoundList): Call<number>;
  /** Parses and runs a text, line by line, as eval and source do. */
  text(sh: Shell, source: Source, what?: string): Call<number>;
  /** Output of a command substitution, trailing newlines removed. */
  substitute(sh: Shell, statements: readonly Statement[], source: Source): Call<string>;
  /** Path of a process substitution. */
  processSubstitution(sh: Shell, statements: readonly Statement[], source: Source, direction: '<' | '>'): Call<string>;
  /** Runs a command by its words, without functions when asked (command, builtin, exec go through it). */
  words(sh: Shell, words: readonly string[], how: 'any' | 'no-functions' | 'builtin'): Call<number>;
  call(sh: Shell, fn: ShellFunction, args: readonly string[]): Call<number>;
}

export interface Shell {
  calls: Calls;
  flavour: Flavour;
  arg0: string;
  interactive: boolean;
  login: boolean;
  /** Where commands come from: a prompt, -c, a script file, standard input. */
  from: 'prompt' | 'string' | 'script' | 'stdin';
  pid: number;
  /** $$: the first shell's pid, also in subshells. */
  rootPid: number;
  ppid: number;
  subshells: number;
  /** Innermost last; a function call pushes one. */
  scopes: Map<string, Variable>[];
  functions: Map<string, ShellFunction>;
  aliases: Map<string, string>;
  options: Set<string>;
  shopts: Set<string>;
  params: string[];
  status: number;
  pipeStatus: number[];
  lastBackground: number;
  jobs: Job[];
  traps: Map<string, string>;
  /** Signals caught and not yet acted on. */
  pending: number[];
  /** Signals ignored when the shell began: they stay so. */
  ignored: Set<number>;
  hashed: Map<string, { path: string; hits: number }>;
  cwd: string;
  oldDirs: string[];
  functionNames: string[];
  /** Index in `scopes` of each running function's own. */
  functionScopes: number[];
  sourceDepth: number;
  loopDepth: number;
  /** Greater than 0 where a failing command must not end the shell (set -e). */
  errexitOff: number;
  source: Source;
  pos: number;
  getopts: { index: number; offset: number };
  history: string[];
  /** How many history entries were there when the shell began. */
  historyRead: number;
  random: number;
  startedAt: number;
  /** Descriptor of the controlling terminal of an interactive shell; -1 none. */
  tty: number;
  pgid: number;
  /** The machine's name when the shell began. */
  host: string;
  /** An exit was asked for while jobs were stopped. */
  warned: boolean;
  /** The process may be replaced by the last command. */
  replaceable: boolean;
  /** Memory of its long values (memory.ts), and how long the longest is that was set since it was last asked for. */
  heap: Heap;
  swollen: number;
  /** Status of the last command substitution in the command being expanded; -1 none. */
  substituted: number;
  /** $_: the last word of the last command. */
  lastWord: string;
  /** Descriptors of process substitutions to close when the command is over. */
  substitutions: number[];
}

/** Leaves loops, functions, the shell. Thrown, caught where it belongs. */
export class Jump extends Error {
  readonly kind: 'break' | 'continue' | 'return' | 'exit' | 'interrupt' | 'abandon';
  count: number;
  constructor(kind: Jump['kind'], count: number) {
    super(kind);
    this.kind = kind;
    this.count = count;
  }
}

/** An expansion or assignment that failed: its message is printed and the command line is given up. */
export class Bad extends Error {
  readonly status: number;
  /** Ends a shell that is not interactive. */
  readonly fatal: boolean;
  /** Said of the shell itself: without a line number. */
  readonly whole: boolean;
  constructor(message: string, options: { status?: number; fatal?: boolean; whole?: boolean } = {}) {
    super(message);
    this.whole = options.whole ?? false;
    this.status = options.status ?? 1;
    this.fatal = options.fatal ?? false;
  }
}

export function copyShell(sh: Shell): Shell {
  return {
    ...sh,
    scopes: sh.scopes.map(copyScope),
    functions: new Map(sh.functions), aliases: new Map(sh.aliases), options: new Set(sh.options), shopts: new Set(sh.shopts),
    params: sh.params.slice(), pipeStatus: sh.pipeStatus.slice(),
    jobs: sh.jobs.map((job) => ({ ...job, processes: job.processes.map((p) => ({ ...p })) })),
    traps: new Map(sh.traps), pending: [], ignored: new Set(sh.ignored), hashed: new Map(sh.hashed), oldDirs: sh.oldDirs.slice(),
    heap: { ...sh.heap }, functionNames: sh.functionNames.slice(), functionScopes: sh.functionScopes.slice(), getopts: { ...sh.getopts }, history: sh.history.slice(), substitutions: [],
  };
}

function copyScope(scope: ReadonlyMap<string, Variable>): Map<string, Variable> {
  const copy = new Map<string, Variable>();
  for (const [name, v] of scope) copy.set(name, { ...v, value: v.value instanceof Map ? (new Map(v.value as Map<number, string>) as Variable['value']) : v.value });
  return copy;
}

/** Line number of the command being run. */
export function lineOf(sh: Shell): number {
  let line = sh.source.firstLine;
  const end = Math.min(sh.pos, sh.source.text.length);
  for (let at = sh.source.text.indexOf('\n'); at >= 0 && at < end; at = sh.source.text.indexOf('\n', at + 1)) line++;
  return line;
}

/** What the shell calls itself, or the script, in messages. */
export function nameOf(sh: Shell): string {
  if (sh.from === 'prompt') return sh.arg0.replace(/^-/, '').replace(/^.*\//, '');
  if (sh.flavour === 'bash' && sh.from === 'string' && sh.source.name === '' && sh.functionNames.length > 0) return 'environment';
  return sh.source.name || sh.arg0;
}

/** "bash: line 3: " and its kin: what every message of this shell begins with. */
export function prefix(sh: Shell): string {
  const name = nameOf(sh);
  if (sh.flavour === 'dash') return sh.from === 'prompt' ? `${name}: ${lineOf(sh)}: ` : `${name}: ${lineOf(sh)}: `;
  if (sh.flavour === 'ash') return sh.from === 'script' ? `${name}: line ${lineOf(sh)}: ` : `${name}: `;
  if (sh.from === 'prompt') return `${name}: `;
  return `${name}: line ${lineOf(sh)}: `;
}
