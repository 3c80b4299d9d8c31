/**
 * The life of one service, phase by phase: conditions and commands before, the main process, commands after; reload; commands that stop
 * it, signals, commands after the stop; then the end, or a restart. Source: systemd.service(5), src/core/service.c.
 */
import { exited, O_CLOEXEC, O_NONBLOCK, SIG, SysError, termSignal } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { attempt, mkdirAll, poke, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { start } from './processes.ts';
import { apply, dropIns, markDelegated } from './resources.ts';
import { become, exitName, forget, type Manager, members, monotonic, NOTIFY, say, type Service, signalAll, signalName, takeOutput, title } from './service.ts';
import { formatSpan } from './span.ts';
import { sliceDir } from './slices.ts';
import { environmentFrom, type Line, type Phase } from './units.ts';

/** What a run must have taken to be worth a line: CPU ns, bytes. Source: src/core/unit.c. */
const MENTIONED_CPU = 1e9;
const MENTIONED_MEMORY = 64 * 2 ** 20;
/** "1.8M". */
export const size = (n: number): string => { const at = Math.min(4, Math.floor(Math.log2(Math.max(1, n)) / 10)); const v = n / 1024 ** at; return `${at === 0 || Number.isInteger(v) ? v : Math.floor(v * 10) / 10}${'BKMGT'[at]}`; };

const ALL = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Its standard streams are `streams`, or /dev/null and the journal. */
export function* startService(m: Manager, service: Service, streams: readonly number[] = []): Call<void> {
  const now = yield* monotonic();
  const { unit } = service;
  service.restartAt = 0;
  service.startFailed = false;
  service.starts = service.starts.filter((t) => now - t < unit.interval);
  if (service.tty === null && unit.burst > 0 && service.starts.length >= unit.burst) return yield* tooOften(service);
  service.starts.push(now);
  Object.assign(service, { result: 'success', code: '', status: 0, exitedPid: 0, began: now, activeAt: now, past: [], streams, invocation: invocationOf(m, now), ran: 0, cpu: 0, peak: 0 });
  if (service.tty !== null) service.cgroup = `/user.slice/user-0.slice/session-${++m.sessions}.scope`;
  else {
    yield* openOutput(service);
    yield* sliceDir(service.cgroup.split('/').at(-2)!);
    yield* mkdirAll(`/sys/fs/cgroup${service.cgroup}`);
    yield* apply(`/sys/fs/cgroup${service.cgroup}`, { ...unit.properties, ...(yield* dropIns(unit.name)) });
    yield* markDelegated(`/sys/fs/cgroup${service.cgroup}`, unit.properties);
    for (const space of ['trusted', 'user']) yield* attempt(sys('setxattr', `/sys/fs/cgroup${service.cgroup}`, `${space}.invocation_id`, bytes(service.invocation), 0), 0);
  }
  const before = [...(unit.lines.ExecCondition ?? []), ...(unit.lines.ExecStartPre ?? [])];
  if (before.length > 0 || ['oneshot', 'notify', 'forking'].includes(unit.type)) {
    yield* become(service, 'activating', before.length > 0 ? 'start-pre' : 'start');
    yield* say(service, `Starting ${title(service)}...`);
    if (unit.startTimeout !== Number.POSITIVE_INFINITY) yield* within(service, unit.startTimeout, 'start');
  }
  yield* run(m, service, before, 'ExecStartPre');
}

/** Made up from when it started and how many have: the same in the same history. */
function invocationOf(m: Manager, now: number): string {
  m.runs++;
  return [now, m.runs * 31, now / 7 + m.runs, m.runs * 7919 + now / 1000].map((n) => Math.abs((Math.floor(n) * 2654435761) % 2 ** 32).toString(16).padStart(8, '0')).join('');
}

function* tooOften(service: Service): Call<void> {
  service.startFailed = true;
  if (service.result === 'success') service.result = 'start-limit-hit';
  yield* say(service, `${service.unit.name}: Start request repeated too quickly.`, 4);
  yield* say(service, `${service.unit.name}: Failed with result '${service.result}'.`, 4);
  yield* become(service, 'failed', 'failed');
  yield* say(service, `Failed to start ${title(service)}.`, 3);
}

function* within(service: Service, ns: number, what: Service['deadline']): Call<void> {
  service.killAt = ns === Number.POSITIVE_INFINITY ? 0 : (yield* monotonic()) + ns;
  service.deadline = what;
}

function* openOutput(service: Service): Call<void> {
  if (service.input >= 0) yield* attempt(sys('close', service.input), 0);
  if (service.output >= 0) yield* attempt(sys('close', service.output), 0);
  const [r, w] = yield* sys('pipe2', O_CLOEXEC);
  yield* sys('fcntl', r, 'setfl', O_NONBLOCK);
  service.output = r;
  service.input = w;
}

/** The next of a phase's commands as its control process, or what comes after the phase. */
function* run(m: Manager, service: Service, lines: readonly Line[], phase: Phase): Call<void> {
  service.todo = lines;
  service.phase = phase;
  if (lines.length === 0) return yield* after(m, service, phase);
  const pid = yield* spawn(m, service, lines[0]!);
  if (pid === null) return yield* broken(m, service);
  if (phase === 'ExecStart' && service.unit.type === 'oneshot') service.pid = pid;
  else service.control = pid;
}

/** The phase is over: what follows. */
function* after(m: Manager, service: Service, phase: Phase): Call<void> {
  switch (phase) {
    case 'ExecStartPre': return yield* startMain(m, service);
    case 'ExecStart': return yield* run(m, service, service.unit.lines.ExecStartPost ?? [], 'ExecStartPost');
    case 'ExecStartPost': return yield* running(m, service);
    case 'ExecReload':
      yield* become(service, 'active', service.pid > 0 ? 'running' : 'exited');
      return yield* say(service, `Reloaded ${title(service)}.`);
    case 'ExecStop': return yield* signalled(m, service, 'stop-sigterm');
    default: return yield* signalled(m, service, 'final-sigterm');
  }
}

function* startMain(m: Manager, service: Service): Call<void> {
  const { unit } = service;
  if (unit.type === 'oneshot' || unit.type === 'forking') {
    if (service.active !== 'activating' || service.sub !== 'start') yield* become(service, 'activating', 'start');
    return yield* run(m, service, unit.lines.ExecStart ?? [], 'ExecStart');
  }
  const notifies = unit.type.startsWith('notify');
  // Said before the process can say anything itself.
  const alone = !notifies && (unit.lines.ExecStartPost ?? []).length === 0;
  if (alone) yield* say(service, `Started ${title(service)}.`);
  service.phase = 'ExecStart';
  const pid = yield* spawn(m, service, (unit.lines.ExecStart ?? [])[0] ?? { argv: unit.exec, ignore: false });
  if (pid === null) return yield* broken(m, service);
  service.pid = pid;
  if (notifies) return yield* become(service, 'activating', 'start');
  if (alone) return yield* nowRuns(service);
  yield* after(m, service, 'ExecStart');
}

/** The kernel gave no process. */
function* broken(m: Manager, service: Service): Call<void> {
  service.result = 'resources';
  service.startFailed = true;
  yield* dead(m, service);
}

/** It has started: it runs, or has done what it was to do. */
export function* running(m: Manager, service: Service): Call<void> {
  const { unit } = service;
  service.killAt = 0;
  const done = unit.type === 'oneshot' ? `Finished ${title(service)}.` : `Started ${title(service)}.`;
  if (service.pid > 0) {
    yield* nowRuns(service);
    return yield* say(service, done);
  }
  if (unit.remain) {
    yield* become(service, 'active', 'exited');
    return yield* say(service, done);
  }
  service.finished = done;
  yield* leave(m, service);
}

function* nowRuns(service: Service): Call<void> {
  service.killAt = 0;
  yield* become(service, 'active', 'running');
  if (service.unit.runtimeMax !== Number.POSITIVE_INFINITY) yield* within(service, service.unit.runtimeMax, 'run');
}

export function* stopService(m: Manager, service: Service): Call<void> {
  service.restartAt = 0;
  if (service.sub === 'auto-restart') return yield* become(service, service.result === 'success' ? 'inactive' : 'failed', service.result === 'success' ? 'dead' : 'failed');
  if (['inactive', 'failed', 'deactivating'].includes(service.active)) return;
  service.stopping = true;
  yield* say(service, `Stopping ${title(service)}...`);
  yield* within(service, service.unit.stopTimeout, 'stop');
  if (service.active === 'activating') return yield* signalled(m, service, 'stop-sigterm');
  yield* leave(m, service);
}

/** ExecStop=, then the signals. */
function* leave(m: Manager, service: Service): Call<void> {
  const stops = service.unit.lines.ExecStop ?? [];
  if (stops.length > 0) {
    yield* become(service, 'deactivating', 'stop');
    yield* within(service, service.unit.stopTimeout, 'stop');
  }
  yield* run(m, service, stops, 'ExecStop');
}

/** Signals whoever is still there, and waits for them; else goes on. */
function* signalled(m: Manager, service: Service, sub: 'stop-sigterm' | 'final-sigterm'): Call<void> {
  service.todo = [];
  const mode = service.unit.killMode;
  if (service.pid > 0 || service.control > 0 || (mode === 'control-group' && (yield* members(service)).length > 0)) {
    yield* become(service, 'deactivating', sub);
    yield* within(service, service.unit.stopTimeout, sub === 'stop-sigterm' ? 'stop' : 'final');
    if (mode !== 'none') yield* signalAll(service, (SIG as Readonly<Record<string, number>>)[service.unit.killSignal] ?? SIG.TERM);
    // Those that are not our children come to their end unseen: they are asked once more, firmly, when the main one has ended.
    if (service.pid > 0 || service.control > 0) return;
    yield* signalAll(service, SIG.KILL);
  }
  if (sub === 'stop-sigterm') {
    const last = service.unit.lines.ExecStopPost ?? [];
    if (last.length > 0) yield* become(service, 'deactivating', 'stop-post');
    return yield* run(m, service, last, 'ExecStopPost');
  }
  yield* dead(m, service);
}

function* dead(m: Manager, service: Service): Call<void> {
  const { unit } = service;
  service.killAt = 0;
  service.todo = [];
  service.inactiveAt = yield* monotonic();
  yield* account(service);
  yield* closeOutput(service);
  yield* attempt(sys('unlinkat', -100, `/sys/fs/cgroup${service.cgroup}`, 0x200), 0);
  const [good, stopping] = [service.result === 'success', service.stopping];
  service.stopping = false;
  yield* become(service, good ? 'inactive' : 'failed', good ? 'dead' : 'failed');
  yield* say(service, good ? `${unit.name}: Deactivated successfully.` : `${unit.name}: Failed with result '${service.result}'.`, good ? 6 : 4);
  if (service.finished !== '' && good) yield* say(service, service.finished);
  service.finished = '';
  if (service.startFailed) yield* say(service, `Failed to start ${title(service)}.`, 3);
  if (stopping) yield* say(service, `Stopped ${title(service)}.`);
  if (service.cpu >= MENTIONED_CPU || service.peak >= MENTIONED_MEMORY) yield* say(service, `${unit.name}: Consumed ${formatSpan(Math.floor(service.cpu / 1000), 1000)} CPU time${service.peak > 0 ? `, ${size(service.peak)} memory peak` : ''}.`);
  if (stopping && service.again) {
    service.again = false;
    return yield* startService(m, service);
  }
  service.again = false;
  if (!stopping && wanted(service)) {
    service.restartAt = (yield* monotonic()) + unit.restartAfter;
    return yield* become(service, 'activating', 'auto-restart');
  }
  if (!good) for (const name of unit.onFailure) m.wanted.push(name);
  if (service.transient && !service.transient.wait && (service.transient.collect || good)) forget(m, service);
}

/** Whether Restart= wants it back after such an end. */
function wanted(service: Service): boolean {
  const { result } = service;
  const failed = result !== 'success' && result !== 'start-limit-hit';
  switch (service.unit.restart) {
    case 'always': return result !== 'start-limit-hit';
    case 'on-success': return !failed;
    case 'on-failure': return failed;
    case 'on-abnormal': return ['signal', 'core-dump', 'timeout', 'watchdog', 'oom-kill'].includes(result);
    case 'on-abort': return ['signal', 'core-dump'].includes(result);
    default: return false;
  }
}

/** Its time to start again has come. */
export function* again(m: Manager, service: Service): Call<void> {
  service.restarts++;
  yield* say(service, `${service.unit.name}: Scheduled restart job, restart counter is at ${service.restarts}.`);
  yield* startService(m, service);
}

/** A process of the service has ended. */
export function* ended(m: Manager, service: Service, pid: number, status: number): Call<void> {
  if (service.output >= 0) yield* takeOutput(service);
  const main = pid === service.pid;
  const [code, signal] = [exited(status), termSignal(status)];
  const how = { pid, code: code === null ? 'killed' as const : 'exited' as const, status: code ?? signal ?? 0 };
  const clean = code === 0 || (code !== null && service.unit.success.includes(code)) || (code === null && [SIG.TERM, SIG.INT, SIG.HUP, SIG.PIPE].some((s) => s === signal) && service.unit.type !== 'oneshot');
  const line = service.todo[0];
  const ignored = !clean && (line?.ignore ?? service.unit.lines.ExecStart?.[0]?.ignore ?? false);
  service.past.push({ ...how, phase: main ? 'ExecStart' : (service.phase ?? 'ExecStart'), argv: line?.argv ?? service.unit.exec, ignored });
  const starved = yield* oomKilled(service);
  const result = clean || ignored ? 'success' : starved ? 'oom-kill' : code === null ? 'signal' : 'exit-code';
  if (starved) yield* say(service, `${service.unit.name}: A process of this unit has been killed by the OOM killer.`, 4);
  if (!clean) yield* say(service, `${service.unit.name}: ${main ? 'Main' : 'Control'} process exited, code=${how.code}, status=${how.status}/${code === null ? signalName(how.status) : exitName(code)}${ignored ? ' (ignored)' : ''}`, 5);
  if (main) {
    Object.assign(service, { pid: 0, code: how.code, status: how.status, exitedPid: pid });
    yield* account(service);
    return yield* mainEnded(m, service, result);
  }
  service.control = 0;
  yield* controlEnded(m, service, result, ignored ? 0 : (code ?? 255));
}

function* oomKilled(service: Service): Call<boolean> {
  return service.tty === null && Number(/^oom_kill (\d+)/m.exec((yield* tryRead(`/sys/fs/cgroup${service.cgroup}/memory.events`)) ?? '')?.[1] ?? 0) > 0;
}

function* mainEnded(m: Manager, service: Service, result: string): Call<void> {
  const { unit } = service;
  if (service.result === 'success' && !(service.stopping && result !== 'oom-kill')) service.result = result;
  if (service.active === 'deactivating') {
    if (service.control > 0) return;
    return yield* signalled(m, service, service.sub === 'final-sigterm' ? 'final-sigterm' : 'stop-sigterm');
  }
  if (service.active === 'activating' && service.sub === 'start') {
    if (unit.type === 'oneshot' && result === 'success') return yield* run(m, service, service.todo.slice(1), 'ExecStart');
    if (unit.type !== 'oneshot' && result === 'success') service.result = 'protocol';
    return yield* startFails(m, service);
  }
  // Beside a command after the start the end waits for that.
  if (service.control > 0) return;
  if (unit.remain) return yield* become(service, result === 'success' ? 'active' : 'failed', result === 'success' ? 'exited' : 'failed');
  if (service.tty !== null) yield* signalAll(service, SIG.KILL);
  yield* leave(m, service);
}

function* startFails(m: Manager, service: Service): Call<void> {
  service.startFailed = true;
  yield* signalled(m, service, 'stop-sigterm');
}

function* controlEnded(m: Manager, service: Service, result: string, code: number): Call<void> {
  const phase = service.phase ?? 'ExecStop';
  if (service.sub === 'stop-sigterm' || service.sub === 'final-sigterm') return yield* signalled(m, service, service.sub);
  if (result !== 'success' && service.todo[0] && (service.unit.lines.ExecCondition ?? []).includes(service.todo[0]) && code < 255) {
    service.result = 'exec-condition';
    return yield* signalled(m, service, 'stop-sigterm');
  }
  if (result !== 'success' && phase !== 'ExecReload') {
    if (service.result === 'success') service.result = result;
    if (phase === 'ExecStop') return yield* signalled(m, service, 'stop-sigterm');
    if (phase === 'ExecStopPost') return yield* signalled(m, service, 'final-sigterm');
    return yield* startFails(m, service);
  }
  if (phase === 'ExecReload' && result !== 'success') {
    service.reloadFailed = true;
    service.todo = [];
    yield* become(service, 'active', service.pid > 0 ? 'running' : 'exited');
    return yield* say(service, `Reload failed for ${title(service)}.`, 4);
  }
  if (phase === 'ExecStart') {
    // The daemon that it left behind is the main process from now on.
    service.pid = Number((yield* members(service))[0] ?? 0);
    if (service.pid === 0 && !service.unit.remain) return yield* leave(m, service);
  }
  yield* run(m, service, service.todo.slice(1), phase);
}

export function* reloadService(m: Manager, service: Service): Call<void> {
  service.reloadFailed = false;
  yield* become(service, 'active', 'reload');
  yield* say(service, `Reloading ${title(service)}...`);
  yield* run(m, service, service.unit.lines.ExecReload ?? [], 'ExecReload');
}

/** A deadline has passed. */
export function* overdue(m: Manager, service: Service): Call<void> {
  service.killAt = 0;
  const { name } = service.unit;
  if (service.deadline === 'run') {
    yield* say(service, `${name}: Service reached runtime time limit. Stopping.`, 4);
    service.result = 'timeout';
    return yield* leave(m, service);
  }
  if (service.deadline === 'start') {
    yield* say(service, `${name}: start operation timed out. Terminating.`, 4);
    service.result = 'timeout';
    return yield* startFails(m, service);
  }
  yield* say(service, `${name}: State '${service.sub}' timed out. Killing.`, 4);
  service.result = 'timeout';
  if (service.unit.killMode === 'process') yield* attempt(sys('kill', service.pid, SIG.KILL), 0);
  else yield* attempt(poke(`/sys/fs/cgroup${service.cgroup}/cgroup.kill`, '1'), undefined);
}

/** "READY=1" and who says so. */
export function* takeNotice(m: Manager): Call<void> {
  const notice = yield* attempt(sys('recvfrom', m.notified, 4096), null);
  if (!notice) return;
  const said = text(notice.data);
  const service = m.services.find((s) => s.pid > 0 && s.pid === Number(/^MAINPID=(\d+)$/m.exec(said)?.[1]));
  if (!service || !/^READY=1$/m.test(said) || service.sub !== 'start') return;
  yield* after(m, service, 'ExecStart');
}

// ---- processes

/** $NAME a word of its own is split, ${NAME} is not, $$ is a dollar. */
function expanded(argv: readonly string[], env: Readonly<Record<string, string>>): string[] {
  return argv.flatMap((word, i) => {
    const bare = /^\$([A-Za-z_]\w*)$/.exec(word);
    if (bare && i > 0) return (env[bare[1]!] ?? '').split(/\s+/).filter(Boolean);
    return [word.replace(/\$\$|\$\{([A-Za-z_]\w*)\}/g, (whole, name?: string) => (whole === '$$' ? '$' : (env[name!] ?? '')))];
  });
}

function* spawn(m: Manager, service: Service, line: Line): Call<number | null> {
  const { unit, transient } = service;
  const stopping = service.phase === 'ExecStop' || service.phase === 'ExecStopPost';
  const env: Record<string, string> = {
    ...m.env, ...(unit.type.startsWith('notify') ? { NOTIFY_SOCKET: NOTIFY } : {}), ...(service.pid > 0 ? { MAINPID: String(service.pid) } : {}),
    ...(stopping ? { SERVICE_RESULT: service.result, ...(service.code === '' ? {} : { EXIT_CODE: service.code, EXIT_STATUS: service.code === 'killed' ? signalName(service.status) : String(service.status) }) } : {}),
    ...unit.environment, ...(yield* environmentFrom(unit.environmentFiles)),
  };
  const terms = transient ?? { limits: unit.limits, nice: unit.nice, oomScoreAdjust: unit.oomScoreAdjust };
  const user = transient ?? { uid: null, gid: null };
  try {
    return yield* start({
      unit: service.tty === null ? unit.name : '', cgroup: service.cgroup, argv: expanded(line.argv, env), env, path: env.PATH ?? ALL, output: service.input >= 0 ? service.input : null, streams: service.streams, cwd: unit.cwd, user, terms, names: { user: unit.user, group: unit.group },
    });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* say(service, `${unit.name}: Failed to run '${service.phase}' task: ${error.message}`, 3);
    return null;
  }
}

function* closeOutput(service: Service): Call<void> {
  if (service.input < 0) return;
  yield* attempt(sys('close', service.input), 0);
  service.input = -1;
  if (service.output >= 0) yield* takeOutput(service);
  if (service.output >= 0) yield* takeOutput(service);
}

/** What its control group tells of the run that is over. */
function* account(service: Service): Call<void> {
  const dir = `/sys/fs/cgroup${service.cgroup}`;
  const stat = yield* tryRead(`${dir}/cpu.stat`);
  if (stat === null) return;
  if (service.ran === 0) service.ran = (yield* monotonic()) - service.began;
  service.cpu = Number(/^usage_usec (\d+)/m.exec(stat)?.[1] ?? 0) * 1000;
  service.peak = Number((yield* tryRead(`${dir}/memory.peak`)) ?? 0);
}
