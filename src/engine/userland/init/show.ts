/** systemctl show: a unit's properties in the manager's order. Source: org.freedesktop.systemd1(5). */
import { SIG } from '../../kernel/abi.ts';
import { strftime } from '../coreutils/calendar.ts';
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { print } from '../lib/io.ts';
import { type Answer, ask, type UnitRow } from './control.ts';
import { enabledState } from './enable.ts';
import { groups } from './groups.ts';
import { normalized, parseCalendar } from './oncalendar.ts';
import { dropIns, isDelegated, shownSetting, wholeOf } from './resources.ts';
import { signalName } from './service.ts';
import { formatSpan } from './span.ts';
import { dropInPaths } from './unitfile.ts';
import type { UnitFile } from './units.ts';

/** Properties in the manager's order: the kind of unit's, its control group's, its processes', every unit's. */
function* propertiesOf(name: string, row: UnitRow | undefined): Call<Record<string, string>> {
  const whole = yield* wholeOf();
  const own: Record<string, string> = { ...row?.properties, ...(yield* dropIns(name)) };
  const dir = `/sys/fs/cgroup${row?.cgroup ?? '/nowhere'}`;
  const read = function* (file: string): Call<string> { return (yield* tryRead(`${dir}/${file}`))?.trim() ?? '[not set]'; };
  const set = (...keys: string[]): Record<string, string> => Object.fromEntries(keys.map((key) => shownSetting(key, own[key], whole)));
  const service = name.endsWith('.service');
  const cgroup = row?.active === 'active' || row?.active === 'deactivating' || row?.path === '' ? row.cgroup : '';
  const slice = name.endsWith('.slice');
  const timer = name.endsWith('.timer');
  const unit = row?.unit;
  const us = (ns: number | undefined): string => (ns === undefined || ns === Number.POSITIVE_INFINITY || ns === null ? 'infinity' : formatSpan(ns / 1000));
  const sealed = yield* effective(row?.cgroup ?? '', whole.memory);
  return {
    ...(service ? { Type: row?.type || 'simple', Restart: row?.restart ?? 'no', RestartUSec: us(unit?.restartAfter ?? 100e6), TimeoutStartUSec: us(unit?.startTimeout ?? 90e9), TimeoutStopUSec: us(unit?.stopTimeout ?? 90e9), RuntimeMaxUSec: us(unit?.runtimeMax ?? Number.POSITIVE_INFINITY), RemainAfterExit: unit?.remain ? 'yes' : 'no', MainPID: String(row?.pid ?? 0), ControlPID: String(row?.control ?? 0) } : {}),
    ...(timer ? { Unit: row?.triggers ?? '', ...calendars(row), AccuracyUSec: '1min', Persistent: 'no' } : {}),
    ...(slice ? {} : { Result: row?.result ?? 'success' }),
    ...(service ? { UID: '[not set]', GID: '[not set]', NRestarts: String(row?.restarts ?? 0) } : {}),
    ...(slice || timer ? {} : { OOMPolicy: own.OOMPolicy ?? (isDelegated(own) ? 'continue' : 'stop') }),
    ...(service ? { ExecMainPID: String(row?.pid || row?.exitedPid || 0), ExecMainCode: row?.code === 'exited' ? '1' : row?.code === 'killed' ? '2' : '0', ExecMainStatus: String(row?.status ?? 0), ...commands(row) } : {}),
    ...(timer ? {} : {
      Slice: row ? sliceOf(row) : '', ControlGroup: cgroup, MemoryCurrent: yield* read('memory.current'), MemoryPeak: yield* read('memory.peak'), EffectiveMemoryMax: sealed.memory, EffectiveMemoryHigh: sealed.high,
      CPUUsageNSec: usage(yield* tryRead(`${dir}/cpu.stat`)), EffectiveCPUs: cgroup === '' ? '' : ((yield* tryRead(`${dir}/cpuset.cpus.effective`)) ?? '').trim(), EffectiveMemoryNodes: cgroup === '' ? '' : ((yield* tryRead(`${dir}/cpuset.mems.effective`)) ?? '').trim(),
      TasksCurrent: yield* read('pids.current'), EffectiveTasksMax: sealed.tasks, ...(isDelegated(own) ? { Delegate: 'yes', DelegateControllers: /^(1|on|true|t|yes|y)$/.test(own.Delegate!) ? 'cpu cpuset io memory pids' : own.Delegate! } : { Delegate: 'no' }), CPUAccounting: 'yes',
      ...set('CPUWeight', 'CPUQuota', 'CPUQuotaPeriodSec', 'AllowedCPUs', 'AllowedMemoryNodes'), IOAccounting: own.IOAccounting ?? 'no', ...set('IOWeight', 'IOReadBandwidthMax', 'IOWriteBandwidthMax', 'IOReadIOPSMax', 'IOWriteIOPSMax'), MemoryAccounting: 'yes',
      ...set('MemoryMin', 'MemoryLow', 'MemoryHigh', 'MemoryMax', 'MemorySwapMax'), TasksAccounting: 'yes', ...set('TasksMax'),
    }),
    ...(service ? { Environment: Object.entries(unit?.environment ?? {}).map(([key, v]) => (/\s/.test(v) ? JSON.stringify(`${key}=${v}`) : `${key}=${v}`)).join(' '), ...limits(unit), OOMScoreAdjust: String(row?.oomScoreAdjust ?? 0), Nice: String(row?.nice ?? 0), WorkingDirectory: unit && unit.cwd !== '/' ? unit.cwd : '', User: unit?.user ?? '', Group: unit?.group ?? '' } : {}),
    ...(slice || timer ? {} : { KillMode: row?.killMode ?? 'control-group', KillSignal: String((SIG as Readonly<Record<string, number>>)[unit?.killSignal ?? 'TERM'] ?? 15) }),
    Id: name, Names: name, ...(unit ? { Requires: unit.requires.join(' '), Wants: unit.wants.join(' '), Conflicts: unit.conflicts.join(' '), After: unit.after.join(' '), Documentation: unit.documentation.join(' ') } : {}),
    Description: row?.description ?? name, LoadState: row?.load ?? 'not-found', ActiveState: row?.active ?? 'inactive', FreezerState: cgroup !== '' && (yield* tryRead(`${dir}/cgroup.freeze`))?.trim() === '1' ? 'frozen' : 'running', SubState: row?.sub ?? 'dead', FragmentPath: row?.path ?? '', DropInPaths: (yield* dropInPaths(name)).join(' '),
    UnitFileState: row?.path ? (row.path.startsWith('/run/systemd/transient/') ? 'transient' : yield* enabledState(name, row.path)) : '', ...(row?.path && !row.path.startsWith('/run/systemd/transient/') ? { UnitFilePreset: 'enabled' } : {}),
    ...(row ? { NeedDaemonReload: row.stale ? 'yes' : 'no', CanStart: 'yes', CanStop: 'yes', CanReload: (unit?.lines.ExecReload ?? []).length > 0 ? 'yes' : 'no' } : {}),
    ...(row ? {} : { LoadError: `org.freedesktop.systemd1.NoSuchUnit "Unit ${name} not found."` }), ...(row?.load === 'bad-setting' ? { LoadError: `org.freedesktop.systemd1.BadUnitSetting "Unit ${name} has a bad unit file setting."` } : row?.load === 'masked' ? { LoadError: `org.freedesktop.systemd1.UnitMasked "Unit ${name} is masked."` } : {}),
    Transient: row?.path.startsWith('/run/systemd/transient/') ? 'yes' : 'no', ...(unit ? { StartLimitIntervalUSec: us(unit.interval), StartLimitBurst: String(unit.burst) } : {}), ...(row?.invocation ? { InvocationID: row.invocation } : {}),
  };
}

