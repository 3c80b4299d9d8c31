/**
 * One running interpreter: its frames, modules, pending signals, and the processor time it owes. A step of the evaluator costs
 * STEP nanoseconds; they are spent by `settle`, before every system call and whenever enough have come together.
 */
import { type Errno, SysError } from '../../kernel/abi.ts';
import { type Body, compute, type Request, sys, type Syscalls } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import type { Scope, Source, Span } from './ast.ts';
import type { Heap } from './heap.ts';
import type { Tape } from './tape.ts';
import type { Instance, Module, Value, Vars } from './values.ts';

export interface Frame {
  name: string;
  source: Source;
  scope: Scope;
  vars: Vars;
  globals: Vars;
  /** The frame its code was written in. */
  outer: Frame | null;
  /** What is being evaluated, for tracebacks. */
  at: Span;
  /** Comprehensions have no line of their own in a traceback. */
  hidden: boolean;
  depth: number;
  /** What its loops and with statements hold, unnamed. */
  holds: Value[];
}

export interface Vm {
  argv: readonly string[];
  env: Map<string, string>;
  frames: Frame[];
  modules: Map<string, Module>;
  builtins: Vars;
  main: Module;
  /** Exceptions being handled, innermost last. */
  handling: Instance[];
  /** Signals that came and wait for the next statement. */
  pending: number[];
  handlers: Map<number, Value>;
  heap: Heap;
  cost: number;
  tape: Tape | null;
  /** Files with something not yet written, to be flushed at the end. */
  files: Set<{ flush: () => Call<void> }>;
  path: string[];
  random: { state: bigint } | null;
  atexit: (() => Call<void>)[];
  unbuffered: boolean;
  /** Installs this interpreter's handler for a signal again: a forked child has the parent's. */
  rearm: (signal: number) => Call<void>;
  /** At the interactive prompt: shows an expression statement's value. */
  display: ((v: Value) => Call<void>) | null;
  /** Containers whose repr is under way. */
  showing: Set<object>;
  /** Last address given away by id(). */
  addresses: number;
}

/** ns a step of the evaluator takes: about two of CPython's instructions. */
export const STEP = 20;
const ENOUGH = 200_000;

export function* settle(vm: Vm): Call<void> {
  const { cost } = vm;
  vm.cost = 0;
  if (cost > 0) yield* compute(cost);
}

/** Called between statements. */
export const due = (vm: Vm): boolean => vm.cost > ENOUGH || vm.pending.length > 0;

/** Runs what signals wait for; given by the signal module, raises as its handlers do. */
export type SignalRunner = (vm: Vm) => Call<void>;
let runner: SignalRunner = function* () {};
export const setSignalRunner = (run: SignalRunner): void => {
  runner = run;
};
export function* catchUp(vm: Vm): Call<void> {
  if (vm.cost > 0) yield* settle(vm);
  while (vm.pending.length > 0) yield* runner(vm);
}

/** One system call; interrupted ones are made again after the handlers ran (PEP 475). Throws SysError. */
export function* sysc<K extends keyof Syscalls>(vm: Vm, name: K, ...args: Parameters<Syscalls[K]>): Generator<Request, ReturnType<Syscalls[K]>, unknown> {
  for (;;) {
    if (vm.cost > 0) yield* settle(vm);
    try {
      const result = yield* sys(name, ...args);
      return result;
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EINTR') throw error;
      yield* catchUp(vm);
    }
  }
}

export function failedWith(error: unknown, ...errnos: Errno[]): boolean {
  return error instanceof SysError && errnos.includes(error.errno);
}

export type { Body };
