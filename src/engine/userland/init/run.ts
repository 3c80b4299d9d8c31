/** systemd-run: a command as a service or in a scope of its own, with resource settings. Source: systemd-run(1) of systemd 257. */
import { SIG, SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { findGroup, findUser, readAccounts } from '../coreutils/accounts.ts';
import { execvp } from '../coreutils/run.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { unprefixed } from './messages.ts';
import { ask, type Transient } from './control.ts';
import { BadProperty, isResource, parseAssignments } from './resources.ts';
import { isSlice } from './slices.ts';

const SPEC =
  'h/help version user system H/host= M/machine= scope u/unit= p/property= description= slice= slice-inherit r/remain-after-exit send-sighup service-type= uid= gid= nice= working-directory= d/same-dir E/setenv= t/pty P/pipe T/pty-late q/quiet ' +
  'G/collect S/shell on-active= on-boot= on-startup= on-unit-active= on-unit-inactive= on-calendar= timer-property= path-property= socket-property= no-block wait no-ask-password expand-environment= background= job-mode= ignore-failure json=';

const ABSENT = ['user', 'host', 'machine', 'pty', 'pipe', 'pty-late', 'shell', 'on-active', 'on-boot', 'on-startup', 'on-unit-active', 'on-unit-inactive', 'on-calendar', 'timer-property', 'path-property', 'socket-property', 'remain-after-exit'];

const SIGNALS = new Map<number, string>(Object.entries(SIG).map(([name, number]) => [number, name]));

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
    const { error = '' } = yield* ask({ verb: scope ? 'scope' : 'run', units: [], transient: t });
    if (error !== '') throw new Failed(error);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n`);
    return 1;
  }
  if (!o.on.has('quiet')) yield* complain(`Running as unit: ${t.name}; invocation ID: ${yield* invocation()}\n`);
  if (scope) return yield* become(o, t, env);
  return o.on.has('wait') ? yield* waitFor(t.name, o.on.has('quiet')) : 0;
}));

function* transient(o: Options, env: Readonly<Record<string, string>>, scope: boolean): Call<Transient> {
  const pid = yield* sys('getpid');
  const kind = scope ? 'scope' : 'service';
  const given = lastValue(o, 'unit');
  const slice = lastValue(o, 'slice');
  if (slice !== undefined && !isSlice(slice.endsWith('.slice') ? slice : `${slice}.slice`)) throw new Failed(`Failed to mangle name '${slice}': Invalid argument`);
  const { properties, restart } = settings(o);
  const accounts = yield* readAccounts();
  const user = lastValue(o, 'uid') === undefined ? null : findUser(accounts, lastValue(o, 'uid')!);
  if (user === undefined) throw new Failed(`Failed to resolve user ${lastValue(o, 'uid')}: No such process`);
  const gid = lastValue(o, 'gid') === undefined ? (user?.gid ?? null) : findGroup(accounts, lastValue(o, 'gid')!);
  const environment: Record<string, string> = {};
  for (const one of o.values.get('setenv') ?? []) environment[one.split('=', 1)[0]!] = one.includes('=') ? one.slice(one.indexOf('=') + 1) : (env[one] ?? '');
  const exec = [...o.words];
  if (!scope) exec[0] = yield* find(exec[0]!, env);
  return {
    name: given === undefined ? `run-p${pid}-i${pid + 4_000_000}.${kind}` : fullName(given, kind), description: lastValue(o, 'description') ?? o.words.join(' '),
    slice: slice === undefined ? (scope ? yield* ownSlice() : 'system.slice') : slice.endsWith('.slice') ? slice : `${slice}.slice`, exec, environment,
    cwd: lastValue(o, 'working-directory') ?? (o.on.has('same-dir') ? yield* sys('getcwd') : '/'), restart, pid, properties, collect: o.on.has('collect'), uid: user?.uid ?? null, gid,
  };
}

/** A scope made by a program of a login lies beside the login's; else in system.slice. */
function* ownSlice(): Call<string> {
  const path = ((yield* tryRead('/proc/self/cgroup')) ?? '').trim().split('::')[1] ?? '';
  return path.split('/').filter((part) => part.endsWith('.slice')).at(-1) ?? 'system.slice';
}

function settings(o: Options): { properties: Record<string, string>; restart: Transient['restart'] } {
  let restart: Transient['restart'] = 'no';
  const properties: Record<string, string> = {};
  try {
    for (const [key, value] of Object.entries(parseAssignments(o.values.get('property') ?? []))) {
      if (isResource(key)) properties[key] = value;
      else if (key === 'Restart' && (RESTARTS as readonly string[]).includes(value)) restart = value as Transient['restart'];
      else if (['Description', 'RemainAfterExit', 'Type', 'User', 'Group', 'WorkingDirectory', 'Environment', 'Nice', 'LimitNOFILE', 'PrivateTmp', 'ProtectSystem', 'DynamicUser', 'NoNewPrivileges', 'CapabilityBoundingSet', 'OOMScoreAdjust'].includes(key)) throw new Failed(`not modelled: -p ${key}=`);
      else throw new Failed(`Unknown assignment: ${key}=${value}`);
    }
  } catch (error) {
    if (error instanceof BadProperty) throw new Failed(error.message);
    throw error;
  }
  return { properties, restart };
}

function* find(name: string, env: Readonly<Record<string, string>>): Call<string> {
  if (name.includes('/')) return name;
  for (const dir of (env.PATH ?? '/usr/bin').split(':')) if (yield* statOf(`${dir}/${name}`)) return `${dir}/${name}`;
  throw new Failed(`Failed to find executable ${name}: No such file or directory`);
}

function* become(o: Options, t: Transient, env: Readonly<Record<string, string>>): Call<number> {
  const nice = lastValue(o, 'nice');
  if (nice !== undefined) {
    if (!/^[-+]?\d+$/.test(nice)) throw new BadOption(`Failed to parse nice value: ${nice}`);
    yield* attempt(sys('setpriority', 0, 0, Number(nice)), 0);
  }
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

/** Asks until the service is over; ends as it did. */
function* waitFor(name: string, quiet: boolean): Call<number> {
  const began = yield* sys('clock_gettime', 'monotonic');
  let cpu = 0;
  for (;;) {
    const [row] = (yield* ask({ verb: 'list', units: [name] })).units;
    if (row) cpu = Number(/usage_usec (\d+)/.exec((yield* tryRead(`/sys/fs/cgroup${row.cgroup}/cpu.stat`)) ?? '')?.[1] ?? cpu);
    if (!row || row.active === 'failed' || row.active === 'inactive') {
      const ms = Math.round(((yield* sys('clock_gettime', 'monotonic')) - began) / 1e6);
      const [result, code, status] = row ? [row.result, row.code || 'exited', row.status] : ['success', 'exited', 0];
      if (!quiet) {
        yield* complain(
          `Finished with result: ${result}\nMain processes terminated with: code=${code}, status=${status}/${code === 'killed' ? (SIGNALS.get(status) ?? '?') : status === 0 ? 'SUCCESS' : status === 1 ? 'FAILURE' : status === 203 ? 'EXEC' : 'n/a'}\nService runtime: ${ms < 1000 ? `${ms}ms` : `${(ms / 1000).toFixed(3)}s`}\nCPU time consumed: ${Math.floor(cpu / 1000)}ms\n`,
        );
      }
      return code === 'exited' ? status : 255;
    }
    yield* sys('nanosleep', 5e6);
  }
}
