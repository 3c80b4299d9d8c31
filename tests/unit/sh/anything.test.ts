/** Whatever is typed or written, the shell answers with an error or a result, and the machine goes on. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { below, createRandom } from '../../../src/engine/sim/random.ts';
import { read } from '../../../src/engine/userland/sh/syntax.ts';
import { type as press, until } from '../kernel/harness.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { script, shown, terminal, typed } from './lab.ts';



const FRAGMENTS = [
  'echo', ' ', ' ', ' ', '\n', ';', '|', '&', '&&', '||', '(', ')', '{', '}', '((', '))', '[[', ']]', '[', ']', 'if', 'then', 'fi', 'else', 'elif', 'for', 'in', 'do', 'done', 'while', 'until', 'case',
  'esac', 'function', 'select', 'time', '!', '$', '${', '}', '$((', '$(', '`', '"', "'", "$'", '\\', '<', '>', '<<', '<<<', '>>', '>&', '<&', '&>', '2>', '<(', '>(', '*', '?', '~', '#', '=', '+=', 'x=', 'a[1]=',
  'a=(', '${x', '${x:-', '${x/', '${#', '${!', '@', '%', ':', ',', '..', '{1..3}', '{a,b}', 'x', 'a', '1', '-', '--', 'EOF', 'local', 'declare', 'export', 'unset', 'eval', 'set', 'shift', 'trap', 'exit 3', 'return',
  'break', 'continue', 'read', 'printf', '%s', 'test', 'let', '1+', '/', '0', 'true', 'false', ':', 'cd', '\t', '\u00e9', '\u{1f600}', '\x00', '\x01', '\x7f', ';;', ';&', 'coproc', '==', '=~', '-f', '-eq',
];

const MALFORMED = fc.array(fc.constantFrom(...FRAGMENTS), { minLength: 1, maxLength: 14 }).map((parts) => parts.join(''));

describe('malformed input', () => {
  test('300 lines of fragments run or are refused', () => {
    fc.assert(
      fc.property(MALFORMED, (line) => {
        const ran = script(`ulimit -u 50\n${line}`, { limit: 20 * SECOND });
        return ran.exit >= -1;
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  test('3,000 lines are read or refused by the parser with a message', () => {
    fc.assert(
      fc.property(MALFORMED, (line) => {
        const reading = read(line, 1, '', new Map([['x', 'x y'], ['a', 'echo a ']]));
        return reading.state !== 'wrong' || reading.message.length > 0;
      }),
      { numRuns: 3000, seed: 11 },
    );
  });

  test('any text at all is read or refused', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (line) => read(line, 1, '', new Map()).state !== undefined), { numRuns: 2000, seed: 3 });
  });
});

describe('a terminal survives', () => {
  test('100,000 random bytes typed', () => {
    const m = terminal();
    shown(m, 1);
    const random = createRandom(5);
    for (let round = 0; round < 100; round++) {
      let data = '';
      for (let i = 0; i < 1000; i++) data += String.fromCharCode(below(random, 128));
      press(m, data);
      until(m, () => false, 0.2 * SECOND);
    }
    shown(m, 5);
    typed(m, '\x03\x03\x1b\x03', 1);
    typed(m, '\x03\r', 1);
    expect(typed(m, 'stty sane 2>/dev/null; echo ali""ve\r', 5)).toContain('alive');
  });
});

describe('limits', () => {
  const table: [script: string, stderr: RegExp, exit: number][] = [
    ['f() { f; }; f', /maximum function nesting level exceeded/, 1],
    ['echo {1..100000000}', /brace expansion: failed to allocate memory/, 1],
    ['x=a; while :; do x=$x$x; done', /cannot allocate/, 2],
    ['x=$((1', /unexpected EOF while looking for matching `\)'/, 2],
    [`echo ${'('.repeat(3000)}`, /syntax error/, 2],
    [`echo $((${'('.repeat(3000)}1${')'.repeat(3000)}))`, /nested|nesting/, 2],
    ['[[ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! =~ ^(a+)+$ ]]', /^$/, 1],
    ['coproc cat', /not modelled: coproc/, 1],
    ['echo > /dev/tcp/1.2.3.4/80', /not modelled: \/dev\/tcp/, 1],
    ['eval "eval \\"eval nosuch\\""', /nosuch: command not found/, 127],
  ];
  for (const [text, stderr, exit] of table) {
    test(text.slice(0, 60), () => {
      const ran = script(text, { limit: 20 * SECOND });
      expect(ran.stderr).toMatch(stderr);
      expect(ran.exit).toBe(exit);
    });
  }
});
