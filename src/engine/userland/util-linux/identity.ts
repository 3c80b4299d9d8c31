/** Who a program is allowed to be: setpriv, capsh, getcap, setcap, prlimit, pivot_root, flock. */
import { AT_FDCWD, CAPABILITIES, type Errno, O_CREAT, O_RDONLY, SysError, shellStatus } from '../../kernel/abi.ts';
import { type Body, type CapSets, sys } from '../../kernel/sys.ts';
import { findGroup, findUser, groupName, readAccounts, userName } from '../coreutils/accounts.ts';
import { execOr } from '../coreutils/control.ts';
import { ownIds } from '../coreutils/system.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, fork, reap, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { type ColumnSpec, render, rowOf } from './columns.ts';

/** "-sys_admin,+chown,-all" applied to a set. */
function changedSet(set: readonly string[], spec: string): string[] {
  let out = new Set(set);
  for (const part of spec.split(',')) {
    const name = part.slice(1).replace(/^cap_/i, '').toLowerCase();
    if (!/^[-+]/.test(part)) throw new Failed('bad capability string');
    if (name === 'all') out = new Set(part[0] === '+' ? CAPABILITIES : []);
    else if (!CAPABILITIES.includes(name)) throw new Failed(`unknown capability "${name}"`);
    else if (part[0] === '+') out.add(name);
    else out.delete(name);
  }
  return CAPABILITIES.filter((c) => out.has(c));
}

const SETPRIV =
  'd/dump reuid= euid= ruid= regid= egid= rgid= clear-groups keep-groups init-groups groups= inh-caps= ambient-caps= bounding-set= no-new-privs nnp pdeathsig= securebits= list-caps reset-env ptracer= selinux-label= apparmor-profile=';

export const setpriv = command(function* (argv, env) {
  const o = parseOptions(SETPRIV, argv.slice(1), 'in-order');
  if (o.on.has('list-caps')) {
    yield* print(CAPABILITIES.map((c) => `${c}\n`).join(''));
    return 0;
  }
  if (o.on.has('dump')) return yield* dump();
  if (o.words.length === 0) throw new Failed('No program specified');
  const groupsGiven = o.on.has('clear-groups') || o.on.has('keep-groups') || o.on.has('init-groups') || o.on.has('groups');
  if (['regid', 'egid', 'rgid'].some((n) => o.on.has(n)) && !groupsGiven) throw new Failed('--[re]gid requires --keep-groups, --clear-groups, --init-groups, or --groups');
  const ids = yield* idsOf(o);
  const caps = yield* sys('capget', 0);
  if (o.on.has('no-new-privs') || o.on.has('nnp')) yield* sys('prctl', 'PR_SET_NO_NEW_PRIVS', 1);
  if (o.on.has('bounding-set')) yield* said('apply bounding set', sys('capset', { bounding: changedSet(caps.bounding, lastValue(o, 'bounding-set')!) }));
  if (o.on.has('groups')) yield* said('setgroups failed', sys('setgroups', lastValue(o, 'groups')!.split(',').map(Number)));
  else if (o.on.has('clear-groups')) yield* said('setgroups failed', sys('setgroups', []));
  else if (o.on.has('init-groups')) yield* said('setgroups failed', sys('setgroups', ids.initial));
  if (ids.gid.some((g) => g >= 0)) yield* said('setresgid failed', sys('setresgid', ids.gid[0]!, ids.gid[1]!, ids.gid[1]!));
  if (o.on.has('inh-caps')) yield* said('cap_set_proc failed', sys('capset', { inheritable: changedSet(caps.inheritable, lastValue(o, 'inh-caps')!) }));
  if (o.on.has('ambient-caps')) yield* sys('prctl', 'PR_SET_KEEPCAPS', 1);
  if (ids.uid.some((u) => u >= 0)) yield* said('setresuid failed', sys('setresuid', ids.uid[0]!, ids.uid[1]!, ids.uid[1]!));
  if (o.on.has('ambient-caps')) yield* said('cap_set_proc failed', sys('capset', { ambient: changedSet(caps.ambient, lastValue(o, 'ambient-caps')!) }));
  if (o.on.has('pdeathsig')) yield* attempt(sys('prctl', 'PR_SET_PDEATHSIG', Number(lastValue(o, 'pdeathsig')) || 0), 0);
  return yield* execOr('setpriv', o.words, env);
}, 127);

