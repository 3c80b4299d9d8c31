/**
 * What runc refuses in a config.json before it makes anything, in its words and order, and what it only warns of.
 * Source: runc 1.1 libcontainer/specconv/spec_linux.go (CreateLibcontainerConfig), libcontainer/configs/validate.
 */
import type { Seccomp, Spec } from './spec.ts';

const KINDS = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'];
const PROPAGATIONS = ['', 'rprivate', 'private', 'rslave', 'slave', 'rshared', 'shared', 'runbindable', 'unbindable'];

/** RLIMIT_* as the kernel numbers them. */
export const RLIMITS: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0, RLIMIT_FSIZE: 1, RLIMIT_DATA: 2, RLIMIT_STACK: 3, RLIMIT_CORE: 4, RLIMIT_RSS: 5, RLIMIT_NPROC: 6, RLIMIT_NOFILE: 7, RLIMIT_MEMLOCK: 8, RLIMIT_AS: 9, RLIMIT_LOCKS: 10, RLIMIT_SIGPENDING: 11, RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13, RLIMIT_RTPRIO: 14, RLIMIT_RTTIME: 15,
};

const ACTIONS = new Set(['KILL', 'KILL_PROCESS', 'KILL_THREAD', 'ERRNO', 'TRAP', 'ALLOW', 'TRACE', 'LOG', 'NOTIFY'].map((one) => `SCMP_ACT_${one}`));
const OPERATORS = new Set(['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((one) => `SCMP_CMP_${one}`));
const ARCHES = new Set('X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE RISCV64 S390 S390X'.split(' ').map((one) => `SCMP_ARCH_${one}`));

const has = (spec: Spec, type: string): boolean => spec.linux.namespaces.some((one) => one.type === type);
const pair = ({ type, path }: { type: string; path?: string }): string => `{${JSON.stringify(type)} ${JSON.stringify(path ?? '')}}`;

function seccompFault({ flags, defaultAction, architectures, syscalls }: Seccomp & { flags?: string[] }): string | null {
  if (flags && flags.length > 0) return 'seccomp flags are not yet supported by runc';
  for (const arch of architectures ?? []) if (!ARCHES.has(arch)) return `string ${arch} is not a valid arch for seccomp`;
  if (!ACTIONS.has(defaultAction)) return `string ${defaultAction} is not a valid action for seccomp`;
  for (const { action, args } of syscalls ?? []) {
    if (!ACTIONS.has(action)) return `string ${action} is not a valid action for seccomp`;
    for (const { op } of args ?? []) if (!OPERATORS.has(op)) return `string ${op} is not a valid operator for seccomp`;
  }
  return null;
}

/** What cannot be understood; null when all of it can. */
function converted({ linux, process }: Spec): string | null {
  if (!PROPAGATIONS.includes(linux.rootfsPropagation ?? '')) return `rootfsPropagation=${linux.rootfsPropagation} is not supported`;
  const seen = new Set<string>();
  for (const one of linux.namespaces) {
    if (!KINDS.includes(one.type)) return `namespace ${pair(one)} does not exist`;
    if (seen.has(one.type)) return `malformed spec file: duplicated ns ${pair(one)}`;
    seen.add(one.type);
  }
  for (const { type } of linux.devices ?? []) if (!/^[bcup]$/.test(type)) return `invalid device type ${JSON.stringify(type)}`;
  for (const { type } of (linux.resources?.devices ?? []) as { type?: string }[]) if (type !== undefined && !/^[abc]?$/.test(type)) return `invalid cgroup device type ${JSON.stringify(type)}`;
  const seccomp = linux.seccomp ? seccompFault(linux.seccomp) : null;
  if (seccomp) return seccomp;
  for (const { type } of process.rlimits ?? []) if (RLIMITS[type] === undefined) return `wrong rlimit value: ${type}`;
  return null;
}

const IPC_SYSCTLS = new Set('msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced'.split(' ').map((one) => `kernel.${one}`));

function sysctlFault(spec: Spec, given: string): string | null {
  const key = given.replaceAll('/', '.');
  if (IPC_SYSCTLS.has(key) || key.startsWith('fs.mqueue.')) return has(spec, 'ipc') ? null : `sysctl ${JSON.stringify(given)} is not allowed in the hosts ipc namespace`;
  if (key.startsWith('net.')) return has(spec, 'network') ? null : `sysctl ${JSON.stringify(given)} not allowed in host network namespace`;
  if (key === 'kernel.domainname' && has(spec, 'uts')) return null;
  if (key === 'kernel.hostname' && has(spec, 'uts')) return `sysctl ${JSON.stringify(given)} is not allowed as it conflicts with the OCI "hostname" field`;
  return key.startsWith('user.') && has(spec, 'user') ? null : `sysctl ${JSON.stringify(given)} is not in a separate kernel namespace`;
}

/** Namespaces that a setting needs, and what is missing otherwise. */
function valid(spec: Spec): string | null {
  const { linux } = spec;
  if (spec.hostname && !has(spec, 'uts')) return 'unable to set hostname without a private UTS namespace';
  if ((linux.maskedPaths?.length || linux.readonlyPaths?.length) && !has(spec, 'mount')) return 'unable to restrict sys entries without a private MNT namespace';
  if (!has(spec, 'user') && (linux.uidMappings?.length || linux.gidMappings?.length)) return "User namespace mappings specified, but USER namespace isn't enabled in the config";
  for (const key of Object.keys(linux.sysctl ?? {})) {
    const fault = sysctlFault(spec, key);
    if (fault) return fault;
  }
  if (has(spec, 'user') && !linux.namespaces.find((one) => one.type === 'user')!.path) {
    if (!linux.uidMappings?.length) return 'User namespaces enabled, but no uid mappings found.';
    if (!linux.gidMappings?.length) return 'User namespaces enabled, but no gid mappings found.';
  }
  return null;
}

/** As runc's program joins them with the loader of Go's %+v. */
const mountText = (m: Spec['mounts'][number]): string =>
  `invalid mount &{Source:${m.source ?? ''} Destination:${m.destination} Device:${m.type ?? ''} Flags:0 PropagationFlags:[] Data: Relabel: RecAttr:<nil> Extensions:0 PremountCmds:[] PostmountCmds:[]}: mount destination not absolute`;

/** Warnings with their further field, in order, and the first fault. */
export function validate(spec: Spec): { warnings: { message: string; error?: string }[]; fault: string | null } {
  const relative = spec.mounts.filter((one) => !one.destination.startsWith('/'));
  const warnings: { message: string; error?: string }[] = relative.map((one) => ({ message: `mount destination ${one.destination} is not absolute. Support for non-absolute mount destinations will be removed in a future release.` }));
  const fault = converted(spec) ?? valid(spec);
  if (!fault) for (const one of relative) warnings.push({ message: 'invalid configuration', error: mountText(one) });
  return { warnings, fault };
}
