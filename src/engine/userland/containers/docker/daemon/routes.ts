/** The Engine API as a table: method, path, what answers. Source: docs.docker.com engine API v1.45. */
import { SysError } from '../../../../kernel/abi.ts';
import { type Body, sys } from '../../../../kernel/sys.ts';
import { bytes, text } from '../../../../sim/text.ts';
import { nowNs, parseIso } from '../../../lib/clock.ts';
import { attempt, drain, fork, reap, treeSize } from '../../../lib/files.ts';
import { beginStream, type Call, endStream, type Exchange, hijack, reply, thread, writeAll, writeChunk } from '../../../lib/http.ts';
import { Refusal, tasks } from '../../containerd/api.ts';
import { commitContainer, exportContainer, importImage, loadImages, saveImages } from './archive.ts';
import { serveBuild } from './build.ts';
import { createNetwork, findNetwork, membersOf, networkJson, removeNetwork } from './bridges.ts';
import { checkFree, createContainer, emptyEndpoint, verifyStart, verifyUpdate } from './create.ts';
import { emit, eventJson, eventMatches, type Filters, publish, readFilters } from './events.ts';
import { createExec, execJson, startExec, waitExec } from './exec.ts';
import { getImage, historyOf, inspectImage, listImages, pruneImages, removeImage, tagImage, unreachable } from './imageapi.ts';
import { cacheRows, diskUsage, infoJson, versionJson } from './info.ts';
import { checkFilters, inspectJson, labelled, listContainers } from './inspect.ts';
import { changes, rwSize } from './layers.ts';
import { ignoreRefusal, NS, refusable } from './containerd.ts';
import { killContainer, pauseContainer, removeContainer, restartContainer, startContainer, stopContainer, streamsOf, unpause, waitExit } from './lifecycle.ts';
import { replay, serveLogs } from './logs.ts';
import { pidsOf, serveStats } from './metrics.ts';
import { getArchive, putArchive, statArchive } from './containerfs.ts';
import { createVolume, removeVolume, usersOf, volumeJson } from './mounts.ts';
import { durationNs } from '../cli/values.ts';
import { endpointOwner, findContainer, saveContainer } from './record.ts';
import { authenticate, pullImage, pushImage } from './registry.ts';
import { connectLater, disconnectLater } from './sandbox.ts';
import { resourcesOf } from './spec.ts';
import { type Any, type Container, type Daemon, type Network, Refused } from './state.ts';
import { createStreams, frame, serveAttached } from './streams.ts';
import { updateContainer } from './update.ts';
import { waitWhile } from './waiters.ts';

type Answer = (daemon: Daemon, x: Exchange, name: string) => Call<void>;

function body(x: Exchange): Any {
  if (x.body.trim() === '') return {};
  try {
    return JSON.parse(x.body);
  } catch {
    throw new Refused(400, 'invalid JSON: unexpected end of JSON input');
  }
}

const on = (x: Exchange, name: string): boolean => x.query[name] === '1' || x.query[name] === 'true';
const seconds = (x: Exchange): number | null => (x.query.t !== undefined && /^-?\d+$/.test(x.query.t) ? Number(x.query.t) : null);

/** Answers with what the call gives; nothing is 204. */
function give(status: number, call: (daemon: Daemon, x: Exchange, name: string) => Call<unknown>): Answer {
  return function* (daemon, x, name) {
    const answer = yield* call(daemon, x, name);
    yield* reply(x, answer === undefined ? 204 : status, answer);
  };
}

/** As give, for one container. */
const about = (status: number, call: (daemon: Daemon, c: Container, x: Exchange) => Call<unknown>): Answer => give(status, (daemon, x, name) => call(daemon, findContainer(daemon, name), x));

