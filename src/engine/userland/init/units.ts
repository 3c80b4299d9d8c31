/** Unit files of services: /etc/systemd/system/*.service as systemd.unit(5) and systemd.service(5) have them, the keys that matter here. */
import { exists, list, readText } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { type Properties, RESOURCES } from './resources.ts';

export const UNIT_DIR = '/etc/systemd/system';
/** Where units are looked for: what comes first wins. Source: systemd.unit(5). */
export const UNIT_DIRS: readonly string[] = [UNIT_DIR, '/run/systemd/system', '/usr/lib/systemd/system'];
export const WANTS_DIR = `${UNIT_DIR}/multi-user.target.wants`;

export interface UnitFile {
  /** "docker.service". */
  name: string;
  path: string;
  description: string;
  after: readonly string[];
  exec: readonly string[];
  environment: Readonly<Record<string, string>>;
  cwd: string;
  type: string;
  restart: 'no' | 'always' | 'on-failure';
  /** ns. */
  restartAfter: number;
  /** Whom a stop reaches: every process of the cgroup, or the first alone. */
  killMode: 'control-group' | 'process';
  /** Says where it wants to be enabled; without, it is static. */
  installable: boolean;
  slice: string;
  /** Limit…=, by the resource's name: "soft:hard" or one for both, infinity. */
  limits: Readonly<Record<string, string>>;
  /** Resource settings; resources.ts. */
  properties: Properties;
}

export function parseUnit(name: string, path: string, source: string): UnitFile {
  const values = new Map<string, string[]>();
  let section = '';
  for (const raw of source.replace(/\\\n/g, ' ').split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    if (line.startsWith('[')) {
      section = line.slice(1, -1);
      continue;
    }
    const cut = line.indexOf('=');
    if (cut < 0) continue;
    const key = `${section}.${line.slice(0, cut).trim()}`;
    values.set(key, [...(values.get(key) ?? []), line.slice(cut + 1).trim()]);
  }
  const one = (key: string): string => values.get(key)?.at(-1) ?? '';
  const restart = one('Service.Restart');
  const delay = one('Service.RestartSec');
  return {
    name, path, description: one('Unit.Description') || name, after: (values.get('Unit.After') ?? []).flatMap((v) => v.split(/\s+/).filter(Boolean)),
    exec: splitWords(one('Service.ExecStart').replace(/^[-@:+!]+/, '')), environment: environmentOf(values.get('Service.Environment') ?? []), cwd: one('Service.WorkingDirectory') || '/',
    type: one('Service.Type') || 'simple', restart: restart === 'always' || restart === 'on-failure' ? restart : 'no', restartAfter: seconds(delay === '' ? '100ms' : delay),
    killMode: one('Service.KillMode') === 'process' ? 'process' : 'control-group',
    installable: values.has('Install.WantedBy'), slice: one('Service.Slice') || 'system.slice', limits: limitsOf(values),
    properties: Object.fromEntries(RESOURCES.flatMap((key) => { const value = one(`Service.${key}`); return value === '' ? [] : [[key, value]]; })),
  };
}

/** fs.nr_open is as many files as infinity can be. */
const MOST_FILES = '1048576';

function limitsOf(values: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  const all = [...values].filter(([key]) => /^Service\.Limit[A-Z]+$/.test(key)).map(([key, [...given]]): [string, string] => [key.slice('Service.Limit'.length), given.at(-1)!]);
  return Object.fromEntries(all.map(([name, value]) => [name, name === 'NOFILE' ? value.replaceAll('infinity', MOST_FILES) : value]));
}

function seconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|min)?$/.exec(text);
  return match ? Number(match[1]) * { ms: 1e6, s: 1e9, min: 60e9 }[(match[2] ?? 's') as 's'] : 100e6;
}

/** Words of a command line: blanks separate, quotes hold together. */
export function splitWords(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map((m) => m[1]?.replace(/\\(.)/g, '$1') ?? m[2] ?? m[3]!);
}

function environmentOf(lines: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const word of lines.flatMap(splitWords)) {
    const cut = word.indexOf('=');
    if (cut > 0) env[word.slice(0, cut)] = word.slice(cut + 1);
  }
  return env;
}

/** The file of a unit, or null. */
export function* unitPath(name: string): Call<string | null> {
  for (const dir of UNIT_DIRS) if (yield* exists(`${dir}/${name}`)) return `${dir}/${name}`;
  return null;
}

/** Every service's unit file, sorted by name. */
export function* readUnits(): Call<UnitFile[]> {
  const units = new Map<string, UnitFile>();
  for (const dir of UNIT_DIRS) {
    for (const { name } of yield* list(dir)) {
      if (name.endsWith('.service') && !name.includes('@.') && !units.has(name)) units.set(name, parseUnit(name, `${dir}/${name}`, yield* readText(`${dir}/${name}`)));
    }
  }
  return [...units.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
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
