/**
 * From what is there to what the file says: networks, volumes and images made, containers created, made again or removed,
 * started in the order of their dependencies once each condition holds. Source: docker/compose pkg/compose/convergence.go,
 * create.go, start.go of 2.26.
 */
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { api, ApiError, lines, stream } from '../docker/cli/client.ts';
import { parseReference } from '../oci.ts';
import { bytes } from '../../../sim/text.ts';
import { entry, writeTar } from '../tar.ts';
import { bodyOf, fileAt, hashOf, imageOf, LABEL, type Made, scaleOf, VERSION } from './body.ts';
import { buildServices } from './build.ts';
import { type Any, ComposeError, type Dict, PULL_FAILED } from './document.ts';
import { removeRows, stopRows } from './down.ts';
import { event, inOrder, type Progress, together } from './progress.ts';
import type { Project } from './project.ts';
import { containersOf, dependenciesOf, dependentsOf, type Row, type Session, warn, working } from './session.ts';

export interface CreateOptions {
  recreate: 'diverged' | 'force' | 'never';
  /** Services asked for; others are only looked after. */
  services: readonly string[];
  removeOrphans: boolean;
  renewVolumes?: boolean;
  timeout?: number;
}

const seg = encodeURIComponent;

function* imageId(s: Session, image: string): Call<string | null> {
  try {
    return (yield* api(s.client, 'GET', `/images/${seg(image)}/json`)).Id as string;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return null;
  }
}

/** Images pulled or built as each service's policy says. */
export function* ensureImages(s: Session, p: Project, o: { build: boolean; pull?: string; quiet?: boolean; noBuild?: boolean }): Call<void> {
  const names = Object.keys(p.services);
  const toPull: string[] = [];
  const toBuild: string[] = [];
  for (const name of names) {
    const service = p.services[name]!;
    const policy = o.pull && o.pull !== 'policy' ? o.pull : service.pull_policy;
    const there = (yield* imageId(s, imageOf(p, name))) !== null;
    if (service.build && (o.build || policy === 'build')) toBuild.push(name);
    else if (policy === 'always' && service.image) toPull.push(name);
    else if (!there && service.image && policy !== 'never') toPull.push(name);
    else if (!there && service.build && !o.noBuild) toBuild.push(name);
  }
  const images = new Set<string>();
  const once = toPull.filter((n) => !images.has(imageOf(p, n)) && images.add(imageOf(p, n)));
  if (once.length > 0) {
    yield* working(s, 'Running', (w) => together(once.map((n) => pullService(s, w, p, n))));
    for (const n of once) if (p.services[n]!.build && !o.noBuild && (yield* imageId(s, imageOf(p, n))) === null) toBuild.push(n);
  }
  if (toBuild.length > 0) yield* buildServices(s, p, toBuild, {});
}

/** Throws ComposeError; a service that can be built is only warned of. */
export function* pullService(s: Session, w: Progress, p: Project, name: string, ignore = false): Call<void> {
  yield* event(w, name, 'working', '', 'Pulling');
  const parsed = parseReference(imageOf(p, name));
  let failure: string | null = null;
  try {
    if ('error' in parsed) throw new ApiError(parsed.error, 400);
    const opened = yield* stream(s.client, 'POST', '/images/create', { query: { fromImage: parsed.name, tag: parsed.digest || parsed.tag } });
    yield* lines(opened, function* (m: Any) {
      if (m.error) failure = m.error;
      else if (m.id && /^[0-9a-f]{12}$/.test(m.id) && w.mode === 'plain') yield* event(w, m.id, 'working', '', m.status);
    });
    yield* opened.close();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    failure = error.message;
  }
  if (failure === null) yield* event(w, name, 'done', '', 'Pulled');
  else if (p.services[name]!.build || ignore) yield* event(w, name, 'warning', failure, 'Warning');
  else {
    yield* event(w, name, 'error', failure, 'Error');
    throw new ComposeError(`Error response from daemon: ${failure}`, PULL_FAILED);
  }
}

