/** Output formats that every command shares: tables, yaml, json, name, jsonpath, custom-columns. */
import { findKind, type Kind, kindNamed } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { execute, parseTemplate, type Template, TemplateError } from '../../containers/template.ts';
import { SysError } from '../../../kernel/abi.ts';
import { Fatal, out, readPath } from './client.ts';
import { type Flags, on } from './flags.ts';
import { jsonPath, parsePath, PathError, relaxed, results, type Template as Path } from './jsonpath.ts';
import { display } from './resources.ts';
import { serverColumns } from './servertables.ts';
import type { Columns } from './columns.ts';
import { columnsOf, labelsText } from './tables.ts';
import { getTable } from './tabwriter.ts';
import { toJson, toYaml } from './yaml.ts';

const PLAIN = ['go-template', 'go-template-file', 'json', 'jsonpath', 'jsonpath-as-json', 'jsonpath-file', 'name', 'template', 'templatefile', 'yaml'];
const TABLES = ['custom-columns', 'custom-columns-file', 'wide'];
/** Which need what stands after "=". */
const TEMPLATED = new Set(['go-template', 'go-template-file', 'template', 'templatefile', 'jsonpath', 'jsonpath-as-json', 'jsonpath-file', 'custom-columns', 'custom-columns-file']);

export function listOf(items: readonly KubeObject[]): Json {
  return { apiVersion: 'v1', items, kind: 'List', metadata: { resourceVersion: '' } };
}

/** Fails early on a format that does not exist. `tables`: of those who can print tables. */
export function checkFormat(format: string, tables = true): void {
  const name = format.split('=')[0]!;
  const known = [...(tables ? TABLES : []), ...PLAIN].sort();
  if (format === '') return;
  if (!known.includes(name) || (format.includes('=') && !TEMPLATED.has(name))) throw new Fatal(`error: unable to match a printer suitable for the output format "${format}", allowed formats are: ${known.join(',')}`);
  if (TEMPLATED.has(name) && !format.includes('=')) throw new Fatal(name.startsWith('custom') ? 'error: custom-columns format specified but no custom columns given' : 'error: template format specified but no template given');
  const template = format.slice(name.length + 1);
  if (name === 'custom-columns' && template !== '') columnsFrom(template);
  if ((name === 'jsonpath' || name === 'jsonpath-as-json') && template !== '') pathFrom(template);
}

/** As people see objects: without who wrote which field. */
export function bare(o: KubeObject): KubeObject {
  if (!o?.metadata || (o.metadata as Json).managedFields === undefined) return o;
  const { managedFields: _, ...metadata } = o.metadata as Json;
  return { ...o, metadata };
}

/** Everything but tables. `single`: one object was asked for by name. `flags` tells --template, --allow-missing-template-keys, --show-managed-fields. */
export function* printAs(format: string, items: readonly KubeObject[], single: boolean, headers = true, flags?: Flags): Call<void> {
  const managed = flags !== undefined && on(flags, 'show-managed-fields');
  const at = format.indexOf('=');
  const name = at < 0 ? format : format.slice(0, at);
  let template = at < 0 ? '' : format.slice(at + 1);
  const clean = ['yaml', 'json'].includes(name) && !managed ? items.map(bare) : items;
  const whole = single && clean.length === 1 ? clean[0] : listOf(clean);
  switch (name) {
    case 'yaml':
      yield* out(toYaml(whole));
      return;
    case 'json':
      yield* out(`${toJson(whole)}\n`);
      return;
    case 'name':
      for (const o of items) yield* out(`${display(findKind(o.apiVersion, o.kind) ?? otherKind(o), o.metadata.name ?? '')}\n`);
      return;
    case 'jsonpath-file':
    case 'custom-columns-file':
    case 'go-template-file':
    case 'templatefile':
      template = yield* fileText(template, name);
  }
  if (template === '') throw new Fatal(name.startsWith('custom') ? 'error: custom-columns format specified but no custom columns given' : 'error: template format specified but no template given');
  if (name.startsWith('jsonpath')) return yield* printPath(template, whole, name === 'jsonpath-as-json', flags);
  if (/template/.test(name)) return yield* printTemplate(template, whole, flags);
  yield* customColumns(name === 'custom-columns-file' ? columnsOfFile(template) : template, items, headers);
}

