/** Containers as the API shows them: inspect's whole record, and the row of a list. Source: moby daemon/inspect.go, list.go, container/state.go. */
import { humanDuration, nowNs, parseIso } from '../../../lib/clock.ts';
import type { Call } from '../../../lib/http.ts';
import { findImage, layerSizes } from '../../store.ts';
import { bridged } from './bridges.ts';
import type { Filters } from './events.ts';
import { graphDriver, rwSize } from './layers.ts';
import { directoryOf, findContainer, logPath } from './record.ts';
import { type Any, type Container, type Daemon, type MountPoint, NEVER, Refused } from './state.ts';
import { byKey } from '../../../lib/bykey.ts';

export function* inspectJson(daemon: Daemon, c: Container, size: boolean): Call<Any> {
  const dir = directoryOf(c.ID);
  const { Health, ...state } = c.State;
  const file = (name: string): string => (c.HasBeenStartedBefore || c.State.Running ? `${dir}/${name}` : '');
  return {
    Id: c.ID,
    Created: c.Created,
    Path: c.Path,
    Args: c.Args,
    State: { ...state, ...(Health ? { Health } : {}) },
    Image: c.Image,
    ResolvConfPath: file('resolv.conf'),
    HostnamePath: file('hostname'),
    HostsPath: file('hosts'),
    LogPath: c.HasBeenStartedBefore && c.HostConfig.LogConfig.Type === 'json-file' ? logPath(c) : '',
    Name: c.Name,
    RestartCount: c.RestartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: c.HasBeenStartedBefore ? (c.HostConfig.Privileged ? 'unconfined' : 'docker-default') : '',
    ExecIDs: runningExecs(daemon, c),
    HostConfig: c.HostConfig,
    GraphDriver: graphDriver(c),
    ...(size ? yield* sizes(daemon, c) : {}),
    Mounts: c.MountPoints.map(mountJson),
    Config: c.Config,
    NetworkSettings: networkSettings(daemon, c),
  };
}

function runningExecs(daemon: Daemon, c: Container): string[] | null {
  const ids = c.live.execs.filter((id) => daemon.execs.get(id)?.Running);
  return ids.length > 0 ? ids : null;
}

export function* sizes(daemon: Daemon, c: Container): Call<{ SizeRw: number; SizeRootFs: number }> {
  const own = yield* rwSize(c);
  const image = daemon.store.images.get(c.Image) ?? findImage(daemon.store, c.Image);
  const below = image ? (yield* layerSizes(daemon.store, image)).reduce((a, b) => a + b, 0) : 0;
  return { SizeRw: own, SizeRootFs: own + below };
}

function mountJson(m: MountPoint): Any {
  return {
    Type: m.Type,
    ...(m.Name ? { Name: m.Name } : {}),
    Source: m.Source,
    Destination: m.Destination,
    ...(m.Driver ? { Driver: m.Driver } : {}),
    Mode: m.Type === 'tmpfs' ? '' : m.Mode,
    RW: m.RW,
    Propagation: m.Propagation,
  };
}

function networkSettings(daemon: Daemon, c: Container): Any {
  const first = bridged(daemon, c).find((b) => b.n.bridge === 'docker0')?.e;
  return {
    Bridge: '',
    SandboxID: c.network.sandbox,
    SandboxKey: c.network.sandboxKey,
    Ports: byKey(c.network.ports),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: first?.EndpointID ?? '',
    Gateway: first?.Gateway ?? '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPAddress: first?.IPAddress ?? '',
    IPPrefixLen: first?.IPPrefixLen ?? 0,
    IPv6Gateway: '',
    MacAddress: first?.MacAddress ?? '',
    Networks: Object.fromEntries(
      Object.entries(c.network.endpoints)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, e]) => [name, endpointJson(e)]),
    ),
  };
}

/** What inspect shows of an endpoint, in this order. */
const ENDPOINT = [
  'IPAMConfig', 'Links', 'Aliases', 'MacAddress', 'NetworkID', 'EndpointID', 'Gateway', 'IPAddress', 'IPPrefixLen', 'IPv6Gateway',
  'GlobalIPv6Address', 'GlobalIPv6PrefixLen', 'DriverOpts', 'DNSNames',
] as const;

function endpointJson(e: Container['network']['endpoints'][string]): Any {
  return Object.fromEntries(ENDPOINT.map((name) => [name, e[name]]));
}

/** "Up 8 seconds", "Exited (0) 6 seconds ago", "Created". */
export function statusText(c: Container, now: number): string {
  const s = c.State;
  const since = (iso: string): string => humanDuration(Math.max(0, now - parseIso(iso)));
  if (s.Running) {
    if (s.Paused) return `Up ${since(s.StartedAt)} (Paused)`;
    if (s.Restarting) return `Restarting (${s.ExitCode}) ${since(s.FinishedAt)} ago`;
    const health = s.Health ? ` (${s.Health.Status === 'starting' ? 'health: starting' : s.Health.Status})` : '';
    return `Up ${since(s.StartedAt)}${health}`;
  }
  if (c.live.removing) return 'Removal In Progress';
  if (s.Dead) return 'Dead';
  if (s.StartedAt === NEVER) return 'Created';
  return s.FinishedAt === NEVER ? '' : `Exited (${s.ExitCode}) ${since(s.FinishedAt)} ago`;
}

const FILTERS = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'isolation',
  'is-task',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
];
const HEALTHS = ['none', 'starting', 'healthy', 'unhealthy'];
const STATES = ['created', 'restarting', 'running', 'removing', 'paused', 'exited', 'dead'];

