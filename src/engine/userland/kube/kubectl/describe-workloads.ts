/** `kubectl describe` of StatefulSets, DaemonSets, Jobs, CronJobs and claims. Source: kubectl pkg/describe/describe.go 1.32. */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { printSelector } from '../../../cluster/types/selectors.ts';
import { humanDuration, parseTime, rfc1123 } from '../../../cluster/types/time.ts';
import { events, type Line, multi, type Surroundings, template } from './describe-parts.ts';
import { accessModes } from './columns.ts';

const label = (map: Record<string, string> | undefined): string => Object.keys(map ?? {}).sort().map((k) => `${k}=${map![k]}`).join(',') || '<none>';

function podsStatus(w: Line, s: Surroundings): void {
  const phase = (p: string): number => (s.pods ?? []).filter((x) => x.status.phase === p).length;
  w(0, `Pods Status:\t${phase('Running')} Running / ${phase('Pending')} Waiting / ${phase('Succeeded')} Succeeded / ${phase('Failed')} Failed`);
}

export function statefulSet(set: KubeObject, s: Surroundings, w: Line): void {
  const { metadata, spec, status } = set;
  w(0, `Name:\t${metadata.name}\nNamespace:\t${metadata.namespace}\nCreationTimestamp:\t${rfc1123(metadata.creationTimestamp)}\nSelector:\t${printSelector(spec.selector)}`);
  multi(w, 'Labels', metadata.labels);
  multi(w, 'Annotations', metadata.annotations, ': ');
  w(0, `Replicas:\t${spec.replicas} desired | ${status?.replicas ?? 0} total`);
  w(0, `Update Strategy:\t${spec.updateStrategy?.type}`);
  if (spec.updateStrategy?.rollingUpdate?.partition !== undefined) w(1, `Partition:\t${spec.updateStrategy.rollingUpdate.partition}`);
  podsStatus(w, s);
  template(w, spec.template);
  const claims: Json[] = spec.volumeClaimTemplates ?? [];
  if (claims.length === 0) w(0, 'Volume Claims:\t<none>');
  else w(0, 'Volume Claims:');
  for (const one of claims) {
    w(1, `Name:\t${one.metadata.name}\nStorageClass:\t${one.spec.storageClassName ?? ''}`);
    const at: Line = (level, text) => w(level + 1, text);
    multi(at, 'Labels', one.metadata.labels);
    multi(at, 'Annotations', one.metadata.annotations, ': ');
    w(1, `Capacity:\t${one.spec.resources?.requests?.storage ?? '<default>'}`);
    w(1, `Access Modes:\t[${(one.spec.accessModes ?? []).join(' ')}]`);
  }
  events(w, s);
}

export function daemonSet(set: KubeObject, s: Surroundings, w: Line): void {
  const { metadata, spec, status = {} } = set;
  w(0, `Name:\t${metadata.name}\nSelector:\t${printSelector(spec.selector)}\nNode-Selector:\t${label(spec.template.spec.nodeSelector)}`);
  multi(w, 'Labels', metadata.labels);
  multi(w, 'Annotations', metadata.annotations, ': ');
  const line = (name: string, n: number | undefined): void => w(0, `${name}: ${n ?? 0}`);
  line('Desired Number of Nodes Scheduled', status.desiredNumberScheduled);
  line('Current Number of Nodes Scheduled', status.currentNumberScheduled);
  line('Number of Nodes Scheduled with Up-to-date Pods', status.updatedNumberScheduled);
  line('Number of Nodes Scheduled with Available Pods', status.numberAvailable);
  line('Number of Nodes Misscheduled', status.numberMisscheduled);
  podsStatus(w, s);
  template(w, spec.template);
  events(w, s);
}

