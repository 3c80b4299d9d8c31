/** Jobs and CronJobs. Source: pkg/apis/batch/validation/validation.go 1.32. */
import type { Json, KubeObject } from '../types/objects.ts';
import { parseSchedule } from '../types/schedule.ts';
import { zoneFault } from '../types/zones.ts';
import { podTemplate } from './apps.ts';
import { atLeastZero, type Faults, invalid, invalidAs, notModelled, required, tooMany, unchanged, unsupported } from './faults.ts';
import { labels, selector } from './names.ts';

export function job(spec: Json, field: string, old: KubeObject | undefined, out: Faults): void {
  for (const name of ['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit', 'ttlSecondsAfterFinished', 'backoffLimitPerIndex', 'maxFailedIndexes']) atLeastZero(spec?.[name], `${field}.${name}`, out);
  notModelled(spec, field, ['managedBy'], out);
  const indexed = spec?.completionMode === 'Indexed';
  if (!['NonIndexed', 'Indexed'].includes(spec?.completionMode)) out.push(unsupported(`${field}.completionMode`, spec?.completionMode ?? '', ['NonIndexed', 'Indexed']));
  if (indexed && spec.completions === undefined) out.push(required(`${field}.completions`, 'when completion mode is Indexed'));
  if (indexed && spec.parallelism > 100_000) out.push(invalid(`${field}.parallelism`, spec.parallelism, 'must be less than or equal to 100000 when completion mode is Indexed'));
  perIndex(spec, field, indexed, out);
  if (spec?.selector) selector(spec.selector, `${field}.selector`, out);
  const template = spec?.template;
  podTemplate(template, `${field}.template`, out);
  const policy = template?.spec?.restartPolicy;
  if (policy === 'Always' || policy === '' || policy === undefined) out.push(required(`${field}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  else if (policy !== 'OnFailure' && policy !== 'Never') out.push(unsupported(`${field}.template.spec.restartPolicy`, policy, ['OnFailure', 'Never']));
  else if (policy !== 'Never') {
    if (spec.podFailurePolicy) out.push(invalid(`${field}.template.spec.restartPolicy`, policy, 'only "Never" is supported when podFailurePolicy is specified'));
    if (spec.backoffLimitPerIndex !== undefined) out.push(invalid(`${field}.template.spec.restartPolicy`, policy, 'only "Never" is supported when backoffLimitPerIndex is specified'));
  }
  if (spec?.podFailurePolicy) failurePolicy(spec, `${field}.podFailurePolicy`, out);
  if (spec?.successPolicy) successPolicy(spec, `${field}.successPolicy`, indexed, out);
  if (spec?.podReplacementPolicy !== undefined) {
    const known = spec.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
    if (!known.includes(spec.podReplacementPolicy)) out.push(unsupported(`${field}.podReplacementPolicy`, spec.podReplacementPolicy, known));
  }
  if (old) update(spec, field, old.spec, out);
}

function perIndex(spec: Json, field: string, indexed: boolean, out: Faults): void {
  if (spec?.backoffLimitPerIndex !== undefined && !indexed) out.push(invalid(`${field}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode'));
  if (spec?.maxFailedIndexes === undefined) return;
  if (spec.completions !== undefined && spec.maxFailedIndexes > spec.completions) out.push(invalid(`${field}.maxFailedIndexes`, spec.maxFailedIndexes, 'must be less than or equal to completions'));
  if (spec.backoffLimitPerIndex === undefined) out.push(required(`${field}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
}

const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];

function failurePolicy(spec: Json, field: string, out: Faults): void {
  const rules: Json[] = spec.podFailurePolicy.rules ?? [];
  const names = new Set([...(spec.template?.spec?.initContainers ?? []), ...(spec.template?.spec?.containers ?? [])].map((c: Json) => c?.name));
  if (rules.length > 20) out.push(tooMany(`${field}.rules`, rules.length, 20));
  for (const [i, rule] of rules.entries()) {
    const at = `${field}.rules[${i}]`;
    if (!rule?.action) out.push(required(`${at}.action`, `valid values: ${ACTIONS.map((a) => JSON.stringify(a)).join(', ')}`));
    else if (!ACTIONS.includes(rule.action)) out.push(unsupported(`${at}.action`, rule.action, ACTIONS));
    else if (rule.action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) out.push(invalid(`${at}.action`, 'FailIndex', 'requires the backoffLimitPerIndex to be set'));
    if (rule?.onExitCodes) exitCodes(rule.onExitCodes, `${at}.onExitCodes`, names, out);
    for (const [j, c] of ((rule?.onPodConditions ?? []) as Json[]).entries()) {
      const where = `${at}.onPodConditions[${j}]`;
      if (!c?.type) out.push({ ...invalid(`${where}.type`, '', ''), detail: 'name part must be non-empty' });
      if (!c?.status) out.push(required(`${where}.status`, 'valid values: "False", "True", "Unknown"'));
      else if (!['False', 'True', 'Unknown'].includes(c.status)) out.push(unsupported(`${where}.status`, c.status, ['False', 'True', 'Unknown']));
    }
    if (rule?.onExitCodes && rule.onPodConditions?.length) out.push(invalid(at, '', 'specifying both OnExitCodes and OnPodConditions is not supported'));
    if (!rule?.onExitCodes && !rule?.onPodConditions?.length) out.push(invalid(at, '', 'specifying one of OnExitCodes and OnPodConditions is required'));
  }
}

function exitCodes(codes: Json, field: string, names: ReadonlySet<string>, out: Faults): void {
  if (!codes.operator) out.push(required(`${field}.operator`, 'valid values: "In", "NotIn"'));
  else if (!['In', 'NotIn'].includes(codes.operator)) out.push(unsupported(`${field}.operator`, codes.operator, ['In', 'NotIn']));
  if (codes.containerName !== undefined && !names.has(codes.containerName)) out.push(invalid(`${field}.containerName`, codes.containerName, 'must be one of the container or initContainer names in the pod template'));
  const values: number[] = codes.values ?? [];
  const print = `[]int32{${values.join(', ')}}`;
  if (values.length === 0) out.push(invalidAs(`${field}.values`, print, 'at least one value is required'));
  else if (values.length > 255) out.push(tooMany(`${field}.values`, values.length, 255));
  const seen = new Set<number>();
  for (const [i, value] of values.entries()) {
    if (codes.operator === 'In' && value === 0) out.push(invalid(`${field}.values[${i}]`, value, 'must not be 0 for the In operator'));
    if (seen.has(value)) out.push({ ...invalid(`${field}.values[${i}]`, value, ''), type: 'Duplicate value' });
    seen.add(value);
  }
  if (values.some((v, i) => i > 0 && v < values[i - 1]!)) out.push(invalidAs(`${field}.values`, print, 'must be ordered'));
}

function successPolicy(spec: Json, field: string, indexed: boolean, out: Faults): void {
  if (!indexed) out.push(invalid(field, '', 'requires indexed completion mode'));
  const rules: Json[] = spec.successPolicy.rules ?? [];
  if (rules.length === 0) out.push(required(`${field}.rules`, 'at least one rules must be specified when the successPolicy is specified'));
  if (rules.length > 20) out.push(tooMany(`${field}.rules`, rules.length, 20));
  for (const [i, rule] of rules.entries()) {
    const at = `${field}.rules[${i}]`;
    if (rule?.succeededCount === undefined && rule?.succeededIndexes === undefined) out.push(required(at, 'at least one of succeededCount or succeededIndexes must be specified'));
    if (rule?.succeededIndexes !== undefined && !/^(\d+(-\d+)?)(,\d+(-\d+)?)*$/.test(rule.succeededIndexes)) out.push(invalid(`${at}.succeededIndexes`, rule.succeededIndexes, 'error parsing succeededIndexes: cannot convert string to integer for index: ' + JSON.stringify(rule.succeededIndexes)));
    if (rule?.succeededCount !== undefined) {
      atLeastZero(rule.succeededCount, `${at}.succeededCount`, out);
      if (spec.completions !== undefined && rule.succeededCount > spec.completions) out.push(invalid(`${at}.succeededCount`, rule.succeededCount, `must be less than or equal to ${spec.completions} (the number of specified completions)`));
    }
  }
}

function update(spec: Json, field: string, old: Json, out: Faults): void {
  const print = (value: Json): string => (value !== null && typeof value === 'object' ? '{…}' : JSON.stringify(value));
  const completions = spec.completionMode === 'Indexed' && spec.completions === spec.parallelism;
  if (!completions) unchanged(spec.completions, old.completions, `${field}.completions`, out);
  unchanged(spec.selector, old.selector, `${field}.selector`, out, (s) => `v1.LabelSelector{MatchLabels:${JSON.stringify(s.matchLabels)}}`);
  const suspended = (s: Json): boolean => s.suspend === true;
  const strip = (t: Json): Json => (suspended(old) ? { ...t, metadata: undefined, spec: { ...t.spec, nodeSelector: undefined, affinity: undefined, tolerations: undefined, schedulingGates: undefined, containers: t.spec.containers.map((c: Json) => ({ ...c, resources: undefined })) } } : t);
  unchanged(strip(spec.template), strip(old.template), `${field}.template`, out, () => goTemplate(spec.template));
  for (const name of ['completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy']) unchanged(spec[name], old[name], `${field}.${name}`, out, print);
}

/** The head of what Go prints of a template; the rest is internal structures, shortened. */
const goTemplate = (t: Json): string => `core.PodTemplateSpec{ObjectMeta:v1.ObjectMeta{Name:${JSON.stringify(t?.metadata?.name ?? '')}, …}, Spec:core.PodSpec{…}}`;

export function cronJob(object: KubeObject, out: Faults): void {
  const { spec } = object;
  if (object.metadata.name?.length > 52) out.push(invalid('metadata.name', object.metadata.name, 'must be no more than 52 characters'));
  if (!spec?.schedule) out.push(required('spec.schedule'));
  else if (/TZ=/.test(spec.schedule)) out.push(invalid('spec.schedule', spec.schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'));
  else {
    const schedule = parseSchedule(spec.schedule);
    if (typeof schedule === 'string') out.push(invalid('spec.schedule', spec.schedule, schedule));
  }
  for (const name of ['startingDeadlineSeconds']) atLeastZero(spec?.[name], `spec.${name}`, out);
  if (spec?.timeZone !== undefined) {
    const fault = zoneFault(spec.timeZone);
    if (fault) out.push(invalid('spec.timeZone', spec.timeZone, fault));
  }
  if (!['Allow', 'Forbid', 'Replace'].includes(spec?.concurrencyPolicy)) out.push(spec?.concurrencyPolicy ? unsupported('spec.concurrencyPolicy', spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']) : required('spec.concurrencyPolicy'));
  labels(spec?.jobTemplate?.metadata?.labels, 'spec.jobTemplate.labels', out);
  job({ completionMode: 'NonIndexed', ...spec?.jobTemplate?.spec }, 'spec.jobTemplate.spec', undefined, out);
  for (const name of ['successfulJobsHistoryLimit', 'failedJobsHistoryLimit']) atLeastZero(spec?.[name], `spec.${name}`, out);
}
