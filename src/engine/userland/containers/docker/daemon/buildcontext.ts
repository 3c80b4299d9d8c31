/** What the steps of one build share: the context's files, stages done so far, secrets; and an image as the ground to build on. */
import type { Call } from '../../../lib/http.ts';
import { layerTar, type StoredImage } from '../../store.ts';
import type { TarEntry } from '../../tar.ts';
import type { Scope } from './buildconfig.ts';
import type { Built } from './buildstate.ts';
import type { Daemon } from './state.ts';

export interface Context extends Scope {
  entries: TarEntry[];
  stages: Map<string, Built>;
  secrets: Readonly<Record<string, string>>;
  /** Nothing that was remembered is taken. */
  noCache: boolean;
  /** Only asks what is remembered: nothing is run or kept. */
  asking?: true;
  /** Takes what RUN writes as it comes. */
  log(data: string): Call<void>;
}

export function* builtFrom(daemon: Daemon, image: StoredImage): Call<Built> {
  const layers: Built['layers'] = [];
  for (const [i, id] of image.chain.entries()) layers.push({ tar: yield* layerTar(daemon.store, id), diffId: image.config.rootfs.diff_ids[i]! });
  return { config: { ...image.config.config }, layers, history: image.config.history.slice(), key: image.id, image: image.id, args: new Map() };
}
