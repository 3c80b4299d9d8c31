/** A paravirtualized guest as its hypervisor keeps it, and how the hypervisor reads and writes the guest's linear memory. */
import { privilege, register } from '../../machine/machine.ts';
import type { Vm } from '../vm.ts';

/** What a machine frame is used as; exclusive while its count is not 0. Source: Barham et al., SOSP 2003, 3.3.3. */
export type FrameType = 'none' | 'l1' | 'l2' | 'l3' | 'l4' | 'writable';

export interface Frame {
  type: FrameType;
  /** References that hold the type. */
  count: number;
  pinned: boolean;
}

export interface TrapGate {
  cs: number;
  address: bigint;
  /** Lowest privilege that may raise it by INT n. */
  dpl: number;
  /** Taking it masks events. */
  masks: boolean;
}

export interface Domain {
  built: boolean;
  frames: Map<number, Frame>;
  traps: Map<number, TrapGate>;
  kernelStack: bigint;
  event: bigint;
  syscall: bigint;
  /** Host-physical addresses. */
  shared: number;
  l4: number;
  /** Machine address of the hypervisor's own level 3 tables, by reserved L4 slot. */
  reserved: Map<number, bigint>;
  /** Ports bound to a virtual interrupt, by port. */
  ports: Map<number, number>;
  /** Written to the console, not sent yet. */
  console: number[];
  /** Cycles of the hypervisor's that the next answer accounts. */
  owed: number;
  /** Why the newest refused hypercall was refused. */
  refused: string;
}

export const domainOf = (vm: Vm): Domain => vm.own as Domain;

/** 1: the guest's kernel, 3: its processes. */
export const ring = (vm: Vm): number => privilege(vm.machine);

const WRITE = 1;
const ABSENT = 0xffff_ffff_ffff_ffffn;

/** Host-physical address, or null: a page fault for the guest's kernel. */
function reach(vm: Vm, address: bigint, write: boolean): number | null {
  const hpa = BigInt.asUintN(64, vm.machine.cpu.probe(BigInt.asUintN(64, address), write ? WRITE : 0));
  return hpa === ABSENT || hpa >= BigInt(vm.machine.memory.length) ? null : Number(hpa);
}

/** A u64 of the guest's, or null. */
export function loadWord(vm: Vm, address: bigint): bigint | null {
  if ((address & 7n) !== 0n) {
    const bytes = loadBytes(vm, address, 8);
    return bytes === null ? null : new DataView(bytes.buffer).getBigUint64(0, true);
  }
  const hpa = reach(vm, address, false);
  return hpa === null ? null : vm.machine.physical.getBigUint64(hpa, true);
}

export function loadBytes(vm: Vm, address: bigint, length: number): Uint8Array | null {
  const out = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const at = address + BigInt(done);
    const part = Math.min(length - done, 4096 - Number(at & 0xfffn));
    const hpa = reach(vm, at, false);
    if (hpa === null) return null;
    out.set(vm.machine.memory.subarray(hpa, hpa + part), done);
    done += part;
  }
  return out;
}

/** False: not mapped, or not writable for the guest's kernel. */
export function storeWord(vm: Vm, address: bigint, value: bigint): boolean {
  if ((address & 7n) !== 0n) return false;
  const hpa = reach(vm, address, true);
  if (hpa === null) return false;
  vm.machine.physical.setBigUint64(hpa, BigInt.asUintN(64, value), true);
  vm.machine.cpu.dropCode(BigInt(hpa), 8n);
  return true;
}

/** A u32 at any address. False: not mapped, or not writable. */
export function storeWord32(vm: Vm, address: bigint, value: number): boolean {
  const places = [0n, 1n, 2n, 3n].map((n) => reach(vm, address + n, true));
  if (places.includes(null)) return false;
  for (const [n, hpa] of places.entries()) {
    vm.machine.memory[hpa!] = (value >>> (8 * n)) & 255;
    vm.machine.cpu.dropCode(BigInt(hpa!), 1n);
  }
  return true;
}

/** Arguments of a hypercall. */
export const argument = (vm: Vm, n: number): bigint => register(vm.machine, ['rdi', 'rsi', 'rdx', 'r10', 'r8'][n]!);
