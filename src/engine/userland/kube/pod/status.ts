/** From what the worker knows to the pod's status. Source: kubelet_pods.go getPhase, status/generate.go 1.32. */
import { type Condition, type ContainerStatus, type PodStatus, same } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { api } from '../api.ts';
import { post, wallclock } from '../node.ts';
import { policyOf, type Runner, type Work } from './work.ts';

const of = (w: Work, role: Runner['role']): Runner[] => w.runners.filter((r) => r.role === role);

/** Has an init container done what the next one waits for? */
export function initDone(r: Runner): boolean {
  return r.sidecar ? r.state.running !== undefined && (r.health?.started ?? false) : r.state.terminated?.exitCode === 0;
}

export function phaseOf(w: Work): string {
  if (w.verdict) return 'Failed';
  const main = of(w, 'main');
  const inits = of(w, 'init');
  const policy = policyOf(w);
  const begun = main.some((r) => r.state.running || r.state.terminated || r.last.terminated);
  if (policy === 'Never' && inits.some((r) => !r.sidecar && r.state.terminated && r.state.terminated.exitCode !== 0)) return 'Failed';
  if (!begun && inits.some((r) => !initDone(r))) return 'Pending';
  const over = (r: Runner): boolean => r.state.terminated !== undefined || (r.state.waiting !== undefined && r.last.terminated !== undefined);
  if (main.some((r) => r.state.waiting && !r.last.terminated)) return 'Pending';
  if (main.some((r) => r.state.running) || policy === 'Always' || main.some((r) => !over(r))) return 'Running';
  if (inits.some((r) => r.sidecar && r.state.running)) return 'Running';
  if (main.every((r) => r.state.terminated?.exitCode === 0)) return 'Succeeded';
  return policy === 'Never' && main.every((r) => r.state.terminated) ? 'Failed' : 'Running';
}

export const readyNow = (r: Runner): boolean => r.state.running !== undefined && r.health?.ready !== false;

function statusOf(r: Runner): ContainerStatus {
  const startedNow = r.state.running !== undefined && r.health?.started !== false;
  return {
    ...(r.id === null ? {} : { containerID: `containerd://${r.id}` }), image: r.image, imageID: r.imageId, lastState: r.last, name: r.spec.name,
    ready: r.role === 'init' && !r.sidecar ? r.state.terminated?.exitCode === 0 : r.role === 'ephemeral' ? false : readyNow(r), restartCount: r.restarts, started: startedNow, state: r.state,
  };
}

const listed = (runners: readonly Runner[]): string => `[${runners.map((r) => r.spec.name).join(' ')}]`;

function conditionsOf(w: Work, phase: string, now: string): Condition[] {
  const main = of(w, 'main');
  const inits = of(w, 'init');
  const old = new Map((w.told?.conditions ?? w.held.pod.status.conditions ?? []).map((c) => [c.type, c]));
  const condition = (type: string, good: boolean, reason?: string, message?: string): Condition => {
    const value = good ? 'True' : 'False';
    const before = old.get(type);
    return { lastProbeTime: null, lastTransitionTime: before?.status === value ? before.lastTransitionTime! : now, ...(message ? { message } : {}), ...(reason ? { reason } : {}), status: value, type };
  };
  const over = phase === 'Succeeded';
  const failed = phase === 'Failed';
  const begun = main.some((r) => r.state.running || r.state.terminated || r.last.terminated);
  const undone = inits.filter((r) => !initDone(r));
  const initialized = begun || undone.length === 0;
  const counted = [...inits.filter((r) => r.sidecar), ...main];
  const unready = counted.filter((r) => !readyNow(r));
  const gates: { conditionType: string }[] = w.held.pod.spec.readinessGates ?? [];
  const closed = gates.filter((g) => (w.held.pod.status.conditions ?? []).find((c) => c.type === g.conditionType)?.status !== 'True');
  const good = unready.length === 0 && initialized && !over && !failed;
  const why = over ? 'PodCompleted' : failed ? 'PodFailed' : 'ContainersNotReady';
  const which = over || failed ? undefined : `containers with unready status: ${listed(unready.length > 0 ? unready : main)}`;
  const gateWords = closed
    .map((g) => ((w.held.pod.status.conditions ?? []).some((c) => c.type === g.conditionType) ? `the status of pod readiness gate "${g.conditionType}" is not "True", but False` : `corresponding condition of pod readiness gate "${g.conditionType}" does not exist.`)).join(', ');
  const ready = good ? (closed.length > 0 ? condition('Ready', false, 'ReadinessGatesNotReady', gateWords) : condition('Ready', true)) : condition('Ready', false, why, which);
  const scheduled = (w.held.pod.status.conditions ?? []).find((c) => c.type === 'PodScheduled') ?? condition('PodScheduled', true);
  const own = new Set(['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled', 'DisruptionTarget']);
  return [
    ...(w.verdict?.disrupted ? [condition('DisruptionTarget', true, 'TerminationByKubelet', w.verdict.message)] : (w.held.pod.status.conditions ?? []).filter((c) => c.type === 'DisruptionTarget')),
    condition('PodReadyToStartContainers', w.sandbox !== null && !over && !failed),
    initialized ? condition('Initialized', true, over ? 'PodCompleted' : undefined) : condition('Initialized', false, failed ? 'PodFailed' : 'ContainersNotInitialized', failed ? undefined : `containers with incomplete status: ${listed(undone)}`),
    ready, good ? condition('ContainersReady', true) : condition('ContainersReady', false, why, which), scheduled, ...(w.held.pod.status.conditions ?? []).filter((c) => !own.has(c.type)),
  ];
}

/** The address that others reach the pod by is shown while it has one. */
function addressesOf(w: Work): Partial<PodStatus> & { hostIPs?: { ip: string }[] } {
  return { hostIP: w.k.ip, hostIPs: [{ ip: w.k.ip }], ...(w.ip ? { podIP: w.ip, podIPs: [{ ip: w.ip }] } : {}) };
}

/** Tells the API server what has changed. A pod that is no longer known there is gone. */
export function* tell(w: Work): Call<void> {
  const { k, held } = w;
  const phase = phaseOf(w);
  const [inits, others] = [of(w, 'init'), of(w, 'ephemeral')];
  const next: PodStatus = {
    phase, ...(w.verdict ? { reason: w.verdict.reason, message: w.verdict.message } : {}), ...addressesOf(w), startTime: w.startTime, qosClass: held.pod.status.qosClass ?? 'BestEffort',
    conditions: conditionsOf(w, phase, yield* wallclock()),
    ...(w.verdict && w.sandbox === null && w.runners.every((r) => r.id === null) ? {} : { containerStatuses: of(w, 'main').map(statusOf), ...(inits.length > 0 ? { initContainerStatuses: inits.map(statusOf) } : {}), ...(others.length > 0 ? { ephemeralContainerStatuses: others.map(statusOf) } : {}) }),
  };
  if (w.told && !held.untold && same(next, w.told)) return;
  const { metadata } = held.pod;
  w.told = next;
  held.untold = false;
  const uid = held.static ? undefined : metadata.uid;
  yield* post(k, function* () {
    const answer = yield* api(k.server, 'PATCH', `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/status`, { metadata: { uid }, status: next }, 'merge');
    if (answer && answer.status < 400) return;
    held.untold = true;
    if (answer?.status === 404 && !held.static) held.gone = true;
  });
}
