/** Every check of a VM entry: a VMCS that breaks it and nothing else, what the processor answers, and legal values at the limits. */
import { describe, expect, it } from 'vitest';
import { ENTRY_RULES } from '../../../src/engine/machine/entry-rules.ts';
import type { Program } from './bench.ts';
import { prepared, proceed, read, type Values } from './vmx-code.ts';
import { CONTROL, GUEST, HOST, LEGAL } from './vmx-rule-cases.ts';

function attempt(values: Values, before?: (program: Program) => void): { program: Program; outcome: ReturnType<typeof proceed> } {
  const program = prepared('hlt', values);
  before?.(program);
  return { program, outcome: proceed(program) };
}

describe('checks of a VM entry', () => {
  it.each(CONTROL)('control rule %d: VMfail, error 7', (rule, values, before) => {
    expect(attempt(values, before).outcome).toEqual({ exit: null, error: 7, rule });
    expect(ENTRY_RULES[rule]!.what).toBe('control');
  });

  it.each(HOST)('host rule %d: VMfail, error 8', (rule, values, before) => {
    expect(attempt(values, before).outcome).toEqual({ exit: null, error: 8, rule });
    expect(ENTRY_RULES[rule]!.what).toBe('host');
  });

  it.each(GUEST)('guest rule %d: exit 0x80000021 into the host', (rule, values, before) => {
    const { program, outcome } = attempt(values, before);
    expect(outcome).toEqual({ exit: 0x80000021, error: null, rule });
    expect(read(program, 'EXIT_QUALIFICATION')).toBe(rule >= 148 && rule <= 150 ? 4n : rule === 151 || rule === 152 ? 2n : 0n);
    expect(ENTRY_RULES[rule]!.what).toBe('guest');
  });

  it('has a case for every rule', () => {
    const tried = new Set([...CONTROL, ...HOST, ...GUEST].map(([rule]) => rule));
    // 29 is the host program's, below
    expect(Object.keys(ENTRY_RULES).map(Number).filter((n) => n !== 29 && !tried.has(n))).toEqual([]);
  });

  it.each(LEGAL)('legal: %s', (_, values, reason, before) => {
    expect(attempt(values, before).outcome).toEqual({ exit: reason, error: null, rule: 0 });
  });
});
