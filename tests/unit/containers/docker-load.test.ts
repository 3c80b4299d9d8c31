/** `docker save` archives as other tools write them, both layouts; damaged and hostile ones; the layers as the views show them. */
import { gzipSync } from 'fflate';
import { beforeAll, expect, it } from 'vitest';
import { putFile } from '../../../src/engine/kernel/vfs/build.ts';
import { bytes } from '../../../src/engine/sim/text.ts';
import { digestOf } from '../../../src/engine/userland/containers/oci.ts';
import { entry, type TarEntry, writeTar } from '../../../src/engine/userland/containers/tar.ts';
import { VIEWS } from '../../../src/engine/views/views.ts';
import { file, type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab();
});

const text = (name: string, data: string | Uint8Array, mode = 0o644): TarEntry => entry(name, { data: typeof data === 'string' ? bytes(data) : data, mode });
const dir = (name: string): TarEntry => entry(name, { type: 'dir', mode: 0o755 });
const ELF = Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, ...new Array(56).fill(0)]);
const LOWER = [dir('bin'), text('bin/foreign', ELF, 0o755), dir('etc'), text('etc/motd', 'hello\n'), text('etc/old', 'x\n')];
const UPPER = [dir('etc'), text('etc/.wh.old', ''), text('etc/motd', 'changed\n')];
const M = 'application/vnd.oci.image';

function image(layers: readonly Uint8Array[]): Uint8Array {
  return bytes(JSON.stringify({
    architecture: 'amd64', os: 'linux', created: '2025-11-01T00:00:00Z', config: { Cmd: ['/bin/foreign'], Env: ['PATH=/bin'] }, rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
    history: [...layers.map((_, i) => ({ created: '2025-11-01T00:00:00Z', created_by: `step ${i + 1}` })), { created: '2025-11-01T00:00:00Z', created_by: 'CMD ["/bin/foreign"]', empty_layer: true }],
  }));
}

type Damage = (data: Uint8Array) => Uint8Array;
const same: Damage = (data) => data;
const flipped: Damage = (data) => data.map((b, i) => (i === data.length - 1030 ? b ^ 1 : b));

function dockerLayout(tag: string, layers: readonly Uint8Array[], damage: Damage = same): Uint8Array {
  const config = image(layers);
  const name = `${digestOf(config).slice(7)}.json`;
  const paths = layers.map((l) => `${digestOf(l).slice(7)}/layer.tar`);
  return writeTar([
    text(`./${name}`, config), ...layers.flatMap((l, i) => [dir(paths[i]!.split('/')[0]!), text(paths[i]!, damage(l))]),
    text('./manifest.json', JSON.stringify([{ Config: name, RepoTags: [tag], Layers: paths }])),
  ]);
}

