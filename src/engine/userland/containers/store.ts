/**
 * The image store on disk: repositories, configs, layers stacked by chain id, and the directories that overlay mounts
 * name as lower layers. docker's is laid out as its overlay2 driver does; containerd's uses the same scheme under its own
 * root. `preloadedImages` gives the files of offline images as data, so that nothing has to run at boot. Each layer's tar
 * is kept beside it, so `save` gives back the very bytes. Left out: the tar-split format, containerd's database.
 */
import { AT_FDCWD, S_IFBLK, S_IFCHR, S_IFIFO } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import type { Tree } from '../../kernel/vfs/build.ts';
import { bytes } from '../../sim/text.ts';
import type { Call } from '../lib/http.ts';
import { attempt, exists, list, mkdirAll, readBytes, readJson, removeAll, tryRead, writeFile } from '../lib/files.ts';
import { buildImage, type BuiltImage } from './images.ts';
import { chainIds, hashOf, hexOf, type ImageConfig, parseReference, readConfig, type ReadImage } from './oci.ts';
import { pack } from './registry.ts';
import { readTar, staysInside, type TarEntry, TarError } from './tar.ts';
import { fileEntry } from '../sizes.ts';

export interface Layout {
  /** Metadata: repositories, configs, layer records. */
  images: string;
  /** One directory a layer, each with its files in `files`. */
  layers: string;
  files: string;
}

export const DOCKER: Layout = { images: '/var/lib/docker/image/overlay2', layers: '/var/lib/docker/overlay2', files: 'diff' };
export const CONTAINERD: Layout = {
  images: '/var/lib/containerd/io.containerd.metadata.v1', layers: '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots', files: 'fs',
};

/** An image as the daemons know it. */
export interface StoredImage {
  id: string;
  configText: string;
  config: ImageConfig;
  /** "busybox:latest", sorted. */
  tags: string[];
  /** "busybox@sha256:…", sorted. */
  digests: string[];
  /** Last tag time, ISO. */
  tagged: string;
  /** Bottom first. */
  chain: string[];
}

export interface Store {
  layout: Layout;
  /** Reference with tag to image id. */
  repositories: Map<string, string>;
  images: Map<string, StoredImage>;
}

interface LayerFiles {
  chain: string;
  below: string | undefined;
  diffId: string;
  tar: Uint8Array;
  size: number;
}

const bare = (digest: string): string => digest.replace(/^sha256:/, '');

/** Where a layer's own files lie. */
export function layerDir(layout: Layout, chain: string): string {
  return `${layout.layers}/${hexOf(`cache ${chain}`)}`;
}

/** The short name that mount options use for it: 26 letters and digits. */
export function shortLink(seed: string): string {
  const digest = hashOf(`link ${seed}`);
  let out = '';
  for (let i = 0; i < 26; i++) out += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[digest[i]! % 32]!;
  return out;
}

/** The files of these offline images, as they lie in a store. Unknown names are left out. */
export function preloadedImages(names: readonly string[], layout: Layout = DOCKER): Tree {
  const tree: Tree = { [`${layout.layers}/l`]: { type: 'dir' }, [`${layout.images}/imagedb/content/sha256`]: { type: 'dir' } };
  const repositories: Record<string, Record<string, string>> = {};
  for (const name of names) {
    const image = buildImage(name);
    if (!image) continue;
    const { digest } = pack(image).manifest;
    addTags(repositories, [...image.tags, ...new Set(image.tags.map((t) => `${t.slice(0, t.lastIndexOf(':'))}@${digest}`))], image.id);
    tree[`${layout.images}/imagedb/content/sha256/${bare(image.id)}`] = { type: 'file', data: image.configText, mode: 0o600 };
    Object.assign(tree, layerTrees(image, layout));
  }
  tree[`${layout.images}/repositories.json`] = { type: 'file', data: JSON.stringify({ Repositories: repositories }), mode: 0o600 };
  return tree;
}

