/** Units as the manager has them: services, targets, timers and slices out of their files, with the keys that matter here. Source: systemd.service(5), systemd.timer(5). */
import { exists, list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { type Properties, RESOURCES } from './resources.ts';
import { parseSpan } from './span.ts';
import { isMasked, isYes, type Problem, type Source, sourceOf, UNIT_DIR, UNIT_DIRS, unitPath } from './unitfile.ts';

export const WANTS_DIR = `${UNIT_DIR}/multi-user.target.wants`;

/** One command of a service; one that may fail began with "-". */
export interface Line {
  argv: readonly string[];
  ignore: boolean;
}

export const PHASES = ['ExecCondition', 'ExecStartPre', 'ExecStart', 'ExecStartPost', 'ExecReload', 'ExecStop', 'ExecStopPost'] as const;
export type Phase = (typeof PHASES)[number];

export type Restart = 'no' | 'always' | 'on-success' | 'on-failure' | 'on-abnormal' | 'on-abort' | 'on-watchdog';

export interface Timer {
  /** Microseconds after the timer's start, the machine's, the unit's last start, its last end. */
  onActive: readonly number[];
  onBoot: readonly number[];
  onUnitActive: readonly number[];
  onUnitInactive: readonly number[];
  calendar: readonly string[];
  unit: string;
}

export interface UnitFile {
  /** "docker.service". */
  name: string;
  path: string;
  load: 'loaded' | 'bad-setting' | 'masked';
  description: string;
  documentation: readonly string[];
  after: readonly string[];
  /** What it takes along when it starts; of those required, the failure is its own. */
  wants: readonly string[];
  requires: readonly string[];
  /** What stops with it. */
  conflicts: readonly string[];
  onFailure: readonly string[];
  /** Of ExecStart=, the first. */
  exec: readonly string[];
  lines: Readonly<Partial<Record<Phase, readonly Line[]>>>;
  environment: Readonly<Record<string, string>>;
  environmentFiles: readonly string[];
  cwd: string;
  user: string;
  group: string;
  type: string;
  remain: boolean;
  restart: Restart;
  /** ns. */
  restartAfter: number;
  startTimeout: number;
  stopTimeout: number;
  /** How long it may run, ns; Infinity for ever. */
  runtimeMax: number;
  burst: number;
  interval: number;
  /** Statuses that are a success beside 0. */
  success: readonly number[];
  nice: number;
  oomScoreAdjust: number;
  /** Whom a stop reaches: every process of the cgroup, the first alone, or nobody. */
  killMode: 'control-group' | 'process' | 'mixed' | 'none';
  killSignal: string;
  /** Says where it wants to be enabled; without, it is static. */
  installable: boolean;
  wantedBy: readonly string[];
  requiredBy: readonly string[];
  alias: readonly string[];
  slice: string;
  /** Limit…=, by the resource's name: "soft:hard" or one for both, infinity. */
  limits: Readonly<Record<string, string>>;
  /** Resource settings; resources.ts. */
  properties: Properties;
  timer: Timer | null;
  /** Its file as it was read, by which a change is told. */
  text: string;
  problems: readonly Problem[];
}

/** A unit that no file has: what is not said is as the manual's defaults are. */
export function plainUnit(name: string, own: Partial<UnitFile> = {}): UnitFile {
  return {
    name, path: '', load: 'loaded', description: name, documentation: [], after: [], wants: [], requires: [], conflicts: [], onFailure: [], exec: own.exec ?? [], lines: own.exec ? { ExecStart: [{ argv: own.exec, ignore: false }] } : {}, environment: {}, environmentFiles: [], cwd: '/',
    user: '', group: '', type: 'simple', remain: false, restart: 'no', restartAfter: 100e6, startTimeout: 90e9, stopTimeout: 90e9, runtimeMax: Number.POSITIVE_INFINITY, burst: 5, interval: 10e9, success: [], nice: 0, oomScoreAdjust: 0,
    killMode: 'control-group', killSignal: 'TERM', installable: false, wantedBy: [], requiredBy: [], alias: [], slice: 'system.slice', limits: {}, properties: {}, timer: null, text: '', problems: [], ...own,
  };
}

const kindOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
const section = (kind: string): string => kind[0]!.toUpperCase() + kind.slice(1);

/** %n, %i, %p … of a unit's name. */
function specified(text: string, name: string): string {
  const [prefix = '', instance = ''] = name.slice(0, name.lastIndexOf('.')).split('@');
  const table: Readonly<Record<string, string>> = { n: name, N: name.slice(0, name.lastIndexOf('.')), p: prefix, P: prefix, i: instance, I: instance.replaceAll('-', '/').replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))), j: prefix.split('-').at(-1)!, t: '/run', S: '/var/lib', C: '/var/cache', L: '/var/log', E: '/etc', T: '/tmp', V: '/var/tmp', u: 'root', U: '0', g: 'root', G: '0', h: '/root', s: '/bin/sh', '%': '%' };
  return text.replace(/%([a-zA-Z%])/g, (whole, letter: string) => table[letter] ?? whole);
}

