/**
 * KVM's tracepoints: kvm_entry and kvm_exit and kvm_mmio as the hypervisor says they happened, and from the registers around them kvm_pio
 * and kvm_msr, in the order in which KVM tells of them: a value that the guest sends before it is handled, one that it is
 * given just before it goes on. Source: Linux arch/x86/kvm/trace.h. Left out:
 * the points of interrupts, page faults and timers.
 */
import type { VmDevice, VmEntered, VmExited } from '../../../hypervisor/events.ts';
import { EXITS, exitName } from '../../../hypervisor/exits.ts';
import type { Vm, VmExit } from '../../../hypervisor/vm.ts';
import type { Kernel, Task } from '../../records.ts';
import { definePoint, hitPoint, isTraced, type Tracepoint, type Values } from '../../tracing/points.ts';
import type { KvmVm } from './state.ts';

interface KvmPoints {
  entry: Tracepoint;
  exit: Tracepoint;
  pio: Tracepoint;
  msr: Tracepoint;
  mmio: Tracepoint;
}

const hex = (value: number | bigint | undefined, digits = 0): string => `0x${BigInt(value ?? 0).toString(16).padStart(digits, '0')}`;
const SYMBOLS = Object.entries(EXITS).map(([reason, { name }]) => `{ ${reason}, "${name}" }`).join(', ');

const exitText = (v: Values): string =>
  `vcpu ${v.vcpu_id} reason ${exitName(Number(v.exit_reason))}${Number(v.exit_reason) >= 0x8000_0000 ? ' FAILED_VMENTRY' : ''} rip ${hex(v.guest_rip)} info1 ${hex(v.info1, 16)} info2 ${hex(v.info2, 16)} intr_info ${hex(v.intr_info, 8)} error_code ${hex(v.error_code, 8)}`;
const entryText = (v: Values): string => `vcpu ${v.vcpu_id}, rip ${hex(v.rip)} intr_info ${hex(v.intr_info, 8)} error_code ${hex(v.error_code, 8)}`;
const pioText = (v: Values): string => `pio_${Number(v.rw) ? 'write' : 'read'} at ${hex(v.port)} size ${v.size} count ${v.count} val ${hex(v.val)} `;
const msrText = (v: Values): string => `msr_${Number(v.write) ? 'write' : 'read'} ${hex(v.ecx).slice(2)} = ${hex(v.data)}${Number(v.exception) ? ' (#GP)' : ''}`;
const ACCESSES = ['unsatisfied-read', 'read', 'write'] as const;
const mmioText = (v: Values): string => `mmio ${ACCESSES[Number(v.type)]} len ${v.len} gpa ${hex(v.gpa)} val ${hex(v.val)}`;

export function defineKvmPoints(kernel: Kernel): void {
  const points: KvmPoints = {
    entry: definePoint(kernel, 'kvm', 'kvm_entry', [['vcpu_id', 'unsigned int'], ['rip', 'unsigned long'], ['intr_info', 'u32'], ['error_code', 'u32']],
      '"vcpu %u, rip 0x%lx intr_info 0x%08x error_code 0x%08x", REC->vcpu_id, REC->rip, REC->intr_info, REC->error_code', entryText),
    exit: definePoint(kernel, 'kvm', 'kvm_exit',
      [['exit_reason', 'unsigned int'], ['guest_rip', 'unsigned long'], ['isa', 'u32'], ['info1', 'u64'], ['info2', 'u64'], ['intr_info', 'u32'], ['error_code', 'u32'], ['vcpu_id', 'unsigned int']],
      `"vcpu %u reason %s rip 0x%lx info1 0x%016llx info2 0x%016llx intr_info 0x%08x error_code 0x%08x", REC->vcpu_id, __print_symbolic(REC->exit_reason & 0xffff, ${SYMBOLS}), REC->guest_rip, REC->info1, REC->info2, REC->intr_info, REC->error_code`, exitText),
    pio: definePoint(kernel, 'kvm', 'kvm_pio', [['rw', 'unsigned int'], ['port', 'unsigned int'], ['size', 'unsigned int'], ['count', 'unsigned int'], ['val', 'unsigned int']],
      '"pio_%s at 0x%x size %d count %d val 0x%x %s", REC->rw ? "write" : "read", REC->port, REC->size, REC->count, REC->val, REC->count > 1 ? "(...)" : ""', pioText),
    msr: definePoint(kernel, 'kvm', 'kvm_msr', [['write', 'unsigned int'], ['ecx', 'u32'], ['data', 'u64'], ['exception', 'u8']],
      '"msr_%s %x = 0x%llx%s", REC->write ? "write" : "read", REC->ecx, REC->data, REC->exception ? " (#GP)" : ""', msrText),
    mmio: definePoint(kernel, 'kvm', 'kvm_mmio', [['type', 'u32'], ['len', 'u32'], ['gpa', 'u64'], ['val', 'u64']],
      '"mmio %s len %u gpa 0x%llx val 0x%llx", __print_symbolic(REC->type, { 0, "unsatisfied-read" }, { 1, "read" }, { 2, "write" }), REC->len, REC->gpa, REC->val', mmioText),
  };
  kernel.drivers.set('kvm-points', points);
}

