/** What a line of the terminal names that a picture shows: containers, pods, nodes, VMs. */
import type { ContainerRow, NodeRow, PodRow, VmRow } from '../../bridge/rows.ts';
import { known } from '../bridge/client.ts';
import { select, set, show } from '../store.ts';

export interface Found { at: number; text: string; go: () => void }

export function linksOf(line: string): Found[] {
  const targets = new Map<string, () => void>();
  for (const row of known('vms') as unknown as VmRow[]) targets.set(row.name, () => { set({ vm: row.name }); show('walk'); });
  for (const row of known('nodes') as unknown as NodeRow[]) targets.set(row.name, () => { show('cluster'); select({ kind: 'node', id: row.name }); });
  for (const row of known('pods') as unknown as PodRow[]) targets.set(row.name, () => { show('cluster'); select({ kind: 'pod', id: `${row.namespace}/${row.name}` }); });
  for (const row of known('containers') as unknown as ContainerRow[]) {
    const go = (): void => { show('containers'); select({ kind: 'container', id: row.id }); };
    for (const name of [row.name, row.id, row.id.slice(0, 12)]) targets.set(name, go);
  }
  const found: Found[] = [];
  for (const match of line.matchAll(/[A-Za-z0-9][A-Za-z0-9._-]*/g)) {
    const go = targets.get(match[0]);
    if (go) found.push({ at: match.index, text: match[0], go });
  }
  return found;
}
