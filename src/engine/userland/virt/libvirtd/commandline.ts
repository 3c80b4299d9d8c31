/** From a domain to QEMU's command line. Source: libvirt's qemu_command.c; only what the modelled QEMU has is passed on. */
import type { Domain } from '../libvirt/xml.ts';

export const homeOf = (id: number, name: string): string => `/var/lib/libvirt/qemu/domain-${id}-${name}`;
export const monitorOf = (id: number, name: string): string => `${homeOf(id, name)}/monitor.sock`;

export function commandLine(domain: Domain, id: number): string[] {
  const kvm = domain.type === 'kvm';
  return [
    domain.emulator, '-name', `guest=${domain.name},debug-threads=on`, '-S', '-machine', `${domain.machine},usb=off,dump-guest-core=off,memory-backend=pc.ram`,
    '-accel', kvm ? 'kvm' : 'tcg', '-cpu', kvm ? 'host' : (domain.cpu ?? 'qemu64'), '-m', String(Math.ceil(domain.memory / 1024)),
    '-overcommit', 'mem-lock=off', '-smp', `${domain.vcpusNow},sockets=1,cores=1,threads=1`, '-uuid', domain.uuid, '-display', 'none', '-no-user-config', '-nodefaults',
    '-chardev', `socket,id=charmonitor,path=${monitorOf(id, domain.name)},server=on,wait=off`, '-mon', 'chardev=charmonitor,id=monitor,mode=control', '-rtc', 'base=utc', '-no-shutdown',
    ...(domain.onReboot === 'destroy' ? ['-no-reboot'] : []), '-boot', 'strict=on',
    ...(domain.kernel ? ['-kernel', domain.kernel] : []), ...(domain.initrd ? ['-initrd', domain.initrd] : []), ...(domain.cmdline ? ['-append', domain.cmdline] : []),
    ...(domain.serial ? ['-chardev', 'pty,id=charserial0', '-device', 'isa-serial,chardev=charserial0,id=serial0,index=0'] : []),
    '-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny', '-msg', 'timestamp=on',
  ];
}
