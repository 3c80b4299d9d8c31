/**
 * Connection tracking and the translation of addresses. A connection is two tuples: what its first packet said, and what an
 * answer will say; where they differ, packets are rewritten on their way in (destination) and on their way out (source).
 * Source: conntrack(8), nf_nat's rules. Left out: helpers, zones, early drop.
 */
import type { Tuple } from './types.ts';

export interface Conn {
  orig: Tuple;
  reply: Tuple;
  /** An answer has been seen. */
  replied: boolean;
  /** Of tcp: SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE. */
  state: string;
  /** ns at which it is forgotten. */
  until: number;
  /** Its first packet has met the nat tables, on the way in and on the way out. */
  natted: { pre: boolean; post: boolean };
}
