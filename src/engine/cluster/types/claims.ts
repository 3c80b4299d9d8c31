/** Which claims a pod mounts, who mounts a claim, and which class claims have that name none. */
import type { Json, KubeObject, Pod } from './objects.ts';

/** Names of the claims that a pod mounts. */
export const claimsOf = (pod: Pod): string[] => (pod.spec.volumes ?? []).flatMap((v: Json) => (v?.persistentVolumeClaim?.claimName ? [v.persistentVolumeClaim.claimName as string] : []));

export function usersOf(pods: readonly Pod[], claim: KubeObject): Pod[] {
  return pods.filter((pod) => pod.metadata.namespace === claim.metadata.namespace && claimsOf(pod).includes(claim.metadata.name));
}

const IS_DEFAULT = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class'];

export const isDefaultClass = (sc: KubeObject): boolean => IS_DEFAULT.some((key) => sc.metadata.annotations?.[key] === 'true');
