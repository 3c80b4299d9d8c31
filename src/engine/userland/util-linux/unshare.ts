/**
 * unshare of util-linux 2.41. Source: unshare(1): the order of steps, defaults of propagation, the
 * exit statuses of a child (128 + signal is not used: the parent kills itself with the same signal).
 */
import {
  CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, exited, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID,
  MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, SIG, SysError, termSignal,
} from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { type Accounts, findGroup, findUser, readAccounts, userName } from '../coreutils/accounts.ts';
import { signalOf } from '../coreutils/signals.ts';
import { execvp } from '../coreutils/run.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, drain, fork, poke, reap, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';

/** Option, namespace file and flag, in the order in which they are entered and pinned. */
export const KINDS: readonly [option: string, file: string, flag: number][] = [
  ['user', 'user', CLONE_NEWUSER], ['cgroup', 'cgroup', CLONE_NEWCGROUP], ['ipc', 'ipc', CLONE_NEWIPC], ['uts', 'uts', CLONE_NEWUTS], ['net', 'net', CLONE_NEWNET],
  ['pid', 'pid', CLONE_NEWPID], ['mount', 'mnt', CLONE_NEWNS], ['time', 'time', CLONE_NEWTIME],
];

const PROPAGATION: Readonly<Record<string, number>> = { slave: MS_SLAVE | MS_REC, private: MS_PRIVATE | MS_REC, shared: MS_SHARED | MS_REC, unchanged: 0 };

const UNSHARE =
  'm/mount? u/uts? i/ipc? n/net? p/pid? U/user? C/cgroup? T/time? f/fork r/map-root-user c/map-current-user R/root= w/wd= S/setuid= G/setgid= ' +
  'mount-proc? mount-binfmt? map-auto map-user= map-group= map-users= map-groups= kill-child? propagation= setgroups= keep-caps monotonic= boottime= forward-signals';

export const unshare = command(function* (argv, env) {
  const o = parseOptions(UNSHARE, argv.slice(1), 'in-order');
  const { on } = o;
  const uid = yield* sys('geteuid');
  const gid = yield* sys('getegid');
  const accounts = yield* readAccounts();
  const maps = mapsOf(o, uid, gid, accounts);
  const ids = {
    uid: o.values.has('setuid') ? idOf('uid', lastValue(o, 'setuid')!, accounts) : undefined, gid: o.values.has('setgid') ? idOf('gid', lastValue(o, 'setgid')!, accounts) : undefined,
  };
  const policy = lastValue(o, 'setgroups');
  if (policy !== undefined && policy !== 'allow' && policy !== 'deny') throw new Failed(`unsupported --setgroups argument '${policy}'`);
  if (policy === 'allow' && singleGroup(o)) throw new Failed('options --setgroups=allow and --map-group are mutually exclusive');
  const auto = o.on.has('map-auto') || (o.values.get('map-users') ?? []).includes('auto') || (o.values.get('map-groups') ?? []).includes('auto');
  if (auto) yield* addSubordinate(o, maps, uid);
  const offsets = (['boottime', 'monotonic'] as const).flatMap((name): [string, string][] => (on.has(name) ? [[name, lastValue(o, name)!]] : []));
  for (const [name, value] of offsets) if (!/^[+-]?\d+$/.test(value)) throw new Failed(`failed to parse ${name} offset: '${value}'`);
  if (offsets.length > 0 && !on.has('time')) throw new Failed('options --monotonic and --boottime require unsharing of a time namespace (-T)');
  let flags = KINDS.filter(([option]) => on.has(option)).reduce((all, [, , flag]) => all | flag, 0);
  if (maps.users.length > 0 || maps.groups.length > 0) flags |= CLONE_NEWUSER;
  if (on.has('mount-proc')) flags |= CLONE_NEWNS;
  const propagation = PROPAGATION[lastValue(o, 'propagation') ?? 'private'];
  if (propagation === undefined) throw new Failed(`unsupported propagation mode: ${lastValue(o, 'propagation')}`);
  const killWith = on.has('kill-child') ? signalOf(lastValue(o, 'kill-child') ?? 'KILL') : null;
  if (on.has('kill-child') && killWith === null) throw new Failed(`unknown signal: ${lastValue(o, 'kill-child')}`);
  const pins = KINDS.flatMap(([option, file]) => (o.values.has(option) ? [{ file: file === 'pid' || file === 'time' ? `${file}_for_children` : file, path: lastValue(o, option)! }] : []));
  const ranges = auto || o.on.has('map-users') || o.on.has('map-groups');
  const helper = ranges ? yield* mapHelper(o, uid === 0) : null;
  const outside = flags & CLONE_NEWNS && pins.length > 0 ? yield* binder(pins) : null;
  try {
    yield* sys('unshare', flags);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`unshare failed: ${strerror(error)}`);
  }
  if (flags & CLONE_NEWUSER) yield* helper ? helper(maps) : writeMaps(o, maps);
  if (outside) {
    if (!(yield* outside())) return 1;
  } else for (const pin of pins) yield* bindNamespace(yield* sys('getpid'), pin);
  for (const [name, value] of offsets) yield* named('failed to write to /proc/self/timens_offsets', poke('/proc/self/timens_offsets', `${name === 'monotonic' ? 1 : 7} ${Number(value)} 0`));
  if (flags & CLONE_NEWNS && propagation !== 0) {
    yield* named('cannot change root filesystem propagation', sys('mount', 'none', '/', '', propagation, ''));
  }
  const rest = (): Call<number> => inside(o, env, ids, (flags & CLONE_NEWUSER) !== 0 && on.has('keep-caps'));
  if (on.has('fork') || on.has('kill-child')) return yield* asParent(rest, killWith);
  return yield* rest();
});

