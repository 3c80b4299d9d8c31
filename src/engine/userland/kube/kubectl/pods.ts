/** logs and exec: kubectl asks the API server which node has the pod, then that node's kubelet on port 10250. */
import { kindNamed } from '../../../cluster/types/kinds.ts';
import type { Deployment, Labels, Pod } from '../../../cluster/types/objects.ts';
import { matchesSelector } from '../../../cluster/types/selectors.ts';
import { SysError, TCGETS } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { fromBase64, text, toBase64 } from '../../../sim/text.ts';
import { formatQuery } from '../../../sim/wire.ts';
import { attachStream } from '../../containers/cri/stream.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, open, request } from '../../lib/http.ts';
import { type Client, err, Fatal, listKind, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { fetch, mustFetch, targets } from './resources.ts';

export const LOGS_FLAGS = 'c/container= f/follow p/previous tail= since= since-time= timestamps all-containers l/selector= prefix limit-bytes= max-log-requests= ignore-errors pod-running-timeout=';
export const EXEC_FLAGS = 'c/container= i/stdin t/tty f/filename=* pod-running-timeout= q/quiet';
export const KUBELET_PORT = 10250;

const NODE_POD = ['deployment', 'deployments', 'deploy', 'replicaset', 'rs', 'replicasets', 'statefulset', 'statefulsets', 'sts', 'daemonset', 'daemonsets', 'ds', 'job', 'jobs', 'service', 'services', 'svc'];

/** "web", "pod/web", "deploy/web": the pod that is meant. */
export function* podOf(client: Client, typed: string, missing: (name: string, failure: string) => string): Call<Pod> {
  const [kind, name] = typed.includes('/') ? typed.split('/') : ['pod', typed];
  if (NODE_POD.includes(kind!.split('.')[0]!.toLowerCase())) {
    const [t] = yield* targets(client, [typed]);
    const owner = (yield* mustFetch(client, t!.kind, t!.name!)) as Deployment;
    const pods = ((yield* listKind(client, kindNamed('Pod'), client.namespace)).items as Pod[]).filter((p) => (t!.kind.kind === 'Service' ? Object.keys(owner.spec.selector ?? {}).length > 0 && matchesSelector({ matchLabels: owner.spec.selector as Labels }, p.metadata.labels) : matchesSelector(owner.spec.selector, p.metadata.labels)));
    const best = pods.find((p) => p.status.phase === 'Running' && !p.metadata.deletionTimestamp) ?? pods[0];
    if (!best) throw new Fatal(`error: timed out waiting for the condition`);
    if (pods.length > 1) yield* err(`Found ${pods.length} pods, using pod/${best.metadata.name}\n`);
    return best;
  }
  const found = yield* fetch(client, kindNamed('Pod'), name!);
  if (typeof found === 'string') throw new Fatal(missing(name!, found));
  return found as Pod;
}

export function* containerOf(pod: Pod, flags: Flags, quiet: boolean): Call<string> {
  const wanted = flags.text.get('container');
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((c) => c.name);
  if (wanted !== undefined) {
    if (!all.includes(wanted)) throw new Fatal(`Error from server (BadRequest): container ${wanted} is not valid for pod ${pod.metadata.name}`);
    return wanted;
  }
  if (all.length > 1 && !quiet) yield* err(`Defaulted container "${all[0]}" out of: ${all.map((n) => (pod.spec.initContainers?.some((c) => c.name === n) ? `${n} (init)` : n)).join(', ')}\n`);
  return all[0]!;
}

export function kubelet(pod: Pod): { family: 'inet'; address: string; port: number } {
  if (!pod.spec.nodeName) throw new Fatal(`Error from server (BadRequest): pod ${pod.metadata.name} does not have a host assigned`);
  return { family: 'inet', address: pod.status.hostIP ?? '', port: KUBELET_PORT };
}

export function dialing(pod: Pod, what: string, error: SysError): Fatal {
  const port = `${pod.status.hostIP ?? pod.spec.nodeName}:${KUBELET_PORT}`;
  const why = error.errno === 'ECONNREFUSED' ? 'connect: connection refused' : error.errno === 'EHOSTUNREACH' ? 'connect: no route to host' : error.message.toLowerCase();
  return new Fatal(what === 'exec' ? `Error from server: error dialing backend: dial tcp ${port}: ${why}` : `Error from server: Get "https://${port}/containerLogs/${pod.metadata.namespace}/${pod.metadata.name}": dial tcp ${port}: ${why}`);
}

export function* logs(client: Client, flags: Flags): Call<number> {
  const selector = flags.text.get('selector');
  if (flags.args.length === 0 && selector === undefined) {
    throw new Fatal("error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples");
  }
  if (flags.args.length === 2) flags.text.set('container', flags.args[1]!);
  const pods = selector === undefined
    ? [yield* podOf(client, flags.args[0]!, (name) => `error: error from server (NotFound): pods "${name}" not found in namespace "${client.namespace}"`)]
    : ((yield* listKind(client, kindNamed('Pod'), client.namespace, { labelSelector: selector })).items as Pod[]);
  if (pods.length === 0) yield* err(`No resources found in ${client.namespace} namespace.\n`);
  for (const pod of pods) {
    const names = on(flags, 'all-containers') ? pod.spec.containers.map((c) => c.name) : [yield* containerOf(pod, flags, false)];
    for (const container of names) {
      const state = pod.status.containerStatuses?.find((c) => c.name === container);
      if (pod.spec.nodeName && state?.state.waiting && !state.lastState?.terminated) {
        throw new Fatal(`Error from server (BadRequest): container "${container}" in pod "${pod.metadata.name}" is waiting to start: ${reasonText(state.state.waiting.reason)}`);
      }
      yield* stream(pod, container, flags);
    }
  }
  return 0;
}

function reasonText(reason: string | undefined): string {
  return { ErrImagePull: "image can't be pulled", ImagePullBackOff: 'trying and failing to pull image' }[reason ?? ''] ?? reason ?? 'ContainerCreating';
}

/** All that a container (the first, unless named) says, until it ends. */
export function* followPod(pod: Pod, container = pod.spec.containers[0]!.name): Call<void> {
  yield* stream(pod, container, { command: 'kubectl logs', printed: 0, args: [], rest: null, text: new Map([['follow', 'true']]), many: new Map() });
}

function* stream(pod: Pod, container: string, flags: Flags): Call<void> {
  const query = formatQuery({
    follow: on(flags, 'follow') ? 'true' : undefined, previous: on(flags, 'previous') ? 'true' : undefined, tailLines: flags.text.get('tail'), timestamps: on(flags, 'timestamps') ? 'true' : undefined,
  });
  try {
    const s = yield* open(kubelet(pod), { method: 'GET', path: `/containerLogs/${pod.metadata.namespace}/${pod.metadata.name}/${container}?${query}` });
    const prefix = on(flags, 'prefix') ? `[pod/${pod.metadata.name}/${container}] ` : '';
    let all = '';
    for (;;) {
      const piece = yield* s.readChunk();
      if (piece === null) break;
      if (s.status >= 400) all += text(piece);
      else if (prefix === '') yield* out(text(piece));
      else yield* out(text(piece).replace(/^(?=.)/gm, prefix));
    }
    yield* s.close();
    if (s.status >= 400) throw new Fatal(all.trim() || `Error from server: the kubelet answered ${s.status}`);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw dialing(pod, 'logs', error);
  }
}

/** A command in a container with its whole input and output; `error`: why it could not run. */
export function* runIn(pod: Pod, container: string, cmd: readonly string[], input?: Uint8Array): Call<{ stdout: Uint8Array; stderr: string; exitCode: number; error: string | null }> {
  const body = { cmd, binary: true, ...(input ? { input: toBase64(input) } : {}) };
  try {
    const r = yield* request(kubelet(pod), { method: 'POST', path: `/exec/${pod.metadata.namespace}/${pod.metadata.name}/${container}`, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    if (r.status >= 400) return { stdout: new Uint8Array(0), stderr: '', exitCode: 126, error: r.body.trim() };
    const answer = JSON.parse(r.body) as { stdout: string; stderr: string; exitCode: number };
    return { stdout: fromBase64(answer.stdout), stderr: text(fromBase64(answer.stderr)), exitCode: answer.exitCode, error: null };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw dialing(pod, 'exec', error);
  }
}

/** A container's log as it is now; empty when it cannot be had. */
export function* logText(pod: Pod, container: string): Call<string> {
  try {
    const r = yield* request(kubelet(pod), { method: 'GET', path: `/containerLogs/${pod.metadata.namespace}/${pod.metadata.name}/${container}` });
    return r.status < 400 ? r.body : '';
  } catch (error) {
    if (error instanceof SysError || error instanceof Fatal) return '';
    throw error;
  }
}

export function* exec(client: Client, flags: Flags): Call<number> {
  const [name, ...old] = flags.args;
  if (name === undefined) throw new Fatal('error: pod, type/name or --filename must be specified');
  if (old.length > 0) throw new Fatal("error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples");
  if (!flags.rest?.length) throw new Fatal('error: you must specify at least one command for the container');
  const pod = yield* podOf(client, name, (_n, failure) => failure);
  if (pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') throw new Fatal(`error: cannot exec into a container in a completed pod; current phase is ${pod.status.phase}`);
  const container = yield* containerOf(pod, flags, on(flags, 'quiet'));
  const path = `/exec/${pod.metadata.namespace}/${pod.metadata.name}/${container}`;
  try {
    if (on(flags, 'stdin') || on(flags, 'tty')) return yield* interactive(pod, path, flags);
    const r = yield* request(kubelet(pod), { method: 'POST', path, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ cmd: flags.rest }) });
    if (r.status >= 400) throw new Fatal(r.body.trim());
    const answer = JSON.parse(r.body) as { stdout?: string; stderr?: string; exitCode?: number };
    if (answer.stdout) yield* out(answer.stdout);
    if (answer.stderr) yield* err(answer.stderr);
    if (answer.exitCode) yield* err(`command terminated with exit code ${answer.exitCode}\n`);
    return answer.exitCode ?? 0;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw dialing(pod, 'exec', error);
  }
}

/** With -i or -t: both directions live, over an upgraded connection to the kubelet. */
function* interactive(pod: Pod, path: string, flags: Flags): Call<number> {
  const stdin = on(flags, 'stdin');
  let tty = on(flags, 'tty');
  if (tty && (yield* attempt(sys('ioctl', 0, TCGETS), null)) === null) {
    yield* err('Unable to use a TTY - input is not a terminal or the right kind of file\n');
    tty = false;
  }
  const end = yield* attachStream(kubelet(pod), path, { tty, stdin }, JSON.stringify({ cmd: flags.rest, tty, stdin }));
  if ('error' in end) throw new Fatal(end.error.startsWith('error') ? end.error : `error: Internal error occurred: error executing command in container: ${end.error}`);
  if (end.exitCode) yield* err(`command terminated with exit code ${end.exitCode}\n`);
  return end.exitCode;
}
