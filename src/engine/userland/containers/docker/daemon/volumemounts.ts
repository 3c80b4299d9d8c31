/**
 * Volumes of the local driver that have options: what they name is mounted at their place while a container that uses them runs.
 * Source: moby volume/local/local_unix.go (mount, unmount), moby/sys mount.mountError.
 */
import { MNT_DETACH, SysError } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { attempt } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { mountOptions } from '../../runc/rootfs.ts';
import { type Container, type Daemon, Refused, type Volume } from './state.ts';

/** Has it anything to be mounted? */
const needsMount = (volume: Volume | undefined): volume is Volume => volume?.Options?.type !== undefined;

/** Throws Refused with the words of moby's mount errors. */
function* mountVolume(volume: Volume, what = ''): Call<void> {
  const { type = '', device = '', o = '' } = volume.Options ?? {};
  const { flags, propagation, data } = mountOptions(o.split(',').filter((word) => word !== ''));
  try {
    yield* sys('mount', device, volume.Mountpoint, type, flags, data);
    for (const how of propagation) yield* sys('mount', '', volume.Mountpoint, '', how, '');
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const details = `${flags ? `, flags: 0x${flags.toString(16)}` : ''}${data ? `, data: ${data}` : ''}`;
    throw new Refused(500, `${what}error while mounting volume '${volume.Mountpoint}': failed to mount local volume: mount ${device}:${volume.Mountpoint}${details}: ${error.message.toLowerCase()}`);
  }
}

const unmount = (volume: Volume): Call<unknown> => attempt(sys('umount2', volume.Mountpoint, MNT_DETACH), 0);

/** The volumes that this container and no other running one has mounted. */
function ownVolumes(daemon: Daemon, c: Container): Volume[] {
  const others = [...daemon.containers.values()].filter((one) => one !== c && one.State.Running);
  const names = new Set(c.MountPoints.filter((m) => m.Type === 'volume').map((m) => m.Name!));
  return [...names].map((name) => daemon.volumes.get(name)).filter(needsMount).filter(({ Name }) => !others.some((one) => one.MountPoints.some((m) => m.Name === Name)));
}

/** Before a container starts. */
export function* mountVolumes(daemon: Daemon, c: Container): Call<void> {
  const done: Volume[] = [];
  try {
    for (const volume of ownVolumes(daemon, c)) {
      yield* mountVolume(volume);
      done.push(volume);
    }
  } catch (error) {
    for (const volume of done) yield* unmount(volume);
    throw error;
  }
}

/** After it has ended. */
export function* unmountVolumes(daemon: Daemon, c: Container): Call<void> {
  for (const volume of ownVolumes(daemon, c)) yield* unmount(volume);
}

/** A call while the volume is mounted: an image's files go into it. */
export function* populating(volume: Volume, call: () => Call<void>): Call<void> {
  if (!needsMount(volume)) return yield* call();
  yield* mountVolume(volume, 'failed to populate volume: ');
  yield* call();
  yield* unmount(volume);
}
