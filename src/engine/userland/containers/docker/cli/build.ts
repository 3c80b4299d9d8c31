/** docker build: the context as a tar to the daemon, its progress back; DOCKER_BUILDKIT=0 takes the classic builder; what buildx tells of itself. Source: docker/cli image/build.go, buildx. */
import { drain, isDir, readBytes, statOf, writeFile, attempt } from '../../../lib/files.ts';
import { sys } from '../../../../kernel/sys.ts';
import { decimalSize, humanDuration, nowNs } from '../../../lib/clock.ts';
import type { Call } from '../../../lib/http.ts';
import { complain, print } from '../../../lib/io.ts';
import { tabulate } from '../../../kube/kubectl/tabwriter.ts';
import { text } from '../../../../sim/text.ts';
import { parseReference } from '../../oci.ts';
import { entry, writeTar } from '../../tar.ts';
import { isTerminal } from './attach.ts';
import { createShow, endShow, named, take } from './buildshow.ts';
import { type Any, api, type Client, lines, Stop, stream } from './client.ts';
import type { Command } from './command.ts';
import { type BuildContext, HIDDEN, inputContext, readContext } from './context.ts';
import type { Flags } from './flags.ts';

const OPTIONS = `
      --add-host strings              Add a custom host-to-IP mapping (format: "host:ip")
      --allow strings                 Allow extra privileged entitlement (e.g., "network.host", "security.insecure")
      --annotation stringArray        Add annotation to the image
      --attest stringArray            Attestation parameters (format: "type=sbom,generator=image")
      --build-arg stringArray         Set build-time variables
      --build-context stringArray     Additional build contexts (e.g., name=path)
      --builder string                Override the configured builder instance (default "default")
      --cache-from stringArray        External cache sources (e.g., "user/app:cache", "type=local,src=path/to/dir")
      --cache-to stringArray          Cache export destinations (e.g., "user/app:cache", "type=local,dest=path/to/dir")
      --cgroup-parent string          Set the parent cgroup for the "RUN" instructions during build
  -f, --file string                   Name of the Dockerfile (default: "PATH/Dockerfile")
      --iidfile string                Write the image ID to the file
      --label stringArray             Set metadata for an image
      --load                          Shorthand for "--output=type=docker"
      --metadata-file string          Write build result metadata to the file
      --network string                Set the networking mode for the "RUN" instructions during build (default "default")
      --no-cache                      Do not use cache when building the image
      --no-cache-filter stringArray   Do not cache specified stages
  -o, --output stringArray            Output destination (format: "type=local,dest=path")
      --platform stringArray          Set target platform for build
      --progress string               Set type of progress output ("auto", "plain", "tty", "rawjson"). Use plain to show container output (default "auto")
      --provenance string             Shorthand for "--attest=type=provenance"
      --pull                          Always attempt to pull all referenced images
      --push                          Shorthand for "--output=type=registry"
  -q, --quiet                         Suppress the build output and print image ID on success
      --rm                            Remove intermediate containers
      --sbom string                   Shorthand for "--attest=type=sbom"
      --secret stringArray            Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")
      --shm-size bytes                Size of "/dev/shm"
      --ssh stringArray               SSH agent socket or keys to expose to the build (format: "default|<id>[=<socket>|<key>[,<key>]]")
  -t, --tag stringArray               Name and optionally a tag (format: "name:tag")
      --target string                 Set the target build stage to build
      --ulimit ulimit                 Ulimit options (default [])
`;

const ABSENT = ['annotation', 'attest', 'build-context', 'cache-to', 'output', 'push', 'ssh', 'sbom', 'metadata-file'];

const DEPRECATED =
  'DEPRECATED: The legacy builder is deprecated and will be removed in a future release.\n            BuildKit is currently disabled; enable it by removing the DOCKER_BUILDKIT=0\n            environment-variable.\n\n';

