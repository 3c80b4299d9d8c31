/** View and difference of 1,000 and 10,000 pods of which one in a hundred changes; beside it, all rows as JSON each time. */
import type { PodRow } from '../../src/bridge/rows.ts';
import { diff, nothingSent } from '../../src/engine/views/diff.ts';
import { VIEWS } from '../../src/engine/views/views.ts';
import { loadAssets } from '../../src/cli/assets.ts';
import { createWorld } from '../../src/engine/world/world.ts';
import { put } from '../../src/engine/cluster/store.ts';
import { time } from './median.ts';

export function views(): Record<string, unknown> {
  return { rows1000: measure(1000), rows10000: measure(10_000) };
}

function measure(count: number): Record<string, number> {
  const world = createWorld(loadAssets(), 'cluster-10', 1);
  for (let n = 0; n < count; n++) {
    put(world.cluster!.store, {
      apiVersion: 'v1', kind: 'Pod',
      metadata: { name: `pod-${n}`, namespace: 'default', uid: `u${n}`, creationTimestamp: '2026-01-15T09:00:00Z', labels: { app: `a${n % 40}` } },
      spec: { nodeName: `node-${(n % 10) + 1}`, containers: [{ name: 'c', image: 'nginx', resources: { requests: { cpu: '10m', memory: '16Mi' } } }] },
      status: { phase: 'Running', podIP: `10.244.0.${n % 250}` },
    } as never);
  }
  const view = time(7, () => void VIEWS.pods!.rows(world, {}));
  const rows = VIEWS.pods!.rows(world, {}) as PodRow[];
  const sent = nothingSent();
  diff(1, sent, rows);
  let turn = 0;
  const difference = time(15, () => {
    turn++;
    diff(1, sent, rows.map((row, i) => (i % 100 === 0 ? { ...row, restarts: turn } : row)));
  });
  const naive = time(7, () => void JSON.parse(JSON.stringify(rows)));
  return { viewMs: round(view), diffMs: round(difference), jsonMs: round(naive), vsJson: round(naive / difference) };
}

const round = (n: number): number => Number(n.toPrecision(3));
