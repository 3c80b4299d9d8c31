/** Images of the lab and a registry of one's own: Dockerfiles in the tree, true digests, push and pull over HTTP, manifests, archives. */
import { beforeAll, expect, it } from 'vitest';
import { gunzipSync } from 'fflate';
import { buildImage, offlineImages } from '../../../src/engine/userland/containers/images.ts';
import { RECIPES } from '../../../src/engine/userland/containers/images/dockerfiles.ts';
import { digestOf, readArchive } from '../../../src/engine/userland/containers/oci.ts';
import { pack } from '../../../src/engine/userland/containers/registry.ts';
import { entry, writeTar } from '../../../src/engine/userland/containers/tar.ts';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab({ images: ['busybox', 'alpine'] });
});

it('images, each from a Dockerfile, each digest that of its bytes', () => {
  expect(offlineImages().length).toBeGreaterThanOrEqual(10);
  for (const name of offlineImages()) {
    const image = buildImage(name)!;
    const base = /^FROM (\S+)\n/.exec(RECIPES[name]!.dockerfile)?.[1];
    expect(base === 'scratch' || offlineImages().includes(base!)).toBe(true);
    expect(image.id).toBe(digestOf(image.configText));
    expect(image.config.rootfs.diff_ids).toEqual(image.layers.map((l) => digestOf(l)));
    expect(image.config.history.filter((h) => !h.empty_layer).length).toBe(image.layers.length);
    const { manifest, blobs } = pack(image);
    expect(manifest.digest).toBe(digestOf(manifest.text));
    expect(manifest.layers.map((l) => digestOf(gunzipSync(blobs.get(l.digest)!)))).toEqual(image.config.rootfs.diff_ids);
    expect(manifest.config.digest).toBe(image.id);
  }
});

it('their Dockerfiles lie on the machine and build the same layers', () => {
  const r = sh(m, "cd /usr/share/nestbox/images; ls | wc -l; docker build -q -t again busybox > /dev/null; docker inspect again busybox --format '{{json .RootFS.Layers}}' | sort -u | wc -l");
  expect(r.stdout).toBe(`${offlineImages().length}\n1\n`);
});

it('a registry of one’s own takes and gives images', () => {
  const r = sh(m, `docker run -d -p 5000:5000 --name reg registry:2 > /dev/null 2>&1; docker tag busybox localhost:5000/a/b:1; docker push localhost:5000/a/b:1; curl -s localhost:5000/v2/_catalog; curl -s localhost:5000/v2/a/b/tags/list
docker rmi localhost:5000/a/b:1 > /dev/null; docker push localhost:5000/a/none; docker pull -q localhost:5000/a/b:1; docker inspect localhost:5000/a/b:1 --format '{{json .RepoDigests}}'`);
  const { digest, text } = pack(buildImage('busybox')!).manifest;
  expect(r.stdout).toContain(`Pushed\n1: digest: ${digest} size: ${text.length}\n{"repositories":["a/b"]}\n{"name":"a/b","tags":["1"]}\n`);
  expect(r.stdout).toContain(`localhost:5000/a/b:1\n["busybox@${digest}","localhost:5000/a/b@${digest}"]\n`);
  expect(r.stderr).toContain('An image does not exist locally with the tag: localhost:5000/a/none\n');
});

it('what a registry is not asked, and what it does not have', () => {
  const r = sh(m, 'docker pull localhost:5000/nope; docker pull 10.0.0.5:5000/a/b:1; docker manifest inspect localhost:5000/a/b:1 | head -3; docker manifest inspect localhost:5000/nope; docker stop -t 0 reg > /dev/null; docker pull localhost:5000/a/b:1');
  expect(r.stderr).toBe(['Error response from daemon: manifest for localhost:5000/nope:latest not found: manifest unknown: manifest unknown', 'Error response from daemon: Get "https://10.0.0.5:5000/v2/": http: server gave HTTP response to HTTPS client',
    'no such manifest: localhost:5000/nope:latest', 'Error response from daemon: Get "http://localhost:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused', ''].join('\n'));
  expect(r.stdout).toContain('{\n\t"schemaVersion": 2,\n\t"mediaType": "application/vnd.docker.distribution.manifest.v2+json",\n');
});

it('a name of docker’s hub in an archive is a familiar one', () => {
  const image = buildImage('busybox')!;
  const file = (name: string, data: Uint8Array | string) => entry(name, { data: typeof data === 'string' ? new TextEncoder().encode(data) : data });
  const tar = writeTar([file('c.json', image.configText), file('l.tar', image.layers[0]!), file('manifest.json', JSON.stringify([{ Config: 'c.json', RepoTags: ['docker.io/library/x:1', 'docker.io/y/z:2', 'q.io/r:3'], Layers: ['l.tar'] }]))]);
  expect(readArchive(tar)[0]!.tags).toEqual(['x:1', 'y/z:2', 'q.io/r:3']);
});
