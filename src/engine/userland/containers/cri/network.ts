/** A pod's network: a namespace with a name under /run/netns, filled by the CNI plugins of the first file in /etc/cni/net.d. */
import { AT_FDCWD, CLONE_NEWNET, MNT_DETACH, MS_BIND, O_CREAT, O_WRONLY, exited } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { attempt, fork, list, mkdirAll, readJson, reap } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { CniError, type CniResult, invoke, type NetConf } from '../cni/plugin.ts';
import { hexOf } from '../oci.ts';
import { CriError } from './state.ts';

const CONF = '/etc/cni/net.d';

/** The plugins of the network, in order; null when there is none. */
export function* networkConf(): Call<NetConf[] | null> {
  for (const { name } of yield* list(CONF)) {
    if (!/\.(conf|conflist|json)$/.test(name)) continue;
    const conf = yield* readJson<NetConf & { plugins?: NetConf[] }>(`${CONF}/${name}`);
    if (!conf) continue;
    return conf.plugins ? conf.plugins.map((p) => ({ ...p, name: conf.name, cniVersion: conf.cniVersion })) : [conf];
  }
  return null;
}

/** A new network namespace, kept by a bind mount. */
export function* makeNetns(id: string): Call<string> {
  const hex = hexOf(`netns ${id}`);
  const path = `/run/netns/cni-${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
  yield* mkdirAll('/run/netns');
  yield* sys('close', yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT, 0o444));
  const pid = yield* fork(function* (): Body {
    yield* sys('unshare', CLONE_NEWNET);
    yield* sys('mount', '/proc/self/ns/net', path, 'bind', MS_BIND, '');
    return 0;
  });
  if (exited(yield* reap(pid)) !== 0) throw new CriError('Unknown', `failed to create network namespace for sandbox "${id}"`);
  return path;
}

export function* dropNetns(path: string): Call<void> {
  yield* attempt(sys('umount2', path, MNT_DETACH), 0);
  yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0);
}

/** What the pod is, for the plugins: its names, its ports. */
export interface PodNet {
  id: string;
  netns: string;
  // biome-ignore lint/suspicious/noExplicitAny: the sandbox's configuration, as the interface gives it
  config: any;
}

const argsOf = ({ id, config }: PodNet): string => {
  const m = config.metadata ?? {};
  return `IgnoreUnknown=1;K8S_POD_NAMESPACE=${m.namespace ?? ''};K8S_POD_NAME=${m.name ?? ''};K8S_POD_INFRA_CONTAINER_ID=${id};K8S_POD_UID=${m.uid ?? ''}`;
};

function* each(command: 'ADD' | 'DEL', pod: PodNet): Call<CniResult | null> {
  const plugins = yield* networkConf();
  if (!plugins) throw new CriError('Unknown', 'cni plugin not initialized');
  const lo: NetConf = { cniVersion: '0.3.1', name: 'cni-loopback', type: 'loopback' };
  const ordered = command === 'ADD' ? [lo, ...plugins] : [...plugins].reverse();
  const ports = (pod.config.portMappings ?? []).filter((p: { hostPort?: number }) => p.hostPort).map((p: { hostPort: number; containerPort: number; protocol?: string; hostIp?: string }) => ({ hostPort: p.hostPort, containerPort: p.containerPort, protocol: String(p.protocol ?? 'TCP').toLowerCase(), hostIP: p.hostIp ?? '' }));
  let result: CniResult | null = null;
  for (const conf of ordered) {
    const prevResult: { prevResult?: CniResult } = result && conf !== plugins[0] ? { prevResult: result } : {};
    const runtimeConfig = (conf.capabilities as { portMappings?: boolean } | undefined)?.portMappings ? { runtimeConfig: { portMappings: ports } } : {};
    const answer: CniResult | null = yield* invoke(conf.type, { command, containerId: pod.id, netns: pod.netns, ifname: conf === lo ? 'lo' : 'eth0', args: argsOf(pod), conf: { ...conf, ...prevResult, ...runtimeConfig } }, 'runtime');
    if (conf !== lo) result = answer;
  }
  return result;
}

/** Sets the pod's network up; its address. */
export function* connectPod(pod: PodNet): Call<string> {
  try {
    const result = yield* each('ADD', pod);
    return result?.ips?.[0]?.address.split('/')[0] ?? '';
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    throw new CriError('Unknown', `failed to setup network for sandbox "${pod.id}": ${error.message}`);
  }
}

export function* disconnectPod(pod: PodNet): Call<void> {
  try {
    yield* each('DEL', pod);
  } catch (error) {
    if (!(error instanceof CniError) && !(error instanceof CriError)) throw error;
  }
}
