/**
 * POST /build: the stages of a Dockerfile one step after another, told as BuildKit's plain progress tells it (version=2) or
 * as the classic builder does. Source: moby builder, buildkit util/progress; the recordings.
 */
import { nowNs } from '../../../lib/clock.ts';
import { beginStream, type Call, endStream, type Exchange, writeChunk } from '../../../lib/http.ts';
import { parseReference } from '../../oci.ts';
import { findImage } from '../../store.ts';
import { readTar, TarError } from '../../tar.ts';
import { BadDockerfile, excerpt, type Instruction, parseDockerfile, substitute } from './dockerfile.ts';
import { type Built, builtFrom, type Context, imageOf, type Outcome, passing, RunFailed, scratch, step } from './buildsteps.ts';
import { tagImage, unreachable } from './imageapi.ts';
import { type Any, type Daemon, Refused } from './state.ts';

interface Build {
  daemon: Daemon;
  x: Exchange;
  context: Context;
  name: string;
  source: Uint8Array;
  tags: string[];
  /** Number of the next line of BuildKit's progress. */
  n: number;
}

interface Stage {
  from: Instruction;
  name: string;
  image: string;
  steps: Instruction[];
}

/** Ends a build: what BuildKit prints before its last line, and that line. */
class Failed extends Error {
  readonly before: string;
  readonly code: number;
  constructor(message: string, before = '', code = 1) {
    super(message);
    this.before = before;
    this.code = code;
  }
}

const say = (b: Build, text: string): Call<void> => writeChunk(b.x, `${JSON.stringify({ stream: text })}\n`);

