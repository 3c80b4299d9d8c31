/**
 * The API server's HTTP face: real paths, verbs, Status bodies and watch streams, as messages of `sim/wire.ts`. One object's
 * rules are in `api.ts`. `handle` is a function of (cluster, request); watches are listeners that write to a connection.
 * Left out: authentication, content types but JSON, aggregated discovery, the proxy to kubelets (kubectl dials them).
 */
import { text } from '../sim/text.ts';
import { after, handle as handleEvent } from '../sim/timeline.ts';
import { SECOND } from '../sim/units.ts';
import { createParser, feed, formatChunk, formatResponse, formatStreamHead, type Head, joinBytes, LAST_CHUNK, splitTarget, type WireParser } from '../sim/wire.ts';
import { components } from './components.ts';
import { unknownOf } from './api.ts';
import { hasRules } from './custom/schema.ts';
import { tableOf, wantsTable } from './custom/table.ts';
import { general, offers } from './discovery.ts';
import { ApiError, badRequest, noSuchPath } from './errors.ts';
import { listing } from './listing.ts';
import { guard } from './rbac.ts';
import { type ApiRequest, type ApiResponse, locate, parse, type Target, type Watch } from './request.ts';
import { EXTRAS, extra } from './extras.ts';
import { type Cluster, note } from './state.ts';
import { type Change, changesOf, list, type Listener } from './store.ts';
import { apiVersionOf } from './types/kinds.ts';
import type { Json, KubeObject } from './types/objects.ts';
import { erase, getOne, notAllowed, patch, post, put } from './verbs.ts';
import { toServed } from './versions.ts';

/** What the composition joins to an address (world/lan). */
export interface RemoteService {
  open(conn: number): void;
  data(conn: number, bytes: Uint8Array): void;
  close(conn: number): void;
}

/** Answers one request. Never throws: failures are Status bodies. */
export function handle(cluster: Cluster, request: ApiRequest): ApiResponse {
  cluster.store.actor = (request.headers['user-agent'] ?? '').split(/[/ ]/)[0] || 'unknown';
  try {
    if (/^kubectl\b/.test(request.headers['user-agent'] ?? '') && request.method !== 'GET' && request.query.dryRun === undefined) {
      cluster.cause = note(cluster, 'api.request', { verb: request.method, path: request.path }, undefined);
    }
    const response = answer(cluster, request);
    const warnings = warningsOf(cluster, request);
    return warnings.length > 0 ? { ...response, warnings } : response;
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status.code, body: error.status };
    if (error instanceof URIError) return { status: 400, body: badRequest('invalid path').status };
    throw error;
  } finally {
    cluster.cause = undefined;
    cluster.store.actor = '';
  }
}

function answer(cluster: Cluster, request: ApiRequest): ApiResponse {
  if (request.path.startsWith(EXTRAS)) return extra(cluster, request);
  const fixed = general(cluster, request.path);
  if (fixed !== undefined) return { status: 200, body: fixed };
  const target = locate(request.path, cluster.customs);
  if (!target || !offers(cluster, target.served)) throw noSuchPath();
  guard(cluster, request, target);
  if (target.kind.kind === 'ComponentStatus') return components(target, request.method);
  const act = VERBS[request.method];
  if (!act) throw notAllowed();
  return act(cluster, target, request);
}

type Verb = (cluster: Cluster, target: Target, request: ApiRequest) => ApiResponse;
const VERBS: Readonly<Record<string, Verb>> = {
  GET: (cluster, target, request) => (target.name === undefined ? listing(cluster, target, request) : { status: 200, body: oneShown(cluster, target, request) }),
  POST: post, PUT: put, PATCH: patch, DELETE: erase,
};

/** One object, or a Table of it. */
function oneShown(cluster: Cluster, target: Target, request: ApiRequest): ApiResponse['body'] {
  const object = getOne(cluster, target);
  if (!target.kind.custom || target.sub === 'scale' || !wantsTable(request.headers)) return object;
  return tableOf(cluster, target.kind, [object], { resourceVersion: object.metadata.resourceVersion });
}

