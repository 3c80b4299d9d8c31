/**
 * ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, numbered, the newest ten that nobody uses
 * kept. Source: pkg/controller/history. Simplified: the hash in names is not the real server's.
 */
import { create, mutate, remove } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get, ownedBy } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { copy, type KubeObject, keyOf, type PodTemplate, same } from '../types/objects.ts';
import { templateHash } from './deployment.ts';
import { ownerMark } from './pods.ts';

export interface Revision extends KubeObject {
  data: { spec: { template: PodTemplate & { $patch?: string } } };
  revision: number;
}

export const revisionsOf = (cluster: Cluster, owner: KubeObject): Revision[] =>
  ownedBy<Revision>(cluster.store, owner.metadata.uid!, 'ControllerRevision').sort((a, b) => a.revision - b.revision);

export const templateOf = (revision: Revision): PodTemplate => {
  const { $patch, ...template } = revision.data.spec.template;
  void $patch;
  return template as PodTemplate;
};

/** A template without what only says that it is none of a pod: a null time, which a store does not keep. */
function bare(template: PodTemplate): PodTemplate {
  const { creationTimestamp, ...metadata } = template.metadata;
  void creationTimestamp;
  return { ...template, metadata };
}

/** The revision of the owner's present template; made, or made the newest again, when need be. */
export function currentRevision(cluster: Cluster, owner: KubeObject): Revision {
  const known = revisionsOf(cluster, owner);
  const template = bare(owner.spec.template);
  const found = known.find((one) => same(templateOf(one), template));
  const next = (known.at(-1)?.revision ?? 0) + 1;
  if (found) {
    if (found === known.at(-1)) return found;
    return mutate<Revision>(cluster, 'ControllerRevision', keyOf(found.metadata), (one) => {
      one.revision = next;
    })!;
  }
  let collisions = 0;
  const nameOf = (n: number): string => `${owner.metadata.name}-${templateHash(template, n)}`;
  while (get(cluster.store, 'ControllerRevision', `${owner.metadata.namespace}/${nameOf(collisions)}`)) collisions++;
  const hash = templateHash(template, collisions);
  return create(cluster, kindNamed('ControllerRevision'), owner.metadata.namespace, {
    metadata: {
      name: nameOf(collisions), labels: { ...template.metadata.labels, 'controller-revision-hash': owner.kind === 'DaemonSet' ? hash : `${owner.metadata.name}-${hash}` },
      ownerReferences: [ownerMark(owner)], ...(owner.metadata.annotations ? { annotations: copy(owner.metadata.annotations) } : {}),
    },
    data: { spec: { template: { $patch: 'replace', ...copy(template) } } }, revision: next,
  }) as Revision;
}

/** What pods of a revision carry in the label controller-revision-hash. */
export const hashOf = (revision: Revision): string => revision.metadata.labels!['controller-revision-hash']!;

export function forgetRevisions(cluster: Cluster, owner: KubeObject, inUse: ReadonlySet<string>): void {
  const spare = revisionsOf(cluster, owner).filter((one) => !inUse.has(hashOf(one)));
  for (const one of spare.slice(0, Math.max(0, spare.length - (owner.spec.revisionHistoryLimit ?? 10)))) {
    remove(cluster, kindNamed('ControllerRevision'), one.metadata.namespace, one.metadata.name);
  }
}
