/** Units enabled, disabled and masked by symbolic links, and what state that leaves their files in. Source: systemctl(1), "Unit File Commands". */
import { sys } from '../../kernel/sys.ts';
import { attempt, exists, list, mkdirAll } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print } from '../lib/io.ts';
import { ask } from './control.ts';
import { matches } from './listing.ts';
import { isMasked, UNIT_DIR, unitPath } from './unitfile.ts';
import { readUnit, type UnitFile, unitFileNames } from './units.ts';

const RUN_DIR = '/run/systemd/system';

/** The links that enabling a unit makes. */
function linksOf(unit: UnitFile, dir: string): string[] {
  return [...unit.alias.map((one) => `${dir}/${one}`), ...unit.wantedBy.map((one) => `${dir}/${one}.wants/${unit.name}`), ...unit.requiredBy.map((one) => `${dir}/${one}.requires/${unit.name}`)];
}

const isLink = (path: string): Call<string | null> => attempt(sys('readlinkat', -100, path), null);

/** Links in any target's .wants or .requires of a directory. */
function* linked(name: string, dir: string): Call<string[]> {
  const out: string[] = [];
  for (const one of yield* list(dir)) {
    if (/\.(wants|requires)$/.test(one.name) && (yield* isLink(`${dir}/${one.name}/${name}`)) !== null) out.push(`${dir}/${one.name}/${name}`);
    else if ((yield* isLink(`${dir}/${one.name}`))?.endsWith(`/${name}`) && one.name !== name) out.push(`${dir}/${one.name}`);
  }
  return out;
}

export function* enabledState(name: string, path: string): Call<string> {
  if (yield* isMasked(path)) return path.startsWith('/run/') ? 'masked-runtime' : 'masked';
  if ((yield* linked(name, UNIT_DIR)).length > 0) return 'enabled';
  if ((yield* linked(name, RUN_DIR)).length > 0) return 'enabled-runtime';
  const unit = yield* readUnit(name);
  if (name.startsWith('getty@')) return 'enabled';
  return unit?.installable ? 'disabled' : 'static';
}

export function* enabledStates(units: readonly string[], quiet: boolean): Call<number> {
  let [good, known] = [false, false];
  for (const name of units) {
    const path = yield* unitPath(name);
    const transient = path === null && (yield* ask({ verb: 'list', units: [name] })).units[0]?.path.startsWith('/run/systemd/transient/');
    const state = transient ? 'transient' : path === null ? 'not-found' : yield* enabledState(name, path);
    known ||= state !== 'not-found';
    good ||= ['enabled', 'enabled-runtime', 'static', 'transient', 'alias', 'indirect', 'generated'].includes(state);
    if (!quiet) yield* print(`${state}\n`);
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


export interface Enabling {
  runtime: boolean;
  quiet: boolean;
}

/** Enables or disables; status. */
export function* enable(verb: 'enable' | 'disable' | 'reenable', units: readonly string[], { runtime, quiet }: Enabling): Call<number> {
  const dir = runtime ? RUN_DIR : UNIT_DIR;
  const tell = function* (text: string): Call<void> { if (!quiet) yield* complain(text); };
  let bare = 0;
  for (const name of units) {
    const unit = yield* readUnit(name);
    if (unit === null) {
      yield* complain(`Failed to ${verb} unit: Unit ${name} does not exist\n`);
      return 1;
    }
    if (unit.load === 'masked' && verb !== 'disable') {
      yield* complain(`Failed to ${verb} unit: Unit ${unit.path} is masked\n`);
      return 1;
    }
    const wants = [...unit.wantedBy, ...unit.requiredBy, ...unit.alias];
    if (wants.length === 0 && unit.load !== 'masked') bare++;
    if (verb !== 'enable') {
      for (const link of yield* linked(name, dir)) {
        yield* sys('unlinkat', -100, link, 0);
        yield* tell(`Removed '${link}'.\n`);
      }
    }
    if (verb === 'disable') continue;
    for (const link of linksOf(unit, dir)) {
      if ((yield* isLink(link)) !== null) continue;
      yield* mkdirAll(link.slice(0, link.lastIndexOf('/')));
      yield* sys('symlinkat', unit.path, -100, link);
      yield* tell(`Created symlink '${link}' → '${unit.path}'.\n`);
    }
  }
  if (bare > 0 && bare === units.length && !quiet) yield* complain(NO_INSTALL);
  yield* ask({ verb: 'reload', units: [] });
  return 0;
}

export function* mask(verb: 'mask' | 'unmask', units: readonly string[], { runtime, quiet }: Enabling): Call<number> {
  const dir = runtime ? RUN_DIR : UNIT_DIR;
  for (const name of units) {
    const link = `${dir}/${name}`;
    const there = yield* isLink(link);
    if (verb === 'unmask') {
      if (there !== '/dev/null') {
        if ((yield* unitPath(name)) === null) yield* complain(`Unit ${name} does not exist, proceeding anyway.\n`);
        continue;
      }
      yield* sys('unlinkat', -100, link, 0);
      if (!quiet) yield* complain(`Removed '${link}'.\n`);
      continue;
    }
    if (there === '/dev/null') continue;
    if ((yield* unitPath(name)) === null) yield* complain(`Unit ${name} does not exist, proceeding anyway.\n`);
    if (there !== null || (yield* exists(link))) {
      yield* complain(`Failed to mask unit: File '${link}' already exists${there === null ? '' : ` and is a symlink to ${there}`}\n`);
      return 1;
    }
    yield* mkdirAll(dir);
    yield* sys('symlinkat', '/dev/null', -100, link);
    if (!quiet) yield* complain(`Created symlink '${link}' → '/dev/null'.\n`);
  }
  yield* ask({ verb: 'reload', units: [] });
  return 0;
}

export function* listUnitFiles(on: ReadonlyMap<string, number>, patterns: readonly string[], type: string | undefined, state: string | undefined): Call<number> {
  const rows: { name: string; state: string; preset: string }[] = [];
  for (const name of yield* unitFileNames()) {
    if (patterns.length > 0 && !patterns.some((one) => matches(one, name))) continue;
    if (type !== undefined && !type.split(',').some((one) => name.endsWith(`.${one}`))) continue;
    const is = yield* enabledState(name, (yield* unitPath(name))!);
    if (state !== undefined && !state.split(',').includes(is)) continue;
    rows.push({ name, state: is, preset: is === 'static' || is === 'transient' ? '-' : 'enabled' });
  }
  const n = Math.max(9, ...rows.map((u) => u.name.length));
  const w = Math.max(5, ...rows.map((u) => u.state.length));
  let out = on.has('no-legend') || rows.length === 0 ? '' : `${'UNIT FILE'.padEnd(n)} ${'STATE'.padEnd(w)} PRESET\n`;
  for (const u of rows) out += `${u.name.padEnd(n)} ${u.state.padEnd(w)} ${u.preset}\n`;
  yield* print(`${out}${on.has('no-legend') ? '' : `${rows.length === 0 ? '' : '\n'}${rows.length} unit files listed.\n`}`);
  return 0;
}
