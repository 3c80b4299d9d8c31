/** findmnt and mountpoint: mounts as a tree or a list. Source: findmnt(8), mountpoint(1). */
import { realPath } from '../coreutils/paths.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, isDir, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print } from '../lib/io.ts';
import { probe } from './blocks.ts';
import { type ColumnSpec, render, type Row, rowOf, sizeText } from './columns.ts';
import { allOptions, hasOptions, isOfType, type MountRow, mountOver, readMounts } from './mounts.ts';

const SPEC =
  'A/all a/ascii b/bytes c C/nocanonicalize D/df d/direction= e/evaluate F/tab-file= f/first-only i/invert J/json k/kernel l/list M/mountpoint= m/mtab N/task= n/noheadings O/options= o/output= P/pairs p/poll? R/submounts r/raw ' +
  's/fstab S/source= T/target= t/types= U/uniq u/notruncate v/nofsroot w/timeout= x/verify y/shell output-all real pseudo tree deleted';

/** In the order of --output-all. */
const COLUMNS = [
  'AVAIL', 'FREQ', 'FSROOT', 'FSTYPE', 'FS-OPTIONS', 'ID', 'INO.AVAIL', 'INO.TOTAL', 'INO.USED', 'INO.USE%', 'LABEL', 'MAJ:MIN', 'OPTIONS', 'OPT-FIELDS', 'PARENT', 'PARTLABEL', 'PARTUUID', 'PASSNO', 'PROPAGATION', 'SIZE', 'SOURCE', 'SOURCES',
  'TARGET', 'TID', 'UNIQ-ID', 'USED', 'USE%', 'UUID', 'VFS-OPTIONS',
];
const RIGHT = new Set(['ID', 'PARENT', 'SIZE', 'USED', 'AVAIL', 'USE%', 'TID', 'INO.AVAIL', 'INO.TOTAL', 'INO.USED', 'INO.USE%', 'FREQ', 'PASSNO']);
/** The least width of a column whose cells are wider than its heading. */
const HINTS: Readonly<Record<string, number>> = { SIZE: 5, USED: 5, AVAIL: 5, 'USE%': 4, 'INO.TOTAL': 5, 'INO.USED': 5, 'INO.AVAIL': 5, TID: 4, ID: 4, PARENT: 4 };
const SPACE = new Set(['SIZE', 'USED', 'AVAIL', 'USE%', 'INO.AVAIL', 'INO.TOTAL', 'INO.USED', 'INO.USE%']);

const PSEUDO = new Set(['proc', 'sysfs', 'devtmpfs', 'devpts', 'tmpfs', 'cgroup2', 'cgroup', 'mqueue', 'nsfs', 'securityfs', 'debugfs', 'tracefs', 'bpf', 'pstore', 'overlay', 'hugetlbfs', 'fusectl', 'configfs', 'ramfs']);

type Options = ReturnType<typeof parseOptions>;
type Style = 'json' | 'raw' | 'pairs' | 'table';

export const findmnt = command(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  if (o.on.has('verify')) return yield* verify();
  const standard = o.on.has('df') ? ['SOURCE', 'FSTYPE', 'SIZE', 'USED', 'AVAIL', 'USE%', 'TARGET'] : ['TARGET', 'SOURCE', 'FSTYPE', 'OPTIONS'];
  const asked = lastValue(o, 'output');
  const names = asked !== undefined ? asked.replace(/^\+/, '').split(',').map((n) => n.toUpperCase()) : o.on.has('output-all') ? COLUMNS.slice() : standard;
  if (asked?.startsWith('+')) names.unshift(...standard);
  for (const name of names) if (!COLUMNS.includes(name)) throw new Failed(`unknown column: ${name}`);
  const rows = o.on.has('fstab') ? yield* tableRows() : yield* liveRows(lastValue(o, 'task'));
  const { chosen, flat } = yield* choose(o, rows);
  if (chosen.length === 0) return 1;
  const style: Style = o.on.has('json') ? 'json' : o.on.has('raw') ? 'raw' : o.on.has('pairs') ? 'pairs' : 'table';
  const cells = new Map<number, Row>();
  for (const row of chosen) cells.set(row.id, rowOf(yield* cellsOf(o, row, names, style)));
  const list = flat || o.on.has('fstab') || style === 'raw' || style === 'pairs' || !names.includes('TARGET');
  const top = list ? [...cells.values()] : tree(rows, cells);
  const columns: ColumnSpec[] = names.map((name) => ({ name, ...(RIGHT.has(name) && { align: 'right' }), ...(HINTS[name] !== undefined && { hint: HINTS[name] }), number: name === 'ID' || name === 'PARENT' }));
  yield* print(render(top, columns, list ? null : 'TARGET', { headings: !o.on.has('noheadings'), style, title: 'filesystems', ascii: o.on.has('ascii') }));
  return 0;
});

