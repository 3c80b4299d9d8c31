/** The image store: a row an image, a cell a layer; a layer that several images stand on is one cell over all their rows. */
import { useState } from 'react';
import type { FileLineRow, ImageRow, LayerSharingRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, size } from '../../format.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { Empty, Runnable } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { Explorer } from './explorer.tsx';
import { digest, HOST } from './names.ts';
import css from './containers.module.css';

interface Cell { row: LayerSharingRow; span: number }
interface Line { image: string; tag: string; total: number; cells: Cell[]; depth: number }

/** Images in the order of their layers, so that those on the same base stand together; equal layers merge downwards. */
export function icicle(rows: readonly LayerSharingRow[]): Line[] {
  const byImage = new Map<string, LayerSharingRow[]>();
  for (const row of rows) byImage.set(row.image, [...(byImage.get(row.image) ?? []), row]);
  const chain = (list: LayerSharingRow[]): string => list.map((row) => row.chainId).join();
  const images = [...byImage.values()].sort((a, b) => (chain(a) < chain(b) ? -1 : 1));
  return images.map((list, at): Line => ({
    image: list[0]!.image, tag: list[0]!.tag, total: list.reduce((sum, row) => sum + row.size, 0), depth: list.length,
    cells: list.flatMap((row, index) => {
      if (images[at - 1]?.[index]?.chainId === row.chainId) return [];
      let span = 1;
      while (images[at + span]?.[index]?.chainId === row.chainId) span++;
      return [{ row, span }];
    }),
  }));
}

export function Images() {
  const rows = useRows<LayerSharingRow>('layer-sharing', { host: HOST });
  const images = useRows<ImageRow>('images', { host: HOST });
  const selection = useStore((s) => s.selection);
  const [picked, pick] = useState<string | null>(null);
  if (images.length === 0) return <Empty title="No image is in the store" line="docker pull nginx">Images, and the layers that they share, appear here. On the host:</Empty>;
  const lines = icicle(rows);
  const wide = Math.max(1, ...lines.map((line) => line.depth));
  const chosen = lines.find((line) => line.image === (selection?.kind === 'image' ? selection.id : picked)) ?? lines.find((line) => /nginx|redis/.test(line.tag)) ?? lines[0]!;
  const once = [...new Map(rows.map((row) => [row.chainId, row.size])).values()].reduce((sum, one) => sum + one, 0);
  const all = lines.reduce((sum, line) => sum + line.total, 0);
  const go = (image: string): void => { pick(image); select({ kind: 'image', id: image }); };
  return (
    <>
      <section className={css.block} aria-label="Image store">
        <h3><RoleMark place="container" /> Image store <small>bottom layer at the left; a cell over several rows is kept once</small></h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <section className={css.wide} tabIndex={0} aria-label="Images and their layers">
          <table className={css.icicle}>
            <thead><tr><th scope="col">image</th><th scope="col">size</th>{Array.from({ length: wide }, (_, i) => i).map((i) => <th key={i} scope="col">layer {i + 1}</th>)}</tr></thead>
            <tbody>{lines.map((line) => (
              <tr key={line.image} className={chosen === line ? css.onRow : ''}>
                <th scope="row"><button type="button" aria-pressed={chosen === line} onClick={() => go(line.image)}>{line.tag || digest(line.image)}</button></th>
                <td className={css.num}>{size(line.total)}</td>
                {line.cells.map(({ row, span }) => (
                  <td key={row.index} rowSpan={span} className={span > 1 ? css.sharedCell : css.ownCell}><button type="button" title={row.createdBy} onClick={() => select({ kind: 'layer', id: row.chainId })}><b>{digest(row.chainId).slice(0, 8)}</b><span>{size(row.size)}{row.images > 1 ? `, ${row.images} images` : ''}</span></button></td>
                ))}
                {wide > line.depth ? <td colSpan={wide - line.depth} /> : null}
              </tr>
            ))}</tbody>
          </table>
        </section>
        <div className={css.legend}><span>{count(lines.length)} images, {size(all)} together</span><span>kept once: {size(once)}</span>{all > once ? <span>sharing saves {size(all - once)}</span> : null}</div>
      </section>
      <Own />
      <Explorer image={chosen.image} tag={chosen.tag} />
    </>
  );
}

/** Archives that were dropped on the page: each is one command away from the store. */
function Own() {
  const rows = useRows<FileLineRow>('file-text', { host: HOST, path: '/root/uploads' });
  const tars = rows.filter((one) => /\.(tar|tar\.gz|tgz)$/.test(one.text));
  return (
    <section className={css.block} aria-label="Your own image">
      <h3><RoleMark place="hardware" /> Your own <small>drop what docker save wrote on the page, then load it and look into it here</small></h3>
      {tars.slice(0, 6).map((one) => <Runnable key={one.key} line={`docker load -i /root/uploads/${one.text}`} />)}
    </section>
  );
}
