/**
 * What a compose file may hold, and the message for what it may not: the compose specification's JSON schema as a table, its
 * errors in the words of compose (the deepest field that is wrong, a wrong type before others). Text in places for numbers
 * and booleans is cast, as after interpolation. Source: compose-spec schema, compose-go schema/schema.go, loader/interpolate.go.
 */
import { type Any, BAD_FILE, ComposeError, type Dict, isDict } from './document.ts';

/** A list of types ("string|null"), a list, a mapping of any names, or a record of known fields. */
type Schema =
  | { is: readonly string[]; words?: readonly string[]; pattern?: RegExp }
  | { list: Schema; unique?: true }
  | { map: Schema; names?: RegExp }
  | { fields: Readonly<Record<string, Schema>>; needs?: readonly string[] }
  | { any: readonly Schema[] };

const is = (types: string, words?: readonly string[]): Schema => ({ is: types.split('|'), ...(words ? { words } : {}) });
const list = (of: Schema): Schema => ({ list: of });
const any = (...all: Schema[]): Schema => ({ any: all });
const record = (text: string, more: Record<string, Schema> = {}, needs?: readonly string[]): Schema => ({
  fields: { ...Object.fromEntries(text.trim().split(/\s+/).filter((t) => t !== '').map((t) => { const [name, types] = t.split(':'); return [name!, is(types!)]; })), ...more },
  ...(needs ? { needs } : {}),
});

const STRINGS = list(is('string'));
const LIST_OR_DICT = any({ map: is('string|number|boolean|null') }, STRINGS);
const STRING_OR_LIST = any(is('string'), STRINGS);
const COMMAND = any(is('null'), is('string'), STRINGS);
const FILES = list(any(is('string'), record('source:string target:string uid:string gid:string mode:number|string')));
const ULIMITS: Schema = { map: any(is('integer'), record('hard:integer soft:integer', {}, ['soft', 'hard'])) };
const HEALTHCHECK = record('disable:boolean interval:string retries:number timeout:string start_period:string start_interval:string', { test: any(is('string'), STRINGS) });
const RESOURCES = record('cpus:number|string memory:string pids:integer', { devices: list(record('count:string|integer driver:string', { capabilities: STRINGS, device_ids: STRINGS, options: LIST_OR_DICT })), generic_resources: list({ map: is('object') }) });
const DEPLOY = record('mode:string endpoint_mode:string replicas:integer', {
  labels: LIST_OR_DICT, resources: record('', { limits: RESOURCES, reservations: RESOURCES }), restart_policy: record('condition:string delay:string max_attempts:integer window:string'),
  update_config: record('parallelism:integer delay:string failure_action:string monitor:string max_failure_ratio:number order:string'),
  rollback_config: record('parallelism:integer delay:string failure_action:string monitor:string max_failure_ratio:number order:string'), placement: { map: is('array|integer|object') },
});
const BUILD = record('context:string dockerfile:string dockerfile_inline:string network:string no_cache:boolean pull:boolean privileged:boolean target:string isolation:string shm_size:integer|string', {
  args: LIST_OR_DICT, labels: LIST_OR_DICT, ssh: LIST_OR_DICT, cache_from: STRINGS, cache_to: STRINGS, tags: STRINGS, platforms: STRINGS, additional_contexts: LIST_OR_DICT, extra_hosts: LIST_OR_DICT, secrets: FILES, ulimits: ULIMITS, entitlements: STRINGS,
});
const PORT = record('name:string mode:string host_ip:string target:integer published:string|integer protocol:string app_protocol:string');
const MOUNT = record('type:string source:string target:string read_only:boolean consistency:string', {
  bind: record('propagation:string create_host_path:boolean selinux:string'), volume: record('nocopy:boolean subpath:string'), tmpfs: record('size:integer|string mode:number'),
}, ['type']);
const NETWORK_OF_SERVICE = record('ipv4_address:string ipv6_address:string mac_address:string priority:number', { aliases: STRINGS, link_local_ips: STRINGS, driver_opts: { map: is('string|number') } });
const CONDITIONS = ['service_started', 'service_healthy', 'service_completed_successfully'];

