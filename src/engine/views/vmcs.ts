/** The VMCS of one machine's virtual processor as it stands: field by field, and the fields of flags bit by bit. */
import type { ExitCauseRow, VmcsBitRow, VmcsRow } from '../../bridge/rows.ts';
import { readField } from '../hypervisor/cpu/vmcs.ts';
import { EXIT_DECIDED_BY, explainField, FIELD_BITS } from '../hypervisor/vmcs-bits.ts';
import { FIELDS, fieldKind } from '../hypervisor/vmcs.ts';
import { EXITS } from '../hypervisor/exits.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

export const vmcs: View = {
  doc: 'The fields of the VMCS with their encodings and values.',
  arg: 'host?, vm or id',
  columns: columns(`
    group: control, read-only, guest or host
    encoding [hex]: what VMREAD and VMWRITE name it by
    name: of the field
    value [hex]: its value
    width: 16, 32, 64 or natural
    text: what it says, the names of bits that are set
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found?.vm.technique.startsWith('vmx')) return [];
    return [...FIELDS].map(([name, encoding]): VmcsRow => {
      const value = readField(found.vm, name);
      const { group, width } = fieldKind(encoding);
      return { key: name, group, encoding: `0x${encoding.toString(16).padStart(4, '0')}`, name, value: hex(value), width, text: explainField(name, value) };
    });
  },
};

export const vmcsBits: View = {
  doc: 'Bits of the fields of flags in the VMCS: the controls, the exception bitmap, interruptibility. Reserved bits only when they are set.',
  arg: 'host?, vm or id, field?',
  columns: columns(`
    field: of the VMCS
    bit [count]: its number
    name: what it is called; empty: reserved
    on: it is set
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    if (!found?.vm.technique.startsWith('vmx')) return [];
    return Object.entries(FIELD_BITS).filter(([field]) => arg.field === undefined || arg.field === null || arg.field === field).flatMap(([field, names]) => {
      const value = readField(found.vm, field);
      const on = (bit: number): boolean => ((value >> BigInt(bit)) & 1n) === 1n;
      return Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => names.has(bit) || on(bit)).map((bit): VmcsBitRow => ({ key: `${field}:${bit}`, field, bit, name: names.get(bit) ?? '', on: on(bit) }));
    });
  },
};

const ALWAYS = 'always exits in a guest';
const EXIT_NAMES: ReadonlySet<string> = new Set(Object.values(EXITS).map((row) => row.name));

export const exitCauses: View = {
  doc: 'Which bits of the VMCS decide that an exit happens, and how they stand; none: it happens whatever they say.',
  arg: 'host?, vm or id, name',
  columns: columns(`
    field: of the VMCS
    encoding [hex]: what VMREAD and VMWRITE name it by
    bit [count]: its number
    name: what it is called, or that it always exits
    on: it is set
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    const name = String(arg.name ?? '');
    if (!found?.vm.technique.startsWith('vmx') || !EXIT_NAMES.has(name)) return [];
    const bits = EXIT_DECIDED_BY[name];
    if (!bits) return [{ key: name, field: '', encoding: '', bit: 0, name: ALWAYS, on: true } satisfies ExitCauseRow];
    return bits.map(([field, bit]): ExitCauseRow => ({
      key: `${field}:${bit}`, field, encoding: `0x${FIELDS.get(field)!.toString(16).padStart(4, '0')}`, bit, name: FIELD_BITS[field]!.get(bit) ?? '', on: ((readField(found.vm, field) >> BigInt(bit)) & 1n) === 1n,
    }));
  },
};
