/** The images that the lab offers without a network, by name: built once a process from the Dockerfiles under images/. */
import { digestOf, parseReference, type ReadImage } from './oci.ts';
import { builtOf, configOf } from './images/build.ts';
import { RECIPES } from './images/dockerfiles.ts';
import { readTar, type TarEntry } from './tar.ts';

export { APPLETS } from './images/rootfs.ts';

/** An image with its layers' entries at hand, so that no tar needs to be read to lay it on disk. */
export interface BuiltImage extends ReadImage {
  entries: TarEntry[][];
}

const built = new Map<string, BuiltImage>();

/** Names of the images that can be had offline. */
export function offlineImages(): string[] {
  return Object.keys(RECIPES);
}

/** The offline image of this name (with or without a tag it has), or null. */
export function buildImage(reference: string): BuiltImage | null {
  const parsed = parseReference(reference);
  if ('error' in parsed) return null;
  const recipe = Object.hasOwn(RECIPES, parsed.name) ? RECIPES[parsed.name] : undefined;
  if (!recipe || (parsed.tag !== 'latest' && !recipe.tags.includes(`${parsed.name}:${parsed.tag}`))) return null;
  const known = built.get(parsed.name) ?? made(parsed.name, recipe.tags);
  built.set(parsed.name, known);
  return known;
}

const entries = new Map<string, TarEntry[]>();

function made(name: string, tags: readonly string[]): BuiltImage {
  const image = builtOf(name);
  const config = configOf(image);
  const configText = JSON.stringify(config);
  const of = image.layers.map((l) => {
    const known = entries.get(l.diffId) ?? readTar(l.tar);
    entries.set(l.diffId, known);
    return known;
  });
  return { id: digestOf(configText), configText, config, tags: [...tags], layers: image.layers.map((l) => l.tar), entries: of };
}
