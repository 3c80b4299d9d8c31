/** What guests sent to their serial lines, line by line. */
import type { SerialRow } from '../../bridge/rows.ts';
import { lanesOf, WHOSE } from './lanes.ts';
import { columns, type View } from './view.ts';

const LINES = 200;

/** Lines as a person reads them: without control characters, the last one even when it is not ended. */
export const linesOf = (said: string): string[] => said.replace(/[^\n\x20-\x7e]/g, '').replace(/\n$/, '').split('\n').slice(-LINES);

export const serial: View = {
  doc: 'What each virtual machine sent to its first serial line, the newest 200 lines, also of machines that have ended.',
  arg: 'host?, id?',
  columns: columns(`
    ${WHOSE}
    workload: image and command line that it booted
    n [count]: number of the line
    text: the line
  `),
  rows: (world, arg) =>
    lanesOf(world, arg).flatMap(({ key, kernel, kvm, ledger }) =>
      (ledger.said === '' ? [] : linesOf(ledger.said)).map((text, n): SerialRow => ({ key: `${key}:${n}`, host: kernel.name, id: kvm.id, vm: kvm.name, technique: kvm.technique, workload: kvm.workload, n, text })),
    ),
};
