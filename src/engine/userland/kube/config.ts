/** The kubelet's configuration file, with the defaults of what it does not say. Source: kubelet.config.k8s.io/v1beta1. Fields that are not heeded are passed over. */
import { parse as parseYaml } from 'yaml';
import type { Json } from '../../cluster/types/objects.ts';
import type { Call } from '../lib/http.ts';
import { slurp } from './api.ts';
import type { KubeletConfig } from './node.ts';

export const HARD = { 'memory.available': '100Mi', 'nodefs.available': '10%', 'nodefs.inodesFree': '5%', 'imagefs.available': '15%' };

export function* readConfig(path: string): Call<KubeletConfig | string> {
  let given: Json = {};
  try {
    given = parseYaml((yield* slurp(path)) ?? '') ?? {};
  } catch (error) {
    return `failed to load kubelet config file, path: ${path}, error: ${(error as Error).message}`;
  }
  return {
    clusterDNS: (given.clusterDNS ?? []).map(String), clusterDomain: String(given.clusterDomain ?? 'cluster.local'), staticPodPath: String(given.staticPodPath ?? ''), maxPods: Number(given.maxPods ?? 110),
    evictionHard: given.evictionHard ?? HARD, kubeReserved: given.kubeReserved ?? {}, systemReserved: given.systemReserved ?? {}, containerLogMaxSize: String(given.containerLogMaxSize ?? '10Mi'), containerLogMaxFiles: Number(given.containerLogMaxFiles ?? 5),
  };
}
