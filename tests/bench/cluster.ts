/** Pods scheduled a second, decisions recorded: 1,000 on 10 nodes and 5,000 on 1,000, all hollow. */
import { loadAssets } from '../../src/cli/assets.ts';
import { handle } from '../../src/engine/cluster/server.ts';
import { advance, createWorld } from '../../src/engine/world/world.ts';

export function cluster(): Record<string, unknown> {
  return { pods1000nodes10: schedule(1000, 10), pods5000nodes1000: schedule(5000, 1000) };
}

function schedule(pods: number, nodes: number): Record<string, number> {
  const world = createWorld(loadAssets(), `cluster-${nodes}`, 1);
  advance(world, 1e9);
  const began = performance.now();
  for (let n = 0; n < pods; n++) {
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${n}` }, spec: { containers: [{ name: 'c', image: 'nginx', resources: { requests: { cpu: '10m', memory: '8Mi' } } }] } });
    handle(world.cluster!, { method: 'POST', path: '/api/v1/namespaces/default/pods', query: {}, headers: { 'content-type': 'application/json' }, body });
  }
  let bound = 0;
  while (bound < pods && performance.now() - began < 60_000) {
    advance(world, world.timeline.now + 1e9);
    bound = 0;
    for (const pod of world.cluster!.store.tables.get('Pod')!.values()) if (pod.spec.nodeName) bound++;
  }
  const ms = performance.now() - began;
  return { bound, ms: Math.round(ms), podsPerSecond: Math.round((bound / ms) * 1000) };
}
