/** A build as it is asked for, the stages of its Dockerfile, and which of them a target needs. Source: buildkit dockerfile2llb/convert.go. */
import { bytes } from '../../../../sim/text.ts';
import { type Call, type Exchange, writeChunk } from '../../../lib/http.ts';
import type { Context } from './buildcontext.ts';
import type { Built } from './buildstate.ts';
import { BadDockerfile, flagOf, type Instruction, parse } from './dockerfile.ts';
import { BadWord, expand } from './expand.ts';
import { type Any, type Daemon, Refused } from './state.ts';

export interface Build {
  daemon: Daemon;
  x: Exchange;
  context: Context;
  name: string;
  source: Uint8Array;
  there: boolean;
  tags: string[];
  target: string;
  labels: Record<string, string>;
  /** Number of the next vertex. */
  n: number;
  /** The vertex that is open, and since when. */
  open: { n: number; from: number } | null;
  /** Images whose FROM was told. */
  told: Set<string>;
  contextTold: boolean;
}

export interface Stage {
  from: Instruction;
  index: number;
  name: string;
  image: string;
  steps: Instruction[];
}

/** Ends a build: what BuildKit prints before its last line, and that line. */
export class Failed extends Error {
  readonly before: string;
  readonly code: number;
  constructor(message: string, before = '', code = 1) {
    super(message);
    this.before = before;
    this.code = code;
  }
}

export const tell = (b: Build, message: Any): Call<void> => writeChunk(b.x, `${JSON.stringify(message)}\n`);
export const say = (b: Build, text: string): Call<void> => tell(b, { stream: text });

export function object(source: string | undefined): Record<string, string> {
  try {
    const value = JSON.parse(source || '{}') as unknown;
    return typeof value === 'object' && value !== null ? (value as Record<string, string>) : {};
  } catch {
    throw new Refused(400, 'invalid JSON: unexpected end of JSON input');
  }
}

/** FROM begins a stage; what comes before the first is only ARG. Throws BadDockerfile. */
export function stagesOf(b: Build, all: readonly Instruction[]): Stage[] {
  const stages: Stage[] = [];
  const globals = new Map(b.context.globals);
  const word = (source: string, one: Instruction): string => {
    try {
      return expand(source, globals, b.context.escape);
    } catch (error) {
      if (error instanceof BadWord) throw new BadDockerfile(error.message, one.from);
      throw error;
    }
  };
  for (const one of all) {
    if (one.word === 'FROM') {
      const m = /^(\S+)(?:\s+[aA][sS]\s+(\S+))?$/.exec(one.rest);
      if (!m) throw new BadDockerfile(`dockerfile parse error on line ${one.from}: FROM requires either one or three arguments`, one.from);
      if (m[2] && !/^[a-z][a-z0-9-_.]*$/i.test(m[2])) throw new BadDockerfile(`dockerfile parse error on line ${one.from}: invalid name for build stage: ${JSON.stringify(m[2])}, name can't start with a number or contain symbols`, one.from);
      const image = word(m[1]!, one);
      if (image === '') throw new BadDockerfile(`base name (${m[1]}) should not be blank`, one.from);
      stages.push({ from: one, index: stages.length, name: (m[2] ?? '').toLowerCase(), image, steps: [] });
    } else if (stages.length > 0) stages.at(-1)!.steps.push(one);
    else if (one.word === 'ARG') {
      for (const w of one.rest.split(/\s+/)) {
        const cut = w.indexOf('=');
        const key = cut < 0 ? w : w.slice(0, cut);
        const value = b.context.buildArgs[key] ?? (cut < 0 ? undefined : word(w.slice(cut + 1), one));
        if (value !== undefined) globals.set(key, value);
      }
    } else throw new BadDockerfile('no build stage in current context', one.from);
  }
  b.context.globals = globals;
  return stages;
}

/** The stage that a name means for one that stands after it. */
export const stageNamed = (stages: readonly Stage[], name: string, before: number): Stage | undefined =>
  stages.slice(0, before).reverse().find((s) => s.name !== '' && s.name === name.toLowerCase()) ?? (/^\d+$/.test(name) ? stages.slice(0, before)[Number(name)] : undefined);

/** Stages and images that an instruction copies or mounts from. */
export function fromsOf(one: Instruction): string[] {
  const mounts = one.flags.filter((f) => f.startsWith('--mount=')).flatMap((f) => /(?:^|,)from=([^,]+)/.exec(f.slice(8))?.[1] ?? []);
  return one.word === 'COPY' && flagOf(one, 'from') !== undefined ? [flagOf(one, 'from')!, ...mounts] : mounts;
}

export function baseOf(stages: readonly Stage[], s: Stage): Stage | undefined {
  return stages.slice(0, s.index).reverse().find((o) => o.name !== '' && o.name === s.image.toLowerCase());
}

/** The stages that the target needs, in order. Throws Failed. */
export function needed(b: Build, stages: readonly Stage[]): Stage[] {
  const last = b.target === '' ? stages.at(-1) : (stages.find((s) => s.name === b.target.toLowerCase()) ?? (/^\d+$/.test(b.target) ? stages[Number(b.target)] : undefined));
  if (!last) throw new Failed(`failed to solve: target stage ${JSON.stringify(b.target)} could not be found`);
  const all = new Set<Stage>();
  const add = (s: Stage): void => {
    if (all.has(s)) return;
    all.add(s);
    for (const other of [baseOf(stages, s), ...s.steps.flatMap(fromsOf).map((f) => stageNamed(stages, f, s.index))]) if (other) add(other);
  };
  add(last);
  return stages.filter((s) => all.has(s));
}

/** ONBUILD of the image below, as instructions of this Dockerfile's FROM. */
export function* triggersOf(b: Build, built: Built, s: Stage): Call<Instruction[]> {
  yield* [];
  return ((built.config.OnBuild ?? []) as string[]).flatMap((line) => parse(bytes(line), b.name).instructions.map((one) => ({ ...one, from: s.from.from, to: s.from.to })));
}
