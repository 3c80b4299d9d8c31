/**
 * What libvirtd knows and does: domains, defined and running, and the calls that virsh makes on them. The rules are here;
 * what touches the machine (starting and ending a QEMU process, talking to its monitor, keeping files) is behind `Host`, so
 * that the daemon and the tests have the same rules. Source: libvirt 9.0, its QEMU driver.
 */
import type { Request } from '../../../kernel/sys.ts';
import { type Domain, formatDomain, LibvirtError, type Live, parseDomain } from './xml.ts';

// biome-ignore lint/suspicious/noExplicitAny: what is sent in depends on what was yielded
export type Call<T> = Generator<Request, T, any>;

export interface Host {
  /** Starts the process of a domain; its pid and the pty of its serial line. Throws LibvirtError. */
  launch(domain: Domain, id: number, paused: boolean): Call<{ pid: number; pty: string }>;
  kill(pid: number): Call<void>;
  /** 'reboot' asks the guest to end by itself and resets it when it has. */
  monitor(pid: number, command: 'stop' | 'cont' | 'system_reset' | 'system_powerdown' | 'reboot'): Call<void>;
  /** Sends any message to QEMU's monitor; its answer. */
  qmp(pid: number, message: Readonly<Record<string, unknown>>): Call<unknown>;
  save(path: string, text: string): Call<void>;
  remove(path: string): Call<void>;
  /** ns of processor time the process has used. */
  cpuTime(pid: number): Call<number>;
  /** Bytes of a file; null when it is not there. */
  size(path: string): Call<number | null>;
  /** An interface file of the domain's control group: read, or written when a value is given; null when there is none. */
  knob(id: number, name: string, file: string, value?: string): Call<string | null>;
  /** KiB of /proc/meminfo and ns of /proc/stat, by libvirt's names. */
  nodeStats(what: 'memory' | 'processor'): Call<Readonly<Record<string, number>>>;
}

export interface Running extends Live {
  pid: number;
  paused: boolean;
}

export interface Kept {
  /** As it runs; the definition while it does not. */
  domain: Domain;
  /** The definition for the next boot, once it differs from what runs. */
  next: Domain | null;
  persistent: boolean;
  autostart: boolean;
  running: Running | null;
  /** Why it is in its state: "booted", "user", "shutdown", … */
  reason: string;
}

export interface Libvirt {
  domains: Map<string, Kept>;
  nextId: number;
  /** Domains ever made, for uuids. */
  made: number;
  hostname: string;
  cpus: number;
  /** KiB. */
  memory: number;
  networks: { name: string; active: boolean; autostart: boolean; persistent: boolean }[];
}

export function createLibvirt(hostname: string, cpus: number, memory: number): Libvirt {
  return { domains: new Map(), nextId: 1, made: 0, hostname, cpus, memory, networks: [{ name: 'default', active: true, autostart: true, persistent: true }] };
}

export const CONFIG = '/etc/libvirt/qemu';
export const STATE = '/run/libvirt/qemu';

