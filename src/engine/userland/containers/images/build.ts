/**
 * Builds the lab's own images from their Dockerfiles, without a machine: the same instructions as `docker build` has, but
 * for RUN, which these files do without. Every layer is a real tar, every digest true.
 */
import type { ImageConfig } from '../oci.ts';
import { entry, type TarEntry, writeTar } from '../tar.ts';
import { configure, type Scope, workdir } from '../docker/daemon/buildconfig.ts';
import { copyEntries, copyWords, type Source, sourcesIn } from '../docker/daemon/buildcopy.ts';
import { type Built, copyOf, filesOf, finishStep, follow, scratch } from '../docker/daemon/buildstate.ts';
import { flagOf, type Instruction, parseDockerfile } from '../docker/daemon/dockerfile.ts';
import { bytes } from '../../../sim/text.ts';
import { type Recipe, RECIPES } from './dockerfiles.ts';

export const CREATED = '2025-11-18T20:26:41Z';
const SCOPE: Scope = { buildArgs: {}, globals: new Map(), classic: false, escape: '\\' };

const made = new Map<string, Built>();

/** The image of a recipe's name. */
export function builtOf(name: string): Built {
  const known = made.get(name);
  if (known) return known;
  const built = run(RECIPES[name]!);
  made.set(name, built);
  return built;
}

function run(recipe: Recipe): Built {
  const context = recipe.context();
  let built = scratch();
  for (const one of parseDockerfile(bytes(recipe.dockerfile), 'Dockerfile')) {
    if (one.word !== 'FROM') step(built, one, context);
    else if (one.rest !== 'scratch') built = { ...copyOf(builtOf(one.rest)), args: new Map() };
  }
  return built;
}

function step(built: Built, one: Instruction, context: readonly TarEntry[]): void {
  if (one.word === 'RUN') throw new Error(`RUN needs a machine: ${one.rest}`);
  if (one.word === 'COPY' || one.word === 'ADD') {
    const all = copyWords(SCOPE, built, one);
    const copied = copyEntries(SCOPE, built, one, all, named(one, all, context));
    finishStep(built, copied.by, writeTar(copied.entries), CREATED, false);
  } else if (one.word === 'WORKDIR') {
    const path = workdir(SCOPE, built, one);
    const there = filesOf(built).get(follow(filesOf(built), path, true))?.type === 'dir';
    finishStep(built, `WORKDIR ${built.config.WorkingDir}`, writeTar(there ? [] : [entry(path, { type: 'dir', mode: 0o755 })]), CREATED, false);
  } else finishStep(built, configure(SCOPE, built, one), null, CREATED, false);
}

function named(one: Instruction, all: readonly string[], context: readonly TarEntry[]): Map<string, Source[]> {
  const from = flagOf(one, 'from');
  const files = from === undefined ? new Map(context.map((e) => [e.name, e])) : filesOf(builtOf(from));
  return new Map(all.slice(0, -1).map((name) => [name, sourcesIn([...files.values()], files, name)]));
}

export function configOf(built: Built): ImageConfig {
  return { architecture: 'amd64', os: 'linux', created: CREATED, config: built.config, rootfs: { type: 'layers', diff_ids: built.layers.map((l) => l.diffId) }, history: built.history };
}

