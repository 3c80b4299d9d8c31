/**
 * Python's calls on a stack of our own: a call yields the callee's body, the driver runs it in the caller's place and hands back
 * what it returned or threw. So a thousand frames need no more of the machine's stack than one.
 */
import type { Body } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import type { Value } from './values.ts';

interface Nested {
  op: 'nested';
  body: Call<Value>;
}

/** Runs a body as one more level of the driver's stack. */
export function* nested(body: Call<Value>): Call<Value> {
  return (yield { op: 'nested', body } satisfies Nested as never) as Value;
}

export function* trampolined(root: Body): Body {
  const stack: Generator<unknown, unknown, unknown>[] = [root];
  let value: unknown;
  let failed = false;
  for (;;) {
    const top = stack.at(-1)!;
    let step: IteratorResult<unknown, unknown>;
    try {
      step = failed ? top.throw(value) : top.next(value);
    } catch (error) {
      stack.pop();
      if (stack.length === 0) throw error;
      [value, failed] = [error, true];
      continue;
    }
    failed = false;
    if (step.done) {
      stack.pop();
      if (stack.length === 0) return step.value as number | void;
      ({ value } = step);
      continue;
    }
    const request = step.value as Nested | { op: 'sys' };
    if (request.op === 'nested') {
      stack.push(request.body);
      value = undefined;
      continue;
    }
    try {
      value = yield request as never;
    } catch (error) {
      [value, failed] = [error, true];
    }
  }
}
