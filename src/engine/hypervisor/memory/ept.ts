/**
 * Extended page tables: guest-physical to host-physical, four levels, 4 KiB pages or 2 MiB where the host has them, built as the guest touches them. The
 * picture: a tree of frames in the VM's host-physical memory that only the hypervisor writes and only the processor walks.
 * A page has an EPT entry only after the guest's own first touch, which is an EPT violation. Source: SDM 3C 29.3; KVM's tdp_mmu.
 */
import { HUGE, type MemoryWay, takeFrame, type Vm } from '../vm.ts';
import { backFrame, isHuge, storedFrame } from './frames.ts';

const PAGE = 4096;
const RWX = 7n;
const LARGE = 0x80n;
const WRITE_BACK = 6n << 3n;
/** 4-level walk, write-back, accessed and dirty flags. */
const POINTER_BITS = 0x5en;
const ADDRESS = 0x000f_ffff_ffff_f000n;

function createEpt(vm: Vm): void {
  const root = takeFrame(vm);
  if (root === null) throw new Error('no host frame for the EPT root');
  vm.ept = { root, pointer: BigInt(root) | POINTER_BITS };
  vm.tables = 1;
}

/** Enters a backed page into the tables; false: the host has no frame for one. */
function mapPage(vm: Vm, gpa: number): boolean {
  const huge = isHuge(vm, gpa);
  const page = Math.floor(gpa / (huge ? HUGE : PAGE)) * (huge ? HUGE : PAGE);
  return setLeaf(vm, page, BigInt(vm.frames.get(page / PAGE)!) | WRITE_BACK | RWX | (huge ? LARGE : 0n), huge ? 2 : 1);
}

/** Writes the entry of a page at its level (1: 4 KiB, 2: 2 MiB), and the tables on the way to it. */
export function setLeaf(vm: Vm, gpa: number, entry: bigint, last: 1 | 2 = 1): boolean {
  const { physical } = vm.machine;
  const gfn = Math.floor(gpa / PAGE);
  let table = vm.ept!.root;
  for (let level = 4; level > last; level--) {
    const at = table + 8 * (Math.floor(gfn / 512 ** (level - 1)) % 512);
    const found = physical.getBigUint64(at, true);
    if ((found & RWX) !== 0n) {
      table = Number(found & ADDRESS);
      continue;
    }
    const frame = takeFrame(vm);
    if (frame === null) return false;
    vm.tables++;
    physical.setBigUint64(at, BigInt(frame) | RWX, true);
    table = frame;
  }
  physical.setBigUint64(table + 8 * (last === 2 ? Math.floor(gfn / 512) % 512 : gfn % 512), entry, true);
  return true;
}

export const ept: MemoryWay = { init: createEpt, frame: storedFrame, back: backFrame, map: mapPage, written: () => {} };
