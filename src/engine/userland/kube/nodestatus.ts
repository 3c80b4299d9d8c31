/** What a node says of itself: capacity, what is left of it for pods, conditions, images; its lease. Source: pkg/kubelet/nodestatus, kubelet_node_status.go 1.32. */
import { type Condition, type Json, same } from '../../cluster/types/objects.ts';
import { rfc3339 } from '../../cluster/types/time.ts';
import { milliOf, wholeOf } from '../../cluster/types/quantity.ts';
import { sys } from '../../kernel/sys.ts';
import { SECOND } from '../../sim/units.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { api, slurp } from './api.ts';
import { cri, refused } from './cri.ts';
import { type Kubelet, say, wallclock } from './node.ts';

export const VERSION = 'v1.32.4';

/** A threshold in bytes: "100Mi", or a share of the whole. */
export const thresholdOf = (text: string | undefined, whole: number): number => (text === undefined ? 0 : text.endsWith('%') ? Math.floor((whole * Number(text.slice(0, -1))) / 100) : wholeOf(text));

const reserved = (k: Kubelet, resource: string): number => [k.config.kubeReserved, k.config.systemReserved].reduce((n, r) => n + (resource === 'cpu' ? milliOf(r.cpu) : wholeOf(r[resource])), 0);

/** Measures the machine once: bytes of memory and disk, processors, and what pods may have. */
export function* measure(k: Kubelet): Call<void> {
  k.memory = (yield* sys('sysinfo')).totalram;
  k.cpus = Math.max(1, (((yield* slurp('/proc/cpuinfo')) ?? '').match(/^processor\s*:/gm) ?? []).length);
  const disk = yield* attempt(sys('statfs', '/var/lib/kubelet'), null);
  k.disk = disk ? disk.blocks * disk.bsize : 20 * 1024 ** 3;
  k.allocatable = k.memory - reserved(k, 'memory') - thresholdOf(k.config.evictionHard['memory.available'], k.memory);
}

const PRESSURES: Readonly<Record<string, [bad: string, good: string, badWords: string, goodWords: string]>> = {
  MemoryPressure: ['KubeletHasInsufficientMemory', 'KubeletHasSufficientMemory', 'kubelet has insufficient memory available', 'kubelet has sufficient memory available'],
  DiskPressure: ['KubeletHasDiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has disk pressure', 'kubelet has no disk pressure'],
  PIDPressure: ['KubeletHasInsufficientPID', 'KubeletHasSufficientPID', 'kubelet has insufficient PID available', 'kubelet has sufficient PID available'],
};

/** Ready, or why not. */
function* readiness(k: Kubelet): Call<[boolean, string]> {
  const problems: string[] = [];
  if (!k.runtimeUp) problems.push('container runtime is down');
  const status = k.runtimeUp ? yield* cri('Status', {}) : null;
  const network = status && !refused(status) ? ((status.status?.conditions ?? []) as Json[]).find((c) => c.type === 'NetworkReady') : null;
  if (network && network.status === false) problems.push(`container runtime network not ready: NetworkReady=false reason:${network.reason} message:${network.message}`);
  return [problems.length === 0, problems.length === 1 ? problems[0]! : `[${problems.join(', ')}]`];
}

function* conditionsOf(k: Kubelet, before: readonly Condition[]): Call<Condition[]> {
  const now = yield* wallclock();
  const condition = (type: string, good: boolean, reason: string, message: string): Condition => {
    const status = good ? 'True' : 'False';
    const old = before.find((c) => c.type === type);
    return { type, status, lastHeartbeatTime: now, lastTransitionTime: old?.status === status ? (old.lastTransitionTime ?? now) : now, reason, message };
  };
  const [ready, why] = yield* readiness(k);
  return [
    ...Object.entries(PRESSURES).map(([type, [bad, good, badWords, goodWords]]) => (k.pressure.has(type) ? condition(type, true, bad, badWords) : condition(type, false, good, goodWords))),
    ready ? condition('Ready', true, 'KubeletReady', 'kubelet is posting ready status') : condition('Ready', false, 'KubeletNotReady', why),
  ];
}

