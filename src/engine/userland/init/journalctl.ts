/** journalctl: the journal's entries by unit, boot, priority, time, field or text, in its output formats. Source: journalctl(1), src/shared/logs-show.c. */
import { type Program, sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { type Options, lastValue, parseOptions } from '../lib/args.ts';
import { list, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';
import { type Entry, entries } from './journal.ts';
import { unprefixed } from './messages.ts';
import { parseTimestamp } from './timestamp.ts';

const FOLLOW_NS = 250_000_000;
const PRIORITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];
const FACILITIES = ['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp'];
export const FORMATS = ['short', 'short-full', 'short-iso', 'short-iso-precise', 'short-precise', 'short-monotonic', 'short-delta', 'short-unix', 'verbose', 'export', 'json', 'json-pretty', 'json-sse', 'json-seq', 'cat', 'with-unit'];

interface Where {
  host: string;
  boot: string;
  machine: string;
  /** ns since 1970 at the boot. */
  since: number;
  kernel: string;
}

function* kernelEntries(): Call<Entry[]> {
  const boot = (yield* sys('clock_gettime', 'realtime')) - (yield* sys('clock_gettime', 'boottime'));
  return (yield* sys('syslog', 'read')).map((l) => ({ at: boot + l.at, unit: '', ident: 'kernel', pid: 0, message: l.text, priority: l.level, transport: 'kernel' as const, facility: 0 }));
}

/** An entry's fields as they are stored. */
function fieldsOf(e: Entry, where: Where): Record<string, string> {
  const manager = e.pid === 1 && e.ident === 'systemd';
  const us = Math.floor(e.at / 1000);
  const transport = e.transport ?? (manager ? 'journal' : 'stdout');
  const slice = e.cgroup?.split('/').filter((one) => one.endsWith('.slice')).at(-1) ?? (e.unit === '' ? undefined : 'system.slice');
  return {
    __CURSOR: `s=${where.machine};i=${us.toString(16)};b=${where.boot};m=${Math.max(0, Math.floor((e.at - where.since) / 1000)).toString(16)};t=${us.toString(16)};x=0`,
    __REALTIME_TIMESTAMP: String(us), __MONOTONIC_TIMESTAMP: String(Math.max(0, Math.floor((e.at - where.since) / 1000))), _BOOT_ID: where.boot, _MACHINE_ID: where.machine, _HOSTNAME: where.host, _RUNTIME_SCOPE: 'system',
    PRIORITY: String(e.priority), ...(transport === 'kernel' ? {} : { _UID: String(e.uid ?? 0), _GID: String(e.uid ?? 0) }), SYSLOG_FACILITY: String(e.facility ?? 3), SYSLOG_IDENTIFIER: e.ident, _TRANSPORT: transport,
    ...(e.pid > 0 ? { _PID: String(e.pid), _COMM: e.comm ?? (manager ? 'systemd' : e.ident) } : {}), ...(manager ? { _EXE: '/usr/lib/systemd/systemd', _CMDLINE: '/sbin/init', _SYSTEMD_UNIT: 'init.scope', _SYSTEMD_SLICE: '-.slice', _SYSTEMD_CGROUP: '/init.scope' } : {}),
    ...(e.exe ? { _EXE: e.exe } : {}), ...(!manager && e.unit !== '' ? { _SYSTEMD_UNIT: e.unit, _SYSTEMD_CGROUP: e.cgroup ?? `/system.slice/${e.unit}`, _SYSTEMD_SLICE: slice ?? '' } : {}), ...(manager && e.unit !== '' ? { UNIT: e.unit } : {}), MESSAGE: e.message,
  };
}

const micros = (ns: number): string => String(Math.floor(ns / 1000) % 1_000_000).padStart(6, '0');

function stamp(format: string, e: Entry, before: Entry | null, where: Where): string {
  const s = e.at / 1e9;
  switch (format) {
    case 'short-full': case 'with-unit': return strftime('%a %Y-%m-%d %H:%M:%S UTC', s);
    case 'short-iso': return strftime('%Y-%m-%dT%H:%M:%S+00:00', s);
    case 'short-iso-precise': return `${strftime('%Y-%m-%dT%H:%M:%S', s)}.${micros(e.at)}+00:00`;
    case 'short-precise': return `${strftime('%b %d %H:%M:%S', s)}.${micros(e.at)}`;
    case 'short-unix': return `${Math.floor(s)}.${micros(e.at)}`;
    case 'short-monotonic': case 'short-delta': {
      const mono = (ns: number): string => `${Math.floor(ns / 1e9)}.${micros(ns)}`.padStart(12);
      const since = Math.max(0, e.at - where.since);
      return format === 'short-monotonic' ? `[${mono(since)}]` : before ? `[${mono(since)} <${mono(Math.max(0, e.at - before.at))} >]` : `[${mono(since)}               ]`;
    }
    default: return strftime('%b %d %H:%M:%S', s);
  }
}

interface Look {
  format: string;
  fields: readonly string[] | null;
  hostname: boolean;
}

const json = (e: Entry, where: Where, look: Look): Record<string, string> => Object.fromEntries(Object.entries(fieldsOf(e, where)).filter(([key]) => look.fields === null || look.fields.includes(key) || key.startsWith('__') || key === '_BOOT_ID'));

function show(e: Entry, before: Entry | null, where: Where, look: Look): string {
  const { format } = look;
  switch (format) {
    case 'cat': return look.fields === null ? `${e.message}\n` : look.fields.flatMap((key) => { const v = fieldsOf(e, where)[key]; return v === undefined ? [] : [`${v}\n`]; }).join('');
    case 'json': return `${JSON.stringify(json(e, where, look))}\n`;
    case 'json-pretty': return `${JSON.stringify(json(e, where, look), null, '\t').replace(/^(\t"[^"]+"): /gm, '$1 : ')}\n`;
    case 'json-sse': return `data: ${JSON.stringify(json(e, where, look))}\n\n`;
    case 'json-seq': return `\x1e${JSON.stringify(json(e, where, look))}\n`;
    case 'export': return `${Object.entries(json(e, where, look)).map(([key, v]) => `${key}=${v}\n`).join('')}\n`;
    case 'verbose': {
      const own = json(e, where, look);
      return `${strftime('%a %Y-%m-%d %H:%M:%S', e.at / 1e9)}.${micros(e.at)} UTC [${own.__CURSOR}]\n${Object.entries(own).filter(([key]) => !key.startsWith('__')).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, v]) => `    ${key}=${v}\n`).join('')}`;
    }
    default: {
      const who = format === 'with-unit' ? `${e.unit !== '' && e.pid !== 1 ? e.unit : e.pid === 1 ? 'init.scope' : e.ident}/${e.ident}` : e.ident;
      const lead = `${stamp(format, e, before, where)}${look.hostname ? ` ${where.host}` : ''} ${who}${e.pid > 0 ? `[${e.pid}]` : ''}: `;
      return `${lead}${e.message.split('\n').join(`\n${' '.repeat(lead.length)}`)}\n`;
    }
  }
}

export function* whereOf(): Call<Where> {
  const { nodename, release } = yield* sys('uname');
  const read = function* (path: string): Call<string> { return ((yield* tryRead(path)) ?? '').trim(); };
  const since = (yield* sys('clock_gettime', 'realtime')) - (yield* sys('clock_gettime', 'boottime'));
  return { host: nodename, boot: (yield* read('/proc/sys/kernel/random/boot_id')).replaceAll('-', ''), machine: yield* read('/etc/machine-id'), since, kernel: release };
}

/** The newest lines of one unit, as systemctl status shows them. */
export function* lastLines(unit: string, count: number, since = 0): Call<string> {
  const where = yield* whereOf();
  const all = (yield* entries()).filter((e) => e.unit === unit && e.at >= since);
  return all.slice(-count).map((e) => show(e, null, where, { format: 'short', fields: null, hostname: true })).join('');
}

const SPEC =
  'u/unit= user-unit= n/lines? f/follow no-tail b/boot? k/dmesg e/pager-end r/reverse o/output= output-fields= p/priority= facility= q/quiet x/catalog a/all l/full no-full no-pager S/since= U/until= c/cursor= after-cursor= show-cursor t/identifier= ' +
  'T/exclude-identifier= g/grep= case-sensitive? no-hostname utc m/merge D/directory= file= root= M/machine= system user N/fields F/field= list-boots disk-usage vacuum-size= vacuum-time= vacuum-files= verify sync flush rotate header list-catalog h/help version invocation= I list-invocations truncate-newline';

/** Which entries are wanted. Throws Failed for what is no such. */
function* filterOf(o: Options, where: Where): Call<(e: Entry) => boolean> {
  const units = (o.values.get('unit') ?? []).map((u) => (/\.\w+$/.test(u) ? u : `${u}.service`));
  const globs = units.map((u) => new RegExp(`^${u.replace(/[.+^${}()|\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`));
  const [least, most] = levels(lastValue(o, 'priority'));
  const grep = lastValue(o, 'grep');
  const pattern = grep === undefined ? null : new RegExp(grep, grep === grep.toLowerCase() ? 'i' : '');
  const now = yield* sys('clock_gettime', 'realtime');
  const time = (name: string): number | null => {
    const given = lastValue(o, name);
    if (given === undefined) return null;
    const at = parseTimestamp(given, now);
    if (at === null) throw new Failed(`Failed to parse timestamp: ${given}`);
    return at;
  };
  const [since, until] = [time('since'), time('until')];
  if (since !== null && until !== null && since > until) throw new Failed('--since= must be before --until=.');
  const facilities = (lastValue(o, 'facility') ?? '').split(',').filter(Boolean).map((one) => {
    const at = /^\d+$/.test(one) ? Number(one) : FACILITIES.indexOf(one);
    if (at < 0) throw new Failed(`Bad --facility= argument "${one}".`);
    return at;
  });
  const [idents, without] = [o.values.get('identifier'), o.values.get('exclude-identifier') ?? []];
  const groups = matchGroups(o.words);
  return (e) =>
    (globs.length === 0 || globs.some((one) => one.test(e.unit))) && e.priority <= most && e.priority >= least && (pattern === null || pattern.test(e.message)) && (idents === undefined || idents.includes(e.ident)) && !without.includes(e.ident) &&
    (since === null || e.at >= since) && (until === null || e.at <= until) && (facilities.length === 0 || facilities.includes(e.facility ?? 3)) && (!o.on.has('dmesg') || e.transport === 'kernel') &&
    (groups.length === 0 || groups.some((fields) => { const own = fieldsOf(e, where); return [...fields].every(([key, values]) => values.includes(own[key] ?? '')); }));
}

/** FIELD=VALUE words: the same field's alternatives, different ones all; "+" begins anew. */
function matchGroups(words: readonly string[]): Map<string, string[]>[] {
  const groups: Map<string, string[]>[] = words.length === 0 ? [] : [new Map()];
  for (const word of words) {
    if (word === '+') {
      groups.push(new Map());
      continue;
    }
    const [key = '', value] = word.startsWith('/') ? ['_EXE', word] : [word.slice(0, Math.max(0, word.indexOf('='))), word.slice(word.indexOf('=') + 1)];
    if (key === '' || !/^[A-Z0-9_]+$/.test(key)) throw new Failed(`Failed to add match '${word}': Invalid argument`);
    const all = groups.at(-1)!;
    all.set(key, [...(all.get(key) ?? []), value!]);
  }
  return groups;
}

function levels(given: string | undefined): [number, number] {
  if (given === undefined) return [0, 7];
  const one = (word: string): number => {
    const at = /^[0-7]$/.test(word) ? Number(word) : PRIORITIES.indexOf(word);
    if (at < 0) throw new Failed(`Unknown log level ${given.includes('..') ? 'range ' : ''}${given}`);
    return at;
  };
  if (!given.includes('..')) return [0, one(given)];
  const [a, b] = given.split('..').map(one) as [number, number];
  return [Math.min(a, b), Math.max(a, b)];
}

function lookOf(o: Options): Look {
  const format = lastValue(o, 'output') ?? 'short';
  if (!FORMATS.includes(format)) throw new Failed(`Unknown output format '${format}'.`);
  return { format, fields: lastValue(o, 'output-fields')?.split(',') ?? null, hostname: !o.on.has('no-hostname') };
}

/** The number of lines wanted; null all. */
function countOf(o: Options): { count: number | null; oldest: boolean } {
  const given = lastValue(o, 'lines') ?? (o.on.has('lines') || (o.on.has('follow') && !o.on.has('no-tail')) ? '10' : o.on.has('pager-end') ? '1000' : 'all');
  if (given === 'all') return { count: null, oldest: false };
  if (!/^\+?\d+$/.test(given)) throw new Failed(`Failed to parse --lines='${given}'.`);
  return { count: Number(given), oldest: given.startsWith('+') };
}

/** getopt takes "-n 5" apart as "-n5" although the value may be left out. */
function normalized(argv: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    const next = argv[i + 1];
    const m = /^-([a-zA-Z]*)([nb])(.*)$/.exec(arg);
    const long = arg === '--lines' ? 'lines' : arg === '--boot' ? 'boot' : null;
    if (long === null && (!m || arg.startsWith('--'))) { out.push(arg); continue; }
    if (m && m[1] !== '' && !/^[fkerqxalmN]*$/.test(m[1]!)) { out.push(arg); continue; }
    if (m && m[1] !== '') out.push(`-${m[1]}`);
    const name = long ?? (m![2] === 'n' ? 'lines' : 'boot');
    if (m && m[3] !== '') out.push(`--${name}=${m[3]}`);
    else if (next !== undefined && (name === 'lines' ? /^(\+?\w+)$/.test(next) && !/^[A-Z_]+=/.test(next) : /^([-+]?\d+|all|[0-9a-f]{32}([-+]\d+)?)$/.test(next))) out.push(`--${name}=${argv[++i]}`);
    else out.push(`--${name}`);
  }
  return out;
}