function addTags(repositories: Record<string, Record<string, string>>, tags: readonly string[], id: string): void {
  for (const tag of tags) {
    const name = tag.includes('@') ? tag.slice(0, tag.indexOf('@')) : tag.slice(0, tag.lastIndexOf(':'));
    repositories[name] = { ...repositories[name], [tag]: id };
  }
}

function layerTrees(image: BuiltImage, layout: Layout): Tree {
  const tree: Tree = {};
  const chain = chainIds(image.config.rootfs.diff_ids);
  chain.forEach((id, i) => {
    const record = { chain: id, below: chain[i - 1], diffId: image.config.rootfs.diff_ids[i]!, tar: image.layers[i]!, size: sizeOf(image.entries[i]!) };
    for (const [path, data] of Object.entries(layerRecord(layout, record))) tree[path] = { type: 'file', data, mode: 0o644 };
    const dir = layerDir(layout, id);
    tree[`${layout.layers}/l/${shortLink(id)}`] = { type: 'link', target: `../${dir.slice(dir.lastIndexOf('/') + 1)}/${layout.files}` };
    tree[`${dir}/${layout.files}`] = { type: 'dir', mode: 0o755 };
    for (const e of image.entries[i]!) {
      const path = `${dir}/${layout.files}/${e.name}`;
      if (e.type === 'dir') tree[path] = { type: 'dir', mode: e.mode };
      else if (e.type === 'link') tree[path] = { type: 'link', target: e.target };
      else if (e.type === 'file') tree[path] = fileEntry(e.data, e.mode);
    }
  });
  return tree;
}

function sizeOf(entries: readonly TarEntry[]): number {
  return entries.reduce((n, e) => n + e.data.length, 0);
}

/** The metadata files of one layer: path to content. */
function layerRecord(layout: Layout, layer: LayerFiles): Record<string, string | Uint8Array> {
  const db = `${layout.images}/layerdb/sha256/${bare(layer.chain)}`;
  const dir = layerDir(layout, layer.chain);
  return {
    [`${db}/cache-id`]: dir.slice(dir.lastIndexOf('/') + 1), [`${db}/diff`]: layer.diffId, [`${db}/size`]: String(layer.size), [`${db}/layer.tar`]: layer.tar,
    ...(layer.below ? { [`${db}/parent`]: layer.below } : {}), [`${dir}/link`]: shortLink(layer.chain), [`${dir}/committed`]: '',
  };
}

/** Reads what is on disk; an empty or missing store is an empty store. */
export function* openStore(layout: Layout): Call<Store> {
  const store: Store = { layout, repositories: new Map(), images: new Map() };
  for (const { name } of yield* list(`${layout.images}/imagedb/content/sha256`)) {
    const configText = yield* tryRead(`${layout.images}/imagedb/content/sha256/${name}`);
    const tagged = (yield* tryRead(`${layout.images}/imagedb/metadata/sha256/${name}/lastUpdated`)) ?? '';
    if (configText !== null) remember(store, `sha256:${name}`, configText, tagged);
  }
  const saved = yield* readJson<{ Repositories?: Record<string, Record<string, string>> }>(`${layout.images}/repositories.json`);
  for (const refs of Object.values(saved?.Repositories ?? {})) for (const [ref, id] of Object.entries(refs)) store.repositories.set(ref, id);
  retag(store);
  return store;
}

function remember(store: Store, id: string, configText: string, tagged: string): StoredImage | null {
  try {
    const config = readConfig(configText);
    const image = { id, configText, config, tags: [], digests: [], tagged: tagged || config.created, chain: chainIds(config.rootfs.diff_ids) };
    store.images.set(id, image);
    return image;
  } catch {
    return null;
  }
}

/** Fills every image's list of tags from the repositories. */
function retag(store: Store): void {
  for (const image of store.images.values()) Object.assign(image, { tags: [], digests: [] });
  for (const [ref, id] of [...store.repositories].sort(([a], [b]) => (a < b ? -1 : 1))) store.images.get(id)?.[ref.includes('@') ? 'digests' : 'tags'].push(ref);
}

