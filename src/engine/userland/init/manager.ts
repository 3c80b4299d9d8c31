/**
 * The service manager in process 1: slices with their controllers, services from unit files each in a cgroup of system.slice, restarts,
 * the journal's writer, login shells in scopes of user.slice, and orders from systemctl. One loop over poll: children that ended (a pipe
 * that SIGCHLD writes to), services' output, orders, deadlines. Source: systemd(1), systemd.service(5).
 */
import { AF_UNIX, O_CLOEXEC, O_NONBLOCK, O_RDONLY, POLLIN, POLLPRI, SIG, SOCK_DGRAM, SOCK_STREAM, SysError, WNOHANG, exited, termSignal } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { attempt, exists, mkdirAll, poke, tryRead } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { type Answer, type Order, SOCKET, type Transient, type UnitRow } from './control.ts';
import { addEntry, openJournal } from './journal.ts';
import { childPipe, start } from './processes.ts';
import { apply, BadProperty, dropIns, wholeOf, writesOf } from './resources.ts';
import { sliceDir, slicePath } from './slices.ts';
import { inOrder, readUnits, type UnitFile, WANTS_DIR } from './units.ts';

interface Service {
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
  /** Of a scope: cgroup.events, which tells when nobody is in it any more; -1 none. */
  events: number;
}

interface Connection {
  fd: number;
  held: string;
  order: Order | null;
  failed: Set<string>;
  error: string;
  /** Units that there were none of when it was given. */
  missing: string[];
}

