/** The inspector of what containers are made of: an image, a layer, a system call of docker run. */
import type { ImageRow, LayerSharingRow, RunCallRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { Gone, Panel, Part } from '../../frame/inspected.tsx';
import { seconds, size } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Facts, Runnable } from '../../parts/parts.tsx';
import { seek } from '../../session/session.ts';
import { select } from '../../store.ts';
import { instruction } from './explorer.tsx';
import { digest, HOST } from './names.ts';
import css from './containers.module.css';

export function Image({ id }: { id: string }) {
  const rows = useRows<ImageRow>('images', { host: HOST }).filter((one) => one.id === id);
  const layers = useRows<LayerSharingRow>('layer-sharing', { host: HOST }).filter((one) => one.image === id);
  const row = rows[0];
  if (!row) return <Gone what="Image" />;
  const name = row.tag || digest(id);
  return (
    <Panel title={<><RoleMark place="container" /> {name}</>} sub="image" line={`docker history ${name}`}>
      <Part><Facts facts={[['tags', rows.map((one) => one.tag || 'none').join(', ')], ['id', id], ['size', size(row.size)], ['layers', row.layers], ['its own', size(layers.filter((one) => one.images === 1).reduce((sum, one) => sum + one.size, 0))], ['shared', size(layers.filter((one) => one.images > 1).reduce((sum, one) => sum + one.size, 0))]]} /><Runnable line={`docker image inspect ${name}`} /></Part>
      <Part title="Layers" sub="bottom first"><ol className={css.lastCalls}>{layers.map((one) => <li key={one.key}><button type="button" className={css.link} onClick={() => select({ kind: 'layer', id: one.chainId })}>{digest(one.chainId)}</button> {size(one.size)}{one.images > 1 ? `, in ${one.images} images` : ''}</li>)}</ol></Part>
    </Panel>
  );
}

export function Layer({ id }: { id: string }) {
  const rows = useRows<LayerSharingRow>('layer-sharing', { host: HOST }).filter((one) => one.chainId === id);
  const row = rows[0];
  if (!row) return <Gone what="Layer" />;
  return (
    <Panel title={<><RoleMark place="container" /> Layer {digest(id).slice(0, 8)}</>} sub={`number ${row.index + 1}`} line={`ls -l /var/lib/docker/image/overlay2/layerdb/sha256/${id.replace(/^sha256:/, '')}`}>
      <Part><Facts facts={[['chain id', id], ['diff id', row.diffId], ['size', size(row.size)], ['made by', instruction(row.createdBy)]]} /><p className={css.aside}>{row.index === 0 ? 'The lowest layer: its chain id is its diff id.' : 'The chain id is the sha256 over the chain id below and this diff id.'}</p></Part>
      <Part title="Images on it" sub="kept once for all of them"><p className={css.ways}>{rows.map((one) => <button type="button" key={one.key} className={css.link} onClick={() => select({ kind: 'image', id: one.image })}>{one.tag || digest(one.image)}</button>)}</p></Part>
    </Panel>
  );
}

export function Call({ id }: { id: string }) {
  const row = useRows<RunCallRow>('run-calls', { host: HOST }).find((one) => one.key === id);
  if (!row) return <Gone what="Call" />;
  const byHand = row.side === 'hand';
  return (
    <Panel title={<>{row.failed ? <OutcomeMark outcome="warn" size={12} /> : <RoleMark place="host-kernel" />} {row.name}</>} sub={`${row.who}, pid ${row.pid}`} {...(byHand ? { line: `strace -f -e trace=${row.name} ${row.command}` } : {})}>
      <Part><p>{row.what}</p><pre className={css.file}>{row.name}({row.args}) = {row.result}</pre></Part>
      <Part><Facts facts={[['for', row.purpose], ['path', row.path], ['at', seconds(row.t)], ['pid', row.pid], ['pid inside', row.nspid === row.pid ? null : row.nspid], ['program', row.comm], ['container', row.container === '' ? null : <button type="button" key="c" className={css.link} onClick={() => select({ kind: 'container', id: row.container })}>{row.container}</button>], ['command', row.command]]} />
        <p className={css.ways}><button type="button" className={css.link} onClick={() => void seek(row.t)}>go to this moment</button></p></Part>
    </Panel>
  );
}
