/** A pod's volumes: each has a name and one source. Source: pkg/apis/core/validation ValidateVolumes 1.32. */
import type { Json } from '../types/objects.ts';
import { amountOf } from '../types/quantity.ts';
import { duplicate, type Faults, forbidden, invalid, required, unsupported } from './faults.ts';
import { each, labelFaults } from './names.ts';

const SOURCES = ['emptyDir', 'hostPath', 'gcePersistentDisk', 'awsElasticBlockStore', 'gitRepo', 'secret', 'nfs', 'iscsi', 'glusterfs', 'persistentVolumeClaim', 'rbd', 'cinder', 'cephfs', 'flocker', 'downwardAPI', 'fc', 'flexVolume', 'configMap', 'azureFile', 'vsphereVolume', 'quobyte', 'azureDisk', 'storageos', 'portworxVolume', 'scaleIO', 'projected', 'csi', 'ephemeral', 'image'];

/** Returns the names of the volumes. */
export function volumes(list: readonly Json[], field: string, out: Faults): Set<string> {
  const names = new Set<string>();
  for (const [i, v] of list.entries()) {
    const at = `${field}[${i}]`;
    const before = out.length;
    source(v, at, out);
    if (!v?.name) out.push(required(`${at}.name`));
    else {
      each(labelFaults(v.name), `${at}.name`, v.name, out);
      if (names.has(v.name)) out.push(duplicate(`${at}.name`, v.name));
    }
    if (v?.name && (out.length === before || !names.has(v.name))) names.add(v.name);
  }
  return names;
}

function source(v: Json, field: string, out: Faults): void {
  const given = SOURCES.filter((name) => v?.[name] !== undefined);
  if (given.length === 0) out.push(required(field, 'must specify a volume type'));
  for (const name of given.slice(1)) out.push(forbidden(`${field}.${name}`, 'may not specify more than 1 volume type'));
  const first = given[0];
  if (first !== undefined) CHECKS[first]?.(v[first] ?? {}, `${field}.${first}`, out);
}

const HOST_TYPES = ['BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];

function mode(value: Json, field: string, out: Faults): void {
  if (typeof value === 'number' && (value < 0 || value > 0o777)) out.push(invalid(field, value, 'must be a number between 0 and 0777 (octal), both inclusive'));
}

function items(list: Json[] | undefined, field: string, out: Faults): void {
  for (const [i, item] of (list ?? []).entries()) {
    if (!item?.key) out.push(required(`${field}.items[${i}].key`));
    if (!item?.path) out.push(required(`${field}.items[${i}].path`));
    else if (item.path.startsWith('/')) out.push(invalid(`${field}.items[${i}].path`, item.path, 'must be a relative path'));
    else if (item.path.split('/').includes('..')) out.push(invalid(`${field}.items[${i}].path`, item.path, "must not contain '..'"));
    mode(item?.mode, `${field}.items[${i}].mode`, out);
  }
}

const CHECKS: Readonly<Record<string, (source: Json, field: string, out: Faults) => void>> = {
  emptyDir(s, field, out) {
    if (s.sizeLimit !== undefined && amountOf('storage', s.sizeLimit) < 0) out.push(forbidden(`${field}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
  },
  hostPath(s, field, out) {
    if (!s.path) out.push(required(`${field}.path`));
    else if (s.path.split('/').includes('..')) out.push(invalid(`${field}.path`, s.path, "must not contain '..'"));
    if (s.type && !HOST_TYPES.includes(s.type)) out.push(unsupported(`${field}.type`, s.type, HOST_TYPES));
  },
  configMap(s, field, out) {
    if (!s.name) out.push(required(`${field}.name`));
    mode(s.defaultMode, `${field}.defaultMode`, out);
    items(s.items, field, out);
  },
  secret(s, field, out) {
    if (!s.secretName) out.push(required(`${field}.secretName`));
    mode(s.defaultMode, `${field}.defaultMode`, out);
    items(s.items, field, out);
  },
  persistentVolumeClaim(s, field, out) {
    if (!s.claimName) out.push(required(`${field}.claimName`));
  },
  nfs(s, field, out) {
    if (!s.server) out.push(required(`${field}.server`));
    if (!s.path) out.push(required(`${field}.path`));
    else if (!s.path.startsWith('/')) out.push(invalid(`${field}.path`, s.path, 'must be an absolute path'));
  },
  csi(s, field, out) {
    if (!s.driver) out.push(required(`${field}.driver`));
  },
  projected(s, field, out) {
    mode(s.defaultMode, `${field}.defaultMode`, out);
    for (const [i, one] of ((s.sources ?? []) as Json[]).entries()) {
      const given = ['secret', 'downwardAPI', 'configMap', 'serviceAccountToken', 'clusterTrustBundle'].filter((name) => one?.[name]);
      for (const name of given.slice(1)) out.push(forbidden(`${field}.sources[${i}].${name}`, 'may not specify more than 1 volume type per source'));
      if (given.length === 0) out.push(required(`${field}.sources[${i}]`, 'must specify a volume type'));
    }
  },
};
