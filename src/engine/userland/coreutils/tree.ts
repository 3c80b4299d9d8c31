/** tree, whereis, cal: small things that people type. Source: tree(1), whereis(1), cal(1). */
import { sys } from '../../kernel/sys.ts';
import { attempt, exists, isDir, list, statOf } from '../lib/files.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';
import { civilOf, daysBefore } from '../../sim/calendar.ts';

interface Walk {
  hidden: boolean;
  onlyDirs: boolean;
  depth: number;
  dirs: number;
  files: number;
}

export const tree = command(function* (argv) {
  const o = parseOptions('a d L= C n F', argv.slice(1));
  const given = lastValue(o, 'L');
  if (given !== undefined && !/^[1-9]\d*$/.test(given)) throw new Failed('Invalid level, must be greater than 0.');
  const walk: Walk = { hidden: o.on.has('a'), onlyDirs: o.on.has('d'), depth: given === undefined ? 64 : Number(given), dirs: 0, files: 0 };
  let status = 0;
  for (const root of o.words.length > 0 ? o.words : ['.']) {
    const stat = yield* statOf(root);
    const opens = stat !== null && isDir(stat);
    yield* print(`${root}${opens ? '' : '  [error opening dir]'}\n`);
    if (opens) yield* branch(walk, root, '', 1);
    else status = 2;
  }
  const dirs = `${walk.dirs} director${walk.dirs === 1 ? 'y' : 'ies'}`;
  yield* print(`\n${dirs}${walk.onlyDirs ? '' : `, ${walk.files} file${walk.files === 1 ? '' : 's'}`}\n`);
  return status;
});

function* branch(walk: Walk, at: string, indent: string, depth: number): Call<void> {
  const shown = [];
  for (const { name, type: kind } of yield* attempt(list(at), [])) {
    if (name.startsWith('.') && !walk.hidden) continue;
    if (walk.onlyDirs && kind !== 'dir') continue;
    shown.push({ name, kind });
  }
  shown.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const [i, { name, kind }] of shown.entries()) {
    const last = i === shown.length - 1;
    const path = `${at === '/' ? '' : at}/${name}`;
    const target = kind === 'link' ? yield* attempt(sys('readlinkat', -100, path), null) : null;
    yield* print(`${indent}${last ? '└── ' : '├── '}${name}${target === null ? '' : ` -> ${target}`}\n`);
    if (kind !== 'dir') walk.files++;
    else {
      walk.dirs++;
      if (depth < walk.depth) yield* branch(walk, path, `${indent}${last ? '    ' : '│   '}`, depth + 1);
    }
  }
}

export const whereis = command(function* (argv) {
  const { words } = parseOptions('b m s u', argv.slice(1));
  for (const word of words) {
    let found = '';
    for (const dir of ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/etc']) if (yield* exists(`${dir}/${word}`)) found += ` ${dir}/${word}`;
    yield* print(`${word}:${found}\n`);
  }
});

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

/** cal [[MONTH] YEAR] */
export const cal = command(function* (argv) {
  const { words } = parseOptions('1 s m y', argv.slice(1));
  const today = civilOf((yield* sys('clock_gettime', 'realtime')) / 1e9);
  const year = Number(words.at(-1) ?? today.year);
  if (!Number.isInteger(year) || year < 1 || year > 9999) throw new Failed(`illegal year value: use 1-9999`);
  const months = words.length === 1 ? MONTHS.map((_, i) => i + 1) : [words.length === 2 ? Number(words[0]) : today.month];
  for (const month of months) {
    if (!(month >= 1 && month <= 12)) throw new Failed('illegal month value: use 1-12');
    yield* print(monthOf(year, month));
  }
});

function monthOf(year: number, month: number): string {
  const first = daysBefore(year, month, 1);
  const days = (month === 12 ? daysBefore(year + 1, 1, 1) : daysBefore(year, month + 1, 1)) - first;
  const blank = (((first + 4) % 7) + 7) % 7;
  const title = `${MONTHS[month - 1]} ${year}`;
  const cells = [...Array.from({ length: blank }, () => '  '), ...Array.from({ length: days }, (_, i) => String(i + 1).padStart(2))];
  let out = `${' '.repeat(Math.floor((20 - title.length) / 2))}${title}`.padEnd(20).concat('\nSu Mo Tu We Th Fr Sa\n');
  for (let i = 0; i < cells.length; i += 7) out += `${cells.slice(i, i + 7).join(' ')}\n`;
  return `${out}\n`;
}
