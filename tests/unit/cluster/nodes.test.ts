/** Nodes that fall silent: when they are known to, how fast they are emptied, zone by zone, and when nobody is. */
import { describe, expect, it } from 'vitest';
import { mutate } from '../../../src/engine/cluster/api.ts';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import { zonesOf } from '../../../src/engine/cluster/controllers/nodezones.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import type { Condition, Node, Taint } from '../../../src/engine/cluster/types/objects.ts';
import { events, lab, later, make, pods } from './lab.ts';

const repelled = (cluster: Cluster): string[] => list<Node>(cluster.store, 'Node').filter((n) => n.spec.taints?.some((t) => t.effect === 'NoExecute')).map((n) => n.metadata.name);
const silence = (cluster: Cluster, ...names: string[]): void => {
  for (const name of names) cluster.hollow.delete(name);
};
const ready = (cluster: Cluster, name: string): Condition => get<Node>(cluster.store, 'Node', name)!.status.conditions!.find((c) => c.type === 'Ready')!;

describe('a node that renews its lease no more', () => {
  it('is unknown after 40 s, and its pods leave 300 s later', () => {
    const cluster = lab(2);
    make(cluster, 'Deployment', { metadata: { name: 'w' }, spec: { replicas: 2, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } } });
    later(cluster, 9);
    silence(cluster, 'hollow-1');
    later(cluster, 39);
    expect(ready(cluster, 'hollow-1').status).toBe('True');
    later(cluster, 11);
    expect(ready(cluster, 'hollow-1')).toMatchObject({ status: 'Unknown', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.' });
    expect(get<Node>(cluster.store, 'Node', 'hollow-1')!.spec.taints!.map((t: Taint) => `${t.key}:${t.effect}`).sort()).toEqual(['node.kubernetes.io/unreachable:NoExecute', 'node.kubernetes.io/unreachable:NoSchedule']);
    expect(events(cluster, 'hollow-1')).toContain('NodeNotReady: Node hollow-1 status is now: NodeNotReady');
    later(cluster, 285);
    expect(pods(cluster).filter((p) => p.metadata.deletionTimestamp)).toEqual([]);
    later(cluster, 20);
    const [gone] = pods(cluster).filter((p) => p.metadata.deletionTimestamp);
    expect(gone!.status.conditions!.find((c) => c.type === 'DisruptionTarget')).toMatchObject({ reason: 'DeletionByTaintManager' });
    expect(pods(cluster).filter((p) => !p.metadata.deletionTimestamp && p.status.phase === 'Running')).toHaveLength(2);
  });

  it('is emptied ten seconds after the one before it', () => {
    const cluster = lab(8);
    silence(cluster, 'hollow-1', 'hollow-2', 'hollow-3');
    later(cluster, 51);
    expect(repelled(cluster)).toHaveLength(1);
    later(cluster, 10);
    expect(repelled(cluster)).toHaveLength(2);
    later(cluster, 10);
    expect(repelled(cluster)).toHaveLength(3);
  });

  it('is not emptied in a small zone that is mostly down, nor when all are', () => {
    const cluster = lab(6);
    silence(cluster, 'hollow-1', 'hollow-2', 'hollow-3', 'hollow-4');
    later(cluster, 120);
    expect(repelled(cluster)).toEqual([]);
    const other = lab(3);
    silence(other, 'hollow-1');
    later(other, 60);
    expect(repelled(other)).toEqual(['hollow-1']);
    silence(other, 'hollow-2', 'hollow-3');
    later(other, 60);
    expect(repelled(other)).toEqual([]);
    expect(get<Node>(other.store, 'Node', 'hollow-2')!.spec.taints!.map((t) => t.effect)).toEqual(['NoSchedule']);
  });

  it('a zone alone is emptied while another stands', () => {
    const cluster = lab(4);
    for (const node of list<Node>(cluster.store, 'Node')) {
      mutate<Node>(cluster, 'Node', node.metadata.name, (n) => {
        n.metadata.labels = { ...n.metadata.labels, 'topology.kubernetes.io/zone': n.metadata.name < 'hollow-3' ? 'a' : 'b' };
      });
    }
    silence(cluster, 'hollow-1', 'hollow-2');
    later(cluster, 75);
    expect(repelled(cluster)).toEqual(['hollow-1', 'hollow-2']);
  });
});

it.each([[10, 0, 'Normal'], [8, 2, 'Normal'], [2, 2, 'Normal'], [2, 3, 'PartialDisruption'], [5, 5, 'Normal'], [0, 1, 'FullDisruption']])('a zone with %i ready and %i not is in state %s', (well, sick, state) => {
  const node = (status: string): Node => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'x' }, spec: {}, status: { conditions: [{ type: 'Ready', status }] } });
  expect(zonesOf([...Array(well).fill(node('True')), ...Array(sick).fill(node('Unknown'))]).get('')!.state).toBe(state);
});
