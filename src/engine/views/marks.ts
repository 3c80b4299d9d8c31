/** The time bar's marks: which trace records a person would look for, in words. One table says which and how. */
import type { MarkRow } from '../../bridge/rows.ts';
import { sentenceOf } from './sentences.ts';
import { columns, type View } from './view.ts';

const MOST = 2000;

export const marks: View = {
  doc: 'Events of the trace worth a mark on the time bar, in order of time; the newest 2,000.',
  arg: 'from?',
  columns: columns(`
    t [ns]: when
    floor: guest, hypervisor, kernel, container, cluster or input
    kind: the trace record's kind
    text: what happened, in a sentence
    outcome: ok, warn, killed or empty
    scene: the scene that shows it, or empty
  `),
  rows: (world, arg) => {
    const from = Number(arg.from ?? 0);
    const rows: MarkRow[] = [];
    const { records } = world.trace;
    for (let i = records.length - 1; i >= 0 && rows.length < MOST; i--) {
      const entry = records[i]!;
      if (entry.t < from) break;
      const sentence = sentenceOf(entry);
      if (!sentence?.mark) continue;
      rows.push({ key: String(entry.n), t: entry.t, floor: entry.floor, kind: entry.kind, text: sentence.text, outcome: sentence.outcome, scene: sentence.scene });
    }
    return rows.reverse();
  },
};
