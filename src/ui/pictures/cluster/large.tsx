/** A cluster too large for elements: the canvas, what belongs below it, and the table of every pod as its twin. */
import type { ComponentProps, ReactNode } from 'react';
import { Frame } from '../../frame/panel.tsx';
import { CellCanvas, useDrawing } from './canvas.tsx';
import css from './cluster.module.css';
import { PodTable } from './table.tsx';

export default function Large({ head, facts, below }: { head: Omit<ComponentProps<typeof Frame>, 'children' | 'facts' | 'twin'>; facts: ReactNode; chosen: string | null; below: ReactNode }) {
  const { drawing, beat } = useDrawing();
  return (
    <Frame {...head} facts={facts} twin={<PodTable model={drawing.model} />}>
      <div className={css.split}><CellCanvas drawing={drawing} beat={beat} />{below}</div>
    </Frame>
  );
}
