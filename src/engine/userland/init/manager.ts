/**
 * The service manager in process 1: slices with their controllers, services from unit files each in a cgroup of system.slice, login shells
 * in scopes of user.slice. One loop over poll: children that ended (a pipe that SIGCHLD writes to), services' output, orders, deadlines.
 * Source: systemd(1).
 */
import { AF_UNIX, AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_RDONLY, POLLIN, POLLPRI, SOCK_DGRAM, SOCK_STREAM, WNOHANG } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, exists, mkdirAll, poke } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { SOCKET } from './control.ts';
import { openJournal } from './journal.ts';
import { ended, again, overdue, startService, takeNotice } from './life.ts';
import { leaveScope, receive, settleOrder, startUnit } from './orders.ts';
import { childPipe } from './processes.ts';
import { created, type Manager, monotonic, NOTIFY, type Service, takeOutput } from './service.ts';
import { elapse, nextTimer, settleTimers } from './timers.ts';
import { inOrder, isEnabled, plainUnit, readUnits, type UnitFile, WANTS_DIR } from './units.ts';

const CONTROLLERS = '+cpuset +cpu +io +memory +pids';
/** What sessions and their managers are given; other slices have what was asked for in them. */
const USER_CONTROLLERS = '+cpu +memory +pids';
const SLICES = ['system.slice', 'user.slice', 'machine.slice', 'user.slice/user-0.slice'];
/** Type=idle waits so long at most. */
const IDLE_NS = 5e9;

export function* manage(terminals: readonly string[], getty: string, env: Readonly<Record<string, string>>): Call<void> {
  yield* makeSlices();
  yield* mkdirAll('/run/systemd/system');
  yield* openJournal();
  const m: Manager = { services: [], connections: [], children: yield* childPipe(), listener: yield* listen(), notified: yield* listenNotify(), queue: [], wanted: [], idleUntil: 0, getty, env, sessions: 0, runs: 0 };
  const units = inOrder([...(yield* readUnits())]);
  yield* firstBoot(units);
  for (const unit of units) m.services.push(created(unit, null));
  for (const tty of terminals) m.services.push(created(gettyUnit(tty, getty), tty));
  for (const service of m.services) if (service.tty !== null || (service.unit.load === 'loaded' && (yield* isEnabled(service.unit)))) m.queue.push(service);
  m.idleUntil = (yield* monotonic()) + IDLE_NS;
  for (;;) {
    yield* startReady(m);
    yield* turn(m);
  }
}

/** An open descriptor of the hierarchy's root, so that it is busy as long as pid 1 lives. */
function* pinHierarchy(): Call<void> {
  yield* attempt(sys('openat', AT_FDCWD, '/sys/fs/cgroup', O_RDONLY | O_CLOEXEC), -1);
}

/** init.scope for itself, the slices, and every controller handed down. */
function* makeSlices(): Call<void> {
  yield* pinHierarchy();
  const root = '/sys/fs/cgroup';
  // Held for as long as the manager is: nobody takes the tree away from under it.
  yield* attempt(sys('openat', -100, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1);
  yield* mkdirAll(`${root}/init.scope`);
  yield* attempt(poke(`${root}/init.scope/cgroup.procs`, '1'), undefined);
  yield* attempt(poke(`${root}/cgroup.subtree_control`, CONTROLLERS), undefined);
  for (const slice of SLICES) {
    yield* mkdirAll(`${root}/${slice}`);
    yield* attempt(poke(`${root}/${slice}/cgroup.subtree_control`, slice.startsWith('user') ? USER_CONTROLLERS : CONTROLLERS), undefined);
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
  for (let more = true; more; ) {
    more = false;
    const starting = (s: Service): boolean => m.queue.includes(s) || (s.active === 'activating' && s.sub === 'start');
    for (const service of m.queue.slice()) {
      const waits =
        service.tty === null ? service.unit.after.some((name) => m.services.some((s) => s !== service && s.unit.name === name && starting(s))) : now < m.idleUntil && m.services.some((s) => s.tty === null && starting(s));
      if (waits) continue;
      m.queue = m.queue.filter((s) => s !== service);
      if (service.tty !== null) yield* startService(m, service);
      else yield* startUnit(m, service.unit.name);
      more = true;
    }
  }
}

/** On a disk that never booted every unit that can be enabled is, as presets say. */
function* firstBoot(units: readonly UnitFile[]): Call<void> {
  if (yield* exists(WANTS_DIR)) return;
  yield* mkdirAll(WANTS_DIR);
  for (const unit of units) if (unit.installable && unit.name.endsWith('.service')) yield* attempt(sys('symlinkat', unit.path, -100, `${WANTS_DIR}/${unit.name}`), 0);
}

function gettyUnit(tty: string, getty: string): UnitFile {
  return plainUnit(`getty@${tty}.service`, {
    path: '/usr/lib/systemd/system/getty@.service', description: `Getty on ${tty}`, exec: [getty, '--autologin', 'root', tty], type: 'idle', restart: 'always', restartAfter: 0, killMode: 'process', installable: true,
  });
}

function* turn(m: Manager): Call<void> {
  const now = yield* monotonic();
  const wall = (yield* sys('clock_gettime', 'realtime')) - now;
  const deadlines = [...m.services.flatMap((s) => [s.restartAt, s.killAt, nextTimer(s, wall)]), m.queue.length > 0 && now < m.idleUntil ? m.idleUntil : 0].filter((t) => t > 0);
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
  m.connections.push({ fd, held: '', fds: [], order: null, failed: new Set(), error: '', missing: [] });
}

function* reapAll(m: Manager): Call<void> {
  for (;;) {
    const result = yield* attempt(sys('wait4', -1, WNOHANG), null);
    if (!result || result.pid === 0) return;
    const service = m.services.find((s) => s.pid === result.pid || s.control === result.pid);
    if (service) yield* ended(m, service, result.pid, result.status);
  }
}

function* due(m: Manager): Call<void> {
  const now = yield* monotonic();
  const wall = (yield* sys('clock_gettime', 'realtime')) - now;
  for (const service of m.services.slice()) {
    if (service.restartAt > 0 && service.restartAt <= now) yield* again(m, service);
    if (service.killAt > 0 && service.killAt <= now) yield* overdue(m, service);
    const at = nextTimer(service, wall);
    if (at > 0 && at <= now) yield* elapse(m, service);
  }
  for (const name of m.wanted.splice(0)) yield* startUnit(m, name);
  yield* settleTimers(m);
}
