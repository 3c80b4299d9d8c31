/**
 * The API server's HTTP face: real paths, verbs, Status bodies and watch streams, as messages of `sim/wire.ts`. One object's
 * rules are in `api.ts`. `handle` is a function of (cluster, request); watches are listeners that write to a connection.
 * Left out: authentication, content types but JSON, aggregated discovery, the proxy to kubelets (kubectl dials them).
 */
import { text } from '../sim/text.ts';
import { createParser, feed, formatChunk, formatResponse, formatStreamHead, type Head, joinBytes, splitTarget, type WireParser } from '../sim/wire.ts';
import { type DeleteOptions, create, mutate, read, remove, update } from './api.ts';
import { ApiError, badRequest, invalid, noSuchPath } from './errors.ts';
import { jsonPatch, strategicPatch } from './patch.ts';
import { mergePatch } from './types/merge.ts';
import { type Cluster, note } from './state.ts';
import { type Change, get, list, type Listener } from './store.ts';
import { apiVersionOf, type Kind, KINDS } from './types/kinds.ts';
import { type Json, type KubeObject, keyOf } from './types/objects.ts';
import { decode } from './types/schema.ts';
import { fieldOf, meets, parseSelector, type Requirement } from './types/selectors.ts';

export interface ApiRequest {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
  body: string;
}

export interface ApiResponse {
  status: number;
  body: Json;
  /** Texts of Warning headers. */
  warnings?: string[];
  /** Instead of a body: changes from this revision on that pass. */
  watch?: { kind: Kind; from: number | null; passes: (object: KubeObject | undefined) => boolean };
}

/** What the composition joins to an address (world/lan). */
export interface RemoteService {
  open(conn: number): void;
  data(conn: number, bytes: Uint8Array): void;
  close(conn: number): void;
}

interface Target {
  kind: Kind;
  namespace: string | undefined;
  name: string | undefined;
  sub: string | undefined;
}

function locate(path: string): Target | null {
  const parts = path.split('/').filter((p) => p !== '').map(decodeURIComponent);
  let group = '';
  let rest: string[];
  if (parts[0] === 'api' && parts[1] === 'v1') rest = parts.slice(2);
  else if (parts[0] === 'apis' && parts.length > 3) {
    group = parts[1]!;
    rest = parts.slice(3);
    if (parts[2] !== 'v1') return null;
  } else return null;
  const find = (plural: string | undefined): Kind | undefined => KINDS.find((k) => k.group === group && k.plural === plural);
  if (rest[0] === 'namespaces' && rest.length > 2 && !['status', 'finalize'].includes(rest[2]!)) {
    const kind = find(rest[2]);
    return kind?.namespaced ? { kind, namespace: rest[1], name: rest[3], sub: rest[4] } : null;
  }
  const kind = find(rest[0]);
  return kind && rest.length > 0 ? { kind, namespace: undefined, name: rest[1], sub: rest[2] } : null;
}

/** Answers one request. Never throws: failures are Status bodies. */
export function handle(cluster: Cluster, request: ApiRequest): ApiResponse {
  try {
    if (/^kubectl\b/.test(request.headers['user-agent'] ?? '') && request.method !== 'GET' && request.query.dryRun === undefined) {
      cluster.cause = note(cluster, 'api.request', { verb: request.method, path: request.path }, undefined);
    }
    const response = answer(cluster, request);
    return request.query.fieldValidation === 'Warn' ? { ...response, warnings: unknownFields(request) } : response;
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status.code, body: error.status };
    if (error instanceof URIError) return { status: 400, body: badRequest('invalid path').status };
    throw error;
  } finally {
    cluster.cause = undefined;
  }
}

function answer(cluster: Cluster, request: ApiRequest): ApiResponse {
  const fixed = general(cluster, request.path);
  if (fixed !== undefined) return { status: 200, body: fixed };
  const target = locate(request.path);
  if (!target) throw noSuchPath();
  switch (request.method) {
    case 'GET':
      return target.name === undefined ? listing(cluster, target, request) : { status: 200, body: getOne(cluster, target) };
    case 'POST':
      return post(cluster, target, request);
    case 'PUT':
      return { status: 200, body: write(cluster, target, parse(request.body), request) };
    case 'PATCH':
      return patch(cluster, target, request);
    case 'DELETE':
      return erase(cluster, target, request);
    default:
      throw new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
  }
}

function unknownFields({ method, path, body }: ApiRequest): string[] {
  const target = locate(path);
  if (!target || !['POST', 'PUT', 'PATCH'].includes(method)) return [];
  const object = parse(body);
  return object === null || typeof object !== 'object' || Array.isArray(object) ? [] : decode(target.kind.kind, object).unknown.map((f) => `unknown field "${f}"`);
}

