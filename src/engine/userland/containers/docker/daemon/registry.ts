/** The daemon's dealings with registries: pull and push as its API tells of them. Source: moby distribution/pull_v2.go, push_v2.go. */
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { exists } from '../../../lib/files.ts';
import { beginStream, type Call, endStream, type Exchange, writeChunk } from '../../../lib/http.ts';
import { chainIds, ImageError, parseReference, type Reference } from '../../oci.ts';
import { type Found, find, pack, reach, RegistryError, send } from '../../registry.ts';
import { addImage, layerTar, saveRepositories } from '../../store.ts';
import { TarError } from '../../tar.ts';
import { publish } from './events.ts';
import { unreachable } from './imageapi.ts';
import { type Any, type Daemon, Refused } from './state.ts';

const HUB = 'registry-1.docker.io';
const known = (error: unknown): error is Error => error instanceof RegistryError || error instanceof ImageError || error instanceof TarError;

/** An image that a build stands on, fetched under its own name; null when it cannot be had. */
export function* offline(_daemon: Daemon, image: string): Call<(Found['image'] & { reference: string }) | null> {
  const parsed = parseReference(image);
  if ('error' in parsed) return null;
  try {
    const found = yield* find(parsed);
    return found ? { ...found.image, reference: `${parsed.name}:${parsed.tag || 'latest'}` } : null;
  } catch (error) {
    if (!known(error)) throw error;
    return null;
  }
}

function* located(reference: Reference): Call<Found> {
  try {
    const found = yield* find(reference);
    if (found) return found;
  } catch (error) {
    if (!known(error)) throw error;
    throw new Refused(/not found: manifest unknown/.test(error.message) ? 404 : 500, error.message);
  }
  const host = /^[^/]*[.:][^/]*\//.test(reference.name) ? reference.name.split('/')[0]! : HUB;
  throw new Refused(500, yield* unreachable(`https://${host}/v2/`));
}

