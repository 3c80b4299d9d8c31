/** systemd-run: a command as a service or in a scope of its own, with resource settings. Source: systemd-run(1) of systemd 257. */
import { SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { findGroup, findUser, readAccounts } from '../coreutils/accounts.ts';
import { execvp } from '../coreutils/run.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { unprefixed } from './messages.ts';
import { ask, type Transient, type UnitRow } from './control.ts';
import { BadProperty, isResource, parseAssignments } from './resources.ts';
import { parseCalendar } from './oncalendar.ts';
import { exitName, signalName } from './service.ts';
import { isSlice } from './slices.ts';
import { parseSpan } from './span.ts';
import { size as human } from './life.ts';
import { readSource, type Source } from './unitfile.ts';
import { type Timer, type UnitFile, unitOf } from './units.ts';

const SPEC =
  'h/help version user system H/host= M/machine= scope u/unit= p/property= description= slice= slice-inherit r/remain-after-exit send-sighup service-type= uid= gid= nice= working-directory= d/same-dir E/setenv= t/pty P/pipe T/pty-late q/quiet ' +
  'G/collect S/shell on-active= on-boot= on-startup= on-unit-active= on-unit-inactive= on-calendar= timer-property= path-property= socket-property= no-block wait no-ask-password expand-environment= background= job-mode= ignore-failure json=';

const ABSENT = ['user', 'host', 'machine', 'pty', 'pty-late', 'shell', 'path-property', 'socket-property'];
const TIMERS = ['on-active', 'on-boot', 'on-startup', 'on-unit-active', 'on-unit-inactive', 'on-calendar'] as const;

const fullName = (name: string, kind: string): string => (name.endsWith(`.${kind}`) ? name : `${name.replace(/[^A-Za-z0-9:_.\\@-]/g, '-')}.${kind}`);

const HEX = (n: number): string => Math.abs(Math.floor(n) * 2654435761 % 2 ** 32).toString(16).padStart(8, '0');

/** Made up from who asks and when: the same in the same history. */
function* invocation(): Call<string> {
  const [now, pid] = [yield* sys('clock_gettime', 'monotonic'), yield* sys('getpid')];
  return HEX(now) + HEX(pid) + HEX(now / 7 + pid) + HEX(pid * 31 + now / 1000);
}

export const systemdRun: Program = command(unprefixed(function* (argv, env) {
  const o = parseOptions(SPEC, argv.slice(1), 'in-order');
  const timer = timerOf(o);
  const scope = o.on.has('scope');
  if (o.words.length === 0 && !timer) throw new Failed('Command line to execute required.');
  if (o.on.has('timer-property') && !timer) throw new Failed('--timer-property= has no effect without any other timer options.');
  if ((o.on.has('pty') || o.on.has('pipe')) && timer) throw new Failed('--pty/--pty-late/--pipe is not compatible in timer or --scope mode.');
  if (o.on.has('pty') && scope) throw new Failed('--pty/--pty-late/--pipe is not compatible in timer or --scope mode.');
  if (scope && timer) throw new Failed('Timer options are not supported in --scope mode.');
  if (o.on.has('wait')) {
    if (o.on.has('no-block')) throw new Failed('--wait may not be combined with --no-block.');
    if (timer) throw new Failed('--wait may not be combined with timer operations.');
    if (scope) throw new Failed('--wait may not be combined with --scope.');
  }
  for (const name of ABSENT) if (o.on.has(name)) throw new Failed(`not modelled: --${name}`);
  const t = yield* transient(o, env, scope, timer);
  const what = timer ? 'timer' : scope ? 'scope' : 'service';
  const row = yield* asked(o, t, what);
  if (row === null) return 1;
  if (!o.on.has('quiet')) {
    if (timer) yield* complain(`Running timer as unit: ${t.name.replace(/\.service$/, '.timer')}\n${o.words.length > 0 ? `Will run service as unit: ${t.name}\n` : ''}`);
    else yield* complain(`Running as unit: ${t.name}; invocation ID: ${row?.invocation || (yield* invocation())}\n`);
  }
  if (scope) return yield* become(o, t, env);
  if (o.on.has('wait') || o.on.has('pipe')) return yield* waitFor(t.name, o.on.has('quiet'));
  return 0;
}));

/** The order carried out; null when there is no manager. Throws Failed for what it refuses. */
function* asked(o: Options, t: Transient, what: string): Call<UnitRow | undefined | null> {
  try {
    const { error = '', units, failed, reasons } = yield* ask({ verb: what === 'scope' ? 'scope' : 'run', units: what === 'service' ? [t.name] : [], transient: t, block: !o.on.has('no-block') && !o.on.has('wait') && !o.on.has('pipe') }, o.on.has('pipe') && what === 'service' ? [0, 1, 2] : []);
    if (error !== '') throw new Failed(error.startsWith('Value specified') ? `Failed to start transient ${what} unit: ${error}` : error);
    for (const name of failed) throw new Failed(`Job for ${name} failed because ${reasons?.[name] === 'signal' ? 'a fatal signal was delivered to the control process' : reasons?.[name] === 'timeout' ? 'a timeout was exceeded' : 'the control process exited with error code'}.\nSee "systemctl status ${name}" and "journalctl -xeu ${name}" for details.`);
    return units.find((u) => u.name === t.name);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n`);
    return null;
  }
}

const TIMER_KEYS: Readonly<Record<(typeof TIMERS)[number], [key: keyof Timer, name: string]>> = {
  'on-active': ['onActive', 'OnActiveSec'], 'on-boot': ['onBoot', 'OnBootSec'], 'on-startup': ['onBoot', 'OnStartupSec'], 'on-unit-active': ['onUnitActive', 'OnUnitActiveSec'], 'on-unit-inactive': ['onUnitInactive', 'OnUnitInactiveSec'], 'on-calendar': ['calendar', 'OnCalendar'],
};

/** What the timer options say; null without any. */
function timerOf(o: Options): Timer | null {
  const lists: Record<string, (number | string)[]> = { onActive: [], onBoot: [], onUnitActive: [], onUnitInactive: [], calendar: [] };
  let any = false;
  for (const option of TIMERS) {
    const [key, name] = TIMER_KEYS[option];
    for (const value of o.values.get(option) ?? []) {
      any = true;
      const us = option === 'on-calendar' ? value : parseSpan(value);
      if (option === 'on-calendar' && parseCalendar(value) === null) throw new Failed('Failed to parse calendar event specification: Invalid argument');
      if (us === null || us === 'range') throw new Failed(`Failed to parse ${name}=${value}: ${us === null ? 'Invalid argument' : 'Numerical result out of range'}`);
      lists[key]!.push(us);
    }
  }
  return any ? ({ ...lists, unit: '' } as unknown as Timer) : null;
}

function* transient(o: Options, env: Readonly<Record<string, string>>, scope: boolean, timer: Timer | null): Call<Transient> {
  const pid = yield* sys('getpid');
  const kind = scope ? 'scope' : 'service';
  const given = lastValue(o, 'unit');
  const slice = lastValue(o, 'slice');
  const inSlice = slice === undefined ? 'system.slice' : yield* sliceName(slice);
  const { properties, terms, unit } = settings(o);
  const accounts = yield* readAccounts();
  const user = lastValue(o, 'uid') === undefined ? null : findUser(accounts, lastValue(o, 'uid')!);
  if (user === undefined) throw new Failed(`Failed to resolve user ${lastValue(o, 'uid')}: No such process`);
  const gid = lastValue(o, 'gid') === undefined ? (user?.gid ?? null) : findGroup(accounts, lastValue(o, 'gid')!);
  const environment: Record<string, string> = {};
  for (const one of o.values.get('setenv') ?? []) environment[one.split('=', 1)[0]!] = one.includes('=') ? one.slice(one.indexOf('=') + 1) : (env[one] ?? '');
  const exec = [...o.words];
  if (exec.length > 0) exec[0] = yield* find(exec[0]!, env);
  const name = given === undefined ? `run-p${pid}-i${pid + 4_000_000}.${kind}` : fullName(given.replace(/\.timer$/, ''), kind);
  return {
    name, unit: { ...unit, user: user === null ? (unit.user ?? '') : user.name }, ...(timer ? { timer: { ...timer, unit: name } } : {}), description: lastValue(o, 'description') ?? `[systemd-run] ${exec.map(shellWord).join(' ')}`,
    slice: inSlice, exec, environment,
    cwd: lastValue(o, 'working-directory') ?? (o.on.has('same-dir') ? yield* sys('getcwd') : '/'), restart: unit.restart ?? 'no', pid, properties, collect: o.on.has('collect'), uid: user?.uid ?? null, gid, ...terms, wait: !scope && (o.on.has('wait') || o.on.has('pipe')),
  };
}

/** What is no unit's name is escaped, and told. */
function* sliceName(given: string): Call<string> {
  const escaped = given.replaceAll('/', '-').replace(/[^A-Za-z0-9:_.\\-]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`);
  if (escaped !== given) yield* complain(`Invalid unit name "${given}" escaped as "${escaped}" (maybe you should use systemd-escape?).\n`);
  const name = escaped.endsWith('.slice') ? escaped : `${escaped}.slice`;
  if (!isSlice(name)) throw new Failed(`Failed to mangle name '${given}': Invalid argument`);
  return name;
}

/** A word of a command line as systemd shows it. */
const shellWord = (word: string): string => (word !== '' && /^[^\s"\\$*?[\]';&<>()|#~`!]+$/.test(word) ? word : `"${word.replace(/["\\$`]/g, '\\$&')}"`);

type Terms = Pick<Transient, 'nice' | 'oomScoreAdjust' | 'limits' | 'restartAfter' | 'remain'>;

/** Settings of what is started, by their names: each adds to the terms, or throws. */
const TERMS: Readonly<Record<string, (value: string, terms: Terms) => void>> = {
  Nice: (value, terms) => void (terms.nice = within('Nice', value, -20, 19)),
  OOMScoreAdjust: (value, terms) => void (terms.oomScoreAdjust = within('OOMScoreAdjust', value, -1000, 1000)),
};

function within(key: string, value: string, min: number, max: number): number {
  const n = Number(value);
  if (!/^[-+]?\d+$/.test(value)) throw new Failed(`Failed to parse ${key}=${value}: Invalid argument`);
  if (n < min || n > max) throw new Failed(`Failed to parse ${key}=${value}: Numerical result out of range`);
  return n;
}

const LIMITS = new Set(['CPU', 'FSIZE', 'DATA', 'STACK', 'CORE', 'RSS', 'NPROC', 'NOFILE', 'MEMLOCK', 'AS', 'LOCKS', 'SIGPENDING', 'MSGQUEUE', 'NICE', 'RTPRIO', 'RTTIME']);
const NOT_YET = ['PrivateTmp', 'ProtectSystem', 'ProtectHome', 'DynamicUser', 'NoNewPrivileges', 'CapabilityBoundingSet', 'PrivateNetwork', 'PrivateDevices', 'ReadOnlyPaths', 'InaccessiblePaths', 'SystemCallFilter', 'RootDirectory', 'StandardOutput', 'StandardError', 'StandardInput', 'RuntimeDirectory', 'StateDirectory'];

/** Settings that a unit file has too, read as there. */
const AS_FILE = new Set(['Type', 'Restart', 'RestartSec', 'RemainAfterExit', 'ExecStartPre', 'ExecStartPost', 'ExecStop', 'ExecStopPost', 'ExecReload', 'User', 'Group', 'WorkingDirectory', 'Environment', 'EnvironmentFile', 'RuntimeMaxSec', 'TimeoutStartSec', 'TimeoutStopSec', 'TimeoutSec', 'KillMode', 'KillSignal', 'SuccessExitStatus', 'StartLimitBurst', 'StartLimitIntervalSec']);
const UNIT_KEYS = new Set(['Description', 'After', 'Before', 'Wants', 'Requires', 'BindsTo', 'Conflicts', 'PartOf', 'Documentation', 'StartLimitBurst', 'StartLimitIntervalSec', 'OnFailure']);

function settings(o: Options): { properties: Record<string, string>; terms: Terms; unit: Partial<UnitFile> } {
  const properties: Record<string, string> = {};
  const limits: Record<string, string> = {};
  const terms: Terms = { limits };
  const file: [string, string][] = [];
  try {
    for (const word of o.values.get('property') ?? []) {
      const [key, value] = Object.entries(parseAssignments([word]))[0]!;
      const limit = key.startsWith('Limit') ? key.slice(5) : '';
      if (isResource(key)) properties[key] = value;
      else if (Object.hasOwn(TERMS, key)) TERMS[key]!(value, terms);
      else if (LIMITS.has(limit) && /^(?:\d+|infinity)(?::(?:\d+|infinity))?$/.test(value)) limits[limit] = value;
      else if (LIMITS.has(limit)) throw new Failed(`Failed to parse resource limit: ${value}`);
      else if (AS_FILE.has(key) || UNIT_KEYS.has(key)) file.push([key, value]);
      else if (NOT_YET.includes(key)) throw new Failed(`not modelled: -p ${key}=`);
      else throw new Failed(`Unknown assignment: ${key}=${value}`);
    }
  } catch (error) {
    if (error instanceof BadProperty) throw new Failed(error.message);
    throw error;
  }
  const nice = lastValue(o, 'nice');
  if (nice !== undefined) terms.nice = within('Nice', nice, -20, 19);
  if (o.on.has('remain-after-exit')) terms.remain = true;
  const kind = lastValue(o, 'service-type');
  if (kind !== undefined) file.push(['Type', kind]);
  return { properties, terms, unit: fromFile(file, terms) };
}

/** The settings as a unit file of their own would be read; only what was said. */
function fromFile(said: readonly (readonly [string, string])[], terms: Terms): Partial<UnitFile> {
  const source: Source = { values: new Map(), problems: [] };
  const own = said.filter(([key]) => !UNIT_KEYS.has(key));
  readSource('service', '', `[Unit]\n${said.filter(([key]) => UNIT_KEYS.has(key)).map(([key, v]) => `${key}=${v}\n`).join('')}[Service]\n${own.map(([key, v]) => `${key}=${v}\n`).join('')}`, source);
  const bad = source.problems[0];
  if (bad) {
    const [key, value] = own[Math.max(0, bad.line - 3 - (said.length - own.length) + 1)] ?? own[0] ?? ['', ''];
    throw new Failed(SPANS.has(key) ? `Failed to parse ${key}=${value}: Invalid argument` : `Failed to start transient service unit: Invalid ${key} setting: ${value}`);
  }
  const unit = unitOf('x.service', '', source);
  const has = (key: string): boolean => said.some(([one]) => one === key);
  const { ExecStart: _none, ...lines } = unit.lines;
  return {
    lines, ...(has('Type') ? { type: unit.type } : {}), ...(has('Restart') ? { restart: unit.restart } : {}), ...(has('RestartSec') ? { restartAfter: unit.restartAfter } : {}), remain: unit.remain || (terms.remain ?? false), ...(has('User') ? { user: unit.user } : {}), ...(has('Group') ? { group: unit.group } : {}),
    ...(has('WorkingDirectory') ? { cwd: unit.cwd } : {}), environmentFiles: unit.environmentFiles, ...finite({ runtimeMax: unit.runtimeMax, startTimeout: unit.startTimeout, stopTimeout: unit.stopTimeout }), killMode: unit.killMode, killSignal: unit.killSignal, success: unit.success, burst: unit.burst, interval: unit.interval,
    ...(has('Environment') ? { environment: unit.environment } : {}), ...(has('Description') ? { description: unit.description } : {}), after: unit.after, wants: unit.wants, requires: unit.requires, conflicts: unit.conflicts, onFailure: unit.onFailure,
  };
}

/** For ever has no number that travels. */
const finite = (spans: Partial<UnitFile>): Partial<UnitFile> => Object.fromEntries(Object.entries(spans).filter(([, v]) => Number.isFinite(v)));

const SPANS = new Set(['RestartSec', 'RuntimeMaxSec', 'TimeoutStartSec', 'TimeoutStopSec', 'TimeoutSec', 'StartLimitIntervalSec']);

function* find(name: string, env: Readonly<Record<string, string>>): Call<string> {
  if (name.includes('/')) return name;
  for (const dir of (env.PATH ?? '/usr/bin').split(':')) if (yield* statOf(`${dir}/${name}`)) return `${dir}/${name}`;
  throw new Failed(`Failed to find executable ${name}: No such file or directory`);
}

function* become(o: Options, t: Transient, env: Readonly<Record<string, string>>): Call<number> {
  if (t.nice !== undefined) yield* attempt(sys('setpriority', 0, 0, t.nice), 0);
  if (t.gid !== null) yield* sys('setresgid', t.gid, t.gid, t.gid);
  if (t.uid !== null) yield* sys('setresuid', t.uid, t.uid, t.uid);
  if (lastValue(o, 'working-directory') !== undefined) yield* sys('chdir', t.cwd);
  try {
    return yield* execvp(o.words, { ...env, ...t.environment });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`Failed to execute: ${strerror(error)}`);
  }
}

const duration = (ns: number): string => {
  const ms = Math.round(ns / 1e6);
  return ms < 1000 ? `${ms}ms` : ms < 60_000 ? `${Number((ms / 1000).toFixed(3))}s` : `${Math.floor(ms / 60_000)}min ${Number(((ms % 60_000) / 1000).toFixed(3))}s`;
};

/** Asks until the service is over; ends as it did. */
function* waitFor(name: string, quiet: boolean): Call<number> {
  for (;;) {
    const row: UnitRow | undefined = (yield* ask({ verb: 'list', units: [name] })).units[0];
    if (!row || row.active === 'failed' || row.active === 'inactive') {
      const [result, code, status] = row ? [row.result, row.code || 'exited', row.status] : ['success', 'exited', 0];
      if (!quiet) {
        yield* complain(`Finished with result: ${result}\nMain processes terminated with: code=${code}, status=${status}/${code === 'killed' ? signalName(status) : exitName(status)}\n`);
        yield* complain(`Service runtime: ${duration(row?.ran ?? 0)}\nCPU time consumed: ${duration(row?.cpu ?? 0)}\n${row && row.peak > 0 ? `Memory peak: ${human(row.peak)} (swap: 0B)\n` : ''}`);
      }
      yield* ask({ verb: 'forget', units: [name] });
      return code === 'exited' ? status : EXIT_FAILURE;
    }
    yield* sys('nanosleep', 5e6);
  }
}

const EXIT_FAILURE = 1;
