/**
 * Lists as docker prints them: a table with the columns' titles, or a template over rows. Rows are records of text by
 * field; a table template has its titles from the same fields. Source: docker/cli command/formatter.
 */
import type { Call } from '../../../lib/http.ts';
import { print } from '../../../lib/io.ts';
import { tabulate } from '../../../kube/kubectl/tabwriter.ts';
import { execute, goJson, headings, parseTemplate, type Template, TemplateError, told } from '../../template.ts';
import { Stop } from './client.ts';
import { byKey } from '../../../lib/bykey.ts';

/** The help of --format where rows are listed. */
export const FORMAT_HELP = `      --format string   Format output using a custom template:
                        'table':            Print output in table format with column headers (default)
                        'table TEMPLATE':   Print output in table format using the given Go template
                        'json':             Print in JSON format
                        'TEMPLATE':         Print output using the given Go template.
                        Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates`;

export type Row = Readonly<Record<string, string>>;

/** Prints rows by a format: '' gives `table` over these columns; "json", "table TEMPLATE" and "TEMPLATE" as docker does. */
export function* printRows(format: string, columns: string, titles: Row, rows: readonly Row[], type: string): Call<void> {
  yield* print(rowsText(format, columns, titles, rows, type));
}

/** `type` is the Go type that a row is, as errors name it. */
export function rowsText(format: string, columns: string, titles: Row, rows: readonly Row[], type: string): string {
  if (format === '' || format === 'table') return table(columns.split(' ').map((c) => `{{.${c}}}`).join('\t'), titles, rows, type);
  if (format === 'json') return rows.map((row) => `${goJson(byKey(row), undefined, true)}\n`).join('');
  const m = /^table\s+([\s\S]*)$/.exec(format);
  if (m) return table(withTabs(m[1]!), titles, rows, type);
  const template = parsed(withTabs(format), faultOf(type));
  rehearse(template, titles, rows, type);
  return rows.map((row) => `${filled(template, row, type)}\n`).join('');
}

/** "\t" and "\n" typed in a shell's quotes are meant. */
function withTabs(format: string): string {
  return format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

function table(source: string, titles: Row, rows: readonly Row[], type: string): string {
  const template = parsed(source, faultOf(type));
  rehearse(template, titles, rows, type);
  return `${tabulate([headings(template, titles), ...rows.map((row) => filled(template, row, type))].join('\n'), 10, 3)}\n`;
}

/** docker ps tries a format on a container without anything before its rows do. */
const PS = 'formatter.ContainerContext';

function rehearse(template: Template, titles: Row, rows: readonly Row[], type: string): void {
  const names = Object.keys({ ...titles, ...rows[0] });
  if (type === PS) filled(template, Object.fromEntries(names.map((name) => [name, ''])), type, 'failed to execute template');
}

const faultOf = (type: string): string => (type === PS ? 'failed to parse template' : 'template parsing error');

/** Parses a format; its fault in docker's words. */
export function parsed(source: string, fault = 'template parsing error', status = 1, name = ''): Template {
  try {
    return parseTemplate(source, [], name);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new Stop(`${fault}: ${error.message}`, status);
  }
}

/** The label of a row that a template asks for by name: of "a=b,c=d" in its Labels. */
function labelOf(row: Row): (name: string) => string {
  const labels = new Map((row.Labels ?? '').split(',').map((one): [string, string] => [one.split('=')[0]!, one.slice(one.indexOf('=') + 1)]));
  return (name) => labels.get(name) ?? '';
}

function filled(template: Template, row: Row, type: string, fault = 'template parsing error'): string {
  const json = byKey(row);
  const fields = [...Object.keys(json), 'Label'];
  try {
    return execute(template, told({ ...json, ...('Labels' in row ? { Label: labelOf(row) } : {}) }, { name: `*${type}`, fields, original: json, marshals: true }), '');
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new Stop(`${fault}: ${error.message}`);
  }
}
