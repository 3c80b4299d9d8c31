/** Slices: "a-b.slice" lies in "a.slice"; each is a control group that hands the controllers down that everything is accounted with; others where a setting needs them. Source: systemd.slice(5). */
import { attempt, list, mkdirAll, poke } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { apply, dropIns, isResource } from './resources.ts';
import { sourceOf, unitPath } from './unitfile.ts';

const ROOT = '/sys/fs/cgroup';
const CONTROLLERS = '+cpu +memory +pids';

export const isSlice = (name: string): boolean => /^(-|[A-Za-z0-9:_.\\]+(-[A-Za-z0-9:_.\\]+)*)\.slice$/.test(name);

/** The path of a slice below the root of control groups; '' for the root slice. */
export function slicePath(name: string): string {
  const parts = name.replace(/\.slice$/, '').split('-');
  if (name === '-.slice') return '';
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('-')}.slice`).join('');
}

/** Makes a slice with those above it, and gives each its settings when it is new. */
export function* sliceDir(name: string): Call<void> {
  let dir = ROOT;
  for (const part of slicePath(name).split('/').filter((one) => one !== '')) {
    dir += `/${part}`;
    const above = dir.slice(0, dir.lastIndexOf('/'));
    if ((yield* list(above)).some((one) => one.name === part)) continue;
    yield* mkdirAll(dir);
    yield* apply(dir, { ...(yield* fileSettings(part)), ...(yield* dropIns(part)) });
    yield* attempt(poke(`${dir}/cgroup.subtree_control`, CONTROLLERS), undefined);
  }
}

/** What a slice's unit file says of its control group. */
function* fileSettings(name: string): Call<Record<string, string>> {
  const path = yield* unitPath(name);
  if (path === null) return {};
  const { values } = yield* sourceOf(name, path);
  return Object.fromEntries([...values].flatMap(([key, all]) => { const own = key.replace(/^Slice\./, ''); return key !== own && isResource(own) ? [[own, all.at(-1)!]] : []; }));
}
