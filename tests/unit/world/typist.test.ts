/** Scripts typed at terminals: in order, directives while a command runs, every command that ended told once. */
import { describe, expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, script, type Typed, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

function typed(lines: readonly string[]): Typed[] {
  const typist = createTypist(createWorld(loadAssets(), 'empty-host', 1));
  waitForPrompt(typist);
  const out: Typed[] = [];
  script(typist, lines, (one) => out.push(one));
  return out;
}

describe('a script', () => {
  it.each<[string, string[], [string, string, number | null][]]>([
    ['in order', ['echo a', 'false', 'echo $?'], [['echo a', 'a\n', 0], ['false', '', 1], ['echo $?', '1\n', 0]]],
    ['keys while a command runs', ['cat', '# key x', '# key Enter', '# key C-d', 'echo b'], [['cat', 'x\nx\n', 0], ['echo b', 'b\n', 0]]],
    ['at two terminals', ['sleep 1', '# tty 2', 'echo two', '# tty 1', 'echo one'], [['sleep 1', '', 0], ['echo one', 'one\n', 0], ['echo two', 'two\n', 0]]],
    ['with one left running elsewhere', ['sleep 1000', '# tty 2', 'echo two'], [['echo two', 'two\n', 0]]],
  ])('%s', (_, lines, expected) => {
    expect(typed(lines).map((one) => [one.cmd, one.stdout, one.exit])).toEqual(expected);
  });
});
