/**
 * Programs that ask what a machine is: virt-host-validate (can it host guests?), virt-what and systemd-detect-virt (is it
 * one, or a container?). They look where the real ones look: flags in /proc/cpuinfo, nodes in /dev, controllers in
 * /sys/fs/cgroup, names in /proc/self/ns, /.dockerenv. Left out: CPUID itself, so a hypervisor below has no name ("vm-other").
 * Source: virt-host-validate(1), virt-what(1), systemd-detect-virt(1).
 */
import { AT_FDCWD } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { attempt, exists, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';

interface Check {
  what: string;
  verdict: 'PASS' | 'FAIL' | 'WARN';
  hint: string;
}

const check = (what: string, ok: boolean, otherwise: 'FAIL' | 'WARN', hint: string): Check => ({ what, verdict: ok ? 'PASS' : otherwise, hint: ok ? '' : hint });

function* cpuFlags(): Call<string[]> {
  return (/^flags\s*:(.*)$/m.exec((yield* tryRead('/proc/cpuinfo')) ?? '')?.[1] ?? '').trim().split(/\s+/);
}

function* qemuChecks(): Call<Check[]> {
  const flags = yield* cpuFlags();
  const hardware = flags.includes('vmx') || flags.includes('svm');
  const out = [check('hardware virtualization', hardware, 'FAIL', 'Host not compatible with KVM; HW virtualization CPU features not found. Only emulated CPUs are available; performance will be significantly limited')];
  if (hardware) {
    out.push(check('if device /dev/kvm exists', yield* exists('/dev/kvm'), 'FAIL', "Check that the 'kvm-intel' or 'kvm-amd' modules are loaded & the BIOS has enabled virtualization"));
    const mayUse = (yield* attempt(sys('faccessat', AT_FDCWD, '/dev/kvm', 6), -1)) === 0;
    out.push(check('if device /dev/kvm is accessible', mayUse, 'FAIL', 'Check /dev/kvm is world writable or you are in a group that is allowed to access it'));
  }
  out.push(check('if device /dev/vhost-net exists', yield* exists('/dev/vhost-net'), 'WARN', "Load the 'vhost_net' module to improve performance of virtio networking"));
  out.push(check('if device /dev/net/tun exists', yield* exists('/dev/net/tun'), 'FAIL', "Load the 'tun' module to enable networking for QEMU guests"));
  out.push(...(yield* cgroupChecks(['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'blkio'])));
  out.push(check('device assignment IOMMU support', yield* exists('/sys/kernel/iommu_groups/0'), 'WARN', 'Unknown if this platform has IOMMU support'));
  out.push(check('secure guest support', false, 'WARN', 'Unknown if this platform has Secure Guest support'));
  return out;
}

/** In cgroup v2 cpuacct is cpu's, devices and freezer need no controller, and blkio is called io. */
function* cgroupChecks(names: readonly string[]): Call<Check[]> {
  const there = ((yield* tryRead('/sys/fs/cgroup/cgroup.controllers')) ?? '').trim().split(/\s+/).filter(Boolean);
  const needs: Readonly<Record<string, string>> = { cpuacct: 'cpu', blkio: 'io' };
  return names.map((name) => {
    const has = name === 'devices' || name === 'freezer' ? there.length > 0 : there.includes(needs[name] ?? name);
    return check(`cgroup '${name}' controller support`, has, 'FAIL', `Enable '${name}' in kernel Kconfig file or mount/enable cgroup controller in your system`);
  });
}

function* lxcChecks(): Call<Check[]> {
  const { release } = yield* sys('uname');
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  const out = [check('Linux >= 2.6.26', major > 2 || (major === 2 && minor > 6), 'FAIL', 'Upgrade to a kernel supporting namespaces')];
  for (const name of ['ipc', 'mnt', 'pid', 'uts', 'net', 'user']) out.push(check(`namespace ${name}`, yield* exists(`/proc/self/ns/${name}`), 'FAIL', `${name.toUpperCase()} namespace support is required`));
  out.push(...(yield* cgroupChecks(['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio'])));
  out.push(check('if device /sys/fs/fuse/connections exists', yield* exists('/sys/fs/fuse/connections'), 'FAIL', "Load the 'fuse' module to enable /proc/ overrides"));
  return out;
}

const DRIVERS: Readonly<Record<string, () => Call<Check[]>>> = { qemu: qemuChecks, lxc: lxcChecks };

export const virtHostValidate: Program = command(function* (argv) {
  const quiet = argv.includes('-q') || argv.includes('--quiet');
  const [driver] = argv.slice(1).filter((word) => !word.startsWith('-'));
  if (argv.includes('-v') || argv.includes('--version')) {
    yield* print('version: 9.0.0\n');
    return 0;
  }
  if (driver !== undefined && !Object.hasOwn(DRIVERS, driver)) throw new Failed(`unsupported hypervisor name ${driver}`);
  let failed = false;
  for (const name of driver === undefined ? Object.keys(DRIVERS) : [driver]) {
    for (const { what, verdict, hint } of yield* DRIVERS[name]!()) {
      if (verdict === 'FAIL') failed = true;
      if (!quiet) yield* print(`${name.toUpperCase().padStart(6)}: Checking ${(what.startsWith('if ') ? what : `for ${what}`).padEnd(60)}: ${verdict}${hint === '' ? '' : ` (${hint})`}\n`);
    }
  }
  return failed ? 1 : 0;
});

/** What this process is inside of, innermost first. */
export function* surroundings(): Call<{ container: string | null; vm: string | null }> {
  const marked = (yield* tryRead('/run/systemd/container'))?.trim();
  const container = marked || ((yield* exists('/.dockerenv')) ? 'docker' : null);
  return { container, vm: (yield* cpuFlags()).includes('hypervisor') ? 'vm-other' : null };
}

const KINDS =
  'none kvm amazon qemu bochs xen uml vmware oracle microsoft zvm parallels bhyve qnx acrn powervm apple sre google vm-other systemd-nspawn lxc-libvirt lxc openvz docker podman rkt wsl proot pouch container-other'.split(' ');

export const systemdDetectVirt: Program = command(function* (argv) {
  if (argv.includes('--list')) {
    yield* print(`${KINDS.join('\n')}\n`);
    return 0;
  }
  const { container, vm } = yield* surroundings();
  const asked = argv.includes('--vm') || argv.includes('-v') ? vm : argv.includes('--container') || argv.includes('-c') ? container : (container ?? vm);
  if (!argv.includes('-q') && !argv.includes('--quiet')) yield* print(`${asked ?? 'none'}\n`);
  return asked === null ? 1 : 0;
});

export const virtWhat: Program = command(function* (argv) {
  if (argv.includes('--version')) {
    yield* print('1.25\n');
    return 0;
  }
  if ((yield* sys('geteuid')) !== 0) throw new Failed('this script must be run as root');
  const { container } = yield* surroundings();
  if (container !== null) yield* print(`${container}\n`);
  return 0;
});
