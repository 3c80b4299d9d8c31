/**
 * Random Dockerfiles, compose files and archives: well-formed ones put together from parts, and damaged ones. What reads
 * them must give an error of its own kind or the right effect; a machine that is given them must go on.
 */
import { gzipSync } from 'fflate';
import { SECOND } from '../../src/engine/sim/units.ts';
import { canonicalService } from '../../src/engine/userland/containers/compose/canonical.ts';
import { ComposeError, type Dict, readYaml } from '../../src/engine/userland/containers/compose/document.ts';
import { toYaml } from '../../src/engine/userland/containers/compose/emit.ts';
import { interpolate } from '../../src/engine/userland/containers/compose/interpolate.ts';
import { cast, validate } from '../../src/engine/userland/containers/compose/schema.ts';
import { configure, type Scope, workdir } from '../../src/engine/userland/containers/docker/daemon/buildconfig.ts';
import { copyEntries, copyWords, sourcesIn } from '../../src/engine/userland/containers/docker/daemon/buildcopy.ts';
import { filesOf, finishStep, scratch } from '../../src/engine/userland/containers/docker/daemon/buildstate.ts';
import { BadDockerfile, parse } from '../../src/engine/userland/containers/docker/daemon/dockerfile.ts';
import { Refused } from '../../src/engine/userland/containers/docker/daemon/state.ts';
import { buildImage } from '../../src/engine/userland/containers/images.ts';
import { digestOf, ImageError, readArchive } from '../../src/engine/userland/containers/oci.ts';
import { entry, readTar, type TarEntry, TarError, writeTar } from '../../src/engine/userland/containers/tar.ts';
import { putFile } from '../../src/engine/kernel/vfs/build.ts';
import { type Lab, sh } from '../unit/containers/docker-lab.ts';

export type Chance = () => number;