function parse(body: string): Json {
  try {
    return JSON.parse(body);
  } catch {
    throw badRequest('the object provided is unrecognized (must be of type Object): couldn\'t get version/kind; json parse error: invalid character looking for beginning of value');
  }
}

/** Discovery, version and health. */
function general(cluster: Cluster, path: string): Json | undefined {
  const version = cluster.serverVersion;
  if (path === '/version' || path === '/version/') {
    const [, major = '1', minor = '32'] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
    return { major, minor, gitVersion: version, gitCommit: '59526cd4867447956156ae3a602fcbac10a2c335', gitTreeState: 'clean', buildDate: '2025-04-22T15:58:34Z', goVersion: 'go1.23.6', compiler: 'gc', platform: 'linux/amd64' };
  }
  if (path === '/healthz' || path === '/livez' || path === '/readyz') return 'ok';
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '10.0.0.10:6443' }] };
  const groups = [...new Set(KINDS.map((k) => k.group))].filter((g) => g !== '');
  if (path === '/apis') {
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((name) => ({ name, versions: [{ groupVersion: `${name}/v1`, version: 'v1' }], preferredVersion: { groupVersion: `${name}/v1`, version: 'v1' } })) };
  }
  const match = /^\/(?:api|apis\/([^/]+))\/v1\/?$/.exec(path);
  if (!match) return undefined;
  const rows = KINDS.filter((k) => k.group === (match[1] ?? ''));
  if (rows.length === 0) return undefined;
  return {
    kind: 'APIResourceList', apiVersion: 'v1', groupVersion: match[1] ? `${match[1]}/v1` : 'v1',
    resources: rows.map((k) => ({ name: k.plural, singularName: k.singular, namespaced: k.namespaced, kind: k.kind, verbs: k.verbs, shortNames: k.short })),
  };
}

function getOne(cluster: Cluster, { kind, namespace, name, sub }: Target): Json {
  const object = read(cluster, kind, namespace, name!);
  if (sub === 'scale') return scaleOf(object);
  if (sub !== undefined && sub !== 'status') throw noSuchPath();
  return object;
}

function scaleOf(object: KubeObject): Json {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const labels: Record<string, string> = object.spec.selector?.matchLabels ?? {};
  return {
    kind: 'Scale', apiVersion: 'autoscaling/v1', metadata: { name, namespace, uid, resourceVersion, creationTimestamp }, spec: { replicas: object.spec.replicas },
    status: { replicas: object.status?.replicas ?? 0, selector: Object.keys(labels).sort().map((k) => `${k}=${labels[k]}`).join(',') },
  };
}

function selection(kind: Kind, query: Record<string, string>): (object: KubeObject | undefined) => boolean {
  const labels = parseSelector(query.labelSelector ?? '');
  if (typeof labels === 'string') throw badRequest(labels);
  const fields: { field: string; op: string; value: string }[] = [];
  for (const part of (query.fieldSelector ?? '').split(',')) {
    if (part === '') continue;
    const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(part);
    if (!match) throw badRequest(`invalid selector: '${part}'; can't understand '${part}'`);
    const probe = { apiVersion: 'v1', kind: kind.kind, metadata: { name: '', namespace: '' }, spec: {}, status: {} };
    if (fieldOf(probe, match[1]!) === undefined) throw badRequest(`field label not supported: ${match[1]}`);
    fields.push({ field: match[1]!, op: match[2]!, value: match[3]! });
  }
  return (object) =>
    object !== undefined &&
    (labels as Requirement[]).every((r) => meets(object.metadata.labels, r)) &&
    fields.every((f) => (fieldOf(object, f.field) === f.value) === (f.op !== '!='));
}

function listing(cluster: Cluster, target: Target, { query }: ApiRequest): ApiResponse {
  const { kind, namespace } = target;
  const chosen = selection(kind, query);
  const passes = (o: KubeObject | undefined): boolean => o !== undefined && (namespace === undefined || o.metadata.namespace === namespace) && chosen(o);
  if (query.watch === '1' || query.watch === 'true') {
    const from = query.resourceVersion === undefined || query.resourceVersion === '' || query.resourceVersion === '0' ? null : Number(query.resourceVersion);
    if (from !== null && !Number.isInteger(from)) throw badRequest(`invalid resource version: ${query.resourceVersion}`);
    if (from !== null && from < cluster.store.forgotten) {
      throw new ApiError(410, 'Expired', `too old resource version: ${from} (${cluster.store.forgotten})`);
    }
    return { status: 200, body: null, watch: { kind, from, passes } };
  }
  const items = list(cluster.store, kind.kind, namespace).filter(passes);
  return {
    status: 200,
    body: { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata: { resourceVersion: String(cluster.store.revision) }, items },
  };
}

