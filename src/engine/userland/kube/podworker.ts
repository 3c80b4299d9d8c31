/**
 * One pod on its node: admitted, its volumes and sandbox made, init containers one after another (those that stay remain),
 * containers, restarts with a back-off of 10 s doubling to 300 s, its status told to the API server, its end with grace. It looks
 * once a second at what the runtime last said (PLEG). Source: kubelet.go SyncPod, kuberuntime_manager.go computePodActions 1.32.
 */
import type { Container, Json, Pod } from '../../cluster/types/objects.ts';
import { same } from '../../cluster/types/objects.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { SECOND } from '../../sim/units.ts';
import { attempt, mkdirAll, removeAll } from '../lib/files.ts';
import { type Call, thread } from '../lib/http.ts';
import { admit } from './admit.ts';
import { api } from './api.ts';
import { cri, refused } from './cri.ts';
import { type Held, type Kubelet, say, wallclock } from './node.ts';
import { adopt } from './pod/adopt.ts';
import { endContainer, readEnd, startWhenDue } from './pod/containers.ts';
import { dnsOf, hostnameOf } from './pod/files.ts';
import { initDone, phaseOf, tell } from './pod/status.ts';
import { refreshVolumes, setUpVolumes, tearDownVolumes } from './pod/volumes.ts';
import { monotonic, newRunner, policyOf, rootOf, type Runner, type Work } from './pod/work.ts';
import { growClaims, reconstruct, setUpClaims, tearDownClaims, WAITING } from './volumes/claims.ts';
import { podSlice, removeCgroup, weighBurstable, writeCgroup } from './qos.ts';

export function* runPod(k: Kubelet, held: Held): Call<void> {
  const { pod } = held;
  const inits = pod.spec.initContainers ?? [];
  const w: Work = {
    k, held, sandbox: null, sandboxConfig: null, sandboxes: 0, sandboxAfter: 0, ip: '', startTime: pod.status.startTime ?? (yield* wallclock()), since: yield* monotonic(), told: null, verdict: null, volumesAt: 0, volumesSeen: new Map(), saidMount: '', claims: held.claims, claimsSince: 0, grownAt: 0,
    runners: [...inits.map((c) => newRunner(c, 'init', 'PodInitializing')), ...pod.spec.containers.map((c) => newRunner(c, 'main', inits.length > 0 ? 'PodInitializing' : 'ContainerCreating'))],
  };
  held.startTime = w.startTime;
  // What already runs here was taken once.
  w.verdict = held.pod.metadata.deletionTimestamp || pod.status.startTime ? null : admit(k, held);
  if (!w.verdict) yield* adopt(w, () => sandboxConfig(w, logDirectoryOf(pod)));
  if (w.sandbox !== null) yield* reconstruct(w);
  if (w.verdict && !held.static) yield* say(k, pod, 'Warning', w.verdict.reason, w.verdict.message.replace(/^Pod was rejected: /, ''));
  yield* live(w);
  yield* finish(w);
}

const logDirectoryOf = ({ metadata }: Pod): string => `/var/log/pods/${metadata.namespace}_${metadata.name}_${metadata.uid}`;

const ending = (held: Held): boolean => held.gone || held.pod.metadata.deletionTimestamp !== undefined;

/** Keeps the pod as it should be until it is to go. */
function* live(w: Work): Call<void> {
  const { held } = w;
  for (;;) {
    if (ending(held)) return;
    judge(w, yield* monotonic());
    if (!w.verdict) {
      if (w.sandbox === null) yield* prepare(w);
      if (w.sandbox !== null) yield* look(w);
    }
    const phase = phaseOf(w);
    held.phase = phase;
    if (w.verdict || phase === 'Succeeded' || phase === 'Failed') {
      yield* endAll(w, held.evict?.grace);
      yield* tell(w);
      if (w.sandbox !== null) yield* cri('StopPodSandbox', { podSandboxId: w.sandbox });
      while (!ending(held)) yield* sys('nanosleep', SECOND);
      return;
    }
    yield* tell(w);
    const seen = w.k.changes;
    for (let i = 0; i < 4 && !ending(held) && held.evict === null && seen === w.k.changes; i++) yield* sys('nanosleep', SECOND / 4);
  }
}