export function chanceOf(seed: number): Chance {
  let a = (seed + 1) * 0x9e3779b1;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const below = (r: Chance, n: number): number => Math.floor(r() * n);
const pick = <T>(r: Chance, all: readonly T[]): T => all[below(r, all.length)]!;
const times = <T>(r: Chance, most: number, make: () => T): T[] => Array.from({ length: below(r, most + 1) }, make);

/** Something cut out, put in, doubled or exchanged. */
export function damaged(r: Chance, text: string): string {
  let out = text;
  for (let i = below(r, 4); i >= 0; i--) {
    const at = below(r, out.length + 1);
    const put = pick(r, ['', '\\', '"', "'", '$', '${', '}', '\n', '\t', '[', ']', ':', '- ', '#', '<<', '&a ', '*a ', '\0', 'é', '../', '0', '-1', '99999999999', '{', '|', '%', String.fromCharCode(below(r, 128))]);
    out = r() < 0.2 ? out.slice(0, at) + out.slice(at, at + 30) + out.slice(at) : out.slice(0, at) + put + out.slice(at + below(r, 9));
  }
  return out;
}

const WORDS = ['a.txt', 'sub', '/x', '/x/', '.', '..', '*', '*.txt', '/', '$A', '${A:-b}', '"q q"', 'x=y', '[', '["a","b"]', '../../etc', '/bin', 'n\\ m', '--', '~', 'sub/[a-z]*'];
const LINES: readonly ((r: Chance) => string)[] = [
  (r) => `FROM ${pick(r, ['busybox', 'scratch', 'busybox AS b', 'b', '$A', 'nosuch:1', 'busybox@sha256:00', 'b AS c', '0'])}`, (r) => `ARG ${pick(r, ['A', 'A=1', 'A=1 B=2', 'A="x', '=', 'A=${A}${A}'])}`, (r) => `ENV ${pick(r, ['A=1', 'A b c', 'A', 'A="x y" B=z', '=1', 'A=${A}${A}x'])}`,
  (r) => `COPY ${pick(r, ['', '', '--from=b ', '--from=0 ', '--chown=1:1 ', '--chown=nobody ', '--chmod=755 ', '--chmod=x ', '--from=busybox '])}${times(r, 3, () => pick(r, WORDS)).join(' ')}`, (r) => `ADD ${times(r, 3, () => pick(r, WORDS)).join(' ')}`,
  (r) => `RUN ${pick(r, ['true', 'echo $A', 'exit 3', '["/bin/echo","x"]', 'echo a > /f', 'rm -rf /x', 'nosuch', '<<E\necho h\nE', 'mkdir -p /x/y && ln -s / /x/l', 'kill -9 $$', 'head -c 300000 /dev/zero'])}`,
  (r) => `WORKDIR ${pick(r, WORDS)}`, (r) => `USER ${pick(r, ['1', 'nobody', '1:2', '$A', ''])}`, (r) => `EXPOSE ${pick(r, ['80', '80/udp', '1-3', 'x', '99999', '$A'])}`, (r) => `VOLUME ${pick(r, WORDS)}`, (r) => `LABEL ${pick(r, ['a=b', 'a', '"a b"=c', 'a=b c=d'])}`,
  (r) => `HEALTHCHECK ${pick(r, ['NONE', 'CMD true', '--interval=1s CMD ["x"]', '--interval=x CMD y', 'X'])}`, (r) => `CMD ${pick(r, ['x', '["x"]', '[x]', ''])}`, (r) => `ENTRYPOINT ${pick(r, ['x', '["x"]'])}`, (r) => `ONBUILD ${pick(r, ['RUN true', 'COPY a b', 'FROM x', 'ONBUILD RUN x', ''])}`,
  (r) => `SHELL ${pick(r, ['["/bin/sh","-c"]', 'x'])}`, (r) => `STOPSIGNAL ${pick(r, ['9', 'SIGINT', ''])}`, () => '# comment', () => '', (r) => pick(r, ['# escape=`', '# syntax=x', 'FOO bar', '\\', 'RUN a \\\n\n # c\n b', 'COPY <<E /h\n$A\nE', 'MAINTAINER x']),
];

export function randomDockerfile(r: Chance): string {
  const lines = ['FROM busybox', ...times(r, 9, () => pick(r, LINES)(r))];
  if (r() < 0.15) lines.shift();
  const text = `${lines.join('\n')}\n`;
  return r() < 0.4 ? damaged(r, text) : text;
}

const CONTEXT: TarEntry[] = [entry('a.txt', { data: new Uint8Array([97, 10]) }), entry('sub', { type: 'dir', mode: 0o755 }), entry('sub/f', { data: new Uint8Array([102]) }), entry('l', { type: 'link', target: '../..' }), entry('loop', { type: 'link', target: 'loop' })];
const SCOPE: Scope = { buildArgs: { B: 'given' }, globals: new Map(), classic: false, escape: '\\' };

/** Reads it and does everything but RUN. Says whether it was refused; throws what is no refusal. */
export function tryDockerfile(source: string): boolean {
  try {
    const { instructions } = parse(new TextEncoder().encode(source), 'Dockerfile');
    const built = scratch();
    for (const one of instructions) {
      if (one.word === 'WORKDIR') workdir(SCOPE, built, one);
      else if (one.word === 'COPY' || one.word === 'ADD') {
        const all = copyWords(SCOPE, built, one);
        const files = new Map(CONTEXT.map((e) => [e.name, e]));
        const copied = copyEntries(SCOPE, built, one, all, new Map(all.slice(0, -1).map((n) => [n, sourcesIn(CONTEXT, files, n)])));
        for (const e of copied.entries) if (e.name.split('/').includes('..') || e.name.startsWith('/')) throw new Error(`leads outside: ${e.name}`);
        finishStep(built, copied.by, writeTar(copied.entries), '', false);
      } else if (one.word !== 'RUN' && one.word !== 'FROM') configure(SCOPE, built, one);
    }
    filesOf(built);
    return false;
  } catch (error) {
    if (error instanceof BadDockerfile || error instanceof Refused) return true;
    throw error;
  }
}

const VALUES = ['nginx', '"80"', '80', 'true', 'null', '~', '[]', '{}', '[a, b]', '{a: b}', '"8080:80"', '["8080:80"]', '["80-90:80-91"]', '64m', '"x y"', '1.5', '-1', '${A}', '${A:-x}', '${A:?e}', '$$', '${', '[./a:/b:ro]', '[v:/x]', '{test: [CMD, x], interval: 1s}', '"5"', '[{target: 80, published: 8}]', '[{type: tmpfs, target: /t}]', '*a', '[1, 2]', '{resources: {limits: {cpus: 0.5, memory: 64m}}}', '[other]', '{other: {condition: service_healthy}}', '1h30m', '2024-01-01', '0x10', '.inf'];
const KEYS = ['image', 'build', 'command', 'entrypoint', 'environment', 'env_file', 'ports', 'volumes', 'networks', 'depends_on', 'healthcheck', 'restart', 'deploy', 'mem_limit', 'cpus', 'user', 'working_dir', 'hostname', 'labels', 'cap_add', 'read_only', 'profiles', 'secrets', 'configs', 'tmpfs', 'ulimits', 'scale', 'stop_grace_period', 'privileged', 'extends', 'x-foo', 'foo', 'expose', 'extra_hosts', 'logging', 'container_name'];

export function randomCompose(r: Chance): string {
  const service = (name: string): string => `  ${name}:\n    image: busybox\n    command: "true"\n${times(r, 2, () => `    ${pick(r, KEYS)}: ${pick(r, VALUES)}\n`).join('')}`;
  const parts = ['services:\n', service('one'), ...(r() < 0.6 ? [service('other')] : []), ...(r() < 0.4 ? [`volumes:\n  v: ${pick(r, VALUES)}\n`] : []), ...(r() < 0.3 ? [`networks:\n  n: ${pick(r, VALUES)}\n`] : []), ...(r() < 0.2 ? [`${pick(r, ['name', 'version', 'secrets', 'x-a: &a', 'include', 'configs'])}: ${pick(r, VALUES)}\n`] : [])];
  const text = parts.join('');
  return r() < 0.3 ? damaged(r, text) : text;
}

/** Reads it as far as a file alone goes. Says whether it was refused; throws what is no refusal. */
export function tryCompose(source: string): boolean {
  try {
    const model = cast(interpolate(readYaml(source).model, { values: { A: 'va' }, missing: [] }) as Dict, []);
    validate(model, 'compose.yaml');
    const services = Object.fromEntries(Object.entries((model.services ?? {}) as Dict).filter(([k]) => !k.startsWith('x-')).map(([k, s]) => [k, canonicalService(k, (s ?? {}) as Dict, { directory: '/d', home: '/root' })]));
    readYaml(toYaml({ services }));
    return false;
  } catch (error) {
    if (error instanceof ComposeError) return true;
    throw error;
  }
}

const NAMES = ['a', 'bin/sh', 'etc/passwd', '../up', '/abs', 'a/../../b', 'd/', 'd', '.wh.a', 'd/.wh..wh..opq', '.wh.', '.wh..', '.wh...', '..', '.', '', 'x'.repeat(300), `${'n/'.repeat(80)}f`, 'l', 'l/inside', 'é', 'a\nb', './././a', 'bin/busybox', '.wh.bin'];

function randomEntry(r: Chance): TarEntry {
  const type = pick(r, ['file', 'file', 'file', 'dir', 'link', 'hardlink', 'chr', 'blk', 'fifo'] as const);
  return entry(pick(r, NAMES), {
    type, mode: below(r, 0o10000), uid: pick(r, [0, 1, 65534, 2 ** 20]), mtime: pick(r, [0, 1, 2 ** 31]), data: type === 'file' ? new Uint8Array(below(r, 700)) : new Uint8Array(0), target: pick(r, ['a', '/', '../../..', 'l', '/etc/passwd', 'nosuch', '']), rdev: [below(r, 300), below(r, 300)],
  });
}

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** An archive as `docker save` makes them, of one random layer over busybox's; some damaged, some gzipped, some lying. */
export function randomArchive(r: Chance): Uint8Array {
  const base = buildImage('busybox')!;
  const layer = writeTar(times(r, 8, () => randomEntry(r)));
  const config = { ...base.config, rootfs: { type: 'layers', diff_ids: [base.config.rootfs.diff_ids[0]!, r() < 0.1 ? digestOf('lie') : digestOf(layer)] } };
  const whole = writeTar([
    entry('manifest.json', { data: encode([{ Config: 'c.json', RepoTags: [pick(r, ['fz:1', 'fz', 'Bad:1', '', 'q.io/x/y:z'])], Layers: ['b.tar', pick(r, ['l.tar', 'l.tar', 'l.tar', 'nosuch'])] }]) }), entry('c.json', { data: encode(config) }), entry('b.tar', { data: base.layers[0]! }),
    entry('l.tar', { data: r() < 0.3 ? gzipSync(layer, { mtime: 0 }) : layer }),
  ]);
  if (r() < 0.35) for (let i = below(r, 5); i >= 0; i--) whole[below(r, whole.length)] = below(r, 256);
  const cut = r() < 0.15 ? whole.slice(0, below(r, whole.length)) : whole;
  return r() < 0.2 ? gzipSync(cut, { mtime: 0, level: 1 }) : cut;
}

/** Says whether it was refused; throws what is no refusal. */
export function tryArchive(data: Uint8Array): boolean {
  try {
    for (const image of readArchive(data)) for (const l of image.layers) readTar(l);
    return false;
  } catch (error) {
    if (error instanceof TarError || error instanceof ImageError) return true;
    throw error;
  }
}

/** One of each given to a machine. Throws when a command does not end or the daemon no longer answers. */
export function onMachine(m: Lab, n: number): { failed: number } {
  const r = chanceOf(n);
  let failed = 0;
  const run = (what: string, line: string): void => {
    const done = sh(m, line, '', 400 * SECOND);
    if (done.exit === null) throw new Error(`${what} ${n}: did not end`);
    if (done.exit !== 0) failed++;
  };
  putFile(m.kernel, '/f/Dockerfile', new TextEncoder().encode(randomDockerfile(r)));
  run('Dockerfile', 'cd /f; timeout 60 docker build -t fz . > /dev/null 2>&1');
  putFile(m.kernel, '/f/compose.yaml', new TextEncoder().encode(randomCompose(r)));
  run('compose file', 'cd /f; timeout 120 docker compose up -d > /dev/null 2>&1; s=$?; timeout 120 docker compose -f compose.yaml -p f down -t 0 -v > /dev/null 2>&1; docker rm -f $(docker ps -aq) > /dev/null 2>&1; exit $s');
  putFile(m.kernel, '/f/image.tar', randomArchive(r));
  run('archive', 'timeout 60 docker load -i /f/image.tar > /dev/null 2>&1');
  const alive = sh(m, 'docker version --format "{{.Server.Version}}"; ls /f /up /b 2> /dev/null | head -1', '', 60 * SECOND);
  if (!/^26/.test(alive.stdout)) throw new Error(`${n}: the daemon no longer answers: ${alive.stderr}`);
  return { failed };
}
