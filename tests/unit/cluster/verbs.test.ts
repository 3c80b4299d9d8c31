/** Lists in pages and of the past, watches with bookmarks, patches, generated names, and the ways in which things go. */
import { describe, expect, it } from 'vitest';
import { mutate, remove } from '../../../src/engine/cluster/api.ts';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import { createClusterService } from '../../../src/engine/cluster/server.ts';
import { clusterAt, revisionAt, revisionsBetween } from '../../../src/engine/cluster/history.ts';
import { podFacts } from '../../../src/engine/cluster/inspect.ts';
import { get, list, ownedBy, podsOnNode } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Condition, Json } from '../../../src/engine/cluster/types/objects.ts';
import { text } from '../../../src/engine/sim/text.ts';
import { formatRequest } from '../../../src/engine/sim/wire.ts';
import { ask, lab, later, make, pods, said } from './lab.ts';

const CMS = '/api/v1/namespaces/default/configmaps';
const cm = (name: string, data: object = {}, more: object = {}): Json => ({ metadata: { name, ...more }, data });
const namesOf = (body: Json): string[] => body.items.map((o: Json) => o.metadata.name);
const web = (replicas: number): Json => ({ metadata: { name: 'web' }, spec: { replicas, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } } });

describe('lists', () => {
  it('come in pages of one revision', () => {
    const cluster = lab();
    for (const name of ['a', 'b', 'c', 'd', 'e']) make(cluster, 'ConfigMap', cm(name));
    const first = ask(cluster, 'GET', CMS, '', { limit: '2' }).body;
    expect([namesOf(first), first.metadata.remainingItemCount]).toEqual([['a', 'b'], 4]);
    remove(cluster, kindNamed('ConfigMap'), 'default', 'c');
    make(cluster, 'ConfigMap', cm('bb'));
    const second = ask(cluster, 'GET', CMS, '', { limit: '2', continue: first.metadata.continue }).body;
    expect([namesOf(second), second.metadata.resourceVersion]).toEqual([['c', 'd'], first.metadata.resourceVersion]);
    const third = ask(cluster, 'GET', CMS, '', { limit: '9', continue: second.metadata.continue }).body;
    expect([namesOf(third), third.metadata.continue]).toEqual([['e', 'kube-root-ca.crt'], undefined]);
    expect(ask(cluster, 'GET', CMS, '', { continue: 'x!' }).status).toBe(400);
  });

  it('show the past, as far as it is known', () => {
    const cluster = lab();
    make(cluster, 'ConfigMap', cm('a', { v: '1' }));
    const then = String(cluster.store.revision);
    mutate(cluster, 'ConfigMap', 'default/a', (o) => {
      o.data = { v: '2' };
    });
    make(cluster, 'ConfigMap', cm('b'));
    remove(cluster, kindNamed('ConfigMap'), 'default', 'a');
    const past = ask(cluster, 'GET', CMS, '', { resourceVersion: then, resourceVersionMatch: 'Exact' }).body;
    expect([namesOf(past), past.items[0].data, past.metadata.resourceVersion]).toEqual([['a', 'kube-root-ca.crt'], { v: '1' }, then]);
    expect(ask(cluster, 'GET', CMS, '', { resourceVersion: '999999', resourceVersionMatch: 'Exact' })).toMatchObject({ status: 504, body: { message: expect.stringMatching(/^Too large resource version: 999999, current: \d+$/) } });
  });
});

it('a watch hears bookmarks and ends when it asked to', () => {
  const cluster = lab();
  let heard = '';
  const service = createClusterService(cluster, (_c, data) => {
    heard += text(data);
  }, () => {});
  service.open(1);
  service.data(1, formatRequest('GET', `${CMS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=100&resourceVersion=${cluster.store.revision}`, {}));
  make(cluster, 'ConfigMap', cm('a'));
  later(cluster, 70);
  expect(heard.match(/"type":"(\w+)"/g)).toEqual(['"type":"ADDED"', '"type":"BOOKMARK"']);
  later(cluster, 40);
  expect(heard.endsWith('0\r\n\r\n')).toBe(true);
  make(cluster, 'ConfigMap', cm('b'));
  expect(heard).not.toContain('"name":"b"');
});

