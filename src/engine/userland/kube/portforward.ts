/** A port of a pod: an upgraded connection becomes one from inside the pod's network namespace to its loopback. Source: containerd sandbox_portforward_linux.go. */
import { AF_INET, AT_FDCWD, CLONE_NEWNET, O_RDONLY, SOCK_STREAM, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { attempt, fork, reap } from '../lib/files.ts';
import { type Call, type Exchange, hijack, reply, thread, writeAll } from '../lib/http.ts';
import { cri, refused } from './cri.ts';
import type { Held } from './node.ts';

/** The path of the pod's network namespace; null on the host's. */
function* netnsOf(held: Held): Call<string | null> {
  const status = yield* cri('PodSandboxStatus', { podSandboxId: held.sandbox, verbose: true });
  if (refused(status)) return null;
  const { pid } = JSON.parse(status.info?.info ?? '{}') as { pid?: number };
  return held.pod.spec.hostNetwork || !pid ? null : `/proc/${pid}/ns/net`;
}

export function* forwardPort(held: Held, port: number, exchange: Exchange): Call<void> {
  if (held.sandbox === null) return yield* reply(exchange, 400, `error: unable to upgrade connection: pod not found ("${held.pod.metadata.name}_${held.pod.metadata.namespace}")`);
  const ns = yield* netnsOf(held);
  const fd = yield* hijack(exchange);
  // A process of its own, for a namespace belongs to a whole process here.
  const child = yield* fork(function* (): Body {
    try {
      if (ns !== null) yield* sys('setns', yield* sys('openat', AT_FDCWD, ns, O_RDONLY), CLONE_NEWNET);
      const inner = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
      yield* sys('connect', inner, { family: 'inet', address: '127.0.0.1', port });
      yield* thread(function* (): Body {
        yield* copy(fd, inner);
        yield* attempt(sys('shutdown', inner, 1), 0);
        return 0;
      });
      yield* copy(inner, fd);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return error.errno === 'ECONNREFUSED' ? 111 : 1;
    } finally {
      yield* attempt(sys('shutdown', fd, 2), 0);
    }
    return 0;
  });
  yield* reap(child);
}

function* copy(from: number, to: number): Call<void> {
  for (;;) {
    const data = yield* attempt(sys('read', from, 65536), new Uint8Array(0));
    if (data.length === 0 || (yield* attempt(writeAll(to, data), null)) === null) return;
  }
}
