/**
 * One pod on its node: sandbox, init containers one after another, containers, restarts with a backoff of 10 s doubling to
 * 300 s, its status told to the API server, its end with grace. It looks once a second, as the kubelet's PLEG does.
 */
import type { Condition, Container, ContainerState, ContainerStatus, Json, Pod, PodStatus } from '../../cluster/types/objects.ts';
import { same } from '../../cluster/types/objects.ts';
import { rfc3339 } from '../../cluster/types/time.ts';
import { O_CREAT, O_TRUNC } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { fromBase64, text } from '../../sim/text.ts';
import type { Call } from '../lib/http.ts';
import { api, makeDirs, spill } from './api.ts';
import { cri, refused } from './cri.ts';
import { type Held, type Kubelet, say, wallclock } from './node.ts';
import { beginProbes, type Health } from './probes.ts';
import { podSlice, removeCgroup, resourcesOf, writeCgroup } from './qos.ts';

const SECOND = 1_000_000_000;
const MOST = 300;

/** What the worker knows of one container. */
interface Runner {
  spec: Container;
  init: boolean;
  id: string | null;
  attempt: number;
  state: ContainerState;
  last: ContainerState;
  restarts: number;
  image: string;
  imageId: string;
  /** Seconds of the current backoff; 0 before the first failure. */
  backoff: number;
  /** Monotonic ns before which nothing is tried. */
  notBefore: number;
  started: number;
  health: Health | null;
}

interface Work {
  k: Kubelet;
  held: Held;
  sandbox: string | null;
  sandboxConfig: Json;
  ip: string;
  runners: Runner[];
  startTime: string;
  told: PodStatus | null;
}

const root = (pod: Pod): string => `/var/lib/kubelet/pods/${pod.metadata.uid}`;
const fieldOf = (r: Runner): string => `spec.${r.init ? 'initContainers' : 'containers'}{${r.spec.name}}`;
const monotonic = (): Call<number> => sys('clock_gettime', 'monotonic');

export function* runPod(k: Kubelet, held: Held): Call<void> {
  const { pod } = held;
  const runner = (spec: Container, init: boolean): Runner => ({
    spec, init, id: null, attempt: 0, state: { waiting: { reason: init || !pod.spec.initContainers?.length ? 'ContainerCreating' : 'PodInitializing' } }, last: {}, restarts: 0, image: spec.image, imageId: '', backoff: 0, notBefore: 0, started: 0, health: null,
  });
  const w: Work = {
    k, held, sandbox: null, sandboxConfig: null, ip: '', startTime: yield* wallclock(), told: null,
    runners: [...(pod.spec.initContainers ?? []).map((c) => runner(c, true)), ...pod.spec.containers.map((c) => runner(c, false))],
  };
  for (const r of w.runners) if (r.init) r.state = { waiting: { reason: 'PodInitializing' } };
  yield* tell(w);
  for (;;) {
    if (held.gone || held.pod.metadata.deletionTimestamp) break;
    if (w.sandbox === null) yield* prepare(w);
    if (w.sandbox !== null) yield* look(w);
    yield* tell(w);
    const phase = phaseOf(w);
    if (phase === 'Succeeded' || phase === 'Failed') {
      yield* waitForDeletion(held);
      break;
    }
    yield* sys('nanosleep', SECOND);
  }
  yield* finish(w);
}

function* waitForDeletion(held: Held): Call<void> {
  while (!held.gone && !held.pod.metadata.deletionTimestamp) yield* sys('nanosleep', SECOND);
}

// ---- volumes and sandbox

