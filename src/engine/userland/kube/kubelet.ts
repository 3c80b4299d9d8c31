/**
 * The kubelet: registers its machine as a Node, renews its lease every 10 s, watches the pods bound to it and gives each a
 * worker (`podworker.ts`) that keeps it as its spec says, through CRI. Serves logs and exec on port 10250.
 * Left out: static pods, pressure eviction, device plugins, image garbage collection, certificates.
 */
import type { Json, Pod } from '../../cluster/types/objects.ts';
import { rfc3339 } from '../../cluster/types/time.ts';
import { SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { bytes } from '../../sim/text.ts';
import { type Call, open, serve, thread } from '../lib/http.ts';
import { api, serverOf, slurp } from './api.ts';
import { cri, refused } from './cri.ts';
import { answerKubelet } from './nodeserver.ts';
import { type Held, type Kubelet, say, wallclock } from './node.ts';
import { runPod } from './podworker.ts';

const SECOND = 1_000_000_000;
export const VERSION = 'v1.32.4';

export function* kubelet(argv: readonly string[]): Body {
  const at = argv.find((a) => a.startsWith('--kubeconfig='))?.slice(13) ?? '/etc/kubernetes/kubelet.conf';
  const server = yield* serverOf(at);
  if (!server) {
    yield* sys('write', 2, bytes(`kubelet: failed to load kubeconfig ${at}: no server in it\n`));
    return 1;
  }
  const { nodename } = yield* sys('uname');
  const hosts = (yield* slurp('/etc/hosts')) ?? '';
  const ip = hosts.split('\n').map((l) => l.trim().split(/\s+/)).find((w) => w.slice(1).includes(nodename) && !w[0]!.startsWith('127.'))?.[0] ?? '127.0.0.1';
  const k: Kubelet = { node: nodename, ip, server, memory: (yield* sys('sysinfo')).totalram, pods: new Map(), events: new Map(), counter: 0 };
  yield* waitForRuntime();
  yield* register(k);
  yield* thread(() => heartbeat(k));
  yield* thread(function* (): Body {
    yield* serve({ family: 'inet', address: '0.0.0.0', port: 10250 }, (exchange) => answerKubelet(k, exchange));
  });
  for (;;) {
    yield* watchPods(k);
    yield* sys('nanosleep', SECOND);
  }
}

/** Containerd may come up later than the kubelet. */
function* waitForRuntime(): Call<void> {
  for (let i = 0; i < 60; i++) {
    if (!refused(yield* cri('Version', {}))) return;
    yield* sys('nanosleep', SECOND / 2);
  }
}

function* nodeStatus(k: Kubelet): Call<Json> {
  const now = yield* wallclock();
  const u = yield* sys('uname');
  const cpuinfo = (yield* slurp('/proc/cpuinfo')) ?? '';
  const cpus = Math.max(1, (cpuinfo.match(/^processor\s*:/gm) ?? []).length);
  const release = /PRETTY_NAME="(.*)"/.exec((yield* slurp('/etc/os-release')) ?? '')?.[1] ?? 'Linux';
  const condition = (type: string, status: string, reason: string, message: string): Json => ({ type, status, lastHeartbeatTime: now, lastTransitionTime: now, reason, message });
  const version = yield* cri('Version', {});
  const up = !refused(version);
  const kib = Math.floor(k.memory / 1024);
  const images = yield* cri('ListImages', {});
  return {
    addresses: [{ type: 'InternalIP', address: k.ip }, { type: 'Hostname', address: k.node }],
    capacity: { cpu: String(cpus), 'ephemeral-storage': '20Gi', memory: `${kib}Ki`, pods: '110' },
    allocatable: { cpu: String(cpus), 'ephemeral-storage': '18Gi', memory: `${kib - 100 * 1024}Ki`, pods: '110' },
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      up
        ? condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status')
        : condition('Ready', 'False', 'KubeletNotReady', 'container runtime is down'),
    ],
    nodeInfo: {
      architecture: 'amd64', bootID: '', containerRuntimeVersion: up ? `${version.runtimeName ?? 'containerd'}://${String(version.runtimeVersion ?? '1.7.24').replace(/^v/, '')}` : 'containerd://unknown',
      kernelVersion: u.release, kubeProxyVersion: '', kubeletVersion: VERSION, machineID: '', operatingSystem: 'linux', osImage: release, systemUUID: '',
    },
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    images: refused(images) ? [] : (images.images ?? []).map((i: Json) => ({ names: [...(i.repoDigests ?? []), ...(i.repoTags ?? []).map(shortName)], sizeBytes: Number(i.size ?? 0) })),
  };
}

