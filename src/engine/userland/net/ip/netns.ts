/** Named network namespaces: files of nsfs mounted in /run/netns. Source: ip-netns(8). */
import {
  AT_FDCWD, CLONE_NEWNET, CLONE_NEWNS, MNT_DETACH, MS_BIND, MS_REC, MS_SHARED, MS_SLAVE, O_CREAT, O_EXCL, O_RDONLY, SysError,
} from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, entriesAt, list } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print, strerror } from '../../lib/io.ts';
import { Complaint } from '../rtnl.ts';
import { type IpOptions, jsonText } from './options.ts';
import { usageOf } from './usage.ts';
import { need, peek, type Words } from './words.ts';

const DIR = '/run/netns';

/** Joins a named namespace, with a view of /sys of its own. Status 255 when there is none. */
export function* switchTo(name: string): Call<void> {
  let fd: number;
  try {
    fd = yield* sys('openat', AT_FDCWD, `${DIR}/${name}`, O_RDONLY);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Complaint(`Cannot open network namespace "${name}": ${strerror(error)}`, 255);
  }
  try {
    yield* sys('setns', fd, CLONE_NEWNET);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Complaint(`setting the network namespace "${name}" failed: ${strerror(error)}`, 255);
  }
  yield* sys('close', fd);
  yield* sys('unshare', CLONE_NEWNS);
  yield* attempt(sys('mount', '', '/', 'none', MS_SLAVE | MS_REC, ''), 0);
  yield* attempt(sys('umount2', '/sys', MNT_DETACH), 0);
  yield* attempt(sys('mount', name, '/sys', 'sysfs', 0, ''), 0);
}

/** Names in the order in which the directory gives them. */
export function* names(): Call<string[]> {
  return (yield* entriesAt(DIR)).map((one) => one.name);
}

/** The ids under which this namespace knows the named ones. */
export function* knownIds(): Call<Map<number, string>> {
  const known = new Map<number, string>();
  for (const name of yield* names()) {
    const id = (yield* attempt(sys('netlink', { type: 'nsid.get', netns: { path: `${DIR}/${name}` } }), -1)) as number;
    if (id >= 0) known.set(id, name);
  }
  return known;
}

function* shareDirectory(): Call<void> {
  yield* attempt(sys('mkdirat', AT_FDCWD, DIR, 0o755), 0, 'EEXIST');
  try {
    yield* sys('mount', '', DIR, 'none', MS_SHARED | MS_REC, '');
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno !== 'EINVAL') throw new Complaint(`mount --make-shared ${DIR} failed: ${strerror(error)}`, 1);
    yield* sys('mount', DIR, DIR, 'none', MS_BIND | MS_REC, '');
    yield* sys('mount', '', DIR, 'none', MS_SHARED | MS_REC, '');
  }
}

function* add(name: string, source: string | null): Call<number> {
  yield* shareDirectory();
  const path = `${DIR}/${name}`;
  try {
    yield* sys('close', yield* sys('openat', AT_FDCWD, path, O_RDONLY | O_CREAT | O_EXCL, 0));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Complaint(`Cannot create namespace file "${path}": ${strerror(error)}`, 1);
  }
  try {
    if (source === null) yield* sys('unshare', CLONE_NEWNET);
    yield* sys('mount', source ?? '/proc/self/ns/net', path, 'none', MS_BIND, '');
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0);
    throw new Complaint(`Failed to create a new network namespace "${name}": ${strerror(error)}`, 1);
  }
  return 0;
}

function* remove(name: string): Call<number> {
  const path = `${DIR}/${name}`;
  yield* attempt(sys('umount2', path, MNT_DETACH), 0);
  try {
    yield* sys('unlinkat', AT_FDCWD, path, 0);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`Cannot remove namespace file "${path}": ${strerror(error)}\n`);
    return 1;
  }
  return 0;
}

/** -all netns delete. */
export function* removeAll(): Call<number> {
  for (const one of yield* names()) yield* remove(one);
  return 0;
}

