/**
 * local-path-provisioner: a directory on the node that the scheduler chose is the volume; a helper pod makes it there, and removes it
 * when the volume is to go. Such a volume stays where it is. Source: rancher/local-path-provisioner 0.0.30. Left out: its ConfigMap's
 * other node paths, size limits.
 */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { type Body, type SockAddr, sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { api } from '../api.ts';
import { createQueue, drainQueue, enqueue, good, inCluster, keep, tellEvent } from './informer.ts';
import { flagOf, nothing } from './provisioner.ts';
import { klog } from './rpc.ts';

const NAME = 'rancher.io/local-path';
const NOTE = 'volume.kubernetes.io/storage-provisioner';
const SELECTED = 'volume.kubernetes.io/selected-node';
const SECOND = 1_000_000_000;

interface Local {
  server: SockAddr;
  component: string;
  path: string;
  image: string;
  namespace: string;
  claims: Map<string, KubeObject>;
  volumes: Map<string, KubeObject>;
}

export function* localPath(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  const { nodename } = yield* sys('uname');
  const l: Local = {
    server: inCluster(env), component: `${NAME}_${nodename}`, path: flagOf(argv, 'path', '/opt/local-path-provisioner'), image: flagOf(argv, 'helper-image', 'busybox'), namespace: env.POD_NAMESPACE ?? 'local-path-storage', claims: new Map(), volumes: new Map(),
  };
  yield* klog('main.go:287', 'Provisioner started');
  const queue = yield* createQueue();
  l.claims = yield* keep(l.server, '/api/v1/persistentvolumeclaims', (o, gone) => (gone ? nothing() : enqueue(queue, `claim ${o.metadata.namespace}/${o.metadata.name}`)));
  l.volumes = yield* keep(l.server, '/api/v1/persistentvolumes', (o, gone) => (gone ? nothing() : enqueue(queue, `volume ${o.metadata.name}`)));
  return yield* drainQueue(queue, (key) => (key.startsWith('claim ') ? provision(l, key.slice(6)) : remove(l, key.slice(7))));
}

/** Runs a command on a directory of a node, in a pod there; says whether it succeeded within two minutes. */
function* helper(l: Local, what: 'create' | 'delete', volume: string, node: string, path: string): Call<boolean> {
  const name = `helper-pod-${what}-${volume}`;
  const pods = `/api/v1/namespaces/${l.namespace}/pods`;
  const parent = path.slice(0, path.lastIndexOf('/'));
  yield* api(l.server, 'POST', pods, {
    apiVersion: 'v1', kind: 'Pod', metadata: { name },
    spec: {
      nodeName: node, restartPolicy: 'Never', tolerations: [{ operator: 'Exists' }],
      containers: [{ name: 'helper-pod', image: l.image, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', what === 'create' ? `mkdir -m 0777 -p ${path}` : `rm -rf ${path}`], volumeMounts: [{ name: 'data', mountPath: parent }] }],
      volumes: [{ name: 'data', hostPath: { path: parent, type: 'DirectoryOrCreate' } }],
    },
  });
  let phase = '';
  for (let i = 0; i < 120 && phase !== 'Succeeded' && phase !== 'Failed'; i++) {
    yield* sys('nanosleep', SECOND);
    phase = String(good(yield* api(l.server, 'GET', `${pods}/${name}`))?.status?.phase ?? 'Failed');
  }
  yield* api(l.server, 'DELETE', `${pods}/${name}`, { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 });
  return phase === 'Succeeded';
}

function* provision(l: Local, key: string): Call<boolean> {
  const claim = l.claims.get(key);
  if (!claim || claim.spec.volumeName || claim.metadata.deletionTimestamp || claim.metadata.annotations?.[NOTE] !== NAME) return false;
  const sc = good(yield* api(l.server, 'GET', `/apis/storage.k8s.io/v1/storageclasses/${claim.spec.storageClassName}`));
  const node = claim.metadata.annotations[SELECTED];
  const name = `pvc-${claim.metadata.uid}`;
  if (sc?.provisioner !== NAME || l.volumes.has(name)) return false;
  const fail = function* (message: string): Call<boolean> {
    yield* tellEvent(l.server, claim, 'Warning', 'ProvisioningFailed', `failed to provision volume with StorageClass "${sc.metadata.name}": ${message}`, l.component);
    return true;
  };
  if (sc.volumeBindingMode === 'WaitForFirstConsumer' && !node) return false;
  yield* tellEvent(l.server, claim, 'Normal', 'Provisioning', `External provisioner is provisioning volume for claim "${key}"`, l.component);
  if (!node) return yield* fail('configuration error, no node was specified');
  if ((claim.spec.accessModes as string[]).some((mode) => mode !== 'ReadWriteOnce' && mode !== 'ReadWriteOncePod')) return yield* fail('NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes');
  if (claim.spec.selector) return yield* fail('claim.Spec.Selector is not supported');
  const path = `${l.path}/${name}_${claim.metadata.namespace}_${claim.metadata.name}`;
  if (!(yield* helper(l, 'create', name, node, path))) return yield* fail(`failed to create volume ${name}: create process timeout after 120 seconds`);
  yield* klog('provisioner.go:265', `volume ${name} has been created on ${node}:${path}`);
  yield* api(l.server, 'POST', '/api/v1/persistentvolumes', volumeObject(name, claim, sc, node, path));
  yield* tellEvent(l.server, claim, 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`, l.component);
  return false;
}

function volumeObject(name: string, { metadata, spec }: KubeObject, sc: Json, node: string, path: string): Json {
  return {
    apiVersion: 'v1', kind: 'PersistentVolume',
    metadata: { name, annotations: { 'local.path.provisioner/selected-node': node, 'pv.kubernetes.io/provisioned-by': NAME } },
    spec: {
      accessModes: spec.accessModes, capacity: { storage: spec.resources.requests.storage },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: metadata.name, namespace: metadata.namespace, resourceVersion: metadata.resourceVersion, uid: metadata.uid },
      hostPath: { path, type: 'DirectoryOrCreate' }, nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }] } },
      persistentVolumeReclaimPolicy: sc.reclaimPolicy ?? 'Delete', storageClassName: sc.metadata.name, volumeMode: spec.volumeMode ?? 'Filesystem',
    },
  };
}

function* remove(l: Local, name: string): Call<boolean> {
  const volume = l.volumes.get(name);
  if (volume?.metadata.annotations?.['pv.kubernetes.io/provisioned-by'] !== NAME || volume.metadata.deletionTimestamp) return false;
  if (volume.spec.persistentVolumeReclaimPolicy !== 'Delete' || volume.status?.phase !== 'Released') return false;
  const node = volume.metadata.annotations['local.path.provisioner/selected-node'] ?? volume.spec.nodeAffinity?.required?.nodeSelectorTerms?.[0]?.matchExpressions?.[0]?.values?.[0];
  if (!node || !(yield* helper(l, 'delete', name, node, volume.spec.hostPath.path))) {
    yield* tellEvent(l.server, volume, 'Warning', 'VolumeFailedDelete', `failed to delete volume ${name}: delete process timeout after 120 seconds`, l.component);
    return true;
  }
  yield* api(l.server, 'DELETE', `/api/v1/persistentvolumes/${name}`);
  return false;
}
