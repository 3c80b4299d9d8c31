/**
 * `kubectl kustomize` and `-k`: a folder's kustomization.yaml to objects. Resources, bases, components, generators with hash
 * suffixes, patches, and then what is put on everything: names, namespace, labels, annotations, images, replicas.
 * Source: sigs.k8s.io/kustomize api 5.5. Left out: helm charts, remote bases, plugins, vars, replacements, openapi.
 */
import { parse as parseYaml } from 'yaml';
import type { Json } from '../../../cluster/types/objects.ts';
import { SysError } from '../../../kernel/abi.ts';
import { bytes, text, toBase64 } from '../../../sim/text.ts';
import { isDir, readBytes, statOf } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, Fatal, klog, out } from './client.ts';
import type { Flags } from './flags.ts';
import { applyPatches, decorate, type Entry, idOf, legacyOrder, renamed } from './kustomize-transform.ts';
import { ManifestError, readManifest } from './manifest.ts';
import { toYaml } from './yaml.ts';

const NAMES = ['kustomization.yaml', 'kustomization.yml', 'Kustomization'];

const FIELDS = new Set('apiVersion kind metadata resources bases components namePrefix nameSuffix namespace labels commonLabels commonAnnotations images patches patchesStrategicMerge patchesJson6902 configMapGenerator secretGenerator generatorOptions replicas sortOptions buildMetadata crds configurations transformers generators validators replacements vars openapi helmCharts helmGlobals'.split(' '));
const ABSENT = ['crds', 'configurations', 'transformers', 'generators', 'validators', 'replacements', 'vars', 'openapi', 'helmCharts', 'helmGlobals'];

export const KUSTOMIZE_FLAGS = 'o/output= enable-helm load-restrictor= reorder= enable-alpha-plugins enable-star e/env=* mount=* network network-name= as-current-user helm-command=';

export function* kustomize(_client: Client, flags: Flags): Call<number> {
  if (flags.args.length > 1) throw new Fatal((yield* klog('E', 'run.go:72', `"command failed" err="specify one path to kustomization.yaml"`)).trimEnd());
  let objects: Json[];
  try {
    objects = yield* kustomization(flags.args[0] ?? '.', true);
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    throw new Fatal((yield* klog('E', 'run.go:72', `"command failed" err="${error.message.replace(/^error: /, '').replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n')}"`)).trimEnd());
  }
  yield* out(objects.map((o) => toYaml(o)).join('---\n'));
  return 0;
}

