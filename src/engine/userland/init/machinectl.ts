/** hostnamectl, timedatectl and loginctl: what the machine is called, what time it keeps, who is logged in. Source: hostnamectl(1), timedatectl(1), loginctl(1). */
import { type Program, sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { type Options, parseOptions } from '../lib/args.ts';
import { attempt, exists, list, statOf, tryRead, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print } from '../lib/io.ts';
import { surroundings } from '../virt/probe.ts';
import { unprefixed } from './messages.ts';

function vertical(rows: readonly (readonly [string, string])[]): string {
  const wide = Math.max(...rows.map(([key]) => key.length));
  return rows.map(([key, value]) => `${key.padStart(wide)}: ${value}\n`).join('');
}

const read = function* (path: string): Call<string> { return ((yield* tryRead(path)) ?? '').trim(); };

// ---- hostnamectl

const INFO = '/etc/machine-info';
const KEYS: Readonly<Record<string, string>> = { deployment: 'DEPLOYMENT', location: 'LOCATION', chassis: 'CHASSIS', 'icon-name': 'ICON_NAME', pretty: 'PRETTY_HOSTNAME' };
const CHASSIS = new Set(['desktop', 'laptop', 'convertible', 'server', 'tablet', 'handset', 'watch', 'embedded', 'vm', 'container']);

function* info(): Call<Map<string, string>> {
  const out = new Map<string, string>();
  for (const line of (yield* read(INFO)).split('\n')) {
    const m = /^([A-Z_]+)=(.*)$/.exec(line);
    if (m) out.set(m[1]!, m[2]!.replace(/^"(.*)"$/, '$1'));
  }
  return out;
}

function* setInfo(key: string, value: string): Call<void> {
  const all = yield* info();
  if (value === '') all.delete(key);
  else all.set(key, value);
  yield* writeFile(INFO, [...all].map(([k, v]) => `${k}=${/^[\w.-]*$/.test(v) ? v : JSON.stringify(v)}\n`).join(''));
}

const RENAMED: Readonly<Record<string, string>> = { 'set-hostname': 'hostname', 'set-icon-name': 'icon-name', 'set-chassis': 'chassis', 'set-deployment': 'deployment', 'set-location': 'location' };

export const hostnamectl: Program = command(unprefixed(function* (argv) {
  const o = parseOptions('h/help version H/host= M/machine= no-ask-password static pretty transient json= j', argv.slice(1));
  const [typed = 'status', ...words] = o.words;
  const verb = RENAMED[typed] ?? typed;
  if (verb === 'status') return yield* hostStatus(o);
  if (verb === 'hostname') return words[0] === undefined ? yield* hostStatus({ ...o, on: new Map([['static', 1]]) }) : yield* rename(o, words[0]);
  const key = KEYS[verb];
  if (key === undefined || verb === 'pretty') throw new Failed(`Unknown command verb '${typed}'.`);
  if (words[0] !== undefined) {
    if (verb === 'chassis' && words[0] !== '' && !CHASSIS.has(words[0])) throw new Failed(`Could not set chassis: Invalid chassis '${words[0]}'`);
    yield* setInfo(key, words[0]);
    return 0;
  }
  const chassis = (yield* info()).get('CHASSIS') ?? ((yield* surroundings()).vm ? 'vm' : 'desktop');
  yield* print(`${(yield* info()).get(key) ?? (verb === 'chassis' ? chassis : verb === 'icon-name' ? `computer-${chassis}` : '')}\n`);
  return 0;
}));

function* rename(o: Options, name: string): Call<number> {
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name) || name.length > 64) {
    if (o.on.has('static') || o.on.has('transient') || name.includes('..') || !/^[\w .'-]+$/.test(name)) throw new Failed(`Could not set ${o.on.has('transient') ? 'transient' : 'static'} hostname: Invalid static hostname '${name}'`);
    yield* setInfo('PRETTY_HOSTNAME', name);
  }
  const plain = name.replace(/[^A-Za-z0-9.-]+/g, '-').replace(/^-+|-+$/g, '').toLowerCase();
  const [pretty, still, now] = ['pretty', 'static', 'transient'].map((one) => o.on.has(one));
  const all = !pretty && !still && !now;
  if (pretty) yield* setInfo('PRETTY_HOSTNAME', name);
  if (all || still) yield* writeFile('/etc/hostname', `${all && plain !== name.toLowerCase() ? plain : name}\n`);
  if (all || now || still) yield* sys('sethostname', all && plain !== name.toLowerCase() ? plain : name);
  return 0;
}

function* hostStatus(o: Options): Call<number> {
  const { nodename, release } = yield* sys('uname');
  const own = yield* info();
  const still = yield* read('/etc/hostname');
  if (o.on.has('static')) { yield* print(`${still}\n`); return 0; }
  if (o.on.has('transient')) { yield* print(`${nodename}\n`); return 0; }
  if (o.on.has('pretty')) { yield* print(`${own.get('PRETTY_HOSTNAME') ?? ''}\n`); return 0; }
  const { vm } = yield* surroundings();
  const chassis = own.get('CHASSIS') ?? (vm ? 'vm' : '');
  const rows: [string, string][] = [['Static hostname', still || '(unset)']];
  if (own.has('PRETTY_HOSTNAME')) rows.push(['Pretty hostname', own.get('PRETTY_HOSTNAME')!]);
  if (nodename !== still) rows.push(['Transient hostname', nodename]);
  rows.push(['Icon name', own.get('ICON_NAME') ?? `computer${chassis === '' ? '' : `-${chassis}`}`]);
  if (chassis !== '') rows.push(['Chassis', `${chassis}${chassis === 'vm' ? ' 🖴' : ''}`]);
  for (const [key, label] of [['DEPLOYMENT', 'Deployment'], ['LOCATION', 'Location']] as const) if (own.has(key)) rows.push([label, own.get(key)!]);
  rows.push(['Machine ID', yield* read('/etc/machine-id')], ['Boot ID', (yield* read('/proc/sys/kernel/random/boot_id')).replaceAll('-', '')]);
  if (vm) rows.push(['Virtualization', vm]);
  rows.push(['Operating System', /^PRETTY_NAME="?([^"\n]*)/m.exec((yield* tryRead('/etc/os-release')) ?? '')?.[1] ?? 'n/a'], ['Kernel', `Linux ${release}`], ['Architecture', 'x86-64']);
  yield* print(vertical(rows));
  return 0;
}

