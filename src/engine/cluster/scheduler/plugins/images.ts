/** ImageLocality: nodes that hold the pod's images already, weighed by how many nodes do, between 23 MiB and 1000 MiB a container. */
import type { ScorePlugin } from '../profile.ts';

const MIN = 23 * 1024 * 1024;
const MAX = 1000 * 1024 * 1024;

/** "busybox" is "busybox:latest"; a registry's port is no tag. */
export function normalizedImage(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') ? `${name}:latest` : name;
}

export const imageLocality: ScorePlugin = {
  name: 'ImageLocality',
  applies: () => true,
  score({ pod, nodes, imageNodes, profile }, info, operands) {
    const containers = profile.legacy ? pod.spec.containers : [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
    let sum = 0;
    for (const c of containers) {
      const name = normalizedImage(c.image);
      const size = info.images.get(name);
      if (size !== undefined) sum += Math.trunc(size * ((imageNodes.get(name) ?? 0) / nodes.length));
    }
    const max = MAX * containers.length;
    operands.push(sum, max);
    const clamped = Math.min(Math.max(sum, MIN), max);
    return Math.trunc((100 * (clamped - MIN)) / (max - MIN));
  },
  normalize: () => {},
  formula: ([sum = 0, max = 1], raw) =>
    sum === 0 ? 'no image of the pod is on this node' : `100*(clamp(${Math.round(sum / 1048576)}Mi, 23Mi, ${Math.round(max / 1048576)}Mi) - 23Mi)/(${Math.round(max / 1048576)}Mi - 23Mi) = ${raw}`,
};
