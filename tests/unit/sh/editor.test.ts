/** The line editor by its keys: what the terminal shows, where the cursor stands, what command runs. */
import { describe, expect, test } from 'vitest';
import { ttyTake } from '../../../src/engine/kernel/kernel.ts';
import { text as decode } from '../../../src/engine/sim/text.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { type Machine, type as press, until } from '../kernel/harness.ts';
import { createGlass, feed, type Glass, text } from './glass.ts';
import { resize, terminal, typed } from './lab.ts';

interface Seat {
  m: Machine;
  glass: Glass;
}

function sit(cols = 80): Seat {
  const m = terminal();
  resize(m, cols, 24);
  const seat = { m, glass: createGlass(cols) };
  keys(seat, '');
  return seat;
}

function keys(seat: Seat, data: string, seconds = 0.5): void {
  press(seat.m, data);
  until(seat.m, () => false, seconds * SECOND);
  feed(seat.glass, ttyTake(seat.m.kernel, 'tty1').map((part) => decode(part.data)).join(''));
}

const P = 'root@lab:~# ';

describe('one line', () => {
  const table: [name: string, typed: string, shows: string, column: number][] = [
    ['typing', 'echo hi', 'echo hi', 7],
    ['home and end', 'bc\x01a\x05d', 'abcd', 4],
    ['arrows', 'ac\x1b[Db', 'abc', 2],
    ['application arrows', 'ac\x1bODb', 'abc', 2],
    ['Home and End keys', 'bc\x1b[Ha\x1b[Fd', 'abcd', 4],
    ['backspace', 'abx\x7fc', 'abc', 3],
    ['backspace in the middle', 'axbc\x02\x02\x7f', 'abc', 1],
    ['delete', 'xabc\x01\x1b[3~', 'abc', 0],
    ['C-d deletes', 'xabc\x01\x04', 'abc', 0],
    ['C-k and C-y', 'abc def\x01\x06\x06\x06\x0b\x01\x19', ' defabc', 4],
    ['C-u', 'abc def\x15x', 'x', 1],
    ['C-w takes a blank-separated word', 'a b/c d-e\x17', 'a b/c ', 6],
    ['M-backspace takes a word', 'a b/c d-e\x1b\x7f', 'a b/c d-', 8],
    ['two kills in a row are one', 'a b c\x17\x17\x19', 'a b c', 5],
    ['M-b M-f', 'one two three\x1bb\x1bbX\x1bfY', 'one XtwoY three', 9],
    ['C-arrows', 'one two\x1b[1;5DX', 'one Xtwo', 5],
    ['M-d', 'one two\x01\x1bd', ' two', 0],
    ['C-t', 'ab\x14', 'ba', 2],
    ['M-u M-l M-c', 'ab cd ef\x01\x1bu\x1bc\x1bl', 'AB Cd ef', 8],
    ['undo', 'abc\x1f\x1f', 'a', 1],
    ['UTF-8', 'e\u00e9\u{1f600}x\x02\x7f', 'e\u00e9x', 2],
    ['wide characters count two', '\u4f60\u597d\x02x', '\u4f60x\u597d', 3],
    ['a control character is shown', 'a\x16\x01b', 'a^Ab', 4],
    ['unknown sequences are nothing', 'a\x1b[99~\x1b[5;5Rb', 'ab', 2],
    ['bracketed paste', '\x1b[200~pasted text\x1b[201~!', 'pasted text!', 12],
  ];
  for (const [name, typedKeys, shows, column] of table) {
    test(name, () => {
      const seat = sit();
      keys(seat, typedKeys);
      expect(text(seat.glass).at(-1)).toBe((P + shows).trimEnd());
      expect(seat.glass.col).toBe(P.length + column);
    });
  }
});

describe('a line wider than the terminal', () => {
  const long = 'abcdefghijklmnopqrstuvwxyz';
  for (const cols of [19, 20, 21, 26, 38]) {
    test(`${cols} columns`, () => {
      const seat = sit(cols);
      keys(seat, long);
      const flat = (): string => text(seat.glass).map((l, i, all) => (i < all.length - 1 ? l.padEnd(cols) : l)).join('');
      expect(flat().trimEnd()).toBe(P + long);
      keys(seat, '\x01X\x05Y\x1bbZ');
      expect(flat().trimEnd()).toBe(`${P}ZX${long}Y`);
      keys(seat, '\x05\x15');
      expect(text(seat.glass).join('').trimEnd()).toBe(P.trimEnd());
      keys(seat, `echo ${long}\r`);
      expect(text(seat.glass).slice(-2).join('|')).toContain(P.trimEnd());
      expect(text(seat.glass).join('')).toContain(`${long}`);
    });
  }
});

describe('history', () => {
  test('up, down, and an edited line kept', () => {
    const seat = sit();
    keys(seat, 'echo one\recho two\r');
    keys(seat, 'half\x1b[A');
    expect(text(seat.glass).at(-1)).toBe(`${P}echo two`);
    keys(seat, '\x10');
    expect(text(seat.glass).at(-1)).toBe(`${P}echo one`);
    keys(seat, '\x1b[B\x0e');
    expect(text(seat.glass).at(-1)).toBe(`${P}half`);
  });
  test('reverse search', () => {
    const seat = sit();
    keys(seat, 'echo alpha\recho beta\r');
    keys(seat, '\x12alp');
    expect(text(seat.glass).at(-1)).toBe("(reverse-i-search)`alp': echo alpha");
    keys(seat, '\r');
    expect(text(seat.glass).slice(-3)).toEqual([`${P}echo alpha`, 'alpha', P.trimEnd()]);
  });
  test('M-. and !-expansion', () => {
    const m = terminal();
    typed(m, '');
    typed(m, 'echo one two\r');
    expect(typed(m, '!!\r')).toContain('\necho one two\none two\n');
    expect(typed(m, 'echo !$ !ec:1\r')).toContain('\necho two one\ntwo one\n');
    expect(typed(m, '!nosuch\r')).toContain('bash: !nosuch: event not found\n');
    expect(typed(m, "echo 'a!b' \"x!\" !\r")).toContain('\na!b x! !\n');
    expect(typed(m, 'echo \x1b.\r')).toContain('echo !\n!\n');
  });
  test('stays on the disk', () => {
    const m = terminal();
    typed(m, '');
    typed(m, 'echo remembered\rexit\r');
    expect(typed(m, 'history | tail -n 3; cat .bash_history\r')).toMatch(/1 {2}echo remembered\n[\s\S]*\necho remembered\nexit\n/);
  });
});