function* said(what: string, call: Call<unknown>): Call<void> {
  try {
    yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${what}: ${strerror(error)}`, 127);
  }
}

/** [real, effective] ids; -1 leaves one as it is. */
function* idsOf(o: Options): Call<{ uid: number[]; gid: number[]; initial: number[] }> {
  const accounts = yield* readAccounts();
  const user = (name: string): number => {
    const given = lastValue(o, name);
    if (given === undefined) return -1;
    const found = findUser(accounts, given);
    if (!found) throw new Failed(`failed to parse ${name}: '${given}'`);
    return found.uid;
  };
  const group = (name: string): number => {
    const given = lastValue(o, name);
    if (given === undefined) return -1;
    const found = findGroup(accounts, given);
    if (found === null) throw new Failed(`failed to parse ${name}: '${given}'`);
    return found;
  };
  const both = (a: number, b: number): number => (a >= 0 ? a : b);
  const uid = [both(user('reuid'), user('ruid')), both(user('reuid'), user('euid'))];
  const name = userName(accounts, uid[1]!);
  return {
    uid, gid: [both(group('regid'), group('rgid')), both(group('regid'), group('egid'))],
    initial: accounts.groups.filter((g) => g.members.includes(name) || g.gid === accounts.users.find((u) => u.name === name)?.gid).map((g) => g.gid),
  };
}

/** As `said`, without the program's name before it. */
function* plainly(what: string, call: Call<unknown>): Call<boolean> {
  try {
    yield* call;
    return true;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`${what}: ${strerror(error)}\n`);
    return false;
  }
}

function* dump(): Call<number> {
  const ids = yield* ownIds();
  const caps = yield* sys('capget', 0);
  const list = (set: readonly string[]): string => (set.length === 0 ? '[none]' : set.join(','));
  const status = (yield* tryRead('/proc/self/status')) ?? '';
  yield* print(
    `uid: ${ids.uid}\neuid: ${ids.euid}\ngid: ${ids.gid}\negid: ${ids.egid}\nSupplementary groups: ${(yield* sys('getgroups')).join(',') || '[none]'}\nno_new_privs: ${/^NoNewPrivs:\s*(\d)/m.exec(status)?.[1] ?? '0'}\n` +
      `Inheritable capabilities: ${list(caps.inheritable)}\nAmbient capabilities: ${list(caps.ambient)}\nCapability bounding set: ${list(caps.bounding)}\nSecurebits: [none]\nParent death signal: [none]\n`,
  );
  return 0;
}

/** "cap_chown,cap_kill"; "all". Throws Failed for a name that is none. */
export function namesOf(list: string): string[] {
  return list.split(',').flatMap((word) => {
    const name = word.trim().toLowerCase().replace(/^cap_/, '');
    if (name === 'all') return [...CAPABILITIES];
    if (!CAPABILITIES.includes(name)) throw new Failed(`cap[${word}] not recognized by library`);
    return [name];
  });
}

/** cap_from_text(3): clauses "cap_a,cap_b=ep", "+i", "-e"; "=" alone is all. */
export function capsOf(source: string): Partial<CapSets> {
  const sets = { e: new Set<string>(), p: new Set<string>(), i: new Set<string>() };
  for (const clause of source.trim().split(/\s+/).filter((one) => one !== '')) {
    const m = /^([A-Za-z_,]*)((?:[=+-][eip]*)+)$/.exec(clause);
    if (!m) throw new Failed(`unable to interpret [${source}]`);
    const names = m[1] === '' ? CAPABILITIES : namesOf(m[1]!);
    for (const [, operator, flags] of m[2]!.matchAll(/([=+-])([eip]*)/g)) {
      for (const flag of ['e', 'p', 'i'] as const) {
        for (const name of names) {
          if (operator === '=') sets[flag].delete(name);
          if (flags!.includes(flag)) operator === '-' ? sets[flag].delete(name) : sets[flag].add(name);
        }
      }
    }
  }
  return { effective: [...sets.e], permitted: [...sets.p], inheritable: [...sets.i] };
}

export const capsh = command(function* (argv, env) {
  const args = argv.slice(1);
  let shell = '/bin/bash';
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const value = arg.slice(arg.indexOf('=') + 1);
    if (arg === '--print') yield* printCaps();
    else if (arg.startsWith('--drop=') && unknownCap(value) !== null) {
      yield* complain(`capability [${unknownCap(value)}] is unknown to libcap\n`);
      return 1;
    } else if (arg.startsWith('--drop=')) yield* said('failed to drop', sys('capset', { bounding: without((yield* sys('capget', 0)).bounding, value) }));
    else if (arg.startsWith('--decode=')) yield* print(`0x${(/^(?:0x)?([0-9a-f]*)/i.exec(value)![1] ?? '').padStart(16, '0')}=${decode(value).join(',')}\n`);
    else if (arg.startsWith('--has-p=')) {
      if (!(yield* sys('capget', 0)).permitted.includes(value.replace(/^cap_/, ''))) throw new Failed(`cap[${value}] not permitted`);
    } else if (arg.startsWith('--uid=')) {
      const uid = Number(value);
      if (!(yield* plainly(`Failed to set uid=${value}`, sys('setresuid', uid, uid, uid)))) return 1;
    } else if (arg.startsWith('--user=')) {
      const accounts = yield* readAccounts();
      const user = findUser(accounts, value);
      if (!user) throw new Failed(`failed to find user '${value}'`);
      yield* said('Failed to set groups', sys('setgroups', [...new Set([user.gid, ...accounts.groups.filter((g) => g.members.includes(user.name)).map((g) => g.gid)])]));
      yield* said('Failed to set gid', sys('setresgid', user.gid, user.gid, user.gid));
      yield* said('Failed to set uid', sys('setresuid', user.uid, user.uid, user.uid));
    } else if (arg.startsWith('--caps=')) {
      const sets = capsOf(value);
      yield* said(`Unable to set capabilities [${arg}]`, sys('capset', sets));
    } else if (arg.startsWith('--inh=')) yield* said(`Unable to set inheritable capabilities`, sys('capset', { inheritable: value === '' ? [] : namesOf(value) }));
    else if (arg.startsWith('--addamb=')) for (const one of namesOf(value)) yield* said('failed to raise ambient', sys('prctl', 'PR_CAP_AMBIENT', one));
    else if (arg === '--noamb') yield* said('failed to reset ambient set', sys('prctl', 'PR_CAP_AMBIENT', 'clear'));
    else if (arg === '--no-new-privs') yield* sys('prctl', 'PR_SET_NO_NEW_PRIVS', 1);
    else if (arg.startsWith('--has-b=')) {
      if (!(yield* sys('capget', 0)).bounding.includes(namesOf(value)[0]!)) throw new Failed(`cap[${value}] not raised in bounding set`);
    } else if (arg.startsWith('--has-a=')) {
      if (!(yield* sys('capget', 0)).ambient.includes(namesOf(value)[0]!)) throw new Failed(`cap[${value}] not raised in ambient set`);
    } else if (arg.startsWith('--supports=')) namesOf(value);
    else if (arg.startsWith('--shell=')) shell = value;
    else if (arg.startsWith('--gid=')) {
      if (!(yield* plainly(`Failed to set gid=${value}`, sys('setresgid', Number(value), Number(value), Number(value))))) return 1;
    }
    else if (arg.startsWith('--chroot=')) yield* said(`Unable to chroot to [${value}]`, sys('chroot', value));
    else if (arg === '--noenv' || arg === '--quiet' || arg === '--current') continue;
    else if (arg === '--' || arg === '==') return yield* execOr('capsh', [shell, ...args.slice(i + 1)], env);
    else throw new Failed(`usage: capsh [args ...]: ${arg} is not modelled`);
  }
  return 0;
});

const without = (set: readonly string[], spec: string): string[] => {
  const gone = new Set(spec === 'all' ? CAPABILITIES : spec.split(',').map((n) => n.replace(/^cap_/, '')));
  return set.filter((c) => !gone.has(c));
};

/** The first word of a list that is no capability's name, or null. */
function unknownCap(names: string): string | null {
  return names.split(',').find((name) => name !== 'all' && !CAPABILITIES.includes(name.toLowerCase().replace(/^cap_/, ''))) ?? null;
}

function decode(hex: string): string[] {
  // as strtoull: what is no digit ends the number
  const mask = BigInt(`0x${/^(0x)?([0-9a-f]*)/i.exec(hex)![2] || '0'}`);
  return CAPABILITIES.filter((_, i) => (mask >> BigInt(i)) & 1n).map((c) => `cap_${c}`);
}

const inOrder = (set: readonly string[]): string => CAPABILITIES.filter((c) => set.includes(c)).map((c) => `cap_${c}`).join(',');

/** The short text of libcap: "=ep", "cap_chown=ep". */
export function capText(caps: CapSets): string {
  const groups = new Map<string, string[]>();
  for (const c of CAPABILITIES) {
    const flags = `${caps.effective.includes(c) ? 'e' : ''}${caps.inheritable.includes(c) ? 'i' : ''}${caps.permitted.includes(c) ? 'p' : ''}`;
    groups.set(flags, [...(groups.get(flags) ?? []), c]);
  }
  const [base] = [...groups.entries()].sort((a, b) => b[1].length - a[1].length)[0]!;
  const parts = [`=${base}`];
  for (const [flags, names] of groups) {
    if (flags === base) continue;
    const list = inOrder(names);
    const gone = [...base].filter((f) => !flags.includes(f)).join('');
    const more = [...flags].filter((f) => !base.includes(f)).join('');
    parts.push(`${list}${more ? `+${more}` : ''}${gone ? `-${gone}` : ''}`);
  }
  if (base === '' && parts.length > 1) return parts.slice(1).join(' ').replaceAll('+', '=');
  return parts.join(' ');
}

function* printCaps(): Call<void> {
  const caps = yield* sys('capget', 0);
  const accounts = yield* readAccounts();
  const ids = yield* ownIds();
  yield* print(
    `Current: ${capText(caps)}\nBounding set =${inOrder(caps.bounding)}\nAmbient set =${inOrder(caps.ambient)}\nCurrent IAB: ${iab(caps)}\nSecurebits: 00/0x0/1'b0 (no-new-privs=0)\n secure-noroot: no (unlocked)\n secure-no-suid-fixup: no (unlocked)\n secure-keep-caps: no (unlocked)\n secure-no-ambient-raise: no (unlocked)\n` +
      `uid=${ids.uid}(${userName(accounts, ids.uid)}) euid=${ids.euid}(${userName(accounts, ids.euid)})\ngid=${ids.gid}(${groupName(accounts, ids.gid)})\ngroups=${(yield* sys('getgroups')).map((g) => `${g}(${groupName(accounts, g)})`).join(',')}\nGuessed mode: HYBRID (4)\n`,
  );
}

