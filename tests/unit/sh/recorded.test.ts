/** Scripts that real shells ran (bash 5.2, dash 0.5.12): the same output, messages and status, to the byte but for process ids and times. */
import { describe, expect, test } from 'vitest';
import recorded from './recorded.json' with { type: 'json' };
import { script } from './lab.ts';

interface Case {
  shell?: string;
  script: string;
  stdout: string;
  stderr: string;
  exit: number;
}

/** Process ids and elapsed times differ. */
const normal = (text: string): string => text.replace(/\bline (\d+): +\d+ (Killed|Terminated)/g, 'line $1: PID $2').replace(/\d+m\d+\.\d{3}s/g, 'TIME');

describe('scripts that a real shell ran', () => {
  for (const one of recorded as Case[]) {
    test(`${one.shell ?? 'bash'}: ${one.script.slice(0, 100)}`, () => {
      const ran = script(one.script, { shell: one.shell ?? 'bash' });
      expect({ stdout: normal(ran.stdout), stderr: normal(ran.stderr), exit: ran.exit }).toEqual({ stdout: normal(one.stdout), stderr: normal(one.stderr), exit: one.exit });
    });
  }
});
