/**
 * The container runtime interface v1, as the kubelet and crictl call it: a row a method. Left out: PortForward,
 * CheckpointContainer, events as a stream, image file systems by name.
 */
import { SysError } from '../../../kernel/abi.ts';
import { nowNs } from '../../lib/clock.ts';
import { treeSize } from '../../lib/files.ts';
import { type Call, type Exchange, reply } from '../../lib/http.ts';
import { Refusal } from '../containerd/api.ts';
import type { Daemon } from '../containerd/daemon.ts';
import { CONTAINERD } from '../store.ts';
import { containerStatus, createContainer, listContainers, onEvent, removeContainer, reopenLog, startContainer, stopContainer, updateResources } from './container.ts';
import { execSync, prepareAttach, prepareExec } from './exec.ts';
import { imageStatus, listImages, pullImage, removeImage } from './images.ts';
import { networkConf } from './network.ts';
import { listSandboxes, removeSandbox, runSandbox, sandboxStatus, stopSandbox } from './sandbox.ts';
import { type Cri, CriError, loadAll, type Message, NAMESPACE, saveContainer, stateOf } from './state.ts';
import { containerStats, listPodStats, listStats } from './stats.ts';

const METHODS: Readonly<Record<string, (cri: Cri, r: Message) => Call<Message>>> = {
  Version: version, Status: status, RunPodSandbox: runSandbox, StopPodSandbox: stopSandbox, RemovePodSandbox: removeSandbox, PodSandboxStatus: sandboxStatus, ListPodSandbox: listSandboxes,
  CreateContainer: createContainer, StartContainer: startContainer, StopContainer: stopContainer, RemoveContainer: removeContainer, ListContainers: listContainers,
  ContainerStatus: containerStatus, UpdateContainerResources: updateResources, ExecSync: execSync, Exec: prepareExec, Attach: prepareAttach, ReopenContainerLog: reopenLog, ContainerStats: containerStats, ListContainerStats: listStats, ListPodSandboxStats: listPodStats,
  ListImages: listImages, ImageStatus: imageStatus, PullImage: pullImage, RemoveImage: removeImage, ImageFsInfo: imageFsInfo,
};

/** Whose callers show the description alone, without "rpc error: code = …". */
const BARE: ReadonlySet<string> = new Set(['CreateContainer', 'StartContainer']);

/** Takes up what was there before, and what has ended meanwhile. */
export function* createCri(d: Daemon): Call<Cri> {
  const cri = yield* loadAll(d);
  for (const c of cri.containers.values()) {
    if (stateOf(c) !== 'CONTAINER_RUNNING' || d.tasks.has(`${NAMESPACE}/${c.id}`)) continue;
    c.finishedAt = yield* nowNs();
    c.exitCode = 255;
    c.reason = 'Unknown';
    yield* saveContainer(c);
  }
  for (const s of cri.sandboxes.values()) s.ready = s.ready && d.tasks.has(`${NAMESPACE}/${s.id}`);
  d.listeners.push((e) => onEvent(cri, e));
  return cri;
}

export function* criCall(cri: Cri, method: string, exchange: Exchange): Call<void> {
  const run = METHODS[method];
  try {
    if (!run) throw new CriError('Unimplemented', `unknown method ${method} for service runtime.v1.RuntimeService`);
    yield* reply(exchange, 200, yield* run(cri, JSON.parse(exchange.body === '' ? '{}' : exchange.body)));
  } catch (error) {
    const code = error instanceof CriError ? error.code : error instanceof SyntaxError ? 'InvalidArgument' : 'Unknown';
    if (!(error instanceof CriError) && !(error instanceof Refusal) && !(error instanceof SysError) && !(error instanceof SyntaxError)) throw error;
    const text = error instanceof SysError ? error.message.toLowerCase() : error.message;
    yield* reply(exchange, code === 'NotFound' ? 404 : 500, { code, message: BARE.has(method) ? text : `rpc error: code = ${code} desc = ${text}` });
  }
}

// biome-ignore lint/correctness/useYield: the type of a method
function* version(): Call<Message> {
  return { version: '0.1.0', runtimeName: 'containerd', runtimeVersion: '1.7.24', runtimeApiVersion: 'v1' };
}

function* status(_cri: Cri, r: Message): Call<Message> {
  const network = yield* networkConf();
  const condition = (type: string, good: boolean, reason = '', message = ''): Message => ({ type, status: good, reason, message });
  return {
    status: {
      conditions: [
        condition('RuntimeReady', true),
        network ? condition('NetworkReady', true) : condition('NetworkReady', false, 'NetworkPluginNotReady', 'Network plugin returns error: cni plugin not initialized'),
      ],
    },
    ...(r.verbose ? { info: { config: JSON.stringify({ containerd: { snapshotter: 'overlayfs', defaultRuntimeName: 'runc' }, cni: { binDir: '/opt/cni/bin', confDir: '/etc/cni/net.d' } }), golang: '"go1.24.4"' } } : {}),
  };
}

function* imageFsInfo(): Call<Message> {
  const usedBytes = yield* treeSize(CONTAINERD.layers);
  const now = yield* nowNs();
  return { imageFilesystems: [{ timestamp: String(now), fsId: { mountpoint: CONTAINERD.layers.replace(/\/snapshots$/, '') }, usedBytes: { value: String(usedBytes) } }] };
}
