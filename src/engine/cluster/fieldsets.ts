/**
 * Sets of fields, as field ownership and server-side apply reckon with them: paths of elements "f:name" (a field), "k:{…}" (an
 * item of a list by its keys), "v:…" (an item of a set); written as FieldsV1. Source: sigs.k8s.io/structured-merge-diff v4.
 */
import { isObject, type Json, same } from './types/objects.ts';

/** Elements joined by a character that no JSON text holds. */
export type FieldSet = Set<string>;
const JOIN = '\u0001';
const child = (path: string, element: string): string => (path === '' ? element : path + JOIN + element);

/** Lists whose items have keys, by the field's name; the rest are one value (atomic). */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'], initContainers: ['name'], ephemeralContainers: ['name'], env: ['name'], volumes: ['name'], volumeMounts: ['mountPath'], volumeDevices: ['devicePath'], imagePullSecrets: ['name'], hostAliases: ['ip'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'], conditions: ['type'], ownerReferences: ['uid'], schedulingGates: ['name'], secrets: ['name'], podIPs: ['ip'], volumesAttached: ['name'], resourceClaims: ['name'],
};
const PORTS = [['containerPort', 'protocol'], ['port', 'protocol']] as const;
const SETS = new Set(['finalizers']);
/** Structures and maps that are one value. */
const ATOMIC = new Set(['selector', 'nodeSelector', 'podSelector', 'namespaceSelector', 'labelSelector', 'configMapKeyRef', 'secretKeyRef', 'fieldRef', 'resourceFieldRef', 'roleRef', 'scaleTargetRef', 'secretRef', 'claimRef']);
/** Items that are one value although their list has keys. */
const WHOLE_ITEMS = new Set(['ownerReferences']);
/** Structures that are always there, so that nobody is noted for having added them. */
const ALWAYS = new Set(['metadata', 'spec', 'status', 'template', 'strategy', 'updateStrategy', 'jobTemplate', 'containers']);

/** The keys by which a list's items are told apart; null for an atomic list. */
export function listKeys(field: string, items: readonly Json[]): readonly string[] | null {
  const found = KEYS[field] ?? (field === 'ports' ? PORTS.find(([first]) => items.every((item) => item?.[first] !== undefined)) : undefined);
  return found && items.length > 0 && items.every((item) => isObject(item) && item[found[0]!] !== undefined) ? found : null;
}

export const keyOfItem = (keys: readonly string[], item: Json): string =>
  `k:${JSON.stringify(Object.fromEntries([...keys].sort().map((key) => [key, item[key] ?? (key === 'protocol' ? 'TCP' : '')])))}`;

const isSet = (field: string, value: Json): boolean => SETS.has(field) && Array.isArray(value);
export const isAtomic = (field: string): boolean => ATOMIC.has(field);

const UNOWNED = new Set(['name', 'namespace', 'uid', 'resourceVersion', 'generation', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'managedFields']);

/** What of an object can be owned. */
export function ownable(object: Json, sub?: string): Json {
  const { apiVersion: _a, kind: _k, metadata, status, ...rest } = object;
  if (sub === 'status') return status === undefined ? {} : { status };
  const meta = Object.fromEntries(Object.entries((metadata ?? {}) as Json).filter(([name, value]) => !UNOWNED.has(name) && value !== null));
  return Object.keys(meta).length > 0 ? { metadata: meta, ...rest } : rest;
}

/** All fields of a value. `added`: also the containers themselves, as one who added them owns them. */
export function collect(value: Json, field: string, path: string, out: FieldSet, added = false): void {
  const own = (): void => void (path !== '' && added && !ALWAYS.has(field) && out.add(path));
  if (isObject(value) && !isAtomic(field) && Object.keys(value).length > 0) {
    own();
    for (const name of Object.keys(value)) if (value[name] !== undefined) collect(value[name], name, child(path, `f:${name}`), out, added);
    return;
  }
  if (isSet(field, value) && value.length > 0) {
    own();
    for (const item of value) out.add(child(path, `v:${JSON.stringify(item)}`));
    return;
  }
  const keys = Array.isArray(value) ? listKeys(field, value) : null;
  if (!keys) {
    if (path !== '') out.add(path);
    return;
  }
  own();
  for (const item of value) {
    const at = child(path, keyOfItem(keys, item));
    out.add(at);
    if (!WHOLE_ITEMS.has(field)) for (const name of Object.keys(item)) collect(item[name], name, child(at, `f:${name}`), out, added);
  }
}

export interface Difference { changed: FieldSet; removed: FieldSet }

/** What must have been written and taken away to come from `old` to `now`. */
export function difference(old: Json, now: Json): Difference {
  const out: Difference = { changed: new Set(), removed: new Set() };
  compare(old, now, '', '', out);
  return out;
}

function compare(old: Json, now: Json, field: string, path: string, out: Difference): void {
  if (old === undefined && now === undefined) return;
  if (old === undefined) return collect(now, field, path, out.changed, true);
  if (now === undefined) return collect(old, field, path, out.removed, true);
  if (same(old, now)) return;
  if (isObject(old) && isObject(now) && !isAtomic(field)) {
    for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) compare(old[name], now[name], name, child(path, `f:${name}`), out);
    return;
  }
  if (Array.isArray(old) && Array.isArray(now)) {
    if (isSet(field, now)) {
      for (const item of now) if (!old.includes(item)) out.changed.add(child(path, `v:${JSON.stringify(item)}`));
      for (const item of old) if (!now.includes(item)) out.removed.add(child(path, `v:${JSON.stringify(item)}`));
      return;
    }
    const keys = listKeys(field, [...old, ...now]);
    if (keys) return compareItems(keys, old, now, field, path, out);
  }
  out.changed.add(path);
}