export function* serveBuild(daemon: Daemon, x: Exchange): Call<void> {
  const q = x.query;
  const classic = q.version !== '2';
  let entries: Context['entries'];
  try {
    entries = readTar(x.data);
  } catch (error) {
    if (error instanceof TarError) throw new Refused(400, error.message);
    throw error;
  }
  const name = q.dockerfile || 'Dockerfile';
  const file = entries.find((e) => e.name === name.replace(/^\.\//, ''));
  const context: Context = { entries, stages: new Map(), buildArgs: JSON.parse(q.buildargs || '{}') as Record<string, string>, classic };
  const b: Build = {
    daemon,
    x,
    context,
    name: name.split('/').pop()!,
    source: file?.data ?? new Uint8Array(0),
    tags: (q.t ?? '').split(',').filter((t) => t !== ''),
    n: 1,
  };
  if (q.nocache === '1') daemon.cache.clear();
  if (classic) yield* classicBuild(b, file !== undefined);
  else yield* plainBuild(b, file !== undefined, q.target ?? '');
}

/** FROM begins a stage; what comes before the first is only ARG. Throws Failed. */
function stagesOf(b: Build, all: readonly Instruction[]): Stage[] {
  const stages: Stage[] = [];
  const args = new Map<string, string>();
  for (const one of all) {
    if (one.word === 'FROM') {
      const m = /^(?:--platform=\S+\s+)?(\S+)(?:\s+[aA][sS]\s+(\S+))?$/.exec(substitute(one.rest, args));
      if (!m) throw new BadDockerfile(`dockerfile parse error on line ${one.from}: FROM requires either one or three arguments`, one.from);
      stages.push({ from: one, name: m[2] ?? '', image: m[1]!, steps: [] });
    } else if (stages.length > 0) stages.at(-1)!.steps.push(one);
    else if (one.word === 'ARG')
      args.set(one.rest.split('=')[0]!, b.context.buildArgs[one.rest.split('=')[0]!] ?? one.rest.split('=').slice(1).join('='));
    else throw new BadDockerfile('no build stage in current context', one.from);
  }
  return stages;
}

const shownImage = (image: string): string => {
  const r = parseReference(image);
  if ('error' in r) return image;
  const full = /^[^/]*[.:][^/]*\//.test(r.name) ? r.name : r.name.includes('/') ? `docker.io/${r.name}` : `docker.io/library/${r.name}`;
  return `${full}:${r.tag}`;
};

const LAYERING = new Set(['RUN', 'COPY', 'ADD', 'WORKDIR']);

function* plainBuild(b: Build, there: boolean, target: string): Call<void> {
  yield* beginStream(b.x, 200, { 'Content-Type': 'application/json' });
  try {
    yield* say(b, '#0 building with "default" instance using docker driver\n');
    yield* vertex(b, `[internal] load build definition from ${b.name}`, [
      `transferring dockerfile: ${there ? b.source.length + 27 + b.name.length : 2}B 0.0s done`,
    ]);
    if (!there) throw new Failed(`failed to solve: failed to read dockerfile: open ${b.name}: no such file or directory`);
    yield* plainStages(b, target);
  } catch (error) {
    const failed = failure(b, error);
    yield* writeChunk(
      b.x,
      `${JSON.stringify({ stream: failed.before, error: failed.message, errorDetail: { code: failed.code, message: failed.message } })}\n`,
    );
  }
  yield* endStream(b.x);
}

function failure(b: Build, error: unknown): Failed {
  if (error instanceof Failed) return error;
  if (error instanceof BadDockerfile) {
    if (error.line === 0) return new Failed('failed to solve: the Dockerfile cannot be empty');
    return new Failed(`failed to solve: ${error.message}`, excerpt(b.source, b.name, error.line, error.line));
  }
  if (error instanceof Refused) return new Failed(`failed to solve: ${error.message}`);
  throw error;
}

/** One line of progress with its number, its notes, and DONE. */
function* vertex(b: Build, title: string, notes: readonly string[], end = 'DONE 0.0s'): Call<void> {
  const n = b.n++;
  yield* say(b, `\n#${n} ${title}\n${notes.map((note) => `#${n} ${note}\n`).join('')}#${n} ${end}\n`);
}

function* plainStages(b: Build, target: string): Call<void> {
  const { daemon, context } = b;
  const all = stagesOf(b, parseDockerfile(b.source, b.name));
  const last = target === '' ? all.length - 1 : all.findIndex((s) => s.name === target || String(all.indexOf(s)) === target);
  if (last < 0) throw new Failed(`failed to solve: target stage "${target}" could not be found`);
  const stages = all.slice(0, last + 1);
  for (const s of stages) if (isOutside(stages, s)) yield* metadata(b, s);
  yield* vertex(b, '[internal] load .dockerignore', ['transferring context: 2B 0.0s done']);
  let told = false;
  let built = scratch();
  for (const [i, s] of stages.entries()) {
    built = yield* plainStage(b, stages, i, function* () {
      if (told) return;
      told = true;
      yield* vertex(b, '[internal] load build context', [
        `transferring context: ${context.entries.reduce((n, e) => n + e.data.length, 0)}B 0.0s done`,
      ]);
    });
    context.stages.set(String(i), built);
    if (s.name) context.stages.set(s.name, built);
  }
  const id = yield* imageOf(daemon, built);
  yield* sweep(daemon, built, id);
  for (const t of b.tags) yield* tagImage(daemon, daemon.store.images.get(id)!, t, '');
  const layered = stages.at(-1)!.steps.some((one) => LAYERING.has(one.word));
  yield* vertex(b, 'exporting to image', [
    ...(layered ? ['exporting layers', 'exporting layers 0.0s done'] : []),
    `writing image ${id} done`,
    ...b.tags.map((t) => `naming to ${shownImage(t).replace(/:latest$/, '')} 0.0s done`),
  ]);
  yield* writeChunk(b.x, `${JSON.stringify({ aux: { ID: id } })}\n`);
}

const isOutside = (stages: readonly Stage[], s: Stage): boolean => s.image !== 'scratch' && !stages.some((o) => o.name === s.image);

function* metadata(b: Build, s: Stage): Call<void> {
  const title = `[internal] load metadata for ${shownImage(s.image)}`;
  if (findImage(b.daemon.store, s.image)) {
    yield* vertex(b, title, []);
    return;
  }
  const r = parseReference(s.image);
  if ('error' in r) throw new BadDockerfile(`failed to parse stage name ${JSON.stringify(s.image)}: ${r.error}`, s.from.from);
  const path = r.name.includes('/') ? r.name : `library/${r.name}`;
  const url = `https://registry-1.docker.io/v2/${path}/manifests/${r.tag}`;
  const why = `failed to do request: ${(yield* unreachable(url)).replace(/^Get/, 'Head')}`;
  yield* say(b, `\n#${b.n} ${title}\n#${b.n++} ERROR: ${why}\n`);
  throw new Failed(
    `failed to solve: ${s.image}: failed to resolve source metadata for ${shownImage(s.image)}: ${why}`,
    `------\n > ${title}:\n------\n${excerpt(b.source, b.name, s.from.from, s.from.to)}`,
  );
}

/** The images made on the way go; their layers stay with the last. */
function* sweep(daemon: Daemon, built: Built, id: string): Call<void> {
  for (const image of [...daemon.store.images.values()]) {
    if (image.id === id || image.tags.length > 0 || !daemon.cache.has(`image ${image.id}`)) continue;
    daemon.store.images.delete(image.id);
  }
  built.image = id;
}

function* plainStage(b: Build, stages: readonly Stage[], index: number, loadContext: () => Call<void>): Call<Built> {
  const s = stages[index]!;
  const { daemon, context } = b;
  const label = stages.length > 1 ? `${s.name || `stage-${index}`} ` : '';
  const base = s.image !== 'scratch';
  const total = s.steps.filter((one) => LAYERING.has(one.word)).length + (base ? 1 : 0);
  let at = base ? 1 : 0;
  let built = base ? (context.stages.get(s.image) ?? (yield* builtFrom(daemon, findImage(daemon.store, s.image)!))) : scratch();
  built = { ...built, config: withPath(built.config), args: new Map() };
  const known = `from ${built.key}`;
  if (base) {
    yield* vertex(
      b,
      `[${label}1/${total}] FROM ${shownImage(s.image)}`,
      [],
      daemon.cache.has(known) && !(yield* nextIsCached(b, built, s.steps)) ? 'CACHED' : 'DONE 0.0s',
    );
    daemon.cache.set(known, { built: null, size: 0, used: 0, made: yield* nowNs() });
  }
  if (s.steps.some((one) => /^(COPY|ADD)$/.test(one.word) && !/^--from=/.test(one.rest))) yield* loadContext();
  for (const one of s.steps) {
    if (!LAYERING.has(one.word)) {
      built = (yield* step(daemon, context, built, one)).built;
      continue;
    }
    built = yield* plainStep(b, built, one, `[${label}${++at}/${total}] ${one.word} ${shownStep(built, one)}`);
  }
  return built;
}

/** BuildKit gives an image without PATH the usual one. */
function withPath(config: Built['config']): Built['config'] {
  const env: string[] = config.Env ?? [];
  return env.some((e) => e.startsWith('PATH='))
    ? config
    : { ...config, Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env] };
}

/** RUN shows its command as BuildKit does, variables of ARG put in. */
function shownStep(built: Built, one: Instruction): string {
  return one.word === 'RUN' ? substitute(one.rest, built.args) : one.rest;
}

/** Whether the first step after FROM that makes a layer was made before. */
function* nextIsCached(b: Build, from: Built, steps: readonly Instruction[]): Call<boolean> {
  let built = from;
  try {
    for (const one of steps) {
      const outcome = yield* step(b.daemon, { ...b.context, asking: true }, built, one);
      if (LAYERING.has(one.word)) return outcome.cached;
      built = outcome.built;
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return false;
  }
  return true;
}

function* plainStep(b: Build, built: Built, one: Instruction, title: string): Call<Built> {
  const n = b.n;
  let outcome: Outcome;
  try {
    outcome = yield* step(b.daemon, b.context, built, one);
  } catch (error) {
    const where = excerpt(b.source, b.name, one.from, one.to);
    if (error instanceof RunFailed) {
      const lines = error.output.split('\n').filter((l) => l.trim() !== '');
      yield* say(
        b,
        `\n#${n} ${title}\n${lines.map((l) => `#${n} 0.100 ${l.replace(/\r$/, '')}\n`).join('')}#${n} ERROR: ${error.message}\n`,
      );
      throw new Failed(
        `failed to solve: ${error.message}`,
        `------\n > ${title}:\n${lines.map((l) => `0.100 ${l.replace(/\r$/, '')}\n`).join('')}------\n${where}`,
      );
    }
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    const why = `failed to calculate checksum of ref ${b.daemon.id}::${refOf(built.key)}: ${error.message}`;
    yield* say(b, `\n#${n} ${title}\n#${n} ERROR: ${why}\n`);
    throw new Failed(`failed to solve: failed to compute cache key: ${why}`, `------\n > ${title}:\n------\n${where}`);
  }
  const lines = outcome.output
    .split('\n')
    .map((l) => l.replace(/\r$/, ''))
    .filter((l) => l !== '');
  yield* vertex(
    b,
    title,
    lines.map((l) => `0.100 ${l}`),
    outcome.cached ? 'CACHED' : 'DONE 0.0s',
  );
  return outcome.built;
}

/** 25 letters and digits, as BuildKit names things. */
function refOf(key: string): string {
  return [...key.replace(/^sha256:/, '')].slice(0, 25).join('').padEnd(25, '0');
}

function* classicBuild(b: Build, there: boolean): Call<void> {
  let all: Instruction[];
  let stages: Stage[];
  try {
    if (!there) throw new Refused(500, `Cannot locate specified Dockerfile: ${b.name}`);
    all = parseDockerfile(b.source, b.name);
    stages = stagesOf(b, all);
  } catch (error) {
    if (error instanceof BadDockerfile)
      throw new Refused(400, error.line === 0 ? `the Dockerfile (${b.name}) cannot be empty` : error.message);
    throw error;
  }
  yield* beginStream(b.x, 200, { 'Content-Type': 'application/json' });
  try {
    yield* classicStages(b, stages, all.filter((one) => one.word !== 'ARG' || stages.some((s) => s.steps.includes(one))).length);
  } catch (error) {
    if (!(error instanceof Failed) && !(error instanceof Refused)) throw error;
    yield* writeChunk(
      b.x,
      `${JSON.stringify({ error: error.message, errorDetail: { code: error instanceof Failed ? error.code : 1, message: error.message } })}\n`,
    );
  }
  yield* endStream(b.x);
}

const short = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);

function* classicStages(b: Build, stages: readonly Stage[], total: number): Call<void> {
  const { daemon, context } = b;
  let n = 1;
  let built = scratch();
  for (const [i, s] of stages.entries()) {
    yield* say(b, `Step ${n++}/${total} : FROM ${s.from.rest}\n`);
    const stage = context.stages.get(s.image);
    const image = findImage(daemon.store, s.image);
    if (s.image !== 'scratch' && !stage && !image) throw new Failed(yield* unreachable('https://registry-1.docker.io/v2/'));
    built = { ...(s.image === 'scratch' ? { ...scratch(), config: {} } : (stage ?? (yield* builtFrom(daemon, image!)))), args: new Map() };
    yield* say(b, ` ---> ${short(built.image)}\n`);
    for (const one of s.steps) {
      yield* say(b, `Step ${n++}/${total} : ${one.word} ${one.rest}\n`);
      built = yield* classicStep(b, built, one);
    }
    context.stages.set(String(i), built);
    if (s.name) context.stages.set(s.name, built);
  }
  if (built.image === '') throw new Failed('No image was generated. Is your Dockerfile empty?');
  yield* writeChunk(b.x, `${JSON.stringify({ aux: { ID: built.image } })}\n`);
  yield* say(b, `Successfully built ${short(built.image)}\n`);
  for (const t of b.tags) {
    yield* tagImage(daemon, daemon.store.images.get(built.image)!, t, '');
    yield* say(b, `Successfully tagged ${t.includes(':') ? t : `${t}:latest`}\n`);
  }
}

function* classicStep(b: Build, before: Built, one: Instruction): Call<Built> {
  const { daemon } = b;
  let outcome: Outcome;
  try {
    outcome = yield* step(daemon, b.context, before, one);
  } catch (error) {
    if (error instanceof RunFailed) {
      yield* say(b, ` ---> Running in ${short((error as Any).container)}\n${error.output.replaceAll('\r', '')}`);
      throw new Failed(`The command '${error.command.join(' ')}' returned a non-zero code: ${error.code}`, '', error.code);
    }
    if (error instanceof Refused && error.status === 404)
      throw new Failed(
        `${one.word} failed: file not found in build context or excluded by .dockerignore: stat ${error.message.replace(/^"\/(.*)": not found$/, '$1')}: file does not exist`,
      );
    throw error;
  }
  const { built } = outcome;
  if (outcome.cached && daemon.store.images.has(built.image)) {
    yield* say(b, ` ---> Using cache\n ---> ${short(built.image)}\n`);
    return built;
  }
  const plain = !/^(COPY|ADD)$/.test(one.word);
  const container = outcome.container || (plain && before.image !== '' ? yield* passing(daemon, before.image) : '');
  if (plain && container !== '') yield* say(b, ` ---> Running in ${short(container)}\n${outcome.output.replaceAll('\r', '')}`);
  built.image = yield* imageOf(daemon, built, before.image ? { parent: before.image } : {});
  if (plain && container !== '') yield* say(b, ` ---> Removed intermediate container ${short(container)}\n`);
  yield* say(b, ` ---> ${short(built.image)}\n`);
  return built;
}