function* ensureNetworks(s: Session, w: Progress, p: Project): Call<void> {
  for (const [key, n] of Object.entries(p.networks)) {
    const there: Any[] = (yield* api(s.client, 'GET', '/networks', { query: { filters: JSON.stringify({ name: { [n.name]: true } }) } })).filter((x: Any) => x.Name === n.name || x.Id === n.name);
    if (there.length > 0) {
      const labelled = there[0].Labels?.[LABEL.network];
      if (!n.external && labelled !== undefined && labelled !== key) throw new ComposeError(`network ${n.name} was found but has incorrect label ${LABEL.network} set to ${JSON.stringify(labelled)} (expected: ${JSON.stringify(key)})`);
      if (!n.external && labelled === undefined) yield* warn(s, `a network with name ${n.name} exists but was not created by compose.\nSet \`external: true\` to use an existing network`);
      continue;
    }
    if (n.external) throw new ComposeError(`Error response from daemon: network ${n.name} not found`);
    const id = `Network ${n.name}`;
    yield* event(w, id, 'working', 'Creating');
    const config = ((n.ipam?.config ?? []) as Dict[]).map((c) => ({ Subnet: c.subnet, IPRange: c.ip_range, Gateway: c.gateway, AuxiliaryAddresses: c.aux_addresses }));
    try {
      yield* api(s.client, 'POST', '/networks/create', {
        body: {
          Name: n.name, CheckDuplicate: true, Driver: n.driver ?? '', Internal: n.internal === true, Attachable: n.attachable === true, EnableIPv6: n.enable_ipv6 === true, Options: n.driver_opts ?? null, IPAM: { Driver: n.ipam?.driver ?? '', Config: config },
          Labels: { ...pairs(n.labels), [LABEL.network]: key, [LABEL.project]: p.name, [LABEL.version]: VERSION },
        },
      });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      yield* event(w, id, 'error', 'Error');
      throw new ComposeError(`failed to create network ${n.name}: Error response from daemon: ${error.message}`);
    }
    yield* event(w, id, 'done', 'Created');
  }
}

const pairs = (value: Any): Dict => (Array.isArray(value) ? Object.fromEntries(value.map((l) => { const [k, ...v] = String(l).split('='); return [k!, v.join('=')]; })) : Object.fromEntries(Object.entries((value ?? {}) as Dict).map(([k, v]) => [k, String(v ?? '')])));

function* ensureVolumes(s: Session, w: Progress, p: Project): Call<void> {
  for (const [key, v] of Object.entries(p.volumes)) {
    const there = yield* found(api(s.client, 'GET', `/volumes/${seg(v.name)}`));
    if (there) {
      if (!v.external && there.Labels?.[LABEL.project] === undefined) yield* warn(s, `volume ${JSON.stringify(v.name)} already exists but was not created by Docker Compose. Use \`external: true\` to use an existing volume`);
      else if (!v.external && there.Labels[LABEL.project] !== p.name) yield* warn(s, `volume ${JSON.stringify(v.name)} already exists but was created for project ${JSON.stringify(there.Labels[LABEL.project])} (expected ${JSON.stringify(p.name)}). Use \`external: true\` to use an existing volume`);
      continue;
    }
    if (v.external) throw new ComposeError(`external volume ${JSON.stringify(v.name)} not found`);
    const id = `Volume ${JSON.stringify(v.name)}`;
    yield* event(w, id, 'working', 'Creating');
    yield* api(s.client, 'POST', '/volumes/create', { body: { Name: v.name, Driver: v.driver ?? '', DriverOpts: v.driver_opts ?? {}, Labels: { ...pairs(v.labels), [LABEL.volume]: key, [LABEL.project]: p.name, [LABEL.version]: VERSION } } });
    yield* event(w, id, 'done', 'Created');
  }
}

/** Null for what the daemon does not know. */
function* found(call: Call<Any>): Call<Any> {
  try {
    return yield* call;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    return null;
  }
}