const iab = (caps: CapSets): string =>
  CAPABILITIES.filter((c) => !caps.bounding.includes(c) || caps.inheritable.includes(c) || caps.ambient.includes(c)).map((c) => `${caps.bounding.includes(c) ? '' : '!'}${caps.ambient.includes(c) ? '^' : caps.inheritable.includes(c) ? '%' : ''}cap_${c}`).join(',');

export const getpcaps = command(function* (argv) {
  for (const pid of argv.slice(1)) {
    try {
      yield* print(`${pid}: ${capText(yield* sys('capget', Number(pid)))}\n`);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`Failed to get cap's for process ${pid}: (${strerror(error)})\n`);
      return 1;
    }
  }
  return 0;
});

const LIMITS: readonly [resource: string, description: string, units: string, name: string, letter: string][] = [
  ['AS', 'address space limit', 'bytes', 'as', 'v'], ['CORE', 'max core file size', 'bytes', 'core', 'c'], ['CPU', 'CPU time', 'seconds', 'cpu', 't'], ['DATA', 'max data size', 'bytes', 'data', 'd'], ['FSIZE', 'max file size', 'bytes', 'fsize', 'f'],
  ['LOCKS', 'max number of file locks held', 'locks', 'locks', 'x'], ['MEMLOCK', 'max locked-in-memory address space', 'bytes', 'memlock', 'l'], ['MSGQUEUE', 'max bytes in POSIX mqueues', 'bytes', 'msgqueue', 'q'], ['NICE', 'max nice prio allowed to raise', '', 'nice', 'e'],
  ['NOFILE', 'max number of open files', 'files', 'nofile', 'n'], ['NPROC', 'max number of processes', 'processes', 'nproc', 'u'], ['RSS', 'max resident set size', 'bytes', 'rss', 'm'], ['RTPRIO', 'max real-time priority', '', 'rtprio', 'r'],
  ['RTTIME', 'timeout for real-time tasks', 'microsecs', 'rttime', 'y'], ['SIGPENDING', 'max number of pending signals', 'signals', 'sigpending', 'i'], ['STACK', 'max stack size', 'bytes', 'stack', 's'],
];

