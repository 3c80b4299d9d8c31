/** What a kustomization does to the objects it has gathered: patches, labels, images, names with what refers to them, order. */
import { sha256 } from '@noble/hashes/sha2.js';
import { copy, type Json } from '../../../cluster/types/objects.ts';
import { jsonPatch } from '../../../cluster/types/jsonpatch.ts';
import { meets, parseSelector } from '../../../cluster/types/selectors.ts';
import { strategicPatch } from '../../../cluster/types/strategic.ts';
import { bytes } from '../../../sim/text.ts';
import { Fatal } from './client.ts';
import type { Patch } from './kustomize.ts';
import { toJson } from './yaml.ts';

export interface Entry {
  object: Json;
  /** Name and namespace as written, by which others refer to it. */
  original: string;
  namespace: string | undefined;
  /** Gets the hash of its contents at the end of its name. */
  hash: boolean;
}

const CLUSTERED = new Set('Namespace Node PersistentVolume StorageClass ClusterRole ClusterRoleBinding PriorityClass IngressClass CustomResourceDefinition CSIDriver RuntimeClass'.split(' '));

export function applyPatches(entries: Entry[], patches: readonly Patch[]): Entry[] {
  let out = entries;
  for (const patch of patches) {
    const chosen = out.filter((e) => (patch.target ? selects(patch.target, e) : e.object.kind === patch.body.kind && [e.original, e.object.metadata.name].includes(patch.body.metadata?.name)));
    if (chosen.length === 0 && !patch.target) {
      const id = idOf(patch.body);
      throw new Fatal(`error: no resource matches strategic merge patch "${id}": no matches for Id ${id}; failed to find unique target for patch ${id}`);
    }
    const gone = new Set<Entry>();
    for (const e of chosen) {
      if (patch.json) {
        const next = jsonPatch(e.object, patch.body);
        if (typeof next === 'string') throw new Fatal(`error: ${next}`);
        e.object = next;
      } else if (patch.body.$patch === 'delete') gone.add(e);
      else {
        const { metadata, apiVersion: _a, kind: _k, ...rest } = patch.body;
        const { name: _n, namespace: _s, ...more } = metadata ?? {};
        e.object = strategicPatch(e.object, Object.keys(more).length > 0 ? { ...rest, metadata: more } : rest);
      }
    }
    out = out.filter((e) => !gone.has(e));
  }
  return out;
}

/** "Deployment.v1.apps/web.[noNs]", as kustomize names things. */
export function idOf({ apiVersion = '', kind, metadata }: Json): string {
  const [version = '', group = '[noGrp]'] = String(apiVersion).split('/').reverse();
  return `${kind}.${version}.${group}/${metadata?.name ?? ''}.${metadata?.namespace ?? '[noNs]'}`;
}

function selects(target: Json, { object, original }: Entry): boolean {
  const [version = '', group = ''] = object.apiVersion.split('/').reverse();
  const whole = (pattern: string, value: string): boolean => new RegExp(`^(?:${pattern})$`).test(value);
  const among = (source: string | undefined, map: Record<string, string>): boolean => {
    const parsed = parseSelector(source ?? '');
    return typeof parsed !== 'string' && parsed.every((r) => meets(map, r));
  };
  return (
    (target.kind === undefined || whole(target.kind, object.kind)) && (target.group === undefined || whole(target.group, group)) && (target.version === undefined || whole(target.version, version)) &&
    (target.name === undefined || whole(target.name, original) || whole(target.name, object.metadata.name)) && (target.namespace === undefined || whole(target.namespace, object.metadata.namespace ?? '')) &&
    among(target.labelSelector, object.metadata.labels ?? {}) && among(target.annotationSelector, object.metadata.annotations ?? {})
  );
}

const templateOf = (o: Json): Json => (o.kind === 'CronJob' ? o.spec?.jobTemplate?.spec?.template : o.kind === 'Pod' ? null : o.spec?.template);
const podSpecOf = (o: Json): Json => (o.kind === 'Pod' ? o.spec : templateOf(o)?.spec);

