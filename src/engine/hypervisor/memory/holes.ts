/**
 * Accesses where the guest has no memory and no device: loads read zeros, stores are lost, as QEMU's memory map answers them.
 * The instruction runs itself on a scratch page that stands in for one instruction, under the monitor trap flag, so no
 * instruction need be decoded here. What it costs is the exit to the program that would have been asked.
 * Source: QEMU softmmu/memory.c (unassigned_mem_ops); SDM 3C 26.5.2 for the trap.
 */
import { invept } from '../../machine/machine.ts';
import { takeFrame, type Vm } from '../vm.ts';
import { setLeaf } from './ept.ts';

const PAGE = 4096;
const READ_WRITE = 3n;
const WRITE_BACK = 6n << 3n;
const FETCH = 4n;

/** True: the instruction may be tried again and the monitor trap is wanted after it. False: it cannot be answered so. */
export function openHole(vm: Vm, gpa: number, qualification: bigint): boolean {
  const { ept } = vm;
  if (!ept || (qualification & FETCH) !== 0n) return false;
  if (ept.scratch === 0) ept.scratch = takeFrame(vm) ?? 0;
  if (ept.scratch === 0) return false;
  const page = Math.floor(gpa / PAGE) * PAGE;
  ept.holes.push(page);
  return setLeaf(vm, page, BigInt(ept.scratch) | WRITE_BACK | READ_WRITE);
}

/** After the instruction: the page is gone again and what was stored there is lost. False: there was none. */
export function closeHoles(vm: Vm): boolean {
  const { ept } = vm;
  if (!ept || ept.holes.length === 0) return false;
  for (const page of ept.holes) setLeaf(vm, page, 0n);
  ept.holes = [];
  vm.machine.memory.fill(0, ept.scratch, ept.scratch + PAGE);
  invept(vm.machine, ept.pointer);
  return true;
}
