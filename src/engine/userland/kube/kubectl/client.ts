/** kubectl's side of the wire: its configuration file, requests to the API server, errors as it words them, output. */
import { parse as parseYaml } from 'yaml';
import { AT_FDCWD, O_RDONLY, POLLIN, SysError } from '../../../kernel/abi.ts';
import { sys, type SockAddr } from '../../../kernel/sys.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { type Kind, pathOf } from '../../../cluster/types/kinds.ts';
import { rfc3339 } from '../../../cluster/types/time.ts';
import { bytes, text } from '../../../sim/text.ts';
import { formatQuery } from '../../../sim/wire.ts';
import { secondsIn } from '../../lib/duration.ts';
import { type Call, open, request, type Stream } from '../../lib/http.ts';
import type { Flags } from './flags.ts';
import { objectsOf, opened, TABLE } from './servertables.ts';

/** Printed to stderr as it is (nothing when empty); ends kubectl with the status. */
export class Fatal extends Error {
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

export interface Client {
  env: Readonly<Record<string, string>>;
  config: Json;
  configPath: string;
  context: string;
  namespace: string;
  server: SockAddr & { family: 'inet' };
  url: string;
  /** Headers that say in whose name it asks: --as, --as-group. */
  as: Readonly<Record<string, string>>;
  /** Seconds since the epoch at which a watch ends (--request-timeout); null: never. */
  until: number | null;
  /** How often discovery is tried before giving up, as kubectl logs it. */
  attempts: number;
  /** The manifests that it is about to send: what they are told when no server answers. */
  files?: { sources: readonly string[]; validated: boolean };
}

export function* out(message: string): Call<void> {
  yield* put(1, message);
}

export function* err(message: string): Call<void> {
  yield* put(2, message);
}

function* put(fd: number, message: string): Call<void> {
  const data = bytes(message);
  for (let at = 0; at < data.length; ) at += yield* sys('write', fd, data.subarray(at));
}

export function* readFd(fd: number): Call<string> {
  const parts: number[] = [];
  for (;;) {
    const piece = yield* sys('read', fd, 65536);
    if (piece.length === 0) return text(new Uint8Array(parts));
    for (const b of piece) parts.push(b);
    if (parts.length > 8 * 1024 * 1024) throw new Fatal('error: input is larger than 8 MiB');
  }
}

export function* readPath(path: string): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  const found = yield* readFd(fd);
  yield* sys('close', fd);
  return found;
}

export function* connect(env: Readonly<Record<string, string>>, flags: Flags): Call<Client> {
  const configPath = flags.text.get('kubeconfig') ?? env.KUBECONFIG ?? `${env.HOME ?? '/root'}/.kube/config`;
  let config: Json = {};
  try {
    const source = yield* readPath(configPath);
    try {
      config = parseYaml(source) ?? {};
    } catch {
      throw new Fatal(`error: error loading config file "${configPath}": yaml: unreadable`);
    }
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (flags.text.has('kubeconfig')) throw new Fatal(`error: stat ${configPath}: no such file or directory`);
  }
  if (typeof config !== 'object' || config === null) config = {};
  const context: string = flags.text.get('context') ?? config['current-context'] ?? '';
  const found = (config.contexts ?? []).find((c: Json) => c?.name === context)?.context;
  if (flags.text.has('context') && !found) throw new Fatal(`error: context "${context}" does not exist`);
  const cluster = (config.clusters ?? []).find((c: Json) => c?.name === (flags.text.get('cluster') ?? found?.cluster))?.cluster;
  const url = String(flags.text.get('server') ?? cluster?.server ?? 'http://localhost:8080').replace(/\/$/, '');
  const timeout = seconds(flags.text.get('request-timeout') ?? '0');
  const m = /^(?:https?:\/\/)?([^:/]+)(?::(\d+))?/.exec(url);
  const host = m?.[1] ?? 'localhost';
  return {
    env, config, configPath, context, namespace: flags.text.get('namespace') ?? found?.namespace ?? 'default', url, as: impersonation(flags), attempts: 5,
    until: timeout === 0 ? null : (yield* now()) + timeout,
    server: { family: 'inet', address: host === 'localhost' ? '127.0.0.1' : host, port: Number(m?.[2] ?? (url.startsWith('https') ? 443 : 80)) },
  };
}

