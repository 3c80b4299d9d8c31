/**
 * The steps of a build on the daemon's images: each makes a layer or changes the configuration, is remembered by what it
 * was made from, and is taken from there the next time. RUN is a container of the image so far, by containerd as any other.
 * Source: moby builder/dockerfile, buildkit frontend/dockerfile.
 */
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { attempt, statOf } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { sys } from '../../../../kernel/sys.ts';
import { text } from '../../../../sim/text.ts';
import { digestOf, type ImageConfig, inflate } from '../../oci.ts';
import { findImage, layerTar, type StoredImage } from '../../store.ts';
import { entry, readTar, type TarEntry, writeTar } from '../../tar.ts';
import { gather } from '../cli/copy.ts';
import { layerEntries, resolve, store } from './archive.ts';
import { applyChanges, assignments } from './changes.ts';
import { createContainer } from './create.ts';
import { type Instruction, substitute, words } from './dockerfile.ts';
import { rwDir, withMounted } from './layers.ts';
import { removeContainer, startContainer, streamsOf, waitExit } from './lifecycle.ts';
import { type Any, type Container, type Daemon, Refused } from './state.ts';

export interface Built {
  config: ImageConfig['config'] & Any;
  layers: { tar: Uint8Array; diffId: string }[];
  history: ImageConfig['history'];
  /** What it was made from: the key of the cache. */
  key: string;
  /** An image of it in the store, or empty. */
  image: string;
  args: Map<string, string>;
  /** CMD was given after FROM. */
  cmdGiven?: true;
}

export interface Context {
  entries: TarEntry[];
  stages: Map<string, Built>;
  buildArgs: Record<string, string>;
  classic: boolean;
  /** Only asks what is remembered: nothing is run or kept. */
  asking?: true;
}

/** What a step did. */
export interface Outcome {
  built: Built;
  cached: boolean;
  /** Output of RUN, and the container it ran in. */
  output: string;
  container: string;
}

export class RunFailed extends Error {
  readonly code: number;
  readonly output: string;
  readonly command: string[];
  constructor(command: string[], code: number, output: string) {
    super(`process ${JSON.stringify(command.join(' '))} did not complete successfully: exit code: ${code}`);
    this.code = code;
    this.output = output;
    this.command = command;
  }
}

export const scratch = (): Built => ({
  config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] },
  layers: [],
  history: [],
  key: 'scratch',
  image: '',
  args: new Map(),
});

export function* builtFrom(daemon: Daemon, image: StoredImage): Call<Built> {
  const layers: Built['layers'] = [];
  for (const [i, id] of image.chain.entries())
    layers.push({ tar: yield* layerTar(daemon.store, id), diffId: image.config.rootfs.diff_ids[i]! });
  return {
    config: { ...image.config.config },
    layers,
    history: image.config.history.slice(),
    key: image.id,
    image: image.id,
    args: new Map(),
  };
}

/** The image so far, in the store. */
export function* imageOf(daemon: Daemon, built: Built, more: Any = {}): Call<string> {
  const created = built.history.at(-1)?.created ?? '1970-01-01T00:00:00Z';
  const config: ImageConfig = {
    architecture: 'amd64',
    config: built.config,
    created,
    history: built.history,
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: built.layers.map((l) => l.diffId) },
    ...more,
  };
  return yield* store(
    daemon,
    config,
    built.layers.map((l) => l.tar),
    [],
  );
}

/** An image that is only there while a build needs it. */
function* wayside(daemon: Daemon, built: Built): Call<string> {
  const id = yield* imageOf(daemon, built);
  daemon.cache.set(`image ${id}`, { built: null, size: 0, used: 0, made: 0 });
  return id;
}

const environment = (built: Built): Map<string, string> =>
  new Map([
    ...built.args,
    ...((built.config.Env ?? []) as string[]).map((e): [string, string] => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)]),
  ]);
const shellOf = (built: Built): string[] => built.config.Shell ?? ['/bin/sh', '-c'];

function commandOf(rest: string, built: Built): string[] {
  if (rest.startsWith('[')) {
    try {
      return (JSON.parse(rest) as unknown[]).map(String);
    } catch {
      return [...shellOf(built), rest];
    }
  }
  return [...shellOf(built), rest];
}

