/**
 * OCI and docker image formats as values: config, manifest, digests, chain ids, and the reading of `docker save`
 * archives in both layouts. Source: opencontainers/image-spec (config.md, layer.md, image-layout.md), docker image spec
 * v1.2 (manifest.json). Every digest that a file claims is recomputed. Left out: zstd layers (refused with a message).
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { Gunzip } from 'fflate';
import { bytes, text } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { LIMITS, readTar, type TarEntry, TarError } from './tar.ts';

/** "sha256:" and 64 hexadecimal digits. */
export function digestOf(data: Uint8Array | string): string {
  return `sha256:${bytesToHex(sha256(typeof data === 'string' ? bytes(data) : data))}`;
}

/** 64 hexadecimal digits over a name: ids that must be the same in every run. */
export function hexOf(name: string): string {
  return bytesToHex(hashOf(name));
}

/** The 32 bytes of it. */
export function hashOf(name: string): Uint8Array {
  return sha256(bytes(name));
}

/** The ids of the layers stacked so far, bottom first (layer.md, "Layer ChainID"). */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const diff of diffIds) {
    const below = chain[chain.length - 1];
    chain.push(below === undefined ? diff : digestOf(`${below} ${diff}`));
  }
  return chain;
}

export interface ContainerConfig {
  Hostname: string;
  Domainname: string;
  User: string;
  AttachStdin: boolean;
  AttachStdout: boolean;
  AttachStderr: boolean;
  ExposedPorts?: Record<string, object>;
  Tty: boolean;
  OpenStdin: boolean;
  StdinOnce: boolean;
  Env: string[] | null;
  Cmd: string[] | null;
  Image: string;
  Volumes: Record<string, object> | null;
  WorkingDir: string;
  Entrypoint: string[] | null;
  OnBuild: string[] | null;
  Labels: Record<string, string> | null;
  StopSignal?: string;
}

export interface ImageConfig {
  architecture: string;
  os: string;
  created: string;
  author?: string;
  comment?: string;
  docker_version?: string;
  config: Partial<ContainerConfig>;
  rootfs: { type: 'layers'; diff_ids: string[] };
  history: { created: string; created_by?: string; comment?: string; empty_layer?: boolean }[];
}

/** One image of an archive, verified. */
export interface ReadImage {
  /** sha256 of the config's bytes. */
  id: string;
  configText: string;
  config: ImageConfig;
  tags: string[];
  /** Uncompressed tars, bottom first; their digests are the config's diff_ids. */
  layers: Uint8Array[];
}

export class ImageError extends Error {}

/** Images in a `docker save` archive, docker or OCI layout. Throws ImageError or TarError with docker's words. */
export function readArchive(data: Uint8Array): ReadImage[] {
  const files = new Map<string, TarEntry>();
  for (const e of readTar(inflate(data))) files.set(e.name, e);
  if (files.has('manifest.json')) return readDockerLayout(files);
  if (files.has('index.json')) return readOciLayout(files);
  throw new ImageError('open /var/lib/docker/tmp/docker-import/repositories: no such file or directory');
}

function content(files: ReadonlyMap<string, TarEntry>, name: string): Uint8Array {
  let at = files.get(name);
  for (let i = 0; at && (at.type === 'link' || at.type === 'hardlink') && i < 8; i++) {
    const base = at.type === 'link' ? at.name.split('/').slice(0, -1) : [];
    const parts: string[] = [];
    for (const part of [...base, ...at.target.split('/')]) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    at = files.get(parts.join('/'));
  }
  if (!at || at.type !== 'file') throw new ImageError(`open /var/lib/docker/tmp/docker-import/${name}: no such file or directory`);
  return at.data;
}

function json(data: Uint8Array | string, what: string): unknown {
  try {
    return JSON.parse(typeof data === 'string' ? data : text(data));
  } catch {
    throw new ImageError(`invalid ${what}: unexpected end of JSON input`);
  }
}

function readDockerLayout(files: ReadonlyMap<string, TarEntry>): ReadImage[] {
  const manifest = json(content(files, 'manifest.json'), 'manifest.json');
  if (!Array.isArray(manifest)) throw new ImageError('json: cannot unmarshal object into Go value of type []tarexport.manifestItem');
  return manifest.map((item: unknown) => {
    const { Config, RepoTags, Layers } = (item ?? {}) as { Config?: unknown; RepoTags?: unknown; Layers?: unknown };
    if (typeof Config !== 'string' || !Array.isArray(Layers)) throw new ImageError('invalid manifest, missing Config or Layers');
    const layers = Layers.map((name) => inflate(content(files, String(name))));
    return verified(content(files, Config), layers, Array.isArray(RepoTags) ? RepoTags.map((t) => familiar(String(t))) : []);
  });
}

/** "busybox:1" for "docker.io/library/busybox:1". */
export const familiar = (name: string): string => name.replace(/^docker\.io\/(library\/)?/, '');

interface Descriptor {
  digest?: unknown;
  mediaType?: unknown;
  annotations?: Record<string, unknown>;
}

function readOciLayout(files: ReadonlyMap<string, TarEntry>): ReadImage[] {
  const index = json(content(files, 'index.json'), 'index.json') as { manifests?: unknown };
  if (!index || !Array.isArray(index.manifests)) throw new ImageError('invalid index.json: no manifests');
  return index.manifests.flatMap((d: Descriptor) => {
    const name = d?.annotations?.['io.containerd.image.name'] ?? d?.annotations?.['org.opencontainers.image.ref.name'];
    return readOciManifest(files, d, typeof name === 'string' && name.includes(':') ? [familiar(name)] : [], 0);
  });
}