const ROUTES: readonly (readonly [string, RegExp, Answer])[] = [
  ['GET', /^\/_ping$/, function* (_d, x) { yield* reply(x, 200, 'OK', { 'Api-Version': '1.45', 'Docker-Experimental': 'false', Ostype: 'linux' }); }],
  ['HEAD', /^\/_ping$/, function* (_d, x) { yield* reply(x, 200, '', { 'Api-Version': '1.45' }); }],
  ['GET', /^\/version$/, give(200, () => versionJson())],
  ['GET', /^\/info$/, give(200, (d) => infoJson(d))],
  ['GET', /^\/system\/df$/, give(200, (d) => diskUsage(d))],
  ['GET', /^\/events$/, serveEvents],
  ['POST', /^\/containers\/create$/, give(201, (d, x) => createContainer(d, x.query.name ?? '', body(x), x.query.platform ?? ''))],
  ['GET', /^\/containers\/json$/, give(200, (d, x) => listContainers(d, { all: on(x, 'all'), limit: Number(x.query.limit ?? 0), size: on(x, 'size'), filters: readFilters(x.query.filters) }))],
  ['POST', /^\/containers\/prune$/, give(200, pruneContainers)],
  ['GET', /^\/containers\/([^/]+)\/json$/, about(200, (d, c, x) => inspectJson(d, c, on(x, 'size')))],
  ['POST', /^\/containers\/([^/]+)\/start$/, function* (d, x, name) {
    const c = findContainer(d, name);
    if (!c.State.Running) yield* verifyStart(c.HostConfig);
    yield* reply(x, (yield* startContainer(d, c)) ? 204 : 304);
  }],
  ['POST', /^\/containers\/([^/]+)\/stop$/, function* (d, x, name) { yield* reply(x, (yield* stopContainer(d, findContainer(d, name), seconds(x), x.query.signal)) ? 204 : 304); }],
  ['POST', /^\/containers\/([^/]+)\/restart$/, about(204, (d, c, x) => restartContainer(d, c, seconds(x), x.query.signal))],
  ['POST', /^\/containers\/([^/]+)\/kill$/, give(204, kill)],
  ['POST', /^\/containers\/([^/]+)\/pause$/, about(204, (d, c) => pauseContainer(d, c))],
  ['POST', /^\/containers\/([^/]+)\/unpause$/, about(204, (d, c) => unpause(d, c))],
  ['POST', /^\/containers\/([^/]+)\/wait$/, serveWait],
  ['DELETE', /^\/containers\/([^/]+)$/, about(204, (d, c, x) => {
    if (on(x, 'link')) throw new Refused(400, 'Conflict, cannot remove the default link name of the container');
    return removeContainer(d, c, { force: on(x, 'force'), volumes: on(x, 'v') });
  })],
  ['POST', /^\/containers\/([^/]+)\/rename$/, about(204, rename)],
  ['POST', /^\/containers\/([^/]+)\/update$/, give(200, function* (d, x, name) {
    yield* verifyUpdate(body(x));
    return yield* updateContainer(d, findContainer(d, name), body(x), (r) => refusable(tasks(NS, 'Update', { containerId: r.ID, resources: resourcesOf(r) }), `Cannot update container ${r.ID}`));
  })],
  ['POST', /^\/containers\/([^/]+)\/resize$/, about(200, function* (_d, c, x) {
    if (!c.State.Running) throw new Refused(409, `container ${c.ID} is not running`);
    yield* ignoreRefusal(tasks(NS, 'ResizePty', { containerId: c.ID, width: Number(x.query.w), height: Number(x.query.h) }));
    return '';
  })],
  ['GET', /^\/containers\/([^/]+)\/top$/, about(200, top)],
  ['GET', /^\/containers\/([^/]+)\/changes$/, about(200, function* (_d, c) { return yield* changes(c); })],
  ['GET', /^\/containers\/([^/]+)\/logs$/, function* (d, x, name) { yield* serveLogs(findContainer(d, name), x); }],
  ['GET', /^\/containers\/([^/]+)\/stats$/, function* (d, x, name) { yield* serveStats(findContainer(d, name), x); }],
  ['POST', /^\/containers\/([^/]+)\/attach$/, attach],
  ['GET', /^\/containers\/([^/]+)\/archive$/, function* (d, x, name) { yield* getArchive(findContainer(d, name), x.query.path ?? '/', x); }],
  ['GET', /^\/containers\/([^/]+)\/stat$/, about(200, (_d, c, x) => statArchive(c, x.query.path ?? '/'))],
  ['PUT', /^\/containers\/([^/]+)\/archive$/, about(200, function* (_d, c, x) { yield* putArchive(c, x.query.path ?? '/', x, on(x, 'copyUIDGID')); return ''; })],
  ['GET', /^\/containers\/([^/]+)\/export$/, function* (d, x, name) { yield* exportContainer(findContainer(d, name), x); }],
  ['POST', /^\/containers\/([^/]+)\/exec$/, about(201, function* (d, c, x) { return { Id: (yield* createExec(d, c, body(x), decodeURIComponent(x.path.split('?')[0]!.split('/').at(-2)!))).ID }; })],
  ['POST', /^\/exec\/([^/]+)\/start$/, serveExec],
  ['GET', /^\/exec\/([^/]+)\/json$/, give(200, function* (d, _x, name) { return execJson(execOf(d, name)); })],
  ['POST', /^\/exec\/([^/]+)\/resize$/, give(200, function* (d, x, name) {
    const exec = execOf(d, name);
    yield* ignoreRefusal(tasks(NS, 'ResizePty', { containerId: exec.container, execId: exec.ID, width: Number(x.query.w), height: Number(x.query.h) }));
    return '';
  })],
  ['POST', /^\/commit$/, give(201, function* (d, x) {
    const q = x.query;
    return { Id: yield* commitContainer(d, findContainer(d, q.container ?? ''), { repo: q.repo ?? '', tag: q.tag ?? '', comment: q.comment ?? '', author: q.author ?? '', changes: q.changes ?? null, pause: q.pause !== '0' }) };
  })],
  ['GET', /^\/images\/json$/, give(200, (d, x) => listImages(d, on(x, 'all'), readFilters(x.query.filters)))],
  ['POST', /^\/images\/create$/, createImage],
  ['POST', /^\/images\/load$/, function* (d, x) { yield* loadImages(d, x.data, x); }],
  ['GET', /^\/images\/get$/, function* (d, x) { yield* saveImages(d, (x.query.names ?? '').split(',').filter((n) => n !== ''), x); }],
  ['POST', /^\/images\/prune$/, give(200, (d, x) => pruneImages(d, readFilters(x.query.filters)))],
  ['POST', /^\/auth$/, give(200, (_d, x) => authenticate(String(body(x).serveraddress ?? '')))],
  ['GET', /^\/images\/search$/, give(200, function* (_d, x) { throw new Refused(500, yield* unreachable(`https://index.docker.io/v1/search?q=${x.query.term ?? ''}&n=${x.query.limit ?? 25}`)); })],
  ['GET', /^\/images\/(.+)\/json$/, give(200, (d, _x, name) => inspectImage(d, getImage(d, name)))],
  ['GET', /^\/images\/(.+)\/history$/, give(200, (d, _x, name) => historyOf(d, getImage(d, name)))],
  ['POST', /^\/images\/(.+)\/tag$/, give(201, function* (d, x, name) { yield* tagImage(d, getImage(d, name), x.query.repo ?? '', x.query.tag ?? ''); return ''; })],
  ['POST', /^\/images\/(.+)\/push$/, function* (d, x, name) { yield* pushImage(d, name, x.query.tag ?? '', x); }],
  ['DELETE', /^\/images\/(.+)$/, give(200, (d, x, name) => removeImage(d, name, on(x, 'force')))],
  ['GET', /^\/networks$/, give(200, function* (d, x) {
    const f = readFilters(x.query.filters);
    checkFilters(f, ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);
    const kind = f.type?.find((v) => v !== 'builtin' && v !== 'custom');
    if (kind !== undefined) throw new Refused(400, `invalid filter: 'type'='${kind}'`);
    const idle = f.dangling?.[0];
    if (idle !== undefined && !/^(true|false|1|0)$/.test(idle)) throw new Refused(400, `invalid filter 'dangling=[${idle}]'`);
    // A list does not look for members: every network that people made counts as unused.
    const loose = (n: Network): boolean => !['bridge', 'host', 'none'].includes(n.Name);
    const any = (name: string, test: (v: string) => boolean): boolean => !f[name] || f[name].some(test);
    return [...d.networks.values()].filter((n) => any('name', (v) => n.Name.includes(v)) && any('id', (v) => n.Id.includes(v)) && any('driver', (v) => v === n.Driver) && any('scope', (v) => v === n.Scope)
      && (idle === undefined || loose(n) === /^(true|1)$/.test(idle)) && any('type', (v) => (v === 'builtin') === ['bridge', 'host', 'none'].includes(n.Name)) && (f.label ?? []).every((l) => labelled(n.Labels, l))).map((n) => networkJson(d, n, false));
  })],
  ['POST', /^\/networks\/create$/, give(201, function* (d, x) { return { Id: (yield* createNetwork(d, body(x))).Id, Warning: '' }; })],
  ['POST', /^\/networks\/prune$/, give(200, function* (d, x) {
    const filters = readFilters(x.query.filters);
    checkFilters(filters, PRUNED);
    const before = yield* untilOf(filters);
    const gone: string[] = [];
    const used = new Set([...d.containers.values()].flatMap((c) => Object.keys(c.network.endpoints)));
    for (const n of [...d.networks.values()]) {
      if (['bridge', 'host', 'none'].includes(n.Name) || used.has(n.Name) || used.has(n.Id) || membersOf(d, n).length > 0 || parseIso(n.Created) > before || !chosen(n.Labels, filters)) continue;
      yield* removeNetwork(d, n);
      gone.push(n.Name);
    }
    return { NetworksDeleted: gone.length > 0 ? gone : null };
  })],
  ['GET', /^\/networks\/([^/]+)$/, give(200, function* (d, _x, name) { return networkJson(d, findNetwork(d, name), true); })],
  ['DELETE', /^\/networks\/([^/]+)$/, give(204, (d, _x, name) => removeNetwork(d, findNetwork(d, name)))],
  ['POST', /^\/networks\/([^/]+)\/connect$/, give(200, function* (d, x, name) {
    const b = body(x);
    const n = findNetwork(d, name);
    const c = findContainer(d, String(b.Container ?? ''));
    yield* connectLater(d, c, n, b.EndpointConfig ?? {}, emptyEndpoint());
    yield* saveContainer(c);
    return '';
  })],
  ['POST', /^\/networks\/([^/]+)\/disconnect$/, give(200, function* (d, x, name) {
    const n = findNetwork(d, name);
    const { Container: given = '', Force: force } = body(x) as { Container?: string; Force?: boolean };
    const c = force ? endpointOwner(d, given) : findContainer(d, given);
    yield* disconnectLater(d, c, n);
    yield* saveContainer(c);
    return '';
  })],
  ['GET', /^\/volumes$/, give(200, function* (d, x) {
    const f = readFilters(x.query.filters);
    checkFilters(f, ['dangling', 'driver', 'label', 'name']);
    const any = (name: string, test: (v: string) => boolean): boolean => !f[name] || f[name].some(test);
    const found = [...d.volumes.values()].filter((v) => any('name', (n) => v.Name.includes(n)) && any('driver', (n) => n === v.Driver) && any('dangling', (b) => (usersOf(d, v.Name).length === 0) === /^(true|1)$/.test(b)) && (f.label ?? []).every((l) => labelled(v.Labels ?? {}, l)));
    return { Volumes: found.map(volumeJson), Warnings: null };
  })],
  ['POST', /^\/volumes\/create$/, give(201, function* (d, x) { const b = body(x); return volumeJson(yield* createVolume(d, b.Name ?? '', b.DriverOpts ?? {}, b.Labels ?? {}, b.Driver || 'local')); })],
  ['POST', /^\/volumes\/prune$/, give(200, pruneVolumes)],
  ['GET', /^\/volumes\/([^/]+)$/, give(200, function* (d, _x, name) {
    const v = d.volumes.get(name);
    if (!v) throw new Refused(404, `get ${name}: no such volume`);
    return volumeJson(v);
  })],
  ['DELETE', /^\/volumes\/([^/]+)$/, give(204, (d, _x, name) => removeVolume(d, name))],
  ['POST', /^\/build\/prune$/, give(200, function* (d) {
    const gone = cacheRows(d).filter((row) => !row.Shared);
    d.cache.clear();
    return { CachesDeleted: gone.length > 0 ? gone.map((row) => row.ID) : null, SpaceReclaimed: gone.reduce((n, row) => n + row.Size, 0) };
  })],
  ['POST', /^\/build$/, serveBuild],
];

