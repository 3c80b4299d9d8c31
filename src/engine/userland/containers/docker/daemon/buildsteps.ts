/**
 * The steps of a build on the daemon's images: each makes a layer or changes the configuration, is remembered by what it
 * was made from, and is taken from there the next time. RUN is a container of the image so far, by containerd as any other.
 * Source: moby builder/dockerfile, buildkit frontend/dockerfile.
 */
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { attempt } from '../../../lib/files.ts';
import { type Call, thread } from '../../../lib/http.ts';
import { type Body, sys } from '../../../../kernel/sys.ts';
import { text } from '../../../../sim/text.ts';
import { digestOf, type ImageConfig } from '../../oci.ts';
import { findImage } from '../../store.ts';
import { entry, readTar, type TarEntry, writeTar } from '../../tar.ts';
import { layerEntries, store } from './archive.ts';
import { commandOf, configure, nop, workdir } from './buildconfig.ts';
import { builtFrom, type Context } from './buildcontext.ts';
import { copyEntries, copyWords, heredocOf, type Source, sourcesIn } from './buildcopy.ts';
import { runMounts, tidy } from './buildmounts.ts';
import { type Built, copyOf, filesOf, finishStep, follow, valued } from './buildstate.ts';
import { createContainer } from './create.ts';
import { BadDockerfile, flagOf, type Instruction } from './dockerfile.ts';
import { rwDir } from './layers.ts';
import { removeContainer, startContainer, streamsOf, waitExit } from './lifecycle.ts';
import { type Any, type Container, type Daemon, Refused } from './state.ts';

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
  constructor(command: string[], code: number, output: string, why = `exit code: ${code}`) {
    super(`process ${JSON.stringify(command.join(' '))} did not complete successfully: ${why}`);
    this.code = code;
    this.output = output;
    this.command = command;
  }
}

/** The image so far, in the store. */
export function* imageOf(daemon: Daemon, built: Built, more: Any = {}): Call<string> {
  const created = built.history.at(-1)?.created ?? '1970-01-01T00:00:00Z';
  const config: ImageConfig = {
    architecture: 'amd64', config: built.config, created, history: built.history, os: 'linux', rootfs: { type: 'layers', diff_ids: built.layers.map((l) => l.diffId) }, ...(built.author ? { author: built.author } : {}), ...more,
  };
  return yield* store(daemon, config, built.layers.map((l) => l.tar), []);
}

/** An image that is only there while a build needs it. */
function* wayside(daemon: Daemon, built: Built): Call<string> {
  const id = yield* imageOf(daemon, built);
  daemon.cache.set(`image ${id}`, { built: null, size: 0, used: 0, made: 0 });
  return id;
}

/** Does one instruction. Throws RunFailed, Refused, BadDockerfile. */
export function* step(daemon: Daemon, context: Context, before: Built, one: Instruction): Call<Outcome> {
  const built = copyOf(before);
  if (one.word === 'RUN') return yield* runStep(daemon, context, built, one);
  built.image = '';
  if (one.word === 'COPY' || one.word === 'ADD') {
    const all = copyWords(context, built, one);
    const copied = copyEntries(context, built, one, all, yield* namedBy(daemon, context, one, all));
    return yield* remembered(daemon, context, built, one, copied.by, writeTar(copied.entries));
  }
  if (one.word === 'WORKDIR') {
    const path = workdir(context, built, one);
    const files = filesOf(built);
    const entries = path === '' || files.get(follow(files, path, true))?.type === 'dir' ? [] : missingDirs(files, path);
    const by = nop(context.classic, built, `WORKDIR ${built.config.WorkingDir}`, `WORKDIR ${built.config.WorkingDir}`);
    return yield* remembered(daemon, context, built, one, by, context.classic && entries.length === 0 ? null : writeTar(entries));
  }
  return yield* remembered(daemon, context, built, one, configure(context, built, one), null);
}

function missingDirs(files: ReturnType<typeof filesOf>, path: string): TarEntry[] {
  const real = follow(files, path, true).split('/');
  return real.map((_, i) => real.slice(0, i + 1).join('/')).map((dir) => (files.get(dir)?.type === 'dir' ? files.get(dir)! : entry(dir, { type: 'dir', mode: 0o755 })));
}

