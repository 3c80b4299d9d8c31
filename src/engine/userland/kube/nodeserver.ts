/**
 * The kubelet's own port: logs of containers, commands in them, their input and output, ports of pods, figures. kubectl dials it
 * directly; the real API server would proxy. Source: pkg/kubelet/server/server.go 1.32. Left out: SPDY and WebSocket framing, TLS.
 */
import type { Json } from '../../cluster/types/objects.ts';
import { parseTime } from '../../cluster/types/time.ts';
import { AT_FDCWD, O_RDONLY, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { bytes, fromBase64, text } from '../../sim/text.ts';
import { attempt } from '../lib/files.ts';
import { beginStream, type Call, endStream, type Exchange, hijack, reply, thread, upgrade, writeAll, writeChunk } from '../lib/http.ts';
import { parseJson, slurp } from './api.ts';
import { cri, refused, SOCKET } from './cri.ts';
import type { Held, Kubelet } from './node.ts';
import { forwardPort } from './portforward.ts';
import { resourceMetrics, summary } from './summary.ts';

export function* answerKubelet(k: Kubelet, exchange: Exchange): Call<void> {
  const [what, namespace, name, container] = exchange.path.split('/').filter((p) => p !== '');
  const held = [...k.pods.values()].reverse().find((h) => h.pod.metadata.namespace === namespace && h.pod.metadata.name === name);
  if (what === 'healthz') return yield* reply(exchange, 200, 'ok');
  if (what === 'pods' || what === 'runningpods') return yield* reply(exchange, 200, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: [...k.pods.values()].map((h) => h.pod) });
  if (what === 'stats' && namespace === 'summary') return yield* reply(exchange, 200, yield* summary(k));
  if (what === 'metrics' && namespace === 'resource') return yield* reply(exchange, 200, yield* resourceMetrics(k), { 'Content-Type': 'text/plain; version=0.0.4' });
  if (what === 'portForward' && held) return yield* forwardPort(held, Number(exchange.query.port), exchange);
  if (!held || container === undefined) return yield* reply(exchange, 404, `Error from server (NotFound): pods "${name ?? ''}" not found`);
  if (what === 'containerLogs') return yield* logs(k, held, container, exchange);
  if (what === 'exec') return yield* execute(held, container, exchange);
  if (what === 'attach') return yield* attach(held, container, exchange);
  return yield* reply(exchange, 404, '404 page not found');
}

/** "2026-01-15T09:00:00.000000000Z stdout F text" to text. */
export function plainLog(source: string, timestamps: boolean, since = 0): string {
  let out = '';
  for (const line of source.split('\n')) {
    const m = /^(\S+) (?:stdout|stderr) ([FP]) (.*)$/s.exec(line);
    if (!m || (since > 0 && (parseTime(m[1]!) ?? 0) < since)) continue;
    out += `${timestamps ? `${m[1]} ` : ''}${m[3]}${m[2] === 'F' ? '\n' : ''}`;
  }
  return out;
}

function* logs(k: Kubelet, held: Held, container: string, exchange: Exchange): Call<void> {
  const files = held.logs.get(container);
  const { query } = exchange;
  if (!files) return yield* reply(exchange, 400, `Error from server (BadRequest): container "${container}" in pod "${held.pod.metadata.name}" is waiting to start: ContainerCreating`);
  if (query.previous === 'true' && files.previous === null) {
    return yield* reply(exchange, 400, `Error from server (BadRequest): previous terminated container "${container}" in pod "${held.pod.metadata.name}" not found`);
  }
  const path = query.previous === 'true' ? files.previous! : files.current;
  const source = (yield* slurp(path)) ?? '';
  const since = query.sinceSeconds === undefined ? (parseTime(query.sinceTime) ?? 0) : (yield* sys('clock_gettime', 'realtime')) / 1e9 - Number(query.sinceSeconds);
  let shown = plainLog(source, query.timestamps === 'true', since);
  if (query.tailLines !== undefined && Number(query.tailLines) >= 0) {
    const lines = shown.split('\n');
    const ends = shown.endsWith('\n');
    if (ends) lines.pop();
    const tail = lines.slice(Math.max(0, lines.length - Number(query.tailLines)));
    shown = tail.length > 0 ? tail.join('\n') + (ends ? '\n' : '') : '';
  }
  yield* beginStream(exchange, 200, { 'Content-Type': 'text/plain' });
  let room = query.limitBytes === undefined ? Number.POSITIVE_INFINITY : Number(query.limitBytes);
  const put = function* (piece: string): Call<void> {
    const data = bytes(piece);
    const some = data.subarray(0, Math.min(room, data.length));
    room -= some.length;
    if (some.length > 0) yield* writeChunk(exchange, some);
  };
  yield* put(shown);
  let read = bytes(source).length;
  while (room > 0 && query.follow === 'true' && !held.gone && k.pods.has(held.pod.metadata.uid!) && running(held, container)) {
    yield* sys('nanosleep', 200_000_000);
    const more = (yield* tail(path, read)) ?? '';
    const whole = more.slice(0, more.lastIndexOf('\n') + 1);
    read += bytes(whole).length;
    if (whole !== '') yield* put(plainLog(whole, query.timestamps === 'true'));
  }
  yield* endStream(exchange);
}

