/** The code round the instruction pointer of one machine. */
import type { DisassemblyRow } from '../../bridge/rows.ts';
import { guestRegister } from '../hypervisor/state.ts';
import { readLinear } from '../hypervisor/memory/guest.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { type Disassembled, disassembleAll } from '../machine/isa/disassemble.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

const ROWS = 16;
const BEFORE = 5;

export const disassembly: View = {
  doc: 'Sixteen instructions from a little before rip.',
  arg: 'host?, vm',
  columns: columns(`
    address [hex]: linear address
    bytes: of the instruction
    text: NASM's syntax
    current: the next to run
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found) return [];
    const rip = guestRegister(found.vm, 'rip');
    return around(found.vm, rip).map((one): DisassemblyRow => {
      const bytes = readLinear(found.vm, one.address, one.length) ?? new Uint8Array(0);
      return { key: hex(one.address), address: hex(one.address), bytes: [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' '), text: one.text, current: one.address === rip };
    });
  },
};

/** Instructions have no length to read backwards by: the nearest start before rip from which decoding meets rip is taken. */
function around(vm: Vm, rip: bigint): Disassembled[] {
  const after = decode(vm, rip, ROWS);
  for (let back = 48n; back > 0n; back--) {
    if (back > rip) continue;
    const before = decode(vm, rip - back, 48).filter((one) => one.address < rip);
    const last = before.at(-1);
    if (last && last.address + BigInt(last.length) === rip && !before.some((one) => one.mnemonic === 'db')) return [...before.slice(-BEFORE), ...after].slice(0, ROWS);
  }
  return after;
}

function decode(vm: Vm, from: bigint, count: number): Disassembled[] {
  const code = readLinear(vm, from, 15 * count);
  return code ? disassembleAll(code, from, count) : [];
}
