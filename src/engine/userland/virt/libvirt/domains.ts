/**
 * What libvirtd knows: domains, defined and running, how one boots and ends. The calls on them are methods.ts; what touches
 * the machine (a QEMU process, its monitor, files) is behind `Host`, so that the daemon and the tests have the same rules.
 * Source: libvirt 9.0, its QEMU driver.
 */
import type { Request } from '../../../kernel/sys.ts';
import { type Domain, formatDomain, LibvirtError, type Live } from './xml.ts';

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
  /** KiB of it that are in memory. */
  rss(pid: number): Call<number>;
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

export function running(kept: Kept): Running {
  if (!kept.running) throw new LibvirtError(NOT_RUNNING);
  return kept.running;
}

const stateOf = (kept: Kept): string => (kept.running ? (kept.running.paused ? 'paused' : 'running') : 'shut off');

export function* infoOf(host: Host, kept: Kept): Call<DomainInfo> {
  const { domain } = kept;
  return {
    id: kept.running?.id ?? null, name: domain.name, uuid: domain.uuid, title: domain.title, description: domain.description, state: stateOf(kept), reason: kept.reason,
    vcpus: domain.vcpus, vcpusNow: domain.vcpusNow, memory: domain.memory, current: domain.current, persistent: kept.persistent, autostart: kept.autostart,
    cpuTime: kept.running ? yield* host.cpuTime(kept.running.pid) : null, pty: kept.running?.pty ?? '', hasConsole: domain.serial !== null,
  };
}

export function* boot(state: Libvirt, host: Host, kept: Kept, paused: boolean): Call<void> {
  for (const nic of kept.domain.interfaces) {
    const network = state.networks.find((n) => n.name === nic.network);
    if (!network) throw new LibvirtError(`Network not found: no network with matching name '${nic.network}'`);
    if (!network.active) throw new LibvirtError(`Requested operation is not valid: network '${nic.network}' is not active`);
  }
  for (const file of [kept.domain.kernel, kept.domain.initrd]) {
    if (file !== '' && (yield* host.size(file)) === null) throw new LibvirtError(`unable to stat: ${file}: No such file or directory`);
  }
  const id = state.nextId++;
  const { pid, pty } = yield* host.launch(kept.domain, id, paused);
  kept.running = { id, pid, pty, paused };
  kept.reason = paused ? 'starting up' : 'booted';
  yield* saveStatus(host, kept);
}

/** Changes the definition: of a domain that runs, what its next boot will be. */
export function* configure(host: Host, kept: Kept, change: Partial<Domain>): Call<void> {
  const definition = { ...(kept.next ?? kept.domain), ...change };
  if (kept.running) kept.next = definition;
  else kept.domain = definition;
  if (kept.persistent) yield* host.save(`${CONFIG}/${definition.name}.xml`, formatDomain(definition));
}

/** The status file: what a restarted daemon, or anybody, can know of a running domain. */
export function* saveStatus(host: Host, kept: Kept): Call<void> {
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
