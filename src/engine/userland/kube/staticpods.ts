/**
 * Static pods: manifests of a directory on the node, looked at every 20 s as the kubelet does (fileCheckFrequency); each gets a
 * mirror in the API that shows it and cannot change it. Source: pkg/kubelet/config/file.go, pkg/kubelet/pod/mirror_client.go 1.32.
 */
import { parse as parseYaml } from 'yaml';
import type { Json, Pod } from '../../cluster/types/objects.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { SECOND } from '../../sim/units.ts';
import { hexOf } from '../containers/oci.ts';
import { list } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { api, slurp } from './api.ts';
import type { See } from './kubelet.ts';
import type { Kubelet } from './node.ts';

/** Watched by inotify in the real one, besides every 20 s; here a look each second at names and sizes would cost little and does the same. */
const LOOK = SECOND;

export function* followManifests(k: Kubelet, see: See): Body {
  const running = new Map<string, Pod>();
  for (let turn = 0; ; turn++) {
    const wanted = yield* readAll(k);
    for (const [uid, pod] of running) {
      if (wanted.has(uid)) continue;
      running.delete(uid);
      yield* see(pod, true, true);
      yield* removeMirror(k, pod);
    }
    for (const [uid, pod] of wanted) {
      if (running.has(uid)) continue;
      running.set(uid, pod);
      yield* see(pod, false, true);
    }
    if (turn % 5 === 0) for (const pod of running.values()) yield* mirror(k, pod);
    yield* sys('nanosleep', LOOK);
  }
}

/** Pods of the manifests by uid, which is made of the node and the content: another content is another pod. */
function* readAll(k: Kubelet): Call<Map<string, Pod>> {
  const out = new Map<string, Pod>();
  const dir = k.config.staticPodPath;
  for (const { name, type } of yield* list(dir)) {
    if (name.startsWith('.') || type === 'dir' || !/\.(ya?ml|json)$/.test(name)) continue;
    const source = (yield* slurp(`${dir}/${name}`)) ?? '';
    let object: Json = null;
    try {
      object = parseYaml(source);
    } catch {
      continue;
    }
    if (object?.kind !== 'Pod' || !object.metadata?.name || !Array.isArray(object.spec?.containers)) continue;
    const hash = hexOf(`${k.node} ${source}`).slice(0, 32);
    out.set(hash, podOf(k, object, hash));
  }
  return out;
}

const isSet = (c: Json, list: string, r: string): boolean => c.resources?.[list]?.[r] !== undefined;

function qosOf(spec: Json): string {
  const all: Json[] = [...spec.containers, ...(spec.initContainers ?? [])];
  if (all.every((c) => !['limits', 'requests'].some((l) => isSet(c, l, 'cpu') || isSet(c, l, 'memory')))) return 'BestEffort';
  const full = all.every((c) => ['cpu', 'memory'].every((r) => isSet(c, 'limits', r) && (c.resources.requests?.[r] ?? c.resources.limits[r]) === c.resources.limits[r]));
  return full ? 'Guaranteed' : 'Burstable';
}

function podOf(k: Kubelet, object: Json, hash: string): Pod {
  const { metadata, spec } = object;
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: {
      ...metadata, name: `${metadata.name}-${k.node}`, namespace: metadata.namespace ?? 'default', uid: hash,
      annotations: { ...metadata.annotations, 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.source': 'file' },
    },
    spec: { terminationGracePeriodSeconds: 30, restartPolicy: 'Always', dnsPolicy: 'ClusterFirst', enableServiceLinks: true, ...spec, nodeName: k.node, tolerations: [{ effect: 'NoExecute', operator: 'Exists' }] },
    status: { phase: 'Pending', qosClass: qosOf(spec) },
  } as Pod;
}

function* mirror(k: Kubelet, pod: Pod): Call<void> {
  const { metadata } = pod;
  const path = `/api/v1/namespaces/${metadata.namespace}/pods`;
  const there = yield* api(k.server, 'GET', `${path}/${metadata.name}`);
  if (!there) return;
  const hash = metadata.annotations!['kubernetes.io/config.hash']!;
  if (there.status < 400 && there.body.metadata?.annotations?.['kubernetes.io/config.mirror'] === hash && !there.body.metadata.deletionTimestamp) return;
  if (there.status < 400) yield* removeMirror(k, pod);
  const { uid: _, ...rest } = metadata;
  const { status: __, ...body } = pod;
  yield* api(k.server, 'POST', path, { ...body, metadata: { ...rest, annotations: { ...metadata.annotations, 'kubernetes.io/config.mirror': hash }, ownerReferences: yield* owner(k) } });
  const held = k.pods.get(String(pod.metadata.uid));
  if (held) held.untold = true;
  k.changes++;
}

function* owner(k: Kubelet): Call<Json[]> {
  const node = yield* api(k.server, 'GET', `/api/v1/nodes/${k.node}`);
  return node && node.status < 400 ? [{ apiVersion: 'v1', kind: 'Node', name: k.node, uid: node.body.metadata.uid, controller: true }] : [];
}

function* removeMirror(k: Kubelet, pod: Pod): Call<void> {
  yield* api(k.server, 'DELETE', `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`, { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 });
}
