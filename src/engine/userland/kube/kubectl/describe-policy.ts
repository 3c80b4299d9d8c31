/** `kubectl describe` of autoscalers, budgets, quotas, limits, ingresses, policies, roles, accounts, endpoints. Source: kubectl pkg/describe/describe.go 1.32. */
import { isObject, type Json, type KubeObject } from '../../../cluster/types/objects.ts';
import { canonical } from '../../../cluster/types/quantity.ts';
import { printSelector } from '../../../cluster/types/selectors.ts';
import { rfc1123 } from '../../../cluster/types/time.ts';
import { events, type Line, multi, type Surroundings } from './describe-parts.ts';

type Describer = (o: KubeObject, s: Surroundings, w: Line) => void;

const NONE = '<none>';
const pairs = (map: Record<string, string> | undefined): string => Object.keys(map ?? {}).sort().map((k) => `${k}=${map![k]}`).join(',') || NONE;

function head(o: KubeObject, w: Line, scope = o.metadata.namespace !== undefined): void {
  w(0, `Name:\t${o.metadata.name}`);
  if (scope) w(0, `Namespace:\t${o.metadata.namespace}`);
  multi(w, 'Labels', o.metadata.labels);
  multi(w, 'Annotations', o.metadata.annotations, ': ');
}

/** A metric's row: what is measured, how it is now, what is wanted. */
function metric(m: Json, current: Json): string {
  const field = m.type.charAt(0).toLowerCase() + m.type.slice(1);
  const source = m[field] ?? {};
  const now = current?.[field]?.current ?? {};
  const target = source.target ?? {};
  const value = (name: string): string => (now[name] === undefined ? '<unknown>' : canonical(now[name]));
  if (m.type === 'Resource' || m.type === 'ContainerResource') {
    const what = `resource ${source.name}${m.type === 'Resource' ? '' : ` of container "${source.container}"`} on pods`;
    if (target.averageValue !== undefined) return `${what}:\t${value('averageValue')} / ${canonical(target.averageValue)}`;
    const percent = now.averageUtilization === undefined ? '<unknown>' : `${now.averageUtilization}% (${value('averageValue')})`;
    return `${what}  (as a percentage of request):\t${percent} / ${target.averageUtilization === undefined ? '<auto>' : `${target.averageUtilization}%`}`;
  }
  const average = target.averageValue !== undefined;
  const end = `\t${value(average ? 'averageValue' : 'value')} / ${canonical(target[average ? 'averageValue' : 'value'] ?? '0')}`;
  if (m.type === 'Pods') return `"${source.metric?.name}" on pods:${end}`;
  const kind = average ? '(target average value):' : '(target value):';
  if (m.type === 'External') return `"${source.metric?.name}" ${kind}${end}`;
  return `"${source.metric?.name}" on ${source.describedObject?.kind}/${source.describedObject?.name} ${kind}${end}`;
}

function behavior(w: Line, title: string, rules: Json): void {
  if (!rules) return;
  w(1, `${title}:`);
  if (rules.stabilizationWindowSeconds !== undefined) w(2, `Stabilization Window: ${rules.stabilizationWindowSeconds} seconds`);
  if (!rules.policies?.length) return;
  w(2, `Select Policy: ${rules.selectPolicy ?? 'Max'}\nPolicies:`);
  for (const p of rules.policies) w(3, `- Type: ${p.type}\tValue: ${p.value}\tPeriod: ${p.periodSeconds} seconds`);
}

function autoscaler(o: KubeObject, s: Surroundings, w: Line): void {
  const { spec, status = {} } = o;
  head(o, w);
  w(0, `CreationTimestamp:\t${rfc1123(o.metadata.creationTimestamp)}\nReference:\t${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}\nMetrics:\t( current / target )`);
  for (const [i, m] of (spec.metrics ?? []).entries()) w(1, metric(m, status.currentMetrics?.[i]));
  w(0, `Min replicas:\t${spec.minReplicas ?? '<unset>'}\nMax replicas:\t${spec.maxReplicas}`);
  if (spec.behavior) {
    w(0, 'Behavior:');
    behavior(w, 'Scale Up', spec.behavior.scaleUp);
    behavior(w, 'Scale Down', spec.behavior.scaleDown);
  }
  w(0, `${spec.scaleTargetRef.kind} pods:\t${status.currentReplicas ?? 0} current / ${status.desiredReplicas ?? 0} desired`);
  if (status.conditions?.length) {
    w(0, 'Conditions:');
    w(1, 'Type\tStatus\tReason\tMessage\n----\t------\t------\t-------');
    for (const c of status.conditions) w(1, `${c.type}\t${c.status}\t${c.reason}\t${c.message}`);
  }
  events(w, s);
}