export const journalctl: Program = command(unprefixed(function* (argv) {
  const o = parseOptions(SPEC, normalized(argv.slice(1)));
  const look = lookOf(o);
  const { count, oldest } = countOf(o);
  const where = yield* whereOf();
  if (o.on.has('list-boots')) return yield* boots(where, o.on.has('quiet'));
  if (o.on.has('disk-usage')) return yield* usage();
  for (const done of ['sync', 'flush', 'rotate']) if (o.on.has(done)) return 0;
  for (const bad of ['cursor', 'after-cursor', 'vacuum-size', 'vacuum-time', 'vacuum-files', 'verify', 'header', 'list-catalog', 'directory', 'file', 'root', 'machine', 'list-invocations', 'invocation', 'help']) if (o.on.has(bad)) throw new Failed(`not modelled: --${bad}`);
  const wanted = yield* filterOf(o, where);
  yield* checkBoot(o, where);
  function* read(): Call<Entry[]> {
    const all = [...(yield* entries()), ...(yield* kernelEntries())].filter(wanted);
    return all.map((e, i) => ({ e, i })).sort((a, b) => a.e.at - b.e.at || a.i - b.i).map(({ e }) => e);
  }
  let shown = yield* read();
  if (o.on.has('fields') || o.on.has('field')) return yield* fieldValues(shown, where, lastValue(o, 'field'));
  let seen = shown.length;
  if (count !== null) shown = oldest ? shown.slice(0, count) : count > 0 ? shown.slice(-count) : [];
  if (o.on.has('reverse')) shown.reverse();
  if (shown.length === 0 && !o.on.has('follow') && !o.on.has('quiet') && !look.format.startsWith('json') && look.format !== 'export') yield* print(count === 0 ? '' : '-- No entries --\n');
  yield* print(shown.map((e, i) => show(e, shown[i - 1] ?? null, where, look)).join(''));
  if (o.on.has('show-cursor') && shown.length > 0) yield* print(`-- cursor: ${fieldsOf(shown.at(-1)!, where).__CURSOR}\n`);
  while (o.on.has('follow')) {
    yield* sys('nanosleep', FOLLOW_NS);
    const now = yield* read();
    if (now.length > seen) yield* print(now.slice(seen).map((e, i) => show(e, now[seen + i - 1] ?? null, where, look)).join(''));
    seen = now.length;
  }
  return grepFailed(o, shown) ? 1 : 0;
}));

