/**
 * Everything in the cluster as manifests that another one accepts: without what the system wrote (status, uids, versions, defaults of the
 * moment) and without what controllers make by themselves; and the nodes as a kind configuration and as KWOK's fake nodes.
 */
import type { Cluster } from '../state.ts';
import { get, list } from '../store.ts';
import { KINDS, nameOf } from '../types/kinds.ts';
import { copy, type Json, type KubeObject, type Node } from '../types/objects.ts';

export interface Exported {
  manifests: Json[];
  kind: Json;
  /** Nodes and stages. */
  kwok: Json[];
  readme: string;
}

const LEFT_OUT = new Set(['Event', 'Lease', 'Node', 'ControllerRevision', 'CSINode', 'VolumeAttachment', 'CSIStorageCapacity', 'APIService', 'Binding']);
const META = ['uid', 'resourceVersion', 'creationTimestamp', 'generation', 'managedFields', 'selfLink', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'generateName', 'ownerReferences', 'finalizers'];
const NOTES = /^(deployment\.kubernetes\.io\/|pv\.kubernetes\.io\/|volume\.(beta\.)?kubernetes\.io\/|deprecated\.daemonset|kubectl\.kubernetes\.io\/last-applied|nestbox\.dev\/|batch\.kubernetes\.io\/job-tracking|autoscaling\.alpha)/;
/** What the lab brings along, or every other cluster has of its own. */
const ADDONS = /^(Namespace\/local-path-storage|CSIDriver\/disk\.csi\.nestbox\.dev|\w+\/(kube-system|local-path-storage)\/(coredns|kube-dns|kube-proxy|kube-flannel|kube-scheduler|metrics-server|csi-disk|local-path)[\w.-]*)$/;
/** What every control plane has. */
const FURNITURE = new Set(['Namespace/default', 'Namespace/kube-system', 'Namespace/kube-public', 'Namespace/kube-node-lease', 'Service/default/kubernetes']);
/** Kinds that others lean on come first. */
const FIRST = ['Namespace', 'CustomResourceDefinition', 'PriorityClass', 'StorageClass', 'RuntimeClass', 'ServiceAccount', 'ConfigMap', 'Secret', 'PersistentVolume', 'PersistentVolumeClaim', 'Service'];

export function exportCluster(cluster: Cluster): Exported {
  const kinds = KINDS.map((k) => k.kind).filter((kind) => !LEFT_OUT.has(kind));
  const order = (kind: string): number => (FIRST.includes(kind) ? FIRST.indexOf(kind) : FIRST.length);
  const manifests: Json[] = [];
  for (const kind of [...kinds].sort((a, b) => order(a) - order(b))) for (const object of list(cluster.store, kind)) if (wanted(cluster, object)) manifests.push(cleaned(object));
  for (const kind of cluster.customs.stored.values()) for (const object of list(cluster.store, kind.kind)) if (wanted(cluster, object)) manifests.push({ ...cleaned(object), kind: nameOf(kind) });
  const nodes = list<Node>(cluster.store, 'Node');
  return { manifests, kind: kindConfig(nodes), kwok: [...nodes.map(fakeNode), ...STAGES], readme: README };
}

/** Addresses that a control plane finds by itself; those of services that select nothing are somebody's own. */
export function isMadeAddress(cluster: Cluster, kind: string, { namespace, name, labels }: KubeObject['metadata']): boolean {
  if (kind === 'EndpointSlice') return name === 'kubernetes' || /controller\.k8s\.io$/.test(labels?.['endpointslice.kubernetes.io/managed-by'] ?? '');
  if (kind !== 'Endpoints') return false;
  const service = get(cluster.store, 'Service', `${namespace}/${name}`);
  return name === 'kubernetes' || service === undefined || Object.keys(service.spec.selector ?? {}).length > 0;
}

function wanted(cluster: Cluster, { kind, metadata, status, type }: KubeObject): boolean {
  const { namespace, name } = metadata;
  const id = namespace ? `${kind}/${namespace}/${name}` : `${kind}/${name}`;
  if (metadata.deletionTimestamp || metadata.ownerReferences?.some((r) => r.controller)) return false;
  if (FURNITURE.has(id) || ADDONS.test(id)) return false;
  if (kind === 'Pod' && (status?.reason === 'Evicted' || metadata.annotations?.['kubernetes.io/config.mirror'])) return false;
  // what a controller made: volumes of provisioners, tokens, addresses of services that select
  if (kind === 'PersistentVolume' && metadata.annotations?.['pv.kubernetes.io/provisioned-by']) return false;
  if (kind === 'Secret' && type === 'kubernetes.io/service-account-token') return false;
  if (isMadeAddress(cluster, kind, metadata)) return false;
  if (kind === 'ConfigMap' && name === 'kube-root-ca.crt') return false;
  if (kind === 'ServiceAccount' && (name === 'default' || namespace === 'kube-system')) return false;
  if (kind === 'PriorityClass' && name.startsWith('system-')) return false;
  if (/^(Cluster)?Role(Binding)?$/.test(kind) && (/^(system:|cluster-admin$|admin$|edit$|view$|kubeadm:)/.test(name) || metadata.labels?.['kubernetes.io/bootstrapping'])) return false;
  return true;
}