/** Answers one request. */
export function* route(daemon: Daemon, x: Exchange): Call<void> {
  const version = /^\/v1\.(\d+)(\/.*)$/.exec(x.path);
  const path = version ? version[2]! : x.path;
  try {
    if (version && Number(version[1]) > 45) throw new Refused(400, `client version 1.${version[1]} is too new. Maximum supported API version is 1.45`);
    for (const [method, pattern, answer] of ROUTES) {
      const m = method === x.method ? pattern.exec(path) : null;
      if (!m) continue;
      yield* answer(daemon, x, decodeURIComponent(m[1] ?? ''));
      return;
    }
    throw new Refused(404, 'page not found');
  } catch (error) {
    if (error instanceof SysError || !(error instanceof Error)) throw error;
    if (x.answered === 'no') yield* reply(x, error instanceof Refused ? error.status : 500, { message: error.message });
    else if (x.answered === 'hijacked') yield* attempt(writeAll(x.fd, bytes(`${error.message}\r\n`)), undefined);
  }
}

/** What goes wrong is told with the name that was given. */
function* kill(daemon: Daemon, x: Exchange, name: string): Call<void> {
  try {
    yield* killContainer(daemon, findContainer(daemon, name), x.query.signal ?? '');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new Refused(error.status, `cannot kill container: ${name}: ${error.message}`);
  }
}

