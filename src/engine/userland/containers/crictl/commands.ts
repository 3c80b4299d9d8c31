/** crictl's commands as data. */
import { AT_FDCWD, O_RDONLY, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { fromBase64, text } from '../../../sim/text.ts';
import { SECOND } from '../../../sim/units.ts';
import { type Options, lastValue as valueIn } from '../../lib/args.ts';
import { decimalSize, humanDuration, nowNs } from '../../lib/clock.ts';
import { readText } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { SOCKET } from '../containerd/api.ts';
import type { Message } from '../cri/state.ts';
import { attachStream } from '../cri/stream.ts';
import { configure, type Kind } from './endpoint.ts';
import { configOf } from './podconfig.ts';
import { ask, CrictlError, opened, readable, short, structured, table } from './output.ts';

export interface Command {
  usage: string;
  args: string;
  spec: string;
  least: number;
  /** Services that it speaks to. */
  kinds: readonly Kind[];
  run(o: Options): Call<number | void>;
}

const row = (usage: string, args: string, spec: string, least: number, run: Command['run'], kinds: readonly Kind[] = ['runtime']): Command => ({ usage, args, spec, least, run, kinds });
const IMAGE: readonly Kind[] = ['image'];
const BOTH: readonly Kind[] = ['runtime', 'image'];

export const COMMANDS: Readonly<Record<string, Command>> = {
  ps: row('List containers', '[IMAGE-ID]', 'a/all image= id= l/latest= label= n/last= name= no-trunc o/output= p/pod= namespace= q/quiet s/state= v/verbose', 0, ps, BOTH),
  pods: row('List pods', ' ', 'id= l/latest= label= n/last= name= namespace= no-trunc o/output= q/quiet s/state= v/verbose', 0, pods),
  images: row('List images', '[REPOSITORY[:TAG]]', 'digests no-trunc o/output= q/quiet v/verbose', 0, images, IMAGE),
  image: row('List images', '[REPOSITORY[:TAG]]', 'digests no-trunc o/output= q/quiet v/verbose', 0, images, IMAGE),
  inspect: row('Display the status of one or more containers', '[CONTAINER-ID...]', 'o/output= q/quiet', 1, (o) => inspect(o, 'container')),
  inspectp: row('Display the status of one or more pods', '[POD-ID...]', 'o/output= q/quiet', 1, (o) => inspect(o, 'pod')),
  inspecti: row('Return the status of one or more images', '[IMAGE-ID...]', 'o/output= q/quiet', 1, (o) => inspect(o, 'image'), IMAGE),
  logs: row('Fetch the logs of a container', 'CONTAINER-ID', 'f/follow tail= t/timestamps p/previous since= limit-bytes=', 1, logs),
  exec: row('Run a command in a running container', 'CONTAINER-ID COMMAND [ARG...]', 'i/interactive t/tty s/sync timeout=', 1, exec),
  stats: row('List container(s) resource usage statistics', '[ID]', 'a/all id= l/label= o/output= p/pod= s/seconds= w/watch', 0, stats),
  start: row('Start one or more created containers', 'CONTAINER-ID [CONTAINER-ID...]', '', 1, (o) => each(o, 'starting the container', 'StartContainer', 'containerId', (id) => id)),
  stop: row('Stop one or more running containers', 'CONTAINER-ID [CONTAINER-ID...]', 't/timeout=', 1, (o) => each(o, 'stopping the container', 'StopContainer', 'containerId', (id) => id, { timeout: valueIn(o, 'timeout') ?? '0' })),
  rm: row('Remove one or more containers', 'CONTAINER-ID [CONTAINER-ID...]', 'a/all f/force', 0, rm),
  stopp: row('Stop one or more running pods', 'POD-ID [POD-ID...]', '', 1, (o) => each(o, 'stopping the pod sandbox', 'StopPodSandbox', 'podSandboxId', (id) => `Stopped sandbox ${id}`)),
  rmp: row('Remove one or more pods', 'POD-ID [POD-ID...]', 'a/all f/force', 0, rmp),
  rmi: row('Remove one or more images', 'IMAGE-ID [IMAGE-ID...]', 'a/all q/prune', 0, rmi, IMAGE),
  pull: row('Pull an image from a registry', 'NAME[:TAG|@DIGEST]', 'creds= auth= annotation= pod-config= pull-timeout=', 1, pull, IMAGE),
  runp: row('Run a new pod', 'POD-CONFIG.[json|yaml]', 'runtime=', 1, runp),
  create: row('Create a new container', 'POD CONTAINER-CONFIG.[json|yaml] POD-CONFIG.[json|yaml]', 'auth= creds= cancel-timeout= no-pull pull-timeout= with-pull', 3, create, BOTH),
  run: row('Run a new container inside a sandbox', 'CONTAINER-CONFIG.[json|yaml] POD-CONFIG.[json|yaml]', 'auth= creds= cancel-timeout= no-pull pull-timeout= r/runtime= with-pull', 2, run, BOTH),
  update: row('Update one or more running containers', 'CONTAINER-ID [CONTAINER-ID...]', 'cpu-period= cpu-quota= cpu-share= memory= cpuset-cpus= cpuset-mems=', 1, update),
  statsp: row('List pod statistics. Stats represent a structured API that will fulfill the Kubelet\'s /stats/summary endpoint.', '[ID]', 'id= l/label= o/output= s/seconds= w/watch', 0, statsp),
  imagefsinfo: row('Return image filesystem info', ' ', 'o/output=', 0, imageFsInfo, IMAGE),
  config: row('Get, set and list crictl configuration options', '[<crictl options>]', 'get= set= list', 0, configure, []),
  info: row('Display information of the container runtime', ' ', 'o/output= q/quiet', 0, info),
  version: row('Display runtime version information', ' ', '', 0, version),
};

const titled = (state: string, prefix: string): string => {
  const word = state.replace(prefix, '').toLowerCase();
  return word === 'notready' ? 'NotReady' : word.charAt(0).toUpperCase() + word.slice(1);
};
const label = (m: Message, name: string): string => m.labels?.[`io.kubernetes.${name}`] ?? 'unknown';
const newest = (a: Message, b: Message): number => Number(b.createdAt) - Number(a.createdAt);

function limited(o: Options, all: Message[]): Message[] {
  const n = o.on.has('latest') ? 1 : Number(valueIn(o, 'last') ?? 0);
  return n > 0 ? all.slice(0, n) : all;
}

function* ps(o: Options): Call<void> {
  const states: Record<string, string> = { created: 'CONTAINER_CREATED', running: 'CONTAINER_RUNNING', exited: 'CONTAINER_EXITED', unknown: 'CONTAINER_UNKNOWN' };
  const wanted = valueIn(o, 'state')?.toLowerCase();
  if (wanted !== undefined && !states[wanted]) throw new CrictlError(`--state should be one of created, running, exited or unknown`);
  const state = wanted ? states[wanted] : o.on.has('all') || o.on.has('latest') || o.on.has('last') ? undefined : 'CONTAINER_RUNNING';
  const filter = { ...(valueIn(o, 'id') ? { id: valueIn(o, 'id') } : {}), ...(valueIn(o, 'pod') ? { podSandboxId: valueIn(o, 'pod') } : {}), ...(state ? { state: { state } } : {}) };
  const { containers } = yield* ask('listing containers', 'ListContainers', { filter });
  const name = valueIn(o, 'name');
  const namespace = valueIn(o, 'namespace');
  const shown = limited(o, containers.filter((c: Message) => (!name || new RegExp(name).test(c.metadata?.name)) && (!namespace || label(c, 'pod.namespace') === namespace)).sort(newest));
  if (o.on.has('quiet')) return yield* print(shown.map((c) => `${c.id}\n`).join(''));
  const format = valueIn(o, 'output') ?? 'table';
  if (format !== 'table') return yield* structured(format, { containers: shown });
  const now = yield* nowNs();
  const id = o.on.has('no-trunc') ? (x: string): string => x : short;
  yield* table([
    ['CONTAINER', 'IMAGE', 'CREATED', 'STATE', 'NAME', 'ATTEMPT', 'POD ID', 'POD', 'NAMESPACE'],
    ...shown.map((c) => [
      id(c.id), id(c.image.image), `${humanDuration(now - Number(c.createdAt))} ago`, titled(c.state, 'CONTAINER_'), c.metadata?.name ?? '', String(c.metadata?.attempt ?? 0), id(c.podSandboxId), label(c, 'pod.name'),
      label(c, 'pod.namespace'),
    ]),
  ]);
}

function* pods(o: Options): Call<void> {
  const wanted = valueIn(o, 'state')?.toLowerCase();
  if (wanted !== undefined && wanted !== 'ready' && wanted !== 'notready') throw new CrictlError('--state should be ready or notready');
  const filter = { ...(valueIn(o, 'id') ? { id: valueIn(o, 'id') } : {}), ...(wanted ? { state: { state: wanted === 'ready' ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY' } } : {}) };
  const { items } = yield* ask('listing pod sandboxes', 'ListPodSandbox', { filter });
  const name = valueIn(o, 'name');
  const namespace = valueIn(o, 'namespace');
  const shown = limited(o, items.filter((s: Message) => (!name || new RegExp(name).test(s.metadata?.name)) && (!namespace || s.metadata?.namespace === namespace)).sort(newest));
  if (o.on.has('quiet')) return yield* print(shown.map((s) => `${s.id}\n`).join(''));
  const format = valueIn(o, 'output') ?? 'table';
  if (format !== 'table') return yield* structured(format, { items: shown });
  const now = yield* nowNs();
  const id = o.on.has('no-trunc') ? (x: string): string => x : short;
  yield* table([
    ['POD ID', 'CREATED', 'STATE', 'NAME', 'NAMESPACE', 'ATTEMPT', 'RUNTIME'],
    ...shown.map((s) => [
      id(s.id), `${humanDuration(now - Number(s.createdAt))} ago`, titled(s.state, 'SANDBOX_'), s.metadata?.name ?? '', s.metadata?.namespace ?? '', String(s.metadata?.attempt ?? 0), s.runtimeHandler || '(default)',
    ]),
  ]);
}

function* images(o: Options): Call<void> {
  const filter = o.words[0] ? { image: { image: o.words[0] } } : undefined;
  const all = (yield* ask('listing images', 'ListImages', { filter })).images as Message[];
  if (o.on.has('quiet')) return yield* print(all.map((i) => `${i.id}\n`).join(''));
  const format = valueIn(o, 'output') ?? 'table';
  if (format !== 'table') return yield* structured(format, { images: all });
  const digests = o.on.has('digests');
  const rows = all.flatMap((i) =>
    (i.repoTags.length > 0 ? i.repoTags : ['<none>:<none>']).map((tag: string) => {
      const cut = tag.lastIndexOf(':');
      const digest = (i.repoDigests[0] ?? '@<none>').split('@')[1] as string;
      return [tag.slice(0, cut), tag.slice(cut + 1), ...(digests ? [short(digest)] : []), o.on.has('no-trunc') ? i.id : short(i.id), decimalSize(Number(i.size), 3)];
    }),
  );
  yield* table([['IMAGE', 'TAG', ...(digests ? ['DIGEST'] : []), 'IMAGE ID', 'SIZE'], ...rows.sort((a, b) => (a.join() < b.join() ? -1 : 1))]);
}

function* inspect(o: Options, kind: 'container' | 'pod' | 'image'): Call<void> {
  const format = valueIn(o, 'output') ?? 'json';
  for (const id of o.words) {
    const answer =
      kind === 'container' ? yield* ask(`getting the status of the container ${JSON.stringify(id)}`, 'ContainerStatus', { containerId: id, verbose: true }) :
      kind === 'pod' ? yield* ask(`getting the status of the pod sandbox ${JSON.stringify(id)}`, 'PodSandboxStatus', { podSandboxId: id, verbose: true }) :
      yield* ask('image status', 'ImageStatus', { image: { image: id }, verbose: true });
    const status = kind === 'image' ? answer.image : answer.status;
    if (!status) throw new CrictlError(`no such image ${JSON.stringify(id)} present`);
    yield* structured(format === 'table' ? 'json' : format, o.on.has('quiet') ? { status: readable(status) } : { info: opened(answer.info), status: readable(status) });
  }
}

/** Lines of a log file from `from`; each to the stream it came from. */
function* showLog(source: string, timestamps: boolean): Call<void> {
  for (const line of source.split('\n')) {
    const m = /^(\S+) (stdout|stderr) ([FP]) (.*)$/s.exec(line);
    if (m) yield* (m[2] === 'stdout' ? print : complain)(`${timestamps ? `${m[1]} ` : ''}${m[4]}${m[3] === 'F' ? '\n' : ''}`);
  }
}

function* logs(o: Options): Call<void> {
  const id = o.words[0]!;
  const { status } = yield* ask('getting the status of the container', 'ContainerStatus', { containerId: id });
  let path = String(status.logPath ?? '');
  if (path === '') throw new CrictlError('the container has not set log path');
  if (o.on.has('previous')) {
    const attempt = Number(status.metadata?.attempt ?? 0);
    if (attempt === 0) throw new CrictlError(`previous terminated container ${JSON.stringify(status.metadata?.name)} not found`);
    path = path.replace(/\d+\.log$/, `${attempt - 1}.log`);
  }
  let source: string;
  try {
    source = yield* readText(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new CrictlError(`failed to try resolving symlinks in path ${JSON.stringify(path)}: lstat ${path}: ${error.message.toLowerCase()}`);
  }
  const tail = valueIn(o, 'tail');
  const lines = source.split('\n').slice(0, -1);
  const from = tail !== undefined && Number(tail) >= 0 ? Math.max(0, lines.length - Number(tail)) : 0;
  yield* showLog(lines.slice(from).join('\n'), o.on.has('timestamps'));
  for (let at = source.length; o.on.has('follow'); ) {
    yield* sys('nanosleep', SECOND / 5);
    const more = yield* readFrom(path, at);
    const whole = more.slice(0, more.lastIndexOf('\n') + 1);
    at += whole.length;
    yield* showLog(whole, o.on.has('timestamps'));
    if (whole === '' && (yield* ask('getting the status of the container', 'ContainerStatus', { containerId: id })).status.state !== 'CONTAINER_RUNNING') return;
  }
}

function* readFrom(path: string, at: number): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  const data = yield* sys('pread64', fd, 1 << 20, at);
  yield* sys('close', fd);
  return text(data);
}

function* exec(o: Options): Call<number> {
  const [containerId, ...cmd] = o.words;
  if (cmd.length === 0) throw new CrictlError('exec requires a command');
  if (o.on.has('sync')) {
    const answer = yield* ask('execing command in container synchronously', 'ExecSync', { containerId, cmd, timeout: valueIn(o, 'timeout') ?? '0' });
    yield* print(text(fromBase64(answer.stdout)));
    yield* complain(text(fromBase64(answer.stderr)));
    return Number(answer.exitCode);
  }
  const tty = o.on.has('tty');
  const stdin = o.on.has('interactive');
  const { url } = yield* ask('execing command in container', 'Exec', { containerId, cmd, tty, stdin, stdout: true, stderr: !tty });
  const end = yield* attachStream({ family: 'unix', path: SOCKET }, url, { tty, stdin });
  if ('error' in end) throw new CrictlError(`execing command in container: ${end.error}`);
  if (end.exitCode !== 0) throw new CrictlError(`execing command in container: command terminated with exit code ${end.exitCode}`);
  return 0;
}

function* stats(o: Options): Call<void> {
  const filter = { ...(valueIn(o, 'id') || o.words[0] ? { id: valueIn(o, 'id') ?? o.words[0] } : {}), ...(valueIn(o, 'pod') ? { podSandboxId: valueIn(o, 'pod') } : {}) };
  const first = (yield* ask('listing container stats', 'ListContainerStats', { filter })).stats as Message[];
  const format = valueIn(o, 'output') ?? 'table';
  if (format !== 'table') return yield* structured(format, { stats: first });
  const before = new Map(first.map((s) => [s.attributes.id as string, s]));
  yield* sys('nanosleep', Number(valueIn(o, 'seconds') ?? 1) * SECOND);
  const second = (yield* ask('listing container stats', 'ListContainerStats', { filter })).stats as Message[];
  const rows = second.map((s) => {
    const old = before.get(s.attributes.id);
    const spent = old ? Number(s.cpu.usageCoreNanoSeconds.value) - Number(old.cpu.usageCoreNanoSeconds.value) : 0;
    const passed = old ? Number(s.cpu.timestamp) - Number(old.cpu.timestamp) : 1;
    const [memory, disk] = [s.memory.workingSetBytes.value, s.writableLayer.usedBytes.value].map((n: string) => decimalSize(Number(n)));
    return [short(s.attributes.id), s.attributes.metadata?.name ?? '', ((100 * spent) / passed).toFixed(2), memory!, disk!, String(s.writableLayer.inodesUsed.value)];
  });
  yield* table([['CONTAINER', 'NAME', 'CPU %', 'MEM', 'DISK', 'INODES'], ...rows]);
}

function* each(o: Options, doing: string, method: string, key: string, says: (id: string) => string, more: object = {}): Call<void> {
  for (const id of o.words) {
    yield* ask(`${doing} ${JSON.stringify(id)}`, method, { [key]: id, ...more });
    yield* print(`${says(id)}\n`);
  }
}

function* rm(o: Options): Call<void> {
  const ids = o.on.has('all') ? (yield* ask('listing containers', 'ListContainers', {})).containers.map((c: Message) => c.id as string) : o.words;
  if (ids.length === 0) throw new CrictlError('ID cannot be empty');
  for (const id of ids) {
    const { status } = yield* ask(`getting the status of the container ${JSON.stringify(id)}`, 'ContainerStatus', { containerId: id });
    if (status.state === 'CONTAINER_RUNNING') {
      if (!o.on.has('force')) throw new CrictlError(`container ${JSON.stringify(id)} is running, please stop it first`);
      yield* ask('stopping the container', 'StopContainer', { containerId: id, timeout: '0' });
    }
    yield* ask('removing the container', 'RemoveContainer', { containerId: id });
    yield* print(`${id}\n`);
  }
}

function* rmp(o: Options): Call<void> {
  const ids = o.on.has('all') ? (yield* ask('listing pod sandboxes', 'ListPodSandbox', {})).items.map((s: Message) => s.id as string) : o.words;
  if (ids.length === 0) throw new CrictlError('ID cannot be empty');
  for (const id of ids) {
    const { status } = yield* ask(`getting sandbox status of pod ${JSON.stringify(id)}`, 'PodSandboxStatus', { podSandboxId: id });
    if (status.state === 'SANDBOX_READY') {
      if (!o.on.has('force')) throw new CrictlError(`pod sandbox ${JSON.stringify(id)} is running, please stop it first`);
      yield* ask('stopping the pod sandbox', 'StopPodSandbox', { podSandboxId: id });
    }
    yield* ask('removing the pod sandbox', 'RemovePodSandbox', { podSandboxId: id });
    yield* print(`Removed sandbox ${id}\n`);
  }
}

function* rmi(o: Options): Call<void> {
  const every: Message[] = o.on.has('all') || o.on.has('prune') ? (yield* ask('listing images', 'ListImages', {})).images : [];
  const used = new Set(o.on.has('prune') ? (yield* ask('listing containers', 'ListContainers', {})).containers.map((c: Message) => c.imageRef) : []);
  const ids = [...o.words, ...every.filter((i) => !i.pinned && !used.has(i.id)).map((i) => String(i.id))];
  if (ids.length === 0) {
    if (o.on.has('prune') || o.on.has('all')) return;
    throw new CrictlError('need to specify at least one image');
  }
  for (const id of ids) {
    const { image } = yield* ask('image status', 'ImageStatus', { image: { image: id } });
    if (!image) throw new CrictlError(`no such image ${id}`);
    yield* ask(`error of removing image ${JSON.stringify(id)}`, 'RemoveImage', { image: { image: id } });
    yield* print(image.repoTags.map((t: string) => `Deleted: ${t}\n`).join('') || `Deleted: ${image.id}\n`);
  }
}

function* pull(o: Options): Call<void> {
  const { imageRef } = yield* ask('pulling image', 'PullImage', { image: { image: o.words[0] } });
  yield* print(`Image is up to date for ${imageRef}\n`);
}

function* runp(o: Options): Call<void> {
  const { podSandboxId } = yield* ask('run pod sandbox', 'RunPodSandbox', { config: yield* configOf(o.words[0]!, 'load podSandboxConfig') });
  yield* print(`${podSandboxId}\n`);
}

/** A container from its file in a pod, its image fetched when asked for; its id. */
function* createIn(o: Options, podSandboxId: string, file: string, sandboxConfig: Message): Call<string> {
  const config = yield* configOf(file, 'load container config');
  if (o.on.has('with-pull')) yield* ask('pulling image', 'PullImage', { image: config.image, sandboxConfig });
  return (yield* ask('creating container', 'CreateContainer', { podSandboxId, config, sandboxConfig })).containerId;
}

/** A pod and a container in it, started; unlike create, it fetches the image unless told not to. */
function* run(o: Options): Call<void> {
  const [file, podFile] = o.words as [string, string];
  const pod = yield* configOf(podFile, 'load podSandboxConfig');
  const config = yield* configOf(file, 'load container config');
  const { podSandboxId } = yield* ask('run pod sandbox', 'RunPodSandbox', { config: pod });
  if (!o.on.has('no-pull')) yield* ask('pulling image', 'PullImage', { image: config.image, sandboxConfig: pod });
  const { containerId } = yield* ask('creating container', 'CreateContainer', { podSandboxId, config, sandboxConfig: pod });
  yield* ask('starting the container', 'StartContainer', { containerId });
  yield* print(`${containerId}\n`);
}

const LINUX: Readonly<Record<string, string>> = { 'cpu-period': 'cpuPeriod', 'cpu-quota': 'cpuQuota', 'cpu-share': 'cpuShares', memory: 'memoryLimitInBytes', 'cpuset-cpus': 'cpusetCpus', 'cpuset-mems': 'cpusetMems' };

function* update(o: Options): Call<void> {
  const linux = Object.fromEntries(Object.entries(LINUX).flatMap(([flag, field]) => (valueIn(o, flag) === undefined ? [] : [[field, valueIn(o, flag)!]])));
  for (const [field, value] of Object.entries(linux)) if (!field.startsWith('cpuset') && !/^-?\d+$/.test(value)) throw new CrictlError(`invalid value ${JSON.stringify(value)} for flag: parse error`);
  for (const containerId of o.words) {
    yield* ask('updating container resources', 'UpdateContainerResources', { containerId, linux });
    yield* print(`${containerId}\n`);
  }
}

function* statsp(o: Options): Call<void> {
  const id = valueIn(o, 'id') ?? o.words[0];
  const labels = Object.fromEntries((o.values.get('label') ?? []).map((l) => l.split('=') as [string, string]));
  const filter = { ...(id ? { id } : {}), ...(Object.keys(labels).length > 0 ? { labelSelector: labels } : {}) };
  const first = (yield* ask('get pod stats: list pod sandbox stats', 'ListPodSandboxStats', { filter })).stats as Message[];
  const format = valueIn(o, 'output') ?? 'table';
  if (format !== 'table') return yield* structured(format, { stats: first });
  const before = new Map(first.map((s) => [s.attributes.id as string, s]));
  yield* sys('nanosleep', Number(valueIn(o, 'seconds') ?? 1) * SECOND);
  const second = (yield* ask('get pod stats: list pod sandbox stats', 'ListPodSandboxStats', { filter })).stats as Message[];
  const rows = second.filter((s) => before.has(s.attributes.id)).map((s) => {
    const old = before.get(s.attributes.id)!.linux.cpu;
    const { cpu, memory } = s.linux;
    const share = (100 * (Number(cpu.usageCoreNanoSeconds.value) - Number(old.usageCoreNanoSeconds.value))) / Math.max(1, Number(cpu.timestamp) - Number(old.timestamp));
    return [s.attributes.metadata?.name ?? '', short(s.attributes.id), share.toFixed(2), decimalSize(Number(memory.workingSetBytes.value))];
  });
  yield* table([['POD', 'POD ID', 'CPU %', 'MEM'], ...rows]);
}

function* imageFsInfo(o: Options): Call<void> {
  const answer = yield* ask('image filesystem info', 'ImageFsInfo', {});
  const format = valueIn(o, 'output') ?? 'json';
  yield* structured(format === 'table' ? 'json' : format, { status: { containerFilesystems: answer.containerFilesystems ?? [], imageFilesystems: answer.imageFilesystems } });
}

function* create(o: Options): Call<void> {
  const [podSandboxId, config, pod] = o.words as [string, string, string];
  yield* print(`${yield* createIn(o, podSandboxId, config, yield* configOf(pod, 'load podSandboxConfig'))}\n`);
}

function* info(o: Options): Call<void> {
  const answer = yield* ask('getting status of runtime', 'Status', { verbose: true });
  yield* structured(valueIn(o, 'output') ?? 'json', { ...opened(answer.info), status: answer.status });
}

function* version(): Call<void> {
  const v = yield* ask('getting the runtime version', 'Version', {});
  yield* print(`Version:  ${v.version}\nRuntimeName:  ${v.runtimeName}\nRuntimeVersion:  ${v.runtimeVersion}\nRuntimeApiVersion:  ${v.runtimeApiVersion}\n`);
}