function cleaned(object: KubeObject): Json {
  const { status: _, ...rest } = object;
  const out: Json = copy(rest);
  for (const field of META) delete out.metadata[field];
  if (out.metadata.annotations) {
    for (const name of Object.keys(out.metadata.annotations)) if (NOTES.test(name)) delete out.metadata.annotations[name];
    if (Object.keys(out.metadata.annotations).length === 0) delete out.metadata.annotations;
  }
  for (const template of [out.spec?.template, out.spec?.jobTemplate, out.spec?.jobTemplate?.spec?.template]) if (template?.metadata) delete template.metadata.creationTimestamp;
  CLEAN[object.kind]?.(out, object);
  return out;
}

const CLEAN: Readonly<Record<string, (out: Json, object: KubeObject) => void>> = {
  Namespace(out) {
    delete out.spec;
    delete out.metadata.labels?.['kubernetes.io/metadata.name'];
    if (Object.keys(out.metadata.labels ?? {}).length === 0) delete out.metadata.labels;
  },
  Pod(out) {
    delete out.spec.nodeName;
    delete out.spec.ephemeralContainers;
    delete out.spec.priority;
    delete out.spec.serviceAccount;
    if (out.spec.serviceAccountName === 'default') delete out.spec.serviceAccountName;
    const given = (out.spec.tolerations ?? []).filter((t: Json) => !(/^node\.kubernetes\.io\/(not-ready|unreachable)$/.test(t.key ?? '') && t.tolerationSeconds === 300));
    if (given.length > 0) out.spec.tolerations = given;
    else delete out.spec.tolerations;
    const tokens = (out.spec.volumes ?? []).filter((v: Json) => /^kube-api-access-/.test(v.name)).map((v: Json) => v.name);
    if (tokens.length === 0) return;
    out.spec.volumes = out.spec.volumes.filter((v: Json) => !tokens.includes(v.name));
    for (const c of [...out.spec.containers, ...(out.spec.initContainers ?? [])]) if (c.volumeMounts) c.volumeMounts = c.volumeMounts.filter((m: Json) => !tokens.includes(m.name));
  },
  Service(out) {
    if (out.spec.clusterIP !== 'None') delete out.spec.clusterIP;
    if (out.spec.clusterIPs?.[0] !== 'None') delete out.spec.clusterIPs;
  },
  Job(out) {
    if (!out.spec.manualSelector) delete out.spec.selector;
    for (const meta of [out.metadata, out.spec.template.metadata]) for (const name of Object.keys(meta?.labels ?? {})) if (/^(batch\.kubernetes\.io\/)?(controller-uid|job-name)$/.test(name)) delete meta.labels[name];
  },
  PersistentVolumeClaim(out, object) {
    if (object.metadata.annotations?.['volume.kubernetes.io/storage-provisioner'] || object.metadata.annotations?.['pv.kubernetes.io/bound-by-controller']) delete out.spec.volumeName;
  },
  StatefulSet(out) {
    for (const claim of out.spec.volumeClaimTemplates ?? []) {
      delete claim.status;
      delete claim.metadata?.creationTimestamp;
    }
  },
  PersistentVolume(out) {
    delete out.spec.claimRef;
  },
};

/** A worker for each node, as far as one machine carries them. */
function kindConfig(nodes: readonly Node[]): Json {
  const workers = nodes.slice(0, 9).map((node) => ({ role: 'worker', ...(Object.keys(ownLabels(node)).length > 0 ? { labels: ownLabels(node) } : {}) }));
  return { kind: 'Cluster', apiVersion: 'kind.x-k8s.io/v1alpha4', nodes: [{ role: 'control-plane' }, ...workers] };
}

