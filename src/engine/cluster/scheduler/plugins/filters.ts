/** Filters that look at one node's own state: schedulable, named, host ports, resources. Source: pkg/scheduler/framework/plugins 1.32. */
import { hostPorts } from '../nodes.ts';
import type { FilterPlugin } from '../profile.ts';
import { traitsOf } from '../snapshot.ts';
import { tolerates } from './taints.ts';

/** What is the same for every node of a cycle is worked out once. */
function once(scratch: Map<string, unknown>, name: string, make: () => string[]): string[] {
  let found = scratch.get(name) as string[] | undefined;
  if (!found) scratch.set(name, (found = make()));
  return found;
}

export const nodeUnschedulable: FilterPlugin = {
  name: 'NodeUnschedulable',
  skips: ({ snapshot }) => !traitsOf(snapshot).cordoned,
  filter({ pod }, info) {
    if (!info.node.spec?.unschedulable) return null;
    const taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
    return (pod.spec.tolerations ?? []).some((t) => tolerates(t, taint)) ? null : { reasons: ['node(s) were unschedulable'], resolvable: false };
  },
};

export const nodeName: FilterPlugin = {
  name: 'NodeName',
  skips: ({ pod }) => !pod.spec.nodeName,
  filter({ pod, profile }, info) {
    if (!pod.spec.nodeName || pod.spec.nodeName === info.name) return null;
    return { reasons: [profile.legacy ? "node(s) didn't match the requested hostname" : "node(s) didn't match the requested node name"], resolvable: false };
  },
};

export const nodePorts: FilterPlugin = {
  name: 'NodePorts',
  skips: ({ pod, scratch }) => once(scratch, 'hostPorts', () => hostPorts(pod.spec)).length === 0,
  filter({ pod, scratch }, info) {
    for (const wanted of once(scratch, 'hostPorts', () => hostPorts(pod.spec))) {
      const [ip, protocol, port] = wanted.split('/');
      for (const used of info.ports) {
        const [usedIp, usedProtocol, usedPort] = used.split('/');
        if (protocol === usedProtocol && port === usedPort && (ip === usedIp || ip === '0.0.0.0' || usedIp === '0.0.0.0')) {
          return { reasons: ["node(s) didn't have free ports for the requested pod ports"], resolvable: true };
        }
      }
    }
    return null;
  },
};

export const nodeResourcesFit: FilterPlugin = {
  name: 'NodeResourcesFit',
  passes({ demand, profile, snapshot: { room } }, i) {
    if (room.pods[i]! >= room.slots[i]! || demand.other || profile.legacy) return false;
    return !demand.any || ((demand.cpu === 0 || demand.cpu + room.usedCpu[i]! <= room.cpu[i]!) && (demand.memory === 0 || demand.memory + room.usedMemory[i]! <= room.memory[i]!));
  },
  filter({ demand, profile, scratch }, info) {
    let reasons: string[] | null = null;
    if (info.pods.size + 1 > (info.allocatable.get('pods') ?? 0)) reasons = ['Too many pods'];
    if (demand.any) {
      for (const name of once(scratch, 'resources', () => [...new Set(['cpu', 'memory', 'ephemeral-storage', ...demand.requests.keys()])])) {
        const wanted = demand.requests.get(name) ?? 0;
        const basic = name === 'cpu' || name === 'memory' || name === 'ephemeral-storage';
        if (wanted === 0 && !(profile.legacy && basic)) continue;
        if ((info.allocatable.get(name) ?? 0) < wanted + (info.requested.get(name) ?? 0)) (reasons ??= []).push(`Insufficient ${name}`);
      }
    }
    return reasons ? { reasons, resolvable: true } : null;
  },
};
