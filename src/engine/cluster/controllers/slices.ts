/**
 * EndpointSlices: a service's endpoints in pieces of a hundred, with their conditions; terminating pods stay while they serve.
 * Endpoints that people write for a Service without selector are mirrored. Source: staging endpointslice, endpointslicemirroring 1.32.
 */
import { create, mutate, remove } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get, ownedBy, stamp } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { type Json, type KubeObject, keyOf, type Labels, type Pod, same, type Service } from '../types/objects.ts';
import { compareIps, headlessLabels, portsOf, targetOf, TRIGGERED } from './addresses.ts';
import { isReady } from './pods.ts';

const MOST = 100;
const MANAGED = 'endpointslice.kubernetes.io/managed-by';

interface Group { ports: Json[]; endpoints: Map<string, Json> }

export function syncSlices(cluster: Cluster, service: Service, pods: readonly Pod[]): void {
  const groups = new Map<string, Group>();
  for (const pod of [...pods].sort((a, b) => compareIps(a.status.podIP!, b.status.podIP!))) {
    const ports = portsOf(service, pod).map((p) => ({ ...(p.appProtocol ? { appProtocol: p.appProtocol } : {}), name: p.name ?? '', port: p.port, protocol: p.protocol }));
    const id = JSON.stringify(ports);
    const group = groups.get(id) ?? { ports, endpoints: new Map() };
    group.endpoints.set(pod.metadata.uid!, endpointOf(cluster, service, pod));
    groups.set(id, group);
  }
  if (groups.size === 0) groups.set('[]', { ports: [], endpoints: new Map() });
  const labels = { ...service.metadata.labels, [MANAGED]: 'endpointslice-controller.k8s.io', 'kubernetes.io/service-name': service.metadata.name, ...headlessLabels(service) };
  reconcile(cluster, service, 'endpointslice-controller.k8s.io', labels, groups);
}

function endpointOf(cluster: Cluster, service: Service, pod: Pod): Json {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isReady(pod);
  const zone = get(cluster.store, 'Node', pod.spec.nodeName ?? '')?.metadata.labels?.['topology.kubernetes.io/zone'];
  return {
    addresses: [pod.status.podIP], conditions: { ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating), serving, terminating },
    ...(pod.spec.hostname && pod.spec.subdomain === service.metadata.name ? { hostname: pod.spec.hostname } : {}), ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}), targetRef: targetOf(pod), ...(zone ? { zone } : {}),
  };
}

const idOf = (endpoint: Json): string => endpoint.targetRef?.uid ?? endpoint.addresses[0];

/** Endpoints stay in the slice where they are; new ones fill what has room, then new slices. */
function reconcile(cluster: Cluster, owner: KubeObject, by: string, labels: Labels, groups: Map<string, Group>): void {
  const mine = ownedBy(cluster.store, owner.metadata.uid!, 'EndpointSlice').filter((s) => s.metadata.labels?.[MANAGED] === by);
  const plan = mine.map((slice) => ({ slice: slice as KubeObject | null, ports: slice.ports ?? [], endpoints: [] as Json[] }));
  for (const [id, group] of groups) {
    const left = new Map(group.endpoints);
    const here = plan.filter((p) => JSON.stringify(p.ports) === id);
    for (const piece of here) {
      for (const old of piece.slice?.endpoints ?? []) {
        const now = left.get(idOf(old));
        if (now === undefined) continue;
        piece.endpoints.push(now);
        left.delete(idOf(old));
      }
    }
    for (const endpoint of left.values()) {
      let room = here.find((p) => p.endpoints.length < MOST);
      if (!room) {
        room = { slice: null, ports: group.ports, endpoints: [] };
        here.push(room);
        plan.push(room);
      }
      room.endpoints.push(endpoint);
    }
  }
  const full = plan.filter((p) => p.endpoints.length > 0);
  const kept = full.length > 0 ? full : [plan.find((p) => p.slice && p.ports.length === 0) ?? plan[0] ?? { slice: null, ports: [], endpoints: [] }];
  for (const { slice } of plan.filter((p) => !kept.includes(p))) if (slice) remove(cluster, kindNamed('EndpointSlice'), slice.metadata.namespace, slice.metadata.name);
  for (const piece of kept) put(cluster, owner, labels, piece.slice, piece.endpoints.length > 0 ? piece.ports : [], piece.endpoints);
}

function put(cluster: Cluster, owner: KubeObject, labels: Labels, old: KubeObject | null, ports: Json[], endpoints: Json[]): void {
  if (old) {
    if (same(old.endpoints, endpoints) && same(old.ports, ports) && same(old.metadata.labels, labels)) return;
    mutate(cluster, 'EndpointSlice', keyOf(old.metadata), (o) => {
      Object.assign(o, { endpoints, ports });
      o.metadata.labels = labels;
      o.metadata.annotations = { ...o.metadata.annotations, [TRIGGERED]: stamp(cluster.timeline) };
    });
    return;
  }
  const ref = { apiVersion: 'v1', blockOwnerDeletion: true, controller: true, kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid };
  create(cluster, kindNamed('EndpointSlice'), owner.metadata.namespace, {
    metadata: { generateName: `${owner.metadata.name}-`, annotations: { [TRIGGERED]: stamp(cluster.timeline) }, labels, ownerReferences: [ref] }, addressType: 'IPv4', endpoints, ports,
  });
}

/** Of a Service without selector: its Endpoints, if somebody wrote them, as slices. */
export function mirror(cluster: Cluster, service: Service): void {
  const endpoints = get(cluster.store, 'Endpoints', keyOf(service.metadata));
  if (!endpoints || endpoints.metadata.labels?.['endpointslice.kubernetes.io/skip-mirror'] === 'true') return;
  const groups = new Map<string, Group>();
  for (const subset of (endpoints.subsets ?? []) as Json[]) {
    const ports = (subset.ports ?? []).map((p: Json) => ({ name: p.name ?? '', port: p.port, protocol: p.protocol ?? 'TCP' }));
    const group = groups.get(JSON.stringify(ports)) ?? { ports, endpoints: new Map() };
    for (const [list, ready] of [['addresses', true], ['notReadyAddresses', false]] as const) {
      for (const a of subset[list] ?? []) group.endpoints.set(a.targetRef?.uid ?? a.ip, { addresses: [a.ip], conditions: { ready }, ...(a.hostname ? { hostname: a.hostname } : {}), ...(a.nodeName ? { nodeName: a.nodeName } : {}), ...(a.targetRef ? { targetRef: a.targetRef } : {}) });
    }
    groups.set(JSON.stringify(ports), group);
  }
  const labels = { ...endpoints.metadata.labels, [MANAGED]: 'endpointslicemirroring-controller.k8s.io', 'kubernetes.io/service-name': service.metadata.name };
  reconcile(cluster, endpoints, 'endpointslicemirroring-controller.k8s.io', labels, groups);
}
