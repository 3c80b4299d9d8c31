/**
 * `lab`: what a real cluster has no command for. `lab import FILE` takes the dump of a cluster (`kubectl get nodes,pods,… -A -o json`),
 * `lab export [FOLDER]` writes everything for a real one, `lab race FILE` places the cluster's pods by several scoring rules and compares.
 */
import type { Json } from '../../cluster/types/objects.ts';
import { SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { mkdirAll, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { exportedFiles } from './exported.ts';
import { call, type Client, connect, err, Fatal, failureText, out, readPath } from './kubectl/client.ts';
import type { Flags } from './kubectl/flags.ts';
import { ManifestError, readManifest } from './kubectl/manifest.ts';

const USAGE = `Usage: lab import FILE          a cluster's dump (kubectl get nodes,pods,deploy,... -A -o json) becomes part of this one
       lab export [FOLDER]      manifests for a real cluster, a kind configuration, KWOK nodes (default /root/export)
       lab race FILE [-n NAMESPACE]   the pods placed anew by each profile of a KubeSchedulerConfiguration, beside the default
`;

const COMMANDS: Readonly<Record<string, (client: Client, args: readonly string[]) => Call<number>>> = { import: takeIn, export: giveOut, race };

export function* lab(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  const run = COMMANDS[argv[1] ?? ''];
  if (!run) {
    yield* (argv[1] === undefined || /^(-h|--help|help)$/.test(argv[1]) ? out : err)(USAGE);
    return argv[1] === undefined || /^(-h|--help|help)$/.test(argv[1]) ? 0 : 2;
  }
  try {
    const flags: Flags = { command: 'lab', printed: 0, args: [], rest: null, text: new Map(), many: new Map() };
    return yield* run(yield* connect(env, flags), argv.slice(2));
  } catch (error) {
    if (error instanceof SysError) yield* err(`lab: ${error.message}\n`);
    else if (error instanceof Fatal) yield* err(`lab: ${error.message.replace(/^error: /, '')}\n`);
    else throw error;
    return 1;
  }
}

const MOST_BYTES = 64 * 1024 * 1024;
const MOST_DEPTH = 60;
/** Objects that others need to be there come first. */
const FIRST = ['CustomResourceDefinition', 'Namespace', 'PriorityClass', 'RuntimeClass', 'StorageClass', 'Node', 'ServiceAccount', 'ConfigMap', 'Secret', 'PersistentVolume', 'PersistentVolumeClaim', 'Service', 'Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'CronJob', 'Job'];
const CHUNK = 100;

function* takeIn(client: Client, args: readonly string[]): Call<number> {
  const path = args[0];
  if (args.length !== 1 || path === undefined || path.startsWith('-')) throw new Fatal('import: one file is needed');
  const source = yield* readText(path);
  const items = read(source, path);
  const order = (item: Json): number => (FIRST.includes(item?.kind) ? FIRST.indexOf(item.kind) : FIRST.length);
  items.sort((a, b) => order(a) - order(b));
  const taken: Record<string, number> = {};
  const skipped = new Map<string, { kind: string; why: string; count: number }>();
  const definitions = items.filter((item) => item?.kind === 'CustomResourceDefinition').length;
  for (let i = 0, end: number; i < items.length; i = end) {
    end = i < definitions ? definitions : i + CHUNK;
    // their kinds are served a moment after they have come
    if (i === definitions && i > 0) yield* sys('nanosleep', 500_000_000);
    const { status, body } = yield* call(client, 'POST', '/nestbox/import', { items: items.slice(i, end) });
    if (status !== 200) throw new Fatal(failureText(body, ''));
    for (const [kind, n] of Object.entries(body.taken as Record<string, number>)) taken[kind] = (taken[kind] ?? 0) + n;
    for (const one of body.skipped as { kind: string; why: string; count: number }[]) {
      const known = skipped.get(`${one.kind} ${one.why}`);
      if (known) known.count += one.count;
      else skipped.set(`${one.kind} ${one.why}`, one);
    }
  }
  for (const kind of Object.keys(taken).sort()) yield* out(`imported ${taken[kind]} ${kind}\n`);
  for (const { kind, why, count } of skipped.values()) yield* err(`skipped ${count} ${kind}: ${why}\n`);
  return Object.keys(taken).length > 0 ? 0 : 1;
}

function* readText(path: string): Call<string> {
  let found = '';
  try {
    found = yield* readPath(path);
  } catch (error) {
    if (error instanceof SysError) throw new Fatal(`${path}: ${error.message}`);
    throw error;
  }
  if (found.length > MOST_BYTES) throw new Fatal(`${path}: larger than 64 MiB`);
  return found;
}

/** The objects of a JSON list, or of YAML documents. Faults say where. */
function read(source: string, path: string): Json[] {
  if (!/^\s*[{[]/.test(source)) {
    try {
      return readManifest(source, path).map((item) => item.object);
    } catch (error) {
      if (error instanceof ManifestError) throw new Fatal(error.message);
      throw error;
    }
  }
  let value: Json;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw new Fatal(`${path}: ${place(source, error instanceof Error ? error.message : '')}`);
  }
  if (depth(value, 0) > MOST_DEPTH) throw new Fatal(`${path}: nested deeper than ${MOST_DEPTH}`);
  const items: Json = Array.isArray(value) ? value : /List$/.test(String(value?.kind)) ? value.items : [value];
  if (!Array.isArray(items)) throw new Fatal(`${path}: items is not a list`);
  // lists of one kind (PodList) leave the kind of their items out
  const kind = /^(.+)List$/.exec(String(value?.kind))?.[1];
  return items.map((item) => (kind && item && typeof item === 'object' && item.kind === undefined ? { apiVersion: value.apiVersion, kind, ...item } : item));
}

/** Where a JSON text breaks: found by reading it, as engines word their errors differently. */
function place(source: string, said: string): string {
  const at = /position (\d+)/.exec(said)?.[1];
  const offset = at === undefined ? (/end of|unterminated/i.test(said) ? source.length : -1) : Number(at);
  const why = said.replace(/ in JSON at position.*| \(line.*/, '');
  if (offset < 0) return `not JSON: ${why}`;
  const before = source.slice(0, offset).split('\n');
  return `line ${before.length}, column ${before[before.length - 1]!.length + 1}: not JSON: ${why}`;
}

function depth(value: Json, level: number): number {
  if (value === null || typeof value !== 'object' || level > MOST_DEPTH) return level;
  let most = level;
  for (const inner of Object.values(value)) most = Math.max(most, depth(inner as Json, level + 1));
  return most;
}

function* giveOut(client: Client, args: readonly string[]): Call<number> {
  const folder = (args[0] ?? '/root/export').replace(/\/$/, '');
  const { status, body } = yield* call(client, 'GET', '/nestbox/export');
  if (status !== 200) throw new Fatal(failureText(body, ''));
  yield* mkdirAll(folder);
  for (const [name, content] of exportedFiles(body)) {
    yield* writeFile(`${folder}/${name}`, content);
    yield* out(`${folder}/${name}\n`);
  }
  return 0;
}

const COLUMNS = [['profile', 'PROFILE'], ['pods', 'PODS'], ['unscheduled', 'UNSCHEDULED'], ['nodesUsed', 'NODES USED'], ['cpu', 'CPU %'], ['memory', 'MEMORY %'], ['fullest', 'FULLEST %'], ['uneven', 'UNEVEN'], ['zoneSkew', 'ZONE SKEW']] as const;

function* race(client: Client, args: readonly string[]): Call<number> {
  const at = args.findIndex((a) => a === '-n' || a === '--namespace');
  const namespace = at < 0 ? undefined : args[at + 1];
  const files = args.filter((a, i) => !a.startsWith('-') && (at < 0 || i !== at + 1));
  if (files.length !== 1) throw new Fatal('race: one file with a KubeSchedulerConfiguration is needed');
  const source = yield* readText(files[0]!);
  const { status, body } = yield* call(client, 'POST', `/nestbox/race${namespace ? `?namespace=${encodeURIComponent(namespace)}` : ''}`, source);
  if (status !== 200) throw new Fatal(`${files[0]}: ${body?.message ?? 'the server did not answer'}`);
  const rows: string[][] = [COLUMNS.map(([, head]) => head), ...(body.results as Record<string, string | number>[]).map((r) => COLUMNS.map(([name]) => (name === 'nodesUsed' ? `${r.nodesUsed}/${r.nodes}` : String(r[name]))))];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  for (const row of rows) yield* out(`${row.map((cell, i) => cell.padEnd(widths[i]!)).join('   ').trimEnd()}\n`);
  return 0;
}
