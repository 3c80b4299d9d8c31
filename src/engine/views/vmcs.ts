/** The VMCS of one machine's virtual processor as it stands, field by field. */
import type { VmcsRow } from '../../bridge/rows.ts';
import { readField } from '../hypervisor/cpu/vmcs.ts';
import { FIELDS, fieldKind } from '../hypervisor/vmcs.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

export const vmcs: View = {
  doc: 'The fields of the VMCS with their encodings and values.',
  arg: 'host?, vm',
  columns: columns(`
    group: control, read-only, guest or host
    encoding [hex]: what VMREAD and VMWRITE name it by
    name: of the field
    value [hex]: its value
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found?.vm.technique.startsWith('vmx')) return [];
    return [...FIELDS].map(([name, encoding]): VmcsRow => ({
      key: name, group: fieldKind(encoding).group, encoding: `0x${encoding.toString(16).padStart(4, '0')}`, name, value: hex(readField(found.vm, name)),
    }));
  },
};
