/** Small programs of images: what holds a pod's namespaces, what greets, what takes memory, what takes time. */
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE, SIG } from '../../../kernel/abi.ts';
import { type Body, compute, sys, touch } from '../../../kernel/sys.ts';
import { MiB, MS, SECOND } from '../../../sim/units.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';

/** Sleeps for ever, reaps what is left to it, ends at SIGINT and SIGTERM. */
export function* pause(): Body {
  const end = function* (): Body {
    yield* sys('exit_group', 0);
  };
  const reapAll = function* (): Body {
    while (((yield* attempt(sys('wait4', -1, 1), null))?.pid ?? 0) > 0);
  };
  for (const signal of [SIG.INT, SIG.TERM]) yield* sys('rt_sigaction', signal, { handler: end });
  yield* sys('rt_sigaction', SIG.CHLD, { handler: reapAll });
  for (;;) yield* attempt(sys('pause'), 0, 'EINTR');
}

const GREETING = `
Hello from a container!
If you can read this, the whole way down works on this machine.

What happened:
 1. The docker client asked the docker daemon over a unix socket.
 2. The daemon took the image "hello-world" from its store, or fetched it.
 3. It asked containerd for a task; a shim was started, and runc made the
    namespaces, the mounts and the control group of a new container.
 4. The only program in the image wrote these lines to its standard output,
    which came back to your terminal the same way.

Something to go on with: a shell in a container of its own
 $ docker run -it busybox sh

`;

export function* hello(): Body {
  yield* print(GREETING);
  return 0;
}

/** Takes memory and writes to every page of it; its address. */
export function* take(bytes: number): Call<number> {
  const address = yield* sys('mmap', bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  yield* touch(address, bytes, 'w');
  return address;
}

/** hog MIB [SECONDS]: takes memory a MiB at a time and holds it. */
export function* hog(argv: readonly string[]): Body {
  const mib = Number(argv[1] ?? 0);
  if (!(mib > 0)) {
    yield* complain('usage: hog MIB [SECONDS]\n');
    return 2;
  }
  for (let i = 0; i < mib; i++) yield* take(MiB);
  yield* print(`allocated ${mib} MiB\n`);
  if (Number(argv[2] ?? 0) > 0) yield* sys('nanosleep', Number(argv[2]) * SECOND);
  return 0;
}

/** burn [SECONDS]: computes, for ever without an argument. */
export function* burn(argv: readonly string[]): Body {
  const until = (yield* sys('clock_gettime', 'monotonic')) + Number(argv[1] ?? Number.POSITIVE_INFINITY) * SECOND;
  while ((yield* sys('clock_gettime', 'monotonic')) < until) yield* compute(10 * MS);
  return 0;
}
