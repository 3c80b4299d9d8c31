/**
 * Scenarios: which machines there are, what is installed on them and what runs, as data. The named ones are this table;
 * a scenario file is the same in YAML. Building one is `world.ts`.
 */
import * as v from 'valibot';
import { parseDocument } from 'yaml';
import { GiB, MiB } from '../sim/units.ts';
import type { Tree } from '../kernel/vfs/build.ts';
import { CSI_DISK_YAML, LOCAL_PATH_YAML, STORAGE_IMAGES } from './storage.ts';
import { recordedScenarios } from './recorded.ts';

export type Service = 'containerd' | 'docker' | 'libvirtd' | 'kubelet' | 'kube-proxy' | 'flanneld' | 'kube-router' | 'ssh';

export interface HostSpec {
  name: string;
  cpus: number;
  /** Bytes. */
  memory: number;
  /** IPv4 on the wire between machines, without prefix; empty without a wire. */
  address: string;
  services: readonly Service[];
  /** Images in docker's (or, on a node, containerd's) store at boot. */
  images: readonly string[];
  /** libvirt domains defined at boot. */
  domains: readonly string[];
  /** No systemd-like slices: pid 1 mounts and starts shells, nothing else (the state of most recordings). */
  plainInit?: boolean;
  /** It is itself a guest: CPUID's hypervisor bit is set, whose is not told. */
  guest?: boolean;
  /** Files beyond the base system. */
  files?: Tree;
}

export interface ScenarioSpec {
  name: string;
  seed?: number;
  hosts: readonly HostSpec[];
  cluster: null | {
    /** Nodes of this many that have no kernel of their own. */
    hollow: number;
    /** Simulated by the API level only, with these names (recordings). */
    hollowNames?: readonly string[];
    /** Nodes are spread over zones, and Deployments ask for so many pods a node in all. */
    podsPerNode?: number;
    serverVersion?: string;
    /** How pods of different nodes reach each other; without one: by routes (host-gw). */
    network?: 'host-gw' | 'vxlan';
  };
  /** There is a gateway to what lies outside, and machines know it and a name server. */
  outside?: boolean;
  /** kubectl commands, manifests applied before the first prompt. */
  manifests: readonly string[];
}

export const API_SERVER = { address: '10.0.0.10', port: 6443 };
/** Where a node's management controller answers: node 10.0.0.11 has 10.0.0.111. */
export const bmcAddress = (address: string): string => address.replace(/\d+$/, (last) => String(Number(last) + 100));
export const BMC_PORT = 623;

/** What pods have their addresses from; each node gets a part. */
export const POD_NETWORK = '10.244.0.0/16';

const IMAGES = ['busybox', 'alpine', 'stress', 'nginx', 'redis', 'hello-world'] as const;
const NODE_IMAGES = ['busybox', 'nginx', 'redis', 'registry.k8s.io/pause', 'registry.k8s.io/coredns/coredns', 'stress'] as const;

/** What a node runs besides its pods. */
export const NODE_SERVICES: readonly Service[] = ['containerd', 'kubelet', 'kube-proxy', 'flanneld', 'kube-router', 'ssh'];

function host(name: string, more: Partial<HostSpec> = {}): HostSpec {
  return { name, cpus: 2, memory: 4 * GiB, address: '10.0.0.5', services: [], images: [], domains: [], ...more };
}

const lab = (services: readonly Service[]): HostSpec =>
  host('lab', { services, images: IMAGES, domains: services.includes('libvirtd') ? ['tiny'] : [] });

const workers: readonly HostSpec[] = [1, 2, 3].map((n) =>
  host(`node-${n}`, { address: `10.0.0.${10 + n}`, services: NODE_SERVICES, images: NODE_IMAGES }),
);

const SCENARIOS: Record<string, () => ScenarioSpec> = {
  lab: () => ({ name: 'lab', outside: true, hosts: [lab(['containerd', 'docker', 'libvirtd']), ...workers], cluster: { hollow: 0 }, manifests: [] }),
  'empty-host': () => ({ name: 'empty-host', outside: true, hosts: [lab([])], cluster: null, manifests: [] }),
  'one-host': () => ({ name: 'one-host', outside: true, hosts: [lab(['containerd', 'docker', 'libvirtd'])], cluster: null, manifests: [] }),
  'three-nodes': () => ({ name: 'three-nodes', outside: true, hosts: [lab([]), ...workers], cluster: { hollow: 0 }, manifests: [] }),
  storage: () => ({ name: 'storage', outside: true, hosts: [lab([]), ...workers.map((w) => ({ ...w, images: [...w.images, ...STORAGE_IMAGES] }))], cluster: { hollow: 0 }, manifests: [CSI_DISK_YAML, LOCAL_PATH_YAML] }),
};

export class BadScenario extends Error {}

/** Names that `--scenario` takes, for help and errors. */
export function scenarioNames(): string[] {
  return [...Object.keys(SCENARIOS), 'cluster-N', 'big-cluster', 'big-cluster-NODES-PODS', ...Object.keys(recordedScenarios).map((n) => `recorded/${n}`)];
}

