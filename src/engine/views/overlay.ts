/** A container's stack of layers: its own writable one over those of its image, and which name is seen in which. */
import type { OverlayRow } from '../../bridge/rows.ts';
import type { Kernel } from '../kernel/records.ts';
import type { Dentry } from '../kernel/vfs/types.ts';
import { type ContainerFile, containerFiles } from './containers.ts';
import { entriesOf, entryAt } from './disk.ts';
import { filesOf, treeOfLayer } from './images.ts';
import { columns, kernelsOf, type View } from './view.ts';

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

function at(root: Dentry | null, path: string): Dentry | null {
  let entry = root;
  for (const part of path.split('/').filter(Boolean)) entry = entriesOf(entry).find((e) => e.name === part) ?? null;
  return entry;
}

const isWhiteout = (entry: Dentry): boolean => entry.inode.kind === 'chr' && entry.inode.rdev[0] === 0 && entry.inode.rdev[1] === 0;

/** Names of the container's own layer and the first level of those below, each with every layer that has it. */
function rowsOf(kernel: Kernel, file: ContainerFile): OverlayRow[] {
  const stack = stackOf(kernel, file);
  const own = filesOf(stack[0]!.root, []).map((f) => f.path);
  const top = stack.flatMap((layer) => entriesOf(layer.root).map((e) => `/${e.name}`));
  const paths = [...new Set([...own, ...top])].sort().slice(0, MOST);
  return paths.flatMap((path) => {
    let hidden = false;
    const has = stack.map((layer) => at(layer.root, path));
    return has.flatMap((entry, layer): OverlayRow[] => {
      if (!entry) return [];
      const gone = isWhiteout(entry);
      const dir = entry.inode.kind === 'dir';
      const visible = !hidden && !gone;
      if (!dir || gone) hidden = true;
      const below = has.slice(layer + 1).some((e) => e !== null && !isWhiteout(e));
      return [{
        key: `${path}:${layer}`, path, layer, layerName: stack[layer]!.name, kind: gone ? 'whiteout' : entry.inode.kind, size: entry.inode.kind === 'file' ? entry.inode.size : 0, visible,
        copiedUp: layer === 0 && !gone && !dir && below,
      }];
    });
  });
}

export const overlay: View = {
  doc: "A container's overlay: each name that its own layer holds, and the first level of its image, with the layers that have it.",
  arg: 'host, container',
  columns: columns(`
    path: inside the container
    layer [count]: 0 is the container's own, then downwards
    layerName: container, init, image N from the bottom
    kind: file, dir, link, whiteout, …
    size [bytes]: of a file
    visible: the container sees this one
    copiedUp: it lies below too, and was copied or replaced here
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    const wanted = String(arg.container ?? '');
    const file = kernel && wanted !== '' ? containerFiles(kernel).find((c) => c.ID.startsWith(wanted) || c.Name === `/${wanted}`) : undefined;
    return kernel && file ? rowsOf(kernel, file) : [];
  },
};
