/**
 * What a line of the terminal names that a picture shows: containers, pods, nodes, VMs by their names; pids, control groups,
 * namespaces, addresses, devices and digests by how they are written. Those are looked up when they are followed.
 */
import type { ContainerRow, ImageRow, LayerSharingRow, NamespaceRow, NetworkRow, NodeRow, PodRow, VmRow } from '../../bridge/rows.ts';
import type { Row } from '../../bridge/protocol.ts';
import { GLANCE, call, known } from '../bridge/client.ts';
import { select, type Selection, set, show, toast } from '../store.ts';

export interface Found { at: number; text: string; go: () => void }

const HOST = 'lab';
const rows = async <T>(view: string, arg: Record<string, string> = { host: HOST }): Promise<T[]> => (await call('rows', { view, arg })) as Row[] as unknown as T[];

function inContainers(selection: Selection, mode?: string): void {
  if (mode) set((s) => ({ mode: { ...s.mode, containers: mode } }));
  show('containers');
  select(selection);
}

/** A way of writing something, what is said when it is not there, and how to find it. The first group is the link; without one, all of it. */
const PATTERNS: readonly (readonly [pattern: RegExp, missing: string, find: (text: string) => Promise<(() => void) | null>])[] = [
  [/\b(?:[Pp]rocess|pid[ =:]|PID: ?)\s?(\d+)\b/g, 'No process has this pid now', async (pid) => () => inContainers({ kind: 'process', id: pid, host: HOST })],
  [/\/(?:system|user|machine|kubepods|init)\.(?:slice|scope)[^\s,'":]*/g, 'The control group is gone', async (path) => () => inContainers({ kind: 'cgroup', id: path.replace(/^\/sys\/fs\/cgroup/, '').replace(/\/(?:memory|cpu|io|pids|cgroup|cpuset)\.[a-z.]+$/, ''), host: HOST }, 'cgroups')],
  [/\b(?:cgroup|ipc|mnt|net|pid|time|user|uts):\[\d+\]/g, 'Nobody is in this namespace now', namespaceOf],
  [/\b\d{1,3}(?:\.\d{1,3}){3}\b(?!\.)/g, 'No device of this machine has this address', deviceWith((row, text) => row.address.split(' ').some((one) => one.startsWith(`${text}/`)))],
  [/\b(?:veth[0-9a-f]{7}|br-[0-9a-f]{12}|docker0)\b/g, 'The device is gone', deviceWith((row, text) => row.name === text)],
  [/\bsha256:[0-9a-f]{12,64}\b/g, 'No image and no layer of the store has this digest', digestOf],
];

async function namespaceOf(text: string): Promise<(() => void) | null> {
  const [, type, ino] = /^(\w+):\[(\d+)\]$/.exec(text)!;
  if (type === 'net') return () => inContainers({ kind: 'netns', id: ino! }, 'network');
  const found = (await rows<NamespaceRow>('namespaces')).find((row) => row.type === type && String(row.ino) === ino);
  return found ? () => inContainers({ kind: 'process', id: String(found.pid), host: HOST }, 'processes') : null;
}

function deviceWith(fits: (row: NetworkRow, text: string) => boolean): (text: string) => Promise<(() => void) | null> {
  return async (text) => {
    const found = (await rows<NetworkRow>('network')).find((row) => row.kind === 'device' && fits(row, text));
    return found ? () => inContainers({ kind: 'device', id: `${found.ns}/${found.name}` }, 'network') : null;
  };
}

async function digestOf(text: string): Promise<(() => void) | null> {
  const image = (await rows<ImageRow>('images')).find((row) => row.id.startsWith(text));
  if (image) return () => inContainers({ kind: 'image', id: image.id }, 'images');
  const layer = (await rows<LayerSharingRow>('layer-sharing')).find((row) => row.chainId.startsWith(text) || row.diffId.startsWith(text));
  return layer ? () => inContainers({ kind: 'layer', id: layer.chainId }, 'images') : null;
}

function follow(text: string, missing: string, find: (text: string) => Promise<(() => void) | null>): void {
  void find(text).then((go) => (go ? go() : toast(missing)), () => toast(missing));
}

export function linksOf(line: string): Found[] {
  const targets = new Map<string, () => void>();
  for (const row of known('vms') as unknown as VmRow[]) targets.set(row.name, () => { set({ vm: row.name }); show('walk'); });
  for (const row of known('nodes', GLANCE) as unknown as NodeRow[]) targets.set(row.name, () => { show('cluster'); select({ kind: 'node', id: row.name }); });
  for (const row of known('pods', GLANCE) as unknown as PodRow[]) targets.set(row.name, () => { show('cluster'); select({ kind: 'pod', id: `${row.namespace}/${row.name}` }); });
  for (const row of known('containers') as unknown as ContainerRow[]) {
    const go = (): void => inContainers({ kind: 'container', id: row.id });
    for (const name of [row.name, row.id, row.id.slice(0, 12)]) targets.set(name, go);
  }
  const found: Found[] = [];
  for (const match of line.matchAll(/[A-Za-z0-9][A-Za-z0-9._-]*/g)) {
    const go = targets.get(match[0]);
    if (go) found.push({ at: match.index, text: match[0], go });
  }
  const free = (at: number, text: string): boolean => !found.some((one) => at < one.at + one.text.length && one.at < at + text.length);
  for (const [pattern, missing, find] of PATTERNS) {
    for (const match of line.matchAll(pattern)) {
      const text = match[1] ?? match[0];
      const at = match.index + match[0].lastIndexOf(text);
      if (free(at, text)) found.push({ at, text, go: () => follow(text, missing, find) });
    }
  }
  return found;
}
