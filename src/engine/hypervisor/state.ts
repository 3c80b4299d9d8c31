/**
 * The guest's registers as the guest believes them to be, whatever technique runs it: in a VMCS, in the processor itself,
 * or in the monitor's record of a virtual processor. Only valid while the guest is out, as after `runVm` it always is.
 */
import type { ControlName, GuestSegment, SegmentName, TableName, Vm } from './vm.ts';

export const GUEST_SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldt', 'tr'] as const satisfies readonly SegmentName[];

/** rax..r15, rip, rflags. */
export const guestRegister = (vm: Vm, name: string): bigint => vm.way.cpu.state.register(vm, name);
export const setGuestRegister = (vm: Vm, name: string, value: bigint): void => vm.way.cpu.state.setRegister(vm, name, value);
export const guestControl = (vm: Vm, name: ControlName): bigint => vm.way.cpu.state.control(vm, name);
export const setGuestControl = (vm: Vm, name: ControlName, value: bigint): void => vm.way.cpu.state.setControl(vm, name, value);
export const guestSegment = (vm: Vm, name: SegmentName): GuestSegment => vm.way.cpu.state.segment(vm, name);
export const setGuestSegment = (vm: Vm, name: SegmentName, value: GuestSegment): void => vm.way.cpu.state.setSegment(vm, name, value);
export const guestTable = (vm: Vm, name: TableName): { base: bigint; limit: number } => vm.way.cpu.state.table(vm, name);
export const setGuestTable = (vm: Vm, name: TableName, value: { base: bigint; limit: number }): void => vm.way.cpu.state.setTable(vm, name, value);
/** Nothing shadows interrupts and nothing sleeps: what a reset leaves. */
export const clearInterruptibility = (vm: Vm): void => vm.way.cpu.state.clearInterruptibility(vm);
/** 0 to 3: the ring in which the guest believes itself. */
export const guestPrivilege = (vm: Vm): number => (guestSegment(vm, 'ss').rights >> 5) & 3;
