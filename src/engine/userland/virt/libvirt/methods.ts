/** The calls that virsh makes of libvirtd, by name, with the refusals in libvirt's words. Source: libvirt 9.0, its QEMU driver. */
import {
  boot, type Call, CONFIG, configure, ended, find, type Host, infoOf, type DomainInfo, type Kept, type Libvirt, running, saveStatus, uuidOf,
} from './domains.ts';
import { type Domain, formatDomain, LibvirtError, parseDomain } from './xml.ts';

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
    if ((yield* host.size(domain.emulator)) === null) throw new LibvirtError(`Cannot check QEMU binary ${domain.emulator}: No such file or directory`);
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
  *memstat(state, host, args) {
    const kept = known(state, args);
    return { actual: kept.domain.current, rss: yield* host.rss(running(kept).pid) };
  },
};

function clash(state: Libvirt, domain: Domain): void {
  for (const { domain: other } of state.domains.values()) {
    if (other.uuid === domain.uuid && other.name !== domain.name) throw new LibvirtError(`operation failed: domain '${other.name}' is already defined with uuid ${domain.uuid}`);
    if (other.name === domain.name && other.uuid !== domain.uuid) throw new LibvirtError(`operation failed: domain '${other.name}' already exists with uuid ${other.uuid}`);
  }
}
