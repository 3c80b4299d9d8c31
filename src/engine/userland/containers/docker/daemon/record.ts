/**
 * A container's files under /var/lib/docker/containers/ID: config.v2.json and hostconfig.json hold the record, and are
 * written at every change of state. Ids are 64 digits from the kernel's random; generated names come from small lists.
 */
import { sys } from '../../../../kernel/sys.ts';
import { AT_FDCWD } from '../../../../kernel/abi.ts';
import { list, mkdirAll, readJson, removeAll, writeFile } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { parseIso } from '../../../lib/clock.ts';
import { type Any, type Container, type Daemon, type Live, Refused, ROOT } from './state.ts';
import { createLock } from './waiters.ts';

export function* randomBytes(count: number): Call<Uint8Array> {
  const fd = yield* sys('openat', AT_FDCWD, '/dev/urandom', 0);
  const data = yield* sys('read', fd, count);
  yield* sys('close', fd);
  return data;
}

export function* newId(digits = 64): Call<string> {
  const data = yield* randomBytes(digits / 2);
  return [...data].map((b) => b.toString(16).padStart(2, '0')).join('');
}

const LEFT =
  'amazing bold brave busy calm charming clever cool determined eager elated elegant epic festive friendly gallant gracious happy hopeful intelligent jolly kind lucid modest nifty nostalgic quirky relaxed serene sharp stoic sweet upbeat vibrant vigilant wizardly xenodochial youthful zealous zen'.split(
    ' ',
  );
const RIGHT =
  'archimedes babbage bell blackwell bohr carson curie darwin dijkstra easley einstein engelbart euclid euler fermat feynman galileo gates goldberg goodall hawking hodgkin hopper hypatia jackson johnson kepler khayyam kilby knuth lamarr lamport liskov lovelace meitner moore napier newton noether pascal pasteur ritchie rosalind sammet shamir stallman tesla thompson torvalds turing wilbur williamson wozniak yalow'.split(
    ' ',
  );

/** A free "adjective_surname"; a digit follows when the first tries are taken. */
export function* generateName(daemon: Daemon): Call<string> {
  for (let tries = 0; ; tries++) {
    const [a, b, digit] = yield* randomBytes(3) as Call<Uint8Array>;
    const name = `${LEFT[a! % LEFT.length]}_${RIGHT[b! % RIGHT.length]}${tries > 5 ? String(digit! % 10) : ''}`;
    if (!daemon.names.has(name)) return name;
  }
}

export const directoryOf = (id: string): string => `${ROOT}/containers/${id}`;

export function newLive(): Live {
  return {
    streams: null,
    exit: new Set(),
    gone: new Set(),
    logged: new Set(),
    proxies: [],
    exits: 0,
    stopping: false,
    removing: false,
    oomSeen: false,
    backoff: 0,
    healthRound: 0,
    execs: [],
    busy: createLock(),
    links: {},
    plugged: 0,
    resolver: -1,
  };
}

export function* saveContainer(c: Container): Call<void> {
  if (c.live.removing) return;
  const dir = directoryOf(c.ID);
  const { HostConfig, live: _, ...rest } = c;
  const record = {
    StreamConfig: {},
    ...rest,
    Managed: false,
    LogPath: logPath(c),
    Driver: 'overlay2',
    OS: 'linux',
    HostnamePath: `${dir}/hostname`,
    HostsPath: `${dir}/hosts`,
    ResolvConfPath: `${dir}/resolv.conf`,
  };
  yield* writeFile(`${dir}/config.v2.json`, JSON.stringify(record), 0o600);
  yield* writeFile(`${dir}/hostconfig.json`, JSON.stringify(HostConfig), 0o600);
}

export function logPath(c: Container): string {
  return `${directoryOf(c.ID)}/${c.ID}-json.log`;
}

export function* createDirectory(c: Container): Call<void> {
  yield* mkdirAll(directoryOf(c.ID), 0o710);
  yield* mkdirAll(`${directoryOf(c.ID)}/mounts`, 0o710);
}

export function* removeDirectory(c: Container): Call<void> {
  yield* removeAll(directoryOf(c.ID));
}

/** The records of an earlier life of the daemon, oldest first; what ran then has ended with it. */
export function* loadContainers(daemon: Daemon): Call<void> {
  const found: Container[] = [];
  for (const { name } of yield* list(`${ROOT}/containers`)) {
    const record = (yield* readJson<Any>(`${ROOT}/containers/${name}/config.v2.json`)) as Any;
    const hostConfig = yield* readJson<Any>(`${ROOT}/containers/${name}/hostconfig.json`);
    if (!record?.ID || !hostConfig) continue;
    found.push({ ...record, HostConfig: hostConfig, live: newLive() });
  }
  found.sort((a, b) => parseIso(a.Created) - parseIso(b.Created));
  for (const c of found) {
    daemon.containers.set(c.ID, c);
    daemon.names.set(c.Name.slice(1), c.ID);
  }
}

/** By id, name, or the beginning of an id that only one has. Throws Refused 404 or 400. */
export function findContainer(daemon: Daemon, name: string): Container {
  const exact = daemon.containers.get(name) ?? daemon.containers.get(daemon.names.get(name.replace(/^\//, '')) ?? '');
  if (exact) return exact;
  if (name !== '') {
    const near = [...daemon.containers.values()].filter((c) => c.ID.startsWith(name));
    if (near.length > 1) throw new Refused(400, `Multiple IDs found with provided prefix: ${name}`);
    if (near.length === 1) return near[0]!;
  }
  throw new Refused(404, `No such container: ${name}`);
}

/** For a disconnect by force, which takes a name that no container has for an endpoint's. Throws Refused. */
export function endpointOwner(daemon: Daemon, name: string): Container {
  try {
    return findContainer(daemon, name);
  } catch (error) {
    throw error instanceof Refused && error.status === 404 ? new Refused(404, `endpoint ${name} not found`) : error;
  }
}