const otherKind = (o: KubeObject): Kind => ({ ...kindNamed('Pod'), kind: o.kind, singular: o.kind.toLowerCase(), group: o.apiVersion.includes('/') ? o.apiVersion.split('/')[0]! : '' });

function* fileText(path: string, name: string): Call<string> {
  try {
    return yield* readPath(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const why = `open ${path}: ${error.message.toLowerCase()}`;
    throw new Fatal(name.startsWith('custom') ? `error: error reading template ${path}, ${why}` : `error: error reading --template ${path}, ${why}`);
  }
}

/** Two lines: headers, then paths. */
function columnsOfFile(source: string): string {
  const [heads = [], paths = []] = source.split('\n').map((l) => l.trim().split(/\s+/).filter((w) => w !== ''));
  if (heads.length !== paths.length) throw new Fatal(`error: number of headers (${heads.length}) and field specifications (${paths.length}) don't match`);
  return heads.map((h, i) => `${h}:${paths[i]}`).join(',');
}

function pathFrom(template: string): Path {
  try {
    return parsePath(template);
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    throw new Fatal(`error: error parsing jsonpath ${template}, ${error.message}`);
  }
}

function* printPath(template: string, whole: Json, json: boolean, flags?: Flags): Call<void> {
  const path = pathFrom(template);
  const strict = flags?.text.get('allow-missing-template-keys') === 'false';
  try {
    yield* out(json ? results(path, whole, strict).map((found) => `${toJson(found)}\n`).join('') : jsonPath(path, whole, strict));
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    throw new Fatal(`error: error executing jsonpath ${JSON.stringify(template)}: Error executing template: ${error.message}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t${template}\n\tobject given to jsonpath engine was:\n\t\t${goSyntax(whole)}\n\n`);
  }
}

function* printTemplate(template: string, whole: Json, flags?: Flags): Call<void> {
  const named = (message: string): string => message.replace('template: :', 'template: output:').replace('executing ""', 'executing "output"');
  let parsed: Template;
  try {
    parsed = parseTemplate(template, ['base64decode', 'exists']);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new Fatal(`error: error parsing template ${template}, ${named(error.message)}`);
  }
  try {
    yield* out(execute(parsed, whole, flags?.text.get('allow-missing-template-keys') === 'false' ? null : '<no value>'));
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const why = named(error.message);
    yield* out(`Error executing template: ${why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t${template}\n\traw data was:\n\t\t${toJson(whole, 0)}\n\tobject given to template engine was:\n\t\t${goMap(whole)}\n\n`);
    throw new Fatal(`error: error executing template ${JSON.stringify(template)}: ${why}`);
  }
}

/** Go's %+v of decoded JSON. */
function goMap(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(goMap).join(' ')}]`;
  if (value === null || value === undefined) return '<nil>';
  if (typeof value === 'object') return `map[${Object.keys(value).sort().map((k) => `${k}:${goMap(value[k])}`).join(' ')}]`;
  return String(value);
}

/** Go's %#v of decoded JSON. */
function goSyntax(value: Json): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (value === null || value === undefined) return 'interface {}(nil)';
  if (typeof value === 'object') return `map[string]interface {}{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${goSyntax(value[k])}`).join(', ')}}`;
  return JSON.stringify(value);
}

function columnsFrom(template: string): { header: string; path: Path }[] {
  if (template === '') throw new Fatal('error: custom-columns format specified but no custom columns given');
  return template.split(',').map((part) => {
    const colon = part.indexOf(':');
    if (colon < 0) throw new Fatal(`error: unexpected custom-columns spec: ${part}, expected <header>:<json-path-expr>`);
    try {
      return { header: part.slice(0, colon), path: parsePath(relaxed(part.slice(colon + 1))) };
    } catch (error) {
      if (error instanceof PathError) throw new Fatal(`error: ${error.message}`);
      throw error;
    }
  });
}

