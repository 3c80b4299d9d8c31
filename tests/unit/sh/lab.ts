/** A machine in a test with the shell, init and the commands that scripts lean on: a terminal to type at, or one script to run. */
import { ttyResize } from '../../../src/engine/kernel/kernel.ts';
import type { Program } from '../../../src/engine/kernel/sys.ts';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { coreutils } from '../../../src/engine/userland/coreutils/table.ts';
import { init } from '../../../src/engine/userland/init/table.ts';
import { mountAll } from '../../../src/engine/userland/init/mounts.ts';
import { shellMain } from '../../../src/engine/userland/sh/shell.ts';
import { shell } from '../../../src/engine/userland/sh/table.ts';
import { type Machine, machine, type Ran, run, screen, type, until } from '../kernel/harness.ts';

const PROGRAMS = { ...coreutils, ...shell, ...init, '/usr/bin/busybox-sh': shellMain('ash') };

const byName = (): Record<string, Program> => Object.fromEntries(Object.entries(PROGRAMS).map(([path, p]) => [path.split('/').pop()!, p]));

const FILES: Tree = {
  '/sbin': { type: 'dir' }, '/usr/lib': { type: 'dir' }, '/usr/sbin/agetty': { type: 'program', name: 'agetty' },
  '/etc/passwd': { type: 'file', data: 'root:x:0:0:root:/root:/bin/bash\n' }, '/etc/hostname': { type: 'file', data: 'lab\n' },
};

/** Runs `bash -c SCRIPT` (or dash's) to its end. */
export function script(text: string, options: { shell?: string; args?: string[]; tree?: Tree; limit?: number } = {}): Ran & { exit: number } {
  const programs = byName();
  const name = options.shell ?? 'bash';
  const main: Program = function* (_argv, env) {
    yield* mountAll();
    return yield* programs[name]!([name, '-c', text, ...(options.args ?? [])], env);
  };
  delete programs.init;
  const ran = run(main, { programs, tree: { ...FILES, ...options.tree }, limit: options.limit ?? 60 * SECOND });
  const exit = ran.status < 0 ? -1 : (ran.status & 0x7f) === 0 ? (ran.status >> 8) & 255 : 128 + (ran.status & 0x7f);
  return { ...ran, exit };
}

/** Boots init and waits for the first prompt. */
export function terminal(tree: Tree = {}, plain = true): Machine {
  const m = machine({ programs: byName(), tree: { ...FILES, ...(plain ? { '/etc/nestbox/plain-init': { type: 'file', data: '' } } : {}), ...tree } });
  return m;
}

export function resize(m: Machine, cols: number, rows: number): void {
  ttyResize(m.kernel, 'tty1', cols, rows);
}

/** Types and lets time pass; what the terminal showed, marks and carriage returns taken out. */
export function typed(m: Machine, keys: string, seconds = 1): string {
  type(m, keys);
  return shown(m, seconds);
}

export function shown(m: Machine, seconds = 1): string {
  until(m, () => false, seconds * SECOND);
  return screen(m).replace(/\x1b\]133;[^\x07]*\x07/g, '');
}
