/** Published figures beside what this session has measured with the same workload: the newest run of each counts. */
import type { PaperRow } from '../../bridge/rows.ts';
import { agrees, commandOf, type Figure, FIGURES, keyOf, lastReported, measuredOf } from '../hypervisor/papers.ts';
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
    published: the figure, for one operation
    measured: by nest, in this session, or null
    unit: of both: cycles, or times the cycles of the native column
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
    const cyclesOf = (figure: Figure): number | null => {
      const now = running.filter(({ kvm, costs }) => kvm.technique === figure.technique && costs.name === figure.profile).map(({ ledger }) => lastReported(figure, ledger.said));
      return [...before.map((one) => one.get(keyOf(figure)) ?? null), ...now].findLast((value) => value !== null) ?? null;
    };
    const cycles = new Map(FIGURES.map((figure) => [keyOf(figure), cyclesOf(figure)]));
    return FIGURES.map((figure): PaperRow => {
      const { published, unit, tolerance } = figure;
      const measured = measuredOf(figure, (key) => cycles.get(key) ?? null);
      return {
        key: keyOf(figure), paper: figure.paper, row: figure.row, column: figure.column, published, measured: measured === null ? null : Math.round(measured * 100) / 100, unit,
        deviation: measured === null ? null : Math.round(((measured - published) / published) * 1000) / 10, tolerance,
        agrees: measured === null ? null : agrees(figure, measured), confidence: figure.confidence, technique: figure.technique, command: commandOf(figure),
      };
    });
  },
};
