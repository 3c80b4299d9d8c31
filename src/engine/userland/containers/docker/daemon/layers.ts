/**
 * The writable layer of a container on overlay2: its directory with diff, work, merged, link and lower, an -init layer
 * with the files that docker mounts over, and what was changed in it. Source: moby daemon/graphdriver/overlay2,
 * daemon/initlayer, pkg/archive/changes.go.
 */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, MNT_DETACH, S_IFCHR, S_IFMT, type Stat } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { attempt, isDir, list, mkdirAll, removeAll, treeSize, writeFile } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { DOCKER, layerDir, shortLink } from '../../store.ts';
import { type Container, type Daemon, ROOT } from './state.ts';

const OVERLAY = `${ROOT}/overlay2`;

export const rwDir = (c: Container): string => `${OVERLAY}/${c.layer.id}`;
export const mergedDir = (c: Container): string => `${rwDir(c)}/merged`;

/** What inspect shows under GraphDriver. */
export function graphDriver(c: Container): { Data: Record<string, string>; Name: string } {
  const dir = rwDir(c);
  const lower = [`${dir}-init/diff`, ...c.layer.chain.map((id) => `${layerDir(DOCKER, id)}/diff`).reverse()];
  return {
    Data: { LowerDir: lower.join(':'), MergedDir: `${dir}/merged`, UpperDir: `${dir}/diff`, WorkDir: `${dir}/work` },
    Name: 'overlay2',
  };
}

export function* createLayer(daemon: Daemon, c: Container): Call<void> {
  const dir = rwDir(c);
  const below = c.layer.chain.map((id) => `l/${shortLink(id)}`).reverse();
  const init = shortLink(`${c.layer.id}-init`);
  yield* makeLayer(`${dir}-init`, init, below);
  yield* initLayer(`${dir}-init/diff`);
  yield* writeFile(`${dir}-init/committed`, '');
  yield* makeLayer(dir, shortLink(c.layer.id), [`l/${init}`, ...below]);
  yield* mkdirAll(`${dir}/merged`, 0o700);
  const db = `${daemon.store.layout.images}/layerdb/mounts/${c.ID}`;
  yield* mkdirAll(db);
  yield* writeFile(`${db}/mount-id`, c.layer.id);
  yield* writeFile(`${db}/init-id`, `${c.layer.id}-init`);
  yield* writeFile(`${db}/parent`, c.layer.chain.at(-1) ?? '');
}

function* makeLayer(dir: string, link: string, lower: readonly string[]): Call<void> {
  yield* mkdirAll(dir, 0o710);
  yield* mkdirAll(`${dir}/diff`);
  yield* mkdirAll(`${dir}/work`, 0o700);
  yield* writeFile(`${dir}/link`, link);
  if (lower.length > 0) yield* writeFile(`${dir}/lower`, lower.join(':'));
  yield* mkdirAll(`${OVERLAY}/l`, 0o710);
  yield* attempt(sys('symlinkat', `../${dir.slice(OVERLAY.length + 1)}/diff`, AT_FDCWD, `${OVERLAY}/l/${link}`), 0, 'EEXIST');
}

/** Mount points that every container needs, empty. */
function* initLayer(into: string): Call<void> {
  for (const dir of ['dev', 'dev/pts', 'dev/shm', 'etc', 'proc', 'sys'])
    yield* attempt(sys('mkdirat', AT_FDCWD, `${into}/${dir}`, 0o755), 0, 'EEXIST');
  for (const file of ['.dockerenv', 'dev/console', 'etc/hosts', 'etc/hostname', 'etc/resolv.conf'])
    yield* writeFile(`${into}/${file}`, '', 0o755);
  yield* attempt(sys('symlinkat', '/proc/mounts', AT_FDCWD, `${into}/etc/mtab`), 0);
}

/** Mounts the layer at its merged directory, once. */
export function* mountLayer(c: Container): Call<string> {
  const dir = rwDir(c);
  if (yield* isMounted(dir)) return `${dir}/merged`;
  const lower = [
    `${OVERLAY}/l/${shortLink(`${c.layer.id}-init`)}`,
    ...c.layer.chain.map((id) => `${OVERLAY}/l/${shortLink(id)}`).reverse(),
  ];
  yield* sys('mount', 'overlay', `${dir}/merged`, 'overlay', 0, `lowerdir=${lower.join(':')},upperdir=${dir}/diff,workdir=${dir}/work`);
  return `${dir}/merged`;
}

function* isMounted(dir: string): Call<boolean> {
  return (yield* attempt(sys('statfs', `${dir}/merged`), null))?.type === 'overlay';
}

export function* unmountLayer(c: Container): Call<void> {
  yield* attempt(sys('umount2', mergedDir(c), MNT_DETACH), 0);
}

/** Runs a call with the layer mounted, whether the container runs or not. */
export function* withMounted<T>(c: Container, call: (root: string) => Call<T>): Call<T> {
  const was = yield* isMounted(rwDir(c));
  const root = yield* mountLayer(c);
  try {
    return yield* call(root);
  } finally {
    if (!was) yield* unmountLayer(c);
  }
}

export function* removeLayer(daemon: Daemon, c: Container): Call<void> {
  yield* unmountLayer(c);
  for (const id of [c.layer.id, `${c.layer.id}-init`]) {
    yield* removeAll(`${OVERLAY}/${id}`);
    yield* removeAll(`${OVERLAY}/l/${shortLink(id)}`);
  }
  yield* removeAll(`${daemon.store.layout.images}/layerdb/mounts/${c.ID}`);
}

/** Bytes that the container itself holds. */
export function* rwSize(c: Container): Call<number> {
  return yield* treeSize(`${rwDir(c)}/diff`);
}

export interface Change {
  Path: string;
  /** 0 changed, 1 added, 2 deleted. */
  Kind: 0 | 1 | 2;
}

/** What differs from the image, by path. */
export function* changes(c: Container): Call<Change[]> {
  const upper = `${rwDir(c)}/diff`;
  const lowers = [`${rwDir(c)}-init/diff`, ...c.layer.chain.map((id) => `${layerDir(DOCKER, id)}/diff`).reverse()];
  const found = new Map<string, Change>();
  yield* walk(upper, '', lowers, found);
  return [...found.values()].sort((a, b) => (a.Path < b.Path ? -1 : 1));
}

const lstat = (path: string): Call<Stat | null> => attempt(sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), null);

function* walk(upper: string, path: string, lowers: readonly string[], found: Map<string, Change>): Call<void> {
  for (const { name } of yield* list(`${upper}${path}`)) {
    const at = `${path}/${name}`;
    const stat = (yield* lstat(`${upper}${at}`))!;
    const gone = (stat.mode & S_IFMT) === S_IFCHR && stat.rdev[0] === 0 && stat.rdev[1] === 0;
    let below: Stat | null = null;
    for (const lower of lowers) if (!below) below = yield* lstat(`${lower}${at}`);
    const sameDir = below && isDir(stat) && isDir(below) && stat.mtime === below.mtime && stat.mode === below.mode;
    if (!sameDir) {
      const Kind = gone ? 2 : below ? 0 : 1;
      found.set(at, { Path: at, Kind });
      if (Kind !== 0 && path !== '' && !found.has(path)) found.set(path, { Path: path, Kind: 0 });
    }
    if (isDir(stat)) yield* walk(upper, at, lowers, found);
  }
}
