/**
 * registry: a store of images behind HTTP, as the image registry:2 runs it. Blobs and manifests are files under
 * /var/lib/registry in distribution's own layout. Source: distribution spec, distribution 2.8 registry/handlers.
 * Left out: tokens, TLS, range requests, garbage collection, deletion of blobs.
 */
import { type Body, sys } from '../../../kernel/sys.ts';
import { SIG } from '../../../kernel/abi.ts';
import { text } from '../../../sim/text.ts';
import { joinBytes } from '../../../sim/wire.ts';
import { isoNano, nowNs } from '../../lib/clock.ts';
import { attempt, exists, list, mkdirAll, readBytes, removeAll, tryRead, writeFile } from '../../lib/files.ts';
import { type Call, type Exchange, listen, reply, serveOn } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { digestOf } from '../oci.ts';

const ROOT = '/var/lib/registry/docker/registry/v2';
const PORT = 5000;
const NAME = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*';
const VERSION = { 'Docker-Distribution-Api-Version': 'registry/2.0', 'X-Content-Type-Options': 'nosniff' };

const blobPath = (digest: string): string => `${ROOT}/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`;
const repo = (name: string): string => `${ROOT}/repositories/${name}`;
const isDigest = (text: string): boolean => /^sha256:[0-9a-f]{64}$/.test(text);

function* fail(x: Exchange, status: number, code: string, message: string, detail: unknown = null): Call<void> {
  yield* reply(x, status, JSON.stringify({ errors: [{ code, message, ...(detail ? { detail } : {}) }] }), { ...VERSION, 'Content-Type': 'application/json; charset=utf-8' });
}

function* give(x: Exchange, data: Uint8Array, type: string, digest: string): Call<void> {
  const head = { ...VERSION, 'Content-Type': type, 'Docker-Content-Digest': digest, Etag: `"${digest}"` };
  if (x.method === 'HEAD') yield* reply(x, 200, undefined, { ...head, 'Content-Length': String(data.length) });
  else yield* reply(x, 200, data, head);
}

interface Registry {
  /** Counts uploads. */
  uploads: number;
  pieces: Map<string, Uint8Array[]>;
}

type Handle = (r: Registry, x: Exchange, name: string, rest: string) => Call<void>;

function* manifest(_r: Registry, x: Exchange, name: string, ref: string): Call<void> {
  if (x.method === 'PUT') return yield* putManifest(x, name, ref);
  const digest = isDigest(ref) ? ref : ((yield* tryRead(`${repo(name)}/_manifests/tags/${ref}/current/link`)) ?? '');
  const known = digest !== '' && (yield* exists(`${repo(name)}/_manifests/revisions/sha256/${digest.slice(7)}/link`));
  if (!known) return yield* fail(x, 404, 'MANIFEST_UNKNOWN', 'manifest unknown', isDigest(ref) ? { Name: name, Revision: ref } : { Tag: ref });
  if (x.method === 'DELETE') {
    yield* removeAll(`${repo(name)}/_manifests/revisions/sha256/${digest.slice(7)}`);
    return yield* reply(x, 202, '', VERSION);
  }
  const data = yield* readBytes(blobPath(digest));
  yield* give(x, data, typeOf(data), digest);
}

function typeOf(data: Uint8Array): string {
  try {
    return String((JSON.parse(text(data)) as { mediaType?: string }).mediaType ?? 'application/vnd.oci.image.manifest.v1+json');
  } catch {
    return 'application/octet-stream';
  }
}

