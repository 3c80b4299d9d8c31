/**
 * What systemctl, systemd-run and shutdown ask of the manager: an order a connection, carried out at once, answered when its job has come
 * to its end. Units that no file has (transient services and scopes) are made here. Source: systemctl(1), systemd-run(1).
 */
import { O_CLOEXEC, O_RDONLY, SIG } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { attempt, exists, list, mkdirAll, poke, tryRead } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import type { Answer, Order, Transient, UnitRow } from './control.ts';
import { apply, BadProperty, wholeOf, writesOf, markDelegated } from './resources.ts';
import { reloadService, startService, stopService } from './life.ts';
import { become, type Connection, created, forget, type Manager, monotonic, say, type Service, signalAll, title } from './service.ts';
import { isSlice, sliceDir, slicePath } from './slices.ts';
import { armTimer, startTimer } from './timers.ts';
import { inOrder, isEnabled, plainUnit, readUnit, readUnits } from './units.ts';

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
  connection.missing = [];
  for (const name of order.units) {
    if (!isSlice(name)) yield* load(m, name);
    if ((order.verb === 'kill' || order.verb === 'reset-failed') && !(yield* isHeld(m, name))) {
      connection.missing.push(name);
      continue;
    }
    const known = m.services.some((s) => s.unit.name === name) || (isSlice(name) && (yield* exists(`/sys/fs/cgroup${slicePath(name)}`)));
    if (!known) connection.missing.push(name);
  }
  connection.error = yield* obey(m, order, [...connection.fds]);
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
  const own = t.unit ?? {};
  const unit = plainUnit(t.name, {
    path: `${RUN_DIR}/${t.name}`, description: t.description, exec: t.exec, environment: t.environment, cwd: t.cwd, restart: t.restart, restartAfter: t.restartAfter ?? 100e6, remain: t.remain ?? false, slice: t.slice, properties: { ...DEFAULTS, ...t.properties },
    ...own, lines: { ExecStart: [{ argv: t.exec, ignore: false }], ...own.lines },
  });
  const service = { ...created(unit, null), transient: t };
  if (!scope) {
    m.services.push(service);
    if (t.timer) yield* makeTimer(m, t);
    else yield* startService(m, service, streams);
    service.streams = [];
    return '';
  }
  const dir = `/sys/fs/cgroup${service.cgroup}`;
  yield* sliceDir(t.slice);
  yield* mkdirAll(dir);
  yield* apply(dir, unit.properties);
  yield* markDelegated(dir, unit.properties);
  if ((yield* attempt(poke(`${dir}/cgroup.procs`, String(t.pid)), null)) === null) return `Failed to start transient scope unit: Process with ID ${t.pid} does not exist.`;
  service.events = yield* attempt(sys('openat', -100, `${dir}/cgroup.events`, O_RDONLY | O_CLOEXEC), -1);
  // What is read now is what a change is told against.
  if (service.events >= 0) yield* attempt(sys('pread64', service.events, 4096, 0), null);
  m.services.push(service);
  yield* become(service, 'active', 'running');
  yield* say(service, `Started ${title(service)}.`);
  return '';
}

/** The timer that starts a service later. */
function* makeTimer(m: Manager, t: Transient): Call<void> {
  const name = t.name.replace(/\.service$/, '.timer');
  const timer = { ...created(plainUnit(name, { path: `${RUN_DIR}/${name}`, description: t.description, timer: t.timer!, slice: '' }), null), transient: { ...t, name } };
  m.services.push(timer);
  yield* startTimer(m, timer);
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
  for (const name of order.units) {
    if (isSlice(name)) yield* obeySlice(m, order, name);
    else yield* obeyUnit(m, order, name);
  }
  return '';
}

/** A slice takes what lies in it along when it stops. */
function* obeySlice(m: Manager, order: Order, name: string): Call<void> {
  if (order.verb === 'start') return yield* sliceDir(name);
  if (order.verb !== 'stop') return;
  const path = slicePath(name);
  const within = m.services.filter((s) => s.cgroup.startsWith(`${path}/`) && s.active !== 'inactive');
  for (const service of within) yield* obeyUnit(m, order, service.unit.name);
  yield* dropSlice(path);
}

/** Slices go with the last that lay in them. */
export function* dropSlice(path: string): Call<void> {
  if (path === '' || /^\/(system|user|machine)\.slice$/.test(path)) return;
  for (const { name, type } of yield* list(`/sys/fs/cgroup${path}`)) if (type === 'dir') yield* dropSlice(`${path}/${name}`);
  yield* attempt(sys('unlinkat', -100, `/sys/fs/cgroup${path}`, 0x200), 0);
}

