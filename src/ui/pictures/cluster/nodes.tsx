/** A small cluster as elements: a box a node, a square a pod, bars for what is requested. */
import type { NodeRow, PodRow } from '../../../bridge/rows.ts';
import { count, mib } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { select } from '../../store.ts';
import css from '../pictures.module.css';

export const podId = (pod: PodRow): string => `${pod.namespace}/${pod.name}`;
const failed = (pod: PodRow): boolean => pod.oomKilled || /CrashLoop|Error|OOM|Failed|BackOff/.test(pod.status);

export function Nodes({ nodes, pods, chosen }: { nodes: NodeRow[]; pods: PodRow[]; chosen: PodRow | undefined }) {
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
            {node.taints ? <div className={css.req} style={{ gridTemplateColumns: '3.4em 1fr' }}><span>taints</span><code>{node.taints}</code></div> : null}
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
