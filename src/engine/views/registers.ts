/** Registers of one machine's virtual processor, with what their bits say. */
import type { RegisterRow } from '../../bridge/rows.ts';
import { GUEST_SEGMENTS, guestControl, guestRegister, guestSegment, guestTable } from '../hypervisor/state.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { columns, type View } from './view.ts';
import { machineIn } from './vmfiles.ts';

export const registers: View = {
  doc: "Registers of the guest's processor.",
  arg: 'host?, vm',
  columns: columns(`
    group: general, control, segment or table
    name: of the register
    value [hex]: its value
    text: what its bits say
  `),
  rows: (world, arg) => {
    const found = machineIn(world, arg);
    return found ? rowsOf(found.vm) : [];
  },
};

const wide = (value: bigint, digits = 16): string => `0x${value.toString(16).padStart(digits, '0')}`;
const GENERAL = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip', 'rflags'];
const FLAGS: readonly [number, string][] = [[0, 'CF'], [2, 'PF'], [4, 'AF'], [6, 'ZF'], [7, 'SF'], [8, 'TF'], [9, 'IF'], [10, 'DF'], [11, 'OF'], [14, 'NT'], [16, 'RF'], [18, 'AC']];
const CR0: readonly [number, string][] = [[0, 'PE'], [1, 'MP'], [2, 'EM'], [3, 'TS'], [4, 'ET'], [5, 'NE'], [16, 'WP'], [18, 'AM'], [29, 'NW'], [30, 'CD'], [31, 'PG']];
const CR4: readonly [number, string][] = [[0, 'VME'], [2, 'TSD'], [3, 'DE'], [4, 'PSE'], [5, 'PAE'], [6, 'MCE'], [7, 'PGE'], [8, 'PCE'], [9, 'OSFXSR'], [11, 'UMIP'], [12, 'LA57'], [13, 'VMXE'], [17, 'PCIDE'], [20, 'SMEP'], [21, 'SMAP']];
const EFER: readonly [number, string][] = [[0, 'SCE'], [8, 'LME'], [10, 'LMA'], [11, 'NXE']];

const bits = (value: bigint, names: readonly [number, string][]): string => names.filter(([bit]) => (value >> BigInt(bit)) & 1n).map(([, name]) => name).join(' ');

function rowsOf(vm: Vm): RegisterRow[] {
  const row = (group: string, name: string, value: string, text = ''): RegisterRow => ({ key: `${group}:${name}`, group, name, value, text });
  const control = (name: 'cr0' | 'cr4' | 'efer', names: readonly [number, string][]): RegisterRow => row('control', name, wide(guestControl(vm, name)), bits(guestControl(vm, name), names));
  return [
    ...GENERAL.map((name) => row('general', name, wide(guestRegister(vm, name)), name === 'rflags' ? bits(guestRegister(vm, name), FLAGS) : '')),
    control('cr0', CR0), row('control', 'cr2', wide(guestControl(vm, 'cr2')), 'address of the last page fault'), row('control', 'cr3', wide(guestControl(vm, 'cr3')), 'root of the page tables'),
    control('cr4', CR4), control('efer', EFER),
    ...GUEST_SEGMENTS.map((name) => {
      const { selector, base, limit, rights } = guestSegment(vm, name);
      return row('segment', name, wide(BigInt(selector), 4), rights & 0x10000 ? 'unusable' : `base ${wide(base, 1)}, limit ${wide(BigInt(limit), 1)}, DPL ${(rights >> 5) & 3}${rights & 0x2000 && name === 'cs' ? ', 64-bit code' : ''}`);
    }),
    ...(['gdt', 'idt'] as const).map((name) => row('table', `${name}r`, wide(guestTable(vm, name).base), `limit ${wide(BigInt(guestTable(vm, name).limit), 1)}`)),
  ];
}
