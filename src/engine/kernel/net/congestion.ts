/**
 * The congestion window of one connection in segments: slow start, CUBIC's growth after a loss, and the estimate of the round trip.
 * Source: RFC 9438 (C = 0.4, beta = 0.7), RFC 6298, Linux tcp_cubic.c and tcp_input.c. Left out: HyStart, pacing, SACK's pipe.
 */
import { SECOND } from '../../sim/units.ts';

export interface Congestion {
  cwnd: number;
  /** Infinity until the first loss. */
  ssthresh: number;
  mode: 'open' | 'recovery' | 'loss';
  /** The window before the last loss, and ns of when growth began again. */
  wMax: number;
  epoch: number;
  /** ns; 0 before the first sample. */
  srtt: number;
  rttvar: number;
  minRtt: number;
  losses: number;
}

const INITIAL = 10;
const BETA = 0.7;
const C = 0.4;

export function createCongestion(): Congestion {
  return { cwnd: INITIAL, ssthresh: Number.POSITIVE_INFINITY, mode: 'open', wMax: 0, epoch: 0, srtt: 0, rttvar: 0, minRtt: 0, losses: 0 };
}

export function sampleRtt(c: Congestion, rtt: number): void {
  if (rtt < 0) return;
  c.minRtt = c.minRtt === 0 ? rtt : Math.min(c.minRtt, rtt);
  if (c.srtt === 0) {
    c.srtt = Math.max(1, rtt);
    c.rttvar = rtt / 2;
    return;
  }
  c.rttvar += (Math.abs(c.srtt - rtt) - c.rttvar) / 4;
  c.srtt = Math.max(1, c.srtt + (rtt - c.srtt) / 8);
}

/** Segments have been acknowledged. */
export function ackedMore(c: Congestion, segments: number, now: number): void {
  if (c.cwnd < c.ssthresh) {
    c.cwnd = Math.min(c.cwnd + segments, Math.max(c.ssthresh, c.cwnd), 10_000);
    if (c.ssthresh === Number.POSITIVE_INFINITY) return;
  }
  if (c.cwnd < c.ssthresh) return;
  if (c.epoch === 0) c.epoch = now;
  const t = (now + c.srtt - c.epoch) / SECOND;
  const k = Math.cbrt((Math.max(0, c.wMax - c.cwnd) || (c.wMax * (1 - BETA))) / C);
  const target = C * (t - k) ** 3 + c.wMax;
  const step = target > c.cwnd ? Math.min((target - c.cwnd) / c.cwnd, 0.5) : 0.01;
  c.cwnd = Math.min(10_000, c.cwnd + Math.max(step, 0.5 / c.cwnd) * segments);
}

function shrink(c: Congestion): void {
  c.wMax = c.cwnd < c.wMax ? (c.cwnd * (1 + BETA)) / 2 : c.cwnd;
  c.ssthresh = Math.max(2, Math.floor(c.cwnd * BETA));
  c.epoch = 0;
  c.losses++;
}

/** Three repeated acknowledgements. */
export function lostOnce(c: Congestion): void {
  shrink(c);
  c.cwnd = c.ssthresh;
  c.mode = 'recovery';
}

/** A timeout: the window begins again at one; a second in a row does not shrink the goal further. */
export function lostByTimeout(c: Congestion): void {
  if (c.mode !== 'loss') shrink(c);
  c.cwnd = 1;
  c.mode = 'loss';
}
