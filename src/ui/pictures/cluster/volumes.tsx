/** Volumes where they are: on the node that has the disk, or that they cannot leave, with the pods that use them and what is on them. */
import type { NodeRow, VolumeRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { mib, plural } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Empty, RowsTable } from '../../parts/parts.tsx';
import { select } from '../../store.ts';
import css from '../pictures.module.css';

const nameOf = (v: VolumeRow): string => v.claim.replace(/^default\//, '') || v.volume || v.handle;

export default function Volumes() {
  const volumes = useRows<VolumeRow>('volumes');
  const nodes = useRows<NodeRow>('nodes');
  if (volumes.length === 0) {
    return <Empty title="No volume is claimed" line="kubectl apply -f keeper.yaml">Claims and volumes appear here: what is bound, where the disk is plugged in, where it is mounted. The scenario storage has a driver for network volumes and one for directories of nodes; elsewhere, csi-disk.yaml and local-path.yaml bring them.</Empty>;
  }
  const nowhere = volumes.filter((v) => v.node === '');
  return (
    <section className={css.block} style={{ borderTop: 'var(--border)' }} aria-label="Volumes by node">
      <h3><RoleMark place="hardware" /> Volumes <small>on the node that has the disk; dashed: attached nowhere</small></h3>
      <div className={css.nodes} style={{ padding: '8px 0' }}>
        {nodes.filter((node) => volumes.some((v) => v.node === node.name)).map((node) => <Place key={node.key} name={node.name} volumes={volumes.filter((v) => v.node === node.name)} />)}
        {nowhere.length > 0 ? <Place name="" volumes={nowhere} /> : null}
      </div>
      <RowsTable title="Volumes" rows={volumes.map((v) => ({ key: v.key, claim: v.claim, volume: v.volume, class: v.class, size: `${mib(v.size)} MiB`, phase: v.claimPhase || v.phase, policy: v.policy, attachment: v.attachment, device: v.device, mounts: v.mounts, message: v.message, history: v.history }))} />
    </section>
  );
}

function Place({ name, volumes }: { name: string; volumes: VolumeRow[] }) {
  return (
    <section className={css.node} style={name === '' ? { borderStyle: 'dashed', borderColor: 'var(--line-strong)' } : {}} aria-label={name === '' ? 'Attached nowhere' : `Volumes on ${name}`}>
      <div className={css.nodeHead}>{name === '' ? 'attached nowhere' : name}<small>{plural(volumes.length, 'volume')}</small></div>
      {volumes.map((v) => <Card key={v.key} v={v} />)}
    </section>
  );
}

function Card({ v }: { v: VolumeRow }) {
  const state = v.claimPhase || v.phase;
  const namespace = v.claim.split('/')[0];
  return (
    <div style={{ margin: '8px 0', display: 'grid', gap: 2 }}>
      <div><b>{nameOf(v)}</b> <small>{v.class || 'no class'}{v.tied ? ', stays on this node' : v.device ? `, ${v.device}` : ''}</small></div>
      <div className={css.req}><span>MiB</span><span className={css.trough}><i style={{ width: `${v.size === 0 ? 0 : Math.min(100, (v.bytes / v.size) * 100)}%` }} /></span><span>{mib(v.bytes)} / {mib(v.size)}</span></div>
      {state !== 'Bound' ? <div style={{ color: 'var(--trap-ink)' }}><OutcomeMark outcome="warn" size={12} /> {state}{v.message ? `: ${v.message}` : ''}</div> : null}
      {v.attachment && !v.attachment.endsWith(' attached') ? <div>{v.attachment.split(' ')[1]}</div> : null}
      <div>{v.pods === '' ? <small>used by no pod</small> : v.pods.split(',').map((pod) => <button key={pod} type="button" className={css.nodeHead} onClick={() => select({ kind: 'pod', id: `${namespace}/${pod}` })}>{pod}</button>)}{v.moves > 0 ? <small> moved {v.moves === 1 ? 'once' : `${v.moves} times`}</small> : null}</div>
    </div>
  );
}