function ownLabels(node: Node): Record<string, string> {
  return Object.fromEntries(Object.entries(node.metadata.labels ?? {}).filter(([name]) => !/^(beta\.)?kubernetes\.io\/|^node-role\.kubernetes\.io\//.test(name)));
}

function fakeNode(node: Node): Json {
  const room = node.status?.allocatable ?? { cpu: '4', memory: '16Gi', pods: '110' };
  const taints = (node.spec.taints ?? []).filter((t) => !t.key.startsWith('node.kubernetes.io/')).map(({ timeAdded: _, ...t }) => t);
  return {
    apiVersion: 'v1', kind: 'Node',
    metadata: { name: node.metadata.name, labels: { ...node.metadata.labels, type: 'kwok' }, annotations: { 'kwok.x-k8s.io/node': 'fake', 'node.alpha.kubernetes.io/ttl': '0' } },
    spec: { ...(taints.length > 0 ? { taints } : {}), ...(node.spec.unschedulable ? { unschedulable: true } : {}) },
    status: { allocatable: room, capacity: node.status?.capacity ?? room, nodeInfo: { kubeletVersion: 'fake', operatingSystem: 'linux', architecture: 'amd64' }, phase: 'Running' },
  };
}

const stage = (name: string, kind: string, matchExpressions: Json[], statusTemplate: string): Json => ({
  apiVersion: 'kwok.x-k8s.io/v1alpha1', kind: 'Stage', metadata: { name },
  spec: { resourceRef: { apiGroup: 'v1', kind }, selector: { matchExpressions }, next: { statusTemplate } },
});
const STAGES: readonly Json[] = [
  stage('node-initialize', 'Node', [{ key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: 'NotIn', values: ['True'] }],
    '{{ $now := Now }}\nconditions:\n- lastHeartbeatTime: {{ $now | Quote }}\n  lastTransitionTime: {{ $now | Quote }}\n  message: kubelet is posting ready status\n  reason: KubeletReady\n  status: "True"\n  type: Ready\n'),
  stage('pod-ready', 'Pod', [{ key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' }, { key: '.status.podIP', operator: 'DoesNotExist' }],
    '{{ $now := Now }}\nconditions:\n- lastTransitionTime: {{ $now | Quote }}\n  status: "True"\n  type: Ready\n- lastTransitionTime: {{ $now | Quote }}\n  status: "True"\n  type: ContainersReady\ncontainerStatuses:\n{{ range .spec.containers }}\n- image: {{ .image | Quote }}\n  name: {{ .name | Quote }}\n  ready: true\n  restartCount: 0\n  state:\n    running:\n      startedAt: {{ $now | Quote }}\n{{ end }}\nhostIP: {{ NodeIPWith .spec.nodeName | Quote }}\npodIP: {{ PodIPWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}\nphase: Running\nstartTime: {{ $now | Quote }}\n'),
  stage('pod-complete', 'Pod', [{ key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' }, { key: '.status.phase', operator: 'In', values: ['Running'] }, { key: '.metadata.ownerReferences.[].kind', operator: 'In', values: ['Job'] }],
    '{{ $now := Now }}\n{{ $root := . }}\ncontainerStatuses:\n{{ range $index, $item := .spec.containers }}\n- image: {{ $item.image | Quote }}\n  name: {{ $item.name | Quote }}\n  ready: false\n  restartCount: 0\n  started: false\n  state:\n    terminated:\n      exitCode: 0\n      finishedAt: {{ $now | Quote }}\n      reason: Completed\n      startedAt: {{ $root.status.startTime | Quote }}\n{{ end }}\nphase: Succeeded\n'),
  {
    apiVersion: 'kwok.x-k8s.io/v1alpha1', kind: 'Stage', metadata: { name: 'pod-delete' },
    spec: { resourceRef: { apiGroup: 'v1', kind: 'Pod' }, selector: { matchExpressions: [{ key: '.metadata.deletionTimestamp', operator: 'Exists' }] }, next: { finalizers: { empty: true }, delete: true } },
  },
];

const README = `What was in the lab, for a real cluster.

manifests.yaml   every object that somebody made; controllers make the rest anew
kind.yaml        a cluster of containers on this machine, one worker a node (nine at most)
kwok.yaml        the same nodes as fake nodes, and the stages that let pods on them run: any number of nodes

What a cluster has of its own (cluster DNS, the network, the lab's own volume drivers) is not among them. A StorageClass whose provisioner
is disk.csi.nestbox.dev needs another provisioner there: in kind, rancher.io/local-path.

With kind (pods really run):
  kind create cluster --config kind.yaml
  kubectl apply --server-side -f manifests.yaml

With KWOK (pods only seem to run):
  kwokctl create cluster --enable-crds=Stage
  kubectl apply -f kwok.yaml
  kubectl apply --server-side -f manifests.yaml
`;