function post(cluster: Cluster, target: Target, request: ApiRequest): ApiResponse {
  const { kind, namespace, name, sub } = target;
  const body = parse(request.body);
  if (sub === 'binding' && kind.kind === 'Pod') {
    mutate(cluster, 'Pod', `${namespace}/${name}`, (p) => {
      p.spec.nodeName = body?.target?.name;
    });
    return { status: 201, body: success() };
  }
  if (sub === 'eviction' && kind.kind === 'Pod') {
    remove(cluster, kind, namespace, name!, deleteOptions(body?.deleteOptions, {}));
    return { status: 201, body: success() };
  }
  if (name !== undefined) throw new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
  if (body?.kind !== undefined && body.kind !== kind.kind) {
    throw badRequest(`${body.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: no kind "${body.kind}" is registered`);
  }
  const made = create(cluster, kind, namespace, body, { dryRun: request.query.dryRun !== undefined, strict: request.query.fieldValidation === 'Strict' });
  return { status: 201, body: made };
}

const success = (): Json => ({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });

function write(cluster: Cluster, { kind, namespace, name, sub }: Target, body: Json, { query }: ApiRequest): Json {
  if (name === undefined) throw new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
  if (sub === 'scale') return rescale(cluster, kind, namespace, name, body?.spec?.replicas, query.dryRun !== undefined);
  if (sub !== undefined && sub !== 'status' && sub !== 'finalize') throw noSuchPath();
  return update(cluster, kind, namespace, name, body, sub, { dryRun: query.dryRun !== undefined, strict: query.fieldValidation === 'Strict' });
}

function rescale(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string, replicas: Json, dryRun: boolean): Json {
  const old = read(cluster, kind, namespace, name);
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) throw badRequest('Scale in version "v1" cannot be handled as a Scale: replicas is not a number');
  if (replicas < 0) {
    throw invalid({ ...kind, kind: 'Scale', group: 'autoscaling' }, name, [{ field: 'spec.replicas', type: 'Invalid value', value: String(replicas), detail: 'must be greater than or equal to 0' }]);
  }
  if (dryRun) return scaleOf(old);
  const written = mutate(cluster, kind.kind, keyOf(old.metadata), (o) => {
    o.spec.replicas = replicas;
  });
  return scaleOf(written!);
}

function patch(cluster: Cluster, target: Target, request: ApiRequest): ApiResponse {
  const { kind, namespace, name, sub } = target;
  if (name === undefined) throw new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim();
  const body = parse(request.body);
  if (type === 'application/apply-patch+yaml') {
    const there = get(cluster.store, kind.kind, kind.namespaced ? `${namespace}/${name}` : name);
    if (!there) return { status: 201, body: create(cluster, kind, namespace, body, { strict: true, dryRun: request.query.dryRun !== undefined }) };
  }
  const old = read(cluster, kind, namespace, name);
  const before = sub === 'scale' ? scaleOf(old) : old;
  if (type !== 'application/json-patch+json' && (body === null || typeof body !== 'object' || Array.isArray(body))) {
    throw badRequest(`json: cannot unmarshal ${body === null ? 'null' : Array.isArray(body) ? 'array' : typeof body} into Go value of type map[string]interface {}`);
  }
  const apply: Record<string, (a: Json, b: Json) => Json> = {
    'application/merge-patch+json': mergePatch, 'application/strategic-merge-patch+json': strategicPatch,
    'application/json-patch+json': jsonPatch, 'application/apply-patch+yaml': strategicPatch,
  };
  const how = apply[type];
  if (!how) {
    throw new ApiError(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml');
  }
  const next = how(before, body);
  if (next?.metadata && body?.metadata?.resourceVersion === undefined) next.metadata = { ...next.metadata, resourceVersion: old.metadata.resourceVersion };
  return { status: 200, body: write(cluster, target, next, request) };
}

function deleteOptions(body: Json, query: Record<string, string>): DeleteOptions {
  const grace = body?.gracePeriodSeconds ?? (query.gracePeriodSeconds === undefined ? undefined : Number(query.gracePeriodSeconds));
  return {
    ...(typeof grace === 'number' ? { gracePeriodSeconds: grace } : {}),
    ...(body?.propagationPolicy ?? query.propagationPolicy ? { propagationPolicy: body?.propagationPolicy ?? query.propagationPolicy } : {}),
    ...(body?.preconditions ? { preconditions: body.preconditions } : {}),
    ...(query.dryRun !== undefined || body?.dryRun?.length ? { dryRun: true } : {}),
  };
}

function erase(cluster: Cluster, target: Target, request: ApiRequest): ApiResponse {
  const { kind, namespace, name } = target;
  const options = deleteOptions(request.body === '' ? {} : parse(request.body), request.query);
  if (name === undefined) {
    const found = listing(cluster, target, request).body.items as KubeObject[];
    for (const object of found) remove(cluster, kind, object.metadata.namespace, object.metadata.name, options);
    return { status: 200, body: { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata: {}, items: found } };
  }
  const gone = remove(cluster, kind, namespace, name, options);
  if (get(cluster.store, kind.kind, keyOf(gone.metadata))) return { status: 200, body: get(cluster.store, kind.kind, keyOf(gone.metadata)) };
  return {
    status: 200,
    body: kind.kind === 'Pod' ? gone : { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name, ...(kind.group ? { group: kind.group } : {}), kind: kind.plural, uid: gone.metadata.uid } },
  };
}

