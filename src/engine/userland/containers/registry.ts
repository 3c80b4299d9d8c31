/**
 * Registries seen from a client: the lab's own images, which can be had without a network, and any registry that speaks
 * HTTP on this machine's networks. Manifests are docker's schema 2 with gzipped layers; every digest is a true sha256.
 * Source: distribution spec (API), docker manifest v2 schema 2. Left out: tokens, TLS, lists of platforms.
 */
import { gzipSync } from 'fflate';
import { SysError } from '../../kernel/abi.ts';
import type { SockAddr } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { tryRead } from '../lib/files.ts';
import { type Call, open, type RequestOptions } from '../lib/http.ts';
import { buildImage } from './images.ts';
import { digestOf, ImageError, inflate, isRecord, parseReference, type ReadImage, type Reference, readConfig } from './oci.ts';

export const SCHEMA2 = 'application/vnd.docker.distribution.manifest.v2+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

export interface Descriptor {
  mediaType: string;
  size: number;
  digest: string;
}

export interface Manifest {
  /** As it is sent: what its digest is over. */
  text: string;
  digest: string;
  config: Descriptor;
  layers: Descriptor[];
}

/** An image with its compressed layers. */
export interface Packed {
  manifest: Manifest;
  blobs: Map<string, Uint8Array>;
}

export class RegistryError extends Error {}

const packed = new Map<string, Packed>();

/** The manifest of an image as docker pushes it. The same image always gives the same bytes. */
export function pack(image: { id: string; configText: string; layers: readonly Uint8Array[] }): Packed {
  const known = packed.get(image.id);
  if (known) return known;
  const blobs = new Map<string, Uint8Array>();
  const descriptor = (mediaType: string, data: Uint8Array): Descriptor => {
    const digest = digestOf(data);
    blobs.set(digest, data);
    return { mediaType, size: data.length, digest };
  };
  const config = descriptor(CONFIG, bytes(image.configText));
  const layers = image.layers.map((l) => descriptor(LAYER, gzipSync(l, { mtime: 0, level: 6 })));
  const body = JSON.stringify({ schemaVersion: 2, mediaType: SCHEMA2, config, layers }, null, 3);
  const made: Packed = { manifest: { text: body, digest: digestOf(body), config, layers }, blobs };
  if (packed.size > 64) packed.clear();
  packed.set(image.id, made);
  return made;
}

/** Host, port and path of a name; null when it is docker's hub. */
export function hostOf(name: string): { host: string; port: number; path: string } | null {
  const m = /^([^/]+)\/(.+)$/.exec(name);
  if (!m || !(/[.:]/.test(m[1]!) || m[1] === 'localhost')) return null;
  const [host = '', port] = m[1]!.split(':');
  return { host, port: Number(port ?? 443), path: m[2]! };
}

function* addressOf(host: string): Call<string | null> {
  if (host === 'localhost') return '127.0.0.1';
  if (/^\d+(\.\d+){3}$/.test(host)) return host;
  for (const line of ((yield* tryRead('/etc/hosts')) ?? '').split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (names.includes(host) && /^\d+(\.\d+){3}$/.test(address ?? '')) return address!;
  }
  return null;
}

/** Names that the daemon may reach without TLS. */
function* insecure(host: string, port: number): Call<boolean> {
  if (host === 'localhost' || host.startsWith('127.')) return true;
  try {
    const config = JSON.parse((yield* tryRead('/etc/docker/daemon.json')) ?? '{}') as { 'insecure-registries'?: unknown };
    const listed = config['insecure-registries'];
    return Array.isArray(listed) && listed.some((l) => l === host || l === `${host}:${port}`);
  } catch {
    return false;
  }
}

export interface Remote {
  address: SockAddr;
  host: string;
  /** Path below /v2/. */
  path: string;
}

/** Reaches a registry. Throws RegistryError in docker's words; null when the name has no address here. */
export function* reach(name: string): Call<Remote | null> {
  const at = hostOf(name);
  const ip = at && (yield* addressOf(at.host));
  if (!at || !ip) return null;
  const remote: Remote = { address: { family: 'inet', address: ip, port: at.port }, host: `${at.host}:${at.port}`, path: at.path };
  const plain = yield* insecure(at.host, at.port);
  const url = `${plain ? 'http' : 'https'}://${at.host}:${at.port}/v2/`;
  const answer = yield* ask(remote, { method: 'GET', path: '/v2/' }, url);
  if (!plain) throw new RegistryError(`Get "${url}": http: server gave HTTP response to HTTPS client`);
  if (answer.status !== 200) throw new RegistryError(`Get "${url}": unexpected status ${answer.status}`);
  return remote;
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  data: Uint8Array;
}

export function* ask(remote: Remote, options: RequestOptions, url = `http://${remote.host}${options.path}`): Call<Answer> {
  try {
    const stream = yield* open(remote.address, options);
    const parts: Uint8Array[] = [];
    for (;;) {
      const chunk = yield* stream.readChunk();
      if (chunk === null) break;
      parts.push(chunk);
    }
    yield* stream.close();
    return { status: stream.status, headers: stream.headers, data: joinBytes(parts) };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const to = remote.address as { address: string; port: number };
    throw new RegistryError(`${options.method === 'GET' ? 'Get' : 'Head'} "${url}": dial tcp ${to.address}:${to.port}: connect: ${error.message.toLowerCase()}`);
  }
}

