/** Virtual machines as a host knows them: what libvirt's files define, and what KVM runs now, joined by name. */
import { type KvmState, type KvmVm, kvmOf, vmByName } from '../kernel/drivers/kvm.ts';
import type { Kernel } from '../kernel/records.ts';
import { SysError } from '../kernel/abi.ts';
import { type Content, readContent } from '../kernel/vfs/content.ts';
import { lookup } from '../kernel/vfs/path.ts';
import type { Path } from '../kernel/vfs/types.ts';
import { text } from '../sim/text.ts';
import type { Vm } from '../hypervisor/vm.ts';
import type { World } from '../world/world.ts';
import { type Arg, kernelsOf } from './view.ts';

export interface Guest {
  kernel: Kernel;
  name: string;
  /** libvirt's definition or status; empty without. */
  defined: string;
  status: string;
  kvm: KvmVm | null;
}

function place(kernel: Kernel, path: string): Path | null {
  const init = kernel.tasks.get(1);
  if (!init) return null;
  try {
    return lookup(kernel, init, init.fs.root, path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return null;
  }
}

/** A file's text as pid 1 would read it; empty when it is not there. */
function fileText(kernel: Kernel, path: string): string {
  const inode = place(kernel, path)?.dentry.inode;
  return inode?.kind === 'file' ? text(readContent(inode.data as Content, inode.size, 0, inode.size)) : '';
}

function namesIn(kernel: Kernel, path: string): string[] {
  const at = place(kernel, path);
  if (at?.dentry.inode.kind !== 'dir') return [];
  return at.dentry.sb.ops.readdir(kernel, at.dentry).filter((entry) => entry.type === 'file' && entry.name.endsWith('.xml')).map((entry) => entry.name.slice(0, -4)).sort();
}

export function guestsOf(kernel: Kernel): Guest[] {
  const kvm = kernel.drivers.get('kvm') as KvmState | undefined;
  const defined = namesIn(kernel, '/etc/libvirt/qemu');
  const running = namesIn(kernel, '/run/libvirt/qemu');
  const names = new Set([...defined, ...running, ...[...(kvm?.vms.values() ?? [])].map((one) => one.name)]);
  return [...names].sort().map((name) => ({
    kernel, name, defined: fileText(kernel, `/etc/libvirt/qemu/${name}.xml`), status: fileText(kernel, `/run/libvirt/qemu/${name}.xml`), kvm: kvm ? vmByName(kernel, name) : null,
  }));
}

/** The machine that a view's argument names, by KVM's id or by name: one that runs, else the newest that has ended. */
export function machineIn(world: World, arg: Arg): { kernel: Kernel; kvm: KvmVm; vm: Vm } | null {
  for (const kernel of kernelsOf(world, arg)) {
    if (!kernel.drivers.has('kvm')) continue;
    const kvm = virtualMachine(kernel, arg);
    if (kvm?.vm) return { kernel, kvm, vm: kvm.vm };
  }
  return null;
}

function virtualMachine(kernel: Kernel, arg: Arg): KvmVm | null {
  const { vms, ended } = kvmOf(kernel);
  if (arg.id !== undefined && arg.id !== null) return vms.get(Number(arg.id)) ?? ended.find((one) => one.id === Number(arg.id)) ?? null;
  const name = String(arg.vm ?? '');
  return vmByName(kernel, name) ?? ended.findLast((one) => one.name === name) ?? null;
}

export const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