const pointsOf = (kernel: Kernel): KvmPoints => kernel.drivers.get('kvm-points') as KvmPoints;

/** Before a run: its entries and exits are kept if somebody listens. */
export function traceRun(kernel: Kernel, vm: Vm): void {
  vm.events = isTraced(kernel, Object.values(pointsOf(kernel))) ? [] : null;
}

/** After it: what happened goes to the listeners. `traced` keeps the exit that a later entry completes; `last` is why the run ended. */
export function tellEvents(kernel: Kernel, task: Task, vm: Vm, traced: KvmVm['traced'], last: VmExit): void {
  const { events } = vm;
  vm.events = null;
  for (const [n, event] of (events ?? []).entries()) {
    if (event.kind === 'mmio') onDevice(kernel, task, event);
    else if (event.kind === 'entry') onEntry(kernel, task, vm, event, traced);
    else onExit(kernel, task, event, traced, n === events!.length - 1 && last.reason === 'io' ? last.value : null);
  }
}

const IO_INSTRUCTION = 30;
const MSR_READ = 31;
const MSR_WRITE = 32;
const GP_EVENT = 0x8000_0b0d;
const reads = (exit: VmExited): boolean => (exit.qualification & 8n) !== 0n;
const low = (value: bigint, { qualification }: VmExited): bigint => value & ((1n << (8n * ((qualification & 7n) + 1n))) - 1n);
const pair = (high: bigint, value: bigint): bigint => ((high & 0xffff_ffffn) << 32n) | (value & 0xffff_ffffn);

function onExit(kernel: Kernel, task: Task, exit: VmExited, traced: KvmVm['traced'], sent: number | null): void {
  const points = pointsOf(kernel);
  hitPoint(kernel, task, points.exit, exit.t, {
    exit_reason: exit.reason, guest_rip: exit.rip, isa: 1, info1: exit.qualification, info2: exit.vectoring, intr_info: exit.interruption, error_code: exit.error, vcpu_id: 0, ip: exit.rip,
  });
  traced.exit = exit;
  traced.given = null;
  if (exit.reason === IO_INSTRUCTION && !reads(exit)) hitPoint(kernel, task, points.pio, exit.t, { rw: 1, ...portOf(exit), val: sent ?? low(exit.rax, exit) });
}

function onDevice(kernel: Kernel, task: Task, { t, rip, access, length, gpa, value }: VmDevice): void {
  hitPoint(kernel, task, pointsOf(kernel).mmio, t, { type: ACCESSES.indexOf(access), len: length, gpa: BigInt(gpa), val: BigInt.asUintN(64, value), ip: rip });
}

function portOf({ qualification }: VmExited): Values {
  return { port: (qualification >> 16n) & 0xffffn, size: (qualification & 7n) + 1n, count: 1 };
}

/** ns from the end of a handler to the entry. */
const ON_THE_WAY = 250;

function onEntry(kernel: Kernel, task: Task, vm: Vm, entry: VmEntered, traced: KvmVm['traced']): void {
  const points = pointsOf(kernel);
  const { exit, given } = traced;
  traced.exit = null;
  if (exit) {
    const done = Math.max(exit.t, entry.t - Math.min(ON_THE_WAY, vm.costs.handler / vm.ghz));
    const failed = entry.interruption === GP_EVENT ? 1 : 0;
    if (exit.reason === IO_INSTRUCTION && reads(exit)) hitPoint(kernel, task, points.pio, done, { rw: 0, ...portOf(exit), val: given ?? low(entry.rax, exit) });
    if (exit.reason === MSR_READ) hitPoint(kernel, task, points.msr, done, { write: 0, ecx: exit.rcx, data: failed ? 0n : pair(entry.rdx, entry.rax), exception: failed });
    if (exit.reason === MSR_WRITE) hitPoint(kernel, task, points.msr, done, { write: 1, ecx: exit.rcx, data: pair(exit.rdx, exit.rax), exception: failed });
  }
  hitPoint(kernel, task, points.entry, entry.t, { vcpu_id: 0, rip: entry.rip, intr_info: entry.interruption, error_code: entry.error, ip: entry.rip });
}
