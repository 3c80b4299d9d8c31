/** Spans on a canvas: a level a place, hue and pattern as in the bars, exits as falls between levels. */
import type { SpanRow } from '../../../bridge/rows.ts';
import { PLACE, PLACES, type Place } from './lanes.ts';

export const LEVEL = 15;

export const levelsOf = (spans: readonly SpanRow[]): Place[] => {
  const used = PLACES.filter((place) => spans.some((span) => span.place === place));
  return used.length > 0 ? used : ['guest'];
};

/** Index of the span that covers a cycle, or -1. */
export function spanAt(spans: readonly SpanRow[], cycle: number): number {
  let low = 0;
  let high = spans.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const span = spans[middle]!;
    if (cycle < span.at) high = middle - 1;
    else if (cycle >= span.at + span.cycles) low = middle + 1;
    else return middle;
  }
  return -1;
}

export function drawStrip(canvas: HTMLCanvasElement, { spans, from, scale, width, levels, chosen }: { spans: readonly SpanRow[]; from: number; scale: number; width: number; levels: readonly Place[]; chosen: number }): void {
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const ratio = devicePixelRatio;
  const height = levels.length * LEVEL + 4;
  canvas.width = Math.max(1, width * ratio);
  canvas.height = height * ratio;
  const context = canvas.getContext('2d')!;
  context.scale(ratio, ratio);
  const xOf = (cycle: number): number => ((cycle - from) / scale) * width;
  context.fillStyle = colour('line');
  levels.forEach((_, n) => { context.fillRect(0, (n + 1) * LEVEL, width, 1); });
  let before: { x: number; y: number } | null = null;
  for (const span of spans) {
    const level = levels.indexOf(span.place as Place);
    const x = Math.max(0, xOf(span.at));
    const end = Math.min(width, xOf(span.at + span.cycles));
    const y = level * LEVEL + 3;
    if (x > width || end < 0) continue;
    if (before && Math.abs(before.y - y) > 1) {
      context.fillStyle = colour('trap');
      context.fillRect(x - 0.5, Math.min(before.y, y) + 4, 1, Math.abs(before.y - y));
    }
    paint(context, PLACE[span.place as Place], colour, x, y, Math.max(0.7, end - x));
    if (span.n === chosen) {
      context.strokeStyle = colour('now');
      context.lineWidth = 2;
      context.strokeRect(x - 1, y - 2, Math.max(4, end - x + 2), LEVEL - 2);
    }
    before = { x: end, y };
  }
}

function paint(context: CanvasRenderingContext2D, { hue, pattern }: { hue: string; pattern: string }, colour: (name: string) => string, x: number, y: number, width: number): void {
  const height = LEVEL - 6;
  context.fillStyle = colour(hue);
  if (pattern === 'hollow' && width > 3) {
    context.strokeStyle = colour(hue);
    context.lineWidth = 1.5;
    context.strokeRect(x + 0.75, y + 0.75, width - 1.5, height - 1.5);
    return;
  }
  context.fillRect(x, y, width, height);
  if (pattern === '' || width < 6) return;
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colour('panel');
  context.lineWidth = 1;
  for (let at = x - height; at < x + width; at += 6) {
    context.beginPath();
    if (pattern === 'hatch') { context.moveTo(at, y + height); context.lineTo(at + 4, y); }
    else { context.moveTo(at + 3, pattern === 'rows' ? y : y + height / 2); context.lineTo(at + 3, y + height); }
    context.stroke();
  }
  context.restore();
}