function budget(o: KubeObject, s: Surroundings, w: Line): void {
  const { spec, status = {} } = o;
  w(0, `Name:\t${o.metadata.name}\nNamespace:\t${o.metadata.namespace}`);
  if (spec.minAvailable !== undefined) w(0, `Min available:\t${spec.minAvailable}`);
  else if (spec.maxUnavailable !== undefined) w(0, `Max unavailable:\t${spec.maxUnavailable}`);
  w(0, `Selector:\t${spec.selector ? printSelector(spec.selector) : '<unset>'}\nStatus:`);
  w(2, `Allowed disruptions:\t${status.disruptionsAllowed ?? 0}\nCurrent:\t${status.currentHealthy ?? 0}\nDesired:\t${status.desiredHealthy ?? 0}\nTotal:\t${status.expectedPods ?? 0}`);
  events(w, s);
}

const SCOPES: Readonly<Record<string, string>> = {
  Terminating: 'Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system.',
  NotTerminating: 'Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate.',
  BestEffort: 'Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.',
  NotBestEffort: 'Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service.',
};

function scopes(q: KubeObject, w: Line, level: number, bullet: string): void {
  const all: string[] = [...(q.spec.scopes ?? [])].sort();
  if (all.length === 0) return;
  w(level, `Scopes:\t${all.join(', ')}`);
  for (const scope of all) if (SCOPES[scope]) w(level, `${bullet}${SCOPES[scope]}`);
}

const used = (q: KubeObject): string[] => Object.keys(q.status?.hard ?? {}).sort().map((r) => `${r}\t${canonical(q.status.used?.[r] ?? '0')}\t${canonical(q.status.hard[r])}`);

function quota(q: KubeObject, _s: Surroundings, w: Line): void {
  w(0, `Name:\t${q.metadata.name}\nNamespace:\t${q.metadata.namespace}`);
  scopes(q, w, 0, ' * ');
  w(0, 'Resource\tUsed\tHard\n--------\t----\t----');
  for (const row of used(q)) w(0, row);
}

const LIMIT_HEAD = ['Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio', '----\t--------\t---\t---\t---------------\t-------------\t-----------------------'];

function limitRows(l: KubeObject): string[] {
  return (l.spec.limits ?? []).flatMap((item: Json) => {
    const lists = [item.min, item.max, item.defaultRequest, item.default, item.maxLimitRequestRatio];
    const names = [...new Set(lists.flatMap((m) => Object.keys(m ?? {})))].sort();
    return names.map((r) => [item.type, r, ...lists.map((m) => (m?.[r] === undefined ? '-' : canonical(m[r])))].join('\t'));
  });
}

function limits(l: KubeObject, _s: Surroundings, w: Line): void {
  w(0, `Name:\t${l.metadata.name}\nNamespace:\t${l.metadata.namespace}`);
  for (const row of [...LIMIT_HEAD, ...limitRows(l)]) w(0, row);
}

/** What `describe namespace` tells of quotas and limits in it. */
export function namespaceLimits(w: Line, s: Surroundings): void {
  w(0, '');
  if (!s.quotas?.length) w(0, 'No resource quota.');
  else {
    w(0, 'Resource Quotas');
    for (const q of s.quotas) {
      w(1, `Name:\t${q.metadata.name}`);
      scopes(q, w, 1, '* ');
      w(1, 'Resource\tUsed\tHard\n--------\t---\t---');
      for (const row of used(q)) w(1, row);
    }
  }
  w(0, '');
  if (!s.limits?.length) w(0, 'No LimitRange resource.');
  else {
    w(0, 'Resource Limits');
    for (const row of [...LIMIT_HEAD, ...s.limits.flatMap(limitRows)]) w(0, ` ${row}`);
  }
}

