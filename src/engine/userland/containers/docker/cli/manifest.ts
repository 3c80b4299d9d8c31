/** docker manifest inspect: what a registry says of an image, asked by the command itself. Source: docker/cli command/manifest/inspect.go. */
import type { Call } from '../../../lib/http.ts';
import { print } from '../../../lib/io.ts';
import { buildImage } from '../../images.ts';
import { ImageError, parseReference, type Reference } from '../../oci.ts';
import { fetchManifest, type Manifest, pack, reach, RegistryError, SCHEMA2 } from '../../registry.ts';
import { Stop } from './client.ts';
import type { Command } from './command.ts';

function* manifestOf(reference: Reference): Call<Manifest> {
  const own = buildImage(`${reference.name}:${reference.tag || 'latest'}`);
  if (own) return pack(own).manifest;
  try {
    const remote = yield* reach(reference.name);
    if (remote) return yield* fetchManifest(remote, reference);
  } catch (error) {
    if (!(error instanceof RegistryError) && !(error instanceof ImageError)) throw error;
    throw new Stop(/manifest unknown/.test(error.message) ? `no such manifest: ${shown(reference)}` : error.message);
  }
  throw new Stop(`no such manifest: ${shown(reference)}`);
}

const shown = (r: Reference): string => `${r.name.includes('/') ? (/^(localhost|[^/]*[.:][^/]*)\//.test(r.name) ? r.name : `docker.io/${r.name}`) : `docker.io/library/${r.name}`}${r.digest ? `@${r.digest}` : `:${r.tag}`}`;

/** Go's indented JSON with tabs. */
const tabbed = (value: unknown): string => `${JSON.stringify(value, null, '\t')}\n`;

export const manifestInspect: Command = {
  names: ['manifest inspect'],
  usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  short: 'Display an image manifest, or manifest list',
  args: [1, 2],
  options: '\n      --insecure   Allow communication with an insecure registry\n  -v, --verbose    Output additional info including layers and platform\n',
  *run(_client, flags) {
    const parsed = parseReference(flags.args.at(-1)!);
    if ('error' in parsed) throw new Stop(parsed.error);
    const manifest = yield* manifestOf(parsed);
    const body = JSON.parse(manifest.text) as Record<string, unknown>;
    if (!flags.has('verbose')) yield* print(tabbed(body));
    else {
      yield* print(tabbed({
        Ref: shown(parsed), Descriptor: { mediaType: SCHEMA2, digest: manifest.digest, size: manifest.text.length, platform: { architecture: 'amd64', os: 'linux' } }, SchemaV2Manifest: body,
      }));
    }
    return 0;
  },
};
