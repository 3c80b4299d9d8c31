/** Virtualization programs by install path. */
import type { ProgramTable } from '../programs.ts';
import { bare } from './bare.ts';
import { libvirtd } from './libvirtd/libvirtd.ts';
import { perf } from './perf/perf.ts';
import { systemdDetectVirt, virtHostValidate, virtWhat } from './probe.ts';
import { gdb } from './gdb/gdb.ts';
import { cpuid } from './processor/cpuid.ts';
import { rdmsr, wrmsr } from './processor/msrtools.ts';
import { qemuImg } from './qemuimg/qemuimg.ts';
import { qemuIo } from './qemuimg/qemuio.ts';
import { qemu } from './qemu/qemu.ts';
import { virsh } from './virsh/virsh.ts';
import { virtInstall } from './virtinstall.ts';

export const virt: ProgramTable = {
  '/usr/bin/bare': bare,
  '/usr/bin/cpuid': cpuid,
  '/usr/bin/gdb': gdb,
  '/usr/bin/perf': perf,
  '/usr/bin/qemu-img': qemuImg,
  '/usr/bin/qemu-io': qemuIo,
  '/usr/bin/qemu-system-x86_64': qemu,
  '/usr/bin/systemd-detect-virt': systemdDetectVirt,
  '/usr/bin/virsh': virsh,
  '/usr/bin/virt-host-validate': virtHostValidate,
  '/usr/bin/virt-install': virtInstall,
  '/usr/sbin/libvirtd': libvirtd,
  '/usr/sbin/rdmsr': rdmsr,
  '/usr/sbin/virt-what': virtWhat,
  '/usr/sbin/wrmsr': wrmsr,
};
