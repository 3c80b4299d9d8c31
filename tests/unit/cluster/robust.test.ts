/** Whatever a manifest holds, the API answers with a Status and kubectl with a message: nothing else is ever thrown. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createCluster } from '../../../src/engine/cluster/cluster.ts';
import { handle } from '../../../src/engine/cluster/server.ts';
import { KINDS, pathOf } from '../../../src/engine/cluster/types/kinds.ts';
import { fieldsOf } from '../../../src/engine/cluster/types/schema.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { jsonPath, parsePath, PathError } from '../../../src/engine/userland/kube/kubectl/jsonpath.ts';
import { ManifestError, readManifest } from '../../../src/engine/userland/kube/kubectl/manifest.ts';
import { addHollowNodes } from '../../../src/engine/world/hollow.ts';
import { bench, run } from '../../recorded/kubectl/door.ts';

/** Values that fit the schema's names but not always its types. */
function likeSchema(name: string, depth = 0): fc.Arbitrary<unknown> {
  const fields = fieldsOf(name);
  const odd = fc.constantFrom<unknown>(null, '', 'x', -1, 0, 70000, 1.5, true, [], {}, [null], 'a b', '10%', '64Mi', 'lots', '9'.repeat(30));
  const leaf: Record<string, fc.Arbitrary<unknown>> = {
    s: fc.constantFrom<unknown>('web', 'a/b', '', 'Always', 'RollingUpdate', 'x'.repeat(300)), i: fc.integer({ min: -5, max: 70000 }), b: fc.boolean(), q: fc.constantFrom<unknown>('1', '64Mi', 2),
    x: fc.constantFrom<unknown>('25%', 0, 1, 'http', '-1%'), m: fc.dictionary(fc.constantFrom('app', 'a/b', 'A B', ''), fc.constantFrom('web', '-x-', '')), Q: fc.dictionary(fc.constantFrom('cpu', 'memory', 'gpu'), fc.constantFrom<unknown>('100m', '1', 3, '-1')),
    o: odd, t: fc.constantFrom<unknown>('2026-01-15T09:00:00Z', 'soon'),
  };
  if (!fields || depth > 8) return leaf[name] ?? odd;
  const shape: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [field, type] of fields) {
    const inner = type.startsWith('[') ? fc.array(likeSchema(type.slice(1, -1), depth + 1), { maxLength: 2 }) : likeSchema(type, depth + 1);
    const absent = fc.constant(undefined);
    const nulls = type.startsWith('[') ? fc.constantFrom<unknown>([null], null) : fc.constant(null);
    shape[field] = fc.oneof({ weight: depth < 2 ? 60 : 20, arbitrary: inner }, { weight: depth < 2 ? 10 : 60, arbitrary: absent }, { weight: 3, arbitrary: nulls }, { weight: 0, arbitrary: odd });
  }
  return fc.record(shape, { requiredKeys: [] });
}

it('answers any object with an object or a Status', () => {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed: 1 });
  addHollowNodes(cluster, { hollow: 2 });
  let n = 0;
  const seen = new Map<number, number>();
  for (const kind of KINDS) {
    if (kind.kind === 'Lease' || kind.kind === 'Event') continue;
    fc.assert(
      fc.property(likeSchema(kind.kind), fc.constantFrom('POST', 'PUT', 'PATCH'), fc.constantFrom('application/merge-patch+json', 'application/strategic-merge-patch+json'), (object, method, type) => {
        const named = { ...(object as object), apiVersion: undefined, kind: kind.kind, metadata: { ...((object as { metadata?: object }).metadata ?? {}), name: method === 'POST' ? `o${n++}` : 'o0', namespace: undefined, resourceVersion: undefined, uid: undefined } };
        const path = pathOf(kind, kind.namespaced ? 'default' : undefined, method === 'POST' ? undefined : 'o0');
        const response = handle(cluster, { method, path, query: {}, headers: { 'content-type': type }, body: JSON.stringify(named) });
        expect(response.status).toBeGreaterThanOrEqual(200);
        seen.set(response.status, (seen.get(response.status) ?? 0) + 1);
        runTo(timeline, timeline.now + SECOND / 10);
      }),
      { seed: 7, numRuns: 300 },
    );
  }
  runTo(timeline, timeline.now + 60 * SECOND);
  expect(seen.get(201)).toBeGreaterThan(100);
  expect(seen.get(422)).toBeGreaterThan(100);
});

it('answers any path and body', () => {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed: 1 });
  fc.assert(
    fc.property(fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'), fc.webPath(), fc.string(), fc.dictionary(fc.constantFrom('labelSelector', 'fieldSelector', 'watch', 'resourceVersion'), fc.string()), (method, path, body, query) => {
      for (const prefix of ['', '/api/v1', '/api/v1/namespaces/default/pods', '/apis/apps/v1/deployments']) handle(cluster, { method, path: prefix + path, query, headers: {}, body });
    }),
    { seed: 7, numRuns: 400 },
  );
});

it('reads any text as YAML or says what is wrong', () => {
  const bit = fc.constantFrom('a', ': ', '- ', '\n', '  ', '[', ']', '{', '}', '&x ', '*x', '|', '>', '"', "'", '#', '---\n', '!!map', '\t', '<<: ', 'kind: Pod', '? ', '%', '@', '\u0000', 'é');
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.array(bit, { maxLength: 60 }).map((b) => b.join(''))), (source) => {
      try {
        readManifest(source, 'x.yaml');
      } catch (error) {
        expect(error).toBeInstanceOf(ManifestError);
      }
    }),
    { seed: 7, numRuns: 3000 },
  );
});

it('evaluates any template or says what is wrong', () => {
  const bit = fc.constantFrom('{', '}', '.', 'items', '[', ']', '*', '0', '-1', ':', '?(', '@', '==', '"x"', "'y'", 'range ', 'end', ')', '..', ' ', '\\', ',', '$');
  const data = { items: [{ a: 1, metadata: { name: 'x' } }, null, 'text'] };
  fc.assert(
    fc.property(fc.array(bit, { maxLength: 14 }).map((b) => b.join('')), (template) => {
      try {
        jsonPath(parsePath(template), data);
      } catch (error) {
        expect(error).toBeInstanceOf(PathError);
      }
    }),
    { seed: 7, numRuns: 3000 },
  );
});

it('survives any command line', () => {
  const b = bench({ hollow: 1 });
  const word = fc.constantFrom('get', 'pods', 'deploy/web', '-o', 'yaml', '--replicas', '3', '-l', 'a=b', '--', 'describe', 'no', 'delete', '--all', 'set', 'image', 'rollout', 'undo', 'label', 'x-', 'a=b', 'taint', 'a:b', 'svc,po', 'all', '-A', '--sort-by', '.x', 'create', 'cm', '--from-literal', 'logs', 'exec', 'run', '--image', 'wait', '--for', 'condition=', '--timeout=1s', 'patch', '-p', '{"a":1}', 'scale', '', '-f', 'nosuch', 'explain', 'pod.spec', 'config', 'view', 'drain', 'events', '-n', 'x', 'expose', '--port=1', '/', 'a/b/c', '-w');
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
      expect(run(b, ['kubectl', ...argv], '', 5).exit).toBeLessThan(256);
    }),
    { seed: 7, numRuns: 3000 },
  );
});
