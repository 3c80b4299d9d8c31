/** Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers. Source: pkg/apis/apps/validation 1.32. */
import { goValue } from '../errors.ts';
import { type Json, type KubeObject, same } from '../types/objects.ts';
import { matchesMap, matchesSelector } from '../types/selectors.ts';
import { atLeastZero, atMostHundred, countOrPercent, type Faults, forbidden, IMMUTABLE, intOrString, invalid, invalidAs, required, unsupported } from './faults.ts';
import { annotations, goSelector, isEmptySelector, labels, selector } from './names.ts';
import { podSpec } from './podspec.ts';

const WORD: Readonly<Record<string, string>> = { Deployment: 'deployment', ReplicaSet: 'replica set', StatefulSet: 'statefulset', DaemonSet: 'daemonset' };

export function workload(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  const spec = object.spec ?? {};
  if (object.kind === 'StatefulSet') statefulSet(spec, out);
  else if (object.kind !== 'DaemonSet') atLeastZero(spec.replicas, 'spec.replicas', out);
  if (object.kind !== 'Deployment') atLeastZero(spec.minReadySeconds, 'spec.minReadySeconds', out);
  selected(object, out);
  if (object.kind === 'Deployment') deployment(spec, out);
  if (object.kind === 'DaemonSet') daemonSet(spec, out);
  if (old && object.kind !== 'StatefulSet' && !same(old.spec.selector, spec.selector)) out.push(invalidAs('spec.selector', goSelector(spec.selector ?? {}), IMMUTABLE));
  if (old && object.kind === 'StatefulSet') statefulSetUpdate(object, old, out);
}

/** The selector, and that its own pods match it. */
function selected(object: KubeObject, out: Faults): void {
  const { selector: wanted, template } = object.spec;
  if (!wanted) out.push(required('spec.selector'));
  else {
    selector(wanted, 'spec.selector', out);
    if (isEmptySelector(wanted)) out.push(invalidAs('spec.selector', goSelector(wanted), `empty selector is invalid for ${WORD[object.kind]}`));
  }
  if (!wanted || (!isEmptySelector(wanted) && !matchesSelector(wanted, template?.metadata?.labels))) mislabelled(template, 'spec.template.metadata.labels', out);
  podTemplate(object.kind === 'StatefulSet' ? withClaims(template, object.spec.volumeClaimTemplates) : template, 'spec.template', out);
  always(template, 'spec.template.spec', object.kind === 'DaemonSet' ? 'DaemonSet' : object.kind === 'StatefulSet' ? 'StatefulSet' : 'ReplicaSet', out);
}

/** Claims become volumes of their names in the pods of a StatefulSet. */
function withClaims(template: Json, claims: Json[] | undefined): Json {
  if (!template?.spec || !claims?.length) return template;
  const own = new Set(claims.map((c) => c?.metadata?.name));
  return { ...template, spec: { ...template.spec, volumes: [...(template.spec.volumes ?? []).filter((v: Json) => !own.has(v?.name)), ...[...own].filter(Boolean).map((name) => ({ name, emptyDir: {} }))] } };
}

export function mislabelled(template: Json, field: string, out: Faults): void {
  out.push(invalidAs(field, template?.metadata?.labels ? goValue(template.metadata.labels) : 'map[string]string(nil)', '`selector` does not match template `labels`'));
}

export function podTemplate(template: Json, field: string, out: Faults): void {
  labels(template?.metadata?.labels, `${field}.labels`, out);
  annotations(template?.metadata?.annotations, `${field}.annotations`, out);
  podSpec(template?.spec, `${field}.spec`, out);
}

function always(template: Json, field: string, owner: string, out: Faults): void {
  const policy = template?.spec?.restartPolicy;
  if (policy && policy !== 'Always') out.push(unsupported(`${field}.restartPolicy`, policy, ['Always']));
  if (template?.spec?.activeDeadlineSeconds !== undefined) out.push(forbidden(`${field}.activeDeadlineSeconds`, `activeDeadlineSeconds in ${owner} is not Supported`));
}

const isZero = (x: Json): boolean => x === undefined || x === 0 || x === '0%';

