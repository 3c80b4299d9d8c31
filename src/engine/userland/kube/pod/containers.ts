/** Containers of a pod: launched through the runtime, ended with grace, their ends read. Source: kuberuntime_container.go 1.32. */
import type { Container, Json } from '../../../cluster/types/objects.ts';
import { rfc3339 } from '../../../cluster/types/time.ts';
import { AT_FDCWD } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { SECOND } from '../../../sim/units.ts';
import { attempt, mkdirAll, removeAll } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { cri, refused } from '../cri.ts';
import { say, wallclock } from '../node.ts';
import { beginProbes } from '../probes.ts';
import { resourcesOf } from '../qos.ts';
import { environment, expand } from './environment.ts';
import { hostsFile, lastWords, messageFile } from './files.ts';
import { runHook } from './hooks.ts';
import { ensureImage, PACE } from './images.ts';
import { goDuration } from '../../lib/duration.ts';
import { fieldOf, formatPod, longer, monotonic, type Runner, tooEarly, type Work } from './work.ts';
import { mountsOf } from './volumes.ts';

/** Takes up what the runtime says of a container that has ended. */
export function* readEnd(w: Work, r: Runner): Call<void> {
  const answer = yield* cri('ContainerStatus', { containerId: r.id });
  if (refused(answer) ? !/not found/.test(answer.error) : answer.status?.state === 'CONTAINER_RUNNING') return;
  if (r.health) r.health.over = true;
  const s = refused(answer) ? { exitCode: 137, reason: 'ContainerStatusUnknown', message: 'The container could not be located when the pod was terminated' } : (answer.status ?? {});
  const exitCode = Number(s.exitCode ?? 0);
  const when = (ns: Json): string => rfc3339(Number(ns ?? 0) / 1e9);
  const message = s.message || (yield* lastWords(w, r, exitCode));
  r.state = {
    terminated: {
      ...(r.id === null ? {} : { containerID: `containerd://${r.id}` }), exitCode, finishedAt: when(s.finishedAt), ...(message ? { message } : {}), reason: s.reason || (exitCode === 0 ? 'Completed' : 'Error'), startedAt: when(s.startedAt),
    },
  };
  r.ended = yield* monotonic();
}

/** Starts a container that is not running, when its back-off allows; whether it runs then. */
export function* startWhenDue(w: Work, r: Runner): Call<boolean> {
  const now = yield* monotonic();
  if (now < r.notBefore) return false;
  if (r.ended > 0 && tooEarly(r.crash, r.ended, now)) {
    const where = formatPod(w.held.pod);
    const { delay } = r.crash!;
    if (r.state.terminated) r.last = r.state;
    r.state = { waiting: { reason: 'CrashLoopBackOff', message: `back-off ${goDuration(delay * 1e9)} restarting failed container=${r.spec.name} pod=${where}` } };
    if (r.saidAt === 0 || now - r.saidAt > 12 * SECOND) {
      r.saidAt = now;
      yield* say(w.k, w.held.pod, 'Warning', 'BackOff', `Back-off restarting failed container ${r.spec.name} in pod ${where}`, fieldOf(r));
    }
    return false;
  }
  const again = r.ended > 0;
  if (again) r.crash = longer(r.crash, r.ended, now);
  r.saidAt = 0;
  return yield* launch(w, r, again);
}

/** What of its configuration a container may not be run with. */
function notAllowed(w: Work, r: Runner, image: Json): string | null {
  const own = r.spec.securityContext ?? {};
  const pod = w.held.pod.spec.securityContext ?? {};
  if (!(own.runAsNonRoot ?? pod.runAsNonRoot)) return null;
  const user = own.runAsUser ?? pod.runAsUser;
  const where = `(pod: "${formatPod(w.held.pod)}", container: ${r.spec.name})`;
  if (user !== undefined) return user === 0 ? `container's runAsUser breaks non-root policy ${where}` : null;
  if (image?.username) return `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}`;
  return Number(image?.uid?.value ?? 0) === 0 ? `container has runAsNonRoot and image will run as root ${where}` : null;
}