/** "web:80", or a resource. */
const backendName = (b: Json): string => (b.service ? `${b.service.name}:${b.service.port?.name || b.service.port?.number}` : `APIGroup: ${b.resource?.apiGroup ?? NONE}, Kind: ${b.resource?.kind}, Name: ${b.resource?.name}`);
const backend = (b: Json, s: Surroundings): string => (b.service ? `${backendName(b)} (${s.backends?.get(backendName(b)) ?? NONE})` : backendName(b));

/** Services that an Ingress sends to: "name:port" and both. */
export function backendsOf(o: KubeObject): { key: string; name: string; port: Json }[] {
  const all: Json[] = [o.spec.defaultBackend, ...(o.spec.rules ?? []).flatMap((r: Json) => (r.http?.paths ?? []).map((p: Json) => p.backend))];
  return all.filter((b) => b?.service).map((b) => ({ key: backendName(b), name: b.service.name, port: b.service.port }));
}

function ingress(o: KubeObject, s: Surroundings, w: Line): void {
  const { spec, status } = o;
  w(0, `Name:\t${o.metadata.name}`);
  multi(w, 'Labels', o.metadata.labels);
  w(0, `Namespace:\t${o.metadata.namespace}\nAddress:\t${(status?.loadBalancer?.ingress ?? []).map((i: Json) => i.ip || i.hostname).join(',')}\nIngress Class:\t${spec.ingressClassName ?? NONE}`);
  const fallback = spec.defaultBackend ? backend(spec.defaultBackend, s) : '<default>';
  w(0, `Default backend:\t${fallback}`);
  if (spec.tls?.length) {
    w(0, 'TLS:');
    for (const t of spec.tls) w(1, t.secretName ? `${t.secretName} terminates ${(t.hosts ?? []).join(',')}` : `SNI routes ${(t.hosts ?? []).join(',')}`);
  }
  w(0, 'Rules:\n  Host\tPath\tBackends\n  ----\t----\t--------');
  const rules = (spec.rules ?? []).filter((r: Json) => r.http);
  for (const r of rules) {
    w(1, `${r.host || '*'}\t`);
    for (const p of r.http.paths) w(2, `\t${p.path ?? ''} \t${backend(p.backend, s)}`);
  }
  if (rules.length === 0) w(1, `*\t*\t${fallback}`);
  multi(w, 'Annotations', o.metadata.annotations, ': ');
  events(w, s);
}

/** One rule of a policy: its ports and its peers. */
function policyRule(w: Line, rule: Json, peers: Json[] | undefined, word: 'From' | 'To'): void {
  const pad = '    ';
  if (!rule.ports?.length) w(0, `${pad}To Port: <any> (traffic allowed to all ports)`);
  for (const p of rule.ports ?? []) w(0, p.endPort === undefined ? `${pad}To Port: ${p.port ?? '<nil>'}/${p.protocol ?? 'TCP'}` : `${pad}To Port Range: ${p.port}-${p.endPort}/${p.protocol ?? 'TCP'}`);
  if (!peers?.length) w(0, `${pad}${word}: <any> (traffic not restricted by ${word === 'From' ? 'source' : 'destination'})`);
  for (const peer of peers ?? []) {
    w(0, `${pad}${word}:`);
    if (peer.namespaceSelector) w(1, `${pad}NamespaceSelector: ${printSelector(peer.namespaceSelector)}`);
    if (peer.podSelector) w(1, `${pad}PodSelector: ${printSelector(peer.podSelector)}`);
    if (!peer.ipBlock || peer.namespaceSelector || peer.podSelector) continue;
    w(1, `${pad}IPBlock:`);
    w(2, `${pad}CIDR: ${peer.ipBlock.cidr}\n${pad}Except: ${(peer.ipBlock.except ?? []).join(', ')}`);
  }
}

