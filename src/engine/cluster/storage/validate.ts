/**
 * What the API server refuses of storage objects, in its words. Source: pkg/apis/core/validation (ValidatePersistentVolume,
 * ValidatePersistentVolumeClaim and their updates), pkg/apis/storage/validation, plugin/pkg/admission/storage/persistentvolume/resize 1.32.
 * Left out: the comparison that is printed below "is immutable after creation".
 */
import { type Fault, goValue } from '../errors.ts';
import { type Json, type KubeObject, same } from '../types/objects.ts';
import { canonical, isQuantity, wholeOf } from '../types/quantity.ts';

const MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_SAYS = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
/** Fields of a volume that say where it lies. */
export const SOURCES = [
  'hostPath', 'gcePersistentDisk', 'awsElasticBlockStore', 'glusterfs', 'flocker', 'nfs', 'rbd', 'quobyte', 'cephfs', 'iscsi', 'cinder', 'fc', 'flexVolume', 'azureFile', 'vsphereVolume', 'azureDisk', 'photonPersistentDisk', 'portworxVolume', 'scaleIO', 'local', 'storageos', 'csi',
];
const HOST_TYPES = ['', 'DirectoryOrCreate', 'Directory', 'FileOrCreate', 'File', 'Socket', 'CharDevice', 'BlockDevice'];

const required = (field: string, detail = ''): Fault => ({ field, type: 'Required value', ...(detail ? { detail } : {}) });
const forbidden = (field: string, detail: string): Fault => ({ field, type: 'Forbidden', detail });
const unsupported = (field: string, value: Json, values: readonly string[]): Fault => ({ field, type: 'Unsupported value', value: goValue(value), detail: `supported values: ${[...values].sort().map((v) => JSON.stringify(v)).join(', ')}` });
const wrong = (field: string, value: Json, detail: string): Fault => ({ field, type: 'Invalid value', value: goValue(value), detail });
const immutable = (field: string, value: Json): Fault => wrong(field, value, 'field is immutable');

function oneOf(value: Json, field: string, values: readonly string[], out: Fault[]): void {
  if (value !== undefined && !values.includes(value)) out.push(unsupported(field, value, values));
}

function className(name: Json, field: string, out: Fault[]): void {
  if (name && !SUBDOMAIN.test(name)) out.push(wrong(field, name, SUBDOMAIN_SAYS));
}

function modes(spec: Json, field: string, out: Fault[]): void {
  const all = (spec.accessModes ?? []) as string[];
  for (const mode of all) oneOf(mode, `${field}.accessModes`, MODES, out);
  if (all.includes('ReadWriteOncePod') && all.length > 1) out.push(forbidden(`${field}.accessModes`, 'may not use ReadWriteOncePod with other access modes'));
}

function size(value: Json, field: string, out: Fault[]): void {
  if (!isQuantity(value)) out.push(wrong(field, value, "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"));
  else if (wholeOf(value) <= 0) out.push(wrong(field, canonical(value), 'must be greater than zero'));
}

export function claimFaults(spec: Json, field: string, out: Fault[]): void {
  if (!(spec?.accessModes?.length > 0)) out.push(required(`${field}.accessModes`, 'at least 1 access mode is required'));
  modes(spec ?? {}, field, out);
  const storage = spec?.resources?.requests?.storage;
  if (storage === undefined) out.push(required(`${field}.resources[storage]`));
  else size(storage, `${field}.resources[storage]`, out);
  className(spec?.storageClassName, `${field}.storageClassName`, out);
  oneOf(spec?.volumeMode, `${field}.volumeMode`, ['Block', 'Filesystem'], out);
  for (const name of ['dataSource', 'dataSourceRef', 'volumeAttributesClassName']) if (spec?.[name] !== undefined) out.push(forbidden(`${field}.${name}`, 'not modelled: clones, snapshots and attribute classes'));
}

const setClass = (spec: Json, name: Json): Json => {
  const { storageClassName, ...rest } = spec;
  void storageClassName;
  return name === undefined ? rest : { ...rest, storageClassName: name };
};