function* serveEvents(daemon: Daemon, x: Exchange): Call<void> {
  const filters = readFilters(x.query.filters);
  // What was is told when either end is given.
  const since = x.query.since ? Number(x.query.since) * 1e9 : x.query.until ? 0 : Number.POSITIVE_INFINITY;
  const until = x.query.until ? Number(x.query.until) * 1e9 : Number.POSITIVE_INFINITY;
  yield* beginStream(x, 200, { 'Content-Type': 'application/json' });
  const known = new Set(since === Number.POSITIVE_INFINITY ? daemon.events.log : []);
  let seen = -1;
  for (;;) {
    seen = daemon.events.count;
    for (const e of daemon.events.log) {
      if (known.has(e) || (since !== Number.POSITIVE_INFINITY && e.timeNano < since)) continue;
      known.add(e);
      if (e.timeNano <= until && eventMatches(e, filters)) yield* writeChunk(x, `${JSON.stringify(eventJson(e))}\n`);
    }
    const left = until - (yield* nowNs());
    if (left <= 0) break;
    yield* waitWhile(daemon.events.watchers, () => daemon.events.count === seen, left === Number.POSITIVE_INFINITY ? -1 : left);
  }
  yield* endStream(x);
}

function* serveWait(daemon: Daemon, x: Exchange, name: string): Call<void> {
  const c = findContainer(daemon, name);
  const condition = x.query.condition || 'not-running';
  if (!['not-running', 'next-exit', 'removed'].includes(condition)) throw new Refused(400, `invalid condition: ${JSON.stringify(condition)}`);
  const before = c.live.exits;
  yield* beginStream(x, 200, { 'Content-Type': 'application/json' });
  if (condition === 'removed') yield* waitWhile(c.live.gone, () => daemon.containers.has(c.ID));
  else if (condition === 'next-exit') yield* waitWhile(c.live.exit, () => c.live.exits === before && daemon.containers.has(c.ID));
  else yield* waitExit(c);
  yield* writeChunk(x, `${JSON.stringify({ StatusCode: c.State.ExitCode })}\n`);
  yield* endStream(x);
}

