/** /proc: what a mount of it shows. The files stand in proc/*.ts, by what they tell of. Source: proc(5). */
import type { PidNamespace } from '../records.ts';
import { fixed, type Node } from './pseudo.ts';

export function procRoot(_ns: PidNamespace): Extract<Node, { kind: 'dir' }> {
  return fixed({});
}
