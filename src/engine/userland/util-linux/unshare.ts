/**
 * unshare and nsenter of util-linux 2.41. Source: unshare(1), nsenter(1): the order of steps, defaults of propagation, the
 * exit statuses of a child (128 + signal is not used: the parent kills itself with the same signal).
 */
import {
  AT_FDCWD, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, exited, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID,
  MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, O_RDONLY, SIG, SysError, termSignal,
} from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { readAccounts, userName } from '../coreutils/accounts.ts';
import { signalOf } from '../coreutils/signals.ts';
import { execvp } from '../coreutils/run.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, drain, fork, poke, reap, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';

/** Option, namespace file and flag, in the order in which they are entered and pinned. */
const KINDS: readonly [option: string, file: string, flag: number][] = [
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
  const maps = mapsOf(o, uid, gid);
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
  const helper = auto ? yield* mapHelper(o) : null;
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
  const rest = (): Call<number> => inside(o, env);
  if (on.has('fork') || on.has('kill-child')) return yield* asParent(rest, killWith);
  return yield* rest();
});

interface Maps {
  users: string[];
  groups: string[];
}

function mapsOf(o: Options, uid: number, gid: number): Maps {
  const maps: Maps = { users: [], groups: [] };
  if (o.on.has('map-root-user')) {
    maps.users.push(`0 ${uid} 1`);
    maps.groups.push(`0 ${gid} 1`);
  }
  if (o.on.has('map-current-user')) {
    maps.users.push(`${uid} ${uid} 1`);
    maps.groups.push(`${gid} ${gid} 1`);
  }
  if (o.on.has('map-user')) maps.users = [`${lastValue(o, 'map-user')} ${uid} 1`];
  if (o.on.has('map-group')) maps.groups = [`${lastValue(o, 'map-group')} ${gid} 1`];
  const ranges = (name: string): string[] => (o.values.get(name) ?? []).filter((v) => v !== 'auto').map((v) => (v.includes(':') ? v.split(':').join(' ') : v.split(',').join(' ')));
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

/** A child outside that has newuidmap and newgidmap write the maps: only they may give ids that are not one's own. */
function* mapHelper(o: Options): Call<(maps: Maps) => Call<void>> {
  const parent = yield* sys('getpid');
  const [go, tell] = yield* sys('pipe2', 0);
  const child = yield* fork(function* (): Body {
    yield* sys('close', tell);
    const lines = text(yield* drain(go)).split('\n');
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

function* writeMaps(o: Options, maps: Maps): Call<void> {
  const policy = lastValue(o, 'setgroups');
  if (policy !== undefined && policy !== 'allow' && policy !== 'deny') throw new Failed(`unsupported --setgroups argument '${policy}'`);
  const write = function* (file: string, text: string): Call<void> {
    try {
      yield* poke(`/proc/self/${file}`, text);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Failed(`write failed /proc/self/${file}: ${strerror(error)}`);
    }
  };
  if (maps.users.length > 0) yield* write('uid_map', maps.users.join('\n'));
  if (policy !== undefined) yield* write('setgroups', policy);
  else if (maps.groups.length > 0 && (o.on.has('map-root-user') || o.on.has('map-current-user') || o.on.has('map-group'))) yield* write('setgroups', 'deny');
  if (maps.groups.length > 0) yield* write('gid_map', maps.groups.join('\n'));
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

function* named(what: string, call: Call<unknown>): Call<void> {
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
function* reported(who: string, run: Call<number>): Body {
  try {
    return yield* run;
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    yield* complain(`${who}: ${error.message}\n`);
    return error.status;
  }
}

function* inside(o: Options, env: Readonly<Record<string, string>>): Call<number> {
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
  const gid = lastValue(o, 'setgid');
  const uid = lastValue(o, 'setuid');
  if (gid !== undefined) {
    yield* attempt(sys('setgroups', []), 0);
    yield* named('setgid failed', sys('setresgid', Number(gid), Number(gid), Number(gid)));
  }
  if (uid !== undefined) yield* named('setuid failed', sys('setresuid', Number(uid), Number(uid), Number(uid)));
  return yield* execOrShell('unshare', o.words, env);
}

/** Becomes the command, or the user's shell when none is given. */
function* execOrShell(who: string, words: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
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

const NSENTER =
  'a/all t/target= N/net-socket= m/mount? u/uts? i/ipc? n/net? p/pid? C/cgroup? U/user? T/time? S/setuid= G/setgid= preserve-credentials keep-caps r/root? w/wd? W/wdns? F/no-fork e/env c/join-cgroup Z';

export const nsenter = command(function* (argv, env) {
  // The short options take a file directly after the letter: -n/run/netns/x, or "-n=…".
  const args = argv.slice(1).flatMap((a) => {
    const m = /^-([muinpCUTrwW])(=?\/.*)$/.exec(a);
    return m ? [`--${{ m: 'mount', u: 'uts', i: 'ipc', n: 'net', p: 'pid', C: 'cgroup', U: 'user', T: 'time', r: 'root', w: 'wd', W: 'wdns' }[m[1] as 'm']}=${m[2]!.replace(/^=/, '')}`] : [a];
  });
  const o = parseOptions(NSENTER, args, 'in-order');
  const on = (name: string): boolean => o.on.has(name);
  const target = lastValue(o, 'target');
  if (target !== undefined && !/^\d+$/.test(target)) throw new Failed(`failed to parse pid: '${target}'`);
  const chosen: { fd: number; file: string; flag: number; path: string }[] = [];
  for (const [option, file, flag] of KINDS) {
    const path = lastValue(o, option) ?? (target === undefined ? undefined : `/proc/${target}/ns/${file}`);
    if (!o.on.has(option) && !o.on.has('all')) continue;
    if (path === undefined) throw new Failed(on('all') ? 'no target PID specified for --all' : `neither filename nor target pid supplied for ns/${file}`);
    if (o.on.has('all') && !o.on.has(option) && (yield* isOwn(path, file))) continue;
    chosen.push({ fd: yield* opened(path), file, flag, path });
  }
  const follow = target === undefined ? undefined : `/proc/${target}/`;
  const rootPath = o.on.has('root') ? (lastValue(o, 'root') ?? `${follow}root`) : null;
  const wdPath = o.on.has('wd') ? (lastValue(o, 'wd') ?? `${follow}cwd`) : null;
  const rootFd = rootPath === null ? null : yield* opened(rootPath);
  const wdFd = wdPath === null ? null : yield* opened(wdPath);
  const environment = o.on.has('env') ? (target === undefined ? null : yield* environmentOf(target)) : env;
  if (environment === null) throw new Failed('--env can only be used with --target');
  if (on('join-cgroup')) yield* joinCgroup(target);
  if (on('net-socket')) throw new Failed('not modelled: --net-socket');
  yield* enter(chosen);
  if (rootFd !== null) {
    yield* named('change directory by root file descriptor failed', sys('fchdir', rootFd));
    yield* named('chroot failed', sys('chroot', '.'));
  }
  if (wdFd !== null) yield* named('change directory by working directory file descriptor failed', sys('fchdir', wdFd));
  const ids = { uid: lastValue(o, 'setuid'), gid: lastValue(o, 'setgid'), user: chosen.some((c) => c.file === 'user') && !o.on.has('preserve-credentials') };
  const rest = function* (): Call<number> {
    yield* become(ids);
    return yield* execOrShell('nsenter', o.words, environment);
  };
  const forks = chosen.some((c) => c.file === 'pid') && !o.on.has('no-fork');
  return forks ? yield* waitFor(rest) : yield* rest();
});

/** -c: into the target's control group. */
function* joinCgroup(target: string | undefined): Call<void> {
  if (target === undefined) throw new Failed('--join-cgroup can only be used with --target');
  const path = ((yield* tryRead(`/proc/${target}/cgroup`)) ?? '').split('\n').find((line) => line.startsWith('0::'))?.slice(3);
  if (path === undefined) throw new Failed(`failed to get cgroup path`);
  const file = `/sys/fs/cgroup${path}/cgroup.procs`;
  yield* named(`write failed ${file}`, poke(file, String(yield* sys('getpid'))));
}

function* opened(path: string): Call<number> {
  try {
    return yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`cannot open ${path}: ${strerror(error)}`);
  }
}

/** -a leaves out the namespaces it is in already. */
function* isOwn(path: string, file: string): Call<boolean> {
  const theirs = yield* attempt(sys('newfstatat', AT_FDCWD, path, 0), null);
  const own = yield* attempt(sys('newfstatat', AT_FDCWD, `/proc/self/ns/${file}`, 0), null);
  return theirs !== null && own !== null && theirs.ino === own.ino;
}

/** The user namespace first where that gives the right to the others, else last. */
function* enter(chosen: readonly { fd: number; file: string; flag: number }[]): Call<void> {
  let left = [...chosen];
  for (const pass of ['first', 'last'] as const) {
    const later: typeof left = [];
    for (const one of left) {
      try {
        yield* sys('setns', one.fd, one.flag);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        if (pass === 'last' || one.file !== 'user') throw new Failed(`reassociate to namespace '${one.file === 'mnt' ? 'ns/mnt' : `ns/${one.file}`}' failed: ${strerror(error)}`);
        later.push(one);
      }
    }
    left = later;
  }
}

function* become(ids: { uid: string | undefined; gid: string | undefined; user: boolean }): Call<void> {
  const gid = ids.gid ?? (ids.user ? '0' : undefined);
  const uid = ids.uid ?? (ids.user ? '0' : undefined);
  if (gid !== undefined) {
    yield* attempt(sys('setgroups', []), 0);
    yield* named('setgid() failed', sys('setresgid', Number(gid), Number(gid), Number(gid)));
  }
  if (uid !== undefined) yield* named('setuid() failed', sys('setresuid', Number(uid), Number(uid), Number(uid)));
}

function* environmentOf(pid: string): Call<Record<string, string>> {
  const source = (yield* tryRead(`/proc/${pid}/environ`)) ?? '';
  return Object.fromEntries(source.split('\0').filter((e) => e.includes('=')).map((e) => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)]));
}

function* waitFor(run: () => Call<number>): Call<number> {
  const child = yield* fork(function* (): Body {
    return yield* reported('nsenter', run());
  });
  for (;;) {
    const { status } = yield* sys('wait4', child, 2);
    if ((status & 0xff) === 0x7f) {
      // The child stopped: stop as well, and let it go on when continued.
      yield* sys('kill', yield* sys('getpid'), SIG.STOP);
      yield* sys('kill', child, SIG.CONT);
      continue;
    }
    const signal = termSignal(status);
    if (signal === null) return exited(status) ?? 1;
    yield* sys('kill', yield* sys('getpid'), signal);
    return 128 + signal;
  }
}