function* liveRows(task: string | undefined): Call<MountRow[]> {
  if (task === undefined) return yield* readMounts();
  const file = `/proc/${task}/mountinfo`;
  if ((yield* statOf(file)) === null) throw new Failed(`can't read ${file}: No such file or directory`);
  return yield* readMounts(file);
}

/** fstab as mounts that hang nowhere. */
function* tableRows(): Call<MountRow[]> {
  const lines = ((yield* tryRead('/etc/fstab')) ?? '').split('\n').map((line) => line.replace(/^\s*#.*/, '').trim().split(/\s+/)).filter((f) => f.length >= 3);
  return lines.map((f, i) => ({ id: i + 1, parent: i + 1, dev: '0:0', root: '/', target: f[1]!, options: f[3] ?? 'defaults', propagation: [], type: f[2]!, source: f[0]!, superOptions: '' }));
}

/** --verify: what of fstab could not be mounted. */
function* verify(): Call<number> {
  let text = '';
  let [errors, warnings] = [0, 0];
  const known = ((yield* tryRead('/proc/filesystems')) ?? '').split('\n').map((line) => line.split('\t')[1]);
  for (const row of yield* tableRows()) {
    const said: string[] = [];
    if (row.target !== 'none' && (yield* statOf(row.target)) === null) said.push(`   [E] unreachable on boot required target: No such file or directory\n`);
    if (row.source.startsWith('/') && (yield* statOf(row.source)) === null) said.push(`   [E] unreachable on boot required source: ${row.source}\n`);
    if (!known.includes(row.type) && row.type !== 'swap' && row.type !== 'auto' && row.type !== 'none') said.push(`   [W] ${row.type} seems unsupported by the current kernel\n`);
    errors += said.filter((one) => one.includes('[E]')).length;
    warnings += said.filter((one) => one.includes('[W]')).length;
    if (said.length > 0) text += `${row.target}\n${said.join('')}`;
  }
  const count = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`;
  yield* print(errors + warnings === 0 ? 'Success, no errors or warnings detected\n' : `${text}\n0 parse errors, ${count(errors, 'error')}, ${count(warnings, 'warning')}\n`);
  return errors > 0 ? 1 : 0;
}

/** Which rows match, and whether they are listed without a tree: where a source or a target was asked for. */
function* choose(o: Options, rows: readonly MountRow[]): Call<{ chosen: MountRow[]; flat: boolean }> {
  const types = lastValue(o, 'types');
  const options = lastValue(o, 'options');
  const source = lastValue(o, 'source') ?? (o.words.length > 1 ? o.words[0] : undefined);
  const word = lastValue(o, 'mountpoint') ?? (o.words.length > 1 ? o.words[1] : o.words[0]);
  const inside = lastValue(o, 'target');
  const ofType = (row: MountRow): boolean => types === undefined || isOfType(row.type, types) !== o.on.has('invert');
  let chosen = rows.filter((row) => ofType(row) && (options === undefined || hasOptions(row, options)));
  if (o.on.has('real')) chosen = chosen.filter((r) => !PSEUDO.has(r.type));
  if (o.on.has('pseudo')) chosen = chosen.filter((r) => PSEUDO.has(r.type));
  if (o.on.has('df') && !o.on.has('all')) chosen = chosen.filter((r) => !PSEUDO.has(r.type) || r.type === 'tmpfs' || r.type === 'devtmpfs' || r.type === 'overlay');
  if (source !== undefined) chosen = chosen.filter((r) => r.source === source);
  if (inside !== undefined) {
    const path = yield* attempt(realPath(inside, 'none'), null);
    const over = path === null ? null : mountOver(rows, path);
    chosen = over ? [over] : [];
  }
  if (word !== undefined) {
    const path = (yield* attempt(realPath(word, 'last'), null)) ?? word;
    const byTarget = chosen.filter((r) => r.target === path);
    const bySource = o.on.has('mountpoint') ? [] : chosen.filter((r) => r.source === word);
    const found = byTarget.length > 0 ? byTarget : bySource;
    chosen = o.on.has('submounts') ? rows.filter((r) => r.target === path || r.target.startsWith(`${path === '/' ? '' : path}/`)) : found;
  }
  if (o.on.has('direction') && lastValue(o, 'direction') === 'backward') chosen.reverse();
  if (o.on.has('first-only')) chosen = chosen.slice(0, 1);
  const searched = word !== undefined || source !== undefined || inside !== undefined || o.on.has('first-only');
  return { chosen, flat: (searched && !o.on.has('submounts') && !o.on.has('json')) || o.on.has('list') || (o.on.has('df') && !o.on.has('tree')) };
}

/** Each row below the nearest above it that is shown, in the order of walking the whole tree. */
function tree(rows: readonly MountRow[], cells: ReadonlyMap<number, Row>): Row[] {
  const below = new Map<number, MountRow[]>();
  const known = new Set(rows.map((row) => row.id));
  const roots: MountRow[] = [];
  for (const row of rows) {
    if (row.parent === row.id || !known.has(row.parent)) roots.push(row);
    else below.set(row.parent, [...(below.get(row.parent) ?? []), row]);
  }
  const top: Row[] = [];
  const walk = (row: MountRow, parent: Row | null): void => {
    const own = cells.get(row.id);
    if (own) (parent ? parent.children : top).push(own);
    for (const child of (below.get(row.id) ?? []).sort((a, b) => a.id - b.id)) walk(child, own ?? parent);
  };
  for (const root of roots) walk(root, null);
  return top;
}

function* cellsOf(o: Options, row: MountRow, names: readonly string[], style: Style): Call<Record<string, string>> {
  const [major, minor] = row.dev.split(':') as [string, string];
  const source = row.source + (row.root === '/' || o.on.has('nofsroot') ? '' : `[${row.root}]`);
  const cells: Record<string, string> = {
    TARGET: row.target, SOURCE: source, SOURCES: source, FSTYPE: row.type, OPTIONS: o.on.has('fstab') ? row.options : allOptions(row), 'VFS-OPTIONS': row.options, 'FS-OPTIONS': row.superOptions, PROPAGATION: propagation(row), ID: String(row.id),
    PARENT: String(row.parent), 'MAJ:MIN': style === 'table' ? `${major.padStart(3)}:${minor.padEnd(3)}` : row.dev, FSROOT: row.root, 'OPT-FIELDS': row.propagation.join(' '), TID: String(lastValue(o, 'task') ?? (yield* sys('getpid'))),
  };
  const found = row.source.startsWith('/dev/') && names.some((n) => n === 'UUID' || n === 'LABEL') ? yield* probe(row.source) : null;
  if (found) Object.assign(cells, { UUID: found.uuid, LABEL: found.label });
  if (!names.some((n) => SPACE.has(n))) return cells;
  const fs = yield* attempt(sys('statfs', row.target), null);
  if (!fs) return cells;
  const used = (fs.blocks - fs.bfree) * fs.bsize;
  const text = o.on.has('bytes') ? String : sizeText;
  const share = (part: number, whole: number): string => (whole === 0 ? '-' : `${Math.round((part * 100) / whole)}%`);
  return {
    ...cells, SIZE: text(fs.blocks * fs.bsize), USED: text(used), AVAIL: text(fs.bavail * fs.bsize), 'USE%': share(used, fs.blocks * fs.bsize),
    'INO.TOTAL': String(fs.files), 'INO.USED': String(fs.files - fs.ffree), 'INO.AVAIL': String(fs.ffree), 'INO.USE%': share(fs.files - fs.ffree, fs.files),
  };
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