/** Does one instruction. Throws RunFailed, Refused. */
export function* step(daemon: Daemon, context: Context, before: Built, one: Instruction): Call<Outcome> {
  const built: Built = {
    ...before,
    config: { ...before.config },
    layers: before.layers.slice(),
    history: before.history.slice(),
    args: new Map(before.args),
  };
  if (one.word === 'RUN') return yield* runStep(daemon, context, built, one);
  built.image = '';
  const filled =
    one.word === 'COPY' || one.word === 'ADD'
      ? yield* copyEntries(daemon, context, built, one)
      : one.word === 'WORKDIR'
        ? workdir(context, built, one)
        : null;
  if (filled) return yield* layered(daemon, context, built, one, filled.entries, filled.by);
  const by = configure(context, built, one);
  return yield* remembered(daemon, context, built, one, by, null);
}

/** A step that makes a layer of entries. */
function* layered(daemon: Daemon, context: Context, built: Built, one: Instruction, entries: TarEntry[], by: string): Call<Outcome> {
  if (context.classic && one.word === 'WORKDIR' && entries.length === 0) return yield* remembered(daemon, context, built, one, by, null);
  return yield* remembered(daemon, context, built, one, by, writeTar(entries));
}

/** Adds the step to the history; the same step on the same ground is the one made before. */
function* remembered(daemon: Daemon, context: Context, built: Built, one: Instruction, by: string, tar: Uint8Array | null): Call<Outcome> {
  const key = digestOf(`${context.classic} ${built.key} ${one.word} ${by} ${tar ? digestOf(tar) : ''}`);
  const known = daemon.cache.get(key);
  built.key = key;
  if (known) {
    if (!context.asking) known.used++;
    return { built: { ...(known.built as Built), args: built.args }, cached: true, output: '', container: '' };
  }
  finishStep(built, by, tar, isoNano(yield* nowNs()), context.classic);
  if (!context.asking) daemon.cache.set(key, { built, size: tar ? tarSize(tar) : 0, used: 0, made: yield* nowNs() });
  return { built, cached: false, output: '', container: '' };
}

const tarSize = (tar: Uint8Array): number => readTar(tar).reduce((n, e) => n + e.data.length, 0);

function finishStep(built: Built, by: string, tar: Uint8Array | null, created: string, classic: boolean): void {
  const empty = tar === null;
  built.history.push({
    created,
    created_by: by,
    ...(classic ? {} : { comment: 'buildkit.dockerfile.v0' }),
    ...(empty ? { empty_layer: true } : {}),
  });
  if (tar) built.layers.push({ tar, diffId: digestOf(tar) });
}

const nop = (context: Context, plain: string, shown: string): string => (context.classic ? `/bin/sh -c #(nop) ${plain}` : shown);

function workdir(context: Context, built: Built, one: Instruction): { entries: TarEntry[]; by: string } {
  const path = substitute(one.rest, environment(built));
  const at = path.startsWith('/') ? path : `${built.config.WorkingDir || ''}/${path}`;
  built.config.WorkingDir = at.replace(/\/+/g, '/');
  return {
    entries: [entry(built.config.WorkingDir.slice(1), { type: 'dir', mode: 0o755 })].filter((e) => e.name !== ''),
    by: nop(context, `WORKDIR ${built.config.WorkingDir}`, `WORKDIR ${built.config.WorkingDir}`),
  };
}