function readOciManifest(files: ReadonlyMap<string, TarEntry>, d: Descriptor, tags: string[], depth: number): ReadImage[] {
  const manifest = json(blob(files, d), 'manifest') as { manifests?: unknown; config?: Descriptor; layers?: unknown };
  if (Array.isArray(manifest?.manifests) && depth < 4) return manifest.manifests.slice(0, 1).flatMap((m: Descriptor) => readOciManifest(files, m, tags, depth + 1));
  if (!manifest?.config || !Array.isArray(manifest.layers)) throw new ImageError('invalid manifest: no config or layers');
  const layers = manifest.layers.map((l: Descriptor) => {
    if (/zstd/.test(String(l?.mediaType ?? ''))) throw new ImageError('not modelled: zstd-compressed layers');
    return inflate(blob(files, l));
  });
  return [verified(blob(files, manifest.config), layers, tags)];
}

function blob(files: ReadonlyMap<string, TarEntry>, d: Descriptor): Uint8Array {
  const match = /^sha256:([0-9a-f]{64})$/.exec(String(d?.digest ?? ''));
  if (!match) throw new ImageError('invalid checksum digest format');
  const data = content(files, `blobs/sha256/${match[1]}`);
  if (digestOf(data) !== d.digest) throw new ImageError(`failed commit on ref: unexpected commit digest ${digestOf(data)}, expected ${d.digest}: failed precondition`);
  return data;
}

function verified(configData: Uint8Array, layers: Uint8Array[], tags: string[]): ReadImage {
  const config = readConfig(configData);
  const wanted = config.rootfs.diff_ids;
  if (wanted.length !== layers.length) throw new ImageError(`invalid manifest, layers length mismatch: expected ${layers.length}, got ${wanted.length}`);
  layers.forEach((layer, i) => {
    const found = digestOf(layer);
    if (found !== wanted[i]) throw new ImageError(`invalid diffID for layer ${i}: expected "${wanted[i]}", got "${found}"`);
  });
  return { id: digestOf(configData), configText: text(configData), config, tags, layers };
}

/** A config file's fields with what is missing filled in. */
export function readConfig(data: Uint8Array | string): ImageConfig {
  const raw = json(data, 'image config') as Partial<ImageConfig> | null;
  const ids = raw?.rootfs?.diff_ids;
  if (!raw || typeof raw !== 'object' || !Array.isArray(ids) || !ids.every((d) => /^sha256:[0-9a-f]{64}$/.test(String(d)))) {
    throw new ImageError('invalid image JSON, no RootFS key');
  }
  return {
    ...raw, architecture: String(raw.architecture ?? 'amd64'), os: String(raw.os ?? 'linux'), created: String(raw.created ?? '1970-01-01T00:00:00Z'),
    config: isRecord(raw.config) ? raw.config : {}, rootfs: { type: 'layers', diff_ids: ids.map(String) }, history: Array.isArray(raw.history) ? raw.history.filter(isRecord) as ImageConfig['history'] : [],
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Gunzips when the magic says so; bounded, so that a bomb stops early. */
export function inflate(data: Uint8Array): Uint8Array {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data;
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    const stream = new Gunzip((part) => {
      size += part.length;
      if (size > LIMITS.size) throw new TarError(`archive inflates to more than ${LIMITS.size} bytes`);
      parts.push(part);
    });
    for (let at = 0; at < data.length; at += 65536) stream.push(data.subarray(at, at + 65536), at + 65536 >= data.length);
  } catch (error) {
    throw error instanceof TarError ? error : new TarError('gzip: invalid header');
  }
  return joinBytes(parts);
}

/** Repository and tag of "name[:tag]", docker's familiar form; null when the reference is malformed. */
export interface Reference {
  /** "busybox", "registry.k8s.io/pause". */
  name: string;
  tag: string;
  digest: string;
}

/** A host, or an address in brackets, and a port. Source: distribution/reference. */
const DOMAIN = /^(?:[a-zA-Z\d](?:[a-zA-Z\d-]*[a-zA-Z\d])?(?:\.[a-zA-Z\d](?:[a-zA-Z\d-]*[a-zA-Z\d])?)*|\[[a-fA-F\d:]+\])(?::\d+)?$/;

export function parseReference(source: string): Reference | { error: string } {
  const match = /^([^@]*?)(?::([^:/@]*))?(?:@(.+))?$/.exec(source);
  const name = (match?.[1] ?? '').replace(/^docker\.io\/(library\/)?/, '');
  if (!match || name === '' || (match[2] !== undefined && !/^\w[\w.-]{0,127}$/.test(match[2]))) return { error: 'invalid reference format' };
  const parts = name.split('/');
  const domain = parts.length > 1 && /[.:]|^localhost$|[A-Z]/.test(parts[0]!);
  if (domain && !DOMAIN.test(parts[0]!)) return { error: 'invalid reference format' };
  const path = domain ? parts.slice(1) : parts;
  if (path.some((p) => /[A-Z]/.test(p))) {
    const full = parts.length === 1 ? `library/${name}` : name;
    return { error: `invalid reference format: repository name (${full}) must be lowercase` };
  }
  if (!path.every((p) => /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/.test(p))) return { error: 'invalid reference format' };
  return { name, tag: match[2] ?? (match[3] ? '' : 'latest'), digest: match[3] ?? '' };
}