interface Manager {
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

const CONTROLLERS = '+cpuset +cpu +io +memory +pids';
const SLICES = ['system.slice', 'user.slice', 'machine.slice', 'user.slice/user-0.slice'];
/** StartLimitBurst= and its interval; TimeoutStopSec=. */
const BURST = 5;
const INTERVAL_NS = 10e9;
const STOP_NS = 90e9;
const MAX_BACKOFF_NS = 5e9;
/** Type=idle waits so long at most; TimeoutStartSec=. */
const IDLE_NS = 5e9;
const START_NS = 90e9;
const NOTIFY = '/run/systemd/notify';

export function* manage(terminals: readonly string[], getty: string, env: Readonly<Record<string, string>>): Call<void> {
  yield* makeSlices();
  yield* openJournal();
  const m: Manager = { services: [], connections: [], children: yield* childPipe(), listener: yield* listen(), notified: yield* listenNotify(), queue: [], idleUntil: 0, getty, env, sessions: 0 };
  const units = inOrder(yield* readUnits());
  yield* firstBoot(units);
  for (const unit of units) m.services.push(created(unit, null));
  for (const tty of terminals) m.services.push(created(gettyUnit(tty, getty), tty));
  for (const service of m.services) if (service.tty !== null || (yield* isEnabled(service.unit))) m.queue.push(service);
  m.idleUntil = (yield* monotonic()) + IDLE_NS;
  for (;;) {
    yield* startReady(m);
    yield* turn(m);
  }
}

/** init.scope for itself, the slices, and every controller handed down. */
function* makeSlices(): Call<void> {
  const root = '/sys/fs/cgroup';
  yield* mkdirAll(`${root}/init.scope`);
  yield* attempt(poke(`${root}/init.scope/cgroup.procs`, '1'), undefined);
  yield* attempt(poke(`${root}/cgroup.subtree_control`, CONTROLLERS), undefined);
  for (const slice of SLICES) {
    yield* mkdirAll(`${root}/${slice}`);
    yield* attempt(poke(`${root}/${slice}/cgroup.subtree_control`, CONTROLLERS), undefined);
  }
}

function* listen(): Call<number> {
  const fd = yield* sys('socket', AF_UNIX, SOCK_STREAM, 0);
  yield* sys('fcntl', fd, 'setfd', 1);
  yield* attempt(sys('bind', fd, { family: 'unix', path: SOCKET }), 0);
  yield* sys('listen', fd, 16);
  return fd;
}

function* listenNotify(): Call<number> {
  const fd = yield* sys('socket', AF_UNIX, SOCK_DGRAM, 0);
  yield* sys('fcntl', fd, 'setfd', 1);
  yield* sys('bind', fd, { family: 'unix', path: NOTIFY });
  return fd;
}

/** Starts what no longer waits: After= a service that is not ready yet, or a terminal (Type=idle) while anything starts. */
function* startReady(m: Manager): Call<void> {
  const now = yield* monotonic();
  for (let again = true; again; ) {
    again = false;
    const starting = (s: Service): boolean => m.queue.includes(s) || (s.active === 'activating' && s.sub === 'start');
    for (const service of m.queue.slice()) {
      const waits =
        service.tty === null ? service.unit.after.some((name) => m.services.some((s) => s !== service && s.unit.name === name && starting(s))) : now < m.idleUntil && m.services.some((s) => s.tty === null && starting(s));
      if (waits) continue;
      m.queue = m.queue.filter((s) => s !== service);
      yield* startService(m, service);
      again = true;
    }
  }
}

/** "READY=1" and who says so. */
function* takeNotice(m: Manager): Call<void> {
  const notice = yield* attempt(sys('recvfrom', m.notified, 4096), null);
  if (!notice) return;
  const said = text(notice.data);
  const service = m.services.find((s) => s.pid > 0 && s.pid === Number(/^MAINPID=(\d+)$/m.exec(said)?.[1]));
  if (!service || !/^READY=1$/m.test(said) || service.sub !== 'start') return;
  service.killAt = 0;
  yield* become(service, 'active', 'running');
  yield* say(service, `Started ${title(service)}.`);
}

/** On a disk that never booted every unit that can be enabled is, as presets say. */
function* firstBoot(units: readonly UnitFile[]): Call<void> {
  if (yield* exists(WANTS_DIR)) return;
  yield* mkdirAll(WANTS_DIR);
  for (const unit of units) if (unit.installable) yield* attempt(sys('symlinkat', unit.path, -100, `${WANTS_DIR}/${unit.name}`), 0);
}

export function* isEnabled(unit: UnitFile): Call<boolean> {
  return (yield* attempt(sys('readlinkat', -100, `${WANTS_DIR}/${unit.name}`), null)) !== null;
}

function gettyUnit(tty: string, getty: string): UnitFile {
  return {
    name: `getty@${tty}.service`, path: '/usr/lib/systemd/system/getty@.service', description: `Getty on ${tty}`, after: [], exec: [getty, '--autologin', 'root', tty], environment: {}, cwd: '/',
    type: 'idle', restart: 'always', restartAfter: 0, killMode: 'process', installable: true, slice: 'system.slice', openFiles: null, properties: {},
  };
}

function created(unit: UnitFile, tty: string | null): Service {
  return {
    unit, active: 'inactive', sub: 'dead', pid: 0, since: 0, code: '', status: 0, exitedPid: 0, result: 'success', restarts: 0, cgroup: `${slicePath(unit.slice)}/${unit.name}`, output: -1, partial: '',
    restartAt: 0, killAt: 0, starts: [], tty, again: false, transient: null, events: -1,
  };
}

const monotonic = (): Call<number> => sys('clock_gettime', 'monotonic');

function* become(service: Service, active: Service['active'], sub: string): Call<void> {
  service.active = active;
  service.sub = sub;
  service.since = yield* sys('clock_gettime', 'realtime');
}

/** A line of process 1's own about a unit. */
function* say(service: Service, message: string, priority = 6): Call<void> {
  if (service.tty !== null) return;
  yield* addEntry({ at: yield* sys('clock_gettime', 'realtime'), unit: service.unit.name, ident: 'systemd', pid: 1, message, priority });
}

const title = (service: Service): string => `${service.unit.name} - ${service.unit.description}`;

function* startService(m: Manager, service: Service): Call<void> {
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
    service.pid = yield* start({ ...(service.transient ? { user: service.transient } : {}), cgroup: service.cgroup, argv: unit.exec, env: { ...m.env, ...(unit.type === 'notify' ? { NOTIFY_SOCKET: NOTIFY } : {}), ...unit.environment }, output: pipe?.[1] ?? null, cwd: unit.cwd, openFiles: unit.openFiles });
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
  if (unit.type === 'notify') {
    service.killAt = now + START_NS;
    yield* become(service, 'activating', 'start');
    yield* say(service, `Starting ${title(service)}...`);
    return;
  }
  yield* become(service, 'active', 'running');
  yield* say(service, `Started ${title(service)}.`);
}

// ---- the loop

function* turn(m: Manager): Call<void> {
  const now = yield* monotonic();
  const deadlines = [...m.services.flatMap((s) => [s.restartAt, s.killAt]), m.queue.length > 0 && now < m.idleUntil ? m.idleUntil : 0].filter((t) => t > 0);
  const timeout = deadlines.length === 0 ? -1 : Math.max(0, Math.min(...deadlines) - now);
  const fds = [m.children, m.listener, m.notified, ...m.services.map((s) => s.output).filter((fd) => fd >= 0), ...m.connections.filter((c) => !c.order).map((c) => c.fd)];
  const scopes = m.services.filter((s) => s.events >= 0);
  const ready = yield* attempt(sys('poll', [...fds.map((fd) => ({ fd, events: POLLIN })), ...scopes.map((s) => ({ fd: s.events, events: POLLPRI }))], timeout), [], 'EINTR');
  const has = (fd: number): boolean => ready.some((r) => r.fd === fd && r.revents !== 0);
  for (const service of m.services) if (service.output >= 0 && has(service.output)) yield* takeOutput(service);
  if (has(m.notified)) yield* takeNotice(m);
  if (has(m.children)) yield* attempt(sys('read', m.children, 4096), null);
  yield* reapAll(m);
  for (const connection of m.connections.slice()) if (!connection.order && has(connection.fd)) yield* receive(m, connection);
  if (has(m.listener)) yield* attempt(accept(m), undefined);
  for (const scope of scopes) yield* leaveScope(m, scope);
  yield* due(m);
  for (const connection of m.connections.slice()) if (connection.order) yield* settleOrder(m, connection);
}

function* accept(m: Manager): Call<void> {
  const { fd } = yield* sys('accept4', m.listener, O_CLOEXEC);
  m.connections.push({ fd, held: '', order: null, failed: new Set(), error: '', missing: [] });
}

/** What a service wrote, line by line into the journal. */
function* takeOutput(service: Service): Call<void> {
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

function* reapAll(m: Manager): Call<void> {
  for (;;) {
    const result = yield* attempt(sys('wait4', -1, WNOHANG), null);
    if (!result || result.pid === 0) return;
    const service = m.services.find((s) => s.pid === result.pid);
    if (service) yield* ended(m, service, result.status);
  }
}

function* ended(m: Manager, service: Service, status: number): Call<void> {
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
    } else if (service.transient) forget(m, service);
    return;
  }
  yield* afterEnd(service, clean);
  if (service.transient && service.pid === 0 && service.restartAt === 0 && (service.transient.collect || service.active === 'inactive')) forget(m, service);
}

