/**
 * The writable layer of a container on overlay2: its directory with diff, work, merged, link and lower, an -init layer
 * with the files that docker mounts over, and what was changed in it. Source: moby daemon/graphdriver/overlay2,
 * daemon/initlayer, pkg/archive/changes.go.
 */
import { text } from '../../../../sim/text.ts';
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

/** What differs from the image: in each directory by name, what is gone after what is there. Source: moby pkg/archive (ChangesDirs). */
export function* changes(c: Container): Call<Change[]> {
  const lowers = [`${rwDir(c)}-init/diff`, ...c.layer.chain.map((id) => `${layerDir(DOCKER, id)}/diff`).reverse()];
  return yield* changesIn(`${rwDir(c)}/diff`, '', lowers);
}

const lstat = (path: string): Call<Stat | null> => attempt(sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), null);

const whiteout = (stat: Stat): boolean => (stat.mode & S_IFMT) === S_IFCHR && stat.rdev[0] === 0 && stat.rdev[1] === 0;

/** What the layers below have at a path; a whiteout ends the search. */
function* below(lowers: readonly string[], at: string): Call<Stat | null> {
  for (const lower of lowers) {
    const stat = yield* lstat(`${lower}${at}`);
    if (stat) return whiteout(stat) ? null : stat;
  }
  return null;
}

/** Times and sizes of directories are not compared. */
const differs = (a: Stat, b: Stat): boolean =>
  a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || a.rdev[0] !== b.rdev[0] || a.rdev[1] !== b.rdev[1] || (!isDir(a) && (a.mtime !== b.mtime || a.size !== b.size));

function* changesIn(upper: string, path: string, lowers: readonly string[]): Call<Change[]> {
  const there: Change[] = [];
  const gone: Change[] = [];
  const names = (yield* list(`${upper}${path}`)).map((e) => e.name).sort();
  for (const name of names) {
    const at = `${path}/${name}`;
    const stat = (yield* lstat(`${upper}${at}`))!;
    const old = yield* below(lowers, at);
    if (whiteout(stat)) {
      if (old) gone.push({ Path: at, Kind: 2 });
      continue;
    }
    const within = isDir(stat) ? yield* changesIn(upper, at, old && isDir(old) ? lowers : []) : [];
    if (!old) there.push({ Path: at, Kind: 1 });
    else if (within.length > 0 || differs(stat, old)) there.push({ Path: at, Kind: 0 });
    there.push(...within);
  }
  if (yield* opaque(`${upper}${path}`)) {
    for (const name of yield* namesBelow(lowers, path)) if (!names.includes(name)) gone.push({ Path: `${path}/${name}`, Kind: 2 });
  }
  return [...there, ...gone.sort((a, b) => (a.Path < b.Path ? -1 : 1))];
}

const opaque = function* (path: string): Call<boolean> {
  return text((yield* attempt(sys('getxattr', path, 'trusted.overlay.opaque'), null)) ?? new Uint8Array(0)) === 'y';
};

function* namesBelow(lowers: readonly string[], path: string): Call<string[]> {
  const names = new Set<string>();
  for (const lower of lowers) for (const { name } of yield* attempt(list(`${lower}${path}`), [])) names.add(name);
  const seen: string[] = [];
  for (const name of names) if (yield* below(lowers, `${path}/${name}`)) seen.push(name);
  return seen;
}
