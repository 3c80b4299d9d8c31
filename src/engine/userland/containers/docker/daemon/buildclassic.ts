/** POST /build as the classic builder does it: every step an image, told line by line. Source: moby builder/dockerfile; the recordings. */
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { beginStream, type Call, endStream } from '../../../lib/http.ts';
import { findImage } from '../../store.ts';
import { builtFrom } from './buildcontext.ts';
import { type Build, baseOf, Failed, say, type Stage, stagesOf, tell, triggersOf } from './buildplan.ts';
import { type Built, copyOf, finishStep, scratch } from './buildstate.ts';
import { imageOf, type Outcome, passing, RunFailed, step } from './buildsteps.ts';
import { BadDockerfile, type Instruction, parse, words } from './dockerfile.ts';
import { tagImage, unreachable } from './imageapi.ts';
import { type Any, Refused } from './state.ts';

export function* classicBuild(b: Build): Call<void> {
  let all: Instruction[];
  let stages: Stage[];
  try {
    if (!b.there) throw new Refused(500, `Cannot locate specified Dockerfile: ${b.name}`);
    const parsed = parse(b.source, b.name);
    b.context.escape = parsed.escape;
    all = parsed.instructions;
    const heredoc = all.find((one) => one.heredocs.length > 0);
    if (heredoc) throw new BadDockerfile('the --heredoc option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled', heredoc.from);
    all.forEach(severalSources);
    stages = stagesOf(b, all);
    if (b.target !== '') stages = stages.slice(0, 1 + Math.max(0, stages.findIndex((s) => s.name === b.target.toLowerCase() || String(s.index) === b.target)));
  } catch (error) {
    if (error instanceof BadDockerfile) throw new Refused(400, error.line === 0 ? `the Dockerfile (${b.name}) cannot be empty` : error.message);
    throw error;
  }
  yield* beginStream(b.x, 200, { 'Content-Type': 'application/json' });
  try {
    yield* classicStages(b, stages, all.filter((one) => one.word !== 'ARG' || stages.some((s) => s.steps.includes(one))).length);
  } catch (error) {
    if (!(error instanceof Failed) && !(error instanceof Refused) && !(error instanceof BadDockerfile)) throw error;
    yield* tell(b, { error: error.message, errorDetail: { code: error instanceof Failed ? error.code : 1, message: error.message } });
  }
  yield* endStream(b.x);
}

/** Throws BadDockerfile where several sources go to what is not named as a directory; BuildKit only finds out by copying. */
function severalSources(one: Instruction): void {
  if (!/^(COPY|ADD)$/.test(one.word)) return;
  const all = words(one.rest);
  if (all.length > 2 && !/\/$|^\.$/.test(all.at(-1)!)) throw new BadDockerfile(`dockerfile parse error on line ${one.from}: When using ${one.word} with more than one source file, the destination must be a directory and end with a /`, one.from);
}

const short = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);

function* classicStages(b: Build, stages: readonly Stage[], total: number): Call<void> {
  const { daemon, context } = b;
  let n = 1;
  let built = scratch();
  for (const s of stages) {
    yield* say(b, `Step ${n++}/${total} : FROM ${s.from.rest}\n`);
    const below = baseOf(stages, s);
    const image = below || s.image === 'scratch' ? null : findImage(daemon.store, s.image);
    if (s.image !== 'scratch' && !below && !image) throw new Failed(yield* unreachable('https://registry-1.docker.io/v2/'));
    const start = below ? context.stages.get(String(below.index))! : image ? yield* builtFrom(daemon, image) : { ...scratch(), config: {} };
    built = { ...copyOf(start), args: new Map() };
    yield* say(b, ` ---> ${short(built.image)}\n`);
    const triggers = yield* triggersOf(b, built, s);
    if (triggers.length > 0) {
      yield* say(b, `# Executing ${triggers.length} build trigger${triggers.length > 1 ? 's' : ''}\n`);
      built.config = { ...built.config, OnBuild: null };
    }
    for (const one of triggers) built = yield* classicStep(b, built, one);
    for (const one of s.steps) {
      yield* say(b, `Step ${n++}/${total} : ${[one.word, ...one.flags, one.rest].join(' ')}\n`);
      built = yield* classicStep(b, built, one);
    }
    context.stages.set(String(s.index), built);
    if (s.name) context.stages.set(s.name, built);
  }
  if (Object.keys(b.labels).length > 0) {
    built = { ...copyOf(built), config: { ...built.config, Labels: { ...(built.config.Labels ?? {}), ...b.labels } } };
    finishStep(built, `/bin/sh -c #(nop)  LABEL ${Object.entries(b.labels).map(([k, v]) => `${k}=${v}`).join(' ')}`, null, isoNano(yield* nowNs()), true);
    built.image = yield* imageOf(daemon, built, built.image ? { parent: built.image } : {});
  }
  if (built.image === '') throw new Failed('No image was generated. Is your Dockerfile empty?');
  yield* tell(b, { aux: { ID: built.image } });
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
      throw new Failed(`${one.word} failed: file not found in build context or excluded by .dockerignore: stat ${error.message.replace(/^"\/(.*)": not found$/, '$1')}: file does not exist`);
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
