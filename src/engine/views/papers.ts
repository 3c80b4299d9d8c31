/** Published figures beside what this session has measured with the same workload: the newest run of each counts. */
import type { PaperRow } from '../../bridge/rows.ts';
import { agrees, commandOf, FIGURES, reported } from '../hypervisor/papers.ts';
import { lanesOf } from './lanes.ts';
import { linesOf } from './serial.ts';
import { columns, type View } from './view.ts';

export const papers: View = {
  doc: 'Published measurements of virtualization techniques, and the same measured here, if it was.',
  arg: 'host?',
  columns: columns(`
    paper: where it was published
    row: what was measured
    column: under what
    published [cycles]: the figure
    measured [cycles]: by nest, in this session, or null
    deviation [%]: of the measured from the published
    tolerance [%]: within which they are said to agree
    agrees: they do; null: not measured yet
    confidence: in the published figure
    technique: that measures it here
    command: that measures it
  `),
  rows(world, arg) {
    const lanes = lanesOf(world, { host: arg.host ?? null });
    return FIGURES.map((figure): PaperRow => {
      const measured = lanes
        .filter(({ kvm, costs }) => kvm.technique === figure.technique && costs.name === figure.profile)
        .flatMap(({ ledger }) => linesOf(ledger.said).map((line) => reported(line, figure.workload)))
        .findLast((value) => value !== null) ?? null;
      return {
        key: `${figure.workload}:${figure.technique}`, paper: figure.paper, row: figure.row, column: figure.column, published: figure.published, measured,
        deviation: measured === null ? null : Math.round(((measured - figure.published) / figure.published) * 1000) / 10, tolerance: figure.tolerance,
        agrees: measured === null ? null : agrees(figure, measured), confidence: figure.confidence, technique: figure.technique, command: commandOf(figure),
      };
    });
  },
};
