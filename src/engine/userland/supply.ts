/**
 * How a world is given its programs: all at once, or first those that boots run and the rest when it is there. A world
 * never depends on when that was: one that asks too early is told so by an error, and `missed` says that it must be
 * built anew from its recording.
 */
import type { Program } from '../kernel/sys.ts';
import type { ProgramTable } from './programs.ts';

export interface Programs {
  /** Install paths in the order in which disks are laid out. */
  readonly installed: readonly string[];
  /** By name, as a binary's content gives it. */
  readonly byName: ReadonlyMap<string, Program>;
}

export interface Supply extends Programs {
  /** The first program that was run before it was there; the world that ran it is spoilt. */
  missed(): string | null;
  /** All programs are there from now on. */
  complete(whole: Programs): void;
}

/** The name by which a program installed at this path is known. */
export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** A whole table as it is. */
export function allOf(table: ProgramTable): Programs {
  return { installed: Object.keys(table), byName: new Map(Object.entries(table).map(([path, program]) => [nameOf(path), program])) };
}

/** The programs of `table` at once, every other one of `installed` when `complete` has been called. */
export function supplied(table: ProgramTable, installed: readonly string[]): Supply {
  let first: string | null = null;
  const lacking = (name: string): Program => () => {
    first ??= name;
    throw new Error(`${name} was run before it was there`);
  };
  const byName = new Map(installed.map((path) => [nameOf(path), lacking(nameOf(path))]));
  for (const [name, program] of allOf(table).byName) byName.set(name, program);
  return {
    installed, byName,
    missed: () => first,
    complete(whole) {
      for (const [name, program] of whole.byName) byName.set(name, program);
      first = null;
    },
  };
}
