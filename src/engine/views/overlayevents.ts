/** What happened to a container's writable layer, in order: copied up, whited out, made opaque; from the kernel's records. */
import type { OverlayEventRow } from '../../bridge/rows.ts';
import { containerFiles } from './containers.ts';
import { columns, kernelsOf, type View } from './view.ts';

const MOST = 300;
const KINDS: Record<string, string> = { 'overlay.copyup': 'copied up', 'overlay.whiteout': 'whiteout', 'overlay.opaque': 'opaque' };

export const overlayEvents: View = {
  doc: "Copy-ups, whiteouts and opaque directories of a container's own layer in order of time, the newest 300. A path without container: all, of every overlay.",
  arg: 'host, container?',
  columns: columns(`
    t [ns]: when
    kind: copied up, whiteout or opaque
    path: inside the overlay
    size [bytes]: copied
    what: file, dir, link …
    upper: the upper directory on the host
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    if (!kernel) return [];
    const wanted = String(arg.container ?? '');
    const file = wanted === '' ? undefined : containerFiles(kernel).find((one) => one.ID.startsWith(wanted) || one.Name === `/${wanted}`);
    if (wanted !== '' && !file) return [];
    const own = file ? `/${file.layer.id}/` : '';
    const rows: OverlayEventRow[] = [];
    const { records } = world.trace;
    for (let i = records.length - 1; i >= 0 && rows.length < MOST; i--) {
      const entry = records[i]!;
      const kind = KINDS[entry.kind];
      if (!kind || entry.who !== kernel.name || !String(entry.data.upper).includes(own)) continue;
      rows.push({ key: String(entry.n), t: entry.t, kind, path: String(entry.data.path), size: Number(entry.data.size ?? 0), what: String(entry.data.kind ?? ''), upper: String(entry.data.upper) });
    }
    return rows.reverse();
  },
};