function linesOf(values: readonly string[]): { lines: Line[]; bad: string | null } {
  const lines: Line[] = [];
  let bad: string | null = null;
  for (const value of values.filter((one) => one !== '')) {
    for (const one of value.split(/\s+;\s+/)) {
      const prefix = /^[-@:+!|]*/.exec(one)![0];
      const argv = splitWords(one.slice(prefix.length));
      if (argv.length === 0 || argv[0]!.endsWith('/')) bad ??= one;
      else lines.push({ argv: prefix.includes('@') ? [argv[0]!, ...argv.slice(2)] : argv, ignore: prefix.includes('-') });
    }
  }
  return { lines, bad };
}

const nanos = (value: string, otherwise: number): number => {
  const us = value === '' ? null : parseSpan(value);
  return typeof us === 'number' ? us * 1000 : otherwise;
};

/** A timeout of 0 is none. */
const patience = (value: string, otherwise: number): number => nanos(value, otherwise) || Number.POSITIVE_INFINITY;

export function unitOf(name: string, path: string, source: Source): UnitFile {
  const kind = kindOf(name);
  const all = (key: string): string[] => (source.values.get(key) ?? []).filter((v) => v !== '').map((v) => specified(v, name));
  const list = (key: string): string[] => all(key).flatMap((v) => v.split(/\s+/).filter(Boolean));
  const of = section(kind);
  const own = (key: string): string => all(`${of}.${key}`).at(-1) ?? '';
  const lines = Object.fromEntries(PHASES.map((phase) => [phase, linesOf(all(`${of}.${phase}`)).lines]));
  const type = own('Type') || 'simple';
  const timeout = own('TimeoutSec');
  const unit = plainUnit(name, {
    path, description: all('Unit.Description').at(-1) ?? name, documentation: list('Unit.Documentation'), after: list('Unit.After'), wants: list('Unit.Wants'), requires: [...list('Unit.Requires'), ...list('Unit.BindsTo')], conflicts: list('Unit.Conflicts'), onFailure: list('Unit.OnFailure'),
    exec: lines.ExecStart?.[0]?.argv ?? [], lines, environment: environmentOf(all(`${of}.Environment`)), environmentFiles: all(`${of}.EnvironmentFile`), cwd: own('WorkingDirectory').replace(/^-/, '').replace(/^~$/, '/root') || '/', user: own('User'), group: own('Group'),
    type, remain: isYes(own('RemainAfterExit')), restart: (own('Restart') || 'no') as Restart, restartAfter: nanos(own('RestartSec'), 100e6),
    startTimeout: patience(own('TimeoutStartSec') || timeout, type === 'oneshot' ? Number.POSITIVE_INFINITY : 90e9), stopTimeout: patience(own('TimeoutStopSec') || timeout, 90e9), runtimeMax: nanos(own('RuntimeMaxSec'), Number.POSITIVE_INFINITY),
    burst: Number(all('Unit.StartLimitBurst').at(-1) ?? (own('StartLimitBurst') || 5)), interval: nanos(all('Unit.StartLimitIntervalSec').at(-1) ?? all('Unit.StartLimitInterval').at(-1) ?? own('StartLimitInterval'), 10e9),
    success: list(`${of}.SuccessExitStatus`).map(Number).filter((n) => !Number.isNaN(n)), nice: Number(own('Nice') || 0), oomScoreAdjust: Number(own('OOMScoreAdjust') || 0),
    killMode: (own('KillMode') || 'control-group') as UnitFile['killMode'], killSignal: (own('KillSignal') || 'SIGTERM').replace(/^SIG/, ''),
    installable: [...source.values.keys()].some((key) => key.startsWith('Install.')), wantedBy: list('Install.WantedBy'), requiredBy: list('Install.RequiredBy'), alias: list('Install.Alias'),
    slice: kind === 'slice' ? '' : own('Slice') || 'system.slice', limits: limitsOf(source.values, of),
    properties: Object.fromEntries([...(kind === 'service' ? [['TasksMax', '15%']] : []), ...RESOURCES.flatMap((key) => { const value = own(key); return value === '' ? [] : [[key, value]]; })]),
    timer: kind === 'timer' ? timerOf(name, all) : null, problems: source.problems,
  });
  const fault = kind === 'service' ? faultOf(unit, source, own('BusName')) : kind === 'timer' && !hasTrigger(unit.timer!) ? `${name}: Timer unit lacks value setting. Refusing.` : null;
  return fault === null ? unit : { ...unit, load: 'bad-setting', problems: [...source.problems, { path: '', line: 0, text: fault }] };
}

