/** What a view is: a pure projection of the world into rows, with its columns told once. */
import type { Cell, Column, Row } from '../../bridge/protocol.ts';
import type { World } from '../world/world.ts';

export type Arg = Readonly<Record<string, Cell>>;

export interface View {
  doc: string;
  /** The arguments it takes, as shown in help: "host?, path". */
  arg: string;
  columns: readonly Column[];
  rows(world: World, arg: Arg): Row[];
}

/** Columns from "name unit: what it is" lines: the table of a view at a glance. */
export function columns(lines: string): Column[] {
  return lines
    .trim()
    .split('\n')
    .map((line) => {
      const [, name, unit, doc] = /^\s*(\w+)(?: \[(\S+)\])?: (.*)$/.exec(line)!;
      return { name: name!, unit: unit ?? '', doc: doc! };
    });
}

/** The kernels a view looks at: the one named, or all. */
export function kernelsOf(world: World, arg: Arg): World['host'][] {
  if (arg.host === undefined || arg.host === null) return [...world.kernels.values()];
  const one = world.kernels.get(String(arg.host));
  return one ? [one] : [];
}