const SIGNAL_NAMES = new Map<number, string>(Object.entries(SIG).map(([name, number]) => [number, name]));
const exitName = (code: number): string => (code === 0 ? 'SUCCESS' : code === 1 ? 'FAILURE' : code === 203 ? 'EXEC' : 'n/a');

/** Restart=, with ever longer waits, or the end. */
function* afterEnd(service: Service, clean: boolean): Call<void> {
  const { unit } = service;
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

function* due(m: Manager): Call<void> {
  const now = yield* monotonic();
  for (const service of m.services) {
    if (service.restartAt > 0 && service.restartAt <= now) yield* startService(m, service);
    if (service.killAt > 0 && service.killAt <= now) {
      service.killAt = 0;
      yield* say(service, `${service.unit.name}: State '${service.sub === 'start' ? 'start' : 'stop-sigterm'}' timed out. Killing.`, 4);
      if (service.unit.killMode === 'process') yield* attempt(sys('kill', service.pid, SIG.KILL), 0);
      else yield* attempt(poke(`/sys/fs/cgroup${service.cgroup}/cgroup.kill`, '1'), undefined);
    }
  }
}

function* stopService(service: Service): Call<void> {
  service.restartAt = 0;
  if (service.pid === 0) {
    if (service.active !== 'inactive') yield* become(service, 'inactive', 'dead');
    return;
  }
  if (service.active === 'deactivating') return;
  yield* become(service, 'deactivating', 'stop-sigterm');
  yield* say(service, `Stopping ${title(service)}...`);
  service.killAt = (yield* monotonic()) + STOP_NS;
  yield* signalAll(service, SIG.TERM);
}

/** KillMode=control-group: every process of the cgroup; process: the first alone (containerd's shims go on). */
function* signalAll(service: Service, signal: number): Call<void> {
  if (service.unit.killMode === 'process') {
    if (service.pid > 0) yield* attempt(sys('kill', service.pid, signal), 0);
    return;
  }
  const pids = new Set([service.pid, ...((yield* tryRead(`/sys/fs/cgroup${service.cgroup}/cgroup.procs`)) ?? '').split('\n').filter(Boolean).map(Number)]);
  for (const pid of pids) if (pid > 0) yield* attempt(sys('kill', pid, signal), 0);
}

// ---- orders

function* receive(m: Manager, connection: Connection): Call<void> {
  const data = yield* attempt(sys('read', connection.fd, 65536), new Uint8Array(0));
  connection.held += text(data);
  if (!connection.held.includes('\n')) {
    if (data.length === 0 || connection.held.length > 65536) yield* hangUp(m, connection);
    return;
  }
  let order: Order;
  try {
    order = JSON.parse(connection.held.split('\n')[0]!) as Order;
  } catch {
    yield* hangUp(m, connection);
    return;
  }
  connection.order = order;
  if (order.verb === 'start' || order.verb === 'restart') yield* reload(m);
  connection.missing = order.units.filter((name) => !m.services.some((s) => s.unit.name === name));
  connection.error = yield* obey(m, order);
}

function* hangUp(m: Manager, connection: Connection): Call<void> {
  m.connections = m.connections.filter((c) => c !== connection);
  yield* attempt(sys('close', connection.fd), 0);
}

function forget(m: Manager, service: Service): void {
  m.services = m.services.filter((s) => s !== service);
}

// ---- units that no file has

const RUN_DIR = '/run/systemd/transient';

/** A service, or a scope around a process that runs. Why not, or ''. */
function* makeTransient(m: Manager, t: Transient, scope: boolean): Call<string> {
  if (m.services.some((s) => s.unit.name === t.name)) return `Failed to start transient ${scope ? 'scope' : 'service'} unit: Unit ${t.name} was already loaded or has a fragment file.`;
  const unit: UnitFile = {
    name: t.name, path: `${RUN_DIR}/${t.name}`, description: t.description, after: [], exec: t.exec, environment: t.environment, cwd: t.cwd, type: 'simple', restart: t.restart, restartAfter: 100e6,
    killMode: 'control-group', installable: false, slice: t.slice, openFiles: null, properties: t.properties,
  };
  const service = { ...created(unit, null), transient: t };
  if (!scope) {
    m.services.push(service);
    yield* startService(m, service);
    return '';
  }
  const dir = `/sys/fs/cgroup${service.cgroup}`;
  yield* sliceDir(t.slice);
  yield* mkdirAll(dir);
  yield* apply(dir, t.properties);
  if ((yield* attempt(poke(`${dir}/cgroup.procs`, String(t.pid)), null)) === null) return `Failed to start transient scope unit: Process with ID ${t.pid} does not exist.`;
  service.events = yield* attempt(sys('openat', -100, `${dir}/cgroup.events`, O_RDONLY | O_CLOEXEC), -1);
  m.services.push(service);
  yield* become(service, 'active', 'running');
  yield* say(service, `Started ${title(service)}.`);
  return '';
}

/** A scope ends with its last process. */
function* leaveScope(m: Manager, scope: Service): Call<void> {
  const data = yield* attempt(sys('pread64', scope.events, 4096, 0), null);
  if (data !== null && !/^populated 0$/m.test(text(data))) return;
  yield* attempt(sys('close', scope.events), 0);
  scope.events = -1;
  yield* attempt(sys('unlinkat', -100, `/sys/fs/cgroup${scope.cgroup}`, 0x200), 0);
  yield* become(scope, 'inactive', 'dead');
  yield* say(scope, `${scope.unit.name}: Deactivated successfully.`);
  forget(m, scope);
}

/** New settings of a unit that runs. */
function* setProperties(m: Manager, t: Transient): Call<void> {
  const service = m.services.find((s) => s.unit.name === t.name);
  if (service) service.unit = { ...service.unit, properties: { ...service.unit.properties, ...t.properties } };
  yield* apply(`/sys/fs/cgroup${service ? service.cgroup : slicePath(t.name)}`, t.properties);
}

/** Settings that are none are refused before anything is done. */
function* fault(order: Order): Call<string> {
  if (!order.transient) return '';
  try {
    writesOf(order.transient.properties, yield* wholeOf());
    return '';
  } catch (error) {
    if (!(error instanceof BadProperty)) throw error;
    return error.message;
  }
}

function* obey(m: Manager, order: Order): Call<string> {
  const wrong = yield* fault(order);
  if (wrong !== '') return wrong;
  if (order.transient && (order.verb === 'run' || order.verb === 'scope')) return yield* makeTransient(m, order.transient, order.verb === 'scope');
  if (order.transient && order.verb === 'set') yield* setProperties(m, order.transient);
  if (order.verb === 'poweroff' || order.verb === 'reboot') yield* shutDown(order.verb);
  if (order.verb === 'reload') yield* reload(m);
  for (const name of order.units) {
    const service = m.services.find((s) => s.unit.name === name);
    if (!service) continue;
    if (order.verb === 'start' && service.pid === 0) {
      service.starts = [];
      yield* startService(m, service);
    } else if (order.verb === 'stop' && service.events >= 0) yield* attempt(poke(`/sys/fs/cgroup${service.cgroup}/cgroup.kill`, '1'), undefined);
    else if (order.verb === 'stop') yield* stopService(service);
    else if (order.verb === 'restart') {
      service.starts = [];
      if (service.pid === 0) yield* startService(m, service);
      else {
        service.again = true;
        yield* stopService(service);
      }
    } else if (order.verb === 'kill') yield* signalAll(service, order.signal ?? SIG.TERM);
    else if (order.verb === 'reset-failed' && service.active === 'failed') {
      yield* become(service, 'inactive', 'dead');
      if (service.transient) forget(m, service);
    }
  }
  return '';
}

/** Reads the unit files again; services that run keep running. */
function* reload(m: Manager): Call<void> {
  for (const unit of inOrder(yield* readUnits())) {
    const known = m.services.find((s) => s.unit.name === unit.name);
    if (known) known.unit = unit;
    else m.services.push(created(unit, null));
  }
}

function* shutDown(verb: 'poweroff' | 'reboot'): Call<void> {
  yield* attempt(sys('kill', -1, SIG.TERM), 0);
  yield* sys('nanosleep', 200e6);
  yield* attempt(sys('kill', -1, SIG.KILL), 0);
  yield* sys('sync');
  yield* sys('reboot', verb === 'reboot' ? 'LINUX_REBOOT_CMD_RESTART' : 'LINUX_REBOOT_CMD_POWER_OFF');
}

/** Answers when the job has come to its end. */
function* settleOrder(m: Manager, connection: Connection): Call<void> {
  const order = connection.order!;
  const named = m.services.filter((s) => order.units.includes(s.unit.name));
  if (named.some((s) => s.active === 'deactivating') && (order.verb === 'stop' || order.verb === 'restart')) return;
  if (named.some((s) => s.active === 'activating' && s.sub === 'start') && (order.verb === 'start' || order.verb === 'restart')) return;
  const answer: Answer = {
    units: (order.verb === 'list' && order.units.length === 0 ? m.services : named).map(rowOf),
    missing: connection.missing,
    failed: order.verb === 'start' || order.verb === 'restart' ? named.filter((s) => s.active === 'failed').map((s) => s.unit.name) : [],
    error: connection.error,
  };
  yield* attempt(writeAll(connection.fd, bytes(JSON.stringify(answer))), undefined);
  yield* hangUp(m, connection);
}

function rowOf(s: Service): UnitRow {
  return {
    name: s.unit.name, description: s.unit.description, path: s.unit.path, active: s.active, sub: s.sub, pid: s.pid, since: s.since, code: s.code, status: s.status, exitedPid: s.exitedPid,
    result: s.result, cgroup: s.cgroup, restarts: s.restarts, properties: s.unit.properties,
  };
}
