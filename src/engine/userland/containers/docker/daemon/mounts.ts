/** Binds, volumes and tmpfs of a container: read from what was asked, volumes made and filled. Source: moby volume/mounts. */
import { attempt, isDir, list, mkdirAll, readJson, removeAll, statOf, writeFile } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { isoSeconds, nowNs } from '../../../lib/clock.ts';
import { DOCKER, layerDir, type StoredImage, unpack } from '../../store.ts';
import { gather } from '../cli/copy.ts';
import type { TarEntry } from '../../tar.ts';
import { publish } from './events.ts';
import { findContainer, newId } from './record.ts';
import { type Any, type Container, type Daemon, type MountPoint, Refused, ROOT, type Volume } from './state.ts';
import { populating } from './volumemounts.ts';
import { byKey } from '../../../lib/bykey.ts';

const VOLUMES = `${ROOT}/volumes`;
const PROPAGATION = /^r?(?:shared|slave|private)$/;
const MODES = /^(rw|ro|z|Z|nocopy|r?shared|r?slave|r?private|consistent|cached|delegated)$/;

/** Every mount of a new container; volumes that are not there yet are made. Throws Refused. */
export function* mountPoints(daemon: Daemon, c: Container, image: StoredImage): Call<MountPoint[]> {
  const points = new Map<string, MountPoint>();
  const h = c.HostConfig;
  for (const from of h.VolumesFrom ?? []) {
    const [name = '', mode = 'rw'] = from.split(':');
    for (const m of findContainer(daemon, name).MountPoints) points.set(m.Destination, { ...m, RW: m.RW && mode !== 'ro' });
  }
  for (const bind of h.Binds ?? []) {
    const point = yield* bindPoint(daemon, c, bind, image);
    if ((h.Binds ?? []).filter((b) => clean(b.split(':')[1] ?? '') === point.Destination).length > 1)
      throw new Refused(400, `Duplicate mount point: ${point.Destination}`);
    points.set(point.Destination, point);
  }
  for (const m of h.Mounts ?? []) {
    const point = yield* mountPoint(daemon, c, m, image);
    points.set(point.Destination, point);
  }
  for (const destination of Object.keys(c.Config.Volumes ?? {})) {
    if (points.has(clean(destination))) continue;
    const volume = yield* createVolume(daemon, '', {}, {});
    points.set(clean(destination), yield* volumePoint(c, volume, destination, '', image));
  }
  return [...points.values()].sort((a, b) => (a.Destination < b.Destination ? -1 : 1));
}

const clean = (path: string): string =>
  `/${path
    .split('/')
    .filter((p) => p !== '' && p !== '.')
    .join('/')}`;

function* bindPoint(daemon: Daemon, c: Container, spec: string, image: StoredImage): Call<MountPoint> {
  const [source = '', destination = '', mode, ...more] = spec.split(':');
  if (more.length > 0 || source === '' || destination === '') throw new Refused(400, `invalid volume specification: '${spec}'`);
  const modes = (mode ?? '').split(',').filter((m) => m !== '');
  if (modes.some((m) => !MODES.test(m))) throw new Refused(400, `invalid mode: ${mode}`);
  if (!destination.startsWith('/'))
    throw new Refused(
      400,
      `invalid volume specification: '${spec}': invalid mount config for type "${source.startsWith('/') ? 'bind' : 'volume'}": invalid mount path: '${destination}' mount path must be absolute`,
    );
  if (clean(destination) === '/')
    throw new Refused(
      400,
      `invalid volume specification: '${spec}': invalid mount config for type "${source.startsWith('/') ? 'bind' : 'volume'}": invalid specification: destination can't be '/'`,
    );
  const rw = !modes.includes('ro');
  if (!source.startsWith('/')) {
    const volume = yield* createVolume(daemon, source, {}, {});
    return {
      ...(yield* volumePoint(c, volume, destination, modes.includes('nocopy') ? 'nocopy' : mode === undefined ? 'z' : mode, image)),
      RW: rw,
    };
  }
  if (!(yield* statOf(source))) yield* mkdirAll(source);
  const propagation = modes.find((m) => /shared|slave|private/.test(m)) ?? 'rprivate';
  return { Type: 'bind', Source: clean(source), Destination: clean(destination), Mode: mode ?? '', RW: rw, Propagation: propagation };
}

function* mountPoint(daemon: Daemon, c: Container, m: Any, image: StoredImage): Call<MountPoint> {
  const bad = (why: string): Refused => new Refused(400, `invalid mount config for type "${m.Type}": ${why}`);
  if (!String(m.Target ?? '').startsWith('/')) throw bad(`invalid mount path: '${m.Target ?? ''}' mount path must be absolute`);
  const Destination = clean(m.Target);
  if (Destination === '/') throw bad("invalid specification: destination can't be '/'");
  if (m.Type === 'tmpfs' && m.Source) throw bad('field Source must not be specified');
  if (m.Type === 'tmpfs')
    return { Type: 'tmpfs', Source: '', Destination, Mode: tmpfsMode(m.TmpfsOptions), RW: !m.ReadOnly, Propagation: '' };
  if (m.Type === 'bind') {
    if (!m.Source) throw bad('field Source must not be empty');
    if (m.BindOptions?.Propagation && !PROPAGATION.test(m.BindOptions.Propagation)) throw bad(`invalid propagation mode: ${m.BindOptions.Propagation}`);
    if (!String(m.Source).startsWith('/')) throw bad(`invalid mount path: '${m.Source}' mount path must be absolute`);
    if (!(yield* statOf(m.Source))) throw bad(`bind source path does not exist: ${m.Source}`);
    return {
      Type: 'bind',
      Source: clean(m.Source),
      Destination,
      Mode: '',
      RW: !m.ReadOnly,
      Propagation: m.BindOptions?.Propagation ?? 'rprivate',
    };
  }
  if (m.Type !== 'volume') throw bad('mount type unknown');
  if (!m.Source && m.ReadOnly) throw bad('must not set ReadOnly mode when using anonymous volumes');
  const driver = m.VolumeOptions?.DriverConfig ?? {};
  const volume = yield* createVolume(daemon, m.Source ?? '', driver.Options ?? {}, m.VolumeOptions?.Labels ?? {}, driver.Name || 'local');
  return { ...(yield* volumePoint(c, volume, m.Target, m.VolumeOptions?.NoCopy ? 'nocopy' : 'z', image)), RW: !m.ReadOnly };
}