/** "docker.io/library/nginx:latest" is what people call nginx:latest; the scheduler compares what manifests say. */
const shortName = (tag: string): string => tag.replace(/^docker\.io\/library\//, '');

function* register(k: Kubelet): Call<void> {
  for (;;) {
    const status = yield* nodeStatus(k);
    const body = {
      apiVersion: 'v1', kind: 'Node',
      metadata: {
        name: k.node,
        labels: { 'beta.kubernetes.io/arch': 'amd64', 'beta.kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64', 'kubernetes.io/hostname': k.node, 'kubernetes.io/os': 'linux' },
        annotations: { 'node.alpha.kubernetes.io/ttl': '0', 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
      },
      spec: {}, status,
    };
    const made = yield* api(k.server, 'POST', '/api/v1/nodes', body);
    if (made?.status === 409) yield* api(k.server, 'PATCH', `/api/v1/nodes/${k.node}/status`, { status }, 'merge');
    if (made && (made.status < 400 || made.status === 409)) break;
    yield* sys('nanosleep', SECOND);
  }
  yield* say(k, { kind: 'Node', metadata: { name: k.node, uid: k.node } }, 'Normal', 'Starting', 'Starting kubelet.');
  yield* renew(k);
}

function* renew(k: Kubelet): Call<boolean> {
  const t = yield* sys('clock_gettime', 'realtime');
  const renewTime = rfc3339(t / 1e9).replace('Z', `.${String(Math.floor((t / 1000) % 1e6)).padStart(6, '0')}Z`);
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  const spec = { holderIdentity: k.node, leaseDurationSeconds: 40, renewTime };
  const answer = yield* api(k.server, 'PATCH', `${path}/${k.node}`, { spec }, 'merge');
  if (answer?.status === 404) yield* api(k.server, 'POST', path, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: k.node, namespace: 'kube-node-lease' }, spec });
  return answer !== null;
}

function* heartbeat(k: Kubelet): Body {
  let lost = false;
  for (let beat = 1; ; beat++) {
    yield* sys('nanosleep', 10 * SECOND);
    const there = yield* renew(k);
    if (there && (lost || beat % 30 === 0)) {
      const answer = yield* api(k.server, 'PATCH', `/api/v1/nodes/${k.node}/status`, { status: yield* nodeStatus(k) }, 'merge');
      if (answer?.status === 404) yield* register(k);
    }
    lost = !there;
  }
}

/** One list and the watch that follows; returns when the connection ends. */
function* watchPods(k: Kubelet): Call<void> {
  const mine = `fieldSelector=spec.nodeName%3D${k.node}`;
  const listed = yield* api(k.server, 'GET', `/api/v1/pods?${mine}`);
  if (!listed || listed.status >= 400) return;
  const there = new Set<string>();
  for (const pod of listed.body.items as Pod[]) {
    there.add(pod.metadata.uid!);
    yield* see(k, pod, false);
  }
  for (const [uid, held] of k.pods) if (!there.has(uid)) held.gone = true;
  try {
    const stream = yield* open(k.server, { method: 'GET', path: `/api/v1/pods?${mine}&watch=true&resourceVersion=${listed.body.metadata.resourceVersion}`, headers: { 'User-Agent': 'kubelet/v1.32.4' } });
    let rest = '';
    for (;;) {
      const piece = yield* stream.readChunk();
      if (piece === null) break;
      rest += text(piece);
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === '') continue;
        const event = JSON.parse(line) as { type: string; object: Pod };
        yield* see(k, event.object, event.type === 'DELETED');
      }
    }
    yield* stream.close();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}

function* see(k: Kubelet, pod: Pod, gone: boolean): Call<void> {
  const uid = pod.metadata.uid!;
  const held = k.pods.get(uid);
  if (held) {
    held.pod = pod;
    if (gone) held.gone = true;
    return;
  }
  if (gone || pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') return;
  const fresh: Held = { pod, gone: false, ids: new Map(), logs: new Map() };
  k.pods.set(uid, fresh);
  yield* thread(function* (): Body {
    yield* runPod(k, fresh);
    k.pods.delete(uid);
  });
}