interface Maps {
  users: string[];
  groups: string[];
}

/** A user's or group's number, by name or number. */
function idOf(kind: 'uid' | 'gid', given: string, accounts: Accounts): number {
  const id = /^\d+$/.test(given) ? Number(given) : kind === 'uid' ? findUser(accounts, given)?.uid : findGroup(accounts, given);
  if (id === undefined || id === null) throw new Failed(`failed to parse ${kind}: '${given}'`);
  return id;
}

const singleGroup = (o: Options): boolean => o.on.has('map-root-user') || o.on.has('map-current-user') || o.on.has('map-group');

/** OUTER,INNER,COUNT or INNER:OUTER:COUNT as a line of a map. */
function rangeOf(given: string): string {
  const [, outer, inner, count] = /^(\d+),(\d+),(\d+)$/.exec(given) ?? [];
  if (outer !== undefined) return `${inner} ${outer} ${count}`;
  const colons = /^(\d+):(\d+):(\d+)$/.exec(given);
  if (!colons) throw new Failed(`invalid mapping '${given}'`);
  return colons.slice(1).join(' ');
}

function mapsOf(o: Options, uid: number, gid: number, accounts: Accounts): Maps {
  const maps: Maps = { users: [], groups: [] };
  if (o.on.has('map-root-user')) {
    maps.users.push(`0 ${uid} 1`);
    maps.groups.push(`0 ${gid} 1`);
  }
  if (o.on.has('map-current-user')) {
    maps.users.push(`${uid} ${uid} 1`);
    maps.groups.push(`${gid} ${gid} 1`);
  }
  if (o.on.has('map-user')) maps.users = [`${idOf('uid', lastValue(o, 'map-user')!, accounts)} ${uid} 1`];
  if (o.on.has('map-group')) maps.groups = [`${idOf('gid', lastValue(o, 'map-group')!, accounts)} ${gid} 1`];
  const ranges = (name: string): string[] => (o.values.get(name) ?? []).filter((v) => v !== 'auto').map(rangeOf);
  maps.users.push(...ranges('map-users'));
  maps.groups.push(...ranges('map-groups'));
  return maps;
}

/** The first block of ids that /etc/subuid or /etc/subgid gives a user. */
function* subordinate(file: string, uid: number): Call<{ start: number; count: number }> {
  const name = userName(yield* readAccounts(), uid);
  const source = yield* tryRead(file);
  if (source === null) throw new Failed(`could not open '${file}': No such file or directory`);
  const row = source.split('\n').map((line) => line.split(':')).find(([who]) => who === name || who === String(uid));
  if (!row) throw new Failed(`no line matching user "${name}" in ${file}`);
  return { start: Number(row[1]), count: Number(row[2]) };
}

