/** A cell a frame on a canvas, as many in a row as the width takes; stretches of rows that are free are folded into one line. */
import type { FrameRow } from '../../../bridge/rows.ts';
import { big } from '../../format.ts';

const PAGE = 4096;
const GAP = 20;

export interface Layout {
  columns: number;
  cell: number;
  /** Width of a cell with its space. */
  step: number;
  height: number;
  /** Rows of cells that are drawn, and folded stretches by the rows that they stand for. */
  parts: { from: number; rows: number; folded: boolean; y: number }[];
}

export function layoutOf(rows: readonly FrameRow[], total: number, width: number): Layout {
  const taken = rows.reduce((sum, row) => sum + row.pages, 0);
  const cell = taken > 12_000 ? 5 : taken > 3000 ? 8 : 12;
  const columns = Math.max(16, Math.floor(width / cell / 16) * 16);
  const used = new Set<number>();
  for (const row of rows) {
    const first = frameOf(row);
    for (let at = Math.floor(first / columns); at <= Math.floor((first + row.pages - 1) / columns); at++) used.add(at);
  }
  const count = Math.ceil(total / columns);
  const parts: Layout['parts'] = [];
  let y = 0;
  for (let at = 0; at < count; ) {
    const here = used.has(at);
    let to = at;
    while (to < count && used.has(to) === here) to++;
    const folded = !here && to - at > 2;
    parts.push({ from: at, rows: to - at, folded, y });
    y += folded ? GAP : (to - at) * cell;
    at = to;
  }
  return { columns, cell, step: width / columns, height: Math.max(cell, y), parts };
}

export const frameOf = (row: FrameRow): number => Number(big(row.hpa)) / PAGE;

/** Where a frame's cell is; null: folded away. */
function placeOf({ columns, cell, step, parts }: Layout, frame: number): [number, number] | null {
  const row = Math.floor(frame / columns);
  const part = parts.find((one) => row >= one.from && row < one.from + one.rows);
  return part && !part.folded ? [(frame % columns) * step, part.y + (row - part.from) * cell] : null;
}

/** The frame under a point; of a folded stretch its first. */
export function frameAt({ columns, cell, step, parts }: Layout, x: number, y: number): number {
  const part = parts.findLast((one) => y >= one.y);
  if (!part) return 0;
  return part.folded ? part.from * columns : (part.from + Math.min(part.rows - 1, Math.floor((y - part.y) / cell))) * columns + Math.min(columns - 1, Math.floor(x / step));
}

export function drawFrames(canvas: HTMLCanvasElement, { rows, total, width, layout, chosen, walked }: { rows: readonly FrameRow[]; total: number; width: number; layout: Layout; chosen: number; walked: ReadonlySet<number> }): void {
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const ratio = devicePixelRatio;
  canvas.width = Math.max(1, width * ratio);
  canvas.height = Math.max(1, layout.height * ratio);
  const context = canvas.getContext('2d')!;
  context.scale(ratio, ratio);
  const { columns, cell, step, parts } = layout;
  const side = cell - 1.5;
  context.strokeStyle = colour('line');
  context.font = `12px ${style.getPropertyValue('--font-text')}`;
  context.textBaseline = 'middle';
  for (const part of parts) {
    if (part.folded) {
      context.fillStyle = colour('ink-2');
      context.fillText(`${Math.min(part.rows * columns, total - part.from * columns).toLocaleString('en-US')} free`, 0, part.y + GAP / 2);
      continue;
    }
    context.lineWidth = 1;
    for (let frame = part.from * columns; frame < Math.min(total, (part.from + part.rows) * columns); frame++) {
      const at = placeOf(layout, frame)!;
      context.strokeRect(at[0] + 0.5, at[1] + 0.5, step - 2.5, side - 1);
    }
  }
  const hue = { guest: colour('gpa'), table: colour('hypervisor'), other: colour('hardware') };
  for (const row of rows) {
    const first = frameOf(row);
    for (let frame = first; frame < first + row.pages; frame++) {
      const at = placeOf(layout, frame);
      if (!at) continue;
      context.fillStyle = hue[row.kind as keyof typeof hue] ?? hue.other;
      context.fillRect(at[0], at[1], step - 1.5, side);
      if (row.kind !== 'table' || cell < 7) continue;
      context.strokeStyle = colour('panel');
      context.lineWidth = 1.5;
      context.beginPath();
      for (const shift of [-0.35, 0.35]) {
        context.moveTo(at[0] + Math.max(0, step * shift), at[1] + side - Math.max(0, -step * shift));
        context.lineTo(at[0] + step - 1.5 - Math.max(0, -step * shift), at[1] + Math.max(0, step * shift));
      }
      context.stroke();
    }
  }
  context.strokeStyle = colour('now');
  context.lineWidth = 2;
  for (const frame of walked) {
    const at = placeOf(layout, frame);
    if (at) context.strokeRect(at[0] + 1, at[1] + 1, step - 3.5, side - 2);
  }
  const at = placeOf(layout, chosen);
  if (at) context.strokeRect(at[0] - 1.5, at[1] - 1.5, step + 1.5, side + 3);
}