/** Whether the node or its own deadline has decided that the pod fails. */
function judge(w: Work, now: number): void {
  const { held } = w;
  if (held.evict) w.verdict ??= { reason: held.evict.reason, message: held.evict.message, disrupted: true };
  const deadline = held.pod.spec.activeDeadlineSeconds;
  if (deadline !== undefined && now - w.since >= deadline * SECOND) w.verdict ??= { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' };
}

// ---- sandbox

function* prepare(w: Work): Call<void> {
  const { k, held } = w;
  const { pod } = held;
  if ((yield* monotonic()) < w.sandboxAfter) return;
  const missing = (yield* setUpClaims(w)) ?? (yield* setUpVolumes(w));
  if (missing !== null) {
    if (missing !== WAITING) yield* say(k, pod, 'Warning', 'FailedMount', missing);
    w.sandboxAfter = (yield* monotonic()) + (missing === WAITING ? SECOND / 2 : 2 * SECOND);
    return;
  }
  yield* writeCgroup(pod);
  yield* weighBurstable([...k.pods.values()].map((h) => h.pod));
  const logDirectory = logDirectoryOf(pod);
  yield* mkdirAll(logDirectory);
  yield* mkdirAll(rootOf(pod));
  w.sandboxConfig = yield* sandboxConfig(w, logDirectory);
  const made = yield* cri('RunPodSandbox', { config: w.sandboxConfig });
  if (refused(made)) {
    yield* say(k, pod, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${made.error}`);
    // Once soon, for a network that is just coming up; then at the pod worker's pace.
    w.sandboxAfter = (yield* monotonic()) + (w.sandboxes === 0 ? 1 : 10) * SECOND;
    w.sandboxes++;
    return;
  }
  w.sandbox = made.podSandboxId;
  held.sandbox = w.sandbox;
  w.sandboxes++;
  k.sandboxes.set(w.sandbox!, true);
  const status = yield* cri('PodSandboxStatus', { podSandboxId: w.sandbox });
  w.ip = refused(status) ? '' : pod.spec.hostNetwork ? k.ip : (status.status?.network?.ip ?? '');
}

function* sandboxConfig(w: Work, logDirectory: string): Call<Json> {
  const { pod } = w.held;
  const { spec, metadata } = pod;
  const ports = [...spec.containers, ...(spec.initContainers ?? [])].flatMap((c) => (c.ports ?? []).filter((p) => p.hostPort && !spec.hostNetwork).map((p) => ({ protocol: p.protocol ?? 'TCP', containerPort: p.containerPort, hostPort: p.hostPort, hostIp: p.hostIP ?? '' })));
  return {
    metadata: { name: metadata.name, uid: metadata.uid, namespace: metadata.namespace, attempt: w.sandboxes }, ...(spec.hostNetwork ? {} : { hostname: hostnameOf(pod) }), logDirectory, dnsConfig: yield* dnsOf(w.k, pod),
    labels: { ...metadata.labels, 'io.kubernetes.pod.name': metadata.name, 'io.kubernetes.pod.namespace': metadata.namespace, 'io.kubernetes.pod.uid': metadata.uid }, annotations: {}, portMappings: ports,
    linux: {
      cgroupParent: podSlice(pod), sysctls: Object.fromEntries(((spec.securityContext?.sysctls ?? []) as { name: string; value: string }[]).map((s) => [s.name, s.value])),
      securityContext: {
        namespaceOptions: { network: spec.hostNetwork ? 'NODE' : 'POD', pid: spec.hostPID ? 'NODE' : spec.shareProcessNamespace ? 'POD' : 'CONTAINER', ipc: spec.hostIPC ? 'NODE' : 'POD' },
        privileged: spec.containers.some((c) => c.securityContext?.privileged === true),
      },
    },
  };
}

/** A sandbox whose pause process has ended takes its containers along; all begin again in a new one. */
function* sandboxLost(w: Work): Call<void> {
  const { k, held } = w;
  yield* say(k, held.pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
  yield* endAll(w, 2);
  yield* cri('StopPodSandbox', { podSandboxId: w.sandbox });
  for (const r of w.runners) {
    if (r.id !== null) yield* cri('RemoveContainer', { containerId: r.id });
    r.id = null;
    if (r.role === 'init' && r.state.terminated) {
      r.last = r.state;
      r.state = { waiting: { reason: 'PodInitializing' } };
      r.crash = null;
    }
  }
  yield* cri('RemovePodSandbox', { podSandboxId: w.sandbox });
  w.sandbox = null;
  held.sandbox = null;
  w.ip = '';
}

// ---- containers

/** Looks at the pod once and does what is next. */
function* look(w: Work): Call<void> {
  const { k } = w;
  for (const r of w.runners) if (r.id !== null && r.state.running && k.relist > r.relist && k.states.get(r.id) !== 'CONTAINER_RUNNING') yield* readEnd(w, r);
  if (k.sandboxes.get(w.sandbox!) === false) return yield* sandboxLost(w);
  yield* refreshVolumes(w);
  if (w.claims.size > 0) yield* growClaims(w);
  yield* takeUpSpec(w);
  for (const r of w.runners) {
    const doomed = r.health?.doomed;
    if (!doomed || !r.state.running) continue;
    yield* endContainer(w, r, `Container ${r.spec.name} failed ${doomed} probe, will be restarted`, r.health?.grace);
  }
  if (!(yield* initialized(w))) return;
  const policy = policyOf(w);
  for (const r of w.runners) {
    if (r.role === 'init' || r.state.running) continue;
    const ended = r.state.terminated;
    if (r.role === 'ephemeral' && (ended || r.last.terminated)) continue;
    if (ended && (policy === 'Never' || (policy === 'OnFailure' && ended.exitCode === 0))) continue;
    yield* startWhenDue(w, r);
  }
}

/** Are the init containers done? Starts the next one if not; those that stay are kept running. */
function* initialized(w: Work): Call<boolean> {
  const begun = w.runners.some((r) => r.role === 'main' && (r.state.running || r.state.terminated || r.last.terminated) && r.id !== null);
  const over = w.runners.every((r) => r.role !== 'main' || (r.state.terminated && !willRestart(w, r)));
  for (const r of w.runners) {
    if (r.role !== 'init') continue;
    if (r.sidecar) {
      if (!r.state.running && !over) yield* startWhenDue(w, r);
      if (!begun && !initDone(r)) return false;
      continue;
    }
    if (begun || r.state.terminated?.exitCode === 0) continue;
    if (r.state.running) return false;
    if (r.state.terminated && policyOf(w) === 'Never') return false;
    yield* startWhenDue(w, r);
    return false;
  }
  if (over) yield* endSidecars(w, undefined);
  return true;
}

function willRestart(w: Work, r: Runner): boolean {
  const policy = policyOf(w);
  return policy === 'Always' || (policy === 'OnFailure' && r.state.terminated?.exitCode !== 0);
}

/** What of a running pod's spec may change: images, and containers to debug with. */
function* takeUpSpec(w: Work): Call<void> {
  const { pod } = w.held;
  const now = new Map<string, Container>([...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((c) => [c.name, c]));
  for (const r of w.runners) {
    const spec = now.get(r.spec.name);
    if (r.role === 'ephemeral' || !spec || spec === r.spec || same(spec, r.spec)) continue;
    const changed = spec.image !== r.spec.image;
    const began = r.spec;
    if (changed && r.state.running) yield* endContainer(w, { ...r, spec: began }, `Container ${began.name} definition changed, will be restarted`, undefined);
    if (changed && r.state.running) yield* readEnd(w, r);
    r.spec = spec;
    r.image = spec.image;
    if (changed) Object.assign(r, { crash: null, pull: null, notBefore: 0 });
  }
  for (const c of (pod.spec.ephemeralContainers ?? []) as Container[]) {
    if (!w.runners.some((r) => r.role === 'ephemeral' && r.spec.name === c.name)) w.runners.push(newRunner(c, 'ephemeral', 'ContainerCreating'));
  }
}

// ---- the end

function* endEach(w: Work, runners: readonly Runner[], grace: number | undefined): Call<void> {
  const state = { left: 0 };
  for (const r of runners) {
    if (r.id === null || !r.state.running) continue;
    state.left++;
    yield* thread(function* (): Body {
      yield* attempt(endContainer(w, r, `Stopping container ${r.spec.name}`, grace), undefined);
      state.left--;
      return 0;
    });
  }
  while (state.left > 0) yield* sys('nanosleep', SECOND / 20);
}

/** Init containers that stay end after all others, the last one first. */
function* endSidecars(w: Work, grace: number | undefined): Call<void> {
  for (const r of w.runners.filter((x) => x.sidecar).reverse()) yield* endEach(w, [r], grace);
}

/** The grace is of the whole pod: what the others have used of it is gone for those that stay, but two seconds are left to each. */
function* endAll(w: Work, grace: number | undefined): Call<void> {
  const from = yield* monotonic();
  yield* endEach(w, w.runners.filter((r) => !r.sidecar), grace);
  const whole = grace ?? w.held.pod.spec.terminationGracePeriodSeconds ?? 30;
  yield* endSidecars(w, grace === 0 ? 0 : Math.max(2, whole - Math.floor(((yield* monotonic()) - from) / SECOND)));
}

function* finish(w: Work): Call<void> {
  const { k, held } = w;
  const { pod } = held;
  yield* endAll(w, held.gone && !held.static ? 0 : (pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30));
  for (const r of w.runners) if (r.state.waiting && r.last.terminated) r.state = r.last;
  if (!held.gone) yield* tellEnd(w);
  for (const r of w.runners) if (r.id !== null) yield* cri('RemoveContainer', { containerId: r.id });
  if (w.sandbox !== null) {
    yield* cri('StopPodSandbox', { podSandboxId: w.sandbox });
    yield* cri('RemovePodSandbox', { podSandboxId: w.sandbox });
  }
  yield* removeCgroup(pod);
  yield* tearDownClaims(w);
  yield* tearDownVolumes(pod);
  yield* removeAll(rootOf(pod));
  yield* removeAll(logDirectoryOf(pod));
  for (const links of held.links.values()) for (const link of links) yield* removeAll(link);
  if (!held.gone) yield* forget(k, pod);
}

/** What is left of the pod in its last status: everything has ended. */
function* tellEnd(w: Work): Call<void> {
  const policy = w.held.pod.spec.restartPolicy;
  const main = w.runners.filter((r) => r.role === 'main');
  if (!w.verdict && main.length > 0 && main.every((r) => r.state.terminated)) w.held.pod = { ...w.held.pod, spec: { ...w.held.pod.spec, restartPolicy: 'Never' } };
  yield* tell(w);
  w.held.pod = { ...w.held.pod, spec: { ...w.held.pod.spec, ...(policy === undefined ? {} : { restartPolicy: policy }) } };
}

/** The object goes when nothing of the pod is left here; until the API server has heard so it is said again. */
function* forget(k: Kubelet, pod: Pod): Call<void> {
  const { metadata } = pod;
  while (k.posting) yield* sys('nanosleep', SECOND / 50);
  for (;;) {
    const answer = yield* api(k.server, 'DELETE', `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`, { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } });
    if (answer) return;
    yield* sys('nanosleep', 5 * SECOND);
  }
}

