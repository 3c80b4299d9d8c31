/** Which claims a pod mounts, and who mounts a claim. */
import type { Json, KubeObject, Pod } from './objects.ts';

/** Names of the claims that a pod mounts. */
export const claimsOf = (pod: Pod): string[] => (pod.spec.volumes ?? []).flatMap((v: Json) => (v?.persistentVolumeClaim?.claimName ? [v.persistentVolumeClaim.claimName as string] : []));

export function usersOf(pods: readonly Pod[], claim: KubeObject): Pod[] {
  return pods.filter((pod) => pod.metadata.namespace === claim.metadata.namespace && claimsOf(pod).includes(claim.metadata.name));
}
