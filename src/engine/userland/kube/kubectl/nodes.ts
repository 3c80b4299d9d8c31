/** Nodes: cordon, uncordon, taint. */
import { kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import type { Node, Taint } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { ask, type Client, Fatal, listKind, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { mustFetch } from './resources.ts';
import { dryRun, marks, query } from './write.ts';

export const CORDON_FLAGS = 'l/selector= dry-run=?unchanged';
export const TAINT_FLAGS = 'overwrite all l/selector= dry-run=?unchanged o/output= validate=?strict';

export function* nodesOf(client: Client, flags: Flags, names: readonly string[]): Call<Node[]> {
  const kind = kindNamed('Node');
  const out_: Node[] = [];
  const clean = names.map((n) => n.replace(/^(?:no|node|nodes)\//, ''));
  if (flags.text.has('selector')) out_.push(...((yield* listKind(client, kind, undefined, { labelSelector: flags.text.get('selector') })).items as Node[]));
  for (const name of clean) out_.push((yield* mustFetch(client, kind, name)) as Node);
  return out_;
}

export function* cordon(client: Client, flags: Flags, unschedulable: boolean): Call<number> {
  const word = unschedulable ? 'cordon' : 'uncordon';
  if (flags.args.length === 0 && !flags.text.has('selector')) throw new Fatal(`error: USAGE: ${word} NODE [flags]\nSee 'kubectl ${word} -h' for help and examples`);
  for (const node of yield* nodesOf(client, flags, flags.args)) yield* setCordon(client, flags, node, unschedulable, word);
  return 0;
}

export function* setCordon(client: Client, flags: Flags, node: Node, unschedulable: boolean, word: string): Call<void> {
  const run = dryRun(flags);
  if (Boolean(node.spec.unschedulable) === unschedulable) {
    yield* out(`node/${node.metadata.name} already ${word}ed${marks(run)}\n`);
    return;
  }
  if (run !== 'client') yield* ask(client, 'PATCH', `${pathOf(kindNamed('Node'), undefined, node.metadata.name)}${query(flags, run)}`, { spec: { unschedulable: unschedulable || null } }, 'strategic');
  yield* out(`node/${node.metadata.name} ${word}ed${marks(run)}\n`);
}

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function* taint(client: Client, flags: Flags): Call<number> {
  const args = flags.args[0]?.match(/^(no|nodes?)$/) ? flags.args.slice(1) : flags.args.map((a) => a.replace(/^(no|nodes?)\//, ''));
  const isTaint = (a: string): boolean => /[:=]/.test(a) || /-$/.test(a);
  const names = args.filter((a) => !isTaint(a));
  const specs = args.filter(isTaint);
  if (specs.length === 0) throw new Fatal('error: at least one taint update is required');
  if (names.length === 0 && !on(flags, 'all') && !flags.text.has('selector')) throw new Fatal('error: at least one resource name must be specified since \'all\' parameter is not set');
  const run = dryRun(flags);
  const add: Taint[] = [];
  const drop: { key: string; effect: string }[] = [];
  for (const spec of specs) {
    const m = /^([^=:]+?)(?:=([^:]*))?(?::(\w+?))?(-)?$/.exec(spec);
    if (!m) throw new Fatal(`error: unknown taint spec: ${spec}`);
    const [, key = '', value, effect = '', minus] = m;
    if (minus) drop.push({ key, effect });
    else {
      if (!EFFECTS.includes(effect)) throw new Fatal(effect === '' ? `error: unknown taint spec: ${spec}\nSee 'kubectl taint -h' for help and examples` : `error: invalid taint effect: ${effect}, unsupported taint effect\nSee 'kubectl taint -h' for help and examples`);
      add.push({ effect, key, ...(value ? { value } : {}) });
    }
  }
  const nodes = on(flags, 'all') ? ((yield* listKind(client, kindNamed('Node'), undefined)).items as Node[]) : yield* nodesOf(client, flags, names);
  for (const node of nodes) {
    const have = node.spec.taints ?? [];
    const name = node.metadata.name;
    for (const d of drop) if (!have.some((t) => t.key === d.key && (d.effect === '' || t.effect === d.effect))) throw new Fatal(`error: taint "${d.key}${d.effect ? `:${d.effect}` : ''}" not found`);
    const clash = add.find((a) => have.some((t) => t.key === a.key && t.effect === a.effect && (t.value ?? '') !== (a.value ?? '')));
    const exists = add.find((a) => have.some((t) => t.key === a.key && t.effect === a.effect));
    if ((clash || exists) && !on(flags, 'overwrite')) {
      const t = (clash ?? exists)!;
      throw new Fatal(`error: node ${name} already has ${t.key} taint(s) with same effect(s) and --overwrite is false`);
    }
    const taints = [...have.filter((t) => !drop.some((d) => d.key === t.key && (d.effect === '' || d.effect === t.effect)) && !add.some((a) => a.key === t.key && a.effect === t.effect)), ...add];
    if (run !== 'client') yield* ask(client, 'PATCH', `${pathOf(kindNamed('Node'), undefined, name)}${query(flags, run)}`, { spec: { taints: taints.length > 0 ? taints : null } }, 'merge');
    yield* out(`node/${name} ${add.length > 0 && drop.length > 0 ? 'modified' : add.length > 0 ? (clash ? 'modified' : 'tainted') : 'untainted'}${marks(run)}\n`);
  }
  return 0;
}