/** Labels, annotations, namespace, images and replicas. */
export function decorate(e: Entry, file: Json): void {
  const o = e.object;
  o.metadata ??= {};
  const sets: { pairs: Json; selectors: boolean; templates: boolean }[] = (file.labels ?? []).map((l: Json) => ({ pairs: l.pairs ?? {}, selectors: l.includeSelectors === true, templates: l.includeTemplates === true || l.includeSelectors === true }));
  if (file.commonLabels) sets.push({ pairs: file.commonLabels, selectors: true, templates: true });
  for (const { pairs, selectors, templates } of sets) {
    o.metadata.labels = { ...o.metadata.labels, ...pairs };
    const template = templateOf(o);
    if (templates && template) {
      template.metadata = { ...template.metadata, labels: { ...template.metadata?.labels, ...pairs } };
      for (const claim of o.kind === 'StatefulSet' ? (o.spec.volumeClaimTemplates ?? []) : []) claim.metadata = { ...claim.metadata, labels: { ...claim.metadata?.labels, ...pairs } };
    }
    if (selectors) select(o, pairs);
  }
  if (file.commonAnnotations) {
    o.metadata.annotations = { ...o.metadata.annotations, ...file.commonAnnotations };
    const template = templateOf(o);
    if (template) template.metadata = { ...template.metadata, annotations: { ...template.metadata?.annotations, ...file.commonAnnotations } };
  }
  if (file.namespace) {
    if (o.kind === 'Namespace') o.metadata.name = file.namespace;
    else if (!CLUSTERED.has(o.kind)) o.metadata.namespace = file.namespace;
    for (const subject of /RoleBinding$/.test(o.kind) ? (o.subjects ?? []) : []) if (subject.kind === 'ServiceAccount' && subject.name === 'default') subject.namespace = file.namespace;
  }
  const spec = podSpecOf(o);
  for (const image of file.images ?? []) for (const c of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]) c.image = retagged(String(c.image ?? ''), image);
  for (const r of file.replicas ?? []) {
    if (['Deployment', 'StatefulSet', 'ReplicaSet', 'ReplicationController'].includes(o.kind) && [e.original, o.metadata.name].includes(r.name)) o.spec = { ...o.spec, replicas: r.count };
  }
}

function select(o: Json, pairs: Json): void {
  if (o.kind === 'Service' || o.kind === 'ReplicationController') {
    if (o.kind !== 'Service' || o.spec?.selector) o.spec = { ...o.spec, selector: { ...o.spec?.selector, ...pairs } };
    return;
  }
  const into = (at: Json): void => {
    at.matchLabels = { ...at.matchLabels, ...pairs };
  };
  if (['Deployment', 'StatefulSet', 'ReplicaSet', 'DaemonSet'].includes(o.kind)) into((o.spec.selector ??= {}));
  else if (['Job', 'PodDisruptionBudget'].includes(o.kind) && o.spec?.selector) into(o.spec.selector);
  else if (o.kind === 'NetworkPolicy') into((o.spec.podSelector ??= {}));
}

function retagged(image: string, { name, newName, newTag, digest }: Json): string {
  const m = /^(.*?)(:[^:/@]+)?(@.+)?$/.exec(image)!;
  if (m[1] !== name) return image;
  const tail = digest ? `@${digest}` : newTag !== undefined ? `:${newTag}` : `${m[2] ?? ''}${m[3] ?? ''}`;
  return `${newName ?? m[1]}${tail}`;
}

const LETTERS: Record<string, string> = { '0': 'g', '1': 'h', '3': 'k', a: 'm', e: 't' };

/** The suffix of a generated name: of the hash of its kind, name and data. */
export function hashOf(object: Json): string {
  const { kind, data = '', binaryData, type, metadata } = object;
  const source = { kind, name: metadata.name, data, ...(kind === 'Secret' ? { type } : {}), ...(binaryData ? { binaryData } : {}) };
  const hex = [...sha256(bytes(toJson(source, 0)))].map((b) => b.toString(16).padStart(2, '0')).join('');
  return [...hex.slice(0, 10)].map((c) => LETTERS[c] ?? c).join('');
}