export const prlimit = command(function* (argv, env) {
  const o = parseOptions(`p/pid= o/output= noheadings raw verbose ${LIMITS.map(([, , , name, letter]) => `${letter}/${name}?`).join(' ')}`, argv.slice(1), 'in-order');
  const pid = Number(lastValue(o, 'pid') ?? 0);
  const rows = [];
  for (const [resource, description, units, letter] of LIMITS) {
    const given = lastValue(o, letter);
    try {
      if (given !== undefined) {
        const old = yield* sys('prlimit64', pid, resource, null);
        yield* sys('prlimit64', pid, resource, limitOf(resource, given, old));
      } else if (o.on.has(letter) || LIMITS.every(([, , , l]) => !o.on.has(l))) {
        const limit = yield* sys('prlimit64', pid, resource, null);
        rows.push(rowOf({ RESOURCE: resource, DESCRIPTION: description, SOFT: shown(limit.cur), HARD: shown(limit.max), UNITS: units }));
      }
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Failed(`failed to ${given === undefined ? 'get' : 'set'} the ${resource} resource limit: ${strerror(error)}`);
    }
  }
  if (o.words.length > 0) return yield* execOr('prlimit', o.words, env);
  const all: ColumnSpec[] = [{ name: 'RESOURCE' }, { name: 'DESCRIPTION' }, { name: 'SOFT', align: 'right' }, { name: 'HARD', align: 'right' }, { name: 'UNITS' }];
  const columns = lastValue(o, 'output')?.toUpperCase().split(',').map((name) => {
    const found = all.find((one) => one.name === name);
    if (!found) throw new Failed(`unknown column: ${name.toLowerCase()}`);
    return found;
  }) ?? all;
  yield* print(rows.length === 0 ? '' : render(rows, columns, null, { headings: !o.on.has('noheadings'), style: o.on.has('raw') ? 'raw' : 'table', title: 'limits' }));
  return 0;
});

