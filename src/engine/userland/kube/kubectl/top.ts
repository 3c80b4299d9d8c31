/** top: what the metrics API says nodes and pods use. Source: kubectl pkg/cmd/top, pkg/metricsutil 1.32. */
import { kindNamed } from '../../../cluster/types/kinds.ts';
import type { Json, Node } from '../../../cluster/types/objects.ts';
import { amountOf } from '../../../cluster/types/quantity.ts';
import { formatQuery } from '../../../sim/wire.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, failed, failureText, Fatal, listKind, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { getTable } from './tabwriter.ts';

export const NODE_FLAGS = 'l/selector= sort-by= no-headers use-protocol-buffers=?true show-capacity';
export const POD_FLAGS = 'A/all-namespaces l/selector= field-selector= containers sort-by= no-headers use-protocol-buffers=?true sum';

const METRICS = '/apis/metrics.k8s.io/v1beta1';

export function* top(client: Client, flags: Flags): Call<number> {
  const [what, ...names] = flags.args;
  const by = flags.text.get('sort-by') ?? '';
  if (!['', 'cpu', 'memory'].includes(by)) throw new Fatal('error: --sort-by accepts only cpu or memory');
  if (names.length > 1) throw new Fatal(`error: Unexpected args: [${names.join(' ')}]\nSee 'kubectl top ${what} -h' for help and examples`);
  if (names[0] === '') throw new Fatal('error: resource name may not be empty');
  if (names.length === 1 && flags.text.has('selector')) throw new Fatal('error: only one of NAME or --selector can be provided');
  const groups = yield* call(client, 'GET', '/apis');
  if (!failed(groups) && !(groups.body.groups ?? []).some((g: Json) => g.name === 'metrics.k8s.io')) throw new Fatal('error: Metrics API not available');
  return yield* what === 'node' ? nodes(client, flags, names[0], by) : pods(client, flags, names[0], by);
}

function* metrics(client: Client, path: string, name: string | undefined, flags: Flags): Call<Json[]> {
  const query = name === undefined ? `?${formatQuery({ labelSelector: flags.text.get('selector'), fieldSelector: flags.text.get('field-selector') })}` : '';
  const reply = yield* call(client, 'GET', `${METRICS}${path}${name === undefined ? '' : `/${name}`}${query}`);
  if (failed(reply)) throw new Fatal(reply.status === 503 ? 'error: Metrics API not available' : failureText(reply.body));
  return name === undefined ? reply.body.items : [reply.body];
}

interface Use { cpu: number; memory: number }

const useOf = (u: Json): Use => ({ cpu: amountOf('cpu', u?.cpu), memory: amountOf('memory', u?.memory) });
const shown = ({ cpu, memory }: Use): [string, string] => [`${Math.ceil(cpu)}m`, `${Math.floor(memory / 2 ** 20)}Mi`];

function sorted<T extends { name: string; use: Use }>(rows: T[], by: string, key: (row: T) => string): T[] {
  return rows.sort((a, b) => (by === '' ? 0 : b.use[by as 'cpu'] - a.use[by as 'cpu']) || (key(a) < key(b) ? -1 : 1));
}

function* nodes(client: Client, flags: Flags, name: string | undefined, by: string): Call<number> {
  const found = yield* metrics(client, '/nodes', name, flags);
  if (found.length === 0) throw new Fatal('error: metrics not available yet');
  const known = new Map(((yield* listKind(client, kindNamed('Node'), undefined, { labelSelector: flags.text.get('selector') })).items as Node[]).map((n) => [n.metadata.name, n]));
  const rows = sorted(found.map((m) => ({ name: m.metadata.name as string, use: useOf(m.usage) })), by, (r) => r.name);
  const room = (n: Node | undefined): Json => (on(flags, 'show-capacity') ? n?.status.capacity : n?.status.allocatable) ?? {};
  const percent = (used: number, all: number): string => (all === 0 ? '0%' : `${Math.trunc((used * 100) / all)}%`);
  const cells = rows.map(({ name: n, use }) => {
    const all = useOf(room(known.get(n)));
    const [cpu, memory] = shown(use);
    return [n, cpu, percent(use.cpu, all.cpu), memory, percent(use.memory, all.memory)];
  });
  const missing = [...known.keys()].filter((n) => name === undefined && !rows.some((r) => r.name === n)).sort().map((n) => [n, '<unknown>', '<unknown>', '<unknown>', '<unknown>']);
  yield* out(getTable([...(on(flags, 'no-headers') ? [] : [['NAME', 'CPU(cores)', 'CPU(%)', 'MEMORY(bytes)', 'MEMORY(%)']]), ...cells, ...missing]));
  return 0;
}

function* pods(client: Client, flags: Flags, name: string | undefined, by: string): Call<number> {
  const all = on(flags, 'all-namespaces');
  const found = yield* metrics(client, all ? '/pods' : `/namespaces/${client.namespace}/pods`, name, flags);
  if (found.length === 0) {
    const { items } = yield* listKind(client, kindNamed('Pod'), all ? undefined : client.namespace, { labelSelector: flags.text.get('selector'), fieldSelector: flags.text.get('field-selector') });
    if (items.length > 0) throw new Fatal('error: metrics not available yet');
    yield* err(all ? 'No resources found\n' : `No resources found in ${client.namespace} namespace.\n`);
    return 0;
  }
  const split = on(flags, 'containers');
  const rows = found.map((m) => {
    const parts: { name: string; use: Use }[] = (m.containers ?? []).map((c: Json) => ({ name: c.name, use: useOf(c.usage) }));
    const use = parts.reduce((sum, p) => ({ cpu: sum.cpu + p.use.cpu, memory: sum.memory + p.use.memory }), { cpu: 0, memory: 0 });
    return { name: m.metadata.name as string, namespace: m.metadata.namespace as string, parts, use };
  });
  const ordered = sorted(rows, by, (r) => `${r.namespace}/${r.name}`);
  const cells = ordered.flatMap((r) => {
    const head = [...(all ? [r.namespace] : []), r.name];
    return split ? sorted(r.parts, by, (p) => p.name).map((p) => [...head, p.name, ...shown(p.use)]) : [[...head, ...shown(r.use)]];
  });
  const titles = [...(all ? ['NAMESPACE'] : []), ...(split ? ['POD'] : ['NAME']), ...(split ? ['NAME'] : []), 'CPU(cores)', 'MEMORY(bytes)'];
  const sum = rows.reduce((s, r) => ({ cpu: s.cpu + r.use.cpu, memory: s.memory + r.use.memory }), { cpu: 0, memory: 0 });
  const width = titles.length - 2;
  const total = on(flags, 'sum') ? [[...Array.from({ length: width }, () => ''), '________', '________'], [...Array.from({ length: width }, () => ''), ...shown(sum)]] : [];
  yield* out(getTable([...(on(flags, 'no-headers') ? [] : [titles]), ...cells, ...total]));
  return 0;
}
