/**
 * The short forms of a service put into their long ones: ports, volumes, commands, lists of pairs, sizes, durations. After
 * this every service has one shape. Source: compose-go transform/*.go, format/volume.go, types/*.go; go-connections nat.
 */
import { durationFault, goDuration } from '../../lib/duration.ts';
import { durationNs, sizeBytes } from '../docker/cli/values.ts';
import { type Any, BAD_FILE, ComposeError, conditions, type Dict, isDict, pairsOf } from './document.ts';
import { byKey } from '../../lib/bykey.ts';

export interface Place {
  /** Directory that relative paths begin at. */
  directory: string;
  home: string;
}

/** What a field's own reader refuses: all of them are told at once. */
class Undecoded extends Error {
  readonly at: string;
  constructor(message: string, at = '') {
    super(message);
    this.at = at;
  }
}

const bad = (message: string): ComposeError => new ComposeError(message, BAD_FILE);

export function absolute(path: string, place: Place): string {
  const from = path === '~' || path.startsWith('~/') ? `${place.home}${path.slice(1)}` : path.startsWith('/') ? path : `${place.directory}/${path}`;
  const parts: string[] = [];
  for (const part of from.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Words of a command as a shell's quotes divide them, nothing expanded. Source: mattn/go-shellwords. */
export function shellWords(source: string): string[] {
  const out: string[] = [];
  let word = '';
  let started = false;
  let quote = '';
  for (let i = 0; i < source.length; i++) {
    const c = source[i]!;
    if (quote === '' && /\s/.test(c)) {
      if (started) out.push(word);
      word = '';
      started = false;
    } else if (c === '\\' && quote !== "'") {
      started = true;
      word += source[++i] ?? '';
    } else if (quote === '' && (c === '"' || c === "'")) {
      quote = c;
      started = true;
    } else if (c === quote) quote = '';
    else {
      word += c;
      started = true;
    }
  }
  if (quote !== '') throw new Undecoded('invalid command line string');
  if (started) out.push(word);
  return out;
}

const command = (value: Any): string[] | null => (value === null || value === undefined ? null : Array.isArray(value) ? value.map(String) : shellWords(String(value)));

function rangeOf(text: string, what: string): [number, number] {
  const m = /^(\d+)(?:-(\d+))?$/.exec(text);
  const from = Number(m?.[1]);
  const to = Number(m?.[2] ?? m?.[1]);
  if (!m || from > 65535 || to > 65535 || to < from) throw bad(`Invalid ${what}: ${text}`);
  return [from, to];
}

/** "[ip:][host[-end]:]container[-end][/proto]". */
function shortPort(spec: string): Dict[] {
  const [rest = '', protocol = 'tcp'] = spec.split('/');
  const v6 = /^\[([^\]]*)\]:(.*)$/.exec(rest);
  const parts = (v6 ? v6[2]! : rest).split(':');
  const inside = parts.at(-1)!;
  const outside = parts.length > 1 ? parts.at(-2)! : '';
  const ip = v6 ? v6[1]! : parts.length > 2 ? parts.slice(0, -2).join(':') : '';
  if (inside === '') throw bad(`No port specified: ${spec}<empty>`);
  if (!v6 && ip.includes(':')) throw bad(`Invalid ip address ${ip}: address ${ip}:: too many colons in address`);
  if (ip !== '' && !(/^[\da-f:]+$/i.test(ip) || (/^(\d{1,3}\.){3}\d{1,3}$/.test(ip) && ip.split('.').every((n) => Number(n) < 256)))) throw bad(`Invalid ip address: ${ip}`);
  const [from, to] = rangeOf(inside, 'containerPort');
  const host = outside === '' ? null : rangeOf(outside, 'hostPort');
  if (!/^(tcp|udp|sctp)$/i.test(protocol)) throw bad(`Invalid proto: ${protocol}`);
  if (host && host[1] - host[0] !== to - from && from !== to) throw bad(`Invalid ranges specified for container and host Ports: ${inside} and ${outside}`);
  return Array.from({ length: to - from + 1 }, (_, i) => ({
    mode: 'ingress', ...(ip !== '' ? { host_ip: ip } : {}), target: from + i,
    ...(host ? { published: from === to && host[0] !== host[1] ? outside : String(host[0] + i) } : {}), protocol: protocol.toLowerCase(),
  }));
}

const portsOf = (value: Any[]): Dict[] => value.flatMap((one) => {
  if (!isDict(one)) return shortPort(String(one));
  return [{ mode: 'ingress', protocol: 'tcp', ...one, ...(one.published !== undefined ? { published: String(one.published) } : {}) }];
});

/** "[source:]target[:mode]". */
function shortVolume(spec: string, place: Place): Dict {
  if (spec === '') throw bad('invalid empty volume spec');
  // A letter and a colon at the start of a part are a drive.
  const parts = spec.length < 3 ? [spec] : (spec.match(/(?:^|:)(?:[A-Za-z]:(?=.)[^:]*|[^:]*)/g) ?? []).map((part, i) => (i === 0 && !part.startsWith(':') ? part : part.slice(1)));
  if (parts.some((p) => p === '') || parts.length > 3) throw bad(`invalid spec: ${spec}: ${parts.length > 3 ? 'too many colons' : 'empty section between colons'}`);
  if (parts.length === 1) return { type: 'volume', target: spec, volume: {} };
  const [source, target, mode] = parts as [string, string, string | undefined];
  const modes = (mode ?? '').split(',');
  const bind = /^[./~]/.test(source);
  const propagation = modes.find((m) => /^r?(shared|slave|private)$/.test(m));
  return {
    type: bind ? 'bind' : 'volume', source: bind ? absolute(source, place) : source, target, ...(modes.includes('ro') ? { read_only: true } : {}),
    ...(bind ? { bind: { ...(propagation ? { propagation } : {}), create_host_path: true } } : { volume: modes.includes('nocopy') ? { nocopy: true } : {} }),
  };
}

const volumesOf = (value: Any[], place: Place): Dict[] => value.map((one): Dict => {
  if (!isDict(one)) return shortVolume(String(one), place);
  const size = one.tmpfs?.size;
  return {
    ...one, ...(one.type === 'bind' ? { source: absolute(String(one.source ?? ''), place), bind: { ...one.bind } } : {}), ...(one.type === 'volume' ? { volume: { ...one.volume } } : {}),
    ...(size !== undefined ? { tmpfs: { ...one.tmpfs, size: bytes(size, 'tmpfs.size') } } : {}),
  };
});

function bytes(value: Any, what: string): string {
  const n = typeof value === 'number' ? value : value === '-1' ? -1 : sizeBytes(String(value));
  if (n === null || !Number.isFinite(n)) throw new Undecoded(`invalid size: '${value}'`, what);
  return String(n);
}

function duration(value: Any, what = ''): string {
  const text = String(value);
  const fault = durationFault(text);
  if (fault !== null) throw new Undecoded(fault, what);
  return goDuration(durationNs(text));
}

const strings = (value: Any): string[] => (Array.isArray(value) ? value.map(String) : [String(value)]);
const texts = (value: Any): Dict => byKey(Object.fromEntries(Object.entries(pairsOf(value)).map(([k, v]) => [k, v === null ? null : String(v)])));
/** As labels and arguments: nothing is an empty text. */
const filledTexts = (value: Any): Dict => Object.fromEntries(Object.entries(texts(value)).map(([k, v]) => [k, v ?? '']));
const files = (value: Any[]): Dict[] => value.map((one) => (isDict(one) ? one : { source: String(one) }));

function buildOf(value: Any, place: Place): Dict {
  const b: Dict = isDict(value) ? value : { context: String(value) };
  const context = String(b.context ?? '.');
  return {
    ...b, context: /^(https?|git|ssh):/.test(context) ? context : absolute(context, place), ...(b.dockerfile_inline === undefined ? { dockerfile: b.dockerfile ?? 'Dockerfile' } : {}),
    ...(b.args !== undefined ? { args: texts(b.args) } : {}), ...(b.labels !== undefined ? { labels: filledTexts(b.labels) } : {}),
  };
}

function healthOf(h: Dict): Dict {
  const test = typeof h.test === 'string' ? ['CMD-SHELL', h.test] : h.test;
  if (Array.isArray(test) && test.length > 0 && !/^(NONE|CMD|CMD-SHELL)$/.test(String(test[0])))
    throw bad(`healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE"`);
  const durations = ['interval', 'timeout', 'start_period', 'start_interval'].filter((k) => h[k] !== undefined).map((k) => [k, duration(h[k], k)]);
  return { ...h, ...(test !== undefined ? { test: strings(test) } : {}), ...Object.fromEntries(durations) };
}

function deployOf(d: Dict): Dict {
  const part = (k: string, r: Dict): Dict => ({ ...r, ...(r.cpus !== undefined ? { cpus: Number(r.cpus) } : {}), ...(r.memory !== undefined ? { memory: bytes(r.memory, `resources.${k}.memory`) } : {}) });
  const resources = d.resources && Object.fromEntries(Object.entries(d.resources as Dict).map(([k, r]) => [k, part(k, r ?? {})]));
  return { ...d, ...(resources ? { resources } : {}), ...(d.labels !== undefined ? { labels: filledTexts(d.labels) } : {}) };
}

function deviceOf(one: Any): Dict {
  if (isDict(one)) return one;
  const [source, target, permissions] = String(one).split(':');
  return { source, target: target ?? source, permissions: permissions ?? 'rwm' };
}

function hostOf(one: Any): string {
  const found = /^([^:=]+)[:=](.+)$/.exec(String(one));
  if (!found) throw new Undecoded(`invalid additional host, missing IP: ${one}`);
  return `${found[1]}=${found[2]}`;
}

type Change = (value: Any, place: Place) => Any;
const CHANGES: Readonly<Record<string, Change>> = {
  build: buildOf, command, entrypoint: command, environment: texts, labels: filledTexts, annotations: filledTexts, sysctls: filledTexts, depends_on: (v) => byKey(Object.fromEntries(Object.entries(conditions(v)).map(([k, d]) => [k, { required: true, ...d }]))),
  ports: portsOf, volumes: volumesOf, networks: (v) => (Array.isArray(v) ? byKey(Object.fromEntries(v.map((n) => [String(n), null]))) : byKey(v)), expose: strings, group_add: strings, dns: strings, dns_search: strings, tmpfs: strings,
  env_file: (v, place) => (Array.isArray(v) ? v : [v]).map((one: Any) => (isDict(one) ? { ...one, path: absolute(String(one.path), place) } : { path: absolute(String(one), place), required: true })),
  mem_limit: (v) => bytes(v, ''), mem_reservation: (v) => bytes(v, ''), memswap_limit: (v) => bytes(v, ''), shm_size: (v) => bytes(v, ''), mem_swappiness: String,
  cpus: Number, cpu_shares: Number, cpu_quota: Number, cpu_period: Number, pids_limit: Number, stop_grace_period: (v) => duration(v), healthcheck: healthOf, deploy: (v) => deployOf(v ?? {}), configs: files, secrets: (v) => files(v).map((f) => ({ ...f, target: f.target ?? `/run/secrets/${f.source}` })), devices: (v: Any[]) => v.map(deviceOf), logging: (v: Dict) => ({ ...v, ...(isDict(v.options) ? { options: byKey(Object.fromEntries(Object.entries(v.options).map(([k, o]) => [k, String(o)]))) } : {}) }),
  extra_hosts: (v) => (Array.isArray(v) ? v.map(hostOf) : Object.entries(v as Dict).map(([k, ip]) => `${k}=${ip}`)),
  ulimits: (v: Dict) => Object.fromEntries(Object.entries(v).map(([k, u]) => [k, isDict(u) ? { soft: Number(u.soft), hard: Number(u.hard) } : Number(u)])),
};

/** Throws ComposeError, for all the fields that could not be read. */
export function canonicalService(name: string, service: Dict, place: Place): Dict {
  const faults: string[] = [];
  const out: Dict = {};
  for (const [key, value] of Object.entries(service)) {
    if (value === null || value === undefined) continue;
    try {
      out[key] = CHANGES[key] ? CHANGES[key]!(value, place) : value;
    } catch (error) {
      if (!(error instanceof Undecoded)) throw error;
      faults.push(`error decoding 'services[${name}].${key}${error.at === '' ? '' : `.${error.at}`}': ${error.message}`);
    }
  }
  if (faults.length > 0) throw bad(`decoding failed due to the following error(s):\n\n${faults.sort().join('\n')}`);
  return out;
}

/** The forms that are made even where nothing is interpolated: those that a path or a name stands in. */
const WRITTEN = ['depends_on', 'networks', 'ports', 'volumes', 'env_file', 'build', 'configs', 'secrets', 'extends'];

/** A service nearly as it is written. */
export function writtenService(service: Dict, place: Place): Dict {
  return Object.fromEntries(Object.entries(service).filter(([, v]) => v !== null && v !== undefined).map(([key, value]) => [key, WRITTEN.includes(key) && CHANGES[key] ? keepingSizes(key, value, place) : value]));
}

const keepingSizes = (key: string, value: Any, place: Place): Any => (key === 'volumes' ? (value as Any[]).map((v) => (isDict(v) && v.type !== 'bind' ? v : volumesOf([v], place)[0])) : CHANGES[key]!(value, place));