/** What a change looks like to a watch that sees only some objects. */
function seen(change: Change, passes: (object: KubeObject | undefined) => boolean): { type: string; object: KubeObject } | null {
  const now = change.type !== 'DELETED' && passes(change.object);
  const before = passes(change.old);
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', object: change.object };
  return before ? { type: 'DELETED', object: change.object } : null;
}

interface Connection {
  parser: WireParser;
  head: Head | null;
  parts: Uint8Array[];
  listener: Listener | null;
}

export function createClusterService(
  cluster: Cluster,
  send: (conn: number, bytes: Uint8Array) => void,
  hangup: (conn: number) => void,
): RemoteService {
  const connections = new Map<number, Connection>();
  const end = (conn: number): void => {
    const c = connections.get(conn);
    if (c?.listener) cluster.store.listeners.delete(c.listener);
    connections.delete(conn);
  };
  const respond = (conn: number, c: Connection): void => {
    const head = c.head!;
    const { path, query } = splitTarget(head.target);
    const response = handle(cluster, { method: head.method, path, query, headers: head.headers, body: text(joinBytes(c.parts)) });
    c.head = null;
    c.parts = [];
    if (response.watch) {
      startWatch(cluster, conn, c, response.watch, send);
      return;
    }
    const plain = typeof response.body === 'string';
    send(conn, formatResponse(response.status, { 'Content-Type': plain ? 'text/plain; charset=utf-8' : 'application/json', ...(response.warnings?.length ? { Warning: response.warnings.map((w) => `299 - "${w.replace(/["\\]/g, '\\$&')}"`).join(', ') } : {}) }, plain ? response.body : `${JSON.stringify(response.body)}\n`));
    if (/close/i.test(head.headers.connection ?? '')) {
      end(conn);
      hangup(conn);
    }
  };
  return {
    open(conn) {
      connections.set(conn, { parser: createParser('request'), head: null, parts: [], listener: null });
    },
    data(conn, bytes) {
      const c = connections.get(conn);
      if (!c) return;
      for (const event of feed(c.parser, bytes)) {
        if (event.type === 'head') c.head = event.head;
        else if (event.type === 'body') c.parts.push(event.data);
        else if (event.type === 'end' && c.head) respond(conn, c);
        else if (event.type === 'error') {
          send(conn, formatResponse(400, { Connection: 'close' }, '400 Bad Request'));
          end(conn);
          hangup(conn);
          return;
        }
      }
    },
    close: end,
  };
}

function startWatch(cluster: Cluster, conn: number, c: Connection, watch: NonNullable<ApiResponse['watch']>, send: (conn: number, bytes: Uint8Array) => void): void {
  const { kind, from, passes } = watch;
  send(conn, formatStreamHead(200, { 'Content-Type': 'application/json' }));
  const tell = (type: string, object: KubeObject): void => send(conn, formatChunk(`${JSON.stringify({ type, object })}\n`));
  if (from === null) {
    for (const object of list(cluster.store, kind.kind)) if (passes(object)) tell('ADDED', object);
  } else {
    for (const change of cluster.store.history) {
      if (change.revision <= from || change.kind !== kind.kind) continue;
      const event = seen(change, passes);
      if (event) tell(event.type, event.object);
    }
  }
  c.listener = (change) => {
    if (change.kind !== kind.kind) return;
    const event = seen(change, passes);
    if (event) tell(event.type, event.object);
  };
  cluster.store.listeners.add(c.listener);
}