const calendars = (row: UnitRow | undefined): Record<string, string> => {
  const next = (ns: number): string => (ns === 0 ? 'n/a' : strftime('%a %Y-%m-%d %H:%M:%S UTC', ns / 1e9));
  const timer = row?.unit?.timer;
  const spans = timer ? [...timer.onActive.map((us) => ['OnActiveUSec', us] as const), ...timer.onBoot.map((us) => ['OnBootUSec', us] as const), ...timer.onUnitActive.map((us) => ['OnUnitActiveUSec', us] as const), ...timer.onUnitInactive.map((us) => ['OnUnitInactiveUSec', us] as const)] : [];
  return {
    ...(spans.length > 0 ? { TimersMonotonic: spans.map(([key, us]) => `{ ${key}=${formatSpan(us)} ; next_elapse=${formatSpan(Math.max(0, (row?.next ?? 0) / 1000))} }`).join(' ') } : {}),
    ...(timer && timer.calendar.length > 0 ? { TimersCalendar: timer.calendar.map((text) => { const spec = parseCalendar(text); return `{ OnCalendar=${spec ? normalized(spec) : text} ; next_elapse=${next(row?.next ?? 0)} }`; }).join(' ') } : {}),
    NextElapseUSecRealtime: next(row?.next ?? 0), LastTriggerUSec: row?.lastTrigger ? next(row.lastTrigger) : '',
  };
};

