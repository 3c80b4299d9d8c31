/** A guest of real machine code under VT-x with EPT, without any kernel round it: its exits are answered here. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createVm } from '../../../src/engine/hypervisor/create.ts';
import { completeIo } from '../../../src/engine/hypervisor/cpu/exit.ts';
import { runVm, type RunMode } from '../../../src/engine/hypervisor/cpu/vmx.ts';
import { guestRegister, setGuestControl, setGuestRegister, setGuestSegment, writeField } from '../../../src/engine/hypervisor/cpu/vmcs.ts';
import { exitName } from '../../../src/engine/hypervisor/exits.ts';
import { backPage, resolvePage, writeGuest } from '../../../src/engine/hypervisor/memory/ept.ts';
import type { Vm } from '../../../src/engine/hypervisor/vm.ts';
import { type Board, createBoard, readPort, serialLine, writePort } from '../../../src/engine/machine/devices/board.ts';
import { nextEdge } from '../../../src/engine/machine/devices/irqchip.ts';
import { setLine } from '../../../src/engine/machine/devices/pic.ts';
import { receive, takeOutput } from '../../../src/engine/machine/devices/uart.ts';
import { createRandom, uint32 } from '../../../src/engine/sim/random.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { type Walk, walk } from '../../../src/engine/machine/machine.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { imageOf } from '../../../src/engine/userland/virt/qemu/image.ts';

const MS = 1e6;

interface Bench { vm: Vm; board: Board; now: number; said: string; ended: string }

function power(source: string | Uint8Array, memory = 16 * 2 ** 20): Bench {
  const image = typeof source === 'string' ? assemble(source, 'guest.asm') : { bytes: source, errors: [] };
  expect(image.errors).toEqual([]);
  const vm = createVm(loadAssets().cpu, { name: 'test', technique: 'vmx-ept', memoryBytes: memory, vpid: 1, ghz: 2, now: 0 });
  vm.slots.set(0, { gpa: 0, bytes: memory, userspace: 0 });
  const { parts, regs, sregs } = imageOf(image.bytes, '', memory);
  for (const { gpa, data } of parts) {
    for (let page = gpa; page < gpa + data.length; page += 4096) backPage(vm, page);
    writeGuest(vm, gpa, data);
  }
  for (const [name, value] of Object.entries(sregs.segments)) setGuestSegment(vm, name, value);
  for (const [name, table] of [['GDTR', sregs.gdt], ['IDTR', sregs.idt]] as const) {
    writeField(vm, `GUEST_${name}_BASE`, table.base);
    writeField(vm, `GUEST_${name}_LIMIT`, table.limit);
  }
  for (const name of ['efer', 'cr0', 'cr2', 'cr3', 'cr4'] as const) setGuestControl(vm, name, sregs[name]);
  for (const [name, value] of Object.entries(regs)) setGuestRegister(vm, name, value);
  return { vm, board: createBoard({ port: 0xf4, size: 4 }), now: 0, said: '', ended: '' };
}

/** Runs until `until` (ns), as the driver and QEMU do together. */
function go(b: Bench, until: number, mode: RunMode = 'run'): void {
  for (let rounds = 0; b.now < until && b.ended === '' && rounds < 100_000; rounds++) {
    const { exit, spent } = runVm(b.vm, b.now, Math.min(1 * MS, until - b.now), mode);
    b.now += Math.ceil((spent.guest + spent.kernel + spent.user) / b.vm.ghz);
    if (exit.reason === 'page') resolvePage(b.vm, exit.gpa);
    else if (exit.reason === 'hlt') b.now = Math.max(b.now, Math.min(until, nextEdge(b.vm.chip) ?? until));
    else if (exit.reason === 'io') onPort(b, exit);
    else if (exit.reason === 'debug') return;
    else if (exit.reason !== 'budget') b.ended = JSON.stringify(exit, (_k, v) => (typeof v === 'bigint' ? v.toString(16) : v));
  }
}

function onPort(b: Bench, exit: { direction: 'in' | 'out'; port: number; size: number; value: number }): void {
  if (exit.direction === 'in') completeIo(b.vm, readPort(b.board, exit.port, exit.size, b.now));
  else writePort(b.board, exit.port, exit.size, exit.value, b.now);
  setLine(b.vm.chip.pic, 4, serialLine(b.board));
  b.said += String.fromCharCode(...takeOutput(b.board.uart));
  if (b.board.ended) b.ended = JSON.stringify(b.board.ended);
}

const tiny = (): string => readFileSync(new URL('../../../src/engine/hypervisor/guests/tiny.asm', import.meta.url), 'utf8');

function key(b: Bench, text: string): void {
  receive(b.board.uart, new TextEncoder().encode(text));
  setLine(b.vm.chip.pic, 4, serialLine(b.board));
}

const counts = (b: Bench): Record<string, number> => Object.fromEntries([...b.vm.exits].map(([reason, row]) => [exitName(reason), row.count]));

