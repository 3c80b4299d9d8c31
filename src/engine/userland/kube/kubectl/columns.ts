/** What a table of `kubectl get` is: headers, and a row of an object and the time. */
import type { KubeObject } from '../../../cluster/types/objects.ts';
import { humanDuration, parseTime } from '../../../cluster/types/time.ts';

export interface Columns {
  headers: readonly string[];
  /** Beyond these only with -o wide. */
  narrow: number;
  row(object: KubeObject, now: number): string[];
}

export function ageOf(time: string | null | undefined, now: number): string {
  const at = parseTime(time);
  return at === null ? '<unknown>' : humanDuration(now - at);
}

const MODES: Record<string, string> = { ReadWriteOnce: 'RWO', ReadOnlyMany: 'ROX', ReadWriteMany: 'RWX', ReadWriteOncePod: 'RWOP' };
export const accessModes = (modes: readonly string[] | undefined): string => (modes ?? []).map((mode) => MODES[mode] ?? mode).join(',');