export const build: Command = {
  names: ['build', 'image build', 'buildx build', 'builder build'],
  plugin: (env) => (env.DOCKER_BUILDKIT === '0' ? null : 'buildx build'),
  usage: '[OPTIONS] PATH | URL | -',
  short: 'Start a build',
  args: [0, -1],
  options: OPTIONS,
  *run(client, flags) {
    const classic = client.env.DOCKER_BUILDKIT === '0';
    const name = classic ? 'docker build' : 'docker buildx build';
    if (flags.args.length !== 1) {
      throw new Stop(
        `ERROR: "${name}" requires exactly 1 argument.\nSee '${name} --help'.\n\nUsage:  ${name} [OPTIONS] PATH | URL | -\n\n${classic ? 'Build an image from a Dockerfile' : 'Start a build'}`,
      );
    }
    if (classic) yield* complain(DEPRECATED);
    for (const flag of ABSENT) if (flags.on.has(flag)) throw new Stop(`not modelled: docker build --${flag}`);
    const platform = flags.all('platform').find((p) => !/^linux\/(amd64|x86_64)$/.test(p));
    if (platform) throw new Stop(`not modelled: docker build --platform ${platform}`);
    for (const tag of flags.all('tag')) {
      const parsed = parseReference(tag);
      if ('error' in parsed) throw new Stop(`ERROR: invalid tag ${JSON.stringify(tag)}: ${parsed.error.replace(/^.*\(.*\) (must be lowercase)$/, 'repository name $1')}`);
    }
    const context = yield* contextFor(flags);
    const raw = writeTar(context.entries);
    const query = {
      version: classic ? undefined : '2', t: flags.all('tag').join(',') || undefined, dockerfile: context.dockerfile, hidden: context.hidden ? 1 : undefined, ignore: context.ignore, remote: context.remote ? 1 : undefined,
      target: flags.get('target'), nocache: flags.has('no-cache') ? 1 : undefined, buildargs: JSON.stringify(buildArgs(client, flags)), labels: JSON.stringify(labelsOf(flags)), secrets: JSON.stringify(yield* secretsOf(client, flags)),
    };
    const quiet = flags.has('quiet');
    if (classic && !quiet) yield* print(`Sending build context to Docker daemon ${decimalSize(raw.length).padStart(8)}\r\r\n`);
    const id = yield* follow(yield* stream(client, 'POST', '/build', { raw, query }), { classic, quiet, live: yield* isLive(client, flags) });
    if (quiet && id) yield* print(`${id}\n`);
    if (flags.get('iidfile')) yield* writeFile(flags.get('iidfile')!, id);
    return 0;
  },
};

function* isLive(client: Client, flags: Flags): Call<boolean> {
  const mode = flags.get('progress') ?? client.env.BUILDKIT_PROGRESS ?? 'auto';
  if (!['auto', 'plain', 'tty', 'quiet', 'rawjson'].includes(mode)) throw new Stop(`ERROR: invalid progress mode ${mode}`);
  if (mode === 'rawjson') throw new Stop('not modelled: docker build --progress rawjson');
  const terminal = yield* isTerminal(2);
  if (mode === 'tty' && !terminal) throw new Stop('ERROR: failed to get console: provided file is not a console');
  return terminal && mode !== 'plain';
}

function* contextFor(flags: Flags): Call<BuildContext> {
  const path = flags.args[0]!;
  const dockerfile = flags.get('file');
  if (path === '-') return inputContext(yield* drain(0), dockerfile);
  if (/^(https?:|git:|git@|github\.com\/)/.test(path)) throw new Stop('not modelled: docker build from a URL');
  const stat = yield* statOf(path);
  if (!stat || !isDir(stat)) throw new Stop(`ERROR: unable to prepare context: path ${JSON.stringify(path)} not found`);
  if (dockerfile !== '-') return yield* readContext(path, dockerfile);
  const context = yield* readContext(path, undefined);
  return { ...context, entries: [...context.entries, entry(`${HIDDEN}/Dockerfile`, { data: yield* drain(0) })], dockerfile: `${HIDDEN}/Dockerfile`, hidden: true };
}

function pairOf(one: string): [string, string | undefined] {
  const cut = one.indexOf('=');
  return cut < 0 ? [one, undefined] : [one.slice(0, cut), one.slice(cut + 1)];
}

function buildArgs(client: Client, flags: Flags): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of flags.all('build-arg').map(pairOf)) {
    if (value !== undefined) out[name] = value;
    else if (client.env[name] !== undefined) out[name] = client.env[name];
  }
  return out;
}

const labelsOf = (flags: Flags): Record<string, string> => Object.fromEntries(flags.all('label').map((l) => { const [k, v] = pairOf(l); return [k, v ?? '']; }));

function* secretsOf(client: Client, flags: Flags): Call<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const one of flags.all('secret')) {
    const fields = Object.fromEntries(one.split(',').map((p) => { const [k, v] = pairOf(p); return [k.toLowerCase(), v ?? '']; })) as Record<string, string>;
    const id = fields.id ?? (fields.src ?? fields.source ?? fields.env ?? '').split('/').pop() ?? '';
    const path = fields.src ?? fields.source ?? (fields.env === undefined && client.env[id] === undefined ? id : undefined);
    if (path === undefined) {
      out[id] = client.env[fields.env ?? id] ?? '';
      continue;
    }
    const data = yield* attempt(readBytes(path), null);
    if (data === null) throw new Stop(`ERROR: failed to stat ${path}: stat ${path}: no such file or directory`);
    out[id] = text(data);
  }
  return out;
}

