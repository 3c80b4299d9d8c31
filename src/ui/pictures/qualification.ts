/** The bits of an exit qualification, by basic exit reason: field, value, what it means here. SDM 3C 28.2.1, tables 28-3, 28-5, 28-7. */
import type { Field } from './entries.ts';

const bits = (q: bigint, hi: number, lo: number): number => Number((q >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n));
const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const PORTS: Record<number, string> = { 0x20: 'master PIC', 0x21: 'master PIC, mask', 0x40: 'PIT, channel 0', 0x43: 'PIT, command', 0x60: 'keyboard', 0x80: 'progress codes', 0xa0: 'slave PIC', 0xa1: 'slave PIC, mask', 0xf4: 'isa-debug-exit', 0x3f8: 'COM1 data', 0x3f9: 'COM1 interrupts', 0x3fd: 'COM1 line status', 0x604: 'ACPI power control' };

export function qualificationFields(name: string, q: bigint): Field[] {
  const field = (hi: number, lo: number, label: string, means: (value: number) => string): Field => {
    const value = bits(q, hi, lo);
    return { hi, lo, name: label, value: hi - lo > 4 ? `0x${value.toString(16)}` : String(value), means: means(value), zero: value === 0 };
  };
  const flag = (bit: number, label: string, set: string, clear: string): Field => field(bit, bit, label, (value) => (value ? set : clear));
  if (name === 'IO_INSTRUCTION') {
    return [field(31, 16, 'port', (v) => PORTS[v] ?? 'a port'), flag(6, 'operand', 'in the instruction', 'in DX'), flag(5, 'REP', 'yes', 'no'), flag(4, 'string', 'INS or OUTS', 'no'), flag(3, 'direction', 'IN', 'OUT'), field(2, 0, 'size', (v) => `${v + 1} ${v ? 'bytes' : 'byte'}`)];
  }
  if (name === 'EPT_VIOLATION') {
    return [
      flag(8, 'final', 'the page itself', 'a table of the guest’s'), flag(7, 'linear', 'a linear address belongs to it', 'none'), flag(5, 'X', 'the entries allow execution', 'the entries allow no execution'), flag(4, 'W', 'the entries allow writes', 'the entries allow no writes'),
      flag(3, 'R', 'the entries allow reads', 'the entries allow no reads'), flag(2, 'fetch', 'it was a fetch', 'no fetch'), flag(1, 'write', 'it was a write', 'no write'), flag(0, 'read', 'it was a read', 'no read'),
    ];
  }
  if (name === 'CR_ACCESS') {
    return [field(11, 8, 'register', (v) => GENERAL[v] ?? ''), field(5, 4, 'type', (v) => ['MOV to CR', 'MOV from CR', 'CLTS', 'LMSW'][v] ?? ''), field(3, 0, 'control', (v) => `CR${v}`)];
  }
  if (name === 'DR_ACCESS') return [field(11, 8, 'register', (v) => GENERAL[v] ?? ''), flag(4, 'direction', 'MOV from DR', 'MOV to DR'), field(2, 0, 'debug', (v) => `DR${v}`)];
  return [];
}
