/** Containers of pods: made, started, watched, stopped, removed. Source: containerd pkg/cri/server/container_*.go, events.go. */
import { SIG } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { MS, SECOND } from '../../../sim/units.ts';
import { nowNs, parseIso } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { thread } from '../../lib/http.ts';
import { type Envelope, Refusal } from '../containerd/api.ts';
import { journal } from '../containerd/log.ts';
import { taskCall } from '../containerd/tasks.ts';
import { fullReference, lookUp } from './images.ts';
import { dropFifos, logStreams, makeFifos, reopen } from './logs.ts';
import { discard, prepare } from './snapshots.ts';
import { cgroupOf, containerSpec, resourcesOf } from './spec.ts';
import { type Container, containerOf, type Cri, CriError, findContainer, forgetFiles, type Message, NAMESPACE, newId, sandboxOf, saveContainer, saveSandbox, stateOf } from './state.ts';

export function* createContainer(cri: Cri, r: Message): Call<Message> {
  const s = sandboxOf(cri, r.podSandboxId);
  const config = r.config ?? {};
  if (!s.ready) throw new CriError('Unknown', `sandbox container "${s.id}" is not running`);
  const reference = String(config.image?.image ?? '');
  const image = lookUp(cri, reference);
  if (!image) throw new CriError('NotFound', `failed to create containerd container: error unpacking image: image "${reference}": not found`);
  const { metadata = {} } = config;
  const name = [metadata.name, s.config.metadata?.name, s.config.metadata?.namespace, s.config.metadata?.uid, metadata.attempt ?? 0].join('_');
  const taken = [...cri.containers.values()].find((c) => c.sandboxId === s.id && c.config.metadata?.name === metadata.name && (c.config.metadata?.attempt ?? 0) === (metadata.attempt ?? 0));
  if (taken) throw new CriError('Unknown', `failed to reserve container name "${name}": name "${name}" is reserved for "${taken.id}"`);
  const id = yield* newId(cri, `container ${name}`);
  yield* containerSpec({ id, image: image.config, chain: image.chain }, config, s);
  const log = config.logPath ? `${s.config.logDirectory ?? ''}/${config.logPath}` : '';
  const c: Container = {
    id, sandboxId: s.id, config, image: reference, imageId: image.id, stopSignal: image.config.config.StopSignal ?? '', logPath: log, createdAt: yield* nowNs(), startedAt: 0, finishedAt: 0,
    pid: 0, exitCode: 0, reason: '', message: '', removing: false,
  };
  cri.containers.set(id, c);
  yield* saveContainer(c);
  yield* journal('info', `CreateContainer within sandbox ${JSON.stringify(s.id)} for &ContainerMetadata{Name:${metadata.name},Attempt:${metadata.attempt ?? 0},} returns container id ${JSON.stringify(id)}`);
  return { containerId: id };
}

export function* startContainer(cri: Cri, r: Message): Call<Message> {
  const c = containerOf(cri, r.containerId);
  if (stateOf(c) !== 'CONTAINER_CREATED') throw new CriError('Unknown', `failed to set starting state for container "${c.id}": container is in ${stateOf(c)} state`);
  const s = sandboxOf(cri, c.sandboxId);
  if (!s.ready) throw new CriError('Unknown', `sandbox container "${s.id}" is not running`);
  const image = cri.d.store.images.get(c.imageId);
  if (!image) throw new CriError('NotFound', `failed to get image "${c.imageId}": not found`);
  const streams = yield* makeFifos(c.id, c.id.slice(0, 12), { stdin: c.config.stdin === true, stderr: c.config.tty !== true });
  streams.terminal = c.config.tty === true;
  try {
    const target = cri.containers.get(String(c.config.linux?.securityContext?.namespaceOptions?.targetId ?? ''))?.pid ?? 0;
    const spec = yield* containerSpec({ id: c.id, image: image.config, chain: image.chain }, c.config, s, target);
    const rootfs = [yield* prepare(c.id, image.chain)];
    cri.taps.set(c.id, yield* logStreams(streams, c.logPath));
    const { systemd } = cgroupOf(s.config.linux?.cgroupParent ?? '', c.id);
    c.pid = (yield* taskCall(cri.d, NAMESPACE, 'Create', { ...streams, containerId: c.id, spec, rootfs, options: { systemdCgroup: systemd } })).pid;
    c.startedAt = yield* nowNs();
    yield* taskCall(cri.d, NAMESPACE, 'Start', { containerId: c.id });
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof CriError)) throw error;
    yield* dropFifos(streams);
    c.startedAt ||= yield* nowNs();
    c.finishedAt = yield* nowNs();
    c.exitCode = 128;
    c.reason = 'StartError';
    c.message = error instanceof CriError ? error.message : `failed to create containerd task: ${error.message}`;
    yield* saveContainer(c);
    yield* journal('error', `StartContainer for ${JSON.stringify(c.id)} failed`, { error: c.message });
    throw new CriError('Unknown', c.message);
  }
  yield* saveContainer(c);
  yield* journal('info', `StartContainer for ${JSON.stringify(c.id)} returns successfully`);
  return {};
}

