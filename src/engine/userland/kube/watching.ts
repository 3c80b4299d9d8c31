/** A copy of all objects of a kind, kept by a list and the watch that follows, for ever; what client-go calls an informer. */
import type { Json } from '../../cluster/types/objects.ts';
import { type Body, type SockAddr, sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { SECOND } from '../../sim/units.ts';
import { attempt } from '../lib/files.ts';
import { type Call, open, thread } from '../lib/http.ts';
import { api } from './api.ts';

export interface Watched {
  /** By "namespace/name", or the name alone. */
  all: Map<string, Json>;
  /** Has the first list come? */
  synced: boolean;
  /** Counts what has happened. */
  version: number;
}

export const keyOf = (object: Json): string => (object.metadata.namespace ? `${object.metadata.namespace}/${object.metadata.name}` : object.metadata.name);

/** Follows `path`, such as "/api/v1/services", in a thread. */
export function* follow(server: SockAddr, path: string, agent: string, changed: () => void = () => undefined): Call<Watched> {
  const w: Watched = { all: new Map(), synced: false, version: 0 };
  yield* thread(function* (): Body {
    for (;;) {
      const listed = yield* api(server, 'GET', path);
      if (listed && listed.status < 400) {
        w.all.clear();
        for (const object of listed.body.items as Json[]) w.all.set(keyOf(object), object);
        w.synced = true;
        w.version++;
        changed();
        yield* attempt(watch(w, server, `${path}?watch=true&resourceVersion=${listed.body.metadata?.resourceVersion ?? 0}`, agent, changed), undefined);
      }
      yield* sys('nanosleep', SECOND);
    }
  });
  return w;
}

function* watch(w: Watched, server: SockAddr, path: string, agent: string, changed: () => void): Call<void> {
  const stream = yield* open(server, { method: 'GET', path, headers: { 'User-Agent': agent } });
  const alive = { over: false };
  yield* thread(() => keepAlive(server, stream.fd, alive));
  let rest = '';
  try {
    for (let piece = yield* stream.readChunk(); piece !== null; piece = yield* stream.readChunk()) {
      const lines = (rest + text(piece)).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === '') continue;
        const { type, object } = JSON.parse(line) as { type: string; object: Json };
        if (type === 'DELETED') w.all.delete(keyOf(object));
        else if (type === 'ADDED' || type === 'MODIFIED') w.all.set(keyOf(object), object);
        else if (type === 'ERROR') return;
        w.version++;
        changed();
      }
    }
  } finally {
    alive.over = true;
    yield* attempt(stream.close(), undefined);
  }
}

/** A watch hears nothing of a wire that was cut: when the API server does not answer, the connection is given up (HTTP/2's ping, 30 s). */
export function* keepAlive(server: SockAddr, fd: number, alive: { over: boolean }): Body {
  while (!alive.over) {
    yield* sys('nanosleep', 30 * SECOND);
    if (alive.over) return 0;
    if ((yield* api(server, 'GET', '/healthz')) !== null || alive.over) continue;
    yield* attempt(sys('shutdown', fd, 2), 0);
    return 0;
  }
  return 0;
}
