/** Writable layers: a directory beside the image's, and the overlay mount over both. Source: containerd snapshots/overlay. */
import { list, mkdirAll, removeAll, statOf } from '../../lib/files.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { sys } from '../../../kernel/sys.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../../kernel/abi.ts';
import type { MountSpec } from '../containerd/api.ts';
import { CONTAINERD, layerDir } from '../store.ts';

const dirOf = (key: string): string => `${CONTAINERD.layers}/active-${key}`;

/** Makes the layer of `key` over an image's chain (bottom first); what to mount. */
export function* prepare(key: string, chain: readonly string[]): Call<MountSpec> {
  const dir = dirOf(key);
  yield* mkdirAll(`${dir}/fs`);
  yield* mkdirAll(`${dir}/work`, 0o711);
  const lower = chain.map((id) => `${layerDir(CONTAINERD, id)}/${CONTAINERD.files}`).reverse().join(':');
  return { type: 'overlay', source: 'overlay', options: [`lowerdir=${lower}`, `upperdir=${dir}/fs`, `workdir=${dir}/work`] };
}

export function* discard(key: string): Call<void> {
  yield* removeAll(dirOf(key));
}

/** Bytes and entries that a container has written. */
export function* usage(key: string): Call<{ bytes: number; inodes: number }> {
  return (yield* statOf(dirOf(key))) ? yield* below(`${dirOf(key)}/fs`) : { bytes: 0, inodes: 0 };
}

function* below(path: string): Call<{ bytes: number; inodes: number }> {
  let bytes = 4096;
  let inodes = 1;
  for (const e of yield* list(path)) {
    const at = `${path}/${e.name}`;
    if (e.type === 'dir') {
      const more = yield* below(at);
      bytes += more.bytes;
      inodes += more.inodes;
    } else {
      const stat = yield* attempt(sys('newfstatat', AT_FDCWD, at, AT_SYMLINK_NOFOLLOW), null);
      bytes += Math.ceil((stat?.size ?? 0) / 4096) * 4096;
      inodes++;
    }
  }
  return { bytes, inodes };
}