function ociLayout(tag: string, layers: readonly Uint8Array[], damage: Damage = same): Uint8Array {
  const config = image(layers);
  const packed = layers.map((l) => gzipSync(l, { mtime: 0 }));
  const of = (data: Uint8Array, mediaType: string) => ({ mediaType: `${M}.${mediaType}`, digest: digestOf(data), size: data.length });
  const manifest = bytes(JSON.stringify({ schemaVersion: 2, config: of(config, 'config.v1+json'), layers: packed.map((l) => of(l, 'layer.v1.tar+gzip')) }));
  const blob = (data: Uint8Array, stored = data): TarEntry => text(`blobs/sha256/${digestOf(data).slice(7)}`, stored);
  return writeTar([
    blob(config), ...packed.map((l) => blob(l, damage(l))), blob(manifest), text('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
    text('index.json', JSON.stringify({ schemaVersion: 2, manifests: [{ ...of(manifest, 'manifest.v1+json'), annotations: { 'io.containerd.image.name': `docker.io/library/${tag}` } }] })),
  ]);
}

function load(archive: Uint8Array) {
  putFile(m.kernel, '/root/x.tar', archive);
  return sh(m, 'docker load -i x.tar');
}

// biome-ignore lint/suspicious/noExplicitAny: only its kernels are looked at
const world = (): any => ({ kernels: new Map([['lab', m.kernel]]) });
const layers = [writeTar(LOWER), writeTar(UPPER)];

it.each([
  ['docker layout', dockerLayout('ext:1', layers), 'ext:1'],
  ['docker layout, all of it gzipped', gzipSync(dockerLayout('ext:2', layers), { mtime: 0 }), 'ext:2'],
  ['docker layout of gzipped layers', dockerLayout('ext:3', layers, (l) => gzipSync(l, { mtime: 0 })), 'ext:3'],
  ['OCI layout of gzipped layers', ociLayout('ext:4', layers), 'ext:4'],
])('%s', (_, archive, tag) => {
  expect(load(archive)).toMatchObject({ stdout: `Loaded image: ${tag}\n`, exit: 0 });
  expect(sh(m, `docker history --format '{{.CreatedBy}} {{.Size}}' ${tag}`).stdout).toBe('CMD ["/bin/foreign"] 0B\nstep 2 8B\nstep 1 72B\n');
  expect(sh(m, `docker create --name cc ${tag} > /dev/null; docker cp cc:/etc/motd m; cat m; docker cp cc:/etc/old .; docker rm cc > /dev/null`)).toMatchObject({
    stdout: 'changed\n', stderr: 'Error response from daemon: Could not find the file /etc/old in container cc\n',
  });
});

it('its layers in the views', () => {
  const of = VIEWS.layers!.rows(world(), { host: 'lab', image: 'ext:1' }) as unknown as { diffId: string; createdBy: string; added: number; changed: number; deleted: number }[];
  expect(of.map(({ diffId, createdBy, added, changed, deleted }) => [diffId, createdBy, added, changed, deleted])).toEqual([
    [digestOf(layers[0]!), 'step 1', 3, 0, 0], [digestOf(layers[1]!), 'step 2', 0, 1, 1],
  ]);
  const files = VIEWS['layer-files']!.rows(world(), { host: 'lab', image: 'ext:1', layer: 1 }) as unknown as { path: string; kind: string; change: string }[];
  expect(files.map((f) => [f.path, f.kind, f.change])).toEqual([['/etc', 'dir', 'changed'], ['/etc/motd', 'file', 'changed'], ['/etc/old', 'whiteout', 'deleted']]);
});

it('a binary of another machine does not run', () => {
  expect(sh(m, 'docker run --rm ext:1')).toMatchObject({ stderr: 'exec /bin/foreign: exec format error\nnot modelled: /bin/foreign: machine code of a real binary\n', exit: 255 });
});

const evil = (...entries: TarEntry[]): Uint8Array => dockerLayout('evil:1', [writeTar(entries)]);
it.each([
  ['one bit of a layer', dockerLayout('bad:1', layers, flipped), /invalid diffID for layer 0: expected "sha256:\w+", got "sha256:\w+"/],
  ['one bit of a packed layer', ociLayout('bad:2', layers, (l) => l.map((b, i) => (i === 40 ? b ^ 1 : b))), /unexpected commit digest sha256:\w+, expected sha256:\w+/],
  ['cut off', dockerLayout('bad:3', layers).subarray(0, 3000), /unexpected EOF/],
  ['a way out', evil(text('../../etc/evil', 'x')), /invalid path in archive/],
  ['a way out by a link', evil(entry('a', { type: 'link', target: '/' }), text('a/etc/evil', 'x')), /invalid path in archive/],
  ['deep', evil(text(`${'d/'.repeat(200)}f`, 'x')), /path is deeper than 64/],
  ['no layers', writeTar([text('manifest.json', '[{"Config":"c.json"}]')]), /invalid manifest/],
])('refused: %s', (_, archive, said) => {
  const done = load(archive);
  expect(done.exit).toBe(1);
  expect(done.stderr).toMatch(said);
  expect(sh(m, 'docker images -q bad; docker images -q evil; ls /etc/evil').stdout).toBe('');
  expect(file(m, '/etc/evil')).toBe('');
});