/** What each source of a COPY or ADD names, in the context, a stage or an image. Throws Refused 404. */
function* namedBy(daemon: Daemon, context: Context, one: Instruction, all: readonly string[]): Call<Map<string, Source[]>> {
  const found = new Map<string, Source[]>();
  const from = flagOf(one, 'from');
  if (flagOf(one, 'parents') !== undefined || flagOf(one, 'exclude') !== undefined) throw new BadDockerfile(`not modelled: ${one.word} --parents and --exclude`, one.from);
  const stage = from === undefined ? null : yield* stageOf(daemon, context, from);
  const files = stage ? filesOf(stage) : new Map(context.entries.map((e) => [e.name, e]));
  const entries = stage ? [...files.values()] : context.entries;
  for (const name of all.slice(0, -1)) {
    if (heredocOf(one, name)) continue;
    if (/^(https?:\/\/|git@|git:\/\/)/.test(name)) throw new BadDockerfile(`not modelled: ${one.word} from a URL`, one.from);
    const sources = sourcesIn(entries, files, name);
    if (sources.length === 0 && !/[*?[]/.test(name)) throw new Refused(404, `"/${name.replace(/^(\.?\/)+/, '')}": not found`);
    found.set(name, sources);
  }
  return found;
}

function* stageOf(daemon: Daemon, context: Context, from: string): Call<Built> {
  const stage = context.stages.get(from.toLowerCase());
  if (stage) return stage;
  const image = findImage(daemon.store, from);
  if (!image) throw new Refused(404, `${from}: not found`);
  return yield* builtFrom(daemon, image);
}

/** Adds the step to the history; the same step on the same ground is the one made before. */
function* remembered(daemon: Daemon, context: Context, built: Built, one: Instruction, by: string, tar: Uint8Array | null): Call<Outcome> {
  const key = digestOf(`${context.classic} ${built.key} ${one.word} ${by} ${tar ? contentOf(tar) : ''}`);
  const known = context.noCache ? undefined : daemon.cache.get(key);
  built.key = key;
  if (known) {
    if (!context.asking) known.used++;
    return { built: { ...(known.built as Built), args: built.args }, cached: true, output: '', container: '' };
  }
  finishStep(built, by, tar, isoNano(yield* nowNs()), context.classic);
  if (!context.asking) daemon.cache.set(key, { built, size: tar ? tarSize(tar) : 0, used: 0, made: yield* nowNs() });
  return { built, cached: false, output: '', container: '' };
}

/** What the cache goes by: everything but times. */
const contentOf = (tar: Uint8Array): string => digestOf(writeTar(readTar(tar).map((e) => ({ ...e, mtime: 0 }))));
const tarSize = (tar: Uint8Array): number => readTar(tar).reduce((n, e) => n + e.data.length, 0);

function* hiddenContainer(daemon: Daemon, image: string, more: Any): Call<Container> {
  const made = yield* createContainer(daemon, '', { Image: image, Entrypoint: [], HostConfig: {}, ...more });
  return daemon.containers.get(made.Id)!;
}

/** A container made and removed for a step that only changes the configuration, as the classic builder does; its id. */
export function* passing(daemon: Daemon, image: string): Call<string> {
  const c = yield* hiddenContainer(daemon, image, { Cmd: ['/bin/sh'] });
  yield* removeContainer(daemon, c, { force: true, volumes: true });
  return c.ID;
}

/** The command of a RUN: a list, a line for the shell, or a heredoc for it. */
function runCommand(built: Built, one: Instruction): string[] {
  const alone = one.heredocs.length === 1 && heredocOf(one, one.rest) !== undefined;
  return commandOf(alone ? one.heredocs[0]!.content : `${one.rest}${one.raw}`, built);
}

function* runStep(daemon: Daemon, context: Context, built: Built, one: Instruction): Call<Outcome> {
  const command = runCommand(built, one);
  const args = [...built.args].map(([k, v]) => `${k}=${v ?? ''}`);
  const shown = `${args.length > 0 ? `|${args.length} ${args.join(' ')} ` : ''}${command.join(' ')}`;
  const by = context.classic ? shown : `RUN ${shown} # buildkit`;
  const key = digestOf(`${context.classic} ${built.key} RUN ${one.flags.join(' ')} ${by}`);
  const known = context.noCache ? undefined : daemon.cache.get(key);
  if (known) {
    if (!context.asking) known.used++;
    return { built: { ...(known.built as Built), args: built.args }, cached: true, output: '', container: '' };
  }
  if (context.asking) return { built, cached: false, output: '', container: '' };
  const mounts = yield* runMounts(daemon, context, built, one);
  const network = flagOf(one, 'network') ?? 'default';
  if (!['default', 'none', 'host'].includes(network)) throw new BadDockerfile(`dockerfile parse error on line ${one.from}: unsupported network mode ${JSON.stringify(network)}`, one.from);
  const c = yield* hiddenContainer(daemon, built.image || (yield* wayside(daemon, built)), {
    Cmd: command, HostConfig: { ...(network === 'default' ? {} : { NetworkMode: network }), Mounts: mounts.mounts, ...(flagOf(one, 'security') === 'insecure' ? { Privileged: true } : {}) },
    Env: [...((built.config.Env ?? []) as string[]), ...valued(built).map(([k, v]) => `${k}=${v}`).filter((a) => !((built.config.Env ?? []) as string[]).some((e) => e.startsWith(`${a.split('=')[0]}=`)))],
  });
  const output = yield* runToEnd(daemon, context, c, command);
  yield* mounts.done();
  if (c.State.ExitCode !== 0) {
    const hint = notModelled(c.State.ExitCode, output);
    if (hint !== '') yield* context.log(hint);
    if (!context.classic) yield* removeContainer(daemon, c, { force: true, volumes: true });
    throw Object.assign(new RunFailed(command, c.State.ExitCode, output + hint), { container: c.ID });
  }
  const entries = tidy(yield* layerEntries(`${rwDir(c)}/diff`), mounts.targets, filesOf(built));
  yield* removeContainer(daemon, c, { force: true, volumes: true });
  built.key = key;
  built.image = '';
  const tar = writeTar(entries);
  finishStep(built, by, tar, isoNano(yield* nowNs()), context.classic);
  daemon.cache.set(key, { built, size: tarSize(tar), used: 0, made: yield* nowNs() });
  return { built, cached: false, output, container: c.ID };
}

/** What a shell that did not find a package manager or a compiler is to be told. */
function notModelled(code: number, output: string): string {
  const missing = /\b(apk|apt|apt-get|dpkg|yum|dnf|microdnf|pip|pip3|npm|yarn|gem|go|cargo|gcc|cc|make|mvn|python3?|node)\s*: (?:not found|command not found)/.exec(output)?.[1];
  return code === 127 && missing ? `not modelled: ${missing} (nothing can be installed or compiled here; COPY files from the context, a stage or an image instead)\n` : '';
}

/** Starts it with a pipe among its clients, tells what it writes as it comes; all of that. */
function* runToEnd(daemon: Daemon, context: Context, c: Container, command: readonly string[]): Call<string> {
  const [read, write] = yield* sys('pipe2', 0);
  const s = streamsOf(c);
  s.tty = true;
  s.clients.add({ fd: write, stdout: true, stderr: true, ended: new Set(), gone: false });
  try {
    yield* startContainer(daemon, c);
  } catch (error) {
    yield* attempt(sys('close', write), 0);
    yield* attempt(sys('close', read), 0);
    yield* removeContainer(daemon, c, { force: true, volumes: true });
    if (!(error instanceof Refused) || context.classic) throw error;
    const nobody = /unable to find (?:user|group) [^\n]*?(?= *$|: unknown)/.exec(error.message)?.[0];
    if (nobody) throw new RunFailed([...command], 1, '', nobody);
    const why = `runc run failed: ${error.message.replace(/^.*?(unable to start container process)/s, '$1').replace(/: unknown$/, '')}\n`;
    yield* context.log(why);
    throw new RunFailed([...command], 1, why);
  }
  yield* thread(function* (): Body {
    yield* waitExit(c);
    yield* attempt(sys('close', write), 0);
    return 0;
  });
  let all = '';
  for (;;) {
    const data = yield* attempt(sys('read', read, 65536), new Uint8Array(0));
    if (data.length === 0) break;
    const piece = text(data);
    yield* context.log(piece);
    if (all.length < 1 << 20) all += piece;
  }
  yield* sys('close', read);
  return all;
}
