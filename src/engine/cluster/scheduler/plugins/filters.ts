/** Filters that look at one node's own state: schedulable, named, host ports, resources. Source: pkg/scheduler/framework/plugins 1.32. */
import { hostPorts } from '../nodes.ts';
import type { FilterPlugin, Refusal } from '../profile.ts';
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
  passes: ({ nodes }, index) => !nodes[index]!.node.spec?.unschedulable,
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
  seesPods: true,
  skips: ({ pod, scratch }) => once(scratch, 'hostPorts', () => hostPorts(pod.spec)).length === 0,
  passes: ({ nodes }, index) => nodes[index]!.ports.size === 0,
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

/** Refusals for slots, CPU and memory, each combination once: bit 0, 1 and 2. */
const LACKING: readonly (Refusal | null)[] = Array.from({ length: 8 }, (_, bits) => {
  const reasons = ['Too many pods', 'Insufficient cpu', 'Insufficient memory'].filter((_, i) => (bits >> i) & 1);
  return bits === 0 ? null : { reasons, resolvable: true };
});
const lacking = (slots: boolean, cpu: boolean, memory: boolean): Refusal | null => LACKING[(slots ? 1 : 0) | (cpu ? 2 : 0) | (memory ? 4 : 0)]!;

export const nodeResourcesFit: FilterPlugin = {
  name: 'NodeResourcesFit',
  sift({ demand, profile, snapshot: { room } }, places, all) {
    if (demand.other || profile.legacy) return 0;
    const { pods, slots, usedCpu, cpu, usedMemory, memory } = room;
    let n = 0;
    for (let k = 0; k < all; k++) {
      const i = places[k]!;
      if (pods[i]! < slots[i]! && (demand.cpu === 0 || demand.cpu + usedCpu[i]! <= cpu[i]!) && (demand.memory === 0 || demand.memory + usedMemory[i]! <= memory[i]!)) places[n++] = i;
    }
    return n;
  },
  passes({ demand, profile, snapshot: { room } }, i) {
    if (room.pods[i]! >= room.slots[i]! || demand.other || profile.legacy) return false;
    return !demand.any || ((demand.cpu === 0 || demand.cpu + room.usedCpu[i]! <= room.cpu[i]!) && (demand.memory === 0 || demand.memory + room.usedMemory[i]! <= room.memory[i]!));
  },
  filter({ demand, profile, scratch, snapshot: { room } }, info) {
    const i = info.index;
    const full = room.pods[i]! + 1 > room.slots[i]!;
    if (!demand.other && !profile.legacy) return lacking(full, demand.cpu > 0 && room.cpu[i]! < demand.cpu + room.usedCpu[i]!, demand.memory > 0 && room.memory[i]! < demand.memory + room.usedMemory[i]!);
    let reasons: string[] | null = null;
    if (full) reasons = ['Too many pods'];
    if (demand.any) {
      for (const name of once(scratch, 'resources', () => [...new Set(['cpu', 'memory', 'ephemeral-storage', ...demand.requests.keys()])])) {
        const wanted = demand.requests.get(name) ?? 0;
        const basic = name === 'cpu' || name === 'memory' || name === 'ephemeral-storage';
        if (wanted === 0 && !(profile.legacy && basic)) continue;
        const used = name === 'cpu' ? room.usedCpu[i]! : name === 'memory' ? room.usedMemory[i]! : (info.requested.get(name) ?? 0);
        if ((info.allocatable.get(name) ?? 0) < wanted + used) (reasons ??= []).push(`Insufficient ${name}`);
      }
    }
    return reasons ? { reasons, resolvable: true } : null;
  },
};
