/**
 * Which system-call filter a container gets: docker's default, one that --security-opt seccomp=FILE gives, or none; and how a
 * profile in docker's form, with its conditions on capabilities and kernels, becomes one of the runtime. Source: moby
 * profiles/seccomp/seccomp_linux.go, daemon/seccomp_linux.go.
 */
import type { Seccomp, SeccompRule } from '../../runc/spec.ts';
import { DEFAULT_PROFILE } from './seccomp-default.ts';
import { Refused } from './state.ts';

interface Condition {
  caps?: readonly string[];
  arches?: readonly string[];
  minKernel?: string;
}

export interface ProfileRule extends SeccompRule {
  /** Of old profiles. */
  name?: string;
  includes?: Condition;
  excludes?: Condition;
}

interface Profile {
  defaultAction?: string;
  defaultErrnoRet?: number;
  architectures?: readonly string[] | null;
  archMap?: readonly unknown[] | null;
  syscalls?: readonly ProfileRule[] | null;
}

const ARCH = 'amd64';
const KERNEL = [6, 12] as const;

function newEnough(least: string): boolean {
  const [major = 0, minor = 0] = least.split('.').map(Number);
  return KERNEL[0] > major || (KERNEL[0] === major && KERNEL[1] >= minor);
}

function applies(rule: ProfileRule, capabilities: readonly string[]): boolean {
  const { includes = {}, excludes = {} } = rule;
  if ((excludes.arches ?? []).includes(ARCH) || (excludes.caps ?? []).some((cap) => capabilities.includes(cap))) return false;
  if (excludes.minKernel && newEnough(excludes.minKernel)) return false;
  if (includes.arches?.length && !includes.arches.includes(ARCH)) return false;
  if (!(includes.caps ?? []).every((cap) => capabilities.includes(cap))) return false;
  return !includes.minKernel || newEnough(includes.minKernel);
}

function resolve(profile: Profile, capabilities: readonly string[]): Seccomp {
  const rules = (profile.syscalls ?? []).filter((rule) => applies(rule, capabilities));
  return {
    defaultAction: profile.defaultAction ?? '',
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
    syscalls: rules.map((rule) => ({
      names: rule.name ? [rule.name] : [...rule.names], action: rule.action, ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }), ...(rule.args?.length ? { args: rule.args } : {}),
    })),
  };
}

/** A profile as the client has sent it. Throws Refused in docker's words. */
function parse(source: string): Profile {
  let profile: Profile | null = null;
  try {
    profile = JSON.parse(source) as Profile;
  } catch (error) {
    throw new Refused(400, `Decoding seccomp profile failed: ${(error as Error).message}`);
  }
  if (typeof profile !== 'object' || profile === null || Array.isArray(profile)) throw new Refused(400, 'Decoding seccomp profile failed: json: cannot unmarshal into Go value of type seccomp.Seccomp');
  if (profile.architectures?.length && profile.archMap?.length) throw new Refused(400, "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'");
  for (const rule of profile.syscalls ?? []) {
    if (rule.name && rule.names?.length) throw new Refused(400, "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'");
    if (!rule.name && !Array.isArray(rule.names)) rule.names = [];
  }
  return profile;
}

/** The filter of a container that runs with these capabilities; null when it runs unconfined. Throws Refused. */
export function seccompFor(capabilities: readonly string[], options: readonly string[] | null, privileged: boolean): Seccomp | null {
  if (privileged) return null;
  const asked = (options ?? []).map((one) => /^seccomp[=:](.*)$/s.exec(one)?.[1]).filter((one) => one !== undefined).at(-1);
  if (asked === 'unconfined') return null;
  return resolve(asked === undefined || asked === '' || asked === 'builtin' ? DEFAULT_PROFILE : parse(asked), capabilities);
}
