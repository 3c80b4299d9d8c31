/**
 * An image layer by layer: what each adds, changes and deletes, which of its bytes a later layer overwrites or deletes, and
 * how much of what is stored is still seen. Efficiency is dive's: the least size that each path has in any layer (none, once
 * it is deleted) over all its sizes together. What differs: a deleted directory counts as each file below it deleted.
 */
import type { ImageFileRow, ImageLayerRow, ImageWasteRow } from '../../bridge/rows.ts';
import type { Kernel } from '../kernel/records.ts';
import type { Inode } from '../kernel/vfs/types.ts';
import { EPOCH_SECONDS, SECOND } from '../sim/units.ts';
import { parseIso } from '../userland/lib/clock.ts';
import type { World } from '../world/world.ts';
import { asked, type Found, filesIn, type Image, isOpaque, layerSize } from './images.ts';
import { type Arg, columns, kernelsOf, type View } from './view.ts';

const MOST_FILES = 4000;
const MOST_PATHS = 1000;

interface File extends Found {
  layer: number;
  /** Bytes in this layer; a further hard link has none. */
  size: number;
  /** The layer that hides it. */
  hiddenBy: number | null;
  how: '' | 'overwritten' | 'deleted';
}

interface Story {
  kernel: Kernel;
  image: Image;
  layers: File[][];
  /** Of each path that is no directory: its size in every layer that has it, 0 where one deletes it. */
  sizes: Map<string, { layer: number; size: number; deletes: boolean }[]>;
}

const told = new WeakMap<object, Map<string, Story>>();

/** Everything about an image, once for each; images never change. */
function storyOf(world: World, arg: Arg): Story | null {
  const kernel = kernelsOf(world, arg)[0];
  const image = kernel && asked(kernel, arg);
  if (!kernel || !image) return null;
  const known = told.get(kernel) ?? new Map<string, Story>();
  told.set(kernel, known);
  const story = known.get(image.id) ?? read(kernel, image);
  known.set(image.id, story);
  return story;
}

function read(kernel: Kernel, image: Image): Story {
  const seen = new Map<string, File>();
  const sizes: Story['sizes'] = new Map();
  const note = (path: string, layer: number, size: number, deletes: boolean): void => {
    sizes.set(path, [...(sizes.get(path) ?? []), { layer, size, deletes }]);
  };
  const layers = image.chain.map((_, layer) => {
    const linked = new Set<Inode>();
    const hide = (path: string, how: File['how']): void => {
      const old = seen.get(path);
      if (!old || old.layer === layer) return;
      seen.delete(path);
      Object.assign(old, { hiddenBy: layer, how });
      if (how === 'deleted' && old.inode.kind !== 'dir') note(path, layer, 0, true);
    };
    const hideBelow = (path: string): void => {
      for (const other of [...seen.keys()]) if (other.startsWith(`${path}/`)) hide(other, 'deleted');
    };
    return filesIn(kernel, image, layer).map((found): File => {
      const { inode, path, change } = found;
      const size = inode.kind === 'file' && !linked.has(inode) ? inode.size : 0;
      linked.add(inode);
      const file: File = { ...found, layer, size, hiddenBy: null, how: '' };
      const stays = inode.kind === 'dir' && !isOpaque(inode);
      if (!stays && seen.get(path)?.inode.kind === 'dir') hideBelow(path);
      if (!stays || seen.get(path)?.inode.kind !== 'dir') hide(path, change === 'deleted' ? 'deleted' : 'overwritten');
      if (change === 'deleted') return file;
      seen.set(path, file);
      if (inode.kind !== 'dir') note(path, layer, size, false);
      return file;
    });
  });
  return { kernel, image, layers, sizes };
}

/** dive's score and wasted bytes of the layers up to this one. */
function scoreOf(story: Story, upTo: number): { efficiency: number; repeated: number } {
  let least = 0;
  let all = 0;
  let repeated = 0;
  for (const every of story.sizes.values()) {
    const there = every.filter((s) => s.layer <= upTo);
    if (there.length === 0) continue;
    const total = there.reduce((n, s) => n + s.size, 0);
    least += Math.min(...there.map((s) => s.size));
    all += total;
    if (there.length > 1) repeated += total;
  }
  return { efficiency: all === 0 ? 1 : least / all, repeated };
}

const sum = (files: readonly File[]): number => files.reduce((n, f) => n + f.size, 0);

