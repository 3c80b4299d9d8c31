/** ps of procps 4: UNIX (-ef), BSD (aux) and GNU (--forest) options, selections and formats. Source: ps(1). */
import { sys } from '../../kernel/sys.ts';
import { TIOCGWINSZ, type Winsize } from '../../kernel/abi.ts';
import { attempt, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { type Accounts, findUser, readAccounts } from './accounts.ts';
import { namespaceOf, type Process, readMachine, readProcess, readProcesses, readThreads } from './processes.ts';
import { type Column, columnOf, COLUMNS, type Shown } from './ps-columns.ts';

interface Asked {
  bsd: boolean;
  /** -e, -a, -d, and BSD a, x. */
  every: boolean;
  terminals: boolean;
  noLeaders: boolean;
  bsdA: boolean;
  bsdX: boolean;
  pids: Set<number> | null;
  ppids: Set<number> | null;
  sids: Set<number> | null;
  commands: Set<string> | null;
  users: Set<number> | null;
  ttys: Set<string> | null;
  negate: boolean;
  columns: Column[] | null;
  format: 'short' | 'full' | 'long' | 'user' | 'bsd' | 'jobs' | 'bsd-long' | 'virtual';
  extra: boolean;
  threads: boolean;
  forest: boolean;
  headers: boolean;
  wide: number;
  sort: string[];
  environment: boolean;
}

class Usage extends Error {}

export const ps = command(function* (argv) {
  const accounts = yield* readAccounts();
  let asked: Asked;
  try {
    asked = readArguments(argv.slice(1), accounts);
  } catch (error) {
    if (!(error instanceof Usage)) throw error;
    yield* complain(`error: ${error.message}\n\nUsage:\n ps [options]\n\n Try 'ps --help <simple|list|output|threads|misc|all>'\n  or 'ps --help <s|l|o|t|m|a>'\n for additional help text.\n\nFor more details see ps(1).\n`);
    return 1;
  }
  const machine = yield* readMachine();
  const me = yield* readProcess(yield* sys('getpid'));
  const all = yield* readProcesses();
  const chosen = choose(asked, all, me);
  const columns = asked.columns ?? standard(asked);
  const rows: Shown[] = [];
  const namespaces = NAMESPACES.filter((name) => columns.some((c) => c.heading === `${name.toUpperCase()}NS`));
  for (const process of asked.threads ? yield* threadsOf(chosen) : chosen) {
    rows.push({
      process, machine, accounts, branch: '', cgroup: columns.some((c) => c.heading === 'CGROUP') ? yield* cgroupOf(process.pid) : '',
      namespaces: yield* namespacesOf(process.pid, namespaces),
    });
  }
  const sorted = asked.forest ? forest(rows) : order(rows, asked.sort);
  yield* print(render(sorted, columns, asked.headers, machine.pidWidth, yield* screenWidth(asked)));
  return chosen.length > 0 ? 0 : 1;
});

function* threadsOf(chosen: readonly Process[]): Call<Process[]> {
  const out: Process[] = [];
  for (const p of chosen) {
    const threads = yield* readThreads(p);
    out.push(...(threads.length > 0 ? threads : [p]));
  }
  return out;
}

function* cgroupOf(pid: number): Call<string> {
  return ((yield* tryRead(`/proc/${pid}/cgroup`)) ?? '').trim().split('\n').join(',') || '-';
}

const NAMESPACES = ['pid', 'net', 'mnt', 'uts', 'ipc', 'user', 'cgroup', 'time'];

function* namespacesOf(pid: number, names: readonly string[]): Call<Record<string, number | null>> {
  const found: Record<string, number | null> = {};
  for (const name of names) found[name] = yield* namespaceOf(pid, name);
  return found;
}

function* screenWidth(asked: Asked): Call<number> {
  if (asked.wide > 1) return Number.POSITIVE_INFINITY;
  const size = (yield* attempt(sys('ioctl', 1, TIOCGWINSZ), null)) as Winsize | null;
  if (!size) return Number.POSITIVE_INFINITY;
  return asked.wide === 1 ? Math.max(132, size.cols) : size.cols || 80;
}

const numbers = (list: string): Set<number> => {
  const parts = list.split(/[\s,]+/).filter(Boolean);
  if (parts.length === 0 || parts.some((p) => !/^\d+$/.test(p))) throw new Usage('process ID list syntax error');
  return new Set(parts.map(Number));
};

function readArguments(args: readonly string[], accounts: Accounts): Asked {
  const asked: Asked = {
    bsd: false, every: false, terminals: false, noLeaders: false, bsdA: false, bsdX: false, pids: null, ppids: null, sids: null, commands: null, users: null, ttys: null, negate: false,
    columns: null, format: 'short', extra: false, threads: false, forest: false, headers: true, wide: 0, sort: [], environment: false,
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const value = (rest: string): string => {
      if (rest !== '') return rest;
      const next = args[++i];
      if (next === undefined) throw new Usage(`${arg.startsWith('--') ? 'option' : `option -${arg.slice(-1)}`} requires an argument`.replace('option -o requires an argument', "format specification must follow -o"));
      return next;
    };
    if (arg.startsWith('--')) longOption(asked, arg, value, accounts);
    else if (arg.startsWith('-') && arg.length > 1 && !(/^-[auxlfwvejs]*x/.test(arg) && /^-[auxlfwvej]+$/.test(arg))) letters(asked, arg.slice(1), 'unix', value, accounts);
    else if (/^[\d,]+$/.test(arg)) asked.pids = new Set([...(asked.pids ?? []), ...numbers(arg)]);
    else {
      asked.bsd = true;
      letters(asked, arg.replace(/^-/, ''), 'bsd', value, accounts);
    }
  }
  return asked;
}

type Value = (rest: string) => string;

function longOption(asked: Asked, arg: string, value: Value, accounts: Accounts): void {
  const cut = arg.indexOf('=');
  const name = cut < 0 ? arg.slice(2) : arg.slice(2, cut);
  const rest = cut < 0 ? '' : arg.slice(cut + 1);
  switch (name) {
    case 'pid': asked.pids = numbers(value(rest)); return;
    case 'ppid': asked.ppids = numbers(value(rest)); return;
    case 'sid': asked.sids = numbers(value(rest)); return;
    case 'user': case 'User': asked.users = users(value(rest), accounts); return;
    case 'tty': asked.ttys = ttys(value(rest)); return;
    case 'format': addColumns(asked, value(rest)); return;
    case 'sort': asked.sort.push(...value(rest).split(',')); return;
    case 'forest': asked.forest = true; return;
    case 'no-headers': case 'no-heading': case 'noheader': case 'noheaders': asked.headers = false; return;
    case 'deselect': asked.negate = true; return;
    case 'headers': case 'cols': case 'columns': case 'width': if (name !== 'headers') value(rest); return;
    default: throw new Usage(`unknown gnu long option`);
  }
}

function users(list: string, accounts: Accounts): Set<number> {
  return new Set(list.split(/[\s,]+/).map((name) => {
    const user = findUser(accounts, name);
    if (!user) throw new Usage('user name does not exist');
    return user.uid;
  }));
}

const ttys = (list: string): Set<string> => new Set(list.split(/[\s,]+/).map((t) => t.replace('/dev/', '')).map((t) => (/^\d+$/.test(t) ? `tty${t}` : t === '-' ? '?' : t)));

/** One word of option letters; a letter with a value takes the rest of the word or the next one. */
function letters(asked: Asked, word: string, style: 'unix' | 'bsd', value: Value, accounts: Accounts): void {
  for (let at = 0; at < word.length; at++) {
    const letter = word[at]!;
    const rest = (): string => {
      const given = value(word.slice(at + 1));
      at = word.length;
      return given;
    };
    if (letter === 'o' || letter === 'O') addColumns(asked, rest());
    else if (letter === 'p') asked.pids = numbers(rest());
    else if (letter === 't' && style === 'unix') asked.ttys = ttys(rest());
    else if (letter === 'C' && style === 'unix') asked.commands = new Set(rest().split(','));
    else if ((letter === 'u' || letter === 'U') && style === 'unix') asked.users = users(rest(), accounts);
    else if (letter === 'U' && style === 'bsd') asked.users = users(rest(), accounts);
    else if (letter === 's' && style === 'unix') asked.sids = numbers(rest());
    else if (letter === 'k' && style === 'bsd') asked.sort.push(...rest().split(','));
    else if (letter === 'w') asked.wide++;
    else if (!(style === 'unix' ? unixLetter : bsdLetter)(asked, letter)) throw new Usage(style === 'unix' ? `unsupported SysV option` : `unsupported option (BSD syntax)`);
  }
}

function unixLetter(asked: Asked, letter: string): boolean {
  switch (letter) {
    case 'e': case 'A': asked.every = true; return true;
    case 'a': asked.terminals = true; return true;
    case 'd': asked.noLeaders = true; return true;
    case 'f': asked.format = 'full'; return true;
    case 'F': asked.format = 'full'; asked.extra = true; return true;
    case 'l': asked.format = 'long'; return true;
    case 'j': asked.format = 'jobs'; return true;
    case 'L': case 'T': asked.threads = true; return true;
    case 'H': asked.forest = true; return true;
    case 'N': asked.negate = true; return true;
    case 'c': case 'y': case 'M': case 'Z': return true;
    default: return false;
  }
}

function bsdLetter(asked: Asked, letter: string): boolean {
  switch (letter) {
    case 'a': asked.bsdA = true; return true;
    case 'x': asked.bsdX = true; return true;
    case 'u': asked.format = 'user'; return true;
    case 'l': asked.format = 'bsd-long'; return true;
    case 'v': asked.format = 'virtual'; return true;
    case 'j': asked.format = 'jobs'; return true;
    case 'f': asked.forest = true; return true;
    case 'e': asked.environment = true; return true;
    case 'h': asked.headers = false; return true;
    case 'H': case 'T': case 'm': asked.threads = true; return true;
    case 'c': case 'n': case 'r': case 'g': return true;
    default: return false;
  }
}

/** "pid,ppid=PARENT,cmd=": the last heading may hold commas. */
function addColumns(asked: Asked, list: string): void {
  const columns = (asked.columns ??= []);
  let rest = list;
  while (rest !== '') {
    const m = /^\s*([%\w-]+)(=)?/.exec(rest);
    if (!m) throw new Usage('improper list');
    const column = columnOf(m[1]!);
    if (!column) throw new Usage(`unknown user-defined format specifier "${m[1]!}"`);
    rest = rest.slice(m[0].length);
    const width = /^:(\d+)/.exec(rest);
    if (width) {
      rest = rest.slice(width[0].length);
      columns.push({ ...column, width: Number(width[1]) });
    } else if (m[2]) {
      const heading = /^[^,]*/.exec(rest)![0];
      columns.push({ ...column, heading, width: heading.length > 0 ? Math.max(column.width === 0 ? 5 : column.width, heading.length) : column.width });
      rest = rest.slice(heading.length);
    } else columns.push(column);
    rest = rest.replace(/^[,\s]+/, '');
  }
}

function choose(asked: Asked, all: readonly Process[], me: Process | null): Process[] {
  const explicit = asked.pids || asked.ppids || asked.sids || asked.commands || asked.users || asked.ttys;
  const mine = (p: Process): boolean => !me || p.euid === me.euid;
  const wanted = (p: Process): boolean => {
    if (asked.every || (asked.bsdA && asked.bsdX)) return true;
    if (asked.pids?.has(p.pid) || asked.ppids?.has(p.ppid) || asked.sids?.has(p.session) || asked.commands?.has(p.comm) || asked.users?.has(p.euid) || asked.ttys?.has(p.tty)) return true;
    if (asked.terminals && p.tty !== '?' && p.session !== p.pid) return true;
    if (asked.noLeaders && p.session !== p.pid) return true;
    if (asked.bsdA) return p.tty !== '?';
    if (asked.bsdX) return mine(p);
    if (explicit || asked.terminals || asked.noLeaders) return false;
    return asked.bsd ? mine(p) && p.tty !== '?' && (!me || p.tty === me.tty) : mine(p) && (!me || p.tty === me.tty);
  };
  return all.filter((p) => wanted(p) !== asked.negate);
}

const FORMATS: Readonly<Record<Asked['format'], string>> = {
  short: 'pid tty time ucmd', full: 'user-ef pid ppid c stime tty time cmd', long: 'f s uid pid ppid c opri ni addr sz wchan tty time ucmd',
  user: 'user pid pcpu pmem vsz rss tty stat bsdstart bsdtime args', bsd: 'pid tty stat bsdtime args', jobs: 'pid pgid sid tty time ucmd',
  'bsd-long': 'f uid pid ppid l-pri ni vsz rss wchan stat tty bsdtime args', virtual: 'pid tty stat bsdtime majflt size vsz rss pmem args',
};

function standard(asked: Asked): Column[] {
  const format = asked.bsd && asked.format === 'short' ? 'bsd' : asked.format;
  let names = FORMATS[format].split(' ');
  if (asked.bsd && format === 'jobs') names = 'ppid pid pgid sid tty tpgid stat uid bsdtime args'.split(' ');
  if (asked.extra) names = 'user-ef pid ppid c sz rss psr stime tty time cmd'.split(' ');
  if (asked.threads) names = names.flatMap((n) => (n === 'c' ? ['lwp', 'c', 'nlwp'] : n === 'tty' && format === 'short' ? ['lwp', 'tty'] : [n]));
  return names.map((n) => (n === 'tty' && format === 'bsd-long' ? { ...COLUMNS.tty!, width: 6 } : COLUMNS[n]!));
}

function order(rows: Shown[], sort: readonly string[]): Shown[] {
  const keys = sort.map((s) => ({ column: columnOf(s.replace(/^[-+]/, '')), down: s.startsWith('-') })).filter((k) => k.column !== null);
  return rows.sort((a, b) => {
    for (const { column, down } of keys) {
      const [x, y] = column!.key ? [column!.key(a), column!.key(b)] : [column!.value(a), column!.value(b)];
      if (x !== y) return (x < y ? -1 : 1) * (down ? -1 : 1);
    }
    return a.process.pid - b.process.pid || a.process.tid - b.process.tid;
  });
}

/** Children under their parents, as --forest draws them; those of pid 1 stand for themselves. */
function forest(rows: Shown[]): Shown[] {
  const byPid = new Map(rows.map((r) => [r.process.pid, r]));
  const out: Shown[] = [];
  const walk = (row: Shown, prefix: string, last: boolean, top: boolean): void => {
    row.branch = top ? '' : `${prefix} \\_ `;
    out.push(row);
    const children = row.process.pid === 1 ? [] : rows.filter((r) => r.process.ppid === row.process.pid && r !== row);
    for (const [i, child] of children.entries()) walk(child, top ? '' : `${prefix} ${last ? ' ' : '|'}  `, i === children.length - 1, false);
  };
  for (const row of rows) if (!byPid.has(row.process.ppid) || row.process.ppid === 1 || row.process.ppid === row.process.pid) walk(row, '', true, true);
  return out;
}

function render(rows: readonly Shown[], columns: readonly Column[], headers: boolean, pidWidth: number, screen: number): string {
  const width = (c: Column): number => Math.max(c.width === 0 ? pidWidth : c.width, c.heading.length);
  const line = (cells: readonly string[]): string => {
    let out = '';
    let over = 0;
    columns.forEach((c, i) => {
      const w = Math.max(0, width(c) - over);
      const cell = cells[i]!;
      const last = i === columns.length - 1;
      const text = c.align === 'right' ? cell.padStart(w) : last ? cell : cell.slice(0, c.heading === 'USER' || c.heading === 'UID' ? undefined : Math.max(w, c.width)).padEnd(w);
      over = text.length > w ? text.length - w : 0;
      out += (i > 0 ? ' ' : '') + text;
    });
    return `${out.slice(0, screen)}\n`;
  };
  const title = headers && columns.some((c) => c.heading !== '') ? line(columns.map((c) => c.heading)) : '';
  return title + rows.map((r) => line(columns.map((c) => c.value(r)))).join('');
}