/** Everything but starting. */
export function* create(s: Session, w: Progress, p: Project, o: CreateOptions): Call<void> {
  yield* ensureNetworks(s, w, p);
  yield* ensureVolumes(s, w, p);
  const all = yield* containersOf(s, p.name, 'too');
  const orphans = all.filter((r) => (r.oneoff ? r.state !== 'running' : !p.services[r.service] && !p.disabled[r.service]));
  const strays = orphans.filter((r) => !r.oneoff);
  if (o.removeOrphans) yield* removeRows(s, w, orphans, { timeout: undefined, volumes: false });
  else if (strays.length > 0) {
    yield* warn(s, `Found orphan containers ([${strays.sort((a, b) => a.place - b.place).map((r) => r.name).join(' ')}]) for this project. If you removed or renamed this service in your compose file, you can run this command with the --remove-orphans flag to clean it up.`);
  }
  const there = new Map(Object.keys(p.services).map((n) => [n, all.filter((r) => !r.oneoff && r.service === n)]));
  yield* inOrder(Object.keys(p.services), (n) => dependenciesOf(p, n), (n) => ensureService(s, w, p, n, there, o));
}

function* ensureService(s: Session, w: Progress, p: Project, name: string, there: Map<string, Row[]>, o: CreateOptions): Call<void> {
  const service = p.services[name]!;
  const scale = scaleOf(service);
  if (scale > 1 && service.container_name) {
    throw new ComposeError(`WARNING: The ${JSON.stringify(name)} service is using the custom container name ${JSON.stringify(service.container_name)}. Docker requires each container to have a unique name. Remove the custom name to scale the service.\n`);
  }
  const image = (yield* imageId(s, imageOf(p, name))) ?? '';
  const policy = o.services.length === 0 || o.services.includes(name) ? o.recreate : o.recreate === 'force' ? 'diverged' : o.recreate;
  const stale = (r: Row): boolean => policy === 'force' || (policy === 'diverged' && (r.labels[LABEL.hash] !== hashOf(service) || r.labels[LABEL.image] !== image));
  const rows = (there.get(name) ?? []).slice().sort((a, b) => Number(stale(a)) - Number(stale(b)) || a.number - b.number);
  const kept = rows.slice(0, scale);
  if (kept.some(stale)) {
    const others = dependentsOf(p, name).flatMap((d) => there.get(d) ?? []).filter((r) => r.state === 'running');
    yield* stopRows(s, w, others, o.timeout);
    for (const r of others) r.state = 'exited';
  }
  const jobs: Call<void>[] = rows.slice(scale).map((r) => removeRows(s, w, [r], { timeout: o.timeout, volumes: false }));
  for (const r of kept) {
    if (stale(r)) jobs.push(recreate(s, w, { project: p, name, service, number: r.number, imageId: image }, r, o));
    else if (r.state === 'running') yield* event(w, `Container ${r.name}`, 'done', 'Running');
    else if (r.state === 'exited') yield* event(w, `Container ${r.name}`, 'done', 'Created');
    else if (r.state !== 'created' && r.state !== 'restarting') jobs.push(startRow(s, w, p, r));
  }
  let next = Math.max(0, ...rows.map((r) => r.number));
  for (let i = kept.length; i < scale; i++) jobs.push(createNew(s, w, { project: p, name, service, number: ++next, imageId: image }));
  if (jobs.length > 0) yield* together(jobs);
}

export const containerName = (m: Made): string => m.service.container_name ?? `${m.project.name}-${m.name}-${m.number}`;

function* createNew(s: Session, w: Progress, m: Made): Call<void> {
  const name = containerName(m);
  yield* event(w, `Container ${name}`, 'working', 'Creating');
  yield* createContainer(s, m, name, name);
  yield* event(w, `Container ${name}`, 'done', 'Created');
}

/** Makes one under a name; other containers know it by `known`. Its id. */
export function* createContainer(s: Session, m: Made, name: string, known: string): Call<string> {
  const body = bodyOf(m, known, yield* sharedModes(s, m));
  return (yield* api(s.client, 'POST', '/containers/create', { query: { name }, body })).Id as string;
}