/** POST /auth: a registry that answers takes any name and password, for the lab's has no accounts. Throws Refused. */
export function* authenticate(server: string): Call<Any> {
  const host = server.replace(/^https?:\/\//, '').split('/')[0]!;
  const own = host !== '' && host !== 'index.docker.io';
  try {
    if (yield* reach(own ? `${host}/any` : 'library/any')) return { IdentityToken: '', Status: 'Login Succeeded' };
  } catch (error) {
    if (!known(error)) throw error;
    throw new Refused(500, error.message);
  }
  throw new Refused(500, yield* unreachable(`https://${own ? host : HUB}/v2/`));
}

/** POST /images/create?fromImage. */
export function* pullImage(daemon: Daemon, name: string, tag: string, x: Exchange): Call<void> {
  const parsed = parseReference(/^sha256:/.test(tag) ? `${name}@${tag}` : `${name}:${tag || 'latest'}`);
  if ('error' in parsed) throw new Refused(400, parsed.error);
  const { image, manifest } = yield* located(parsed);
  const ref = parsed.digest ? `${parsed.name}@${parsed.digest}` : `${parsed.name}:${parsed.tag}`;
  const had = daemon.store.repositories.get(ref) === image.id;
  const say = (status: string, id?: string): Call<void> => writeChunk(x, `${JSON.stringify({ status, ...(id ? { id } : {}) })}\n`);
  yield* beginStream(x, 200, { 'Content-Type': 'application/json' });
  const path = parsed.name.includes('/') ? parsed.name.replace(/^(localhost|[^/]*[.:][^/]*)\//, '') : `library/${parsed.name}`;
  yield* say(`Pulling from ${path}`, parsed.digest || parsed.tag);
  if (!had) {
    // With the config here already there is nothing to fetch but the name.
    const wanted = daemon.store.images.has(image.id) ? [] : manifest.layers.map((l) => l.digest.slice(7, 19));
    const there: boolean[] = [];
    for (const id of chainOf(image)) there.push(yield* exists(`${daemon.store.layout.images}/layerdb/sha256/${id}/cache-id`));
    for (const [i, id] of wanted.entries()) yield* say(there[i] ? 'Already exists' : 'Pulling fs layer', id);
    for (const [i, id] of wanted.entries()) if (!there[i]) for (const status of ['Verifying Checksum', 'Download complete', 'Pull complete']) yield* say(status, id);
    try {
      yield* addImage(daemon.store, { ...image, tags: parsed.digest ? [] : [ref] }, isoNano(yield* nowNs()));
    } catch (error) {
      if (!known(error)) throw error;
      yield* writeChunk(x, `${JSON.stringify({ errorDetail: { message: error.message }, error: error.message })}\n`);
      yield* endStream(x);
      return;
    }
    yield* publish(daemon, 'image', 'pull', ref, { name: parsed.name });
  }
  yield* noteDigest(daemon, parsed.name, manifest.digest, image.id);
  yield* say(`Digest: ${manifest.digest}`);
  yield* say(`Status: ${had ? 'Image is up to date' : 'Downloaded newer image'} for ${ref}`);
  yield* endStream(x);
}

const chainOf = (image: Found['image']): string[] => chainIds(image.config.rootfs.diff_ids).map((c) => c.slice(7));

/** The name by which an image can be had again, whatever its tag then is. */
export function* noteDigest(daemon: Daemon, name: string, digest: string, id: string): Call<void> {
  if (daemon.store.repositories.get(`${name}@${digest}`) === id) return;
  daemon.store.repositories.set(`${name}@${digest}`, id);
  yield* saveRepositories(daemon.store);
}

/** POST /images/NAME/push. */
export function* pushImage(daemon: Daemon, name: string, tag: string, x: Exchange): Call<void> {
  const parsed = parseReference(`${name}:${tag || 'latest'}`);
  if ('error' in parsed) throw new Refused(400, parsed.error);
  const ref = `${parsed.name}:${parsed.tag}`;
  const own = /^(localhost|[^/]*[.:][^/]*)\//.test(parsed.name);
  yield* beginStream(x, 200, { 'Content-Type': 'application/json' });
  const say = (line: Any): Call<void> => writeChunk(x, `${JSON.stringify(line)}\n`);
  yield* say({ status: `The push refers to repository [${own ? parsed.name : parsed.name.includes('/') ? `docker.io/${parsed.name}` : `docker.io/library/${parsed.name}`}]` });
  const error = yield* pushTo(daemon, parsed, ref, say);
  if (error !== null) yield* say({ errorDetail: { message: error }, error });
  yield* endStream(x);
}

/** Null when it went well. */
function* pushTo(daemon: Daemon, parsed: Reference, ref: string, say: (line: Any) => Call<void>): Call<string | null> {
  const image = daemon.store.images.get(daemon.store.repositories.get(ref) ?? '');
  if (!image) return `An image does not exist locally with the tag: ${parsed.name}`;
  try {
    const remote = yield* reach(parsed.name);
    if (!remote) return yield* unreachable(`https://${/^[^/]*[.:][^/]*\//.test(parsed.name) ? parsed.name.split('/')[0] : HUB}/v2/`);
    const layers: Uint8Array[] = [];
    for (const id of image.chain) layers.push(yield* layerTar(daemon.store, id));
    const short = (i: number): string => image.config.rootfs.diff_ids[i]!.slice(7, 19);
    for (let i = layers.length - 1; i >= 0; i--) yield* say({ status: 'Preparing', id: short(i) });
    const manifest = yield* send(remote, parsed.tag, pack({ id: image.id, configText: image.configText, layers }), (_d, state, i) => say({ status: state === 'there' ? 'Layer already exists' : 'Pushed', id: short(i) }));
    yield* noteDigest(daemon, parsed.name, manifest.digest, image.id);
    yield* publish(daemon, 'image', 'push', ref, { name: parsed.name });
    yield* say({ status: `${parsed.tag}: digest: ${manifest.digest} size: ${manifest.text.length}` });
    return null;
  } catch (error) {
    if (!known(error)) throw error;
    return error.message;
  }
}