function impersonation(flags: Flags): Record<string, string> {
  const name = flags.text.get('as');
  const groups = flags.many.get('as-group') ?? [];
  if (groups.length > 0 && !name) throw new Fatal('error: requesting uid, groups or user-extra without impersonating a user');
  return name ? { 'Impersonate-User': name, ...(groups.length > 0 ? { 'Impersonate-Group': groups.join(',') } : {}) } : {};
}

/** "90s", "1m30s", "90": seconds. */
export function seconds(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  if (!/^(\d+(\.\d+)?(ms|h|m|s))+$/.test(text)) throw new Fatal(`error: invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)`);
  return secondsIn(text);
}

export function* now(): Call<number> {
  return (yield* sys('clock_gettime', 'realtime')) / 1e9;
}

/** A line of klog: "E1122 08:39:46.263237   19768 memcache.go:265] …". */
export function* klog(level: string, where: string, message: string): Call<string> {
  const t = yield* now();
  const [, month, day, clock] = /^\d+-(\d\d)-(\d\d)T(.*)Z$/.exec(rfc3339(t))!;
  const micros = String(Math.floor((t % 1) * 1e6)).padStart(6, '0');
  const pid = String(yield* sys('getpid')).padStart(7, ' ');
  return `${level}${month}${day} ${clock}.${micros} ${pid} ${where}] ${message}\n`;
}

export interface Reply {
  status: number;
  body: Json;
}

const TYPES: Record<string, string> = {
  merge: 'application/merge-patch+json', strategic: 'application/strategic-merge-patch+json', json: 'application/json-patch+json', apply: 'application/apply-patch+yaml',
};

/** One request; a Status of failure comes back as it is. `plain`: the body stays text. */
export function* call(client: Client, method: string, path: string, body?: Json, type?: string, plain = false, accept = 'application/json'): Call<Reply> {
  const headers = { 'User-Agent': 'kubectl/v1.32.4', Accept: accept, ...client.as, ...(body === undefined ? {} : { 'Content-Type': TYPES[type ?? ''] ?? 'application/json' }) };
  try {
    const r = yield* request(client.server, { method, path, headers, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) });
    for (const m of (r.headers.warning ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)) yield* err(`Warning: ${m[1]!.replace(/\\(.)/g, '$1')}\n`);
    let parsed: Json = r.body;
    if (!plain && /json/.test(r.headers['content-type'] ?? 'json')) {
      try {
        parsed = JSON.parse(r.body);
      } catch {
        parsed = r.body;
      }
    }
    return { status: r.status, body: parsed };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw yield* unreachable(client, error);
  }
}

function* unreachable(client: Client, error: SysError): Call<Fatal> {
  const shown = `${client.server.address === '127.0.0.1' ? 'localhost' : client.server.address}:${client.server.port}`;
  const why = { ECONNREFUSED: 'connect: connection refused', EHOSTUNREACH: 'connect: no route to host', ENETUNREACH: 'connect: network is unreachable' }[error.errno as string] ?? `connect: ${error.message.toLowerCase()}`;
  const dial = `dial tcp ${client.server.address}:${client.server.port}: ${why}`;
  const { files } = client;
  if (files?.validated) {
    const said = [...new Set(files.sources)].map((s) => `error validating ${JSON.stringify(s)}: error validating data: failed to download openapi: Get "${client.url}/openapi/v2?timeout=32s": ${dial}; if you choose to ignore these errors, turn validation off with --validate=false`);
    return new Fatal(said.length === 1 ? `error: ${said[0]}` : said.join('\n'));
  }
  let lines = '';
  for (let i = 0; i < (files?.sources.length ?? client.attempts); i++) {
    lines += yield* klog('E', 'memcache.go:265', `"Unhandled Error" err="couldn't get current server API group list: Get \\"${client.url}/api?timeout=32s\\": ${dial}"`);
  }
  if (files) return new Fatal(`${lines}${files.sources.length === 1 ? 'error: ' : ''}${files.sources.map((s) => `unable to recognize ${JSON.stringify(s)}: Get "${client.url}/api?timeout=32s": ${dial}`).join('\n')}`);
  if (error.errno === 'ECONNREFUSED') return new Fatal(`${lines}The connection to the server ${shown} was refused - did you specify the right host or port?`);
  return new Fatal(`${lines}Unable to connect to the server: ${dial}`);
}

