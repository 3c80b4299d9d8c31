/** LimitRanger: a namespace's defaults for containers, and the bounds it holds them to. Source: plugin/pkg/admission/limitranger 1.32. */
import { forbidden } from '../errors.ts';
import type { Cluster } from '../state.ts';
import type { Kind } from '../types/kinds.ts';
import type { Container, Json, KubeObject, PodSpec } from '../types/objects.ts';
import { amountOf, canonical } from '../types/quantity.ts';
import { type Amounts, podAmounts } from '../types/amounts.ts';

type Limits = Readonly<Record<string, string>>;

export function admitLimits(cluster: Cluster, kind: Kind, object: KubeObject): void {
  const table = cluster.store.tables.get('LimitRange');
  if (!table || table.size === 0) return;
  const ranges = [...table.values()].filter((r) => r.metadata.namespace === object.metadata.namespace).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const faults: string[] = [];
  for (const range of ranges) {
    if (kind.kind === 'Pod') fillIn(object, range);
    for (const item of (range.spec.limits ?? []) as Json[]) hold(object, item, faults);
  }
  if (faults.length > 0) throw forbidden(kind, object.metadata.name, faults.length === 1 ? faults[0]! : `[${faults.join(', ')}]`);
}

function fillIn(pod: KubeObject, range: KubeObject): void {
  const limits: Record<string, string> = {};
  const requests: Record<string, string> = {};
  for (const item of range.spec.limits ?? []) {
    if (item?.type !== 'Container') continue;
    Object.assign(limits, item.default);
    Object.assign(requests, item.defaultRequest);
  }
  const said: string[] = [];
  const spec = pod.spec as PodSpec;
  for (const c of spec.containers ?? []) said.push(...fill(c, 'container', limits, requests));
  for (const c of spec.initContainers ?? []) said.push(...fill(c, 'init container', limits, requests));
  if (said.length > 0) pod.metadata.annotations = { ...pod.metadata.annotations, 'kubernetes.io/limit-ranger': `LimitRanger plugin set: ${said.join('; ')}` };
}

function fill(c: Container, word: string, limits: Limits, requests: Limits): string[] {
  c.resources ??= {};
  const out: string[] = [];
  const part = (list: 'requests' | 'limits', wanted: Limits): void => {
    const absent = Object.keys(wanted).filter((name) => c.resources![list]?.[name] === undefined).sort();
    if (absent.length === 0) return;
    c.resources![list] = { ...c.resources![list], ...Object.fromEntries(absent.map((name) => [name, wanted[name]!])) };
    out.push(`${absent.join(', ')} ${list === 'limits' ? 'limit' : 'request'} for ${word} ${c.name}`);
  };
  part('requests', requests);
  part('limits', limits);
  return out;
}

function hold(object: KubeObject, item: Json, out: string[]): void {
  if (object.kind === 'PersistentVolumeClaim') {
    if (item?.type !== 'PersistentVolumeClaim') return;
    const asked = amounts(object.spec.resources?.requests);
    for (const [name, least] of sorted(item.min)) atLeast(name, item.type, least, asked, new Map(), out);
    for (const [name, most] of sorted(item.max)) {
      const n = asked.get(name);
      if (n === undefined) out.push(`maximum ${name} usage per ${item.type} is ${canonical(most)}.  No request is specified`);
      else if (n > amountOf(name, most)) out.push(`maximum ${name} usage per ${item.type} is ${canonical(most)}, but request is ${text(object.spec.resources.requests, name)}`);
    }
    return;
  }
  const spec = object.spec as PodSpec;
  if (item?.type === 'Container') {
    for (const c of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) check(item, amounts(c.resources?.requests), amounts(c.resources?.limits), out);
  } else if (item?.type === 'Pod') check(item, podAmounts(spec, 'requests'), podAmounts(spec, 'limits'), out);
}

const sorted = (list: Limits | undefined): [string, string][] => Object.entries(list ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
const amounts = (list: Record<string, string | number> | undefined): Amounts => new Map(Object.entries(list ?? {}).map(([name, value]) => [name, amountOf(name, value)]));
const text = (list: Record<string, string | number>, name: string): string => canonical(list[name]!);
const shown = (name: string, n: number): string => canonical(name === 'cpu' ? `${n}m` : n % 1024 === 0 && n > 0 ? `${n / 1024}Ki` : String(n));

function atLeast(name: string, type: string, least: string, requests: Amounts, limits: Amounts, out: string[]): void {
  const bound = amountOf(name, least);
  const asked = requests.get(name);
  const may = limits.get(name);
  if (asked === undefined) out.push(`minimum ${name} usage per ${type} is ${canonical(least)}.  No request is specified`);
  else if (asked < bound) out.push(`minimum ${name} usage per ${type} is ${canonical(least)}, but request is ${shown(name, asked)}`);
  else if (may !== undefined && may < bound) out.push(`minimum ${name} usage per ${type} is ${canonical(least)}, but limit is ${shown(name, may)}`);
}

function check(item: Json, requests: Amounts, limits: Amounts, out: string[]): void {
  for (const [name, least] of sorted(item.min)) atLeast(name, item.type, least, requests, limits, out);
  for (const [name, most] of sorted(item.max)) {
    const bound = amountOf(name, most);
    const [asked, may] = [requests.get(name), limits.get(name)];
    if (may === undefined) out.push(`maximum ${name} usage per ${item.type} is ${canonical(most)}.  No limit is specified`);
    else if (may > bound) out.push(`maximum ${name} usage per ${item.type} is ${canonical(most)}, but limit is ${shown(name, may)}`);
    else if (asked !== undefined && asked > bound) out.push(`maximum ${name} usage per ${item.type} is ${canonical(most)}, but request is ${shown(name, asked)}`);
  }
  for (const [name, ratio] of sorted(item.maxLimitRequestRatio)) {
    const [asked, may] = [requests.get(name) ?? 0, limits.get(name) ?? 0];
    const head = `${name} max limit to request ratio per ${item.type} is ${canonical(ratio)}, but`;
    if (asked === 0) out.push(`${head} no request is specified or request is 0`);
    else if (may === 0) out.push(`${head} no limit is specified or limit is 0`);
    else if (may / asked > Number(amountOf('cpu', ratio)) / 1000) out.push(`${head} provided ratio is ${(may / asked).toFixed(6)}`);
  }
}