// ---- timedatectl

const ZONES = '/usr/share/zoneinfo';

function* zone(): Call<string> {
  const link = yield* attempt(sys('readlinkat', -100, '/etc/localtime'), '');
  return link.includes('zoneinfo/') ? link.slice(link.indexOf('zoneinfo/') + 9) : ((yield* read('/etc/timezone')) || 'Etc/UTC');
}

export const timedatectl: Program = command(unprefixed(function* (argv) {
  const o = parseOptions('h/help version no-pager no-ask-password H/host= M/machine= adjust-system-clock monitor p/property= a/all value P=', argv.slice(1));
  const [verb = 'status', ...words] = o.words;
  const need = (): void => { if (words.length === 0) throw new Failed('Too few arguments.'); };
  switch (verb) {
    case 'status': return yield* timeStatus();
    case 'show': return yield* timeShow(o);
    case 'set-timezone': need(); return yield* setZone(words[0]!);
    case 'set-ntp': {
      need();
      if (!/^(yes|no|true|false|on|off|0|1|y|n|t|f)$/i.test(words[0]!)) throw new Failed(`Failed to parse NTP setting '${words[0]}': Invalid argument`);
      throw new Failed('Failed to set ntp: NTP not supported');
    }
    case 'list-timezones': yield* print((yield* zones(ZONES, '')).map((one) => `${one}\n`).join('')); return 0;
    case 'set-time': case 'set-local-rtc': case 'timesync-status': case 'show-timesync': case 'ntp-servers': case 'revert': throw new Failed(`timedatectl: not modelled: ${verb}`);
    default: throw new Failed(`Unknown command verb '${verb}'.`);
  }
}));

function* zones(dir: string, lead: string): Call<string[]> {
  const out: string[] = [];
  for (const { name, type } of yield* list(dir)) {
    if (/^(posix|right)$/.test(name) || !/^[A-Z]/.test(name)) continue;
    if (type === 'dir') out.push(...(yield* zones(`${dir}/${name}`, `${lead}${name}/`)));
    else out.push(`${lead}${name}`);
  }
  if (lead === '' && !out.includes('UTC')) out.push('UTC');
  return out.sort();
}

function* setZone(name: string): Call<number> {
  if (name !== 'UTC' && (!/^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(name) || !(yield* statOf(`${ZONES}/${name}`)))) throw new Failed(`Failed to set time zone: Invalid or not installed time zone '${name}'`);
  yield* attempt(sys('unlinkat', -100, '/etc/localtime', 0), 0);
  yield* sys('symlinkat', `../usr/share/zoneinfo/${name}`, -100, '/etc/localtime');
  if (yield* exists('/etc/timezone')) yield* writeFile('/etc/timezone', `${name}\n`);
  return 0;
}

function* timeStatus(): Call<number> {
  const now = (yield* sys('clock_gettime', 'realtime')) / 1e9;
  const at = strftime('%a %Y-%m-%d %H:%M:%S', now);
  yield* print(vertical([['Local time', `${at} UTC`], ['Universal time', `${at} UTC`], ['RTC time', at], ['Time zone', `${yield* zone()} (UTC, +0000)`], ['System clock synchronized', 'no'], ['NTP service', 'n/a'], ['RTC in local TZ', 'no']]));
  return 0;
}

