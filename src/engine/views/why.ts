/**
 * Why is it so? The chain of recorded causes behind an effect, newest first: each trace record names the one that
 * caused it. Where a record names none, the chain ends, or goes on to the last thing a person typed before it.
 */
import type { WhyRow } from '../../bridge/rows.ts';
import { recordAt, type TraceRecord } from '../sim/trace.ts';
import type { World } from '../world/world.ts';
import { roadOf } from './packets.ts';
import { sentenceOf } from './sentences.ts';
import { type Arg, columns, type View } from './view.ts';

const LONGEST = 24;

export const why: View = {
  doc: 'The recorded causes of an effect, newest first. kind is container, process, pod, cgroup, throttled (a cgroup), refusal (a pid: its last call that was refused), packet, exit or record; id names it.',
  arg: 'kind, id, host?',
  columns: columns(`
    order [count]: 0 is the effect itself
    floor: where it happened
    text: a sentence
    detail: the record's own figures
    t [ns]: when
    figure: the one number that matters
    scene: the scene that shows it
    select: what to select there
  `),
  rows: (world, arg) => {
    if (arg.kind === 'packet') return packetChain(world, String(arg.id ?? ''));
    const start = effect(world, arg);
    const chain: TraceRecord[] = [];
    for (let at = start; at && chain.length < LONGEST; ) {
      chain.push(at);
      at = at.because === undefined ? settingBefore(world, at) : recordAt(world.trace, at.because);
    }
    const origin = chain.length > 0 ? typedBefore(world, chain[chain.length - 1]!) : undefined;
    if (origin && !chain.includes(origin)) chain.push(origin);
    return chain.map((entry, order) => rowOf(world, entry, order));
  },
};

function rowOf(world: World, entry: TraceRecord, order: number): WhyRow {
  const sentence = sentenceOf(entry);
  return {
    key: String(entry.n), order, floor: entry.floor, text: entry.kind === 'input.type' ? `typed at ${entry.data.tty}: ${lineOf(world, entry)}` : (sentence?.text ?? entry.kind), detail: sentence?.detail ?? '', t: entry.t,
    figure: sentence?.figure ?? '', scene: sentence?.scene ?? '', select: sentence?.select ?? '',
  };
}

/** What an effect of a limit goes back to: the file in which the limit was written last before it. */
const LIMITS: Record<string, string> = { 'memory.refused': 'memory.max', 'cpu.throttled': 'cpu.max' };

function settingBefore(world: World, entry: TraceRecord): TraceRecord | undefined {
  const file = LIMITS[entry.kind];
  if (!file) return undefined;
  const { records } = world.trace;
  for (let i = entry.n - (records[0]?.n ?? 0); i >= 0; i--) {
    const at = records[i];
    if (at?.kind === 'cgroup.write' && at.data.file === file && at.data.cgroup === entry.data.cgroup && at.who === entry.who) return at;
  }
  return undefined;
}

/** Why a packet ended where it did: its road backwards, then the last that was typed before it set out. */
function packetChain(world: World, id: string): WhyRow[] {
  const [packet] = id.split('@');
  const road = [...world.kernels.values()].flatMap((kernel) => roadOf(kernel, packet!)).sort((a, b) => a.t - b.t || a.n - b.n);
  const first = road[0];
  if (!first) return [];
  const told = road.reverse().slice(0, LONGEST).map(({ n, t, ns, who, what, why: reason, figure }, order): WhyRow => ({ key: `${ns}/${n}`, order, floor: 'kernel', text: what, detail: reason, t, figure: figure || `in ${who}`, scene: 'containers', select: `packet:${packet}` }));
  const origin = lastTyped(world, first.t);
  return origin ? [...told, rowOf(world, origin, told.length)] : told;
}

function lastTyped(world: World, t: number): TraceRecord | undefined {
  const { records } = world.trace;
  for (let i = records.length - 1; i >= 0; i--) {
    const at = records[i]!;
    if (at.t <= t && at.kind === 'input.type' && String(at.data.data).includes('\r')) return at;
  }
  return undefined;
}

/** Which kinds of record are the end of the story for each kind of thing, most telling first. */
const ENDS: Record<string, readonly string[]> = {
  process: ['oom.kill', 'task.exit'],
  container: ['oom.kill', 'container.exit', 'task.exit'],
  pod: ['pod.oomkilled', 'sched.failed', 'pod.deleted', 'pod.running', 'sched.bind', 'pod.created'],
  cgroup: ['oom.kill', 'memory.refused', 'cgroup.write', 'cgroup.make'],
  exit: ['vm.exit'],
  throttled: ['cpu.throttled'],
  refusal: ['call.refused'],
};

function effect(world: World, arg: Arg): TraceRecord | undefined {
  const kind = String(arg.kind ?? '');
  const id = String(arg.id ?? '');
  if (kind === 'record') return recordAt(world.trace, Number(id));
  const { records } = world.trace;
  for (const wanted of ENDS[kind] ?? []) {
    for (let i = records.length - 1; i >= 0; i--) {
      const entry = records[i]!;
      if (entry.kind === wanted && (arg.host === undefined || arg.host === null || entry.who === arg.host) && about(entry, kind, id)) return entry;
    }
  }
  return undefined;
}

function about(entry: TraceRecord, kind: string, id: string): boolean {
  const { data } = entry;
  if (kind === 'process') return String(data.pid) === id;
  if (kind === 'pod') return data.pod === id;
  if (kind === 'throttled') return data.cgroup === id;
  if (kind === 'refusal') return String(data.pid) === id;
  if (kind === 'exit') return String(data.reason) === id || data.name === id;
  const cgroup = String(data.cgroup ?? data.path ?? data.victimCgroup ?? '');
  return kind === 'cgroup' ? cgroup === id : id.length >= 12 && (cgroup.includes(id.slice(0, 12)) || String(data.container ?? '').startsWith(id.slice(0, 12)));
}

/** The last command line that a person ended before this happened. */
function typedBefore(world: World, entry: TraceRecord): TraceRecord | undefined {
  const { records } = world.trace;
  const first = records[0]?.n ?? 0;
  for (let i = entry.n - first; i >= 0; i--) {
    const at = records[i];
    if (at?.kind === 'input.type' && String(at.data.data).includes('\r')) return at;
  }
  return undefined;
}

/** The whole line that a key press completed: what was typed at the same terminal since the Enter before it. */
function lineOf(world: World, entry: TraceRecord): string {
  const { records } = world.trace;
  let line = '';
  for (let i = entry.n - (records[0]?.n ?? 0); i >= 0; i--) {
    const at = records[i];
    if (at?.kind !== 'input.type' || at.data.tty !== entry.data.tty) continue;
    const data = String(at.data.data);
    const end = (at === entry ? data.slice(0, -1) : data).lastIndexOf('\r');
    line = data.slice(end + 1) + line;
    if (end >= 0) break;
  }
  const kept: string[] = [];
  for (const c of line) {
    if (c === '\x7f' || c === '\b') kept.pop();
    else if (c === '\x15' || c === '\x03') kept.length = 0;
    else if (c >= ' ') kept.push(c);
  }
  return kept.join('').trim() || JSON.stringify(entry.data.data);
}
