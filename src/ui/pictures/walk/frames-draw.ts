/** A cell a frame on a canvas, as many in a row as the width takes. */
import type { FrameRow } from '../../../bridge/rows.ts';
import { big } from '../../format.ts';

const PAGE = 4096;
const MOST = 60_000;

/** Cells get smaller where there are many; beyond MOST only what is taken would be worth a canvas that long. */
const cellOf = (total: number): number => (total > 20_000 ? 5 : total > 6000 ? 7 : 9);
const sizes = { cell: 9 };
export const perRow = (width: number): number => Math.max(16, Math.floor(width / sizes.cell / 16) * 16);
export function heightOf(total: number, width: number): number {
  sizes.cell = cellOf(total);
  return Math.ceil(Math.min(total, MOST) / perRow(width)) * sizes.cell;
}

export function drawFrames(canvas: HTMLCanvasElement, { rows, total, width, chosen, walked }: { rows: readonly FrameRow[]; total: number; width: number; chosen: number; walked: ReadonlySet<number> }): void {
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const height = heightOf(total, width);
  const ratio = devicePixelRatio;
  canvas.width = Math.max(1, width * ratio);
  canvas.height = Math.max(1, height * ratio);
  const context = canvas.getContext('2d')!;
  context.scale(ratio, ratio);
  const columns = perRow(width);
  const step = width / columns;
  const side = sizes.cell - 1;
  const at = (frame: number): [number, number] => [(frame % columns) * step, Math.floor(frame / columns) * sizes.cell];
  context.fillStyle = colour('line');
  for (let frame = 0; frame < Math.min(total, MOST); frame++) context.fillRect(...at(frame), step - 1, side);
  context.fillStyle = colour('panel');
  if (side > 4) for (let frame = 0; frame < Math.min(total, MOST); frame++) { const [x, y] = at(frame); context.fillRect(x + 1, y + 1, step - 3, side - 2); }
  const hue = { guest: colour('gpa'), table: colour('hypervisor'), other: colour('hardware') };
  context.lineWidth = 1;
  for (const row of rows) {
    const first = Number(big(row.hpa)) / PAGE;
    for (let frame = first; frame < Math.min(MOST, first + row.pages); frame++) {
      const [x, y] = at(frame);
      context.fillStyle = hue[row.kind as keyof typeof hue] ?? hue.other;
      context.fillRect(x, y, step - 1, side);
      if (row.kind !== 'table') continue;
      context.strokeStyle = colour('panel');
      context.beginPath();
      context.moveTo(x, y + side);
      context.lineTo(x + step - 1, y);
      context.stroke();
    }
  }
  context.strokeStyle = colour('now');
  context.lineWidth = 2;
  for (const frame of walked) { const [x, y] = at(frame); context.strokeRect(x, y, step - 1, side); }
  const [x, y] = at(chosen);
  context.strokeRect(x - 1.5, y - 1.5, step + 2, side + 3);
}
