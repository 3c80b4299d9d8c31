/**
 * containerd: images, snapshots and tasks behind one socket, and the container runtime interface that the kubelet calls.
 * Source: containerd 1.7. Left out: content store and leases as services of their own, metrics endpoint, transfer service, NRI.
 */
import { type Body, sys } from '../../../kernel/sys.ts';
import { nowNs } from '../../lib/clock.ts';
import { attempt, mkdirAll, tryRead, writeFile } from '../../lib/files.ts';
import { beginStream, type Call, type Exchange, listen, reply, serveOn, writeChunk } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { notifyReady } from '../../lib/notify.ts';
import { createCri, criCall } from '../cri/cri.ts';
import { streamExec } from '../cri/exec.ts';
import { fullReference } from '../cri/images.ts';
import type { Cri } from '../cri/state.ts';
import { hexOf } from '../oci.ts';
import { dropBell, hear } from '../shim/bell.ts';
import { layerSizes } from '../store.ts';
import { type Envelope, Refusal, type Requests, SOCKET, STATUS } from './api.ts';
import { createDaemon, type Daemon, publish, subscriber } from './daemon.ts';
import { journal } from './log.ts';
import { recover, taskCall } from './tasks.ts';

export const VERSION = '1.7.24~ds1';

export function* containerd(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  if (argv.includes('--version') || argv.includes('-v')) {
    yield* print(`containerd github.com/containerd/containerd/v2 ${VERSION} ${VERSION}-6\n`);
    return 0;
  }
  yield* journal('info', 'starting containerd', { revision: `${VERSION}-6`, version: VERSION });
  for (const dir of ['/run/containerd/s', '/run/containerd/runc', '/var/lib/containerd']) yield* mkdirAll(dir, 0o711);
  yield* attempt(sys('prctl', 'PR_SET_NAME', 'containerd'), 0);
  const d = yield* createDaemon();
  yield* recover(d);
  const cri = yield* createCri(d);
  yield* journal('info', `serving... `, { address: SOCKET });
  const listening = yield* listen({ family: 'unix', path: SOCKET });
  yield* notifyReady(env);
  return yield* serveOn(listening, (exchange) => answer(d, cri, exchange));
}

function* answer(d: Daemon, cri: Cri, exchange: Exchange): Call<void> {
  const namespace = exchange.headers['containerd-namespace'] ?? 'default';
  const [, service = '', method = ''] = exchange.path.split('/');
  if (service === 'exec') return yield* streamExec(cri, method, exchange);
  if (service.startsWith('runtime.v1.')) return yield* criCall(cri, method, exchange);
  try {
    const body = JSON.parse(exchange.body === '' ? '{}' : exchange.body) as Record<string, unknown>;
    if (service === 'containerd.services.events.v1.Events' && method === 'Subscribe') return yield* stream(d, exchange, namespace);
    yield* reply(exchange, 200, yield* other(d, service, method, namespace, body));
  } catch (error) {
    if (error instanceof Refusal) yield* reply(exchange, STATUS[error.code] ?? 500, { code: error.code, message: error.message });
    else if (error instanceof SyntaxError) yield* reply(exchange, 400, { code: 'INVALID_ARGUMENT', message: error.message });
    else throw error;
  }
}

function* other(d: Daemon, service: string, method: string, namespace: string, body: Record<string, unknown>): Call<object> {
  switch (`${service}/${method}`) {
    case 'containerd.services.version.v1.Version/Version':
      return { version: VERSION, revision: `${VERSION}-6+deb13u1`, uuid: yield* uuid() };
    case 'containerd.services.events.ttrpc.v1.Events/Forward':
      yield* publish(d, body.envelope as Envelope);
      return {};
    case 'containerd.services.namespaces.v1.Namespaces/List':
      return { namespaces: [...new Set([...d.tasks.values()].map((t) => t.namespace))].sort().map((name) => ({ name })) };
    case 'containerd.services.images.v1.Images/List':
      return {
        images: yield* imagesOf(d),
      };
  }
  if (service === 'containerd.services.tasks.v1.Tasks') return yield* taskCall(d, namespace, method as keyof Requests, body as never);
  throw new Refusal('UNIMPLEMENTED', `unknown service ${service}: not implemented`);
}

function* imagesOf(d: Daemon): Call<{ name: string; digest: string; size: number }[]> {
  const all: { name: string; digest: string; size: number }[] = [];
  for (const image of d.store.images.values()) {
    const size = (yield* layerSizes(d.store, image)).reduce((a, b) => a + b, 0);
    for (const tag of image.tags) all.push({ name: fullReference(tag), digest: image.id, size });
  }
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const UUID = '/var/lib/containerd/io.containerd.grpc.v1.introspection/uuid';

/** Of this installation: made at the first start, kept. */
function* uuid(): Call<string> {
  const known = yield* tryRead(UUID);
  if (known !== null) return known;
  const hex = hexOf(`${(yield* sys('uname')).nodename} ${yield* nowNs()}`);
  const made = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  yield* mkdirAll(UUID.slice(0, UUID.lastIndexOf('/')));
  yield* writeFile(UUID, made, 0o600);
  return made;
}

/** Events as they come, until the other side has gone. */
function* stream(d: Daemon, exchange: Exchange, namespace: string): Call<void> {
  const s = yield* subscriber(d, namespace === 'default' ? '' : namespace);
  try {
    yield* beginStream(exchange, 200, { 'Content-Type': 'application/json' });
    for (;;) {
      const e = s.queue.shift();
      if (e) yield* writeChunk(exchange, `${JSON.stringify(e)}\n`);
      else yield* hear(s.bell);
    }
  } finally {
    d.subscribers.delete(s);
    yield* dropBell(s.bell);
  }
}
