/** ImageLocality: nodes that hold the pod's images already, weighed by how many nodes do, between 23 MiB and 1000 MiB a container. */
import { jot, type Profile, type ScorePlugin } from '../profile.ts';
import type { Pod } from '../../types/objects.ts';

const MIN = 23 * 1024 * 1024;
const MAX = 1000 * 1024 * 1024;

/** "busybox" is "busybox:latest"; a registry's port is no tag. */
export function normalizedImage(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') ? `${name}:latest` : name;
}

/** Images that count: legacy knew no init containers. */
const imagesOf = (pod: Pod, profile: Profile): string[] =>
  (profile.legacy ? pod.spec.containers : [...(pod.spec.initContainers ?? []), ...pod.spec.containers]).map((c) => normalizedImage(c.image));

export const imageLocality: ScorePlugin = {
  name: 'ImageLocality',
  applies: () => true,
  uniform({ pod, profile, imageNodes, scratch }) {
    const images = imagesOf(pod, profile);
    scratch.set('images', images);
    return images.some((name) => imageNodes.has(name)) ? null : 0;
  },
  score({ nodes, imageNodes, scratch }, index, operands) {
    const info = nodes[index]!;
    const images = scratch.get('images') as string[];
    let sum = 0;
    for (const name of images) {
      const size = info.images.get(name);
      if (size !== undefined) sum += Math.trunc(size * ((imageNodes.get(name) ?? 0) / nodes.length));
    }
    const max = MAX * images.length;
    jot(operands, sum);
    jot(operands, max);
    const clamped = Math.min(Math.max(sum, MIN), max);
    return Math.trunc((100 * (clamped - MIN)) / (max - MIN));
  },
  plain: true,
  normalize: () => {},
  formula: ({ 0: sum = 0, 1: max = 1 }, raw) =>
    sum === 0 ? 'no image of the pod is on this node' : `100*(clamp(${Math.round(sum / 1048576)}Mi, 23Mi, ${Math.round(max / 1048576)}Mi) - 23Mi)/(${Math.round(max / 1048576)}Mi - 23Mi) = ${raw}`,
};
