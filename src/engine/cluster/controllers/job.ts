/**
 * Job: pods that run to an end, so many at a time until so many succeeded; failures are tried again after 10 s, 20 s, 40 s …
 * until backoffLimit. Source: pkg/controller/job/job_controller.go 1.32. Simplified: finished pods are counted where they
 * are found (no finalizer holds them).
 */
import { mutate, remove } from '../api.ts';
import { type Cluster, suffix } from '../state.ts';
import { get, ownedBy, stamp } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { type Condition, copy, type Json, type KubeObject, type Pod, same } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { emit } from './events.ts';
import { judge, metSuccess, ranges } from './job-policy.ts';
import { later } from './later.ts';
import { isActive, isReady, retire, spawn } from './pods.ts';

const COMPONENT = 'job-controller';
const INDEX = 'batch.kubernetes.io/job-completion-index';
/** Seconds before the first retry, and at most. */
const BACKOFF = 10;
const LONGEST = 600;

const secondsNow = (cluster: Cluster): number => EPOCH_SECONDS + cluster.timeline.now / SECOND;
export const finishedAs = (job: KubeObject): 'Complete' | 'Failed' | null =>
  ((job.status?.conditions ?? []) as Condition[]).find((c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True')?.type as 'Complete' | 'Failed' | undefined ?? null;
const indexOf = (pod: Pod): number => Number(pod.metadata.annotations?.[INDEX] ?? -1);

/** What a pass finds. */
interface Tally {
  active: Pod[];
  succeeded: Pod[];
  /** Those that count. */
  failed: Pod[];
  done: number;
  lost: number;
  /** Indexes given up. */
  lostIndexes: Set<number>;
  /** Why the failure policy ends the job. */
  fatal: string | null;
}

function tally(cluster: Cluster, job: KubeObject): Tally {
  const { spec } = job;
  const pods = ownedBy<Pod>(cluster.store, job.metadata.uid!, 'Pod');
  const succeeded = pods.filter((pod) => pod.status?.phase === 'Succeeded');
  const onlyFailed = spec.podReplacementPolicy === 'Failed';
  const ended = pods.filter((pod) => pod.status?.phase === 'Failed' || (!onlyFailed && pod.metadata.deletionTimestamp && pod.status?.phase !== 'Succeeded'));
  const verdicts = new Map(ended.map((pod) => [pod, judge(job, pod)]));
  const failed = ended.filter((pod) => verdicts.get(pod)!.action !== 'Ignore');
  const won = new Set(succeeded.map(indexOf));
  const lostIndexes = new Set<number>();
  if (spec.backoffLimitPerIndex !== undefined) {
    const by = new Map<number, number>();
    for (const pod of failed) by.set(indexOf(pod), (by.get(indexOf(pod)) ?? 0) + (verdicts.get(pod)!.action === 'FailIndex' ? Number.POSITIVE_INFINITY : 1));
    for (const [index, n] of by) if (n > spec.backoffLimitPerIndex && !won.has(index)) lostIndexes.add(index);
  }
  const done = spec.completionMode === 'Indexed' ? won.size : succeeded.length;
  return {
    active: pods.filter(isActive), succeeded, failed, done: Math.max(done, job.status?.succeeded ?? 0), lost: Math.max(failed.length, job.status?.failed ?? 0), lostIndexes,
    fatal: [...verdicts.values()].find((v) => v.action === 'FailJob')?.message ?? null,
  };
}

export function syncJob(cluster: Cluster, key: string): void {
  const job = get(cluster.store, 'Job', key);
  if (!job || job.metadata.deletionTimestamp) return;
  if (finishedAs(job)) return expire(cluster, job, key);
  const status = { ...copy(job.status ?? {}) } as Json;
  const counts = tally(cluster, job);
  const why = failure(cluster, job, counts, key);
  const met = metSuccess(job, new Set(counts.succeeded.map(indexOf)));
  if (met !== null) end(cluster, job, status, counts, 'Complete', 'SuccessPolicy', `Matched rules at index ${met}`);
  else if (why) end(cluster, job, status, counts, 'Failed', why.reason, why.message);
  else if (isDone(job, counts)) end(cluster, job, status, counts, 'Complete', 'CompletionsReached', 'Reached expected number of succeeded pods');
  else if (job.spec.suspend) suspend(cluster, job, status, counts);
  else {
    if (!status.startTime) status.startTime = stamp(cluster.timeline);
    resume(cluster, job, status);
    counts.active = keepAtWork(cluster, job, counts, key);
  }
  count(status, job, counts);
  if (same(status, job.status)) return;
  mutate(cluster, 'Job', key, (o) => {
    o.status = status;
  }, 'status');
  if (finishedAs({ ...job, status })) expire(cluster, get(cluster.store, 'Job', key)!, key);
}

function count(status: Json, job: KubeObject, { active, succeeded, done, lost, lostIndexes }: Tally): void {
  const ended = ((status.conditions ?? []) as Condition[]).some((c) => c.type === 'Complete' || c.type === 'Failed');
  const put = (field: string, value: number): void => {
    if (value > 0) status[field] = value;
    else delete status[field];
  };
  put('active', ended ? 0 : active.length);
  put('succeeded', done);
  put('failed', lost);
  status.ready = ended ? 0 : active.filter(isReady).length;
  status.terminating ??= 0;
  status.uncountedTerminatedPods ??= {};
  if (job.spec.completionMode === 'Indexed' && succeeded.length > 0) status.completedIndexes = ranges([...new Set(succeeded.map(indexOf))].sort((a, b) => a - b));
  if (job.spec.backoffLimitPerIndex !== undefined) status.failedIndexes = ranges([...lostIndexes].sort((a, b) => a - b));
}

const isDone = (job: KubeObject, { done, active }: Tally): boolean => (job.spec.completions === undefined ? done > 0 && active.length === 0 : done >= job.spec.completions);

/** Why it must end without success, if it must. */
function failure(cluster: Cluster, job: KubeObject, { active, failed, lost, done, lostIndexes, fatal }: Tally, key: string): { reason: string; message: string } | null {
  if (fatal) return { reason: 'PodFailurePolicy', message: fatal };
  const restarts = job.spec.template.spec.restartPolicy === 'OnFailure' ? active.reduce((sum, pod) => sum + (pod.status?.containerStatuses ?? []).reduce((n, c) => n + c.restartCount, 0), 0) : 0;
  if (lost > job.spec.backoffLimit || (failed.length === 0 && lost === 0 && restarts > 0 && restarts >= job.spec.backoffLimit)) return { reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' };
  if (job.spec.maxFailedIndexes !== undefined && lostIndexes.size > job.spec.maxFailedIndexes) return { reason: 'MaxFailedIndexesExceeded', message: 'Job has exceeded the specified maximal number of failed indexes' };
  if (lostIndexes.size > 0 && done + lostIndexes.size >= job.spec.completions) return { reason: 'FailedIndexes', message: 'Job has failed indexes' };
  const { activeDeadlineSeconds } = job.spec;
  const started = parseTime(job.status?.startTime);
  if (activeDeadlineSeconds === undefined || started === null || job.spec.suspend) return null;
  const left = started + activeDeadlineSeconds - secondsNow(cluster);
  if (left <= 0) return { reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' };
  later(cluster, 'job', key, left);
  return null;
}

function end(cluster: Cluster, job: KubeObject, status: Json, counts: Tally, type: 'Complete' | 'Failed', reason: string, message: string): void {
  for (const pod of counts.active) retire(cluster, job, pod, COMPONENT);
  const now = stamp(cluster.timeline);
  const condition = (name: string): Condition => ({ type: name, status: 'True', lastProbeTime: now, lastTransitionTime: now, reason, message });
  status.conditions = [...(status.conditions ?? []).filter((c: Condition) => c.type !== 'Suspended'), condition(type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget'), condition(type)];
  if (type === 'Complete') status.completionTime = now;
  emit(cluster, job, type === 'Complete' ? 'Normal' : 'Warning', type === 'Complete' ? 'Completed' : reason, type === 'Complete' ? 'Job completed' : message, COMPONENT);
}

function suspend(cluster: Cluster, job: KubeObject, status: Json, counts: Tally): void {
  for (const pod of counts.active) retire(cluster, job, pod, COMPONENT);
  counts.active = [];
  delete status.startTime;
  setSuspended(cluster, job, status, 'True', 'JobSuspended', 'Suspended', 'Job suspended');
}

function resume(cluster: Cluster, job: KubeObject, status: Json): void {
  if ((status.conditions ?? []).some((c: Condition) => c.type === 'Suspended' && c.status === 'True')) setSuspended(cluster, job, status, 'False', 'JobResumed', 'Resumed', 'Job resumed');
}

function setSuspended(cluster: Cluster, job: KubeObject, status: Json, value: string, reason: string, event: string, message: string): void {
  const old = (status.conditions ?? []).find((c: Condition) => c.type === 'Suspended');
  if (old?.status === value) return;
  const now = stamp(cluster.timeline);
  status.conditions = [...(status.conditions ?? []).filter((c: Condition) => c !== old), { type: 'Suspended', status: value, lastProbeTime: now, lastTransitionTime: now, reason, message }];
  emit(cluster, job, 'Normal', event, message, COMPONENT);
}

/** As many pods as may run now; those of failed attempts are waited for. Returns the active ones. */
function keepAtWork(cluster: Cluster, job: KubeObject, counts: Tally, key: string): Pod[] {
  const { spec } = job;
  const { active, succeeded, failed, done } = counts;
  const left = spec.completions === undefined ? (done > 0 ? active.length : spec.parallelism) : spec.completions - done - counts.lostIndexes.size;
  const wanted = Math.min(spec.parallelism, left);
  if (active.length > wanted) {
    for (const pod of active.slice(wanted)) retire(cluster, job, pod, COMPONENT);
    return active.slice(0, wanted);
  }
  const perIndex = spec.backoffLimitPerIndex !== undefined;
  const wait = perIndex ? 0 : backoff(cluster, failed, succeeded);
  if (wanted > active.length && wait > 0) {
    later(cluster, 'job', key, wait);
    return active;
  }
  return [...active, ...begin(cluster, job, counts, wanted - active.length, key)];
}

/** Makes so many pods; of an indexed job those of the lowest indexes that are neither done, lost nor at work. */
function begin(cluster: Cluster, job: KubeObject, { active, succeeded, failed, lostIndexes }: Tally, n: number, key: string): Pod[] {
  const { spec } = job;
  const made: Pod[] = [];
  const indexed = spec.completionMode === 'Indexed';
  const taken = new Set([...[...active, ...succeeded].map(indexOf), ...lostIndexes, ...stillEnding(cluster, job)]);
  for (let index = 0; made.length < n && (!indexed || index < spec.completions); index++) {
    if (indexed && taken.has(index)) continue;
    const mine = spec.backoffLimitPerIndex === undefined ? [] : failed.filter((pod) => indexOf(pod) === index);
    const wait = mine.length > 0 ? backoff(cluster, mine, []) : 0;
    if (wait > 0) {
      later(cluster, 'job', key, wait);
      continue;
    }
    const pod = start(cluster, job, indexed ? index : null, mine.length);
    if (!pod) break;
    made.push(pod);
  }
  return made;
}

/** Where only failed pods are replaced, those on their way out keep their index. */
function stillEnding(cluster: Cluster, job: KubeObject): number[] {
  if (job.spec.podReplacementPolicy !== 'Failed') return [];
  return ownedBy<Pod>(cluster.store, job.metadata.uid!, 'Pod').filter((pod) => pod.metadata.deletionTimestamp && pod.status?.phase !== 'Failed' && pod.status?.phase !== 'Succeeded').map(indexOf);
}

/** Seconds until the next attempt: doubled with each failure since the last success. */
function backoff(cluster: Cluster, failed: readonly Pod[], succeeded: readonly Pod[]): number {
  const endOf = (pod: Pod): number => Math.max(0, ...(pod.status?.containerStatuses ?? []).map((c) => parseTime(c.state?.terminated?.finishedAt) ?? 0)) || (parseTime(pod.metadata.deletionTimestamp) ?? parseTime(pod.metadata.creationTimestamp) ?? 0);
  const success = Math.max(0, ...succeeded.map(endOf));
  const since = failed.map(endOf).filter((at) => at >= success);
  if (since.length === 0) return 0;
  return Math.max(...since) + Math.min(LONGEST, BACKOFF * 2 ** (since.length - 1)) - secondsNow(cluster);
}

function start(cluster: Cluster, job: KubeObject, index: number | null, failures: number): Pod | null {
  const indexed = index !== null;
  const marks = indexed ? { [INDEX]: String(index), ...(job.spec.backoffLimitPerIndex === undefined ? {} : { 'batch.kubernetes.io/job-index-failure-count': String(failures) }) } : {};
  return spawn(cluster, job, job.spec.template, COMPONENT, {
    ...(indexed ? { name: `${job.metadata.name}-${index}-${suffix(cluster.random)}`, annotations: marks, labels: { [INDEX]: String(index) } } : {}),
    change(spec: Json) {
      if (!indexed) return;
      spec.hostname = `${job.metadata.name}-${index}`;
      for (const c of [...(spec.initContainers ?? []), ...spec.containers]) c.env = [...(c.env ?? []), { name: 'JOB_COMPLETION_INDEX', value: String(index) }];
    },
  });
}

/** ttlSecondsAfterFinished. */
function expire(cluster: Cluster, job: KubeObject, key: string): void {
  if (job.spec.ttlSecondsAfterFinished === undefined) return;
  const at = parseTime(((job.status?.conditions ?? []) as Condition[]).find((c) => c.type === 'Complete' || c.type === 'Failed')?.lastTransitionTime) ?? secondsNow(cluster);
  const left = at + job.spec.ttlSecondsAfterFinished - secondsNow(cluster);
  if (left > 0) later(cluster, 'job', key, left);
  else remove(cluster, kindNamed('Job'), job.metadata.namespace, job.metadata.name, { propagationPolicy: 'Background' });
}