describe('patches', () => {
  const strategic = (cluster: Cluster, body: Json): Json => ask(cluster, 'PATCH', '/apis/apps/v1/namespaces/default/deployments/web', body, {}, { 'content-type': 'application/strategic-merge-patch+json' }).body;
  const containers = (o: Json): string[] => o.spec.template.spec.containers.map((c: Json) => `${c.name}=${c.image}`);
  const patch = (list: object[], more: object = {}): Json => ({ spec: { template: { spec: { containers: list, ...more } } } });

  it.each([
    ['merges by name', patch([{ name: 'c', image: 'j' }, { name: 'd', image: 'k' }]), ['c=j', 'd=k']],
    ['deletes by name', patch([{ name: 'd', image: 'k' }, { name: 'c', $patch: 'delete' }]), ['d=k']],
    ['replaces', patch([{ $patch: 'replace' }, { name: 'x', image: 'y' }]), ['x=y']],
    ['orders', patch([{ name: 'd', image: 'k' }], { '$setElementOrder/containers': [{ name: 'd' }, { name: 'c' }] }), ['d=k', 'c=i']],
  ])('strategic: %s', (_name, body, expected) => {
    const cluster = lab();
    make(cluster, 'Deployment', web(0));
    expect(containers(strategic(cluster, body))).toEqual(expected);
  });

  it('retains keys and takes from lists', () => {
    const cluster = lab();
    make(cluster, 'Deployment', web(0));
    expect(strategic(cluster, { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }).spec.strategy).toEqual({ type: 'Recreate' });
    strategic(cluster, { metadata: { finalizers: ['x.io/a', 'x.io/b'] } });
    expect(strategic(cluster, { metadata: { '$deleteFromPrimitiveList/finalizers': ['x.io/a'] } }).metadata.finalizers).toEqual(['x.io/b']);
  });

  it('refuses what it does not know', () => {
    const cluster = lab();
    make(cluster, 'ConfigMap', cm('a'));
    expect(ask(cluster, 'PATCH', `${CMS}/a`, {}, {}, { 'content-type': 'text/plain' }).status).toBe(415);
    expect(ask(cluster, 'PATCH', `${CMS}/a`, [{ op: 'remove', path: '/data/none' }], {}, { 'content-type': 'application/json-patch+json' })).toMatchObject({ status: 422, body: { message: 'the server rejected our request due to an error in our request' } });
    expect(ask(cluster, 'POST', CMS, cm('x'), { dryRun: 'Some' }).status).toBe(400);
  });
});

it('generates names', () => {
  const cluster = lab();
  const made = make(cluster, 'ConfigMap', { metadata: { generateName: `${'x'.repeat(70)}-` } });
  expect(made.metadata.name).toMatch(/^x{58}[a-z0-9]{5}$/);
  expect(made.metadata.generateName).toHaveLength(71);
});

