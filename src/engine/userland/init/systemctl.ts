/** systemctl: asks process 1 and prints as the real one. Source: systemctl(1). Also poweroff, reboot, halt, shutdown. */
import { SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { parseOptions, lastValue as optionValue } from '../lib/args.ts';
import { attempt, mkdirAll, poke, tryRead, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { editDistance } from '../lib/nearest.ts';
import { parseSignal } from '../sh/signals.ts';
import { type Answer, ask, type Order } from './control.ts';
import { enable, enabledStates, listUnitFiles, mask } from './enable.ts';
import { groups } from './groups.ts';
import { listDependencies, listSockets, listTimers, listUnits, matches } from './listing.ts';
import { FORMATS } from './journalctl.ts';
import { unprefixed } from './messages.ts';
import { BadProperty, CONTROL_DIR, parseAssignments, RUNTIME_CONTROL_DIR, shownSetting, wholeOf, writesOf } from './resources.ts';
import { showProperties } from './show.ts';
import { isSlice } from './slices.ts';
import { machineStatus, statuses } from './status.ts';
import { dropInPaths, UNIT_DIR, unitPath } from './unitfile.ts';

const SPEC = 'runtime a/all t/type= state= l/full n/lines= no-pager no-legend q/quiet now H/host= o/output= p/property= P= version h/help s/signal= f/force plain failed no-block value r/recursive now user system no-ask-password wait reverse before after kill-whom= kill-value= dry-run no-reload preset-mode= root= show-types legend= T/show-transaction i check-inhibitors= with-dependencies job-mode= message= what= timestamp= read-only mkdir marked drop-in= when= stdin';

const full = (name: string): string => (/\.(service|slice|scope|target|socket|mount|timer|path|swap|device|automount)$/.test(name) ? name : `${name}.service`);

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
  const output = optionValue(given, 'output');
  if (output !== undefined && !FORMATS.includes(output)) {
    yield* complain(`Unknown output '${output}'.\n`);
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

const TYPED: Readonly<Record<string, Order['verb']>> = { start: 'start', stop: 'stop', restart: 'restart', 'try-restart': 'try-restart', condrestart: 'try-restart', reload: 'reload-unit', 'reload-or-restart': 'reload-or-restart', 'try-reload-or-restart': 'reload-or-try-restart', condreload: 'reload-or-try-restart', 'force-reload': 'reload-or-try-restart', 'reload-or-try-restart': 'reload-or-try-restart', isolate: 'start' };

type Value = (name: string) => string | undefined;

/** Verbs that need a unit to be named. */
const NEED_ONE = new Set([...Object.keys(TYPED), 'kill', 'enable', 'disable', 'reenable', 'mask', 'unmask', 'cat', 'is-active', 'is-failed', 'is-enabled', 'edit', 'freeze', 'thaw', 'set-default', 'link', 'revert', 'clean']);

function* run(verb: string, units: readonly string[], words: readonly string[], on: ReadonlyMap<string, number>, value: Value): Call<number> {
  if (NEED_ONE.has(verb) && units.length === 0) {
    yield* complain('Too few arguments.\n');
    return 1;
  }
  if (Object.hasOwn(TYPED, verb)) return yield* job(TYPED[verb]!, verb, yield* globbed(units), on);
  const how = { runtime: on.has('runtime'), quiet: on.has('quiet') };
  switch (verb) {
    case 'status': return units.length === 0 ? yield* machineStatus() : yield* statuses(yield* globbed(units), on, Number(value('lines') ?? 10));
    case 'is-active': return yield* isState(yield* globbed(units), on, 'active', 3);
    case 'is-failed': return yield* isState(units, on, 'failed', 1);
    case 'is-enabled': return yield* enabledStates(units, how.quiet);
    case 'enable': case 'disable': case 'reenable': {
      const status = yield* enable(verb, units, how);
      return status !== 0 || !on.has('now') ? status : yield* job(verb === 'disable' ? 'stop' : 'start', verb === 'disable' ? 'stop' : 'start', units, on);
    }
    case 'mask': case 'unmask': {
      const status = yield* mask(verb, units, how);
      return status !== 0 || !on.has('now') || verb === 'unmask' ? status : yield* job('stop', 'stop', units, on);
    }
    case 'list-units': return yield* listUnits(on, words, value('type'), value('state'));
    case 'list-unit-files': return yield* listUnitFiles(on, words, value('type'), value('state'));
    case 'list-timers': return yield* listTimers(on, words);
    case 'list-sockets': return yield* listSockets();
    case 'list-dependencies': return yield* listDependencies(words.length === 0 ? ['default.target'] : units, on);
    case 'list-jobs': yield* print('No jobs running.\n'); return 0;
    case 'daemon-reload': case 'daemon-reexec': yield* ask({ verb: 'reload', units: [] }); return 0;
    case 'reset-failed': return yield* resetFailed(units);
    case 'kill': return yield* kill(yield* globbed(units), value('signal') ?? 'TERM');
    case 'freeze': case 'thaw': return yield* freeze(verb, units);
    case 'set-property': return yield* setProperty(words, on.has('runtime'));
    case 'get-default': yield* print(`${(yield* attempt(sys('readlinkat', -100, `${UNIT_DIR}/default.target`), 'graphical.target')).split('/').pop()}\n`); return 0;
    case 'cat': return yield* cat(yield* globbed(units));
    case 'show': return yield* showProperties(yield* globbed(units), value('property'), on.has('value') || on.has('P'), on.has('all'));
    case 'edit': yield* complain('Cannot edit units if not on a tty.\n'); return 1;
    case 'is-system-running': return yield* running(on.has('quiet'));
    case 'poweroff': case 'reboot': case 'halt': yield* ask({ verb: verb === 'reboot' ? 'reboot' : 'poweroff', units: [] }); return 0;
    default:
      yield* complain(/^[a-z-]+$/.test(verb) && KNOWN.has(verb) ? `systemctl: not modelled: ${verb}\n` : `Unknown command verb '${verb}'${meant(verb)}\n`);
      return 1;
  }
}

/** Patterns stand for the units that are there. */
function* globbed(units: readonly string[]): Call<string[]> {
  if (!units.some((one) => /[*?[]/.test(one))) return [...units];
  const names = [...(yield* ask({ verb: 'list', units: [] })).units, ...(yield* groups())].map((u) => u.name).sort();
  return units.flatMap((one) => (/[*?[]/.test(one) ? names.filter((name) => matches(one, name)) : [one]));
}

const KNOWN = new Set(['preset', 'preset-all', 'suspend', 'hibernate', 'set-default', 'link', 'revert', 'list-paths', 'list-machines', 'list-automounts', 'show-environment', 'set-environment', 'unset-environment', 'import-environment', 'cancel', 'clean', 'bind', 'mount-image', 'add-wants', 'add-requires', 'rescue', 'emergency', 'default', 'kexec', 'exit', 'switch-root', 'soft-reboot', 'log-level', 'log-target', 'service-log-level', 'service-watchdogs', 'whoami', 'help']);

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
    yield* complain(`Failed to parse signal string "${signal}".\n`);
    return 1;
  }
  const { missing } = yield* ask({ verb: 'kill', units, signal: number });
  for (const name of missing) yield* complain(`Failed to kill unit ${name}: Unit ${name} not loaded.\n`);
  return missing.length > 0 ? 1 : 0;
}

function* resetFailed(units: readonly string[]): Call<number> {
  const all = units.length > 0 ? units : (yield* ask({ verb: 'list', units: [] })).units.filter((u) => u.active === 'failed').map((u) => u.name);
  const { missing } = yield* ask({ verb: 'reset-failed', units: all });
  for (const name of missing) yield* complain(`Failed to reset failed state of unit ${name}: Unit ${name} not loaded.\n`);
  return missing.length > 0 ? 1 : 0;
}

function* freeze(verb: 'freeze' | 'thaw', units: readonly string[]): Call<number> {
  const rows = [...(yield* ask({ verb: 'list', units })).units, ...(yield* groups())];
  for (const name of units) {
    const row = rows.find((u) => u.name === name);
    if (!row || row.active !== 'active') {
      yield* complain(`Failed to ${verb} unit ${name}: ${row ? 'Unit is not active' : `Unit ${name} not loaded.`}\n`);
      return 1;
    }
    yield* poke(`/sys/fs/cgroup${row.cgroup}/cgroup.freeze`, verb === 'freeze' ? '1' : '0');
  }
  return 0;
}

/** What systemctl says of a job's end, by the unit's result. Source: src/shared/bus-wait-for-jobs.c. */
const WHY: Readonly<Record<string, string>> = {
  'exit-code': 'the control process exited with error code', signal: 'a fatal signal was delivered to the control process', timeout: 'a timeout was exceeded', resources: 'of unavailable resources or another system error',
  protocol: 'the service did not take the steps required by its unit configuration', 'start-limit-hit': 'start of the service was attempted too often', 'core-dump': 'a fatal signal was delivered causing the control process to dump core',
  'oom-kill': 'of a fatal signal was delivered to the control process', watchdog: 'the service failed to send watchdog ping',
};

function* job(verb: Order['verb'], typed: string, units: readonly string[], on: ReadonlyMap<string, number>): Call<number> {
  const stop = verb === 'stop';
  const before = stop || verb === 'start' ? [] : (yield* ask({ verb: 'list', units })).units;
  if (verb !== 'start') yield* changed(before.length > 0 ? before : (yield* ask({ verb: 'list', units })).units);
  else yield* changed((yield* ask({ verb: 'list', units })).units);
  const inactive = verb === 'reload-unit' ? before.filter((row) => row.active !== 'active') : [];
  if (on.has('no-block')) {
    yield* ask({ verb, units, block: false });
    return 0;
  }
  const answer: Answer = yield* ask({ verb, units });
  let status = 0;
  for (const name of answer.missing) {
    yield* complain(`Failed to ${typed === 'try-restart' || typed === 'condrestart' ? 'try-restart' : typed} ${name}: Unit ${name} not ${stop ? 'loaded' : 'found'}.\n`);
    status = 5;
  }
  for (const { name, why } of answer.refused ?? []) {
    if (inactive.some((row) => row.name === name)) continue;
    yield* complain(why === 'masked' ? `Failed to ${typed} ${name}: Unit ${name} is masked.\n` : why === 'bad-setting' ? `Failed to ${typed} ${name}: Unit ${name} has a bad unit file setting.\nSee system logs and 'systemctl status ${name}' for details.\n` : `Failed to ${typed} ${name}: Job type reload is not applicable for unit ${name}.\n`);
    status = why === 'not-applicable' ? 3 : 1;
  }
  for (const row of inactive) {
    yield* complain(`${row.name} is not active, cannot reload.\n`);
    status = 1;
  }
  for (const name of answer.failed) {
    const result = answer.reasons?.[name] ?? 'exit-code';
    if (result === 'dependency') yield* complain(`A dependency job for ${name} failed. See 'journalctl -xe' for details.\n`);
    else yield* complain(`Job for ${name} failed because ${WHY[result] ?? WHY['exit-code']}.\nSee "systemctl status ${name}" and "journalctl -xeu ${name}" for details.\n${result === 'start-limit-hit' ? `To force a start use "systemctl reset-failed ${name}"\nfollowed by "systemctl start ${name}" again.\n` : ''}`);
    status = 1;
  }
  if (stop) yield* triggered(answer.units.filter((row) => row.name.endsWith('.service')).map((row) => row.name));
  return status;
}

/** A stopped service whose timer goes on. */
function* triggered(units: readonly string[]): Call<void> {
  const timers = (yield* ask({ verb: 'list', units: [] })).units.filter((u) => u.triggers !== '' && u.active === 'active');
  for (const name of units) {
    const by = timers.filter((t) => t.triggers === name).map((t) => t.name);
    if (by.length > 0) yield* complain(`Stopping '${name}', but its triggering units are still active:\n${by.join(' ')}\n`);
  }
}

function* changed(rows: Answer['units']): Call<void> {
  for (const row of rows) if (row.stale) yield* complain(`Warning: The unit file, source configuration file or drop-ins of ${row.name} changed on disk. Run 'systemctl daemon-reload' to reload units.\n`);
}

function* running(quiet: boolean): Call<number> {
  const failed = (yield* ask({ verb: 'list', units: [] })).units.some((u) => u.active === 'failed');
  if (!quiet) yield* print(failed ? 'degraded\n' : 'running\n');
  return failed ? 1 : 0;
}

/** 0 when any is so; 4 when there is none of them. */
function* isState(units: readonly string[], on: ReadonlyMap<string, number>, wanted: string, otherwise: number): Call<number> {
  const rows = [...(yield* ask({ verb: 'list', units })).units, ...(yield* groups())];
  let any = false;
  let known = false;
  for (const name of units) {
    const row = rows.find((u) => u.name === name && u.load !== 'masked');
    known ||= row !== undefined;
    any ||= row?.active === wanted;
    if (!on.has('quiet')) yield* print(`${row?.active ?? 'inactive'}\n`);
  }
  return any ? 0 : known ? otherwise : 4;
}

function* cat(units: readonly string[]): Call<number> {
  let first = true;
  for (const name of units) {
    const path = (yield* unitPath(name)) ?? ((yield* ask({ verb: 'list', units: [name] })).units[0]?.path || null);
    const files = [...(path === null ? [] : [path]), ...(yield* dropInPaths(name))];
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
      yield* writeFile(`${dir}/50-${key}.conf`, `# This is a drop-in unit file extension, created via "systemctl set-property"\n# or an equivalent operation. Do not edit.\n[${section[0]!.toUpperCase()}${section.slice(1)}]\n${key}=${key.startsWith('Memory') && !key.endsWith('Accounting') ? shownSetting(key, value, whole)[1] : key === 'CPUQuota' ? value.replace(/^(\d+(?:\.\d+)?)%$/, (_, n: string) => `${Number(n).toFixed(2)}%`) : value}\n`);
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
