/** `runc features`: what runc 1.1.15 of Debian 13 is built with. Checkpoint, AppArmor, SELinux and NOTIFY are in its list and not in this model. */
import { CAPABILITIES } from '../../../kernel/abi.ts';

const OPTIONS = (
  'acl async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noacl noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime ' +
  'nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid ' +
  'rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable'
).split(' ');

/** That libseccomp can compile filters for. */
const ARCHITECTURES = 'AARCH64 ARM LOONGARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE RISCV64 S390 S390X X32 X86 X86_64'.split(' ');

export function featuresText(): string {
  return `${JSON.stringify({
    ociVersionMin: '1.0.0', ociVersionMax: '1.2.0', hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'], mountOptions: OPTIONS,
    linux: {
      namespaces: ['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts'], capabilities: CAPABILITIES.map((name) => `CAP_${name.toUpperCase()}`),
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true },
      seccomp: { enabled: true, actions: ['SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO', 'SCMP_ACT_KILL', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_KILL_THREAD', 'SCMP_ACT_LOG', 'SCMP_ACT_NOTIFY', 'SCMP_ACT_TRACE', 'SCMP_ACT_TRAP'], operators: ['SCMP_CMP_EQ', 'SCMP_CMP_GE', 'SCMP_CMP_GT', 'SCMP_CMP_LE', 'SCMP_CMP_LT', 'SCMP_CMP_MASKED_EQ', 'SCMP_CMP_NE'], archs: ARCHITECTURES.map((name) => `SCMP_ARCH_${name}`) },
      apparmor: { enabled: true }, selinux: { enabled: true },
    },
    annotations: { 'io.github.seccomp.libseccomp.version': '2.6.0', 'org.opencontainers.runc.checkpoint.enabled': 'true', 'org.opencontainers.runc.commit': '1.1.15+ds1-2+b4', 'org.opencontainers.runc.version': '1.1.15+ds1' },
  }, null, 4)}\n`;
}