/** The path of a program as execvp finds it, or the name itself. */
export function* which(name: string, env: Readonly<Record<string, string>>): Call<string> {
  if (name.includes('/')) return name;
  for (const dir of (env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin').split(':')) {
    const path = `${dir || '.'}/${name}`;
    if ((yield* attempt(sys('faccessat', AT_FDCWD, path, 1), -1)) === 0) return path;
  }
  return name;
}

function* exec(words: Words, env: Readonly<Record<string, string>>): Call<number> {
  const name = peek(words);
  if (name === undefined) throw new Complaint('No netns name specified', 1);
  words.at++;
  const argv = words.argv.slice(words.at);
  if (argv.length === 0) throw new Complaint('No command specified', 1);
  yield* switchTo(name);
  try {
    yield* sys('execve', yield* which(argv[0]!, env), argv, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`exec of "${argv[0]}" failed: ${strerror(error)}\n`);
  }
  return 1;
}

/** Processes whose network namespace is the named one. */
function* pids(name: string): Call<number> {
  const own = yield* attempt(sys('newfstatat', AT_FDCWD, `${DIR}/${name}`, 0), null);
  if (!own) throw new Complaint(`Cannot open network namespace: No such file or directory`, 1);
  for (const { name: pid } of (yield* list('/proc')).filter((e) => /^\d+$/.test(e.name)).sort((a, b) => Number(a.name) - Number(b.name))) {
    const stat = yield* attempt(sys('newfstatat', AT_FDCWD, `/proc/${pid}/ns/net`, 0), null);
    if (stat?.ino === own.ino) yield* print(`${pid}\n`);
  }
  return 0;
}

/** The name of the namespace that a process is in, an empty line where it has none; several names are one a line. */
function* identify(pid: string): Call<number> {
  const own = yield* attempt(sys('newfstatat', AT_FDCWD, `/proc/${pid}/ns/net`, 0), null);
  const all = yield* names();
  const found: string[] = [];
  for (const name of all) {
    const stat = yield* attempt(sys('newfstatat', AT_FDCWD, `${DIR}/${name}`, 0), null);
    if (own && stat?.ino === own.ino) found.push(name);
  }
  if (all.length > 0) yield* print(`${found.join('\n')}\n`);
  return 0;
}

function* show(options: IpOptions): Call<number> {
  const ids = new Map([...(yield* knownIds())].map(([id, name]) => [name, id]));
  if (options.json) {
    const rows = (yield* names()).map((one) => ({ name: one, ...(ids.has(one) ? { id: ids.get(one) } : {}) }));
    if (rows.length > 0) yield* print(jsonText(rows, options));
    return 0;
  }
  for (const name of yield* names()) yield* print(`${name}${ids.has(name) ? ` (id: ${ids.get(name)})` : ''}\n`);
  return 0;
}

export function* netns(words: Words, options: IpOptions, env: Readonly<Record<string, string>>): Call<number> {
  const command = peek(words) ?? 'list';
  words.at++;
  switch (command) {
    case 'list': case 'show': case 'lst': case 'l': case 'ls':
      return yield* show(options);
    case 'add': case 'a':
      return yield* add(name(words), null);
    case 'attach': {
      if (peek(words) === undefined) throw new Complaint('No netns name and PID specified', 1);
      const one = name(words);
      return yield* add(one, `/proc/${need(words)}/ns/net`);
    }
    case 'delete': case 'del': case 'd':
      return yield* remove(name(words));
    case 'exec': case 'e':
      return yield* exec(words, env);
    case 'pids':
      return yield* pids(name(words));
    case 'identify': case 'id': {
      const pid = peek(words);
      if (pid !== undefined && !/^\d+$/.test(pid)) throw new Complaint(`Specified string '${pid}' is not a pid`, 1);
      return yield* identify(pid ?? 'self');
    }
    case 'set':
      return yield* setId(name(words), peek(words));
    case 'list-id':
      for (const [id, one] of [...(yield* knownIds())].sort(([a], [b]) => a - b)) yield* print(`nsid ${id} (iproute2 netns name: ${one})\n`);
      return 0;
    case 'help':
      throw new Complaint(usageOf('netns'), 255);
    default:
      throw new Complaint(`Command "${command}" is unknown, try "ip netns help".`, 255);
  }
}

function* setId(one: string, id: string | undefined): Call<number> {
  if (id === undefined) throw new Complaint('No netnsid specified', 1);
  if (id !== 'auto' && !/^\d+$/.test(id)) throw new Complaint(`Invalid "netnsid" value`, 1);
  const path = `${DIR}/${one}`;
  if ((yield* attempt(sys('faccessat', AT_FDCWD, path, 0), -1)) !== 0) throw new Complaint('', 1);
  const known = (yield* sys('netlink', { type: 'nsid.get', netns: { path } })) as number;
  if (known >= 0) throw new Complaint('Error: Peer netns already has a nsid assigned.', 2);
  const free = id === 'auto' ? ((yield* knownIds()).size) : Number(id);
  yield* sys('netlink', { type: 'nsid.set', netns: { path }, id: free });
  return 0;
}

/** -all netns exec: in one after the other, each named first. */
export function* execAll(argv: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  if (argv.length === 0) throw new Complaint('No command specified', 255);
  for (const one of yield* names()) {
    yield* print(`\nnetns: ${one}\n`);
    const child = yield* sys('clone', {
      flags: 0,
      *run() {
        yield* switchTo(one);
        yield* sys('execve', yield* which(argv[0]!, env), argv, env);
        return 1;
      },
    });
    yield* sys('wait4', child, 0);
  }
  return 0;
}

function name(words: Words): string {
  const word = peek(words);
  if (word === undefined) throw new Complaint('No netns name specified', 1);
  words.at++;
  if (word.includes('/') || word === '.' || word === '..' || word === '') throw new Complaint(`Invalid netns name "${word}"`, 255);
  return word;
}