function compareItems(keys: readonly string[], old: Json[], now: Json[], field: string, path: string, out: Difference): void {
  const before = new Map(old.map((item) => [keyOfItem(keys, item), item]));
  for (const item of now) {
    const key = keyOfItem(keys, item);
    const at = child(path, key);
    const known = before.get(key);
    before.delete(key);
    if (known === undefined) {
      out.changed.add(at);
      if (!WHOLE_ITEMS.has(field)) for (const name of Object.keys(item)) collect(item[name], name, child(at, `f:${name}`), out.changed, true);
    } else if (WHOLE_ITEMS.has(field)) {
      if (!same(known, item)) out.changed.add(at);
    } else for (const name of new Set([...Object.keys(known), ...Object.keys(item)])) compare(known[name], item[name], name, child(at, `f:${name}`), out);
  }
  for (const [key, item] of before) {
    const at = child(path, key);
    out.removed.add(at);
    if (!WHOLE_ITEMS.has(field)) for (const name of Object.keys(item)) collect(item[name], name, child(at, `f:${name}`), out.removed, true);
  }
}

export function encode(set: FieldSet): Json {
  const root: Json = {};
  for (const path of [...set].sort()) {
    let at = root;
    for (const element of path.split(JOIN)) {
      if (at[element] === undefined) at[element] = {};
      at = at[element];
    }
    at['.'] = {};
  }
  return tidy(root);
}

/** A leaf needs no mark that it is a member. */
function tidy(node: Json): Json {
  const names = Object.keys(node).filter((name) => name !== '.').sort();
  const out: Json = node['.'] && names.length > 0 ? { '.': {} } : {};
  for (const name of names) out[name] = tidy(node[name]);
  return out;
}

export function decode(fields: Json): FieldSet {
  const out: FieldSet = new Set();
  const walk = (node: Json, path: string): void => {
    const names = Object.keys(node ?? {});
    if (path !== '' && (names.length === 0 || node['.'])) out.add(path);
    for (const name of names) if (name !== '.') walk(node[name], child(path, name));
  };
  walk(fields, '');
  return out;
}

/** ".spec.containers[name=\"c\"].image" */
export function pathText(path: string): string {
  return path.split(JOIN).map((element) => {
    if (element.startsWith('f:')) return `.${element.slice(2)}`;
    if (element.startsWith('v:')) return `[=${element.slice(2)}]`;
    return `[${Object.entries(JSON.parse(element.slice(2)) as Json).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
  }).join('');
}

/** Takes the fields of a set out of a value, in place: whole items and maps first, what else there is of the rest. */
export function prune(value: Json, set: FieldSet): void {
  const inside = (path: string): boolean => {
    for (let at = path.lastIndexOf(JOIN); at > 0; at = path.lastIndexOf(JOIN, at - 1)) if (set.has(path.slice(0, at))) return true;
    return false;
  };
  for (const path of [...set].sort()) if (!inside(path)) takeOut(value, path.split(JOIN));
}

function takeOut(root: Json, elements: readonly string[]): void {
  let at = root;
  for (const [i, element] of elements.entries()) {
    const last = i === elements.length - 1;
    if (element.startsWith('f:')) {
      if (!isObject(at)) return;
      if (last) delete at[element.slice(2)];
      else at = at[element.slice(2)];
    } else {
      if (!Array.isArray(at)) return;
      const index = element.startsWith('v:') ? at.findIndex((item) => JSON.stringify(item) === element.slice(2)) : at.findIndex((item) => matches(item, JSON.parse(element.slice(2))));
      if (index < 0) return;
      if (last) at.splice(index, 1);
      else at = at[index];
    }
    if (at === undefined || at === null) return;
  }
}

const matches = (item: Json, keys: Json): boolean => Object.entries(keys).every(([key, value]) => (item?.[key] ?? (key === 'protocol' ? 'TCP' : '')) === value);

/** `over` laid over `under`: maps and lists with keys are merged, all else replaced. */
export function overlay(under: Json, over: Json, field = ''): Json {
  if (isObject(under) && isObject(over) && !isAtomic(field)) {
    const out = { ...under };
    for (const [name, value] of Object.entries(over)) if (value !== undefined) out[name] = overlay(under[name], value, name);
    return out;
  }
  if (Array.isArray(under) && Array.isArray(over)) {
    if (isSet(field, over)) return [...under, ...over.filter((item) => !under.includes(item))];
    const keys = listKeys(field, [...under, ...over]);
    if (keys) {
      const rest = new Map(over.map((item) => [keyOfItem(keys, item), item]));
      const out = under.map((item) => {
        const key = keyOfItem(keys, item);
        const mine = rest.get(key);
        rest.delete(key);
        return mine === undefined ? item : overlay(item, mine);
      });
      return [...out, ...rest.values()];
    }
  }
  return over;
}
