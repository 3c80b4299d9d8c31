/**
 * What systemctl, systemd-run and shutdown ask of the manager: an order a connection, carried out at once, answered when its job has come
 * to its end. Units that no file has (transient services and scopes) are made here. Source: systemctl(1), systemd-run(1).
 */
import { O_CLOEXEC, O_RDONLY, SIG } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { attempt, exists, mkdirAll, poke, tryRead } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import type { Answer, Order, Transient, UnitRow } from './control.ts';
import { apply, BadProperty, wholeOf, writesOf } from './resources.ts';
import { become, type Connection, created, forget, type Manager, say, type Service, signalAll, startService, stopService, title } from './service.ts';
import { isSlice, sliceDir, slicePath } from './slices.ts';
import { inOrder, readUnits, type UnitFile } from './units.ts';

export function* receive(m: Manager, connection: Connection): Call<void> {
  const { data, fds } = yield* attempt(sys('recvmsg', connection.fd, 65536), { data: new Uint8Array(0), fds: [] as number[] });
  connection.fds.push(...fds);
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
  connection.missing = [];
  for (const name of order.units) {
    const known = m.services.some((s) => s.unit.name === name) || (isSlice(name) && (yield* exists(`/sys/fs/cgroup${slicePath(name)}`)));
    if (!known) connection.missing.push(name);
  }
  connection.error = yield* obey(m, order, connection.fds);
  for (const fd of connection.fds.splice(0)) yield* attempt(sys('close', fd), 0);
}

function* hangUp(m: Manager, connection: Connection): Call<void> {
  m.connections = m.connections.filter((c) => c !== connection);
  yield* attempt(sys('close', connection.fd), 0);
}

// ---- units that no file has

const RUN_DIR = '/run/systemd/transient';

/** DefaultTasksMax=. */
const DEFAULTS: Readonly<Record<string, string>> = { TasksMax: '15%' };

/** A service, or a scope around a process that runs. Why not, or ''. */
function* makeTransient(m: Manager, t: Transient, scope: boolean, streams: readonly number[]): Call<string> {
  if (m.services.some((s) => s.unit.name === t.name)) return `Failed to start transient ${scope ? 'scope' : 'service'} unit: Unit ${t.name} was already loaded or has a fragment file.`;
  const unit: UnitFile = {
    name: t.name, path: `${RUN_DIR}/${t.name}`, description: t.description, after: [], exec: t.exec, environment: t.environment, cwd: t.cwd, type: 'simple', restart: t.restart, restartAfter: t.restartAfter ?? 100e6,
    killMode: 'control-group', installable: false, slice: t.slice, limits: {}, properties: { ...DEFAULTS, ...t.properties },
  };
  const service = { ...created(unit, null), transient: t };
  if (!scope) {
    m.services.push(service);
    yield* startService(m, service, streams);
    return '';
  }
  const dir = `/sys/fs/cgroup${service.cgroup}`;
  yield* sliceDir(t.slice);
  yield* mkdirAll(dir);
  yield* apply(dir, unit.properties);
  if ((yield* attempt(poke(`${dir}/cgroup.procs`, String(t.pid)), null)) === null) return `Failed to start transient scope unit: Process with ID ${t.pid} does not exist.`;
  service.events = yield* attempt(sys('openat', -100, `${dir}/cgroup.events`, O_RDONLY | O_CLOEXEC), -1);
  // What is read now is what a change is told against.
  if (service.events >= 0) yield* attempt(sys('pread64', service.events, 4096, 0), null);
  m.services.push(service);
  yield* become(service, 'active', 'running');
  yield* say(service, `Started ${title(service)}.`);
  return '';
}

/** A scope ends with its last process. */
export function* leaveScope(m: Manager, scope: Service): Call<void> {
  const data = yield* attempt(sys('pread64', scope.events, 4096, 0), null);
  if (data !== null && !/^populated 0$/m.test(text(data))) return;
  yield* attempt(sys('close', scope.events), 0);
  scope.events = -1;
  const starved = Number(/^oom_kill (\d+)/m.exec((yield* tryRead(`/sys/fs/cgroup${scope.cgroup}/memory.events`)) ?? '')?.[1] ?? 0) > 0;
  yield* attempt(sys('unlinkat', -100, `/sys/fs/cgroup${scope.cgroup}`, 0x200), 0);
  if (starved) {
    scope.result = 'oom-kill';
    yield* become(scope, 'failed', 'failed');
    yield* say(scope, `${scope.unit.name}: Failed with result 'oom-kill'.`, 4);
    if (scope.transient?.collect) forget(m, scope);
    return;
  }
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

function* obey(m: Manager, order: Order, streams: readonly number[]): Call<string> {
  const wrong = yield* fault(order);
  if (wrong !== '') return wrong;
  if (order.transient && (order.verb === 'run' || order.verb === 'scope')) return yield* makeTransient(m, order.transient, order.verb === 'scope', streams);
  if (order.transient && order.verb === 'set') yield* setProperties(m, order.transient);
  if (order.verb === 'poweroff' || order.verb === 'reboot') yield* shutDown(order.verb);
  if (order.verb === 'reload') yield* reload(m);
  // A slice takes what lies in it along.
  const slices = order.verb === 'stop' ? order.units.filter(isSlice).map(slicePath) : [];
  const within = m.services.filter((s) => slices.some((path) => s.cgroup.startsWith(`${path}/`))).map((s) => s.unit.name);
  for (const name of [...order.units, ...within]) {
    const service = m.services.find((s) => s.unit.name === name);
    if (!service) continue;
    if (order.verb === 'start' && service.pid === 0 && service.active !== 'active') {
      service.starts = [];
      yield* startService(m, service);
    } else if (order.verb === 'stop' && service.events >= 0) yield* attempt(poke(`/sys/fs/cgroup${service.cgroup}/cgroup.kill`, '1'), undefined);
    else if (order.verb === 'stop') {
      yield* stopService(service);
      if (service.transient && service.pid === 0 && service.active === 'inactive') forget(m, service);
    }
    else if (order.verb === 'restart') {
      service.starts = [];
      if (service.pid === 0) yield* startService(m, service);
      else {
        service.again = true;
        yield* stopService(service);
      }
    } else if (order.verb === 'forget' && service.transient) {
      service.transient = { ...service.transient, wait: false };
      if (service.pid === 0 && service.restartAt === 0 && (service.transient.collect || service.active === 'inactive')) forget(m, service);
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
  // Every child that ends wakes the sleeper.
  for (let i = 0; i < 20; i++) yield* attempt(sys('nanosleep', 10e6), 0, 'EINTR');
  yield* attempt(sys('kill', -1, SIG.KILL), 0);
  yield* attempt(sys('sync'), 0, 'EINTR');
  yield* sys('reboot', verb === 'reboot' ? 'LINUX_REBOOT_CMD_RESTART' : 'LINUX_REBOOT_CMD_POWER_OFF');
}

/** Answers when the job has come to its end. */
export function* settleOrder(m: Manager, connection: Connection): Call<void> {
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
    result: s.result, cgroup: s.cgroup, restarts: s.restarts, restart: s.unit.restart, type: s.unit.type, killMode: s.unit.killMode, nice: s.transient?.nice ?? 0, oomScoreAdjust: s.transient?.oomScoreAdjust ?? 0,
    ran: s.ran, cpu: s.cpu, peak: s.peak, exec: s.unit.exec, properties: s.unit.properties,
  };
}