const hasTrigger = (t: Timer): boolean => t.onActive.length + t.onBoot.length + t.onUnitActive.length + t.onUnitInactive.length + t.calendar.length > 0;

function timerOf(name: string, all: (key: string) => string[]): Timer {
  const spans = (key: string): number[] => all(`Timer.${key}`).map((v) => parseSpan(v)).filter((v): v is number => typeof v === 'number');
  return { onActive: spans('OnActiveSec'), onBoot: [...spans('OnBootSec'), ...spans('OnStartupSec')], onUnitActive: spans('OnUnitActiveSec'), onUnitInactive: spans('OnUnitInactiveSec'), calendar: all('Timer.OnCalendar'), unit: all('Timer.Unit').at(-1) ?? name.replace(/\.timer$/, '.service') };
}

/** Why the manager refuses a service, in its words. */
function faultOf(unit: UnitFile, source: Source, bus: string): string | null {
  const { name, lines } = unit;
  const starts = lines.ExecStart ?? [];
  if (starts.length === 0 && (lines.ExecStop ?? []).length === 0) return `${name}: Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.`;
  if (unit.type !== 'oneshot' && starts.length === 0) return `${name}: Service has no ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.`;
  if (starts.length === 0 && !unit.remain) return `${name}: Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.`;
  if (unit.type !== 'oneshot' && starts.length > 1) return `${name}: Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.`;
  if (unit.type === 'oneshot' && (unit.restart === 'always' || unit.restart === 'on-success')) return `${name}: Service has Restart= set to either always or on-success, which isn't allowed for Type=oneshot services. Refusing.`;
  if (unit.type === 'dbus' && bus === '') return `${name}: Service is of type D-Bus but no D-Bus service name has been specified. Refusing.`;
  return source.values.has('Service.Slice') && !unit.slice.endsWith('.slice') ? `${name}: Slice ${unit.slice} is not a slice. Refusing.` : null;
}

/** fs.nr_open is as many files as infinity can be. */
const MOST_FILES = '1048576';

function limitsOf(values: ReadonlyMap<string, readonly string[]>, of: string): Record<string, string> {
  const all = [...values].filter(([key]) => key.startsWith(`${of}.Limit`)).map(([key, given]): [string, string] => [key.slice(of.length + '.Limit'.length), given.at(-1)!]);
  return Object.fromEntries(all.filter(([name]) => /^[A-Z]+$/.test(name)).map(([name, value]) => [name, name === 'NOFILE' ? value.replaceAll('infinity', MOST_FILES) : value]));
}

