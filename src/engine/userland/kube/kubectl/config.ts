/** config: what the kubeconfig file says, and changes to it. Source: kubectl pkg/cmd/config 1.32. */
import { copy, type Json } from '../../../cluster/types/objects.ts';
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes, toBase64 } from '../../../sim/text.ts';
import { mkdirAll, readText } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, err, Fatal, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { printAs } from './print.ts';
import { getTable } from './tabwriter.ts';
import { toJson, toYaml } from './yaml.ts';

export const CONFIG_SUBS: Readonly<Record<string, string>> = {
  view: 'minify raw flatten merge=?true o/output= allow-missing-template-keys template= show-managed-fields', 'current-context': '', 'get-contexts': 'o/output= no-headers', 'get-clusters': '', 'get-users': '',
  'use-context': '', 'rename-context': '', 'delete-context': '', 'delete-cluster': '', 'delete-user': '', 'set-context': 'current', 'set-cluster': 'embed-certs=?true proxy-url=',
  'set-credentials': 'embed-certs=?true auth-provider= auth-provider-arg=* exec-command= exec-api-version= exec-arg=* exec-env=*', set: 'set-raw-bytes=?true', unset: '',
};

type Verb = (client: Client, flags: Flags, args: readonly string[]) => Call<number>;
type Named = 'contexts' | 'clusters' | 'users';

const usage = (verb: string, message: string): Fatal => new Fatal(`error: ${message}\nSee 'kubectl config ${verb} -h' for help and examples`);
const find = (c: Json, list: Named, name: string | undefined): Json => (c[list] ?? []).find((x: Json) => x?.name === name);
const byName = (list: Json): Json[] => [...(list ?? [])].sort((a: Json, b: Json) => (a.name < b.name ? -1 : 1));

export function* config(client: Client, flags: Flags): Call<number> {
  const [verb = '', ...args] = flags.args;
  return yield* VERBS[verb]!(client, flags, args);
}

