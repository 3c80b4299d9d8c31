/** One image layer by layer: what each adds, changes, deletes; the files of the chosen one. */
import { useState } from 'react';
import type { LayerFileRow, LayerRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, size } from '../../format.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { Segments } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { HOST } from './names.ts';
import { useSight } from './size.ts';
import css from './containers.module.css';

const CHANGES = [['all', 'All'], ['added', 'Added'], ['changed', 'Changed'], ['deleted', 'Deleted']] as const;
type Change = (typeof CHANGES)[number][0];
const ROW = 20;

export function Explorer({ image, tag }: { image: string; tag: string }) {
  const layers = useRows<LayerRow>('layers', { host: HOST, image });
  const selection = useStore((s) => s.selection);
  const [picked, pick] = useState<number | null>(null);
  const chosen = layers.find((one) => selection?.kind === 'layer' && one.chainId === selection.id) ?? layers.find((one) => one.index === picked) ?? layers[layers.length - 1];
  const scale = Math.max(1, ...layers.map((one) => one.size));
  return (
    <section className={css.block} aria-label="Layers of the image">
      <h3><RoleMark place="container" /> {tag || 'Image'} <small>layer by layer, bottom first</small></h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.wide} tabIndex={0} aria-label="Its layers">
        <table className={css.plain}>
          <thead><tr><th scope="col">layer</th><th scope="col">made by</th><th scope="col">size</th><th scope="col"><span className="sr">drawn</span></th><th scope="col">added</th><th scope="col">changed</th><th scope="col">deleted</th></tr></thead>
          <tbody>{layers.map((one) => (
            <tr key={one.key} className={chosen === one ? css.onRow : ''}>
              <td><button type="button" className={css.link} aria-pressed={chosen === one} onClick={() => { pick(one.index); select({ kind: 'layer', id: one.chainId }); }}>{one.index + 1}</button></td>
              <td className={css.made} title={one.createdBy}>{instruction(one.createdBy)}</td><td className={css.num}>{size(one.size)}</td>
              <td className={css.barCell}><i style={{ width: `${(one.size / scale) * 100}%` }} /></td>
              <td className={css.num}>{count(one.added)}</td><td className={css.num}>{count(one.changed)}</td><td className={css.num}>{count(one.deleted)}</td>
            </tr>
          ))}</tbody>
        </table>
      </section>
      {chosen ? <Files image={image} layer={chosen} /> : null}
    </section>
  );
}

/** What the builder wrote, without its shell: "RUN apk add …", "COPY …". */
export function instruction(createdBy: string): string {
  const bare = createdBy.replace(/^\/bin\/sh -c #\(nop\)\s*/, '').replace(/^(RUN )?\/bin\/sh -c /, 'RUN ').replace(/ # buildkit$/, '');
  return bare === '' ? 'imported' : bare;
}

function Files({ image, layer }: { image: string; layer: LayerRow }) {
  const rows = useRows<LayerFileRow>('layer-files', { host: HOST, image, layer: layer.index });
  const [change, choose] = useState<Change>('all');
  const [sight, ref] = useSight();
  const shown = rows.filter((one) => one.kind !== 'dir' || one.change !== 'changed').filter((one) => change === 'all' || one.change === change);
  return (
    <>
      <div className={css.choice}><h4>Files of layer {layer.index + 1}</h4><Segments label="Which changes" value={change} options={CHANGES} onChange={choose} /></div>
      {shown.length === 0 ? <p className={css.quiet}>None.</p> : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <section className={css.files} ref={ref} tabIndex={0} aria-label={`${shown.length} files`}>
          <ol style={{ height: shown.length * ROW, position: 'relative' }}>{shown.map((one, i) => (i * ROW > sight.bottom || (i + 1) * ROW < sight.top ? null : (
            <li key={one.key} style={{ top: i * ROW }} className={one.change === 'deleted' ? css.deleted : ''}><span>{one.change === 'added' ? '+' : one.change === 'changed' ? '~' : '✕'}<span className="sr"> {one.change} </span></span><code>{one.path}{one.kind === 'dir' ? '/' : ''}</code><span>{one.mode}</span><span>{one.kind === 'file' ? size(one.size) : one.kind}</span></li>
          )))}</ol>
        </section>
      )}
    </>
  );
}
