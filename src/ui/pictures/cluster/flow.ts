/**
 * A cluster's events come in lumps: a controller makes a hundred pods in one breath. What the worker tells is shown over the next tenth
 * of a second, in the order in which it came, so that the picture flows instead of jumping. What begins anew is shown at once.
 */
import type { CellPatch } from '../../../bridge/protocol.ts';
import { type Model, takePods, takeTables } from './model.ts';

export const HORIZON_MS = 100;
/** Cells of a change in a patch. */
const WIDE = 5;

export interface Flow {
  parts: { pods: Uint32Array; names: string[]; at: number; name: number }[];
  /** Changes that wait, and when all of them must have been shown. */
  waiting: number;
  by: number;
}

export const createFlow = (): Flow => ({ parts: [], waiting: 0, by: 0 });

/** Takes a patch in; `now` in ms. */
export function pour(flow: Flow, model: Model, patch: CellPatch, now: number): void {
  if (patch.reset) Object.assign(flow, createFlow());
  takeTables(model, patch);
  const names = patch.names === '' ? [] : patch.names.split('\n');
  if (patch.reset) takePods(model, patch.pods, names);
  else if (patch.pods.length > 0) {
    flow.parts.push({ pods: patch.pods, names, at: 0, name: 0 });
    flow.waiting += patch.pods.length / WIDE;
    flow.by = now + HORIZON_MS;
  }
}

/** Brings into the model what belongs to the `ms` up to `now`. */
export function drip(flow: Flow, model: Model, now: number, ms: number): void {
  const left = Math.max(ms, flow.by - now + ms);
  let due = Math.ceil((flow.waiting * ms) / left);
  while (due > 0 && flow.parts.length > 0) {
    const part = flow.parts[0]!;
    const end = Math.min(part.pods.length, part.at + due * WIDE);
    part.name += takePods(model, part.pods.subarray(part.at, end), part.names, part.name);
    due -= (end - part.at) / WIDE;
    flow.waiting -= (end - part.at) / WIDE;
    part.at = end;
    if (end === part.pods.length) flow.parts.shift();
  }
}
