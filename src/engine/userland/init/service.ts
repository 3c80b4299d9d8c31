/**
 * The life of one service: started in a cgroup of its own, what it writes goes to the journal, ends are judged, restarts wait ever
 * longer, stopping asks and then kills. Source: systemd.service(5), systemd.kill(5).
 */
import { O_CLOEXEC, O_NONBLOCK, SIG, SysError, exited, termSignal } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { attempt, mkdirAll, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import type { Order, Transient, UnitRow } from './control.ts';
import { addEntry } from './journal.ts';
import { start } from './processes.ts';
import { apply, dropIns } from './resources.ts';
import { sliceDir, slicePath } from './slices.ts';
import type { UnitFile } from './units.ts';

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
  /** Services that wait for those before them, in order. */
  queue: Service[];
  getty: string;
  env: Readonly<Record<string, string>>;
  sessions: number;
  /** Terminals wait for the services' start no longer than this, monotonic ns. */
  idleUntil: number;
}

/** StartLimitBurst= and its interval; TimeoutStopSec=. */
const BURST = 5;
const INTERVAL_NS = 10e9;
const STOP_NS = 90e9;
const MAX_BACKOFF_NS = 5e9;
/** TimeoutStartSec= of daemons that say when they are ready. */
const START_NS = 90e9;
/** Where they say it. */
export const NOTIFY = '/run/systemd/notify';

export function created(unit: UnitFile, tty: string | null): Service {
  return {
    unit, active: 'inactive', sub: 'dead', pid: 0, since: 0, code: '', status: 0, exitedPid: 0, result: 'success', restarts: 0, cgroup: `${slicePath(unit.slice)}/${unit.name}`, output: -1, partial: '',
    restartAt: 0, killAt: 0, starts: [], tty, again: false, transient: null, events: -1, began: 0, ran: 0, cpu: 0, peak: 0,
  };
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

export const title = (service: Service): string => `${service.unit.name} - ${service.unit.description}`;

/** Its standard streams are `streams`, or /dev/null and the journal. */
export function* startService(m: Manager, service: Service, streams: readonly number[] = []): Call<void> {
  const now = yield* monotonic();
  service.restartAt = 0;
  service.starts = [...service.starts.filter((t) => now - t < INTERVAL_NS), now];
  const { unit } = service;
  if (service.tty !== null) service.cgroup = `/user.slice/user-0.slice/session-${++m.sessions}.scope`;
  let pipe: readonly [number, number] | null = null;
  try {
    if (service.tty === null) {
      pipe = yield* sys('pipe2', O_CLOEXEC);
      yield* sys('fcntl', pipe[0], 'setfl', O_NONBLOCK);
    }
    if (service.tty === null) {
      yield* sliceDir(unit.slice);
      yield* mkdirAll(`/sys/fs/cgroup${service.cgroup}`);
      yield* apply(`/sys/fs/cgroup${service.cgroup}`, { ...unit.properties, ...(yield* dropIns(unit.name)) });
    }
    service.pid = yield* start({ ...(service.transient ? { user: service.transient, terms: service.transient } : { terms: { limits: unit.limits } }), cgroup: service.cgroup, argv: unit.exec, env: { ...m.env, ...(unit.type === 'notify' ? { NOTIFY_SOCKET: NOTIFY } : {}), ...unit.environment }, output: pipe?.[1] ?? null, streams, cwd: unit.cwd });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    service.result = 'resources';
    yield* become(service, 'failed', 'failed');
    yield* say(service, `${unit.name}: Failed to start: ${error.message}`, 3);
    return;
  } finally {
    if (pipe) yield* sys('close', pipe[1]);
  }
  if (service.output >= 0) yield* attempt(sys('close', service.output), 0);
  service.output = pipe?.[0] ?? -1;
  service.result = 'success';
  service.code = '';
  service.began = now;
  if (unit.type === 'notify') {
    service.killAt = now + START_NS;
    yield* become(service, 'activating', 'start');
    yield* say(service, `Starting ${title(service)}...`);
    return;
  }
  yield* become(service, 'active', 'running');
  yield* say(service, `Started ${title(service)}.`);
}

/** "READY=1" and who says so. */
export function* takeNotice(m: Manager): Call<void> {
  const notice = yield* attempt(sys('recvfrom', m.notified, 4096), null);
  if (!notice) return;
  const said = text(notice.data);
  const service = m.services.find((s) => s.pid > 0 && s.pid === Number(/^MAINPID=(\d+)$/m.exec(said)?.[1]));
  if (!service || !/^READY=1$/m.test(said) || service.sub !== 'start') return;
  service.killAt = 0;
  yield* become(service, 'active', 'running');
  yield* say(service, `Started ${title(service)}.`);
}

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
  const ident = (service.unit.exec[0] ?? '').split('/').pop()!;
  yield* addEntry({ at: yield* sys('clock_gettime', 'realtime'), unit: service.unit.name, ident, pid: service.pid || service.exitedPid, message: line, priority: 6 });
}