/** Changes the configuration; how history tells it. */
function configure(context: Context, built: Built, one: Instruction): string {
  const rest = /^(CMD|ENTRYPOINT|HEALTHCHECK|SHELL|ONBUILD)$/.test(one.word) ? one.rest : substitute(one.rest, environment(built));
  const list = (items: string[]): string => `[${items.map((i) => JSON.stringify(i)).join(' ')}]`;
  const say = (shown: string, plain = ` ${shown}`): string => nop(context, plain, shown);
  switch (one.word) {
    case 'ARG': {
      const [name = '', value] = rest.includes('=')
        ? [rest.slice(0, rest.indexOf('=')), rest.slice(rest.indexOf('=') + 1).replace(/^["'](.*)["']$/, '$1')]
        : [rest, undefined];
      const chosen = context.buildArgs[name] ?? value;
      if (chosen !== undefined) built.args.set(name, chosen);
      return say(`ARG ${context.classic ? rest : chosen === undefined ? name : `${name}=${chosen}`}`);
    }
    case 'CMD':
    case 'ENTRYPOINT': {
      const command = commandOf(rest, built);
      built.config[one.word === 'CMD' ? 'Cmd' : 'Entrypoint'] = command;
      if (one.word === 'CMD') built.cmdGiven = true;
      else if (!built.cmdGiven) built.config.Cmd = null;
      if (!context.classic) built.config.ArgsEscaped = true;
      return say(`${one.word} ${list(command)}`);
    }
    case 'SHELL':
      built.config.Shell = commandOf(rest, built);
      return say(`SHELL ${list(built.config.Shell)}`);
    case 'HEALTHCHECK': {
      const m = /^(?:--(\S+)\s+)*?(NONE|CMD)\s*(.*)$/.exec(rest.replace(/--\w+(-\w+)*=\S+\s+/g, ''));
      built.config.Healthcheck = {
        Test: m?.[2] === 'NONE' ? ['NONE'] : m?.[3]?.startsWith('[') ? ['CMD', ...commandOf(m[3], built)] : ['CMD-SHELL', m?.[3] ?? ''],
      };
      return say(`HEALTHCHECK ${rest}`);
    }
    case 'EXPOSE':
      built.config = applyChanges(built.config, `EXPOSE ${rest}`) as Built['config'];
      return say(
        `EXPOSE map[${rest
          .split(/\s+/)
          .map((p) => `${p.includes('/') ? p : `${p}/tcp`}:{}`)
          .join(' ')}]`,
        ` EXPOSE ${rest}`,
      );
    case 'VOLUME':
      built.config = applyChanges(built.config, `VOLUME ${rest}`) as Built['config'];
      return say(`VOLUME [${rest.startsWith('[') ? commandOf(rest, built).join(' ') : rest}]`);
    case 'ENV':
    case 'LABEL':
      built.config = applyChanges(built.config, `${one.word} ${rest}`) as Built['config'];
      return say(
        `${one.word} ${assignments(rest)
          .map(([k, v]) => `${k}=${v}`)
          .join(' ')}`,
      );
    case 'MAINTAINER':
      return say(`MAINTAINER ${rest}`);
    default:
      built.config = applyChanges(built.config, `${one.word} ${rest}`) as Built['config'];
      return say(`${one.word} ${rest}`);
  }
}

const globOf = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '[^/]*')
      .replace(/\?/g, '[^/]')}$`,
  );

interface Source {
  name: string;
  entries: TarEntry[];
}

/** Entries of the context, or of a stage or image, that a source names; the first is what was named. */
function* sourcesOf(daemon: Daemon, context: Context, from: string | undefined, pattern: string): Call<Source[]> {
  const clean = pattern
    .replace(/^(\.?\/)+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
  if (from === undefined) {
    if (clean === '') return [{ name: '', entries: [entry('', { type: 'dir', mode: 0o755 }), ...context.entries] }];
    const heads = context.entries.filter((e) => globOf(clean).test(e.name));
    return heads.map((h) => ({
      name: h.name,
      entries: context.entries.filter((e) => e.name === h.name || e.name.startsWith(`${h.name}/`)),
    }));
  }
  const stage = context.stages.get(from);
  const image = stage ? stage.image || (yield* wayside(daemon, stage)) : findImage(daemon.store, from)?.id;
  if (!image) throw new Refused(404, `${from}: not found`);
  const c = yield* hiddenContainer(daemon, image, { Cmd: ['true'] });
  try {
    return yield* withMounted(c, function* (root): Call<Source[]> {
      const real = yield* resolve(root, clean);
      if (!(yield* statOf(real))) return [];
      const entries: TarEntry[] = [];
      yield* gather(real, clean, entries);
      return [{ name: clean, entries }];
    });
  } finally {
    yield* removeContainer(daemon, c, { force: true, volumes: true });
  }
}

function* copyEntries(daemon: Daemon, context: Context, built: Built, one: Instruction): Call<{ entries: TarEntry[]; by: string }> {
  const all = words(substitute(one.rest, environment(built)));
  const flags = all.filter((w) => w.startsWith('--'));
  const option = (name: string): string | undefined => flags.find((f) => f.startsWith(`--${name}=`))?.slice(name.length + 3);
  const names = all.filter((w) => !w.startsWith('--'));
  const target = names.at(-1)!;
  const sources = names.slice(0, -1);
  const absolute = (target.startsWith('/') ? target : `${built.config.WorkingDir || ''}/${target}`).replace(/\/+/g, '/');
  const into = absolute.replace(/^\/+|\/+$/g, '');
  const asDir = target.endsWith('/') || sources.length > 1 || target === '.';
  const entries: TarEntry[] = [];
  for (const name of sources) {
    if (/^(https?|git):/.test(name)) throw new Refused(501, `not modelled: ${one.word} from a URL`);
    const found = yield* sourcesOf(daemon, context, option('from'), name);
    if (found.length === 0) throw new Refused(404, `"/${name.replace(/^\/+/, '')}": not found`);
    for (const s of found) entries.push(...placed(s, into, asDir, one.word === 'ADD'));
  }
  const [uid, gid] = (option('chown') ?? '').split(':').map(Number);
  const owned = entries.map((e) => ({
    ...e,
    uid: uid || 0,
    gid: gid || uid || 0,
    ...(option('chmod') && e.type === 'file' ? { mode: Number.parseInt(option('chmod')!, 8) } : {}),
  }));
  const shown = `${one.word} ${[...flags.filter((f) => !f.startsWith('--from=')), ...sources].join(' ')} ${target}`;
  const content = digestOf(writeTar(owned)).slice(7);
  const dir = entries.some((e) => e.type === 'dir') ? 'dir' : 'file';
  return {
    entries: owned,
    by: nop(context, `${one.word} ${sources.length > 1 ? 'multi' : dir}:${content} in ${target} `, `${shown} # buildkit`),
  };
}

