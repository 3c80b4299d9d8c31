/** The image service: what there is, and pulls from the registry that the lab has without a network. Source: containerd pkg/cri/server/image_*.go. */
import { nowIso } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { journal } from '../containerd/log.ts';
import { buildImage, offlineImages } from '../images.ts';
import { parseReference } from '../oci.ts';
import { addImage, dropImage, findImage, layerSizes, saveRepositories, type StoredImage } from '../store.ts';
import { type Cri, CriError, type Message } from './state.ts';

/** "nginx" is docker.io/library/nginx; a first part with a dot, a colon or "localhost" is a registry. */
export function fullName(name: string): string {
  const first = name.split('/')[0]!;
  if (name.includes('/') && /[.:]|^localhost$/.test(first)) return name;
  return `docker.io/${name.includes('/') ? '' : 'library/'}${name}`;
}

/** A reference with its registry and its tag. */
export function fullReference(reference: string): string {
  const parsed = parseReference(reference);
  if ('error' in parsed) throw new CriError('InvalidArgument', `failed to parse image reference "${reference}": ${parsed.error}`);
  return fullName(parsed.name) + (parsed.tag === '' ? '' : `:${parsed.tag}`) + (parsed.digest === '' ? '' : `@${parsed.digest}`);
}

/** An image by reference, full or familiar, or by id. */
export function lookUp(cri: Cri, reference: string): StoredImage | null {
  return reference === '' ? null : findImage(cri.d.store, reference);
}

function* imageOf(cri: Cri, image: StoredImage): Call<Message> {
  const size = (yield* layerSizes(cri.d.store, image)).reduce((a, b) => a + b, 0);
  const user = image.config.config.User ?? '';
  const [uid] = user.split(':');
  return {
    id: image.id, repoTags: image.tags.map(fullReference), repoDigests: image.digests.map((d) => fullName(d)), size: String(size),
    ...(uid ? (/^\d+$/.test(uid) ? { uid: { value: uid } } : { username: uid }) : {}), spec: { image: image.tags[0] ? fullReference(image.tags[0]) : '' }, pinned: image.tags.some((t) => t.startsWith('registry.k8s.io/pause')),
  };
}

export function* imageStatus(cri: Cri, r: Message): Call<Message> {
  const image = lookUp(cri, String(r.image?.image ?? ''));
  if (!image) return {};
  return { image: yield* imageOf(cri, image), ...(r.verbose ? { info: { info: JSON.stringify({ chainID: image.chain.at(-1), imageSpec: image.config }) } } : {}) };
}

export function* listImages(cri: Cri, r: Message): Call<Message> {
  const wanted = r.filter?.image?.image;
  const all = wanted ? [lookUp(cri, String(wanted))].filter((i) => i !== null) : [...cri.d.store.images.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const images: Message[] = [];
  for (const image of all) images.push(yield* imageOf(cri, image));
  return { images };
}

/** Of what the registry holds; throws CriError in containerd's words for anything else. */
export function* pull(cri: Cri, reference: string): Call<StoredImage> {
  const full = fullReference(reference);
  const name = full.replace(/(:[\w][\w.-]*)?(@.*)?$/, '');
  yield* journal('info', `PullImage ${JSON.stringify(reference)}`);
  const found = buildImage(reference);
  if (!found) {
    const parsed = parseReference(reference);
    const known = !('error' in parsed) && offlineImages().includes(parsed.name);
    const why = known ? `${full}: not found` : name.startsWith('docker.io/')
      ? 'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed'
      : `failed to do request: Head "https://${name.replace('/', '/v2/')}/manifests/${full.slice(name.length + 1)}": dial tcp: lookup ${name.split('/')[0]}: no such host`;
    const message = `failed to pull and unpack image "${full}": failed to resolve reference "${full}": ${why}`;
    yield* journal('error', `PullImage ${JSON.stringify(reference)} failed`, { error: message });
    throw new CriError(known ? 'NotFound' : 'Unknown', message);
  }
  const image = yield* addImage(cri.d.store, found, yield* nowIso());
  yield* journal('info', `PullImage ${JSON.stringify(reference)} returns image reference ${JSON.stringify(image.id)}`);
  return image;
}

export function* pullImage(cri: Cri, r: Message): Call<Message> {
  return { imageRef: (yield* pull(cri, String(r.image?.image ?? ''))).id };
}

export function* removeImage(cri: Cri, r: Message): Call<Message> {
  const reference = String(r.image?.image ?? '');
  const image = lookUp(cri, reference);
  if (!image) return {};
  const parsed = parseReference(reference);
  const tag = 'error' in parsed ? '' : `${parsed.name}:${parsed.tag}`;
  if (image.tags.length > 1 && image.tags.includes(tag)) {
    cri.d.store.repositories.delete(tag);
    yield* saveRepositories(cri.d.store);
  } else yield* dropImage(cri.d.store, image);
  return {};
}
