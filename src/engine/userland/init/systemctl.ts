/** systemctl: asks process 1 and prints as the real one. Source: systemctl(1). Also poweroff, reboot, halt, shutdown. */
import { SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { globOf } from '../coreutils/ls.ts';
import { parseOptions, lastValue as optionValue } from '../lib/args.ts';
import { attempt, list, mkdirAll, tryRead, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { treeOfCgroup } from './cgls.ts';
import { type Answer, ask, type Order, type UnitRow } from './control.ts';
import { lastLines } from './journal.ts';
import { unprefixed } from './messages.ts';
import { BadProperty, CONTROL_DIR, dropIns, parseAssignments, RUNTIME_CONTROL_DIR, shownSetting, wholeOf, writesOf } from './resources.ts';
import { parseSignal } from '../sh/signals.ts';
import { exitName, signalName } from './service.ts';
import { isSlice, slicePath } from './slices.ts';
import { parseUnit, readUnits, unitPath, WANTS_DIR } from './units.ts';
import { editDistance } from '../lib/nearest.ts';

const SPEC = 'runtime a/all t/type= state= l/full n/lines= no-pager no-legend q/quiet now H/host= o/output= p/property= P= version s/signal= f/force plain failed no-block value';

const full = (name: string): string => (/\.(service|slice|scope|target|socket|mount)$/.test(name) ? name : `${name}.service`);

const VERSION =
  'systemd 257 (257.13-1~deb13u1)\n+PAM +AUDIT +SELINUX +APPARMOR +IMA +IPE +SMACK +SECCOMP +GCRYPT -GNUTLS +OPENSSL +ACL +BLKID +CURL +ELFUTILS +FIDO2 +IDN2 -IDN +IPTC +KMOD +LIBCRYPTSETUP +LIBCRYPTSETUP_PLUGINS +LIBFDISK +PCRE2 +PWQUALITY +P11KIT +QRENCODE +TPM2 +BZIP2 +LZ4 +XZ +ZLIB +ZSTD +BPF_FRAMEWORK +BTF -XKBCOMMON -UTMP +SYSVINIT +LIBARCHIVE\n';

const TYPES = new Set(['service', 'mount', 'swap', 'socket', 'target', 'device', 'automount', 'timer', 'path', 'slice', 'scope', 'loaded', 'not-found', 'bad-setting', 'error', 'masked', 'stub', 'merged']);

export const systemctl: Program = command(unprefixed(function* (argv) {
  const given = parseOptions(SPEC, argv.slice(1));
  if (given.on.has('version')) {
    yield* print(VERSION);
    return 0;
  }
  const type = optionValue(given, 'type');
  if (type !== undefined && !type.split(',').every((one) => TYPES.has(one))) {
    yield* complain(`Unknown unit type or load state '${type}'.\nUse -t help to see a list of allowed values.\n`);
    return 1;
  }
  const [verb = 'list-units', ...words] = given.words;
  const units = words.map(full);
  try {
    return yield* run(verb, units, words, given.on, (name) => (name === 'property' ? [...(given.values.get('property') ?? []), ...(given.values.get('P') ?? [])].join(',') || undefined : optionValue(given, name)));
  } catch (error) {
    if (!(error instanceof SysError) || !['ENOENT', 'ECONNREFUSED', 'EACCES'].includes(error.errno)) throw error;
    yield* complain("System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n");
    return 1;
  }
}));

function* run(verb: string, units: readonly string[], words: readonly string[], on: ReadonlyMap<string, number>, value: (name: string) => string | undefined): Call<number> {
  switch (verb) {
    case 'start': case 'stop': case 'restart': case 'try-restart': case 'reload-or-restart':
      return yield* job(verb === 'start' || verb === 'stop' ? verb : 'restart', verb, units);
    case 'status': return units.length === 0 ? yield* machineStatus() : yield* statuses(units, on, Number(value('lines') ?? 10));
    case 'is-active': return yield* isState(units, on, 'active', 3);
    case 'is-failed': return yield* isState(units, on, 'failed', 1);
    case 'is-enabled': return yield* enabledStates(units);
    case 'enable': case 'disable': return yield* enable(verb, units, on.has('now'));
    case 'list-units': return yield* listUnits(on, words, value('type'), value('state'));
    case 'list-unit-files': return yield* listUnitFiles(on);
    case 'daemon-reload': yield* ask({ verb: 'reload', units: [] }); return 0;
    case 'reset-failed': yield* ask({ verb: 'reset-failed', units }); return 0;
    case 'kill': return yield* kill(units, value('signal') ?? 'TERM');
    case 'set-property': return yield* setProperty(words, on.has('runtime'));
    case 'cat': return yield* cat(units);
    case 'show': return yield* showProperties(units, value('property'), on.has('value') || on.has('P'));
    case 'is-system-running': return yield* running();
    case 'poweroff': case 'reboot': case 'halt': yield* ask({ verb: verb === 'reboot' ? 'reboot' : 'poweroff', units: [] }); return 0;
    default:
      yield* complain(/^[a-z-]+$/.test(verb) && KNOWN.has(verb) ? `systemctl: not modelled: ${verb}\n` : `Unknown command verb '${verb}'${meant(verb)}\n`);
      return 1;
  }
}

const KNOWN = new Set(['mask', 'unmask', 'edit', 'isolate', 'list-dependencies', 'list-timers', 'list-sockets', 'list-jobs', 'reload', 'preset', 'daemon-reexec', 'suspend', 'get-default', 'set-default', 'link', 'revert']);

const VERBS = [
  'list-units', 'list-unit-files', 'list-timers', 'list-sockets', 'list-jobs', 'list-dependencies', 'start', 'stop', 'restart', 'try-restart', 'reload', 'reload-or-restart', 'kill', 'is-active', 'is-failed', 'is-enabled', 'is-system-running',
  'show', 'cat', 'status', 'help', 'daemon-reload', 'daemon-reexec', 'enable', 'disable', 'mask', 'unmask', 'edit', 'set-property', 'reset-failed', 'isolate', 'freeze', 'thaw', 'halt', 'poweroff', 'reboot', 'suspend', 'get-default', 'set-default',
];

/** The nearest verb, when one is near. */
function meant(verb: string): string {
  const near = VERBS.map((one) => ({ one, far: one.startsWith(verb) ? 0 : editDistance(verb, one) })).sort((a, b) => a.far - b.far)[0]!;
  return near.far <= 5 ? `, did you mean '${near.one}'?` : '.';
}

function* kill(units: readonly string[], signal: string): Call<number> {
  const number = parseSignal(signal);
  if (typeof number !== 'number') {
    yield* complain(`Failed to parse signal string ${signal}.\n`);
    return 1;
  }
  const { missing } = yield* ask({ verb: 'kill', units, signal: number });
  for (const name of missing) yield* complain(`Failed to kill unit ${name}: Unit ${name} not loaded.\n`);
  return missing.length > 0 ? 1 : 0;
}

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
  if (row.pid === 0 && row.code !== '') out += endedText(row);
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

function endedText(row: UnitRow): string {
  const how = row.code === 'exited' ? `code=exited, status=${row.status}/${exitName(row.status)}` : `code=killed, signal=${signalName(row.status)}`;
  return [
    ...(row.ran > 0 ? [`   Duration: ${span(row.ran / 1000)}`] : []), `    Process: ${row.exitedPid} ExecStart=${row.exec.join(' ')} (${how})`, `   Main PID: ${row.exitedPid} (${how})`,
    ...(row.peak > 0 ? [`   Mem peak: ${human(row.peak)}`] : []), ...(row.cpu > 0 ? [`        CPU: ${span(row.cpu / 1000)}`] : []),
  ].map((one) => `${one}\n`).join('');
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

export function human(n: number): string {
  const units = ['B', 'K', 'M', 'G'];
  let value = n;
  let i = 0;
  while (value >= 1024 && i < 3) {
    value /= 1024;
    i++;
  }
  return i === 0 ? `${value}B` : `${value.toFixed(1)}${units[i]}`;
}

/** 0 when any is so; 4 when there is none of them. */
function* isState(units: readonly string[], on: ReadonlyMap<string, number>, wanted: string, otherwise: number): Call<number> {
  const rows = [...(yield* ask({ verb: 'list', units })).units, ...(yield* groups())];
  let any = false;
  let known = false;
  for (const name of units) {
    const row = rows.find((u) => u.name === name);
    known ||= row !== undefined;
    any ||= row?.active === wanted;
    if (!on.has('quiet')) yield* print(`${row?.active ?? 'inactive'}\n`);
  }
  return any ? 0 : known ? otherwise : 4;
}

function* enabledState(name: string, path: string): Call<string> {
  if (path.includes('@.')) return 'enabled';
  if ((yield* attempt(sys('readlinkat', -100, `${WANTS_DIR}/${name}`), null)) !== null) return 'enabled';
  const source = yield* tryRead(path);
  return source !== null && parseUnit(name, path, source).installable ? 'disabled' : 'static';
}

function* enabledStates(units: readonly string[]): Call<number> {
  let [good, known] = [false, false];
  for (const name of units) {
    const path = yield* unitPath(name);
    const transient = path === null && (yield* ask({ verb: 'list', units: [name] })).units[0]?.path.startsWith('/run/systemd/transient/');
    const state = transient ? 'transient' : path === null ? 'not-found' : yield* enabledState(name, path);
    known ||= state !== 'not-found';
    good ||= ['enabled', 'static', 'transient'].includes(state);
    yield* print(`${state}\n`);
  }
  return good ? 0 : known ? 1 : 4;
}

const NO_INSTALL = `The unit files have no installation config (WantedBy=, RequiredBy=, UpheldBy=,
Also=, or Alias= settings in the [Install] section, and DefaultInstance= for
template units). This means they are not meant to be enabled or disabled using systemctl.
 
Possible reasons for having these kinds of units are:
• A unit may be statically enabled by being symlinked from another unit's
  .wants/, .requires/, or .upholds/ directory.
• A unit's purpose may be to act as a helper for some other unit which has
  a requirement dependency on it.
• A unit may be started when needed via activation (socket, path, timer,
  D-Bus, udev, scripted systemctl call, ...).
• In case of template units, the unit is meant to be enabled with some
  instance name specified.
`;

function* enable(verb: string, units: readonly string[], now: boolean): Call<number> {
  for (const name of units) {
    const path = yield* unitPath(name);
    if (path === null) {
      yield* complain(`Failed to ${verb} unit: Unit ${name} does not exist\n`);
      return 1;
    }
    if (!parseUnit(name, path, (yield* tryRead(path)) ?? '').installable) {
      yield* complain(NO_INSTALL);
      continue;
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
    name, description, path: '', active: 'active', sub, pid: 0, since: 0, code: '', status: 0, exitedPid: 0, result: 'success', cgroup: slicePath(name), restarts: 0, restart: 'no', type: '', killMode: 'control-group', nice: 0, oomScoreAdjust: 0, ran: 0, cpu: 0, peak: 0, exec: [], properties: {},
  });
  const out = [row('init.scope', 'System and Service Manager', 'running'), row('-.slice', 'Root Slice', 'active')];
  yield* slicesBelow('/sys/fs/cgroup', out, row);
  return out;
}

/** A shell pattern; a bare name is a service's. */
const matches = (pattern: string, name: string): boolean => globOf(/[*?[.]/.test(pattern) ? pattern : `${pattern}.service`).test(name);

function* listUnits(on: ReadonlyMap<string, number>, patterns: readonly string[], type: string | undefined, state: string | undefined): Call<number> {
  const rows = [...(yield* ask({ verb: 'list', units: [] })).units, ...(yield* groups())]
    .filter((u) => (type === undefined || type.split(',').some((one) => u.name.endsWith(`.${one}`))) && (patterns.length === 0 || patterns.some((one) => matches(one, u.name))) && (on.has('failed') ? u.active === 'failed' : state ? u.active === state || u.sub === state : on.has('all') || u.active !== 'inactive'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const wide = (pick: (u: UnitRow) => string, head: string): number => Math.max(head.length, ...rows.map((u) => pick(u).length));
  const [n, a, s] = [wide((u) => u.name, 'UNIT'), wide((u) => u.active, 'ACTIVE'), wide((u) => u.sub, 'SUB')];
  const line = (mark: string, name: string, load: string, active: string, sub: string, description: string): string => `${on.has('plain') ? '' : `${mark} `}${name.padEnd(n)} ${load.padEnd(6)} ${active.padEnd(a)} ${sub.padEnd(s)} ${description}\n`;
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
  let first = true;
  for (const name of units) {
    const path = yield* unitPath(name);
    const files = path === null ? [] : [path];
    for (const dir of [CONTROL_DIR, RUNTIME_CONTROL_DIR]) for (const one of yield* list(`${dir}/${name}.d`)) files.push(`${dir}/${name}.d/${one.name}`);
    if (files.length === 0) {
      yield* complain(`No files found for ${name}.\n`);
      return 1;
    }
    for (const file of files) {
      yield* print(`${first ? '' : '\n'}# ${file}\n${(yield* tryRead(file)) ?? ''}`);
      first = false;
    }
  }
  return 0;
}

/** Properties in the manager's order: the kind of unit's, its control group's, its processes', every unit's. */
function* propertiesOf(name: string, row: UnitRow | undefined): Call<Record<string, string>> {
  const whole = yield* wholeOf();
  const own: Record<string, string> = { ...row?.properties, ...(yield* dropIns(name)) };
  const dir = `/sys/fs/cgroup${row?.cgroup ?? '/nowhere'}`;
  const read = function* (file: string): Call<string> { return (yield* tryRead(`${dir}/${file}`))?.trim() ?? '[not set]'; };
  const set = (...keys: string[]): Record<string, string> => Object.fromEntries(keys.map((key) => shownSetting(key, own[key], whole)));
  const service = name.endsWith('.service');
  const cgroup = row?.active === 'active' || row?.active === 'deactivating' || row?.path === '' ? row.cgroup : '';
  return {
    ...(service ? { Type: row?.type ?? 'simple', Restart: row?.restart ?? 'no', MainPID: String(row?.pid ?? 0) } : {}),
    ...(name.endsWith('.slice') ? {} : { Result: row?.result ?? 'success' }),
    ...(service ? { NRestarts: String(row?.restarts ?? 0) } : {}),
    ...(name.endsWith('.slice') ? {} : { OOMPolicy: own.OOMPolicy ?? 'stop' }),
    ...(service ? { ExecMainPID: String(row?.pid || row?.exitedPid || 0), ExecMainCode: row?.code === 'exited' ? '1' : row?.code === 'killed' ? '2' : '0', ExecMainStatus: String(row?.status ?? 0) } : {}),
    Slice: row ? sliceOf(row) : '', ControlGroup: cgroup, MemoryCurrent: yield* read('memory.current'), MemoryPeak: yield* read('memory.peak'),
    CPUUsageNSec: usage(yield* tryRead(`${dir}/cpu.stat`)), TasksCurrent: yield* read('pids.current'), Delegate: own.Delegate ?? 'no', CPUAccounting: 'yes',
    ...set('CPUWeight', 'CPUQuota', 'CPUQuotaPeriodSec', 'AllowedCPUs', 'AllowedMemoryNodes'), IOAccounting: own.IOAccounting ?? 'no', ...set('IOWeight', 'IOReadBandwidthMax', 'IOWriteBandwidthMax', 'IOReadIOPSMax', 'IOWriteIOPSMax'), MemoryAccounting: 'yes',
    ...set('MemoryMin', 'MemoryLow', 'MemoryHigh', 'MemoryMax', 'MemorySwapMax'), TasksAccounting: 'yes', ...set('TasksMax'),
    ...(service ? { OOMScoreAdjust: String(row?.oomScoreAdjust ?? 0), Nice: String(row?.nice ?? 0) } : {}), ...(name.endsWith('.slice') ? {} : { KillMode: row?.killMode ?? 'control-group' }),
    Id: name, Names: name, Description: row?.description ?? name, LoadState: row ? 'loaded' : 'not-found', ActiveState: row?.active ?? 'inactive', SubState: row?.sub ?? 'dead', FragmentPath: row?.path ?? '',
    UnitFileState: row?.path ? (row.path.startsWith('/run/systemd/transient/') ? 'transient' : yield* enabledState(name, row.path)) : '', Transient: row?.path.startsWith('/run/systemd/transient/') ? 'yes' : 'no',
  };
}

function* showProperties(units: readonly string[], only: string | undefined, bare: boolean): Call<number> {
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

/** Settings into drop-ins, and at once into the unit's control group. */
function* setProperty(words: readonly string[], runtime: boolean): Call<number> {
  const [unit, ...assignments] = words;
  if (unit === undefined || assignments.length === 0) {
    yield* complain('Too few arguments.\n');
    return 1;
  }
  const name = full(unit);
  const row = [...(yield* ask({ verb: 'list', units: [] })).units, ...(yield* groups())].find((u) => u.name === name);
  try {
    const properties = parseAssignments(assignments);
    const whole = yield* wholeOf();
    writesOf(properties, whole);
    if (!row && !isSlice(name)) throw new BadProperty(`Failed to set unit properties on ${name}: Unit ${name} not found.`);
    const { error = '' } = yield* ask({ verb: 'set', units: [], transient: { name, description: '', slice: '', exec: [], environment: {}, cwd: '/', restart: 'no', pid: 0, properties, collect: false, uid: null, gid: null } });
    if (error !== '') throw new BadProperty(error);
    // What no file has keeps its settings no longer than itself.
    if (row?.path.startsWith('/run/systemd/transient/')) return 0;
    const dir = `${runtime ? RUNTIME_CONTROL_DIR : CONTROL_DIR}/${name}.d`;
    yield* mkdirAll(dir);
    const section = name.split('.').at(-1)!;
    for (const [key, value] of Object.entries(properties)) {
      yield* writeFile(`${dir}/50-${key}.conf`, `# This is a drop-in unit file extension, created via "systemctl set-property"\n# or an equivalent operation. Do not edit.\n[${section[0]!.toUpperCase()}${section.slice(1)}]\n${key}=${key.startsWith('Memory') && !key.endsWith('Accounting') ? shownSetting(key, value, whole)[1] : value}\n`);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof BadProperty)) throw error;
    yield* complain(`${error.message.startsWith('Value specified') ? `Failed to set unit properties on ${name}: ` : ''}${error.message}\n`);
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