function* rename(daemon: Daemon, c: Container, x: Exchange): Call<undefined> {
  const name = (x.query.name ?? '').replace(/^\//, '');
  if (name === '') throw new Refused(400, 'Neither old nor new names may be empty');
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) throw new Refused(400, `Error when allocating new name: Invalid container name (/${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  if (c.Name === `/${name}`) throw new Refused(400, `Renaming a container with the same name as its current name`);
  try {
    checkFree(daemon, name);
  } catch (error) {
    if (error instanceof Refused) throw new Refused(error.status, `Error when allocating new name: ${error.message}`);
    throw error;
  }
  const oldName = c.Name;
  daemon.names.delete(c.Name.slice(1));
  daemon.names.set(name, c.ID);
  c.Name = `/${name}`;
  yield* saveContainer(c);
  yield* emit(daemon, 'container', 'rename', c, { oldName });
  return undefined;
}

function* top(_daemon: Daemon, c: Container, x: Exchange): Call<Any> {
  if (!c.State.Running) throw new Refused(409, `container ${c.ID} is not running`);
  const pids = yield* pidsOf(c);
  const args = (x.query.ps_args || '-ef').split(/\s+/);
  const [read, write] = yield* sys('pipe2', 0);
  const [readErrors, writeErrors] = yield* sys('pipe2', 0);
  const child = yield* fork(function* (): Body {
    yield* sys('dup3', write, 1, 0);
    yield* sys('dup3', writeErrors, 2, 0);
    yield* sys('execve', '/usr/bin/ps', ['ps', ...args], { PATH: '/usr/bin:/bin' });
    return 1;
  });
  for (const fd of [write, writeErrors]) yield* sys('close', fd);
  const lines = text(yield* drain(read)).split('\n').filter((l) => l !== '');
  const [complaint] = text(yield* drain(readErrors)).split('\n');
  for (const fd of [read, readErrors]) yield* sys('close', fd);
  if ((yield* reap(child)) !== 0) throw new Refused(500, `ps: ${complaint || 'exit status 1'}`);
  const Titles = lines[0]?.trim().split(/\s+/) ?? [];
  const at = Titles.indexOf('PID');
  if (at < 0) throw new Refused(500, `Couldn't find PID field in ps output`);
  const split = (line: string): string[] => {
    const words = line.trim().split(/\s+/);
    return [...words.slice(0, Titles.length - 1), words.slice(Titles.length - 1).join(' ')];
  };
  return { Titles, Processes: lines.slice(1).map(split).filter((w) => pids.includes(Number(w[at]))) };
}

function* attach(daemon: Daemon, x: Exchange, name: string): Call<void> {
  const c = findContainer(daemon, name);
  if (c.State.Paused) throw new Refused(409, `container ${c.ID} is paused, unpause the container before attach`);
  const keys = x.query.detachKeys || 'ctrl-p,ctrl-q';
  if (!keys.split(',').every((key) => [...key].length === 1 || /^ctrl-[a-z@[\\\]^_]$/.test(key))) throw new Refused(400, `Invalid detach keys (${keys}) provided`);
  const fd = yield* hijack(x, { 'Content-Type': 'application/vnd.docker.raw-stream' });
  yield* emit(daemon, 'container', 'attach', c);
  if (on(x, 'logs')) yield* replay(c, (data) => writeAll(fd, data));
  if (!on(x, 'stream')) return;
  const stdin = on(x, 'stdin') && c.Config.OpenStdin;
  yield* serveAttached(streamsOf(c), { fd, stdin, stdout: on(x, 'stdout'), stderr: on(x, 'stderr') }, function* () {
    if (!c.Config.StdinOnce || c.Config.Tty) return;
    const s = streamsOf(c);
    const exits = c.live.exits;
    yield* waitWhile(s.ready, () => s.stdin === null && c.live.exits === exits && s.readers === 0 && daemon.containers.has(c.ID), 60e9);
    if (s.stdin !== null) yield* attempt(sys('close', s.stdin), 0);
    s.stdin = null;
    yield* ignoreRefusal(tasks(NS, 'CloseIO', { containerId: c.ID }));
  });
}

function execOf(daemon: Daemon, id: string) {
  const exec = daemon.execs.get(id);
  if (!exec) throw new Refused(404, `No such exec instance: ${id}`);
  return exec;
}

function* serveExec(daemon: Daemon, x: Exchange, id: string): Call<void> {
  const exec = execOf(daemon, id);
  if (body(x).Detach === true) {
    yield* startExec(daemon, exec);
    yield* reply(x, 200, '');
    return;
  }
  exec.streams = createStreams(exec.body.Tty === true, null, new Set());
  const streams = exec.streams;
  const fd = yield* hijack(x, { 'Content-Type': 'application/vnd.docker.raw-stream' });
  yield* thread(function* (): Body {
    try {
      yield* startExec(daemon, exec);
      yield* waitExec(exec);
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof Refusal)) throw error;
      const message = bytes(`${error.message}\r\n`);
      const data = streams.tty ? message : frame(1, message);
      yield* attempt(writeAll(fd, data), undefined);
      yield* attempt(sys('shutdown', fd, 1), 0);
      for (const client of [...streams.clients]) client.gone = true;
    }
    return 0;
  });
  yield* serveAttached(streams, { fd, stdin: exec.body.AttachStdin === true, stdout: true, stderr: true }, function* () {
    if (exec.body.Tty) return;
    yield* waitWhile(streams.ready, () => streams.stdin === null && exec.ExitCode === null, 60e9);
    if (streams.stdin !== null) yield* attempt(sys('close', streams.stdin), 0);
    streams.stdin = null;
    yield* ignoreRefusal(tasks(NS, 'CloseIO', { containerId: exec.container, execId: exec.ID }));
  });
}

