/**
 * The container runtime interface: containerd's socket, each call a POST of the protobuf's JSON form. Numbers of 64 bits
 * come as text, bytes as base64, fields at their default may be absent.
 */
import type { Json } from '../../cluster/types/objects.ts';
import { SysError } from '../../kernel/abi.ts';
import { type Call, request } from '../lib/http.ts';
import { parseJson } from './api.ts';

export const SOCKET = '/run/containerd/containerd.sock';

/** A refusal of the runtime, in its words. */
export interface Refused {
  error: string;
}

export const refused = (answer: Json): answer is Refused => typeof answer?.error === 'string';

export function* cri(method: string, body: Json): Call<Json> {
  const service = /Image/.test(method) && !/Container/.test(method) ? 'ImageService' : 'RuntimeService';
  try {
    const r = yield* request({ family: 'unix', path: SOCKET }, { method: 'POST', path: `/runtime.v1.${service}/${method}`, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    const answer = parseJson(r.body);
    if (r.status < 400) return answer ?? {};
    return { error: String(answer?.message ?? answer?.error ?? answer) };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { error: `rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix ${SOCKET}: connect: ${error.message.toLowerCase()}"` };
  }
}