/** What the server adds in Warning headers. */
function warningsOf(cluster: Cluster, { method, path, body, query }: ApiRequest): string[] {
  if (method === 'GET' && cluster.customs.served.length === 0) return [];
  const target = locate(path, cluster.customs);
  const old = target?.kind.custom?.deprecated ?? '';
  const out = old === '' ? [] : [old];
  if (!target || !['POST', 'PUT', 'PATCH'].includes(method)) return out;
  const definition = target.kind.kind === 'CustomResourceDefinition';
  if (query.fieldValidation !== 'Warn' && !definition) return out;
  const object = parse(body);
  if (object === null || typeof object !== 'object' || Array.isArray(object)) return out;
  if (definition && hasRules(object.spec?.versions ?? [])) out.push('not modelled: x-kubernetes-validations: rules in CEL are kept and not evaluated');
  return query.fieldValidation === 'Warn' ? [...out, ...unknownOf(target.kind, object).map((f) => `unknown field "${f}"`)] : out;
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
  watch?: { serial: number; bookmarks: boolean; asked: Watch };
}

/** When a watch is told how far it is, or ends as it asked to. */
interface Moment { conn: number; serial: number; over: boolean }

const BOOKMARKS = 60 * SECOND;

function bookmarkLater(cluster: Cluster, conn: number, serial: number, moment: string): void {
  after(cluster.timeline, BOOKMARKS, { kind: moment, who: cluster.name, arg: { conn, serial, over: false } satisfies Moment });
}

/** An object with nothing but a version: everything up to it has been sent. */
function bookmark(cluster: Cluster, { served }: Watch): Uint8Array {
  const object = { kind: served.kind, apiVersion: apiVersionOf(served), metadata: { resourceVersion: String(cluster.store.revision), creationTimestamp: null } };
  return formatChunk(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
}

export function createClusterService(
  cluster: Cluster,
  send: (conn: number, bytes: Uint8Array) => void,
  hangup: (conn: number) => void,
): RemoteService {
  const connections = new Map<number, Connection>();
  let serials = 1;
  const end = (conn: number): void => {
    const c = connections.get(conn);
    if (c?.listener) cluster.store.listeners.delete(c.listener);
    connections.delete(conn);
  };
  const moment = `cluster.watch.${cluster.name}`;
  if (!cluster.timeline.handlers.has(moment)) {
    handleEvent(cluster.timeline, moment, (event) => {
      const { conn, serial, over } = event.arg as Moment;
      const c = connections.get(conn);
      if (c?.watch?.serial !== serial) return;
      if (c.watch.bookmarks) send(conn, bookmark(cluster, c.watch.asked));
      if (!over) return bookmarkLater(cluster, conn, serial, moment);
      if (c.listener) cluster.store.listeners.delete(c.listener);
      c.listener = null;
      delete c.watch;
      send(conn, LAST_CHUNK);
    });
  }
  const respond = (conn: number, c: Connection): void => {
    const head = c.head!;
    const { path, query } = splitTarget(head.target);
    const response = handle(cluster, { method: head.method, path, query, headers: head.headers, body: text(joinBytes(c.parts)) });
    c.head = null;
    c.parts = [];
    if (response.watch) {
      startWatch(cluster, conn, c, response.watch, send);
      c.watch = { serial: serials++, bookmarks: response.watch.bookmarks, asked: response.watch };
      if (response.watch.bookmarks) bookmarkLater(cluster, conn, c.watch.serial, moment);
      if (response.watch.seconds > 0) after(cluster.timeline, response.watch.seconds * SECOND, { kind: moment, who: cluster.name, arg: { conn, serial: c.watch.serial, over: true } satisfies Moment });
      return;
    }
    const plain = typeof response.body === 'string';
    send(conn, formatResponse(response.status, { 'Content-Type': plain ? 'text/plain; charset=utf-8' : 'application/json', ...(response.warnings?.length ? { Warning: response.warnings.map((w) => `299 - "${w.replace(/["\\]/g, '\\$&')}"`).join(', ') } : {}) }, plain ? response.body : path === '/version' ? JSON.stringify(response.body, null, 2) : `${JSON.stringify(response.body)}\n`));
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
  const { kind, served, from, passes } = watch;
  send(conn, formatStreamHead(200, { 'Content-Type': 'application/json' }));
  const shown = (object: KubeObject): Json => (watch.table ? tableOf(cluster, kind, [toServed(served, object)], { resourceVersion: object.metadata.resourceVersion }) : toServed(served, object));
  const tell = (type: string, object: KubeObject): void => send(conn, formatChunk(`${JSON.stringify({ type, object: shown(object) })}\n`));
  if (from === null) {
    for (const object of list(cluster.store, kind.kind)) if (passes(object)) tell('ADDED', object);
  } else {
    for (const change of changesOf(cluster.store, kind.kind)) {
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