/** What events of tasks mean for the interface. */
export function* onEvent(cri: Cri, e: Envelope): Call<void> {
  if (e.namespace !== NAMESPACE) return;
  const { containerId } = e.event;
  const c = cri.containers.get(containerId);
  if (e.topic === '/tasks/oom' && c) {
    c.reason = 'OOMKilled';
    yield* journal('info', 'TaskOOM event', { containerID: containerId });
  }
  if (e.topic !== '/tasks/exit' || e.event.id !== containerId) return;
  yield* journal('info', 'TaskExit event', { containerID: containerId, exitStatus: e.event.exitStatus ?? 0, pid: e.event.pid ?? 0 });
  const s = cri.sandboxes.get(containerId);
  if (s?.ready) {
    s.ready = false;
    yield* saveSandbox(s);
  }
  if (!c || c.finishedAt !== 0) return;
  c.exitCode = e.event.exitStatus ?? 0;
  c.finishedAt = parseIso(e.event.exitedAt ?? '') || (yield* nowNs());
  c.pid = 0;
  yield* thread(function* (): Body {
    yield* endTask(cri, c.id);
    yield* saveContainer(c);
    return 0;
  });
}

function* endTask(cri: Cri, id: string): Call<void> {
  try {
    yield* taskCall(cri.d, NAMESPACE, 'Delete', { containerId: id });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}

function* kill(cri: Cri, c: Container, signal: number): Call<void> {
  try {
    yield* taskCall(cri.d, NAMESPACE, 'Kill', { containerId: c.id, signal, all: signal === SIG.KILL });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}

function* waitEnd(c: Container, ns: number): Call<boolean> {
  const until = (yield* sys('clock_gettime', 'monotonic')) + ns;
  while (stateOf(c) === 'CONTAINER_RUNNING') {
    if ((yield* sys('clock_gettime', 'monotonic')) >= until) return false;
    yield* sys('nanosleep', 20 * MS);
  }
  return true;
}

export function* stopContainer(cri: Cri, r: Message): Call<Message> {
  const c = findContainer(cri, r.containerId);
  if (!c) return {};
  const timeout = Number(r.timeout ?? 0);
  if (stateOf(c) === 'CONTAINER_RUNNING' && timeout > 0) {
    const word = c.stopSignal.toUpperCase().replace(/^SIG/, '');
    const signal = /^\d+$/.test(word) ? Number(word) : ((SIG as Record<string, number>)[word] ?? SIG.TERM);
    yield* journal('info', `Stop container ${JSON.stringify(c.id)} with signal ${word === '' ? 'terminated' : word}`);
    yield* kill(cri, c, signal);
    yield* waitEnd(c, timeout * SECOND);
  }
  yield* stopNow(cri, c);
  return {};
}

export function* stopNow(cri: Cri, c: Container): Call<void> {
  if (stateOf(c) !== 'CONTAINER_RUNNING') return;
  yield* kill(cri, c, SIG.KILL);
  if (yield* waitEnd(c, 10 * SECOND)) return;
  c.finishedAt = yield* nowNs();
  c.exitCode = 255;
  c.reason = 'Unknown';
}

export function* removeContainer(cri: Cri, r: Message): Call<Message> {
  const c = findContainer(cri, r.containerId);
  if (!c) return {};
  yield* stopNow(cri, c);
  for (let tries = 0; tries < 100 && cri.d.tasks.has(`${NAMESPACE}/${c.id}`) && c.startedAt !== 0; tries++) yield* sys('nanosleep', 10 * MS);
  yield* endTask(cri, c.id);
  yield* discard(c.id);
  yield* forgetFiles('containers', c.id);
  cri.containers.delete(c.id);
  cri.taps.delete(c.id);
  yield* journal('info', `RemoveContainer for ${JSON.stringify(c.id)} returns successfully`);
  return {};
}

const shown = (c: Container): Message => ({
  id: c.id, podSandboxId: c.sandboxId, metadata: c.config.metadata, image: { image: c.imageId }, imageRef: c.imageId, imageId: c.imageId, state: stateOf(c), createdAt: String(c.createdAt),
  labels: c.config.labels ?? {}, annotations: c.config.annotations ?? {},
});

// biome-ignore lint/correctness/useYield: the type of a method
export function* containerStatus(cri: Cri, r: Message): Call<Message> {
  const c = containerOf(cri, r.containerId);
  const ended = stateOf(c) === 'CONTAINER_EXITED';
  const { podSandboxId: _, ...base } = shown(c);
  const named = cri.d.store.images.get(c.imageId)?.tags[0];
  const status = {
    ...base, image: { image: named ? fullReference(named) : c.imageId }, startedAt: String(c.startedAt), finishedAt: String(c.finishedAt), exitCode: c.exitCode, reason: ended ? c.reason || (c.exitCode === 0 ? 'Completed' : 'Error') : '', message: c.message,
    mounts: (c.config.mounts ?? []).map((m: Message) => ({ containerPath: m.containerPath, hostPath: m.hostPath, readonly: m.readonly ?? false })), logPath: c.logPath,
    resources: { linux: c.config.linux?.resources ?? {} },
  };
  return { status, ...(r.verbose ? { info: { info: JSON.stringify({ sandboxID: c.sandboxId, pid: c.pid, removing: c.removing, snapshotKey: c.id, snapshotter: 'overlayfs', config: c.config }) } } : {}) };
}

// biome-ignore lint/correctness/useYield: the type of a method
export function* listContainers(cri: Cri, r: Message): Call<Message> {
  const { id, state, podSandboxId, labelSelector } = r.filter ?? {};
  const containers = [...cri.containers.values()]
    .filter((c) => (!id || c.id.startsWith(id)) && (!state?.state || state.state === stateOf(c)) && (!podSandboxId || c.sandboxId.startsWith(podSandboxId)))
    .filter((c) => Object.entries(labelSelector ?? {}).every(([k, v]) => c.config.labels?.[k] === v))
    .map(shown).sort((a, b) => Number(a.createdAt) - Number(b.createdAt));
  return { containers };
}

export function* updateResources(cri: Cri, r: Message): Call<Message> {
  const c = containerOf(cri, r.containerId);
  c.config = { ...c.config, linux: { ...c.config.linux, resources: { ...c.config.linux?.resources, ...r.linux } } };
  if (stateOf(c) === 'CONTAINER_RUNNING') yield* taskCall(cri.d, NAMESPACE, 'Update', { containerId: c.id, resources: resourcesOf(r.linux) });
  yield* saveContainer(c);
  return {};
}

export function* reopenLog(cri: Cri, r: Message): Call<Message> {
  const c = containerOf(cri, r.containerId);
  if (stateOf(c) !== 'CONTAINER_RUNNING') throw new CriError('Unknown', 'container is not running');
  const tap = cri.taps.get(c.id);
  if (tap) yield* reopen(tap);
  return {};
}
