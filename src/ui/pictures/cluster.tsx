/** Pods on nodes, and for a chosen pod how the scheduler decided: which nodes each filter refused, what each score gave. */
import { useEffect, useRef } from 'react';
import type { DecisionRow, DeploymentRow, FilterRow, KubeEventRow, NodeRow, PodRow, ScoreRow, ServiceRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { Frame } from '../frame/panel.tsx';
import { count, mib, seconds } from '../format.ts';
import { OutcomeMark, RoleMark } from '../parts/marks.tsx';
import { Empty, Runnable, RowsTable } from '../parts/parts.tsx';
import { select, set, useStore } from '../store.ts';
import { draw } from './cells.ts';
import css from './pictures.module.css';

const MODES = [['scheduler', 'Scheduler'], ['workloads', 'Workloads'], ['events', 'Events']] as const;
export const podId = (pod: PodRow): string => `${pod.namespace}/${pod.name}`;
const failed = (pod: PodRow): boolean => pod.oomKilled || /CrashLoop|Error|OOM|Failed|BackOff/.test(pod.status);

export function Cluster() {
  const nodes = useRows<NodeRow>('nodes');
  const pods = useRows<PodRow>('pods');
  const mode = useStore((s) => s.mode.cluster ?? 'scheduler');
  const selection = useStore((s) => s.selection);
  const id = selection?.kind === 'pod' ? selection.id : null;
  const newest = [...pods].filter((pod) => pod.namespace !== 'kube-system').sort((a, b) => b.createdAt - a.createdAt)[0];
  const chosen = pods.find((pod) => podId(pod) === id) ?? newest;
  return (
    <Frame title="Cluster" modes={MODES} mode={mode} onMode={(next) => set((s) => ({ mode: { ...s.mode, cluster: next } }))}
      facts={<><span><b>{nodes.length}</b> nodes</span><span><b>{count(pods.length)}</b> pods</span><span><b>{count(pods.filter((pod) => pod.phase === 'Pending').length)}</b> pending</span></>}
      twin={<><RowsTable title="Nodes" rows={nodes} /><RowsTable title="Pods" rows={pods} /></>}>
      {nodes.length === 0 ? <Empty title="This scenario has no cluster" line="kubectl get nodes">Nodes and their pods appear here in a scenario with a cluster, such as lab.</Empty> : <Nodes nodes={nodes} pods={pods} chosen={chosen} />}
      {nodes.length === 0 ? null : mode === 'scheduler' ? (chosen ? <Decision pod={chosen} /> : <Empty title="No pod of yours yet" line="kubectl create deployment web --image=nginx --replicas=3">For each pod the scheduler’s decision is shown here: the filters, the scores, the node. On the host:</Empty>) : mode === 'workloads' ? <Workloads /> : <Events />}
    </Frame>
  );
}

function Nodes({ nodes, pods, chosen }: { nodes: NodeRow[]; pods: PodRow[]; chosen: PodRow | undefined }) {
  if (nodes.length > 60 || pods.length > 2000) return <Many nodes={nodes} pods={pods} />;
  const waiting = pods.filter((pod) => pod.node === '');
  return (
    <>
      <div className={css.nodes}>
        {nodes.map((node) => (
          <section key={node.key} className={css.node} aria-label={`Node ${node.name}`}>
            <button type="button" className={css.nodeHead} onClick={() => select({ kind: 'node', id: node.name })}><RoleMark place="hardware" />{node.name}<small>{node.ready ? (node.unschedulable ? 'cordoned' : `${node.pods} ${node.pods === 1 ? 'pod' : 'pods'}`) : <><OutcomeMark outcome="warn" size={12} /> not ready</>}</small></button>
            <div className={css.podsBox}>{pods.filter((pod) => pod.node === node.name).map((pod) => <Pod key={pod.key} pod={pod} on={pod === chosen} />)}</div>
            <div className={css.req}><span>cpu m</span><span className={css.trough}><i style={{ width: `${Math.min(100, (node.cpuRequested / node.cpuMilli) * 100)}%` }} /></span><span>{count(node.cpuRequested)} / {count(node.cpuMilli)}</span></div>
            <div className={css.req}><span>MiB</span><span className={css.trough}><i style={{ width: `${Math.min(100, (node.memoryRequested / node.memory) * 100)}%` }} /></span><span>{mib(node.memoryRequested)} / {mib(node.memory)}</span></div>
            {node.taints ? <div className={css.req} style={{ gridTemplateColumns: '52px 1fr' }}><span>taints</span><code>{node.taints}</code></div> : null}
          </section>
        ))}
        {waiting.length > 0 ? <section className={css.node} style={{ borderStyle: 'dashed', borderColor: 'var(--line-strong)' }} aria-label="Waiting for a node"><div className={css.nodeHead}>no node yet<small>{waiting.length}</small></div><div className={css.podsBox}>{waiting.map((pod) => <Pod key={pod.key} pod={pod} on={pod === chosen} />)}</div></section> : null}
      </div>
      <div className={css.legend} style={{ margin: '0 16px 12px' }}>
        <span><i className={css.pod} />runs</span><span><i className={`${css.pod} ${css.starting}`} />starting</span>{pods.some((pod) => pod.namespace === 'kube-system') ? <span><i className={`${css.pod} ${css.system}`} />kube-system</span> : null}<span><i className={`${css.pod} ${css.bad}`}><OutcomeMark outcome="killed" size={9} /></i>failing</span>{chosen ? <span><i className={`${css.pod} ${css.sel}`} />{chosen.name}</span> : null}<span>bars: requested of allocatable</span>
      </div>
    </>
  );
}
function Pod({ pod, on }: { pod: PodRow; on: boolean }) {
  const kind = failed(pod) ? css.bad : pod.phase !== 'Running' ? css.starting : pod.namespace === 'kube-system' ? css.system : '';
  return <button type="button" className={`${css.pod} ${kind} ${on ? css.sel : ''}`} title={`${podId(pod)}: ${pod.status}`} aria-label={`Pod ${podId(pod)}, ${pod.status}${pod.node ? ` on ${pod.node}` : ''}`} aria-pressed={on} onClick={() => select({ kind: 'pod', id: podId(pod) })}>{failed(pod) ? <OutcomeMark outcome="killed" size={9} /> : null}</button>;
}
function Many({ nodes, pods }: { nodes: NodeRow[]; pods: PodRow[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const hit = useRef<((x: number, y: number) => string | null) | null>(null);
  const theme = useStore((s) => s.theme);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas takes the theme's colours when it is drawn
  useEffect(() => { hit.current = draw(canvas.current!, nodes, pods, canvas.current!.parentElement!.clientWidth - 32).nodeAt; }, [nodes, pods, theme]);
  return <div style={{ padding: 16 }}><canvas ref={canvas} role="img" style={{ width: '100%' }} aria-label={`${nodes.length} nodes with ${pods.length} pods; the table has them all`} onClick={(e) => { const name = hit.current?.(e.nativeEvent.offsetX, e.nativeEvent.offsetY); if (name) select({ kind: 'node', id: name }); }} /></div>;
}

function Decision({ pod }: { pod: PodRow }) {
  const id = podId(pod);
  const decision = useRows<DecisionRow>('decisions', { pod: id })[0];
  const filters = useRows<FilterRow>('filters', { pod: id });
  const scores = useRows<ScoreRow>('scores', { pod: id });
  const plugins = [...new Set(filters.map((row) => row.plugin))];
  const columns = [...new Set(scores.map((row) => row.plugin))];
  const byNode = new Map<string, ScoreRow[]>();
  for (const row of scores) byNode.set(row.node, [...(byNode.get(row.node) ?? []), row]);
  const ranked = [...byNode.entries()].sort((a, b) => (b[1][0]!.total - a[1][0]!.total) || (a[1][0]!.chosen ? -1 : b[1][0]!.chosen ? 1 : 0));
  return (
    <section className={css.block} style={{ borderTop: 'var(--border)' }} aria-label="Decision of the scheduler">
      <h3><RoleMark place="container" /> {pod.name} <small>{decision ? `attempt ${decision.attempt} at ${seconds(decision.t)}: ${decision.node ? `${decision.node}, of ${decision.feasible} feasible${decision.tied > 1 ? `; ${decision.tied} tied, drawn by lot` : ''}` : 'no node'}` : 'no decision recorded for it'}</small></h3>
      {decision?.message && !decision.node ? <p style={{ color: 'var(--trap-ink)', margin: '6px 0' }}>{decision.message}</p> : null}
      {filters.length === 0 && scores.length === 0 ? null : (
        <div className={css.deciding}>
          <div>
            <h3>Filter <small>nodes that pass each</small></h3>
            {plugins.map((plugin) => {
              const rows = filters.filter((row) => row.plugin === plugin);
              const refused = rows.filter((row) => !row.ok);
              return <div key={plugin} className={css.filter}><span>{plugin}</span><span className={css.trough}><i style={{ width: `${((rows.length - refused.length) / Math.max(1, rows.length)) * 100}%` }} /></span><span>{rows.length - refused.length} of {rows.length}</span>{refused.length > 0 ? <span className={css.why}>{[...new Set(refused.map((row) => row.reason))].map((reason) => `${refused.filter((row) => row.reason === reason).map((row) => row.node).slice(0, 3).join(', ')}${refused.length > 3 ? ` and ${refused.length - 3} more` : ''}: ${reason}`).join('; ')}</span> : null}</div>;
            })}
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
          <section style={{ overflowX: 'auto', minWidth: 0 }} tabIndex={0} aria-label="Scores">
            {ranked.length === 0 ? <p style={{ color: 'var(--ink-2)' }}>{decision?.feasible === 1 ? 'Only one node was feasible: nothing to score.' : 'No node was feasible: nothing to score.'}</p> : (
              <table className={css.scores}>
                <thead><tr><th scope="col"><b style={{ color: 'var(--ink)' }}>Score</b><br />of 100,<br />times weight</th>{columns.map((name) => <th key={name} scope="col">{name.replace(/([a-z])([A-Z])/g, '$1 $2')}<br /><b>×{scores.find((row) => row.plugin === name)?.weight}</b></th>)}<th scope="col" style={{ textAlign: 'right' }}>Total</th></tr></thead>
                <tbody>{ranked.slice(0, 40).map(([node, rows]) => (
                  <tr key={node} className={rows[0]!.chosen ? css.won : ''}><td><b>{node}</b>{rows[0]!.chosen ? <span className="sr"> chosen</span> : null}</td>
                    {columns.map((name) => { const row = rows.find((one) => one.plugin === name); return <td key={name} title={row?.formula}>{row ? <span className={css.fill}><i style={{ width: `${row.score}%` }} /><em>{row.score}</em></span> : ''}</td>; })}
                    <td style={{ textAlign: 'right', fontWeight: 600 }}>{rows[0]!.total}</td></tr>
                ))}</tbody>
              </table>
            )}
          </section>
        </div>
      )}
    </section>
  );
}
function Workloads() {
  return <><RowsTable title="Deployments" rows={useRows<DeploymentRow>('deployments')} /><RowsTable title="Services" rows={useRows<ServiceRow>('services')} /><div style={{ padding: '0 16px 16px', maxWidth: 480 }}><Runnable line="kubectl get deployments,services -A" /></div></>;
}
function Events() {
  const events = useRows<KubeEventRow>('kube-events');
  const rows = [...events].sort((a, b) => b.lastAt - a.lastAt).slice(0, 100).map((row) => ({ key: row.key, time: seconds(row.lastAt), type: row.type, reason: row.reason, object: `${row.namespace}/${row.object}`, message: row.message, count: row.count, source: row.source }));
  return <RowsTable title="Events, newest first" rows={rows} />;
}
