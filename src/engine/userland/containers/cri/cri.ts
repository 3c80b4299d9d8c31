/** The container runtime interface. */
import { type Call, type Exchange, reply } from '../../lib/http.ts';
import type { Daemon } from '../containerd/daemon.ts';
import type { Cri } from './state.ts';

// biome-ignore lint/correctness/useYield: grows
export function* createCri(d: Daemon): Call<Cri> {
  return { d };
}

export function* criCall(_cri: Cri, method: string, exchange: Exchange): Call<void> {
  yield* reply(exchange, 501, { code: 'UNIMPLEMENTED', message: `rpc error: code = Unimplemented desc = unknown method ${method}` });
}
