/** The paging-structure caches of one machine's processor: tables that a walk need not look for again. */
import type { WalkCacheRow } from '../../bridge/rows.ts';
import { walkCaches as entriesOf } from '../machine/machine.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

export const walkCaches: View = {
  doc: 'Valid entries of the paging-structure caches: a prefix of an address to the table that comes next. Empty on a processor that was made without them.',
  arg: 'host?, vm or id',
  columns: columns(`
    kind: PML4E, PDPTE or PDE; with EPT before it: of guest-physical addresses
    address [hex]: first address that the entry stands for
    table [hex]: the next table, as the entry says
    host [hex]: where the host has it
    vpid [count]: whose translation it is
    ept [hex]: EPT root it was made under
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found) return [];
    return entriesOf(found.vm.machine)
      .map((one): WalkCacheRow => ({ key: `${one.kind}:${one.vpid}:${one.pcid}:${one.ept.toString(16)}:${one.address.toString(16)}`, kind: one.kind, address: hex(one.address), table: hex(one.table), host: hex(one.host), vpid: one.vpid, ept: hex(one.ept) }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  },
};
