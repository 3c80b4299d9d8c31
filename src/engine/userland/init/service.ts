/**
 * What the manager keeps of a service, what is told of it, and what its processes write into the journal. Its life is in life.ts.
 * Source: systemd.service(5), systemd.kill(5).
 */
import { SIG } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { attempt, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import type { Order, Transient, UnitRow } from './control.ts';
import { addEntry } from './journal.ts';
import { slicePath } from './slices.ts';
import type { Line, Phase, UnitFile } from './units.ts';

export interface Service {
  unit: UnitFile;
  active: UnitRow['active'];
  sub: string;
  pid: number;
  since: number;
  code: UnitRow['code'];
  status: number;
  exitedPid: number;
  result: string;
  restarts: number;
  cgroup: string;
  /** Reading end of its output; -1 none. */
  output: number;
  partial: string;
  /** Monotonic ns: when to start again, when to kill what does not stop; 0 never. */
  restartAt: number;
  killAt: number;
  /** Starts within the last ten seconds, monotonic ns. */
  starts: number[];
  /** The process of a command before, beside or after the main one; 0 none. */
  control: number;
  /** Commands that the present phase has still to run, the one that runs first. */
  todo: readonly Line[];
  phase: Phase | null;
  /** Writing end of its output; -1 none. */
  input: number;
  /** A stop was asked for, not only come to. */
  stopping: boolean;
  reloadFailed: boolean;
  /** Of its present or last run, 32 hex digits. */
  invocation: string;
  /** What to say when the end of it is its success; else ''. */
  finished: string;
  /** What a deadline that has passed means. */
  deadline: 'start' | 'stop' | 'final' | 'run';
  /** Its last start did not come to its end. */
  startFailed: boolean;
  /** Descriptors 0, 1 and 2 of what it starts (--pipe). */
  streams: readonly number[];
  /** Commands that have ended in this run, for `status`. */
  past: Past[];
  /** Of a timer: when it goes off next by the monotonic clock and by the date, and when it last did, ns; 0 never. */
  next: number;
  nextDate: number;
  lastTrigger: number;
  /** Monotonic ns of its last start and its last end; 0 never. */
  activeAt: number;
  inactiveAt: number;
  /** A login on this terminal, not a unit of a file. */
  tty: string | null;
  again: boolean;
  /** What no file has: forgotten when it is over. */
  transient: Transient | null;
  /** What its last run took: ns from start to end, CPU ns, bytes at most. */
  began: number;
  ran: number;
  cpu: number;
  peak: number;
  /** Of a scope: cgroup.events, which tells when nobody is in it any more; -1 none. */
  events: number;
}

/** A command that has ended. */
export interface Past {
  phase: string;
  argv: readonly string[];
  pid: number;
  code: 'exited' | 'killed';
  status: number;
  ignored: boolean;
}

export interface Connection {
  fd: number;
  /** Received with the order: standard streams for what it starts. */
  fds: number[];
  held: string;
  order: Order | null;
  failed: Set<string>;
  error: string;
  /** Units that there were none of when it was given. */
  missing: string[];
}

export interface Manager {
  services: Service[];
  connections: Connection[];
  children: number;
  listener: number;
  /** Where daemons of Type=notify say that they are ready. */
  notified: number;
  /** Units to start because of others, by name. */
  wanted: string[];
  /** Services that wait for those before them, in order. */
  queue: Service[];
  getty: string;
  env: Readonly<Record<string, string>>;
  sessions: number;
  /** Services started so far. */
  runs: number;
  /** Terminals wait for the services' start no longer than this, monotonic ns. */
  idleUntil: number;
}

/** Where they say it. */
export const NOTIFY = '/run/systemd/notify';

export function created(unit: UnitFile, tty: string | null): Service {
  return {
    unit, active: 'inactive', sub: 'dead', pid: 0, since: 0, code: '', status: 0, exitedPid: 0, result: 'success', restarts: 0, cgroup: /\.(service|scope)$/.test(unit.name) ? cgroupOf(unit) : '', output: -1, partial: '',
    restartAt: 0, killAt: 0, starts: [], tty, again: false, transient: null, events: -1, began: 0, ran: 0, cpu: 0, peak: 0, control: 0, todo: [], phase: null, input: -1, stopping: false, reloadFailed: false, invocation: '', finished: '', deadline: 'stop', startFailed: false, streams: [], past: [], next: 0, nextDate: 0, lastTrigger: 0, activeAt: 0, inactiveAt: 0,
  };
}


/** Where its processes live; instances of a template share a slice of the template's name. */
export function cgroupOf(unit: UnitFile): string {
  const template = /^(.+)@[^.]*\.service$/.exec(unit.name)?.[1];
  const slice = unit.slice === 'system.slice' && template !== undefined ? `system-${template.replaceAll('-', '\\x2d')}.slice` : unit.slice;
  return `${slicePath(slice)}/${unit.name}`;
}

export const monotonic = (): Call<number> => sys('clock_gettime', 'monotonic');

export function* become(service: Service, active: Service['active'], sub: string): Call<void> {
  service.active = active;
  service.sub = sub;
  service.since = yield* sys('clock_gettime', 'realtime');
}

/** A line of process 1's own about a unit. */
export function* say(service: Service, message: string, priority = 6): Call<void> {
  if (service.tty !== null) return;
  yield* addEntry({ at: yield* sys('clock_gettime', 'realtime'), unit: service.unit.name, ident: 'systemd', pid: 1, message, priority });
}

export const title = ({ unit: { name, description } }: Service): string => (description === name || description === '' ? name : `${name} - ${description}`);

/** What a service wrote, line by line into the journal. */
export function* takeOutput(service: Service): Call<void> {
  const data = yield* attempt(sys('read', service.output, 65536), null, 'EAGAIN', 'EINTR');
  if (data === null) return;
  if (data.length === 0) {
    yield* sys('close', service.output);
    service.output = -1;
    if (service.partial !== '') yield* logLine(service, service.partial);
    service.partial = '';
    return;
  }
  const lines = (service.partial + text(data)).split('\n');
  service.partial = lines.pop()!;
  for (const line of lines) yield* logLine(service, line);
}

function* logLine(service: Service, line: string): Call<void> {
  const ident = ((service.control > 0 ? service.todo[0]?.argv : service.unit.exec)?.[0] ?? '').split('/').pop()!;
  yield* addEntry({ at: yield* sys('clock_gettime', 'realtime'), unit: service.unit.name, ident, pid: service.control || service.pid || service.exitedPid, message: line, priority: 6 });
}

const SIGNAL_NAMES = new Map<number, string>(Object.entries(SIG).map(([name, number]) => [number, name]));

/** Names of exit statuses: libc's, LSB's, the manager's own. Source: systemd.exec(5). */
const EXIT_NAMES: Readonly<Record<number, string>> = {
  0: 'SUCCESS', 1: 'FAILURE', 2: 'INVALIDARGUMENT', 3: 'NOTIMPLEMENTED', 4: 'NOPERMISSION', 5: 'NOTINSTALLED', 6: 'NOTCONFIGURED', 7: 'NOTRUNNING', 64: 'USAGE', 65: 'DATAERR', 66: 'NOINPUT', 67: 'NOUSER',
  68: 'NOHOST', 69: 'UNAVAILABLE', 70: 'SOFTWARE', 71: 'OSERR', 72: 'OSFILE', 73: 'CANTCREAT', 74: 'IOERR', 75: 'TEMPFAIL', 76: 'PROTOCOL', 77: 'NOPERM', 78: 'CONFIG', 200: 'CHDIR', 201: 'NICE', 202: 'FDS', 203: 'EXEC',
  204: 'MEMORY', 205: 'LIMITS', 206: 'OOM_ADJUST', 216: 'GROUP', 217: 'USER', 255: 'EXCEPTION',
};
export const exitName = (code: number): string => EXIT_NAMES[code] ?? 'n/a';
export const signalName = (signal: number): string => SIGNAL_NAMES.get(signal) ?? '?';

/** Whoever is in its control group. */
export function* members(service: Service): Call<string[]> {
  return ((yield* tryRead(`/sys/fs/cgroup${service.cgroup}/cgroup.procs`)) ?? '').split('\n').filter(Boolean);
}

/** KillMode=control-group: every process of the cgroup; process, and mixed until the last signal: the main one alone (containerd's shims go on). */
export function* signalAll(service: Service, signal: number): Call<void> {
  const mode = service.unit.killMode;
  const alone = mode === 'process' || mode === 'none' || (mode === 'mixed' && signal !== SIG.KILL);
  const pids = new Set([service.pid, service.control, ...(alone ? [] : (yield* members(service)).map(Number))]);
  for (const pid of pids) if (pid > 0) yield* attempt(sys('kill', pid, signal), 0);
}

export function forget(m: Manager, service: Service): void {
  m.services = m.services.filter((s) => s !== service);
}
