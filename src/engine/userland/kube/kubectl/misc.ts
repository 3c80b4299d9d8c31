/** About the cluster and kubectl itself: version, cluster-info, api-resources, api-versions, config, top. */
import { apiVersionOf, KINDS } from '../../../cluster/types/kinds.ts';
import type { Json } from '../../../cluster/types/objects.ts';
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_TRUNC, O_WRONLY, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import type { Call } from '../../lib/http.ts';
import { ask, call, type Client, err, Fatal, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { getTable } from './tabwriter.ts';
import { toJson, toYaml } from './yaml.ts';

export const CLIENT_VERSION = 'v1.32.4';
export const VERSION_FLAGS = 'client o/output= short';

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

export function* clusterInfo(client: Client): Call<number> {
  try {
    yield* ask(client, 'GET', '/api');
  } catch (error) {
    if (error instanceof Fatal) yield* out("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
    throw error;
  }
  yield* out(`\u001b[0;32mKubernetes control plane\u001b[0m is running at \u001b[0;33m${client.url}\u001b[0m\n\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n`);
  return 0;
}

export const API_RESOURCES_FLAGS = 'namespaced=?true o/output= no-headers api-group= sort-by= verbs= categories= cached';

export function* apiResources(client: Client, flags: Flags): Call<number> {
  client.attempts = 1;
  try {
    yield* ask(client, 'GET', '/api');
  } catch (error) {
    if (error instanceof Fatal && !flags.text.has('output')) yield* out(getTable([['NAME', 'SHORTNAMES', 'APIVERSION', 'NAMESPACED', 'KIND']]));
    throw error;
  }
  const namespaced = flags.text.get('namespaced');
  const group = flags.text.get('api-group');
  const rows = KINDS.filter((k) => (namespaced === undefined || String(k.namespaced) === namespaced) && (group === undefined || k.group === group)).map((k) => k);
  const sorted = [...rows].sort((a, b) => (a.group === b.group ? (a.plural < b.plural ? -1 : 1) : a.group < b.group ? -1 : 1));
  const format = flags.text.get('output');
  if (format === 'name') {
    for (const k of sorted) yield* out(`${k.group ? `${k.plural}.${k.group}` : k.plural}\n`);
    return 0;
  }
  const cells = sorted.map((k) => [k.plural, k.short.join(','), apiVersionOf(k), String(k.namespaced), k.kind, ...(format === 'wide' ? [k.verbs.join(','), k.all ? 'all' : ''] : [])]);
  const head = ['NAME', 'SHORTNAMES', 'APIVERSION', 'NAMESPACED', 'KIND', ...(format === 'wide' ? ['VERBS', 'CATEGORIES'] : [])];
  yield* out(getTable(on(flags, 'no-headers') ? cells : [head, ...cells]));
  return 0;
}

export function* apiVersions(client: Client): Call<number> {
  yield* ask(client, 'GET', '/apis');
  for (const v of [...new Set(KINDS.map(apiVersionOf))].sort()) yield* out(`${v}\n`);
  return 0;
}

export const CONFIG_FLAGS = 'minify raw flatten o/output= current no-headers user= cluster= embed-certs';

export function* config(client: Client, flags: Flags): Call<number> {
  const [verb, ...args] = flags.args;
  const c: Json = client.config;
  const contexts: Json[] = c.contexts ?? [];
  switch (verb) {
    case 'view': {
      const shown = { apiVersion: 'v1', clusters: c.clusters ?? null, contexts: c.contexts ?? null, 'current-context': c['current-context'] ?? '', kind: 'Config', preferences: {}, users: (c.users ?? []).map(redacted) };
      yield* out(flags.text.get('output') === 'json' ? `${toJson(shown)}\n` : toYaml(shown));
      return 0;
    }
    case 'current-context':
      if (!c['current-context']) throw new Fatal('error: current-context is not set');
      yield* out(`${c['current-context']}\n`);
      return 0;
    case 'get-contexts': {
      const rows = [...contexts].sort((a, b) => (a.name < b.name ? -1 : 1)).map((x) => [x.name === c['current-context'] ? '*' : '', x.name, x.context?.cluster ?? '', x.context?.user ?? '', x.context?.namespace ?? '']);
      if (flags.text.get('output') === 'name') yield* out(rows.map((r) => `${r[1]}\n`).join(''));
      else yield* out(getTable(on(flags, 'no-headers') ? rows : [['CURRENT', 'NAME', 'CLUSTER', 'AUTHINFO', 'NAMESPACE'], ...rows]));
      return 0;
    }
    case 'get-clusters':
      yield* out(['NAME', ...(c.clusters ?? []).map((x: Json) => x.name)].map((l) => `${l}\n`).join(''));
      return 0;
    case 'get-users':
      yield* out(['NAME', ...(c.users ?? []).map((x: Json) => x.name)].map((l) => `${l}\n`).join(''));
      return 0;
    case 'use-context': {
      const name = args[0] ?? '';
      if (!contexts.some((x) => x.name === name)) throw new Fatal(`error: no context exists with the name: "${name}"`);
      yield* save(client, { ...c, 'current-context': name });
      yield* out(`Switched to context "${name}".\n`);
      return 0;
    }
    case 'set-context': {
      const name = on(flags, 'current') ? c['current-context'] : args[0];
      if (!name) throw new Fatal('error: you must specify a non-empty context name or --current');
      const old = contexts.find((x) => x.name === name);
      const set = (k: string): Json => (flags.text.has(k) ? { [k]: flags.text.get(k) } : {});
      const context = { ...(old?.context ?? {}), ...set('cluster'), ...set('user'), ...set('namespace') };
      const rest = contexts.filter((x) => x.name !== name);
      yield* save(client, { ...c, apiVersion: 'v1', kind: 'Config', contexts: old ? contexts.map((x) => (x.name === name ? { name, context } : x)) : [...rest, { name, context }] });
      yield* out(`Context "${name}" ${old ? 'modified' : 'created'}.\n`);
      return 0;
    }
    default:
      throw new Fatal(`error: unknown config command: "${verb ?? ''}"\nSee 'kubectl config -h' for help and examples`);
  }
}

function redacted(user: Json): Json {
  return user?.user?.token ? { ...user, user: { ...user.user, token: 'REDACTED' } } : user;
}

function* save(client: Client, value: Json): Call<void> {
  const fd = yield* sys('openat', AT_FDCWD, client.configPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
  yield* sys('write', fd, bytes(toYaml(value)));
  yield* sys('close', fd);
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

export function* top(client: Client): Call<number> {
  yield* call(client, 'GET', '/api');
  throw new Fatal('error: Metrics API not available');
}