function networkPolicy(o: KubeObject, _s: Surroundings, w: Line): void {
  const { spec } = o;
  w(0, `Name:\t${o.metadata.name}\nNamespace:\t${o.metadata.namespace}\nCreated on:\t${String(o.metadata.creationTimestamp).replace('T', ' ').replace('Z', ' +0000 UTC')}`);
  multi(w, 'Labels', o.metadata.labels);
  multi(w, 'Annotations', o.metadata.annotations, ': ');
  w(0, 'Spec:');
  const all = Object.keys(spec.podSelector?.matchLabels ?? {}).length === 0 && !spec.podSelector?.matchExpressions?.length;
  w(1, `PodSelector:     ${all ? '<none> (Allowing the specific traffic to all pods in this namespace)' : printSelector(spec.podSelector)}`);
  for (const [type, rules, word] of [['Ingress', spec.ingress, 'From'], ['Egress', spec.egress, 'To']] as const) {
    const name = type.toLowerCase();
    if (!spec.policyTypes?.includes(type)) {
      w(1, `Not affecting ${name} traffic`);
      continue;
    }
    w(1, `Allowing ${name} traffic:`);
    if (!rules?.length) w(0, `    <none> (Selected pods are isolated for ${name} connectivity)`);
    for (const [i, rule] of (rules ?? []).entries()) {
      policyRule(w, rule, word === 'From' ? rule.from : rule.to, word);
      if (i < rules.length - 1) w(0, '    ----------');
    }
  }
  w(1, `Policy Types: ${(spec.policyTypes ?? []).join(', ')}`);
}

/** Each rule as its single resources and verbs, those of one resource joined. */
function ruleRows(rules: readonly Json[]): string[] {
  const rows = new Map<string, Set<string>>();
  const list = (x: readonly string[]): string => `[${x.join(' ')}]`;
  for (const r of rules) {
    for (const url of r.nonResourceURLs ?? []) add(`\t${list([url])}\t[]`, r.verbs);
    for (const group of r.apiGroups ?? []) {
      for (const resource of r.resources ?? []) {
        const [name, sub] = resource.split('/');
        const shown = `${name}${group === '' ? '' : `.${group}`}${sub ? `/${sub}` : ''}`;
        if (!r.resourceNames?.length) add(`${shown}\t[]\t[]`, r.verbs);
        for (const one of r.resourceNames ?? []) add(`${shown}\t[]\t${list([one])}`, r.verbs);
      }
    }
  }
  function add(key: string, verbs: readonly string[]): void {
    rows.set(key, new Set([...(rows.get(key) ?? []), ...(verbs ?? [])]));
  }
  return [...rows].map(([key, verbs]) => `${key}\t${list([...verbs])}`).sort();
}

function role(o: KubeObject, _s: Surroundings, w: Line): void {
  head(o, w, false);
  w(0, 'PolicyRule:');
  w(1, 'Resources\tNon-Resource URLs\tResource Names\tVerbs\n---------\t-----------------\t--------------\t-----');
  for (const row of ruleRows((o.rules as Json[]) ?? [])) w(1, row);
}

function binding(o: KubeObject, _s: Surroundings, w: Line): void {
  head(o, w, false);
  w(0, 'Role:');
  w(1, `Kind:\t${o.roleRef.kind}\nName:\t${o.roleRef.name}`);
  w(0, 'Subjects:');
  w(1, 'Kind\tName\tNamespace\n----\t----\t---------');
  for (const s of o.subjects ?? []) w(1, `${s.kind}\t${s.name}\t${s.namespace ?? ''}`);
}

function account(o: KubeObject, s: Surroundings, w: Line): void {
  head(o, w);
  const lists = [['Image pull secrets:', o.imagePullSecrets], ['Mountable secrets: ', o.secrets], ['Tokens:            ', []]] as const;
  for (const [title, secrets] of lists) {
    const names: string[] = (secrets ?? []).map((x: Json) => x.name);
    if (names.length === 0) w(0, `${title}\t${NONE}`);
    for (const [i, name] of names.entries()) w(0, `${i === 0 ? title : ' '.repeat(title.length)}\t${name}`);
  }
  events(w, s);
}

function endpoints(o: KubeObject, s: Surroundings, w: Line): void {
  head(o, w);
  w(0, 'Subsets:');
  for (const subset of o.subsets ?? []) {
    const ips = (list: Json): string => (list ?? []).map((a: Json) => a.ip).join(',') || NONE;
    w(1, `Addresses:\t${ips(subset.addresses)}\nNotReadyAddresses:\t${ips(subset.notReadyAddresses)}`);
    if (subset.ports?.length) {
      w(1, 'Ports:');
      w(2, 'Name\tPort\tProtocol\n----\t----\t--------');
      for (const p of subset.ports) w(2, `${p.name || '<unset>'}\t${p.port}\t${p.protocol ?? 'TCP'}`);
    }
    w(0, '');
  }
  events(w, s);
}

