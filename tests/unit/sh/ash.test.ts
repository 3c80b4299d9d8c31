/** busybox's ash: the same interpreter with that shell's words and without bash's own things. */
import { describe, expect, test } from 'vitest';
import { script } from './lab.ts';

const TABLE: readonly (readonly [script: string, stdout: string, stderr: string, exit: number])[] = [
  ['echo hi; nosuch; echo $?', 'hi\n127\n', 'sh: nosuch: not found\n', 0],
  ['x=abc; echo ${x:1} ${x/b/c} ${x#a}', 'bc acc bc\n', '', 0],
  ['[[ a == a ]] && echo y', 'y\n', '', 0],
  ['cd /nope; echo $?', '1\n', "sh: cd: can't cd to /nope: No such file or directory\n", 0],
  ['cat < /nope; echo $?', '1\n', "sh: can't open /nope: no such file\n", 0],
  ['echo > /nope/x; echo $?', '1\n', "sh: can't create /nope/x: nonexistent directory\n", 0],
  ['readonly r=1; r=2; echo no', '', 'sh: r: is read only\n', 2],
  ['kill 99999', '', "sh: kill: can't kill pid 99999: No such process\n", 1],
  ['echo {a,b} $((1+2))', '{a,b} 3\n', '', 0],
  ['/nope; echo $?; /tmp; echo $?', '127\n126\n', 'sh: /nope: not found\nsh: /tmp: Permission denied\n', 0],
  ['set -o pipefail; false | true; echo $?', '1\n', '', 0],
  ['declare x; echo $?', '127\n', 'sh: declare: not found\n', 0],
  ['echo )', '', 'sh: Syntax error: ")" unexpected\n', 2],
  ['f() { local a=1; echo $a; }; f; for i in 1 2; do echo $i; done | tail -n 1', '1\n2\n', '', 0],
];

describe('ash', () => {
  for (const [text, stdout, stderr, exit] of TABLE) {
    test(text, () => {
      const ran = script(text, { shell: 'busybox-sh' });
      expect({ stdout: ran.stdout, stderr: ran.stderr.replaceAll('busybox-sh', 'sh'), exit: ran.exit }).toEqual({ stdout, stderr, exit });
    });
  }
});
