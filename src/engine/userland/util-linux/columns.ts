/**
 * Tables as libsmartcols prints them: columns as wide as their widest cell, numbers to the right, trees with └─, raw, pairs
 * and JSON. Source: util-linux scols output of lsns, findmnt, lsblk, prlimit.
 */
import { bytes } from '../../sim/text.ts';

export interface ColumnSpec {
  name: string;
  align?: 'right';
  /** In JSON this is a number. */
  number?: boolean;
  /** In JSON this is true or false. */
  flag?: boolean;
  /** At least so wide, unless its heading is wider than all of its cells. */
  hint?: number;
}

export interface TableOptions {
  headings: boolean;
  style: 'table' | 'list' | 'raw' | 'pairs' | 'json';
  /** JSON's outer name. */
  title: string;
  ascii?: boolean;
  /** Raw output shows the tree too. */
  rawTree?: boolean;
}

/** A row's cells by column name; children make a tree under the first tree column. */
export interface Row {
  cells: Readonly<Record<string, string>>;
  children: Row[];
}

export function rowOf(cells: Readonly<Record<string, string>>): Row {
  return { cells, children: [] };
}

const UNITS = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];

/** Bytes as util-linux shows them: a unit and one decimal, which is left out where it is 0. */
export function sizeText(size: number): string {
  let at = 0;
  while (size >= 1024 ** (at + 1) && at < UNITS.length - 1) at++;
  const tenths = Math.round((size * 10) / 1024 ** at);
  return size === 0 ? '0' : `${Math.floor(tenths / 10)}${tenths % 10 === 0 ? '' : `.${tenths % 10}`}${UNITS[at]}`;
}

const BRANCH = { mid: '├─', last: '└─', bar: '│ ', gap: '  ' };
const PLAIN_BRANCH = { mid: '|-', last: '`-', bar: '| ', gap: '  ' };

/** `tree` names the column that shows the tree, or null. */
export function render(rows: readonly Row[], columns: readonly ColumnSpec[], tree: string | null, options: TableOptions): string {
  if (options.style === 'json') return json(rows, columns, options.title, tree !== null);
  const lines = flatten(rows, tree, options.style === 'table' || (options.style === 'raw' && options.rawTree) ? (options.ascii ? PLAIN_BRANCH : BRANCH) : null);
  if (options.style === 'raw') return raw(lines, columns, options.headings);
  if (options.style === 'pairs') return lines.map((l) => `${columns.map((c) => `${c.name}="${(l[c.name] ?? '').replace(/["\\$`]/g, '\\$&')}"`).join(' ')}\n`).join('');
  const all = options.headings ? [Object.fromEntries(columns.map((c) => [c.name, c.name])), ...lines] : lines;
  const widths = columns.map((c) => {
    const data = Math.max(0, ...lines.map((l) => [...(l[c.name] ?? '')].length));
    const head = options.headings ? c.name.length : 0;
    return data < head ? head : Math.max(data, c.hint ?? 0);
  });
  return all.map((l) => `${columns.map((c, i) => {
    const cell = l[c.name] ?? '';
    const gap = ' '.repeat(widths[i]! - [...cell].length);
    return c.align === 'right' ? gap + cell : i === columns.length - 1 ? cell : cell + gap;
  }).join(' ')}\n`).join('');
}

function flatten(rows: readonly Row[], tree: string | null, branch: typeof BRANCH | null): Record<string, string>[] {
  const out: Record<string, string>[] = [];
  const walk = (list: readonly Row[], prefix: string, top: boolean): void => {
    list.forEach((row, i) => {
      const last = i === list.length - 1;
      const mark = top || !branch || tree === null ? '' : prefix + (last ? branch.last : branch.mid);
      out.push(tree === null ? { ...row.cells } : { ...row.cells, [tree]: mark + (row.cells[tree] ?? '') });
      walk(row.children, top || !branch ? '' : prefix + (last ? branch.gap : branch.bar), false);
    });
  };
  walk(rows, '', true);
  return out;
}

/** Blanks, controls and what is not ASCII as \\xNN, a byte each. */
const rawCell = (cell: string): string =>
  cell.replace(/[\x00-\x20\x7f\\]|[^\x00-\x7f]+/g, (c) => [...bytes(c)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''));

function raw(lines: readonly Record<string, string>[], columns: readonly ColumnSpec[], headings: boolean): string {
  const head = headings ? `${columns.map((c) => c.name).join(' ')}\n` : '';
  return head + lines.map((l) => `${columns.map((c) => rawCell(l[c.name] ?? '')).join(' ')}\n`).join('');
}

function json(rows: readonly Row[], columns: readonly ColumnSpec[], title: string, tree: boolean): string {
  const quote = (text: string): string => JSON.stringify(text);
  const one = (row: Row, indent: string): string => {
    const fields = columns.map((c) => {
      const cell = row.cells[c.name] ?? '';
      const value = cell === '' ? 'null' : c.number ? cell : c.flag ? String(cell === '1') : quote(cell);
      return `${indent}   "${c.name.toLowerCase()}": ${value}`;
    });
    if (tree && row.children.length > 0) fields.push(`${indent}   "children": [\n${row.children.map((r) => one(r, `${indent}      `)).join(`,\n`)}\n${indent}   ]`);
    return `${indent}{\n${fields.join(',\n')}\n${indent}}`;
  };
  return `{\n   "${title}": [${rows.length > 0 ? `\n${rows.map((r) => one(r, '      ')).join(',\n')}\n   ` : ''}]\n}\n`;
}