/** As kuberuntime's security context of a container. */
function securityOf(w: Work, c: Container): Json {
  const own = c.securityContext ?? {};
  const pod = w.held.pod.spec.securityContext ?? {};
  const user = own.runAsUser ?? pod.runAsUser;
  const group = own.runAsGroup ?? pod.runAsGroup;
  const groups: number[] = [...(pod.supplementalGroups ?? []), ...(pod.fsGroup === undefined ? [] : [pod.fsGroup])];
  const target = (c as Json).targetContainerName ? w.held.ids.get((c as Json).targetContainerName) : undefined;
  return {
    privileged: own.privileged ?? false, readonlyRootfs: own.readOnlyRootFilesystem ?? false, noNewPrivs: own.allowPrivilegeEscalation === false,
    capabilities: { addCapabilities: own.capabilities?.add ?? [], dropCapabilities: own.capabilities?.drop ?? [] }, supplementalGroups: groups.map(String),
    ...(user === undefined ? {} : { runAsUser: { value: String(user) } }), ...(group === undefined ? {} : { runAsGroup: { value: String(group) } }),
    namespaceOptions: { ...w.sandboxConfig.linux.securityContext.namespaceOptions, ...(target ? { pid: 'TARGET', targetId: target } : {}) },
  };
}

function* refuse(w: Work, r: Runner, reason: string, message: string): Call<false> {
  yield* say(w.k, w.held.pod, 'Warning', 'Failed', `Error: ${message}`, fieldOf(r));
  if (r.state.terminated) r.last = r.state;
  r.state = { waiting: { reason, message } };
  r.notBefore = (yield* monotonic()) + PACE * SECOND;
  return false;
}

function* launch(w: Work, r: Runner, again: boolean): Call<boolean> {
  const { pod } = w.held;
  if (!(yield* ensureImage(w, r))) return false;
  const image = yield* cri('ImageStatus', { image: { image: r.spec.image } });
  const env = yield* environment(w, r.spec);
  const wrong = notAllowed(w, r, refused(image) ? null : image.image) ?? (typeof env === 'string' ? env : null);
  if (wrong !== null || typeof env === 'string') return yield* refuse(w, r, 'CreateContainerConfigError', wrong ?? String(env));
  const mounts = yield* mountsOf(w, r.spec, env);
  if (typeof mounts === 'string') return yield* refuse(w, r, 'CreateContainerConfigError', mounts);
  if (again) {
    r.attempt++;
    if (r.state.terminated) r.last = r.state;
    yield* dropOld(w, r);
  }
  const made = yield* cri('CreateContainer', { podSandboxId: w.sandbox, sandboxConfig: w.sandboxConfig, config: yield* configOf(w, r, env, mounts) });
  if (refused(made)) return yield* refuse(w, r, 'CreateContainerError', made.error);
  yield* taken(w, r, made.containerId);
  yield* say(w.k, pod, 'Normal', 'Created', `Created container: ${r.spec.name}`, fieldOf(r));
  return yield* begin(w, r, again);
}

/** The container before the last is removed; its log stays for `--previous` until there is a newer one. */
function* dropOld(w: Work, r: Runner): Call<void> {
  if (r.id !== null) yield* cri('RemoveContainer', { containerId: r.id });
  const logs = w.held.logs.get(r.spec.name);
  if (logs?.previous) yield* removeAll(logs.previous);
}

/** Its id and logs become known, and /var/log/containers gets its link. */
function* taken(w: Work, r: Runner, id: string): Call<void> {
  const { held } = w;
  const current = `${w.sandboxConfig.logDirectory}/${r.spec.name}/${r.attempt}.log`;
  const before = held.logs.get(r.spec.name);
  r.id = id;
  held.ids.set(r.spec.name, id);
  held.logs.set(r.spec.name, { current, previous: before?.current ?? null });
  yield* mkdirAll('/var/log/containers');
  const link = `/var/log/containers/${held.pod.metadata.name}_${held.pod.metadata.namespace}_${r.spec.name}-${id}.log`;
  yield* attempt(sys('symlinkat', current, AT_FDCWD, link), 0);
  held.links.set(r.spec.name, [...(held.links.get(r.spec.name) ?? []), link]);
  for (const old of held.links.get(r.spec.name)!.slice(0, -2)) yield* removeAll(old);
}

