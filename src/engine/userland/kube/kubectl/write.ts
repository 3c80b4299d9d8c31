/** What every writing command shares: manifests from files, dry runs, errors with their place, announcements. */
import { findKind, type Kind, pathOf } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { meets, parseSelector } from '../../../cluster/types/selectors.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, S_IFDIR, S_IFMT, SysError, TCGETS } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, failed, failureText, Fatal, klog, out, readFd, readPath } from './client.ts';
import { discoverKind } from './custom.ts';
import { type Flags, on } from './flags.ts';
import { kustomization } from './kustomize.ts';
import { type Item, ManifestError, readManifest } from './manifest.ts';
import { annotated } from './merge.ts';
import { printAs } from './print.ts';
import { display } from './resources.ts';

export interface Manifest {
  kind: Kind;
  name: string;
  namespace: string | undefined;
  object: Json;
  item: Item;
}

export const NEED_FILE = 'error: must specify one of -f and -k';

/** Reads -f (files, folders, "-") or -k. Kinds that do not exist are reported with file and line. */
export function* manifests(client: Client, flags: Flags, problems: string[] = []): Call<Manifest[]> {
  const command = flags.command.split(' ')[1]!;
  const items: Item[] = [];
  const selected = flags.text.get('selector');
  const build = flags.text.get('kustomize');
  if (build !== undefined && flags.many.has('filename')) throw new Fatal('error: only one of -f or -k can be specified');
  if (build !== undefined) {
    for (const object of yield* kustomization(build, false)) items.push({ object, source: build, lineOf: () => null });
  }
  for (const path of (flags.many.get('filename') ?? []).flatMap((p) => p.split(','))) {
    for (const file of yield* expand(path, on(flags, 'recursive'))) {
      try {
        items.push(...readManifest(file === '-' ? yield* readFd(0) : yield* readPath(file), file === '-' ? 'STDIN' : file));
      } catch (error) {
        if (error instanceof SysError) throw new Fatal(error.errno === 'ENOENT' ? `error: the path "${file}" does not exist` : `error: open ${file}: ${error.message.toLowerCase()}`);
        if (error instanceof ManifestError) throw new Fatal(`error: ${error.message}`);
        throw error;
      }
    }
  }
  if (items.length === 0) throw new Fatal(`error: no objects passed to ${command}`);
  const validated = VALIDATED.has(command) && !['false', 'ignore'].includes(flags.text.get('validate') ?? 'strict');
  client.files = { sources: items.map((i) => i.source), validated };
  // Where a field stands is told to people, not to what reads kubectl's output.
  if ((yield* attempt(sys('ioctl', 2, TCGETS), null)) === null) for (const item of items) item.lineOf = () => null;
  const found: Manifest[] = [];
  for (const item of items) {
    const { apiVersion, kind, metadata } = item.object;
    checkType(item, validated);
    for (const [field, value] of [['name', metadata?.name], ['namespace', metadata?.namespace], ['generateName', metadata?.generateName]] as const) {
      if (value !== undefined && value !== null && typeof value !== 'string') throw new Fatal(`error: unable to decode "${item.source}": json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value} into Go struct field ObjectMeta.metadata.${field} of type string`);
    }
    if (selected !== undefined && !selects(selected, metadata?.labels)) continue;
    const version = typeof apiVersion === 'string' ? apiVersion : '';
    const known = findKind(version, kind) ?? (yield* discoverKind(client, version, kind));
    if (!known) {
      const line = item.lineOf('kind');
      problems.push(`error: resource mapping not found for name: "${metadata?.name ?? ''}" namespace: "${metadata?.namespace ?? ''}" from "${item.source}": no matches for kind "${kind}" in version "${version}"\nensure CRDs are installed first${line === null ? '' : `\n(${item.source}, line ${line}: kind: ${kind})`}`);
      continue;
    }
    const given = metadata?.namespace;
    if (known.namespaced && typeof given === 'string' && flags.text.has('namespace') && given !== client.namespace) {
      throw new Fatal(`error: the namespace from the provided object "${given}" does not match the namespace "${client.namespace}". You must pass '--namespace=${given}' to perform this operation.`);
    }
    const namespace = known.namespaced ? (given ?? client.namespace) : undefined;
    found.push({ kind: known, name: String(metadata?.name ?? ''), namespace, object: item.object, item });
  }
  if (found.length === 0 && problems.length === 0) throw new Fatal(`error: no objects passed to ${command}`);
  return found;
}

