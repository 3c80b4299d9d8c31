/**
 * Structural schemas on values: what is pruned, what is filled in, what is at fault and how that is worded.
 * Source: apiextensions-apiserver pkg/apiserver/{schema,validation} and kube-openapi pkg/validation 1.32. Left out: rules in CEL
 * (`x-kubernetes-validations`), references, all but the common formats.
 */
import type { Fault } from '../errors.ts';
import { copy, isObject, type Json, same } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';

const PRESERVE = 'x-kubernetes-preserve-unknown-fields';
const EITHER = 'x-kubernetes-int-or-string';
const EMBEDDED = 'x-kubernetes-embedded-resource';
const TYPE_META = ['apiVersion', 'kind', 'metadata'];

/** Takes away what the schema does not name; says which. The value is changed in place. */
export function prune(value: Json, schema: Json, path: string, unknown: string[], resource = false): void {
  if (Array.isArray(value)) {
    for (const [i, one] of value.entries()) if (schema?.items) prune(one, schema.items, `${path}[${i}]`, unknown);
    return;
  }
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    if ((resource || schema?.[EMBEDDED]) && TYPE_META.includes(key)) continue;
    const at = path === '' ? key : `${path}.${key}`;
    const inner = schema?.properties?.[key] ?? (isObject(schema?.additionalProperties) ? schema.additionalProperties : undefined);
    if (inner !== undefined) prune(value[key], inner, at, unknown);
    else if (schema?.additionalProperties !== true && schema?.[PRESERVE] !== true) {
      unknown.push(at);
      delete value[key];
    }
  }
}

/** Fills in defaults, in place. A null that may not be one is as good as absent where there is a default. */
export function fillIn(value: Json, schema: Json): void {
  if (Array.isArray(value)) {
    for (const one of value) if (schema?.items) fillIn(one, schema.items);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, inner] of Object.entries<Json>(schema?.properties ?? {})) {
    if (inner?.default !== undefined && (value[key] === undefined || (value[key] === null && !inner.nullable))) value[key] = copy(inner.default);
    if (value[key] !== undefined) fillIn(value[key], inner);
  }
  if (isObject(schema?.additionalProperties)) for (const key of Object.keys(value)) if (!schema.properties?.[key]) fillIn(value[key], schema.additionalProperties);
}

const typeOf = (value: Json): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'number') : typeof value);
const shown = (value: Json): string => (typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value));
const named = (path: string): string => (path === '' ? '<nil>' : path);

function fits(value: Json, schema: Json): boolean {
  if (schema[EITHER]) return typeof value === 'string' || Number.isInteger(value);
  if (schema.type === undefined) return true;
  const type = typeOf(value);
  return type === schema.type || (schema.type === 'number' && type === 'integer');
}

/** All faults of a value. `resource`: the root, whose apiVersion, kind and metadata are others' affair. */
export function faultsOf(value: Json, schema: Json, path: string, out: Fault[], resource = false): void {
  if (value === null && schema.nullable) return;
  if (!fits(value, schema)) {
    const wants = schema[EITHER] ? 'integer,string' : schema.type;
    out.push({ field: named(path), type: 'Invalid value', value: JSON.stringify(typeOf(value)), detail: `${path} in body must be of type ${wants}: ${JSON.stringify(typeOf(value))}` });
    return;
  }
  const says = (what: string): void => void out.push({ field: named(path), type: 'Invalid value', value: shown(value), detail: what });
  if (schema.enum && !schema.enum.some((one: Json) => same(one, value))) out.push({ field: named(path), type: 'Unsupported value', value: shown(value), detail: `supported values: ${schema.enum.map(shown).join(', ')}` });
  if (typeof value === 'string') textFaults(value, schema, path, says, out);
  else if (typeof value === 'number') numberFaults(value, schema, path, says);
  else if (Array.isArray(value)) listFaults(value, schema, path, says, out);
  else if (isObject(value)) objectFaults(value, schema, path, says, out, resource);
  junctors(value, schema, path, says, out);
}

type Says = (what: string) => void;

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(text), date: (text) => parseTime(`${text}T00:00:00Z`) !== null && /^\d{4}-\d\d-\d\d$/.test(text),
  email: (text) => /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(text), ipv4: (text) => /^(\d{1,3})(\.\d{1,3}){3}$/.test(text) && text.split('.').every((n) => Number(n) < 256), uuid: (text) => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text),
  uri: (text) => /^[a-z][a-z0-9+.-]*:\S+$/i.test(text), hostname: (text) => text.length < 254 && /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(text), byte: (text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0,
  cidr: (text) => /^(\d{1,3})(\.\d{1,3}){3}\/([12]?\d|3[0-2])$/.test(text), duration: (text) => /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text),
};

