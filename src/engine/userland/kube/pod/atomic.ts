/**
 * Files of a volume that change all at once: a directory named after the time holds them, ..data points there, each file is a
 * link through ..data. Source: kubernetes pkg/volume/util/atomic_writer.go.
 */
import { AT_FDCWD } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, list, mkdirAll, removeAll, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';

export interface Payload {
  /** By path below the volume. */
  files: Map<string, { data: string; mode: number }>;
  gid: number | null;
}

/** "..2026_01_15_09_00_00.123456789" */
function* stampName(): Call<string> {
  const t = yield* sys('clock_gettime', 'realtime');
  const d = Math.floor(t / 1e9);
  const day = Math.floor(d / 86400) + 719468;
  const era = Math.floor(day / 146097);
  const doe = day - era * 146097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36524) - Math.floor(doe / 146096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  const two = (n: number): string => String(n).padStart(2, '0');
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return `..${year}_${two(month)}_${two(doy - Math.floor((153 * mp + 2) / 5) + 1)}_${two(Math.floor(d / 3600) % 24)}_${two(Math.floor(d / 60) % 60)}_${two(d % 60)}.${String(Math.floor(t % 1e9)).padStart(9, '0')}`;
}

/** Makes the volume at `at` hold exactly these files. */
export function* writeAtomically(at: string, payload: Payload): Call<void> {
  yield* mkdirAll(at);
  const fresh = yield* stampName();
  const dir = `${at}/${fresh}`;
  yield* mkdirAll(dir);
  for (const [path, { data, mode }] of payload.files) {
    const slash = path.lastIndexOf('/');
    if (slash > 0) yield* mkdirAll(`${dir}/${path.slice(0, slash)}`);
    yield* writeFile(`${dir}/${path}`, data, mode);
    yield* sys('fchmodat', AT_FDCWD, `${dir}/${path}`, mode | (payload.gid === null ? 0 : 0o040));
    if (payload.gid !== null) yield* sys('fchownat', AT_FDCWD, `${dir}/${path}`, 0, payload.gid, 0);
  }
  const old = yield* attempt(sys('readlinkat', AT_FDCWD, `${at}/..data`), null);
  yield* attempt(sys('symlinkat', fresh, AT_FDCWD, `${at}/..data_tmp`), 0);
  yield* sys('renameat2', AT_FDCWD, `${at}/..data_tmp`, AT_FDCWD, `${at}/..data`, 0);
  const tops = new Set([...payload.files.keys()].map((p) => p.split('/')[0]!));
  for (const top of tops) yield* attempt(sys('symlinkat', `..data/${top}`, AT_FDCWD, `${at}/${top}`), 0, 'EEXIST');
  for (const { name } of yield* list(at)) if (!name.startsWith('..') && !tops.has(name)) yield* attempt(sys('unlinkat', AT_FDCWD, `${at}/${name}`, 0), 0);
  if (old) yield* removeAll(`${at}/${old}`);
}
