/** Filters that look at one node's own state: schedulable, named, host ports, resources. Source: pkg/scheduler/framework/plugins 1.32. */
import { hostPorts } from '../nodes.ts';
import type { FilterPlugin } from '../profile.ts';
import { tolerates } from './taints.ts';

export const nodeUnschedulable: FilterPlugin = {
  name: 'NodeUnschedulable',
  filter({ pod }, info) {
    if (!info.node.spec?.unschedulable) return null;
    const taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
    return (pod.spec.tolerations ?? []).some((t) => tolerates(t, taint)) ? null : { reasons: ['node(s) were unschedulable'], resolvable: false };
  },
};

export const nodeName: FilterPlugin = {
  name: 'NodeName',
  filter({ pod, profile }, info) {
    if (!pod.spec.nodeName || pod.spec.nodeName === info.name) return null;
    return { reasons: [profile.legacy ? "node(s) didn't match the requested hostname" : "node(s) didn't match the requested node name"], resolvable: false };
  },
};

export const nodePorts: FilterPlugin = {
  name: 'NodePorts',
  filter({ pod }, info) {
    for (const wanted of hostPorts(pod.spec)) {
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
  filter({ demand, profile }, info) {
    const reasons: string[] = [];
    const slots = info.allocatable.get('pods') ?? 0;
    if (info.pods.size + 1 > slots) reasons.push('Too many pods');
    if (demand.any) {
      const names = new Set(['cpu', 'memory', 'ephemeral-storage']);
      for (const name of demand.requests.keys()) names.add(name);
      for (const name of names) {
        const wanted = demand.requests.get(name) ?? 0;
        const basic = name === 'cpu' || name === 'memory' || name === 'ephemeral-storage';
        if (wanted === 0 && !(profile.legacy && basic)) continue;
        if ((info.allocatable.get(name) ?? 0) < wanted + (info.requested.get(name) ?? 0)) reasons.push(`Insufficient ${name}`);
      }
    }
    return reasons.length > 0 ? { reasons, resolvable: true } : null;
  },
};