/** "service:NAME" in modes and volumes_from, as containers. */
function* sharedModes(s: Session, m: Made): Call<Dict> {
  const rows = yield* containersOf(s, m.project.name);
  const containerOf = (what: string, name: string): string => {
    const row = rows.find((r) => r.service === name);
    if (!row) throw new ComposeError(`cannot share ${what} with service ${name}: container missing`);
    return row.id;
  };
  const mode = (key: string, what: string): string | undefined => {
    const value = m.service[key] === undefined ? undefined : String(m.service[key]);
    return value?.startsWith('service:') ? `container:${containerOf(what, value.slice(8))}` : value;
  };
  const from = ((m.service.volumes_from ?? []) as string[]).map((v) => (v.startsWith('container:') ? v.slice(10) : [containerOf('volume', v.split(':')[0]!), ...v.split(':').slice(1)].join(':')));
  return { network: mode('network_mode', 'network namespace'), ipc: mode('ipc', 'IPC namespace'), pid: mode('pid', 'PID namespace'), volumesFrom: from.length > 0 ? from : undefined };
}

/** A new container in the place of an old one. Anonymous volumes stay unless they are to be new. */
function* recreate(s: Session, w: Progress, m: Made, old: Row, o: CreateOptions): Call<void> {
  const id = `Container ${old.name}`;
  yield* event(w, id, 'working', 'Recreate');
  const name = containerName(m);
  const inherited = o.renewVolumes ? [] : ((old.raw.Mounts ?? []) as Any[]).filter((v) => v.Type === 'volume' && /^[0-9a-f]{64}$/.test(v.Name ?? ''));
  const own = new Set(((m.service.volumes ?? []) as Dict[]).filter((v) => v.source).map((v) => String(v.target)));
  const service = { ...m.service, volumes: [...((m.service.volumes ?? []) as Dict[]).filter((v) => v.source || !inherited.some((i) => i.Destination === v.target)), ...inherited.filter((v) => !own.has(v.Destination)).map((v) => ({ type: 'volume', source: v.Name, target: v.Destination, volume: {} }))] };
  const body = bodyOf({ ...m, service }, name, yield* sharedModes(s, m));
  body.Labels = { ...body.Labels, [LABEL.hash]: hashOf(m.service), [LABEL.replace]: old.id };
  const made = yield* api(s.client, 'POST', '/containers/create', { query: { name: `${old.id.slice(0, 12)}_${name}` }, body });
  yield* api(s.client, 'POST', `/containers/${old.id}/stop`, { query: { t: o.timeout } });
  yield* api(s.client, 'DELETE', `/containers/${old.id}`, { query: { force: 1 } });
  yield* api(s.client, 'POST', `/containers/${made.Id}/rename`, { query: { name } });
  yield* event(w, id, 'done', 'Recreated');
}

/** Starts what does not run yet, each when what it depends on is as asked. */
export function* start(s: Session, w: Progress, p: Project, names: readonly string[], attach?: (row: Row) => Call<void>): Call<void> {
  yield* inOrder(names, (n) => dependenciesOf(p, n), function* (name) {
    yield* waitDependencies(s, w, p, name);
    const rows = (yield* containersOf(s, p.name)).filter((r) => r.service === name);
    if (rows.length === 0) {
      if (scaleOf(p.services[name]!) === 0) return;
      throw new ComposeError(`service ${JSON.stringify(name)} has no container to start`);
    }
    for (const r of rows.sort((a, b) => a.number - b.number)) {
      if (r.state === 'running') continue;
      yield* startRow(s, w, p, r, attach);
    }
  });
}

function* startRow(s: Session, w: Progress, p: Project, r: Row, attach?: (row: Row) => Call<void>): Call<void> {
  yield* event(w, `Container ${r.name}`, 'working', 'Starting');
  yield* putFiles(s, p, r);
  if (attach) yield* attach(r);
  yield* api(s.client, 'POST', `/containers/${r.id}/start`);
  yield* event(w, `Container ${r.name}`, 'done', 'Started');
}

