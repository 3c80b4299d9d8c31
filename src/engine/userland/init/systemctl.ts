/** systemctl: asks process 1 and prints as the real one. Source: systemctl(1). Also poweroff, reboot, halt, shutdown. */
import { SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { parseOptions, lastValue as optionValue } from '../lib/args.ts';
import { attempt, exists, list, mkdirAll, tryRead, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { treeOfCgroup } from './cgls.ts';
import { type Answer, ask, type Order, type UnitRow } from './control.ts';
import { lastLines } from './journal.ts';
import { BadProperty, CONTROL_DIR, dropIns, parseAssignments, RESOURCES, RUNTIME_CONTROL_DIR, shownSetting, wholeOf, writesOf } from './resources.ts';
import { isSlice, slicePath } from './slices.ts';
import { parseUnit, readUnits, UNIT_DIR, WANTS_DIR } from './units.ts';

const SPEC = 'runtime a/all t/type= state= l/full n/lines= no-pager no-legend q/quiet now H/host= o/output= p/property= s/signal= f/force plain failed no-block value';

const full = (name: string): string => (/\.(service|slice|scope|target|socket|mount)$/.test(name) ? name : `${name}.service`);

export const systemctl: Program = command(function* (argv) {
  const given = parseOptions(SPEC, argv.slice(1));
  const [verb = 'list-units', ...words] = given.words;
  const units = words.map(full);
  try {
    return yield* run(verb, units, words, given.on, (name) => optionValue(given, name));
  } catch (error) {
    if (!(error instanceof SysError) || !['ENOENT', 'ECONNREFUSED', 'EACCES'].includes(error.errno)) throw error;
    yield* complain("System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n");
    return 1;
  }
});

function* run(verb: string, units: readonly string[], words: readonly string[], on: ReadonlyMap<string, number>, value: (name: string) => string | undefined): Call<number> {
  switch (verb) {
    case 'start': case 'stop': case 'restart': case 'try-restart': case 'reload-or-restart':
      return yield* job(verb === 'start' || verb === 'stop' ? verb : 'restart', verb, units);
    case 'status': return units.length === 0 ? yield* machineStatus() : yield* statuses(units, on, Number(value('lines') ?? 10));
    case 'is-active': return yield* isState(units, on, (u) => u?.active ?? 'inactive', 'active', 3);
    case 'is-failed': return yield* isState(units, on, (u) => u?.active ?? 'inactive', 'failed', 1);
    case 'is-enabled': return yield* enabledStates(units);
    case 'enable': case 'disable': return yield* enable(verb, units, on.has('now'));
    case 'list-units': return yield* listUnits(on, value('type'), value('state'));
    case 'list-unit-files': return yield* listUnitFiles(on);
    case 'daemon-reload': yield* ask({ verb: 'reload', units: [] }); return 0;
    case 'reset-failed': yield* ask({ verb: 'reset-failed', units }); return 0;
    case 'kill': yield* ask({ verb: 'kill', units, signal: Number(value('signal') ?? 15) || 15 }); return 0;
    case 'set-property': return yield* setProperty(words, on.has('runtime'));
    case 'cat': return yield* cat(units);
    case 'show': return yield* showProperties(units, value('property'));
    case 'is-system-running': return yield* running();
    case 'poweroff': case 'reboot': case 'halt': yield* ask({ verb: verb === 'reboot' ? 'reboot' : 'poweroff', units: [] }); return 0;
    default:
      yield* complain(/^[a-z-]+$/.test(verb) && KNOWN.has(verb) ? `systemctl: not modelled: ${verb}\n` : `Unknown command verb ${verb}.\n`);
      return words.length < 0 ? 0 : 1;
  }
}

const KNOWN = new Set(['mask', 'unmask', 'edit', 'isolate', 'list-dependencies', 'list-timers', 'list-sockets', 'list-jobs', 'reload', 'preset', 'daemon-reexec', 'suspend', 'get-default', 'set-default', 'link', 'revert']);

function* job(verb: Order['verb'], typed: string, units: readonly string[]): Call<number> {
  if (units.length === 0) {
    yield* complain('Too few arguments.\n');
    return 1;
  }
  const answer = yield* ask({ verb, units });
  for (const name of answer.missing) yield* complain(`Failed to ${typed} ${name}: Unit ${name} not ${verb === 'stop' ? 'loaded' : 'found'}.\n`);
  for (const name of answer.failed) yield* complain(`Job for ${name} failed because the control process exited with error code.\nSee "systemctl status ${name}" and "journalctl -xeu ${name}" for details.\n`);
  return answer.missing.length > 0 ? 5 : answer.failed.length > 0 ? 1 : 0;
}

function* machineStatus(): Call<number> {
  const { units } = yield* ask({ verb: 'list', units: [] });
  const failed = units.filter((u) => u.active === 'failed').length;
  const host = (yield* sys('uname')).nodename;
  yield* print(`● ${host}\n    State: ${failed > 0 ? 'degraded' : 'running'}\n    Units: ${units.length} loaded (incl. loaded aliases)\n     Jobs: 0 queued\n   Failed: ${failed} units\n   CGroup: /\n${(yield* treeOfCgroup('/', '           ')).trimEnd()}\n`);
  return 0;
}

function* running(): Call<number> {
  const failed = (yield* ask({ verb: 'list', units: [] })).units.some((u) => u.active === 'failed');
  yield* print(failed ? 'degraded\n' : 'running\n');
  return failed ? 1 : 0;
}

function* statuses(units: readonly string[], on: ReadonlyMap<string, number>, lines: number): Call<number> {
  const answer = yield* ask({ verb: 'list', units });
  answer.units.push(...(yield* groups()).filter((u) => units.includes(u.name)));
  let worst = 0;
  for (const name of units) {
    const row = answer.units.find((u) => u.name === name);
    if (!row) {
      yield* complain(`Unit ${name} could not be found.\n`);
      worst = 4;
      continue;
    }
    yield* print((yield* statusText(row)) + (lines > 0 && !on.has('quiet') ? yield* journalPart(row, lines) : ''));
    if (row.active !== 'active') worst = Math.max(worst, 3);
  }
  return worst;
}

function* journalPart(row: UnitRow, lines: number): Call<string> {
  const text = yield* lastLines(row.name, lines, (yield* sys('uname')).nodename);
  return text === '' ? '' : `\n${text}`;
}

function* statusText(row: UnitRow): Call<string> {
  const now = yield* sys('clock_gettime', 'realtime');
  const dot = row.active === 'active' ? '●' : row.active === 'failed' ? '×' : row.active === 'inactive' ? '○' : '●';
  const state = row.path === '' ? '' : row.path.startsWith('/run/systemd/transient/') ? '; transient' : `; ${yield* enabledState(row.name, row.path)}; preset: enabled`;
  const result = row.active === 'failed' ? ` (Result: ${row.result})` : row.active === 'activating' && row.result !== 'success' ? ` (auto-restart) (Result: ${row.result})` : row.active === 'inactive' ? ' (dead)' : ` (${row.sub})`;
  const since = row.since > 0 ? ` since ${strftime('%a %Y-%m-%d %H:%M:%S UTC', row.since / 1e9)}; ${ago(now - row.since)} ago` : '';
  let out = `${dot} ${row.name} - ${row.description}\n     Loaded: loaded${row.path === '' ? '' : ` (${row.path}${state})`}\n${row.path.startsWith('/run/systemd/transient/') ? '  Transient: yes\n' : ''}     Active: ${row.active}${result}${since}\n`;
  if (row.pid === 0 && row.code !== '') out += `   Main PID: ${row.exitedPid} (code=${row.code}, status=${row.status}${row.code === 'exited' ? `/${row.status === 0 ? 'SUCCESS' : 'FAILURE'}` : ''})\n`;
  if (row.pid > 0 || (row.active === 'active' && row.cgroup !== '')) {
    const comm = (yield* tryRead(`/proc/${row.pid}/comm`))?.trim() ?? '';
    if (row.pid > 0) out += `   Main PID: ${row.pid} (${comm})\n`;
    const dir = `/sys/fs/cgroup${row.cgroup}`;
    const [tasks, memory, cpu] = [yield* tryRead(`${dir}/pids.current`), yield* tryRead(`${dir}/memory.current`), yield* tryRead(`${dir}/cpu.stat`)];
    out += (yield* taskLine(dir, tasks)) + (yield* memoryLine(dir, memory));
    const usec = /usage_usec (\d+)/.exec(cpu ?? '')?.[1];
    if (usec) out += `        CPU: ${span(Number(usec))}\n`;
    out += `     CGroup: ${row.cgroup}\n${yield* treeOfCgroup(row.cgroup, '             ')}`;
  }
  return out;
}

function* taskLine(dir: string, tasks: string | null): Call<string> {
  if (!tasks) return '';
  const max = (yield* tryRead(`${dir}/pids.max`))?.trim();
  return `      Tasks: ${tasks.trim()}${max && max !== 'max' ? ` (limit: ${max})` : ''}\n`;
}

/** "Memory: 1.2M (max: 50M available: 48.8M peak: 2M)". */
function* memoryLine(dir: string, current: string | null): Call<string> {
  if (!current) return '';
  const parts: string[] = [];
  for (const [file, word] of [['memory.min', 'min'], ['memory.low', 'low'], ['memory.high', 'high'], ['memory.max', 'max'], ['memory.swap.max', 'swap max']] as const) {
    const value = (yield* tryRead(`${dir}/${file}`))?.trim();
    if (value && value !== 'max' && value !== '0') parts.push(`${word}: ${human(Number(value))}`);
  }
  const max = (yield* tryRead(`${dir}/memory.max`))?.trim();
  if (max && max !== 'max') parts.push(`available: ${human(Math.max(0, Number(max) - Number(current)))}`);
  const peak = (yield* tryRead(`${dir}/memory.peak`))?.trim();
  if (peak) parts.push(`peak: ${human(Number(peak))}`);
  return `     Memory: ${human(Number(current))}${parts.length > 0 ? ` (${parts.join(' ')})` : ''}\n`;
}

/** "5min ago" as systemd counts: the two largest units. */
function ago(ns: number): string {
  const s = Math.floor(ns / 1e9);
  if (s < 1) return `${Math.max(0, Math.floor(ns / 1e6))}ms`;
  if (s < 60) return `${s}s`;
  if (s < 3600) return s % 60 === 0 ? `${Math.floor(s / 60)}min` : `${Math.floor(s / 60)}min ${s % 60}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}min`;
  return `${Math.floor(s / 86400)} day${s >= 172800 ? 's' : ''}`;
}

function span(us: number): string {
  if (us < 1_000_000) return `${Math.floor(us / 1000)}ms`;
  return `${(us / 1e6).toFixed(3)}s`;
}

function human(n: number): string {
  const units = ['B', 'K', 'M', 'G'];
  let value = n;
  let i = 0;
  while (value >= 1024 && i < 3) {
    value /= 1024;
    i++;
  }
  return i === 0 ? `${value}B` : `${value.toFixed(1)}${units[i]}`;
}

function* isState(units: readonly string[], on: ReadonlyMap<string, number>, of: (row: UnitRow | undefined) => string, wanted: string, otherwise: number): Call<number> {
  const answer = yield* ask({ verb: 'list', units });
  let any = false;
  for (const name of units) {
    const state = of(answer.units.find((u) => u.name === name));
    any ||= state === wanted;
    if (!on.has('quiet')) yield* print(`${state}\n`);
  }
  return any ? 0 : otherwise;
}

function* enabledState(name: string, path: string): Call<string> {
  if (path.includes('@.')) return 'enabled';
  if ((yield* attempt(sys('readlinkat', -100, `${WANTS_DIR}/${name}`), null)) !== null) return 'enabled';
  const source = yield* tryRead(path);
  return source !== null && parseUnit(name, path, source).installable ? 'disabled' : 'static';
}

function* enabledStates(units: readonly string[]): Call<number> {
  let good = false;
  for (const name of units) {
    if (!(yield* exists(`${UNIT_DIR}/${name}`))) {
      yield* complain(`Failed to get unit file state for ${name}: No such file or directory\n`);
      continue;
    }
    const state = yield* enabledState(name, `${UNIT_DIR}/${name}`);
    good ||= state !== 'disabled';
    yield* print(`${state}\n`);
  }
  return good ? 0 : 1;
}

function* enable(verb: string, units: readonly string[], now: boolean): Call<number> {
  for (const name of units) {
    const path = `${UNIT_DIR}/${name}`;
    if (!(yield* exists(path))) {
      yield* complain(`Failed to ${verb} unit: Unit file ${name} does not exist.\n`);
      return 1;
    }
    yield* mkdirAll(WANTS_DIR);
    const link = `${WANTS_DIR}/${name}`;
    const linked = (yield* attempt(sys('readlinkat', -100, link), null)) !== null;
    if (verb === 'enable' && !linked) {
      yield* sys('symlinkat', path, -100, link);
      yield* complain(`Created symlink '${link}' → '${path}'.\n`);
    } else if (verb === 'disable' && linked) {
      yield* sys('unlinkat', -100, link, 0);
      yield* complain(`Removed '${link}'.\n`);
    }
  }
  if (now) return yield* job(verb === 'enable' ? 'start' : 'stop', verb === 'enable' ? 'start' : 'stop', units);
  return 0;
}

const SLICES: Readonly<Record<string, string>> = { 'machine.slice': 'Virtual Machine and Container Slice', 'system.slice': 'System Slice', 'user.slice': 'User and Session Slice', 'user-0.slice': 'User Slice of UID 0' };

function* slicesBelow(dir: string, out: UnitRow[], row: (name: string, description: string, sub: string) => UnitRow): Call<void> {
  for (const { name, type } of yield* list(dir)) {
    if (type !== 'dir' || !name.endsWith('.slice')) continue;
    out.push(row(name, SLICES[name] ?? `Slice /${slicePath(name).split('/').at(-1)!.replace(/\.slice$/, '').replaceAll('-', '/')}`, 'active'));
    yield* slicesBelow(`${dir}/${name}`, out, row);
  }
}

/** Slices and scopes that exist, from the cgroup tree. */
function* groups(): Call<UnitRow[]> {
  const row = (name: string, description: string, sub: string): UnitRow => ({
    name, description, path: '', active: 'active', sub, pid: 0, since: 0, code: '', status: 0, exitedPid: 0, result: 'success', cgroup: slicePath(name), restarts: 0, properties: {},
  });
  const out = [row('init.scope', 'System and Service Manager', 'running'), row('-.slice', 'Root Slice', 'active')];
  yield* slicesBelow('/sys/fs/cgroup', out, row);
  return out;
}

function* listUnits(on: ReadonlyMap<string, number>, type: string | undefined, state: string | undefined): Call<number> {
  const rows = [...(yield* ask({ verb: 'list', units: [] })).units, ...(yield* groups())]
    .filter((u) => (type === undefined || u.name.endsWith(`.${type}`)) && (on.has('failed') ? u.active === 'failed' : state ? u.active === state || u.sub === state : on.has('all') || u.active !== 'inactive'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const wide = (pick: (u: UnitRow) => string, head: string): number => Math.max(head.length, ...rows.map((u) => pick(u).length));
  const [n, a, s] = [wide((u) => u.name, 'UNIT'), wide((u) => u.active, 'ACTIVE'), wide((u) => u.sub, 'SUB')];
  const line = (mark: string, name: string, load: string, active: string, sub: string, description: string): string => `${mark} ${name.padEnd(n)} ${load.padEnd(6)} ${active.padEnd(a)} ${sub.padEnd(s)} ${description}\n`;
  let out = rows.length === 0 || on.has('no-legend') ? '' : line(' ', 'UNIT', 'LOAD', 'ACTIVE', 'SUB', 'DESCRIPTION');
  for (const u of rows) out += line(u.active === 'failed' ? '●' : ' ', u.name, 'loaded', u.active, u.sub, u.description);
  if (!on.has('no-legend')) {
    if (rows.length > 0) out += '\nLegend: LOAD   → Reflects whether the unit definition was properly loaded.\n        ACTIVE → The high-level unit activation state, i.e. generalization of SUB.\n        SUB    → The low-level unit activation state, values depend on unit type.\n\n';
    out += `${rows.length} loaded units listed.${on.has('all') ? '' : ' Pass --all to see loaded but inactive units, too.'}\nTo show all installed unit files use 'systemctl list-unit-files'.\n`;
  }
  yield* print(out);
  return 0;
}

function* listUnitFiles(on: ReadonlyMap<string, number>): Call<number> {
  const units = yield* readUnits();
  const n = Math.max(9, ...units.map((u) => u.name.length));
  let out = on.has('no-legend') ? '' : `${'UNIT FILE'.padEnd(n)} STATE    PRESET\n`;
  for (const u of units) out += `${u.name.padEnd(n)} ${(yield* enabledState(u.name, u.path)).padEnd(8)} enabled\n`;
  yield* print(`${out}${on.has('no-legend') ? '' : `\n${units.length} unit files listed.\n`}`);
  return 0;
}

function* cat(units: readonly string[]): Call<number> {
  for (const name of units) {
    const source = yield* tryRead(`${UNIT_DIR}/${name}`);
    if (source === null) {
      yield* complain(`No files found for ${name}.\n`);
      return 1;
    }
    yield* print(`# ${UNIT_DIR}/${name}\n${source}`);
  }
  return 0;
}

function* showProperties(units: readonly string[], only: string | undefined): Call<number> {
  const answer: Answer = yield* ask({ verb: 'list', units });
  answer.units.push(...(yield* groups()).filter((u) => units.includes(u.name)));
  const whole = yield* wholeOf();
  for (const name of units) {
    const row = answer.units.find((u) => u.name === name);
    const own: Record<string, string> = { ...row?.properties, ...(yield* dropIns(name)) };
    const dir = `/sys/fs/cgroup${row?.cgroup ?? '/nowhere'}`;
    const all: Record<string, string> = {
      Id: name, Description: row?.description ?? name, LoadState: row ? 'loaded' : 'not-found', ActiveState: row?.active ?? 'inactive', SubState: row?.sub ?? 'dead', MainPID: String(row?.pid ?? 0),
      NRestarts: String(row?.restarts ?? 0), Result: row?.result ?? 'success', ControlGroup: row?.cgroup ?? '', FragmentPath: row?.path ?? '', UnitFileState: row?.path ? yield* enabledState(name, row.path) : '',
      MemoryCurrent: (yield* tryRead(`${dir}/memory.current`))?.trim() ?? '[not set]', MemoryPeak: (yield* tryRead(`${dir}/memory.peak`))?.trim() ?? '[not set]', TasksCurrent: (yield* tryRead(`${dir}/pids.current`))?.trim() ?? '[not set]',
      CPUUsageNSec: usage(yield* tryRead(`${dir}/cpu.stat`)), Slice: row ? sliceOf(row.cgroup) : '', ...Object.fromEntries(RESOURCES.filter((key) => !key.endsWith('Accounting')).map((key) => shownSetting(key, own[key], whole))),
    };
    const wanted = only?.split(',');
    yield* print(Object.entries(all).filter(([key]) => !wanted || wanted.includes(key)).map(([key, v]) => `${key}=${v}\n`).join(''));
  }
  return 0;
}

const usage = (stat: string | null): string => {
  const usec = /usage_usec (\d+)/.exec(stat ?? '')?.[1];
  return usec === undefined ? '[not set]' : `${usec}000`;
};

const sliceOf = (cgroup: string): string => cgroup.split('/').filter((part) => part.endsWith('.slice')).at(-1) ?? '-.slice';

/** Settings into drop-ins, and at once into the unit's control group. */
function* setProperty(words: readonly string[], runtime: boolean): Call<number> {
  const [unit, ...assignments] = words;
  if (unit === undefined || assignments.length === 0) {
    yield* complain('Too few arguments.\n');
    return 1;
  }
  const name = full(unit);
  const known = [...(yield* ask({ verb: 'list', units: [] })).units, ...(yield* groups())].some((u) => u.name === name);
  try {
    const properties = parseAssignments(assignments);
    writesOf(properties, yield* wholeOf());
    if (!known && !isSlice(name)) throw new BadProperty(`Failed to set unit properties on ${name}: Unit ${name} not found.`);
    const { error = '' } = yield* ask({ verb: 'set', units: [], transient: { name, description: '', slice: '', exec: [], environment: {}, cwd: '/', restart: 'no', pid: 0, properties, collect: false, uid: null, gid: null } });
    if (error !== '') throw new BadProperty(error);
    const dir = `${runtime ? RUNTIME_CONTROL_DIR : CONTROL_DIR}/${name}.d`;
    yield* mkdirAll(dir);
    const section = name.split('.').at(-1)!;
    for (const [key, value] of Object.entries(properties)) {
      yield* writeFile(`${dir}/50-${key}.conf`, `# This is a drop-in unit file extension, created via "systemctl set-property"\n# or an equivalent operation. Do not edit.\n[${section[0]!.toUpperCase()}${section.slice(1)}]\n${key}=${value}\n`);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof BadProperty)) throw error;
    yield* complain(`${error.message}\n`);
    return 1;
  }
}

/** poweroff, reboot, halt, shutdown: through the manager, or by the kernel where there is none. */
export const power: Program = command(function* (argv) {
  const name = (argv[0] ?? '').split('/').pop()!;
  const verb = name === 'reboot' || argv.includes('-r') ? 'reboot' : 'poweroff';
  const call = verb === 'reboot' ? 'LINUX_REBOOT_CMD_RESTART' : 'LINUX_REBOOT_CMD_POWER_OFF';
  if (argv.some((a) => a === '-f' || a === '--force' || /^-[a-z]*f/.test(a))) return yield* sys('reboot', call);
  try {
    yield* ask({ verb, units: [] });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* sys('reboot', call);
  }
  return 0;
});
