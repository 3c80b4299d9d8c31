/** A request to the API server and what it names: group, version, kind, namespace, name, subresource. */
import type { Customs } from './custom/kinds.ts';
import { badRequest } from './errors.ts';
import { isStored, type Kind, kindNamed, SERVED } from './types/kinds.ts';
import type { Json, KubeObject } from './types/objects.ts';

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
  watch?: Watch;
}

export interface Watch {
  kind: Kind;
  served: Kind;
  /** null: begin with what is there. */
  from: number | null;
  passes: (object: KubeObject | undefined) => boolean;
  bookmarks: boolean;
  /** The server ends it after so long; 0 never. */
  seconds: number;
  /** Each object as a Table. */
  table?: boolean;
}

export interface Target {
  /** As stored. */
  kind: Kind;
  /** As asked for: another version or group of it, mostly the same. */
  served: Kind;
  namespace: string | undefined;
  name: string | undefined;
  sub: string | undefined;
}

/** What a path names; null when the server has no such thing. */
export function locate(path: string, customs: Customs): Target | null {
  const parts = path.split('/').filter((p) => p !== '').map(decodeURIComponent);
  const core = parts[0] === 'api';
  if (!core && parts[0] !== 'apis') return null;
  const group = core ? '' : (parts[1] ?? '');
  const version = parts[core ? 1 : 2];
  const rest = parts.slice(core ? 2 : 3);
  const find = (plural: string | undefined): Kind | undefined => [SERVED, customs.served].flatMap((rows) => rows.find((k) => k.group === group && k.version === version && k.plural === plural) ?? [])[0];
  const target = (served: Kind, namespace: string | undefined, name: string | undefined, sub: string | undefined): Target =>
    ({ kind: served.custom?.stored ?? (isStored(served) ? kindNamed(served.kind) : served), served, namespace, name, sub });
  if (rest[0] === 'namespaces' && rest.length > 2 && !['status', 'finalize'].includes(rest[2]!)) {
    const kind = find(rest[2]);
    return kind?.namespaced ? target(kind, rest[1], rest[3], rest.slice(4).join('/') || undefined) : null;
  }
  const kind = find(rest[0]);
  return kind ? target(kind, undefined, rest[1], rest.slice(2).join('/') || undefined) : null;
}

export function parse(body: string): Json {
  try {
    return JSON.parse(body);
  } catch {
    throw badRequest('the object provided is unrecognized (must be of type Object): couldn\'t get version/kind; json parse error: invalid character looking for beginning of value');
  }
}
