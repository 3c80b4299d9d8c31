/** Field ownership: ordinary writes, server-side apply, its conflicts; patches of every kind; versions and who wins. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mutate } from '../../../src/engine/cluster/api.ts';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import { collect, decode, encode, type FieldSet } from '../../../src/engine/cluster/fieldsets.ts';
import { get } from '../../../src/engine/cluster/store.ts';
import type { Json } from '../../../src/engine/cluster/types/objects.ts';
import { ask, lab, later } from './lab.ts';

const PATH = '/api/v1/namespaces/default/configmaps/c';
const DEPLOY = '/apis/apps/v1/namespaces/default/deployments/web';
const APPLY = { 'content-type': 'application/apply-patch+yaml' };
const cm = (data: object, more: object = {}): Json => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', ...more }, data });
const apply = (cluster: Cluster, manager: string, body: Json, query: Record<string, string> = {}, path = PATH): { status: number; body: Json } => ask(cluster, 'PATCH', path, body, { fieldManager: manager, ...query }, APPLY);
const web = (replicas: number | undefined, containers: object[]): Json => ({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' },
  spec: { ...(replicas === undefined ? {} : { replicas }), selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers } } },
});
const owners = (o: Json): string[] => (o.metadata.managedFields ?? []).map((e: Json) => `${e.manager} ${e.operation}${e.subresource ? ` ${e.subresource}` : ''}`);

describe('server-side apply', () => {
  it('makes, owns, and lets go', () => {
    const cluster = lab();
    expect(apply(cluster, 'one', cm({ a: '1', b: '2' })).status).toBe(201);
    const entry = get(cluster.store, 'ConfigMap', 'default/c')!.metadata.managedFields![0];
    expect(entry).toMatchObject({ manager: 'one', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': { 'f:a': {}, 'f:b': {} } } });
    expect(apply(cluster, 'two', cm({ c: '3' })).status).toBe(200);
    expect(apply(cluster, 'one', cm({ a: '1' })).body.data).toEqual({ a: '1', c: '3' });
  });

  it('conflicts on what another owns, and says so', () => {
    const cluster = lab();
    apply(cluster, 'one', cm({ a: '1', b: '1' }));
    const refused = apply(cluster, 'two', cm({ a: '2' }));
    expect(refused.status).toBe(409);
    expect(refused.body.message).toBe('Apply failed with 1 conflict: conflict with "one": .data.a');
    expect(refused.body.details.causes).toEqual([{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' }]);
    expect(apply(cluster, 'two', cm({ a: '2', b: '2' })).body.message).toBe('Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b');
    expect(apply(cluster, 'two', cm({ a: '1' })).status).toBe(200);
    const forced = apply(cluster, 'three', cm({ a: '9' }), { force: 'true' });
    expect([forced.body.data.a, owners(forced.body)]).toEqual(['9', ['one Apply', 'three Apply']]);
  });

  it('conflicts with ordinary writers, by version', () => {
    const cluster = lab();
    ask(cluster, 'POST', '/apis/apps/v1/namespaces/default/deployments', web(3, [{ name: 'c', image: 'i:1' }]), { fieldManager: 'kubectl-create' });
    expect(apply(cluster, 'me', web(5, [{ name: 'c', image: 'i:1' }]), {}, DEPLOY).body.message).toBe('Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: .spec.replicas');
    expect(apply(cluster, 'me', web(5, [{ name: 'c', image: 'i:2' }]), {}, DEPLOY).body.message).toBe('Apply failed with 2 conflicts: conflicts with "kubectl-create" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name="c"].image');
  });

  it('takes over what the same person applied on the client', () => {
    const cluster = lab();
    const body = web(3, [{ name: 'c', image: 'i:1' }]);
    const annotated = { ...body, metadata: { ...body.metadata, annotations: { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(body) } } };
    ask(cluster, 'POST', '/apis/apps/v1/namespaces/default/deployments', annotated, { fieldManager: 'kubectl-client-side-apply' });
    expect(apply(cluster, 'kubectl', web(4, [{ name: 'c', image: 'i:2' }]), {}, DEPLOY)).toMatchObject({ status: 200, body: { spec: { replicas: 4 } } });
    expect(apply(cluster, 'other', web(5, [{ name: 'c', image: 'i:2' }]), {}, DEPLOY).body.message).toBe('Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas');
  });

  it('merges lists by their keys and removes only its own items', () => {
    const cluster = lab();
    apply(cluster, 'one', web(undefined, [{ name: 'c', image: 'i', env: [{ name: 'A', value: '1' }, { name: 'B', value: '2' }], ports: [{ containerPort: 80, name: 'http' }] }]), {}, DEPLOY);
    apply(cluster, 'two', web(undefined, [{ name: 'side', image: 's' }]), {}, DEPLOY);
    const after = apply(cluster, 'one', web(undefined, [{ name: 'c', image: 'i', env: [{ name: 'B', value: '3' }] }]), {}, DEPLOY).body;
    expect(after.spec.template.spec.containers.map((c: Json) => c.name)).toEqual(['c', 'side']);
    expect(after.spec.template.spec.containers[0].env).toEqual([{ name: 'B', value: '3' }]);
    expect(after.spec.template.spec.containers[0].ports ?? []).toEqual([]);
  });

  it('knows a scaler from an applier', () => {
    const cluster = lab(1);
    apply(cluster, 'me', web(2, [{ name: 'c', image: 'i' }]), {}, DEPLOY);
    later(cluster, 3);
    mutate(cluster, 'Deployment', 'default/web', (d) => {
      d.spec.replicas = 4;
    });
    const live = get(cluster.store, 'Deployment', 'default/web')!;
    expect(owners(live).sort()).toEqual(['kube-controller-manager Update', 'kube-controller-manager Update status', 'me Apply']);
    expect(apply(cluster, 'me', web(2, [{ name: 'c', image: 'i' }]), {}, DEPLOY).body.message).toBe('Apply failed with 1 conflict: conflict with "kube-controller-manager" using apps/v1: .spec.replicas');
    expect(apply(cluster, 'me', web(undefined, [{ name: 'c', image: 'i' }]), {}, DEPLOY).body.spec.replicas).toBe(4);
  });

  it.each([
    [cm({}, { managedFields: [{}] }), { fieldManager: 'x' }, 'metadata.managedFields must be nil'],
    [{ ...cm({}), dater: {} }, { fieldManager: 'x' }, 'failed to create typed patch object (default/c; v1, Kind=ConfigMap): .dater: field not declared in schema'],
    [cm({}), { fieldManager: '' }, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'],
  ])('refuses %j', (body, query, message) => {
    expect(ask(lab(), 'PATCH', PATH, body, query as Record<string, string>, APPLY).body.message).toBe(message);
  });

  it('changes nothing when nothing changes', () => {
    const cluster = lab();
    const first = apply(cluster, 'one', cm({ a: '1' })).body.metadata.resourceVersion;
    later(cluster, 5);
    expect(apply(cluster, 'one', cm({ a: '1' })).body.metadata.resourceVersion).toBe(first);
    expect(apply(cluster, 'one', cm({ a: '2' }), { dryRun: 'All' }).body.data).toEqual({ a: '2' });
    expect(get(cluster.store, 'ConfigMap', 'default/c')!.data).toEqual({ a: '1' });
  });
});

describe('sets of fields', () => {
  it('come back from FieldsV1 as they were', () => {
    const json = fc.letrec((tie) => ({ node: fc.oneof({ depthSize: 'small' }, fc.string(), fc.integer(), fc.dictionary(fc.constantFrom('a', 'b', 'containers', 'env', 'finalizers', 'x.y/z'), tie('node')), fc.array(fc.record({ name: fc.string(), v: fc.integer() }), { maxLength: 3 })) })).node;
    fc.assert(fc.property(json, (value) => {
      const set: FieldSet = new Set();
      collect(value, '', '', set, true);
      expect([...decode(encode(set))].sort()).toEqual([...set].sort());
    }), { numRuns: 300, seed: 7 });
  });
});

describe('versions', () => {
  it('refuses a write of a stale version, in any form', () => {
    const cluster = lab();
    const made = ask(cluster, 'POST', '/api/v1/namespaces/default/configmaps', cm({ a: '1' })).body;
    ask(cluster, 'PUT', PATH, cm({ a: '2' }));
    const says = 'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to the latest version and try again';
    const stale = { metadata: { resourceVersion: made.metadata.resourceVersion }, data: { a: '3' } };
    expect(ask(cluster, 'PUT', PATH, { ...cm({ a: '3' }), metadata: { name: 'c', resourceVersion: made.metadata.resourceVersion } })).toMatchObject({ status: 409, body: { reason: 'Conflict', message: says } });
    expect(ask(cluster, 'PATCH', PATH, stale, {}, { 'content-type': 'application/merge-patch+json' })).toMatchObject({ status: 409, body: { message: says } });
    expect(ask(cluster, 'PATCH', PATH, { data: { a: '3' } }, {}, { 'content-type': 'application/merge-patch+json' }).status).toBe(200);
    expect(ask(cluster, 'DELETE', PATH, { preconditions: { resourceVersion: '1' } })).toMatchObject({ status: 409 });
  });

  it('loses no update of a hundred writers', () => {
    fc.assert(fc.property(fc.array(fc.nat(99), { minLength: 300, maxLength: 600 }), (turns) => {
      const cluster = lab();
      ask(cluster, 'POST', '/api/v1/namespaces/default/configmaps', cm({ n: '0' }));
      const held = new Map<number, Json>();
      let done = 0;
      for (const writer of turns) {
        const mine = held.get(writer);
        if (!mine) {
          held.set(writer, ask(cluster, 'GET', PATH).body);
          continue;
        }
        const reply = ask(cluster, 'PUT', PATH, { ...mine, data: { n: String(Number(mine.data.n) + 1) } });
        expect([200, 409]).toContain(reply.status);
        if (reply.status === 200) done++;
        held.delete(writer);
      }
      expect(Number(get(cluster.store, 'ConfigMap', 'default/c')!.data.n)).toBe(done);
    }), { numRuns: 20, seed: 7 });
  });
});
