/** Claims and volumes at the level of the API: defaults, refusals, binding, phases, reclaim policies, and where the scheduler lets their pods run. */
import { describe, expect, it } from 'vitest';
import { create, mutate, remove } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { ApiError } from '../../../src/engine/cluster/errors.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Json, KubeEvent, KubeObject, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { addHollowNodes } from '../../../src/engine/world/hollow.ts';

function lab(hollow = 2): Cluster {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed: 1 });
  addHollowNodes(cluster, { hollow });
  return cluster;
}
const later = (cluster: Cluster, seconds: number): void => runTo(cluster.timeline, cluster.timeline.now + seconds * SECOND);
const make = (cluster: Cluster, kind: string, name: string, body: Json): KubeObject => create(cluster, kindNamed(kind), kindNamed(kind).namespaced ? 'default' : undefined, { metadata: { name }, ...body });
const said = (cluster: Cluster, about: string): string[] => list<KubeEvent>(cluster.store, 'Event', 'default').filter((e) => e.involvedObject.name === about).map((e) => `${e.reason}: ${e.message}`);
const refused = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
  return 'accepted';
};
const on = (...names: string[]): Json => ({ required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: names }] }] } });
const volume = (cluster: Cluster, name: string, size: string, more: Json = {}): KubeObject => make(cluster, 'PersistentVolume', name, { spec: { capacity: { storage: size }, accessModes: ['ReadWriteOnce'], hostPath: { path: `/data/${name}` }, ...more } });
const claim = (cluster: Cluster, name: string, size: string, more: Json = {}): KubeObject => make(cluster, 'PersistentVolumeClaim', name, { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } }, ...more } });
const pod = (cluster: Cluster, name: string, ...claims: string[]): KubeObject => make(cluster, 'Pod', name, { spec: { containers: [{ name: 'c', image: 'x:1' }], volumes: claims.map((c, i) => ({ name: `v${i}`, persistentVolumeClaim: { claimName: c } })) } });
const storage = (cluster: Cluster, name: string, more: Json = {}): KubeObject => make(cluster, 'StorageClass', name, { provisioner: 'disk.example', ...more });
const phase = (cluster: Cluster, name: string): string => get(cluster.store, 'PersistentVolume', name)?.status.phase ?? 'gone';
const theClaim = (cluster: Cluster, name: string): KubeObject => get(cluster.store, 'PersistentVolumeClaim', `default/${name}`)!;
const thePod = (cluster: Cluster, name: string): Pod => get<Pod>(cluster.store, 'Pod', `default/${name}`)!;

