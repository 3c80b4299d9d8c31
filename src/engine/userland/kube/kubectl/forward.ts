/**
 * port-forward: listening sockets here, and for each connection one through the node's kubelet into the pod's network. proxy: the
 * API server on a local port. Source: kubectl pkg/cmd/{portforward,proxy} 1.32, client-go tools/portforward.
 */
import type { KubeObject, Pod, Service } from '../../../cluster/types/objects.ts';
import { kindNamed } from '../../../cluster/types/kinds.ts';
import { AF_INET, O_CLOEXEC, SOCK_STREAM, SysError } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, dial, thread, upgrade, writeAll } from '../../lib/http.ts';
import { type Client, err, Fatal, klog, out } from './client.ts';
import type { Flags } from './flags.ts';
import { kubelet, podOf } from './pods.ts';
import { mustFetch } from './resources.ts';

export const FORWARD_FLAGS = 'address=* pod-running-timeout=';

/** The stream to the pod broke: forwarding ends. */
interface Lost { yes: boolean }

interface Pair { local: number; remote: number }

function number(word: string, which: string): number {
  const bad = (why: string): Fatal => new Fatal(`error: error parsing ${which} port '${word}': strconv.ParseUint: parsing ${JSON.stringify(word)}: ${why}`);
  if (!/^\d+$/.test(word)) throw bad('invalid syntax');
  if (Number(word) > 65535) throw bad('value out of range');
  return Number(word);
}

function pairOf(spec: string): Pair {
  const [first = '', second, more] = spec.split(':');
  if (more !== undefined) throw new Fatal(`error: invalid port format '${spec}'`);
  const local = first === '' && second !== undefined ? 0 : number(first, 'local');
  const remote = number(second ?? first, 'remote');
  if (remote === 0) throw new Fatal('error: remote port must be > 0');
  return { local, remote };
}

/** A port's number, where it is named, and a Service's port as that of its pods. */
function translated(spec: string, object: KubeObject | null, pod: Pod): string {
  const [first = '', second] = spec.split(':');
  const wanted = second ?? first;
  const left = second === undefined ? null : first;
  const join = (port: number): string => (left === null ? (Number(wanted) === port || !/^\d+$/.test(wanted) ? `${/^\d+$/.test(wanted) ? wanted : port}:${port}` : `${wanted}:${port}`) : `${left}:${port}`);
  if (object?.kind === 'Service') {
    const ports = (object as Service).spec.ports ?? [];
    const found = ports.find((p) => p.name === wanted || String(p.port) === wanted);
    if (!found) throw new Fatal(/^\d+$/.test(wanted) ? `error: Service ${object.metadata.name} does not have a service port ${wanted}` : `error: Service '${object.metadata.name}' does not have a named port '${wanted}'`);
    if (object.spec.clusterIP === 'None') return join(Number(wanted) || found.port);
    const target = found.targetPort ?? found.port;
    const named = typeof target === 'number' ? target : pod.spec.containers.flatMap((c) => c.ports ?? []).find((p) => p.name === target)?.containerPort;
    if (named === undefined) throw new Fatal(`error: Pod '${pod.metadata.name}' does not have a named port '${target}'`);
    return join(named);
  }
  if (/^\d+$/.test(wanted) || wanted === '') return spec;
  const named = pod.spec.containers.flatMap((c) => c.ports ?? []).find((p) => p.name === wanted)?.containerPort;
  if (named === undefined) throw new Fatal(`error: Pod '${pod.metadata.name}' does not have a named port '${wanted}'`);
  return join(named);
}

export function* portForward(client: Client, flags: Flags): Call<number> {
  const [name, ...specs] = flags.args;
  if (name === undefined || specs.length === 0) throw new Fatal("error: TYPE/NAME and list of ports are required for port-forward\nSee 'kubectl port-forward -h' for help and examples");
  const pod = yield* podOf(client, name, (_n, failure) => failure);
  const service = /^(svc|services?)\//.test(name) ? yield* mustFetch(client, kindNamed('Service'), name.split('/')[1]!) : null;
  const pairs = specs.map((s) => pairOf(translated(s, service, pod)));
  if (pod.status.phase !== 'Running') throw new Fatal(`error: unable to forward port because pod is not running. Current status=${pod.status.phase}`);
  const addresses = (flags.many.get('address') ?? ['localhost']).flatMap((a) => a.split(','));
  const lost: Lost = { yes: false };
  let opened = 0;
  for (const { local, remote } of pairs) {
    for (const address of addresses) opened += yield* listenOn(pod, address === 'localhost' ? '127.0.0.1' : address, local, remote, lost);
  }
  if (opened === 0) throw new Fatal(`error: unable to listen on any of the requested ports: [${pairs.map((p) => `{${p.local} ${p.remote}}`).join(' ')}]`);
  while (!lost.yes) yield* sys('nanosleep', 500_000_000);
  throw new Fatal('error: lost connection to pod');
}

