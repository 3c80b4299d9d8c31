/** Addresses and node ports of Services: given out at random, or those that were asked for if they are free. Source: pkg/registry/core/service 1.32. */
import { below } from '../sim/random.ts';
import { type Fault, invalid } from './errors.ts';
import type { Cluster } from './state.ts';
import { kindNamed } from './types/kinds.ts';
import { type Json, type KubeObject, keyOf } from './types/objects.ts';

const LOW = 30000;
const HIGH = 32767;

const others = (cluster: Cluster, service: KubeObject): KubeObject[] => {
  const own = keyOf(service.metadata);
  return [...(cluster.store.tables.get('Service')?.values() ?? [])].filter((s) => keyOf(s.metadata) !== own);
};

const external = (spec: Json): boolean => spec.type === 'NodePort' || spec.type === 'LoadBalancer';

/** Throws when what is asked for is somebody's or out of range. */
export function allocate(cluster: Cluster, service: KubeObject): void {
  const { spec } = service;
  if (spec.type === 'ExternalName') return;
  const rest = others(cluster, service);
  const faults: Fault[] = [];
  address(cluster, spec, rest, faults);
  if (external(spec)) ports(cluster, spec, rest, faults);
  if (faults.length > 0) throw invalid(kindNamed('Service'), service.metadata.name, faults);
}

/** 10.96.0.0/12: random ones are of its lower sixteenths. */
function address(cluster: Cluster, spec: Json, rest: readonly KubeObject[], out: Fault[]): void {
  const used = new Set(rest.map((s) => s.spec.clusterIP));
  if (spec.clusterIP && spec.clusterIP !== 'None') {
    const [a = 0, b = 0, c = -1, d = -1] = String(spec.clusterIP).split('.').map(Number);
    const says = (detail: string): void => void out.push({ field: 'spec.clusterIPs', type: 'Invalid value', value: `[]string{${JSON.stringify(spec.clusterIP)}}`, detail: `failed to allocate IP ${spec.clusterIP}: ${detail}` });
    if (a !== 10 || b < 96 || b > 111 || !(c >= 0 && c < 256 && d >= 0 && d < 256)) says(`the provided IP (${spec.clusterIP}) is not in the valid range. The range of valid IPs is 10.96.0.0/12`);
    else if (used.has(spec.clusterIP)) says('provided IP is already allocated');
  } else if (!spec.clusterIP) {
    do {
      spec.clusterIP = `10.${96 + below(cluster.random, 16)}.${below(cluster.random, 256)}.${1 + below(cluster.random, 254)}`;
    } while (used.has(spec.clusterIP));
  }
  spec.clusterIPs = [spec.clusterIP];
  spec.ipFamilies ??= ['IPv4'];
  spec.ipFamilyPolicy ??= 'SingleStack';
}

function ports(cluster: Cluster, spec: Json, rest: readonly KubeObject[], out: Fault[]): void {
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
  const used = new Set<string>(rest.flatMap((s) => (s.spec.ports ?? []).map((p: Json) => `${p.nodePort}/${p.protocol}`)));
  const numbers = new Set<number>(rest.flatMap((s) => (s.spec.ports ?? []).map((p: Json) => p.nodePort)));
  for (const [i, p] of ((spec.ports ?? []) as Json[]).entries()) {
    if (p.nodePort) {
      const says = (detail: string): void => void out.push({ field: `spec.ports[${i}].nodePort`, type: 'Invalid value', value: String(p.nodePort), detail });
      if (p.nodePort < LOW || p.nodePort > HIGH) says(`provided port is not in the valid range. The range of valid ports is ${LOW}-${HIGH}`);
      else if (used.has(`${p.nodePort}/${p.protocol}`)) says('provided port is already allocated');
    } else if (spec.allocateLoadBalancerNodePorts !== false) {
      do {
        p.nodePort = LOW + below(cluster.random, HIGH - LOW + 1);
      } while (numbers.has(p.nodePort));
    }
    if (p.nodePort) numbers.add(p.nodePort);
  }
}

/**
 * What a Service keeps over a write that leaves it out: its address, and the node ports of ports that stay; what a change of type
 * makes useless goes. `versioned`: a write that names no version states the whole Service, its address is not filled in.
 */
export function keepAllocated(cluster: Cluster, service: KubeObject, old: KubeObject, versioned: boolean): void {
  const { spec } = service;
  if (spec.type === 'ExternalName') {
    for (const field of ['clusterIP', 'clusterIPs']) delete spec[field];
    return;
  }
  if (external(old.spec) && !external(spec)) dropPorts(spec, old.spec);
  if (external(old.spec) && external(spec)) {
    for (const p of spec.ports ?? []) p.nodePort ??= (old.spec.ports ?? []).find((o: Json) => o.port === p.port && o.protocol === p.protocol && (o.name ?? '') === (p.name ?? ''))?.nodePort;
    for (const p of spec.ports ?? []) if (p.nodePort === undefined) delete p.nodePort;
  }
  if (!spec.clusterIP && !versioned && old.spec.clusterIP) return;
  if (!spec.clusterIP) {
    spec.clusterIP = old.spec.clusterIP;
    spec.clusterIPs = old.spec.clusterIPs;
  }
  spec.ipFamilies ??= old.spec.ipFamilies;
  spec.ipFamilyPolicy ??= old.spec.ipFamilyPolicy;
  if (old.spec.clusterIP && old.spec.type !== 'ExternalName' && spec.clusterIP !== old.spec.clusterIP) return;
  allocate(cluster, service);
}

function dropPorts(spec: Json, old: Json): void {
  for (const p of spec.ports ?? []) if (p.nodePort && (old.ports ?? []).some((o: Json) => o.nodePort === p.nodePort)) delete p.nodePort;
  for (const field of ['externalTrafficPolicy', 'allocateLoadBalancerNodePorts', 'healthCheckNodePort']) if (spec[field] === old[field]) delete spec[field];
}
