/** One run of compose: the daemon, how it tells of its work, and the containers that carry a project's labels. */
import { isoSeconds, nowNs } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { api, type Client } from '../docker/cli/client.ts';
import { LABEL } from './body.ts';
import { type Any, ComposeError, type Dict } from './document.ts';
import type { Project } from './project.ts';
import { createProgress, type Progress, told } from './progress.ts';

export interface Session {
  client: Client;
  mode: Progress['mode'];
  /** Standard error is a terminal. */
  terminal: boolean;
  colour: boolean;
}

/** Runs a call that tells of its work under a title. */
export function* working<T>(s: Session, title: string, call: (p: Progress) => Call<T>): Call<T> {
  const p = createProgress(s.mode, title);
  return yield* told(p, call(p));
}

/** A warning as logrus writes it. */
export function* warn(s: Session, message: string): Call<void> {
  if (s.terminal) yield* complain(`\x1b[33mWARN\x1b[0m[0000] ${message} \n`);
  else yield* complain(`time=${JSON.stringify(isoSeconds(yield* nowNs()))} level=warning msg=${JSON.stringify(message)}\n`);
}

export const labels = (...all: string[]): string => JSON.stringify({ label: Object.fromEntries(all.map((l) => [l, true])) });

export interface Row {
  id: string;
  name: string;
  service: string;
  number: number;
  oneoff: boolean;
  state: string;
  labels: Dict;
  /** Its place in the daemon's list. */
  place: number;
  /** As the daemon lists it. */
  raw: Any;
}

const rowOf = (raw: Any, place: number): Row => ({ place,
  id: raw.Id, name: String(raw.Names[0]).slice(1), service: raw.Labels[LABEL.service] ?? '', number: Number(raw.Labels[LABEL.number] ?? 0), oneoff: raw.Labels[LABEL.oneoff] === 'True', state: raw.State, labels: raw.Labels, raw,
});

/** Containers of a project by name; those of `run` only when asked for. */
export function* containersOf(s: Session, project: string, oneoff: 'none' | 'too' | 'only' = 'none', all = true): Call<Row[]> {
  const found: Any[] = yield* api(s.client, 'GET', '/containers/json', { query: { all: all ? 1 : undefined, filters: labels(`${LABEL.project}=${project}`, LABEL.hash) } });
  return found.map(rowOf).filter((r) => (oneoff === 'too' ? true : r.oneoff === (oneoff === 'only'))).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** "web-1": a container's name without its project's. */
export const shownName = (row: { name: string }, project: string): string => (row.name.startsWith(`${project}-`) ? row.name.slice(project.length + 1) : row.name);

/** A project as its containers tell of it, for commands that work without its file. */
export function projectOf(name: string, rows: readonly Row[]): Project {
  const services: Record<string, Dict> = {};
  for (const r of rows) {
    const needs = String(r.labels[LABEL.dependencies] ?? '').split(',').filter((d) => d !== '').map((d) => d.split(':'));
    services[r.service] = { image: r.raw.Image, depends_on: Object.fromEntries(needs.map(([n, condition, restart]) => [n, { condition, restart: restart === 'true', required: true }])) };
  }
  return { name, directory: '', files: [], services, disabled: {}, networks: {}, volumes: {}, secrets: {}, configs: {}, extensions: {}, environment: {}, warnings: [] };
}

export const dependenciesOf = (p: Project, name: string): string[] => Object.keys(p.services[name]?.depends_on ?? {});
export const dependentsOf = (p: Project, name: string): string[] => Object.keys(p.services).filter((other) => dependenciesOf(p, other).includes(name));

/** Throws ComposeError for a name that the project does not have. */
export function checkServices(p: Project, names: readonly string[]): void {
  for (const n of names) if (!p.services[n] && !p.disabled[n]) throw new ComposeError(`no such service: ${n}`);
}