function failure(answer: Answer): string {
  try {
    const { errors } = JSON.parse(text(answer.data)) as { errors: { code: string; message: string }[] };
    return errors.map((e) => e.message).join(', ');
  } catch {
    return `received unexpected HTTP status: ${answer.status}`;
  }
}

/** The manifest that a name leads to. Throws RegistryError, ImageError. */
export function* fetchManifest(remote: Remote, reference: Reference): Call<Manifest> {
  const ref = reference.digest || reference.tag;
  const answer = yield* ask(remote, { method: 'GET', path: `/v2/${remote.path}/manifests/${ref}`, headers: { Accept: `${SCHEMA2}, ${OCI_MANIFEST}` } });
  if (answer.status !== 200) throw new RegistryError(answer.status === 404 ? `manifest for ${reference.name}:${ref} not found: manifest unknown: ${failure(answer)}` : failure(answer));
  const body = text(answer.data);
  const digest = digestOf(answer.data);
  if (reference.digest && digest !== reference.digest) throw new RegistryError(`manifest verification failed for digest ${reference.digest}`);
  return { text: body, digest, ...parts(body) };
}

function parts(body: string): { config: Descriptor; layers: Descriptor[] } {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new RegistryError('invalid manifest: unexpected end of JSON input');
  }
  const fits = (d: unknown): d is Descriptor => isRecord(d) && /^sha256:[0-9a-f]{64}$/.test(String(d.digest));
  if (!isRecord(value) || !fits(value.config) || !Array.isArray(value.layers) || !value.layers.every(fits)) throw new RegistryError('unsupported manifest format');
  return { config: value.config, layers: value.layers };
}

/** A blob, its digest checked. Throws RegistryError. */
export function* fetchBlob(remote: Remote, digest: string): Call<Uint8Array> {
  const answer = yield* ask(remote, { method: 'GET', path: `/v2/${remote.path}/blobs/${digest}` });
  if (answer.status !== 200) throw new RegistryError(failure(answer));
  if (digestOf(answer.data) !== digest) throw new RegistryError(`filesystem layer verification failed for digest ${digest}`);
  return answer.data;
}

/** The whole image behind a manifest, checked against its configuration. Throws RegistryError, ImageError, TarError. */
export function* fetchImage(remote: Remote, manifest: Manifest): Call<ReadImage> {
  const configData = yield* fetchBlob(remote, manifest.config.digest);
  const config = readConfig(configData);
  const layers: Uint8Array[] = [];
  for (const [i, l] of manifest.layers.entries()) {
    const tar = inflate(yield* fetchBlob(remote, l.digest));
    if (digestOf(tar) !== config.rootfs.diff_ids[i]) throw new ImageError(`layers from manifest don't match image configuration`);
    layers.push(tar);
  }
  if (layers.length !== config.rootfs.diff_ids.length) throw new ImageError(`layers from manifest don't match image configuration`);
  return { id: digestOf(configData), configText: text(configData), config, tags: [], layers };
}

export interface Found {
  image: ReadImage;
  manifest: Manifest;
}

/** An image by its name, from the lab's own or from a registry that is reached; null when there is none to ask. Throws RegistryError, ImageError, TarError. */
export function* find(reference: Reference): Call<Found | null> {
  const own = buildImage(`${reference.name}:${reference.tag || 'latest'}`);
  if (own && (reference.digest === '' || reference.digest === pack(own).manifest.digest)) return { image: own, manifest: pack(own).manifest };
  const remote = yield* reach(reference.name);
  if (!remote) return null;
  const manifest = yield* fetchManifest(remote, reference);
  return { image: yield* fetchImage(remote, manifest), manifest };
}

/** As `find`, by a reference as people write it. */
export function* findNamed(source: string): Call<Found | null> {
  const reference = parseReference(source);
  return 'error' in reference ? null : yield* find(reference);
}

/** Sends an image; its manifest's digest and size. `say` is told of each layer. Throws RegistryError. */
export function* send(remote: Remote, tag: string, image: Packed, say: (digest: string, state: 'there' | 'sent', at: number) => Call<void>): Call<Manifest> {
  const { manifest, blobs } = image;
  const all = [...manifest.layers.map((l, i) => [l.digest, i] as const).reverse(), [manifest.config.digest, -1] as const];
  for (const [digest, at] of all) {
    const there = (yield* ask(remote, { method: 'HEAD', path: `/v2/${remote.path}/blobs/${digest}` })).status === 200;
    if (!there) yield* upload(remote, digest, blobs.get(digest)!);
    if (at >= 0) yield* say(digest, there ? 'there' : 'sent', at);
  }
  const put = yield* ask(remote, { method: 'PUT', path: `/v2/${remote.path}/manifests/${tag}`, headers: { 'Content-Type': SCHEMA2 }, body: manifest.text });
  if (put.status !== 201) throw new RegistryError(failure(put));
  return manifest;
}

function* upload(remote: Remote, digest: string, data: Uint8Array): Call<void> {
  const begun = yield* ask(remote, { method: 'POST', path: `/v2/${remote.path}/blobs/uploads/` });
  if (begun.status !== 202) throw new RegistryError(failure(begun));
  const place = (begun.headers.location ?? '').replace(/^https?:\/\/[^/]+/, '');
  const put = yield* ask(remote, { method: 'PUT', path: `${place}${place.includes('?') ? '&' : '?'}digest=${digest}`, headers: { 'Content-Type': 'application/octet-stream' }, body: data });
  if (put.status !== 201) throw new RegistryError(failure(put));
}
