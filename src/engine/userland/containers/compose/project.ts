/**
 * A project: files found, read and merged, names given, profiles chosen, and whether it hangs together.
 * Source: compose-go cli/options.go, loader/*.go, types/project.go, graph.
 */
import { sys } from '../../../kernel/sys.ts';
import { tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { absolute, canonicalService, type Place } from './canonical.ts';
import { type Any, BAD_FILE, ComposeError, type Dict, FILE_NOT_FOUND, isDict, pairsOf } from './document.ts';
import { readEnvFile } from './interpolate.ts';
import { type Asked, environmentOf, findFiles, parent, type Reading, readModel } from './load.ts';
import { byKey } from '../../lib/bykey.ts';

export interface Project {
  name: string;
  directory: string;
  files: string[];
  /** Those of the chosen profiles, by name, sorted. */
  services: Record<string, Dict>;
  disabled: Record<string, Dict>;
  networks: Record<string, Dict>;
  volumes: Record<string, Dict>;
  secrets: Record<string, Dict>;
  configs: Record<string, Dict>;
  extensions: Dict;
  environment: Record<string, string>;
  /** What compose warns of, in order. */
  warnings: string[];
}

export type { Asked } from './load.ts';

/** Reads everything. Throws ComposeError. */
export function* loadProject(asked: Asked): Call<Project> {
  const { model, found } = yield* loadModel(asked);
  return yield* assemble(model, found);
}

/** The files merged, and the surroundings they were read in. Throws ComposeError. */
export function* loadModel(asked: Asked): Call<{ model: Dict; found: Found }> {
  if (asked.name !== undefined) nameFrom(asked.name);
  const { files, warnings } = yield* findFiles(asked);
  const cwd = yield* sys('getcwd');
  const home = asked.env.HOME ?? '/';
  const directory = asked.directory ? absolute(asked.directory, { directory: cwd, home }) : files[0] === '-' ? cwd : parent(files[0]!);
  const place: Place = { directory, home };
  const environment = yield* environmentOf(asked, place);
  const r: Reading = { asked, place, variables: { values: environment, missing: [] }, warnings: [] };
  const model = yield* readModel(r, files);
  if (!isDict(model.services)) model.services = {};
  warnings.push(...r.variables.missing.map((name) => `The ${JSON.stringify(name)} variable is not set. Defaulting to a blank string.`), ...r.warnings);
  return { model, found: { asked, files, place, environment, warnings } };
}

export interface Found {
  asked: Asked;
  files: string[];
  place: Place;
  environment: Record<string, string>;
  warnings: string[];
}

const BAD_NAME = 'must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number';
export const normalName = (name: string): string => name.toLowerCase().replace(/[^-_a-z0-9]/g, '').replace(/^[_-]+/, '');

function nameFrom(given: string): string {
  if (given !== normalName(given)) throw new ComposeError(`invalid project name ${JSON.stringify(given)}: ${BAD_NAME}`);
  return given;
}

/** Asked for, in the environment, in a file (where it is made to fit), or the directory's. */
export function nameOf(model: Dict, { asked, place, environment }: Found): string {
  const given = asked.name || environment.COMPOSE_PROJECT_NAME;
  if (given) return nameFrom(given);
  const name = normalName(model.name === undefined ? place.directory.slice(place.directory.lastIndexOf('/') + 1) : String(model.name));
  if (name === '') throw new ComposeError('project name must not be empty', BAD_FILE);
  return name;
}

function* assemble(model: Dict, found: Found): Call<Project> {
  const { asked, place, environment } = found;
  const name = nameOf(model, found);
  const all: Record<string, Dict> = {};
  for (const key of Object.keys(model.services as Dict).filter((k) => !k.startsWith('x-')).sort()) all[key] = yield* complete(canonicalService(key, model.services[key] ?? {}, place), environment, asked.unresolved === true);
  const profiles = new Set([...asked.profiles, ...(environment.COMPOSE_PROFILES ?? '').split(',').filter((p) => p !== '')]);
  const on = (s: Dict): boolean => !s.profiles?.length || profiles.has('*') || (s.profiles as string[]).some((p) => profiles.has(p));
  const project: Project = {
    name, directory: place.directory, files: found.files, environment, warnings: found.warnings,
    services: Object.fromEntries(Object.entries(all).filter(([, s]) => on(s))), disabled: Object.fromEntries(Object.entries(all).filter(([, s]) => !on(s))),
    networks: named({ default: null, ...model.networks }, name, asked.normalize), volumes: named(model.volumes, name, asked.normalize), secrets: fromFiles(model.secrets, name, place), configs: fromFiles(model.configs, name, place),
    extensions: Object.fromEntries(Object.entries(model).filter(([k]) => k.startsWith('x-'))),
  };
  if (asked.normalize !== false) for (const s of Object.values(all)) if (!s.networks && !s.network_mode) s.networks = { default: null };
  checkFileObjects(model);
  checkVolumes(model);
  checkConsistency(project);
  return withoutUnused(project);
}

/** What env_file gives, below what the service says itself; names without a value come from outside. */
function* complete(service: Dict, environment: Record<string, string>, unresolved: boolean): Call<Dict> {
  let env: Record<string, string | null> = {};
  for (const { path, required } of (unresolved ? [] : (service.env_file ?? [])) as { path: string; required?: boolean }[]) {
    const source = yield* tryRead(path);
    if (source !== null) env = { ...env, ...readEnvFile(source, { ...environment, ...(env as Record<string, string>) }, path) };
    else if (required !== false) throw new ComposeError(`env file ${path} not found: stat ${path}: no such file or directory`, FILE_NOT_FOUND);
  }
  for (const [k, v] of Object.entries((service.environment ?? {}) as Dict)) env[k] = v === null && !unresolved ? (Object.hasOwn(environment, k) ? environment[k]! : null) : v;
  const { env_file: _e, environment: _v, ...rest } = service;
  if (rest.build?.args) rest.build = { ...rest.build, args: Object.fromEntries(Object.entries(rest.build.args as Dict).map(([k, v]) => [k, v ?? environment[k]]).filter(([, v]) => v !== undefined)) };
  return { ...rest, ...implied(rest), ...(unresolved && service.env_file ? { env_file: (service.env_file as { path: string }[]).map((f) => f.path) } : {}), ...(Object.keys(env).length > 0 ? { environment: byKey(env) } : {}) };
}

/** Services that another way of naming them makes one depend on. */
function implied(service: Dict): Dict {
  const more = [
    ...((service.links ?? []) as string[]).map((l) => l.split(':')[0]!), ...((service.volumes_from ?? []) as string[]).filter((v) => !v.startsWith('container:')).map((v) => v.split(':')[0]!),
    ...['network_mode', 'ipc', 'pid'].flatMap((k) => (String(service[k] ?? '').startsWith('service:') ? [String(service[k]).slice(8)] : [])),
  ];
  if (more.length === 0) return {};
  const all = { ...(service.depends_on ?? {}) } as Dict;
  for (const name of more) all[name] ??= { condition: 'service_started', restart: true, required: true };
  return { depends_on: byKey(all) };
}

function named(value: Any, project: string, complete = true): Record<string, Dict> {
  return byKey(Object.fromEntries(Object.entries((value ?? {}) as Dict).filter(([k]) => !k.startsWith('x-')).map(([key, one]): [string, Dict] => {
    const n: Dict = { ...(one ?? {}) };
    const external = isDict(n.external) || n.external === true || n.external === 'true';
    const name = (isDict(n.external) ? n.external.name : undefined) ?? n.name ?? (external ? key : complete ? `${project}_${key}` : undefined);
    const labels = n.labels === undefined || n.labels === null ? {} : { labels: byKey(Object.fromEntries(Object.entries(pairsOf(n.labels)).map(([k, v]) => [k, String(v ?? '')]))) };
    return [key, { ...n, ...labels, ...(external ? { external: true } : {}), ...(name === undefined ? {} : { name: String(name) }) }];
  })));
}

const fromFiles = (value: Any, project: string, place: Place): Record<string, Dict> =>
  Object.fromEntries(Object.entries(named(value, project)).map(([k, s]) => [k, s.file === undefined ? s : { ...s, file: absolute(String(s.file), place) }]));

/** Throws ComposeError. */
function checkConsistency(p: Project): void {
  const invalid = (message: string): ComposeError => new ComposeError(`${message}: invalid compose project`, BAD_FILE);
  for (const [name, s] of Object.entries(p.services)) {
    const q = JSON.stringify(name);
    if (!s.build && !s.image) throw invalid(`service ${q} has neither an image nor a build context specified`);
    if (s.build?.dockerfile_inline && s.build?.dockerfile) throw invalid(`service ${q} declares mutualy exclusive dockerfile and dockerfile_inline`);
    if (s.container_name && Number(s.scale ?? s.deploy?.replicas ?? 1) > 1) throw invalid(`services.deploy.replicas: can't set container_name and ${name} as container name must be unique`);
    if (s.network_mode && s.networks) throw invalid(`service ${name} declares mutually exclusive \`network_mode\` and \`networks\``);
    for (const n of Object.keys(s.networks ?? {})) if (!p.networks[n]) throw invalid(`service ${q} refers to undefined network ${n}`);
    for (const [dep, d] of Object.entries((s.depends_on ?? {}) as Dict)) {
      if (!p.services[dep] && !(p.disabled[dep] && d.required === false)) throw invalid(`service ${q} depends on undefined service ${JSON.stringify(dep)}`);
    }
    for (const v of (s.volumes ?? []) as Dict[]) if (v.type === 'volume' && v.source && !p.volumes[String(v.source)]) throw invalid(`service ${q} refers to undefined volume ${v.source}`);
    for (const v of (s.secrets ?? []) as Dict[]) if (!p.secrets[String(v.source)]) throw invalid(`service ${q} refers to undefined secret ${v.source}`);
    for (const v of (s.configs ?? []) as Dict[]) if (!p.configs[String(v.source)]) throw invalid(`service ${q} refers to undefined config ${v.source}`);
    const same = (key: string, deploy: string, a: Any, b: Any): void => {
      if (a !== undefined && b !== undefined && Number(a) !== Number(b)) throw invalid(`services.${name}: can't set distinct values on '${key}' and '${deploy}'`);
    };
    const limits = s.deploy?.resources?.limits ?? {};
    same('scale', 'deploy.replicas', s.scale, s.deploy?.replicas);
    same('cpus', 'deploy.resources.limits.cpus', s.cpus, limits.cpus);
    same('mem_limit', 'deploy.resources.limits.memory', s.mem_limit, limits.memory);
    same('pids_limit', 'deploy.resources.limits.pids', s.pids_limit, limits.pids);
  }
  checkCycle(p);
}

/** A secret or a config is one thing. Throws ComposeError. */
function checkFileObjects(model: Dict): void {
  for (const [kind, ways] of [['configs', ['file', 'environment', 'content']], ['secrets', ['file', 'environment']]] as const) {
    for (const [key, s] of Object.entries((model[kind] ?? {}) as Dict)) {
      const given = ways.filter((w) => s?.[w] !== undefined);
      if (given.length > 1) throw new ComposeError(`${kind}.${key}: ${ways.join('|')} attributes are mutually exclusive`, BAD_FILE);
      if (given.length === 0 && s?.driver === undefined && s?.external === undefined) throw new ComposeError(`${kind}.${key}: one of ${ways.join('|')} must be set`, BAD_FILE);
    }
  }
}

/** One from outside has only a name. Throws ComposeError. */
function checkVolumes(model: Dict): void {
  for (const [key, v] of Object.entries((model.volumes ?? {}) as Dict)) {
    if (!v?.external) continue;
    const other = Object.keys(v).sort().find((k) => k !== 'name' && k !== 'external' && !k.startsWith('x-'));
    if (other !== undefined) throw new ComposeError(`volumes.${key}: conflicting parameters "external" and ${JSON.stringify(other)} specified`, BAD_FILE);
  }
}

function checkCycle(p: Project): void {
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) throw new ComposeError(`dependency cycle detected: ${[...path.slice(path.indexOf(name)), name].join(' -> ')}`, BAD_FILE);
    if (done.has(name)) return;
    for (const dep of Object.keys(p.services[name]?.depends_on ?? {})) if (p.services[dep]) visit(dep, [...path, name]);
    done.add(name);
  };
  for (const name of Object.keys(p.services)) visit(name, []);
}

