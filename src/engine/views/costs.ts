/** The table of costs that every figure of a virtual machine follows from: one row a number of a profile, with its source. */
import type { CostRow } from '../../bridge/rows.ts';
import { COSTS, type CostProfile } from '../hypervisor/costs.ts';
import { columns, type View } from './view.ts';

/** What the numbers stand for; one without a word here is shown by its name. */
const WORDS: Readonly<Record<string, string>> = {
  round: 'VM exit and entry, by the hardware alone', handler: 'handler in the hypervisor', userspace: 'to a program of the host and back', sleep: 'to sleep in HLT and be woken',
  'paravirt.hypercall': 'hypercall and return', 'paravirt.validate': 'checking one entry of a page table', 'paravirt.bounce': "trap or event brought to the guest's handler",
  'shadow.hidden': "shadow tables: walking the guest's and filling", 'shadow.true': "shadow tables: walking the guest's, and the fault is its own", 'shadow.write': 'shadow tables: a write to a traced table emulated',
  'shadow.switch': 'shadow tables: CR3 loaded, root found or made', 'shadow.invlpg': 'shadow tables: INVLPG', 'shadow.resync': 'shadow tables: one table out of sync compared again',
};

export const costTable: View = {
  doc: 'Costs of crossing between guest, hypervisor and program, by processor generation.',
  arg: 'profile?',
  columns: columns(`
    profile: processor generation, as -cpu chooses it
    launched: year
    row: what it is for
    name: in the table
    cycles [cycles]: what it costs
    source: where the figure comes from
    confidence: how far to trust it
  `),
  rows: (_world, arg) =>
    Object.values(COSTS as Readonly<Record<string, CostProfile>>)
      .filter((profile) => arg.profile === undefined || arg.profile === null || profile.name === arg.profile)
      .flatMap((profile) =>
        numbers(profile).map(([name, cycles]): CostRow => ({
          key: `${profile.name}:${name}`, profile: profile.name, launched: profile.launched, row: WORDS[name] ?? name.replace(/[.-]/g, ' '), name, cycles, source: sourceOf(profile, name), confidence: confidenceOf(sourceOf(profile, name)),
        })),
      ),
};

/** Every number in it but the year, those of a record inside it by "record.name". */
function numbers(record: object, prefix = ''): [string, number][] {
  return Object.entries(record).flatMap(([name, value]): [string, number][] => {
    if (typeof value === 'number') return name === 'launched' ? [] : [[prefix + name, value]];
    return typeof value === 'object' && value !== null ? numbers(value, `${prefix}${name}.`) : [];
  });
}

/** A record of costs may have a source of its own. */
function sourceOf(profile: CostProfile, name: string): string {
  const part: unknown = (profile as unknown as Record<string, unknown>)[name.split('.')[0]!];
  return typeof part === 'object' && part !== null && 'source' in part ? String(part.source) : profile.source;
}

const confidenceOf = (source: string): string => (/low confidence/.test(source) ? 'low' : /table \d/.test(source) ? 'high' : 'medium');