function* putManifest(x: Exchange, name: string, ref: string): Call<void> {
  let body: { config?: { digest?: string }; layers?: { digest?: string }[] };
  try {
    body = JSON.parse(x.body) as typeof body;
  } catch {
    return yield* fail(x, 400, 'MANIFEST_INVALID', 'manifest invalid');
  }
  const digest = digestOf(x.data);
  if (isDigest(ref) && ref !== digest) return yield* fail(x, 400, 'DIGEST_INVALID', 'provided digest did not match uploaded content');
  for (const d of [body.config, ...(body.layers ?? [])]) {
    if (!d?.digest || !isDigest(d.digest) || !(yield* exists(blobPath(d.digest)))) return yield* fail(x, 400, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', { digest: d?.digest ?? '' });
  }
  yield* keep(digest, x.data);
  yield* linkTo(`${repo(name)}/_manifests/revisions/sha256/${digest.slice(7)}`, digest);
  if (!isDigest(ref)) yield* linkTo(`${repo(name)}/_manifests/tags/${ref}/current`, digest);
  yield* reply(x, 201, '', { ...VERSION, Location: `/v2/${name}/manifests/${digest}`, 'Docker-Content-Digest': digest });
}

function* keep(digest: string, data: Uint8Array): Call<void> {
  const path = blobPath(digest);
  yield* mkdirAll(path.slice(0, path.lastIndexOf('/')));
  yield* writeFile(path, data);
}

function* linkTo(folder: string, digest: string): Call<void> {
  yield* mkdirAll(folder);
  yield* writeFile(`${folder}/link`, digest);
}

function* blob(_r: Registry, x: Exchange, name: string, digest: string): Call<void> {
  if (!isDigest(digest)) return yield* fail(x, 400, 'DIGEST_INVALID', 'invalid checksum digest format');
  if (!(yield* exists(`${repo(name)}/_layers/sha256/${digest.slice(7)}/link`))) return yield* fail(x, 404, 'BLOB_UNKNOWN', 'blob unknown to registry', { digest });
  yield* give(x, yield* readBytes(blobPath(digest)), 'application/octet-stream', digest);
}

/** POST begins, PATCH adds, PUT ends with the digest. */
function* upload(r: Registry, x: Exchange, name: string, id: string): Call<void> {
  if (x.method === 'POST') {
    const made = `00000000-0000-4000-8000-${String(++r.uploads).padStart(12, '0')}`;
    r.pieces.set(made, []);
    return yield* reply(x, 202, '', { ...VERSION, Location: `/v2/${name}/blobs/uploads/${made}`, 'Docker-Upload-Uuid': made, Range: '0-0' });
  }
  const pieces = r.pieces.get(id);
  if (!pieces) return yield* fail(x, 404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
  pieces.push(x.data);
  if (x.method === 'PATCH') return yield* reply(x, 202, '', { ...VERSION, Location: `/v2/${name}/blobs/uploads/${id}`, 'Docker-Upload-Uuid': id, Range: `0-${pieces.reduce((n, p) => n + p.length, 0) - 1}` });
  const data = joinBytes(pieces);
  r.pieces.delete(id);
  const digest = x.query.digest ?? '';
  if (digestOf(data) !== digest) return yield* fail(x, 400, 'DIGEST_INVALID', 'provided digest did not match uploaded content');
  yield* keep(digest, data);
  yield* linkTo(`${repo(name)}/_layers/sha256/${digest.slice(7)}`, digest);
  yield* reply(x, 201, '', { ...VERSION, Location: `/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest });
}

function* tags(_r: Registry, x: Exchange, name: string): Call<void> {
  if (!(yield* exists(`${repo(name)}/_manifests`))) return yield* fail(x, 404, 'NAME_UNKNOWN', 'repository name not known to registry', { name });
  const all = (yield* list(`${repo(name)}/_manifests/tags`)).map((e) => e.name);
  yield* reply(x, 200, `${JSON.stringify({ name, tags: all })}\n`, { ...VERSION, 'Content-Type': 'application/json' });
}

function* repositories(path: string): Call<string[]> {
  const out: string[] = [];
  for (const e of yield* list(`${ROOT}/repositories${path}`)) {
    if (e.name === '_manifests') out.push(path.slice(1));
    else if (!e.name.startsWith('_')) out.push(...(yield* repositories(`${path}/${e.name}`)));
  }
  return out.sort();
}

const ROUTES: readonly (readonly [RegExp, readonly string[], Handle])[] = [
  [new RegExp(`^/v2/(${NAME})/manifests/([^/]+)$`), ['GET', 'HEAD', 'PUT', 'DELETE'], manifest],
  [new RegExp(`^/v2/(${NAME})/blobs/uploads/([^/]*)$`), ['POST', 'PATCH', 'PUT'], upload],
  [new RegExp(`^/v2/(${NAME})/blobs/([^/]+)$`), ['GET', 'HEAD'], blob],
  [new RegExp(`^/v2/(${NAME})/tags/(list)$`), ['GET'], tags],
];

function* answer(r: Registry, x: Exchange): Call<void> {
  if (x.path === '/v2/' || x.path === '/v2') yield* reply(x, 200, '{}', { ...VERSION, 'Content-Type': 'application/json; charset=utf-8' });
  else if (x.path === '/v2/_catalog') yield* reply(x, 200, `${JSON.stringify({ repositories: yield* repositories('') })}\n`, { ...VERSION, 'Content-Type': 'application/json; charset=utf-8' });
  else {
    for (const [pattern, methods, handle] of ROUTES) {
      const m = pattern.exec(x.path);
      if (m && methods.includes(x.method)) return yield* handle(r, x, m[1]!, m[2]!);
    }
    yield* reply(x, 404, '404 page not found\n', { 'Content-Type': 'text/plain; charset=utf-8' });
  }
}

export function* registry(argv: readonly string[]): Body {
  if (argv[1] !== 'serve' && argv.length > 1) {
    yield* complain(`Error: unknown command ${JSON.stringify(argv[1])} for "registry"\nRun 'registry --help' for usage.\n`);
    return 1;
  }
  yield* mkdirAll(ROOT);
  const end = function* (): Body {
    yield* sys('exit_group', 0);
  };
  for (const signal of [SIG.TERM, SIG.INT]) yield* sys('rt_sigaction', signal, { handler: end });
  const r: Registry = { uploads: 0, pieces: new Map() };
  const socket = yield* listen({ family: 'inet', address: '0.0.0.0', port: PORT }, undefined, 4096);
  yield* complain(`time="${isoNano(yield* nowNs())}" level=info msg="listening on [::]:${PORT}" go.version=go1.20.8 instance.id=nestbox service=registry version=2.8.3\n`);
  yield* serveOn(socket, function* (x): Call<void> {
    yield* answer(r, x);
    const peer = yield* attempt(sys('getpeername', x.fd), null);
    const from = peer?.family === 'inet' ? peer.address : '-';
    yield* print(`${from} - - [${isoNano(yield* nowNs())}] "${x.method} ${x.path} HTTP/1.1"\n`);
  });
  return 0;
}
