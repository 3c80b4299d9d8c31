/** What kubectl prints of a pod: status, ready count, restarts. Source: pkg/printers/internalversion/printers.go printPod. */
import type { Pod } from './objects.ts';
import { parseTime } from './time.ts';

export interface PodSummary {
  /** "Running", "CrashLoopBackOff", "Init:1/2", "Terminating", … */
  status: string;
  ready: number;
  total: number;
  restarts: number;
  /** Seconds since 1970 of the newest restart, if any. */
  lastRestart: number | null;
}

export function summarize(pod: Pod): PodSummary {
  const { status, spec } = pod;
  let reason = status.reason || status.phase || 'Pending';
  const statuses = status.containerStatuses ?? [];
  const inits = status.initContainerStatuses ?? [];
  let restarts = 0;
  let lastRestart: number | null = null;
  let initializing = false;
  let ready = 0;
  if ((spec.schedulingGates ?? []).length > 0 && status.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated')) reason = 'SchedulingGated';
  const restarted = (finishedAt: string | null | undefined): void => {
    const at = parseTime(finishedAt);
    if (at !== null && (lastRestart === null || at > lastRestart)) lastRestart = at;
  };
  const stays = new Set((spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name));
  let stayRestarts = 0;
  for (const [i, c] of inits.entries()) {
    restarts += c.restartCount;
    restarted(c.lastState?.terminated?.finishedAt);
    if (stays.has(c.name)) {
      stayRestarts += c.restartCount;
      if (c.started) {
        if (c.ready) ready++;
        continue;
      }
    }
    const { terminated, waiting } = c.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (terminated) {
      reason = terminated.reason ? `Init:${terminated.reason}` : terminated.signal ? `Init:Signal:${terminated.signal}` : `Init:ExitCode:${terminated.exitCode}`;
    } else if (waiting?.reason && waiting.reason !== 'PodInitializing') reason = `Init:${waiting.reason}`;
    else reason = `Init:${i}/${(spec.initContainers ?? []).length}`;
    initializing = true;
    break;
  }
  if (!initializing || status.conditions?.some((c) => c.type === 'Initialized' && c.status === 'True')) {
    restarts = stayRestarts;
    lastRestart = null;
    let running = false;
    for (const c of [...statuses].reverse()) {
      restarts += c.restartCount;
      restarted(c.lastState?.terminated?.finishedAt);
      const { terminated, waiting } = c.state ?? {};
      if (waiting?.reason) reason = waiting.reason;
      else if (terminated?.reason) reason = terminated.reason;
      else if (terminated) reason = terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
      else if (c.ready && c.state?.running) {
        running = true;
        ready++;
      }
    }
    if (reason === 'Completed' && running) reason = status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ? 'Running' : 'NotReady';
  }
  if (pod.metadata.deletionTimestamp && status.reason === 'NodeLost') reason = 'Unknown';
  else if (pod.metadata.deletionTimestamp && status.phase !== 'Succeeded' && status.phase !== 'Failed') reason = 'Terminating';
  return { status: reason, ready, total: (spec.containers ?? []).length + stays.size, restarts, lastRestart };
}

export function ownerOf(pod: Pod): string {
  const owner = pod.metadata.ownerReferences?.find((r) => r.controller);
  return owner ? `${owner.kind}/${owner.name}` : '';
}
