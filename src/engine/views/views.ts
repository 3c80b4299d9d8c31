/** The registry of views: what pictures subscribe to, labs check and `nestbox views` lists. */
import { cgroupHistory, cgroups } from './cgroups.ts';
import { deployments, kubeEvents, nodes, pods, services } from './cluster.ts';
import { decisions, filters, scores } from './decisions.ts';
import { hosts } from './hosts.ts';
import { marks } from './marks.ts';
import { namespaces } from './namespaces.ts';
import { processes } from './processes.ts';
import { syscalls } from './syscalls.ts';
import type { View } from './view.ts';
import { why } from './why.ts';

export const VIEWS: Readonly<Record<string, View>> = {
  hosts, processes, cgroups, 'cgroup-history': cgroupHistory, namespaces, syscalls,
  nodes, pods, deployments, services, 'kube-events': kubeEvents, decisions, filters, scores,
  marks, why,
};
