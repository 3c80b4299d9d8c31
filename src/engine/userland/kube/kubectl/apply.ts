/** apply (three-way merge or server-side), diff, replace: objects as a manifest says. */
import { pathOf } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { AT_FDCWD, AT_REMOVEDIR, O_CREAT, O_TRUNC, O_WRONLY } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt, fork } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { call, type Client, err, failed, failureText, Fatal } from './client.ts';
import { type Flags, on } from './flags.ts';
import { annotated, LAST_APPLIED, lastApplied, threeWay } from './merge.ts';
import { checkFormat } from './print.ts';
import { fetch } from './resources.ts';
import { announce, dryRun, located, make, type Manifest, manifests, NEED_FILE, query } from './write.ts';
import { toYaml } from './yaml.ts';

export const APPLY_FLAGS =
  'f/filename=* R/recursive k/kustomize= dry-run=?unchanged o/output= validate=?strict server-side force-conflicts force prune all l/selector= overwrite=?true field-manager= wait grace-period= timeout= show-managed-fields save-config';

export function* apply(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  checkFormat(flags.text.get('output') ?? '');
  unexpected(flags, 'apply');
  if (!files) throw new Fatal(NEED_FILE);
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

/** What applying would change: live and merged objects as YAML in two directories, and `diff -u -N` on them. */
export function* diff(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  unexpected(flags, 'diff');
  if (!files) throw new Fatal(NEED_FILE);
  const problems: string[] = [];
  const pairs: { name: string; live: Json | null; merged: Json }[] = [];
  for (const m of yield* manifests(client, files, problems)) {
    const pair = yield* merged(client, flags, m);
    if (typeof pair === 'string') problems.push(pair);
    else pairs.push({ name: `${m.kind.group ? `${m.kind.group}.` : ''}${m.kind.version}.${m.kind.kind}.${m.namespace ?? ''}.${m.name}`, ...pair });
  }
  const differs = pairs.length > 0 ? yield* external(client, pairs) : 0;
  for (const p of problems) yield* err(`${p}\n`);
  return problems.length > 0 ? 1 : differs;
}

/** An object as it is and as the server says it would be; or the failure. */
function* merged(client: Client, flags: Flags, m: Manifest): Call<{ live: Json | null; merged: Json } | string> {
  const live = yield* fetch(client, m.kind, m.name, m.namespace ?? client.namespace);
  const wanted = annotated({ ...m.object, metadata: { ...m.object.metadata, ...(m.namespace ? { namespace: m.namespace } : {}) } });
  const asked = query(flags, 'server');
  if (typeof live === 'string') {
    delete wanted.metadata.annotations[LAST_APPLIED];
    const reply = yield* call(client, 'POST', `${pathOf(m.kind, m.namespace)}${asked}`, wanted);
    return failed(reply) ? located(failureText(reply.body), m.item) : { live: null, merged: reply.body };
  }
  const patch = threeWay(lastApplied(live) ?? {}, wanted, live);
  delete patch.metadata?.annotations?.[LAST_APPLIED];
  const reply = yield* call(client, 'PATCH', `${pathOf(m.kind, m.namespace, m.name)}${asked}`, patch, 'strategic');
  return failed(reply) ? located(failureText(reply.body), m.item) : { live, merged: reply.body };
}

function* external(client: Client, pairs: readonly { name: string; live: Json | null; merged: Json }[]): Call<number> {
  const tag = 1_000_000_000 + ((yield* sys('getpid')) * 7_919_317) % 3_000_000_000;
  const [from, to] = [`/tmp/LIVE-${tag}`, `/tmp/MERGED-${tag + 1_234_567}`];
  for (const directory of [from, to]) yield* sys('mkdirat', AT_FDCWD, directory, 0o700);
  const names: string[] = [];
  for (const { name, live, merged: after } of pairs) {
    for (const [directory, object] of [[from, live], [to, after]] as const) {
      if (object === null) continue;
      const fd = yield* sys('openat', AT_FDCWD, `${directory}/${name}`, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
      yield* writeAll(fd, bytes(toYaml(object)));
      yield* sys('close', fd);
      names.push(`${directory}/${name}`);
    }
  }
  const pid = yield* fork(function* (): Body {
    for (const directory of (client.env.PATH ?? '/usr/bin:/bin').split(':')) {
      yield* attempt(sys('execve', `${directory}/diff`, ['diff', '-u', '-N', from, to], client.env), 0 as never);
    }
    return 127;
  });
  const { status } = yield* sys('wait4', pid, 0);
  for (const name of names) yield* sys('unlinkat', AT_FDCWD, name, 0);
  for (const directory of [from, to]) yield* sys('unlinkat', AT_FDCWD, directory, AT_REMOVEDIR);
  const exit = (status >> 8) & 255;
  if (exit > 1) throw new Fatal(exit === 127 ? 'error: exec: "diff": executable file not found in $PATH' : `error: exit status ${exit}`);
  return exit;
}

function unexpected(flags: Flags, command: string): void {
  if (flags.args.length > 0) throw new Fatal(`error: Unexpected args: [${flags.args.join(' ')}]\nSee 'kubectl ${command} -h' for help and examples`);
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
