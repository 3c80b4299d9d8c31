/**
 * POST /build: the stages of a Dockerfile one step after another, told as BuildKit's vertices (version=2) or as the classic
 * builder does. Only stages that the target needs are built. Source: moby builder, buildkit frontend/dockerfile, util/progress.
 */
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { beginStream, type Call, endStream, type Exchange } from '../../../lib/http.ts';
import { parseReference } from '../../oci.ts';
import { addImage, dropImage, findImage } from '../../store.ts';
import { readTar, TarError } from '../../tar.ts';
import { configure, type Scope, workdir } from './buildconfig.ts';
import { mountsOf } from './buildmounts.ts';
import { builtFrom, type Context } from './buildcontext.ts';
import { copyWords, heredocOf } from './buildcopy.ts';
import { classicBuild } from './buildclassic.ts';
import { type Build, Failed, baseOf, fromsOf, needed, object, type Stage, stageNamed, stagesOf, tell, triggersOf } from './buildplan.ts';
import { type Built, copyOf, environment, scratch, USUAL_PATH } from './buildstate.ts';
import { imageOf, type Outcome, RunFailed, step } from './buildsteps.ts';
import { BadDockerfile, excerpt, flagOf, type Instruction, parse } from './dockerfile.ts';
import { BadWord, expand, fillShown } from './expand.ts';
import { tagImage, unreachable } from './imageapi.ts';
import { offline } from './registry.ts';
import { type Daemon, Refused } from './state.ts';

const PLATFORM: readonly (readonly [string, string])[] = ['TARGET', 'BUILD'].flatMap((k) => [[`${k}PLATFORM`, 'linux/amd64'], [`${k}OS`, 'linux'], [`${k}ARCH`, 'amd64'], [`${k}VARIANT`, '']] as const);

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
  const file = entries.find((e) => e.name === name.replace(/^(\.?\/)+/, '') && e.type === 'file');
  const hidden = q.hidden === '1';
  const context: Context = {
    entries: hidden ? entries.filter((e) => e !== file) : entries, stages: new Map(), buildArgs: object(q.buildargs), globals: new Map(PLATFORM), classic, escape: '\\', secrets: object(q.secrets), noCache: q.nocache === '1', log: function* () { yield* []; },
  };
  const b: Build = {
    daemon, x, context, name: name.split('/').pop()!, source: file?.data ?? new Uint8Array(0), there: file !== undefined, tags: (q.t ?? '').split(',').filter((t) => t !== ''), target: q.target ?? '', labels: object(q.labels), n: 1, open: null, told: new Set(), contextTold: false,
  };
  if (classic) yield* classicBuild(b);
  else yield* plainBuild(b, q.remote === '1');
}

const shownImage = (image: string): string => {
  const r = parseReference(image);
  if ('error' in r) return image;
  const full = /^[^/]*[.:][^/]*\//.test(r.name) || r.name.startsWith('localhost/') ? r.name : r.name.includes('/') ? `docker.io/${r.name}` : `docker.io/library/${r.name}`;
  return `${full}${r.tag ? `:${r.tag}` : ''}${r.digest ? `@${r.digest}` : ''}`;
};

const LAYERING = new Set(['RUN', 'COPY', 'ADD', 'WORKDIR']);

