/** A group's processor time over time: a bar a stretch, as high as the processors it used; the quota as a wall, throttled time as a hatch above. */
import { scaleLinear } from 'd3-scale';
import { select } from 'd3-selection';
import type { CgroupCpuRow } from '../../../bridge/rows.ts';
import { seconds } from '../../format.ts';

const HEIGHT = 124;
const TOP = 22;
const FOOT = 34;

export function draw(svg: SVGSVGElement, rows: readonly CgroupCpuRow[], { width, quota, cpus }: { width: number; quota: number | null; cpus: number }): void {
  const root = select(svg);
  root.selectAll('*').remove();
  if (rows.length === 0) return;
  const first = rows[0]!.t - rows[0]!.span;
  const last = rows[rows.length - 1]!.t;
  const x = scaleLinear().domain([first, Math.max(last, first + 1e6)]).range([8, width - 8]);
  // A stretch of a few ms says nothing about a rate: it does not set the scale.
  const most = Math.max(quota ?? 0, ...rows.filter((row) => row.span > 2e7).map((row) => row.used / row.span));
  const full = Math.min(cpus, most * 1.1) || 1;
  const y = scaleLinear().domain([0, full]).range([HEIGHT - FOOT, TOP]);
  const label = (text: string, px: number, py: number, fill = 'var(--ink-2)', anchor = 'start', weight = '400'): void => void root.append('text').attr('x', px).attr('y', py).attr('fill', fill).attr('text-anchor', anchor).attr('font-size', 12).attr('font-weight', weight).text(text);
  const hatch = root.append('defs').append('pattern').attr('id', 'throttled').attr('width', 4).attr('height', 4).attr('patternUnits', 'userSpaceOnUse').attr('patternTransform', 'rotate(25)');
  hatch.append('rect').attr('width', 2).attr('height', 4).attr('fill', 'var(--trap)');
  for (const row of rows) {
    const [from, to] = [x(row.t - row.span), x(row.t)];
    const wide = Math.max(1, to - from - 0.5);
    const height = y(0) - y(Math.min(full, row.used / Math.max(1, row.span)));
    if (height > 0) root.append('rect').attr('x', from).attr('y', y(0) - height).attr('width', wide).attr('height', Math.max(1, height)).attr('fill', 'var(--container)');
    // How long it was kept waiting in this stretch: a bar under the axis, full where it was all of it.
    if (row.throttled > 0) root.append('rect').attr('x', from).attr('y', y(0) + 3).attr('width', Math.max(1.5, wide * Math.min(1, row.throttled / row.span))).attr('height', 9).attr('fill', 'url(#throttled)');
  }
  root.append('path').attr('d', `M8 ${y(0)}H${width - 4}`).attr('stroke', 'var(--line-strong)');
  if (quota !== null) {
    root.append('path').attr('d', `M8 ${y(quota)}H${width - 4}`).attr('stroke', 'var(--now)').attr('stroke-width', 3);
    label(`cpu.max ${quota.toFixed(2)} processors`, 8, y(quota) - 7, 'var(--ink)', 'start', '600');
  } else label(`most ${most.toFixed(2)} processors`, 8, TOP - 8);
  const hits = rows.reduce((sum, row) => sum + row.hits, 0);
  if (hits > 0) label(`throttled in ${hits} of these periods`, width / 2, HEIGHT - 2, 'var(--trap-ink)', 'middle');
  label(seconds(first), 8, HEIGHT - 2);
  label(seconds(last), width - 8, HEIGHT - 2, 'var(--ink-2)', 'end');
}