function layerRow(story: Story, index: number): ImageLayerRow {
  const { kernel, image, layers } = story;
  const files = layers[index]!.filter((f) => f.inode.kind !== 'dir');
  const of = (change: Found['change']): File[] => files.filter((f) => f.change === change);
  const made = image.config.history.filter((h) => !h.empty_layer)[index];
  const hides = layers.slice(0, index).flat().filter((f) => f.hiddenBy === index);
  const wasted = files.filter((f) => f.hiddenBy !== null);
  const id = image.chain[index]!;
  return {
    key: id, index, diffId: image.config.rootfs.diff_ids[index]!, chainId: id, createdBy: made?.created_by ?? '', createdAt: parseIso(made?.created ?? image.config.created) - EPOCH_SECONDS * SECOND,
    size: layerSize(kernel, id), total: image.chain.slice(0, index + 1).reduce((n, c) => n + layerSize(kernel, c), 0), files: files.length - of('deleted').length,
    added: of('added').length, addedBytes: sum(of('added')), changed: of('changed').length, changedBytes: sum(of('changed')),
    deleted: hides.filter((f) => f.how === 'deleted' && f.inode.kind !== 'dir').length, hiddenBytes: sum(hides), wasted: sum(wasted), wastedFiles: wasted.length, ...scoreOf(story, index),
  };
}

export const imageLayers: View = {
  doc: 'The layers of one image, bottom first: what each adds, changes and deletes, what later layers waste of it, and the efficiency so far.',
  arg: 'host, image',
  columns: columns(`
    index [count]: 0 is the bottom
    diffId: sha256 of its tar
    chainId: sha256 over it and all below
    createdBy: what made it
    createdAt [ns]: when; before the start of the world it is negative
    size [bytes]: of its files
    total [bytes]: of it and all below
    files [count]: in it, directories and whiteouts not counted
    added [count]: names that no layer below has
    addedBytes [bytes]: of those
    changed [count]: files that hide one below
    changedBytes [bytes]: of the new ones
    deleted [count]: files below that it deletes, also by deleting a directory
    hiddenBytes [bytes]: of layers below that it overwrites or deletes
    wasted [bytes]: of its own that a later layer overwrites or deletes
    wastedFiles [count]: its files of which that is true
    efficiency [ratio]: of the layers up to this one: least size of each path over all its sizes
    repeated [bytes]: of paths that are in more than one layer up to this one, every copy counted
  `),
  rows: (world, arg) => {
    const story = storyOf(world, arg);
    return story ? story.layers.map((_, index) => layerRow(story, index)) : [];
  },
};

export const imageFiles: View = {
  doc: 'The files of an image, of one of its layers or of all, each with the later layer that hides it.',
  arg: 'host, image, layer?',
  columns: columns(`
    layer [count]: 0 is the bottom
    path: from the root
    kind: file, dir, link, whiteout, …
    size [bytes]: of a file
    mode: permission bits in octal
    owner: uid:gid
    target: where a symbolic link leads
    change: added, changed or deleted against the layers below
    hiddenBy [count]: the later layer that overwrites or deletes it, or none
    how: overwritten, deleted, or empty
  `),
  rows: (world, arg) => {
    const story = storyOf(world, arg);
    const wanted = arg.layer === undefined || arg.layer === null ? null : Number(arg.layer);
    if (!story) return [];
    return story.layers.filter((_, i) => wanted === null || i === wanted).flat().slice(0, MOST_FILES).map((f): ImageFileRow => ({
      key: `${f.layer}:${f.path}`, layer: f.layer, path: f.path, kind: f.change === 'deleted' ? 'whiteout' : f.inode.kind, size: f.size, mode: f.inode.mode.toString(8).padStart(4, '0'),
      owner: `${f.inode.uid}:${f.inode.gid}`, target: f.inode.kind === 'link' ? String(f.inode.data) : '', change: f.change, hiddenBy: f.hiddenBy, how: f.how,
    }));
  },
};

export const imageWaste: View = {
  doc: 'Paths of an image that are in more than one layer, the most bytes first.',
  arg: 'host, image',
  columns: columns(`
    path: from the root
    count [count]: layers that have it or delete it
    total [bytes]: of every copy
    wasted [bytes]: of copies that no container of the image can see
    layers: which, from 0
    deleted: the last of them deletes it
  `),
  rows: (world, arg) => {
    const story = storyOf(world, arg);
    if (!story) return [];
    const rows = [...story.sizes].filter(([, every]) => every.length > 1).map(([path, every]): ImageWasteRow => {
      const last = every.at(-1)!;
      const total = every.reduce((n, s) => n + s.size, 0);
      return { key: path, path, count: every.length, total, wasted: total - last.size, layers: every.map((s) => s.layer).join(' '), deleted: last.deletes };
    });
    return rows.sort((a, b) => b.total - a.total || (a.path < b.path ? -1 : 1)).slice(0, MOST_PATHS);
  },
};
