/**
 * CronJob: a Job at each time its schedule names; which of them may overlap, how many finished ones are kept.
 * Source: pkg/controller/cronjob/cronjob_controllerv2.go 1.32. A time zone's clock is that of `types/zones.ts`.
 */
import { create, mutate, remove } from '../api.ts';
import { ApiError } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { get, ownedBy, stamp } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { copy, type Json, type KubeObject, same } from '../types/objects.ts';
import { nextTime, parseSchedule, type Schedule } from '../types/schedule.ts';
import { parseTime, rfc3339 } from '../types/time.ts';
import { offsetAt } from '../types/zones.ts';
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { emit } from './events.ts';
import { finishedAs } from './job.ts';
import { later } from './later.ts';
import { ownerMark } from './pods.ts';

const COMPONENT = 'cronjob-controller';

export function syncCronJob(cluster: Cluster, key: string): void {
  const cron = get(cluster.store, 'CronJob', key);
  if (!cron || cron.metadata.deletionTimestamp) return;
  const jobs = ownedBy(cluster.store, cron.metadata.uid!, 'Job').sort((a, b) => (parseTime(a.metadata.creationTimestamp) ?? 0) - (parseTime(b.metadata.creationTimestamp) ?? 0));
  const status: Json = copy(cron.status ?? {});
  notice(cluster, cron, jobs, status);
  thin(cluster, cron, jobs);
  if (!cron.spec.suspend) due(cluster, cron, status, key);
  if ((status.active ?? []).length === 0) delete status.active;
  if (same(status, cron.status)) return;
  mutate(cluster, 'CronJob', key, (o) => {
    o.status = status;
  }, 'status');
}

/** Jobs that ended leave the list of active ones. */
function notice(cluster: Cluster, cron: KubeObject, jobs: readonly KubeObject[], status: Json): void {
  for (const ref of [...(status.active ?? [])]) {
    const job = jobs.find((one) => one.metadata.uid === ref.uid);
    const how = job ? finishedAs(job) : null;
    if (job && !how) continue;
    status.active = status.active.filter((one: Json) => one !== ref);
    if (!job) emit(cluster, cron, 'Normal', 'MissingJob', `Active job went missing: ${ref.name}`, COMPONENT);
    else emit(cluster, cron, 'Normal', 'SawCompletedJob', `Saw completed job: ${ref.name}, condition: ${how}`, COMPONENT);
    if (how === 'Complete') status.lastSuccessfulTime = job!.status.completionTime;
  }
}

/** Finished jobs beyond the limits of history go, the oldest first. */
function thin(cluster: Cluster, cron: KubeObject, jobs: readonly KubeObject[]): void {
  for (const [how, limit] of [['Complete', cron.spec.successfulJobsHistoryLimit], ['Failed', cron.spec.failedJobsHistoryLimit]] as const) {
    const of = jobs.filter((job) => finishedAs(job) === how);
    for (const job of of.slice(0, Math.max(0, of.length - limit))) {
      remove(cluster, kindNamed('Job'), job.metadata.namespace, job.metadata.name, { propagationPolicy: 'Background' });
      emit(cluster, cron, 'Normal', 'SuccessfulDelete', `Deleted job ${job.metadata.name}`, COMPONENT);
    }
  }
}

/** The last time missed since the last one done, and the next to wait for. */
function due(cluster: Cluster, cron: KubeObject, status: Json, key: string): void {
  const schedule = parseSchedule(cron.spec.schedule);
  if (typeof schedule === 'string') return;
  const now = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  const { startingDeadlineSeconds } = cron.spec;
  let from = parseTime(status.lastScheduleTime) ?? parseTime(cron.metadata.creationTimestamp)!;
  if (startingDeadlineSeconds !== undefined) from = Math.max(from, now - startingDeadlineSeconds);
  let missed: number | null = null;
  const after = (at: number): number | null => nextInZone(schedule, at, cron.spec.timeZone);
  let next = after(from);
  for (let n = 0; next !== null && next <= now && n < 100_000; n++) {
    missed = next;
    next = after(next);
  }
  if (next !== null) later(cluster, 'cronjob', key, next - now);
  if (missed === null) return;
  if (cron.spec.concurrencyPolicy === 'Forbid' && (status.active ?? []).length > 0) {
    emit(cluster, cron, 'Normal', 'JobAlreadyActive', `Not starting job because prior execution is running and concurrency policy is Forbid`, COMPONENT);
    return;
  }
  if (cron.spec.concurrencyPolicy === 'Replace') {
    for (const ref of status.active ?? []) {
      remove(cluster, kindNamed('Job'), cron.metadata.namespace, ref.name, { propagationPolicy: 'Background' });
      emit(cluster, cron, 'Normal', 'SuccessfulDelete', `Deleted job ${ref.name}`, COMPONENT);
    }
    status.active = [];
  }
  begin(cluster, cron, status, missed);
}

/** The zone's clock is searched; a moment that the change to summer time leaves out is passed over. */
function nextInZone(schedule: Schedule, at: number, zone: string | undefined): number | null {
  if (!zone) return nextTime(schedule, at);
  let local = at + offsetAt(zone, at);
  for (let i = 0; i < 200; i++) {
    const found = nextTime(schedule, local);
    if (found === null) return null;
    const utc = found - offsetAt(zone, found - offsetAt(zone, found));
    if (utc > at && utc + offsetAt(zone, utc) === found) return utc;
    local = found;
  }
  return null;
}

function begin(cluster: Cluster, cron: KubeObject, status: Json, at: number): void {
  const template = cron.spec.jobTemplate;
  const name = `${cron.metadata.name}-${Math.floor(at / 60)}`;
  try {
    const job = create(cluster, kindNamed('Job'), cron.metadata.namespace, {
      metadata: {
        name, labels: copy(template.metadata?.labels), annotations: { ...template.metadata?.annotations, 'batch.kubernetes.io/cronjob-scheduled-timestamp': rfc3339(at) }, ownerReferences: [ownerMark(cron)],
      },
      spec: copy(template.spec),
    });
    emit(cluster, cron, 'Normal', 'SuccessfulCreate', `Created job ${name}`, COMPONENT);
    status.active = [...(status.active ?? []), { apiVersion: 'batch/v1', kind: 'Job', name, namespace: cron.metadata.namespace, resourceVersion: job.metadata.resourceVersion, uid: job.metadata.uid }];
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    emit(cluster, cron, 'Warning', 'FailedCreate', `Error creating job: ${error.message}`, COMPONENT);
    return;
  }
  status.lastScheduleTime = stamp(cluster.timeline, (at - EPOCH_SECONDS) * SECOND);
}
