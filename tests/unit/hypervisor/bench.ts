/** A guest of real machine code under a technique, without any kernel round it: what it wants of the outside is answered here. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { CostName } from '../../../src/engine/hypervisor/costs.ts';
import { createVm } from '../../../src/engine/hypervisor/create.ts';
import { completeMmio } from '../../../src/engine/hypervisor/device.ts';
import { runVm, type RunMode } from '../../../src/engine/hypervisor/cpu/run.ts';
import { backPage, resolvePage, writeGuest } from '../../../src/engine/hypervisor/memory/frames.ts';
import { GUEST_SEGMENTS, setGuestControl, setGuestRegister, setGuestSegment, setGuestTable } from '../../../src/engine/hypervisor/state.ts';
import type { TechniqueName, Vm } from '../../../src/engine/hypervisor/vm.ts';
import { type Board, createBoard, readPort, serialLine, writePort } from '../../../src/engine/machine/devices/board.ts';
import { nextEdge, setIrqLine } from '../../../src/engine/machine/devices/irqchip.ts';
import { receive, takeOutput } from '../../../src/engine/machine/devices/uart.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { imageOf } from '../../../src/engine/userland/virt/qemu/image.ts';

export const MS = 1e6;

export interface Bench { vm: Vm; board: Board; now: number; said: string; ended: string }

export function power(source: string | Uint8Array, { technique = 'vmx-ept', memory = 16 * 2 ** 20, append = '', costs = 'default', hugePages = false }: { technique?: TechniqueName; memory?: number; append?: string; costs?: CostName; hugePages?: boolean } = {}): Bench {
  const image = typeof source === 'string' ? assemble(source, 'guest.asm') : { bytes: source, errors: [] };
  expect(image.errors).toEqual([]);
  const vm = createVm(loadAssets().cpu, { name: 'test', technique, costs, hugePages, memoryBytes: memory, vpid: 1, ghz: 2, now: 0 });
  vm.slots.set(0, { gpa: 0, bytes: memory, userspace: 0 });
  const { parts, regs, sregs } = imageOf(image.bytes, append, memory);
  for (const { gpa, data } of parts) {
    for (let page = gpa; page < gpa + data.length; page += 4096) backPage(vm, page);
    writeGuest(vm, gpa, data);
  }
  for (const name of ['efer', 'cr0', 'cr2', 'cr3', 'cr4'] as const) setGuestControl(vm, name, sregs[name]);
  for (const name of GUEST_SEGMENTS) setGuestSegment(vm, name, sregs.segments[name]);
  for (const name of ['gdt', 'idt'] as const) setGuestTable(vm, name, sregs[name]);
  for (const [name, value] of Object.entries(regs)) setGuestRegister(vm, name, value);
  return { vm, board: createBoard({ debugExit: { port: 0xf4, size: 4 } }), now: 0, said: '', ended: '' };
}

/** Runs until `until` (ns), as the driver and QEMU do together. */
export function go(b: Bench, until: number, mode: RunMode = 'run'): void {
  for (let rounds = 0; b.now < until && b.ended === '' && rounds < 100_000; rounds++) {
    const { exit, spent } = runVm(b.vm, b.now, Math.min(1 * MS, until - b.now), mode);
    b.now += Math.ceil((spent.guest + spent.kernel + spent.user) / b.vm.ghz);
    if (exit.reason === 'page') resolvePage(b.vm, exit.gpa);
    else if (exit.reason === 'hlt') b.now = Math.max(b.now, Math.min(until, nextEdge(b.vm.chip) ?? until));
    else if (exit.reason === 'io') onPort(b, exit);
    else if (exit.reason === 'mmio') while (completeMmio(b.vm, 0n, b.now));
    else if (exit.reason === 'debug') return;
    else if (exit.reason !== 'budget') b.ended = JSON.stringify(exit, (_k, v) => (typeof v === 'bigint' ? v.toString(16) : v));
  }
}

function onPort(b: Bench, exit: { direction: 'in' | 'out'; port: number; size: number; value: number }): void {
  if (exit.direction === 'in') b.vm.way.cpu.completeIo(b.vm, readPort(b.board, exit.port, exit.size, b.now));
  else writePort(b.board, exit.port, exit.size, exit.value, b.now);
  setIrqLine(b.vm.chip, 4, serialLine(b.board));
  b.said += String.fromCharCode(...takeOutput(b.board.uart));
  if (b.board.ended) b.ended = JSON.stringify(b.board.ended);
}

export const tiny = (): string => readFileSync(new URL('../../../src/engine/hypervisor/guests/tiny.asm', import.meta.url), 'utf8');

export function key(b: Bench, text: string): void {
  receive(b.board.uart, new TextEncoder().encode(text));
  setIrqLine(b.vm.chip, 4, serialLine(b.board));
}
