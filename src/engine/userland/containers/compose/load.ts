/**
 * The files of a project read into one model: found, interpolated, cast, checked, their `extends` and `include` followed, merged.
 * Source: compose-go cli/options.go, loader/loader.go, extends.go, include.go, override/uncity.go.
 */
import { sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { drain, statOf, tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { absolute, type Place } from './canonical.ts';
import { type Any, BAD_FILE, ComposeError, type Dict, FILE_NOT_FOUND, isDict, overlay, pairsOf, readYaml, without } from './document.ts';
import { interpolate, readEnvFile, type Variables } from './interpolate.ts';
import { cast, validate } from './schema.ts';

export interface Asked {
  files: string[];
  name?: string;
  directory?: string;
  profiles: string[];
  envFiles: string[];
  env: Readonly<Record<string, string>>;
  interpolate: boolean;
  /** As it is written, names not completed. */
  normalize?: boolean;
  /** Variables of the containers stay as they are written, and the files they would come from. */
  unresolved?: boolean;
}

/** What reading gathers beside the model. */
export interface Reading {
  asked: Asked;
  place: Place;
  variables: Variables;
  warnings: string[];
}

const DEFAULTS = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const OVERRIDES = ['compose.override.yml', 'compose.override.yaml', 'docker-compose.override.yml', 'docker-compose.override.yaml'];
export const parent = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

function* thereAre(base: string, names: readonly string[]): Call<string[]> {
  const out: string[] = [];
  for (const name of names) if (yield* statOf(`${base}/${name}`)) out.push(`${base}/${name}`);
  return out;
}

/** The files to read, absolute, and what is said when there are several to choose from. Throws ComposeError. */
export function* findFiles(asked: Asked): Call<{ files: string[]; warnings: string[] }> {
  const cwd = yield* sys('getcwd');
  const place = { directory: cwd, home: asked.env.HOME ?? '/' };
  const given = asked.files.length > 0 ? asked.files : (asked.env.COMPOSE_FILE ?? '').split(asked.env.COMPOSE_PATH_SEPARATOR ?? ':').filter((f) => f !== '');
  if (given.length > 0) {
    const files = given.map((f) => (f === '-' ? '-' : absolute(f, place)));
    for (const [i, file] of files.entries()) if (file !== '-' && !(yield* statOf(file))) throw new ComposeError(`open ${given[i]!.startsWith('/') ? given[i] : file}: no such file or directory`, FILE_NOT_FOUND);
    return { files, warnings: [] };
  }
  for (let dir = asked.directory ? absolute(asked.directory, place) : cwd; ; dir = parent(dir)) {
    const base = dir === '/' ? '' : dir;
    const found = yield* thereAre(base, DEFAULTS);
    if (found.length > 0) {
      const more = yield* thereAre(base, OVERRIDES);
      const several = (all: readonly string[], what: string): string[] => (all.length > 1 ? [`Found multiple ${what} files with supported names: ${all.join(', ')}`, `Using ${all[0]}`] : []);
      // The search is made twice.
      const said = [...several(found, 'config'), ...several(more, 'override')];
      return { files: [found[0]!, ...more.slice(0, 1)], warnings: [...said, ...said] };
    }
    if (dir === '/') throw new ComposeError('no configuration file provided: not found', FILE_NOT_FOUND);
  }
}

/** The process's environment over .env files. */
export function* environmentOf(asked: Asked, place: Place): Call<Record<string, string>> {
  const given = asked.envFiles.map((f) => absolute(f, place));
  let out: Record<string, string> = {};
  try {
    for (const file of given.length > 0 ? given : [`${place.directory}/.env`]) {
      const source = yield* tryRead(file);
      if (source !== null) out = { ...out, ...readEnvFile(source, { ...out, ...asked.env }, file) };
      else if (given.length > 0) throw new ComposeError(`Couldn't find env file: ${file}`);
    }
  } catch (error) {
    if (error instanceof ComposeError) throw new ComposeError(error.message);
    throw error;
  }
  return { ...out, ...asked.env };
}

/** All of them over each other. Throws ComposeError. */
export function* readModel(r: Reading, files: readonly string[], above: readonly string[] = []): Call<Dict> {
  let model: Dict = {};
  for (const file of files) {
    if (above.includes(file)) throw new ComposeError(`include cycle detected:\n${above[0]}\n include ${[...above.slice(1), file].join('\n include ')}`, BAD_FILE);
    const { one, cleared } = yield* readOne(r, file);
    for (const path of cleared) model = without(model, path) as Dict;
    model = overlay(model, one);
    if (one.include !== undefined && one.include !== null) model = yield* included(r, model, one.include, [...above, file]);
    delete model.include;
  }
  return model;
}

function* readOne(r: Reading, file: string): Call<{ one: Dict; cleared: string[][] }> {
  const source = file === '-' ? text(yield* drain(0)) : yield* tryRead(file);
  if (source === null) throw new ComposeError((yield* statOf(file)) ? `read ${file}: is a directory` : `open ${file}: no such file or directory`, FILE_NOT_FOUND);
  const { model: raw, cleared } = readYaml(source);
  const filled = r.asked.interpolate ? (interpolate(raw, r.variables) as Dict) : raw;
  const model = r.asked.interpolate ? cast(filled, r.warnings) : filled;
  if ('services' in model && !isDict(model.services)) throw new ComposeError('services must be a mapping', BAD_FILE);
  const services: Dict = {};
  for (const [name, one] of Object.entries((model.services ?? {}) as Dict)) {
    if (one !== null && !isDict(one)) throw new ComposeError(`services.${name} must be a mapping`, BAD_FILE);
    services[name] = one === null || name.startsWith('x-') ? one : yield* extended(r, { model, file }, name, []);
  }
  const one = 'services' in model ? { ...model, services } : model;
  distinct(one);
  validate(one, file);
  if (one.version !== undefined) r.warnings.push(`${file}: the attribute \`version\` is obsolete, it will be ignored, please remove it to avoid potential confusion`);
  return { one, cleared };
}

interface Source {
  model: Dict;
  file: string;
}

/** A service with what it extends below it. */
function* extended(r: Reading, at: Source, name: string, seen: readonly (readonly [string, string])[]): Call<Dict> {
  const service: Dict = at.model.services?.[name] ?? {};
  if (!isDict(service) || service.extends === undefined || service.extends === null) return service;
  if (!isDict(service.extends) && typeof service.extends !== 'string') return service;
  const from = isDict(service.extends) ? service.extends : { service: service.extends };
  const path: (readonly [string, string])[] = [...seen, [name, at.file]];
  if (seen.some(([n, f]) => n === name && f === at.file)) throw new ComposeError(`Circular reference:\n  ${path.map(([n, f]) => `${n} in ${f}`).join('\n  extends ')}`, BAD_FILE);
  let other = at;
  if (from.file !== undefined) {
    const file = absolute(String(from.file), { ...r.place, directory: seen.length === 0 ? r.place.directory : parent(at.file) });
    const source = yield* tryRead(file);
    if (source === null) throw new ComposeError(`open ${file}: no such file or directory`, FILE_NOT_FOUND);
    const raw = readYaml(source).model;
    other = { file, model: r.asked.interpolate ? cast(interpolate(raw, r.variables) as Dict, r.warnings) : raw };
  }
  const key = String(from.service);
  if (!isDict(other.model.services?.[key])) throw new ComposeError(`cannot extend service ${JSON.stringify(name)} in ${from.file === undefined ? at.file : from.file}: service ${JSON.stringify(key)} not found`, BAD_FILE);
  const below = yield* extended(r, other, key, path);
  const { extends: _e, ...own } = service;
  const { depends_on: _d, ...base } = other === at ? { ...below, depends_on: undefined } : placed(below, { ...r.place, directory: parent(other.file) });
  return overlay(base, own) as Dict;
}

/** A service whose paths begin at their own file's directory. */
function placed(service: Dict, place: Place): Dict {
  const at = (path: Any): string => absolute(String(path), place);
  const env = (one: Any): Any => (isDict(one) ? { ...one, path: at(one.path) } : at(one));
  const volume = (one: Any): Any => {
    if (isDict(one)) return one.type === 'bind' && one.source !== undefined ? { ...one, source: at(one.source) } : one;
    const [source, ...more] = String(one).split(':');
    return more.length > 0 && /^[./~]/.test(source!) ? [at(source), ...more].join(':') : one;
  };
  const local = (context: Any): Any => (/^(https?|git|ssh):/.test(String(context)) ? context : at(context));
  return {
    ...service, ...(service.build !== undefined && service.build !== null ? { build: isDict(service.build) ? { ...service.build, context: local(service.build.context ?? '.') } : local(service.build) } : {}),
    ...(service.env_file !== undefined && service.env_file !== null ? { env_file: Array.isArray(service.env_file) ? service.env_file.map(env) : env(service.env_file) } : {}), ...(Array.isArray(service.volumes) ? { volumes: service.volumes.map(volume) } : {}),
  };
}

const KINDS = ['services', 'volumes', 'networks', 'secrets', 'configs'];

/** What other files declare, whose paths and variables are their own. */
function* included(r: Reading, model: Dict, list: Any, above: readonly string[]): Call<Dict> {
  let out = model;
  for (const one of list as Any[]) {
    const entry: Dict = isDict(one) ? one : { path: one };
    const paths = (Array.isArray(entry.path) ? entry.path : [entry.path]).map((p: Any) => absolute(String(p), r.place));
    const directory = entry.project_directory === undefined ? parent(paths[0]!) : absolute(String(entry.project_directory), r.place);
    const place = { ...r.place, directory };
    const files = entry.env_file === undefined ? [] : (Array.isArray(entry.env_file) ? entry.env_file : [entry.env_file]).map((f: Any) => absolute(String(f), r.place));
    const env = yield* environmentOf({ ...r.asked, envFiles: files, env: r.variables.values }, place);
    const inner = yield* readModel({ ...r, place, variables: { values: env, missing: r.variables.missing } }, paths, above);
    for (const kind of KINDS) {
      for (const [key, value] of Object.entries((inner[kind] ?? {}) as Dict)) {
        const mine = kind === 'services' ? placed(value, place) : isDict(value) && typeof value.file === 'string' ? { ...value, file: absolute(value.file, place) } : value;
        const there = (out[kind] as Dict | undefined)?.[key];
        if (there !== undefined && JSON.stringify(there) !== JSON.stringify(mine)) throw new ComposeError(`${kind}.${key} conflicts with imported resource`, BAD_FILE);
        out = { ...out, [kind]: { ...(out[kind] ?? {}), [key]: mine } };
      }
    }
  }
  return out;
}

const PAIRED = ['environment', 'labels', 'annotations', 'sysctls'];

/** Lists of which every entry must have something to tell it by. Throws ComposeError. */
function distinct(model: Dict): void {
  const bad = (message: string): ComposeError => new ComposeError(message, BAD_FILE);
  for (const [name, s] of Object.entries((model.services ?? {}) as Dict)) {
    if (!isDict(s)) continue;
    for (const key of PAIRED) {
      if (!Array.isArray(s[key])) continue;
      for (const [i, one] of (s[key] as Any[]).entries()) if (typeof one !== 'string') throw bad(`services.${name}.${key}.[${i}]: unexpected type ${goType(one)}`);
      s[key] = pairsAsList(s[key]);
    }
    if (Array.isArray(s.ports)) for (const [i, one] of (s.ports as Any[]).entries()) if (isDict(one) && !('target' in one)) throw bad(`service ports services.${name}.ports.[${i}] is missing a target port`);
    if (Array.isArray(s.volumes)) for (const [i, one] of (s.volumes as Any[]).entries()) if (isDict(one) && typeof one.target !== 'string') throw bad(`service volume services.${name}.volumes.[${i}] is missing a mount target`);
  }
}

/** The last of several with one name. */
const pairsAsList = (list: Any[]): string[] => Object.entries(pairsOf(list)).map(([k, v]) => (v === null ? k : `${k}=${v}`));

function goType(value: Any): string {
  if (Array.isArray(value)) return '[]interface {}';
  if (value === null) return '<nil>';
  return typeof value === 'object' ? 'map[string]interface {}' : typeof value === 'boolean' ? 'bool' : Number.isInteger(value) ? 'int' : 'float64';
}
