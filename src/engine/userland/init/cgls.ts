/** systemd-cgls: the tree of control groups with their processes. Source: systemd-cgls(1). */
import { TCGETS } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { sizeOf } from '../coreutils/screen.ts';
import { parseOptions } from '../lib/args.ts';
import { attempt, entriesAt, exists, list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';
import { unprefixed } from './messages.ts';

const ROOT = '/sys/fs/cgroup';

function* commandLine(pid: number): Call<string> {
  const line = (yield* tryRead(`/proc/${pid}/cmdline`))?.replace(/\0+$/, '').replace(/\0/g, ' ') ?? '';
  return line === '' ? `[${(yield* tryRead(`/proc/${pid}/comm`))?.trim() ?? '?'}]` : line;
}

function* populated(dir: string): Call<boolean> {
  return /populated 1/.test((yield* tryRead(`${dir}/cgroup.events`)) ?? 'populated 1');
}

const shortened = (line: string, width: number): string => (line.length > width ? `${line.slice(0, width - 1)}…` : line);

/** Columns that a line may have: all that it needs with -l or in a pager, which is where a terminal's lines go. */
function* widthOf(full: boolean, pager: boolean): Call<number> {
  const terminal = (yield* attempt(sys('ioctl', 1, TCGETS), null)) !== null;
  if (full || (terminal && pager)) return Number.POSITIVE_INFINITY;
  return terminal ? (yield* sizeOf()).cols : 80;
}

const HELP = `systemd-cgls [OPTIONS...] [CGROUP...]

Recursively show control group contents.

  -h --help           Show this help
     --version        Show package version
     --no-pager       Do not pipe output into a pager
  -a --all            Show all groups, including empty
  -u --unit           Show the subtrees of specified system units
     --user-unit      Show the subtrees of specified user units
  -x --xattr=BOOL     Show cgroup extended attributes
  -c --cgroup-id=BOOL Show cgroup ID
  -l --full           Do not ellipsize output
  -k                  Include kernel threads in output
  -M --machine=NAME   Show container NAME

See the systemd-cgls(1) man page for details.
`;

/** Somebody else than the manager makes groups below it. */
function* delegated(dir: string): Call<boolean> {
  for (const name of ['trusted.delegate', 'user.delegate']) {
    const value = yield* attempt(sys('getxattr', dir, name), null);
    if (value !== null) return text(value) === '1';
  }
  return false;
}

/** Everything below a group, each line after `indent`. */
export function* treeOfCgroup(path: string, indent: string, all = false, kernelThreads = false, width = Number.POSITIVE_INFINITY): Call<string> {
  const dir = path === '/' ? ROOT : ROOT + path;
  const members = ((yield* tryRead(`${dir}/cgroup.procs`)) ?? '').split('\n').filter(Boolean).map(Number).filter((p) => p > 0).sort((a, b) => a - b);
  const pids: number[] = [];
  for (const pid of members) if (kernelThreads || !/^Kthread:\s*1/m.test((yield* tryRead(`/proc/${pid}/status`)) ?? '')) pids.push(pid);
  const groups: string[] = [];
  for (const e of yield* entriesAt(dir)) if (e.type === 'dir' && (all || (yield* populated(`${dir}/${e.name}`)))) groups.push(e.name);
  const digits = Math.max(0, ...pids.map((p) => String(p).length));
  let out = '';
  for (const [i, pid] of pids.entries()) {
    const last = i === pids.length - 1 && groups.length === 0;
    out += `${shortened(`${indent}${last ? '└─' : '├─'}${String(pid).padStart(digits)} ${yield* commandLine(pid)}`, width)}\n`;
  }
  for (const [i, name] of groups.entries()) {
    const last = i === groups.length - 1;
    out += `${indent}${last ? '└─' : '├─'}${name}${(yield* delegated(`${dir}/${name}`)) ? ' …' : ''}\n`;
    out += yield* treeOfCgroup(`${path === '/' ? '' : path}/${name}`, `${indent}${last ? '  ' : '│ '}`, all, kernelThreads, width);
  }
  return out;
}

/** Units by name. */
function* unitTrees(names: readonly string[], all: boolean, width: number): Call<number> {
  for (const word of names) {
    const name = /\.(service|slice|scope|socket|mount)$/.test(word) ? word : `${word}.service`;
    const path = yield* groupNamed('', name);
    if (path === null) throw new Failed(`Unit ${name} not found.\nFailed to list cgroup tree: No such file or directory`);
    yield* print(`Unit ${name} (${path}):\n${yield* treeOfCgroup(path, '', all, false, width)}`);
  }
  return 0;
}

function* groupNamed(dir: string, name: string): Call<string | null> {
  for (const e of yield* list(ROOT + dir)) {
    if (e.type !== 'dir') continue;
    if (e.name === name) return `${dir}/${name}`;
    const below = yield* groupNamed(`${dir}/${e.name}`, name);
    if (below !== null) return below;
  }
  return null;
}

export const cgls: Program = command(unprefixed(function* (argv) {
  const given = parseOptions('h/help version a/all l/full no-pager k x/xattr c/cgroup-id M/machine= u/unit? user-unit=', argv.slice(1));
  for (const name of ['machine', 'user-unit', 'xattr', 'cgroup-id']) if (given.on.has(name)) throw new Failed(`not modelled: --${name}`);
  if (given.on.has('help')) {
    yield* print(HELP);
    return 0;
  }
  const width = yield* widthOf(given.on.has('full'), !given.on.has('no-pager'));
  const units = [...(given.values.get('unit') ?? []), ...given.words].filter((one) => one !== '');
  if (given.on.has('unit') && units.length > 0) return yield* unitTrees(units, given.on.has('all'), width);
  const here = yield* sys('getcwd');
  if (given.words.length === 0 && here.startsWith(`${ROOT}/`)) {
    yield* print(`Working directory ${here}:\n${yield* treeOfCgroup(here.slice(ROOT.length), '', given.on.has('all'), given.on.has('k'), width)}`);
    return 0;
  }
  const wanted = given.words.length > 0 ? given.words : ['/'];
  for (const word of wanted) {
    if (!word.startsWith('/') && !/^(?:cpu|cpuset|io|memory|pids|name=\w+|_?[a-z]*):/.test(word) && /[^\w=]/.test(word)) throw new Failed(`Failed to split argument ${word}: Invalid argument\nFailed to list cgroup tree: Invalid argument`);
    // A word without a slash is a controller's name, and they all have the one tree.
    const named = /^[^/:]*(?::(.*))?$/.exec(word);
    const path = word.startsWith(ROOT) ? word.slice(ROOT.length) || '/' : named ? `/${(named[1] ?? '').replace(/^\//, '')}` : word;
    yield* print(word.startsWith(ROOT) ? `Directory ${word}:\n` : `CGroup ${path}:\n`);
    if (!(yield* exists(path === '/' ? ROOT : ROOT + path))) throw new Failed(`Failed to list cgroup tree: No such file or directory`);
    yield* print(`${word === '/' && given.words.length === 0 ? '-.slice\n' : ''}${yield* treeOfCgroup(path, '', given.on.has('all'), given.on.has('k'), width)}`);
  }
  return 0;
}));