/** Throws Refused for a filter that is none. */
export function checkFilters(filters: Filters, known: readonly string[]): void {
  for (const name of Object.keys(filters)) if (!known.includes(name)) throw new Refused(400, `invalid filter '${name}'`);
}

export interface ListOptions {
  all: boolean;
  limit: number;
  size: boolean;
  filters: Filters;
}

export function* listContainers(daemon: Daemon, options: ListOptions): Call<Any[]> {
  const { filters } = options;
  checkFilters(filters, FILTERS);
  for (const s of filters.status ?? []) if (!STATES.includes(s)) throw new Refused(400, `invalid filter 'status=${s}'`);
  for (const v of filters.exited ?? []) if (!/^[-+]?\d+$/.test(v)) throw new Refused(400, `invalid filter 'exited=${v}': strconv.Atoi: parsing ${JSON.stringify(v)}: invalid syntax`);
  for (const v of filters.health ?? []) if (!HEALTHS.includes(v)) throw new Refused(400, `unrecognized filter value for health: ${v}`);
  for (const v of filters['is-task'] ?? []) if (!/^(?:true|false|1|0)$/.test(v)) throw new Refused(400, `invalid filter 'is-task=[${v}]'`);
  const now = yield* nowNs();
  const newest = [...daemon.containers.values()].reverse();
  const order = (name: string): number => newest.indexOf(findContainer(daemon, name));
  const everything = options.all || filters.status !== undefined || filters.exited !== undefined || options.limit > 0;
  let found = newest.filter(
    (c, i) =>
      (everything || c.State.Running) &&
      (filters.before ?? []).every((n) => i > order(n)) &&
      (filters.since ?? []).every((n) => i < order(n)) &&
      matches(daemon, c, filters),
  );
  if (options.limit > 0) found = found.slice(0, options.limit);
  const rows: Any[] = [];
  for (const c of found) rows.push(yield* rowOf(daemon, c, now, options.size));
  return rows;
}

function matches(daemon: Daemon, c: Container, f: Filters): boolean {
  const any = (name: string, test: (v: string) => boolean): boolean => !f[name] || f[name].some(test);
  const like = (v: string, text: string): boolean => {
    try {
      return new RegExp(v).test(text);
    } catch {
      return text.includes(v);
    }
  };
  return (
    any('id', (v) => like(v, c.ID)) &&
    any('name', (v) => like(v, c.Name) || like(v, c.Name.slice(1))) &&
    any('status', (v) => v === c.State.Status) &&
    any('exited', (v) => c.State.FinishedAt !== NEVER && !c.State.Running && c.State.ExitCode === Number(v)) &&
    any('health', (v) => v === (c.State.Health?.Status ?? 'none')) &&
    (f.label ?? []).every((v) => labelled(c.Config.Labels ?? {}, v)) &&
    any('ancestor', (v) => {
      const image = findImage(daemon.store, v);
      const own = daemon.store.images.get(c.Image);
      return (
        image !== null &&
        own !== undefined &&
        (image.id === own.id || (image.chain.length <= own.chain.length && image.chain.every((x, i) => own.chain[i] === x)))
      );
    }) &&
    any('volume', (v) => c.MountPoints.some((m) => m.Name === v || m.Source === v || m.Destination === v)) &&
    any('network', (v) =>
      Object.entries(c.network.endpoints).some(([name, e]) => name === v || (e.NetworkID !== '' && e.NetworkID.startsWith(v))),
    ) &&
    any('publish', (v) => Object.values(c.network.ports).some((l) => (l ?? []).some((b) => b.HostPort === v.split('/')[0]))) &&
    any('expose', (v) => Object.keys(c.Config.ExposedPorts ?? {}).some((k) => k === v || k === `${v}/tcp`))
  );
}

export function labelled(labels: Record<string, string>, wanted: string): boolean {
  const cut = wanted.indexOf('=');
  return cut < 0 ? Object.hasOwn(labels, wanted) : labels[wanted.slice(0, cut)] === wanted.slice(cut + 1);
}

function* rowOf(daemon: Daemon, c: Container, now: number, size: boolean): Call<Any> {
  const image = findImage(daemon.store, c.Config.Image);
  const command = [c.Path, ...c.Args.map((a) => (/\s/.test(a) ? `'${a}'` : a))].join(' ');
  const ports = c.State.Running
    ? Object.entries(c.network.ports).flatMap(([key, list]) => {
        const [inside, Type] = key.split('/');
        return list === null
          ? [{ PrivatePort: Number(inside), Type }]
          : list.map((b) => ({ IP: b.HostIp, PrivatePort: Number(inside), PublicPort: Number(b.HostPort), Type }));
      })
    : [];
  return {
    Id: c.ID,
    Names: [c.Name],
    Image: image?.id === c.Image ? c.Config.Image : c.Image,
    ImageID: c.Image,
    Command: command,
    Created: Math.floor(parseIso(c.Created) / 1e9),
    Ports: ports,
    ...(size ? yield* sizes(daemon, c) : {}),
    Labels: c.Config.Labels ?? {},
    State: c.State.Status,
    Status: statusText(c, now),
    HostConfig: { NetworkMode: c.HostConfig.NetworkMode === 'bridge' ? 'default' : c.HostConfig.NetworkMode },
    NetworkSettings: { Networks: Object.fromEntries(Object.entries(c.network.endpoints).map(([n, e]) => [n, endpointJson(e)])) },
    Mounts: c.MountPoints.map(mountJson),
  };
}
