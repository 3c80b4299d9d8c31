/** Capabilities: the default set of a container, and --cap-add, --cap-drop over it. Source: moby oci/caps. */
export const ALL_CAPABILITIES = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE ' +
  'SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN ' +
  'SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((c) => `CAP_${c}`);

const DEFAULT = 'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'
  .split(' ')
  .map((c) => `CAP_${c}`);

const full = (name: string): string => {
  const upper = name.toUpperCase();
  return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
};

export function knownCapability(name: string): boolean {
  return full(name) === 'ALL' || full(name) === 'CAP_ALL' || ALL_CAPABILITIES.includes(full(name));
}

/** The set a container runs with. */
export function capabilitiesOf(add: readonly string[] | null, drop: readonly string[] | null, privileged: boolean): string[] {
  if (privileged) return ALL_CAPABILITIES.slice();
  const added = (add ?? []).map(full);
  const dropped = (drop ?? []).map(full);
  const base = added.includes('ALL') ? ALL_CAPABILITIES : dropped.includes('ALL') ? [] : DEFAULT;
  return [...base.filter((c) => !dropped.includes(c)), ...added.filter((c) => c !== 'ALL' && !base.includes(c))];
}
