/** Published figures beside what this session has measured with the same workload: the newest run of each counts. */
import type { PaperRow } from '../../bridge/rows.ts';
import { agrees, commandOf, FIGURES, keyOf, lastReported } from '../hypervisor/papers.ts';
import { kvmOf } from '../kernel/drivers/kvm.ts';
import { lanesOf } from './lanes.ts';
import { columns, kernelsOf, type View } from './view.ts';

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
    const host = { host: arg.host ?? null };
    const running = lanesOf(world, host).filter(({ kvm }) => kvm.past === null);
    const before = kernelsOf(world, host).filter((kernel) => kernel.drivers.has('kvm')).map((kernel) => kvmOf(kernel).measured);
    return FIGURES.map((figure): PaperRow => {
      const now = running.filter(({ kvm, costs }) => kvm.technique === figure.technique && costs.name === figure.profile).map(({ ledger }) => lastReported(figure, ledger.said));
      const measured = [...before.map((one) => one.get(keyOf(figure)) ?? null), ...now].findLast((value) => value !== null) ?? null;
      return {
        key: keyOf(figure), paper: figure.paper, row: figure.row, column: figure.column, published: figure.published, measured,
        deviation: measured === null ? null : Math.round(((measured - figure.published) / figure.published) * 1000) / 10, tolerance: figure.tolerance,
        agrees: measured === null ? null : agrees(figure, measured), confidence: figure.confidence, technique: figure.technique, command: commandOf(figure),
      };
    });
  },
};
