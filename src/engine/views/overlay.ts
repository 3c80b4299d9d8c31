/**
 * Stacks of layers: a container's writable one over those of its image, or an overlay mounted by hand; which name is seen in
 * which layer, what hides what, what was copied up. Source: kernel doc filesystems/overlayfs.rst.
 */
import type { OverlayListRow, OverlayRow } from '../../bridge/rows.ts';
import type { Kernel } from '../kernel/records.ts';
import { mountsSeen } from '../kernel/vfs/latecopy.ts';
import { isOpaque, isWhiteout, treesOf } from '../kernel/vfs/overlaylayers.ts';
import { childrenOf } from '../kernel/vfs/tmpfs.ts';
import type { Dentry, SuperBlock } from '../kernel/vfs/types.ts';
import { type ContainerFile, containerFiles } from './containers.ts';
import { entriesOf, entryAt } from './disk.ts';
import { filesOf, treeOfLayer } from './images.ts';
import { type Arg, columns, kernelsOf, type View } from './view.ts';

const OVERLAY = '/var/lib/docker/overlay2';
const MOST = 500;

interface Layer {
  name: string;
  root: Dentry | null;
}

/** Topmost first: the container's own, its init layer, then the image's. */
function stackOf(kernel: Kernel, file: ContainerFile): Layer[] {
  const { id, chain } = file.layer;
  const own = (dir: string): Dentry | null => entryAt(kernel, `${OVERLAY}/${dir}/diff`);
  return [
    { name: 'container', root: own(id) }, { name: 'init', root: own(`${id}-init`) },
    ...chain.map((c, i) => ({ name: `image ${i + 1}`, root: treeOfLayer(kernel, c) })).reverse(),
  ];
}

interface ByHand { sb: SuperBlock; target: string; upper: string }

/** Overlays that somebody mounted, not those of docker's containers. */
function mountedByHand(kernel: Kernel): ByHand[] {
  const found = new Map<SuperBlock, ByHand>();
  const seen = new Set<unknown>();
  for (const { ns: { mnt } } of kernel.tasks.values()) {
    if (seen.has(mnt)) continue;
    seen.add(mnt);
    for (const mount of mountsSeen(mnt)) {
      if (mount.sb.type !== 'overlay' || found.has(mount.sb)) continue;
      const { upper, lowers } = treesOf(mount.sb);
      const at = placeOf(upper ?? lowers[0]!);
      if (!at.startsWith(OVERLAY.slice(0, -1)) && !at.includes('/containerd/')) found.set(mount.sb, { sb: mount.sb, target: placeOf(mount.at), upper: upper ? at : '' });
    }
  }
  return [...found.values()].sort((a, b) => a.sb.dev - b.sb.dev);
}

function placeOf(entry: Dentry): string {
  let path = '';
  for (let at = entry; at.parent !== at; at = at.parent) path = `/${at.name}${path}`;
  return path || '/';
}

const layersOfMount = ({ sb }: ByHand): Layer[] => {
  const { upper, lowers } = treesOf(sb);
  return [{ name: 'upper', root: upper }, ...lowers.map((root) => ({ name: placeOf(root), root }))];
};

/** Names of a plain directory; of other file systems' directories this view sees none. */
const child = (dir: Dentry | null, name: string): Dentry | null => (dir?.inode.kind === 'dir' && dir.inode.data instanceof Map ? (childrenOf(dir.inode).get(name) ?? null) : null);

function at(root: Dentry | null, path: string): Dentry | null {
  let entry = root;
  for (const part of path.split('/')) if (part !== '') entry = child(entry, part);
  return entry;
}

/** What each layer has under a path, as far down as it counts: below a file, a whiteout or an opaque directory on the way nothing does. */
function reached(stack: readonly Layer[], path: string): (Dentry | null)[] {
  const parts = path.split('/').filter(Boolean);
  let open = true;
  return stack.map(({ root }) => {
    if (!open) return null;
    let entry = root;
    for (const [i, part] of parts.entries()) {
      entry = child(entry, part);
      if (!entry) return null;
      if (i < parts.length - 1 && (entry.inode.kind !== 'dir' || isOpaque(entry))) open = false;
      if (i < parts.length - 1 && entry.inode.kind !== 'dir') return null;
    }
    return entry;
  });
}

