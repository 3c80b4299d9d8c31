/**
 * Memory of a shell's long values: what a variable or a substitution keeps is asked of the kernel and touched, so that a limit of the
 * address space or of a control group meets a shell as it meets other programs. Short values lie in what every shell has.
 */
import { MiB } from '../../sim/units.ts';
import { SysError } from '../../kernel/abi.ts';
import { extend } from '../lib/heap.ts';
import type { Call } from '../lib/http.ts';
import { Bad, type Shell } from './state.ts';

/** Characters from which a value is a long one: malloc(3) maps such of its own. */
export const LONG = 128 * 1024;
/** Characters of one value that the lab itself can keep. */
export const MAX_VALUE = 128 * MiB;

export const beyond = (bytes: number, whole = false): Bad => new Bad(`xrealloc: cannot allocate ${bytes} bytes`, { status: 2, fatal: true, whole });

/** Long values that stand in variables, in bytes. */
function standing(sh: Shell): number {
  let sum = 0;
  const add = (text: string): void => {
    if (text.length >= LONG) sum += text.length;
  };
  for (const scope of sh.scopes) {
    for (const { value } of scope.values()) {
      if (typeof value === 'string') add(value);
      else for (const one of value?.values() ?? []) add(one);
    }
  }
  return sum;
}

/** The heap becomes as large as `total`, or the shell says that there is no memory. */
function* grow(sh: Shell, total: number, asked: number): Call<void> {
  if (asked > MAX_VALUE) throw beyond(asked, true);
  try {
    yield* extend(sh.heap, total - sh.heap.total);
  } catch (error) {
    if (error instanceof SysError && error.errno === 'ENOMEM') throw beyond(asked, true);
    throw error;
  }
}

/** A text of so many bytes is being gathered beside what stands in variables. */
export function* holdText(sh: Shell, bytes: number): Call<void> {
  if (bytes > sh.heap.total) yield* grow(sh, bytes + standing(sh), bytes);
}

/** Long values have been set: they, and the one that was made last before it became a value. */
export function* holdValues(sh: Shell): Call<void> {
  const { swollen } = sh;
  sh.swollen = 0;
  yield* grow(sh, standing(sh) + swollen, swollen);
}