/** Words of a command line: blanks separate, quotes hold together. */
export function splitWords(line: string): string[] {
  const out: string[] = [];
  for (const m of line.matchAll(/((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'])+)/g)) {
    out.push(m[1]!.replace(/"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|\\(.)/g, (_, double?: string, single?: string, bare?: string) => (bare !== undefined ? escaped(bare) : (double ?? single ?? '').replace(/\\(.)/g, (_all, c: string) => escaped(c)))));
  }
  return out;
}

const escaped = (c: string): string => ({ n: '\n', t: '\t', s: ' ', r: '\r' })[c] ?? c;

export function environmentOf(lines: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const word of lines.flatMap(splitWords)) {
    const cut = word.indexOf('=');
    if (cut > 0) env[word.slice(0, cut)] = word.slice(cut + 1);
  }
  return env;
}

/** A unit by its name, from where its file is; null when there is none. */
export function* readUnit(name: string): Call<UnitFile | null> {
  const path = yield* unitPath(name);
  if (path === null) return null;
  if (yield* isMasked(path)) return plainUnit(name, { path, load: 'masked' });
  const unit = { ...unitOf(name, path, yield* sourceOf(name, path)), text: (yield* tryRead(path)) ?? '' };
  const wanted: string[] = [];
  for (const dir of UNIT_DIRS) for (const kind of ['wants', 'requires']) for (const one of yield* list(`${dir}/${name}.${kind}`)) wanted.push(one.name);
  return wanted.length === 0 ? unit : { ...unit, wants: [...new Set([...unit.wants, ...wanted])] };
}

const LOADED = /\.(service|target|timer)$/;

/** Names of all unit files, sorted. */
export function* unitFileNames(): Call<string[]> {
  const names = new Set<string>();
  for (const dir of UNIT_DIRS) for (const { name } of yield* list(dir)) if (/\.(service|target|timer|slice|socket|mount|path)$/.test(name)) names.add(name);
  return [...names].sort();
}

/** Every service, target and timer there is a file of, sorted by name; templates are not units. */
export function* readUnits(): Call<UnitFile[]> {
  const units: UnitFile[] = [];
  for (const name of yield* unitFileNames()) {
    if (!LOADED.test(name) || name.includes('@.')) continue;
    const unit = yield* readUnit(name);
    if (unit) units.push(unit);
  }
  return units;
}

/** Whether a unit is one of those a boot starts. */
export function* isEnabled(unit: UnitFile): Call<boolean> {
  for (const target of ['multi-user', 'default', 'graphical', 'timers', 'basic', 'sysinit', 'sockets']) if (yield* exists(`${UNIT_DIR}/${target}.target.wants/${unit.name}`)) return true;
  return false;
}

/** Variables of EnvironmentFile=; a file that is not there is an error unless it began with "-". */
export function* environmentFrom(files: readonly string[]): Call<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const file of files) {
    for (const line of ((yield* tryRead(file.replace(/^-/, ''))) ?? '').split('\n')) {
      const m = /^\s*([A-Za-z_]\w*)=(.*)$/.exec(line);
      if (m) env[m[1]!] = splitWords(m[2]!).join(' ');
    }
  }
  return env;
}

/** So that each comes after those it names in After=; a circle is broken where it is met. */
export function inOrder(units: readonly UnitFile[]): UnitFile[] {
  const out: UnitFile[] = [];
  const visit = (unit: UnitFile, above: readonly UnitFile[]): void => {
    if (out.includes(unit) || above.includes(unit)) return;
    for (const name of unit.after) {
      const before = units.find((u) => u.name === name);
      if (before) visit(before, [...above, unit]);
    }
    out.push(unit);
  };
  for (const unit of units) visit(unit, []);
  return out;
}