export const SERVICE = record(`
  attach:boolean cgroup_parent:string container_name:string cpu_count:string|integer cpu_percent:string|number cpu_shares:number|string cpu_quota:number|string cpu_period:number|string
  cpu_rt_period:number|string cpu_rt_runtime:number|string cpus:number|string cpuset:string domainname:string hostname:string image:string init:boolean ipc:string isolation:string mac_address:string
  mem_limit:number|string mem_reservation:string|integer mem_swappiness:integer|string memswap_limit:number|string network_mode:string oom_kill_disable:boolean oom_score_adj:integer pid:string|null
  pids_limit:number|string platform:string privileged:boolean read_only:boolean restart:string runtime:string scale:integer shm_size:number|string stdin_open:boolean stop_grace_period:string
  stop_signal:string tty:boolean user:string uts:string userns_mode:string working_dir:string credential_spec:object blkio_config:object develop:object storage_opt:object`, {
  pull_policy: is('string', ['always', 'never', 'if_not_present', 'build', 'missing']), build: any(is('string'), BUILD), cgroup: is('string', ['host', 'private']), command: COMMAND, entrypoint: COMMAND, annotations: LIST_OR_DICT, environment: LIST_OR_DICT, labels: LIST_OR_DICT, sysctls: LIST_OR_DICT, extra_hosts: LIST_OR_DICT,
  cap_add: STRINGS, cap_drop: STRINGS, devices: STRINGS, device_cgroup_rules: STRINGS, dns_opt: STRINGS, external_links: STRINGS, links: STRINGS, profiles: STRINGS, security_opt: STRINGS, volumes_from: STRINGS, dns: STRING_OR_LIST, dns_search: STRING_OR_LIST, tmpfs: STRING_OR_LIST,
  configs: FILES, secrets: FILES, deploy: any(DEPLOY, is('null')), healthcheck: HEALTHCHECK, ulimits: ULIMITS, expose: list(is('string|number')), group_add: list(is('string|number')),
  depends_on: any(STRINGS, { map: record('restart:boolean required:boolean', { condition: is('string', CONDITIONS) }, ['condition']) }),
  env_file: any(is('string'), list(any(is('string'), record('path:string required:boolean', {}, ['path'])))),
  extends: any(is('string'), record('service:string file:string', {}, ['service'])), logging: record('driver:string', { options: { map: is('string|number|null') } }),
  networks: any(STRINGS, { map: any(NETWORK_OF_SERVICE, is('null')) }), ports: list(any(is('number'), is('string'), PORT)), volumes: list(any(is('string'), MOUNT)),
});

const EXTERNAL = any(is('boolean|string'), record('name:string'));
const NETWORK = record('name:string driver:string internal:boolean enable_ipv6:boolean attachable:boolean', {
  driver_opts: { map: is('string|number') }, labels: LIST_OR_DICT, external: EXTERNAL,
  ipam: record('driver:string', { config: list(record('subnet:string ip_range:string gateway:string', { aux_addresses: { map: is('string') } })), options: { map: is('string') } }),
});
const VOLUME = record('name:string driver:string', { driver_opts: { map: is('string|number') }, labels: LIST_OR_DICT, external: EXTERNAL });
const SECRET = record('name:string file:string environment:string content:string template_driver:string', { labels: LIST_OR_DICT, external: EXTERNAL });
const NAMES = /^[a-zA-Z0-9._-]+$/;
const FILE = record('version:string name:string', {
  include: list(is('string|object')), services: { map: SERVICE, names: NAMES }, networks: { map: any(NETWORK, is('null')), names: NAMES }, volumes: { map: any(VOLUME, is('null')), names: NAMES },
  secrets: { map: SECRET, names: NAMES }, configs: { map: SECRET, names: NAMES },
});

interface Fault {
  path: string;
  text: string;
  /** A wrong type wins over others as deep. */
  type: boolean;
}

const typeOf = (value: Any): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'number') : typeof value);
const matches = (value: Any, type: string): boolean => typeOf(value) === type || (type === 'number' && typeOf(value) === 'integer');
const HUMAN: Readonly<Record<string, string>> = { object: 'mapping', array: 'list' };