export interface Following {
  classic: boolean;
  quiet: boolean;
  /** Draws on the terminal. */
  live: boolean;
  /** A name before each vertex; what is told goes to standard output then, as compose has it. */
  prefix?: string;
}

/** Tells of the progress; the id of the image. Throws Stop with the status of a command that failed. */
export function* follow(opened: Parameters<typeof lines>[0], o: Following): Call<string> {
  let id = '';
  let failed: Any = null;
  const show = o.classic || o.quiet ? null : yield* createShow(o.live, o.prefix, o.prefix === undefined ? complain : print);
  try {
    yield* lines(opened, function* (m: Any) {
      if (m.stream && !o.quiet) yield* o.classic ? print(m.stream) : complain(m.stream);
      if (show && !m.error) yield* take(show, m);
      if (m.aux?.ID) id = m.aux.ID;
      if (m.error) failed = m;
    });
  } finally {
    if (show) yield* endShow(show);
  }
  yield* attempt(opened.close(), undefined);
  if (!failed) return id;
  if (failed.before && !o.quiet) yield* o.prefix === undefined ? complain(failed.before) : print(stepOnly(failed.before, o.prefix));
  throw new Stop(o.classic ? failed.error : `ERROR: ${failed.error}`, failed.errorDetail?.code ?? 1);
}

/** Of what stands before a failure, the step's own lines without the Dockerfile's. */
function stepOnly(before: string, prefix: string): string {
  const [, step] = /^------\n > (.*\n(?:.*\n)*?)------\n/.exec(before) ?? [];
  return step === undefined ? '' : `------\n > ${named({ prefix }, step)}------\n`;
}

function* agreed(warning: string): Call<boolean> {
  yield* print(`WARNING! ${warning} [y/N] `);
  return /^y\s*$/i.test(text(yield* sys('read', 0, 256)));
}

export const builder: readonly Command[] = [
  {
    names: ['buildx version'], usage: '', short: 'Show buildx version information', options: '', args: [0, 0],
    *run() {
      yield* print('github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3\n');
      return 0;
    },
  },
  {
    names: ['buildx ls'], usage: '', short: 'List builder instances', options: '', args: [0, 0],
    *run(client) {
      yield* api(client, 'GET', '/version');
      yield* print(`${tabulate('NAME/NODE     DRIVER/ENDPOINT   STATUS    BUILDKIT   PLATFORMS\ndefault*      docker                                   \n \\_ default    \\_ default         running   v0.12.5    linux/amd64, linux/amd64/v2, linux/amd64/v3, linux/386', 0, 3)}\n`);
      return 0;
    },
  },
  {
    names: ['builder prune', 'buildx prune'], usage: '[OPTIONS]', short: 'Remove build cache', args: [0, 0],
    options: '\n  -a, --all                  Remove all unused build cache, not just dangling ones\n      --filter filter        Provide filter values (e.g., "until=24h")\n  -f, --force                Do not prompt for confirmation\n      --keep-storage bytes   Amount of disk space to keep for cache\n',
    *run(client, flags) {
      const warning = `This will remove all ${flags.has('all') ? '' : 'dangling '}build cache. Are you sure you want to continue?`;
      if (!flags.has('force') && !(yield* agreed(warning))) return 0;
      const rows: Any[] = (yield* api(client, 'GET', '/system/df')).BuildCache ?? [];
      const gone = yield* api(client, 'POST', '/build/prune', { query: { all: flags.has('all') ? 1 : undefined } });
      const now = yield* nowNs();
      const lines = rows.filter((r) => (gone.CachesDeleted ?? []).includes(r.ID)).map((r) => `${String(r.ID).padEnd(40)}\ttrue \t\t${decimalSize(r.Size, 4).padEnd(10)}\t${r.LastUsedAt ? `${humanDuration(Math.max(0, now - r.LastUsedAt * 1e9))} ago` : ''}\n`);
      yield* print(`${lines.length > 0 ? `ID\t\t\t\t\t\tRECLAIMABLE\tSIZE\t\tLAST ACCESSED\n${lines.join('')}` : ''}Total:\t${decimalSize(gone.SpaceReclaimed, 4)}\n`);
      return 0;
    },
  },
];