function endpointSlice(o: KubeObject, s: Surroundings, w: Line): void {
  head(o, w);
  w(0, `AddressType:\t${o.addressType}`);
  if (!o.ports?.length) w(0, 'Ports: <unset>');
  else {
    w(0, 'Ports:');
    w(1, 'Name\tPort\tProtocol\n----\t----\t--------');
    for (const p of o.ports) w(1, `${p.name || '<unset>'}\t${p.port ?? '<unset>'}\t${p.protocol ?? 'TCP'}`);
  }
  if (!o.endpoints?.length) w(0, 'Endpoints: <none>');
  else w(0, 'Endpoints:');
  for (const e of o.endpoints ?? []) {
    w(1, `- Addresses:\t${(e.addresses ?? []).join(', ') || NONE}`);
    w(2, 'Conditions:');
    w(3, `Ready:\t${e.conditions?.ready ?? '<unset>'}`);
    w(2, `Hostname:\t${e.hostname ?? '<unset>'}`);
    if (e.targetRef) w(2, `TargetRef:\t${e.targetRef.kind}/${e.targetRef.name}`);
    w(2, `NodeName:\t${e.nodeName ?? '<unset>'}\nZone:\t${e.zone ?? '<unset>'}`);
  }
  events(w, s);
}

export const POLICY_DESCRIBERS: Readonly<Record<string, Describer>> = {
  HorizontalPodAutoscaler: autoscaler, PodDisruptionBudget: budget, ResourceQuota: quota, LimitRange: limits, Ingress: ingress, NetworkPolicy: networkPolicy, Role: role, ClusterRole: role, RoleBinding: binding, ClusterRoleBinding: binding,
  ServiceAccount: account, Endpoints: endpoints, EndpointSlice: endpointSlice,
  PriorityClass(o, s, w) {
    w(0, `Name:\t${o.metadata.name}\nValue:\t${o.value}\nGlobalDefault:\t${o.globalDefault ?? false}\nPreemptionPolicy:\t${o.preemptionPolicy ?? 'PreemptLowerPriority'}\nDescription:\t${o.description ?? ''}\nAnnotations:\t${pairs(o.metadata.annotations)}`);
    events(w, s);
  },
  IngressClass(o, s, w) {
    head(o, w, false);
    w(0, `Controller:\t${o.spec?.controller ?? ''}`);
    const p: Json = o.spec?.parameters;
    if (p) {
      w(0, 'Parameters:');
      if (p.apiGroup !== undefined) w(1, `APIGroup:\t${p.apiGroup}`);
      w(1, `Kind:\t${p.kind}\nName:\t${p.name}`);
    }
    events(w, s);
  },
};

const ACRONYMS = ['API', 'URL', 'UID', 'GUID'];

/** "creationTimestamp" to "Creation Timestamp". */
function label(field: string): string {
  if (/[^a-zA-Z-]/.test(field)) return field;
  return field.replace(/([a-z-])([A-Z])/g, '$1 $2').replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2').split(' ').map((p) => (ACRONYMS.includes(p.toUpperCase()) ? p.toUpperCase() : p === p.toLowerCase() ? p.charAt(0).toUpperCase() + p.slice(1) : p)).join(' ');
}

function content(w: Line, level: number, value: Json, path: string, skip: readonly string[]): void {
  for (const field of Object.keys(value).sort()) {
    const at = `${path}.${field}`;
    const inner = value[field];
    if (skip.includes(at) || inner === undefined) continue;
    if (Array.isArray(inner)) {
      w(level, `${label(field)}:`);
      for (const one of inner) {
        if (isObject(one)) content(w, level + 1, one, at, skip);
        else w(level + 1, String(one));
      }
    } else if (inner !== null && typeof inner === 'object') {
      w(level, `${label(field)}:`);
      content(w, level + 1, inner, at, skip);
    } else w(level, `${label(field)}:\t${inner === null ? '<nil>' : inner}`);
  }
}

/** Kinds without a description of their own: everything that they hold. */
export function generic(o: KubeObject, s: Surroundings, w: Line): void {
  w(0, `Name:\t${o.metadata.name}\nNamespace:\t${o.metadata.namespace ?? ''}`);
  multi(w, 'Labels', o.metadata.labels);
  multi(w, 'Annotations', o.metadata.annotations, ': ');
  content(w, 0, o, '', ['.metadata.managedFields', '.metadata.name', '.metadata.namespace', '.metadata.labels', '.metadata.annotations']);
  events(w, s);
}