function* prepare(w: Work): Call<void> {
  const { k, held } = w;
  const { pod } = held;
  const missing = yield* volumes(w);
  if (missing) {
    yield* say(k, pod, 'Warning', 'FailedMount', missing);
    yield* sys('nanosleep', 2 * SECOND);
    return;
  }
  yield* writeCgroup(pod);
  const logDirectory = `/var/log/pods/${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`;
  yield* makeDirs(logDirectory);
  w.sandboxConfig = {
    metadata: { name: pod.metadata.name, uid: pod.metadata.uid, namespace: pod.metadata.namespace, attempt: 0 }, hostname: pod.spec.hostname ?? pod.metadata.name, logDirectory,
    labels: { ...pod.metadata.labels, 'io.kubernetes.pod.name': pod.metadata.name, 'io.kubernetes.pod.namespace': pod.metadata.namespace, 'io.kubernetes.pod.uid': pod.metadata.uid },
    annotations: {}, portMappings: [],
    linux: { cgroupParent: podSlice(pod), securityContext: { namespaceOptions: { network: pod.spec.hostNetwork ? 'NODE' : 'POD', pid: 'CONTAINER', ipc: 'POD' } } },
  };
  const made = yield* cri('RunPodSandbox', { config: w.sandboxConfig });
  if (refused(made)) {
    yield* say(k, pod, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${made.error}`);
    yield* sys('nanosleep', 2 * SECOND);
    return;
  }
  w.sandbox = made.podSandboxId;
  const status = yield* cri('PodSandboxStatus', { podSandboxId: w.sandbox });
  w.ip = refused(status) ? '' : pod.spec.hostNetwork ? k.ip : (status.status?.network?.ip ?? '');
}

/** A sandbox whose pause process has ended takes its containers along: a new one is made at the next look. */
function* sandboxGone(w: Work): Call<boolean> {
  const status = yield* cri('PodSandboxStatus', { podSandboxId: w.sandbox });
  if (!refused(status) && status.status?.state === 'SANDBOX_READY') return false;
  yield* say(w.k, w.held.pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
  yield* cri('StopPodSandbox', { podSandboxId: w.sandbox });
  yield* cri('RemovePodSandbox', { podSandboxId: w.sandbox });
  w.sandbox = null;
  for (const r of w.runners) r.id = null;
  return true;
}

/** Makes emptyDirs, writes ConfigMaps and Secrets out. Returns what is missing, in the kubelet's words. */
function* volumes(w: Work): Call<string | null> {
  const { pod } = w.held;
  for (const v of pod.spec.volumes ?? []) {
    const source = v.configMap ? (['configmaps', v.configMap.name, 'configmap', 'kubernetes.io~configmap'] as const) : v.secret ? (['secrets', v.secret.secretName, 'secret', 'kubernetes.io~secret'] as const) : null;
    if (v.emptyDir) yield* makeDirs(`${root(pod)}/volumes/kubernetes.io~empty-dir/${v.name}`);
    if (!source) continue;
    const [plural, name, word, plugin] = source;
    const found = yield* api(w.k.server, 'GET', `/api/v1/namespaces/${pod.metadata.namespace}/${plural}/${name}`);
    if (!found || found.status >= 400) {
      if (v[word === 'secret' ? 'secret' : 'configMap']?.optional) continue;
      return `MountVolume.SetUp failed for volume "${v.name}" : ${word} "${name}" not found`;
    }
    const at = `${root(pod)}/volumes/${plugin}/${v.name}`;
    yield* makeDirs(at);
    for (const [key, value] of Object.entries((found.body.data ?? {}) as Record<string, string>)) yield* spill(`${at}/${key}`, word === 'secret' ? decoded(value) : value, O_CREAT | O_TRUNC);
  }
  return null;
}

function decoded(value: string): string {
  try {
    return text(fromBase64(value));
  } catch {
    return value;
  }
}

function mountsOf(pod: Pod, c: Container): Json[] {
  return (c.volumeMounts ?? []).flatMap((m) => {
    const v = (pod.spec.volumes ?? []).find((x) => x.name === m.name);
    if (!v) return [];
    const plugin = v.emptyDir ? 'kubernetes.io~empty-dir' : v.configMap ? 'kubernetes.io~configmap' : v.secret ? 'kubernetes.io~secret' : null;
    const hostPath = v.hostPath ? v.hostPath.path : plugin ? `${root(pod)}/volumes/${plugin}/${v.name}` : null;
    return hostPath ? [{ containerPath: m.mountPath, hostPath: m.subPath ? `${hostPath}/${m.subPath}` : hostPath, readonly: m.readOnly ?? false }] : [];
  });
}

// ---- containers

/** Looks at each container once and does what is next. */
function* look(w: Work): Call<void> {
  for (const r of w.runners) {
    if (r.id === null || !r.state.running) continue;
    if (r.health?.doomed) {
      yield* say(w.k, w.held.pod, 'Normal', 'Killing', `Container ${r.spec.name} failed liveness probe, will be restarted`, fieldOf(r));
      yield* cri('StopContainer', { containerId: r.id, timeout: String(w.held.pod.spec.terminationGracePeriodSeconds ?? 30) });
    }
    yield* refresh(w, r);
  }
  const policy = w.held.pod.spec.restartPolicy ?? 'Always';
  for (const r of w.runners.filter((x) => x.init)) {
    if (r.state.terminated?.exitCode === 0) continue;
    if (!r.state.running) yield* next(w, r, policy === 'Never' ? 'Never' : 'OnFailure');
    if (r.state.terminated?.exitCode !== 0) return;
  }
  for (const r of w.runners.filter((x) => !x.init)) if (!r.state.running) yield* next(w, r, policy);
}

function* refresh(w: Work, r: Runner): Call<void> {
  const answer = yield* cri('ContainerStatus', { containerId: r.id });
  if (refused(answer) || answer.status?.state === 'CONTAINER_RUNNING') return;
  if (r.health) r.health.over = true;
  const s = answer.status ?? {};
  const exitCode = Number(s.exitCode ?? 0);
  const when = (ns: Json): string => rfc3339(Number(ns ?? 0) / 1e9);
  r.state = {
    terminated: {
      exitCode, reason: s.reason || (exitCode === 0 ? 'Completed' : 'Error'), startedAt: when(s.startedAt), finishedAt: when(s.finishedAt), containerID: `containerd://${r.id}`,
      ...(s.message ? { message: s.message } : {}),
    },
  };
  const ran = (yield* monotonic()) - r.started;
  if (ran > 600 * SECOND) r.backoff = 0;
}

