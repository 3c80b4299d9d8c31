/**
 * nsenter of util-linux 2.41. Source: nsenter(1): namespaces of a target are entered together, those given by files one by
 * one; a command of the target's pid namespace is a child.
 */
import { AT_FDCWD, exited, O_RDONLY, SIG, SysError, termSignal } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import { attempt, fork, poke, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, strerror } from '../lib/io.ts';
import { execOrShell, KINDS, named, reported } from './unshare.ts';

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
  const chosen: Chosen[] = [];
  for (const [option, file, flag] of KINDS) {
    const path = lastValue(o, option) ?? (target === undefined ? undefined : `/proc/${target}/ns/${file}`);
    if (!o.on.has(option) && !o.on.has('all')) continue;
    if (path === undefined && on('all')) throw new Failed(`stat of /proc/0/ns/${file} failed: No such file or directory`);
    if (path === undefined) throw new Failed('no target PID specified');
    if (o.on.has('all') && !o.on.has(option) && (yield* isOwn(path, file))) continue;
    const byTarget = !o.values.has(option);
    chosen.push({ fd: yield* opened(path, byTarget), file, flag, path, byTarget });
  }
  if (!['all', 'root', 'wd', 'wdns', 'net-socket', 'join-cgroup', ...KINDS.map(([option]) => option)].some(on)) throw new Failed('no namespace specified');
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
  const inner = lastValue(o, 'wdns');
  if (inner !== undefined) yield* named(`cannot open current working directory: chdir`, sys('chdir', inner));
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

interface Chosen {
  fd: number;
  file: string;
  flag: number;
  path: string;
  /** Of the process of -t, whose namespaces are entered together. */
  byTarget: boolean;
}

/** Of a target's namespace: the kernel finds it by the process, so that one that may not be looked at is refused as by setns(2). */
function* opened(path: string, ofTarget = false): Call<number> {
  try {
    return yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(ofTarget && error.errno === 'EACCES' ? 'reassociate to namespaces failed: Operation not permitted' : `cannot open ${path}: ${strerror(error)}`);
  }
}

/** -a leaves out the namespaces it is in already. */
function* isOwn(path: string, file: string): Call<boolean> {
  const theirs = yield* attempt(sys('newfstatat', AT_FDCWD, path, 0), null);
  const own = yield* attempt(sys('newfstatat', AT_FDCWD, `/proc/self/ns/${file}`, 0), null);
  return theirs !== null && own !== null && theirs.ino === own.ino;
}

/** The user namespace first where that gives the right to the others, else last. */
function* enter(chosen: readonly Chosen[]): Call<void> {
  let left = [...chosen];
  for (const pass of ['first', 'last'] as const) {
    const later: typeof left = [];
    for (const one of left) {
      try {
        yield* sys('setns', one.fd, one.flag);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        if (pass === 'last' || one.file !== 'user') throw new Failed(`reassociate to ${one.byTarget ? 'namespaces' : `namespace 'ns/${one.file}'`} failed: ${strerror(error)}`);
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
  let child = 0;
  yield* named('fork failed', (function* (): Call<void> {
    child = yield* fork(function* (): Body {
      return yield* reported('nsenter', run());
    });
  })());
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