function rowsOf(stack: readonly Layer[], dir: string | null): OverlayRow[] {
  const inside = (root: Dentry | null, path: string): string[] => entriesOf(at(root, path)).map((entry) => `${path === '/' ? '' : path}/${entry.name}`);
  const paths = dir === null ? [...filesOf(stack[0]!.root, []).map((file) => file.path), ...stack.flatMap(({ root }) => inside(root, '/'))] : stack.flatMap(({ root }) => inside(root, dir));
  return [...new Set(paths)].sort().slice(0, MOST).flatMap((path) => rowsOfPath(stack, path));
}

function rowsOfPath(stack: readonly Layer[], path: string): OverlayRow[] {
  let hidden = false;
  const counted = reached(stack, path);
  const has = stack.map(({ root }) => at(root, path));
  return has.flatMap((entry, layer): OverlayRow[] => {
    if (!entry) return [];
    const gone = isWhiteout(entry.inode);
    const dir = entry.inode.kind === 'dir';
    const opaque = dir && isOpaque(entry);
    const visible = !hidden && !gone && counted[layer] !== null;
    if (!dir || opaque) hidden = true;
    const below = has.slice(layer + 1).some((one) => one !== null && !isWhiteout(one.inode));
    return [{
      key: `${path}:${layer}`, path, layer, layerName: stack[layer]!.name, kind: gone ? 'whiteout' : entry.inode.kind, size: entry.inode.kind === 'file' ? entry.inode.size : 0, visible,
      copiedUp: layer === 0 && !gone && !dir && below, opaque,
    }];
  });
}

function asked(kernel: Kernel, arg: Arg): Layer[] | null {
  const wanted = String(arg.container ?? '');
  if (wanted === '') return null;
  if (wanted.startsWith('mount:')) {
    const mount = mountedByHand(kernel).find((one) => `mount:${one.sb.dev}` === wanted);
    return mount ? layersOfMount(mount) : null;
  }
  const file = containerFiles(kernel).find((one) => one.ID.startsWith(wanted) || one.Name === `/${wanted}`);
  return file ? stackOf(kernel, file) : null;
}

export const overlay: View = {
  doc: "A container's overlay, or one mounted by hand: each name that its writable layer holds and the first level of those below, or all names of one directory, with the layers that have it.",
  arg: 'host, container, dir?',
  columns: columns(`
    path: inside the overlay
    layer [count]: 0 is the writable one, then downwards
    layerName: container, init, image N from the bottom; of a mount by hand the directory
    kind: file, dir, link, whiteout, …
    size [bytes]: of a file
    visible: it is seen from inside
    copiedUp: it lies below too, and was copied or replaced here
    opaque: a directory through which nothing below shows
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    const stack = kernel && asked(kernel, arg);
    return stack ? rowsOf(stack, arg.dir === undefined || arg.dir === null || arg.dir === '' ? null : String(arg.dir)) : [];
  },
};

export const overlays: View = {
  doc: 'Overlay stacks: of containers, running or not, and those mounted by hand. id is what the view overlay takes.',
  arg: 'host?',
  columns: columns(`
    host: machine
    id: container's id, or mount:N
    name: container's name, or where it is mounted
    layers [count]: with the writable one
    upper: the writable directory, or empty
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel): OverlayListRow[] => [
    ...containerFiles(kernel).map((file) => ({ key: `${kernel.name}:${file.ID}`, host: kernel.name, id: file.ID, name: file.Name.slice(1), layers: file.layer.chain.length + 2, upper: `${OVERLAY}/${file.layer.id}/diff` })),
    ...mountedByHand(kernel).map((one) => ({ key: `${kernel.name}:mount:${one.sb.dev}`, host: kernel.name, id: `mount:${one.sb.dev}`, name: one.target, layers: treesOf(one.sb).lowers.length + 1, upper: one.upper })),
  ]),
};
