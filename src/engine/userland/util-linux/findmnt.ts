/** findmnt and mountpoint: mounts as a tree or a list. Source: findmnt(8), mountpoint(1). */
import { realPath } from '../coreutils/paths.ts';
import { humanSize } from '../coreutils/sizes.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, isDir, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print } from '../lib/io.ts';
import { type ColumnSpec, render, type Row, rowOf } from './columns.ts';
import { allOptions, type MountRow, mountOver, readMounts } from './mounts.ts';

const SPEC =
  'A/all a/ascii b/bytes c C/nocanonicalize D/df d/direction= e/evaluate F/tab-file= f/first-only i/invert J/json k/kernel l/list M/mountpoint= m/mtab N/task= n/noheadings O/options= o/output= P/pairs p/poll? R/submounts r/raw ' +
  's/fstab S/source= T/target= t/types= U/uniq u/notruncate v/nofsroot w/timeout= x/verify y/shell output-all real pseudo tree deleted';

const COLUMNS = ['TARGET', 'SOURCE', 'FSTYPE', 'OPTIONS', 'VFS-OPTIONS', 'FS-OPTIONS', 'PROPAGATION', 'ID', 'PARENT', 'MAJ:MIN', 'FSROOT', 'SIZE', 'USED', 'AVAIL', 'USE%', 'OPT-FIELDS', 'TID'];
const RIGHT = new Set(['ID', 'PARENT', 'SIZE', 'USED', 'AVAIL', 'USE%', 'TID']);

const PSEUDO = new Set(['proc', 'sysfs', 'devtmpfs', 'devpts', 'tmpfs', 'cgroup2', 'cgroup', 'mqueue', 'nsfs', 'securityfs', 'debugfs', 'tracefs', 'bpf', 'pstore', 'overlay', 'hugetlbfs', 'fusectl', 'configfs']);

export const findmnt = command(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  const rows = yield* readMounts(o.on.has('task') ? `/proc/${lastValue(o, 'task')}/mountinfo` : undefined);
  const standard = o.on.has('df') ? ['SOURCE', 'FSTYPE', 'SIZE', 'USED', 'AVAIL', 'USE%', 'TARGET'] : ['TARGET', 'SOURCE', 'FSTYPE', 'OPTIONS'];
  const names = o.on.has('output') ? lastValue(o, 'output')!.replace(/^\+/, '').split(',').map((n) => n.toUpperCase()) : o.on.has('output-all') ? COLUMNS : standard;
  if (lastValue(o, 'output')?.startsWith('+')) names.unshift(...standard);
  for (const name of names) if (!COLUMNS.includes(name)) throw new Failed(`unknown column: ${name}`);
  const { chosen, searched } = yield* choose(o, rows);
  const cells = new Map<number, Row>();
  for (const row of chosen) cells.set(row.id, rowOf(yield* cellsOf(row, names)));
  const flat = searched || o.on.has('list') || o.on.has('df') || o.on.has('raw') || o.on.has('pairs') || !names.includes('TARGET');
  const top = flat && !o.on.has('submounts') && !o.on.has('json') ? [...cells.values()] : tree(chosen, cells);
  if (top.length === 0) return 1;
  const style = o.on.has('json') ? 'json' : o.on.has('raw') ? 'raw' : o.on.has('pairs') ? 'pairs' : 'table';
  const columns: ColumnSpec[] = names.map((name) => (RIGHT.has(name) ? { name, align: 'right', number: name === 'ID' || name === 'PARENT' } : { name }));
  yield* print(render(top, columns, flat && !o.on.has('submounts') && !o.on.has('json') ? null : 'TARGET', { headings: !o.on.has('noheadings'), style, title: 'filesystems', ascii: o.on.has('ascii') }));
  return 0;
});

