/** `kubectl describe` of volumes, classes and what drivers say of themselves. Source: kubectl pkg/describe/describe.go 1.32. */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { humanDuration, parseTime } from '../../../cluster/types/time.ts';
import { isDefaultClass } from '../../../cluster/types/claims.ts';
import { events, type Line, multi, type Surroundings } from './describe-parts.ts';
import { accessModes, ageOf } from './columns.ts';

const finalizers = (o: KubeObject): string => `Finalizers:\t[${(o.metadata.finalizers ?? []).join(' ')}]`;
const requirement = (e: Json): string => `${e.key} ${{ In: 'in', NotIn: 'not in', Exists: 'exists', DoesNotExist: '!exists', Gt: '>', Lt: '<' }[e.operator as string] ?? e.operator}${e.values?.length ? ` [${e.values.join(', ')}]` : ''}`;

function affinity(w: Line, spec: Json): void {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms;
  if (!spec.nodeAffinity) {
    w(0, 'Node Affinity:\t<none>');
    return;
  }
  w(0, 'Node Affinity:\t');
  if (!terms) {
    w(1, 'Required Terms:\t<none>');
    return;
  }
  w(1, 'Required Terms:\t');
  for (const [i, term] of terms.entries()) {
    const all = (term.matchExpressions ?? []).map(requirement);
    w(2, `Term ${i}:\t${all[0] ?? '<none>'}`);
    for (const one of all.slice(1)) w(3, `\t${one}`);
  }
}

/** The "Source:" of a volume. */
export function sourceLines(spec: Json): string[] {
  if (spec.csi) {
    const { driver, fsType = '', volumeHandle, readOnly = false, volumeAttributes = {} } = spec.csi;
    const keys = Object.keys(volumeAttributes).sort();
    return [
      'Type:\tCSI (a Container Storage Interface (CSI) volume source)', `Driver:\t${driver}`, `FSType:\t${fsType}`, `VolumeHandle:\t${volumeHandle}`, `ReadOnly:\t${readOnly}`,
      ...(keys.length === 0 ? ['VolumeAttributes:\t<none>'] : keys.map((k, i) => `${i === 0 ? 'VolumeAttributes:' : ''}\t    ${k}=${volumeAttributes[k]}`)),
    ];
  }
  if (spec.local) return ['Type:\tLocalVolume (a persistent volume backed by local storage on a node)', `Path:\t${spec.local.path}`];
  if (spec.hostPath) return ['Type:\tHostPath (bare host directory volume)', `Path:\t${spec.hostPath.path}`, `HostPathType:\t${spec.hostPath.type ?? ''}`];
  return ['<unknown>'];
}

export function persistentVolume(v: KubeObject, s: Surroundings, w: Line): void {
  const { metadata, spec, status = {} } = v;
  w(0, `Name:\t${metadata.name}`);
  multi(w, 'Labels', metadata.labels);
  multi(w, 'Annotations', metadata.annotations, ': ');
  w(0, `${finalizers(v)}\nStorageClass:\t${spec.storageClassName ?? ''}`);
  w(0, metadata.deletionTimestamp ? `Status:\tTerminating (lasts ${humanDuration(s.now - (parseTime(metadata.deletionTimestamp) ?? s.now))})` : `Status:\t${status.phase ?? ''}`);
  w(0, `Claim:\t${spec.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : ''}\nReclaim Policy:\t${spec.persistentVolumeReclaimPolicy}\nAccess Modes:\t${accessModes(spec.accessModes)}`);
  if (spec.volumeMode) w(0, `VolumeMode:\t${spec.volumeMode}`);
  w(0, `Capacity:\t${spec.capacity?.storage ?? ''}`);
  affinity(w, spec);
  w(0, `Message:\t${status.message ?? ''}\nSource:`);
  for (const line of sourceLines(spec)) w(2, line);
  events(w, s);
}

export function storageClass(c: KubeObject, s: Surroundings, w: Line): void {
  w(0, `Name:\t${c.metadata.name}\nIsDefaultClass:\t${isDefaultClass(c) ? 'Yes' : 'No'}`);
  const notes = Object.entries({ ...c.metadata.annotations }).sort(([a], [b]) => (a < b ? -1 : 1));
  w(0, `Annotations:\t${notes.map(([k, v]) => `${k}=${v.trim()}`).join(',') || '<none>'}\nProvisioner:\t${c.provisioner}`);
  w(0, `Parameters:\t${Object.entries(c.parameters ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => `${k}=${v}`).join(',') || '<none>'}`);
  w(0, `AllowVolumeExpansion:\t${c.allowVolumeExpansion === undefined ? '<unset>' : c.allowVolumeExpansion ? 'True' : 'False'}`);
  if (!c.mountOptions?.length) w(0, 'MountOptions:\t<none>');
  else {
    w(0, 'MountOptions:');
    for (const option of c.mountOptions) w(1, option);
  }
  w(0, `ReclaimPolicy:\t${c.reclaimPolicy}\nVolumeBindingMode:\t${c.volumeBindingMode}`);
  if (c.allowedTopologies?.length) {
    w(0, 'AllowedTopologies:\t');
    for (const [i, term] of c.allowedTopologies.entries()) {
      const all = (term.matchLabelExpressions ?? []).map((e: Json) => `${e.key} in [${(e.values ?? []).join(', ')}]`);
      w(1, `Term ${i}:\t${all[0] ?? '<none>'}`);
      for (const one of all.slice(1)) w(2, `\t${one}`);
    }
  }
  events(w, s);
}

export function csiNode(n: KubeObject, s: Surroundings, w: Line): void {
  w(0, `Name:\t${n.metadata.name}`);
  multi(w, 'Labels', n.metadata.labels);
  multi(w, 'Annotations', n.metadata.annotations, ': ');
  w(0, `CreationTimestamp:\t${ageOf(n.metadata.creationTimestamp, s.now) === '<unknown>' ? '' : n.metadata.creationTimestamp}`);
  w(0, 'Spec:');
  if (n.spec?.drivers?.length) {
    w(1, 'Drivers:');
    for (const d of n.spec.drivers) {
      w(2, `${d.name}:`);
      w(3, `Node ID:\t${d.nodeID}`);
      if (d.allocatable?.count !== undefined) w(3, `Allocatables:\n  Count:\t${d.allocatable.count}`);
      if (d.topologyKeys?.length) w(3, `Topology Keys:\t[${d.topologyKeys.join(', ')}]`);
    }
  }
  events(w, s);
}
