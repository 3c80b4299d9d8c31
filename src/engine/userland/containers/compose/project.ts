/**
 * A project: files found, read and merged, names given, profiles chosen, and whether it hangs together.
 * Source: compose-go cli/options.go, loader/*.go, types/project.go, graph.
 */
import { sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { drain, statOf, tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { absolute, canonicalService, type Place } from './canonical.ts';
import { type Any, BAD_FILE, ComposeError, type Dict, FILE_NOT_FOUND, isDict, overlay, readYaml } from './document.ts';
import { interpolate, readEnvFile, type Variables } from './interpolate.ts';
import { cast, validate } from './schema.ts';
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

export interface Asked {
  files: string[];
  name?: string;
  directory?: string;
  profiles: string[];
  envFiles: string[];
  env: Readonly<Record<string, string>>;
  interpolate: boolean;
}

const DEFAULTS = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const OVERRIDES = ['compose.override.yml', 'compose.override.yaml', 'docker-compose.override.yml', 'docker-compose.override.yaml'];
const parent = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

/** The files to read, absolute. Throws ComposeError. */
export function* findFiles(asked: Asked): Call<string[]> {
  const cwd = yield* sys('getcwd');
  const place = { directory: cwd, home: asked.env.HOME ?? '/' };
  const given = asked.files.length > 0 ? asked.files : (asked.env.COMPOSE_FILE ?? '').split(asked.env.COMPOSE_PATH_SEPARATOR ?? ':').filter((f) => f !== '');
  if (given.length > 0) {
    const found = given.map((f) => (f === '-' ? '-' : absolute(f, place)));
    for (const [i, file] of found.entries()) if (file !== '-' && !(yield* statOf(file))) throw new ComposeError(`open ${given[i]!.startsWith('/') ? given[i] : file}: no such file or directory`, FILE_NOT_FOUND);
    return found;
  }
  for (let dir = asked.directory ? absolute(asked.directory, place) : cwd; ; dir = parent(dir)) {
    const base = dir === '/' ? '' : dir;
    for (const name of DEFAULTS) {
      if (!(yield* statOf(`${base}/${name}`))) continue;
      const more: string[] = [];
      for (const o of OVERRIDES) if (more.length === 0 && (yield* statOf(`${base}/${o}`))) more.push(`${base}/${o}`);
      return [`${base}/${name}`, ...more];
    }
    if (dir === '/') throw new ComposeError('no configuration file provided: not found', FILE_NOT_FOUND);
  }
}

/** Reads everything. Throws ComposeError. */
export function* loadProject(asked: Asked): Call<Project> {
  const files = yield* findFiles(asked);
  const cwd = yield* sys('getcwd');
  const home = asked.env.HOME ?? '/';
  const directory = asked.directory ? absolute(asked.directory, { directory: cwd, home }) : files[0] === '-' ? cwd : parent(files[0]!);
  const place: Place = { directory, home };
  const environment = yield* environmentOf(asked, place);
  const variables: Variables = { values: environment, missing: new Set() };
  const warnings: string[] = [];
  let model: Dict = {};
  for (const file of files) {
    const one = yield* readOne(file, asked, variables);
    if (one.version !== undefined) warnings.push(`${file}: \`version\` is obsolete`);
    model = overlay(model, one);
  }
  warnings.unshift(...[...variables.missing].map((name) => `The ${JSON.stringify(name)} variable is not set. Defaulting to a blank string.`));
  if (!isDict(model.services)) model.services = {};
  for (const name of Object.keys(model.services as Dict).sort()) {
    if (name.startsWith('x-')) continue;
    model.services[name] = yield* extended(model, name, asked, variables, place, []);
  }
  return yield* assemble(model, { asked, files, place, environment, warnings });
}

/** The process's environment over .env files. */
function* environmentOf(asked: Asked, place: Place): Call<Record<string, string>> {
  const given = asked.envFiles.map((f) => absolute(f, place));
  let out: Record<string, string> = {};
  for (const file of given.length > 0 ? given : [`${place.directory}/.env`]) {
    const source = yield* tryRead(file);
    if (source !== null) out = { ...out, ...readEnvFile(source, { ...out, ...asked.env }, file) };
    else if (given.length > 0) throw new ComposeError(`couldn't find env file: ${file}`, FILE_NOT_FOUND);
  }
  return { ...out, ...asked.env };
}

function* readOne(file: string, asked: Asked, variables: Variables): Call<Dict> {
  const source = file === '-' ? text(yield* drain(0)) : yield* tryRead(file);
  if (source === null) throw new ComposeError(`read ${file}: is a directory`, FILE_NOT_FOUND);
  const raw = readYaml(source);
  if (raw.include !== undefined) throw new ComposeError('not modelled: include');
  const filled = asked.interpolate ? (interpolate(raw, variables) as Dict) : raw;
  const model = asked.interpolate ? cast(filled) : filled;
  validate(model, file);
  return model;
}

/** A service with what it extends below it. */
function* extended(model: Dict, name: string, asked: Asked, variables: Variables, place: Place, seen: readonly string[]): Call<Dict> {
  const service: Dict = model.services[name] ?? {};
  if (service.extends === undefined || service.extends === null) return service;
  const from = isDict(service.extends) ? service.extends : { service: String(service.extends) };
  const file = from.file === undefined ? '' : absolute(String(from.file), place);
  const mark = `${file}:${name}`;
  if (seen.includes(mark)) throw new ComposeError(`Circular reference with extends: ${[...seen, mark].join(' -> ')}`, BAD_FILE);
  let other = model;
  if (file !== '') {
    if (!(yield* statOf(file))) throw new ComposeError(`open ${file}: no such file or directory`, BAD_FILE);
    other = yield* readOne(file, asked, variables);
  }
  const key = String(from.service);
  if (!isDict(other.services?.[key])) throw new ComposeError(`cannot extend service ${JSON.stringify(name)}${file === '' ? '' : ` in ${file}`}: service ${JSON.stringify(key)} not found`, BAD_FILE);
  const below = yield* extended(other, key, asked, variables, file === '' ? place : { ...place, directory: parent(file) }, [...seen, mark]);
  const { extends: _e, ...own } = service;
  const { depends_on: _d, ...base } = below;
  return overlay(base, own) as Dict;
}

interface Found {
  asked: Asked;
  files: string[];
  place: Place;
  environment: Record<string, string>;
  warnings: string[];
}

const BAD_NAME = 'must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number';
export const normalName = (name: string): string => name.toLowerCase().replace(/[^-_a-z0-9]/g, '').replace(/^[_-]+/, '');

function nameOf(model: Dict, { asked, place, environment }: Found): string {
  const given = asked.name ?? (environment.COMPOSE_PROJECT_NAME || undefined) ?? (model.name === undefined ? undefined : String(model.name));
  if (given !== undefined) {
    if (given !== normalName(given) || given === '') throw new ComposeError(`invalid project name ${JSON.stringify(given)}: ${BAD_NAME}`, BAD_FILE);
    return given;
  }
  const name = normalName(place.directory.slice(place.directory.lastIndexOf('/') + 1));
  if (name === '') throw new ComposeError('project name must not be empty', BAD_FILE);
  return name;
}

function* assemble(model: Dict, found: Found): Call<Project> {
  const { place, environment } = found;
  const name = nameOf(model, found);
  const all: Record<string, Dict> = {};
  for (const key of Object.keys(model.services as Dict).filter((k) => !k.startsWith('x-')).sort()) all[key] = yield* complete(canonicalService(model.services[key] ?? {}, place), environment);
  const profiles = new Set([...found.asked.profiles, ...(environment.COMPOSE_PROFILES ?? '').split(',').filter((p) => p !== '')]);
  const on = (s: Dict): boolean => !s.profiles?.length || profiles.has('*') || (s.profiles as string[]).some((p) => profiles.has(p));
  const project: Project = {
    name, directory: place.directory, files: found.files, environment, warnings: found.warnings,
    services: Object.fromEntries(Object.entries(all).filter(([, s]) => on(s))), disabled: Object.fromEntries(Object.entries(all).filter(([, s]) => !on(s))),
    networks: named({ default: null, ...model.networks }, name), volumes: named(model.volumes, name), secrets: fromFiles(model.secrets, name, place), configs: fromFiles(model.configs, name, place),
    extensions: Object.fromEntries(Object.entries(model).filter(([k]) => k.startsWith('x-'))),
  };
  for (const s of Object.values(all)) if (!s.networks && !s.network_mode) s.networks = { default: null };
  checkConsistency(project);
  return withoutUnused(project);
}

/** What env_file gives, below what the service says itself; names without a value come from outside. */
function* complete(service: Dict, environment: Record<string, string>): Call<Dict> {
  let env: Record<string, string | null> = {};
  for (const { path, required } of (service.env_file ?? []) as { path: string; required?: boolean }[]) {
    const source = yield* tryRead(path);
    if (source !== null) env = { ...env, ...readEnvFile(source, { ...environment, ...(env as Record<string, string>) }, path) };
    else if (required !== false) throw new ComposeError(`env file ${path} not found: stat ${path}: no such file or directory`, BAD_FILE);
  }
  for (const [k, v] of Object.entries((service.environment ?? {}) as Dict)) env[k] = v === null ? (Object.hasOwn(environment, k) ? environment[k]! : null) : v;
  const { env_file: _e, environment: _v, ...rest } = service;
  return { ...rest, ...implied(rest), ...(Object.keys(env).length > 0 ? { environment: byKey(env) } : {}) };
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

function named(value: Any, project: string): Record<string, Dict> {
  return byKey(Object.fromEntries(Object.entries((value ?? {}) as Dict).filter(([k]) => !k.startsWith('x-')).map(([key, one]): [string, Dict] => {
    const n: Dict = { ...(one ?? {}) };
    const external = isDict(n.external) || n.external === true || n.external === 'true';
    const name = (isDict(n.external) ? n.external.name : undefined) ?? n.name ?? (external ? key : `${project}_${key}`);
    return [key, { ...n, ...(external ? { external: true } : {}), name: String(name) }];
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
  for (const [kind, all] of [['secret', p.secrets], ['config', p.configs]] as const) {
    for (const [key, s] of Object.entries(all)) if (!s.external && !s.file && !s.environment && s.content === undefined) throw invalid(`${kind} ${JSON.stringify(key)} must declare either \`file\` or \`environment\``);
  }
  checkCycle(p);
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
  return withoutUnused({ ...p, services: pick(true), disabled: pick(false) });
}