it('boots tiny to its banner, counts its exits and records a walk of 24 references', () => {
  const b = power(tiny());
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  const exits = counts(b);
  expect(exits.EPT_VIOLATION).toBeGreaterThan(70);
  expect(exits.IO_INSTRUCTION).toBeGreaterThan(70);
  expect(exits.HLT).toBeGreaterThanOrEqual(5);
  expect(exits.MSR_WRITE).toBe(4);
  let found: Walk | null = null;
  for (let back = 0; back < 64 && !found; back++) {
    const one = walk(b.vm.machine, back);
    if (one?.result === 'ok' && one.guestShift === 12 && one.eptp !== 0n) found = one;
  }
  expect(found?.references.length).toBe(24);
  expect(found?.references.map((r) => r.table[0]).join('')).toBe('eeeegeeeegeeeegeeeegeeee');
  expect([found?.vpid, found?.hostShift]).toEqual([1, 12]);
});

it('takes keys by interrupt', () => {
  const b = power(tiny());
  go(b, 100 * MS);
  for (const [pressed, says] of [['t', /\d+\r\n$/], ['c', /cpu GenuineIntel\r\n$/], ['v', /called the hypervisor\r\n$/], ['p', /touched 64 pages\r\n$/]] as const) {
    b.said = '';
    key(b, pressed);
    go(b, b.now + 60 * MS);
    expect(b.said).toMatch(says);
  }
  expect(counts(b)).toMatchObject({ CPUID: 1, VMCALL: 1 });
  key(b, 'q');
  go(b, b.now + 60 * MS);
  expect([b.said.trim().split('\n').at(-1), b.ended]).toEqual(['power off', '{"how":"power-off"}']);
});

it('prints a dot a second', () => {
  const b = power(tiny());
  go(b, 3200 * MS);
  expect(b.said.split('help\r\n')[1]).toBe('...');
});

it.each([
  ['isa-debug-exit', 'mov al, 0x10\nout 0xf4, al', '{"how":"debug-exit","status":33}'],
  ['triple fault', 'ud2', '{"reason":"shutdown"}'],
  ['memory that nobody has', 'mov eax, 0xfee00020\nmov rax, [rax]', '{"reason":"mmio","gpa":"fee00020","qualification":"181"}'],
])('ends: %s', (_name, code, ended) => {
  const b = power(`bits 64\norg 0x100000\n${code}\nhlt`);
  go(b, 10 * MS);
  expect(b.ended).toBe(ended);
});

it('sends a string with rep outsb and reads one with insb', () => {
  const b = power('bits 64\norg 0x100000\nmov rsi, text\nmov ecx, 5\nmov dx, 0x3f8\nrep outsb\nmov edi, 0x200000\nmov dx, 0x3fd\ninsb\nmov al, [0x200000]\nout 0xf4, al\ntext: db "hello"');
  go(b, 10 * MS);
  expect([b.said, b.ended]).toEqual(['hello', '{"how":"debug-exit","status":193}']);
});

it('steps one instruction at a time and to the next exit', () => {
  const b = power('bits 64\norg 0x100000\nnop\nnop\nmov eax, 1\ncpuid\nout 0xf4, al\nhlt');
  const seen: string[] = [];
  for (let n = 0; n < 4; n++) {
    go(b, b.now + 1 * MS, 'step');
    seen.push(guestRegister(b.vm, 'rip').toString(16));
  }
  expect(seen).toEqual(['100001', '100002', '100007', '100009']);
  expect(counts(b)).toMatchObject({ MONITOR_TRAP_FLAG: 3, CPUID: 1 });
  go(b, b.now + 1 * MS, 'to-exit');
  expect(b.ended).toContain('debug-exit');
});

it('keeps time: cycles become ns at the clock rate, and the time-stamp counter goes with the host', () => {
  const b = power('bits 64\norg 0x100000\nrdtsc\nmov ebx, eax\nmov ecx, 1000000\n.l: loop .l\nrdtsc\nsub eax, ebx\nmov [0x180000], eax\nout 0xf4, al');
  go(b, 100 * MS);
  expect(b.ended).toContain('debug-exit');
  const delta = new DataView(b.vm.machine.memory.buffer, b.vm.machine.memory.byteOffset).getUint32(b.vm.frames.get(0x180)!, true);
  expect(delta).toBeGreaterThan(999_999);
  expect(delta).toBeLessThan(b.now * 2);
});

it('ends somehow or goes on, whatever bytes it is given', () => {
  const random = createRandom(7);
  const ends = new Set<string>();
  for (let n = 0; n < 60; n++) {
    const b = power(Uint8Array.from({ length: 256 }, () => uint32(random) & 255), 2 * 2 ** 20);
    go(b, 1 * MS);
    ends.add(b.ended.slice(0, 20));
  }
  expect(ends.size).toBeGreaterThan(0);
});