const grepFailed = (o: Options, shown: readonly Entry[]): boolean => o.on.has('grep') && shown.length === 0;

/** One boot alone is kept here, the present one. */
function* checkBoot(o: Options, where: Where): Call<void> {
  const boot = lastValue(o, 'boot');
  if (boot === undefined || boot === 'all' || boot === where.boot || boot === '0' || boot === '-0' || boot === '1') return;
  if (/^[-+]?\d+$/.test(boot)) throw new Failed(`Data from the specified boot (${/^[-+]/.test(boot) ? boot : `+${boot}`}) is not available: No such boot ID in journal`);
  throw new Failed(/^[0-9a-f]{32}/.test(boot) ? `Data from the specified boot (${boot}) is not available: No such boot ID in journal` : `Failed to parse boot descriptor '${boot}'`);
}

function* boots(where: Where, quiet: boolean): Call<number> {
  const all = yield* entries();
  const line = (ns: number): string => strftime('%a %Y-%m-%d %H:%M:%S UTC', ns / 1e9);
  yield* print(`${quiet ? '' : `IDX ${'BOOT ID'.padEnd(32)} ${'FIRST ENTRY'.padEnd(27)} LAST ENTRY\n`}  0 ${where.boot} ${line(where.since)} ${line(all.at(-1)?.at ?? where.since)}\n`);
  return 0;
}

function* usage(): Call<number> {
  let total = 0;
  for (const { name } of yield* list('/var/log/journal')) total += (yield* statOf(`/var/log/journal/${name}`))?.size ?? 0;
  const m = Math.max(total, 8 * 2 ** 20) / 2 ** 20;
  yield* print(`Archived and active journals take up ${Number.isInteger(m) ? m : m.toFixed(1)}M in the file system.\n`);
  return 0;
}

function* fieldValues(all: readonly Entry[], where: Where, field: string | undefined): Call<number> {
  const out = new Set<string>();
  for (const e of all) {
    const own = fieldsOf(e, where);
    for (const key of field === undefined ? Object.keys(own).filter((one) => !one.startsWith('__')) : [field]) if (own[key] !== undefined) out.add(field === undefined ? key : own[key]!);
  }
  yield* print([...out].map((one) => `${one}\n`).join(''));
  return 0;
}