function* createImage(daemon: Daemon, x: Exchange): Call<void> {
  const q = x.query;
  if (q.fromImage !== undefined) yield* pullImage(daemon, q.fromImage, q.tag ?? '', x);
  else yield* importImage(daemon, x.data, { repo: q.repo ?? '', tag: q.tag ?? '', message: q.message ?? '', changes: q.changes ?? null, platform: q.platform ?? '' }, x);
}

/** What may narrow a prune. */
const PRUNED = ['label', 'label!', 'until'];

/** Has every label asked for and none of those refused. */
function chosen(labels: Record<string, string>, filters: Filters): boolean {
  return (filters.label ?? []).every((l) => labelled(labels, l)) && !(filters['label!'] ?? []).some((l) => labelled(labels, l));
}

/** The moment before which something must have been made, in ns: "1h" ago, or a time. Throws Refused. */
function* untilOf(filters: Filters): Call<number> {
  const [text, ...more] = filters.until ?? [];
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (more.length > 0) throw new Refused(400, 'more than one until filter specified');
  const ago = /^(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+$/.test(text);
  if (ago) return (yield* nowNs()) - durationNs(text);
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1e9;
  if (!/^\d{4}-\d\d-\d\d/.test(text)) throw new Refused(400, `failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return parseIso(text.length === 10 ? `${text}T00:00:00Z` : text);
}

function* pruneContainers(daemon: Daemon, x: Exchange): Call<Any> {
  const filters = readFilters(x.query.filters);
  checkFilters(filters, PRUNED);
  const before = yield* untilOf(filters);
  const gone: string[] = [];
  let space = 0;
  for (const c of [...daemon.containers.values()].reverse()) {
    if (c.State.Running || parseIso(c.Created) > before || !chosen(c.Config.Labels ?? {}, filters)) continue;
    space += yield* rwSize(c);
    yield* removeContainer(daemon, c, { force: false, volumes: false });
    gone.push(c.ID);
  }
  yield* publish(daemon, 'container', 'prune', '', { reclaimed: String(space) });
  return { ContainersDeleted: gone.length > 0 ? gone : null, SpaceReclaimed: space };
}

function* pruneVolumes(daemon: Daemon, x: Exchange): Call<Any> {
  const filters = readFilters(x.query.filters);
  checkFilters(filters, ['all', 'label', 'label!']);
  const all = /^(true|1)$/.test(filters.all?.[0] ?? 'false');
  const gone: string[] = [];
  let space = 0;
  for (const v of [...daemon.volumes.values()]) {
    if ((!v.anonymous && !all) || usersOf(daemon, v.Name).length > 0 || !chosen(v.Labels ?? {}, filters)) continue;
    space += yield* treeSize(v.Mountpoint);
    yield* removeVolume(daemon, v.Name);
    gone.push(v.Name);
  }
  yield* publish(daemon, 'volume', 'prune', '', { reclaimed: String(space) });
  return { VolumesDeleted: gone.length > 0 ? gone : null, SpaceReclaimed: space };
}