function placed(s: Source, into: string, asDir: boolean, extract: boolean): TarEntry[] {
  const head = s.entries[0]!;
  const under = (name: string): string => (into === '' ? name : name === '' ? into : `${into}/${name}`);
  if (head.type === 'dir')
    return s.entries.slice(1).map((e) => ({ ...e, name: under(s.name === '' ? e.name : e.name.slice(s.name.length + 1)) }));
  if (extract && /\.(tar|tar\.gz|tgz)$/.test(s.name)) return readTar(inflate(head.data)).map((e) => ({ ...e, name: under(e.name) }));
  return [{ ...head, name: asDir ? under(s.name.split('/').pop()!) : into }];
}

function* hiddenContainer(daemon: Daemon, image: string, more: Any): Call<Container> {
  const made = yield* createContainer(daemon, '', { Image: image, ...more, Entrypoint: [], HostConfig: {} });
  return daemon.containers.get(made.Id)!;
}

/** A container made and removed for a step that only changes the configuration, as the classic builder does; its id. */
export function* passing(daemon: Daemon, image: string): Call<string> {
  const c = yield* hiddenContainer(daemon, image, { Cmd: ['/bin/sh'] });
  yield* removeContainer(daemon, c, { force: true, volumes: true });
  return c.ID;
}

function* runStep(daemon: Daemon, context: Context, built: Built, one: Instruction): Call<Outcome> {
  const rest = one.rest.replace(/^(--\w+=\S+\s+)+/, '');
  const command = commandOf(rest, built);
  const args = [...built.args].map(([k, v]) => `${k}=${v}`);
  const shown = `${args.length > 0 ? `|${args.length} ${args.join(' ')} ` : ''}${command.join(' ')}`;
  const by = context.classic ? shown : `RUN ${shown} # buildkit`;
  const key = digestOf(`${context.classic} ${built.key} RUN ${by}`);
  const known = daemon.cache.get(key);
  if (known) {
    if (!context.asking) known.used++;
    return { built: { ...(known.built as Built), args: built.args }, cached: true, output: '', container: '' };
  }
  if (context.asking) return { built, cached: false, output: '', container: '' };
  const image = built.image || (yield* wayside(daemon, built));
  const c = yield* hiddenContainer(daemon, image, {
    Cmd: command,
    Env: [
      ...((built.config.Env ?? []) as string[]),
      ...args.filter((a) => !((built.config.Env ?? []) as string[]).some((e) => e.startsWith(`${a.split('=')[0]}=`))),
    ],
  });
  const output = yield* runToEnd(daemon, c);
  if (c.State.ExitCode !== 0) {
    if (!context.classic) yield* removeContainer(daemon, c, { force: true, volumes: true });
    throw Object.assign(new RunFailed(command, c.State.ExitCode, output), { container: c.ID });
  }
  const entries = yield* layerEntries(`${rwDir(c)}/diff`);
  yield* removeContainer(daemon, c, { force: true, volumes: true });
  built.key = key;
  built.image = '';
  const tar = writeTar(entries);
  finishStep(built, by, tar, isoNano(yield* nowNs()), context.classic);
  daemon.cache.set(key, { built, size: tarSize(tar), used: 0, made: yield* nowNs() });
  return { built, cached: false, output, container: c.ID };
}

/** Starts it with a pipe among its clients; what it wrote. */
function* runToEnd(daemon: Daemon, c: Container): Call<string> {
  const [read, write] = yield* sys('pipe2', 0);
  const s = streamsOf(c);
  s.tty = true;
  s.clients.add({ fd: write, stdout: true, stderr: true, ended: new Set(), gone: false });
  try {
    yield* startContainer(daemon, c);
    yield* waitExit(c);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    yield* removeContainer(daemon, c, { force: true, volumes: true });
    throw error;
  } finally {
    yield* attempt(sys('close', write), 0);
  }
  const data = yield* sys('read', read, 65536);
  yield* sys('close', read);
  return text(data);
}
