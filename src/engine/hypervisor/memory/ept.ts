/**
 * Extended page tables: guest-physical to host-physical, four levels, 4 KiB pages, built as the guest touches them. The
 * picture: a tree of frames in the VM's host-physical memory that only the hypervisor writes and only the processor walks.
 * A page has a frame once somebody stored into it (the guest, or the program that loaded it); it has an EPT entry only after
 * the guest's own first touch, which is an EPT violation. Source: SDM 3C 29.3; KVM's tdp_mmu.
 */
import { type Slot, takeFrame, type Vm } from '../vm.ts';

const PAGE = 4096;
const RWX = 7n;
const WRITE_BACK = 6n << 3n;
/** 4-level walk, write-back, accessed and dirty flags. */
const POINTER_BITS = 0x5en;
const ADDRESS = 0x000f_ffff_ffff_f000n;

export function createEpt(vm: Vm): void {
  const root = takeFrame(vm);
  if (root === null) throw new Error('no host frame for the EPT root');
  vm.ept = { root, pointer: BigInt(root) | POINTER_BITS, tables: 1 };
}

/** The slot that holds a guest-physical address, or null: no memory there. */
export function slotOf(vm: Vm, gpa: number): Slot | null {
  for (const slot of vm.slots.values()) if (gpa >= slot.gpa && gpa < slot.gpa + slot.bytes) return slot;
  return null;
}

/** Gives a guest page its frame, if it has none; false when the host has none left. */
export function backPage(vm: Vm, gpa: number): boolean {
  const gfn = Math.floor(gpa / PAGE);
  if (vm.frames.has(gfn)) return true;
  const hpa = takeFrame(vm);
  if (hpa === null) return false;
  vm.frames.set(gfn, hpa);
  return true;
}

/** Enters a backed page into the tables; says how many tables had to be made, -1 when the host has no frame for one. */
export function mapPage(vm: Vm, gpa: number): number {
  const { physical } = vm.machine;
  const gfn = Math.floor(gpa / PAGE);
  let table = vm.ept.root;
  let made = 0;
  for (let level = 4; level > 1; level--) {
    const at = table + 8 * (Math.floor(gfn / 512 ** (level - 1)) % 512);
    const entry = physical.getBigUint64(at, true);
    if ((entry & RWX) !== 0n) {
      table = Number(entry & ADDRESS);
      continue;
    }
    const frame = takeFrame(vm);
    if (frame === null) return -1;
    made++;
    vm.ept.tables++;
    physical.setBigUint64(at, BigInt(frame) | RWX, true);
    table = frame;
  }
  physical.setBigUint64(table + 8 * (gfn % 512), BigInt(vm.frames.get(gfn)!) | WRITE_BACK | RWX, true);
  return made;
}

/** A page fault of the guest's is over: the page has its frame and its entry, so the guest's next try succeeds. False: no frame left. */
export const resolvePage = (vm: Vm, gpa: number): boolean => backPage(vm, gpa) && mapPage(vm, gpa) >= 0;

/** Reads guest-physical memory; pages without a frame read as zeros. */
export function readGuest(vm: Vm, gpa: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const at = gpa + done;
    const part = Math.min(length - done, PAGE - (at % PAGE));
    const hpa = vm.frames.get(Math.floor(at / PAGE));
    if (hpa !== undefined) out.set(vm.machine.memory.subarray(hpa + (at % PAGE), hpa + (at % PAGE) + part), done);
    done += part;
  }
  return out;
}

/** Writes to backed guest-physical pages. */
export function writeGuest(vm: Vm, gpa: number, data: Uint8Array): void {
  for (let done = 0; done < data.length; ) {
    const at = gpa + done;
    const part = Math.min(data.length - done, PAGE - (at % PAGE));
    const hpa = vm.frames.get(Math.floor(at / PAGE));
    if (hpa === undefined) throw new Error(`guest page ${at.toString(16)} has no frame`);
    vm.machine.memory.set(data.subarray(done, done + part), hpa + (at % PAGE));
    vm.machine.cpu.dropCode(BigInt(hpa + (at % PAGE)), BigInt(part));
    done += part;
  }
}