function claimUpdate(object: KubeObject, old: KubeObject, out: Fault[]): void {
  const bound = old.status?.phase === 'Bound';
  const before = { ...old.spec };
  const after = { ...object.spec };
  if (!before.volumeName) before.volumeName = after.volumeName;
  if (bound) {
    before.resources = { ...before.resources, requests: after.resources?.requests };
    const [from, to, have] = [wholeOf(old.spec.resources?.requests?.storage), wholeOf(object.spec.resources?.requests?.storage), wholeOf(old.status?.capacity?.storage)];
    if (to < from && to <= have) out.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  }
  const plain = before.storageClassName === undefined && !bound ? setClass(before, after.storageClassName) : before;
  if (!same(plain, after)) out.push(forbidden('spec', 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'));
}

const sourceOf = (spec: Json): string[] => SOURCES.filter((name) => spec?.[name] !== undefined);

function source(spec: Json, out: Fault[]): void {
  const found = sourceOf(spec);
  for (const extra of found.slice(1)) out.push(forbidden(`spec.${extra}`, 'may not specify more than 1 volume type'));
  const [one] = found;
  if (!one) out.push(required('spec', 'must specify a volume type'));
  if (one === 'hostPath') {
    if (!spec.hostPath.path) out.push(required('spec.hostPath.path'));
    else if (String(spec.hostPath.path).split('/').includes('..')) out.push(wrong('spec.hostPath.path', spec.hostPath.path, "must not contain '..'"));
    oneOf(spec.hostPath.type, 'spec.hostPath.type', HOST_TYPES, out);
    if (spec.hostPath.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle') out.push(forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"));
  }
  if (one === 'local') {
    if (!spec.local.path) out.push(required('spec.local.path'));
    if (!spec.nodeAffinity) out.push(required('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  if (one === 'csi') {
    if (!spec.csi.driver) out.push(required('spec.csi.driver'));
    if (!spec.csi.volumeHandle) out.push(required('spec.csi.volumeHandle'));
  }
  if (one === 'nfs') for (const part of ['server', 'path']) if (!spec.nfs[part]) out.push(required(`spec.nfs.${part}`));
  if (one && !['hostPath', 'local', 'csi'].includes(one)) out.push(forbidden(`spec.${one}`, 'not modelled: only hostPath, local and csi volumes'));
}

function volumeFaults({ spec = {} }: KubeObject, out: Fault[]): void {
  if (!(spec.accessModes?.length > 0)) out.push(required('spec.accessModes'));
  modes(spec, 'spec', out);
  const keys = Object.keys(spec.capacity ?? {});
  if (keys.length === 0) out.push(required('spec.capacity'));
  if (spec.capacity?.storage === undefined || keys.length > 1) out.push({ ...unsupported('spec.capacity', null, ['storage']), value: keys.length === 0 ? 'core.ResourceList(nil)' : `core.ResourceList{${keys.map((k) => `${JSON.stringify(k)}:${canonical(spec.capacity[k])}`).join(', ')}}` });
  for (const key of keys) size(spec.capacity[key], `spec.capacity[${key}]`, out);
  oneOf(spec.persistentVolumeReclaimPolicy, 'spec.persistentVolumeReclaimPolicy', ['Delete', 'Recycle', 'Retain'], out);
  source(spec, out);
  const terms = spec.nodeAffinity && (spec.nodeAffinity.required?.nodeSelectorTerms ?? null);
  if (terms === null) out.push(required('spec.nodeAffinity.required', 'must specify required node constraints'));
  else if (terms?.length === 0) out.push(required('spec.nodeAffinity.required.nodeSelectorTerms', 'must have at least one node selector term'));
  className(spec.storageClassName, 'spec.storageClassName', out);
  oneOf(spec.volumeMode, 'spec.volumeMode', ['Block', 'Filesystem'], out);
}

function volumeUpdate(object: KubeObject, old: KubeObject, out: Fault[]): void {
  const pick = (spec: Json): Json => Object.fromEntries(sourceOf(spec).map((name) => [name, spec[name]]));
  if (!same(pick(object.spec), pick(old.spec))) out.push(forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'));
  if (object.spec.volumeMode !== old.spec.volumeMode) out.push(immutable('spec.volumeMode', object.spec.volumeMode));
  if (old.spec.nodeAffinity && !same(object.spec.nodeAffinity, old.spec.nodeAffinity)) out.push(wrong('spec.nodeAffinity', object.spec.nodeAffinity ?? null, 'field is immutable, except for updating from beta label to GA'));
}

function classFaults(object: KubeObject, out: Fault[], old?: KubeObject): void {
  if (!object.provisioner) out.push(required('provisioner', object.provisioner));
  for (const key of Object.keys(object.parameters ?? {})) if (key === '') out.push(wrong('parameters', key, 'field can not be empty.'));
  oneOf(object.reclaimPolicy, 'reclaimPolicy', ['Delete', 'Retain'], out);
  oneOf(object.volumeBindingMode, 'volumeBindingMode', ['Immediate', 'WaitForFirstConsumer'], out);
  if (!old) return;
  if (!same(object.parameters ?? {}, old.parameters ?? {})) out.push(forbidden('parameters', 'updates to parameters are forbidden.'));
  if (object.provisioner !== old.provisioner) out.push(forbidden('provisioner', 'updates to provisioner are forbidden.'));
  if (object.reclaimPolicy !== old.reclaimPolicy) out.push(forbidden('reclaimPolicy', 'updates to reclaimPolicy are forbidden.'));
  if (object.volumeBindingMode !== old.volumeBindingMode) out.push(immutable('volumeBindingMode', object.volumeBindingMode));
}

function attachment({ spec = {} }: KubeObject, out: Fault[], old?: KubeObject): void {
  if (!spec.attacher) out.push(required('spec.attacher'));
  if (!spec.nodeName) out.push(required('spec.nodeName'));
  if (spec.source?.persistentVolumeName === undefined && spec.source?.inlineVolumeSpec === undefined) out.push(required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'));
  if (old && !same(spec, old.spec)) out.push(immutable('spec', 'field'));
}

/** Adds the faults of a storage object; says whether its kind is one. */
export function storageFaults(object: KubeObject, out: Fault[], old?: KubeObject): boolean {
  switch (object.kind) {
    case 'PersistentVolumeClaim':
      claimFaults(object.spec, 'spec', out);
      if (old) claimUpdate(object, old, out);
      return true;
    case 'PersistentVolume':
      volumeFaults(object, out);
      if (old) volumeUpdate(object, old, out);
      return true;
    case 'StorageClass':
      classFaults(object, out, old);
      return true;
    case 'VolumeAttachment':
      attachment(object, out, old);
      return true;
    case 'CSIDriver':
      if (old && object.spec?.attachRequired !== old.spec?.attachRequired) out.push(immutable('spec.attachedRequired', object.spec.attachRequired));
      oneOf(object.spec?.fsGroupPolicy, 'spec.fsGroupPolicy', ['File', 'None', 'ReadWriteOnceWithFSType'], out);
      return true;
    case 'CSINode':
      for (const [i, driver] of (object.spec?.drivers ?? []).entries()) {
        if (!driver?.name) out.push(required(`spec.drivers[${i}].name`));
        if (!driver?.nodeID) out.push(required(`spec.drivers[${i}].nodeID`));
      }
      return true;
    default:
      return false;
  }
}
