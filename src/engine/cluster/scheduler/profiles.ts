/** The profiles: today's defaults, and those under which the recorded decisions were made. */
import { affinityFilter, affinityScore } from './plugins/affinity.ts';
import { nodeName, nodePorts, nodeResourcesFit, nodeUnschedulable } from './plugins/filters.ts';
import { imageLocality } from './plugins/images.ts';
import { interPodFilter, interPodScore } from './plugins/interpod.ts';
import { balancedAllocation, leastAllocated } from './plugins/resources.ts';
import { spreadFilter, spreadScore } from './plugins/spread.ts';
import { taintFilter, taintScore } from './plugins/taints.ts';
import { ebsLimits, nodeVolumeLimits, volumeBinding, volumeRestrictions, volumeZone } from './plugins/volumes.ts';
import type { FilterPlugin, Profile } from './profile.ts';

const FILTERS: readonly FilterPlugin[] = [nodeUnschedulable, nodeName, taintFilter, affinityFilter, nodePorts, nodeResourcesFit, volumeRestrictions, nodeVolumeLimits, volumeBinding, volumeZone, spreadFilter, interPodFilter];

export const DEFAULT: Profile = {
  name: 'v1.32', schedulerName: 'default-scheduler', legacy: false, percentageOfNodesToScore: 0, filters: FILTERS,
  scores: [
    { plugin: taintScore, weight: 3 },
    { plugin: affinityScore, weight: 2 },
    { plugin: leastAllocated('NodeResourcesFit'), weight: 1 },
    { plugin: spreadScore, weight: 2 },
    { plugin: interPodScore, weight: 2 },
    { plugin: balancedAllocation, weight: 1 },
    { plugin: imageLocality, weight: 1 },
  ],
};

const legacy = (name: string, taint: number, affinity: number, interpod: number): Profile => ({
  name, schedulerName: name, legacy: true, percentageOfNodesToScore: 100, filters: FILTERS.flatMap((plugin) => (plugin === nodeVolumeLimits ? [ebsLimits, plugin] : [plugin])),
  scores: [
    { plugin: balancedAllocation, weight: 1 },
    { plugin: imageLocality, weight: 1 },
    { plugin: leastAllocated('NodeResourcesLeastAllocated'), weight: 1 },
    { plugin: affinityScore, weight: affinity },
    { plugin: interPodScore, weight: interpod },
    { plugin: spreadScore, weight: 2 },
    { plugin: taintScore, weight: taint },
  ],
});

export const V1_20 = legacy('v1.20', 1, 1, 1);
/** 1.20's plugins with today's weights. */
export const V1_20_WEIGHTS = legacy('v1.20-weights-1.30', 3, 2, 2);
