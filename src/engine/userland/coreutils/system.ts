/** What the machine is and how it does: uname, hostname, uptime, free, dmesg, date, id, groups. */
import { SysError } from '../../kernel/abi.ts';
import { type LogLine, sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, readText, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { type Accounts, findGroup, findUser, groupName, readAccounts, userName } from './accounts.ts';
import { parseDate, strftime } from './calendar.ts';
import { readMachine, readMeminfo, readProcesses } from './processes.ts';
import { curly, quoted } from './quote.ts';
import { execvp } from './run.ts';

export const uname = command(function* (argv) {
  const o = parseOptions('a/all s/kernel-name n/nodename r/kernel-release v/kernel-version m/machine p/processor i/hardware-platform o/operating-system', argv.slice(1));
  if (o.words.length > 0) throw new BadOption(`extra operand ${curly(o.words[0]!)}`);
  const u = yield* sys('uname');
  const all = o.on.has('all');
  const parts: [string, string][] = [
    ['kernel-name', u.sysname], ['nodename', u.nodename], ['kernel-release', u.release], ['kernel-version', u.version], ['machine', u.machine],
    ['processor', 'unknown'], ['hardware-platform', 'unknown'], ['operating-system', 'GNU/Linux'],
  ];
  const shown = parts.filter(([name, value]) => (all ? value !== 'unknown' : o.on.has(name)) || (o.on.size === 0 && name === 'kernel-name'));
  yield* print(`${shown.map(([, value]) => value).join(' ')}\n`);
});

export const arch = command(function* (argv) {
  const o = parseOptions('', argv.slice(1));
  if (o.words.length > 0) throw new BadOption(`extra operand ${curly(o.words[0]!)}`);
  yield* print(`${(yield* sys('uname')).machine}\n`);
});

/** getconf(1): what does not depend on a file; others are as a system knows no such name. */
export const getconf = command(function* (argv) {
  const { words } = parseOptions('v=', argv.slice(1), 'in-order');
  const [name] = words;
  if (name === undefined) {
    yield* complain('Usage: getconf [-v specification] variable_name [pathname]\n');
    return 2;
  }
  const cpus = ((yield* attempt(readText('/proc/stat'), '')).match(/^cpu\d/gm) ?? ['']).length;
  const memory = yield* readMeminfo();
  const files = (yield* sys('prlimit64', 0, 'NOFILE', null)).cur;
  const known: Readonly<Record<string, number | string>> = {
    PAGE_SIZE: 4096, PAGESIZE: 4096, _NPROCESSORS_ONLN: cpus, _NPROCESSORS_CONF: cpus, CLK_TCK: 100, OPEN_MAX: files, LONG_BIT: 64, WORD_BIT: 32, CHAR_BIT: 8, INT_MAX: 2147483647, INT_MIN: -2147483648,
    UINT_MAX: 4294967295, ARG_MAX: 2097152, NAME_MAX: 255, PATH_MAX: 4096, PIPE_BUF: 4096, HOST_NAME_MAX: 64, LOGIN_NAME_MAX: 256, NGROUPS_MAX: 65536, IOV_MAX: 1024, _PHYS_PAGES: Math.floor((memory.MemTotal ?? 0) / 4), _AVPHYS_PAGES: Math.floor((memory.MemFree ?? 0) / 4),
    GNU_LIBC_VERSION: 'glibc 2.41', NPTL_VERSION: 'NPTL 2.41', _POSIX_VERSION: 200809, _XOPEN_VERSION: 700,
  };
  const value = known[name];
  if (value === undefined) {
    yield* complain(`getconf: Unrecognized variable \`${name}'\n`);
    return 2;
  }
  yield* print(`${value}\n`);
  return 0;
});

function* rename(call: 'sethostname' | 'setdomainname', name: string, what: 'host' | 'domain'): Call<number> {
  try {
    yield* sys(call, name);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(error.errno === 'EPERM' ? `you must be root to change the ${what} name` : error.errno === 'EINVAL' ? 'name too long' : strerror(error));
  }
  return 0;
}

function* showDomain(): Call<number> {
  const { domainname } = yield* sys('uname');
  yield* print(`${domainname}\n`);
  return 0;
}

/** domainname, nisdomainname and ypdomainname: the name that sysctl kernel.domainname is. */
export const domainname = command(function* (argv) {
  const o = parseOptions('F/file=', argv.slice(1));
  const file = lastValue(o, 'file');
  const wanted = file === undefined ? o.words[0] : yield* nameIn(file);
  return wanted === undefined ? yield* showDomain() : yield* rename('setdomainname', wanted, 'domain');
});

export const dnsdomainname = command(function* () {
  const domain = (yield* canonical((yield* sys('uname')).nodename)).split('.').slice(1).join('.');
  if (domain !== '') yield* print(`${domain}\n`);
  return 0;
});

export const hostname = command(function* (argv) {
  const o = parseOptions('a/alias b/boot d/domain f/fqdn long F/file= i/ip-address I/all-ip-addresses s/short y/yp A', argv.slice(1));
  const file = lastValue(o, 'file');
  const wanted = file !== undefined ? (yield* nameIn(file)) : o.words[0];
  if (wanted !== undefined) {
    if (!/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(wanted)) throw new Failed('the specified hostname is invalid');
    return yield* rename('sethostname', wanted, 'host');
  }
  if (o.on.has('yp')) return yield* showDomain();
  const name = (yield* sys('uname')).nodename;
  if (o.on.has('all-ip-addresses')) yield* print(`${(yield* addresses()).map((a) => `${a} `).join('')}\n`);
  else if (o.on.has('ip-address')) yield* print(`${yield* hostAddress(name)}\n`);
  else if (o.on.has('short')) yield* print(`${name.split('.')[0]!}\n`);
  else if (o.on.has('fqdn') || o.on.has('long')) yield* print(`${yield* canonical(name)}\n`);
  else if (o.on.has('domain')) {
    const domain = (yield* canonical(name)).split('.').slice(1).join('.');
    yield* print(domain === '' ? '' : `${domain}\n`);
  }
  else yield* print(`${name}\n`);
  return 0;
});

function* nameIn(file: string): Call<string> {
  try {
    return (yield* readText(file)).split('\n').find((l) => l !== '' && !l.startsWith('#')) ?? '';
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(strerror(error));
  }
}

/** This machine's name in full: the first of its line in /etc/hosts. */
function* canonical(name: string): Call<string> {
  const line = yield* hostLine(name);
  if (!line) throw new Failed('Name or service not known');
  return line[1]!;
}

/** This machine's address in /etc/hosts. */
function* hostAddress(name: string): Call<string> {
  const line = yield* hostLine(name);
  if (!line) throw new Failed('Name or service not known');
  return line[0]!;
}

function* hostLine(name: string): Call<string[] | null> {
  const hosts = yield* attempt(readText('/etc/hosts'), '');
  const line = hosts.split('\n').find((l) => !l.startsWith('#') && l.split(/\s+/).slice(1).includes(name));
  return line ? line.split(/\s+/) : null;
}

/** Addresses of all links but loopback. */
export function* addresses(): Call<string[]> {
  const rows = (yield* attempt(sys('netlink', { type: 'addr.list' }), [])) as { scope: string; address: string }[];
  return rows.filter((r) => r.scope === 'global').map((r) => r.address);
}

export const uptime = command(function* (argv) {
  const o = parseOptions('p/pretty s/since', argv.slice(1));
  const machine = yield* readMachine();
  if (o.on.has('since')) yield* print(`${strftime('%Y-%m-%d %H:%M:%S', machine.booted)}\n`);
  else if (o.on.has('pretty')) yield* print(`up ${pretty(machine.uptime)}\n`);
  else yield* print(`${yield* uptimeLine()}\n`);
});

function pretty(seconds: number): string {
  const parts: [number, string][] = [[Math.floor(seconds / 604800), 'week'], [Math.floor(seconds / 86400) % 7, 'day'], [Math.floor(seconds / 3600) % 24, 'hour'], [Math.floor(seconds / 60) % 60, 'minute']];
  const shown = parts.filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}${n === 1 ? '' : 's'}`);
  return shown.length > 0 ? shown.join(', ') : '0 minutes';
}

/** " 09:12:34 up 37 min,  1 user,  load average: 0.73, 0.35, 0.17". */
export function* uptimeLine(): Call<string> {
  const machine = yield* readMachine();
  const minutes = Math.floor(machine.uptime / 60);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  const up = `${days > 0 ? `${days} day${days === 1 ? '' : 's'}, ` : ''}${hours > 0 ? `${String(hours).padStart(2)}:${String(minutes % 60).padStart(2, '0')}` : `${minutes % 60} min`}`;
  const users = new Set((yield* readProcesses()).filter((p) => p.tty !== '?' && p.session === p.pid && !/getty/.test(p.comm)).map((p) => p.tty)).size;
  const loads = ((yield* attempt(readText('/proc/loadavg'), '0.00 0.00 0.00')).split(' ')).slice(0, 3);
  return ` ${strftime('%H:%M:%S', machine.now)} up ${up}, ${String(users).padStart(2)} user${users > 1 ? 's' : ''},  load average: ${loads.join(', ')}`;
}

const SCALES: Readonly<Record<string, [number, number]>> = {
  bytes: [1024, 1], kibi: [1, 1], mebi: [1, 1024], gibi: [1, 1048576], tebi: [1, 1073741824], kilo: [1.024, 1], mega: [1.024, 1000], giga: [1.024, 1e6],
};

export const free = command(function* (argv) {
  const o = parseOptions('b/bytes k/kibi m/mebi g/gibi h/human l/lohi s/seconds= c/count= t/total w/wide v kilo mega giga tebi si', argv.slice(1));
  if (o.words.length > 0) throw new BadOption(`extra operand '${o.words[0]!}'`);
  const unit = [...o.on.keys()].filter((k) => SCALES[k]).at(-1) ?? 'kibi';
  const [times, by] = SCALES[unit]!;
  const show = (kib: number): string => (o.on.has('human') ? humanKib(kib, o.on.has('si') ? 1000 : 1024) : String(Math.floor((kib * times) / by)));
  const every = lastValue(o, 'seconds');
  let left = o.on.has('count') ? Number(lastValue(o, 'count')) : every === undefined ? 1 : Number.POSITIVE_INFINITY;
  for (; left > 0; left--) {
    yield* print(freeTable(o, yield* readMeminfo(), show));
    if (left === 1) break;
    yield* print('\n');
    yield* sys('nanosleep', Number(every ?? 1) * 1e9);
  }
});

function freeTable(o: Options, m: Record<string, number>, show: (kib: number) => string): string {
  const n = (name: string): number => m[name] ?? 0;
  const cache = n('Cached') + n('SReclaimable');
  const available = n('MemAvailable');
  const used = Math.max(0, n('MemTotal') - available);
  const wide = o.on.has('wide');
  const row = (label: string, cells: readonly number[]): string => `${label.padEnd(9)}${cells.map((c) => show(c).padStart(11)).join(' ')}\n`;
  let out = wide
    ? '               total        used        free      shared     buffers       cache   available\n'
    : '               total        used        free      shared  buff/cache   available\n';
  out += row('Mem:', [n('MemTotal'), used, n('MemFree'), n('Shmem'), ...(wide ? [n('Buffers'), cache] : [n('Buffers') + cache]), available]);
  if (o.on.has('lohi')) out += row('Low:', [n('MemTotal'), n('MemTotal') - n('MemFree'), n('MemFree')]) + row('High:', [0, 0, 0]);
  const swapUsed = n('SwapTotal') - n('SwapFree');
  out += row('Swap:', [n('SwapTotal'), swapUsed, n('SwapFree')]);
  if (o.on.has('total')) out += row('Total:', [n('MemTotal') + n('SwapTotal'), used + swapUsed, n('MemFree') + n('SwapFree')]);
  return out;
}

/** "498Mi", "8.6Mi", "0B": at most three figures. */
export function humanKib(kib: number, base: number): string {
  const units = base === 1024 ? ['B', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'] : ['B', 'K', 'M', 'G', 'T', 'P'];
  const room = base === 1024 ? 5 : 4;
  const bytes = kib * 1024;
  if (bytes < 1000) return `${bytes}B`;
  for (let i = 1; i < units.length; i++) {
    const value = bytes / base ** i;
    if (`${value.toFixed(1)}${units[i]!}`.length <= room) return `${value.toFixed(1)}${units[i]!}`;
    if (`${Math.floor(value)}${units[i]!}`.length <= room) return `${Math.floor(value)}${units[i]!}`;
  }
  return `${kib}Ki`;
}

const LEVELS = ['emerg', 'alert', 'crit', 'err', 'warn', 'notice', 'info', 'debug'];

export const dmesg = command(function* (argv) {
  const o = parseOptions(
    'C/clear c/read-clear D/console-off E/console-on e/reltime F/file= f/facility= H/human k/kernel L/color? l/level= n/console-level= P/nopager p/force-prefix r/raw S/syslog s/buffer-size= T/ctime t/notime u/userspace w/follow W/follow-new x/decode d/show-delta noescape since= until= time-format=',
    argv.slice(1),
  );
  if (o.on.has('clear') || o.on.has('console-off') || o.on.has('console-on') || o.on.has('console-level')) return o.on.has('clear') ? yield* ring('clear', () => sys('syslog', 'clear')) : 0;
  const levels = o.on.has('level') ? new Set(lastValue(o, 'level')!.split(',').map((l) => (/^\d$/.test(l) ? Number(l) : LEVELS.indexOf(l)))) : null;
  if (levels?.has(-1)) throw new Failed(`unknown level '${lastValue(o, 'level')!}'`);
  const { booted } = yield* readMachine();
  let seen = 0;
  let lines: LogLine[] = [];
  const status = yield* ring('read', function* () {
    lines = yield* sys('syslog', 'read');
    return lines;
  });
  if (status > 0) return status;
  if (o.on.has('follow-new')) seen = lines.length;
  for (;;) {
    yield* print(lines.slice(seen).filter((l) => !levels || levels.has(l.level)).map((l) => `${logText(o, l, booted)}\n`).join(''));
    seen = lines.length;
    if (o.on.has('read-clear')) return yield* ring('clear', () => sys('syslog', 'clear'));
    if (!o.on.has('follow') && !o.on.has('follow-new')) return 0;
    yield* sys('nanosleep', 250e6);
    lines = yield* sys('syslog', 'read');
    if (lines.length < seen) seen = 0;
  }
});

function* ring(doing: 'read' | 'clear', call: () => Call<unknown>): Call<number> {
  try {
    yield* call();
    return 0;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`dmesg: ${doing} kernel buffer failed: ${strerror(error)}\n`);
    return 1;
  }
}

function logText(o: Options, line: LogLine, booted: number): string {
  const micro = Math.floor(line.at / 1000);
  const plain = `[${String(Math.floor(micro / 1e6)).padStart(5)}.${String(micro % 1e6).padStart(6, '0')}] `;
  const format = lastValue(o, 'time-format');
  const at = booted + line.at / 1e9;
  const time = o.on.has('notime') || format === 'notime' ? '' : o.on.has('ctime') || o.on.has('human') || format === 'ctime' ? `[${strftime('%a %b %e %H:%M:%S %Y', at)}] `
    : format === 'iso' ? `${strftime('%Y-%m-%dT%H:%M:%S', at)},${String(micro % 1e6).padStart(6, '0')}+00:00 ` : plain;
  if (o.on.has('raw')) return `<${line.level}>${plain}${line.text}`;
  return `${o.on.has('decode') ? `kern  :${LEVELS[line.level]!.padEnd(6)}: ` : ''}${time}${line.text}`;
}

export const date = command(function* (argv) {
  const o = parseOptions('d/date= f/file= I/iso-8601? r/reference= R/rfc-email s/set= u/utc universal debug rfc-3339= resolution', argv.slice(1).map((a) => (/^-I(seconds|minutes|hours|date|ns)$/.test(a) ? `--iso-8601=${a.slice(2)}` : a)));
  const now = (yield* sys('clock_gettime', 'realtime')) / 1e9;
  let at: number | null = now;
  const given = lastValue(o, 'date') ?? lastValue(o, 'set');
  const reference = lastValue(o, 'reference');
  if (given !== undefined) at = parseDate(given, now);
  if (at === null) throw new Failed(`invalid date ${curly(given!)}`);
  if (reference !== undefined) {
    const stat = yield* statOf(reference);
    if (!stat) throw new Failed(`${reference}: No such file or directory`);
    at = stat.mtime;
  }
  const [format, extra] = o.words;
  if (extra !== undefined) throw new BadOption(`extra operand ${curly(extra)}`);
  if (format !== undefined && !format.startsWith('+')) throw new Failed(/^\d{8,12}(\.\d\d)?$/.test(format) ? 'cannot set date: Operation not permitted' : `invalid date ${curly(format)}`);
  const iso = lastValue(o, 'iso-8601') ?? (o.on.has('iso-8601') ? 'date' : undefined);
  const named = { date: '%Y-%m-%d', hours: '%Y-%m-%dT%H%:z', minutes: '%Y-%m-%dT%H:%M%:z', seconds: '%Y-%m-%dT%H:%M:%S%:z', ns: '%Y-%m-%dT%H:%M:%S,%N%:z' }[iso ?? ''];
  const rfc = { date: '%Y-%m-%d', seconds: '%Y-%m-%d %H:%M:%S%:z', ns: '%Y-%m-%d %H:%M:%S.%N%:z' }[lastValue(o, 'rfc-3339') ?? ''];
  const chosen = format?.slice(1) ?? named ?? rfc ?? (o.on.has('rfc-email') ? '%a, %d %b %Y %H:%M:%S %z' : '%a %b %e %H:%M:%S %Z %Y');
  if (o.on.has('set')) yield* complain('date: cannot set date: Operation not permitted\n');
  yield* print(`${strftime(chosen, at)}\n`);
  return o.on.has('set') ? 1 : 0;
});

export const id = command(function* (argv) {
  const o = parseOptions('a g/group G/groups n/name r/real u/user z/zero Z/context', argv.slice(1));
  const accounts = yield* readAccounts();
  if ((o.on.has('name') || o.on.has('real')) && !o.on.has('user') && !o.on.has('group') && !o.on.has('groups')) throw new Failed('cannot print only names or real IDs in default format');
  if (o.words.length === 0) {
    yield* print(`${idLine(o, accounts, yield* ownIds())}\n`);
    return 0;
  }
  let status = 0;
  for (const name of o.words) {
    const user = findUser(accounts, name);
    if (!user || (!accounts.users.includes(user) && /\d/.test(name))) {
      yield* complain(`id: ${curly(name)}: no such user\n`);
      status = 1;
      continue;
    }
    const groups = [user.gid, ...accounts.groups.filter((g) => g.members.includes(user.name)).map((g) => g.gid)];
    yield* print(`${idLine(o, accounts, { uid: user.uid, euid: user.uid, gid: user.gid, egid: user.gid, groups })}\n`);
  }
  return status;
});

interface Ids {
  uid: number;
  euid: number;
  gid: number;
  egid: number;
  groups: readonly number[];
}

export function* ownIds(): Call<Ids> {
  const [uid, euid, gid, egid] = [yield* sys('getuid'), yield* sys('geteuid'), yield* sys('getgid'), yield* sys('getegid')];
  const supplementary = yield* sys('getgroups');
  return { uid, euid, gid, egid, groups: [egid, ...supplementary.filter((g) => g !== egid)] };
}

function idLine(o: Options, accounts: Accounts, ids: Ids): string {
  const named = o.on.has('name');
  const user = (uid: number): string => (named ? userName(accounts, uid) : String(uid));
  const group = (gid: number): string => (named ? groupName(accounts, gid) : String(gid));
  if (o.on.has('user')) return user(o.on.has('real') ? ids.uid : ids.euid);
  if (o.on.has('group')) return group(o.on.has('real') ? ids.gid : ids.egid);
  if (o.on.has('groups')) return ids.groups.map(group).join(' ');
  const shown = (n: number, name: string): string => (name === String(n) ? String(n) : `${n}(${name})`);
  const u = (n: number): string => shown(n, userName(accounts, n));
  const g = (n: number): string => shown(n, groupName(accounts, n));
  return `uid=${u(ids.uid)} gid=${g(ids.gid)}${ids.euid !== ids.uid ? ` euid=${u(ids.euid)}` : ''}${ids.egid !== ids.gid ? ` egid=${g(ids.egid)}` : ''} groups=${ids.groups.map(g).join(',')}`;
}

export const groups = command(function* (argv) {
  const accounts = yield* readAccounts();
  const names = argv.slice(1);
  if (names.length === 0) yield* print(`${(yield* ownIds()).groups.map((g) => groupName(accounts, g)).join(' ')}\n`);
  for (const name of names) {
    const user = findUser(accounts, name);
    if (!user || !accounts.users.includes(user)) throw new Failed(`${curly(name)}: no such user`);
    const all = [user.gid, ...accounts.groups.filter((g) => g.members.includes(user.name)).map((g) => g.gid)];
    yield* print(`${name} : ${all.map((g) => groupName(accounts, g)).join(' ')}\n`);
  }
});

export const logname = command(function* () {
  const name = userName(yield* readAccounts(), yield* sys('getuid'));
  yield* print(`${name}\n`);
});

/** The supplementary groups that chroot sets: those of --groups, else those of the user of --userspec; null leaves them. */
function chrootGroups(accounts: Accounts, groups: string | undefined, name: string | undefined, gid: number | undefined): number[] | null {
  if (groups === undefined) {
    const user = name ? findUser(accounts, name) : null;
    if (!name) return null;
    return gid === undefined ? [] : [...new Set([gid, ...accounts.groups.filter((g) => user && g.members.includes(user.name)).map((g) => g.gid)])];
  }
  return groups.split(',').filter(Boolean).map((one) => {
    const id = findGroup(accounts, one) ?? (/^\d+$/.test(one) ? Number(one) : null);
    if (id === null) throw new Failed(`invalid group ${curly(one)}`, 125);
    return id;
  });
}

export const chroot = command(function* (argv, env) {
  const o = parseOptions('userspec= groups= skip-chdir', argv.slice(1), 'in-order');
  const [root, ...words] = o.words;
  if (root === undefined) throw new BadOption('missing operand');
  const spec = lastValue(o, 'userspec');
  const groups = lastValue(o, 'groups');
  const [own, there] = [yield* statOf('/'), yield* statOf(root)];
  if (o.on.has('skip-chdir') && !(own && there && own.dev === there.dev && own.ino === there.ino)) throw new BadOption("option --skip-chdir only permitted if NEWROOT is old '/'");
  const accounts = spec === undefined && groups === undefined ? null : yield* readAccounts();
  try {
    yield* sys('chroot', root);
    if (!o.on.has('skip-chdir')) yield* sys('chdir', '/');
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`cannot change root directory to ${quoted(root)}: ${strerror(error)}`, 125);
  }
  if (accounts) {
    const [name, group] = spec?.split(':') ?? [];
    const user = name ? findUser(accounts, name) : null;
    if (name && !user && !/^\d+$/.test(name)) throw new Failed('invalid user', 125);
    if (group && findGroup(accounts, group) === null && !/^\d+$/.test(group)) throw new Failed('invalid group', 125);
    const gid = group ? (findGroup(accounts, group) ?? Number(group)) : user?.gid;
    const set = chrootGroups(accounts, groups, name, gid);
    if (set) yield* attempt(sys('setgroups', set), 0);
    if (gid !== undefined) yield* sys('setresgid', gid, gid, gid);
    const uid = user?.uid ?? (name ? Number(name) : undefined);
    if (uid !== undefined) yield* sys('setresuid', uid, uid, uid);
  }
  const line = words.length > 0 ? words : [env.SHELL ?? '/bin/sh', '-i'];
  try {
    return yield* execvp(line, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`chroot: failed to run command ${curly(line[0]!)}: ${strerror(error)}\n`);
    return error.errno === 'ENOENT' ? 127 : 126;
  }
}, 125);
