/** What processes hold open, as /proc/PID/{cwd,root,exe,maps,fd,fdinfo} tell: for fuser and lsof. Source: proc_pid_fd(5), proc_pid_fdinfo(5). */
import { AT_FDCWD, type Stat } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

/** One use of a file: a place ("cwd", "rtd", "txt", "mem") or a descriptor's number. */
export interface Use {
  fd: string;
  /** Of a descriptor: r, w, u; of a place a blank. */
  access: string;
  /** What the link says. */
  name: string;
  stat: Stat | null;
  offset: number;
}

const PLACES: readonly (readonly [string, string])[] = [['cwd', 'cwd'], ['root', 'rtd'], ['exe', 'txt']];

/** Places first, then what is mapped, then descriptors in order. Empty for a process that may not be looked into. */
export function* usesOf(pid: number): Call<Use[]> {
  const uses: Use[] = [];
  for (const [file, fd] of PLACES) {
    const path = `/proc/${pid}/${file}`;
    const name = yield* attempt(sys('readlinkat', AT_FDCWD, path), null);
    if (name !== null) uses.push({ fd, access: ' ', name, stat: yield* attempt(sys('newfstatat', AT_FDCWD, path, 0), null), offset: 0 });
  }
  const program = uses.find((one) => one.fd === 'txt')?.name;
  const mapped = new Set(((yield* tryRead(`/proc/${pid}/maps`)) ?? '').split('\n').map((line) => /\s(\/.*)$/.exec(line)?.[1]).filter((name): name is string => name !== undefined && name !== program));
  for (const name of mapped) uses.push({ fd: 'mem', access: ' ', name, stat: yield* attempt(sys('newfstatat', AT_FDCWD, name, 0), null), offset: 0 });
  const fds = (yield* list(`/proc/${pid}/fd`)).map((one) => Number(one.name)).sort((a, b) => a - b);
  for (const fd of fds) {
    const path = `/proc/${pid}/fd/${fd}`;
    const name = yield* attempt(sys('readlinkat', AT_FDCWD, path), null);
    if (name === null) continue;
    const info = (yield* tryRead(`/proc/${pid}/fdinfo/${fd}`)) ?? '';
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '0', 8);
    uses.push({ fd: String(fd), access: 'rwu'[flags & 3] ?? 'u', name, stat: yield* attempt(sys('newfstatat', AT_FDCWD, path, 0), null), offset: Number(/^pos:\s*(\d+)/m.exec(info)?.[1] ?? 0) });
  }
  return uses;
}

export const sameFile = (a: Stat | null, b: Stat | null): boolean => a !== null && b !== null && a.dev === b.dev && a.ino === b.ino;

/** A socket's end: address and port. */
export interface End {
  address: string;
  port: number;
}

export interface InetSocket {
  protocol: 'TCP' | 'UDP';
  inode: string;
  local: End;
  remote: End;
  /** As /proc/net says it: 0A listens. */
  state: string;
}

function endOf(hex: string): End {
  const [address, port] = hex.split(':') as [string, string];
  const octets = address.match(/../g)!.reverse().map((one) => Number.parseInt(one, 16));
  return { address: octets.join('.'), port: Number.parseInt(port, 16) };
}

/** Sockets of IPv4 of a process's network namespace. */
export function* inetSockets(of: number | 'self' = 'self'): Call<InetSocket[]> {
  const found: InetSocket[] = [];
  for (const protocol of ['TCP', 'UDP'] as const) {
    const rows = ((yield* tryRead(`/proc/${of}/net/${protocol.toLowerCase()}`)) ?? '').split('\n').slice(1).map((line) => line.trim().split(/\s+/)).filter((f) => f.length > 9);
    for (const f of rows) found.push({ protocol, local: endOf(f[1]!), remote: endOf(f[2]!), state: f[3]!, inode: f[9]! });
  }
  return found;
}
