/**
 * The kubelet: registers its machine as a Node, renews its lease every 10 s, watches the pods bound to it and those of its
 * manifests, and gives each a worker (`podworker.ts`) that keeps it as its spec says, through CRI. Once a second it asks the runtime
 * what has changed (PLEG). Serves logs, exec, attach, ports and figures on port 10250.
 * Source: cmd/kubelet, pkg/kubelet/kubelet.go 1.32. Left out: device plugins, certificates, cgroup v1, checkpoints.
 */
import type { Pod } from '../../cluster/types/objects.ts';
import { SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { SECOND } from '../../sim/units.ts';
import { attempt, mkdirAll, writeFile } from '../lib/files.ts';
import { type Call, open, serve, thread } from '../lib/http.ts';
import { api, serverOf, slurp } from './api.ts';
import { readConfig } from './config.ts';
import { cri, refused } from './cri.ts';
import { evictor } from './eviction.ts';
import { housekeeping } from './housekeeping.ts';
import { answerKubelet } from './nodeserver.ts';
import type { Held, Kubelet } from './node.ts';
import { heartbeat, measure, register, VERSION } from './nodestatus.ts';
import { runPod } from './podworker.ts';
import { writeNodeCgroups } from './qos.ts';
import { followManifests } from './staticpods.ts';
import { tellFigures } from './summary.ts';
import { watchPlugins } from './volumes/plugins.ts';
import { keepAlive } from './watching.ts';

export { VERSION };

export function* kubelet(argv: readonly string[]): Body {
  const option = (name: string): string | undefined => argv.find((a) => a.startsWith(`--${name}=`))?.slice(name.length + 3);
  if (argv.includes('--version')) {
    yield* sys('write', 1, bytes(`Kubernetes ${VERSION}\n`));
    return 0;
  }
  const at = option('kubeconfig') ?? '/etc/kubernetes/kubelet.conf';
  const server = yield* serverOf(at);
  const config = yield* readConfig(option('config') ?? '/var/lib/kubelet/config.yaml');
  const wrong = typeof config === 'string' ? config : server ? null : `failed to load kubeconfig ${at}: no server in it`;
  if (wrong !== null || typeof config === 'string' || !server) {
    yield* sys('write', 2, bytes(`kubelet: ${wrong}\n`));
    return 1;
  }
  const { nodename } = yield* sys('uname');
  const hosts = (yield* slurp('/etc/hosts')) ?? '';
  const ip = hosts.split('\n').map((l) => l.trim().split(/\s+/)).find((w) => w.slice(1).includes(nodename) && !w[0]!.startsWith('127.'))?.[0] ?? '127.0.0.1';
  const k: Kubelet = {
    node: option('hostname-override') ?? nodename, ip, server, config, cpus: 1, memory: 0, allocatable: 0, disk: 0, pods: new Map(), states: new Map(), sandboxes: new Map(), relist: 0, runtimeUp: true, changes: 0, pressure: new Set(), drivers: new Map(), volumes: new Map(), events: new Map(), tokens: new Map(), counter: 0, outbox: [], posting: false, asking: 0, beating: 0, known: new Map(),
  };
  yield* attempt(writeFile('/proc/self/oom_score_adj', '-999'), undefined);
  yield* attempt(mkdirAll('/var/lib/kubelet/pods'), undefined);
  yield* measure(k);
  yield* waitForRuntime();
  yield* attempt(writeNodeCgroups(k.cpus, k.memory), undefined);
  const see = seer(k);
  const state = { clean: false };
  yield* thread(() => pleg(k));
  if (config.staticPodPath !== '') yield* thread(() => followManifests(k, see));
  yield* thread(function* (): Body {
    yield* serve({ family: 'inet', address: '0.0.0.0', port: 10250 }, (exchange) => answerKubelet(k, exchange));
  });
  yield* register(k);
  for (const run of [heartbeat, evictor, housekeeping, watchPlugins, tellFigures]) yield* thread(() => run(k));
  for (;;) {
    yield* watchPods(k, see, state);
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

/** Sandboxes of pods that are no longer this node's are ended. */
function* cleanUp(k: Kubelet): Call<void> {
  const left = yield* cri('ListPodSandbox', {});
  if (refused(left)) return;
  for (const s of left.items ?? []) {
    const uid = s.labels?.['io.kubernetes.pod.uid'];
    if (uid === undefined || k.pods.has(uid)) continue;
    yield* cri('StopPodSandbox', { podSandboxId: s.id });
    yield* cri('RemovePodSandbox', { podSandboxId: s.id });
  }
}

/** Asks the runtime once a second what its containers and sandboxes do, and wakes who waits for a change. */
function* pleg(k: Kubelet): Body {
  let before = '';
  let failed = 0;
  for (;;) {
    yield* sys('nanosleep', SECOND);
    if (k.pods.size === 0 && k.runtimeUp && k.relist % 10 !== 0) {
      k.relist++;
      continue;
    }
    const containers = yield* cri('ListContainers', {});
    const sandboxes = refused(containers) ? containers : yield* cri('ListPodSandbox', {});
    failed = refused(sandboxes) ? failed + 1 : 0;
    k.runtimeUp = failed < 3;
    if (refused(containers) || refused(sandboxes)) continue;
    k.states = new Map((containers.containers ?? []).map((c: { id: string; state: string }) => [c.id, c.state]));
    k.sandboxes = new Map((sandboxes.items ?? []).map((s: { id: string; state: string }) => [s.id, s.state === 'SANDBOX_READY']));
    k.relist++;
    const now = JSON.stringify([[...k.states], [...k.sandboxes]]);
    if (now !== before) k.changes++;
    before = now;
  }
}

export type See = (pod: Pod, gone: boolean, fixed?: boolean) => Call<void>;

/** What is done with a pod that is there, has changed, or is gone. */
function seer(k: Kubelet): See {
  return function* (pod, gone, fixed = false) {
    const uid = pod.metadata.uid!;
    const held = k.pods.get(uid);
    if (held) {
      held.pod = pod.status === undefined || fixed ? { ...pod, status: held.pod.status } : pod;
      if (gone) held.gone = true;
      k.changes++;
      return;
    }
    if (gone || pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') return;
    const fresh: Held = { pod, gone: false, static: fixed, evict: null, ids: new Map(), logs: new Map(), links: new Map(), claims: new Map(), sandbox: null, phase: 'Pending', startTime: '', untold: false };
    k.pods.set(uid, fresh);
    yield* thread(function* (): Body {
      yield* runPod(k, fresh);
      k.pods.delete(uid);
      return 0;
    });
  };
}

const isMirror = (pod: Pod): boolean => pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;

/** One list and the watch that follows; returns when the connection ends. */
function* watchPods(k: Kubelet, see: See, state: { clean: boolean }): Call<void> {
  const mine = `fieldSelector=spec.nodeName%3D${k.node}`;
  const listed = yield* api(k.server, 'GET', `/api/v1/pods?${mine}`);
  if (!listed || listed.status >= 400) return;
  const there = new Set<string>();
  for (const pod of listed.body.items as Pod[]) {
    if (isMirror(pod)) continue;
    there.add(pod.metadata.uid!);
    yield* see({ ...pod, kind: 'Pod', apiVersion: 'v1' }, false);
  }
  for (const [uid, held] of k.pods) if (!there.has(uid) && !held.static) held.gone = true;
  if (!state.clean) yield* thread(function* (): Body {
    yield* cleanUp(k);
    return 0;
  });
  state.clean = true;
  try {
    const stream = yield* open(k.server, { method: 'GET', path: `/api/v1/pods?${mine}&watch=true&resourceVersion=${listed.body.metadata.resourceVersion}`, headers: { 'User-Agent': `kubelet/${VERSION}` } });
    const alive = { over: false };
    yield* thread(() => keepAlive(k.server, stream.fd, alive));
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
        if (event.type === 'ERROR') break;
        if (event.type !== 'BOOKMARK' && !isMirror(event.object)) yield* see(event.object, event.type === 'DELETED');
      }
    }
    alive.over = true;
    yield* stream.close();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}
