/** The reference page of the processor: the instruction table, one row a mnemonic. */
import type { InstructionRow } from '../../bridge/rows.ts';
import { exitName } from '../hypervisor/exits.ts';
import type { Form } from '../machine/isa/forms.ts';
import { INSTRUCTIONS } from '../machine/isa/table.ts';
import { columns, type View } from './view.ts';

export const instructions: View = {
  doc: 'The instructions the processor has, as its decoder, assembler and disassembler read them.',
  arg: '',
  columns: columns(`
    name: mnemonic
    forms [count]: encodings
    encoding: the first of them, as the manual writes it
    privilege: who may use it
    sensitivity: innocuous, traps, or silent (reads or changes the machine's state without a trap; Popek and Goldberg)
    exits: VM exits it can cause by itself
    cycles [cycles]: its cost without misses
  `),
  rows: () =>
    [...INSTRUCTIONS.values()].map((row): InstructionRow => ({
      key: row.mnemonic, name: row.mnemonic, forms: row.forms.length, encoding: encodingOf(row.forms[0]), privilege: row.privilege,
      sensitivity: row.sensitivity, exits: row.exits.map(exitName).join(', '), cycles: row.cycles,
    })),
};

function encodingOf(form: Form | undefined): string {
  if (!form) return '';
  const hex = (n: number): string => n.toString(16).padStart(2, '0');
  const bytes = [...form.mandatory.map(hex), ...(form.o16 ? ['66'] : []), ...(form.w ? ['REX.W'] : []), ...form.opcode.map(hex)];
  const tail = `${form.plus ? '+r' : ''}${form.modrm === null ? '' : ` /${form.modrm}`}`;
  return `${bytes.join(' ')}${tail}${form.operands.length > 0 ? `  ${form.operands.join(', ')}` : ''}`;
}