function tmpfsMode(options: Any): string {
  return [options?.SizeBytes ? `size=${options.SizeBytes}` : '', options?.Mode ? `mode=${options.Mode.toString(8)}` : '']
    .filter((o) => o !== '')
    .join(',');
}

function* volumePoint(_c: Container, volume: Volume, destination: string, mode: string, image: StoredImage): Call<MountPoint> {
  if (mode !== 'nocopy')
    yield* populating(volume, function* () {
      if ((yield* list(volume.Mountpoint)).length === 0) yield* fill(volume, clean(destination), image);
    });
  return {
    Type: 'volume',
    Name: volume.Name,
    Source: volume.Mountpoint,
    Destination: clean(destination),
    Driver: 'local',
    Mode: mode === 'nocopy' ? 'z' : mode,
    RW: true,
    Propagation: '',
  };
}

/** What the image has at this place goes into the new volume, layer by layer. */
function* fill(volume: Volume, destination: string, image: StoredImage): Call<void> {
  for (const chain of image.chain) {
    const from = `${layerDir(DOCKER, chain)}/diff${destination}`;
    const stat = yield* statOf(from);
    if (!stat || !isDir(stat)) continue;
    const entries: TarEntry[] = [];
    yield* gather(from, '', entries);
    yield* unpack(entries, volume.Mountpoint);
  }
}

/** Source: moby volume/local/local_unix.go. */
function optionFault(options: Record<string, string>): string | null {
  const bad = Object.keys(options).sort().find((o) => !['type', 'o', 'device', 'size'].includes(o));
  if (bad !== undefined) return `invalid option: ${JSON.stringify(bad)}`;
  if (options.size !== undefined) return 'quota size requested but no quota support';
  if (Object.keys(options).length === 0) return null;
  const missing = ['device', 'type'].find((o) => !options[o]);
  return missing ? `missing required option: ${JSON.stringify(missing)}` : null;
}

/** Makes a volume, or gives the one of this name. Throws Refused. */
export function* createVolume(
  daemon: Daemon,
  name: string,
  options: Record<string, string>,
  labels: Record<string, string>,
  driver = 'local',
): Call<Volume> {
  const known = daemon.volumes.get(name);
  if (known) return known;
  if (driver !== 'local') throw new Refused(404, `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`);
  if (name !== '' && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    const why =
      name.length === 1
        ? `volume name is too short, names should be at least two alphanumeric characters`
        : `${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`;
    throw new Refused(400, `create ${name}: ${why}`);
  }
  const fault = optionFault(options);
  if (fault !== null) throw new Refused(400, `create ${name}: ${fault}`);
  const id = name === '' ? yield* newId() : name;
  const Mountpoint = `${VOLUMES}/${id}/_data`;
  const anonymous = name === '';
  const volume: Volume = {
    CreatedAt: isoSeconds(yield* nowNs()),
    Driver: 'local',
    Labels: anonymous ? { 'com.docker.volume.anonymous': '' } : Object.keys(labels).length > 0 ? byKey(labels) : null,
    Mountpoint,
    Name: id,
    Options: Object.keys(options).length > 0 ? byKey(options) : null,
    Scope: 'local',
    anonymous,
  };
  yield* mkdirAll(Mountpoint);
  daemon.volumes.set(id, volume);
  yield* saveVolumes(daemon);
  yield* publish(daemon, 'volume', 'create', id, { driver: 'local' });
  return volume;
}

export function usersOf(daemon: Daemon, volume: string): Container[] {
  return [...daemon.containers.values()].filter((c) => c.MountPoints.some((m) => m.Name === volume));
}

/** Throws Refused 404 or 409. */
export function* removeVolume(daemon: Daemon, name: string): Call<void> {
  const volume = daemon.volumes.get(name);
  if (!volume) throw new Refused(404, `get ${name}: no such volume`);
  const users = usersOf(daemon, name);
  if (users.length > 0) throw new Refused(409, `remove ${name}: volume is in use - [${users.map((c) => c.ID).join(', ')}]`);
  daemon.volumes.delete(name);
  yield* attempt(removeAll(`${VOLUMES}/${name}`), undefined);
  yield* saveVolumes(daemon);
  yield* publish(daemon, 'volume', 'destroy', name, { driver: 'local' });
}

function* saveVolumes(daemon: Daemon): Call<void> {
  yield* writeFile(`${VOLUMES}/metadata.json`, JSON.stringify([...daemon.volumes.values()]), 0o600);
}

export function* loadVolumes(daemon: Daemon): Call<void> {
  yield* mkdirAll(VOLUMES, 0o701);
  for (const v of (yield* readJson<Volume[]>(`${VOLUMES}/metadata.json`)) ?? []) daemon.volumes.set(v.Name, v);
}

export function volumeJson(v: Volume): Omit<Volume, 'anonymous'> {
  const { anonymous: _, ...rest } = v;
  return rest;
}