/** "docker.io/library/nginx:latest" is what people call nginx:latest; the scheduler compares what manifests say. */
const shortName = (tag: string): string => tag.replace(/^docker\.io\/library\//, '');

function* idOf(path: string): Call<string> {
  return ((yield* slurp(path)) ?? '').trim();
}

export function* nodeStatus(k: Kubelet, before: readonly Condition[]): Call<Json> {
  const u = yield* sys('uname');
  const release = /PRETTY_NAME="(.*)"/.exec((yield* slurp('/etc/os-release')) ?? '')?.[1] ?? 'Linux';
  const version = yield* cri('Version', {});
  const up = !refused(version);
  const kib = Math.floor(k.memory / 1024);
  const disk = Math.floor(k.disk / 1024);
  const images = yield* cri('ListImages', {});
  const listed: Json[] = refused(images) ? [] : (images.images ?? []).map((i: Json) => ({ names: [...(i.repoDigests ?? []), ...(i.repoTags ?? []).map(shortName)], sizeBytes: Number(i.size ?? 0) }));
  const pods = String(k.config.maxPods);
  const huge = { 'hugepages-1Gi': '0', 'hugepages-2Mi': '0' };
  return {
    addresses: [{ type: 'InternalIP', address: k.ip }, { type: 'Hostname', address: k.node }],
    capacity: { cpu: String(k.cpus), 'ephemeral-storage': `${disk}Ki`, ...huge, memory: `${kib}Ki`, pods },
    allocatable: {
      cpu: cpuText(k.cpus * 1000 - reserved(k, 'cpu')), 'ephemeral-storage': String(Math.floor(k.disk - thresholdOf(k.config.evictionHard['nodefs.available'], k.disk) - reserved(k, 'ephemeral-storage'))), ...huge, memory: `${Math.floor(k.allocatable / 1024)}Ki`, pods,
    },
    conditions: yield* conditionsOf(k, before),
    nodeInfo: {
      architecture: 'amd64', bootID: yield* idOf('/proc/sys/kernel/random/boot_id'), containerRuntimeVersion: up ? `${version.runtimeName ?? 'containerd'}://${String(version.runtimeVersion ?? '1.7.24').replace(/^v/, '')}` : 'containerd://unknown',
      kernelVersion: u.release, kubeProxyVersion: '', kubeletVersion: VERSION, machineID: yield* idOf('/etc/machine-id'), operatingSystem: 'linux', osImage: release, systemUUID: yield* idOf('/etc/machine-id'),
    },
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    images: listed.sort((a, b) => b.sizeBytes - a.sizeBytes).slice(0, 50),
  };
}

const cpuText = (milli: number): string => (milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`);

const about = (k: Kubelet): Json => ({ kind: 'Node', metadata: { name: k.node, uid: k.node } });

/** Events of conditions that have turned. */
function* sayTurns(k: Kubelet, before: readonly Condition[], after: readonly Condition[]): Call<void> {
  for (const c of after) {
    const old = before.find((x) => x.type === c.type);
    if (!old || old.status === c.status) continue;
    const word = c.type === 'Ready' ? (c.status === 'True' ? 'NodeReady' : 'NodeNotReady') : `NodeHas${c.status === 'True' ? (c.type === 'DiskPressure' ? 'DiskPressure' : `Insufficient${c.type.replace('Pressure', '')}`) : c.type === 'DiskPressure' ? 'NoDiskPressure' : `Sufficient${c.type.replace('Pressure', '')}`}`;
    yield* say(k, about(k), 'Normal', word, `Node ${k.node} status is now: ${word}`);
  }
}

/** Creates the Node, or takes the one that is there; until it works. */
export function* register(k: Kubelet): Call<void> {
  for (;;) {
    const there = yield* api(k.server, 'GET', `/api/v1/nodes/${k.node}`);
    if (there && there.status < 400) {
      const before: Condition[] = there.body.status?.conditions ?? [];
      yield* api(k.server, 'PATCH', `/api/v1/nodes/${k.node}/status`, { status: yield* nodeStatus(k, before) }, 'merge');
      break;
    }
    const body = {
      apiVersion: 'v1', kind: 'Node',
      metadata: {
        name: k.node,
        labels: { 'beta.kubernetes.io/arch': 'amd64', 'beta.kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64', 'kubernetes.io/hostname': k.node, 'kubernetes.io/os': 'linux' },
        annotations: { 'node.alpha.kubernetes.io/ttl': '0', 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
      },
      spec: {}, status: yield* nodeStatus(k, []),
    };
    const made = yield* api(k.server, 'POST', '/api/v1/nodes', body);
    if (made && made.status < 400) break;
    yield* sys('nanosleep', SECOND);
  }
  yield* say(k, about(k), 'Normal', 'Starting', 'Starting kubelet.');
  yield* renew(k);
}

/** Renews the lease; whether the API server answered. */
export function* renew(k: Kubelet): Call<boolean> {
  const t = yield* sys('clock_gettime', 'realtime');
  const renewTime = rfc3339(t / 1e9).replace('Z', `.${String(Math.floor((t / 1000) % 1e6)).padStart(6, '0')}Z`);
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  const spec = { holderIdentity: k.node, leaseDurationSeconds: 40, renewTime };
  const answer = yield* api(k.server, 'PATCH', `${path}/${k.node}`, { spec }, 'merge');
  if (answer?.status === 404) yield* api(k.server, 'POST', path, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: k.node, namespace: 'kube-node-lease' }, spec });
  return answer !== null && answer.status < 500;
}

/** Every 10 s: the lease; the status when it has changed or five minutes have gone by. */
export function* heartbeat(k: Kubelet): Call<never> {
  let told: Json = null;
  let at = 0;
  for (;;) {
    yield* sys('nanosleep', 10 * SECOND);
    k.beating = yield* sys('clock_gettime', 'monotonic');
    yield* renew(k);
    k.beating = 0;
    const there = yield* api(k.server, 'GET', `/api/v1/nodes/${k.node}`);
    if (there?.status === 404) yield* register(k);
    if (!there || there.status >= 400) continue;
    const before: Condition[] = there.body.status?.conditions ?? [];
    const next = yield* nodeStatus(k, before);
    const now = yield* sys('clock_gettime', 'monotonic');
    const bare = { ...next, conditions: next.conditions.map((c: Condition) => ({ ...c, lastHeartbeatTime: null })) };
    const unlike = before.some((c) => !next.conditions.some((n: Condition) => n.type === c.type && n.status === c.status));
    if (told !== null && same(bare, told) && !unlike && now - at < 300 * SECOND) continue;
    const answer = yield* api(k.server, 'PATCH', `/api/v1/nodes/${k.node}/status`, { status: next }, 'merge');
    if (!answer || answer.status >= 400) continue;
    yield* sayTurns(k, before, next.conditions);
    told = bare;
    at = now;
  }
}
