/** lsns of util-linux 2.41: the namespaces that processes are in, by /proc/PID/ns, with how many are in each. Source: lsns(8). */
import { AT_FDCWD, NS_GET_PARENT, NS_GET_USERNS, O_RDONLY } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { type Accounts, readAccounts, userName } from '../coreutils/accounts.ts';
import { pids, type Process, readProcess } from '../coreutils/processes.ts';
import { parseOptions, lastValue } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';
import { type ColumnSpec, render, rowOf, type Row } from './columns.ts';
import { readMounts } from './mounts.ts';

const KINDS = ['mnt', 'net', 'ipc', 'user', 'pid', 'uts', 'cgroup', 'time'] as const;

interface Namespace {
  ino: number;
  type: string;
  members: Process[];
  /** Its parent (pid and user namespaces), when known. */
  parent: number | null;
  owner: number | null;
}

const SPEC = 'J/json H/list-columns l/list n/noheadings o/output= p/task= P/persistent Q/filter= r/raw t/type= T/tree? u/notruncate W/nowrap output-all';

const COLUMNS: Readonly<Record<string, ColumnSpec>> = {
  NS: { name: 'NS', align: 'right', number: true, hint: 10 }, TYPE: { name: 'TYPE', hint: 5 }, PATH: { name: 'PATH' }, NPROCS: { name: 'NPROCS', align: 'right', number: true, hint: 5 }, PID: { name: 'PID', align: 'right', number: true, hint: 5 },
  PPID: { name: 'PPID', align: 'right', number: true, hint: 5 }, COMMAND: { name: 'COMMAND' }, UID: { name: 'UID', align: 'right', number: true }, USER: { name: 'USER' }, NETNSID: { name: 'NETNSID', align: 'right' }, NSFS: { name: 'NSFS' },
  PNS: { name: 'PNS', align: 'right', number: true, hint: 10 }, ONS: { name: 'ONS', align: 'right', number: true, hint: 10 },
};

const MEANINGS: readonly (readonly [string, string, string])[] = [
  ['NS', 'integer', 'namespace identifier (inode number)'], ['TYPE', 'string', 'kind of namespace'], ['PATH', 'string', 'path to the namespace'], ['NPROCS', 'integer', 'number of processes in the namespace'],
  ['PID', 'integer', 'lowest PID in the namespace'], ['PPID', 'integer', 'PPID of the PID'], ['COMMAND', 'string', 'command line of the PID'], ['UID', 'integer', 'UID of the PID'], ['USER', 'string', 'username of the PID'],
  ['NETNSID', 'string', 'namespace ID as used by network subsystem'], ['NSFS', 'string', 'nsfs mountpoint (usually used network subsystem)'], ['PNS', 'integer', 'parent namespace identifier (inode number)'],
  ['ONS', 'integer', 'owner namespace identifier (inode number)'],
];

export const lsns = command(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  const types = o.values.get('type') ?? [];
  for (const type of types) if (!(KINDS as readonly string[]).includes(type)) throw new Failed(`unknown namespace type: ${type}`);
  const task = lastValue(o, 'task');
  if (task !== undefined && !/^\d+$/.test(task)) throw new Failed(`invalid PID argument: '${task}'`);
  if (o.words.length > 0 && !/^\d+$/.test(o.words[0]!)) throw new Failed(`invalid namespace argument: '${o.words[0]!}'`);
  if (o.on.has('list-columns')) {
    yield* print(MEANINGS.map(([name, kind, text]) => `${name.padStart(7)} <${kind}>${' '.repeat(8 - kind.length)}${text}\n`).join(''));
    return 0;
  }
  let found = yield* collect();
  if (o.on.has('persistent')) found = found.filter((n) => n.members.length === 0);
  if (types.length > 0) found = found.filter((n) => types.includes(n.type));
  if (task !== undefined) found = found.filter((n) => n.members.some((p) => p.pid === Number(task)));
  const accounts = yield* readAccounts();
  if (o.words.length > 0) return yield* members(o.words[0]!, found, accounts);
  const onlyNet = types.length === 1 && types[0] === 'net';
  const names = columnNames(lastValue(o, 'output'), onlyNet, o.on.has('output-all'));
  const rows = new Map<number, Row>();
  for (const ns of found) rows.set(ns.ino, rowOf(yield* cellsOf(ns, accounts, names)));
  const style = o.on.has('json') ? 'json' : o.on.has('raw') ? 'raw' : 'table';
  const treeOf = o.on.has('tree') ? (lastValue(o, 'tree') ?? 'parent') : o.on.has('list') || style === 'json' ? null : 'process';
  const top = treeOf === null ? [...rows.values()] : treeOf === 'process' ? processTree(found, rows) : tree(found, rows);
  const treeColumn = treeOf === null ? null : treeOf === 'process' ? 'COMMAND' : 'NS';
  yield* print(found.length === 0 && style !== 'json' ? '' : render(top, names.map((n) => COLUMNS[n]!), treeColumn, { headings: !o.on.has('noheadings'), style, title: 'namespaces', rawTree: true }));
  return 0;
});

function columnNames(output: string | undefined, onlyNet: boolean, all: boolean): string[] {
  const standard = onlyNet ? ['NS', 'TYPE', 'NPROCS', 'PID', 'USER', 'NETNSID', 'NSFS', 'COMMAND'] : ['NS', 'TYPE', 'NPROCS', 'PID', 'USER', 'COMMAND'];
  if (all) return Object.keys(COLUMNS);
  if (output === undefined) return standard;
  const wanted = output.replace(/^\+/, '').split(',').map((n) => n.trim().toUpperCase());
  for (const name of wanted) if (!COLUMNS[name]) throw new Failed(`unknown column: ${name}`);
  return output.startsWith('+') ? [...standard, ...wanted] : wanted;
}

