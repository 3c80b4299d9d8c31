/** Simulated processor time of system calls, ns: the order of magnitude on a machine of today at 2 GHz with mitigations. Our own estimates. */
import type { Syscalls } from '../sys.ts';

const TABLE: Partial<Record<keyof Syscalls, number>> = {
  getpid: 80, getppid: 80, gettid: 80, clock_gettime: 40, getuid: 80, geteuid: 80, clone: 90_000, unshare: 40_000, setns: 8_000, exit_group: 60_000,
  wait4: 900, openat: 1_300, close: 250, read: 350, write: 400, fstat: 300, newfstatat: 800, getdents64: 2_500, mkdirat: 4_000, unlinkat: 4_500,
  renameat2: 6_000, linkat: 4_000, symlinkat: 5_000, mount: 30_000, umount2: 25_000, pivot_root: 20_000, pipe2: 1_500, close_range: 1_000, socket: 1_800, socketpair: 3_000,
  connect: 8_000, accept4: 3_000, sendto: 1_200, recvfrom: 900, sendmsg: 1_400, recvmsg: 1_100, poll: 700, mmap: 1_200, munmap: 1_500, brk: 600,
  fsync: 20_000, sync: 20_000, netlink: 5_000, kill: 700, rt_sigaction: 150, rt_sigprocmask: 120,
};
const OTHER = 300;
const COSTS: ReadonlyMap<string, number> = new Map(Object.entries(TABLE));
/** A byte copied. */
const BYTE = 0.08;

export function callCost(name: keyof Syscalls, args: readonly unknown[], result: unknown): number {
  const data = result instanceof Uint8Array ? result : args[1];
  return (COSTS.get(name) ?? OTHER) + (data instanceof Uint8Array ? Math.floor(data.length * BYTE) : 0);
}
