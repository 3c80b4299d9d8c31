/** A kubelet that was started again finds the pods that the runtime has: what runs goes on, what has ended is counted. Source: kuberuntime_manager.go GetPodStatus 1.32. */
import type { Json } from '../../../cluster/types/objects.ts';
import { rfc3339 } from '../../../cluster/types/time.ts';
import type { Call } from '../../lib/http.ts';
import { cri, refused } from '../cri.ts';
import { say } from '../node.ts';
import { beginProbes } from '../probes.ts';
import { readEnd } from './containers.ts';
import { monotonic, newRunner, type Runner, type Work } from './work.ts';

/** Takes up the sandbox and the containers of the pod, if there are any. */
export function* adopt(w: Work, config: () => Call<Json>): Call<void> {
  const { k, held } = w;
  const labels = { 'io.kubernetes.pod.uid': held.pod.metadata.uid };
  const found = yield* cri('ListPodSandbox', { filter: { labelSelector: labels } });
  const sandboxes: Json[] = refused(found) ? [] : (found.items ?? []).filter((s: Json) => s.labels?.['io.kubernetes.pod.uid'] === held.pod.metadata.uid);
  if (sandboxes.length === 0) return;
  w.sandboxes = Math.max(...sandboxes.map((s) => Number(s.metadata?.attempt ?? 0))) + 1;
  const ready = sandboxes.find((s) => s.state === 'SANDBOX_READY');
  const all = yield* cri('ListContainers', { filter: { labelSelector: labels } });
  const containers: Json[] = refused(all) ? [] : (all.containers ?? []).filter((c: Json) => c.labels?.['io.kubernetes.pod.uid'] === held.pod.metadata.uid);
  if (ready) {
    w.sandbox = ready.id;
    held.sandbox = ready.id;
    k.sandboxes.set(ready.id, true);
    const status = yield* cri('PodSandboxStatus', { podSandboxId: ready.id });
    w.ip = refused(status) ? '' : held.pod.spec.hostNetwork ? k.ip : (status.status?.network?.ip ?? '');
    w.sandboxConfig = yield* config();
  }
  for (const c of held.pod.spec.ephemeralContainers ?? []) w.runners.push(newRunner(c, 'ephemeral', 'ContainerCreating'));
  for (const r of w.runners) yield* takeUp(w, r, containers.filter((c) => c.metadata?.name === r.spec.name), ready?.id);
  for (const s of sandboxes) {
    if (s.id === ready?.id) continue;
    yield* cri('StopPodSandbox', { podSandboxId: s.id });
    yield* cri('RemovePodSandbox', { podSandboxId: s.id });
  }
  if (!ready && containers.length > 0) yield* say(k, held.pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
}

function* takeUp(w: Work, r: Runner, mine: Json[], sandbox: string | undefined): Call<void> {
  const newest = mine.sort((a, b) => Number(b.metadata?.attempt ?? 0) - Number(a.metadata?.attempt ?? 0))[0];
  if (!newest) return;
  r.id = newest.id;
  r.attempt = Number(newest.metadata?.attempt ?? 0);
  r.restarts = Number(newest.annotations?.['io.kubernetes.container.restartCount'] ?? 0);
  r.imageId = newest.imageRef ?? '';
  w.held.ids.set(r.spec.name, newest.id);
  const status = yield* cri('ContainerStatus', { containerId: newest.id });
  if (refused(status)) return;
  const log = String(status.status?.logPath ?? '');
  if (log) w.held.logs.set(r.spec.name, { current: log, previous: null });
  if (status.status?.state === 'CONTAINER_RUNNING' && newest.podSandboxId === sandbox) {
    r.state = { running: { startedAt: rfc3339(Number(status.status.startedAt ?? 0) / 1e9) } };
    r.started = yield* monotonic();
    r.relist = w.k.relist + 1;
    if (r.role !== 'ephemeral') {
      r.health = yield* beginProbes(w.k, w.held.pod, r.spec, newest.id, w.ip);
      // What was ready stays so until its probe says otherwise.
      const told = [...(w.held.pod.status.containerStatuses ?? []), ...(w.held.pod.status.initContainerStatuses ?? [])].find((c) => c.name === r.spec.name);
      if (told?.containerID === `containerd://${newest.id}` && told.started) Object.assign(r.health, { started: true, ready: told.ready });
    }
    return;
  }
  if (status.status?.state === 'CONTAINER_CREATED') return;
  yield* readEnd(w, r);
  if (sandbox !== undefined) return;
  // Its sandbox is gone with it: it begins again in a new one.
  r.last = r.state;
  r.state = { waiting: { reason: r.role === 'init' ? 'PodInitializing' : 'ContainerCreating' } };
  r.id = null;
  if (r.role === 'init' && !r.sidecar) Object.assign(r, { ended: 0 });
}