function* configOf(w: Work, r: Runner, env: { key: string; value: string }[], mounts: Json[]): Call<Json> {
  const { pod } = w.held;
  const c = r.spec;
  yield* mkdirAll(`${w.sandboxConfig.logDirectory}/${c.name}`);
  const value = (name: string): string | undefined => env.find((e) => e.key === name)?.value;
  r.messagePath = yield* messageFile(w, r);
  const own = [...(mounts.some((m) => m.containerPath === '/etc/hosts') ? [] : [{ containerPath: '/etc/hosts', hostPath: yield* hostsFile(w), readonly: false }]), { containerPath: c.terminationMessagePath ?? '/dev/termination-log', hostPath: r.messagePath, readonly: false }];
  return {
    metadata: { name: c.name, attempt: r.attempt }, image: { image: c.image }, command: (c.command ?? []).map((x) => expand(x, value)), args: (c.args ?? []).map((x) => expand(x, value)), workingDir: c.workingDir ?? '',
    envs: env, mounts: [...mounts, ...own], logPath: `${c.name}/${r.attempt}.log`, tty: c.tty ?? false, stdin: c.stdin ?? false, stdinOnce: c.stdinOnce ?? false,
    labels: { 'io.kubernetes.container.name': c.name, 'io.kubernetes.pod.name': pod.metadata.name, 'io.kubernetes.pod.namespace': pod.metadata.namespace, 'io.kubernetes.pod.uid': pod.metadata.uid },
    annotations: { 'io.kubernetes.container.restartCount': String(r.restarts), 'io.kubernetes.container.terminationMessagePath': c.terminationMessagePath ?? '/dev/termination-log' },
    linux: { resources: resourcesOf(pod, c, w.k.memory), securityContext: securityOf(w, c) },
  };
}

/** The start itself, then postStart; what fails is an end of the container like any other. */
function* begin(w: Work, r: Runner, again: boolean): Call<boolean> {
  const { pod } = w.held;
  const begun = yield* cri('StartContainer', { containerId: r.id });
  if (again) r.restarts++;
  if (refused(begun)) {
    const now = yield* wallclock();
    r.ended = yield* monotonic();
    r.state = { terminated: { containerID: `containerd://${r.id}`, exitCode: 128, finishedAt: now, message: begun.error, reason: 'StartError', startedAt: '1970-01-01T00:00:00Z' } };
    yield* say(w.k, pod, 'Warning', 'Failed', `Error: ${begun.error}`, fieldOf(r));
    if (w.held.pod.spec.restartPolicy !== 'Never' || r.sidecar) {
      r.last = r.state;
      r.state = { waiting: { reason: 'RunContainerError', message: begun.error } };
    }
    r.notBefore = r.ended + SECOND;
    return false;
  }
  r.started = yield* monotonic();
  r.relist = w.k.relist + 1;
  r.state = { running: { startedAt: yield* wallclock() } };
  yield* say(w.k, pod, 'Normal', 'Started', `Started container ${r.spec.name}`, fieldOf(r));
  const hook = r.spec.lifecycle?.postStart;
  const wrong = hook ? yield* runHook(w, r, hook) : null;
  if (wrong !== null) {
    yield* say(w.k, pod, 'Warning', 'FailedPostStartHook', 'PostStartHook failed', fieldOf(r));
    yield* endContainer(w, r, 'FailedPostStartHook', undefined);
    return false;
  }
  if (r.role !== 'ephemeral') r.health = yield* beginProbes(w.k, pod, r.spec, r.id!, w.ip);
  return true;
}

/** preStop, the signal, the grace, SIGKILL. `message` is what the event says; seconds of `grace` default to the pod's. */
export function* endContainer(w: Work, r: Runner, message: string, grace: number | undefined): Call<void> {
  const { pod } = w.held;
  if (r.id === null || !r.state.running) return;
  if (r.health) r.health.over = true;
  let left = grace ?? pod.spec.terminationGracePeriodSeconds ?? 30;
  yield* say(w.k, pod, 'Normal', 'Killing', message, fieldOf(r));
  const hook = r.spec.lifecycle?.preStop;
  if (hook && left > 0) {
    const from = yield* monotonic();
    const wrong = yield* runHook(w, r, hook, left);
    if (wrong !== null) yield* say(w.k, pod, 'Warning', 'FailedPreStopHook', 'PreStopHook failed', fieldOf(r));
    left = Math.max(2, left - Math.floor(((yield* monotonic()) - from) / SECOND));
  }
  yield* cri('StopContainer', { containerId: r.id, timeout: String(left) });
  yield* readEnd(w, r);
}
