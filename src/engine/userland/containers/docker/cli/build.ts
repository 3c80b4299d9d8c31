/** docker build: the context as a tar to the daemon, its progress back; DOCKER_BUILDKIT=0 takes the classic builder. Source: docker/cli image/build.go, buildx. */
import { isDir, list, readBytes, statOf, tryRead, writeFile, attempt } from '../../../lib/files.ts';
import { decimalSize } from '../../../lib/clock.ts';
import { type Call } from '../../../lib/http.ts';
import { complain, print } from '../../../lib/io.ts';
import { entry, type TarEntry, writeTar } from '../../tar.ts';
import { gather } from './copy.ts';
import { type Any, type Client, lines, Stop, stream } from './client.ts';
import type { Command } from './command.ts';
import type { Flags } from './flags.ts';

const OPTIONS = `
      --build-arg stringArray         Set build-time variables
  -f, --file string                   Name of the Dockerfile (default: "PATH/Dockerfile")
      --iidfile string                Write the image ID to the file
      --label stringArray             Set metadata for an image
      --load                          Shorthand for "--output=type=docker"
      --no-cache                      Do not use cache when building the image
      --progress string               Set type of progress output ("auto", "plain", "tty", "rawjson"). Use plain to show container output (default "auto")
      --pull                          Always attempt to pull all referenced images
  -q, --quiet                         Suppress the build output and print image ID on success
      --rm                            Remove intermediate containers
  -t, --tag stringArray               Name and optionally a tag (format: "name:tag")
      --target string                 Set the target build stage to build
`;

const DEPRECATED =
  'DEPRECATED: The legacy builder is deprecated and will be removed in a future release.\n            BuildKit is currently disabled; enable it by removing the DOCKER_BUILDKIT=0\n            environment-variable.\n\n';

export const build: Command = {
  names: ['build', 'image build', 'buildx build', 'builder build'],
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
    const path = flags.args[0]!;
    if (path === '-' || /^(https?|git):/.test(path)) throw new Stop('not modelled: docker build from standard input or a URL');
    if (!(yield* statOf(path))) throw new Stop(`ERROR: unable to prepare context: path ${JSON.stringify(path)} not found`);
    const raw = writeTar(yield* contextOf(path, flags.get('file')));
    const query = {
      version: classic ? undefined : '2',
      t: flags.all('tag').join(',') || undefined,
      dockerfile: flags.get('file')?.split('/').pop() ?? 'Dockerfile',
      target: flags.get('target'),
      nocache: flags.has('no-cache') ? 1 : undefined,
      buildargs: JSON.stringify(buildArgs(client, flags)),
    };
    const quiet = flags.has('quiet');
    if (classic && !quiet) yield* print(`Sending build context to Docker daemon ${decimalSize(raw.length).padStart(8)}\r\r\n`);
    const id = yield* follow(yield* stream(client, 'POST', '/build', { raw, query }), { classic, quiet, live: false });
    if (quiet && id) yield* print(`${id}\n`);
    if (flags.get('iidfile')) yield* writeFile(flags.get('iidfile')!, id);
    return 0;
  },
};

function buildArgs(client: Client, flags: Flags): Record<string, string> {
  const out: Record<string, string> = {};
  for (const one of flags.all('build-arg')) {
    const cut = one.indexOf('=');
    if (cut >= 0) out[one.slice(0, cut)] = one.slice(cut + 1);
    else if (client.env[one] !== undefined) out[one] = client.env[one];
  }
  return out;
}

/** Prints the progress; the id of the image. Throws Stop with the status of a command that failed. */
export function* follow(opened: Parameters<typeof lines>[0], { classic, quiet }: { classic: boolean; quiet: boolean; live: boolean }): Call<string> {
  let id = '';
  let failed: Any = null;
  yield* lines(opened, function* (m: Any) {
    if (m.stream && !quiet) yield* classic ? print(m.stream) : complain(m.stream);
    if (m.aux?.ID) id = m.aux.ID;
    if (m.error) failed = m;
  });
  yield* attempt(opened.close(), undefined);
  if (!failed) return id;
  throw new Stop(classic ? failed.error : `ERROR: ${failed.error}`, failed.errorDetail?.code ?? 1);
}

/** Everything below the path but what .dockerignore names; a Dockerfile from elsewhere is put beside. */
export function* contextOf(path: string, dockerfile: string | undefined): Call<TarEntry[]> {
  const ignored = ((yield* tryRead(`${path}/.dockerignore`)) ?? '')
    .split('\n')
    .map((l) => l.trim())
    .filter((l) => l !== '' && !l.startsWith('#'));
  const entries: TarEntry[] = [];
  for (const { name } of yield* list(path)) yield* gather(`${path}/${name}`, name, entries);
  const kept = entries.filter((e) => !isIgnored(e.name, ignored) || e.name === 'Dockerfile');
  if (dockerfile === undefined) return kept;
  const name = dockerfile.split('/').pop()!;
  const from = dockerfile.startsWith('/') ? dockerfile : (yield* statOf(`${path}/${dockerfile}`)) ? `${path}/${dockerfile}` : dockerfile;
  const stat = yield* statOf(from);
  if (!stat || isDir(stat)) return kept.filter((e) => e.name !== name);
  return [...kept.filter((e) => e.name !== name), entry(name, { mode: stat.mode & 0o777, data: yield* readBytes(from) })];
}

function isIgnored(name: string, patterns: readonly string[]): boolean {
  let out = false;
  for (const pattern of patterns) {
    const no = pattern.startsWith('!');
    const clean = pattern.replace(/^!/, '').replace(/^\/+|\/+$/g, '');
    const test = new RegExp(
      `^${clean
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replace(/\*\*/g, '\0')
        .replace(/\*/g, '[^/]*')
        .replaceAll('\0', '.*')
        .replace(/\?/g, '[^/]')}(/|$)`,
    );
    if (test.test(name)) out = !no;
  }
  return out;
}

export const builder: readonly Command[] = [
  {
    names: ['buildx version'],
    usage: '',
    short: 'Show buildx version information',
    options: '',
    args: [0, 0],
    *run() {
      yield* print('github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3\n');
      return 0;
    },
  },
];
