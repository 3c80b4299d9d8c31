/** Endpoints: the addresses of the pods that a Service's selector chooses, ready ones apart from the rest. Source: pkg/controller/endpoint 1.32. */
import { create, mutate, remove } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get, podsLabelled, stamp } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { type Json, type Pod, same, type Service } from '../types/objects.ts';
import { compareIps, headlessLabels, type PortOf, portsOf, targetOf, TRIGGERED } from './addresses.ts';
import { isReady } from './pods.ts';
import { mirror, syncSlices } from './slices.ts';

export function syncEndpoints(cluster: Cluster, key: string): void {
  const service = get<Service>(cluster.store, 'Service', key);
  if (!service) {
    const old = get(cluster.store, 'Endpoints', key);
    if (old) remove(cluster, kindNamed('Endpoints'), old.metadata.namespace, old.metadata.name);
    return;
  }
  if (service.metadata.deletionTimestamp || service.spec.type === 'ExternalName') return;
  if (!service.spec.selector || Object.keys(service.spec.selector).length === 0) return mirror(cluster, service);
  const pods = podsLabelled(cluster.store, service.metadata.namespace!, service.spec.selector).filter(belongs);
  const early = service.spec.publishNotReadyAddresses === true;
  write(cluster, key, service, subsetsOf(service, pods.filter((p) => early || !p.metadata.deletionTimestamp), early));
  syncSlices(cluster, service, pods);
}

/** A pod that has an address and has not ended for good. */
function belongs(pod: Pod): boolean {
  const { phase, podIP } = pod.status ?? {};
  return Boolean(podIP) && phase !== 'Succeeded' && phase !== 'Failed';
}

/** Pods with the same ports share a subset. */
function subsetsOf(service: Service, pods: readonly Pod[], early: boolean): Json[] {
  const groups = new Map<string, { ports: PortOf[]; pods: Pod[] }>();
  for (const pod of pods) {
    const ports = portsOf(service, pod);
    const headless = service.spec.clusterIP === 'None' && (service.spec.ports ?? []).length === 0;
    if (ports.length === 0 && !headless) continue;
    const id = JSON.stringify(ports);
    const group = groups.get(id) ?? { ports, pods: [] };
    group.pods.push(pod);
    groups.set(id, group);
  }
  const address = (p: Pod): Json => ({ ...(p.spec.hostname && p.spec.subdomain === service.metadata.name ? { hostname: p.spec.hostname } : {}), ip: p.status.podIP, nodeName: p.spec.nodeName, targetRef: targetOf(p) });
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => {
    const sorted = [...group.pods].sort((a, b) => compareIps(a.status.podIP!, b.status.podIP!));
    const ready = sorted.filter((p) => early || isReady(p)).map(address);
    const rest = sorted.filter((p) => !early && !isReady(p)).map(address);
    return { ...(ready.length ? { addresses: ready } : {}), ...(rest.length ? { notReadyAddresses: rest } : {}), ...(group.ports.length ? { ports: group.ports } : {}) };
  });
}

function write(cluster: Cluster, key: string, service: Service, subsets: Json[]): void {
  const old = get(cluster.store, 'Endpoints', key);
  const labels = { ...service.metadata.labels, ...headlessLabels(service) };
  if (old) {
    if (same(old.subsets ?? [], subsets) && same(old.metadata.labels ?? {}, labels)) return;
    mutate(cluster, 'Endpoints', key, (o) => {
      if (subsets.length > 0) o.subsets = subsets;
      else delete o.subsets;
      if (Object.keys(labels).length > 0) o.metadata.labels = labels;
      else delete o.metadata.labels;
      o.metadata.annotations = { ...o.metadata.annotations, [TRIGGERED]: stamp(cluster.timeline) };
    });
    return;
  }
  create(cluster, kindNamed('Endpoints'), service.metadata.namespace, {
    metadata: { name: service.metadata.name, annotations: { [TRIGGERED]: stamp(cluster.timeline) }, ...(Object.keys(labels).length > 0 ? { labels } : {}) }, ...(subsets.length > 0 ? { subsets } : {}),
  });
}
