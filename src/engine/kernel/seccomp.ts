/**
 * seccomp filters as lists of rules: the form in which container profiles are written and from which libseccomp makes BPF. A rule
 * names calls, may compare arguments, and has an action; the first that fits counts, else the filter's default. Of a task's
 * filters, inherited and never taken off, the most severe verdict counts. A call of the door stands for its older names too
 * (mkdirat for mkdir): a rule that names only such a one counts where none names the call itself.
 * Source: seccomp(2), moby's and the OCI's profile format. Left out: USER_NOTIF, TRACE, the BPF program itself.
 */
import { type Errno, ERRNO, SIG, SysError } from './abi.ts';
import type { Kernel, Task } from './records.ts';
import { killProcess } from './signals.ts';
import { logLine } from './log.ts';

export const SECCOMP_ACTIONS = ['kill_process', 'kill_thread', 'trap', 'errno', 'trace', 'log', 'allow'] as const;
type Action = (typeof SECCOMP_ACTIONS)[number];

const COMPARES = {
  SCMP_CMP_NE: (a: number, b: number) => a !== b,
  SCMP_CMP_LT: (a: number, b: number) => a < b,
  SCMP_CMP_LE: (a: number, b: number) => a <= b,
  SCMP_CMP_EQ: (a: number, b: number) => a === b,
  SCMP_CMP_GE: (a: number, b: number) => a >= b,
  SCMP_CMP_GT: (a: number, b: number) => a > b,
  SCMP_CMP_MASKED_EQ: (a: number, mask: number, value: number) => Number(BigInt.asUintN(64, BigInt(Math.trunc(a)) & BigInt(Math.trunc(mask)))) === value,
} as const;

export interface SeccompArg {
  index: number;
  value: number;
  valueTwo?: number;
  op: keyof typeof COMPARES;
}

export interface SeccompRule {
  names: readonly string[];
  action: Action;
  /** Of action errno; EPERM when not given. */
  errno?: Errno | number;
  args?: readonly SeccompArg[];
}

export interface SeccompProfile {
  defaultAction: Action;
  defaultErrno?: Errno | number;
  rules: readonly SeccompRule[];
}

type Verdict = Pick<SeccompRule, 'action' | 'errno'>;

export interface SeccompFilter {
  fallback: Verdict;
  byName: ReadonlyMap<string, readonly SeccompRule[]>;
}

/** Older names of what a call of the door does. */
const OLDER: Readonly<Record<string, readonly string[]>> = {
  openat: ['open', 'creat'], newfstatat: ['stat', 'lstat'], mkdirat: ['mkdir'], mknodat: ['mknod'], unlinkat: ['unlink', 'rmdir'], renameat2: ['rename', 'renameat'], linkat: ['link'],
  symlinkat: ['symlink'], readlinkat: ['readlink'], fchmodat: ['chmod', 'fchmod'], fchownat: ['chown', 'lchown', 'fchown'], utimensat: ['utime', 'utimes', 'futimesat'], faccessat: ['access', 'faccessat2'],
  pipe2: ['pipe'], dup3: ['dup2'], accept4: ['accept'], clone: ['fork', 'vfork'], nanosleep: ['clock_nanosleep'], poll: ['ppoll', 'select', 'pselect6'], getdents64: ['getdents'], setresuid: ['setuid', 'setreuid'],
  setresgid: ['setgid', 'setregid'], netlink: ['sendmsg'], umount2: ['umount'], exit_group: ['exit'], execve: ['execveat'],
};

/** Bad values in a profile: EINVAL. */
function requireFits(profile: SeccompProfile): void {
  const fits = (action: unknown): boolean => SECCOMP_ACTIONS.includes(action as Action);
  if (!fits(profile.defaultAction) || !profile.rules.every((rule) => fits(rule.action))) throw new SysError('EINVAL');
  for (const rule of profile.rules) for (const arg of rule.args ?? []) if (arg.index < 0 || arg.index > 5 || !Object.hasOwn(COMPARES, arg.op)) throw new SysError('EINVAL');
}

/** The filter of a profile; equal profiles share one, as a thousand containers have the same. Throws EINVAL. */
export function filterOf(kernel: Kernel, profile: SeccompProfile): SeccompFilter {
  let known = kernel.drivers.get('seccomp') as Map<string, SeccompFilter> | undefined;
  if (!known) kernel.drivers.set('seccomp', (known = new Map()));
  const key = JSON.stringify(profile);
  let filter = known.get(key);
  if (!filter) known.set(key, (filter = compile(profile)));
  return filter;
}

function compile(profile: SeccompProfile): SeccompFilter {
  requireFits(profile);
  const byName = new Map<string, SeccompRule[]>();
  for (const rule of profile.rules) {
    for (const name of rule.names) {
      const known = byName.get(name);
      if (known) known.push(rule);
      else byName.set(name, [rule]);
    }
  }
  return { fallback: { action: profile.defaultAction, ...(profile.defaultErrno === undefined ? {} : { errno: profile.defaultErrno }) }, byName };
}

/** The argument at a position as the machine's register holds it. */
function register(name: string, args: readonly unknown[], index: number): number {
  const value = name === 'clone' && index === 0 ? (args[0] as { flags?: unknown } | undefined)?.flags : args[index];
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function ruleFor(filter: SeccompFilter, known: string, name: string, args: readonly unknown[]): Verdict | null {
  for (const rule of filter.byName.get(known) ?? []) {
    if ((rule.args ?? []).every((arg) => COMPARES[arg.op](register(name, args, arg.index), arg.value, arg.valueTwo ?? 0))) return rule;
  }
  return null;
}

function verdictOf(filter: SeccompFilter, name: string, args: readonly unknown[]): Verdict {
  const own = ruleFor(filter, name, name, args);
  if (own || filter.byName.has(name)) return own ?? filter.fallback;
  for (const older of OLDER[name] ?? []) {
    const found = ruleFor(filter, older, name, args);
    if (found) return found;
  }
  return filter.fallback;
}

const NUMBERED = new Map(Object.entries(ERRNO).map(([name, [number]]) => [number as number, name as Errno]));

function errnoOf(errno: Errno | number | undefined): Errno {
  return typeof errno === 'number' ? (NUMBERED.get(errno) ?? 'EPERM') : (errno ?? 'EPERM');
}

/** What the task's filters make of a call: an errno to fail with, or null to go on. The task may be dead afterwards. */
export function filtered(kernel: Kernel, task: Task, name: string, args: readonly unknown[]): Errno | null {
  let worst: Verdict = { action: 'allow' };
  for (const filter of task.seccomp) {
    const verdict = verdictOf(filter, name, args);
    if (SECCOMP_ACTIONS.indexOf(verdict.action) < SECCOMP_ACTIONS.indexOf(worst.action)) worst = verdict;
  }
  if (worst.action === 'allow') return null;
  if (worst.action === 'errno') return errnoOf(worst.errno);
  if (worst.action === 'trace') return 'ENOSYS';
  if (worst.action !== 'trap') logLine(kernel, 5, `audit: type=1326 audit(${(kernel.timeline.now / 1e9).toFixed(3)}:1): uid=${task.cred.uid} pid=${task.pid} comm="${task.comm}" sig=${worst.action === 'log' ? 0 : SIG.SYS} arch=c000003e syscall=${name} code=${worst.action}`);
  if (worst.action === 'log') return null;
  killProcess(kernel, task.leader, SIG.SYS | 0x80, 'seccomp');
  return null;
}