/** Accepts for ever in a thread; 0 when the port cannot be had. */
function* listenOn(pod: Pod, address: string, local: number, remote: number, lost: Lost): Call<number> {
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM | O_CLOEXEC, 0);
  try {
    yield* sys('bind', fd, { family: 'inet', address, port: local });
    yield* sys('listen', fd, 128);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const why = error.errno === 'EADDRINUSE' ? 'bind: address already in use' : `bind: ${error.message.toLowerCase()}`;
    yield* err(`Unable to listen on port ${local}: Listeners failed to create with the following errors: [unable to create listener: Error listen tcp4 ${address}:${local}: ${why}]\n`);
    return 0;
  }
  const at = yield* sys('getsockname', fd);
  const port = at.family === 'inet' ? at.port : local;
  yield* out(`Forwarding from ${address}:${port} -> ${remote}\n`);
  yield* thread(function* (): Body {
    for (;;) {
      const connection = yield* attempt(sys('accept4', fd, O_CLOEXEC), null);
      if (!connection) continue;
      yield* out(`Handling connection for ${port}\n`);
      yield* thread(function* (): Body {
        yield* through(pod, typeof connection === 'number' ? connection : connection.fd, port, remote, lost);
        return 0;
      });
    }
  });
  return 1;
}

function* through(pod: Pod, fd: number, local: number, remote: number, lost: Lost): Call<void> {
  try {
    const { stream, rest } = yield* upgrade(kubelet(pod), { method: 'POST', path: `/portForward/${pod.metadata.namespace}/${pod.metadata.name}?port=${remote}` });
    if (stream.status !== 101) {
      let said = '';
      for (let piece = yield* stream.readChunk(); piece !== null; piece = yield* stream.readChunk()) said += text(piece);
      yield* stream.close();
      yield* err(yield* klog('E', 'portforward.go:424', `"Unhandled Error" err="an error occurred forwarding ${local} -> ${remote}: error forwarding port ${remote} to pod ${pod.metadata.uid}, uid : ${said.trim().replace(/"/g, '\\"')}"`));
      lost.yes = true;
      return;
    }
    if (rest.length > 0) yield* writeAll(fd, rest);
    yield* join(fd, stream.fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* err(yield* klog('E', 'portforward.go:424', `"Unhandled Error" err="an error occurred forwarding ${local} -> ${remote}: error dialing backend: ${error.message.toLowerCase()}"`));
    lost.yes = true;
  } finally {
    yield* attempt(sys('close', fd), 0);
  }
}

const SHUT_WR = 1;

/** Bytes both ways until both sides have ended. */
function* join(a: number, b: number): Call<void> {
  yield* thread(function* (): Body {
    yield* copyBytes(a, b);
    yield* attempt(sys('shutdown', b, SHUT_WR), 0);
    return 0;
  });
  yield* copyBytes(b, a);
  yield* attempt(sys('shutdown', a, SHUT_WR), 0);
  yield* attempt(sys('close', b), 0);
}

function* copyBytes(from: number, to: number): Call<void> {
  for (;;) {
    const data = yield* attempt(sys('read', from, 65536), new Uint8Array(0));
    if (data.length === 0 || (yield* attempt(writeAll(to, data), null)) === null) return;
  }
}

export const PROXY_FLAGS = 'p/port= address= accept-hosts= accept-paths= reject-methods= reject-paths= api-prefix= www= www-prefix= append-server-path disable-filter keepalive= u/unix-socket=';

/** The API server on a local port, byte for byte. */
export function* proxy(client: Client, flags: Flags): Call<number> {
  const wanted = flags.text.get('port') ?? '8001';
  const address = flags.text.get('address') ?? '127.0.0.1';
  if (!/^-?\d+$/.test(wanted)) throw new Fatal(`Error: invalid argument "${wanted}" for "-p, --port" flag: strconv.ParseInt: parsing "${wanted}": invalid syntax\nSee 'kubectl proxy --help' for usage.`);
  if (Number(wanted) > 65535 || Number(wanted) < 0) throw new Fatal(`error: listen tcp: address ${wanted}: invalid port`);
  for (const absent of ['www', 'unix-socket', 'api-prefix']) if (flags.text.has(absent)) throw new Fatal(`error: not modelled: kubectl proxy --${absent}`);
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM | O_CLOEXEC, 0);
  try {
    yield* sys('bind', fd, { family: 'inet', address, port: Number(wanted) });
    yield* sys('listen', fd, 128);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Fatal(`error: listen tcp ${address}:${wanted}: bind: ${error.message.toLowerCase()}`);
  }
  const at = yield* sys('getsockname', fd);
  yield* out(`Starting to serve on ${address}:${at.family === 'inet' ? at.port : wanted}\n`);
  for (;;) {
    const connection = yield* sys('accept4', fd, O_CLOEXEC);
    yield* thread(function* (): Body {
      const near = typeof connection === 'number' ? connection : connection.fd;
      const far = yield* attempt(dial(client.server), -1);
      if (far >= 0) yield* join(near, far);
      yield* attempt(sys('close', near), 0);
      return 0;
    });
  }
}
