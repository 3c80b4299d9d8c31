/** busybox' ps: its own columns, widths and words. Source: BusyBox procps/ps.c (desktop off), compared with 1.35. */
import { parseOptions } from '../lib/args.ts';
import { command, Failed, print } from '../lib/io.ts';
import { type Accounts, groupName, readAccounts, userName } from './accounts.ts';
import { commandLine, type Process, readProcesses } from './processes.ts';

interface Column { heading: string; width: number; right?: true; of(one: Process, accounts: Accounts): string }

/** Four places: KiB, from 10,000 on MiB with an m. */
const short = (kib: number): string => (kib < 10_000 ? String(kib) : kib < 1024 * 10_000 ? `${Math.floor(kib / 1024)}m` : `${Math.floor(kib / 1048576)}g`);
const named = (heading: string, of: Column['of']): Column => ({ heading, width: 8, of: (one, accounts) => of(one, accounts).slice(0, 8) });
const number = (heading: string, of: (one: Process) => number): Column => ({ heading, width: 5, right: true, of: (one) => String(of(one)) });
/** What runs under another name than its first word says it in braces. */
function line(one: Process): string {
  if (one.args.length === 0) return `[${one.comm}]`;
  const called = one.args[0]!.slice(one.args[0]!.lastIndexOf('/') + 1).replace(/^-/, '');
  return called.startsWith(one.comm) ? commandLine(one) : `{${one.comm}} ${commandLine(one)}`;
}
const COLUMNS: Readonly<Record<string, Column>> = {
  user: named('USER', (one, accounts) => userName(accounts, one.euid)), group: named('GROUP', (one, accounts) => groupName(accounts, one.egid)),
  comm: { heading: 'COMMAND', width: 16, of: (one) => one.comm }, args: { heading: 'COMMAND', width: 256, of: line },
  pid: number('PID', (one) => one.pid), ppid: number('PPID', (one) => one.ppid), pgid: number('PGID', (one) => one.pgrp), nice: number('NI', (one) => one.nice),
  rgroup: named('RGROUP', (one, accounts) => groupName(accounts, one.gid)), ruser: named('RUSER', (one, accounts) => userName(accounts, one.uid)),
  tty: { heading: 'TT', width: 6, of: (one) => one.tty },
  vsz: { heading: 'VSZ', width: 4, right: true, of: (one) => short(one.vsize / 1024) }, sid: number('SID', (one) => one.session),
  stat: { heading: 'STAT', width: 4, of: (one) => one.state }, rss: { heading: 'RSS', width: 4, right: true, of: (one) => short(one.rss * 4) },
};

/** "pid,args=WHAT": a heading runs to the end of its word. */
function columnsOf(lists: string[]): Column[] {
  return lists.flatMap((list) => list.split(',')).map((word) => {
    const [name = '', ...heading] = word.split('=');
    const column = COLUMNS[name];
    if (!column) throw new Failed(`bad -o argument '${name}', supported arguments: ${Object.keys(COLUMNS).join(',')}`);
    if (heading.length === 0) return column;
    return { ...column, heading: heading.join('='), width: heading[0] === '' ? column.width : heading.join('=').length };
  });
}

export const busyboxPs = command(function* (argv) {
  const o = parseOptions('o= a A d e f l T', argv.slice(1));
  const columns = o.values.has('o') ? columnsOf(o.values.get('o')!) : [COLUMNS.pid!, COLUMNS.user!, COLUMNS.args!];
  const accounts = yield* readAccounts();
  const row = (cells: (column: Column) => string): string => columns.map((column, i) => {
    const cell = cells(column);
    return column.right && cell !== column.heading ? cell.padStart(column.width) : i === columns.length - 1 ? cell : cell.padEnd(column.width);
  }).join(' ');
  const processes = yield* readProcesses();
  const headings = columns.some((column) => column.heading !== '') ? `${row((column) => column.heading)}\n` : '';
  yield* print(headings + processes.map((one) => `${row((column) => column.of(one, accounts))}\n`).join(''));
});