/** A container that is not running: start it, wait for its backoff, or leave it ended. */
function* next(w: Work, r: Runner, policy: string): Call<void> {
  const { pod } = w.held;
  const ended = r.state.terminated ?? r.last.terminated;
  if (r.state.terminated) {
    if (policy === 'Never' || (policy === 'OnFailure' && r.state.terminated.exitCode === 0)) return;
    const now = yield* monotonic();
    if (r.restarts === 0 && r.backoff === 0) r.notBefore = now;
    else {
      r.backoff = Math.min(MOST, r.backoff === 0 ? 10 : r.backoff * 2);
      r.notBefore = now + r.backoff * SECOND;
    }
    r.last = r.state;
    if (r.notBefore > now) {
      const where = `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
      r.state = { waiting: { reason: 'CrashLoopBackOff', message: `back-off ${durationText(r.backoff)} restarting failed container=${r.spec.name} pod=${where}` } };
      yield* say(w.k, pod, 'Warning', 'BackOff', `Back-off restarting failed container ${r.spec.name} in pod ${where}`, fieldOf(r));
      return;
    }
  }
  if ((yield* monotonic()) < r.notBefore) return;
  yield* launch(w, r, ended !== undefined);
}

const durationText = (s: number): string => (s < 60 ? `${s}s` : `${Math.floor(s / 60)}m${s % 60}s`);

function* launch(w: Work, r: Runner, again: boolean): Call<void> {
  const { k, held } = w;
  const { pod } = held;
  if (!(yield* ensureImage(w, r))) return;
  const env = yield* environment(w, r.spec);
  if (typeof env === 'string') {
    if (r.state.waiting?.reason !== 'CreateContainerConfigError') yield* say(k, pod, 'Warning', 'Failed', `Error: ${env}`, fieldOf(r));
    r.state = { waiting: { reason: 'CreateContainerConfigError', message: env } };
    r.notBefore = (yield* monotonic()) + 10 * SECOND;
    return;
  }
  if (again) {
    r.attempt++;
    if (r.id !== null) yield* cri('RemoveContainer', { containerId: r.id });
  }
  const logs = `${w.sandboxConfig.logDirectory}/${r.spec.name}`;
  yield* makeDirs(logs);
  const expand = (words: readonly string[] | undefined): string[] => (words ?? []).map((word) => word.replace(/\$\(([A-Za-z_]\w*)\)/g, (whole, name: string) => env.find((e) => e.key === name)?.value ?? whole));
  const made = yield* cri('CreateContainer', {
    podSandboxId: w.sandbox, sandboxConfig: w.sandboxConfig,
    config: {
      metadata: { name: r.spec.name, attempt: r.attempt }, image: { image: r.spec.image }, command: expand(r.spec.command), args: expand(r.spec.args), workingDir: r.spec.workingDir ?? '',
      envs: env, mounts: mountsOf(pod, r.spec), logPath: `${r.spec.name}/${r.attempt}.log`, tty: r.spec.tty ?? false, stdin: r.spec.stdin ?? false,
      labels: { 'io.kubernetes.container.name': r.spec.name, 'io.kubernetes.pod.name': pod.metadata.name, 'io.kubernetes.pod.namespace': pod.metadata.namespace, 'io.kubernetes.pod.uid': pod.metadata.uid },
      annotations: { 'io.kubernetes.container.restartCount': String(r.restarts) },
      linux: { resources: resourcesOf(pod, r.spec, k.memory), securityContext: { privileged: r.spec.securityContext?.privileged ?? false } },
    },
  });
  if (refused(made)) {
    if (!(yield* sandboxGone(w))) yield* fail(w, r, 'CreateContainerError', made.error);
    return;
  }
  const before = held.logs.get(r.spec.name);
  r.id = made.containerId;
  held.ids.set(r.spec.name, made.containerId);
  held.logs.set(r.spec.name, { current: `${logs}/${r.attempt}.log`, previous: before?.current ?? null });
  yield* say(k, pod, 'Normal', 'Created', `Created container: ${r.spec.name}`, fieldOf(r));
  const begun = yield* cri('StartContainer', { containerId: r.id });
  if (refused(begun)) {
    const now = yield* wallclock();
    r.restarts += again ? 1 : 0;
    r.last = { terminated: { exitCode: 128, reason: 'StartError', message: begun.error, startedAt: now, finishedAt: now, containerID: `containerd://${r.id}` } };
    yield* fail(w, r, 'RunContainerError', begun.error);
    return;
  }
  if (again) r.restarts++;
  r.started = yield* monotonic();
  r.state = { running: { startedAt: yield* wallclock() } };
  if (!r.init) r.health = yield* beginProbes(k, pod, r.spec, r.id!, w.ip);
  yield* say(k, pod, 'Normal', 'Started', `Started container ${r.spec.name}`, fieldOf(r));
}

function* fail(w: Work, r: Runner, reason: string, message: string): Call<void> {
  r.state = { waiting: { reason, message } };
  r.backoff = Math.min(MOST, r.backoff === 0 ? 10 : r.backoff * 2);
  r.notBefore = (yield* monotonic()) + r.backoff * SECOND;
  yield* say(w.k, w.held.pod, 'Warning', 'Failed', `Error: ${message}`, fieldOf(r));
}

function* ensureImage(w: Work, r: Runner): Call<boolean> {
  const { pod } = w.held;
  const { image } = r.spec;
  const present = yield* cri('ImageStatus', { image: { image } });
  const here = !refused(present) && present.image?.id !== undefined;
  const policy = r.spec.imagePullPolicy ?? 'IfNotPresent';
  if (here && policy !== 'Always') {
    if (r.imageId === '') yield* say(w.k, pod, 'Normal', 'Pulled', `Container image "${image}" already present on machine`, fieldOf(r));
    r.imageId = present.image.id;
    return true;
  }
  if (!here && policy === 'Never') {
    r.state = { waiting: { reason: 'ErrImageNeverPull', message: `Container image "${image}" is not present with pull policy of Never` } };
    yield* say(w.k, pod, 'Warning', 'ErrImageNeverPull', `Container image "${image}" is not present with pull policy of Never`, fieldOf(r));
    r.notBefore = (yield* monotonic()) + 10 * SECOND;
    return false;
  }
  if (r.state.waiting?.reason === 'ErrImagePull') {
    r.backoff = Math.min(MOST, r.backoff === 0 ? 10 : r.backoff * 2);
    r.notBefore = (yield* monotonic()) + r.backoff * SECOND;
    r.state = { waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` } };
    yield* say(w.k, pod, 'Normal', 'BackOff', `Back-off pulling image "${image}"`, fieldOf(r));
    yield* say(w.k, pod, 'Warning', 'Failed', 'Error: ImagePullBackOff', fieldOf(r));
    return false;
  }
  yield* say(w.k, pod, 'Normal', 'Pulling', `Pulling image "${image}"`, fieldOf(r));
  const from = yield* monotonic();
  const pulled = yield* cri('PullImage', { image: { image }, sandboxConfig: w.sandboxConfig });
  if (refused(pulled) && !here) {
    yield* say(w.k, pod, 'Warning', 'Failed', `Failed to pull image "${image}": ${pulled.error}`, fieldOf(r));
    yield* say(w.k, pod, 'Warning', 'Failed', 'Error: ErrImagePull', fieldOf(r));
    r.state = { waiting: { reason: 'ErrImagePull', message: pulled.error } };
    return false;
  }
  const took = Math.round(((yield* monotonic()) - from) / 1e6);
  const shown = took < 1000 ? `${took}ms` : `${took / 1000}s`;
  const status = yield* cri('ImageStatus', { image: { image } });
  r.imageId = String(status.image?.id ?? pulled.imageRef ?? '');
  yield* say(w.k, pod, 'Normal', 'Pulled', `Successfully pulled image "${image}" in ${shown} (${shown} including waiting). Image size: ${Number(status.image?.size ?? 0)} bytes.`, fieldOf(r));
  if (r.backoff > 0 && r.restarts === 0) r.backoff = 0;
  return true;
}

/** The container's environment, or what is missing. */
function* environment(w: Work, c: Container): Call<{ key: string; value: string }[] | string> {
  const { pod } = w.held;
  const out = yield* serviceLinks(w);
  const data = function* (plural: string, name: string): Call<Record<string, string> | null> {
    const found = yield* api(w.k.server, 'GET', `/api/v1/namespaces/${pod.metadata.namespace}/${plural}/${name}`);
    if (!found || found.status >= 400) return null;
    const raw = (found.body.data ?? {}) as Record<string, string>;
    return plural === 'secrets' ? Object.fromEntries(Object.entries(raw).map(([k, v]) => [k, decoded(v)])) : raw;
  };
  for (const from of c.envFrom ?? []) {
    const [plural, ref] = from?.configMapRef ? ['configmaps', from.configMapRef] : ['secrets', from?.secretRef];
    if (!ref) continue;
    const found = yield* data(plural as string, ref.name);
    if (!found && !ref.optional) return `${plural === 'secrets' ? 'secret' : 'configmap'} "${ref.name}" not found`;
    for (const [k, v] of Object.entries(found ?? {})) out.set((from.prefix ?? '') + k, v);
  }
  for (const e of c.env ?? []) {
    const ref = e.valueFrom?.configMapKeyRef ?? e.valueFrom?.secretKeyRef;
    if (ref) {
      const plural = e.valueFrom.configMapKeyRef ? 'configmaps' : 'secrets';
      const found = yield* data(plural, ref.name);
      if (!found && !ref.optional) return `${plural === 'secrets' ? 'secret' : 'configmap'} "${ref.name}" not found`;
      if (found && found[ref.key] === undefined && !ref.optional) return `couldn't find key ${ref.key} in ${plural === 'secrets' ? 'Secret' : 'ConfigMap'} ${pod.metadata.namespace}/${ref.name}`;
      if (found?.[ref.key] !== undefined) out.set(e.name, found[ref.key]!);
    } else if (e.valueFrom?.fieldRef) out.set(e.name, downward(w, e.valueFrom.fieldRef.fieldPath));
    else out.set(e.name, (e.value ?? '').replace(/\$\(([A-Za-z_]\w*)\)/g, (whole, name: string) => out.get(name) ?? whole));
  }
  return [...out].map(([key, value]) => ({ key, value }));
}

/** NAME_SERVICE_HOST, NAME_PORT and their kin: the API server's always, those of the pod's namespace unless it declines. */
function* serviceLinks(w: Work): Call<Map<string, string>> {
  const { pod } = w.held;
  const out = new Map<string, string>();
  const own = pod.spec.enableServiceLinks === false ? null : yield* api(w.k.server, 'GET', `/api/v1/namespaces/${pod.metadata.namespace}/services`);
  const master = yield* api(w.k.server, 'GET', '/api/v1/namespaces/default/services/kubernetes');
  for (const service of [...(own?.body?.items ?? []), ...(master && master.status < 400 ? [master.body] : [])] as Json[]) {
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

function downward(w: Work, path: string): string {
  const { pod } = w.held;
  const m = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (m) return pod.metadata[m[1] as 'labels']?.[m[2]!] ?? '';
  const fields: Record<string, string> = {
    'metadata.name': pod.metadata.name, 'metadata.namespace': pod.metadata.namespace ?? '', 'metadata.uid': pod.metadata.uid ?? '', 'spec.nodeName': w.k.node, 'status.hostIP': w.k.ip,
    'status.podIP': w.ip, 'spec.serviceAccountName': pod.spec.serviceAccountName ?? '',
  };
  return fields[path] ?? '';
}

// ---- status

function phaseOf(w: Work): string {
  const main = w.runners.filter((r) => !r.init);
  const inits = w.runners.filter((r) => r.init);
  const policy = w.held.pod.spec.restartPolicy ?? 'Always';
  if (policy === 'Never' && inits.some((r) => r.state.terminated && r.state.terminated.exitCode !== 0)) return 'Failed';
  if (inits.some((r) => r.state.terminated?.exitCode !== 0)) return 'Pending';
  if (policy !== 'Always' && main.every((r) => r.state.terminated)) {
    if (main.every((r) => r.state.terminated!.exitCode === 0)) return 'Succeeded';
    if (policy === 'Never') return 'Failed';
  }
  return main.some((r) => r.state.running || r.state.terminated || r.last.terminated) && main.every((r) => !r.state.waiting || r.last.terminated) ? 'Running' : 'Pending';
}

const readyNow = (r: Runner): boolean => r.state.running !== undefined && r.health?.ready !== false;

function* tell(w: Work): Call<void> {
  const { k, held } = w;
  const now = yield* wallclock();
  const status = (r: Runner): ContainerStatus => ({
    ...(r.id === null ? {} : { containerID: `containerd://${r.id}` }), image: r.image, imageID: r.imageId, lastState: r.last, name: r.spec.name,
    ready: r.init ? r.state.terminated?.exitCode === 0 : readyNow(r), restartCount: r.restarts, started: r.state.running !== undefined && r.health?.started !== false, state: r.state,
  });
  const inits = w.runners.filter((r) => r.init);
  const main = w.runners.filter((r) => !r.init);
  const initialized = inits.every((r) => r.state.terminated?.exitCode === 0);
  const unready = main.filter((r) => !readyNow(r)).map((r) => r.spec.name);
  const phase = phaseOf(w);
  const over = phase === 'Succeeded';
  const old = new Map((w.told?.conditions ?? []).map((c) => [c.type, c]));
  const condition = (type: string, good: boolean, reason?: string, message?: string): Condition => {
    const value = good ? 'True' : 'False';
    const before = old.get(type);
    return {
      lastProbeTime: null, lastTransitionTime: before?.status === value ? before.lastTransitionTime! : now, ...(good || !message ? {} : { message }), ...(good && !over ? {} : reason ? { reason } : {}), status: value, type,
    };
  };
  const why = over ? 'PodCompleted' : 'ContainersNotReady';
  const which = over ? undefined : `containers with unready status: [${unready.join(' ')}]`;
  const scheduled = (held.pod.status.conditions ?? []).find((c) => c.type === 'PodScheduled') ?? condition('PodScheduled', true);
  const next: PodStatus = {
    phase, hostIP: k.ip, ...(w.ip ? { podIP: w.ip, podIPs: [{ ip: w.ip }] } : {}), startTime: w.startTime, qosClass: held.pod.status.qosClass ?? 'BestEffort',
    conditions: [
      condition('PodReadyToStartContainers', w.sandbox !== null && !over && phase !== 'Failed'),
      condition('Initialized', initialized, over ? 'PodCompleted' : 'ContainersNotInitialized', over ? undefined : `containers with incomplete status: [${inits.filter((r) => r.state.terminated?.exitCode !== 0).map((r) => r.spec.name).join(' ')}]`),
      condition('Ready', unready.length === 0 && initialized && !over, why, which), condition('ContainersReady', unready.length === 0 && initialized && !over, why, which), scheduled,
    ],
    containerStatuses: main.map(status), ...(inits.length > 0 ? { initContainerStatuses: inits.map(status) } : {}),
  };
  if (w.told && same(next, w.told)) return;
  const { metadata } = held.pod;
  const answer = yield* api(k.server, 'PATCH', `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/status`, { metadata: { uid: metadata.uid }, status: next }, 'merge');
  if (answer && answer.status < 400) w.told = next;
}

// ---- the end

function* finish(w: Work): Call<void> {
  const { k, held } = w;
  const { pod } = held;
  for (const r of w.runners) if (r.health) r.health.over = true;
  const grace = held.gone ? 0 : (pod.metadata.deletionGracePeriodSeconds ?? 30);
  for (const r of w.runners) {
    if (r.id === null || !r.state.running) continue;
    yield* say(k, pod, 'Normal', 'Killing', `Stopping container ${r.spec.name}`, fieldOf(r));
    yield* cri('StopContainer', { containerId: r.id, timeout: String(grace) });
    yield* refresh(w, r);
  }
  if (!held.gone) yield* tell(w);
  for (const r of w.runners) if (r.id !== null) yield* cri('RemoveContainer', { containerId: r.id });
  if (w.sandbox !== null) {
    yield* cri('StopPodSandbox', { podSandboxId: w.sandbox });
    yield* cri('RemovePodSandbox', { podSandboxId: w.sandbox });
  }
  yield* removeCgroup(pod);
  const { metadata } = pod;
  yield* api(k.server, 'DELETE', `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`, { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } });
}