describe('completion', () => {
  test('files, directories, variables, commands, subcommands', () => {
    const seat = sit();
    keys(seat, 'mkdir -p dir/sub; touch dir/alpha dir/alto uni\\ que\r', 1);
    keys(seat, 'ls di\t');
    expect(text(seat.glass).at(-1)).toBe(`${P}ls dir/`);
    keys(seat, 'al\t');
    expect(text(seat.glass).at(-1)).toBe(`${P}ls dir/al`);
    keys(seat, '\t');
    expect(text(seat.glass).slice(-2)).toEqual(['alpha  alto', `${P}ls dir/al`]);
    keys(seat, 'p\t');
    expect(text(seat.glass).at(-1)).toBe(`${P}ls dir/alpha`);
    keys(seat, '\x15cat un\t');
    expect(text(seat.glass).at(-1)).toBe(`${P}cat uni\\ que`);
    keys(seat, '\x15echo $HOM\t');
    expect(text(seat.glass).at(-1)).toBe(`${P}echo $HOME`);
    keys(seat, '\x15unal\t');
    expect(text(seat.glass).at(-1)).toBe(`${P}unalias`);
    keys(seat, '\x15docker ins\t');
    expect(text(seat.glass).at(-1)).toBe(`${P}docker inspect`);
  });
});

describe('prompts', () => {
  test('^C gives a new prompt and status 130, ^D leaves', () => {
    const m = terminal();
    typed(m, '');
    expect(typed(m, 'half\x03')).toBe(`half^C\n${P}`);
    expect(typed(m, 'echo $?\r')).toContain('\n130\n');
    expect(typed(m, '\x04')).toContain('logout\n');
  });
  test('an unfinished command asks for more', () => {
    const m = terminal();
    typed(m, '');
    expect(typed(m, 'for i in 1 2; do\recho $i\rdone\r')).toBe(`for i in 1 2; do\n> echo $i\n> done\n1\n2\n${P}`);
    expect(typed(m, "echo 'a\rb'\r")).toBe(`echo 'a\n> b'\na\nb\n${P}`);
    expect(typed(m, 'cat <<E\rx\rE\r')).toBe(`cat <<E\n> x\n> E\nx\n${P}`);
    expect(typed(m, 'echo a \\\rb\r')).toBe(`echo a \\\n> b\na b\n${P}`);
    expect(typed(m, 'echo a |\r\x03')).toBe(`echo a |\n> ^C\n${P}`);
    expect(typed(m, 'if true\r\x04')).toBe(`if true\n> bash: syntax error: unexpected end of file\n${P}`);
  });
  test('what is typed ahead is used at the next prompt', () => {
    const m = terminal();
    typed(m, '');
    typed(m, 'sleep 1\r', 0.3);
    expect(typed(m, 'echo ahead\r', 3)).toBe(`echo ahead\n${P}echo ahead\nahead\n${P}`);
    expect(typed(m, 'sleep 1\recho pasted\r', 3)).toBe(`sleep 1\n${P}echo pasted\npasted\n${P}`);
    expect(typed(m, 'read x\rvalue\recho [$x]\r', 2)).toMatch(/\[value\]\n/);
    typed(m, 'sleep 1\r', 0.3);
    expect(typed(m, 'ech', 3)).toBe(`ech${P}ech`);
    expect(typed(m, 'o done\r')).toBe(`o done\ndone\n${P}`);
  });
  test('OSC 133 marks', () => {
    const m = terminal();
    until(m, () => false, SECOND);
    ttyTake(m.kernel, 'tty1');
    press(m, 'false\r');
    until(m, () => false, SECOND);
    const raw = ttyTake(m.kernel, 'tty1').map((part) => decode(part.data)).join('');
    expect(raw).toBe(`false\r\n\x1b]133;C\x07\x1b]133;D;1\x07\x1b]133;A\x07${P}\x1b]133;B\x07`);
  });
  test('standard error is another stream', () => {
    const m = terminal();
    until(m, () => false, SECOND);
    ttyTake(m.kernel, 'tty1');
    press(m, 'echo out; echo err >&2; nosuch\r');
    until(m, () => false, SECOND);
    const errors = ttyTake(m.kernel, 'tty1').filter((part) => part.stream === 2).map((part) => decode(part.data)).join('');
    expect(errors).toBe('err\r\nbash: nosuch: command not found\r\n');
  });
  test('a window of another size', () => {
    const seat = sit(80);
    keys(seat, 'echo abcdefghijklmnopqrstuvwxyz');
    resize(seat.m, 20, 24);
    seat.glass.cols = 20;
    keys(seat, 'X\x01Y');
    expect(text(seat.glass).join('')).toContain(`${P}Yecho a`);
  });
});
