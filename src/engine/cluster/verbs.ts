/** The API server's verbs as requests make them: GET of one, POST, PUT, PATCH, DELETE. Lists and watches are in `listing.ts`. */
import { create, type DeleteOptions, read, remove, update, type WriteOptions } from './api.ts';
import { applyPatch } from './apply.ts';
import { ApiError, badRequest, noSuchPath } from './errors.ts';
import { listing } from './listing.ts';
import { getMetrics, isMetrics, takeReport } from './metrics.ts';
import { jsonPatch, strategicPatch } from './patch.ts';
import { userOf } from './rbac.ts';
import { type ApiRequest, type ApiResponse, parse, type Target } from './request.ts';
import { review } from './reviews.ts';
import type { Cluster } from './state.ts';
import { get } from './store.ts';
import { bind, hasSub, postSub, scaleOf, writeSub } from './subresources.ts';
import { apiVersionOf, nameOf } from './types/kinds.ts';
import { mergePatch } from './types/merge.ts';
import { type Json, type KubeObject, keyOf } from './types/objects.ts';
import { toServed, toStored } from './versions.ts';

export const notAllowed = (): ApiError => new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');

const dry = (query: Record<string, string>): boolean => query.dryRun !== undefined;

function optionsOf({ query, headers }: ApiRequest): WriteOptions {
  if (query.dryRun !== undefined && query.dryRun !== 'All') throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(query.dryRun)}: supported values: "All"`);
  const agent = (headers['user-agent'] ?? '').split('/')[0]!;
  return { dryRun: dry(query), strict: query.fieldValidation === 'Strict', manager: query.fieldManager ?? (agent === '' ? 'unknown' : agent) };
}

export function getOne(cluster: Cluster, { kind, served, namespace, name, sub }: Target): Json {
  if (isMetrics(kind)) return getMetrics(cluster, kind, namespace, name!);
  const object = read(cluster, kind, namespace, name!);
  if (sub === 'scale' && hasSub(kind, sub)) return scaleOf(kind, object);
  if (sub !== undefined && ((sub !== 'status' && sub !== 'ephemeralcontainers') || (kind.custom && !hasSub(kind, sub)))) throw noSuchPath();
  return toServed(served, object);
}

export function post(cluster: Cluster, target: Target, request: ApiRequest): ApiResponse {
  const { kind, served, namespace, name, sub } = target;
  const body = parse(request.body);
  const options = optionsOf(request);
  if (kind.kind === 'Binding') return { status: 201, body: bind(cluster, namespace!, body?.metadata?.name ?? '', body, options) };
  if (name !== undefined && sub !== undefined) return { status: 201, body: postSub(cluster, kind, namespace, name, sub, body, options) };
  if (name !== undefined) throw notAllowed();
  if (body?.kind !== undefined && body.kind !== nameOf(kind)) {
    throw badRequest(`${body.kind} in version "${served.version}" cannot be handled as a ${nameOf(kind)}: no kind "${body.kind}" is registered`);
  }
  if (served.verbs.length === 1) return { status: 201, body: review(cluster, kind, namespace, body, userOf(request.headers)) };
  return { status: 201, body: toServed(served, create(cluster, kind, namespace, toStored(served, body), options)) };
}

export function put(cluster: Cluster, target: Target, request: ApiRequest): ApiResponse {
  if (target.kind.kind === 'NodeMetrics' && target.name !== undefined) {
    takeReport(cluster, target.name, parse(request.body));
    return { status: 200, body: {} };
  }
  return { status: 200, body: write(cluster, target, parse(request.body), optionsOf(request)) };
}

function write(cluster: Cluster, { kind, served, namespace, name, sub }: Target, body: Json, options: WriteOptions): Json {
  if (name === undefined) throw notAllowed();
  if (sub !== undefined) return toServed(served, writeSub(cluster, kind, namespace, name, sub, toStored(served, body), options));
  return toServed(served, update(cluster, kind, namespace, name, toStored(served, body), undefined, options));
}

const STRATEGIC = 'application/strategic-merge-patch+json';
const WAYS: Readonly<Record<string, (target: Json, patch: Json) => Json>> = {
  'application/merge-patch+json': mergePatch, 'application/strategic-merge-patch+json': strategicPatch, 'application/json-patch+json': jsonPatch,
};
const APPLY = 'application/apply-patch+yaml';

export function patch(cluster: Cluster, target: Target, request: ApiRequest): ApiResponse {
  const { kind, served, namespace, name, sub } = target;
  if (name === undefined) throw notAllowed();
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim();
  const how = WAYS[type];
  if ((!how && type !== APPLY) || (kind.custom && type === STRATEGIC)) {
    throw new ApiError(415, 'UnsupportedMediaType', `the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, ${kind.custom ? '' : `${STRATEGIC}, `}${APPLY}`);
  }
  const body = parse(request.body);
  const options = optionsOf(request);
  if (type !== 'application/json-patch+json' && (body === null || typeof body !== 'object' || Array.isArray(body))) {
    throw badRequest(`json: cannot unmarshal ${body === null ? 'null' : Array.isArray(body) ? 'array' : typeof body} into Go value of type map[string]interface {}`);
  }
  if (type === APPLY) {
    const force = request.query.force === 'true';
    const done = applyPatch(cluster, kind, namespace, name, toStored(served, body), sub, { ...options, manager: request.query.fieldManager ?? '', force });
    return { status: done.made ? 201 : 200, body: toServed(served, done.object) };
  }
  const old = read(cluster, kind, namespace, name);
  const before = sub === 'scale' ? scaleOf(kind, old) : toServed(served, old);
  const next = how!(before, body);
  if (next?.metadata && !namesVersion(body)) next.metadata = { ...next.metadata, resourceVersion: old.metadata.resourceVersion };
  return { status: 200, body: write(cluster, target, next, options) };
}

/** Whether a patch states which version it is of: then a stale one is a conflict. */
function namesVersion(patch: Json): boolean {
  return Array.isArray(patch) ? patch.some((step) => step?.path === '/metadata/resourceVersion') : patch?.metadata?.resourceVersion !== undefined;
}

export function deleteOptions(body: Json, query: Record<string, string>): DeleteOptions {
  const grace = body?.gracePeriodSeconds ?? (query.gracePeriodSeconds === undefined ? undefined : Number(query.gracePeriodSeconds));
  const policy = body?.propagationPolicy ?? query.propagationPolicy;
  if (policy !== undefined && !['Background', 'Foreground', 'Orphan'].includes(policy)) {
    throw new ApiError(422, 'Invalid', `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Background", "Foreground", "Orphan"`);
  }
  return {
    ...(typeof grace === 'number' ? { gracePeriodSeconds: grace } : {}), ...(policy ? { propagationPolicy: policy } : {}), ...(body?.preconditions ? { preconditions: body.preconditions } : {}),
    ...(dry(query) || body?.dryRun?.length ? { dryRun: true } : {}),
  };
}

export function erase(cluster: Cluster, target: Target, request: ApiRequest): ApiResponse {
  const { kind, served, namespace, name } = target;
  const options = deleteOptions(request.body === '' ? {} : parse(request.body), request.query);
  if (name === undefined) {
    if (!kind.verbs.includes('deletecollection')) throw notAllowed();
    const found = listing(cluster, { ...target, served: kind }, request).body.items as KubeObject[];
    for (const object of found) remove(cluster, kind, object.metadata.namespace, object.metadata.name, options);
    return { status: 200, body: { kind: kind.custom?.listKind ?? `${kind.kind}List`, apiVersion: apiVersionOf(served), metadata: {}, items: found.map((o) => toServed(served, o)) } };
  }
  const gone = remove(cluster, kind, namespace, name, options);
  const left = get(cluster.store, kind.kind, keyOf(gone.metadata));
  if (left && !options.dryRun) return { status: 200, body: toServed(served, left) };
  return {
    status: 200,
    body: kind.kind === 'Pod' ? gone : { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name, ...(kind.group ? { group: kind.group } : {}), kind: kind.plural, uid: gone.metadata.uid } },
  };
}