function* save(client: Client, value: Json): Call<void> {
  yield* mkdirAll(client.configPath.slice(0, client.configPath.lastIndexOf('/')));
  const fd = yield* sys('openat', AT_FDCWD, client.configPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
  yield* sys('write', fd, bytes(toYaml(shaped(value))));
  yield* sys('close', fd);
}

/** A file in the order and with the fields that kubectl writes. */
function shaped(c: Json): Json {
  return { apiVersion: 'v1', clusters: c.clusters ?? null, contexts: c.contexts ?? null, 'current-context': c['current-context'] ?? '', kind: 'Config', preferences: c.preferences ?? {}, users: c.users ?? null };
}

function* view(client: Client, flags: Flags): Call<number> {
  const c = shaped(copy(client.config));
  const raw = on(flags, 'raw');
  if (on(flags, 'minify')) {
    const current = flags.text.get('context') ?? c['current-context'];
    const context = find(c, 'contexts', current);
    if (!current) throw new Fatal('error: current-context must exist in order to minify');
    if (!context) throw new Fatal(`error: cannot locate context ${current}`);
    c.contexts = [context];
    c.clusters = (c.clusters ?? []).filter((x: Json) => x.name === context.context?.cluster);
    c.users = (c.users ?? []).filter((x: Json) => x.name === context.context?.user);
    c['current-context'] = current;
  }
  for (const list of ['clusters', 'contexts', 'users'] as const) c[list] = c[list] === null ? null : byName(c[list]);
  if (!raw) hide(c);
  const format = flags.text.get('output') ?? 'yaml';
  if (format === 'yaml') yield* out(toYaml(c));
  else if (format === 'json') yield* out(`${toJson(c)}\n`);
  else yield* printAs(format, [c], true);
  return 0;
}

function hide(c: Json): void {
  for (const { user } of c.users ?? []) {
    for (const field of ['token', 'password']) if (user?.[field]) user[field] = 'REDACTED';
    for (const field of ['client-certificate-data', 'client-key-data']) if (user?.[field]) user[field] = 'DATA+OMITTED';
  }
  for (const { cluster } of c.clusters ?? []) if (cluster?.['certificate-authority-data']) cluster['certificate-authority-data'] = 'DATA+OMITTED';
}

/** Deletes an entry of a list by name. */
function remover(list: Named, word: string, verb: string): Verb {
  return function* (client, _flags, args) {
    if (args.length !== 1) throw usage(verb, `Unexpected args: [${args.join(' ')}]`);
    const c = client.config;
    if (!find(c, list, args[0])) throw new Fatal(`error: cannot delete ${word} ${args[0]}, not in ${client.configPath}`);
    if (list === 'contexts' && c['current-context'] === args[0]) yield* err('warning: this removed your active context, use "kubectl config use-context" to select a different one\n');
    yield* save(client, { ...c, [list]: c[list].filter((x: Json) => x.name !== args[0]) });
    yield* out(`deleted ${word} ${args[0]} from ${client.configPath}\n`);
    return 0;
  };
}

/** Adds an entry or changes what the flags name of it. */
function* put(client: Client, list: Named, name: string, field: string, change: Json): Call<boolean> {
  const old = find(client.config, list, name);
  const next = { name, [field]: { ...(old?.[field] ?? {}), ...change } };
  for (const [k, v] of Object.entries(change)) if (v === '') delete next[field][k];
  const c = client.config;
  yield* save(client, { ...c, [list]: old ? c[list].map((x: Json) => (x.name === name ? { ...x, ...next } : x)) : byName([...(c[list] ?? []), next]) });
  return old !== undefined;
}

function* embedded(flags: Flags, flag: string, key: string): Call<Json> {
  const path = flags.text.get(flag);
  if (path === undefined) return {};
  if (!on(flags, 'embed-certs') || path === '') return { [key]: path };
  try {
    return { [`${key}-data`]: toBase64(bytes(yield* readText(path))) };
  } catch (error) {
    if (error instanceof SysError) throw new Fatal(`error: could not stat ${flag} file ${path}: stat ${path}: ${error.message.toLowerCase()}`);
    throw error;
  }
}

const given = (flags: Flags, map: Readonly<Record<string, string>>): Json => Object.fromEntries(Object.entries(map).filter(([flag]) => flags.text.has(flag)).map(([flag, key]) => [key, flags.text.get(flag)]));

/** The container of a dotted path, "users.me.token": list entries by name. */
function* at(c: Json, path: string, create: boolean): Call<[Json, string]> {
  const [head = '', ...rest] = path.split('.');
  const lists: Record<string, [Named, string]> = { clusters: ['clusters', 'cluster'], contexts: ['contexts', 'context'], users: ['users', 'user'] };
  const known = lists[head];
  if (!known) return [c, path];
  const [list, field] = known;
  if (rest.length === 0) return [c, list];
  const last = rest.at(-1)!;
  const name = rest.length === 1 ? rest[0]! : rest.slice(0, -1).join('.');
  let entry = find(c, list, name);
  if (!entry) {
    if (!create) throw new Fatal(`error: current map key \`${name}\` is invalid`);
    entry = { name, [field]: {} };
    c[list] = [...(c[list] ?? []), entry];
  }
  if (rest.length === 1) return [c[list], name];
  entry[field] ??= {};
  return [entry[field], last];
}

const VERBS: Record<string, Verb> = {
  view,
  *'current-context'(client) {
    const current = client.config['current-context'];
    if (!current) throw new Fatal('error: current-context is not set');
    yield* out(`${current}\n`);
    return 0;
  },
  *'get-contexts'(client, flags, args) {
    const c = client.config;
    const format = flags.text.get('output') ?? '';
    if (format !== '' && format !== 'name') throw new Fatal('error: output must be one of \'\' or \'name\'');
    const missing = args.filter((a) => !find(c, 'contexts', a));
    const rows = byName(c.contexts).filter((x) => args.length === 0 || args.includes(x.name)).map((x) => [x.name === c['current-context'] ? '*' : '', x.name, x.context?.cluster ?? '', x.context?.user ?? '', x.context?.namespace ?? '']);
    if (format === 'name') yield* out(rows.map((r) => `${r[1]}\n`).join(''));
    else yield* out(getTable(on(flags, 'no-headers') ? rows : [['CURRENT', 'NAME', 'CLUSTER', 'AUTHINFO', 'NAMESPACE'], ...rows]));
    if (missing.length > 0) throw new Fatal(missing.map((m) => `error: context ${m} not found`).join('\n'));
    return 0;
  },
  *'get-clusters'(client) {
    yield* out(['NAME', ...byName(client.config.clusters).map((x) => x.name)].map((l) => `${l}\n`).join(''));
    return 0;
  },
  *'get-users'(client) {
    yield* out(['NAME', ...byName(client.config.users).map((x) => x.name)].map((l) => `${l}\n`).join(''));
    return 0;
  },
  *'use-context'(client, _flags, args) {
    if (args.length !== 1) throw usage('use-context', `Unexpected args: [${args.join(' ')}]`);
    if (!find(client.config, 'contexts', args[0])) throw new Fatal(`error: no context exists with the name: "${args[0]}"`);
    yield* save(client, { ...client.config, 'current-context': args[0] });
    yield* out(`Switched to context "${args[0]}".\n`);
    return 0;
  },
  *'rename-context'(client, _flags, args) {
    if (args.length !== 2) throw usage('rename-context', `Unexpected args: [${args.join(' ')}]`);
    const [from, to] = args;
    const c = client.config;
    if (!find(c, 'contexts', from)) throw new Fatal(`error: cannot rename the context "${from}", it's not in ${client.configPath}`);
    if (find(c, 'contexts', to)) throw new Fatal(`error: cannot rename the context "${from}", the context "${to}" already exists in ${client.configPath}`);
    yield* save(client, { ...c, contexts: byName(c.contexts.map((x: Json) => (x.name === from ? { ...x, name: to } : x))), ...(c['current-context'] === from ? { 'current-context': to } : {}) });
    yield* out(`Context "${from}" renamed to "${to}".\n`);
    return 0;
  },
  'delete-context': remover('contexts', 'context', 'delete-context'),
  'delete-cluster': remover('clusters', 'cluster', 'delete-cluster'),
  'delete-user': remover('users', 'user', 'delete-user'),
  *'set-context'(client, flags, args) {
    if (args.length > 1 || (args.length === 1 && on(flags, 'current'))) throw usage('set-context', args.length > 1 ? `Unexpected args: [${args.join(' ')}]` : 'you cannot specify both a context name and --current');
    const name = on(flags, 'current') ? client.config['current-context'] : args[0];
    if (!name) throw new Fatal(on(flags, 'current') ? 'error: no current context is set' : 'error: you must specify a non-empty context name or --current');
    const old = yield* put(client, 'contexts', name, 'context', given(flags, { cluster: 'cluster', user: 'user', namespace: 'namespace' }));
    yield* out(`Context "${name}" ${old ? 'modified' : 'created'}.\n`);
    return 0;
  },
  *'set-cluster'(client, flags, args) {
    if (args.length !== 1) throw usage('set-cluster', `Unexpected args: [${args.join(' ')}]`);
    const change = given(flags, { server: 'server', 'tls-server-name': 'tls-server-name', 'proxy-url': 'proxy-url' });
    if (flags.text.has('insecure-skip-tls-verify')) change['insecure-skip-tls-verify'] = on(flags, 'insecure-skip-tls-verify') || '';
    Object.assign(change, yield* embedded(flags, 'certificate-authority', 'certificate-authority'));
    yield* put(client, 'clusters', args[0]!, 'cluster', change);
    yield* out(`Cluster "${args[0]}" set.\n`);
    return 0;
  },
  *'set-credentials'(client, flags, args) {
    if (args.length !== 1) throw usage('set-credentials', `Unexpected args: [${args.join(' ')}]`);
    const ways = ['token', 'username'].filter((f) => flags.text.has(f));
    if (ways.length > 1) throw new Fatal('error: you cannot specify more than one authentication method at the same time: --token, --username/--password');
    const change = given(flags, { token: 'token', username: 'username', password: 'password' });
    Object.assign(change, yield* embedded(flags, 'client-certificate', 'client-certificate'), yield* embedded(flags, 'client-key', 'client-key'));
    yield* put(client, 'users', args[0]!, 'user', change);
    yield* out(`User "${args[0]}" set.\n`);
    return 0;
  },
  *set(client, _flags, args) {
    if (args.length !== 2) throw usage('set', `Unexpected args: [${args.join(' ')}]`);
    const c = copy(client.config);
    const [holder, key] = yield* at(c, args[0]!, true);
    if (Array.isArray(holder)) throw new Fatal(`error: unable to parse path "${args[0]}"`);
    holder[key] = args[1] === 'true' ? true : args[1] === 'false' ? false : args[1];
    yield* save(client, c);
    yield* out(`Property "${args[0]}" set.\n`);
    return 0;
  },
  *unset(client, _flags, args) {
    if (args.length !== 1) throw usage('unset', `Unexpected args: [${args.join(' ')}]`);
    const c = copy(client.config);
    const [holder, key] = yield* at(c, args[0]!, false);
    if (Array.isArray(holder)) holder.splice(holder.findIndex((x: Json) => x.name === key), 1);
    else delete holder[key];
    yield* save(client, c);
    yield* out(`Property "${args[0]}" unset.\n`);
    return 0;
  },
};
