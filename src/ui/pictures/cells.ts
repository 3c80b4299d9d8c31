/** Pods of many nodes as cells on a canvas: one node a strip, for clusters too large for elements. */
import type { NodeRow, PodRow } from '../../bridge/rows.ts';

export function draw(canvas: HTMLCanvasElement, nodes: readonly NodeRow[], pods: readonly PodRow[], width: number): { nodeAt: (x: number, y: number) => string | null } {
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const per = 10;
  const cell = 5;
  const cardW = per * cell + 6;
  const most = Math.max(1, ...nodes.map((node) => node.pods));
  const cardH = Math.ceil(most / per) * cell + 8;
  const columns = Math.max(1, Math.floor(width / cardW));
  const ratio = devicePixelRatio;
  const height = Math.ceil(nodes.length / columns) * cardH;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d')!;
  context.scale(ratio, ratio);
  const slot = new Map(nodes.map((node, i) => [node.name, { x: (i % columns) * cardW, y: Math.floor(i / columns) * cardH, n: 0 }]));
  const [run, wait, bad, edge] = [colour('--container'), colour('--container-edge'), colour('--killed'), colour('--line')];
  context.fillStyle = edge;
  for (const { x, y } of slot.values()) context.fillRect(x, y + cardH - 4, cardW - 6, 1);
  for (const pod of pods) {
    const at = slot.get(pod.node);
    if (!at) continue;
    context.fillStyle = pod.oomKilled || /Crash|Error|Failed/.test(pod.status) ? bad : pod.phase === 'Running' ? run : wait;
    context.fillRect(at.x + (at.n % per) * cell, at.y + Math.floor(at.n / per) * cell, cell - 1, cell - 1);
    at.n++;
  }
  return { nodeAt: (x, y) => nodes[Math.floor(y / cardH) * columns + Math.floor(x / cardW)]?.name ?? null };
}
