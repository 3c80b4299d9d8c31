/** attach: a terminal, or pipes, to a container's first process, through its node's kubelet. Source: kubectl pkg/cmd/attach 1.32. */
import type { Pod } from '../../../cluster/types/objects.ts';
import { SysError, TCGETS } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attachStream } from '../../containers/cri/stream.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, err, Fatal } from './client.ts';
import { type Flags, on } from './flags.ts';
import { containerOf, dialing, kubelet, podOf } from './pods.ts';

export const ATTACH_FLAGS = 'c/container= i/stdin t/tty q/quiet pod-running-timeout=';

export function* attach(client: Client, flags: Flags): Call<number> {
  const [name, ...more] = flags.args;
  if (name === undefined) throw new Fatal("error: at least 1 argument is required for attach\nSee 'kubectl attach -h' for help and examples");
  if (more.length > 1) throw new Fatal(`error: expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw ${flags.args.length}: [${flags.args.join(' ')}]\nSee 'kubectl attach -h' for help and examples`);
  const pod = yield* podOf(client, more.length === 1 ? `${name}/${more[0]}` : name, (_n, failure) => failure);
  if (pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') throw new Fatal(`error: cannot attach a container in a completed pod; current phase is ${pod.status.phase}`);
  const container = yield* containerOf(pod, flags, on(flags, 'quiet'));
  const spec = pod.spec.containers.find((c) => c.name === container);
  let tty = on(flags, 'tty');
  if (tty && !spec?.tty) {
    yield* err(`error: Unable to use a TTY - container ${container} did not allocate one\n`);
    tty = false;
  } else if (!tty && spec?.tty && on(flags, 'stdin')) tty = true;
  if (on(flags, 'stdin') && !on(flags, 'quiet')) yield* err("If you don't see a command prompt, try pressing enter.\n");
  const end = yield* attachTo(pod, container, { stdin: on(flags, 'stdin'), tty });
  if (end.error !== null) throw new Fatal(`error: ${end.error}`);
  return 0;
}

/** Stays until the process has ended or the stream is closed. `error`: why it could not begin. */
export function* attachTo(pod: Pod, container: string, asked: { stdin: boolean; tty: boolean }): Call<{ error: string | null }> {
  let { tty } = asked;
  if (tty && (yield* attempt(sys('ioctl', 0, TCGETS), null)) === null) {
    yield* err('Unable to use a TTY - input is not a terminal or the right kind of file\n');
    tty = false;
  }
  try {
    const end = yield* attachStream(kubelet(pod), `/attach/${pod.metadata.namespace}/${pod.metadata.name}/${container}`, { tty, stdin: asked.stdin }, JSON.stringify({ tty, stdin: asked.stdin }));
    return { error: 'error' in end ? end.error.replace(/^error: /, '') : null };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { error: dialing(pod, error).message.replace(/^Error from server: /, '') };
  }
}
