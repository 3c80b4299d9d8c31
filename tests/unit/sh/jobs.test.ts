/** Job control at a terminal, as bash tells of it. */
import { describe, expect, test } from 'vitest';
import { terminal, typed } from './lab.ts';

const P = 'root@lab:~# ';

describe('job control', () => {
  test('background, notice of the end', () => {
    const m = terminal();
    typed(m, '');
    expect(typed(m, 'sleep 2 &\r')).toMatch(/^sleep 2 &\n\[1\] \d+\n/);
    expect(typed(m, 'jobs\r', 0.5)).toBe(`jobs\n[1]+  Running                 sleep 2 &\n${P}`);
    expect(typed(m, '', 3)).toBe('');
    expect(typed(m, '\r')).toBe(`\n[1]+  Done                    sleep 2\n${P}`);
    expect(typed(m, '(exit 3) &\r').replace(/\d+\n/, 'PID\n')).toMatch(/\[1\] PID/);
    expect(typed(m, '\r')).toMatch(/^(\n\[1\]\+ {2}Exit 3 {18}\( exit 3 \)|\n(\[1\]\+ {2}Exit 3 {18}\(exit 3\)\n)?)/);
  });
  test('^Z, bg, fg, ^C', () => {
    const m = terminal();
    typed(m, '');
    typed(m, 'sleep 100\r');
    expect(typed(m, '\x1a')).toBe(`^Z\n[1]+  Stopped                 sleep 100\n${P}`);
    expect(typed(m, 'echo $?\r')).toContain('\n148\n');
    expect(typed(m, 'bg\r')).toBe(`bg\n[1]+ sleep 100 &\n${P}`);
    expect(typed(m, 'jobs\r')).toContain('[1]+  Running                 sleep 100 &\n');
    expect(typed(m, 'fg\r')).toBe('fg\nsleep 100\n');
    expect(typed(m, '\x03')).toBe(`^C\n${P}`);
    expect(typed(m, 'echo $?; jobs\r')).toBe(`echo $?; jobs\n130\n${P}`);
  });
  test('several jobs, the current one, kill', () => {
    const m = terminal();
    typed(m, '');
    typed(m, 'sleep 100 & sleep 200 | cat &\r');
    expect(typed(m, 'jobs\r')).toContain('[1]-  Running                 sleep 100 &\n[2]+  Running                 sleep 200 | cat &\n');
    typed(m, 'kill %1\r');
    expect(typed(m, '\r')).toContain('[1]-  Terminated              sleep 100\n');
    expect(typed(m, 'kill -9 %%; sleep 0.1\r')).toContain('[2]+  Killed');
    expect(typed(m, 'fg\r')).toContain('bash: fg: current: no such job\n');
    expect(typed(m, 'kill %7\r')).toContain('bash: kill: %7: no such job\n');
  });
  test('^C ends a loop, a pipeline, and a builtin that waits', () => {
    const m = terminal();
    typed(m, '');
    typed(m, 'while true; do sleep 1; done\r');
    expect(typed(m, '\x03')).toBe(`^C\n${P}`);
    typed(m, 'while :; do :; done\r');
    expect(typed(m, '\x03')).toContain(P);
    typed(m, 'sleep 50 | cat\r');
    expect(typed(m, '\x03')).toBe(`^C\n${P}`);
    typed(m, 'read x\r');
    expect(typed(m, '\x03')).toContain(P);
    typed(m, 'sleep 50 & wait\r');
    expect(typed(m, '\x03')).toContain(P);
  });
  test('a process killed in the foreground is told of', () => {
    const m = terminal();
    typed(m, '');
    expect(typed(m, 'sh -c \'kill -9 $$\'\r')).toBe(`sh -c 'kill -9 $$'\nKilled\n${P}`);
    expect(typed(m, 'sh -c \'kill -SEGV $$\'\r')).toContain('Segmentation fault (core dumped)\n');
  });
  test('leaving with stopped jobs warns once', () => {
    const m = terminal();
    typed(m, '');
    typed(m, 'sleep 100\r');
    typed(m, '\x1a');
    expect(typed(m, 'exit\r')).toContain('There are stopped jobs.\n');
    expect(typed(m, 'exit\r', 2)).toContain(P);
  });
  test('a shell in a shell has its own jobs, the terminal comes back', () => {
    const m = terminal();
    typed(m, '');
    typed(m, 'bash\r');
    typed(m, 'sleep 100\r');
    expect(typed(m, '\x1a')).toContain('Stopped');
    typed(m, 'kill %1; exit\r');
    typed(m, 'exit\r');
    expect(typed(m, 'echo back $SHLVL\r')).toContain('back 1\n');
  });
  test('dash and its prompt', () => {
    const m = terminal();
    typed(m, '');
    expect(typed(m, 'sh\r')).toContain('# ');
    expect(typed(m, 'nosuch\r')).toContain('sh: 1: nosuch: not found\n');
    expect(typed(m, 'exit\r')).toContain(P);
  });
});