function* obeyUnit(m: Manager, order: Order, name: string): Call<void> {
  const service = m.services.find((s) => s.unit.name === name);
  if (!service) return;
  const runs = service.active === 'active' || service.active === 'activating';
  switch (order.verb) {
    case 'start': return yield* startUnit(m, name);
    case 'stop': return yield* stopUnit(m, service);
    case 'restart': return yield* restartUnit(m, service);
    case 'try-restart': return runs ? yield* restartUnit(m, service) : undefined;
    case 'reload-unit': return canReload(service) && service.active === 'active' ? yield* reloadService(m, service) : undefined;
    case 'reload-or-restart': return canReload(service) && service.active === 'active' ? yield* reloadService(m, service) : yield* restartUnit(m, service);
    case 'reload-or-try-restart': return !runs ? undefined : canReload(service) && service.active === 'active' ? yield* reloadService(m, service) : yield* restartUnit(m, service);
    case 'forget':
      if (!service.transient) return;
      service.transient = { ...service.transient, wait: false };
      if (service.pid === 0 && service.restartAt === 0 && (service.transient.collect || service.active === 'inactive')) forget(m, service);
      return;
    case 'kill': return yield* signalAll({ ...service, unit: { ...service.unit, killMode: 'control-group' } }, order.signal ?? SIG.TERM);
    case 'reset-failed':
      service.starts = [];
      if (service.active !== 'failed') return;
      yield* become(service, 'inactive', 'dead');
      service.result = 'success';
      if (service.transient) forget(m, service);
  }
}

const canReload = (service: Service): boolean => (service.unit.lines.ExecReload ?? []).length > 0;

/** A unit with what it wants and requires; why it cannot be, is found out by whoever asked. */
export function* startUnit(m: Manager, name: string, above: readonly string[] = []): Call<void> {
  if (isSlice(name)) return yield* sliceDir(name);
  yield* load(m, name);
  const service = m.services.find((s) => s.unit.name === name);
  if (!service || service.unit.load !== 'loaded' || above.includes(name)) return;
  const { unit } = service;
  const waits = service.active === 'active' || (service.active === 'activating' && service.sub !== 'auto-restart') || m.queue.includes(service);
  for (const other of unit.conflicts) {
    const known = m.services.find((s) => s.unit.name === other);
    if (known && known.active === 'active') yield* stopUnit(m, known);
  }
  for (const other of [...unit.requires, ...unit.wants]) yield* startUnit(m, other, [...above, name]);
  if (waits) return;
  const first = unit.requires.find((other) => m.services.find((s) => s.unit.name === other)?.active === 'failed' || !m.services.some((s) => s.unit.name === other && s.unit.load === 'loaded'));
  if (first !== undefined && !isSlice(first)) {
    service.result = 'dependency';
    service.startFailed = true;
    return yield* say(service, `Dependency failed for ${title(service)}.`, 4);
  }
  const starting = unit.after.some((other) => m.services.some((s) => s !== service && s.unit.name === other && (m.queue.includes(s) || (s.active === 'activating' && s.sub !== 'auto-restart'))));
  if (starting) {
    m.queue.push(service);
    return;
  }
  if (unit.timer) return yield* startTimer(m, service);
  if (name.endsWith('.target')) {
    yield* become(service, 'active', 'active');
    return yield* say(service, `Reached target ${title(service)}.`);
  }
  yield* startService(m, service);
}

function* stopUnit(m: Manager, service: Service): Call<void> {
  const { name } = service.unit;
  for (const other of m.services.filter((s) => s.unit.requires.includes(name) && s.active === 'active')) yield* stopUnit(m, other);
  if (service.events >= 0) return void (yield* attempt(poke(`/sys/fs/cgroup${service.cgroup}/cgroup.kill`, '1'), undefined));
  if (service.unit.timer || name.endsWith('.target')) {
    if (service.active !== 'active') return;
    yield* become(service, 'inactive', 'dead');
    yield* say(service, `Stopped ${service.unit.timer ? '' : 'target '}${title(service)}.`);
    if (service.transient) {
      forget(m, service);
      const target = m.services.find((s) => s.unit.name === service.unit.timer?.unit);
      if (target?.transient && target.active === 'inactive') forget(m, target);
    }
    return;
  }
  yield* stopService(m, service);
  if (service.transient && service.pid === 0 && service.active === 'inactive') forget(m, service);
}

function* restartUnit(m: Manager, service: Service): Call<void> {
  const name = service.unit.name;
  if (service.unit.load !== 'loaded') return;
  if (service.unit.timer || name.endsWith('.target')) {
    yield* stopUnit(m, service);
    return yield* startUnit(m, name);
  }
  if (service.active === 'inactive' || service.active === 'failed' || service.sub === 'auto-restart') {
    service.restartAt = 0;
    if (service.active === 'activating') yield* become(service, 'inactive', 'dead');
    return yield* startUnit(m, name);
  }
  service.again = true;
  yield* stopService(m, service);
}

/** A unit comes from its file when it is named; what is neither up nor failed is read anew, since the manager forgets such. */
function* load(m: Manager, name: string): Call<void> {
  const known = m.services.find((s) => s.unit.name === name);
  if (known && (known.transient || known.tty !== null || m.queue.includes(known))) return;
  if (known && known.active !== 'inactive') return;
  const unit = yield* readUnit(name);
  if (unit && known && !(yield* isHeld(m, name))) {
    Object.assign(known, created(unit, null));
  } else if (unit && known) {
    known.unit = unit;
    if (unit.load !== 'loaded' && known.unit.text !== unit.text) yield* complainOf(known);
  } else if (unit) {
    const service = created(unit, null);
    m.services.push(service);
    yield* complainOf(service);
  } else if (known) forget(m, known);
}

