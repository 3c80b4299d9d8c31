/**
 * A CustomResourceDefinition itself: its defaults, and what is refused of it, in the server's words. A schema must be structural.
 * Source: apiextensions-apiserver pkg/apis/apiextensions/{v1/defaults.go,validation}, pkg/apiserver/schema/validation.go 1.32.
 */
import type { Fault } from '../errors.ts';
import { isObject, type Json, type KubeObject, same } from '../types/objects.ts';
import { duplicate, forbidden, IMMUTABLE, invalid, invalidAs, oneOf, required, unsupported } from '../validate/faults.ts';
import { dns1035Faults, subdomainFaults } from '../validate/names.ts';

export function definitionDefaults(crd: KubeObject): void {
  const { spec } = crd;
  if (!isObject(spec)) return;
  spec.conversion ??= { strategy: 'None' };
  if (!isObject(spec.names)) return;
  if (typeof spec.names.kind === 'string') {
    spec.names.listKind ??= `${spec.names.kind}List`;
    spec.names.singular ??= spec.names.kind.toLowerCase();
  }
}

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string'];
const list = (value: Json): Json[] => (Array.isArray(value) ? value : []);

export function definitionFaults(crd: KubeObject, old: KubeObject | undefined, out: Fault[]): void {
  const spec: Json = crd.spec ?? {};
  const names: Json = spec.names ?? {};
  const whole = `${names.plural ?? ''}.${spec.group ?? ''}`;
  if (crd.metadata.name !== whole) out.push(invalid('metadata.name', crd.metadata.name, 'must be spec.names.plural+"."+spec.group'));
  approval(crd, out);
  if (!spec.group) out.push(required('spec.group'));
  else if (!spec.group.includes('.')) out.push(invalid('spec.group', spec.group, 'should be a domain with at least one dot'));
  else for (const why of subdomainFaults(spec.group)) out.push(invalid('spec.group', spec.group, why));
  oneOf(spec.scope, ['Cluster', 'Namespaced'], 'spec.scope', out);
  const { strategy } = spec.conversion ?? {};
  if (strategy === 'Webhook') out.push(forbidden('spec.conversion.strategy', 'not modelled: conversion by webhooks'));
  else if (strategy !== undefined && strategy !== 'None') out.push(unsupported('spec.conversion.strategy', strategy, ['None', 'Webhook']));
  if (spec.preserveUnknownFields === true) out.push(invalidAs('spec.preserveUnknownFields', 'true', 'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead'));
  versionFaults(spec, out);
  nameFaults(names, 'spec.names', out);
  if (!old) return;
  for (const [field, now, was] of [['spec.group', spec.group, old.spec.group], ['spec.scope', spec.scope, old.spec.scope], ['spec.names.plural', names.plural, old.spec.names.plural], ['spec.names.kind', names.kind, old.spec.names.kind]] as const) {
    if (!same(now, was)) out.push(invalid(field, now, IMMUTABLE));
  }
  for (const [i, version] of list(old.status?.storedVersions).entries()) {
    if (!list(spec.versions).some((v) => v?.name === version)) out.push(invalid(`status.storedVersions[${i}]`, version, 'missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions'.replaceAll('v1', version)));
  }
}

const APPROVAL = 'api-approved.kubernetes.io';

/** Groups of the project itself. */
function approval(crd: KubeObject, out: Fault[]): void {
  const group: string = crd.spec?.group ?? '';
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(group)) return;
  const said = crd.metadata.annotations?.[APPROVAL];
  if (said === undefined || said === '') out.push(required(`metadata.annotations[${APPROVAL}]`, `protected groups must have approval annotation ${JSON.stringify(APPROVAL)}, see https://github.com/kubernetes/enhancements/pull/1111`));
  else if (!/^https?:\/\/|^unapproved/.test(said)) out.push(invalid(`metadata.annotations[${APPROVAL}]`, said, `protected groups must have approval annotation ${JSON.stringify(APPROVAL)} with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111`));
}

function nameFaults(names: Json, path: string, out: Fault[]): void {
  for (const field of ['plural', 'singular', 'kind', 'listKind']) {
    const value = names[field];
    if (typeof value !== 'string' || value === '') {
      if (field === 'singular') continue;
      out.push(required(`${path}.${field}`));
      continue;
    }
    const lower = field.toLowerCase().endsWith('kind') ? value.toLowerCase() : value;
    for (const why of dns1035Faults(lower)) out.push(invalid(`${path}.${field}`, value, field.toLowerCase().endsWith('kind') ? `may have mixed case, but should otherwise match: ${why}` : why));
  }
  for (const [i, value] of list(names.shortNames).entries()) for (const why of dns1035Faults(String(value))) out.push(invalid(`${path}.shortNames[${i}]`, value, why));
  if (names.kind !== undefined && names.kind === names.listKind) out.push(invalid(`${path}.listKind`, names.listKind, 'kind and listKind may not be the same'));
}

