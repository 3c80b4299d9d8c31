/** logs and exec: kubectl asks the API server which node has the pod, then that node's kubelet on port 10250. */
import { kindNamed } from '../../../cluster/types/kinds.ts';
import type { Deployment, Labels, Pod } from '../../../cluster/types/objects.ts';
import { matchesSelector } from '../../../cluster/types/selectors.ts';
import { SysError, TCGETS } from '../../../kernel/abi.ts';
import { parseTime } from '../../../cluster/types/time.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { fromBase64, text, toBase64 } from '../../../sim/text.ts';
import { formatQuery } from '../../../sim/wire.ts';
import { attachStream } from '../../containers/cri/stream.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, open, request, thread } from '../../lib/http.ts';
import { type Client, err, Fatal, listKind, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { seconds } from './query.ts';
import { fetch, mustFetch, targets } from './resources.ts';

export const LOGS_FLAGS = 'c/container= f/follow p/previous tail= since= since-time= timestamps all-containers all-pods l/selector= prefix limit-bytes= max-log-requests= ignore-errors pod-running-timeout= insecure-skip-tls-verify-backend';
export const EXEC_FLAGS = 'c/container= i/stdin t/tty f/filename=* pod-running-timeout= q/quiet';
export const KUBELET_PORT = 10250;

const NODE_POD = ['deployment', 'deployments', 'deploy', 'replicaset', 'rs', 'replicasets', 'statefulset', 'statefulsets', 'sts', 'daemonset', 'daemonsets', 'ds', 'job', 'jobs', 'service', 'services', 'svc'];

/** "web", "pod/web", "deploy/web": the pod that is meant; `told` says which of several, as logs does. */
export function* podOf(client: Client, typed: string, missing: (name: string, failure: string) => string, told = false): Call<Pod> {
  const [kind, name] = typed.includes('/') ? typed.split('/') : ['pod', typed];
  if (NODE_POD.includes(kind!.split('.')[0]!.toLowerCase())) {
    const [t] = yield* targets(client, [typed]);
    const owner = (yield* mustFetch(client, t!.kind, t!.name!)) as Deployment;
    const pods = ((yield* listKind(client, kindNamed('Pod'), client.namespace)).items as Pod[]).filter((p) => (t!.kind.kind === 'Service' ? Object.keys(owner.spec.selector ?? {}).length > 0 && matchesSelector({ matchLabels: owner.spec.selector as Labels }, p.metadata.labels) : matchesSelector(owner.spec.selector, p.metadata.labels)));
    const best = pods.find((p) => p.status.phase === 'Running' && !p.metadata.deletionTimestamp) ?? pods[0];
    if (!best) throw new Fatal(`error: timed out waiting for the condition`);
    if (told && pods.length > 1) yield* err(`Found ${pods.length} pods, using pod/${best.metadata.name}\n`);
    return best;
  }
  const found = yield* fetch(client, kindNamed('Pod'), name!);
  if (typeof found === 'string') throw new Fatal(missing(name!, found));
  return found as Pod;
}

/** In the order in which kubectl names them. */
function namesOf(pod: Pod): { name: string; shown: string }[] {
  return [
    ...pod.spec.containers.map((c) => ({ name: c.name, shown: c.name })), ...((pod.spec.ephemeralContainers ?? []) as { name: string }[]).map((c) => ({ name: c.name, shown: `${c.name} (ephem)` })),
    ...(pod.spec.initContainers ?? []).map((c) => ({ name: c.name, shown: `${c.name} (init)` })),
  ];
}

const DEFAULT = 'kubectl.kubernetes.io/default-container';

/** The one that -c names, the pod's default, or the first, which is told where there are more. */
export function* containerOf(pod: Pod, flags: Flags, quiet: boolean, logging = false): Call<string> {
  const wanted = flags.text.get('container') || undefined;
  const all = namesOf(pod);
  if (wanted !== undefined) {
    if (!all.some((c) => c.name === wanted)) throw new Fatal(logging ? `error: container ${wanted} is not valid for pod ${pod.metadata.name}` : `error: container ${wanted} not found in pod ${pod.metadata.name}`);
    return wanted;
  }
  const chosen = pod.metadata.annotations?.[DEFAULT];
  if (chosen !== undefined) {
    if (all.some((c) => c.name === chosen)) return chosen;
    yield* err(`Default container name ${JSON.stringify(chosen)} not found in pod ${pod.metadata.name}\n`);
  }
  if (all.length > 1 && !quiet) yield* err(`Defaulted container "${all[0]!.name}" out of: ${all.map((c) => c.shown).join(', ')}\n`);
  return all[0]!.name;
}

export function kubelet(pod: Pod): { family: 'inet'; address: string; port: number } {
  if (!pod.spec.nodeName) throw new Fatal(`Error from server (BadRequest): pod ${pod.metadata.name} does not have a host assigned`);
  return { family: 'inet', address: pod.status.hostIP ?? '', port: KUBELET_PORT };
}

/** Go's words for a dial that failed, as the API server passes them on; `container` where its log was asked for. */
export function dialing(pod: Pod, error: SysError, container?: string): Fatal {
  const at = `${pod.status.hostIP ?? pod.spec.nodeName}:${KUBELET_PORT}`;
  const why = error.errno === 'ETIMEDOUT' ? 'i/o timeout' : `connect: ${error.message.toLowerCase()}`;
  const doing = container === undefined ? 'error dialing backend' : `Get "https://${at}/containerLogs/${pod.metadata.namespace}/${pod.metadata.name}/${container}"`;
  return new Fatal(`Error from server: ${doing}: dial tcp ${at}: ${why}`);
}

/** Refuses what does not go together. */
function checkLogs(flags: Flags): void {
  const number = (name: string, least: number, message: string): void => {
    const given = flags.text.get(name);
    if (given === undefined) return;
    if (!/^-?\d+$/.test(given)) throw new Fatal(`Error: invalid argument "${given}" for "--${name}" flag: strconv.ParseInt: parsing "${given}": invalid syntax\nSee 'kubectl logs --help' for usage.`);
    if (Number(given) < least) throw new Fatal(`error: ${message}`);
  };
  if (flags.text.has('since') && flags.text.has('since-time')) throw new Fatal('error: only one of --since-time or --since may be used');
  if (on(flags, 'all-containers') && flags.text.get('container')) throw new Fatal('error: --all-containers=true should not be specified with container name '.concat(flags.text.get('container')!));
  number('tail', -1, '--tail must be greater than or equal to -1');
  number('limit-bytes', 1, '--limit-bytes must be greater than 0');
  if (flags.text.has('since') && seconds(flags.text.get('since'), 0) <= 0) throw new Fatal('error: --since must be greater than 0');
  if (flags.text.has('since-time') && parseTime(flags.text.get('since-time')) === null) throw new Fatal(`error: parsing time "${flags.text.get('since-time')}" as "2006-01-02T15:04:05Z07:00": cannot parse "${flags.text.get('since-time')}" as "2006"`);
}

export function* logs(client: Client, flags: Flags): Call<number> {
  const selector = flags.text.get('selector');
  if (flags.args.length === 0 && selector === undefined) {
    throw new Fatal("error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples");
  }
  if (flags.args.length > 0 && selector !== undefined) throw new Fatal("error: only a selector (-l) or a POD name is allowed\nSee 'kubectl logs -h' for help and examples");
  if (flags.args.length > 2) throw new Fatal("error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples");
  if (flags.args.length === 2) {
    if (flags.text.get('container')) throw new Fatal("error: only one of -c or an inline [CONTAINER] arg is allowed\nSee 'kubectl logs -h' for help and examples");
    flags.text.set('container', flags.args[1]!);
  }
  checkLogs(flags);
  if (selector !== undefined && !flags.text.has('tail')) flags.text.set('tail', '10');
  const pods = selector === undefined
    ? yield* logPods(client, flags)
    : ((yield* listKind(client, kindNamed('Pod'), client.namespace, { labelSelector: selector })).items as Pod[]);
  if (pods.length === 0) yield* err(`No resources found in ${client.namespace} namespace.\n`);
  const streams: { pod: Pod; container: string }[] = [];
  for (const pod of pods) {
    const init = (pod.spec.initContainers ?? []).map((c) => c.name);
    const names = on(flags, 'all-containers') ? [...init, ...pod.spec.containers.map((c) => c.name), ...((pod.spec.ephemeralContainers ?? []) as { name: string }[]).map((c) => c.name)] : [yield* containerOf(pod, flags, false, true)];
    for (const container of names) streams.push({ pod, container });
  }
  const most = Number(flags.text.get('max-log-requests') ?? 5);
  if (on(flags, 'follow') && streams.length > most) throw new Fatal(`error: you are attempting to follow ${streams.length} log streams, but maximum allowed concurrency is ${most}, use --max-log-requests to increase the limit`);
  if (on(flags, 'follow') && streams.length > 1) return yield* together(streams, flags);
  for (const { pod, container } of streams) yield* one(pod, container, flags);
  return 0;
}

function* logPods(client: Client, flags: Flags): Call<Pod[]> {
  const typed = flags.args[0]!;
  if (on(flags, 'all-pods') && typed.includes('/')) {
    const [t] = yield* targets(client, [typed]);
    const owner = (yield* mustFetch(client, t!.kind, t!.name!)) as Deployment;
    if (!flags.text.has('prefix')) flags.text.set('prefix', 'true');
    return ((yield* listKind(client, kindNamed('Pod'), client.namespace)).items as Pod[]).filter((p) => matchesSelector(owner.spec.selector, p.metadata.labels));
  }
  return [yield* podOf(client, typed, (name) => `error: error from server (NotFound): pods "${name}" not found in namespace "${client.namespace}"`, true)];
}

function* one(pod: Pod, container: string, flags: Flags): Call<void> {
  const state = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])].find((c) => c.name === container);
  if (pod.spec.nodeName && state?.state.waiting && !state.lastState?.terminated) {
    throw new Fatal(`Error from server (BadRequest): container "${container}" in pod "${pod.metadata.name}" is waiting to start: ${reasonText(state.state.waiting.reason)}`);
  }
  yield* stream(pod, container, flags);
}

