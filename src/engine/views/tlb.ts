/** The translation lookaside buffer of one machine's processor, entry by entry. */
import type { TlbRow } from '../../bridge/rows.ts';
import { RIGHT_EPT_EXECUTE, RIGHT_EPT_WRITE, RIGHT_EXECUTE, RIGHT_GLOBAL, RIGHT_USER, RIGHT_WRITE, tlbEntries } from '../machine/machine.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

const SIZES: Readonly<Record<number, string>> = { 12: '4 KiB', 21: '2 MiB', 30: '1 GiB' };

export const tlb: View = {
  doc: 'Valid TLB entries: linear to host-physical, tagged by VPID and EPT root.',
  arg: 'host?, vm',
  columns: columns(`
    kind: TLB
    gva [hex]: linear address of the page
    hpa [hex]: host-physical address of the page
    size: of the page
    rights: r, w, x, u (user), g (global), as guest and EPT together allow
    vpid [count]: whose translation it is
    ept [hex]: EPT root it was made under
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found) return [];
    return tlbEntries(found.vm.machine)
      .map((entry): TlbRow => {
        const on = (...bits: number[]): boolean => bits.every((bit) => (entry.rights & bit) !== 0);
        const rights = `r${on(RIGHT_WRITE, RIGHT_EPT_WRITE) ? 'w' : '-'}${on(RIGHT_EXECUTE, RIGHT_EPT_EXECUTE) ? 'x' : '-'}${on(RIGHT_USER) ? 'u' : '-'}${on(RIGHT_GLOBAL) ? 'g' : ''}`;
        return {
          key: `${entry.vpid}:${entry.pcid}:${entry.linear.toString(16)}`, kind: 'TLB', gva: hex(entry.linear), hpa: hex(entry.host), size: SIZES[entry.shift] ?? '', rights, vpid: entry.vpid, ept: hex(entry.ept),
        };
      })
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  },
};