describe('deletion', () => {
  it('waits for finalizers', () => {
    const cluster = lab();
    make(cluster, 'ConfigMap', cm('a', {}, { finalizers: ['x.io/hold'] }));
    expect(ask(cluster, 'DELETE', `${CMS}/a`).body.metadata).toMatchObject({ deletionTimestamp: expect.any(String), deletionGracePeriodSeconds: 0 });
    expect(ask(cluster, 'PATCH', `${CMS}/a`, { metadata: { finalizers: null } }, {}, { 'content-type': 'application/merge-patch+json' }).status).toBe(200);
    expect(get(cluster.store, 'ConfigMap', 'default/a')).toBeUndefined();
  });

  it.each([['Background', 0, 0, true], ['Orphan', 1, 2, true], ['Foreground', 0, 0, false]])('%s', (policy, sets, left, ownerFirst) => {
    const cluster = lab(1);
    make(cluster, 'Deployment', web(2));
    later(cluster, 5);
    const order: string[] = [];
    cluster.store.listeners.add((change) => {
      if (change.type === 'DELETED') order.push(change.kind);
    });
    remove(cluster, kindNamed('Deployment'), 'default', 'web', { propagationPolicy: policy });
    later(cluster, 20);
    expect([get(cluster.store, 'Deployment', 'default/web'), list(cluster.store, 'ReplicaSet').length, pods(cluster).length]).toEqual([undefined, sets, left]);
    const kinds = order.filter((k) => ['Deployment', 'ReplicaSet', 'Pod'].includes(k));
    expect(kinds[0] === 'Deployment').toBe(ownerFirst);
    if (policy === 'Foreground') expect(kinds).toEqual(['Pod', 'Pod', 'ReplicaSet', 'Deployment']);
  });

  it('collects what names an owner that is not', () => {
    const cluster = lab();
    make(cluster, 'ConfigMap', cm('a', {}, { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'none', uid: 'no-such' }] }));
    later(cluster, 1);
    expect(get(cluster.store, 'ConfigMap', 'default/a')).toBeUndefined();
  });

  it('a namespace tells what it waits for', () => {
    const cluster = lab();
    make(cluster, 'Namespace', { metadata: { name: 'dev' } });
    make(cluster, 'ConfigMap', cm('a', {}, { finalizers: ['x.io/hold'] }), 'dev');
    later(cluster, 1);
    remove(cluster, kindNamed('Namespace'), undefined, 'dev');
    later(cluster, 2);
    const conditions = get(cluster.store, 'Namespace', 'dev')!.status.conditions as Condition[];
    expect(conditions.filter((c) => c.status === 'True').map((c) => `${c.reason}: ${c.message}`)).toEqual([
      'SomeResourcesRemain: Some resources are remaining: configmaps. has 1 resource instances', 'SomeFinalizersRemain: Some content in the namespace has finalizers remaining: x.io/hold in 1 resource instances',
    ]);
    expect(said(() => make(cluster, 'ConfigMap', cm('b'), 'dev'))).toBe('configmaps "b" is forbidden: unable to create new content in namespace dev because it is being terminated');
    mutate(cluster, 'ConfigMap', 'dev/a', (o) => {
      delete o.metadata.finalizers;
    });
    later(cluster, 2);
    expect(get(cluster.store, 'Namespace', 'dev')).toBeUndefined();
  });
});

describe('the past', () => {
  it('can be looked at as the present is', () => {
    const cluster = lab(2);
    make(cluster, 'Deployment', web(3));
    later(cluster, 5);
    const then = cluster.store.revision;
    const was = podFacts(cluster).map((p) => [p.name, p.node, p.status]);
    mutate(cluster, 'Deployment', 'default/web', (o) => {
      o.spec.replicas = 1;
    });
    later(cluster, 30);
    expect(podFacts(cluster)).toHaveLength(1);
    const past = clusterAt(cluster, then)!;
    expect(podFacts(past).map((p) => [p.name, p.node, p.status])).toEqual(was);
    expect(podsOnNode(past.store, 'hollow-1').length + podsOnNode(past.store, 'hollow-2').length).toBe(3);
    expect(ownedBy(past.store, list(past.store, 'ReplicaSet')[0]!.metadata.uid!)).toHaveLength(3);
    expect(revisionsBetween(cluster, then, cluster.store.revision)[0]).toMatchObject({ what: 'MODIFIED', kind: 'Deployment', key: 'default/web' });
    expect(revisionAt(cluster, cluster.timeline.now)).toBeLessThanOrEqual(cluster.store.revision);
    expect([clusterAt(cluster, 0), clusterAt(cluster, 10 ** 9)]).toEqual([null, null]);
  });

  it('is the same at every revision as it was then', () => {
    const cluster = lab(1);
    const seen = new Map<number, string>();
    const look = (c: Cluster): string => JSON.stringify(list(c.store, 'ConfigMap').map((o) => [o.metadata.name, o.metadata.resourceVersion]));
    for (let i = 0; i < 40; i++) {
      if (i % 3 === 0) make(cluster, 'ConfigMap', cm(`c${i % 9}x${i}`));
      else if (i % 3 === 1) mutate(cluster, 'ConfigMap', `default/c${(i - 1) % 9}x${i - 1}`, (o) => void (o.data = { i: String(i) }));
      else if (i % 2) remove(cluster, kindNamed('ConfigMap'), 'default', `c${(i - 2) % 9}x${i - 2}`);
      seen.set(cluster.store.revision, look(cluster));
    }
    for (const [revision, said] of seen) expect(look(clusterAt(cluster, revision)!)).toBe(said);
  });
});
