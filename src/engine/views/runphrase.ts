/** A call that makes a container, in words: one row a call over its arguments. What no row knows has no words. */
import * as abi from '../kernel/abi.ts';
import type { ErrandCall } from '../kernel/errands.ts';
import { text } from '../sim/text.ts';

const KINDS: readonly [number, string][] = [
  [abi.CLONE_NEWUSER, 'user'], [abi.CLONE_NEWNS, 'mount'], [abi.CLONE_NEWPID, 'pid'], [abi.CLONE_NEWNET, 'network'], [abi.CLONE_NEWIPC, 'ipc'],
  [abi.CLONE_NEWUTS, 'uts'], [abi.CLONE_NEWCGROUP, 'cgroup'], [abi.CLONE_NEWTIME, 'time'],
];

export function namespaces(flags: number): string {
  return KINDS.filter(([bit]) => flags & bit).map(([, name]) => name).join(', ');
}

const last = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
/** The container's own tree, wherever the driver has put it. */
const plainly = (words: string): string => words.replace(/\/var\/lib\/docker\/overlay2\/[0-9a-f]+\/merged|\/run\/containerd\/io\.containerd\.runtime\.v2\.task\/[\w.]+\/[0-9a-f]+\/rootfs/g, 'ROOTFS');
const line = (data: unknown): string => (data instanceof Uint8Array ? text(data).trim() : String(data));

function mount(source: string, target: string, type: string, flags: number): string {
  if (flags & (abi.MS_SHARED | abi.MS_PRIVATE | abi.MS_SLAVE | abi.MS_UNBINDABLE)) {
    const kind = flags & abi.MS_SHARED ? 'shared' : flags & abi.MS_PRIVATE ? 'private' : flags & abi.MS_SLAVE ? 'slave' : 'unbindable';
    return `${target}${flags & abi.MS_REC ? ' and all below' : ''} becomes ${kind}: mounts ${kind === 'shared' ? 'spread' : 'do not spread out'}`;
  }
  if (flags & abi.MS_REMOUNT) return `${target} is remounted${flags & abi.MS_RDONLY ? ' read-only' : ''}`;
  if (flags & abi.MS_BIND) return source === target ? `${target} becomes a mount of its own` : source === '/dev/null' ? `${target} is hidden` : `${source} appears at ${target} too`;
  if (flags & abi.MS_MOVE) return `${source} moves to ${target}`;
  if (type === 'overlay') return `the layers become one tree at ${target}`;
  return `${type} at ${target}`;
}

type Phrase = (args: readonly never[], call: ErrandCall) => string;

const PHRASES: Readonly<Record<string, Phrase>> = {
  unshare: (a: readonly number[]) => `new namespaces: ${namespaces(a[0] ?? 0)}`,
  clone: ([a]: readonly { flags?: number }[]) => (namespaces(a?.flags ?? 0) === '' ? 'a new process' : `a new process in new namespaces: ${namespaces(a?.flags ?? 0)}`),
  setns: (_a, call) => `joins ${call.path === '' ? 'a namespace' : call.path}`,
  sethostname: ([name]: readonly string[]) => `the host name is ${name}`,
  setdomainname: ([name]: readonly string[]) => `the domain name is ${name}`,
  mount: (a: readonly unknown[]) => mount(String(a[0]), String(a[1]), String(a[2]), Number(a[3])),
  umount2: ([target, flags]: readonly unknown[]) => (target === '.' ? 'the old root goes away' : `${target} is unmounted${Number(flags) & abi.MNT_DETACH ? ' when nobody uses it any more' : ''}`),
  mknodat: ([, path, , major, minor]: readonly unknown[]) => `device node ${path} (${major}, ${minor})`,
  pivot_root: ([root]: readonly string[]) => (root === '.' ? 'the working directory becomes the root' : `${root} becomes the root`),
  chroot: ([root]: readonly string[]) => `names are looked up from ${root}`,
  mkdirat: ([, path]: readonly unknown[]) => `control group ${last(String(path))}`,
  unlinkat: ([, path]: readonly unknown[]) => `control group ${last(String(path))} is removed`,
  write: ([, data]: readonly unknown[], call) => `${last(call.path)} = ${line(data)}`,
  pwrite64: ([, data]: readonly unknown[], call) => `${last(call.path)} = ${line(data)}`,
  netlink: ([request]: readonly { type?: string }[]) => network((request ?? {}) as Record<string, unknown>),
  bind: ([, address]: readonly unknown[]) => {
    const { address: ip, port } = address as { address: string; port: number };
    return `takes ${ip}:${port}`;
  },
  capset: ([sets]: readonly { permitted?: readonly string[]; bounding?: readonly string[] }[]) => {
    const listed = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));
    return sets?.permitted ? `capabilities: ${listed(sets.permitted)}` : sets?.bounding ? `nothing beyond these can be had: ${listed(sets.bounding)}` : 'capability sets';
  },
  setresuid: ([uid]: readonly number[]) => `user ${uid}`,
  setresgid: ([gid]: readonly number[]) => `group ${gid}`,
  setgroups: ([groups]: readonly (readonly number[])[]) => (groups?.length ? `further groups ${groups.join(', ')}` : 'no further groups'),
  prctl: ([option, arg]: readonly unknown[]) =>
    option === 'PR_SET_NO_NEW_PRIVS' ? 'set-user-ID programs give nothing any more' : option === 'PR_CAPBSET_DROP' ? `${arg} can never be had again` : option === 'PR_CAP_AMBIENT' ? `ambient: ${arg}` :
    option === 'PR_SET_KEEPCAPS' ? `capabilities ${Number(arg) ? 'stay' : 'go'} when the user changes` : '',
  seccomp: () => 'from here on a filter looks at every system call',
  execve: ([path, argv]: readonly unknown[]) => `becomes ${Array.isArray(argv) ? argv.join(' ') : path}`,
};

const NETWORK: Readonly<Record<string, (r: Record<string, unknown>) => string>> = {
  'link.add': (r) => `new ${r.kind} ${r.name ?? ''}${r.peer ? ` and its other end ${(r.peer as { name?: string }).name ?? ''}` : ''}`,
  'link.set': (r) => `${r.name}: ${[r.newName && `is called ${r.newName}`, r.master && `joins bridge ${r.master}`, r.netns && 'moves to another namespace', r.up === true && 'up', r.up === false && 'down', r.address && `has ${r.address}`].filter(Boolean).join(', ') || 'changed'}`,
  'link.del': (r) => `${r.name} goes away`,
  'addr.add': (r) => `${r.dev} has ${r.address}/${r.prefix}`,
  'route.add': (r) => `route to ${r.to}${r.via ? ` via ${r.via}` : ''}${r.dev ? ` on ${r.dev}` : ''}`,
  'nf.append': (r) => `rule in ${r.table} ${r.chain}`,
  'nf.insert': (r) => `rule in ${r.table} ${r.chain}`,
  'nf.delete': (r) => `rule leaves ${r.table} ${r.chain}`,
};

function network(request: Record<string, unknown>): string {
  return NETWORK[String(request.type)]?.(request) ?? String(request.type);
}

/** Empty where there are no words. */
export function phrase(call: ErrandCall): string {
  return plainly(PHRASES[call.name]?.(call.args as readonly never[], call) ?? '');
}