/** Ids from 0 on are the subordinate ones, but where a single one is mapped already. */
function* addSubordinate(o: Options, maps: Maps, uid: number): Call<void> {
  const wants = (which: string): boolean => o.on.has('map-auto') || (o.values.get(which) ?? []).includes('auto');
  for (const [which, file, lines] of [['map-users', '/etc/subuid', maps.users], ['map-groups', '/etc/subgid', maps.groups]] as const) {
    if (!wants(which)) continue;
    const { start, count } = yield* subordinate(file, uid);
    const single = lines.map((line) => Number(line.split(' ')[0])).find((inner) => inner < count);
    if (single === undefined) lines.push(`0 ${start} ${count}`);
    else {
      if (single > 0) lines.push(`0 ${start} ${single}`);
      if (count - single > 1) lines.push(`${single + 1} ${start + single} ${count - single - 1}`);
    }
  }
}

/** A child outside that writes the maps: itself as root, else by newuidmap and newgidmap, as only they may give ids that are not one's own. */
function* mapHelper(o: Options, privileged: boolean): Call<(maps: Maps) => Call<void>> {
  const parent = yield* sys('getpid');
  const [go, tell] = yield* sys('pipe2', 0);
  const child = yield* fork(function* (): Body {
    yield* sys('close', tell);
    const lines = text(yield* drain(go)).split('\n');
    if (privileged) return yield* reported('unshare', writeFrom(parent, lines));
    for (const [program, map] of [['newuidmap', lines[0] ?? ''], ['newgidmap', lines[1] ?? '']] as const) {
      if (map === '') continue;
      const pid = yield* fork(function* (): Body {
        try {
          return yield* execvp([program, String(parent), ...map.split(' ')], { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' });
        } catch (error) {
          if (!(error instanceof SysError)) throw error;
          yield* complain(`unshare: failed to execute ${program}: ${strerror(error)}\n`);
          return 127;
        }
      });
      if (exited(yield* reap(pid)) !== 0) return 1;
    }
    return 0;
  });
  yield* sys('close', go);
  return function* (maps) {
    const policy = lastValue(o, 'setgroups');
    if (policy !== undefined) yield* attempt(poke('/proc/self/setgroups', policy), undefined);
    yield* sys('write', tell, bytes(`${maps.users.join(' ')}\n${maps.groups.join(' ')}\n`));
    yield* sys('close', tell);
    if (exited(yield* reap(child)) !== 0) throw new Failed('failed to set uid/gid map');
  };
}

function* writeFrom(pid: number, [users = '', groups = '']: readonly string[]): Call<number> {
  const rows = (words: string): string => words.split(' ').map((word, i) => word + (i % 3 === 2 ? '\n' : ' ')).join('');
  if (users !== '') yield* named(`write failed /proc/${pid}/uid_map`, poke(`/proc/${pid}/uid_map`, rows(users)));
  if (groups !== '') yield* named(`write failed /proc/${pid}/gid_map`, poke(`/proc/${pid}/gid_map`, rows(groups)));
  return 0;
}

function* writeMaps(o: Options, maps: Maps): Call<void> {
  const policy = lastValue(o, 'setgroups');
  const write = function* (file: string, text: string): Call<void> {
    try {
      yield* poke(`/proc/self/${file}`, text);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Failed(`write failed /proc/self/${file}: ${strerror(error)}`);
    }
  };
  if (maps.users.length > 0) yield* write('uid_map', maps.users.join('\n'));
  if (singleGroup(o)) yield* write('setgroups', 'deny');
  if (maps.groups.length > 0) yield* write('gid_map', maps.groups.join('\n'));
  if (policy !== undefined) yield* write('setgroups', policy);
}

interface Pin {
  file: string;
  path: string;
}

function* bindNamespace(pid: number, pin: Pin): Call<void> {
  const source = `/proc/${pid}/ns/${pin.file}`;
  yield* named(`mount ${source} on ${pin.path} failed`, sys('mount', source, pin.path, '', MS_BIND, ''));
}

/** A child that stays in the old mount namespace and pins the new ones when told to; it complains itself. */
function* binder(pins: readonly Pin[]): Call<() => Call<boolean>> {
  const parent = yield* sys('getpid');
  const [go, tell] = yield* sys('pipe2', 0);
  const child = yield* fork(function* (): Body {
    yield* sys('close', tell);
    yield* sys('read', go, 1);
    try {
      for (const pin of pins) yield* bindNamespace(parent, pin);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      yield* complain(`unshare: ${error.message}\n`);
      return 1;
    }
    return 0;
  });
  yield* sys('close', go);
  return function* () {
    yield* sys('close', tell);
    return exited(yield* reap(child)) === 0;
  };
}

export function* named(what: string, call: Call<unknown>): Call<void> {
  try {
    yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${what}: ${strerror(error)}`);
  }
}

/** Forks; the parent waits, unmoved by interrupts, and ends as the child did. */
function* asParent(run: () => Call<number>, killWith: number | null): Call<number> {
  const parent = yield* sys('getpid');
  const child = yield* attempt(fork(function* (): Body {
    if (killWith !== null) {
      yield* sys('prctl', 'PR_SET_PDEATHSIG', killWith);
      if ((yield* sys('getppid')) !== parent && (yield* sys('getppid')) !== 0) yield* sys('kill', yield* sys('getpid'), SIG.KILL);
    }
    return yield* reported('unshare', run());
  }), null, 'ENOMEM', 'EAGAIN', 'EINVAL');
  if (child === null) throw new Failed('fork failed: Cannot allocate memory');
  yield* sys('rt_sigaction', SIG.INT, { handler: 'ignore' });
  yield* sys('rt_sigaction', SIG.TERM, { handler: 'ignore' });
  const status = yield* reap(child);
  const signal = termSignal(status);
  if (signal === null) return exited(status) ?? 1;
  yield* attempt(sys('rt_sigaction', signal, { handler: 'default' }), null);
  yield* sys('kill', parent, signal);
  return 128 + signal;
}

/** A child's own complaint, as `command` prints the parent's. */
export function* reported(who: string, run: Call<number>): Body {
  try {
    return yield* run;
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    yield* complain(`${who}: ${error.message}\n`);
    return error.status;
  }
}

interface Ids {
  uid: number | undefined;
  gid: number | undefined;
}

/** --keep-caps: what is permitted becomes ambient, so that execve leaves it. */
function* keepCapabilities(): Call<void> {
  const { permitted } = yield* sys('capget', 0);
  yield* named('capset failed', sys('capset', { inheritable: permitted }));
  for (const cap of permitted) yield* sys('prctl', 'PR_CAP_AMBIENT', cap);
}

function* inside(o: Options, env: Readonly<Record<string, string>>, { uid, gid }: Ids, keep: boolean): Call<number> {
  const root = lastValue(o, 'root');
  const wd = lastValue(o, 'wd');
  if (root !== undefined) {
    yield* named(`cannot change root directory to '${root}'`, sys('chroot', root));
    yield* named("cannot chdir to '/'", sys('chdir', '/'));
  }
  if (wd !== undefined) yield* named(`cannot chdir to '${wd}'`, sys('chdir', wd));
  if (o.on.has('mount-proc')) {
    const where = lastValue(o, 'mount-proc') ?? '/proc';
    // The old /proc may be shared with the parent's namespace.
    yield* attempt(sys('mount', 'none', where, '', MS_PRIVATE | MS_REC, ''), 0);
    yield* named(`mount ${where} failed`, sys('mount', 'proc', where, 'proc', MS_NOSUID | MS_NOEXEC | MS_NODEV, ''));
  }
  if (gid !== undefined) {
    yield* named('setgroups failed', sys('setgroups', []));
    yield* named('setgid() failed', sys('setresgid', gid, gid, gid));
  }
  if (uid !== undefined) yield* named('setuid() failed', sys('setresuid', uid, uid, uid));
  if (keep) yield* keepCapabilities();
  return yield* execOrShell('unshare', o.words, env);
}

/** Becomes the command, or the user's shell when none is given. */
export function* execOrShell(who: string, words: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  const shell = env.SHELL ?? '/bin/sh';
  const line = words.length > 0 ? words : [`-${shell.slice(shell.lastIndexOf('/') + 1)}`];
  try {
    if (words.length === 0) return yield* sys('execve', shell, line, env);
    return yield* execvp(line, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`${who}: failed to execute ${words[0] ?? shell}: ${strerror(error)}\n`);
    return error.errno === 'ENOENT' ? 127 : 126;
  }
}
