/**
 * The type of a system call's handler. One record of handlers a family (`files.ts`, `process.ts`, …), each
 * `satisfies Pick<Handlers, …>`; table.ts joins them and is exhaustive over `Syscalls`.
 *
 * A handler throws SysError to fail, returns BLOCK to sleep (see wait.ts), AGAIN to spend owed time and be called again,
 * GONE when the caller does not return (exit, execve). On re-dispatch it gets the same arguments.
 */
import type { Kernel, Task } from '../records.ts';
import type { Syscalls } from '../sys.ts';
import type { MayBlock } from '../vfs/types.ts';
import type { AGAIN, GONE } from '../wait.ts';

export type Handler<K extends keyof Syscalls> = (
  kernel: Kernel,
  task: Task,
  ...args: Parameters<Syscalls[K]>
) => MayBlock<ReturnType<Syscalls[K]>> | typeof AGAIN | typeof GONE;

export type Handlers = { readonly [K in keyof Syscalls]: Handler<K> };
