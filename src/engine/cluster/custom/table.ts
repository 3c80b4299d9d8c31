/**
 * Objects of custom kinds as a Table, for whoever asks for one (`Accept: application/json;as=Table`): their name, and the columns that the
 * definition adds by paths; without any, the age. Source: apiextensions-apiserver pkg/registry/customresource/tableconvertor 1.32.
 */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import type { Cluster } from '../state.ts';
import type { Kind } from '../types/kinds.ts';
import type { Json, KubeObject } from '../types/objects.ts';
import { humanDuration, parseTime } from '../types/time.ts';

const AGE = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.' };

export const wantsTable = (headers: Readonly<Record<string, string>>): boolean => /as=Table/.test(headers.accept ?? '');

export function tableOf(cluster: Cluster, kind: Kind, items: readonly KubeObject[], metadata: Json): Json {
  const columns: Json[] = kind.custom!.columns ?? [AGE];
  const now = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  return {
    kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata,
    columnDefinitions: [
      { name: 'Name', type: 'string', format: 'name', description: 'Name must be unique within a namespace.', priority: 0 },
      ...columns.map((c) => ({ name: c.name, type: c.type, format: c.format ?? '', description: c.description ?? `Custom resource definition column (in JSONPath format): ${c.jsonPath}`, priority: c.priority ?? 0 })),
    ],
    rows: items.map((object) => ({ cells: [object.metadata.name, ...columns.map((c) => cellOf(object, c, now))], object })),
  };
}

function cellOf(object: KubeObject, column: Json, now: number): Json {
  const [value] = valuesAt(object, column.jsonPath);
  if (value === undefined || value === null) return null;
  switch (column.type) {
    case 'integer': return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number': return typeof value === 'number' ? value : null;
    case 'boolean': return typeof value === 'boolean' ? value : null;
    case 'date': {
      const time = typeof value === 'string' ? parseTime(value) : null;
      return time === null ? '<invalid>' : humanDuration(now - time);
    }
    default: return typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
}

const STEP = /\.([\w\uE000][\w\uE000\/-]*|\*)|\[(-?\d+|\*)\]|\['([^']*)'\]|\[\?\(@\.([\w.-]+)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*\)\]/gy;

/** Values at a path of fields, indexes, stars and simple filters; none where the path is none. */
export function valuesAt(object: Json, path: string): Json[] {
  let found: Json[] = [object];
  STEP.lastIndex = 0;
  const source = path.replaceAll('\\.', '\uE000');
  while (STEP.lastIndex < source.length) {
    const m = STEP.exec(source);
    if (!m) return [];
    const [, name, index, quoted, left, op, ...right] = m;
    found = found.flatMap((value) => {
      if (name === '*' || index === '*') return Array.isArray(value) ? value : value && typeof value === 'object' ? Object.values<Json>(value) : [];
      if (index !== undefined) return Array.isArray(value) ? (value.at(Number(index)) ?? []) : [];
      if (left !== undefined) return Array.isArray(value) ? value.filter((one) => (String(left.split('.').reduce((v: Json, k) => v?.[k], one)) === right.find((r) => r !== undefined)) === (op === '==')) : [];
      const at = value?.[(name ?? quoted)!.replaceAll('\uE000', '.')];
      return at === undefined ? [] : [at];
    });
  }
  return found;
}
