/** memory.current of a control group over time: area, wall, refused charges, the kill. d3 owns what is inside. */
import { scaleLinear } from 'd3-scale';
import { select } from 'd3-selection';
import { area, curveStepAfter, line } from 'd3-shape';
import type { CgroupHistoryRow } from '../../../bridge/rows.ts';
import { mib, seconds } from '../../format.ts';

export function draw(svg: SVGSVGElement, rows: readonly CgroupHistoryRow[], options: { width: number; now: number; max: number | null; killed: boolean; refused: number }): void {
  const { width, max, now, killed, refused } = options;
  const height = 108;
  const left = 8;
  const root = select(svg);
  root.selectAll('*').remove();
  if (rows.length === 0) return;
  const first = rows[0]!.t;
  const last = Math.max(rows[rows.length - 1]!.t, first + 1e6);
  const x = scaleLinear().domain([first, last]).range([left, width - 70]);
  const y = scaleLinear().domain([0, Math.max(max ?? 0, ...rows.map((row) => row.current)) || 1]).range([height - 30, 22]);
  const shape = area<CgroupHistoryRow>().x((d) => x(d.t)).y0(y(0)).y1((d) => y(d.current)).curve(curveStepAfter);
  const edge = line<CgroupHistoryRow>().x((d) => x(d.t)).y((d) => y(d.current)).curve(curveStepAfter);
  root.append('path').attr('d', shape([...rows])).attr('fill', 'var(--container-tint)');
  root.append('path').attr('d', edge([...rows])).attr('fill', 'none').attr('stroke', 'var(--container)').attr('stroke-width', 1.5);
  root.append('path').attr('d', `M${left} ${y(0)}H${width - 4}`).attr('stroke', 'var(--line)');
  const label = (text: string, px: number, py: number, fill = 'var(--ink-2)', anchor = 'start', weight = '400'): void => void root.append('text').attr('x', px).attr('y', py).attr('fill', fill).attr('text-anchor', anchor).attr('font-size', 12).attr('font-weight', weight).text(text);
  if (max !== null) {
    root.append('path').attr('d', `M${left} ${y(max)}H${width - 4}`).attr('stroke', 'var(--now)').attr('stroke-width', 3);
    label(`memory.max ${mib(max)} MiB`, left, y(max) - 7, 'var(--ink)', 'start', '600');
  }
  const end = rows[rows.length - 1]!;
  label(`${mib(now)} MiB`, width - 64, Math.min(y(0) - 4, Math.max(y(end.current) + 16, 36)), 'var(--ink)');
  if (refused > 0) label(`${refused} ${refused === 1 ? 'charge' : 'charges'} refused at the wall`, left, height - 12, 'var(--trap-ink)');
  const hits = rows.filter((row) => row.refused > 0);
  for (const row of hits.slice(-120)) root.append('path').attr('d', `M${x(row.t) - 3} ${height - 21}h6l-3 -6Z`).attr('fill', 'var(--trap)');
  if (killed) {
    const peak = rows.reduce((best, row) => (row.current >= best.current ? row : best), rows[0]!);
    root.append('path').attr('d', `M${x(peak.t)} ${y(peak.current)}V${y(0)}`).attr('stroke', 'var(--ink)').attr('stroke-width', 1.5);
    const mark = root.append('g').attr('transform', `translate(${x(peak.t) - 7} ${y(peak.current) - 7}) scale(1.17)`);
    mark.append('path').attr('d', 'M3.5 0h5L12 3.5v5L8.5 12h-5L0 8.5v-5Z').attr('fill', 'var(--killed)');
    mark.append('path').attr('d', 'm4 4 4 4M8 4 4 8').attr('stroke', 'var(--on-killed)').attr('stroke-width', 1.5);
  }
  label(seconds(first), left, height);
  label(seconds(last), x(last), height, 'var(--ink-2)', 'end');
}
