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
import { exitName, signalName } from './service.ts';
import { isSlice } from './slices.ts';
import { human } from './systemctl.ts';

const SPEC =
  'h/help version user system H/host= M/machine= scope u/unit= p/property= description= slice= slice-inherit r/remain-after-exit send-sighup service-type= uid= gid= nice= working-directory= d/same-dir E/setenv= t/pty P/pipe T/pty-late q/quiet ' +
  'G/collect S/shell on-active= on-boot= on-startup= on-unit-active= on-unit-inactive= on-calendar= timer-property= path-property= socket-property= no-block wait no-ask-password expand-environment= background= job-mode= ignore-failure json=';

const ABSENT = ['user', 'host', 'machine', 'pty', 'pty-late', 'shell', 'on-active', 'on-boot', 'on-startup', 'on-unit-active', 'on-unit-inactive', 'on-calendar', 'timer-property', 'path-property', 'socket-property'];

/** Settings of services that are no resources. */
const RESTARTS = ['no', 'always', 'on-failure'] as const;

const fullName = (name: string, kind: string): string => (name.endsWith(`.${kind}`) ? name : `${name.replace(/[^A-Za-z0-9:_.\\-]/g, '-')}.${kind}`);

const HEX = (n: number): string => Math.abs(Math.floor(n) * 2654435761 % 2 ** 32).toString(16).padStart(8, '0');

/** Made up from who asks and when: the same in the same history. */
function* invocation(): Call<string> {
  const [now, pid] = [yield* sys('clock_gettime', 'monotonic'), yield* sys('getpid')];
  return HEX(now) + HEX(pid) + HEX(now / 7 + pid) + HEX(pid * 31 + now / 1000);
}

export const systemdRun: Program = command(unprefixed(function* (argv, env) {
  const o = parseOptions(SPEC, argv.slice(1), 'in-order');
  for (const name of ABSENT) if (o.on.has(name)) throw new Failed(`not modelled: --${name}`);
  if (o.words.length === 0) throw new Failed('Command line to execute required.');
  const scope = o.on.has('scope');
  if (scope && o.on.has('wait')) throw new Failed('--wait may not be combined with --scope.');
  const t = yield* transient(o, env, scope);
  try {
    const { error = '' } = yield* ask({ verb: scope ? 'scope' : 'run', units: [], transient: t }, o.on.has('pipe') && !scope ? [0, 1, 2] : []);
    if (error !== '') throw new Failed(error.startsWith('Value specified') ? `Failed to start transient ${scope ? 'scope' : 'service'} unit: ${error}` : error);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n`);
    return 1;
  }
  if (!o.on.has('quiet')) yield* complain(`Running as unit: ${t.name}; invocation ID: ${yield* invocation()}\n`);
  if (scope) return yield* become(o, t, env);
  return o.on.has('wait') || o.on.has('pipe') ? yield* waitFor(t.name, o.on.has('quiet')) : 0;
}));

function* transient(o: Options, env: Readonly<Record<string, string>>, scope: boolean): Call<Transient> {
  const pid = yield* sys('getpid');
  const kind = scope ? 'scope' : 'service';
  const given = lastValue(o, 'unit');
  const slice = lastValue(o, 'slice');
  const inSlice = slice === undefined ? 'system.slice' : yield* sliceName(slice);
  const { properties, restart, terms } = settings(o);
  const accounts = yield* readAccounts();
  const user = lastValue(o, 'uid') === undefined ? null : findUser(accounts, lastValue(o, 'uid')!);
  if (user === undefined) throw new Failed(`Failed to resolve user ${lastValue(o, 'uid')}: No such process`);
  const gid = lastValue(o, 'gid') === undefined ? (user?.gid ?? null) : findGroup(accounts, lastValue(o, 'gid')!);
  const environment: Record<string, string> = {};
  for (const one of o.values.get('setenv') ?? []) environment[one.split('=', 1)[0]!] = one.includes('=') ? one.slice(one.indexOf('=') + 1) : (env[one] ?? '');
  const exec = [...o.words];
  exec[0] = yield* find(exec[0]!, env);
  return {
    name: given === undefined ? `run-p${pid}-i${pid + 4_000_000}.${kind}` : fullName(given, kind), description: lastValue(o, 'description') ?? `[systemd-run] ${exec.map(shellWord).join(' ')}`,
    slice: inSlice, exec, environment,
    cwd: lastValue(o, 'working-directory') ?? (o.on.has('same-dir') ? yield* sys('getcwd') : '/'), restart, pid, properties, collect: o.on.has('collect'), uid: user?.uid ?? null, gid, ...terms, wait: !scope && (o.on.has('wait') || o.on.has('pipe')),
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
  RemainAfterExit: (value, terms) => void (terms.remain = ['yes', 'true', '1', 'on'].includes(value)),
  RestartSec: (value, terms) => void (terms.restartAfter = span('RestartSec', value)),
};

function within(key: string, value: string, min: number, max: number): number {
  const n = Number(value);
  if (!/^[-+]?\d+$/.test(value)) throw new Failed(`Failed to parse ${key}=${value}: Invalid argument`);
  if (n < min || n > max) throw new Failed(`Failed to parse ${key}=${value}: Numerical result out of range`);
  return n;
}

function span(key: string, value: string): number {
  const m = /^(\d+(?:\.\d+)?)\s*(ms|us|s|min|h|)$/.exec(value);
  if (!m) throw new Failed(`Failed to parse ${key}=${value}: Invalid argument`);
  return Number(m[1]) * { us: 1e3, ms: 1e6, s: 1e9, '': 1e9, min: 60e9, h: 3600e9 }[m[2] as 's'];
}

const LIMITS = new Set(['CPU', 'FSIZE', 'DATA', 'STACK', 'CORE', 'RSS', 'NPROC', 'NOFILE', 'MEMLOCK', 'AS', 'LOCKS', 'SIGPENDING', 'MSGQUEUE', 'NICE', 'RTPRIO', 'RTTIME']);
const NOT_YET = ['Description', 'Type', 'User', 'Group', 'WorkingDirectory', 'Environment', 'PrivateTmp', 'ProtectSystem', 'DynamicUser', 'NoNewPrivileges', 'CapabilityBoundingSet'];

function settings(o: Options): { properties: Record<string, string>; restart: Transient['restart']; terms: Terms } {
  let restart: Transient['restart'] = 'no';
  const properties: Record<string, string> = {};
  const limits: Record<string, string> = {};
  const terms: Terms = { limits };
  try {
    for (const [key, value] of Object.entries(parseAssignments(o.values.get('property') ?? []))) {
      const limit = key.startsWith('Limit') ? key.slice(5) : '';
      if (isResource(key)) properties[key] = value;
      else if (key === 'Restart' && (RESTARTS as readonly string[]).includes(value)) restart = value as Transient['restart'];
      else if (Object.hasOwn(TERMS, key)) TERMS[key]!(value, terms);
      else if (LIMITS.has(limit) && /^(?:\d+|infinity)(?::(?:\d+|infinity))?$/.test(value)) limits[limit] = value;
      else if (LIMITS.has(limit)) throw new Failed(`Failed to parse resource limit: ${value}`);
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
  return { properties, restart, terms };
}

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