/** Commands that hold a manifest against the server's schema before they send it. */
const VALIDATED = new Set(['apply', 'create', 'replace']);

function checkType({ object, source }: Item, validated: boolean): void {
  const bad = (['apiVersion', 'kind'] as const).flatMap((field) => (object[field] === undefined || object[field] === null || object[field] === '' ? [`${field} not set`] : typeof object[field] === 'string' ? [] : [`${field} isn't string type`]));
  if (bad.length === 0) return;
  if (validated) throw new Fatal(`error: error validating ${JSON.stringify(source)}: error validating data: ${bad.length > 1 ? `[${bad.join(', ')}]` : bad[0]}; if you choose to ignore these errors, turn validation off with --validate=false`);
  if (typeof object.kind !== 'string' || object.kind === '') throw new Fatal(`error: unable to decode ${JSON.stringify(source)}: Object 'Kind' is missing in '${JSON.stringify(object)}'`);
}

/** Failures that were kept to the end: "error: " stands before one that is alone. */
export function* tell(problems: readonly string[], others = 0): Call<void> {
  for (const p of problems) yield* err(`${problems.length + others > 1 && /^error: (?:resource mapping|unable to recognize)/.test(p) ? p.slice(7) : p}\n`);
}

function selects(selector: string, labels: Json): boolean {
  const parsed = parseSelector(selector);
  if (typeof parsed === 'string') throw new Fatal(`error: ${parsed}`);
  return parsed.every((r) => meets(labels ?? {}, r));
}

/** The files that -f names: one, "-", or those of a folder. */
export function* expand(path: string, deep = false): Call<string[]> {
  if (path === '-') return ['-'];
  if (/^https?:/.test(path)) throw new Fatal(`error: unable to read URL "${path}": there is no network beyond the lab`);
  try {
    const stat = yield* sys('newfstatat', AT_FDCWD, path, 0);
    if ((stat.mode & S_IFMT) !== S_IFDIR) return [path];
    const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    const names: string[] = [];
    const folders: string[] = [];
    for (;;) {
      const some = yield* sys('getdents64', fd);
      if (some.length === 0) break;
      names.push(...some.filter((e) => e.type === 'file' && /\.(ya?ml|json)$/.test(e.name)).map((e) => e.name));
      if (deep) folders.push(...some.filter((e) => e.type === 'dir' && e.name !== '.' && e.name !== '..').map((e) => e.name));
    }
    yield* sys('close', fd);
    const base = path.replace(/\/$/, '');
    const files = names.map((n) => `${base}/${n}`);
    for (const folder of folders) files.push(...(yield* expand(`${base}/${folder}`, true)));
    if (files.length === 0 && !deep) throw new Fatal(`error: error reading [${path}]: recognized file extensions are [.json .yaml .yml]`);
    return files.sort();
  } catch (error) {
    if (error instanceof SysError) throw new Fatal(error.errno === 'ENOENT' ? `error: the path "${path}" does not exist` : `error: stat ${path}: ${error.message.toLowerCase()}`);
    throw error;
  }
}

export function dryRun(flags: Flags): '' | 'client' | 'server' {
  const value = flags.text.get('dry-run') ?? 'none';
  if (value === 'none' || value === 'false') return '';
  if (value === 'client' || value === 'server') return value;
  if (value === 'unchanged' || value === 'true') return 'client';
  throw new Fatal(`error: Invalid dry-run value (${value}). Must be "none", "server", or "client".`);
}

export const marks = (run: string): string => (run === '' ? '' : run === 'client' ? ' (dry run)' : ' (server dry run)');