/** Commands with what became of each. */
function commands(row: UnitRow | undefined): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [phase, lines] of Object.entries(row?.unit?.lines ?? {})) {
    if (lines.length === 0) continue;
    out[phase] = lines.map(({ argv, ignore }) => {
      const past = row?.past.find((one) => one.phase === phase && one.argv.join(' ') === argv.join(' '));
      const pid = past?.pid ?? (phase === 'ExecStart' ? (row?.pid ?? 0) : 0);
      return `{ path=${argv[0]} ; argv[]=${argv.join(' ')} ; ignore_errors=${ignore ? 'yes' : 'no'} ; start_time=[n/a] ; stop_time=[n/a] ; pid=${pid} ; code=${past?.code ?? '(null)'} ; status=${past?.status ?? 0}/${past?.code === 'killed' ? signalName(past.status) : '0'} }`;
    }).join('\n');
  }
  return out;
}

const RESOURCE_LIMITS = ['CPU', 'FSIZE', 'DATA', 'STACK', 'CORE', 'RSS', 'NOFILE', 'AS', 'NPROC', 'MEMLOCK', 'LOCKS', 'SIGPENDING', 'MSGQUEUE', 'NICE', 'RTPRIO', 'RTTIME'];
/** What the manager gives when a unit says nothing. */
const LIMIT_DEFAULTS: Readonly<Record<string, string>> = { NOFILE: '1024:524288', CORE: '0:infinity', MEMLOCK: '8388608', MSGQUEUE: '819200', NICE: '0', RTPRIO: '0', STACK: '8388608:infinity' };

function limits(unit: UnitFile | undefined): Record<string, string> {
  return Object.fromEntries(RESOURCE_LIMITS.flatMap((name) => {
    const given = unit?.limits[name] ?? LIMIT_DEFAULTS[name] ?? 'infinity';
    const [soft = '', hard = soft] = given.split(':');
    return [[`Limit${name}`, hard], [`Limit${name}Soft`, soft]];
  }));
}

/** The tightest limit from the unit up to the root. */
function* effective(cgroup: string, memory: number): Call<{ memory: string; high: string; tasks: string }> {
  if (cgroup === '') return { memory: 'infinity', high: 'infinity', tasks: 'infinity' };
  let [max, high, tasks] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const number = function* (path: string): Call<number> { const v = ((yield* tryRead(path)) ?? 'max').trim(); return v === 'max' ? Number.POSITIVE_INFINITY : Number(v); };
  for (let dir = `/sys/fs/cgroup${cgroup}`; dir !== '/sys/fs/cgroup' && dir.length > 14; dir = dir.slice(0, dir.lastIndexOf('/'))) {
    max = Math.min(max, yield* number(`${dir}/memory.max`));
    high = Math.min(high, yield* number(`${dir}/memory.high`));
    tasks = Math.min(tasks, yield* number(`${dir}/pids.max`));
  }
  const all = Math.min(yield* number('/proc/sys/kernel/pid_max'), yield* number('/proc/sys/kernel/threads-max'));
  return { memory: String(Math.min(max, memory)), high: String(Math.min(high, memory)), tasks: String(Math.min(tasks, all)) };
}

export function* showProperties(units: readonly string[], only: string | undefined, bare: boolean, _all: boolean): Call<number> {
  const answer: Answer = yield* ask({ verb: 'list', units });
  answer.units.push(...(yield* groups()).filter((u) => units.includes(u.name)));
  const wanted = only?.split(',');
  for (const [i, name] of units.entries()) {
    const shown = Object.entries(yield* propertiesOf(name, answer.units.find((u) => u.name === name))).filter(([key]) => !wanted || wanted.includes(key));
    yield* print((i > 0 ? '\n' : '') + shown.map(([key, v]) => `${bare ? '' : `${key}=`}${v}\n`).join(''));
  }
  return 0;
}

const usage = (stat: string | null): string => {
  const usec = /usage_usec (\d+)/.exec(stat ?? '')?.[1];
  return usec === undefined ? '[not set]' : `${usec}000`;
};

/** The slice that a unit lies in: of a slice, the one above. */
const sliceOf = (row: UnitRow): string => (row.name === '-.slice' ? '' : (row.cgroup.split('/').filter((part) => part.endsWith('.slice') && part !== row.name).at(-1) ?? '-.slice'));

