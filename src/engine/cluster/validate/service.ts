/** Services. Source: pkg/apis/core/validation ValidateService 1.32. */
import { goValue } from '../errors.ts';
import type { Json, KubeObject } from '../types/objects.ts';
import { portOrName } from './container.ts';
import { duplicate, type Faults, forbidden, invalid, invalidAs, port, required, unsupported } from './faults.ts';
import { each, labelFaults, labels, subdomainFaults } from './names.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];

export function service(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  const spec = object.spec ?? {};
  const ports: Json[] = spec.ports ?? [];
  const headless = spec.clusterIP === 'None';
  if (ports.length === 0 && spec.type !== 'ExternalName' && !headless) out.push(required('spec.ports'));
  if (spec.type === 'LoadBalancer' || spec.type === 'NodePort') {
    if (spec.type === 'LoadBalancer') for (const [i, p] of ports.entries()) if (p?.port === 10250) out.push(invalid(`spec.ports[${i}].port`, 10250, 'may not expose port 10250 externally since it is used by kubelet'));
    if (headless) out.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`));
  }
  if (spec.type === 'ExternalName') {
    if (spec.clusterIP) out.push(forbidden('spec.clusterIPs', 'may not be set for ExternalName services'));
    const name = String(spec.externalName ?? '').replace(/\.$/, '');
    if (name === '') out.push(required('spec.externalName'));
    else each(subdomainFaults(name), 'spec.externalName', name, out);
  }
  portList(spec, ports, headless, out);
  labels(spec.selector, 'spec.selector', out);
  if (!['ClientIP', 'None'].includes(spec.sessionAffinity)) out.push(spec.sessionAffinity ? unsupported('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']) : required('spec.sessionAffinity'));
  const timeout = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (spec.sessionAffinity === 'None' && spec.sessionAffinityConfig) out.push(forbidden('spec.sessionAffinityConfig', `must not be set when session affinity is None`));
  if (timeout !== undefined && (timeout <= 0 || timeout > 86400)) out.push(invalid('spec.sessionAffinityConfig.clientIP.timeoutSeconds', timeout, 'must be greater than 0 and less than 86400'));
  if (!TYPES.includes(spec.type)) out.push(spec.type ? unsupported('spec.type', spec.type, TYPES) : required('spec.type'));
  policies(spec, out);
  if (old) update(spec, old, out);
}

function portList(spec: Json, ports: Json[], headless: boolean, out: Faults): void {
  const names = new Set<string>();
  const seen = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [i, p] of ports.entries()) {
    const at = `spec.ports[${i}]`;
    if (!p?.name) {
      if (ports.length > 1) out.push(required(`${at}.name`));
    } else {
      each(labelFaults(p.name), `${at}.name`, p.name, out);
      if (names.has(p.name)) out.push(duplicate(`${at}.name`, p.name));
      names.add(p.name);
    }
    port(p?.port ?? 0, `${at}.port`, out);
    if (!['SCTP', 'TCP', 'UDP'].includes(p?.protocol)) out.push(unsupported(`${at}.protocol`, p?.protocol ?? '', ['SCTP', 'TCP', 'UDP']));
    if (p?.targetPort !== undefined && !headless) portOrName(p.targetPort, `${at}.targetPort`, out);
    if (spec.type === 'ClusterIP' && p?.nodePort) out.push(forbidden(`${at}.nodePort`, "may not be used when `type` is 'ClusterIP'"));
    const key = `${p?.protocol}/${p?.port}`;
    if (seen.has(key)) out.push({ ...duplicate(at, ''), value: `core.ServicePort{Name:"", Protocol:${JSON.stringify(p.protocol)}, AppProtocol:(*string)(nil), Port:${p.port}, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}` });
    seen.add(key);
    if (!p?.nodePort) continue;
    const node = `${p.protocol}/${p.nodePort}`;
    if (nodePorts.has(node)) out.push({ ...duplicate(`${at}.nodePort`, ''), value: `core.ServicePort{Name:"", Protocol:${JSON.stringify(p.protocol)}, AppProtocol:(*string)(nil), Port:0, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:${p.nodePort}}` });
    nodePorts.add(node);
  }
}

function policies(spec: Json, out: Faults): void {
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  if (spec.externalTrafficPolicy !== undefined && spec.externalTrafficPolicy !== '') {
    if (!external && !spec.externalIPs?.length) out.push(invalid('spec.externalTrafficPolicy', spec.externalTrafficPolicy, 'may only be set for externally-accessible services'));
    else if (!['Cluster', 'Local'].includes(spec.externalTrafficPolicy)) out.push(unsupported('spec.externalTrafficPolicy', spec.externalTrafficPolicy, ['Cluster', 'Local']));
  }
  if (spec.internalTrafficPolicy !== undefined && !['Cluster', 'Local'].includes(spec.internalTrafficPolicy)) out.push(unsupported('spec.internalTrafficPolicy', spec.internalTrafficPolicy, ['Cluster', 'Local']));
  if (spec.type !== 'LoadBalancer') for (const name of ['loadBalancerSourceRanges', 'loadBalancerClass']) if (spec[name] !== undefined) out.push(forbidden(`spec.${name}`, "may only be used when `type` is 'LoadBalancer'"));
  if (spec.type !== 'ExternalName' && spec.clusterIP && spec.clusterIP !== 'None' && !/^(\d+\.){3}\d+$|:/.test(spec.clusterIP)) {
    out.push(invalid('spec.clusterIPs[0]', spec.clusterIP, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
  }
}

function update(spec: Json, old: KubeObject, out: Faults): void {
  if (!old.spec?.clusterIP || old.spec.type === 'ExternalName' || spec.type === 'ExternalName' || spec.clusterIP === old.spec.clusterIP) return;
  out.push(
    spec.clusterIP
      ? invalidAs('spec.clusterIPs[0]', `[]string{${goValue(spec.clusterIP)}}`, 'may not change once set')
      : invalidAs('spec.clusterIPs[0]', '[]string(nil)', 'primary clusterIP can not be unset'),
  );
}
