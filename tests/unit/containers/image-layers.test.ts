/** An image layer by layer: added, changed, deleted, wasted and dive's efficiency, on images made in the lab. */
import { beforeAll, expect, it } from 'vitest';
import type { ImageFileRow, ImageLayerRow, ImageWasteRow } from '../../../src/bridge/rows.ts';
import { imageFiles, imageLayers, imageWaste } from '../../../src/engine/views/imagelayers.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { lab, sh } from './docker-lab.ts';

let world: World;
const DOCKERFILE = `FROM scratch
COPY a /etc/nginx/nginx.conf
COPY c /etc/nginx/public/page
COPY b /etc/nginx/nginx.conf
COPY --from=busybox /bin /bin
RUN ["/bin/rm", "-r", "/etc/nginx/public"]
RUN ["/bin/touch", "/etc/late"]
`;

beforeAll(() => {
  const m = lab();
  world = { kernels: new Map([['lab', m.kernel]]) } as World;
  const made = sh(m, `mkdir c; cd c; head -c 2000 /dev/zero > a; head -c 5000 /dev/zero > b; head -c 3000 /dev/zero > c; cat > Dockerfile <<'X'\n${DOCKERFILE}X\ndocker build -t waste . 2>&1`);
  expect(made.stdout).toContain('naming to docker.io/library/waste');
});

it('what a layer does, and what becomes of it', () => {
  const rows = imageLayers.rows(world, { host: 'lab', image: 'waste' }) as ImageLayerRow[];
  const of = rows.map(({ index, added, addedBytes, changed, changedBytes, deleted, hiddenBytes, wasted }) => ({ index, added, addedBytes, changed, changedBytes, deleted, hiddenBytes, wasted }));
  const bin = of[3]!.addedBytes;
  expect(bin).toBeGreaterThan(0);
  expect(of.map((r) => [r.added, r.addedBytes, r.changed, r.changedBytes, r.deleted, r.hiddenBytes, r.wasted])).toEqual([
    [1, 2000, 0, 0, 0, 0, 2000],
    [1, 3000, 0, 0, 0, 0, 3000],
    [0, 0, 1, 5000, 0, 2000, 0],
    [of[3]!.added, bin, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 1, 3000, 0],
    [1, 0, 0, 0, 0, 0, 0],
  ]);
  expect(rows.map((r) => r.efficiency)).toEqual([1, 1, 5000 / 10_000, (5000 + bin) / (10_000 + bin), (2000 + bin) / (10_000 + bin), (2000 + bin) / (10_000 + bin)]);
  expect(rows.at(-1)!.repeated).toBe(10_000);
  expect(rows.at(-1)!.total).toBe(10_000 + bin);
});

it('its files with what hides them', () => {
  const rows = imageFiles.rows(world, { host: 'lab', image: 'waste' }) as ImageFileRow[];
  expect(rows.filter((r) => r.hiddenBy !== null || r.change === 'deleted').map((r) => `${r.layer} ${r.kind} ${r.path} ${r.size} ${r.how} ${r.hiddenBy}`)).toEqual([
    '0 file /etc/nginx/nginx.conf 2000 overwritten 2', '1 dir /etc/nginx/public 0 deleted 4', '1 file /etc/nginx/public/page 3000 deleted 4', '4 whiteout /etc/nginx/public 0  null',
  ]);
  expect((imageFiles.rows(world, { host: 'lab', image: 'waste', layer: 2 }) as ImageFileRow[]).filter((r) => r.kind === 'file').map((r) => `${r.change} ${r.path}`)).toEqual(['changed /etc/nginx/nginx.conf']);
});

it('the paths that waste', () => {
  const rows = imageWaste.rows(world, { host: 'lab', image: 'waste' }) as ImageWasteRow[];
  expect(rows.map(({ path, count, total, wasted, layers, deleted }) => [path, count, total, wasted, layers, deleted])).toEqual([
    ['/etc/nginx/nginx.conf', 2, 7000, 2000, '0 2', false], ['/etc/nginx/public/page', 2, 3000, 3000, '1 4', true],
  ]);
});
