/** How full each node is: what its pods request, one segment a pod, of what it has to give; of many nodes their distribution as well. */
import { useState } from 'react';
import type { NodeRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, mib } from '../../format.ts';
import { Segments } from '../../parts/parts.tsx';
import { select } from '../../store.ts';
import type { FaceProps } from './cluster.tsx';
import css from './cluster.module.css';
import { podId } from './nodes.tsx';

const MOST = 60;

/** Of more nodes than the page holds anyway. */
const ALL = { most: 5000 };

export default function Packing({ pods }: FaceProps) {
  const nodes = useRows<NodeRow>('nodes', ALL);
  const [order, setOrder] = useState<'name' | 'full'>('full');
  const share = (n: FaceProps['nodes'][number]): number => Math.max(n.cpuRequested / Math.max(1, n.cpuMilli), n.memoryRequested / Math.max(1, n.memory));
  const sorted = order === 'name' ? nodes : [...nodes].sort((a, b) => share(b) - share(a));
  const cpu = nodes.reduce((sum, n) => sum + n.cpuRequested, 0) / Math.max(1, nodes.reduce((sum, n) => sum + n.cpuMilli, 0));
  const memory = nodes.reduce((sum, n) => sum + n.memoryRequested, 0) / Math.max(1, nodes.reduce((sum, n) => sum + n.memory, 0));
  const empty = nodes.filter((n) => n.pods === 0).length;
  return (
    <section className={css.face} aria-label="Bin packing">
      <div className={css.row}><h3>Requested of allocatable <small>cpu {Math.round(cpu * 100)} %, memory {Math.round(memory * 100)} %; {count(empty)} of {count(nodes.length)} nodes empty</small></h3><Segments label="Order" value={order} options={[['full', 'Fullest first'], ['name', 'By name']]} onChange={setOrder} /><span className={css.keys}><span><i className={css.cpuKey} />cpu, thousandths of a core</span><span><i className={css.memoryKey} />memory, MiB; one segment a pod</span></span></div>
      {nodes.length > 20 ? <Distribution shares={nodes.map((n) => [n.cpuRequested / Math.max(1, n.cpuMilli), n.memoryRequested / Math.max(1, n.memory)])} /> : null}
      <div className={css.pack}>
        {sorted.slice(0, MOST).map((node) => {
          const mine = pods.filter((pod) => pod.node === node.name && pod.phase !== 'Succeeded' && pod.phase !== 'Failed');
          return [
            <button key={`${node.key} b`} type="button" style={{ gridRow: 'span 2' }} onClick={() => select({ kind: 'node', id: node.name })}>{node.name}</button>,
            <span key={`${node.key} c`} className={css.bar} role="img" aria-label={`${node.name} cpu: ${node.cpuRequested}m of ${node.cpuMilli}m`}>{segments(mine.map((pod) => [podId(pod), pod.cpuMilli, `${pod.cpuMilli}m`]), node.cpuRequested, node.cpuMilli, '')}</span>,
            <span key={`${node.key} d`} className={css.n}>{count(node.cpuRequested)} / {count(node.cpuMilli)}</span>,
            <span key={`${node.key} m`} className={css.bar} role="img" aria-label={`${node.name} memory: ${mib(node.memoryRequested)} of ${mib(node.memory)} MiB`}>{segments(mine.map((pod) => [podId(pod), pod.memory, `${mib(pod.memory)} MiB`]), node.memoryRequested, node.memory, css.memory!)}</span>,
            <span key={`${node.key} n`} className={css.n}>{mib(node.memoryRequested)} / {mib(node.memory)}</span>,
          ];
        })}
      </div>
      {nodes.length > MOST ? <p className={css.quiet}>{count(nodes.length - MOST)} more nodes; the map and the table have them all.</p> : null}
    </section>
  );
}

/** A segment a pod; what pods beyond the list request, as one. */
function segments(parts: [string, number, string][], all: number, most: number, kind: string) {
  const known = parts.reduce((sum, [, amount]) => sum + amount, 0);
  const rest: [string, number, string][] = all > known ? [['others', all - known, '']] : [];
  return [...parts, ...rest].filter(([, amount]) => amount > 0).map(([id, amount, said]) => <i key={id} className={kind} title={`${id} ${said}`} style={{ width: `${(amount / Math.max(1, most)) * 100}%` }} />);
}

/** How many nodes are how full, by tenths. */
function Distribution({ shares }: { shares: [number, number][] }) {
  const tenths = (which: 0 | 1): number[] => {
    const out = new Array<number>(10).fill(0);
    for (const share of shares) out[Math.min(9, Math.floor(share[which] * 10))]!++;
    return out;
  };
  const [cpu, memory] = [tenths(0), tenths(1)];
  const most = Math.max(1, ...cpu, ...memory);
  return (
    <div className={css.tenths}><svg className={css.chart} viewBox="0 0 640 120" role="img" aria-label={`Nodes by share of cpu requested, tenth by tenth: ${cpu.join(', ')}; by memory: ${memory.join(', ')}`}>
      {cpu.map((n, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the tenth is the key
        <g key={i} transform={`translate(${i * 62 + 10} 0)`}>
          <rect x={0} width={28} y={94 - (n / most) * 78} height={(n / most) * 78} fill="var(--container)" />
          <rect x={31} width={27} y={94 - (memory[i]! / most) * 78} height={(memory[i]! / most) * 78} fill="var(--panel)" stroke="var(--guest-kernel)" strokeWidth={2} />
          {n > 0 ? <text x={14} y={90 - (n / most) * 78} textAnchor="middle">{count(n)}</text> : null}{memory[i]! > 0 ? <text x={45} y={90 - (memory[i]! / most) * 78} textAnchor="middle">{count(memory[i]!)}</text> : null}
          <text x={29} y={110} textAnchor="middle">{i * 10}–{i * 10 + 10} %</text>
        </g>
      ))}
    </svg></div>
  );
}