function* customColumns(template: string, items: readonly KubeObject[], headers: boolean): Call<void> {
  const columns = columnsFrom(template);
  const cell = (path: Path, item: KubeObject): string => {
    const found = results(path, item);
    return found[0] === undefined || found[0].length === 0 ? '<none>' : found.flat().map(goMap).join(',');
  };
  try {
    const rows = items.map((item) => columns.map(({ path }) => cell(path, item)));
    yield* out(getTable(headers ? [columns.map((c) => c.header), ...rows] : rows));
  } catch (error) {
    if (error instanceof PathError) throw new Fatal(`error: ${error.message}`);
    throw error;
  }
}

export interface TableOptions {
  wide: boolean;
  headers: boolean;
  /** "pod/" before names. */
  prefix: boolean;
  namespaces: boolean;
  showLabels: boolean;
  labelColumns: readonly string[];
  now: number;
  widths?: number[];
  /** Minor version of the server, whose columns these are. */
  minor?: number;
  /** Before each row: what happened to it. */
  event?: string;
  /** Only names and ages (--server-print=false). */
  plain?: boolean;
}

/** Columns that a server as old as 1.20 does not have. */
const LATER: Readonly<Record<string, readonly string[]>> = { PersistentVolumeClaim: ['VOLUMEATTRIBUTESCLASS'], PersistentVolume: ['VOLUMEATTRIBUTESCLASS'], Job: ['STATUS'], CronJob: ['TIMEZONE'] };
export const dated = (kind: string): boolean => kind in LATER || kind === 'Pod' || kind === 'HorizontalPodAutoscaler';

/** As that server would print it. */
function asOld(kind: string, columns: Columns): Columns {
  const gone = (LATER[kind] ?? []).map((h) => columns.headers.indexOf(h));
  const keep = <T>(cells: readonly T[]): T[] => cells.filter((_, i) => !gone.includes(i));
  const row = (o: KubeObject, now: number): string[] => keep(columns.row(o, now)).map((c) => c.replace(/^(\d+) \(.* ago\)$/, '$1').replace(/^(?:cpu|memory): (?=.*\/)/, ''));
  return { headers: keep(columns.headers), narrow: columns.narrow - gone.filter((i) => i >= 0 && i < columns.narrow).length, row };
}

export function tableRows(kind: string, items: readonly KubeObject[], o: TableOptions): string[][] {
  const theirs = serverColumns(items);
  const full = o.plain ? columnsOf('') : (theirs ?? columnsOf(kind));
  const columns = (o.minor ?? 32) <= 20 ? asOld(kind, full) : full;
  const wide = kind === 'Event' && o.wide && !o.plain;
  const cut = (cells: readonly string[]): string[] => {
    if (!wide) return cells.slice(0, o.wide ? undefined : columns.narrow);
    const [seen, type, reason, object, message, sub, source, first, times, name] = cells;
    return [seen!, type!, reason!, object!, sub!, source!, message!, first!, times!, name!];
  };
  const extra = o.labelColumns.map((label) => label.slice(label.lastIndexOf('/') + 1).toUpperCase());
  const head = [...(o.event === undefined ? [] : ['EVENT']), ...(o.namespaces ? ['NAMESPACE'] : []), ...cut(columns.headers), ...extra, ...(o.showLabels ? ['LABELS'] : [])];
  const rows = items.map((item) => {
    const cells = cut(columns.row(item, o.now));
    const named = kind === 'Event' && !o.plain ? cells : [o.prefix ? display(theirs ? otherKind(item) : kindNamed(kind), cells[0]!) : cells[0]!, ...cells.slice(1)];
    return [
      ...(o.event === undefined ? [] : [o.event]), ...(o.namespaces ? [item.metadata.namespace ?? ''] : []), ...named, ...o.labelColumns.map((l) => item.metadata.labels?.[l] ?? ''),
      ...(o.showLabels ? [labelsText(item.metadata.labels)] : []),
    ];
  });
  return o.headers ? [head, ...rows] : rows;
}