/** Up, failed, or wanted by what is up: such a unit the manager remembers. */
function* isHeld(m: Manager, name: string): Call<boolean> {
  const service = m.services.find((s) => s.unit.name === name);
  if (!service) return isSlice(name);
  if (service.active !== 'inactive' || service.transient !== null || service.tty !== null || (yield* isEnabled(service.unit))) return true;
  return m.services.some((s) => s.active === 'active' && (s.unit.wants.includes(name) || s.unit.requires.includes(name) || s.unit.timer?.unit === name));
}

/** What is wrong with its file goes to the journal. */
function* complainOf(service: Service): Call<void> {
  for (const { path, line, text: said } of service.unit.problems) yield* say(service, path === '' ? said : `${path}:${line}: ${said}`, 4);
}

/** Reads the unit files again; services that run keep running. */
function* reload(m: Manager): Call<void> {
  for (const unit of inOrder(yield* readUnits())) {
    const known = m.services.find((s) => s.unit.name === unit.name);
    if (known && (known.transient || known.tty !== null)) continue;
    if (known) known.unit = unit;
    else m.services.push(created(unit, null));
    if (unit.text !== known?.unit.text || unit.problems.length > 0) yield* complainOf(m.services.find((s) => s.unit === unit)!);
  }
  for (const service of m.services.slice()) {
    if (service.transient || service.tty !== null) continue;
    if (/@./.test(service.unit.name)) service.unit = (yield* readUnit(service.unit.name)) ?? service.unit;
    if (service.active === 'inactive' && (yield* readUnit(service.unit.name)) === null) forget(m, service);
    if (service.unit.timer && service.active === 'active' && service.sub === 'waiting') yield* armTimer(m, service, false);
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
  const asks = ['run', 'start', 'stop', 'restart', 'try-restart', 'reload-unit', 'reload-or-restart', 'reload-or-try-restart'].includes(order.verb);
  if (asks && order.block !== false && named.some((s) => s.active === 'deactivating' || s.again || s.sub === 'reload' || m.queue.includes(s) || (s.active === 'activating' && s.sub !== 'auto-restart'))) return;
  if (order.verb === 'stop') for (const name of order.units.filter(isSlice)) yield* dropSlice(slicePath(name));
  const rows: UnitRow[] = [];
  const wall = (yield* sys('clock_gettime', 'realtime')) - (yield* monotonic());
  for (const service of order.verb === 'list' && order.units.length === 0 ? m.services : named) rows.push(rowOf(service, yield* isStale(service), wall));
  const starts = order.verb !== 'stop' && asks;
  const failed = starts ? named.filter((s) => (order.verb.startsWith('reload') && s.reloadFailed) || (order.verb !== 'reload-unit' && s.startFailed)) : [];
  for (const service of named) service.reloadFailed = false;
  const answer: Answer = {
    units: rows,
    missing: connection.missing,
    failed: failed.map((s) => s.unit.name),
    reasons: Object.fromEntries(failed.map((s) => [s.unit.name, s.result])),
    refused: starts ? named.flatMap((s) => refusal(order, s)) : [],
    error: connection.error,
  };
  yield* attempt(writeAll(connection.fd, bytes(JSON.stringify(answer))), undefined);
  yield* hangUp(m, connection);
}

function refusal(order: Order, s: Service): NonNullable<Answer['refused']> {
  const { name, load: state } = s.unit;
  if (state !== 'loaded') return [{ name, why: state }];
  return order.verb === 'reload-unit' && (!canReload(s) || s.active !== 'active') ? [{ name, why: 'not-applicable' }] : [];
}

/** Its file is another than when it was read. */
function* isStale(s: Service): Call<boolean> {
  return s.unit.text !== '' && s.transient === null && s.tty === null && (yield* tryRead(s.unit.path)) !== s.unit.text;
}

function rowOf(s: Service, stale: boolean, wall: number): UnitRow {
  return {
    unit: { ...s.unit, text: '', problems: [] },
    name: s.unit.name, description: s.unit.description, path: s.unit.path, active: s.active, sub: s.sub, pid: s.pid, since: s.since, code: s.code, status: s.status, exitedPid: s.exitedPid,
    result: s.result, cgroup: s.cgroup, restarts: s.restarts, restart: s.unit.restart, type: s.unit.type, killMode: s.unit.killMode, nice: s.transient?.nice ?? s.unit.nice, oomScoreAdjust: s.transient?.oomScoreAdjust ?? s.unit.oomScoreAdjust,
    ran: s.ran, cpu: s.cpu, peak: s.peak, exec: s.unit.exec, properties: s.unit.properties, load: s.unit.load, stale, control: s.control, past: s.past, problem: s.unit.problems.at(-1)?.text ?? '', invocation: s.invocation, documentation: s.unit.documentation, slice: s.unit.slice,
    triggers: s.unit.timer?.unit ?? '', next: s.nextDate > 0 ? s.nextDate : s.next > 0 ? s.next + wall : 0, lastTrigger: s.lastTrigger,
  };
}