/** Only the networks, volumes, secrets and configs that some service uses. */
function withoutUnused(p: Project): Project {
  const services = Object.values(p.services);
  const used = (all: Record<string, Dict>, names: readonly string[]): Record<string, Dict> => Object.fromEntries(Object.entries(all).filter(([k]) => names.includes(k)));
  const sources = (key: string): string[] => services.flatMap((s) => ((s[key] ?? []) as Dict[]).map((v) => String(v.source)));
  return {
    ...p, networks: used(p.networks, services.flatMap((s) => Object.keys(s.networks ?? {}))), volumes: used(p.volumes, sources('volumes')), secrets: used(p.secrets, sources('secrets')), configs: used(p.configs, sources('configs')),
  };
}

/** Only these services and what they need. Throws ComposeError. */
export function selected(p: Project, names: readonly string[], dependencies: boolean): Project {
  if (names.length === 0) return p;
  const all = { ...p.services, ...Object.fromEntries(Object.entries(p.disabled).filter(([k]) => names.includes(k))) };
  const wanted = new Set<string>();
  const add = (name: string): void => {
    if (wanted.has(name) || !all[name]) return;
    wanted.add(name);
    if (dependencies) for (const dep of Object.keys(all[name]!.depends_on ?? {})) add(dep);
  };
  for (const name of names) {
    if (!all[name]) throw new ComposeError(`no such service: ${name}`);
    add(name);
  }
  const pick = (chosen: boolean): Record<string, Dict> => byKey(Object.fromEntries(Object.entries({ ...p.disabled, ...all }).filter(([k]) => wanted.has(k) === chosen)));
  const chosen = Object.fromEntries(Object.entries(pick(true)).map(([k, s]) => {
    const needs = Object.fromEntries(Object.entries((s.depends_on ?? {}) as Dict).filter(([dep]) => wanted.has(dep)));
    const { depends_on: _d, ...rest } = s;
    return [k, Object.keys(needs).length > 0 ? { ...rest, depends_on: needs } : rest];
  }));
  return { ...p, services: chosen, disabled: pick(false) };
}