describe('what the API server makes of storage objects', () => {
  it('fills in what is left out', () => {
    const cluster = lab(0);
    expect(volume(cluster, 'a', '1Gi')).toMatchObject({ metadata: { finalizers: ['kubernetes.io/pv-protection'] }, spec: { persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem', hostPath: { type: '' } }, status: { phase: 'Pending' } });
    expect(storage(cluster, 's')).toMatchObject({ reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' });
    expect(make(cluster, 'CSIDriver', 'd.example', { spec: {} }).spec).toMatchObject({ attachRequired: true, podInfoOnMount: false, fsGroupPolicy: 'ReadWriteOnceWithFSType', volumeLifecycleModes: ['Persistent'] });
    expect(claim(cluster, 'c', '1024Mi').spec).toMatchObject({ volumeMode: 'Filesystem', resources: { requests: { storage: '1Gi' } } });
  });

  it.each([
    ['PersistentVolume', { spec: {} }, 'PersistentVolume "x" is invalid: [spec.accessModes: Required value, spec.capacity: Required value, spec.capacity: Unsupported value: core.ResourceList(nil): supported values: "storage", spec: Required value: must specify a volume type]'],
    ['PersistentVolume', { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, local: { path: '/d' } } }, 'PersistentVolume "x" is invalid: spec.nodeAffinity: Required value: Local volume requires node affinity'],
    ['PersistentVolume', { spec: { accessModes: ['Often'], capacity: { storage: '0' }, hostPath: { path: '/d' } } }, 'PersistentVolume "x" is invalid: [spec.accessModes: Unsupported value: "Often": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", spec.capacity[storage]: Invalid value: "0": must be greater than zero]'],
    ['PersistentVolume', { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/d' }, csi: { driver: 'd', volumeHandle: 'h' } } }, 'PersistentVolume "x" is invalid: spec.csi: Forbidden: may not specify more than 1 volume type'],
    ['PersistentVolumeClaim', { spec: { accessModes: ['ReadWriteOncePod', 'ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }, 'PersistentVolumeClaim "x" is invalid: spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes'],
    ['PersistentVolumeClaim', { spec: {} }, 'PersistentVolumeClaim "x" is invalid: [spec.accessModes: Required value: at least 1 access mode is required, spec.resources[storage]: Required value]'],
    ['StorageClass', { provisioner: 'p', reclaimPolicy: 'Recycle' }, 'StorageClass.storage.k8s.io "x" is invalid: reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'],
  ])('refuses a %s in its words', (kind, body, says) => {
    expect(refused(() => make(lab(0), kind, 'x', body))).toBe(says);
  });

  it('keeps classes and bound claims as they are, but for growth where the class allows it', () => {
    const cluster = lab(0);
    storage(cluster, 'fixed');
    storage(cluster, 'grows', { allowVolumeExpansion: true });
    for (const name of ['fixed', 'grows']) {
      volume(cluster, name, '1Gi', { storageClassName: name });
      claim(cluster, name, '1Gi', { storageClassName: name });
    }
    later(cluster, 20);
    const grow = (name: string, size: string) => refused(() => mutate(cluster, 'PersistentVolumeClaim', `default/${name}`, (c) => { c.spec.resources.requests.storage = size; }));
    expect(grow('fixed', '2Gi')).toBe('persistentvolumeclaims "fixed" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize');
    expect(grow('grows', '2Gi')).toBe('accepted');
    expect(grow('grows', '500Mi')).toBe('PersistentVolumeClaim "grows" is invalid: spec.resources.requests.storage: Forbidden: field can not be less than status.capacity');
    expect(refused(() => mutate(cluster, 'PersistentVolumeClaim', 'default/grows', (c) => { c.spec.accessModes = ['ReadOnlyMany']; }))).toContain('spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims');
    expect(refused(() => mutate(cluster, 'StorageClass', 'fixed', (c) => { c.provisioner = 'other'; }))).toContain('provisioner: Forbidden: updates to provisioner are forbidden.');
  });

  it('gives a claim without a class the default one, the newest of several, and "" means none', () => {
    const cluster = lab(0);
    const marked = { metadata: { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } } };
    create(cluster, kindNamed('StorageClass'), undefined, { metadata: { name: 'old', ...marked.metadata }, provisioner: 'p' });
    later(cluster, 2);
    create(cluster, kindNamed('StorageClass'), undefined, { metadata: { name: 'young', ...marked.metadata }, provisioner: 'p' });
    expect(claim(cluster, 'a', '1Gi').spec.storageClassName).toBe('young');
    expect(claim(cluster, 'b', '1Gi', { storageClassName: '' }).spec.storageClassName).toBe('');
  });
});

describe('the binder', () => {
  it('takes the smallest volume that fits in size, class, mode and selector', () => {
    const cluster = lab(0);
    volume(cluster, 'small', '1Gi');
    volume(cluster, 'large', '10Gi');
    volume(cluster, 'fits', '5Gi');
    volume(cluster, 'fits-fast', '3Gi', { storageClassName: 'fast' });
    volume(cluster, 'fits-shared', '2Gi', { accessModes: ['ReadWriteMany'] });
    create(cluster, kindNamed('PersistentVolume'), undefined, { metadata: { name: 'blue', labels: { colour: 'blue' } }, spec: { capacity: { storage: '50Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/b' } } });
    claim(cluster, 'a', '2Gi');
    claim(cluster, 'b', '1Gi', { accessModes: ['ReadWriteMany'] });
    claim(cluster, 'c', '1Gi', { storageClassName: 'fast' });
    claim(cluster, 'd', '1Gi', { selector: { matchLabels: { colour: 'blue' } } });
    claim(cluster, 'e', '100Gi');
    later(cluster, 20);
    expect(['a', 'b', 'c', 'd', 'e'].map((name) => theClaim(cluster, name).spec.volumeName)).toEqual(['fits', 'fits-shared', 'fits-fast', 'blue', undefined]);
    expect(theClaim(cluster, 'a')).toMatchObject({ metadata: { annotations: { 'pv.kubernetes.io/bind-completed': 'yes', 'pv.kubernetes.io/bound-by-controller': 'yes' } }, status: { phase: 'Bound', capacity: { storage: '5Gi' }, accessModes: ['ReadWriteOnce'] } });
    expect(get(cluster.store, 'PersistentVolume', 'fits')).toMatchObject({ metadata: { annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' } }, spec: { claimRef: { namespace: 'default', name: 'a', uid: theClaim(cluster, 'a').metadata.uid } }, status: { phase: 'Bound' } });
    expect(said(cluster, 'e')).toEqual(['FailedBinding: no persistent volumes available for this claim and no storage class is set']);
  });

  it('keeps a volume for the claim it names, and a claim for the volume it names', () => {
    const cluster = lab(0);
    volume(cluster, 'kept', '1Gi', { claimRef: { namespace: 'default', name: 'mine' } });
    volume(cluster, 'named', '1Gi');
    claim(cluster, 'other', '1Gi');
    claim(cluster, 'asks', '1Gi', { volumeName: 'named' });
    claim(cluster, 'wrong', '5Gi', { volumeName: 'late' });
    later(cluster, 1);
    expect(theClaim(cluster, 'other').spec.volumeName === 'kept').toBe(false);
    claim(cluster, 'mine', '1Gi');
    volume(cluster, 'late', '2Gi');
    later(cluster, 20);
    expect(theClaim(cluster, 'mine').spec.volumeName).toBe('kept');
    expect(said(cluster, 'wrong')).toEqual(['VolumeMismatch: Cannot bind to requested volume "late": requested PV is too small']);
  });

  it.each([
    ['Retain', '/data/v', 'Released', []],
    ['Delete', '/data/v', 'Failed', ['VolumeFailedDelete: host_path deleter only supports /tmp/.+ but received provided /data/v']],
    ['Delete', '/tmp/v', 'gone', []],
  ])('does what %s says with %s when the claim is gone', (policy, path, then, says) => {
    const cluster = lab(0);
    volume(cluster, 'v', '1Gi', { persistentVolumeReclaimPolicy: policy, hostPath: { path } });
    claim(cluster, 'c', '1Gi');
    later(cluster, 20);
    expect(phase(cluster, 'v')).toBe('Bound');
    remove(cluster, kindNamed('PersistentVolumeClaim'), 'default', 'c');
    later(cluster, 5);
    expect(phase(cluster, 'v')).toBe(then);
    expect(said(cluster, 'v')).toEqual(says);
    claim(cluster, 'c', '1Gi');
    later(cluster, 20);
    expect(theClaim(cluster, 'c').status.phase).toBe('Pending');
  });

  it('lets nothing go that is in use', () => {
    const cluster = lab(1);
    volume(cluster, 'v', '1Gi');
    claim(cluster, 'c', '1Gi');
    pod(cluster, 'p', 'c');
    later(cluster, 20);
    expect(thePod(cluster, 'p').status.phase).toBe('Running');
    remove(cluster, kindNamed('PersistentVolumeClaim'), 'default', 'c');
    remove(cluster, kindNamed('PersistentVolume'), undefined, 'v');
    later(cluster, 20);
    expect(theClaim(cluster, 'c').metadata.deletionTimestamp).toBeDefined();
    expect(get(cluster.store, 'PersistentVolume', 'v')!.metadata.deletionTimestamp).toBeDefined();
    remove(cluster, kindNamed('Pod'), 'default', 'p');
    later(cluster, 20);
    expect(list(cluster.store, 'PersistentVolumeClaim')).toEqual([]);
    expect(list(cluster.store, 'PersistentVolume')).toEqual([]);
  });

  it('says that a claim has lost its volume', () => {
    const cluster = lab(0);
    volume(cluster, 'v', '1Gi');
    claim(cluster, 'c', '1Gi');
    later(cluster, 20);
    mutate(cluster, 'PersistentVolume', 'v', (v) => { v.metadata.finalizers = []; });
    remove(cluster, kindNamed('PersistentVolume'), undefined, 'v');
    later(cluster, 2);
    expect(theClaim(cluster, 'c').status).toEqual({ phase: 'Lost' });
    expect(said(cluster, 'c')).toEqual(['ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!']);
  });

  it.each([
    [{ provisioner: 'disk.example' }, 's', "ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'disk.example' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."],
    [{ provisioner: 'kubernetes.io/no-provisioner' }, 's', 'ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner'],
    [{ provisioner: 'x' }, 'none', 'ProvisioningFailed: storageclass.storage.k8s.io "none" not found'],
    [{ provisioner: 'x', volumeBindingMode: 'WaitForFirstConsumer' }, 's', 'WaitForFirstConsumer: waiting for first consumer to be created before binding'],
  ])('of a class %o says why a claim waits', (sc, storageClassName, says) => {
    const cluster = lab(0);
    storage(cluster, 's', sc);
    claim(cluster, 'c', '1Gi', { storageClassName });
    later(cluster, 2);
    expect(said(cluster, 'c')).toEqual([says]);
  });
});

describe('where the scheduler lets pods with volumes run', () => {
  const waits = (cluster: Cluster, name: string): string => (thePod(cluster, name).status.conditions ?? []).find((c) => c.type === 'PodScheduled')?.message ?? '';

  it('goes where the bound volume is, and says so when it cannot', () => {
    const cluster = lab(3);
    volume(cluster, 'v', '1Gi', { local: { path: '/d' }, hostPath: undefined, nodeAffinity: on('hollow-2') });
    claim(cluster, 'c', '1Gi');
    later(cluster, 20);
    pod(cluster, 'p', 'c');
    later(cluster, 5);
    expect(thePod(cluster, 'p').spec.nodeName).toBe('hollow-2');
    mutate(cluster, 'Node', 'hollow-2', (n) => { n.spec.unschedulable = true; });
    pod(cluster, 'q', 'c');
    later(cluster, 5);
    expect(waits(cluster, 'q')).toContain('0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity conflict. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.');
  });

  it('binds late claims to volumes of the node it chooses', () => {
    const cluster = lab(3);
    storage(cluster, 'local', { provisioner: 'kubernetes.io/no-provisioner', volumeBindingMode: 'WaitForFirstConsumer' });
    volume(cluster, 'v3', '1Gi', { local: { path: '/d' }, hostPath: undefined, nodeAffinity: on('hollow-3'), storageClassName: 'local' });
    claim(cluster, 'c', '1Gi', { storageClassName: 'local' });
    claim(cluster, 'd', '1Gi', { storageClassName: 'local' });
    later(cluster, 20);
    expect(theClaim(cluster, 'c').status.phase).toBe('Pending');
    pod(cluster, 'p', 'c');
    later(cluster, 5);
    expect(thePod(cluster, 'p').spec.nodeName).toBe('hollow-3');
    expect(theClaim(cluster, 'c').spec.volumeName).toBe('v3');
    pod(cluster, 'q', 'd');
    later(cluster, 20);
    expect(waits(cluster, 'q')).toContain("0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.");
    expect(said(cluster, 'd')).toContain('WaitForPodScheduled: waiting for pod q to be scheduled');
    volume(cluster, 'v1', '1Gi', { local: { path: '/d' }, hostPath: undefined, nodeAffinity: on('hollow-1'), storageClassName: 'local' });
    later(cluster, 20);
    expect(thePod(cluster, 'q').spec.nodeName).toBe('hollow-1');
  });

  it('asks a provisioner for the chosen node, in the topology the class allows, and waits for the volume', () => {
    const cluster = lab(3);
    storage(cluster, 's', { volumeBindingMode: 'WaitForFirstConsumer', allowedTopologies: [{ matchLabelExpressions: [{ key: 'kubernetes.io/hostname', values: ['hollow-2'] }] }] });
    claim(cluster, 'c', '1Gi', { storageClassName: 's' });
    pod(cluster, 'p', 'c');
    later(cluster, 5);
    expect(thePod(cluster, 'p').spec.nodeName).toBeUndefined();
    expect(theClaim(cluster, 'c').metadata.annotations).toMatchObject({ 'volume.kubernetes.io/selected-node': 'hollow-2', 'volume.kubernetes.io/storage-provisioner': 'disk.example' });
    volume(cluster, 'made', '1Gi', { storageClassName: 's', claimRef: { namespace: 'default', name: 'c', uid: theClaim(cluster, 'c').metadata.uid } });
    later(cluster, 5);
    expect(thePod(cluster, 'p').spec.nodeName).toBe('hollow-2');
    expect(cluster.scheduler.infos.get('hollow-2')!.pods.size).toBe(1);
  });

  it('gives up a node when its provisioner gives the claim back, and after ten minutes', () => {
    const cluster = lab(2);
    storage(cluster, 's', { volumeBindingMode: 'WaitForFirstConsumer' });
    claim(cluster, 'c', '1Gi', { storageClassName: 's' });
    pod(cluster, 'p', 'c');
    later(cluster, 5);
    mutate(cluster, 'PersistentVolumeClaim', 'default/c', (c) => { delete c.metadata.annotations!['volume.kubernetes.io/selected-node']; });
    later(cluster, 1);
    expect(said(cluster, 'p')).toEqual(['FailedScheduling: running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "c"']);
    later(cluster, 620);
    expect(said(cluster, 'p')).toContain('FailedScheduling: running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded');
  });

  it.each([
    ['missing', 'persistentvolumeclaim "missing" not found'],
    ['unbound', 'pod has unbound immediate PersistentVolumeClaims'],
  ])('looks at no node for a claim that is %s', (name, says) => {
    const cluster = lab(2);
    claim(cluster, 'unbound', '1Gi');
    pod(cluster, 'p', name);
    later(cluster, 5);
    expect(waits(cluster, 'p')).toBe(`0/2 nodes are available: ${says}. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.`);
  });

  it('counts volumes against what a driver can attach', () => {
    const cluster = lab(1);
    make(cluster, 'CSINode', 'hollow-1', { spec: { drivers: [{ name: 'disk.example', nodeID: 'hollow-1', topologyKeys: [], allocatable: { count: 1 } }] } });
    for (const name of ['a', 'b']) {
      volume(cluster, name, '1Gi', { hostPath: undefined, csi: { driver: 'disk.example', volumeHandle: name } });
      claim(cluster, name, '1Gi', { volumeName: name });
    }
    later(cluster, 20);
    pod(cluster, 'p', 'a');
    later(cluster, 5);
    pod(cluster, 'q', 'b');
    later(cluster, 5);
    expect(waits(cluster, 'q')).toContain('0/1 nodes are available: 1 node(s) exceed max volume count.');
  });

  it('lets one pod alone use a ReadWriteOncePod claim', () => {
    const cluster = lab(2);
    volume(cluster, 'v', '1Gi', { accessModes: ['ReadWriteOncePod'] });
    claim(cluster, 'c', '1Gi', { accessModes: ['ReadWriteOncePod'] });
    later(cluster, 20);
    pod(cluster, 'p', 'c');
    later(cluster, 5);
    pod(cluster, 'q', 'c');
    later(cluster, 5);
    expect(waits(cluster, 'q')).toContain('0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.');
    remove(cluster, kindNamed('Pod'), 'default', 'p');
    later(cluster, 20);
    expect(thePod(cluster, 'q').status.phase).toBe('Running');
  });

  it('keeps to the zone of a volume', () => {
    const cluster = lab(2);
    for (const n of [1, 2]) mutate(cluster, 'Node', `hollow-${n}`, (o) => { o.metadata.labels!['topology.kubernetes.io/zone'] = `z${n}`; });
    create(cluster, kindNamed('PersistentVolume'), undefined, { metadata: { name: 'v', labels: { 'topology.kubernetes.io/zone': 'z3' } }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/b' } } });
    claim(cluster, 'c', '1Gi');
    later(cluster, 20);
    pod(cluster, 'p', 'c');
    later(cluster, 5);
    expect(waits(cluster, 'p')).toContain('0/2 nodes are available: 2 node(s) had no available volume zone.');
  });
});

describe('whom the claims of a StatefulSet belong to', () => {
  it.each([
    ['Retain', 'Retain', ['data-db-0', 'data-db-1'], ['data-db-0', 'data-db-1']],
    ['Retain', 'Delete', ['data-db-0'], ['data-db-0']],
    ['Delete', 'Retain', ['data-db-0', 'data-db-1'], []],
    ['Delete', 'Delete', ['data-db-0'], []],
  ])('whenDeleted %s, whenScaled %s', (whenDeleted, whenScaled, scaled, deleted) => {
    const cluster = lab(2);
    for (const name of ['a', 'b']) volume(cluster, name, '1Gi');
    make(cluster, 'StatefulSet', 'db', {
      spec: {
        replicas: 2, serviceName: 'db', selector: { matchLabels: { app: 'db' } }, persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled },
        template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'c', image: 'x:1', volumeMounts: [{ name: 'data', mountPath: '/d' }] }] } },
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }],
      },
    });
    later(cluster, 60);
    const claims = (): string[] => list(cluster.store, 'PersistentVolumeClaim').map((c) => c.metadata.name);
    expect(claims()).toEqual(['data-db-0', 'data-db-1']);
    mutate(cluster, 'StatefulSet', 'default/db', (o) => { o.spec.replicas = 1; });
    later(cluster, 20);
    expect(claims()).toEqual(scaled);
    remove(cluster, kindNamed('StatefulSet'), 'default', 'db');
    later(cluster, 20);
    expect(claims()).toEqual(deleted);
  });
});

describe('attach and detach', () => {
  const entry = 'kubernetes.io/csi/disk.example^h';
  const attachments = (cluster: Cluster): string[] => list(cluster.store, 'VolumeAttachment').map((va) => `${va.spec.nodeName}${va.metadata.deletionTimestamp ? ' going' : va.status.attached ? ' attached' : ''}`);
  const node = (cluster: Cluster, name: string): void => {
    make(cluster, 'Node', name, {});
    mutate(cluster, 'Node', name, (n) => {
      n.status = { allocatable: { cpu: '4', memory: '8Gi', pods: '110' }, capacity: {}, conditions: [{ type: 'Ready', status: 'True' }] };
    }, 'status');
  };
  const beat = (cluster: Cluster, name: string): void => {
    const now = new Date(Date.UTC(2026, 0, 15, 9) + cluster.timeline.now / 1e6).toISOString().replace('Z', '000Z');
    if (get(cluster.store, 'Lease', `kube-node-lease/${name}`)) mutate(cluster, 'Lease', `kube-node-lease/${name}`, (l) => { l.spec.renewTime = now; });
    else create(cluster, kindNamed('Lease'), 'kube-node-lease', { metadata: { name }, spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: now } });
  };
  const live = (cluster: Cluster, seconds: number, ...names: string[]): void => {
    for (let s = 0; s < seconds; s += 10) {
      for (const name of names) beat(cluster, name);
      later(cluster, Math.min(10, seconds - s));
    }
  };
  /** What an attacher does: marks attached, and lets go of what is to go. */
  const attacher = (cluster: Cluster): void => {
    for (const va of list(cluster.store, 'VolumeAttachment')) {
      if (va.metadata.deletionTimestamp) mutate(cluster, 'VolumeAttachment', va.metadata.name, (o) => { o.metadata.finalizers = []; });
      else {
        mutate(cluster, 'VolumeAttachment', va.metadata.name, (o) => { o.metadata.finalizers = ['external-attacher/disk-example']; });
        mutate(cluster, 'VolumeAttachment', va.metadata.name, (o) => { o.status = { attached: true }; }, 'status');
      }
    }
  };
  const inUse = (cluster: Cluster, name: string, used: boolean): void => void mutate(cluster, 'Node', name, (n) => { n.status.volumesInUse = used ? [entry] : []; }, 'status');
  const bindTo = (cluster: Cluster, name: string, where: string): void => void make(cluster, 'Pod', name, { spec: { nodeName: where, containers: [{ name: 'c', image: 'x:1' }], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] } });

  function two(): Cluster {
    const cluster = lab(0);
    for (const name of ['n1', 'n2']) node(cluster, name);
    volume(cluster, 'v', '1Gi', { hostPath: undefined, csi: { driver: 'disk.example', volumeHandle: 'h' } });
    claim(cluster, 'c', '1Gi', { volumeName: 'v' });
    live(cluster, 10, 'n1', 'n2');
    bindTo(cluster, 'p', 'n1');
    live(cluster, 1, 'n1', 'n2');
    attacher(cluster);
    live(cluster, 1, 'n1', 'n2');
    inUse(cluster, 'n1', true);
    return cluster;
  }

  it('attaches what a bound pod wants and tells it and its node', () => {
    const cluster = two();
    expect(attachments(cluster)).toEqual(['n1 attached']);
    expect(get(cluster.store, 'VolumeAttachment', list(cluster.store, 'VolumeAttachment')[0]!.metadata.name)!.metadata.name).toMatch(/^csi-[0-9a-f]{64}$/);
    expect(said(cluster, 'p')).toContain('SuccessfulAttachVolume: AttachVolume.Attach succeeded for volume "v" ');
    expect((get(cluster.store, 'Node', 'n1')!.status as Json).volumesAttached).toEqual([{ devicePath: '', name: entry }]);
  });

  it('says who has a volume that is for one node, and moves it when that has let go', () => {
    const cluster = two();
    bindTo(cluster, 'q', 'n2');
    live(cluster, 5, 'n1', 'n2');
    expect(said(cluster, 'q')).toEqual(['FailedAttachVolume: Multi-Attach error for volume "v" Volume is already used by pod(s) p']);
    remove(cluster, kindNamed('Pod'), 'default', 'p', { gracePeriodSeconds: 0 });
    live(cluster, 5, 'n1', 'n2');
    expect(attachments(cluster)).toEqual(['n1 attached']);
    bindTo(cluster, 'r', 'n2');
    live(cluster, 5, 'n1', 'n2');
    expect(said(cluster, 'r')).toEqual(['FailedAttachVolume: Multi-Attach error for volume "v" Volume is already exclusively attached to one node and can\'t be attached to another']);
    inUse(cluster, 'n1', false);
    live(cluster, 5, 'n1', 'n2');
    expect(attachments(cluster)).toEqual(['n1 going']);
    attacher(cluster);
    live(cluster, 5, 'n1', 'n2');
    expect(attachments(cluster)).toEqual(['n2']);
    expect((get(cluster.store, 'Node', 'n1')!.status as Json).volumesAttached).toBeUndefined();
  });

  it('takes a volume from a lost node after six minutes, not from a living one', () => {
    const cluster = two();
    remove(cluster, kindNamed('Pod'), 'default', 'p', { gracePeriodSeconds: 0 });
    live(cluster, 420, 'n1', 'n2');
    expect(attachments(cluster)).toEqual(['n1 attached']);
    live(cluster, 180, 'n2');
    expect(attachments(cluster)).toEqual(['n1 going']);
  });

  it('waits six minutes from when nobody wants it any more', () => {
    const cluster = two();
    live(cluster, 120, 'n2');
    remove(cluster, kindNamed('Pod'), 'default', 'p', { gracePeriodSeconds: 0 });
    live(cluster, 350, 'n2');
    expect(attachments(cluster)).toEqual(['n1 attached']);
    live(cluster, 20, 'n2');
    expect(attachments(cluster)).toEqual(['n1 going']);
  });

  it('takes pods and volumes from a lost node at once when it is out of service', () => {
    const cluster = two();
    live(cluster, 60, 'n2');
    mutate(cluster, 'Node', 'n1', (n) => { n.spec.taints = [...(n.spec.taints ?? []), { key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' }]; });
    live(cluster, 30, 'n2');
    expect(get(cluster.store, 'Pod', 'default/p')).toBeUndefined();
    expect(attachments(cluster)).toEqual(['n1 going']);
  });

  it('tells the pod what the attacher could not do', () => {
    const cluster = lab(0);
    node(cluster, 'n1');
    volume(cluster, 'v', '1Gi', { hostPath: undefined, csi: { driver: 'disk.example', volumeHandle: 'h' } });
    claim(cluster, 'c', '1Gi', { volumeName: 'v' });
    live(cluster, 2, 'n1');
    bindTo(cluster, 'p', 'n1');
    live(cluster, 2, 'n1');
    mutate(cluster, 'VolumeAttachment', list(cluster.store, 'VolumeAttachment')[0]!.metadata.name, (o) => { o.status = { attached: false, attachError: { message: 'rpc error: code = ResourceExhausted desc = full', time: '2026-01-15T09:00:02Z' } }; }, 'status');
    live(cluster, 2, 'n1');
    expect(said(cluster, 'p')).toEqual(['FailedAttachVolume: AttachVolume.Attach failed for volume "v" : rpc error: code = ResourceExhausted desc = full']);
  });
});
