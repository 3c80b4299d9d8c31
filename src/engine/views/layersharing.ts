/** The image store as a matrix: every image and every layer it stands on, so that a layer that several images share is one column. */
import type { LayerSharingRow } from '../../bridge/rows.ts';
import type { Kernel } from '../kernel/records.ts';
import { imagesOf, layerSize } from './images.ts';
import { columns, kernelsOf, type View } from './view.ts';

export const layerSharing: View = {
  doc: 'A row an image and layer of it, bottom first; a layer is the same for two images when its chain id is.',
  arg: 'host?',
  columns: columns(`
    host: machine
    image: sha256 of the image's configuration
    tag: its first tag, or empty
    index [count]: 0 is the bottom
    chainId: sha256 over the layer and all below it
    diffId: sha256 of its tar
    size [bytes]: of its files
    images [count]: images that have this layer
    createdBy: what made it
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap(rowsOf),
};

function rowsOf(kernel: Kernel): LayerSharingRow[] {
  const images = imagesOf(kernel);
  const times = new Map<string, number>();
  for (const image of images) for (const chain of new Set(image.chain)) times.set(chain, (times.get(chain) ?? 0) + 1);
  return images.flatMap((image) => {
    const made = image.config.history.filter((entry) => !entry.empty_layer);
    return image.chain.map((chainId, index): LayerSharingRow => ({
      key: `${kernel.name}:${image.id}:${index}`, host: kernel.name, image: image.id, tag: image.tags[0] ?? '', index, chainId, diffId: image.config.rootfs.diff_ids[index]!,
      size: layerSize(kernel, chainId), images: times.get(chainId) ?? 1, createdBy: made[index]?.created_by ?? '',
    }));
  });
}
