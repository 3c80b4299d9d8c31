/**
 * Resource settings of units (MemoryMax=, CPUQuota= …): a row a setting, from its text to the control group's files. They come from unit
 * files, from drop-ins that set-property writes, and with transient units. Source: systemd.resource-control(5).
 */
import { sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { attempt, list, poke, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { formatSpan } from './span.ts';

export type Properties = Readonly<Record<string, string>>;

/** A setting that is none: what systemd-run and systemctl say of it. */
export class BadProperty extends Error {}

/** What percentages are of. */
export interface Whole {
  memory: number;
  threads: number;
}

type Write = readonly [file: string, value: string];

const UNITS = ['B', 'K', 'M', 'G', 'T'];

/** "50M", "1.5G", "512" with units of `base`; null when it is no size. */
function bytesOf(text: string, base: 1000 | 1024 = 1024): number | null {
  const m = /^(\d+(?:\.\d+)?)\s*([BKMGT]?)$/i.exec(text.trim());
  return m ? Math.floor(Number(m[1]) * base ** Math.max(0, UNITS.indexOf(m[2]!.toUpperCase()))) : null;
}

const percentOf = (text: string): number | null => {
  const m = /^(\d+(?:\.\d+)?)%$/.exec(text.trim());
  return m ? Number(m[1]) : null;
};

function spanOf(text: string): number | null {
  const m = /^(\d+(?:\.\d+)?)\s*(us|ms|s|)$/.exec(text.trim());
  return m ? Number(m[1]) * ({ us: 1, ms: 1000, s: 1_000_000, '': 1_000_000 }[m[2]!] ?? 1) : null;
}

type Setting = (value: string, key: string, all: Properties, whole: Whole) => Write[];

const failed = (key: string, value: string): BadProperty => new BadProperty(`Failed to parse ${key}=${value}: Invalid argument`);

const memory = (file: string): Setting => (value, key, _all, whole) => {
  if (value === 'infinity' || value === '') return [[file, value === '' && file !== 'memory.max' && file !== 'memory.high' && file !== 'memory.swap.max' ? '0' : 'max']];
  const percent = percentOf(value);
  const bytes = percent !== null && percent <= 100 ? Math.floor((whole.memory * percent) / 100) : bytesOf(value);
  if (bytes === null) throw /^-\d/.test(value) ? new BadProperty(`Failed to parse ${key}=${value}: Numerical result out of range`) : failed(key, value);
  return [[file, String(Math.floor(bytes / 4096) * 4096)]];
};

const weight = (file: string): Setting => (value, key) => {
  if (value === '') return [[file, file === 'io.weight' ? 'default 100' : '100']];
  if (value === 'idle' && file === 'cpu.weight') return [['cpu.idle', '1']];
  const n = Number(value);
  if (!/^\d+$/.test(value) || n < 1 || n > 10000) throw new BadProperty(`Failed to parse ${key}=${value}: Numerical result out of range`);
  return [[file, file === 'io.weight' ? `default ${n}` : value]];
};

const cpus = (file: string): Setting => (value, key) => {
  if (!/^[\d\s,-]*$/.test(value)) throw failed(key, value);
  return [[file, value.trim().split(/[\s,]+/).join(',')]];
};

/** Rates are in units of 1000, unlike sizes. */
const bandwidth = (what: 'rbps' | 'wbps' | 'riops' | 'wiops'): Setting => (value, key) => {
  if (value === '') return [];
  const m = /^(\S+)\s+(\S+)$/.exec(value.trim());
  const n = m ? (m[2] === 'infinity' ? 'max' : bytesOf(m[2]!, 1000)) : null;
  if (!m || n === null) throw failed(key, value);
  return [['io.max', `${m[1]} ${what}=${n}`]];
};

const SETTINGS: Readonly<Record<string, Setting>> = {
  MemoryMin: memory('memory.min'), MemoryLow: memory('memory.low'), MemoryHigh: memory('memory.high'), MemoryMax: memory('memory.max'), MemorySwapMax: memory('memory.swap.max'),
  CPUWeight: weight('cpu.weight'), IOWeight: weight('io.weight'), AllowedCPUs: cpus('cpuset.cpus'), AllowedMemoryNodes: cpus('cpuset.mems'),
  CPUQuota: (value, _key, all) => {
    const period = spanOf(all.CPUQuotaPeriodSec ?? '100ms') ?? 100_000;
    if (value === '') return [['cpu.max', `max ${period}`]];
    const percent = percentOf(value);
    if (percent === null) throw new BadProperty(`CPU quota '${value}' invalid.`);
    if (percent === 0) throw new BadProperty('CPU quota too small.');
    return [['cpu.max', `${Math.max(1000, Math.floor((period * percent) / 100))} ${period}`]];
  },
  CPUQuotaPeriodSec: (value, key) => {
    const span = spanOf(value);
    if (value !== '' && (span === null || span < 1000 || span > 1_000_000)) throw failed(key, value);
    return [];
  },
  TasksMax: (value, key, _all, whole) => {
    if (value === 'infinity' || value === '') return [['pids.max', 'max']];
    const percent = percentOf(value);
    if (percent === null && /^-\d+$/.test(value)) throw new BadProperty(`Failed to parse ${key}=${value}: Numerical result out of range`);
    if (percent === null && /^0+$/.test(value)) throw new BadProperty(`Value specified in ${key} is out of range`);
    if (percent === null && !/^\d+$/.test(value)) throw failed(key, value);
    return [['pids.max', String(percent === null ? Number(value) : Math.floor((whole.threads * percent) / 100))]];
  },
  IOReadBandwidthMax: bandwidth('rbps'), IOWriteBandwidthMax: bandwidth('wbps'), IOReadIOPSMax: bandwidth('riops'), IOWriteIOPSMax: bandwidth('wiops'),
  CPUAccounting: () => [], MemoryAccounting: () => [], IOAccounting: () => [], TasksAccounting: () => [], Delegate: () => [], OOMPolicy: (value) => (value === 'kill' ? [['memory.oom.group', '1']] : []),
};

export const isResource = (key: string): boolean => Object.hasOwn(SETTINGS, key);
export const RESOURCES: readonly string[] = Object.keys(SETTINGS);

export function* wholeOf(): Call<Whole> {
  const total = Number(/^MemTotal:\s+(\d+)/m.exec((yield* tryRead('/proc/meminfo')) ?? '')?.[1] ?? 0) * 1024;
  return { memory: total, threads: Number((yield* tryRead('/proc/sys/kernel/threads-max')) ?? 0) };
}

/** The writes that settings mean. Throws BadProperty. */
export function writesOf(properties: Properties, whole: Whole): Write[] {
  return Object.entries(properties).flatMap(([key, value]) => {
    const setting = SETTINGS[key];
    if (!setting) throw new BadProperty(`Unknown assignment: ${key}=${value}`);
    return setting(value, key, properties, whole);
  });
}

/** Device nodes in io.max are written as numbers. */
function* device(line: string): Call<string> {
  const [path = '', ...rest] = line.split(' ');
  if (!path.startsWith('/')) return line;
  for (const { name } of yield* list('/sys/block')) if (path === `/dev/${name}`) return [((yield* tryRead(`/sys/block/${name}/dev`)) ?? '').trim(), ...rest].join(' ');
  return [path, ...rest].join(' ');
}

/** Every group above a setting's has its controller. */
function* handDown(dir: string, controller: string): Call<void> {
  const parts = dir.slice('/sys/fs/cgroup/'.length).split('/');
  for (let i = 0; i < parts.length; i++) yield* attempt(poke(['/sys/fs/cgroup', ...parts.slice(0, i), 'cgroup.subtree_control'].join('/'), `+${controller}`), undefined);
}

/** Puts settings into a control group's files; what a controller is not there for is left out, as the manager leaves it. */
export function* apply(dir: string, properties: Properties): Call<void> {
  if (Object.keys(properties).length === 0) return;
  const writes = writesOf(properties, yield* wholeOf());
  for (const controller of new Set(writes.map(([file]) => file.split('.', 1)[0]!))) yield* handDown(dir, controller);
  for (const [file, value] of writes) yield* attempt(poke(`${dir}/${file}`, file === 'io.max' ? yield* device(value) : value), undefined);
}

export const isDelegated = ({ Delegate = '' }: Properties): boolean => !/^(no|false|off|0|n|f)?$/.test(Delegate);

/** Marks a group as somebody else's to divide, or takes the mark away. */
export function* markDelegated(dir: string, own: Properties): Call<void> {
  for (const name of ['trusted.delegate', 'user.delegate']) {
    if (!isDelegated(own)) yield* attempt(sys('removexattr', dir, name), 0);
    else yield* attempt(sys('setxattr', dir, name, bytes('1'), 0), 0);
  }
}

/** "KEY=VALUE" words. Throws BadProperty for what is no setting of resources. */
export function parseAssignments(words: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const word of words) {
    const cut = word.indexOf('=');
    if (cut < 1) throw new BadProperty(`Not an assignment: ${word}`);
    out[word.slice(0, cut)] = word.slice(cut + 1);
  }
  return out;
}

/** What `systemctl show` says of a setting. */
export function shownSetting(key: string, value: string | undefined, whole: Whole): [string, string] {
  if (key === 'CPUQuota') return ['CPUQuotaPerSecUSec', value === undefined || value === '' ? 'infinity' : quota(percentOf(value) ?? 0)];
  if (key === 'AllowedCPUs' || key === 'AllowedMemoryNodes') return [key, (value ?? '').trim().split(/[\s,]+/).join(' ')];
  if (key === 'CPUQuotaPeriodSec') return ['CPUQuotaPeriodUSec', value ?? 'infinity'];
  const limits = /^(MemoryHigh|MemoryMax|MemorySwapMax|TasksMax)$/.test(key);
  if (value === undefined) return [key, limits ? 'infinity' : /^(CPUWeight|IOWeight)$/.test(key) ? '[not set]' : /^Memory(Min|Low)$/.test(key) ? '0' : ''];
  if (/^Memory(Min|Low|High|Max|SwapMax)$|^TasksMax$/.test(key)) {
    const written = SETTINGS[key]!(value, key, {}, whole)[0]?.[1] ?? '';
    return [key, written === 'max' ? 'infinity' : written];
  }
  return [key, value];
}

/** Processor time a second. */
const quota = (percent: number): string => formatSpan(percent * 10_000);

export const CONTROL_DIR = '/etc/systemd/system.control';
export const RUNTIME_CONTROL_DIR = '/run/systemd/system.control';

/** Settings from the drop-ins that set-property has left. */
export function* dropIns(unit: string): Call<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const dir of [CONTROL_DIR, RUNTIME_CONTROL_DIR]) {
    for (const { name } of yield* list(`${dir}/${unit}.d`)) {
      const m = /^([A-Za-z]+)=(.*)$/m.exec((yield* tryRead(`${dir}/${unit}.d/${name}`)) ?? '');
      if (m && isResource(m[1]!)) out[m[1]!] = m[2]!;
    }
  }
  return out;
}
