import { expect, it } from 'vitest';
import { create, remove } from '../../../src/engine/cluster/api.ts';
import { createCluster } from '../../../src/engine/cluster/cluster.ts';
import { list } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Pod } from '../../../src/engine/cluster/types/objects.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { openFeed, takeCells } from '../../../src/engine/views/cells.ts';
import { addHollowNodes } from '../../../src/engine/world/hollow.ts';
import { dotOf, hitAt, layOut } from '../../../src/ui/pictures/cluster/layout.ts';
import { createFlow, drip, HORIZON_MS, pour } from '../../../src/ui/pictures/cluster/flow.ts';
import { closeUp, createModel, isThere, nodeName, podName, search } from '../../../src/ui/pictures/cluster/model.ts';

it('the page has what the store has, after any changes, and every pod a cell of its own', () => {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed: 1 });
  addHollowNodes(cluster, { hollow: 12 });
  const feed = openFeed(cluster);
  const model = createModel();
  const flow = createFlow();
  let now = 0;
  const bring = (): void => {
    const patch = takeCells(feed, 1);
    if (patch) pour(flow, model, patch, now);
    for (const end = now + HORIZON_MS + 16; now < end; now += 16) drip(flow, model, now, 16);
    expect(flow.waiting).toBe(0);
  };
  const compare = (): void => {
    const mine = Array.from({ length: model.used }, (_, slot) => slot).filter((slot) => isThere(model, slot)).map((slot) => `${podName(model, slot)} ${nodeName(model, slot)}`).sort();
    expect(mine).toEqual(list<Pod>(cluster.store, 'Pod').map((p) => `${p.metadata.namespace}/${p.metadata.name} ${p.spec.nodeName ?? ''}`).sort());
    expect(model.living).toBe(mine.length);
    closeUp(model);
    const layout = layOut(model, 800, 500);
    const dots = new Set<number>();
    const misplaced: number[] = [];
    for (let slot = 0; slot < model.used; slot++) {
      if (!isThere(model, slot)) continue;
      const dot = dotOf(layout, model.node[slot]!, model.place[slot]!);
      if (dot < 0 || hitAt(layout, model, dot % layout.width, Math.floor(dot / layout.width)).slot !== slot) misplaced.push(slot);
      dots.add(dot);
    }
    expect(misplaced).toEqual([]);
    expect(dots.size).toBe(mine.length);
  };
  create(cluster, kindNamed('Deployment'), 'default', { metadata: { name: 'web' }, spec: { replicas: 200, selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } } } });
  for (let step = 0; step < 14; step++) {
    runTo(timeline, timeline.now + 0.05 * SECOND * (step + 1));
    if (step % 4 === 3) for (const pod of list<Pod>(cluster.store, 'Pod').filter((_, i) => i % 5 === step % 5)) remove(cluster, kindNamed('Pod'), 'default', pod.metadata.name, { gracePeriodSeconds: 0 });
    bring();
    compare();
  }
  expect(search(model, 'hollow-3 running')!.reduce((a, b) => a + b, 0)).toBe(list<Pod>(cluster.store, 'Pod').filter((p) => p.spec.nodeName === 'hollow-3' && p.status.phase === 'Running').length);
  expect(takeCells(feed, 1)).toBeNull();
});
