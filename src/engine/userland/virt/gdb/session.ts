/** A debugging session: the connection, what is known of symbols and breakpoints, and the target's registers and memory. */
import type { Call } from '../../lib/http.ts';
import { Failed } from '../../lib/io.ts';
import { nextPacket, type Remote, sendPacket } from './remote.ts';

export interface Session {
  remote: Remote | null;
  interrupted: boolean;
  labels: { name: string; address: bigint }[];
  places: Place[];
  nextPlace: number;
  /** $1, $2, … */
  values: bigint[];
  running: boolean;
  over: boolean;
  last: string;
  /** Of the last x: size and format, which the next one takes over. */
  unit: string;
  letter: string;
  wide: boolean;
  /** Who keeps what happened, to go back in: the target of its own accord, or because of `record`. */
  reverse: 'target' | 'record' | null;
}

export type Registers = Record<string, bigint>;

export interface Place {
  number: number;
  kind: 'break' | 'hbreak' | 'watch';
  address: bigint;
  length: number;
  expression: string;
  enabled: boolean;
  temporary: boolean;
  hits: number;
  /** Of a watchpoint: as last seen. */
  value: bigint;
}

const WIDE = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip'];
const NARROW = ['eflags', 'cs', 'ss', 'ds', 'es', 'fs', 'gs'];

export const littleNumber = (data: Uint8Array): bigint => data.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

export function registerValues(hex: string): Registers {
  const data = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const out: Registers = {};
  WIDE.forEach((name, n) => {
    out[name] = littleNumber(data.subarray(8 * n, 8 * n + 8));
  });
  NARROW.forEach((name, n) => {
    out[name] = littleNumber(data.subarray(136 + 4 * n, 140 + 4 * n));
  });
  return out;
}

export function* ask(session: Session, body: string): Call<string> {
  const { remote } = session;
  if (!remote) throw new Failed('The program is not being run.');
  yield* sendPacket(remote, body);
  const reply = yield* nextPacket(remote, () => false);
  if (reply === null) return yield* lost(session);
  return reply;
}

// biome-ignore lint/correctness/useYield: a call like the others
export function* lost(session: Session): Call<never> {
  session.remote = null;
  throw new Failed('Remote connection closed');
}

export function* registers(session: Session): Call<Registers> {
  if (!session.remote) throw new Failed('The program has no registers now.');
  return registerValues(yield* ask(session, 'g'));
}

export function* memory(session: Session, address: bigint, length: number): Call<Uint8Array> {
  const reply = yield* ask(session, `m${address.toString(16)},${length.toString(16)}`);
  if (reply.startsWith('E')) throw new Failed(`Cannot access memory at address 0x${address.toString(16)}`);
  return Uint8Array.from(reply.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