function deployment(spec: Json, out: Faults): void {
  const { strategy } = spec;
  if (strategy?.type === 'Recreate' && strategy.rollingUpdate) out.push(forbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'"));
  else if (strategy?.type === 'RollingUpdate') rolling(strategy.rollingUpdate ?? {}, 'spec.strategy.rollingUpdate', out);
  else if (strategy?.type !== 'Recreate') out.push(unsupported('spec.strategy', strategy?.type ?? '', ['Recreate', 'RollingUpdate']));
  atLeastZero(spec.minReadySeconds, 'spec.minReadySeconds', out);
  atLeastZero(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
  atLeastZero(spec.progressDeadlineSeconds, 'spec.progressDeadlineSeconds', out);
  if (spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)) out.push(invalid('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds, 'must be greater than minReadySeconds'));
}

function rolling(r: Json, field: string, out: Faults): void {
  countOrPercent(r.maxUnavailable, `${field}.maxUnavailable`, out);
  countOrPercent(r.maxSurge, `${field}.maxSurge`, out);
  if (isZero(r.maxUnavailable) && isZero(r.maxSurge)) out.push(invalidAs(`${field}.maxUnavailable`, intOrString(r.maxUnavailable ?? 0), 'may not be 0 when `maxSurge` is 0'));
  atMostHundred(r.maxUnavailable, `${field}.maxUnavailable`, out);
}

function daemonSet(spec: Json, out: Faults): void {
  const strategy = spec.updateStrategy;
  const field = 'spec.updateStrategy.rollingUpdate';
  if (strategy?.type === 'RollingUpdate') {
    const r = strategy.rollingUpdate ?? {};
    countOrPercent(r.maxUnavailable, `${field}.maxUnavailable`, out);
    countOrPercent(r.maxSurge, `${field}.maxSurge`, out);
    if (!isZero(r.maxUnavailable) && !isZero(r.maxSurge)) out.push(invalidAs(`${field}.maxSurge`, intOrString(r.maxSurge), 'may not be set when maxUnavailable is non-zero'));
    else if (isZero(r.maxUnavailable) && isZero(r.maxSurge)) out.push(required(`${field}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
    atMostHundred(r.maxUnavailable, `${field}.maxUnavailable`, out);
    atMostHundred(r.maxSurge, `${field}.maxSurge`, out);
  } else if (strategy?.type !== 'OnDelete') out.push(unsupported('spec.updateStrategy.type', strategy?.type ?? '', ['RollingUpdate', 'OnDelete']));
  atLeastZero(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
}

function statefulSet(spec: Json, out: Faults): void {
  if (!['OrderedReady', 'Parallel'].includes(spec.podManagementPolicy)) out.push(invalid('spec.podManagementPolicy', spec.podManagementPolicy ?? '', "must be 'OrderedReady' or 'Parallel'"));
  const strategy = spec.updateStrategy;
  if (strategy?.type === 'RollingUpdate') {
    atLeastZero(strategy.rollingUpdate?.partition, 'spec.updateStrategy.rollingUpdate.partition', out);
    if (strategy.rollingUpdate?.maxUnavailable !== undefined) out.push(forbidden('spec.updateStrategy.rollingUpdate.maxUnavailable', 'not modelled: its feature gate is off'));
  } else if (strategy?.type === 'OnDelete') {
    if (strategy.rollingUpdate) out.push(invalidAs('spec.updateStrategy.rollingUpdate', '&apps.RollingUpdateStatefulSetStrategy{}', "only allowed for updateStrategy 'RollingUpdate'"));
  } else out.push(invalidAs('spec.updateStrategy', `apps.StatefulSetUpdateStrategy{Type:${JSON.stringify(strategy?.type ?? '')}, RollingUpdate:(*apps.RollingUpdateStatefulSetStrategy)(nil)}`, "must be 'RollingUpdate' or 'OnDelete'"));
  const retention = spec.persistentVolumeClaimRetentionPolicy ?? {};
  for (const name of ['whenDeleted', 'whenScaled']) {
    if (retention[name] !== undefined && !['Retain', 'Delete'].includes(retention[name])) out.push(unsupported(`spec.persistentVolumeClaimRetentionPolicy.${name}`, retention[name], ['Retain', 'Delete']));
  }
  atLeastZero(spec.replicas, 'spec.replicas', out);
  atLeastZero(spec.ordinals?.start, 'spec.ordinals.start', out);
}

const SET_FIELDS = ['replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy', 'minReadySeconds'];

function statefulSetUpdate(object: KubeObject, old: KubeObject, out: Faults): void {
  const fixed = (spec: Json): Json => Object.fromEntries(Object.entries(spec).filter(([name]) => !SET_FIELDS.includes(name)));
  if (same(fixed(object.spec), fixed(old.spec))) return;
  const names = SET_FIELDS.map((name) => `'${name}'`);
  out.push(forbidden('spec', `updates to statefulset spec for fields other than ${names.slice(0, -1).join(', ')} and ${names.at(-1)} are forbidden`));
}

export function replicationController(object: KubeObject, out: Faults): void {
  const { spec } = object;
  atLeastZero(spec.minReadySeconds, 'spec.minReadySeconds', out);
  if (Object.keys(spec.selector ?? {}).length === 0) out.push(required('spec.selector'));
  atLeastZero(spec.replicas, 'spec.replicas', out);
  if (!spec.template) {
    out.push(required('spec.template'));
    return;
  }
  if (!matchesMap(spec.selector, spec.template.metadata?.labels)) mislabelled(spec.template, 'spec.template.metadata.labels', out);
  podTemplate(spec.template, 'spec.template', out);
  always(spec.template, 'spec.template.spec', 'ReplicationController', out);
}
