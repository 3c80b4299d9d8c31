/** What kubectl's arguments name: "pods", "po,svc", "deploy/web", "pod a b", "all". Source: cli-runtime resource builder. */
import { type Kind, KINDS, findResource, pathOf } from '../../../cluster/types/kinds.ts';
import type { KubeObject } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, call, failed, failureText, Fatal } from './client.ts';
import { discover, discoverCategory } from './custom.ts';
import { opened, TABLE } from './servertables.ts';

export interface Target {
  kind: Kind;
  /** null: all of the kind. */
  name: string | null;
}

/** "deployment.apps/web", as results are announced. */
export function display(kind: Kind, name: string): string {
  return `${kind.singular}${kind.group === '' ? '' : `.${kind.group}`}/${name}`;
}

export function* resource(client: Client, typed: string): Call<Kind> {
  const kind = findResource(typed);
  if (kind) return kind;
  const found = yield* discover(client, typed);
  if (found) return found;
  throw new Fatal(`error: the server doesn't have a resource type "${typed}"`);
}

/** A kind that only the server knows, or all of a category. */
function* named(client: Client, typed: string): Call<Kind[]> {
  const one = yield* discover(client, typed);
  if (one) return [one];
  const many = yield* discoverCategory(client, typed);
  return many.length > 0 ? many : [yield* resource(client, typed)];
}

/** `mixed` allows "all" and lists of kinds. */
export function* targets(client: Client, args: readonly string[]): Call<Target[]> {
  if (args.some((a) => a.includes('/'))) {
    const out: Target[] = [];
    for (const arg of args) {
      const parts = arg.split('/');
      if (parts.length === 1) {
        throw new Fatal(
          arg === args[0]
            ? "error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'"
            : "error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
        );
      }
      if (parts.length > 2 || parts[0] === '' || parts[1] === '') throw new Fatal('error: arguments in resource/name form may not have more than one slash');
      for (const typed of parts[0]!.split(',')) out.push({ kind: yield* resource(client, typed), name: parts[1]! });
    }
    return out;
  }
  const kinds: Kind[] = [];
  for (const typed of (args[0] ?? '').split(',')) {
    if (typed === 'all') kinds.push(...allKinds(), ...(yield* discoverCategory(client, 'all')));
    else if (findResource(typed)) kinds.push(findResource(typed)!);
    else kinds.push(...(yield* named(client, typed)));
  }
  const names = args.slice(1);
  if (names.length === 0) return kinds.map((kind) => ({ kind, name: null }));
  return kinds.flatMap((kind) => names.map((name) => ({ kind, name })));
}

const allKinds = (): Kind[] => KINDS.filter((k) => k.all);

/** One object, or the failure's text. */
export function* fetch(client: Client, kind: Kind, name: string, namespace = client.namespace, sub?: string): Call<KubeObject | string> {
  if (name === '') throw new Fatal('error: resource name may not be empty');
  const reply = yield* call(client, 'GET', pathOf(kind, kind.namespaced ? namespace : undefined, name, sub), undefined, undefined, false, kind.custom ? TABLE : undefined);
  return failed(reply) ? failureText(reply.body) : (opened(reply.body) as KubeObject);
}

export function* mustFetch(client: Client, kind: Kind, name: string, namespace = client.namespace): Call<KubeObject> {
  const found = yield* fetch(client, kind, name, namespace);
  if (typeof found === 'string') throw new Fatal(found);
  return found;
}