function mustBe(types: readonly string[]): string {
  const words = types.map((t) => HUMAN[t] ?? t);
  return `must be a ${words.length === 1 ? words[0] : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`}`;
}

const wrongType = (path: string, types: readonly string[]): Fault => ({ path, text: mustBe(types), type: true });
const at = (path: string, key: string | number): string => (path === '' ? String(key) : `${path}.${key}`);

/** Every fault of a value, as a validator of the schema finds them, and how much of it fitted. */
function faultsOf(schema: Schema, value: Any, path: string): { faults: Fault[]; score: number } {
  const only = (fault: Fault): { faults: Fault[]; score: number } => ({ faults: [fault], score: 0 });
  if ('is' in schema) {
    if (!schema.is.some((t) => matches(value, t))) return only(wrongType(path, schema.is));
    if (schema.words && !schema.words.includes(String(value))) return only({ path, text: `${path} must be one of the following: ${schema.words.map((w) => JSON.stringify(w)).join(', ')}`, type: false });
    return { faults: [], score: 1 };
  }
  if ('any' in schema) return alternatives(schema.any, value, path);
  if ('list' in schema) {
    if (!Array.isArray(value)) return only(wrongType(path, ['array']));
    return joined(value.map((v, i) => faultsOf(schema.list, v, at(path, i))));
  }
  if (!isDict(value)) return only(wrongType(path, ['object']));
  if ('map' in schema) {
    return joined(Object.entries(value).map(([k, v]) => {
      if (schema.names && !schema.names.test(k)) return k.startsWith('x-') ? { faults: [], score: 0 } : only({ path, text: `Additional property ${k} is not allowed`, type: false });
      return faultsOf(schema.map, v, at(path, k));
    }));
  }
  return fieldsOf(schema, value, path);
}

function fieldsOf(schema: Extract<Schema, { fields: unknown }>, value: Dict, path: string): { faults: Fault[]; score: number } {
  const parts = Object.keys(value).sort().map((k) => {
    const v = value[k];
    const known = Object.hasOwn(schema.fields, k) ? schema.fields[k] : undefined;
    if (known) return faultsOf(known, v, at(path, k));
    return k.startsWith('x-') ? { faults: [], score: 0 } : { faults: [{ path, text: `Additional property ${k} is not allowed`, type: false }], score: 0 };
  });
  const missing = (schema.needs ?? []).filter((n) => !(n in value)).map((n) => ({ faults: [{ path, text: `${n} is required`, type: false }], score: 0 }));
  const all = joined([...missing, ...parts]);
  return { ...all, score: all.score + 1 };
}

function joined(parts: readonly { faults: Fault[]; score: number }[]): { faults: Fault[]; score: number } {
  return { faults: parts.flatMap((p) => p.faults), score: 1 + parts.reduce((n, p) => n + p.score, 0) };
}

/** One of several must fit; the faults are those of the nearest. */
function alternatives(all: readonly Schema[], value: Any, path: string): { faults: Fault[]; score: number } {
  let best: { faults: Fault[]; score: number } | null = null;
  for (const one of all) {
    const found = faultsOf(one, value, path);
    if (found.faults.length === 0) return found;
    if (!best || found.score > best.score) best = found;
  }
  return { faults: [{ path, text: best!.faults[0]!.text, type: false }, ...best!.faults], score: best!.score };
}

/** Throws ComposeError for the deepest fault. `file` is named before it. */
export function validate(model: Dict, file: string): void {
  const depth = (f: Fault): number => f.path.split('.').length;
  let worst: Fault | null = null;
  for (const f of faultsOf(FILE, model, '').faults) {
    if (!worst || depth(f) > depth(worst) || (depth(f) === depth(worst) && f.type && !worst.type)) worst = f;
  }
  if (worst) throw new ComposeError(`validating ${file}: ${worst.path === '' ? '(root)' : worst.path} ${worst.text}`, BAD_FILE);
}

/** Text where a number or a boolean is wanted becomes one; words of YAML 1.1 are warned of. Throws ComposeError. */
export function cast(model: Dict, warnings: string[]): Dict {
  return castTo(FILE, model, '', warnings) as Dict;
}

function castTo(schema: Schema, value: Any, path: string, warnings: string[]): Any {
  if ('is' in schema) return typeof value === 'string' && !schema.is.includes('string') ? scalar(schema.is, value, path, warnings) : value;
  if ('any' in schema) {
    const inner = schema.any.find((s) => ('fields' in s || 'map' in s ? isDict(value) : 'list' in s ? Array.isArray(value) : typeof value === 'string'));
    if (typeof value === 'string' && schema.any.some((s) => 'is' in s && s.is.includes('string'))) return value;
    return inner ? castTo(inner, value, path, warnings) : value;
  }
  if ('list' in schema) return Array.isArray(value) ? value.map((v) => castTo(schema.list, v, `${path}.[]`, warnings)) : value;
  if (!isDict(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => {
    const inner = 'map' in schema ? schema.map : Object.hasOwn(schema.fields, k) ? schema.fields[k] : undefined;
    return [k, inner ? castTo(inner, v, at(path, k), warnings) : v];
  }));
}

function scalar(types: readonly string[], value: string, path: string, warnings: string[]): Any {
  const bad = (why: string): ComposeError => new ComposeError(`error while interpolating ${path}: failed to cast to expected type: ${why}`, BAD_FILE);
  if (types.includes('boolean')) {
    if (/^(?:true|false)$/i.test(value)) return value.toLowerCase() === 'true';
    const yes = /^(?:1|t|y|yes|on)$/i.test(value);
    if (!yes && !/^(?:0|f|n|no|off)$/i.test(value)) throw bad(`invalid boolean: ${value}`);
    warnings.push(`${JSON.stringify(value)} for boolean is not supported by YAML 1.2, please use \`${yes}\``);
    return yes;
  }
  if (types.includes('integer') || types.includes('number')) {
    if (types.includes('number') && value.trim() !== '' && Number.isFinite(Number(value))) return Number(value);
    if (/^[-+]?\d+$/.test(value)) return Number(value);
    throw bad(`strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  return value;
}
