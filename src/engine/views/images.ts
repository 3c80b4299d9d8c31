/** docker's images, their layers and the files of one layer, from the image store on the machine's disk. */
import type { ImageRow, LayerFileRow, LayerRow } from '../../bridge/rows.ts';
import type { Kernel } from '../kernel/records.ts';
import { childrenOf } from '../kernel/vfs/tmpfs.ts';
import type { Dentry, Inode } from '../kernel/vfs/types.ts';
import { EPOCH_SECONDS, SECOND } from '../sim/units.ts';
import { chainIds, type ImageConfig } from '../userland/containers/oci.ts';
import { DOCKER, layerDir } from '../userland/containers/store.ts';
import { parseIso } from '../userland/lib/clock.ts';
import { entriesOf, entryAt, jsonAt, textAt } from './disk.ts';
import { type Arg, columns, kernelsOf, type View } from './view.ts';

export interface Image {
  id: string;
  config: ImageConfig;
  tags: string[];
  chain: string[];
}

export function imagesOf(kernel: Kernel): Image[] {
  const saved = jsonAt<{ Repositories?: Record<string, Record<string, string>> }>(kernel, `${DOCKER.images}/repositories.json`);
  const tags = Object.values(saved?.Repositories ?? {}).flatMap((refs) => Object.entries(refs)).filter(([tag]) => !tag.includes('@'));
  return entriesOf(entryAt(kernel, `${DOCKER.images}/imagedb/content/sha256`)).flatMap(({ name }) => {
    const config = jsonAt<ImageConfig>(kernel, `${DOCKER.images}/imagedb/content/sha256/${name}`);
    if (!config?.rootfs) return [];
    const id = `sha256:${name}`;
    return [{ id, config, tags: tags.filter(([, of]) => of === id).map(([tag]) => tag).sort(), chain: chainIds(config.rootfs.diff_ids) }];
  });
}

export const layerSize = (kernel: Kernel, chain: string): number => Number(textAt(kernel, `${DOCKER.images}/layerdb/sha256/${chain.slice(7)}/size`) ?? 0);

export const images: View = {
  doc: "docker's images, a row a tag.",
  arg: 'host?',
  columns: columns(`
    host: machine
    id: sha256 of its configuration
    tag: repository and tag, or empty
    size [bytes]: of all its layers
    layers [count]: how many
    createdAt [ns]: when it was made; before the start of the world it is negative
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => imagesOf(kernel).flatMap((image) => (image.tags.length > 0 ? image.tags : ['']).map((tag): ImageRow => ({
    key: `${kernel.name}:${image.id}:${tag}`, host: kernel.name, id: image.id, tag, size: image.chain.reduce((n, c) => n + layerSize(kernel, c), 0), layers: image.chain.length,
    createdAt: parseIso(image.config.created) - EPOCH_SECONDS * SECOND,
  })))),
};

/** The image that an argument names: id, beginning of an id, tag, or repository. */
export function asked(kernel: Kernel, arg: Arg): Image | undefined {
  const name = String(arg.image ?? '');
  const all = imagesOf(kernel);
  return all.find((i) => i.id === name || i.tags.includes(name) || i.tags.includes(`${name}:latest`)) ?? (name === '' ? undefined : all.find((i) => i.id.startsWith(`sha256:${name}`) || i.id.startsWith(name)));
}

export interface Found {
  path: string;
  inode: Inode;
  /** What it does to what lies below: adds, changes or deletes it. */
  change: 'added' | 'changed' | 'deleted';
}

const isWhiteout = (inode: Inode): boolean => inode.kind === 'chr' && inode.rdev[0] === 0 && inode.rdev[1] === 0;

/** A directory that hides all below it. */
export const isOpaque = (inode: Inode): boolean => inode.xattrs?.get('trusted.overlay.opaque')?.[0] === 0x79;

const named = (dir: Dentry | null, name: string): Dentry | null => (dir?.inode.kind === 'dir' ? (childrenOf(dir.inode).get(name) ?? null) : null);

/** Of the same name in several trees, topmost first, those down to the first that hides the rest. */
function seenThrough(same: readonly (Dentry | null)[]): Dentry[] {
  const out: Dentry[] = [];
  for (const entry of same) {
    if (entry) out.push(entry);
    if (entry && (entry.inode.kind !== 'dir' || isOpaque(entry.inode))) break;
  }
  return out;
}

/** Everything in a layer's tree, and what each name does to the trees below (topmost first). */
export function filesOf(root: Dentry | null, below: readonly (Dentry | null)[]): Found[] {
  const found: Found[] = [];
  const walk = (dir: Dentry | null, path: string, under: readonly (Dentry | null)[]): void => {
    for (const entry of entriesOf(dir)) {
      const at = `${path}/${entry.name}`;
      const same = seenThrough(under.map((u) => named(u, entry.name)));
      const change = isWhiteout(entry.inode) ? 'deleted' : same.length > 0 && !isWhiteout(same[0]!.inode) ? 'changed' : 'added';
      found.push({ path: at, inode: entry.inode, change });
      if (entry.inode.kind === 'dir') walk(entry, at, isOpaque(entry.inode) ? [] : same.filter((s) => s.inode.kind === 'dir'));
    }
  };
  walk(root, '', below);
  return found;
}

export const treeOfLayer = (kernel: Kernel, chain: string): Dentry | null => entryAt(kernel, `${layerDir(DOCKER, chain)}/${DOCKER.files}`);

export function filesIn(kernel: Kernel, image: Image, index: number): Found[] {
  return filesOf(treeOfLayer(kernel, image.chain[index]!), image.chain.slice(0, index).reverse().map((c) => treeOfLayer(kernel, c)));
}

export const layers: View = {
  doc: 'The layers of one image, bottom first, and what each does to those below.',
  arg: 'host, image',
  columns: columns(`
    index [count]: 0 is the bottom
    diffId: sha256 of its tar
    chainId: sha256 over it and all below
    createdBy: what made it
    size [bytes]: of its files
    files [count]: files in it, directories not counted
    added [count]: names that no layer below has
    changed [count]: files that hide one below
    deleted [count]: whiteouts
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    const image = kernel && asked(kernel, arg);
    if (!kernel || !image) return [];
    const made = image.config.history.filter((h) => !h.empty_layer);
    return image.chain.map((chainId, index): LayerRow => {
      const found = filesIn(kernel, image, index).filter((f) => f.inode.kind !== 'dir');
      const count = (change: Found['change']): number => found.filter((f) => f.change === change).length;
      return {
        key: chainId, index, diffId: image.config.rootfs.diff_ids[index]!, chainId, createdBy: made[index]?.created_by ?? '', size: layerSize(kernel, chainId),
        files: found.length - count('deleted'), added: count('added'), changed: count('changed'), deleted: count('deleted'),
      };
    });
  },
};

export const layerFiles: View = {
  doc: 'The files of one layer of an image.',
  arg: 'host, image, layer',
  columns: columns(`
    path: from the root
    kind: file, dir, link, whiteout, …
    size [bytes]: of a file
    mode: permission bits in octal
    change: added, changed or deleted against the layers below
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    const image = kernel && asked(kernel, arg);
    const index = Number(arg.layer ?? 0);
    if (!kernel || !image?.chain[index]) return [];
    return filesIn(kernel, image, index).slice(0, 2000).map((f): LayerFileRow => ({
      key: f.path, path: f.path, kind: f.change === 'deleted' ? 'whiteout' : f.inode.kind, size: f.inode.kind === 'file' ? f.inode.size : 0, mode: f.inode.mode.toString(8).padStart(4, '0'), change: f.change,
    }));
  },
};
