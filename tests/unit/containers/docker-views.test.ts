/** The views of containers, images, layers and overlays over what dockerd has written on the machine's disk. */
import { beforeAll, expect, it } from 'vitest';
import type { ContainerRow, ImageRow, LayerFileRow, LayerRow, OverlayRow } from '../../../src/bridge/rows.ts';
import { containers } from '../../../src/engine/views/containers.ts';
import { images, layerFiles, layers } from '../../../src/engine/views/images.ts';
import { overlay } from '../../../src/engine/views/overlay.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;
let world: World;

beforeAll(() => {
  m = lab();
  world = { kernels: new Map([['lab', m.kernel]]) } as World;
  sh(m, 'docker run -d --name web -m 64m busybox sleep 100; docker run --name fs busybox sh -c "echo x > /new; echo y >> /etc/passwd; rm /bin/wget; exit 3"; docker commit fs mine:1');
});

it('containers', () => {
  const rows = containers.rows(world, {}) as ContainerRow[];
  expect(rows.map(({ name, status, running, exitCode, memoryLimit, oomKilled, ip }) => ({ name, status, running, exitCode, memoryLimit, oomKilled, ip }))).toEqual([
    { name: 'web', status: 'running', running: true, exitCode: null, memoryLimit: 64 << 20, oomKilled: false, ip: '172.17.0.2' },
    { name: 'fs', status: 'exited', running: false, exitCode: 3, memoryLimit: 0, oomKilled: false, ip: '' },
  ]);
  expect(rows[0]!.cgroup).toBe(`/system.slice/docker-${rows[0]!.id}.scope`);
  expect(m.kernel.tasks.get(rows[0]!.pid)!.comm).toBe('sleep');
  expect(rows[0]!.startedAt).toBeGreaterThan(rows[0]!.createdAt);
});

it('images and layers', () => {
  const rows = images.rows(world, {}) as ImageRow[];
  expect(rows.map((r) => r.tag).filter((t) => /^(busybox|mine)/.test(t)).sort()).toEqual(['busybox:1.37', 'busybox:latest', 'mine:1']);
  const mine = layers.rows(world, { host: 'lab', image: 'mine:1' }) as LayerRow[];
  expect(mine.map(({ index, files, added, changed, deleted }) => ({ index, files, added, changed, deleted }))[1]).toEqual({ index: 1, files: 2, added: 1, changed: 1, deleted: 1 });
  const found = layerFiles.rows(world, { host: 'lab', image: 'mine:1', layer: 1 }) as LayerFileRow[];
  expect(found.map((f) => `${f.change} ${f.kind} ${f.path}`)).toEqual(['changed dir /bin', 'deleted whiteout /bin/wget', 'changed dir /etc', 'changed file /etc/passwd', 'added file /new']);
});

it('overlay', () => {
  const id = (containers.rows(world, {}) as ContainerRow[])[1]!.id;
  const rows = overlay.rows(world, { host: 'lab', container: id }) as OverlayRow[];
  const of = (path: string): string[] => rows.filter((r) => r.path === path).map((r) => `${r.layerName} ${r.kind}${r.visible ? ' seen' : ''}${r.copiedUp ? ' copied' : ''}`);
  expect(of('/new')).toEqual(['container file seen']);
  expect(of('/etc/passwd')).toEqual(['container file seen copied', 'image 1 file']);
  expect(of('/bin/wget')).toEqual(['container whiteout', 'image 1 link']);
});

it('the overlay of a container that runs, as it writes and deletes', () => {
  const id = (containers.rows(world, {}) as ContainerRow[])[0]!.id;
  const own = (): string[] => (overlay.rows(world, { host: 'lab', container: id }) as OverlayRow[]).filter((r) => r.layer === 0 && r.kind !== 'dir').map((r) => `${r.path} ${r.kind}${r.copiedUp ? ' copied' : ''}`);
  expect(own()).toEqual([]);
  sh(m, 'docker exec web sh -c "cat /etc/passwd > /dev/null; echo z >> /etc/group"');
  expect(own()).toEqual(['/etc/group file copied']);
  sh(m, 'docker exec web rm /etc/group /bin/vi');
  expect(own()).toEqual(['/bin/vi whiteout', '/etc/group whiteout']);
  sh(m, 'docker exec web sh -c "echo back > /etc/group; touch /tmp/t; rm /tmp/t"');
  expect(own()).toEqual(['/bin/vi whiteout', '/etc/group file copied']);
});