const MANAGERS: Readonly<Record<string, string>> = {
  apply: 'kubectl-client-side-apply', diff: 'kubectl-client-side-apply', create: 'kubectl-create', run: 'kubectl-run', expose: 'kubectl-expose', autoscale: 'kubectl-autoscale', edit: 'kubectl-edit', replace: 'kubectl-replace', patch: 'kubectl-patch',
  label: 'kubectl-label', annotate: 'kubectl-annotate', set: 'kubectl-set', rollout: 'kubectl-rollout', taint: 'kubectl-taint',
};

/** "…/pods?fieldManager=kubectl-create&fieldValidation=Strict&dryRun=All" */
export function query(flags: Flags, run: string, manager = flags.text.get('field-manager') ?? MANAGERS[flags.command.split(' ')[1] ?? ''] ?? 'kubectl'): string {
  const validate = flags.text.get('validate') ?? 'strict';
  const level = ['false', 'ignore'].includes(validate) ? 'Ignore' : validate === 'warn' ? 'Warn' : 'Strict';
  return `?fieldManager=${encodeURIComponent(manager)}&fieldValidation=${level}${run === 'server' ? '&dryRun=All' : ''}`;
}

/** After a failure that names fields: where they stand in the file. */
export function located(text: string, item: Item | null): string {
  if (!item) return text;
  const fields = [...text.matchAll(/unknown field "([^"]+)"/g)].map((m) => m[1]!);
  for (const m of text.matchAll(/Go struct field \w+\.([\w.]+)/g)) fields.push(m[1]!);
  const lines = fields.flatMap((f) => {
    const line = item.lineOf(f);
    return line === null ? [] : [`(${item.source}, line ${line}: ${f})`];
  });
  return [text, ...new Set(lines)].join('\n');
}

/** Prints what a command made: in the asked format, or "deployment.apps/web created". */
export function* announce(flags: Flags, kind: Kind, object: KubeObject, verb: string, run: string): Call<void> {
  if (verb === '') return;
  const format = flags.text.get('output') ?? '';
  if (format === '') yield* out(`${display(kind, object.metadata.name)} ${verb}${marks(run)}\n`);
  else {
    if (format === 'yaml' && flags.printed++ > 0) yield* out('---\n');
    yield* printAs(format, [{ ...object, kind: kind.kind }], true);
  }
}

/** What is made anew has no version yet, whatever a manifest that was printed says. */
export function unversioned(object: Json): Json {
  if (object?.metadata?.resourceVersion === undefined) return object;
  const { resourceVersion: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

export function* make(client: Client, flags: Flags, kind: Kind, namespace: string | undefined, object: Json, verb: string, item: Item | null, doing: string): Call<boolean> {
  const run = dryRun(flags);
  let made = object;
  if (run !== 'client') {
    const body = unversioned(on(flags, 'save-config') ? annotated(object) : object);
    const reply = yield* call(client, 'POST', `${pathOf(kind, namespace)}${query(flags, run)}`, body);
    if (failed(reply)) {
      yield* err(`${located(failureText(reply.body, doing), item)}\n`);
      return false;
    }
    made = reply.body;
  } else if (flags.text.has('namespace') && kind.namespaced) made = { ...object, metadata: { ...object.metadata, namespace } };
  yield* announce(flags, kind, made, verb, run);
  return true;
}

export function* required(flags: Flags, ...names: string[]): Call<void> {
  const missing = names.filter((name) => !flags.text.has(name)).map((name) => `\\"${name}\\"`);
  if (missing.length > 0) throw new Fatal((yield* klog('E', 'run.go:72', `"command failed" err="required flag(s) ${missing.join(', ')} not set"`)).trimEnd());
}

export function whole(flags: Flags, name: string): number | undefined {
  const text = flags.text.get(name);
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text)) throw new Fatal(`Error: invalid argument "${text}" for "--${name}" flag: strconv.ParseInt: parsing "${text}": invalid syntax\nSee 'kubectl --help' for usage.`);
  return Number(text);
}

export const NEED_RESOURCE = "error: You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";
