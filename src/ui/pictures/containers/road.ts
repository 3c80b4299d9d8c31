/** Packets out of their steps: each with where it began, where it ended and how; and what changed in it on the way. */
import type { PacketRow } from '../../../bridge/rows.ts';

export interface Road {
  id: string;
  steps: PacketRow[];
  first: PacketRow;
  last: PacketRow;
  /** The step that ended it before it arrived. */
  dropped: PacketRow | null;
  delivered: boolean;
}

/** In the order in which they set out. */
export function roadsOf(rows: readonly PacketRow[]): Road[] {
  const byPacket = new Map<string, PacketRow[]>();
  for (const row of rows) {
    const list = byPacket.get(row.packet);
    if (list) list.push(row);
    else byPacket.set(row.packet, [row]);
  }
  return [...byPacket].map(([id, steps]) => ({
    id, steps, first: steps[0]!, last: steps[steps.length - 1]!, dropped: steps.find((step) => step.action === 'drop' || step.action === 'reject') ?? null, delivered: steps.some((step) => step.action === 'deliver'),
  }));
}

export const ends = (step: PacketRow): string => {
  const port = (n: number): string => (step.proto === 'tcp' || step.proto === 'udp' ? `:${n}` : '');
  return `${step.src}${port(step.sport)} → ${step.dst}${port(step.dport)}`;
};

/** What a step changed against the one before: an address or port translated, the time to live. */
export function changed(step: PacketRow, before: PacketRow | undefined): string {
  if (!before) return '';
  const out: string[] = [];
  if (ends(step) !== ends(before)) out.push(`now ${ends(step)}`);
  if (step.ttl !== before.ttl && step.ttl > 0 && before.ttl > 0) out.push(`ttl ${before.ttl} → ${step.ttl}`);
  return out.join(', ');
}

const HOOKS: Record<string, string> = {
  socket: 'socket', output: 'OUTPUT', route: 'routing', postrouting: 'POSTROUTING', arp: 'ARP', egress: 'leaves', ingress: 'enters', bridge: 'bridge', prerouting: 'PREROUTING', input: 'INPUT', forward: 'FORWARD', qdisc: 'queue', tunnel: 'tunnel',
};
export const hookName = (hook: string): string => HOOKS[hook] ?? hook;

/** A step as a sentence: for the list, the live region and the caption. */
export function told(step: PacketRow): string {
  const what = step.reason || ({ accept: 'accepted', out: `out of ${step.dev}`, in: `in at ${step.dev}`, send: 'sent', deliver: 'delivered', forward: 'forwarded', none: 'no rule decides' } as Record<string, string>)[step.action] || step.action;
  return step.rule ? `${what} (${step.rule})` : what;
}

/** Like docker's and people's names for a flow, without which of its packets: to fold a list. */
export const isArp = (road: Road): boolean => road.first.proto === 'arp';