/** Deterministic and of the right form (version 4): made of the name and how many were made. */
export function uuidOf(state: Libvirt, name: string): string {
  let a = 0x811c9dc5 ^ state.made++;
  let hex = '';
  for (let round = 0; round < 4; round++) {
    for (const c of `${name}/${round}`) a = Math.imul(a ^ c.charCodeAt(0), 0x01000193);
    hex += (a >>> 0).toString(16).padStart(8, '0');
  }
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** By name, uuid or id. */
export function find(state: Libvirt, key: string): Kept | null {
  const byName = state.domains.get(key);
  if (byName) return byName;
  for (const kept of state.domains.values()) {
    if (kept.domain.uuid === key.toLowerCase()) return kept;
    if (kept.running && String(kept.running.id) === key) return kept;
  }
  return null;
}

export interface DomainInfo {
  id: number | null;
  name: string;
  uuid: string;
  title: string;
  state: string;
  reason: string;
  vcpus: number;
  vcpusNow: number;
  memory: number;
  current: number;
  persistent: boolean;
  autostart: boolean;
  /** ns; null when it does not run. */
  cpuTime: number | null;
  pty: string;
  hasConsole: boolean;
  description: string;
}

const NOT_RUNNING = 'Requested operation is not valid: domain is not running';

function running(kept: Kept): Running {
  if (!kept.running) throw new LibvirtError(NOT_RUNNING);
  return kept.running;
}

const stateOf = (kept: Kept): string => (kept.running ? (kept.running.paused ? 'paused' : 'running') : 'shut off');

function* infoOf(host: Host, kept: Kept): Call<DomainInfo> {
  const { domain } = kept;
  return {
    id: kept.running?.id ?? null, name: domain.name, uuid: domain.uuid, title: domain.title, description: domain.description, state: stateOf(kept), reason: kept.reason,
    vcpus: domain.vcpus, vcpusNow: domain.vcpusNow, memory: domain.memory, current: domain.current, persistent: kept.persistent, autostart: kept.autostart,
    cpuTime: kept.running ? yield* host.cpuTime(kept.running.pid) : null, pty: kept.running?.pty ?? '', hasConsole: domain.serial !== null,
  };
}

type Args = Readonly<Record<string, unknown>>;
type Method = (state: Libvirt, host: Host, args: Args) => Call<unknown>;

const NO_DOMAIN = 'Domain not found: no domain with matching name';
const known = (state: Libvirt, args: Args): Kept => {
  const kept = find(state, String(args.domain ?? ''));
  if (!kept) throw new LibvirtError(`${NO_DOMAIN} '${String(args.domain ?? '')}'`);
  return kept;
};

const networkOf = (state: Libvirt, args: Args): Libvirt['networks'][number] => {
  const name = String(args.network ?? '');
  const found = state.networks.find((one) => one.name === name);
  if (!found) throw new LibvirtError(`Network not found: no network with matching name '${name}'`);
  return found;
};

/** The calls, by name. Each throws LibvirtError to refuse. */
export const METHODS: Readonly<Record<string, Method>> = {
  *version(state) {
    return { hostname: state.hostname, cpus: state.cpus, memory: state.memory };
  },
  *list(state, host) {
    const out: DomainInfo[] = [];
    for (const kept of state.domains.values()) out.push(yield* infoOf(host, kept));
    return out.sort((a, b) => (a.id ?? Number.POSITIVE_INFINITY) - (b.id ?? Number.POSITIVE_INFINITY) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  },
  *memory(_state, host) {
    return yield* host.nodeStats('memory');
  },
  *processor(_state, host) {
    return yield* host.nodeStats('processor');
  },
  *netStart(state, _host, args) {
    const network = networkOf(state, args);
    if (network.active) throw new LibvirtError('Requested operation is not valid: network is already active');
    network.active = true;
    return {};
  },
  *netDestroy(state, _host, args) {
    const network = networkOf(state, args);
    if (!network.active) throw new LibvirtError(`Requested operation is not valid: network '${network.name}' is not active`);
    network.active = false;
    return {};
  },
  *devices(state, _host, args) {
    const { domain } = known(state, args);
    return { disks: domain.disks, interfaces: domain.interfaces.map((nic) => ({ ...nic, target: '' })) };
  },
  *rename(state, host, args) {
    const kept = known(state, args);
    const name = String(args.name ?? '');
    if (kept.running) throw new LibvirtError('Requested operation is not valid: cannot rename active domain');
    if (name === '' || name.includes('/')) throw new LibvirtError(`XML error: name ${name} cannot contain '/'`);
    if (state.domains.has(name)) throw new LibvirtError(`operation failed: domain with name '${name}' already exists`);
    yield* host.remove(`${CONFIG}/${kept.domain.name}.xml`);
    state.domains.delete(kept.domain.name);
    kept.domain.name = name;
    state.domains.set(name, kept);
    yield* host.save(`${CONFIG}/${name}.xml`, formatDomain(kept.domain));
    return {};
  },
  *setmem(state, host, args) {
    const kept = known(state, args);
    const { domain } = kept;
    const kib = Number(args.kib);
    if (kib > (args.config === true ? (kept.next ?? domain) : domain).memory) throw new LibvirtError('invalid argument: cannot set memory higher than max memory');
    if (args.config !== true) {
      const answer = (yield* host.qmp(running(kept).pid, { execute: 'balloon', arguments: { value: kib * 1024 } })) as { error?: { desc: string } };
      if (answer.error) throw new LibvirtError(`internal error: unable to execute QEMU command 'balloon': ${answer.error.desc}`);
      if (kept.running!.paused) return {};
    }
    if (args.config === true) yield* configure(host, kept, { current: kib });
    else domain.current = kib;
    return {};
  },
  *setmaxmem(state, host, args) {
    const kept = known(state, args);
    if (kept.running && args.config !== true) throw new LibvirtError('Requested operation is not valid: cannot resize the maximum memory on an active domain');
    const memory = Number(args.kib);
    yield* configure(host, kept, { memory, current: Math.min((kept.next ?? kept.domain).current, memory) });
    return {};
  },
  *memtune(state, host, args) {
    const kept = known(state, args);
    const set = args.set as Record<string, number>;
    const id = Object.keys(set).length > 0 ? running(kept).id : (kept.running?.id ?? null);
    if (id === null) return {};
    const { name } = kept.domain;
    for (const [limit, file] of [['hard-limit', 'memory.max'], ['soft-limit', 'memory.high']] as const) {
      const kib = set[limit];
      if (kib !== undefined && (yield* host.knob(id, name, file, kib < 0 ? 'max' : String(kib * 1024))) === null) throw new LibvirtError(`Requested operation is not valid: cgroup memory controller is not mounted`);
    }
    const now = function* (file: string): Call<number | null> {
      const text = yield* host.knob(id, name, file);
      return text === null || text.trim() === 'max' ? null : Number(text) / 1024;
    };
    return { hard_limit: yield* now('memory.max'), soft_limit: yield* now('memory.high') };
  },
  *networks(state) {
    return state.networks;
  },
  *lookup(state, host, args) {
    const kept = find(state, String(args.domain ?? ''));
    return kept ? yield* infoOf(host, kept) : null;
  },
  *dumpxml(state, _host, args) {
    const kept = known(state, args);
    return args.inactive === true ? formatDomain(kept.next ?? kept.domain) : formatDomain(kept.domain, kept.running);
  },
  *define(state, host, args) {
    const domain = parseDomain(String(args.xml ?? ''), (name) => uuidOf(state, name));
    clash(state, domain);
    const old = state.domains.get(domain.name);
    if (old) {
      old.persistent = true;
      if (old.running) old.next = domain;
      else old.domain = domain;
    } else state.domains.set(domain.name, { domain, next: null, persistent: true, autostart: false, running: null, reason: 'unknown' });
    yield* host.save(`${CONFIG}/${domain.name}.xml`, formatDomain(domain));
    return { name: domain.name };
  },
  *create(state, host, args) {
    const domain = parseDomain(String(args.xml ?? ''), (name) => uuidOf(state, name));
    clash(state, domain);
    const old = state.domains.get(domain.name);
    if (old?.running) throw new LibvirtError(`operation failed: domain '${domain.name}' already exists with uuid ${domain.uuid}`);
    const kept = old ?? { domain, next: null, persistent: false, autostart: false, running: null, reason: 'unknown' };
    kept.domain = domain;
    state.domains.set(domain.name, kept);
    try {
      yield* boot(state, host, kept, args.paused === true);
    } catch (error) {
      if (!kept.persistent) state.domains.delete(domain.name);
      throw error;
    }
    return { name: domain.name };
  },
  *start(state, host, args) {
    const kept = known(state, args);
    if (kept.running) throw new LibvirtError('Requested operation is not valid: domain is already running');
    yield* boot(state, host, kept, args.paused === true);
    return {};
  },
  *destroy(state, host, args) {
    const kept = known(state, args);
    const { pid } = running(kept);
    yield* host.kill(pid);
    yield* ended(state, host, kept, 'destroyed');
    return {};
  },
  *shutdown(state, host, args) {
    const { pid } = running(known(state, args));
    if (args.mode === 'agent') throw new LibvirtError('argument unsupported: QEMU guest agent is not configured');
    yield* host.monitor(pid, 'system_powerdown');
    return {};
  },
  *reboot(state, host, args) {
    yield* host.monitor(running(known(state, args)).pid, 'reboot');
    return {};
  },
  *reset(state, host, args) {
    yield* host.monitor(running(known(state, args)).pid, 'system_reset');
    return {};
  },
  *suspend(state, host, args) {
    const kept = known(state, args);
    const now = running(kept);
    if (!now.paused) yield* host.monitor(now.pid, 'stop');
    now.paused = true;
    kept.reason = 'user';
    yield* saveStatus(host, kept);
    return {};
  },
  *resume(state, host, args) {
    const kept = known(state, args);
    const now = running(kept);
    if (!now.paused) throw new LibvirtError('Requested operation is not valid: domain is already running');
    yield* host.monitor(now.pid, 'cont');
    now.paused = false;
    kept.reason = 'unpaused';
    yield* saveStatus(host, kept);
    return {};
  },
  *autostart(state, host, args) {
    const kept = known(state, args);
    if (!kept.persistent) throw new LibvirtError('Requested operation is not valid: cannot set autostart for transient domain');
    kept.autostart = args.on !== false;
    const link = `${CONFIG}/autostart/${kept.domain.name}.xml`;
    if (kept.autostart) yield* host.save(link, formatDomain(kept.domain));
    else yield* host.remove(link);
    return {};
  },
  *undefine(state, host, args) {
    const kept = known(state, args);
    if (!kept.persistent) throw new LibvirtError('Requested operation is not valid: cannot undefine transient domain');
    kept.persistent = false;
    kept.autostart = false;
    yield* host.remove(`${CONFIG}/${kept.domain.name}.xml`);
    if (!kept.running) state.domains.delete(kept.domain.name);
    return {};
  },
  *describe(state, host, args) {
    const kept = known(state, args);
    kept.domain[args.title === true ? 'title' : 'description'] = String(args.text ?? '');
    if (kept.persistent) yield* host.save(`${CONFIG}/${kept.domain.name}.xml`, formatDomain(kept.domain));
    return {};
  },
  *qmp(state, host, args) {
    return yield* host.qmp(running(known(state, args)).pid, args.message as Record<string, unknown>);
  },
  *setvcpus(state, host, args) {
    const kept = known(state, args);
    const wanted = Number(args.count);
    if (args.config !== true) {
      running(kept);
      throw new LibvirtError('this function is not supported by the connection driver: hot-plug of processors is not modelled');
    }
    if (wanted > kept.domain.vcpus) throw new LibvirtError(`invalid argument: requested vcpus is greater than max allowable vcpus for the persistent domain: ${wanted} > ${kept.domain.vcpus}`);
    yield* configure(host, kept, { vcpusNow: wanted });
    return {};
  },
  *memstat(state, _host, args) {
    const kept = known(state, args);
    running(kept);
    return { actual: kept.domain.current };
  },
};

function clash(state: Libvirt, domain: Domain): void {
  for (const { domain: other } of state.domains.values()) {
    if (other.uuid === domain.uuid && other.name !== domain.name) throw new LibvirtError(`operation failed: domain '${other.name}' is already defined with uuid ${domain.uuid}`);
    if (other.name === domain.name && other.uuid !== domain.uuid) throw new LibvirtError(`operation failed: domain '${other.name}' already exists with uuid ${other.uuid}`);
  }
}

function* boot(state: Libvirt, host: Host, kept: Kept, paused: boolean): Call<void> {
  for (const nic of kept.domain.interfaces) {
    const network = state.networks.find((n) => n.name === nic.network);
    if (!network) throw new LibvirtError(`Network not found: no network with matching name '${nic.network}'`);
    if (!network.active) throw new LibvirtError(`Requested operation is not valid: network '${nic.network}' is not active`);
  }
  const id = state.nextId++;
  const { pid, pty } = yield* host.launch(kept.domain, id, paused);
  kept.running = { id, pid, pty, paused };
  kept.reason = paused ? 'starting up' : 'booted';
  yield* saveStatus(host, kept);
}

/** Changes the definition: of a domain that runs, what its next boot will be. */
function* configure(host: Host, kept: Kept, change: Partial<Domain>): Call<void> {
  const definition = { ...(kept.next ?? kept.domain), ...change };
  if (kept.running) kept.next = definition;
  else kept.domain = definition;
  if (kept.persistent) yield* host.save(`${CONFIG}/${definition.name}.xml`, formatDomain(definition));
}

/** The status file: what a restarted daemon, or anybody, can know of a running domain. */
function* saveStatus(host: Host, kept: Kept): Call<void> {
  const { running: now, domain } = kept;
  if (!now) return;
  const head = `<domstatus state='${now.paused ? 'paused' : 'running'}' reason='${kept.reason}' pid='${now.pid}'>`;
  const indented = formatDomain(domain, now).replace(/^(?=.)/gm, '  ');
  yield* host.save(`${STATE}/${domain.name}.xml`, `${head}\n${indented}</domstatus>\n`);
}

/** What a status file says; null when it is none. */
export function parseStatus(source: string): { domain: string; running: Running; reason: string } | null {
  const head = /^<domstatus state='(\w+)' reason='([^']*)' pid='(\d+)'>\n/.exec(source);
  const id = /<domain type='\w+' id='(\d+)'>/.exec(source);
  if (!head || !id) return null;
  const pty = /<source path='([^']*)'\/>/.exec(source)?.[1] ?? '';
  return { domain: source.slice(head[0].length).replace(/<\/domstatus>\s*$/, ''), running: { id: Number(id[1]), pid: Number(head[3]), pty, paused: head[1] === 'paused' }, reason: head[2]! };
}

/** A domain's process is gone: "destroyed", "shutdown" or "crashed". */
export function* ended(state: Libvirt, host: Host, kept: Kept, reason: string): Call<void> {
  kept.running = null;
  kept.reason = reason;
  if (kept.next) kept.domain = kept.next;
  kept.next = null;
  yield* host.remove(`${STATE}/${kept.domain.name}.xml`);
  if (!kept.persistent) state.domains.delete(kept.domain.name);
}
