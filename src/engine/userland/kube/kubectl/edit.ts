/** edit: live objects as YAML in a file, the person's editor on it, the difference as a patch. Source: kubectl pkg/cmd/util/editor 1.32. */
import { pathOf, apiVersionOf, type Kind } from '../../../cluster/types/kinds.ts';
import { copy, type Json, type KubeObject, same } from '../../../cluster/types/objects.ts';
import { AT_FDCWD } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { attempt, fork, readText, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, failed, failureText, Fatal, listKind, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { ManifestError, readManifest } from './manifest.ts';
import { LAST_APPLIED, threeWay } from './merge.ts';
import { display, mustFetch, targets } from './resources.ts';
import { listOf, printAs } from './print.ts';
import { located, manifests, NEED_RESOURCE, query } from './write.ts';
import { toJson, toYaml } from './yaml.ts';

export const EDIT_FLAGS = 'f/filename=* k/kustomize= R/recursive o/output= output-patch save-config validate=?strict windows-line-endings subresource= field-manager= show-managed-fields allow-missing-template-keys template= l/selector=';

export interface Edited { kind: Kind; object: KubeObject }

export function* edit(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (flags.args.length === 0 && !files) throw new Fatal(NEED_RESOURCE);
  const format = flags.text.get('output') ?? 'yaml';
  if (format !== 'yaml' && format !== 'json') throw new Fatal(`error: The flag 'output' must be one of yaml|json`);
  const sub = flags.text.get('subresource') ?? '';
  if (sub !== '' && sub !== 'status') throw new Fatal(`error: invalid subresource value: ${JSON.stringify(sub)}. Must be one of [status]`);
  const chosen = yield* objects(client, flags, files);
  if (chosen.length === 0) throw new Fatal('error: edit cancelled, no objects found');
  return yield* session(client, chosen, format, 'normal', (next, results) => save(client, flags, chosen, next, results));
}

function* objects(client: Client, flags: Flags, files: readonly string[] | undefined): Call<Edited[]> {
  const found: Edited[] = [];
  if (files) for (const m of yield* manifests(client, flags)) found.push({ kind: m.kind, object: yield* mustFetch(client, m.kind, m.name, m.namespace ?? client.namespace) });
  else {
    for (const t of yield* targets(client, flags.args)) {
      if (t.name !== null) found.push({ kind: t.kind, object: yield* mustFetch(client, t.kind, t.name) });
      else for (const object of (yield* listKind(client, t.kind, t.kind.namespaced ? client.namespace : undefined, { labelSelector: flags.text.get('selector') })).items) found.push({ kind: t.kind, object: { ...object, apiVersion: apiVersionOf(t.kind), kind: t.kind.kind } });
    }
  }
  return found;
}

/** What became of the objects of one round. */
export interface Results { reasons: string[]; notfound: boolean; retry: boolean }

const HEADER = '# Please edit the object below. Lines beginning with a \'#\' will be ignored,\n# and an empty file will abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n';
const APPLY_HEADER = '# Please edit the \'last-applied-configuration\' annotations below.\n# Lines beginning with a \'#\' will be ignored, and an empty file will abort the edit.\n';

const stripped = (text: string): string => text.split('\n').filter((l) => !/^\s*#/.test(l)).join('\n').trim();

/** Opens the editor until what it leaves is taken, is empty or is as before. */
export function* session(client: Client, chosen: readonly Edited[], format: string, mode: 'normal' | 'apply', take: (next: Json[], results: Results) => Call<void>): Call<number> {
  const shown = chosen.map(({ object }) => withoutManaged(object));
  const whole = shown.length === 1 ? shown[0] : { ...listOf(shown), metadata: {} };
  const original = format === 'json' ? `${toJson(whole)}\n` : toYaml(whole);
  const path = `/tmp/kubectl-edit-${1_000_000_000 + (((yield* sys('getpid')) * 7_919_317) % 3_000_000_000)}.${format}`;
  let reasons: string[] = [];
  let current = original;
  for (;;) {
    const head = format === 'json' ? '' : (mode === 'normal' ? HEADER : APPLY_HEADER) + reasons.map((r) => `# ${r.replace(/\n/g, '\n# ')}\n#\n`).join('');
    yield* writeFile(path, head + current, 0o600);
    const status = yield* launch(client, path);
    if (status !== 0) throw new Fatal(`error: there was a problem with the editor ${JSON.stringify(editorOf(client).join(' '))}`);
    const edited = yield* readText(path);
    if (reasons.length > 0 && stripped(edited) === stripped(current)) {
      yield* err(`A copy of your changes has been stored to ${JSON.stringify(path)}\n`);
      throw new Fatal('error: Edit cancelled, no valid changes were saved.');
    }
    if (stripped(edited) === stripped(original)) return yield* cancelled(path, 'Edit cancelled, no changes made.');
    if (stripped(edited) === '') return yield* cancelled(path, 'Edit cancelled, saved file was empty.');
    let next: Json[];
    try {
      next = readManifest(edited, 'edited-file').map((i) => i.object);
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      reasons = [`The edited file had a syntax error: ${error.message}`];
      current = edited.replace(/^(?:#.*\n)+/, '');
      continue;
    }
    const results: Results = { reasons: [], notfound: false, retry: false };
    yield* take(next, results);
    if (results.retry || results.notfound) {
      yield* err(results.retry ? `You can run \`kubectl replace -f ${path}\` to try this update again.\n` : `The edits you made on deleted resources have been saved to ${JSON.stringify(path)}\n`);
      return 1;
    }
    if (results.reasons.length === 0) {
      yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0);
      return 0;
    }
    ({ reasons } = results);
    current = edited.replace(/^(?:#.*\n)+/, '');
  }
}

function* cancelled(path: string, why: string): Call<number> {
  yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0);
  yield* err(`${why}\n`);
  return 0;
}

function withoutManaged(object: KubeObject): Json {
  const out_ = copy(object) as Json;
  delete out_.metadata.managedFields;
  return out_;
}

const editorOf = (client: Client): string[] => [client.env.KUBE_EDITOR || client.env.EDITOR || 'vi'];

/** By the shell, as kubectl runs it where the words need one. */
function* launch(client: Client, path: string): Call<number> {
  const [editor = 'vi'] = editorOf(client);
  const shell = client.env.SHELL || '/bin/bash';
  const words = /["'\\]/.test(editor) ? [shell, '-c', `${editor} "${path}"`] : [...editor.split(' ').filter((w) => w !== ''), path];
  const pid = yield* fork(function* (): Body {
    const [name = ''] = words;
    const places = name.includes('/') ? [name] : (client.env.PATH ?? '/usr/bin:/bin').split(':').map((d) => `${d}/${name}`);
    for (const place of places) yield* attempt(sys('execve', place, words, client.env), 0 as never);
    return 127;
  });
  const { status } = yield* sys('wait4', pid, 0);
  const exit = (status >> 8) & 255;
  if (exit === 127) throw new Fatal(`error: unable to launch the editor ${JSON.stringify(editor)}`);
  return exit;
}

const PRESERVED = ['apiVersion', 'kind', 'metadata.name'];

/** Each changed object as a patch. */
function* save(client: Client, flags: Flags, chosen: readonly Edited[], next: Json[], results: Results): Call<void> {
  for (const object of next) {
    const before = chosen.find((c) => c.object.metadata.uid === object.metadata?.uid) ?? chosen.find((c) => c.object.kind === object.kind && c.object.metadata.name === object.metadata?.name);
    if (!before) throw new Fatal(`error: no original object found for ${JSON.stringify(object)}`);
    const live = before.object;
    for (const path of PRESERVED) {
      const get = (o: Json): Json => path.split('.').reduce((at, k) => at?.[k], o);
      if (get(object) !== get(live)) throw new Fatal(`error: At least one of apiVersion, kind and name was changed`);
    }
    const sub = flags.text.get('subresource');
    const name = live.metadata.name;
    const old = withoutManaged(live);
    if (same(old, object)) {
      yield* out(`${display(before.kind, name)} skipped\n`);
      continue;
    }
    if (on(flags, 'save-config')) object.metadata.annotations = { ...object.metadata.annotations, [LAST_APPLIED]: `${toJson(object, 0)}\n` };
    const patch = threeWay(old, object, old);
    if (on(flags, 'output-patch')) yield* out(`Patch: ${JSON.stringify(patch)}\n`);
    const reply = yield* call(client, 'PATCH', `${pathOf(before.kind, live.metadata.namespace, name, sub)}${query(flags, '')}`, patch, before.kind.custom ? 'merge' : 'strategic');
    if (!failed(reply)) {
      if (flags.text.has('output')) yield* printAs(flags.text.get('output')!, [reply.body], true);
      else yield* out(`${display(before.kind, name)} edited\n`);
      continue;
    }
    const said = located(failureText(reply.body), null);
    if (reply.body?.reason === 'Invalid' || reply.body?.reason === 'BadRequest') {
      results.reasons.push(`${before.kind.plural}${before.kind.group ? `.${before.kind.group}` : ''} ${JSON.stringify(name)} was not valid:\n${(reply.body.details?.causes ?? [{ message: reply.body.message }]).map((c: Json) => `* ${c.field ? `${c.field}: ` : ''}${c.message}`).join('\n')}`);
      yield* err(`error: ${before.kind.plural}${before.kind.group ? `.${before.kind.group}` : ''} ${JSON.stringify(name)} is invalid\n`);
    } else if (reply.status === 404) {
      results.notfound = true;
      yield* err(`error: ${before.kind.plural} ${JSON.stringify(name)} could not be found on the server\n`);
    } else {
      results.retry = true;
      yield* err(`error: ${before.kind.plural}${before.kind.group ? `.${before.kind.group}` : ''} ${JSON.stringify(name)} could not be patched: ${said.replace(/^Error from server \(\w+\): /, '')}\n`);
    }
  }
}
