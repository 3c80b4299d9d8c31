/** Pod sandboxes: the pause container, the namespaces it holds, the pod's files. Source: containerd pkg/cri/server/sandbox_*.go. */
import { MNT_DETACH, MS_NODEV, MS_NOEXEC, MS_NOSUID, SIG } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { nowNs } from '../../lib/clock.ts';
import { attempt, mkdirAll, tryRead, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { Refusal } from '../containerd/api.ts';
import { journal } from '../containerd/log.ts';
import { taskCall } from '../containerd/tasks.ts';
import { removeContainer, stopNow } from './container.ts';
import { lookUp, pull } from './images.ts';
import { connectPod, disconnectPod, dropNetns, makeNetns } from './network.ts';
import { discard, prepare } from './snapshots.ts';
import { cgroupOf, sandboxSpec } from './spec.ts';
import { type Cri, CriError, findSandbox, forgetFiles, type Message, NAMESPACE, newId, ROOT, type Sandbox, SANDBOX_IMAGE, sandboxOf, saveSandbox, STATE } from './state.ts';

const NO_STREAMS = { stdin: '', stdout: '', stderr: '', terminal: false };

export function* runSandbox(cri: Cri, r: Message): Call<Message> {
  const config = r.config ?? {};
  const { metadata = {} } = config;
  const name = [metadata.name, metadata.namespace, metadata.uid, metadata.attempt ?? 0].join('_');
  for (const other of cri.sandboxes.values()) {
    const m = other.config.metadata ?? {};
    if ([m.name, m.namespace, m.uid, m.attempt ?? 0].join('_') === name) throw new CriError('Unknown', `failed to reserve sandbox name "${name}": name "${name}" is reserved for "${other.id}"`);
  }
  const id = yield* newId(cri, `sandbox ${name}`);
  yield* journal('info', `RunPodSandbox for &PodSandboxMetadata{Name:${metadata.name},Uid:${metadata.uid},Namespace:${metadata.namespace},Attempt:${metadata.attempt ?? 0},}`);
  const s: Sandbox = { id, config, createdAt: yield* nowNs(), pid: 0, netns: '', ip: '', ready: false };
  cri.sandboxes.set(id, s);
  try {
    yield* bringUp(cri, s);
  } catch (error) {
    if (!(error instanceof CriError) && !(error instanceof Refusal)) throw error;
    yield* tearDown(cri, s);
    cri.sandboxes.delete(id);
    yield* journal('error', `RunPodSandbox for &PodSandboxMetadata{Name:${metadata.name},} failed, error`, { error: error.message });
    throw error instanceof CriError ? error : new CriError('Unknown', `failed to create containerd task: ${error.message}`);
  }
  yield* saveSandbox(s);
  yield* journal('info', `RunPodSandbox for &PodSandboxMetadata{Name:${metadata.name},Uid:${metadata.uid},Namespace:${metadata.namespace},Attempt:${metadata.attempt ?? 0},} returns sandbox id ${JSON.stringify(id)}`);
  return { podSandboxId: id };
}

function* bringUp(cri: Cri, s: Sandbox): Call<void> {
  const { config, id } = s;
  let image = lookUp(cri, SANDBOX_IMAGE);
  if (!image) {
    try {
      image = yield* pull(cri, SANDBOX_IMAGE);
    } catch (error) {
      if (!(error instanceof CriError)) throw error;
      throw new CriError(error.code, `failed to get sandbox image "${SANDBOX_IMAGE}": failed to pull image "${SANDBOX_IMAGE}": ${error.message}`);
    }
  }
  if (config.linux?.securityContext?.namespaceOptions?.network !== 'NODE') {
    s.netns = yield* makeNetns(id);
    s.ip = yield* connectPod(s);
  }
  yield* podFiles(s);
  const spec = yield* sandboxSpec({ id, image: image.config, chain: image.chain }, config, s.netns);
  const rootfs = [yield* prepare(id, image.chain)];
  const { systemd } = cgroupOf(config.linux?.cgroupParent ?? '', id);
  s.pid = (yield* taskCall(cri.d, NAMESPACE, 'Create', { ...NO_STREAMS, containerId: id, spec, rootfs, options: { systemdCgroup: systemd } })).pid;
  yield* taskCall(cri.d, NAMESPACE, 'Start', { containerId: id });
  s.ready = true;
}

/** hostname, hosts, resolv.conf, and the shared memory of the pod. */
function* podFiles(s: Sandbox): Call<void> {
  const dir = `${ROOT}/sandboxes/${s.id}`;
  const { nodename } = yield* sys('uname');
  const hostname = s.netns === '' ? nodename : (s.config.hostname || nodename);
  yield* mkdirAll(dir);
  yield* writeFile(`${dir}/hostname`, `${hostname}\n`);
  const hosts = s.netns === '' ? ((yield* tryRead('/etc/hosts')) ?? '') : `# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n${s.ip}\t${hostname}\n`;
  yield* writeFile(`${dir}/hosts`, hosts);
  yield* writeFile(`${dir}/resolv.conf`, resolver(s.config.dnsConfig) || ((yield* tryRead('/etc/resolv.conf')) ?? ''));
  const shm = `${STATE}/sandboxes/${s.id}/shm`;
  yield* mkdirAll(shm);
  yield* attempt(sys('mount', 'shm', shm, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, 'mode=1777,size=65536k'), 0);
}

/** resolv.conf of the interface's DNS configuration; '' without one. */
function resolver(dns: Message): string {
  const line = (word: string, list: readonly string[]): string => (list.length > 0 ? `${word} ${list.join(' ')}\n` : '');
  return line('search', dns?.searches ?? []) + (dns?.servers ?? []).map((server: string) => `nameserver ${server}\n`).join('') + line('options', dns?.options ?? []);
}

/** Whatever has been made, in reverse; what is not there is passed over. */
function* tearDown(cri: Cri, s: Sandbox): Call<void> {
  yield* endTask(cri, s.id);
  s.ready = false;
  if (s.netns !== '') {
    yield* disconnectPod(s);
    yield* dropNetns(s.netns);
  }
  yield* attempt(sys('umount2', `${STATE}/sandboxes/${s.id}/shm`, MNT_DETACH), 0);
  yield* discard(s.id);
  yield* forgetFiles('sandboxes', s.id);
}

function* endTask(cri: Cri, id: string): Call<void> {
  try {
    yield* attemptKill(cri, id);
    yield* taskCall(cri.d, NAMESPACE, 'Wait', { containerId: id });
    yield* taskCall(cri.d, NAMESPACE, 'Delete', { containerId: id });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}

function* attemptKill(cri: Cri, id: string): Call<void> {
  try {
    yield* taskCall(cri.d, NAMESPACE, 'Kill', { containerId: id, signal: SIG.KILL, all: true });
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'NOT_FOUND') throw error;
  }
}

export function* stopSandbox(cri: Cri, r: Message): Call<Message> {
  const s = findSandbox(cri, r.podSandboxId);
  if (!s) return {};
  for (const c of [...cri.containers.values()]) if (c.sandboxId === s.id) yield* stopNow(cri, c);
  yield* endTask(cri, s.id);
  if (s.netns !== '') {
    yield* disconnectPod(s);
    yield* dropNetns(s.netns);
  }
  yield* attempt(sys('umount2', `${STATE}/sandboxes/${s.id}/shm`, MNT_DETACH), 0);
  s.ready = false;
  yield* saveSandbox(s);
  yield* journal('info', `StopPodSandbox for ${JSON.stringify(s.id)} returns successfully`);
  return {};
}

export function* removeSandbox(cri: Cri, r: Message): Call<Message> {
  const s = findSandbox(cri, r.podSandboxId);
  if (!s) return {};
  if (s.ready) yield* stopSandbox(cri, { podSandboxId: s.id });
  for (const c of [...cri.containers.values()]) if (c.sandboxId === s.id) yield* removeContainer(cri, { containerId: c.id });
  yield* discard(s.id);
  yield* forgetFiles('sandboxes', s.id);
  cri.sandboxes.delete(s.id);
  yield* journal('info', `RemovePodSandbox ${JSON.stringify(s.id)} returns successfully`);
  return {};
}

const shown = (s: Sandbox): Message => ({
  id: s.id, metadata: s.config.metadata, state: s.ready ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY', createdAt: String(s.createdAt), labels: s.config.labels ?? {}, annotations: s.config.annotations ?? {}, runtimeHandler: '',
});

// biome-ignore lint/correctness/useYield: the type of a method
export function* sandboxStatus(cri: Cri, r: Message): Call<Message> {
  const s = sandboxOf(cri, r.podSandboxId);
  const status = { ...shown(s), network: { ip: s.ip }, linux: { namespaces: { options: s.config.linux?.securityContext?.namespaceOptions ?? {} } } };
  return { status, ...(r.verbose ? { info: { info: JSON.stringify({ pid: s.pid, config: s.config, netNsClosed: !s.ready }) } } : {}) };
}

// biome-ignore lint/correctness/useYield: the type of a method
export function* listSandboxes(cri: Cri, r: Message): Call<Message> {
  const { id, state, labelSelector } = r.filter ?? {};
  const items = [...cri.sandboxes.values()]
    .filter((s) => (!id || s.id.startsWith(id)) && (!state?.state || (state.state === 'SANDBOX_READY') === s.ready) && Object.entries(labelSelector ?? {}).every(([k, v]) => s.config.labels?.[k] === v))
    .map(shown).sort((a, b) => Number(a.createdAt) - Number(b.createdAt));
  return { items };
}
