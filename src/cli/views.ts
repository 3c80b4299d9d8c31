/** `nestbox views`: every view with its columns, units, and one example row taken from the default scenario. */
import { advance, createWorld } from '../engine/world/world.ts';
import { VIEWS } from '../engine/views/views.ts';
import { options } from './arguments.ts';
import { loadAssets } from './assets.ts';

export function views(args: string[]): number {
  options(args, {}, { min: 0, max: 0, name: '' });
  const world = createWorld(loadAssets(), 'lab');
  advance(world, 10e9);
  for (const [name, view] of Object.entries(VIEWS)) {
    console.log(`${name}${view.arg ? `  (${view.arg})` : ''}\n  ${view.doc}`);
    for (const column of view.columns) console.log(`    ${column.name}${column.unit ? ` [${column.unit}]` : ''}: ${column.doc}`);
    const row = view.rows(world, {})[0];
    console.log(row ? `  example: ${JSON.stringify(row)}\n` : '  example: none until there is something to show\n');
  }
  return 0;
}