function* choose(o: ReturnType<typeof parseOptions>, rows: readonly MountRow[]): Call<{ chosen: MountRow[]; searched: boolean }> {
  const types = lastValue(o, 'types')?.split(',');
  const options = lastValue(o, 'options')?.split(',');
  const source = lastValue(o, 'source') ?? (o.words.length === 2 ? o.words[0] : undefined);
  const word = lastValue(o, 'mountpoint') ?? (o.words.length === 2 ? o.words[1] : o.words[0]);
  const inside = lastValue(o, 'target');
  let chosen = [...rows];
  if (types) chosen = chosen.filter((r) => types.includes(r.type) !== o.on.has('invert'));
  if (options) chosen = chosen.filter((r) => options.every((x) => allOptions(r).split(',').includes(x)));
  if (o.on.has('real')) chosen = chosen.filter((r) => !PSEUDO.has(r.type));
  if (o.on.has('pseudo')) chosen = chosen.filter((r) => PSEUDO.has(r.type));
  if (source !== undefined) chosen = chosen.filter((r) => r.source === source);
  if (inside !== undefined) {
    const path = yield* attempt(realPath(inside, 'none'), null);
    const over = path === null ? null : mountOver(rows, path);
    chosen = over ? [over] : [];
  }
  if (word !== undefined) {
    const path = (yield* attempt(realPath(word, 'last'), null)) ?? word;
    const byTarget = chosen.filter((r) => r.target === path);
    const found = byTarget.length > 0 ? byTarget : chosen.filter((r) => r.source === word);
    chosen = o.on.has('submounts') ? rows.filter((r) => r.target === path || r.target.startsWith(`${path === '/' ? '' : path}/`)) : found;
  }
  if (o.on.has('first-only')) chosen = chosen.slice(0, 1);
  return { chosen, searched: word !== undefined || source !== undefined || inside !== undefined || types !== undefined || options !== undefined || o.on.has('real') || o.on.has('pseudo') };
}

function tree(chosen: readonly MountRow[], cells: ReadonlyMap<number, Row>): Row[] {
  const top: Row[] = [];
  for (const row of chosen) {
    const parent = row.parent === row.id ? undefined : cells.get(row.parent);
    if (parent) parent.children.push(cells.get(row.id)!);
    else top.push(cells.get(row.id)!);
  }
  return top;
}

function* cellsOf(row: MountRow, names: readonly string[]): Call<Record<string, string>> {
  const cells: Record<string, string> = {
    TARGET: row.target, SOURCE: row.source + (row.root === '/' ? '' : `[${row.root}]`), FSTYPE: row.type, OPTIONS: allOptions(row), 'VFS-OPTIONS': row.options, 'FS-OPTIONS': row.superOptions, PROPAGATION: propagation(row), ID: String(row.id),
    PARENT: String(row.parent), 'MAJ:MIN': row.dev, FSROOT: row.root, 'OPT-FIELDS': row.propagation.join(' '), TID: '',
  };
  if (names.some((n) => ['SIZE', 'USED', 'AVAIL', 'USE%'].includes(n))) {
    const fs = yield* attempt(sys('statfs', row.target), null);
    const used = fs ? (fs.blocks - fs.bfree) * fs.bsize : 0;
    Object.assign(cells, fs ? { SIZE: humanSize(fs.blocks * fs.bsize), USED: humanSize(used), AVAIL: humanSize(fs.bavail * fs.bsize), 'USE%': fs.blocks === 0 ? '-' : `${Math.round((used * 100) / (fs.blocks * fs.bsize))}%` } : {});
  }
  return cells;
}

function propagation(row: MountRow): string {
  const kinds = row.propagation.map((p) => p.split(':')[0]!);
  const shared = kinds.includes('shared');
  const slave = kinds.includes('master');
  return `${shared ? 'shared' : 'private'}${slave ? ',slave' : ''}${kinds.includes('unbindable') ? ',unbindable' : ''}`;
}

export const mountpoint = command(function* (argv) {
  const o = parseOptions('q/quiet d/fs-devno x/devno nofollow', argv.slice(1));
  const [path] = o.words;
  if (path === undefined) throw new BadOption('bad usage');
  const stat = yield* statOf(path);
  if (!stat) {
    if (!o.on.has('quiet')) yield* complain(`mountpoint: ${path}: No such file or directory\n`);
    return 1;
  }
  const real = yield* realPath(path, 'none');
  const found = (yield* readMounts()).findLast((r) => r.target === real);
  if (o.on.has('fs-devno') && found) yield* print(`${found.dev}\n`);
  else if (!o.on.has('quiet')) yield* print(`${path} is ${found && isDir(stat) ? '' : 'not '}a mountpoint\n`);
  return found ? 0 : 32;
});
