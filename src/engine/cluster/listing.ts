/**
 * Lists and watches: which objects a request's label and field selectors choose, pages of a list (limit, continue), and a list
 * as of a past revision. Pages of one list show one revision, as long as the store still knows it.
 */
import { bytes, fromBase64, text, toBase64 } from '../sim/text.ts';
import { tableOf, wantsTable } from './custom/table.ts';
import { badRequest, ApiError } from './errors.ts';
import { isMetrics, listMetrics } from './metrics.ts';
import type { ApiRequest, ApiResponse, Target } from './request.ts';
import type { Cluster } from './state.ts';
import { forgottenOf, list, listAt } from './store.ts';
import { apiVersionOf, type Kind } from './types/kinds.ts';
import { type Json, type KubeObject, keyOf } from './types/objects.ts';
import { fieldOf, meets, parseSelector, type Requirement } from './types/selectors.ts';
import { toServed } from './versions.ts';

export function selection(kind: Kind, query: Record<string, string>): (object: KubeObject | undefined) => boolean {
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

interface Page { revision: number; after: string }

/** A continue token, as the real server makes it: the revision and the last key of the page before. */
const tokenOf = ({ revision, after }: Page): string => toBase64(bytes(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: `${after}\u0000` }))).replace(/=+$/, '');

function pageOf(cluster: Cluster, kind: Kind, token: string): Page {
  let said: Json;
  try {
    said = JSON.parse(text(fromBase64(token)));
  } catch {
    throw badRequest('continue key is not valid: illegal base64 data');
  }
  if (said?.v !== 'meta.k8s.io/v1') throw badRequest(`continue key is not valid: server does not recognize this encoded version "${String(said?.v ?? '')}"`);
  if (typeof said.rv !== 'number' || typeof said.start !== 'string' || said.start === '') throw badRequest('continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (said.rv < forgottenOf(cluster.store, kind.kind)) {
    throw new ApiError(410, 'Expired', 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.');
  }
  return { revision: said.rv, after: said.start.replace(/\u0000$/, '') };
}

function wholeRevision(cluster: Cluster, kind: Kind, said: string): number {
  if (!/^\d+$/.test(said)) throw badRequest(`invalid resource version: ${said}`);
  const revision = Number(said);
  if (revision > cluster.store.revision) throw new ApiError(504, 'Timeout', `Too large resource version: ${revision}, current: ${cluster.store.revision}`);
  if (revision < forgottenOf(cluster.store, kind.kind)) throw new ApiError(410, 'Expired', `The resourceVersion for the provided list is too old.`);
  return revision;
}

/** Which revision a list is of; undefined is now. */
function revisionAsked(cluster: Cluster, kind: Kind, query: Record<string, string>): number | undefined {
  const { resourceVersion: said, resourceVersionMatch: match } = query;
  if (match !== undefined && match !== 'Exact' && match !== 'NotOlderThan') throw badRequest(`resourceVersionMatch: Unsupported value: "${match}": supported values: "Exact", "NotOlderThan"`);
  if (match !== undefined && !said) throw badRequest('resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided');
  if (!said || said === '0') return undefined;
  const revision = wholeRevision(cluster, kind, said);
  return match === 'Exact' ? revision : undefined;
}

export function listing(cluster: Cluster, target: Target, { query, headers }: ApiRequest): ApiResponse {
  const { kind, served, namespace } = target;
  const chosen = selection(kind, query);
  const passes = (o: KubeObject | undefined): boolean => o !== undefined && (namespace === undefined || o.metadata.namespace === namespace) && chosen(o);
  if (query.watch === '1' || query.watch === 'true') return watching(cluster, target, query, passes, kind.custom !== undefined && wantsTable(headers));
  const page = query.continue ? pageOf(cluster, kind, query.continue) : undefined;
  const revision = page?.revision ?? revisionAsked(cluster, kind, query);
  const all = isMetrics(kind) ? listMetrics(cluster, kind, namespace) : revision === undefined || revision === cluster.store.revision ? list(cluster.store, kind.kind, namespace) : listAt(cluster.store, kind.kind, revision, namespace);
  const limit = query.limit === undefined || query.limit === '' ? 0 : Number(query.limit);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`limit: Invalid value: ${query.limit}: must be a non-negative integer`);
  const items = all.filter((o) => (page === undefined || keyOf(o.metadata) > page.after) && passes(o));
  const shown = limit > 0 && items.length > limit ? items.slice(0, limit) : items;
  const at = revision ?? cluster.store.revision;
  const more: Json = {};
  if (shown.length < items.length) {
    more.continue = tokenOf({ revision: at, after: keyOf(shown.at(-1)!.metadata) });
    if (!query.labelSelector && !query.fieldSelector) more.remainingItemCount = items.length - shown.length;
  }
  const metadata = { resourceVersion: String(at), ...more };
  const told = served === kind ? shown : shown.map((o) => toServed(served, o));
  if (kind.custom && wantsTable(headers)) return { status: 200, body: tableOf(cluster, kind, told, metadata) };
  return { status: 200, body: { kind: kind.custom?.listKind ?? `${kind.kind}List`, apiVersion: apiVersionOf(served), metadata, items: told } };
}

function watching(cluster: Cluster, { kind, served }: Target, query: Record<string, string>, passes: (o: KubeObject | undefined) => boolean, table: boolean): ApiResponse {
  const said = query.resourceVersion;
  const from = said === undefined || said === '' || said === '0' ? null : Number(said);
  if (from !== null && !Number.isInteger(from)) throw badRequest(`invalid resource version: ${said}`);
  const oldest = forgottenOf(cluster.store, kind.kind);
  if (from !== null && from < oldest) throw new ApiError(410, 'Expired', `too old resource version: ${from} (${oldest})`);
  return { status: 200, body: null, watch: { kind, served, from, passes, bookmarks: query.allowWatchBookmarks === 'true' || query.allowWatchBookmarks === '1', seconds: Number(query.timeoutSeconds) || 0, ...(table ? { table } : {}) } };
}