/** Prefix, suffix and hashes on names; then every reference to what was renamed. */
export function renamed(entries: Entry[], file: Json): Entry[] {
  const names = new Map<string, string>();
  for (const e of entries) {
    const meta = e.object.metadata;
    const before = meta.name;
    if (e.object.kind !== 'Namespace' && e.object.kind !== 'CustomResourceDefinition') meta.name = `${file.namePrefix ?? ''}${meta.name}${file.nameSuffix ?? ''}`;
    const final = e.hash ? `${meta.name}-${hashOf(e.object)}` : meta.name;
    for (const name of new Set([before, e.original])) names.set(`${e.object.kind}/${name}`, final);
    if (e.hash) (meta.hashed = final);
  }
  for (const e of entries) {
    refer(e.object, (kind, name) => names.get(`${kind}/${name}`) ?? name);
    if (e.object.metadata.hashed) {
      e.object.metadata.name = e.object.metadata.hashed;
      delete e.object.metadata.hashed;
      e.hash = false;
    }
  }
  return entries;
}

type Rename = (kind: string, name: string) => string;

/** References by field: what of another object's name stands where. */
function refer(o: Json, to: Rename): void {
  const set = (at: Json, field: string, kind: string): void => {
    if (typeof at?.[field] === 'string') at[field] = to(kind, at[field]);
  };
  const spec = podSpecOf(o);
  for (const c of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]) {
    for (const env of c.env ?? []) {
      set(env.valueFrom?.configMapKeyRef, 'name', 'ConfigMap');
      set(env.valueFrom?.secretKeyRef, 'name', 'Secret');
    }
    for (const from of c.envFrom ?? []) {
      set(from.configMapRef, 'name', 'ConfigMap');
      set(from.secretRef, 'name', 'Secret');
    }
  }
  for (const v of spec?.volumes ?? []) {
    set(v.configMap, 'name', 'ConfigMap');
    set(v.secret, 'secretName', 'Secret');
    set(v.persistentVolumeClaim, 'claimName', 'PersistentVolumeClaim');
    for (const source of v.projected?.sources ?? []) {
      set(source.configMap, 'name', 'ConfigMap');
      set(source.secret, 'name', 'Secret');
    }
  }
  if (spec) set(spec, 'serviceAccountName', 'ServiceAccount');
  if (spec) set(spec, 'priorityClassName', 'PriorityClass');
  for (const s of spec?.imagePullSecrets ?? []) set(s, 'name', 'Secret');
  if (o.kind === 'StatefulSet') set(o.spec, 'serviceName', 'Service');
  if (o.kind === 'HorizontalPodAutoscaler' && o.spec?.scaleTargetRef) set(o.spec.scaleTargetRef, 'name', o.spec.scaleTargetRef.kind);
  if (o.roleRef) set(o.roleRef, 'name', o.roleRef.kind);
  for (const s of o.subjects ?? []) if (s.kind === 'ServiceAccount') set(s, 'name', 'ServiceAccount');
  if (o.kind !== 'Ingress') return;
  set(o.spec?.defaultBackend?.service, 'name', 'Service');
  for (const rule of o.spec?.rules ?? []) for (const path of rule.http?.paths ?? []) set(path.backend?.service, 'name', 'Service');
  for (const tls of o.spec?.tls ?? []) set(tls, 'secretName', 'Secret');
}

const FIRST = 'Namespace ResourceQuota StorageClass CustomResourceDefinition ServiceAccount PodSecurityPolicy Role ClusterRole RoleBinding ClusterRoleBinding ConfigMap Secret Endpoints Service LimitRange PriorityClass PersistentVolume PersistentVolumeClaim Deployment StatefulSet CronJob PodDisruptionBudget'.split(' ');
const LAST = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];

/** `kustomize build`'s order: what others need first. */
export function legacyOrder(entries: readonly Entry[]): Entry[] {
  const rank = (kind: string): number => (FIRST.includes(kind) ? FIRST.indexOf(kind) - FIRST.length : LAST.includes(kind) ? LAST.indexOf(kind) + 1 : 0);
  const key = ({ object: o }: Entry): string => {
    const [version = '', group = ''] = o.apiVersion.split('/').reverse();
    return `${group}_${version}_${o.kind}|${o.metadata.namespace ?? ''}|${o.metadata.name}`;
  };
  return copy([...entries]).sort((a, b) => rank(a.object.kind) - rank(b.object.kind) || (key(a) < key(b) ? -1 : 1));
}
