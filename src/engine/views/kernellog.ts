/** The kernel's log, line by line, as dmesg prints it. */
import type { KernelLogRow } from '../../bridge/rows.ts';
import { columns, kernelsOf, type View } from './view.ts';

const MOST = 500;

export const kernelLog: View = {
  doc: "Lines of the kernel's log, the newest 500, or those of a stretch of time.",
  arg: 'host?, from?, to?',
  columns: columns(`
    host: machine
    n [count]: ordinal among the lines kept
    t [ns]: when
    level [count]: 0 emergency to 7 debug
    stamp: seconds since boot, as dmesg prints them
    text: the line
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => {
    const rows = kernel.log.map(({ at, level, text }, n): KernelLogRow => {
      const us = Math.floor(at / 1000);
      return { key: `${kernel.name}:${n}`, host: kernel.name, n, t: at + kernel.bootedAt, level, stamp: `[${String(Math.floor(us / 1_000_000)).padStart(5)}.${String(us % 1_000_000).padStart(6, '0')}]`, text };
    });
    const [from, to] = [Number(arg.from ?? 0), Number(arg.to ?? Number.POSITIVE_INFINITY)];
    return rows.filter((row) => row.t >= from && row.t <= to).slice(-MOST);
  }),
};
