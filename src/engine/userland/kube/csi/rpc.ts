/**
 * The container storage interface over a unix socket: each call a POST of the protobuf's JSON form to /csi.v1.SERVICE/METHOD, as the
 * container runtime's here; failures carry gRPC's code and description. Logs as klog prints them.
 */
import type { Json } from '../../../cluster/types/objects.ts';
import { AT_FDCWD, SysError } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { civilOf } from '../../../sim/calendar.ts';
import { attempt, mkdirAll } from '../../lib/files.ts';
import { type Call, reply, request, serve } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { parseJson } from '../api.ts';

export type Code = 'InvalidArgument' | 'NotFound' | 'AlreadyExists' | 'ResourceExhausted' | 'FailedPrecondition' | 'Internal' | 'Unavailable' | 'OutOfRange' | 'Unimplemented' | 'DeadlineExceeded';

/** A call's refusal, as gRPC prints it. */
export class RpcError extends Error {
  readonly code: Code;
  constructor(code: Code, description: string) {
    super(`rpc error: code = ${code} desc = ${description}`);
    this.code = code;
  }
}

/** Calls a method, e.g. "Controller/CreateVolume". Throws RpcError. */
export function* rpc(socket: string, method: string, body: Json = {}): Call<Json> {
  let answer: { status: number; body: string };
  try {
    answer = yield* request({ family: 'unix', path: socket }, { method: 'POST', path: `/csi.v1.${method}`, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new RpcError('Unavailable', `connection error: desc = "transport: Error while dialing: dial unix ${socket}: connect: ${error.message.toLowerCase()}"`);
  }
  const parsed = parseJson(answer.body) as Json;
  if (answer.status < 400) return parsed ?? {};
  throw new RpcError((parsed?.code ?? 'Internal') as Code, String(parsed?.message ?? answer.body));
}

/** "I0115 09:00:02.123456       1 driver.go:97] text" on standard error. */
export function* klog(where: string, text: string, level: 'I' | 'W' | 'E' = 'I'): Call<void> {
  const t = yield* sys('clock_gettime', 'realtime');
  const d = civilOf(t / 1e9);
  const two = (n: number): string => String(n).padStart(2, '0');
  const stamp = `${two(d.month)}${two(d.day)} ${two(d.hour)}:${two(d.minute)}:${two(d.second)}.${String(Math.floor((t / 1000) % 1e6)).padStart(6, '0')}`;
  yield* complain(`${level}${stamp} ${String(yield* sys('getpid')).padStart(7)} ${where}] ${text}\n`);
}

export type Methods = Readonly<Record<string, (body: Json) => Call<Json>>>;

/** Serves methods on a socket for ever; what is asked and answered is logged. */
export function* serveRpc(socket: string, methods: Methods): Body {
  yield* mkdirAll(socket.slice(0, socket.lastIndexOf('/')));
  yield* attempt(sys('unlinkat', AT_FDCWD, socket, 0), 0);
  yield* klog('server.go:108', `Listening for connections on address: &net.UnixAddr{Name:"/${socket}", Net:"unix"}`);
  return yield* serve({ family: 'unix', path: socket }, function* (exchange) {
    const name = exchange.path.replace(/^\/csi\.v1\./, '');
    const method = methods[name];
    const quiet = name === 'Identity/Probe' || name === 'Node/NodeGetVolumeStats';
    const asked = parseJson(exchange.body || '{}') as Json;
    if (!quiet) yield* klog('utils.go:97', `GRPC call: /csi.v1.${name}`);
    if (!quiet) yield* klog('utils.go:98', `GRPC request: ${JSON.stringify(asked)}`);
    try {
      if (!method) throw new RpcError('Unimplemented', `unknown method ${name.split('/')[1] ?? name}`);
      const answer = yield* method(asked);
      if (!quiet) yield* klog('utils.go:104', `GRPC response: ${JSON.stringify(answer)}`);
      yield* reply(exchange, 200, answer);
    } catch (error) {
      const known = error instanceof RpcError ? error : error instanceof SysError ? new RpcError('Internal', error.message.toLowerCase()) : null;
      if (!known) throw error;
      yield* klog('utils.go:102', `GRPC error: ${known.message}`, 'E');
      yield* reply(exchange, 500, { code: known.code, message: known.message.replace(/^rpc error: code = \w+ desc = /, '') });
    }
  });
}
