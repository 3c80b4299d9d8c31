/** What a domain's definition may say: refusals in libvirt's words, as it prints them at define. Source: libvirt 9.0, domain_conf.c and its QEMU driver. */
import type { Domain } from './xml.ts';

/** A refusal in libvirt's words. */
export class LibvirtError extends Error {}

const ARCHES = new Set('aarch64 alpha armv6l armv7b armv7l cris i686 itanium lm32 loongarch64 m68k microblaze mips mips64 mips64el mipsel or32 parisc parisc64 ppc ppc64 ppc64le ppcemb riscv32 riscv64 s390 s390x sh4 sh4eb sparc sparc64 unicore32 x86_64 xtensa xtensaeb'.split(' '));
const FEATURES = new Set('acpi apic pae hap viridian privnet hyperv kvm pvspinlock capabilities pmu vmport gic smm ioapic hpt vmcoreinfo htm nested-hv msrs ccf-assist xen cfpc sbbc ibs tcg async-teardown'.split(' '));
const ACTIONS = new Set(['destroy', 'restart', 'rename-restart', 'preserve']);
const CRASH_ACTIONS = new Set([...ACTIONS, 'coredump-destroy', 'coredump-restart']);
const FORMATS = new Set('none raw dir bochs cloop dmg iso vpc vdi fat vhd ploop cow qcow qcow2 qed vmdk'.split(' '));
const DEVICES = new Set(['disk', 'cdrom', 'floppy', 'lun']);
const BUSES = new Set(['ide', 'fdc', 'scsi', 'virtio', 'xen', 'usb', 'uml', 'sata', 'sd']);

/** Throws LibvirtError. */
export function checkDomain(domain: Domain): void {
  const { arch, emulator, vcpus } = domain;
  if (!ARCHES.has(arch)) throw new LibvirtError(`unsupported configuration: Unknown architecture ${arch}`);
  if (vcpus > 255) throw new LibvirtError('unsupported configuration: Maximum CPUs greater than specified machine type limit 255');
  const feature = domain.features.find((name) => !FEATURES.has(name));
  if (feature !== undefined) throw new LibvirtError(`unsupported configuration: unexpected feature '${feature}'`);
  for (const [name, action, known] of [['on_poweroff', domain.onPoweroff, ACTIONS], ['on_reboot', domain.onReboot, ACTIONS], ['on_crash', domain.onCrash, CRASH_ACTIONS]] as const) {
    if (!known.has(action)) throw new LibvirtError(`unsupported configuration: unknown ${name} action: ${action}`);
  }
  if (arch !== 'x86_64' && arch !== 'i686') throw new LibvirtError(`unsupported configuration: Emulator '${emulator}' does not support arch '${arch}'`);
  checkDisks(domain);
  for (const { mac, network } of domain.interfaces) {
    checkMac(mac);
    if (network === '') throw new LibvirtError("XML error: interface type='network' requires a 'source' element");
  }
}

function checkDisks({ disks }: Domain): void {
  for (const [n, disk] of disks.entries()) {
    if (!DEVICES.has(disk.device)) throw new LibvirtError(`XML error: Invalid value for attribute 'device' in element 'disk': '${disk.device}'.`);
    if (!BUSES.has(disk.bus)) throw new LibvirtError(`XML error: Invalid value for attribute 'bus' in element 'target': '${disk.bus}'.`);
    if (!FORMATS.has(disk.driver)) throw new LibvirtError(`unsupported configuration: unknown driver format value '${disk.driver}'`);
    const before = disks.slice(0, n).find((other) => other.target === disk.target);
    if (before) throw new LibvirtError(`XML error: target '${disk.target}' duplicated for disk sources '${before.source}' and '${disk.source}'`);
  }
}

function checkMac(mac: string): void {
  if (mac === '') return;
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(mac)) throw new LibvirtError(`XML error: unable to parse mac address '${mac}'`);
  if (Number.parseInt(mac, 16) & 1) throw new LibvirtError(`XML error: expected unicast mac address, found multicast '${mac}'`);
}