export function job(one: KubeObject, s: Surroundings, w: Line): void {
  const { metadata, spec, status = {} } = one;
  w(0, `Name:\t${metadata.name}\nNamespace:\t${metadata.namespace}\nSelector:\t${printSelector(spec.selector)}`);
  multi(w, 'Labels', metadata.labels);
  multi(w, 'Annotations', metadata.annotations, ': ');
  const owner = metadata.ownerReferences?.find((o) => o.controller);
  if (owner) w(0, `Controlled By:\t${owner.kind}/${owner.name}`);
  w(0, `Parallelism:\t${spec.parallelism ?? '<unset>'}`);
  w(0, `Completions:\t${spec.completions ?? '<unset>'}`);
  if (spec.completionMode) w(0, `Completion Mode:\t${spec.completionMode}`);
  if (spec.suspend !== undefined) w(0, `Suspend:\t${spec.suspend}`);
  if (spec.backoffLimit !== undefined) w(0, `Backoff Limit:\t${spec.backoffLimit}`);
  if (spec.ttlSecondsAfterFinished !== undefined) w(0, `TTL Seconds After Finished:\t${spec.ttlSecondsAfterFinished}`);
  if (status.startTime) w(0, `Start Time:\t${rfc1123(status.startTime)}`);
  if (status.completionTime) w(0, `Completed At:\t${rfc1123(status.completionTime)}`);
  if (status.startTime && status.completionTime) w(0, `Duration:\t${humanDuration(parseTime(status.completionTime)! - parseTime(status.startTime)!)}`);
  if (spec.activeDeadlineSeconds !== undefined) w(0, `Active Deadline Seconds:\t${spec.activeDeadlineSeconds}s`);
  w(0, `Pods Statuses:\t${status.active ?? 0} Active (${status.ready ?? 0} Ready) / ${status.succeeded ?? 0} Succeeded / ${status.failed ?? 0} Failed`);
  if (spec.completionMode === 'Indexed') w(0, `Completed Indexes:\t${status.completedIndexes || '<none>'}`);
  template(w, spec.template);
  events(w, s);
}

export function cronJob(cron: KubeObject, s: Surroundings, w: Line): void {
  const { metadata, spec, status = {} } = cron;
  const inner = spec.jobTemplate.spec;
  w(0, `Name:\t${metadata.name}\nNamespace:\t${metadata.namespace}`);
  multi(w, 'Labels', metadata.labels);
  multi(w, 'Annotations', metadata.annotations, ': ');
  w(0, `Schedule:\t${spec.schedule}\nConcurrency Policy:\t${spec.concurrencyPolicy}\nSuspend:\t${spec.suspend ? 'True' : 'False'}`);
  w(0, `Successful Job History Limit:\t${spec.successfulJobsHistoryLimit ?? '<unset>'}\nFailed Job History Limit:\t${spec.failedJobsHistoryLimit ?? '<unset>'}`);
  w(0, `Starting Deadline Seconds:\t${spec.startingDeadlineSeconds === undefined ? '<unset>' : `${spec.startingDeadlineSeconds}s`}`);
  w(0, `Selector:\t${inner.selector ? printSelector(inner.selector) : '<unset>'}\nParallelism:\t${inner.parallelism ?? '<unset>'}\nCompletions:\t${inner.completions ?? '<unset>'}`);
  if (inner.activeDeadlineSeconds !== undefined) w(0, `Active Deadline Seconds:\t${inner.activeDeadlineSeconds}s`);
  template(w, inner.template);
  w(0, `Last Schedule Time:\t${status.lastScheduleTime ? rfc1123(status.lastScheduleTime) : '<unset>'}`);
  w(0, `Active Jobs:\t${(status.active ?? []).map((one: Json) => one.name).join(', ') || '<none>'}`);
  events(w, s);
}

export function claim(one: KubeObject, s: Surroundings, w: Line): void {
  const { metadata, spec, status = {} } = one;
  w(0, `Name:\t${metadata.name}\nNamespace:\t${metadata.namespace}\nStorageClass:\t${spec.storageClassName ?? ''}`);
  w(0, metadata.deletionTimestamp ? `Status:\tTerminating (lasts ${humanDuration(s.now - (parseTime(metadata.deletionTimestamp) ?? s.now))})` : `Status:\t${status.phase}`);
  w(0, `Volume:\t${spec.volumeName ?? ''}`);
  multi(w, 'Labels', metadata.labels);
  multi(w, 'Annotations', metadata.annotations, ': ');
  w(0, `Finalizers:\t[${(metadata.finalizers ?? []).join(' ')}]`);
  w(0, `Capacity:\t${status.capacity?.storage ?? ''}\nAccess Modes:\t${accessModes(status.accessModes)}\nVolumeMode:\t${spec.volumeMode ?? ''}`);
  const users = (s.pods ?? []).map((pod) => pod.metadata.name);
  w(0, `Used By:\t${users[0] ?? '<none>'}`);
  for (const name of users.slice(1)) w(0, `\t${name}`);
  events(w, s);
}