function* plainBuild(b: Build, remote: boolean): Call<void> {
  yield* beginStream(b.x, 200, { 'Content-Type': 'application/json' });
  try {
    if (remote) {
      yield* vertex(b, '[internal] load remote build context', []);
      yield* vertex(b, 'copy /context /', []);
    } else yield* vertex(b, `[internal] load build definition from ${b.name}`, [`transferring dockerfile: ${b.there ? b.source.length + 27 + b.name.length : 2}B`]);
    if (!b.there) throw new Failed(`failed to solve: failed to read dockerfile: open ${b.name}: no such file or directory`);
    yield* plainStages(b, remote);
  } catch (error) {
    const failed = failure(b, error);
    if (b.open) yield* close(b, { error: failed.message.replace(/^failed to solve: /, '') });
    yield* tell(b, { before: failed.before, error: failed.message, errorDetail: { code: failed.code, message: failed.message } });
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

function* begin(b: Build, name: string): Call<void> {
  b.open = { n: b.n++, from: yield* nowNs() };
  yield* tell(b, { vertex: { n: b.open.n, name } });
}

const note = (b: Build, text: string, done = true): Call<void> => tell(b, { note: { n: b.open!.n, text, done } });

function* close(b: Build, end: { cached?: true; error?: string } = {}): Call<void> {
  const { n, from } = b.open!;
  b.open = null;
  yield* tell(b, { end: { n, took: ((yield* nowNs()) - from) / 1e9, ...end } });
}

/** A vertex that is over at once, with its notes. */
function* vertex(b: Build, name: string, notes: readonly string[], end: { cached?: true; error?: string } = {}): Call<void> {
  yield* begin(b, name);
  for (const one of notes) yield* note(b, one);
  yield* close(b, end);
}

function* plainStages(b: Build, remote: boolean): Call<void> {
  const { daemon, context } = b;
  const parsed = parse(b.source, b.name);
  context.escape = parsed.escape;
  const all = stagesOf(b, parsed.instructions);
  const stages = needed(b, all);
  const images = new Map<string, Instruction>();
  for (const s of stages) {
    if (s.image !== 'scratch' && !baseOf(all, s)) images.set(s.image, images.get(s.image) ?? s.from);
    for (const one of s.steps) for (const f of fromsOf(one)) if (!stageNamed(all, f, s.index)) images.set(f, images.get(f) ?? one);
  }
  for (const [image, one] of images) yield* metadata(b, image, one);
  yield* rehearse(b, all, stages);
  if (!remote) yield* vertex(b, '[internal] load .dockerignore', [`transferring context: ${b.x.query.ignore ?? 2}B`]);
  let built = scratch();
  for (const s of stages) {
    built = yield* plainStage(b, all, s);
    context.stages.set(String(s.index), built);
    if (s.name) context.stages.set(s.name, built);
  }
  if (Object.keys(b.labels).length > 0) built = { ...copyOf(built), config: { ...built.config, Labels: { ...(built.config.Labels ?? {}), ...b.labels } } };
  const id = yield* imageOf(daemon, built);
  yield* sweep(daemon, built, id);
  yield* begin(b, 'exporting to image');
  if (built.layers.length > 0) {
    yield* note(b, 'exporting layers', false);
    yield* note(b, 'exporting layers');
  }
  yield* tell(b, { note: { n: b.open!.n, text: `writing image ${id}`, done: true, plain: true } });
  for (const t of b.tags) {
    yield* tagImage(daemon, daemon.store.images.get(id)!, t, '');
    yield* note(b, `naming to ${shownImage(t).replace(/:latest$/, '')}`);
  }
  yield* close(b);
  yield* tell(b, { aux: { ID: id } });
}

/** Words and values of every instruction, before the first is carried out. Throws BadDockerfile. */
function* rehearse(b: Build, all: readonly Stage[], stages: readonly Stage[]): Call<void> {
  const ends = new Map<number, Built>();
  for (const s of stages) {
    const below = baseOf(all, s);
    const start = below ? ends.get(below.index)! : s.image === 'scratch' ? scratch() : yield* builtFrom(b.daemon, findImage(b.daemon.store, s.image)!);
    const built: Built = { ...copyOf(start), config: withPath(start.config) };
    for (const one of s.steps) {
      if (one.word === 'WORKDIR') workdir(b.context, built, one);
      else if (one.word === 'COPY' || one.word === 'ADD') copyWords(b.context, built, one);
      else if (one.word === 'RUN') mountsOf(b.context, built, one);
      else configure(b.context, built, one);
    }
    ends.set(s.index, built);
  }
}

/** What the image is, from the store or the registry. Throws Failed. */
function* metadata(b: Build, image: string, one: Instruction): Call<void> {
  const r = parseReference(image);
  if ('error' in r) throw new BadDockerfile(`failed to parse stage name ${JSON.stringify(image)}: ${r.error}`, one.from);
  const title = `[internal] load metadata for ${shownImage(image)}`;
  yield* begin(b, title);
  if (!findImage(b.daemon.store, image)) {
    const found = yield* offline(b.daemon, image);
    if (found) yield* addImage(b.daemon.store, { ...found, tags: [found.reference] }, isoNano(yield* nowNs()));
  }
  if (findImage(b.daemon.store, image)) {
    yield* close(b);
    return;
  }
  const path = r.name.includes('/') ? r.name : `library/${r.name}`;
  const why = `failed to do request: ${(yield* unreachable(`https://registry-1.docker.io/v2/${path}/manifests/${r.tag}`)).replace(/^Get/, 'Head')}`;
  yield* close(b, { error: why });
  throw new Failed(`failed to solve: ${image}: failed to resolve source metadata for ${shownImage(image)}: ${why}`, `------\n > ${title}:\n------\n${excerpt(b.source, b.name, one.from, one.to)}`);
}

/** The images made on the way go; their layers stay with the last. */
function* sweep(daemon: Daemon, built: Built, id: string): Call<void> {
  for (const image of [...daemon.store.images.values()]) {
    if (image.id === id || image.tags.length > 0 || !daemon.cache.has(`image ${image.id}`)) continue;
    yield* dropImage(daemon.store, image);
  }
  built.image = id;
}

function* plainStage(b: Build, stages: readonly Stage[], s: Stage): Call<Built> {
  const { daemon, context } = b;
  const implied = stages.some((o) => o.steps.some((one) => fromsOf(one).some((f) => !stageNamed(stages, f, o.index))));
  const label = stages.length > 1 || implied ? `${s.name || `stage-${s.index}`} ` : '';
  const below = baseOf(stages, s);
  const start = below ? context.stages.get(String(below.index))! : s.image === 'scratch' ? scratch() : yield* builtFrom(daemon, findImage(daemon.store, s.image)!);
  let built: Built = { ...copyOf(start), config: withPath(start.config) };
  const triggers = below ? [] : yield* triggersOf(b, built, s);
  if (built.config.OnBuild && !below) built.config = { ...built.config, OnBuild: null };
  const steps = [...triggers, ...s.steps];
  const image = s.image !== 'scratch' && !below;
  // Triggers are not counted, though they are numbered.
  const total = s.steps.filter((one) => LAYERING.has(one.word)).length + (image ? 1 : 0);
  const width = String(total).length;
  let at = image ? 1 : 0;
  if (image) yield* fromVertex(b, s, built, steps, `[${label}${'1'.padStart(width)}/${total}]`);
  if (steps.some((one) => /^(COPY|ADD)$/.test(one.word) && flagOf(one, 'from') === undefined && one.rest.split(/\s+/).slice(0, -1).some((w) => !heredocOf(one, w)))) yield* loadContext(b);
  for (const one of steps) {
    if (!LAYERING.has(one.word)) built = (yield* step(daemon, context, built, one)).built;
    else built = yield* plainStep(b, built, one, `[${label}${String(++at).padStart(width)}/${total}] ${shownStep(b.context, built, one)}`);
  }
  return built;
}

function* loadContext(b: Build): Call<void> {
  if (b.contextTold || b.x.query.remote === '1') return;
  b.contextTold = true;
  yield* vertex(b, '[internal] load build context', [`transferring context: ${sizeText(b.context.entries.reduce((n, e) => n + e.data.length, 0))}`]);
}

/** As BuildKit's units print bytes: "114B", "1.35kB". */
const sizeText = (n: number): string => (n < 1000 ? `${n}B` : n < 1e6 ? `${(n / 1e3).toFixed(2)}kB` : `${(n / 1e6).toFixed(2)}MB`);

/** FROM of an image, once each: CACHED when it is known and what follows is not. */
function* fromVertex(b: Build, s: Stage, built: Built, steps: readonly Instruction[], number: string): Call<void> {
  if (b.told.has(built.key)) return;
  b.told.add(built.key);
  const known = `from ${built.key}`;
  const cached = b.daemon.cache.has(known) && !(yield* nextIsCached(b, built, steps));
  yield* vertex(b, `${number} FROM ${shownImage(s.image)}`, [], cached ? { cached: true } : {});
  b.daemon.cache.set(known, { built: null, size: 0, used: 0, made: yield* nowNs() });
}

/** BuildKit gives an image without PATH the usual one. */
function withPath(config: Built['config']): Built['config'] {
  const env: string[] = config.Env ?? [];
  return env.some((e) => e.startsWith('PATH=')) ? config : { ...config, Env: [USUAL_PATH, ...env] };
}

/** An instruction as BuildKit shows it, variables put in: RUN keeps its quotes and what has no value. */
function shownStep(scope: Scope, built: Built, one: Instruction): string {
  const first = one.heredocs[0];
  const words = [one.word, ...one.flags, one.rest].join(' ');
  const shown = one.heredocs.length > 0 && one.word !== 'RUN' ? words : quietly(words, built, scope, one.word === 'RUN');
  if (!first || one.word !== 'RUN') return shown;
  const lines = first.content.trim().split('\n');
  return `${shown} (${lines[0]}${lines.length > 1 ? '...' : ''})`;
}

function quietly(source: string, built: Built, scope: Scope, raw: boolean): string {
  try {
    return raw ? fillShown(source, environment(built), scope.escape).replace(/\s*\n\s*/g, ' ') : expand(source, environment(built), scope.escape);
  } catch (error) {
    if (error instanceof BadWord) return source;
    throw error;
  }
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
    if (!(error instanceof Refused) && !(error instanceof BadDockerfile)) throw error;
    return false;
  }
  return true;
}

function* plainStep(b: Build, built: Built, one: Instruction, title: string): Call<Built> {
  yield* begin(b, title);
  const { n, from } = b.open!;
  const lines: string[] = [];
  let held = '';
  const line = function* (text: string): Call<void> {
    const at = ((yield* nowNs()) - from) / 1e9;
    lines.push(`${at.toFixed(3)} ${text}`);
    yield* tell(b, { log: { n, at, text } });
  };
  const log = function* (data: string): Call<void> {
    const parts = (held + data).split('\n');
    held = parts.pop()!;
    for (const p of parts) yield* line(p.replace(/\r$/, ''));
  };
  let outcome: Outcome;
  try {
    outcome = yield* step(b.daemon, { ...b.context, log }, built, one);
  } catch (error) {
    const where = excerpt(b.source, b.name, one.from, one.to);
    if (error instanceof RunFailed) {
      if (held.trim() !== '') yield* line(held);
      yield* close(b, { error: error.message });
      throw new Failed(`failed to solve: ${error.message}`, `------\n > ${title}:\n${lines.slice(-20).map((l) => `${l}\n`).join('')}------\n${where}`);
    }
    if (!(error instanceof Refused)) throw error;
    const why = error.status === 404 ? `failed to calculate checksum of ref ${b.daemon.id}::${refOf(built.key)}: ${error.message}` : error.message;
    yield* close(b, { error: why });
    throw new Failed(`failed to solve: ${error.status === 404 ? 'failed to compute cache key: ' : ''}${why}`, `------\n > ${title}:\n------\n${where}`);
  }
  if (held.trim() !== '') yield* line(held);
  yield* close(b, outcome.cached ? { cached: true } : {});
  return outcome.built;
}

/** 25 letters and digits, as BuildKit names things. */
function refOf(key: string): string {
  return [...key.replace(/^sha256:/, '')].slice(0, 25).join('').padEnd(25, '0');
}
