/** Output formats that every command shares: tables, yaml, json, name, jsonpath, custom-columns. */
import { findKind, kindNamed } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { Fatal, out, readPath } from './client.ts';
import { find, jsonPath, PathError, show } from './jsonpath.ts';
import { display } from './resources.ts';
import { columnsOf, labelsText } from './tables.ts';
import { getTable } from './tabwriter.ts';
import { toJson, toYaml } from './yaml.ts';

const FORMATS = 'custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,wide,yaml';

export function listOf(items: readonly KubeObject[]): Json {
  return { apiVersion: 'v1', items, kind: 'List', metadata: { resourceVersion: '' } };
}

/** Fails early on a format that does not exist. */
export function checkFormat(format: string, tables = true): void {
  const name = format.split('=')[0]!;
  if (format === '' || (tables && FORMATS.split(',').includes(name)) || ['yaml', 'json', 'name'].includes(name) || name.startsWith('jsonpath') || name.startsWith('custom-columns')) {
    if (/^(go-template|template|jsonpath-as-json)/.test(name)) throw new Fatal(`error: output format "${name}" is not modelled here: use json, yaml, jsonpath or custom-columns`);
    return;
  }
  throw new Fatal(`error: unable to match a printer suitable for the output format "${format}", allowed formats are: ${FORMATS}`);
}

/** Without --show-managed-fields. */
function unmanaged(object: KubeObject): KubeObject {
  if (!object.metadata?.managedFields) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Everything but tables. `single`: one object was asked for by name. */
export function* printAs(format: string, items: readonly KubeObject[], single: boolean, headers = true, managed = false): Call<void> {
  if (!managed && (format === 'yaml' || format === 'json')) items = items.map(unmanaged);
  const whole = single && items.length === 1 ? items[0] : listOf(items);
  const at = format.indexOf('=');
  const name = at < 0 ? format : format.slice(0, at);
  let template = at < 0 ? '' : format.slice(at + 1);
  switch (name) {
    case 'yaml':
      yield* out(toYaml(whole));
      return;
    case 'json':
      yield* out(`${toJson(whole)}\n`);
      return;
    case 'name':
      for (const o of items) yield* out(`${display(findKind(o.apiVersion, o.kind) ?? kindNamed('Pod'), o.metadata.name)}\n`);
      return;
    case 'jsonpath-file':
    case 'custom-columns-file':
      template = yield* readPath(template);
  }
  if (name.startsWith('jsonpath')) {
    if (template === '') throw new Fatal('error: template format specified but no template given');
    try {
      yield* out(jsonPath(template, whole));
    } catch (error) {
      if (!(error instanceof PathError)) throw error;
      throw new Fatal(error.message.startsWith('error parsing') ? `error: ${error.message}` : `error: error executing jsonpath ${JSON.stringify(template)}: Error executing template: ${error.message}. Printing more information for debugging the template:`);
    }
    return;
  }
  yield* customColumns(template, items, headers);
}

function* customColumns(template: string, items: readonly KubeObject[], headers: boolean): Call<void> {
  if (template === '') throw new Fatal('error: custom-columns format specified but no custom columns given');
  const columns = template.split(',').map((part) => {
    const colon = part.indexOf(':');
    if (colon < 0) throw new Fatal(`error: unexpected custom-columns spec: ${part}, expected <header>:<json-path-expr>`);
    return { header: part.slice(0, colon), path: part.slice(colon + 1).replace(/^\{|\}$/g, '').replace(/^([^.[])/, '.$1') };
  });
  const rows = items.map((item) =>
    columns.map(({ path }) => {
      try {
        const found = find(path, item, item);
        return found.length === 0 ? '<none>' : found.map(show).join(',');
      } catch (error) {
        if (error instanceof PathError) return '<none>';
        throw error;
      }
    }),
  );
  yield* out(getTable(headers ? [columns.map((c) => c.header), ...rows] : rows));
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
}

export function tableRows(kind: string, items: readonly KubeObject[], o: TableOptions): string[][] {
  const columns = columnsOf(kind);
  const wide = kind === 'Event' && o.wide;
  const cut = (cells: readonly string[]): string[] => {
    if (!wide) return cells.slice(0, o.wide ? undefined : columns.narrow);
    const [seen, type, reason, object, message, sub, source, first, times, name] = cells;
    return [seen!, type!, reason!, object!, sub!, source!, message!, first!, times!, name!];
  };
  const extra = o.labelColumns.map((label) => label.slice(label.lastIndexOf('/') + 1).toUpperCase());
  const head = [...(o.namespaces ? ['NAMESPACE'] : []), ...cut(columns.headers), ...extra, ...(o.showLabels ? ['LABELS'] : [])];
  const rows = items.map((item) => {
    const cells = cut(columns.row(item, o.now));
    const named = kind === 'Event' ? cells : [o.prefix ? display(kindNamed(kind), cells[0]!) : cells[0]!, ...cells.slice(1)];
    return [
      ...(o.namespaces ? [item.metadata.namespace ?? ''] : []), ...named, ...o.labelColumns.map((l) => item.metadata.labels?.[l] ?? ''),
      ...(o.showLabels ? [labelsText(item.metadata.labels)] : []),
    ];
  });
  return o.headers ? [head, ...rows] : rows;
}
