/** docker pull, push and the progress lines of both. Source: docker/cli image/pull.go, jsonmessage. */
import { bytes } from '../../../../sim/text.ts';
import { attempt } from '../../../lib/files.ts';
import { type Call, writeAll } from '../../../lib/http.ts';
import { print } from '../../../lib/io.ts';
import { parseReference } from '../../oci.ts';
import { type Any, type Client, lines, Stop, stream, ApiError } from './client.ts';
import type { Command } from './command.ts';

/** Fetches an image, its progress on this descriptor. Throws ApiError, Stop. */
export function* pullTo(client: Client, image: string, fd: number, quiet: boolean): Call<void> {
  const { name, tag, digest } = reference(image);
  const opened = yield* stream(client, 'POST', '/images/create', { query: { fromImage: name, tag: digest || tag } });
  yield* progress(opened, fd, quiet);
}

/** Prints progress messages; an error in them is the daemon's. */
export function* progress(opened: Parameters<typeof lines>[0], fd: number, quiet = false): Call<void> {
  let failure: string | null = null;
  yield* lines(opened, function* (m: Any) {
    if (m.error) failure = m.error;
    else if (m.stream !== undefined) yield* writeAll(fd, bytes(m.stream));
    else if (!quiet && m.status !== undefined) yield* writeAll(fd, bytes(`${m.id ? `${m.id}: ` : ''}${m.status}\n`));
  });
  yield* attempt(opened.close(), undefined);
  if (failure !== null) throw new ApiError(failure, 500);
}

function reference(image: string): { name: string; tag: string; digest: string } {
  const parsed = parseReference(image);
  if ('error' in parsed) throw new Stop(parsed.error);
  return parsed;
}

/** Does a name say which tag or digest it means? */
const exact = (name: string): boolean => /:[^/]*$|@/.test(name);

export const pull: Command = {
  names: ['pull', 'image pull'],
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  short: 'Download an image from a registry',
  args: [1, 1],
  options: `
  -a, --all-tags                Download all tagged images in the repository
      --disable-content-trust   Skip image verification (default true)
      --platform string         Set platform if server is multi-platform capable
  -q, --quiet                   Suppress verbose output
`,
  *run(client, flags) {
    const image = flags.args[0]!;
    const { name, tag, digest } = reference(image);
    if (flags.has('all-tags') && exact(image)) throw new Stop("tag can't be used with --all-tags/-a");
    const quiet = flags.has('quiet');
    if (!exact(image) && !quiet) yield* print(`Using default tag: ${tag}\n`);
    yield* pullTo(client, image, 1, quiet);
    const full = name.includes('/') ? (/^[^/]*[.:]/.test(name) ? name : `docker.io/${name}`) : `docker.io/library/${name}`;
    yield* print(`${full}${digest ? `@${digest}` : `:${tag}`}\n`);
    return 0;
  },
};

export const push: Command = {
  names: ['push', 'image push'],
  usage: '[OPTIONS] NAME[:TAG]',
  short: 'Upload an image to a registry',
  args: [1, 1],
  options: `
  -a, --all-tags                Push all tags of an image to the repository
      --disable-content-trust   Skip image signing (default true)
  -q, --quiet                   Suppress verbose output
`,
  *run(client, flags) {
    const image = flags.args[0]!;
    const { name, tag } = reference(image);
    if (flags.has('all-tags') && exact(image)) throw new Stop("tag can't be used with --all-tags/-a");
    if (!flags.has('all-tags') && !exact(image)) yield* print(`Using default tag: ${tag}\n`);
    const opened = yield* stream(client, 'POST', `/images/${encodeURIComponent(name)}/push`, { query: { tag } });
    try {
      yield* progress(opened, 1, flags.has('quiet'));
    } catch (error) {
      if (error instanceof ApiError) throw new Stop(error.message);
      throw error;
    }
    return 0;
  },
};
