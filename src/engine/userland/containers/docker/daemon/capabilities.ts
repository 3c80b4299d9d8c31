/** Capabilities: the default set of a container, and --cap-add, --cap-drop over it. Source: moby oci/caps. */
import { CAPABILITIES } from '../../../../kernel/abi.ts';

export const ALL_CAPABILITIES = CAPABILITIES.map((name) => `CAP_${name.toUpperCase()}`);

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
