/** Page faults of a guest on shadow tables, in order: which were the guest's own, and of which it never heard. */
import type { ShadowFaultRow } from '../../bridge/rows.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

export const shadowFaults: View = {
  doc: 'The newest 100 page faults of a guest on shadow tables.',
  arg: 'host?, vm or id',
  columns: columns(`
    n [count]: number since power-on
    kind: hidden (the shadow was missing or stale), true (the guest's own), write (to a traced table), page (no frame yet), mmio, reserved
    gva [hex]: the address
    error [hex]: page-fault error code
    rip [hex]: the guest's instruction
    gpa [hex]: guest-physical address, where it is known
    done: what the hypervisor did
  `),
  rows: (world, arg) =>
    (machineIn(world, arg)?.vm.shadow?.faults ?? []).map(
      (one): ShadowFaultRow => ({ key: String(one.n), n: one.n, kind: one.kind, gva: hex(one.gva), error: hex(one.error), rip: hex(one.rip), gpa: one.gpa < 0 ? '' : hex(one.gpa), done: one.done }),
    ),
};