function versionFaults(spec: Json, out: Fault[]): void {
  const versions = list(spec.versions);
  const seen = new Set<string>();
  const same_ = versions.length > 0 && versions.every((v) => same(v?.schema, versions[0]?.schema));
  for (const [i, v] of versions.entries()) {
    const at = `spec.versions[${i}]`;
    if (seen.has(v?.name)) out.push(duplicate(`${at}.name`, v.name));
    seen.add(v?.name);
    for (const why of dns1035Faults(String(v?.name ?? ''))) out.push(invalid(`${at}.name`, v?.name ?? '', why));
    const schema = v?.schema?.openAPIV3Schema;
    if (!isObject(schema)) out.push(required(`${at}.schema.openAPIV3Schema`, 'schemas are required'));
    // one schema for all versions is held, and told of, as the definition's own
    else if (!same_ || i === 0) structural(schema, same_ ? 'spec.validation.openAPIV3Schema' : `${at}.schema.openAPIV3Schema`, out, true);
    for (const [n, column] of list(v?.additionalPrinterColumns).entries()) columnFaults(column, `${same_ && versions.length > 1 ? at : at}.additionalPrinterColumns[${n}]`, out);
    const scale = v?.subresources?.scale;
    if (!scale) continue;
    for (const field of ['specReplicasPath', 'statusReplicasPath']) {
      if (!scale[field]) out.push(required(`${at}.subresources.scale.${field}`));
      else if (!new RegExp(`^\\.${field.startsWith('spec') ? 'spec' : 'status'}\\.`).test(scale[field])) out.push(invalid(`${at}.subresources.scale.${field}`, scale[field], `should be a json path under .${field.startsWith('spec') ? 'spec' : 'status'}`));
    }
  }
  const stored = versions.filter((v) => v?.storage === true).length;
  if (stored !== 1) out.push(invalidAs('spec.versions', `[]apiextensions.CustomResourceDefinitionVersion(${versions.length})`, 'must have exactly one version marked as storage version'));
}

function columnFaults(column: Json, path: string, out: Fault[]): void {
  if (!column?.name) out.push(required(`${path}.name`));
  if (!column?.type) out.push(required(`${path}.type`, `must be one of ${COLUMN_TYPES.join(',')}`));
  else if (!COLUMN_TYPES.includes(column.type)) out.push(invalid(`${path}.type`, column.type, `must be one of ${COLUMN_TYPES.join(',')}`));
  if (!column?.jsonPath) out.push(required(`${path}.JSONPath`));
  else if (!column.jsonPath.startsWith('.')) out.push(invalid(`${path}.JSONPath`, column.jsonPath, 'must be a simple json path starting with .'));
}

/** A type everywhere, and nothing that would make pruning and defaulting ambiguous. */
function structural(schema: Json, path: string, out: Fault[], root = false): void {
  if (!isObject(schema)) {
    out.push(invalid(path, schema, 'must be a schema'));
    return;
  }
  if (schema.type !== undefined && !TYPES.includes(schema.type)) out.push(unsupported(`${path}.type`, schema.type, TYPES));
  if (root) {
    if (schema.type !== 'object') out.push(schema.type === undefined || schema.type === '' ? required(`${path}.type`, 'must not be empty at the root') : invalid(`${path}.type`, schema.type, 'must be object at the root'));
  } else if ((schema.type === undefined || schema.type === '') && !schema['x-kubernetes-int-or-string'] && !schema['x-kubernetes-preserve-unknown-fields']) {
    out.push(required(`${path}.type`, path.endsWith('.items') ? 'must not be empty for specified array items' : path.endsWith('.additionalProperties') ? 'must not be empty for specified object fields' : 'must not be empty for specified object fields'));
  }
  if (schema.$ref !== undefined) out.push(forbidden(`${path}.$ref`, '$ref is not supported'));
  if (schema.uniqueItems === true) out.push(forbidden(`${path}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'));
  if (schema.additionalProperties === false) out.push(forbidden(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'));
  if (schema.properties !== undefined && schema.additionalProperties !== undefined) out.push(forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  if (schema.type === 'array' && schema.items === undefined) out.push(required(`${path}.items`, 'must be specified'));
  if (Array.isArray(schema.items)) out.push(forbidden(`${path}.items`, 'items must be a schema object and not an array'));
  else if (schema.items !== undefined) structural(schema.items, `${path}.items`, out);
  if (isObject(schema.additionalProperties)) structural(schema.additionalProperties, `${path}.additionalProperties`, out);
  for (const [key, inner] of Object.entries<Json>(isObject(schema.properties) ? schema.properties : {})) {
    if (root && key === 'metadata') {
      if (inner?.type !== 'object') out.push(invalid(`${path}.properties[metadata].type`, inner?.type ?? '', 'must be object'));
      continue;
    }
    structural(inner, `${path}.properties[${key}]`, out);
  }
}