function textFaults(value: string, schema: Json, path: string, says: Says, out: Fault[]): void {
  const { length } = [...value];
  if (schema.maxLength !== undefined && length > schema.maxLength) out.push({ field: named(path), type: 'Too long', detail: `may not be more than ${schema.maxLength} bytes` });
  if (schema.minLength !== undefined && length < schema.minLength) says(`${path} in body should be at least ${schema.minLength} chars long`);
  if (schema.pattern !== undefined && !matches(schema.pattern, value)) says(`${path} in body should match '${schema.pattern}'`);
  if (schema.format !== undefined && FORMATS[schema.format]?.(value) === false) says(`${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`);
}

/** A pattern of a language that this one cannot read matches all. */
function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    try {
      return new RegExp(pattern).test(value);
    } catch {
      return true;
    }
  }
}

function numberFaults(value: number, schema: Json, path: string, says: Says): void {
  const { minimum, maximum, multipleOf } = schema;
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum)) says(`${path} in body should be less than ${schema.exclusiveMaximum ? '' : 'or equal to '}${maximum}`);
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum)) says(`${path} in body should be greater than ${schema.exclusiveMinimum ? '' : 'or equal to '}${minimum}`);
  if (multipleOf !== undefined && Math.abs(value / multipleOf - Math.round(value / multipleOf)) > 1e-9) says(`${path} in body should be a multiple of ${multipleOf}`);
}

function listFaults(value: Json[], schema: Json, path: string, says: Says, out: Fault[]): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems) out.push({ field: named(path), type: 'Too many', value: String(value.length), detail: `must have at most ${schema.maxItems} items` });
  if (schema.minItems !== undefined && value.length < schema.minItems) says(`${path} in body should have at least ${schema.minItems} items`);
  if (schema.items) for (const [i, one] of value.entries()) faultsOf(one, schema.items, `${path}[${i}]`, out);
  const keys: string[] | null = schema['x-kubernetes-list-type'] === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : null;
  if (keys === null && schema['x-kubernetes-list-type'] !== 'set') return;
  const identity = (one: Json): Json => (keys ? Object.fromEntries(keys.map((k) => [k, one?.[k]])) : one);
  for (const [i, one] of value.entries()) {
    if (!value.slice(0, i).some((earlier) => same(identity(earlier), identity(one)))) continue;
    out.push({ field: `${path}[${i}]`, type: 'Duplicate value', value: keys ? `map[string]interface {}{${keys.map((k) => `${JSON.stringify(k)}:${shown(one?.[k])}`).join(', ')}}` : shown(one) });
  }
}

function objectFaults(value: Json, schema: Json, path: string, says: Says, out: Fault[], resource: boolean): void {
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`);
  const size = Object.keys(value).length;
  if (schema.maxProperties !== undefined && size > schema.maxProperties) out.push({ field: named(path), type: 'Too many', value: String(size), detail: `must have at most ${schema.maxProperties} items` });
  if (schema.minProperties !== undefined && size < schema.minProperties) says(`${path} in body should have at least ${schema.minProperties} properties`);
  for (const key of schema.required ?? []) if (value[key] === undefined) out.push({ field: at(key), type: 'Required value' });
  for (const key of Object.keys(value)) {
    if (resource && TYPE_META.includes(key)) continue;
    const inner = schema.properties?.[key] ?? (isObject(schema.additionalProperties) ? schema.additionalProperties : undefined);
    if (inner) faultsOf(value[key], inner, at(key), out);
  }
}

function junctors(value: Json, schema: Json, path: string, says: Says, out: Fault[]): void {
  const holds = (one: Json): boolean => {
    const inner: Fault[] = [];
    faultsOf(value, one, path, inner);
    return inner.length === 0;
  };
  const name = JSON.stringify(path);
  if (schema.anyOf && !schema[EITHER] && !schema.anyOf.some(holds)) says(`${name} must validate at least one schema (anyOf)`);
  if (schema.oneOf) {
    const n = schema.oneOf.filter(holds).length;
    if (n !== 1) says(`${name} must validate one and only one schema (oneOf). Found ${n === 0 ? 'none valid' : `${n} valid alternatives`}`);
  }
  for (const one of schema.allOf ?? []) faultsOf(value, one, path, out);
  if (schema.not && holds(schema.not)) says(`${name} must not validate the schema (not)`);
}

/** Whether a schema has rules in CEL anywhere. */
export function hasRules(schema: Json): boolean {
  if (!isObject(schema)) return Array.isArray(schema) ? schema.some(hasRules) : false;
  return Array.isArray(schema['x-kubernetes-validations']) || Object.values<Json>(schema).some(hasRules);
}
