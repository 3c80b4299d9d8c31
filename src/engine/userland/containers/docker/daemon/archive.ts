/** Archives in the daemon: export, commit, import, load and save. Source: moby daemon/export.go, commit.go, image/tarexport. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFCHR, S_IFLNK, S_IFMT } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { attempt, isDir, list } from '../../../lib/files.ts';
import { beginStream, type Call, endStream, type Exchange, writeChunk } from '../../../lib/http.ts';
import { bytes, text } from '../../../../sim/text.ts';
import { gather } from '../cli/copy.ts';
import { digestOf, ImageError, type ImageConfig, inflate, parseReference, readArchive, type ReadImage } from '../../oci.ts';
import { addImage, findImage, layerTar, type StoredImage } from '../../store.ts';
import { entry, readTar, type TarEntry, TarError, writeTar } from '../../tar.ts';
import { BUILD } from '../version.ts';
import { applyChanges } from './changes.ts';
import { guarded } from './containerfs.ts';
import { publish } from './events.ts';
import { getImage } from './imageapi.ts';
import { rwDir, withMounted } from './layers.ts';
import { ignoreRefusal, NS } from './containerd.ts';
import { tasks } from '../../containerd/api.ts';
import { newId } from './record.ts';
import { type Any, type Container, type Daemon, Refused } from './state.ts';

export function* exportContainer(c: Container, x: Exchange): Call<void> {
  const data = yield* withMounted(c, function* (root): Call<Uint8Array> {
    const entries: TarEntry[] = [];
    yield* gather(root, '', entries);
    return writeTar(entries.filter((e) => e.name !== ''));
  });
  yield* beginStream(x, 200, { 'Content-Type': 'application/octet-stream' });
  yield* writeChunk(x, data);
  yield* endStream(x);
}

/** The writable layer as entries of an image layer: whiteouts and opaque directories by OCI's names. */
export function* layerEntries(dir: string, name = ''): Call<TarEntry[]> {
  const out: TarEntry[] = [];
  for (const e of yield* list(dir)) {
    const path = `${dir}/${e.name}`;
    const at = name === '' ? e.name : `${name}/${e.name}`;
    const stat = yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    const kind = stat.mode & S_IFMT;
    if (kind === S_IFCHR && stat.rdev[0] === 0 && stat.rdev[1] === 0) {
      out.push(entry(name === '' ? `.wh.${e.name}` : `${name}/.wh.${e.name}`, { mode: 0o600 }));
    } else if (isDir(stat)) {
      out.push(entry(at, { type: 'dir', mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: Math.floor(stat.mtime) }));
      if (text((yield* attempt(sys('getxattr', path, 'trusted.overlay.opaque'), null)) ?? new Uint8Array(0)) === 'y')
        out.push(entry(`${at}/.wh..wh..opq`, { mode: 0o600 }));
      out.push(...(yield* layerEntries(path, at)));
    } else {
      const one: TarEntry[] = [];
      yield* gather(path, at, one);
      out.push(...one);
      if (one.length === 0 && kind !== S_IFLNK) out.push(entry(at, { type: 'fifo', mode: stat.mode & 0o7777 }));
    }
  }
  return out;
}

export interface CommitOptions {
  repo: string;
  tag: string;
  comment: string;
  author: string;
  changes: string | null;
  pause: boolean;
}

export function* commitContainer(daemon: Daemon, c: Container, o: CommitOptions): Call<string> {
  const pause = o.pause && c.State.Running && !c.State.Paused;
  if (pause) yield* ignoreRefusal(tasks(NS, 'Pause', { containerId: c.ID }));
  const entries = yield* layerEntries(`${rwDir(c)}/diff`);
  if (pause) yield* ignoreRefusal(tasks(NS, 'Resume', { containerId: c.ID }));
  const base = daemon.store.images.get(c.Image);
  const tar = writeTar(entries);
  const created = isoNano(yield* nowNs());
  const { Hostname: _h, Domainname: _d, ...config } = c.Config;
  const merged = applyChanges({ ...config, Hostname: c.Config.Hostname, Image: c.Config.Image }, o.changes);
  const layers: Uint8Array[] = [];
  for (const id of base?.chain ?? []) layers.push(yield* layerTar(daemon.store, id));
  const diffId = digestOf(tar);
  const empty = entries.length === 0;
  const image: ImageConfig & Any = {
    architecture: 'amd64',
    ...(o.author ? { author: o.author } : {}),
    ...(o.comment ? { comment: o.comment } : {}),
    config: merged,
    container: c.ID,
    created,
    docker_version: BUILD.version,
    history: [
      ...(base?.config.history ?? []),
      {
        created,
        created_by: [c.Path, ...c.Args].join(' '),
        ...(o.author ? { author: o.author } : {}),
        ...(o.comment ? { comment: o.comment } : {}),
        ...(empty ? { empty_layer: true } : {}),
      },
    ],
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [...(base?.config.rootfs.diff_ids ?? []), ...(empty ? [] : [diffId])] },
    ...(base ? { parent: base.id } : {}),
  };
  const id = yield* store(daemon, image, empty ? layers : [...layers, tar], o.repo === '' ? [] : [`${o.repo}:${o.tag || 'latest'}`]);
  if (o.repo !== '') yield* publish(daemon, 'image', 'tag', id, { ...(merged.Labels ?? {}), name: `${o.repo}:${o.tag || 'latest'}` });
  yield* publish(daemon, 'container', 'commit', c.ID, {
    comment: o.comment,
    image: c.Config.Image,
    imageID: id,
    imageRef: o.repo ? `${o.repo}:${o.tag || 'latest'}` : '',
    name: c.Name.slice(1),
  });
  return id;
}

