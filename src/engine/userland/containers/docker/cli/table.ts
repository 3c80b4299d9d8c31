/**
 * Lists as docker prints them: a table with the columns' titles, or a template over rows. Rows are records of text by
 * field; a table template has its titles from the same fields. Source: docker/cli command/formatter.
 */
import type { Call } from '../../../lib/http.ts';
import { print } from '../../../lib/io.ts';
import { tabulate } from '../../../kube/kubectl/tabwriter.ts';
import { execute, goJson, parseTemplate, TemplateError } from '../../template.ts';
import { Stop } from './client.ts';

export type Row = Readonly<Record<string, string>>;

/** Prints rows by a format: '' gives `table` over these columns; "json", "table TEMPLATE" and "TEMPLATE" as docker does. */
export function* printRows(format: string, columns: string, titles: Row, rows: readonly Row[]): Call<void> {
  yield* print(rowsText(format, columns, titles, rows));
}

export function rowsText(format: string, columns: string, titles: Row, rows: readonly Row[]): string {
  if (format === '' || format === 'table')
    return table(
      columns
        .split(' ')
        .map((c) => `{{.${c}}}`)
        .join('\t'),
      titles,
      rows,
    );
  if (format === 'json') return rows.map((row) => `${goJson(sorted(row))}\n`).join('');
  const m = /^table\s+([\s\S]*)$/.exec(format);
  if (m) return table(withTabs(m[1]!), titles, rows);
  const template = parsed(withTabs(format));
  return rows.map((row) => `${filled(template, row)}\n`).join('');
}

/** "\t" and "\n" typed in a shell's quotes are meant. */
function withTabs(format: string): string {
  return format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

function table(source: string, titles: Row, rows: readonly Row[]): string {
  const template = parsed(source);
  const head = execute(parsed(source.replace(/\{\{[^}]*?(\.\w+)[^}]*\}\}/g, '{{$1}}')), titles, '');
  return `${tabulate([head, ...rows.map((row) => filled(template, row))].join('\n'), 10, 3)}\n`;
}

function sorted(row: Row): Row {
  return Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Parses a format; its fault in docker's words. */
export function parsed(source: string): ReturnType<typeof parseTemplate> {
  try {
    return parseTemplate(source);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new Stop(`template parsing error: ${error.message}`);
  }
}

function filled(template: ReturnType<typeof parseTemplate>, row: Row): string {
  try {
    return execute(template, row);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const field = /map has no entry for key "(\w+)"/.exec(error.message);
    if (!field) throw new Stop(error.message);
    throw new Stop(`template: :1:2: executing "" at <.${field[1]}>: can't evaluate field ${field[1]} in type *formatter.Context`);
  }
}
