/** About the cluster and kubectl itself: version, cluster-info, api-resources, api-versions, plugin. */
import { kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import type { Json, Pod } from '../../../cluster/types/objects.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { mkdirAll, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { ask, type Client, err, Fatal, listKind, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { logText } from './pods.ts';
import { getTable } from './tabwriter.ts';
import { toJson, toYaml } from './yaml.ts';

export const CLIENT_VERSION = 'v1.32.4';
export const VERSION_FLAGS = 'client o/output=';

export function* version(client: Client, flags: Flags): Call<number> {
  const mine = { buildDate: '2025-04-22T15:58:34Z', compiler: 'gc', gitCommit: '59526cd4867447956156ae3a602fcbac10a2c335', gitTreeState: 'clean', gitVersion: CLIENT_VERSION, goVersion: 'go1.23.6', major: '1', minor: '32', platform: 'linux/amd64' };
  const format = flags.text.get('output');
  if (format !== undefined && format !== 'yaml' && format !== 'json') throw new Fatal("error: --output must be 'yaml' or 'json'");
  const theirs: Json = on(flags, 'client') ? undefined : yield* ask(client, 'GET', '/version');
  if (format) {
    const all = { clientVersion: mine, kustomizeVersion: 'v5.5.0', ...(theirs ? { serverVersion: theirs } : {}) };
    yield* out(format === 'yaml' ? `${toYaml(all)}\n` : `${toJson(all, 2)}\n`);
    return 0;
  }
  yield* out(`Client Version: ${CLIENT_VERSION}\nKustomize Version: v5.5.0\n`);
  if (theirs) {
    yield* out(`Server Version: ${theirs.gitVersion}\n`);
    if (Math.abs(Number(theirs.minor.replace(/\D/g, '')) - 32) > 1) yield* err(`WARNING: version difference between client (1.32) and server (${theirs.major}.${theirs.minor}) exceeds the supported minor version skew of +/-1\n`);
  }
  return 0;
}

export function* clusterInfo(client: Client, flags: Flags): Call<number> {
  if (flags.args[0] === 'dump') return yield* dump(client, flags);
  if (flags.args.length > 0) throw new Fatal(`error: unknown command ${JSON.stringify(flags.args.join(' '))}\nSee 'kubectl cluster-info -h' for help and examples`);
  try {
    yield* ask(client, 'GET', '/api');
  } catch (error) {
    if (error instanceof Fatal) yield* out("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
    throw error;
  }
  yield* out(`\u001b[0;32mKubernetes control plane\u001b[0m is running at \u001b[0;33m${client.url}\u001b[0m\n\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n`);
  return 0;
}

export const API_RESOURCES_FLAGS = 'namespaced=?true o/output= no-headers api-group= sort-by= verbs=* categories=* cached show-managed-fields allow-missing-template-keys template=';

export function* apiResources(client: Client, flags: Flags): Call<number> {
  client.attempts = 1;
  const format = flags.text.get('output') ?? '';
  const by = flags.text.get('sort-by') ?? '';
  if (flags.args.length > 0) throw new Fatal(`error: unexpected arguments: [${flags.args.join(' ')}]\nSee 'kubectl api-resources -h' for help and examples`);
  if (!['', 'wide', 'name', 'json', 'yaml'].includes(format)) throw new Fatal(`error: --output ${format} is not available`);
  if (!['', 'name', 'kind'].includes(by)) throw new Fatal('error: --sort-by accepts only name or kind');
  let groups: Json;
  try {
    yield* ask(client, 'GET', '/api');
    groups = yield* ask(client, 'GET', '/apis');
  } catch (error) {
    if (error instanceof Fatal && !flags.text.has('output')) yield* out(getTable([['NAME', 'SHORTNAMES', 'APIVERSION', 'NAMESPACED', 'KIND']]));
    throw error;
  }
  const rows = yield* served(client, groups, flags);
  const key = (r: Row): string => (by === 'name' ? r.name : by === 'kind' ? r.kind : `${r.group}\0${r.name}`);
  rows.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  if (format === 'name') {
    for (const r of rows) yield* out(`${r.group ? `${r.name}.${r.group}` : r.name}\n`);
    return 0;
  }
  if (format === 'json' || format === 'yaml') {
    const list = { apiVersion: 'v1', groupVersion: '', kind: 'APIResourceList', resources: rows.map(({ group, version, short, ...r }) => ({ ...r, group, shortNames: short, version })) };
    yield* out(format === 'json' ? `${toJson(list)}\n` : toYaml(list));
    return 0;
  }
  const cells = rows.map((r) => [r.name, r.short.join(','), r.group ? `${r.group}/${r.version}` : r.version, String(r.namespaced), r.kind, ...(format === 'wide' ? [r.verbs.join(','), r.categories.join(',')] : [])]);
  const head = ['NAME', 'SHORTNAMES', 'APIVERSION', 'NAMESPACED', 'KIND', ...(format === 'wide' ? ['VERBS', 'CATEGORIES'] : [])];
  yield* out(getTable(on(flags, 'no-headers') ? cells : [head, ...cells]));
  return 0;
}

interface Row { name: string; short: string[]; group: string; version: string; namespaced: boolean; kind: string; verbs: string[]; categories: string[] }

/** What discovery lists of the preferred versions, and the flags leave. */
function* served(client: Client, groups: Json, flags: Flags): Call<Row[]> {
  const many = (flag: string): string[] => (flags.many.get(flag) ?? []).flatMap((v) => v.split(','));
  const [verbs, categories, namespaced, wanted] = [many('verbs'), many('categories'), flags.text.get('namespaced'), flags.text.get('api-group')];
  const rows: Row[] = [];
  const versions: [string, string][] = [['', 'v1'], ...(groups.groups ?? []).map((g: Json) => [g.name, g.preferredVersion?.version ?? 'v1'] as [string, string])];
  for (const [group, version] of versions) {
    if (wanted !== undefined && wanted !== group) continue;
    const list = yield* ask(client, 'GET', group === '' ? '/api/v1' : `/apis/${group}/${version}`);
    for (const r of list.resources ?? []) {
      if (r.name.includes('/') || !r.verbs?.length) continue;
      const row: Row = { name: r.name, short: r.shortNames ?? [], group, version, namespaced: r.namespaced, kind: r.kind, verbs: r.verbs, categories: r.categories ?? [] };
      if (namespaced !== undefined && String(row.namespaced) !== namespaced) continue;
      if (verbs.every((v) => row.verbs.includes(v)) && categories.every((c) => row.categories.includes(c))) rows.push(row);
    }
  }
  return rows;
}

export function* apiVersions(client: Client): Call<number> {
  const groups = yield* ask(client, 'GET', '/apis');
  const all = ['v1', ...(groups.groups ?? []).flatMap((g: Json) => (g.versions ?? []).map((v: Json) => v.groupVersion))];
  for (const v of all.sort()) yield* out(`${v}\n`);
  return 0;
}

/** `plugin list`: programs named kubectl-… in PATH. None of the lab's is one; they are found all the same. */
export function* plugin(client: Client, flags: Flags): Call<number> {
  if (flags.args[0] !== 'list') throw new Fatal("error: unknown command\nSee 'kubectl plugin -h' for help and examples");
  const found: string[] = [];
  for (const directory of (client.env.PATH ?? '').split(':').filter((d) => d !== '')) {
    for (const name of yield* namesIn(directory)) if (name.startsWith('kubectl-')) found.push(on(flags, 'name-only') ? name : `${directory}/${name}`);
  }
  if (found.length === 0) throw new Fatal('error: unable to find any kubectl plugins in your PATH');
  yield* out(`The following compatible plugins are available:\n\n${found.map((f) => `${f}\n`).join('')}`);
  return 0;
}

function* namesIn(directory: string): Call<string[]> {
  const names: string[] = [];
  try {
    const fd = yield* sys('openat', AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    for (;;) {
      const some = yield* sys('getdents64', fd);
      if (some.length === 0) break;
      names.push(...some.map((e) => e.name));
    }
    yield* sys('close', fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  return names.sort();
}

/** A script of completion is not kept; which shells there are is. */
export function* completion(_client: Client, flags: Flags): Call<number> {
  const shells = ['bash', 'zsh', 'fish', 'powershell'];
  const [shell] = flags.args;
  if (shell === undefined) throw new Fatal("error: Shell not specified.\nSee 'kubectl completion -h' for help and examples");
  if (flags.args.length > 1) throw new Fatal("error: Too many arguments. Expected only the shell type.\nSee 'kubectl completion -h' for help and examples");
  if (!shells.includes(shell)) throw new Fatal(`error: Unsupported shell type "${shell}".\nSee 'kubectl completion -h' for help and examples`);
  throw new Fatal(`error: not modelled: completion for ${shell}`);
}

// biome-ignore lint/correctness/useYield: only refuses
export function* certificate(): Call<number> {
  throw new Fatal('error: not modelled: certificate signing requests');
}

export const DUMP_FLAGS = 'A/all-namespaces namespaces=* output-directory= o/output= pod-running-timeout= allow-missing-template-keys template= show-managed-fields';

const DUMPED = ['Event', 'ReplicationController', 'Service', 'DaemonSet', 'Deployment', 'ReplicaSet', 'Pod'];

/** `cluster-info dump`: nodes, then of some namespaces the lists of what they hold, and the pods' logs. */
function* dump(client: Client, flags: Flags): Call<number> {
  const format = flags.text.get('output') ?? 'json';
  if (format !== 'json' && format !== 'yaml') throw new Fatal(`error: unable to match a printer suitable for the output format "${format}", allowed formats are: json,yaml`);
  const directory = flags.text.get('output-directory');
  const into = directory === '-' ? undefined : directory;
  const put = function* (path: string, text: string): Call<void> {
    if (into === undefined) yield* out(text);
    else {
      const whole = `${into.replace(/\/$/, '')}/${path}`;
      yield* mkdirAll(whole.slice(0, whole.lastIndexOf('/')));
      yield* writeFile(whole, text);
    }
  };
  const show = (list: Json): string => (format === 'yaml' ? toYaml(list) : `${toJson(list)}\n`);
  yield* put(`nodes.${format}`, show(yield* ask(client, 'GET', pathOf(kindNamed('Node')))));
  const all = on(flags, 'all-namespaces');
  const named = (flags.many.get('namespaces') ?? []).flatMap((n) => n.split(','));
  const namespaces: string[] = all ? (yield* listKind(client, kindNamed('Namespace'), undefined)).items.map((n) => n.metadata.name) : named.length > 0 ? named : ['kube-system', client.namespace];
  for (const namespace of namespaces) {
    for (const name of DUMPED) yield* put(`${namespace}/${kindNamed(name).plural === 'events' ? 'events' : kindNamed(name).plural.replace('replicationcontrollers', 'replication-controllers')}.${format}`, show(yield* ask(client, 'GET', pathOf(kindNamed(name), namespace))));
    for (const pod of (yield* listKind(client, kindNamed('Pod'), namespace)).items as Pod[]) {
      for (const c of pod.spec.containers) {
        const head = `==== START logs for container ${c.name} of pod ${namespace}/${pod.metadata.name} ====\n`;
        const tail = `==== END logs for container ${c.name} of pod ${namespace}/${pod.metadata.name} ====\n`;
        yield* put(`${namespace}/${pod.metadata.name}/logs.txt`, `${head}${yield* logText(pod, c.name)}${tail}`);
      }
    }
  }
  if (into !== undefined) yield* out(`Cluster info dumped to ${into}\n`);
  return 0;
}
