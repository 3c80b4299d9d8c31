/** Shadow page tables of one machine, page by page. One address through them is the view `tables`. */
import type { ShadowRow } from '../../bridge/rows.ts';
import { MAY_EXECUTE, MAY_USER, MAY_WRITE } from '../hypervisor/memory/shadow-types.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

const LEVELS = ['', 'PT', 'PD', 'PDPT', 'PML4'];

const rights = (access: number): string => `r${(access & MAY_WRITE) !== 0 ? 'w' : '-'}${(access & MAY_EXECUTE) !== 0 ? 'x' : '-'}${(access & MAY_USER) !== 0 ? 'u' : '-'}`;

export const shadow: View = {
  doc: 'Shadow page tables of a guest without EPT, one row a table, the least recently used first.',
  arg: 'host?, vm or id',
  columns: columns(`
    id [count]: in the order in which they were made
    gfn [hex]: frame of the guest's table that it stands for; of a direct one the first frame that it maps
    hpa [hex]: where the table lies
    level: PML4, PDPT, PD or PT
    mode: how the guest's tables are read: long, pae, 32, none (paging off)
    direct: it stands for no table: part of a large page, or paging is off
    access: rights that the entries above leave: r, w, x, u (user)
    role: the rest of what it is found by: quadrant, nx, wp, smep and smap with wp clear
    entries [count]: in use, of 512
    parents [count]: entries that point to it
    protected: the guest's table is write-protected: its writes are seen
    unsync: a leaf that the guest writes unseen until it flushes
    writes [count]: emulated writes since it was last used; the third gives it up
    root: at the top of the tables in force
    used [count]: place in the order of use, the last is the newest
  `),
  rows(world, arg) {
    const s = machineIn(world, arg)?.vm.shadow;
    if (!s) return [];
    return [...s.pages.values()].map(({ id, gfn, hpa, role, present, parents, unsync, writes }, at): ShadowRow => ({
      key: String(id), id, gfn: hex(gfn), hpa: hex(hpa), level: LEVELS[role.level] ?? '', mode: role.mode, direct: role.direct, access: rights(role.access),
      role: [role.mode === '32' ? `quadrant ${role.quadrant}` : '', role.nx ? 'nx' : '', role.wp ? 'wp' : '', role.smepNotWp ? 'smep' : '', role.smapNotWp ? 'smap' : ''].filter(Boolean).join(' '),
      entries: present, parents: parents.size, protected: !role.direct && !unsync, unsync, writes, root: s.tops.some((top) => top.id === id), used: at,
    }));
  },
};