/** A scenario by name, or from the text of a scenario file (anything with a line break or a colon). */
export function findScenario(nameOrText: string): ScenarioSpec {
  const named = SCENARIOS[nameOrText];
  if (named) return named();
  const nodes = /^cluster-(\d{1,5})$/.exec(nameOrText);
  if (nodes) {
    const hollow = Number(nodes[1]);
    if (hollow < 1 || hollow > 5000) throw new BadScenario(`cluster-${hollow}: from 1 to 5000 nodes`);
    return { name: nameOrText, outside: true, hosts: [lab([])], cluster: { hollow }, manifests: [] };
  }
  const big = /^big-cluster(?:-(\d{1,5}))?(?:-(\d{1,3}))?$/.exec(nameOrText);
  if (big) {
    const hollow = Number(big[1] ?? 500);
    const podsPerNode = Number(big[2] ?? 24);
    if (hollow < 1 || hollow > 5000) throw new BadScenario(`big-cluster-${hollow}: from 1 to 5000 nodes`);
    if (podsPerNode < 1 || podsPerNode > 110) throw new BadScenario(`big-cluster-${hollow}-${podsPerNode}: from 1 to 110 pods a node`);
    return { name: nameOrText, hosts: [lab([])], cluster: { hollow, podsPerNode }, manifests: [] };
  }
  const recorded = /^recorded\/(.+)$/.exec(nameOrText);
  if (recorded) {
    const build = recordedScenarios[recorded[1]!];
    if (build) return { ...build(), name: nameOrText };
    throw new BadScenario(`no recorded scenario '${recorded[1]}': ${Object.keys(recordedScenarios).join(', ')}`);
  }
  if (/[:\n]/.test(nameOrText)) return readScenario(nameOrText);
  throw new BadScenario(`no scenario '${nameOrText}': ${scenarioNames().join(', ')}`);
}

const size = v.pipe(
  v.union([v.number(), v.string()]),
  v.transform((x) => (typeof x === 'number' ? x : sizeOf(x))),
  v.number('a size such as 4GiB'),
  v.minValue(64 * MiB, 'at least 64MiB'),
  v.maxValue(256 * GiB, 'at most 256GiB'),
);
const file = v.strictObject({
  hosts: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          name: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,30}$/, 'a lower-case host name')),
          cpus: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)), 2),
          memory: v.optional(size, 4 * GiB),
          services: v.optional(v.array(v.picklist(['containerd', 'docker', 'libvirtd', 'kubelet', 'kube-proxy', 'flanneld', 'kube-router', 'ssh'])), []),
          images: v.optional(v.array(v.string()), []),
          domains: v.optional(v.array(v.picklist(['tiny'])), []),
          files: v.optional(v.record(v.pipe(v.string(), v.startsWith('/')), v.string()), {}),
        }),
      ),
      v.minLength(1),
      v.maxLength(8),
    ),
  ),
  seed: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff))),
  outside: v.optional(v.boolean(), true),
  cluster: v.optional(v.strictObject({ network: v.optional(v.picklist(['host-gw', 'vxlan'])), hollow: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(5000)), 0) })),
  manifests: v.optional(v.array(v.string()), []),
});

/** Reads a scenario file (YAML). Throws BadScenario with line and column, or the field at fault. */
export function readScenario(source: string): ScenarioSpec {
  if (source.length > 200_000) throw new BadScenario('the scenario file is larger than 200 kB');
  const document = parseDocument(source, { prettyErrors: true });
  const fault = document.errors[0];
  if (fault) throw new BadScenario(fault.message);
  const parsed = v.safeParse(file, document.toJS({ maxAliasCount: 50 }));
  if (!parsed.success) {
    const issue = parsed.issues[0];
    throw new BadScenario(`${issue.path?.map((p) => String(p.key)).join('.') ?? 'scenario'}: ${issue.message}`);
  }
  const hosts = (parsed.output.hosts ?? [{ name: 'lab', cpus: 2, memory: 4 * GiB, services: [], images: [], domains: [], files: {} }]).map(
    (h, i): HostSpec => ({
      ...h,
      address: i === 0 ? '10.0.0.5' : `10.0.0.${10 + i}`,
      files: Object.fromEntries(Object.entries(h.files).map(([path, data]) => [path, { type: 'file' as const, data }])),
    }),
  );
  return {
    name: 'file', hosts, outside: parsed.output.outside, manifests: parsed.output.manifests,
    cluster: parsed.output.cluster ? { hollow: parsed.output.cluster.hollow, ...(parsed.output.cluster.network ? { network: parsed.output.cluster.network } : {}) } : null,
    ...(parsed.output.seed === undefined ? {} : { seed: parsed.output.seed }),
  };
}

function sizeOf(textual: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(Ki?B?|Mi?B?|Gi?B?)?$/i.exec(textual.trim());
  if (!match) return Number.NaN;
  const power = { k: 1, m: 2, g: 3 }[(match[2] ?? '')[0]?.toLowerCase() as 'k'] ?? 0;
  return Number(match[1]) * 1024 ** power;
}