/** A failure's text as kubectl prints it; `doing` is put before generic ones ('error when creating "x.yaml"'). */
export function failureText(body: Json, doing = ''): string {
  const when = doing === '' ? '' : `${doing}: `;
  if (body?.kind !== 'Status') return `Error from server: ${when}${String(body)}`;
  if (body.reason === 'Invalid') {
    const { details } = body;
    const causes: string[] = (details?.causes ?? []).map((c: Json) => `${c.field}: ${c.message}`);
    const named = details?.kind || details?.name;
    const head = named ? `The ${details.kind} "${details.name}" is invalid` : `The request is invalid${body.message && causes.length === 0 ? `: ${body.message}` : ''}`;
    return causes.length === 0 ? head : causes.length === 1 ? `${head}: ${causes[0]}` : `${head}: \n${causes.map((c) => `* ${c}`).join('\n')}`;
  }
  return `Error from server${body.reason ? ` (${body.reason})` : ''}: ${when}${body.message}`;
}

export const failed = (reply: Reply): boolean => reply.status >= 400;

/** A request that must succeed. */
export function* ask(client: Client, method: string, path: string, body?: Json, type?: string, doing = ''): Call<Json> {
  const reply = yield* call(client, method, path, body, type);
  if (failed(reply)) throw new Fatal(failureText(reply.body, doing));
  return reply.body;
}

export interface ListOptions {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export function* listKind(client: Client, kind: Kind, namespace: string | undefined, options: ListOptions = {}): Call<{ items: KubeObject[]; revision: string }> {
  const query = formatQuery({ labelSelector: options.labelSelector, fieldSelector: options.fieldSelector, limit: 500 });
  const reply = yield* call(client, 'GET', `${pathOf(kind, namespace)}?${query}`, undefined, undefined, false, kind.custom ? TABLE : undefined);
  if (failed(reply)) {
    const resource = `Unable to find "${kind.group}/${kind.version}, Resource=${kind.plural}" that match label selector "${options.labelSelector ?? ''}", field selector "${options.fieldSelector ?? ''}"`;
    throw new Fatal(reply.body?.reason === 'BadRequest' ? failureText(reply.body, resource) : failureText(reply.body));
  }
  return { items: reply.body.kind === 'Table' ? objectsOf(reply.body) : reply.body.items, revision: reply.body.metadata.resourceVersion };
}

export interface WatchEvent {
  type: string;
  object: KubeObject;
}

interface Watch {
  stream: Stream;
  held: { text: string };
  until: number | null;
}

/** Opens a watch; `nextEvent` reads it. */
export function* watch(client: Client, kind: Kind, namespace: string | undefined, revision: string, options: ListOptions = {}): Call<Watch> {
  const query = formatQuery({ watch: 'true', resourceVersion: revision, labelSelector: options.labelSelector, fieldSelector: options.fieldSelector });
  try {
    const stream = yield* open(client.server, { method: 'GET', path: `${pathOf(kind, namespace)}?${query}`, headers: { 'User-Agent': 'kubectl/v1.32.4', ...(kind.custom ? { Accept: TABLE } : {}), ...client.as } });
    return { stream, held: { text: '' }, until: client.until };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw yield* unreachable(client, error);
  }
}

/** Null when the connection ends or the time that was asked for is over. */
export function* nextEvent(w: Watch): Call<WatchEvent | null> {
  for (;;) {
    const end = w.held.text.indexOf('\n');
    if (end >= 0) {
      const line = w.held.text.slice(0, end);
      w.held.text = w.held.text.slice(end + 1);
      if (line !== '') {
        const event = JSON.parse(line) as WatchEvent;
        return { ...event, object: opened(event.object) };
      }
      continue;
    }
    if (w.until !== null && w.stream.events.length === 0) {
      const left = w.until - (yield* now());
      if (left <= 0 || (yield* sys('poll', [{ fd: w.stream.fd, events: POLLIN }], Math.ceil(left * 1e9))).length === 0) return null;
    }
    const piece = yield* w.stream.readChunk();
    if (piece === null) return null;
    w.held.text += text(piece);
  }
}
