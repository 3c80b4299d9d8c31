/**
 * The default system-call filter of a container as a list of what it refuses among the calls that this kernel has: docker's
 * profile allows by name, and everything else fails with EPERM. Calls that a capability opens are in `WITH`.
 * Source: moby profiles/seccomp/default.json.
 */
const WITH: Readonly<Record<string, readonly string[]>> = {
  CAP_SYS_ADMIN: ['mount', 'umount2', 'pivot_root', 'setns', 'unshare', 'sethostname', 'setdomainname'],
  CAP_SYS_BOOT: ['reboot'],
  CAP_SYS_CHROOT: ['chroot'],
  CAP_SYSLOG: ['syslog'],
};

export interface SeccompProfile {
  defaultAction: string;
  syscalls: { names: string[]; action: string }[];
}

/** The profile for a container that runs with these capabilities; null when it runs unconfined. */
export function seccompFor(capabilities: readonly string[], options: readonly string[] | null, privileged: boolean): SeccompProfile | null {
  if (privileged || (options ?? []).some((o) => /^seccomp[=:]unconfined$/.test(o))) return null;
  const refused = Object.entries(WITH)
    .filter(([cap]) => !capabilities.includes(cap))
    .flatMap(([, names]) => names);
  return { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: refused, action: 'SCMP_ACT_ERRNO' }] };
}