export function* ended(m: Manager, service: Service, status: number): Call<void> {
  const { unit } = service;
  const code = exited(status);
  const stopping = service.active === 'deactivating';
  service.exitedPid = service.pid;
  service.pid = 0;
  service.killAt = 0;
  service.code = code === null ? 'killed' : 'exited';
  service.status = code ?? termSignal(status) ?? 0;
  if (service.output >= 0) yield* takeOutput(service);
  yield* signalAll(service, SIG.KILL);
  const starved = service.tty === null && Number(/^oom_kill (\d+)/m.exec((yield* tryRead(`/sys/fs/cgroup${service.cgroup}/memory.events`)) ?? '')?.[1] ?? 0) > 0;
  yield* account(service);
  yield* attempt(sys('unlinkat', -100, `/sys/fs/cgroup${service.cgroup}`, 0x200), 0);
  const clean = stopping || code === 0 || [SIG.TERM, SIG.INT, SIG.HUP, SIG.PIPE].some((s) => s === termSignal(status));
  service.result = clean ? 'success' : starved ? 'oom-kill' : code === null ? 'signal' : 'exit-code';
  if (starved) yield* say(service, `${unit.name}: A process of this unit has been killed by the OOM killer.`, 4);
  if (!clean || code !== 0) yield* say(service, `${unit.name}: Main process exited, code=${service.code}, status=${service.status}/${code === null ? (SIGNAL_NAMES.get(service.status) ?? '?') : exitName(code)}`, clean ? 6 : 5);
  if (!clean) yield* say(service, `${unit.name}: Failed with result '${service.result}'.`, 4);
  if (stopping) {
    yield* become(service, 'inactive', 'dead');
    yield* say(service, `Stopped ${title(service)}.`);
    if (service.again) {
      service.again = false;
      yield* startService(m, service);
    } else if (service.transient && !service.transient.wait) forget(m, service);
    return;
  }
  yield* afterEnd(service, clean);
  if (service.transient && service.pid === 0 && service.restartAt === 0 && !service.transient.wait && (service.transient.collect || service.active === 'inactive')) forget(m, service);
}

/** What its control group tells of the run that is over. */
function* account(service: Service): Call<void> {
  const dir = `/sys/fs/cgroup${service.cgroup}`;
  service.ran = (yield* monotonic()) - service.began;
  service.cpu = Number(/^usage_usec (\d+)/m.exec((yield* tryRead(`${dir}/cpu.stat`)) ?? '')?.[1] ?? 0) * 1000;
  service.peak = Number((yield* tryRead(`${dir}/memory.peak`)) ?? 0);
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

/** Restart=, with ever longer waits, or the end. */
function* afterEnd(service: Service, clean: boolean): Call<void> {
  const { unit } = service;
  if (clean && service.transient?.remain) {
    yield* become(service, 'active', 'exited');
    return;
  }
  const now = yield* monotonic();
  const wanted = unit.restart === 'always' || (unit.restart === 'on-failure' && !clean);
  const recent = service.starts.filter((t) => now - t < INTERVAL_NS).length;
  if (!wanted || (service.tty === null && recent >= BURST)) {
    if (wanted) {
      yield* say(service, `${unit.name}: Start request repeated too quickly.`, 4);
      service.result = 'start-limit-hit';
    }
    yield* become(service, wanted || !clean ? 'failed' : 'inactive', wanted || !clean ? 'failed' : 'dead');
    return;
  }
  service.restarts++;
  service.restartAt = now + Math.min(MAX_BACKOFF_NS, Math.max(unit.restartAfter, 50e6) * 2 ** Math.max(0, recent - 1));
  yield* become(service, 'activating', 'auto-restart');
  yield* say(service, `${unit.name}: Scheduled restart job, restart counter is at ${service.restarts}.`);
}

export function* stopService(service: Service): Call<void> {
  service.restartAt = 0;
  if (service.pid === 0) {
    if (service.active !== 'inactive' && service.active !== 'failed') yield* become(service, 'inactive', 'dead');
    return;
  }
  if (service.active === 'deactivating') return;
  yield* become(service, 'deactivating', 'stop-sigterm');
  yield* say(service, `Stopping ${title(service)}...`);
  service.killAt = (yield* monotonic()) + STOP_NS;
  yield* signalAll(service, SIG.TERM);
}

/** KillMode=control-group: every process of the cgroup; process: the first alone (containerd's shims go on). */
export function* signalAll(service: Service, signal: number): Call<void> {
  if (service.unit.killMode === 'process') {
    if (service.pid > 0) yield* attempt(sys('kill', service.pid, signal), 0);
    return;
  }
  const pids = new Set([service.pid, ...((yield* tryRead(`/sys/fs/cgroup${service.cgroup}/cgroup.procs`)) ?? '').split('\n').filter(Boolean).map(Number)]);
  for (const pid of pids) if (pid > 0) yield* attempt(sys('kill', pid, signal), 0);
}

export function forget(m: Manager, service: Service): void {
  m.services = m.services.filter((s) => s !== service);
}