/** Looks an image up by reference, id or unambiguous prefix of an id (4 digits or more). */
export function findImage(store: Store, reference: string): StoredImage | null {
  const parsed = parseReference(reference);
  if (!('error' in parsed)) {
    const id = store.repositories.get(`${parsed.name}:${parsed.tag}`);
    if (id && (parsed.digest === '' || parsed.digest === id)) return store.images.get(id) ?? null;
    if (parsed.digest !== '') return store.images.get(store.repositories.get(`${parsed.name}@${parsed.digest}`) ?? parsed.digest) ?? null;
  }
  const prefix = bare(reference);
  if (!/^[0-9a-f]{4,64}$/.test(prefix)) return null;
  const matches = [...store.images.values()].filter((i) => i.id.startsWith(`sha256:${prefix}`));
  return matches.length === 1 ? matches[0]! : null;
}

/** Writes the repositories file. */
export function* saveRepositories(store: Store): Call<void> {
  retag(store);
  const repositories: Record<string, Record<string, string>> = {};
  for (const [ref, id] of store.repositories) addTags(repositories, [ref], id);
  yield* mkdirAll(store.layout.images);
  yield* writeFile(`${store.layout.images}/repositories.json`, JSON.stringify({ Repositories: repositories }), 0o600);
}

/** Adds a verified image: unpacks the layers that are not there yet, bottom up. `now` is ISO time. */
export function* addImage(store: Store, image: ReadImage, now: string): Call<StoredImage> {
  const chain = chainIds(image.config.rootfs.diff_ids);
  for (let i = 0; i < chain.length; i++) {
    const known = yield* exists(`${store.layout.images}/layerdb/sha256/${bare(chain[i]!)}/cache-id`);
    if (!known) yield* addLayer(store.layout, { chain: chain[i]!, below: chain[i - 1], diffId: image.config.rootfs.diff_ids[i]!, tar: image.layers[i]!, size: 0 });
  }
  yield* mkdirAll(`${store.layout.images}/imagedb/content/sha256`);
  yield* writeFile(`${store.layout.images}/imagedb/content/sha256/${bare(image.id)}`, image.configText, 0o600);
  yield* mkdirAll(`${store.layout.images}/imagedb/metadata/sha256/${bare(image.id)}`);
  yield* writeFile(`${store.layout.images}/imagedb/metadata/sha256/${bare(image.id)}/lastUpdated`, now);
  const stored = store.images.get(image.id) ?? remember(store, image.id, image.configText, now)!;
  for (const tag of image.tags) store.repositories.set(tag.includes(':') ? tag : `${tag}:latest`, image.id);
  yield* saveRepositories(store);
  return stored;
}

function* addLayer(layout: Layout, layer: LayerFiles): Call<void> {
  const entries = readTar(layer.tar);
  const dir = layerDir(layout, layer.chain);
  yield* mkdirAll(`${dir}/${layout.files}`);
  yield* unpack(entries, `${dir}/${layout.files}`);
  const record = layerRecord(layout, { ...layer, size: sizeOf(entries) });
  yield* mkdirAll(`${layout.images}/layerdb/sha256/${bare(layer.chain)}`);
  for (const [path, data] of Object.entries(record)) yield* writeFile(path, data);
  yield* mkdirAll(`${layout.layers}/l`);
  yield* attempt(sys('symlinkat', `../${dir.slice(dir.lastIndexOf('/') + 1)}/${layout.files}`, AT_FDCWD, `${layout.layers}/l/${shortLink(layer.chain)}`), 0, 'EEXIST');
}

/** Lays a layer's entries out below a directory: whiteouts become 0:0 devices, opaque markers the overlay attribute. */
export function* unpack(entries: readonly TarEntry[], into: string): Call<void> {
  for (const e of entries) {
    if (!staysInside(e.name) || (e.type === 'hardlink' && !staysInside(e.target))) throw new TarError(`invalid path in archive: ${e.name.slice(0, 80)}`);
    if (e.name === '') continue;
    const slash = e.name.lastIndexOf('/');
    const base = e.name.slice(slash + 1);
    const parent = slash < 0 ? into : `${into}/${e.name.slice(0, slash)}`;
    yield* safeParent(into, slash < 0 ? '' : e.name.slice(0, slash));
    if (base === '.wh..wh..opq') yield* sys('setxattr', parent, 'trusted.overlay.opaque', bytes('y'), 0);
    else if (base.startsWith('.wh.')) yield* sys('mknodat', AT_FDCWD, `${parent}/${base.slice(4)}`, S_IFCHR, 0, 0);
    else yield* attempt(place(e, into), undefined, 'EEXIST', 'ENOENT');
  }
}

