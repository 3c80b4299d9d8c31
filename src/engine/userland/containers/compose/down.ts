/** Stopping and removing: containers before what they depend on, then networks, images, volumes. Source: docker/compose pkg/compose/down.go, stop.go, image_pruner.go. */
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { api, ApiError } from '../docker/cli/client.ts';
import { imageOf, LABEL } from './body.ts';
import type { Any } from './document.ts';
import { event, inOrder, type Progress, together } from './progress.ts';
import type { Project } from './project.ts';
import { containersOf, dependentsOf, labels, projectOf, type Row, type Session } from './session.ts';

const seg = encodeURIComponent;

export function* stopRows(s: Session, w: Progress, rows: readonly Row[], timeout: number | undefined): Call<void> {
  if (rows.length > 0) yield* together(rows.map((r) => stopRow(s, w, r, timeout)));
}

function* stopRow(s: Session, w: Progress, r: Row, timeout: number | undefined): Call<void> {
  const id = `Container ${r.name}`;
  yield* event(w, id, 'working', 'Stopping');
  try {
    yield* api(s.client, 'POST', `/containers/${r.id}/stop`, { query: { t: timeout } });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    yield* event(w, id, 'error', 'Error while Stopping');
    throw error;
  }
  yield* event(w, id, 'done', 'Stopped');
}

/** Stops and removes. */
export function* removeRows(s: Session, w: Progress, rows: readonly Row[], o: { timeout: number | undefined; volumes: boolean }): Call<void> {
  if (rows.length === 0) return;
  yield* together(rows.map(function* (r): Call<void> {
    yield* stopRow(s, w, r, o.timeout);
    yield* dropRow(s, w, r, o.volumes);
  }));
}

/** Removes what has stopped. */
export function* dropRow(s: Session, w: Progress, r: Row, volumes: boolean): Call<void> {
  const id = `Container ${r.name}`;
  yield* event(w, id, 'working', 'Removing');
  try {
    yield* api(s.client, 'DELETE', `/containers/${r.id}`, { query: { force: 1, v: volumes ? 1 : undefined } });
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 409)) {
      yield* event(w, id, 'error', 'Error while Removing');
      throw error;
    }
  }
  yield* event(w, id, 'done', 'Removed');
}

export interface DownOptions {
  services: readonly string[];
  removeOrphans: boolean;
  volumes: boolean;
  images: string;
  timeout: number | undefined;
}

/** In reverse order of dependencies. */
export function* stopInOrder(p: Project, rows: readonly Row[], names: readonly string[], call: (rows: Row[]) => Call<void>): Call<void> {
  yield* inOrder(names, (n) => dependentsOf(p, n), (n) => call(rows.filter((r) => r.service === n)));
}

export function* down(s: Session, w: Progress, given: Project | null, name: string, o: DownOptions): Call<void> {
  const rows = yield* containersOf(s, name, o.removeOrphans ? 'too' : 'none');
  const p = given ?? (yield* withResources(s, projectOf(name, rows)));
  const names = o.services.length > 0 ? closure(p, o.services) : Object.keys(p.services);
  yield* stopInOrder(p, rows, names, (mine) => removeRows(s, w, mine, { timeout: o.timeout, volumes: o.volumes }));
  const orphans = rows.filter((r) => !p.services[r.service] && !p.disabled[r.service]);
  if (o.removeOrphans) yield* removeRows(s, w, orphans, { timeout: o.timeout, volumes: false });
  if (o.services.length > 0) return;
  let work = rows.length > 0;
  for (const [key, n] of Object.entries(p.networks)) if (!n.external) work = (yield* removeNetwork(s, w, p, key, n.name)) || work;
  if (o.images !== '') for (const image of yield* imagesToRemove(s, p, o.images)) work = yield* removeThing(s, w, `Image ${image}`, `/images/${seg(image)}`);
  if (o.volumes) for (const v of Object.values(p.volumes)) if (!v.external) work = yield* removeThing(s, w, `Volume ${v.name}`, `/volumes/${seg(v.name)}`);
  if (!work && Object.keys(p.networks).length + Object.keys(p.volumes).length === 0) yield* complain(`Warning: No resource found to remove for project ${JSON.stringify(name)}.\n`);
}

/** Services and all that depend on them. */
function closure(p: Project, names: readonly string[]): string[] {
  const out = new Set(names);
  for (const n of out) for (const d of dependentsOf(p, n)) out.add(d);
  return [...out];
}

function* withResources(s: Session, p: Project): Call<Project> {
  const filters = labels(`${LABEL.project}=${p.name}`);
  const networks: Any[] = yield* api(s.client, 'GET', '/networks', { query: { filters } });
  const volumes: Any = yield* api(s.client, 'GET', '/volumes', { query: { filters } });
  return {
    ...p, networks: Object.fromEntries(networks.map((n) => [n.Labels[LABEL.network] ?? n.Name, { name: n.Name }])), volumes: Object.fromEntries(((volumes.Volumes ?? []) as Any[]).map((v) => [v.Labels?.[LABEL.volume] ?? v.Name, { name: v.Name }])),
  };
}

function* removeNetwork(s: Session, w: Progress, p: Project, key: string, name: string): Call<boolean> {
  const found: Any[] = yield* api(s.client, 'GET', '/networks', { query: { filters: labels(`${LABEL.project}=${p.name}`, `${LABEL.network}=${key}`) } });
  const network = found.find((n) => n.Name === name);
  if (!network) return false;
  const id = `Network ${name}`;
  yield* event(w, id, 'working', 'Removing');
  const info = yield* api(s.client, 'GET', `/networks/${network.Id}`);
  if (Object.keys(info.Containers ?? {}).length > 0) {
    yield* event(w, id, 'warning', 'Resource is still in use');
    return true;
  }
  try {
    yield* api(s.client, 'DELETE', `/networks/${network.Id}`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    yield* event(w, id, 'error', 'Error');
    throw new ApiError(error.message, error.status);
  }
  yield* event(w, id, 'done', 'Removed');
  return true;
}

function* removeThing(s: Session, w: Progress, id: string, path: string): Call<boolean> {
  yield* event(w, id, 'working', 'Removing');
  try {
    yield* api(s.client, 'DELETE', path);
    yield* event(w, id, 'done', 'Removed');
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 409) yield* event(w, id, 'warning', 'Resource is still in use');
    else if (error.status === 404) yield* event(w, id, 'done', 'Warning: No resource found to remove');
    else throw error;
  }
  return true;
}

/** Those that carry the project's label, as what compose built does; "all" is every service's besides. */
function* imagesToRemove(s: Session, p: Project, mode: string): Call<string[]> {
  const out = new Set<string>();
  const built: Any[] = yield* api(s.client, 'GET', '/images/json', { query: { filters: labels(`${LABEL.project}=${p.name}`) } });
  for (const image of built) for (const name of (image.RepoTags ?? []) as string[]) if (name !== '<none>:<none>') out.add(name);
  for (const name of mode === 'all' ? Object.keys(p.services) : []) {
    const image = imageOf(p, name);
    try {
      yield* api(s.client, 'GET', `/images/${seg(image)}/json`);
      out.add(image.includes(':') && !image.slice(image.lastIndexOf(':')).includes('/') ? image : `${image}:latest`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }
  return [...out].sort();
}