function* timeShow(o: Options): Call<number> {
  const now = strftime('%a %Y-%m-%d %H:%M:%S UTC', (yield* sys('clock_gettime', 'realtime')) / 1e9);
  const all: readonly (readonly [string, string])[] = [['Timezone', yield* zone()], ['LocalRTC', 'no'], ['CanNTP', 'no'], ['NTP', 'no'], ['NTPSynchronized', 'no'], ['TimeUSec', now], ['RTCTimeUSec', now]];
  const wanted = [...(o.values.get('property') ?? []), ...(o.values.get('P') ?? [])];
  const bare = o.on.has('value') || o.on.has('P');
  yield* print(all.filter(([key]) => wanted.length === 0 || wanted.includes(key)).map(([key, v]) => `${bare ? '' : `${key}=`}${v}\n`).join(''));
  return 0;
}

// ---- loginctl

export const loginctl: Program = command(unprefixed(function* (argv) {
  const o = parseOptions('h/help version p/property= a/all value P= l/full kill-whom= s/signal= n/lines= o/output= no-legend no-pager no-ask-password H/host= M/machine= json= j', argv.slice(1));
  const [verb = 'list-sessions', ...words] = o.words;
  const legend = !o.on.has('no-legend');
  const sessions = yield* sessionsOf();
  switch (verb) {
    case 'list-sessions': yield* print(tableOf(['SESSION', 'UID', 'USER', 'SEAT', 'LEADER', 'CLASS', 'TTY', 'IDLE', 'SINCE'], sessions.map((s) => [s.id, '0', 'root', '-', s.leader, 'user', s.tty, 'no', '-']), 'sessions', legend)); return 0;
    case 'list-users': yield* print(tableOf(['UID', 'USER', 'LINGER', 'STATE'], sessions.length === 0 ? [] : [['0', 'root', 'no', 'active']], 'users', legend)); return 0;
    case 'list-seats': yield* print(tableOf(['SEAT'], [['seat0']], 'seats', legend)); return 0;
    case 'session-status': case 'show-session': case 'terminate-session': case 'kill-session': case 'activate': case 'lock-session': case 'unlock-session':
      for (const id of words) if (!sessions.some((s) => s.id === id)) { yield* complain(`${verb === 'show-session' || verb === 'session-status' ? 'Failed to get path for session' : 'Could not terminate session'} '${id}': No session '${id}' known\n`.replace(/^Could.*'(\w+)': /, 'Failed to issue method call: ')); return 1; }
      throw new Failed(`loginctl: not modelled: ${verb}`);
    case 'user-status': case 'show-user': case 'terminate-user': case 'enable-linger': case 'disable-linger': case 'kill-user':
      for (const name of words) {
        const known = ((yield* tryRead('/etc/passwd')) ?? '').split('\n').map((line) => line.split(':')).find((line) => line[0] === name || line[2] === name);
        if (!known) throw new Failed(`Failed to look up user ${name}: No such process`);
        if (known[2] !== '0' || sessions.length === 0) throw new Failed(`Failed to get path for user '${name}': User ID ${known[2]} is not logged in or lingering`);
      }
      throw new Failed(`loginctl: not modelled: ${verb}`);
    case 'seat-status': case 'show-seat': case 'attach': case 'flush-devices': case 'terminate-seat': throw new Failed(`loginctl: not modelled: ${verb}`);
    default: throw new Failed(`Unknown command verb '${verb}'.`);
  }
}));

interface Session { id: string; leader: string; tty: string }

/** The scopes of user.slice that hold somebody. */
function* sessionsOf(): Call<Session[]> {
  const out: Session[] = [];
  const dir = '/sys/fs/cgroup/user.slice/user-0.slice';
  for (const { name } of yield* list(dir)) {
    const id = /^session-(\w+)\.scope$/.exec(name)?.[1];
    const leader = id === undefined ? '' : (yield* read(`${dir}/${name}/cgroup.procs`)).split('\n')[0]!;
    if (id === undefined || leader === '') continue;
    const tty = (yield* attempt(sys('readlinkat', -100, `/proc/${leader}/fd/0`), '')).replace(/^\/dev\//, '');
    out.push({ id, leader, tty: /^(tty|pts)/.test(tty) ? tty : '-' });
  }
  return out;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[], what: string, legend: boolean): string {
  const all = legend ? [head, ...rows] : rows;
  const wide = head.map((_, i) => Math.max(0, ...all.map((row) => row[i]!.length)));
  const lines = rows.length === 0 ? '' : all.map((row) => `${row.map((cell, i) => (/^(SESSION|UID)$/.test(head[i]!) ? cell.padStart(wide[i]!) : cell.padEnd(wide[i]!))).join(' ').trimEnd()}\n`).join('');
  return lines + (legend ? `${rows.length === 0 ? `No ${what}.` : `\n${rows.length} ${what} listed.`}\n` : '');
}
