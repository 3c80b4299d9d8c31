/** The processor's state as QEMU's "info registers" prints it. Source: target/i386/cpu-dump.c. */
import { KVM_GET_REGS, KVM_GET_SREGS, type Regs, type Segment, type Sregs } from '../../../kernel/drivers/kvm/uapi.ts';
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import type { Emulator } from './emulator.ts';

const hex = (value: bigint | number, digits: number): string => value.toString(16).padStart(digits, '0');

export function* registersOf(emu: Emulator): Call<{ regs: Regs; sregs: Sregs }> {
  const regs = (yield* sys('ioctl', emu.vcpu, KVM_GET_REGS)) as Regs;
  const sregs = (yield* sys('ioctl', emu.vcpu, KVM_GET_SREGS)) as Sregs;
  return { regs, sregs };
}

export function* registerText(emu: Emulator): Call<string> {
  const { regs, sregs } = yield* registersOf(emu);
  const { segments } = sregs;
  const long = (sregs.efer & LMA) !== 0n;
  const wide = long && (segments.cs.rights & CODE_64) !== 0;
  const digits = wide ? 16 : 8;
  const tables = long ? 16 : 8;
  const cpl = (segments.ss.rights >> 5) & 3;
  const flow = `[${flags(regs.rflags)}] CPL=${cpl} II=0 A20=1 SMM=0 HLT=${sregs.halted ? 1 : 0}`;
  const lines = [
    ...generalLines(regs, wide),
    wide ? `RIP=${hex(regs.rip, 16)} RFL=${hex(regs.rflags, 8)} ${flow}` : `EIP=${hex(regs.rip & LOW, 8)} EFL=${hex(regs.rflags, 8)} ${flow}`,
    ...(['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldt', 'tr'] as const).map((name) => segmentLine(name, segments[name], digits, long)),
    `GDT=     ${hex(sregs.gdt.base, tables)} ${hex(sregs.gdt.limit, 8)}`,
    `IDT=     ${hex(sregs.idt.base, tables)} ${hex(sregs.idt.limit, 8)}`,
    `CR0=${hex(sregs.cr0, 8)} CR2=${hex(sregs.cr2, tables)} CR3=${hex(sregs.cr3, tables)} CR4=${hex(sregs.cr4, 8)}`,
    `EFER=${hex(sregs.efer, 16)}`,
  ];
  return `${lines.join('\n')}\n`;
}

const LMA = 0x400n;
const CODE_64 = 0x2000;
const LOW = 0xffff_ffffn;

/** The general registers of 64-bit code, or the eight of 32-bit code. */
function generalLines(regs: Regs, wide: boolean): string[] {
  const line = (...names: (keyof Regs)[]): string =>
    names.map((name) => (wide ? `${name.toUpperCase().padEnd(3)}=${hex(regs[name], 16)}` : `E${name.slice(1).toUpperCase()}=${hex(regs[name] & LOW, 8)}`)).join(' ');
  const low = [line('rax', 'rbx', 'rcx', 'rdx'), line('rsi', 'rdi', 'rbp', 'rsp')];
  return wide ? [...low, line('r8', 'r9', 'r10', 'r11'), line('r12', 'r13', 'r14', 'r15')] : low;
}

/** Direction, overflow, sign, zero, auxiliary, parity, carry. */
function flags(value: bigint): string {
  return [['D', 10], ['O', 11], ['S', 7], ['Z', 6], ['A', 4], ['P', 2], ['C', 0]].map(([letter, bit]) => ((value >> BigInt(bit!)) & 1n ? letter : '-')).join('');
}

const NARROW_TYPES = [
  'Reserved', 'TSS16-avl', 'LDT', 'TSS16-busy', 'CallGate16', 'TaskGate', 'IntGate16', 'TrapGate16', 'Reserved', 'TSS32-avl', 'Reserved', 'TSS32-busy', 'CallGate32', 'Reserved', 'IntGate32', 'TrapGate32',
];
const LONG_TYPES = [
  '<hiword>', 'Reserved', 'LDT', 'Reserved', 'Reserved', 'Reserved', 'Reserved', 'Reserved', 'Reserved', 'TSS64-avl', 'Reserved', 'TSS64-busy', 'CallGate64', 'Reserved', 'IntGate64', 'TrapGate64',
];

/** The second descriptor word as QEMU keeps it: access rights from bit 8 on. */
function segmentLine(name: string, segment: Segment, digits: number, long: boolean): string {
  const { rights } = segment;
  const unusable = (rights & 0x10000) !== 0;
  const word = unusable ? 0 : ((rights & 0xf0ff) << 8) | (((segment.limit >>> 16) & 15) << 16);
  const head = `${name.toUpperCase().padEnd(3)}=${hex(segment.selector, 4)} ${hex(segment.base, digits)} ${hex(segment.limit, 8)} ${hex(word >>> 0, 8)}`;
  if (unusable || (rights & 0x80) === 0) return head;
  const dpl = ` DPL=${(rights >> 5) & 3} `;
  if ((rights & 0x10) === 0) return `${head}${dpl}${(long ? LONG_TYPES : NARROW_TYPES)[rights & 15]!}`;
  const accessed = rights & 1 ? 'A' : '-';
  if (rights & 8) return `${head}${dpl}${rights & 0x2000 ? 'CS64' : rights & 0x4000 ? 'CS32' : 'CS16'} [${rights & 4 ? 'C' : '-'}${rights & 2 ? 'R' : '-'}${accessed}]`;
  return `${head}${dpl}${rights & 0x4000 ? 'DS  ' : 'DS16'} [${rights & 4 ? 'E' : '-'}${rights & 2 ? 'W' : '-'}${accessed}]`;
}