/** Secrets and configs whose text stands in the environment or in the file are copied in. Throws ComposeError. */
function* putFiles(s: Session, p: Project, r: Row): Call<void> {
  const service = p.services[r.service];
  for (const kind of ['secrets', 'configs'] as const) {
    for (const one of (service?.[kind] ?? []) as Dict[]) {
      const from = p[kind][String(one.source)];
      if (!from || from.file || from.external) continue;
      if (from.environment && !Object.hasOwn(p.environment, from.environment)) throw new ComposeError(`environment variable ${JSON.stringify(from.environment)} required by file ${JSON.stringify(from.name)} is not set`);
      const content = from.environment ? p.environment[from.environment]! : String(from.content ?? '');
      if (content === '' && kind === 'configs') continue;
      const target = fileAt(kind, one);
      const data = writeTar([entry(target.replace(/^\//, ''), { data: bytes(content), mode: Number(one.mode ?? 0o444), uid: Number(one.uid ?? 0), gid: Number(one.gid ?? 0) })]);
      yield* api(s.client, 'PUT', `/containers/${r.id}/archive`, { raw: data, query: { path: '/' } });
    }
  }
}

const HALF = 500_000_000;

function* waitDependencies(s: Session, w: Progress, p: Project, name: string): Call<void> {
  const needs = Object.entries((p.services[name]!.depends_on ?? {}) as Dict).filter(([dep, d]) => d.condition !== 'service_started' && p.services[dep] && scaleOf(p.services[dep]!) > 0);
  yield* together(needs.map(([dep, d]) => waitCondition(s, w, p, { name, dep, condition: String(d.condition), required: d.required !== false })));
}

interface Condition {
  name: string;
  dep: string;
  condition: string;
  required: boolean;
}

/** Polls twice a second, as compose does. Throws ComposeError. */
export function* waitCondition(s: Session, w: Progress, p: Project, c: Condition): Call<void> {
  const rows = (yield* containersOf(s, p.name)).filter((r) => r.service === c.dep);
  if (rows.length === 0) {
    if (c.required) throw new ComposeError(`${c.name} is missing dependency ${c.dep}`);
    yield* warn(s, `${c.name} is missing dependency ${c.dep}`);
    return;
  }
  for (const r of rows) yield* event(w, `Container ${r.name}`, 'working', 'Waiting');
  for (;;) {
    yield* sys('nanosleep', HALF);
    const state = yield* stateOf(s, rows, c.condition);
    if (state.is === 'waiting') continue;
    const failed = state.is === 'failed' ? state.why : c.condition === 'service_completed_successfully' && state.code !== 0 ? `service ${JSON.stringify(c.dep)} didn't complete successfully: exit ${state.code}` : null;
    if (failed === null) {
      for (const r of rows) yield* event(w, `Container ${r.name}`, 'done', c.condition === 'service_completed_successfully' ? 'Exited' : 'Healthy');
      return;
    }
    const completion = c.condition === 'service_completed_successfully';
    if (!c.required) {
      const reason = completion ? `optional dependency ${failed.slice(8)}` : `optional dependency ${JSON.stringify(c.dep)} failed to start`;
      for (const r of rows) yield* event(w, `Container ${r.name}`, 'warning', `Skipped: ${reason}`);
      yield* warn(s, completion ? reason : `${reason}: ${failed}`);
      return;
    }
    if (c.condition !== 'running_or_healthy') for (const r of rows) yield* event(w, `Container ${r.name}`, 'error', completion ? failed : 'Error');
    throw new ComposeError(completion ? failed : c.condition === 'running_or_healthy' ? failed : `dependency failed to start: ${failed}`);
  }
}

type State = { is: 'waiting' } | { is: 'failed'; why: string } | { is: 'met'; code: number };

function* stateOf(s: Session, rows: readonly Row[], condition: string): Call<State> {
  for (const r of rows) {
    const info = yield* found(api(s.client, 'GET', `/containers/${r.id}/json`));
    if (!info) return { is: 'failed', why: `No such container: ${r.id}` };
    const state = info.State;
    if (condition === 'service_completed_successfully') {
      if (state.Status !== 'exited') return { is: 'waiting' };
      if (state.ExitCode !== 0) return { is: 'met', code: state.ExitCode };
      continue;
    }
    if (state.Status === 'exited') return { is: 'failed', why: `container ${r.name} exited (${state.ExitCode})` };
    if (!state.Health) {
      if (condition !== 'running_or_healthy') return { is: 'failed', why: `container ${r.name} has no healthcheck configured` };
      if (state.Status !== 'running') return { is: 'waiting' };
    } else if (state.Health.Status === 'unhealthy') return { is: 'failed', why: `container ${r.name} is unhealthy` };
    else if (state.Health.Status !== 'healthy') return { is: 'waiting' };
  }
  return { is: 'met', code: 0 };
}
