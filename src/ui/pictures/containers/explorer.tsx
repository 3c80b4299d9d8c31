/** One image layer by layer: what each adds, changes, deletes and wastes; how much of what is stored is still seen; the files of a layer. */
import { useState } from 'react';
import type { ImageFileRow, ImageLayerRow, ImageWasteRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, size } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Segments } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { HOST } from './names.ts';
import { useSight } from './size.ts';
import css from './containers.module.css';

const CHANGES = [['all', 'All'], ['added', 'Added'], ['changed', 'Changed'], ['deleted', 'Deleted'], ['wasted', 'Wasted']] as const;
type Change = (typeof CHANGES)[number][0];
const ROW = 20;
const PATHS = 8;

export function Explorer({ image, tag }: { image: string; tag: string }) {
  const layers = useRows<ImageLayerRow>('image-layers', { host: HOST, image });
  const selection = useStore((s) => s.selection);
  const [picked, pick] = useState<number | null>(null);
  const chosen = layers.find((one) => selection?.kind === 'layer' && one.chainId === selection.id) ?? layers.find((one) => one.index === picked) ?? layers[layers.length - 1];
  const top = layers[layers.length - 1];
  const scale = Math.max(1, ...layers.map((one) => one.size));
  const wasted = layers.reduce((sum, one) => sum + one.wasted, 0);
  return (
    <section className={css.block} aria-label="Layers of the image">
      <h3><RoleMark place="container" /> {tag || 'Image'} <small>layer by layer, bottom first{top ? `; efficiency ${(top.efficiency * 100).toFixed(1)} %, ${size(wasted)} of ${size(top.total)} wasted` : ''}</small></h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.wide} tabIndex={0} aria-label="Its layers">
        <table className={css.plain}>
          <thead><tr><th scope="col">layer</th><th scope="col">made by</th><th scope="col">size</th><th scope="col"><span className="sr">drawn</span></th><th scope="col">added</th><th scope="col">changed</th><th scope="col">deleted</th><th scope="col">wasted</th></tr></thead>
          <tbody>{layers.map((one) => (
            <tr key={one.key} className={chosen === one ? css.onRow : ''}>
              <td><button type="button" className={css.link} aria-pressed={chosen === one} onClick={() => { pick(one.index); select({ kind: 'layer', id: one.chainId }); }}>{one.index + 1}</button></td>
              <td className={css.made} title={one.createdBy}>{instruction(one.createdBy)}</td><td className={css.num}>{size(one.size)}</td>
              <td className={css.barCell}><span><i style={{ width: `${((one.size - one.wasted) / scale) * 100}%` }} /><i className={css.adj} style={{ width: `${(one.wasted / scale) * 100}%` }} /></span></td>
              <td className={css.num}>{count(one.added)}</td><td className={css.num}>{count(one.changed)}</td><td className={css.num}>{count(one.deleted)}</td><td className={css.num}>{one.wasted === 0 ? <span className={css.zero}>0</span> : size(one.wasted)}</td>
            </tr>
          ))}</tbody>
        </table>
      </section>
      {wasted > 0 ? <div className={css.legend}><span><i className={`${css.swatch} ${css.adj}`} />stored, and never seen: a later layer overwrites or deletes it</span></div> : null}
      <Waste image={image} />
      {chosen ? <Files image={image} layer={chosen} /> : null}
    </section>
  );
}

/** Where the megabytes hide: paths that more than one layer stores. */
function Waste({ image }: { image: string }) {
  const rows = useRows<ImageWasteRow>('image-waste', { host: HOST, image }).filter((one) => one.wasted > 0);
  if (rows.length === 0) return null;
  return (
    <>
      <h4>Stored more than once <small>the most bytes first</small></h4>
      <ol className={css.lastCalls}>{rows.slice(0, PATHS).map((one) => <li key={one.key}><code>{one.path}</code> {size(one.wasted)} wasted, in layers {one.layers.split(' ').map((n) => Number(n) + 1).join(', ')}{one.deleted ? <> <OutcomeMark outcome="warn" size={10} /> deleted, still in the image</> : null}</li>)}</ol>
      {rows.length > PATHS ? <p className={css.note}>and {rows.length - PATHS} more paths</p> : null}
    </>
  );
}

/** What the builder wrote, without its shell: "RUN apk add …", "COPY …". */
export function instruction(createdBy: string): string {
  const bare = createdBy.replace(/^\/bin\/sh -c #\(nop\)\s*/, '').replace(/^(RUN )?\/bin\/sh -c /, 'RUN ').replace(/ # buildkit$/, '');
  return bare === '' ? 'imported' : bare;
}

function Files({ image, layer }: { image: string; layer: ImageLayerRow }) {
  const rows = useRows<ImageFileRow>('image-files', { host: HOST, image, layer: layer.index });
  const [change, choose] = useState<Change>('all');
  const [words, search] = useState('');
  const [sight, ref] = useSight();
  const shown = rows.filter((one) => one.kind !== 'dir' || one.change !== 'changed').filter((one) => change === 'all' || (change === 'wasted' ? one.hiddenBy !== null : one.change === change)).filter((one) => one.path.includes(words));
  return (
    <>
      <div className={css.choice}><h4>Files of layer {layer.index + 1}</h4><Segments label="Which changes" value={change} options={CHANGES} onChange={choose} /><input className={css.find} type="search" aria-label="Path contains" placeholder="path contains" value={words} onChange={(e) => search(e.target.value)} /></div>
      {shown.length === 0 ? <p className={css.quiet}>None.</p> : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <section className={css.files} ref={ref} tabIndex={0} aria-label={`${shown.length} files`}>
          <ol style={{ height: shown.length * ROW, position: 'relative' }}>{shown.map((one, i) => (i * ROW > sight.bottom || (i + 1) * ROW < sight.top ? null : (
            <li key={one.key} style={{ top: i * ROW }} className={one.change === 'deleted' || one.hiddenBy !== null ? css.deleted : ''}><span>{one.change === 'added' ? '+' : one.change === 'changed' ? '~' : '✕'}<span className="sr"> {one.change} </span></span><code title={one.path}>{one.path}{one.kind === 'dir' ? '/' : ''}{one.target ? ` → ${one.target}` : ''}</code><span>{one.hiddenBy === null ? one.mode : `${one.how} in ${one.hiddenBy + 1}`}</span><span>{one.kind === 'file' ? size(one.size) : one.kind}</span></li>
          )))}</ol>
        </section>
      )}
    </>
  );
}
