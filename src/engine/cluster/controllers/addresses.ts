/** What Endpoints and EndpointSlices have in common: a service's ports as a pod has them, and whom an address means. */
import type { Json, Labels, Pod, Service } from '../types/objects.ts';

export const TRIGGERED = 'endpoints.kubernetes.io/last-change-trigger-time';
const HEADLESS = 'service.kubernetes.io/headless';

export const headlessLabels = (service: Service): Labels => (service.spec.clusterIP === 'None' ? { [HEADLESS]: '' } : {});

export interface PortOf { name?: string; port: number; protocol: string; appProtocol?: string }

/** A service's ports as one pod has them; a named one that the pod lacks is left out. */
export function portsOf(service: Service, pod: Pod): PortOf[] {
  return (service.spec.ports ?? []).flatMap((p) => {
    const port = numberOf(p.targetPort ?? p.port, pod, p.protocol ?? 'TCP');
    return port === null ? [] : [{ ...((p as Json).appProtocol ? { appProtocol: (p as Json).appProtocol } : {}), ...(p.name ? { name: p.name } : {}), port, protocol: p.protocol ?? 'TCP' }];
  });
}

function numberOf(target: number | string, pod: Pod, protocol: string): number | null {
  if (typeof target === 'number') return target;
  for (const c of [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter((i) => i.restartPolicy === 'Always')]) {
    for (const p of c.ports ?? []) if (p.name === target && (p.protocol ?? 'TCP') === protocol) return p.containerPort;
  }
  return null;
}

export const targetOf = (p: Pod): Json => ({ kind: 'Pod', name: p.metadata.name, namespace: p.metadata.namespace, uid: p.metadata.uid });

export function compareIps(a: string, b: string): number {
  const x = a.split('.').map(Number);
  const y = b.split('.').map(Number);
  for (let i = 0; i < 4; i++) if (x[i] !== y[i]) return (x[i] ?? 0) - (y[i] ?? 0);
  return 0;
}
