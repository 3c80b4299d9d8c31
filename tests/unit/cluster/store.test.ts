/** Lists stay in the order of etcd's keys, whatever comes and goes between two of them. */
import { expect, it } from 'vitest';
import { createStore, drop, list, put } from '../../../src/engine/cluster/store.ts';
import type { KubeObject } from '../../../src/engine/cluster/types/objects.ts';
import { below, createRandom } from '../../../src/engine/sim/random.ts';
import { createTimeline } from '../../../src/engine/sim/timeline.ts';

const thing = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: `ns${name.length % 3}` } }) as KubeObject;

it.each([1, 2, 3, 4])('lists in order, each once, seed %i', (seed) => {
  const random = createRandom(seed);
  const store = createStore(createTimeline());
  const there = new Map<string, KubeObject>();
  for (let step = 0; step < 400; step++) {
    for (let n = below(random, 12); n > 0; n--) {
      const one = thing('abcdefghijklmnop'.slice(below(random, 8)).repeat(1 + below(random, 2)) + below(random, 60));
      const key = `${one.metadata.namespace}/${one.metadata.name}`;
      const old = there.get(key);
      if (old && below(random, 2) === 0) {
        drop(store, old);
        there.delete(key);
      } else there.set(key, put(store, one));
    }
    if (below(random, 3) > 0) continue;
    expect(list(store, 'ConfigMap').map((o) => `${o.metadata.namespace}/${o.metadata.name}`)).toEqual([...there.keys()].sort());
  }
});
