/** apply (three-way merge or server-side), diff, replace: objects as a manifest says. */
import { pathOf } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, failed, failureText, Fatal, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { annotated, LAST_APPLIED, lastApplied, threeWay } from './merge.ts';
import { checkFormat } from './print.ts';
import { fetch } from './resources.ts';
import { announce, dryRun, located, make, type Manifest, manifests, NEED_FILE, query } from './write.ts';

export const APPLY_FLAGS =
  'f/filename=* R/recursive k/kustomize= dry-run=?unchanged o/output= validate=?strict server-side force-conflicts force prune all l/selector= overwrite=?true field-manager= wait grace-period= timeout= show-managed-fields save-config';

export function* apply(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  checkFormat(flags.text.get('output') ?? '');
  if (!files) {
    if (flags.args.length > 0) throw new Fatal(`error: Unexpected args: [${flags.args.join(' ')}]\nSee 'kubectl apply -h' for help and examples`);
    throw new Fatal(NEED_FILE);
  }
  const problems: string[] = [];
  let status = 0;
  for (const m of yield* manifests(client, files, problems)) if (!(yield* applyOne(client, flags, m))) status = 1;
  for (const p of problems) yield* err(`${p}\n`);
  return problems.length > 0 ? 1 : status;
}

function* applyOne(client: Client, flags: Flags, m: Manifest): Call<boolean> {
  const run = dryRun(flags);
  const { kind, name, namespace, item } = m;
  const path = pathOf(kind, namespace, name);
  if (name === '') {
    yield* err(`error: error when retrieving current configuration of:\nResource: "${kind.group ? `${kind.group}/` : '/'}${kind.version}, Resource=${kind.plural}", GroupVersionKind: "${kind.group ? `${kind.group}/` : '/'}${kind.version}, Kind=${kind.kind}"\nName: "", Namespace: "${namespace ?? ''}"\nfrom server for: "${item.source}": resource name may not be empty\n`);
    return false;
  }
  const object = { ...m.object, metadata: { ...m.object.metadata, ...(namespace ? { namespace } : {}) } };
  if (on(flags, 'server-side')) {
    const reply = yield* call(client, 'PATCH', `${path}${query(flags, run)}`, object, 'apply');
    if (failed(reply)) {
      yield* err(`${located(failureText(reply.body), item)}\n`);
      return false;
    }
    yield* announce(flags, kind, reply.body, 'serverside-applied', run);
    return true;
  }
  const reply = yield* call(client, 'GET', path);
  if (reply.status === 404) return yield* make(client, flags, kind, namespace, annotated(object), 'created', item, `error when creating "${item.source}"`);
  if (failed(reply)) {
    yield* err(`${failureText(reply.body)}\n`);
    return false;
  }
  const live = reply.body as KubeObject;
  const before = lastApplied(live);
  if (before === null) {
    yield* err(`Warning: resource ${kind.plural}/${name} is missing the ${LAST_APPLIED} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.\n`);
  }
  const patch = threeWay(before ?? {}, annotated(object), live);
  if (Object.keys(patch).length === 0) {
    yield* announce(flags, kind, live, 'unchanged', run);
    return true;
  }
  if (run === 'client') {
    yield* announce(flags, kind, live, 'configured', run);
    return true;
  }
  const answer = yield* call(client, 'PATCH', `${path}${query(flags, run)}`, patch, 'strategic');
  if (failed(answer)) {
    const wrapped = answer.body?.reason === 'Invalid' ? failureText(answer.body) : failureText(answer.body, `error when applying patch:\n${JSON.stringify(patch)}\nto:\nResource: "${kind.group ? `${kind.group}/` : '/'}${kind.version}, Resource=${kind.plural}", GroupVersionKind: "${kind.group ? `${kind.group}/` : '/'}${kind.version}, Kind=${kind.kind}"\nName: "${name}", Namespace: "${namespace ?? ''}"\nfor: "${item.source}": error when patching "${item.source}"`);
    yield* err(`${located(wrapped, item)}\n`);
    return false;
  }
  yield* announce(flags, kind, answer.body, 'configured', run);
  return true;
}

export function* diff(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (!files) throw new Fatal(NEED_FILE);
  let differs = 0;
  for (const m of yield* manifests(client, files)) {
    const live = yield* fetch(client, m.kind, m.name, m.namespace ?? client.namespace);
    const wanted = annotated({ ...m.object, metadata: { ...m.object.metadata, ...(m.namespace ? { namespace: m.namespace } : {}) } });
    const patch = typeof live === 'string' ? wanted : threeWay(lastApplied(live) ?? {}, wanted, live);
    delete patch.metadata?.annotations?.[LAST_APPLIED];
    const lines = changes(patch, typeof live === 'string' ? {} : live, '');
    if (lines.length === 0) continue;
    differs = 1;
    yield* out(`diff -u -N LIVE/${m.kind.group || ''}${m.kind.group ? '.' : ''}${m.kind.version}.${m.kind.kind}.${m.namespace ?? ''}.${m.name} MERGED\n${lines.join('\n')}\n`);
  }
  return differs;
}

/** What a patch would change, a line a field. Thin: not a unified diff of the YAML. */
function changes(patch: Json, live: Json, path: string): string[] {
  return Object.entries(patch as Record<string, Json>).flatMap(([key, value]) => {
    const at = path === '' ? key : `${path}.${key}`;
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return changes(value, live?.[key] ?? {}, at);
    const old = live?.[key];
    return [...(old === undefined ? [] : [`-${at}: ${JSON.stringify(old)}`]), ...(value === null ? [] : [`+${at}: ${JSON.stringify(value)}`])];
  });
}

export const REPLACE_FLAGS = 'f/filename=* force o/output= dry-run=?unchanged validate=?strict save-config grace-period= k/kustomize= R/recursive';

export function* replace(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (!files) throw new Fatal(NEED_FILE);
  const problems: string[] = [];
  let status = 0;
  const run = dryRun(flags);
  for (const m of yield* manifests(client, files, problems)) {
    const reply = yield* call(client, 'PUT', `${pathOf(m.kind, m.namespace, m.name)}${query(flags, run)}`, m.object);
    if (failed(reply)) {
      status = 1;
      const doing = reply.body?.reason === 'Invalid' ? '' : `error when replacing "${m.item.source}"`;
      yield* err(`${located(failureText(reply.body, doing), m.item)}\n`);
    } else yield* announce(flags, m.kind, reply.body, 'replaced', run);
  }
  for (const p of problems) yield* err(`${p}\n`);
  return problems.length > 0 ? 1 : status;
}
