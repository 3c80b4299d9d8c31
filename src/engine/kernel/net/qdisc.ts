/** Queues of links that somebody changed (tc): delay, loss and rate of netem, the bucket of tbf. Source: tc-netem(8), tc-tbf(8), sch_netem.c, sch_tbf.c. */
import { below, forkRandom, type Random, uint32 } from '../../sim/random.ts';
import { SECOND } from '../../sim/units.ts';
import type { Kernel } from '../records.ts';
import type { Discipline, Link } from './types.ts';

/** 64 bits of a generator as it begins. */
const seedOf = ({ s }: Random): string => ((BigInt(s[0] >>> 0) << 32n) | BigInt(s[1] >>> 0)).toString();

export function createDiscipline(kernel: Kernel, link: Link, kind: Discipline['kind'], handle: string): Discipline {
  const random = forkRandom(kernel.random.s[0], `${kernel.name} ${link.name} ${handle}`);
  return {
    kind, handle, seed: seedOf(random), limit: 1000, delay: 0, jitter: 0, loss: 0, duplicate: 0, corrupt: 0, reorder: 0, rate: 0, burst: 0, latency: 0, free: 0, tokens: 0, at: 0,
    sentBytes: 0, sentPackets: 0, dropped: 0, overlimits: 0, backlogBytes: 0, backlogPackets: 0, random,
  };
}

/** What becomes of a frame: it leaves after so many ns, once or twice, or it is lost, and why. */
export type Queued = { delays: number[]; corrupt: boolean } | { lost: string };

const happens = (queue: Discipline, chance: number): boolean => chance > 0 && uint32(queue.random) < chance * 2 ** 32;

export function enqueue(queue: Discipline, length: number, now: number): Queued {
  if (queue.kind === 'tbf') return bucket(queue, length, now);
  if (queue.kind !== 'netem') return { delays: [0], corrupt: false };
  const twice = happens(queue, queue.duplicate);
  if (happens(queue, queue.loss)) {
    queue.dropped++;
    return { lost: `netem loses ${percent(queue.loss)}` };
  }
  if (queue.backlogPackets >= queue.limit) {
    queue.dropped++;
    return { lost: `the queue of netem holds ${queue.limit}` };
  }
  const delays = [departure(queue, length, now)];
  if (twice) delays.push(departure(queue, length, now));
  return { delays, corrupt: happens(queue, queue.corrupt) };
}

const percent = (chance: number): string => `${Number((chance * 100).toFixed(4))}%`;

function departure(queue: Discipline, length: number, now: number): number {
  if (happens(queue, queue.reorder)) return 0;
  const spread = queue.jitter > 0 ? below(queue.random, 2 * queue.jitter + 1) - queue.jitter : 0;
  const delay = Math.max(0, queue.delay + spread);
  if (queue.rate === 0) return delay;
  queue.free = Math.max(queue.free, now) + Math.ceil((length * SECOND) / queue.rate);
  return Math.max(delay, queue.free - now + delay);
}

/** Tokens fill at the rate up to the burst; what finds none waits, up to the latency or the limit. */
function bucket(queue: Discipline, length: number, now: number): Queued {
  const start = Math.max(queue.free, now);
  const tokens = Math.min(queue.burst, queue.tokens + ((start - queue.at) * queue.rate) / SECOND);
  const wait = tokens >= length ? 0 : Math.ceil(((length - tokens) * SECOND) / queue.rate);
  const delay = start - now + wait;
  const room = queue.latency > 0 ? delay <= queue.latency + Math.ceil((queue.burst * SECOND) / queue.rate) : queue.backlogBytes + length <= queue.limit;
  if (delay > 0) queue.overlimits++;
  if (!room) {
    queue.dropped++;
    return { lost: 'the queue of tbf is full' };
  }
  queue.tokens = Math.max(0, tokens - length + (wait * queue.rate) / SECOND);
  queue.at = start + wait;
  queue.free = start + wait;
  return { delays: [delay], corrupt: false };
}