const running = (held: Held, container: string): boolean => held.pod.status.containerStatuses?.some((c) => c.name === container && c.state.running !== undefined) ?? false;

function* tail(path: string, from: number): Call<string | null> {
  try {
    const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
    const data = yield* sys('pread64', fd, 1 << 20, from);
    yield* sys('close', fd);
    return text(data);
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}

/** gRPC's description without its code. */
const described = (error: string): string => error.replace(/^rpc error: code = \w+ desc = /, '');

function* execute(held: Held, container: string, exchange: Exchange): Call<void> {
  const id = held.ids.get(container);
  const body = parseJson(exchange.body) as Json;
  if (!id || !Array.isArray(body?.cmd)) return yield* reply(exchange, 400, `error: unable to upgrade connection: container not found ("${container}")`);
  if (exchange.headers.upgrade) return yield* stream(id, body, exchange);
  const answer = yield* cri('ExecSync', { containerId: id, cmd: body.cmd, timeout: '0', ...(typeof body.input === 'string' ? { stdin: body.input } : {}) });
  if (refused(answer)) return yield* reply(exchange, 500, `error: Internal error occurred: error executing command in container: ${described(answer.error)}`);
  if (body.binary === true) return yield* reply(exchange, 200, { stdout: String(answer.stdout ?? ''), stderr: String(answer.stderr ?? ''), exitCode: Number(answer.exitCode ?? 0) });
  const decode = (x: Json): string => {
    try {
      return text(fromBase64(String(x ?? '')));
    } catch {
      return String(x ?? '');
    }
  };
  return yield* reply(exchange, 200, { stdout: decode(answer.stdout), stderr: decode(answer.stderr), exitCode: Number(answer.exitCode ?? 0) });
}

/** An upgraded request: the runtime's stream of the command, passed on as it is in both directions. */
function* stream(id: string, body: Json, exchange: Exchange): Call<void> {
  yield* pass(yield* cri('Exec', { containerId: id, cmd: body.cmd, tty: body.tty === true, stdin: body.stdin === true, stdout: true, stderr: body.tty !== true }), 'executing command in container', exchange);
}

/** A stream that the runtime has promised. */
function* pass(promised: Json, doing: string, exchange: Exchange): Call<void> {
  if (refused(promised)) return yield* reply(exchange, 500, `error: Internal error occurred: error ${doing}: ${described(promised.error)}`);
  const { stream: runtime, rest } = yield* upgrade({ family: 'unix', path: SOCKET }, { method: 'POST', path: String(promised.url) });
  const fd = yield* hijack(exchange);
  if (rest.length > 0) yield* writeAll(fd, rest);
  yield* thread(function* (): Body {
    yield* copy(fd, runtime.fd);
    yield* attempt(sys('shutdown', runtime.fd, SHUT_WR), 0);
    return 0;
  });
  yield* copy(runtime.fd, fd);
  yield* runtime.close();
}

/** Output, and input where the container takes it, of what already runs. */
function* attach(held: Held, container: string, exchange: Exchange): Call<void> {
  const id = held.ids.get(container);
  if (!id) return yield* reply(exchange, 400, `error: unable to upgrade connection: container ${container} not found in pod ${held.pod.metadata.name}_${held.pod.metadata.namespace}`);
  const c = [...held.pod.spec.containers, ...((held.pod.spec.ephemeralContainers ?? []) as Json[])].find((x) => x.name === container);
  yield* pass(yield* cri('Attach', { containerId: id, tty: c?.tty ?? false, stdin: c?.stdin ?? false, stdout: true, stderr: c?.tty !== true }), 'attaching to container', exchange);
}

const SHUT_WR = 1;

function* copy(from: number, to: number): Call<void> {
  for (;;) {
    const data = yield* attempt(sys('read', from, 65536), new Uint8Array(0));
    if (data.length === 0 || (yield* attempt(writeAll(to, data), null)) === null) return;
  }
}
