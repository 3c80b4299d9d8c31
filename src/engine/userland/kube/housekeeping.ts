/** What the kubelet does now and then: logs that have grown too large are turned over, images are collected when the disk is nearly full. Source: container_log_manager.go, image_gc_manager.go 1.32. */
import { AT_FDCWD } from '../../kernel/abi.ts';
import { wholeOf } from '../../cluster/types/quantity.ts';
import { sys } from '../../kernel/sys.ts';
import { SECOND } from '../../sim/units.ts';
import { attempt, list, removeAll, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { cri } from './cri.ts';
import { collectImages } from './eviction.ts';
import type { Held, Kubelet } from './node.ts';

const LOGS = 10 * SECOND;
/** Images are looked at every five minutes, and go when the disk is fuller than this. */
const IMAGES = 30;
const HIGH = 0.85;

export function* housekeeping(k: Kubelet): Call<never> {
  for (let turn = 1; ; turn++) {
    yield* sys('nanosleep', LOGS);
    for (const held of [...k.pods.values()]) yield* rotate(k, held);
    if (turn % IMAGES !== 0) continue;
    const disk = yield* attempt(sys('statfs', '/var/lib/kubelet'), null);
    if (disk && disk.bavail < disk.blocks * (1 - HIGH)) yield* collectImages(k);
  }
}

/** 0.log becomes 0.log.20260115-090000; the runtime opens a new one. */
function* rotate(k: Kubelet, held: Held): Call<void> {
  const most = wholeOf(k.config.containerLogMaxSize);
  for (const [name, { current }] of held.logs) {
    const stat = yield* statOf(current);
    const id = held.ids.get(name);
    if (!stat || stat.size <= most || id === undefined || k.states.get(id) !== 'CONTAINER_RUNNING') continue;
    const now = Math.floor((yield* sys('clock_gettime', 'realtime')) / 1e9);
    yield* attempt(sys('renameat2', AT_FDCWD, current, AT_FDCWD, `${current}.${now}`, 0), 0);
    yield* cri('ReopenContainerLog', { containerId: id });
    const dir = current.slice(0, current.lastIndexOf('/'));
    const base = current.slice(dir.length + 1);
    const old = (yield* list(dir)).map((e) => e.name).filter((n) => n.startsWith(`${base}.`)).sort();
    for (const one of old.slice(0, Math.max(0, old.length - (k.config.containerLogMaxFiles - 1)))) yield* removeAll(`${dir}/${one}`);
  }
}