/** Makes the directories down to an entry; a symbolic link on the way is refused, since it could lead outside. */
function* safeParent(into: string, below: string): Call<void> {
  let at = into;
  for (const part of below.split('/').filter((p) => p !== '')) {
    at += `/${part}`;
    if (yield* attempt(sys('readlinkat', AT_FDCWD, at), null)) throw new TarError(`invalid path in archive: ${below.slice(0, 80)} leads through a symbolic link`);
    yield* attempt(sys('mkdirat', AT_FDCWD, at, 0o755), 0, 'EEXIST');
  }
}

function* place(e: TarEntry, into: string): Call<void> {
  const path = `${into}/${e.name}`;
  if (e.type === 'dir') yield* attempt(sys('mkdirat', AT_FDCWD, path, e.mode), 0, 'EEXIST');
  else {
    yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0, 'ENOENT', 'EISDIR');
    if (e.type === 'file') yield* writeFile(path, e.data, e.mode);
    else if (e.type === 'link') yield* sys('symlinkat', e.target, AT_FDCWD, path);
    else if (e.type === 'hardlink') yield* sys('linkat', AT_FDCWD, `${into}/${e.target.replace(/^(\.?\/)+/, '')}`, AT_FDCWD, path, 0);
    else yield* sys('mknodat', AT_FDCWD, path, { chr: S_IFCHR, blk: S_IFBLK, fifo: S_IFIFO }[e.type] | e.mode, e.rdev[0], e.rdev[1]);
  }
  if (e.uid !== 0 || e.gid !== 0) yield* sys('fchownat', AT_FDCWD, path, e.uid, e.gid, 0x100);
  if (e.type !== 'link') {
    yield* sys('fchmodat', AT_FDCWD, path, e.mode);
    yield* sys('utimensat', AT_FDCWD, path, e.mtime, e.mtime, 0);
  }
}

/** Size in bytes of each layer, bottom first, as recorded when it was unpacked. */
export function* layerSizes(store: Store, image: StoredImage): Call<number[]> {
  const sizes: number[] = [];
  for (const id of image.chain) sizes.push(Number((yield* tryRead(`${store.layout.images}/layerdb/sha256/${bare(id)}/size`)) ?? 0));
  return sizes;
}

/** The tar of the layer with this chain id. */
export function* layerTar(store: Store, chain: string): Call<Uint8Array> {
  return yield* readBytes(`${store.layout.images}/layerdb/sha256/${bare(chain)}/layer.tar`);
}

/** Forgets an image and the layers that no other image stands on. Returns the chain ids removed, topmost first. */
export function* dropImage(store: Store, image: StoredImage): Call<string[]> {
  store.images.delete(image.id);
  for (const [ref, id] of [...store.repositories]) if (id === image.id) store.repositories.delete(ref);
  yield* saveRepositories(store);
  yield* removeAll(`${store.layout.images}/imagedb/content/sha256/${bare(image.id)}`);
  yield* removeAll(`${store.layout.images}/imagedb/metadata/sha256/${bare(image.id)}`);
  const kept = new Set([...store.images.values()].flatMap((i) => i.chain));
  const gone = image.chain.filter((c) => !kept.has(c)).reverse();
  for (const chain of gone) {
    yield* removeAll(`${store.layout.layers}/l/${shortLink(chain)}`);
    yield* removeAll(layerDir(store.layout, chain));
    yield* removeAll(`${store.layout.images}/layerdb/sha256/${bare(chain)}`);
  }
  return gone;
}