/** Adds an image made here; its id. */
export function* store(daemon: Daemon, config: ImageConfig, layers: Uint8Array[], tags: string[]): Call<string> {
  const configText = JSON.stringify(config);
  const image: ReadImage = { id: digestOf(configText), configText, config, tags, layers };
  yield* addImage(daemon.store, image, isoNano(yield* nowNs()));
  return image.id;
}

/** POST /images/create?fromSrc=-: one layer from a root's tar. */
export function* importImage(
  daemon: Daemon,
  data: Uint8Array,
  o: { repo: string; tag: string; message: string; changes: string | null; platform: string },
  x: Exchange,
): Call<void> {
  let tar: Uint8Array;
  try {
    tar = inflate(data);
    readTar(tar);
  } catch (error) {
    if (error instanceof TarError) throw new Refused(500, error.message);
    throw error;
  }
  const created = isoNano(yield* nowNs());
  const blank = {
    Hostname: '',
    Domainname: '',
    User: '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: null,
    Cmd: null,
    Image: '',
    Volumes: null,
    WorkingDir: '',
    Entrypoint: null,
    OnBuild: null,
    Labels: null,
  };
  const [os = 'linux', architecture = 'amd64', variant] = o.platform === '' ? [] : platformOf(o.platform);
  const config: ImageConfig & Any = {
    architecture,
    ...(variant ? { variant } : {}),
    comment: o.message,
    created,
    config: applyChanges(blank, o.changes),
    docker_version: BUILD.version,
    history: [{ created, comment: o.message }],
    os,
    rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
  };
  const id = yield* guarded(store(daemon, config, [tar], o.repo === '' ? [] : [`${o.repo}:${o.tag || 'latest'}`]));
  if (o.repo !== '') yield* publish(daemon, 'image', 'tag', id, { name: `${o.repo}:${o.tag || 'latest'}` });
  yield* publish(daemon, 'image', 'import', id, { name: id });
  yield* beginStream(x, 200, { 'Content-Type': 'application/json' });
  yield* writeChunk(x, `${JSON.stringify({ status: id })}\n`);
  yield* endStream(x);
}

/** POST /images/load. */
export function* loadImages(daemon: Daemon, data: Uint8Array, x: Exchange): Call<void> {
  let images: ReadImage[];
  try {
    images = readArchive(data);
  } catch (error) {
    if (!(error instanceof TarError) && !(error instanceof ImageError)) throw error;
    const message = error.message.replace('/docker-import/', `/docker-import-${Number.parseInt(yield* newId(8), 16)}/`);
    yield* beginStream(x, 200, { 'Content-Type': 'application/json' });
    yield* writeChunk(x, `${JSON.stringify({ errorDetail: { message }, error: message })}\n`);
    yield* endStream(x);
    return;
  }
  const say = (line: Any): Call<void> => writeChunk(x, `${JSON.stringify(line)}\n`);
  const done: string[] = [];
  for (const image of images) {
    const before = image.tags.map((t) => [t, daemon.store.repositories.get(t)] as const);
    yield* guarded(addImage(daemon.store, image, isoNano(yield* nowNs())));
    for (const [tag, old] of before)
      if (old && old !== image.id) done.push(`The image ${tag} already exists, renaming the old one with ID ${old} to empty string`);
    done.push(...(image.tags.length > 0 ? image.tags.map((t) => `Loaded image: ${t}`) : [`Loaded image ID: ${image.id}`]));
    yield* publish(daemon, 'image', 'load', image.id, { name: image.id });
  }
  yield* beginStream(x, 200, { 'Content-Type': 'application/json' });
  for (const line of done) yield* say({ stream: `${line}\n` });
  yield* endStream(x);
}

