/** A program whose model has a fault: its process ends as by abort(3), others go on; without a place for such notes it is not caught. */
import { expect, it } from 'vitest';
import { SIG, SysError } from '../../../src/engine/kernel/abi.ts';
import type { Crash } from '../../../src/engine/kernel/records.ts';
import { type Body, sys } from '../../../src/engine/kernel/sys.ts';
import { put, run } from './harness.ts';

function* parent(body: () => Body): Body {
  const child = yield* sys('clone', { flags: 0, run: body });
  const ended = yield* sys('wait4', child, 0);
  yield* put(1, `${ended.status & 127} ${(ended.status & 0x80) !== 0}\n`);
  return 0;
}
const faulty = (error: unknown) =>
  function* (): Body {
    yield* sys('getpid');
    throw error;
  };

it('ends the process with SIGABRT and a core, and nothing else', () => {
  const crashes: Crash[] = [];
  const { stdout, status, m } = run(() => parent(faulty(new SyntaxError('unreadable'))), { crashes });
  expect(stdout).toBe(`${SIG.ABRT} true\n`);
  expect(status).toBe(0);
  expect(crashes).toHaveLength(1);
  expect(crashes[0]!.text).toContain('SyntaxError: unreadable');
  expect(m.kernel.log.some(({ text }) => /aborted: a fault of its model \(SyntaxError\)$/.test(text))).toBe(true);
  expect(m.trace.records.find(({ kind }) => kind === 'program.fault')?.data).toMatchObject({ error: 'SyntaxError' });
});

it('is thrown where nobody notes it, and where it may depend on the machine', () => {
  expect(() => run(() => parent(faulty(new SyntaxError('unreadable'))))).toThrow('unreadable');
  expect(() => run(() => parent(faulty(new RangeError('Maximum call stack size exceeded'))), { crashes: [] })).toThrow(RangeError);
});

it('is not what a failed call is: that ends the program with status 1', () => {
  const crashes: Crash[] = [];
  const { status } = run(faulty(new SysError('ENOENT')), { crashes });
  expect(status).toBe(1 << 8);
  expect(crashes).toEqual([]);
});