/** Several streams at once, each in a thread of its own; lines come as they are written. */
function* together(streams: readonly { pod: Pod; container: string }[], flags: Flags): Call<number> {
  let left = streams.length;
  let status = 0;
  for (const { pod, container } of streams) {
    yield* thread(function* (): Body {
      try {
        yield* one(pod, container, flags);
      } catch (error) {
        if (!(error instanceof Fatal)) throw error;
        yield* err(`${error.message}\n`);
        if (!on(flags, 'ignore-errors')) status = 1;
      }
      left--;
      return 0;
    });
  }
  while (left > 0 && status === 0) yield* sys('nanosleep', 100_000_000);
  return status;
}

function reasonText(reason: string | undefined): string {
  return { ErrImagePull: "image can't be pulled", ImagePullBackOff: 'trying and failing to pull image' }[reason ?? ''] ?? reason ?? 'ContainerCreating';
}

/** What a container (the first, unless named) has said, where it cannot be attached to. */
export function* logsOf(pod: Pod, container = pod.spec.containers[0]!.name): Call<void> {
  yield* stream(pod, container, { command: 'kubectl logs', printed: 0, args: [], rest: null, text: new Map(), many: new Map() });
}

function* stream(pod: Pod, container: string, flags: Flags): Call<void> {
  const query = formatQuery({
    follow: on(flags, 'follow') ? 'true' : undefined, previous: on(flags, 'previous') ? 'true' : undefined, tailLines: flags.text.get('tail') === '-1' ? undefined : flags.text.get('tail'), timestamps: on(flags, 'timestamps') ? 'true' : undefined,
    sinceSeconds: flags.text.has('since') ? String(Math.ceil(seconds(flags.text.get('since'), 0))) : undefined, sinceTime: flags.text.get('since-time'), limitBytes: flags.text.get('limit-bytes'),
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
    throw dialing(pod, error, query === '' ? container : `${container}?${query}`);
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
    throw dialing(pod, error);
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
    throw dialing(pod, error);
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