/** The objects of a folder. `ordered`: as `kustomize build` sorts them. Throws Fatal in kustomize's words. */
export function* kustomization(path: string, ordered: boolean): Call<Json[]> {
  if (/^https?:|^git@|github\.com\//.test(path)) throw new Fatal(`error: not modelled: a remote base: ${path}: there is no network beyond the lab`);
  const stat = yield* statOf(path);
  if (!stat) throw new Fatal(`error: must build at directory: not a valid directory: evalsymlink failure on '${path}' : lstat ${path}: no such file or directory`);
  if (!isDir(stat)) throw new Fatal(`error: '${path}' must be a directory so that it can used as a build root`);
  const [entries, file] = yield* build(path.replace(/(.)\/$/, '$1'), []);
  const sort = file.sortOptions?.order;
  const all = ordered && sort !== 'fifo' ? legacyOrder(entries) : entries;
  return all.map((e) => e.object);
}

/** What a kustomization makes of what has been gathered before it: nothing, or the objects of those that use a component. */
function* build(path: string, given: Entry[], above: readonly string[] = []): Call<[Entry[], Json]> {
  if (above.includes(path)) throw new Fatal(`error: accumulating resources: accumulation err='cycle detected: candidate root '${path}' contains visited root '${path}''`);
  const file = yield* fileOf(path);
  let entries: Entry[] = [...given];
  for (const one of [...(file.resources ?? []), ...(file.bases ?? [])]) entries.push(...(yield* resources(path, String(one), [...above, path])));
  for (const one of file.components ?? []) [entries] = yield* build(join(path, String(one)), entries, [...above, path]);
  yield* generate(path, file, entries);
  unique(entries);
  entries = applyPatches(entries, yield* patchesOf(path, file));
  for (const e of entries) decorate(e, file);
  entries = renamed(entries, file);
  return [entries, file];
}

function* fileOf(path: string): Call<Json> {
  const found: string[] = [];
  for (const name of NAMES) if (yield* statOf(`${path}/${name}`)) found.push(name);
  if (found.length === 0) throw new Fatal(`error: unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '${path}'`);
  if (found.length > 1) throw new Fatal(`error: Found multiple kustomization files under: ${path}`);
  let file: Json;
  try {
    file = parseYaml(text(yield* readBytes(`${path}/${found[0]}`))) ?? null;
  } catch (error) {
    throw new Fatal(`error: invalid Kustomization: ${error instanceof Error ? error.message.split('\n')[0] : 'unreadable'}`);
  }
  if (file === null) throw new Fatal('error: kustomization.yaml is empty');
  if (typeof file !== 'object' || Array.isArray(file)) throw new Fatal('error: invalid Kustomization: json: cannot unmarshal array into Go value of type types.Kustomization');
  for (const key of Object.keys(file)) if (!FIELDS.has(key)) throw new Fatal(`error: invalid Kustomization: json: unknown field "${key}"`);
  for (const key of ABSENT) if (file[key] !== undefined) throw new Fatal(`error: not modelled: ${key} in a kustomization`);
  return file;
}

export const join = (base: string, path: string): string => {
  const parts: string[] = [];
  const whole = path.startsWith('/') ? path : `${base}/${path}`;
  for (const part of whole.split('/')) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..' && parts.at(-1) !== '.') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `${whole.startsWith('/') ? '/' : ''}${parts.join('/')}` || '.';
};

function* resources(base: string, one: string, above: readonly string[]): Call<Entry[]> {
  if (/^https?:|github\.com\//.test(one)) throw new Fatal(`error: not modelled: a remote base: ${one}: there is no network beyond the lab`);
  const path = join(base, one);
  const stat = yield* statOf(path);
  if (!stat) throw new Fatal(`error: accumulating resources: accumulation err='accumulating resources from '${one}': open ${path}: no such file or directory': must build at directory: not a valid directory: evalsymlink failure on '${path}' : lstat ${path}: no such file or directory`);
  if (isDir(stat)) return (yield* build(path, [], above))[0];
  return entriesOf(text(yield* readBytes(path)), one, path);
}

function entriesOf(source: string, shown: string, path: string): Entry[] {
  try {
    return readManifest(source, path).map(({ object }) => {
      if (!object?.kind) throw new Fatal(`error: accumulating resources: accumulation err='accumulating resources from '${shown}': missing Resource metadata'`);
      if (!object.metadata?.name) throw new Fatal(`error: accumulating resources: accumulation err='accumulating resources from '${shown}': missing metadata.name in object {{${object.apiVersion ?? ''} ${object.kind}} {{ } map[] map[]}}'`);
      return { object, original: object.metadata.name, namespace: object.metadata.namespace, hash: false };
    });
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw new Fatal(`error: accumulating resources: accumulation err='accumulating resources from '${shown}': MalformedYAMLError: ${error.message.replace(/^.*?yaml: /, 'yaml: ')} in File: ${shown}'`);
  }
}

function unique(entries: readonly Entry[]): void {
  const seen = new Set<string>();
  for (const { object: o } of entries) {
    const id = idOf(o);
    if (seen.has(id)) throw new Fatal(`error: may not add resource with an already registered id: ${id}`);
    seen.add(id);
  }
}

/** configMapGenerator, secretGenerator: new objects, or changes to what a base generated. */
function* generate(base: string, file: Json, entries: Entry[]): Call<void> {
  for (const kind of ['ConfigMap', 'Secret'] as const) {
    for (const g of file[kind === 'ConfigMap' ? 'configMapGenerator' : 'secretGenerator'] ?? []) {
      const values = yield* valuesOf(base, g);
      const data: Record<string, string> = {};
      const binary: Record<string, string> = {};
      for (const [key, value] of values) {
        const plain = text(value);
        const clean = toBase64(bytes(plain)) === toBase64(value);
        if (kind === 'Secret') data[key] = toBase64(value);
        else if (clean) data[key] = plain;
        else binary[key] = toBase64(value);
      }
      const options = { ...file.generatorOptions, ...g.options };
      const there = entries.find((e) => e.object.kind === kind && e.original === g.name && (g.namespace === undefined || e.namespace === g.namespace));
      if (g.behavior === 'merge' || g.behavior === 'replace') {
        if (!there) throw new Fatal(`error: merging from generator ${JSON.stringify(g.name)}: id resid.ResId{} does not exist; cannot merge or replace`);
        there.object.data = g.behavior === 'merge' ? { ...there.object.data, ...data } : data;
        continue;
      }
      if (there) throw new Fatal(`error: may not add resource with an already registered id: ${kind}.v1.[noGrp]/${g.name}.${g.namespace ?? '[noNs]'}`);
      const object: Json = {
        apiVersion: 'v1', ...(Object.keys(binary).length > 0 ? { binaryData: binary } : {}), ...(Object.keys(data).length > 0 ? { data } : {}), kind,
        metadata: { ...(options.annotations ? { annotations: options.annotations } : {}), ...(options.labels ? { labels: options.labels } : {}), name: String(g.name), ...(g.namespace ? { namespace: g.namespace } : {}) },
        ...(kind === 'Secret' ? { type: g.type ?? 'Opaque' } : {}), ...(options.immutable ? { immutable: true } : {}),
      };
      entries.push({ object, original: object.metadata.name, namespace: g.namespace, hash: !options.disableNameSuffixHash });
    }
  }
}

function* valuesOf(base: string, g: Json): Call<[string, Uint8Array][]> {
  const out: [string, Uint8Array][] = [];
  const load = function* (path: string): Call<Uint8Array> {
    try {
      return yield* readBytes(join(base, path));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const sources = g.files?.length ? `file sources: [${g.files.join(' ')}]` : `env source files: [${(g.envs ?? [g.env]).join(' ')}]`;
      throw new Fatal(`error: loading KV pairs: ${sources}: open ${join(base, path)}: ${error.message.toLowerCase()}`);
    }
  };
  for (const env of [...(g.envs ?? []), ...(g.env ? [g.env] : [])]) {
    for (const line of text(yield* load(env)).split(/\r?\n/)) {
      if (/^\s*(#|$)/.test(line)) continue;
      const at = line.indexOf('=');
      out.push(at < 0 ? [line.trim(), new Uint8Array(0)] : [line.slice(0, at).trim(), bytes(line.slice(at + 1))]);
    }
  }
  for (const source of g.files ?? []) {
    const at = source.indexOf('=');
    out.push([at < 0 ? source.split('/').pop()! : source.slice(0, at), yield* load(source.slice(at + 1))]);
  }
  for (const literal of g.literals ?? []) {
    const at = literal.indexOf('=');
    if (at <= 0) throw new Fatal(`error: loading KV pairs: literal sources [${g.literals.join(' ')}]: invalid literal source ${literal}, expected key=value`);
    out.push([literal.slice(0, at), bytes(literal.slice(at + 1).replace(/^(['"])(.*)\1$/s, '$2'))]);
  }
  return out;
}

/** A patch and what it is for: the target's selection, or (strategic) its own name. */
export interface Patch {
  target: Json | null;
  body: Json;
  json: boolean;
  from: string;
}

function* patchesOf(base: string, file: Json): Call<Patch[]> {
  const out: Patch[] = [];
  const add = function* (source: { path?: string; patch?: string }, target: Json | null): Call<void> {
    let written = source.patch;
    if (source.path !== undefined) {
      try {
        written = text(yield* readBytes(join(base, source.path)));
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        throw new Fatal(`error: failed to get the patch file from path(${source.path}): evalsymlink failure on '${join(base, source.path)}' : lstat ${join(base, source.path)}: no such file or directory`);
      }
    }
    const parsed: Json = parseYaml(written ?? '');
    if (Array.isArray(parsed)) {
      if (!target) throw new Fatal(`error: must specify a target for JSON patch ${source.path ?? written}`);
      out.push({ target, body: parsed, json: true, from: source.path ?? '' });
    } else for (const { object } of readManifest(written ?? '', source.path ?? 'patch')) out.push({ target, body: object, json: false, from: source.path ?? '' });
  };
  for (const p of file.patchesStrategicMerge ?? []) yield* add(String(p).includes('\n') ? { patch: p } : { path: p }, null);
  for (const p of file.patchesJson6902 ?? []) yield* add(p, p.target);
  for (const p of file.patches ?? []) yield* add(p, p.target ?? null);
  return out;
}
