/** logger: messages to the system's log with a tag, a facility and a priority. Source: logger(1). */
import { sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { readAccounts, userName } from '../coreutils/accounts.ts';
import { strftime } from '../coreutils/calendar.ts';
import { addEntry, hasJournal } from '../init/journal.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import { drain, readText } from '../lib/files.ts';
import { command, complain, Failed } from '../lib/io.ts';

const FACILITIES = ['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp', '', '', '', '', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'];
const LEVELS = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];
const LEVEL_ALIASES: Readonly<Record<string, string>> = { error: 'err', warn: 'warning', panic: 'emerg' };

/** "user.err", "err", "13": facility and level. */
function priorityOf(given: string): [number, number] {
  if (/^\d+$/.test(given)) return [Number(given) >> 3, Number(given) & 7];
  const [facility, level] = given.includes('.') ? (given.split('.', 2) as [string, string]) : ['user', given];
  const f = FACILITIES.indexOf(facility);
  if (f < 0 || facility === '') throw new Failed(`unknown facility name: ${facility}`);
  const l = LEVELS.indexOf(LEVEL_ALIASES[level] ?? level);
  if (l < 0) throw new Failed(`unknown priority name: ${given}`);
  return [f, l];
}

/** Messages to the system's log: the journal's, which listens at /dev/log. */
export const logger = command(function* (argv) {
  const o = parseOptions('t/tag= p/priority= s/stderr i/i id? f/file= e/skip-empty S/size= n/server= P/port= T/tcp d/udp u/socket= prio-prefix no-act rfc3164 rfc5424? journald? msgid= sd-id= sd-param= socket-errors?', argv.slice(1));
  const tag = lastValue(o, 'tag') ?? userName(yield* readAccounts(), yield* sys('getuid'));
  const [facility, priority] = priorityOf(lastValue(o, 'priority') ?? 'user.notice');
  const pid = yield* sys('getpid');
  const from = lastValue(o, 'file');
  const lines = o.words.length > 0 ? [o.words.join(' ')] : (from === undefined || from === '-' ? text(yield* drain(0)) : yield* readText(from)).split('\n').filter((one, i, all) => i < all.length - 1 || one !== '');
  for (const message of lines) {
    if (message === '' && o.on.has('skip-empty')) continue;
    const shown = o.on.has('i') || o.on.has('id');
    if (o.on.has('stderr')) yield* complain(`<${facility * 8 + priority}>${strftime('%b %e %H:%M:%S', (yield* sys('clock_gettime', 'realtime')) / 1e9)} ${tag}${shown ? `[${pid}]` : ''}: ${message}\n`);
    if (o.on.has('no-act') || !(yield* hasJournal())) continue;
    yield* addEntry({ at: yield* sys('clock_gettime', 'realtime'), unit: '', ident: tag, pid: shown ? pid : 0, message, priority, facility, transport: 'syslog', comm: 'logger', exe: '/usr/bin/logger', uid: yield* sys('getuid') });
  }
});
