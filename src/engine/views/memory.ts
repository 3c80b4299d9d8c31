/** One 64-byte line of a machine's host-physical memory. */
import type { MemoryRow } from '../../bridge/rows.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

const LINE = 64;

export const memory: View = {
  doc: 'One 64-byte line of the host-physical memory behind a VM, as eight words.',
  arg: 'host?, vm, hpa',
  columns: columns(`
    hpa [hex]: host-physical address of the word
    word [hex]: little-endian
    bytes: in the order of addresses
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found || !/^(0x[0-9a-f]{1,12}|\d{1,15})$/i.test(String(arg.hpa ?? ''))) return [];
    const bytes = found.vm.machine.memory;
    const line = Math.floor(Number(arg.hpa) / LINE) * LINE;
    if (line + LINE > bytes.length) return [];
    return Array.from({ length: 8 }, (_, n): MemoryRow => {
      const at = line + 8 * n;
      return {
        key: hex(at), hpa: hex(at), word: `0x${found.vm.machine.physical.getBigUint64(at, true).toString(16).padStart(16, '0')}`,
        bytes: [...bytes.subarray(at, at + 8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
      };
    });
  },
};
