/** A container's environment: services, ConfigMaps, Secrets, fields of the pod and its resources. Source: kubelet_pods.go makeEnvironmentVariables 1.32. */
import type { Container, Json, Pod } from '../../../cluster/types/objects.ts';
import { milliOf, wholeOf } from '../../../cluster/types/quantity.ts';
import { fromBase64, text } from '../../../sim/text.ts';
import type { Call } from '../../lib/http.ts';
import { fetched } from '../node.ts';
import type { Work } from './work.ts';

/** $(NAME) by what is defined; $$ is a dollar. */
export function expand(source: string, value: (name: string) => string | undefined): string {
  return source.replace(/\$(\$|\(([^()]*)\))/g, (whole, inner: string, name?: string) => (inner === '$' ? '$' : (value(name ?? '') ?? whole)));
}

export function decoded(value: string): string {
  try {
    return text(fromBase64(value));
  } catch {
    return value;
  }
}

/** The data of a ConfigMap or Secret of the pod's namespace; null when there is none. */
export function* dataOf(w: Work, plural: 'configmaps' | 'secrets', name: string): Call<Record<string, string> | null> {
  const found = yield* fetched(w.k, `/api/v1/namespaces/${w.held.pod.metadata.namespace}/${plural}/${name}`);
  if (!found) return null;
  const raw = (found.data ?? {}) as Record<string, string>;
  const out = plural === 'secrets' ? Object.fromEntries(Object.entries(raw).map(([k, v]) => [k, decoded(v)])) : { ...raw };
  for (const [k, v] of Object.entries((plural === 'configmaps' ? (found.binaryData ?? {}) : {}) as Record<string, string>)) out[k] = decoded(v);
  return out;
}

const IDENTIFIER = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

/** The container's environment, or what is missing, in the kubelet's words. */
export function* environment(w: Work, c: Container): Call<{ key: string; value: string }[] | string> {
  const { pod } = w.held;
  const out = yield* serviceLinks(w);
  for (const from of c.envFrom ?? []) {
    const [plural, ref] = from?.configMapRef ? (['configmaps', from.configMapRef] as const) : (['secrets', from?.secretRef] as const);
    if (!ref) continue;
    const found = yield* dataOf(w, plural, ref.name);
    if (!found && !ref.optional) return `${plural === 'secrets' ? 'secret' : 'configmap'} "${ref.name}" not found`;
    for (const [k, v] of Object.entries(found ?? {})) if (IDENTIFIER.test((from.prefix ?? '') + k)) out.set((from.prefix ?? '') + k, v);
  }
  for (const e of c.env ?? []) {
    const from = e.valueFrom;
    const ref = from?.configMapKeyRef ?? from?.secretKeyRef;
    if (ref) {
      const plural = from.configMapKeyRef ? 'configmaps' : 'secrets';
      const found = yield* dataOf(w, plural, ref.name);
      if (!found && !ref.optional) return `${plural === 'secrets' ? 'secret' : 'configmap'} "${ref.name}" not found`;
      if (found && found[ref.key] === undefined && !ref.optional) return `couldn't find key ${ref.key} in ${plural === 'secrets' ? 'Secret' : 'ConfigMap'} ${pod.metadata.namespace}/${ref.name}`;
      if (found?.[ref.key] !== undefined) out.set(e.name, found[ref.key]!);
    } else if (from?.fieldRef) out.set(e.name, downward(w, from.fieldRef.fieldPath) ?? '');
    else if (from?.resourceFieldRef) {
      const value = resourceField(w, c, from.resourceFieldRef);
      if (value === null) return `container ${from.resourceFieldRef.containerName} not found`;
      out.set(e.name, value);
    } else out.set(e.name, expand(e.value ?? '', (name) => out.get(name)));
  }
  return [...out].map(([key, value]) => ({ key, value }));
}

/** NAME_SERVICE_HOST, NAME_PORT and their kin: the API server's always, those of the pod's namespace unless it declines. */
function* serviceLinks(w: Work): Call<Map<string, string>> {
  const { pod } = w.held;
  const out = new Map<string, string>();
  const own = pod.spec.enableServiceLinks === false ? null : yield* fetched(w.k, `/api/v1/namespaces/${pod.metadata.namespace}/services`);
  const master = yield* fetched(w.k, '/api/v1/namespaces/default/services/kubernetes');
  for (const service of [...(own?.items ?? []), ...(master ? [master] : [])] as Json[]) {
    const { clusterIP, ports } = service.spec;
    if (!clusterIP || clusterIP === 'None' || !ports?.length) continue;
    const name = String(service.metadata.name).toUpperCase().replace(/-/g, '_');
    const url = (p: Json): string => `${String(p.protocol).toLowerCase()}://${clusterIP}:${p.port}`;
    out.set(`${name}_SERVICE_HOST`, clusterIP).set(`${name}_SERVICE_PORT`, String(ports[0].port));
    for (const p of ports) if (p.name) out.set(`${name}_SERVICE_PORT_${String(p.name).toUpperCase().replace(/-/g, '_')}`, String(p.port));
    out.set(`${name}_PORT`, url(ports[0]));
    for (const p of ports) {
      const at = `${name}_PORT_${p.port}_${p.protocol}`;
      out.set(at, url(p)).set(`${at}_PROTO`, String(p.protocol).toLowerCase()).set(`${at}_PORT`, String(p.port)).set(`${at}_ADDR`, clusterIP);
    }
  }
  return out;
}

const quoted = (map: Record<string, string> | undefined): string =>
  Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join('\n');

/** A field of the pod as the downward API gives it; null for one that it does not have. */
export function downward(w: Work, path: string): string | null {
  const { pod } = w.held;
  const m = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (m) return pod.metadata[m[1] as 'labels']?.[m[2]!] ?? '';
  const fields: Record<string, string> = {
    'metadata.name': pod.metadata.name, 'metadata.namespace': pod.metadata.namespace ?? '', 'metadata.uid': pod.metadata.uid ?? '', 'metadata.labels': quoted(pod.metadata.labels), 'metadata.annotations': quoted(pod.metadata.annotations),
    'spec.nodeName': w.k.node, 'status.hostIP': w.k.ip, 'status.hostIPs': w.k.ip, 'status.podIP': w.ip, 'status.podIPs': w.ip, 'spec.serviceAccountName': pod.spec.serviceAccountName ?? '',
  };
  return fields[path] ?? null;
}

/** limits.cpu, requests.memory, … of a container divided and rounded up; a missing limit is what the node allows. null: no such container. */
export function resourceField(w: Work, own: Container | null, ref: Json): string | null {
  const pod: Pod = w.held.pod;
  const c = ref.containerName ? [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((x) => x.name === ref.containerName) : own;
  if (!c) return null;
  const [list = '', name = ''] = String(ref.resource).split(/\.(.*)/s) as [string, string];
  const given = c.resources?.[list as 'limits']?.[name];
  const divisor = ref.divisor && ref.divisor !== '0' ? String(ref.divisor) : '1';
  if (name === 'cpu') {
    const milli = given !== undefined ? milliOf(given) : list === 'limits' ? w.k.cpus * 1000 : 0;
    return String(Math.ceil(milli / Math.max(1, milliOf(divisor))));
  }
  const whole = given !== undefined ? wholeOf(given) : list === 'limits' ? (name === 'memory' ? w.k.allocatable : w.k.disk) : 0;
  return String(Math.ceil(whole / Math.max(1, wholeOf(divisor))));
}
