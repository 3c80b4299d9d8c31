/**
 * The journal: what services write and what process 1 says of them, one JSON object a line in /var/log/journal/system.journal (the
 * real one is a binary file with an index), and journalctl, which reads it. Source: journalctl(1).
 */
import type { Program } from '../../kernel/sys.ts';
import { sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { parseOptions, lastValue as optionValue } from '../lib/args.ts';
import { appendFile, mkdirAll, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';

const DIR = '/var/log/journal';
const PATH = `${DIR}/system.journal`;
/** Rewritten with its newer half beyond this. */
const MOST = 512 * 1024;
const FOLLOW_NS = 250_000_000;

export interface Entry {
  /** ns since 1970. */
  at: number;
  unit: string;
  ident: string;
  pid: number;
  message: string;
  /** 0 emergency … 7 debug. */
  priority: number;
}

export function* openJournal(): Call<void> {
  yield* mkdirAll(DIR);
}

export function* addEntry(entry: Entry): Call<void> {
  yield* appendFile(PATH, `${JSON.stringify(entry)}\n`);
}

/** Keeps the file small: true when it has grown too large and should be cut. */
export function* tooLarge(): Call<boolean> {
  return ((yield* statOf(PATH))?.size ?? 0) > MOST;
}

function* entries(): Call<Entry[]> {
  const out: Entry[] = [];
  for (const line of ((yield* tryRead(PATH)) ?? '').split('\n')) {
    if (line === '') continue;
    try {
      out.push(JSON.parse(line) as Entry);
    } catch {
      // a line cut in two by a crash
    }
  }
  return out;
}

function* kernelEntries(): Call<Entry[]> {
  const boot = (yield* sys('clock_gettime', 'realtime')) - (yield* sys('clock_gettime', 'boottime'));
  return (yield* sys('syslog', 'read')).map((l) => ({ at: boot + l.at, unit: '', ident: 'kernel', pid: 0, message: l.text, priority: l.level }));
}

const PRIORITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

function show(entry: Entry, host: string, format: string): string {
  const seconds = entry.at / 1e9;
  const who = `${entry.ident}${entry.pid > 0 ? `[${entry.pid}]` : ''}`;
  if (format === 'cat') return `${entry.message}\n`;
  if (format === 'json') return `${JSON.stringify({ __REALTIME_TIMESTAMP: String(Math.floor(entry.at / 1000)), _SYSTEMD_UNIT: entry.unit, SYSLOG_IDENTIFIER: entry.ident, _PID: String(entry.pid), PRIORITY: String(entry.priority), MESSAGE: entry.message })}\n`;
  const time = format === 'short-iso' ? strftime('%Y-%m-%dT%H:%M:%S+00:00', seconds) : format === 'short-precise' ? `${strftime('%b %d %H:%M:%S', seconds)}.${String(Math.floor(entry.at / 1000) % 1_000_000).padStart(6, '0')}` : strftime('%b %d %H:%M:%S', seconds);
  return `${time} ${host} ${who}: ${entry.message}\n`;
}

/** The newest lines of one unit, as systemctl status shows them. */
export function* lastLines(unit: string, count: number, host: string): Call<string> {
  const all = (yield* entries()).filter((e) => e.unit === unit);
  return all.slice(-count).map((e) => show(e, host, 'short')).join('');
}

const SPEC = 'u/unit= n/lines= f/follow b/boot k/dmesg e/pager-end r/reverse o/output= p/priority= q/quiet x/catalog a/all no-pager S/since= U/until= t/identifier= g/grep= no-hostname';

export const journalctl: Program = command(function* (argv) {
  const args = argv.slice(1).map((a) => (/^-n\d+$/.test(a) ? `--lines=${a.slice(2)}` : a === '-b0' ? '-b' : a));
  const given = parseOptions(SPEC, args);
  for (const bad of ['since', 'until']) if (given.on.has(bad)) throw new Failed(`not modelled: --${bad}`);
  const host = (yield* sys('uname')).nodename;
  const format = optionValue(given, 'output') ?? 'short';
  const units = (given.values.get('unit') ?? []).map((u) => (/\.\w+$/.test(u) ? u : `${u}.service`));
  const level = optionValue(given, 'priority');
  const most = level === undefined ? 7 : /^\d$/.test(level) ? Number(level) : PRIORITIES.indexOf(level);
  if (most < 0) throw new Failed(`Unknown log level ${level}`);
  const grep = optionValue(given, 'grep');
  const wanted = (e: Entry): boolean =>
    (units.length === 0 || units.includes(e.unit)) && e.priority <= most && (grep === undefined || e.message.includes(grep)) && (!given.values.has('identifier') || given.values.get('identifier')!.includes(e.ident));
  function* read(): Call<Entry[]> {
    if (given.on.has('dmesg')) return (yield* kernelEntries()).filter(wanted);
    const all = [...(yield* entries()), ...(units.length === 0 ? yield* kernelEntries() : [])].filter(wanted);
    return all.map((e, i) => ({ e, i })).sort((a, b) => a.e.at - b.e.at || a.i - b.i).map(({ e }) => e);
  }
  let shown = yield* read();
  let seen = shown.length;
  const count = optionValue(given, 'lines') ?? (given.on.has('follow') ? '10' : given.on.has('pager-end') ? '1000' : 'all');
  if (count !== 'all') shown = Number(count) > 0 ? shown.slice(-Number(count)) : [];
  if (given.on.has('reverse')) shown.reverse();
  if (shown.length === 0 && !given.on.has('follow')) yield* print(given.on.has('quiet') ? '' : '-- No entries --\n');
  yield* print(shown.map((e) => show(e, host, format)).join(''));
  while (given.on.has('follow')) {
    yield* sys('nanosleep', FOLLOW_NS);
    const now = yield* read();
    if (now.length > seen) yield* print(now.slice(seen).map((e) => show(e, host, format)).join(''));
    seen = now.length;
  }
  return 0;
});
