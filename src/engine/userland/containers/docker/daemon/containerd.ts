/** docker's namespace in containerd, and what a refusal of containerd's means here. */
import type { Call } from '../../../lib/http.ts';
import { Refusal } from '../../containerd/api.ts';
import { Refused } from './state.ts';

export const NS = 'moby';

/** Null when containerd refuses: what was asked for is not there any more. */
export function* ignoreRefusal<T>(call: Call<T>): Call<T | null> {
  try {
    return yield* call;
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

/** Runs a call of containerd; its refusal becomes docker's. */
export function* refusable<T>(call: Call<T>, what: string): Call<T> {
  try {
    return yield* call;
  } catch (error) {
    if (error instanceof Refusal) throw new Refused(500, `${what}: ${error.message}`);
    throw error;
  }
}