/** Every namespace that some process is in or a bind mount keeps, by number. */
function* collect(): Call<Namespace[]> {
  const all = new Map<number, Namespace>();
  for (const pid of yield* pids()) {
    const process = yield* readProcess(pid);
    if (!process) continue;
    for (const type of KINDS) {
      const link = yield* attempt(sys('readlinkat', AT_FDCWD, `/proc/${pid}/ns/${type}`), null);
      const ino = Number(/\[(\d+)\]/.exec(link ?? '')?.[1] ?? 0);
      if (ino === 0) continue;
      const known = all.get(ino);
      if (known) known.members.push(process);
      else all.set(ino, { ino, type, members: [process], parent: null, owner: null });
    }
  }
  for (const { type: fs, root } of yield* readMounts()) {
    const [, type, ino] = fs === 'nsfs' ? (/^(\w+):\[(\d+)\]$/.exec(root) ?? []) : [];
    if (type !== undefined && !all.has(Number(ino))) all.set(Number(ino), { ino: Number(ino), type, members: [], parent: null, owner: null });
  }
  return [...all.values()].sort((a, b) => a.ino - b.ino);
}

function* cellsOf(ns: Namespace, accounts: Accounts, names: readonly string[]): Call<Record<string, string>> {
  const first = ns.members[0];
  if (!first) {
    const path = yield* pinned(ns.ino);
    return { NS: String(ns.ino), TYPE: ns.type, PATH: path.split('\\n')[0]!, NPROCS: '0', UID: '0', USER: userName(accounts, 0), NSFS: names.includes('NSFS') ? path : '', NETNSID: '' };
  }
  return {
    NS: String(ns.ino), TYPE: ns.type, PATH: `/proc/${first.pid}/ns/${ns.type}`, NPROCS: String(ns.members.length), PID: String(first.pid), PPID: String(first.ppid),
    COMMAND: first.args.length > 0 ? first.args.join(' ') : first.comm, UID: String(first.uid), USER: userName(accounts, first.uid),
    NETNSID: ns.type === 'net' && names.includes('NETNSID') ? yield* nsid(first.pid) : '', NSFS: names.includes('NSFS') ? yield* pinned(ns.ino) : '', PNS: names.includes('PNS') ? String(yield* related(`/proc/${first.pid}/ns/${ns.type}`, NS_GET_PARENT)) : '',
    ONS: names.includes('ONS') ? String(yield* related(`/proc/${first.pid}/ns/${ns.type}`, NS_GET_USERNS)) : '',
  };
}

/** The number of a namespace's parent or owner; 0 where it has none that is shown. */
function* related(path: string, request: number): Call<number> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY), -1);
  if (fd < 0) return 0;
  const other = Number(yield* attempt(sys('ioctl', fd, request, 0), -1));
  yield* sys('close', fd);
  if (other < 0) return 0;
  const { ino } = yield* sys('fstat', other);
  yield* sys('close', other);
  return ino;
}

function* nsid(pid: number): Call<string> {
  const id = (yield* attempt(sys('netlink', { type: 'nsid.get', netns: { pid } }), -1)) as number;
  return id >= 0 ? String(id) : 'unassigned';
}

/** Where bind mounts keep it. */
function* pinned(ino: number): Call<string> {
  const rows = yield* readMounts();
  return rows.filter((r) => r.type === 'nsfs' && r.root.includes(`[${ino}]`)).map((r) => r.target).join('\\n');
}

/** Each under the last one shown before it whose first member is the parent of its own. */
function processTree(found: readonly Namespace[], rows: ReadonlyMap<number, Row>): Row[] {
  const top: Row[] = [];
  const lastOf = new Map<number, Row>();
  for (const ns of found) {
    const { pid, ppid } = ns.members[0] ?? { pid: 0, ppid: 0 };
    const row = rows.get(ns.ino)!;
    (lastOf.get(ppid)?.children ?? top).push(row);
    lastOf.set(pid, row);
  }
  return top;
}

/** Namespaces under the one of the first member's parent process. */
function tree(found: readonly Namespace[], rows: ReadonlyMap<number, Row>): Row[] {
  const top: Row[] = [];
  for (const ns of found) {
    const ppid = ns.members[0]?.ppid ?? 0;
    const parent = found.find((x) => x !== ns && x.type === ns.type && x.members.some((p) => p.pid === ppid));
    (parent ? rows.get(parent.ino)!.children : top).push(rows.get(ns.ino)!);
  }
  return top;
}

/** `lsns NAMESPACE`: its processes. */
function* members(ino: string, found: readonly Namespace[], accounts: Accounts): Call<number> {
  const ns = found.find((one) => one.ino === Number(ino));
  if (!ns) throw new Failed(`not found namespace: ${ino}`);
  const columns: ColumnSpec[] = [COLUMNS.PID!, COLUMNS.PPID!, COLUMNS.USER!, COLUMNS.COMMAND!];
  const rows = ns.members.map((p) => rowOf({ PID: String(p.pid), PPID: String(p.ppid), USER: userName(accounts, p.uid), COMMAND: p.args.join(' ') || p.comm }));
  yield* print(render(rows, columns, null, { headings: true, style: 'table', title: 'processes' }));
  return 0;
}

