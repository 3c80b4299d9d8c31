/**
 * Kinds that kubectl does not know by itself: found by discovery, explained by the server's schemas.
 * Source: client-go restmapper, kubectl pkg/explain/v2 1.32. Left out: discovery's cache on disk.
 */
import { type Custom, type Kind, KINDS } from '../../../cluster/types/kinds.ts';
import type { Json } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { ask, call, type Client, Fatal } from './client.ts';

const BUILT_IN = new Set(KINDS.map((k) => k.group));
/** What only the server has of it. */
const theirs = (name: string, categories: readonly string[]): Custom => ({ name, listKind: '', categories, schema: {}, columns: null, status: false, scale: null, deprecated: '' });

/** The rows of a version that discovery lists; none when there is no such version. */
function* rowsOf(client: Client, group: string, version: string): Call<Kind[]> {
  const reply = yield* call(client, 'GET', `/apis/${group}/${version}`);
  if (reply.status >= 400) return [];
  return (reply.body.resources ?? []).filter((r: Json) => !r.name.includes('/')).map((r: Json): Kind => ({
    kind: r.kind, group, version, plural: r.name, singular: r.singularName, short: r.shortNames ?? [], namespaced: r.namespaced, all: (r.categories ?? []).includes('all'), verbs: r.verbs, custom: theirs(r.kind, r.categories ?? []),
  }));
}

/** By apiVersion and kind, as a manifest gives them. */
export function* discoverKind(client: Client, apiVersion: string, kind: string): Call<Kind | undefined> {
  const [group, version] = apiVersion.split('/');
  if (!group || !version || BUILT_IN.has(group)) return undefined;
  return (yield* rowsOf(client, group, version)).find((k) => k.kind === kind);
}

function* discoverAll(client: Client): Call<Kind[]> {
  const { groups } = yield* ask(client, 'GET', '/apis');
  const out: Kind[] = [];
  for (const g of groups ?? []) if (!BUILT_IN.has(g.name)) out.push(...(yield* rowsOf(client, g.name, g.preferredVersion.version)));
  return out;
}

/** By what people type: plural, singular, short name or kind, with or without version and group. */
export function* discover(client: Client, typed: string): Call<Kind | undefined> {
  const [name, ...rest] = typed.toLowerCase().split('.');
  const named = (k: Kind): boolean => k.plural === name || k.singular === name || k.short.includes(name!) || k.kind.toLowerCase() === name;
  if (/^v\d/.test(rest[0] ?? '') && rest.length > 1) {
    const found = (yield* rowsOf(client, rest.slice(1).join('.'), rest[0]!)).find(named);
    if (found) return found;
  }
  const group = rest.join('.');
  return (yield* discoverAll(client)).find((k) => named(k) && (group === '' || k.group === group || k.group.startsWith(`${group}.`)));
}

/** All kinds of a category ("all" among them). */
export function* discoverCategory(client: Client, category: string): Call<Kind[]> {
  return (yield* discoverAll(client)).filter((k) => k.custom!.categories.includes(category));
}

/** The schema of a kind, as the server tells it. */
export function* schemaOf(client: Client, kind: Kind): Call<Json> {
  const body = yield* ask(client, 'GET', `/openapi/v3/apis/${kind.group}/${kind.version}`);
  const found = Object.values<Json>(body.components?.schemas ?? {}).find((s) => s['x-kubernetes-group-version-kind']?.some((g: Json) => g.kind === kind.kind && g.version === kind.version));
  if (!found) throw new Fatal(`error: couldn't find resource for "${kind.group}/${kind.version}, Kind=${kind.kind}"`);
  return found;
}