/** "linux/arm64/v8" in parts; a system or a processor alone leaves the other as it is here. */
function platformOf(text: string): string[] {
  const [first = '', ...rest] = text.toLowerCase().split('/');
  return rest.length === 0 && !/^(?:linux|windows|darwin|freebsd)$/.test(first) ? ['linux', first] : [first, ...rest];
}

/** A name without tag or digest is every tag of its repository, in order, if there are any. Throws Refused. */
function taggedAs(daemon: Daemon, name: string): string[] {
  const parsed = parseReference(name);
  if ('error' in parsed || parsed.digest) return [name];
  const { repositories } = daemon.store;
  if (/:[^/]*$/.test(name)) {
    if (!repositories.has(`${parsed.name}:${parsed.tag}`)) throw new Refused(404, 'reference does not exist');
    return [name];
  }
  const tags = [...repositories.keys()].filter((t) => t.slice(0, t.lastIndexOf(':')) === parsed.name).sort();
  if (tags.length === 0 && !findImage(daemon.store, name)) throw new Refused(404, `No such image: ${name}`);
  return tags.length > 0 ? tags : [name];
}

/** GET /images/get: both layouts in one archive, as docker 25 and later write. */
export function* saveImages(daemon: Daemon, names: readonly string[], x: Exchange): Call<void> {
  const wanted = new Map<StoredImage, string[]>();
  for (const name of names.flatMap((n) => taggedAs(daemon, n))) {
    const image = getImage(daemon, name);
    const parsed = parseReference(name);
    const byName = !('error' in parsed) && daemon.store.repositories.get(`${parsed.name}:${parsed.tag}`) === image.id;
    const tags = byName ? [`${parsed.name}:${parsed.tag}`] : [];
    wanted.set(image, [...(wanted.get(image) ?? []), ...tags]);
  }
  const blobs = new Map<string, Uint8Array>();
  const blob = (data: Uint8Array): string => {
    const digest = digestOf(data);
    blobs.set(digest, data);
    return digest;
  };
  const manifest: Any[] = [];
  const index: Any[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  for (const [image, tags] of wanted) {
    const layers: { digest: string; size: number }[] = [];
    for (const id of image.chain) {
      const tar = yield* layerTar(daemon.store, id);
      layers.push({ digest: blob(tar), size: tar.length });
    }
    const config = bytes(image.configText);
    const type = 'application/vnd.oci.image';
    const body = bytes(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: `${type}.manifest.v1+json`,
        config: { mediaType: `${type}.config.v1+json`, digest: blob(config), size: config.length },
        layers: layers.map((l) => ({ mediaType: `${type}.layer.v1.tar`, ...l })),
      }),
    );
    const one = { mediaType: `${type}.manifest.v1+json`, digest: blob(body), size: body.length };
    const named = tags.map((t) => ({
      ...one,
      annotations: {
        'io.containerd.image.name': t.includes('/') ? `docker.io/${t}` : `docker.io/library/${t}`,
        'org.opencontainers.image.ref.name': t.slice(t.lastIndexOf(':') + 1),
      },
    }));
    index.push(...(named.length > 0 ? named : [one]));
    const path = (digest: string): string => `blobs/sha256/${digest.slice(7)}`;
    manifest.push({
      Config: path(image.id), RepoTags: tags.length > 0 ? tags : null, Layers: layers.map((l) => path(l.digest)),
      LayerSources: Object.fromEntries(layers.map((l) => [l.digest, { mediaType: `${type}.layer.v1.tar`, size: l.size, digest: l.digest }]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))),
    });
    for (const t of tags) {
      const cut = t.lastIndexOf(':');
      repositories[t.slice(0, cut)] = { ...repositories[t.slice(0, cut)], [t.slice(cut + 1)]: layers.at(-1)?.digest.slice(7) ?? '' };
    }
  }
  const file = (name: string, data: Uint8Array | string): TarEntry => entry(name, { data: typeof data === 'string' ? bytes(data) : data });
  const tar = writeTar([
    entry('blobs', { type: 'dir', mode: 0o755 }),
    entry('blobs/sha256', { type: 'dir', mode: 0o755 }),
    ...[...blobs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([digest, data]) => file(`blobs/sha256/${digest.slice(7)}`, data)),
    file('index.json', JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: index })),
    file('manifest.json', JSON.stringify(manifest)),
    file('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
    ...(Object.keys(repositories).length > 0 ? [file('repositories', `${JSON.stringify(repositories)}\n`)] : []),
  ]);
  yield* beginStream(x, 200, { 'Content-Type': 'application/x-tar' });
  yield* writeChunk(x, tar);
  yield* endStream(x);
}
