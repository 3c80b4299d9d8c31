/**
 * The guest's physical memory as the hypervisor keeps it: slots that the program gave, and behind each page a frame of host-physical
 * memory once somebody stored into it (the guest, or the program that loaded it). How a guest page becomes reachable for
 * the guest is the memory way's. Source: Linux Documentation/virt/kvm/api.rst, KVM_SET_USER_MEMORY_REGION.
 */
import { HUGE, type Slot, takeFrame, takeHugeFrame, type Vm } from '../vm.ts';

const PAGE = 4096;

/** The slot that holds a guest-physical address, or null: no memory there. */
export function slotOf(vm: Vm, gpa: number): Slot | null {
  for (const slot of vm.slots.values()) if (gpa >= slot.gpa && gpa < slot.gpa + slot.bytes) return slot;
  return null;
}

/** For ways that hand out frames in order of first use. */
export const storedFrame = (vm: Vm, gfn: number): number | null => vm.frames.get(gfn) ?? null;

export function backFrame(vm: Vm, gfn: number): boolean {
  if (vm.frames.has(gfn)) return true;
  if (isHuge(vm, gfn * PAGE)) return backHuge(vm, gfn);
  const hpa = takeFrame(vm);
  if (hpa === null) return false;
  vm.frames.set(gfn, hpa);
  return true;
}

/** Would the page at this address be backed by 2 MiB at once? Then its whole neighbourhood is charged and comes with it. */
export function isHuge(vm: Vm, gpa: number): boolean {
  if (!vm.hugePages) return false;
  const first = Math.floor(gpa / HUGE) * HUGE;
  const slot = slotOf(vm, gpa);
  if (!slot || first < slot.gpa || first + HUGE > slot.gpa + slot.bytes) return false;
  return vm.frames.get(first / PAGE) === undefined ? vm.topFrame - vm.nextFrame >= 2 * HUGE : vm.frames.get(first / PAGE)! % HUGE === 0 && vm.frames.get(first / PAGE)! >= vm.topFrame;
}

function backHuge(vm: Vm, gfn: number): boolean {
  const hpa = takeHugeFrame(vm);
  if (hpa === null) return false;
  const first = Math.floor((gfn * PAGE) / HUGE) * (HUGE / PAGE);
  for (let n = 0; n < HUGE / PAGE; n++) vm.frames.set(first + n, hpa + n * PAGE);
  return true;
}

/** Host-physical address behind a guest-physical one, or null: its page has no frame. */
export function hostAddress(vm: Vm, gpa: number): number | null {
  const frame = vm.way.memory.frame(vm, Math.floor(gpa / PAGE));
  return frame === null ? null : frame + (gpa % PAGE);
}

/** Gives a guest page its frame, if it has none; false when the host has none left. */
export const backPage = (vm: Vm, gpa: number): boolean => vm.way.memory.back(vm, Math.floor(gpa / PAGE));

/** A page fault of the host's is over: the page has its frame and its entry, so the guest's next try succeeds. False: no frame left. */
export const resolvePage = (vm: Vm, gpa: number): boolean => backPage(vm, gpa) && vm.way.memory.map(vm, gpa);

/** Reads guest-physical memory; pages without a frame read as zeros. */
export function readGuest(vm: Vm, gpa: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const at = gpa + done;
    const part = Math.min(length - done, PAGE - (at % PAGE));
    const hpa = hostAddress(vm, at);
    if (hpa !== null) out.set(vm.machine.memory.subarray(hpa, hpa + part), done);
    done += part;
  }
  return out;
}

/** Writes to backed guest-physical pages. */
export function writeGuest(vm: Vm, gpa: number, data: Uint8Array): void {
  for (let done = 0; done < data.length; ) {
    const at = gpa + done;
    const part = Math.min(data.length - done, PAGE - (at % PAGE));
    const hpa = hostAddress(vm, at);
    if (hpa === null) throw new Error(`guest page ${at.toString(16)} has no frame`);
    vm.machine.memory.set(data.subarray(done, done + part), hpa);
    vm.machine.cpu.dropCode(BigInt(hpa), BigInt(part));
    done += part;
  }
  vm.way.memory.written(vm, gpa, data.length);
}