const shown = (n: number): string => (n === Number.POSITIVE_INFINITY || n >= 2 ** 63 ? 'unlimited' : String(n));

/** "soft:hard", "both", "soft:", ":hard". */
function limitOf(resource: string, spec: string, old: { cur: number; max: number }): { cur: number; max: number } {
  const one = (text: string, otherwise: number): number => (text === '' ? otherwise : text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text));
  const [soft, hard] = spec.split(':') as [string, string | undefined];
  const both = hard === undefined;
  const limit = { cur: one(soft, old.cur), max: both ? one(soft, old.max) : one(hard, old.max) };
  if (Number.isNaN(limit.cur) || Number.isNaN(limit.max) || limit.cur < 0 || limit.max < 0) throw new Failed(`failed to parse ${resource} limit`);
  if (limit.cur > limit.max) throw new Failed(`the soft limit ${resource} cannot exceed the hard limit`);
  return limit;
}

export const pivotRoot = command(function* (argv) {
  const { words } = parseOptions('', argv.slice(1));
  const [root, old] = words;
  if (root === undefined || old === undefined || words.length > 2) throw new BadOption('bad usage');
  try {
    yield* sys('pivot_root', root, old);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`failed to change root from \`${root}' to \`${old}': ${strerror(error)}`);
  }
});

export const flock = command(function* (argv, env) {
  const o = parseOptions('s/shared e/exclusive x u/unlock n/nonblock nb w/timeout= wait= o/close F/no-fork c/command= E/conflict-exit-code= verbose', argv.slice(1), 'in-order');
  const [target, ...words] = o.words;
  if (target === undefined) throw new Failed('requires file descriptor, file or directory', 64);
  const conflict = Number(lastValue(o, 'conflict-exit-code') ?? 1);
  const fd = /^\d+$/.test(target) && words.length === 0 ? Number(target) : yield* sys('openat', AT_FDCWD, target, O_RDONLY | O_CREAT, 0o666);
  const operation = (o.on.has('shared') ? 1 : o.on.has('unlock') ? 8 : 2) | (o.on.has('nonblock') || o.on.has('nb') || o.on.has('timeout') ? 4 : 0);
  const deadline = (yield* sys('clock_gettime', 'monotonic')) + Number(lastValue(o, 'timeout') ?? 0) * 1e9;
  for (;;) {
    const won = yield* attempt(sys('flock', fd, operation), 'busy' as const, 'EAGAIN' satisfies Errno);
    if (won === 0) break;
    if ((yield* sys('clock_gettime', 'monotonic')) >= deadline) return conflict;
    yield* sys('nanosleep', 10e6);
  }
  const line = words[0] === '-c' ? ['/bin/sh', '-c', words[1] ?? ''] : words;
  if (line.length === 0) return 0;
  const child = yield* fork(function* (): Body {
    if (o.on.has('close')) yield* sys('close', fd);
    return yield* execOr('flock', line, env);
  });
  return shellStatus(yield* reap(child));
});
