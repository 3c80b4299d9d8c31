/** Endpoints and EndpointSlices: the addresses of the pods that a Service's selector chooses, ready ones apart from the rest. */
import { create, mutate, remove } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get, list, podsLabelled } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { type Json, type KubeObject, keyOf, type Pod, same, type Service } from '../types/objects.ts';
import { isReady } from './pods.ts';

export function syncEndpoints(cluster: Cluster, key: string): void {
  const service = get<Service>(cluster.store, 'Service', key);
  if (!service) {
    const old = get(cluster.store, 'Endpoints', key);
    if (old) remove(cluster, kindNamed('Endpoints'), old.metadata.namespace, old.metadata.name);
    return;
  }
  if (!service.spec.selector) return;
  const pods = podsLabelled(cluster.store, service.metadata.namespace!, service.spec.selector).filter(
    (p) => p.status?.podIP && !p.metadata.deletionTimestamp && p.status.phase === 'Running',
  );
  const ports = (service.spec.ports ?? []).map((p) => ({
    ...(p.name ? { name: p.name } : {}), port: numberOf(p.targetPort ?? p.port, pods), protocol: p.protocol ?? 'TCP',
  }));
  const address = (p: Pod): Json => ({
    ip: p.status.podIP, nodeName: p.spec.nodeName, targetRef: { kind: 'Pod', name: p.metadata.name, namespace: p.metadata.namespace, uid: p.metadata.uid },
  });
  const byIp = (a: Pod, b: Pod): number => compareIps(a.status.podIP!, b.status.podIP!);
  const ready = pods.filter(isReady).sort(byIp).map(address);
  const rest = pods.filter((p) => !isReady(p)).sort(byIp).map(address);
  const subsets = pods.length === 0 ? undefined : [{ ...(ready.length ? { addresses: ready } : {}), ...(rest.length ? { notReadyAddresses: rest } : {}), ports }];
  write(cluster, 'Endpoints', key, service, service.metadata.name, subsets ? { subsets } : {});
  const endpoints = [...pods].sort(byIp).map((p) => ({
    addresses: [p.status.podIP], conditions: { ready: isReady(p), serving: isReady(p), terminating: false }, nodeName: p.spec.nodeName,
    targetRef: { kind: 'Pod', name: p.metadata.name, namespace: p.metadata.namespace, uid: p.metadata.uid },
  }));
  const slice = list(cluster.store, 'EndpointSlice', service.metadata.namespace).find((s) => s.metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name);
  write(cluster, 'EndpointSlice', slice ? keyOf(slice.metadata) : null, service, null, { addressType: 'IPv4', endpoints, ports: ports.map((p) => ({ name: p.name ?? '', port: p.port, protocol: p.protocol })) });
}

function compareIps(a: string, b: string): number {
  const x = a.split('.').map(Number);
  const y = b.split('.').map(Number);
  for (let i = 0; i < 4; i++) if (x[i] !== y[i]) return (x[i] ?? 0) - (y[i] ?? 0);
  return 0;
}

function numberOf(target: number | string, pods: readonly Pod[]): number {
  if (typeof target === 'number') return target;
  for (const pod of pods) for (const c of pod.spec.containers) for (const p of c.ports ?? []) if (p.name === target) return p.containerPort;
  return 0;
}

function write(cluster: Cluster, kind: string, key: string | null, service: Service, name: string | null, body: Json): void {
  const old = key === null ? undefined : get(cluster.store, kind, key);
  if (old) {
    const { apiVersion: _a, kind: _k, metadata: _m, ...rest } = old;
    if (same(rest, body)) return;
    mutate(cluster, kind, key!, (o: KubeObject) => {
      for (const field of Object.keys(o)) if (!['apiVersion', 'kind', 'metadata'].includes(field)) delete o[field];
      Object.assign(o, body);
    });
    return;
  }
  const owner = [{ apiVersion: 'v1', blockOwnerDeletion: true, controller: true, kind: 'Service', name: service.metadata.name, uid: service.metadata.uid }];
  const labels = { ...service.metadata.labels, ...(name === null ? { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io', 'kubernetes.io/service-name': service.metadata.name } : {}) };
  create(cluster, kindNamed(kind), service.metadata.namespace, {
    metadata: {
      ...(name === null ? { generateName: `${service.metadata.name}-`, ownerReferences: owner } : { name }),
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
    },
    ...body,
  });
}
