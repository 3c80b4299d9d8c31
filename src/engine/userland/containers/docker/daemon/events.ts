/** What happened, as docker tells it: kept for the newest 256, sent to whoever listens. Source: moby daemon/events. */
import { nowNs } from '../../../lib/clock.ts';
import type { Call } from '../../../lib/http.ts';
import type { Container, Daemon, DockerEvent } from './state.ts';
import { wake } from './waiters.ts';
import { byKey } from '../../../lib/bykey.ts';

/** An event of a container, with its image, name and labels. */
export function* emit(daemon: Daemon, type: 'container', action: string, c: Container, more: Record<string, string> = {}): Call<void> {
  yield* publish(daemon, type, action, c.ID, { ...c.Config.Labels, image: c.Config.Image, name: c.Name.slice(1), ...more });
}

export function* publish(daemon: Daemon, Type: string, Action: string, ID: string, Attributes: Record<string, string>): Call<void> {
  daemon.events.log.push({ Type, Action, Actor: { ID, Attributes }, timeNano: yield* nowNs() });
  daemon.events.count++;
  if (daemon.events.log.length > 256) daemon.events.log.shift();
  yield* wake(daemon.events.watchers);
}

/** The JSON of the API, with the old fields that containers and images still carry. */
export function eventJson(e: DockerEvent): Record<string, unknown> {
  const image = e.Actor.Attributes.image;
  const old =
    e.Type === 'container'
      ? { status: e.Action, id: e.Actor.ID, ...(image ? { from: image } : {}) }
      : e.Type === 'image'
        ? { status: e.Action, id: e.Actor.ID }
        : {};
  return {
    ...old,
    Type: e.Type,
    Action: e.Action,
    Actor: { ID: e.Actor.ID, Attributes: byKey(e.Actor.Attributes) },
    scope: 'local',
    time: Math.floor(e.timeNano / 1e9),
    timeNano: e.timeNano,
  };
}

export type Filters = Record<string, string[]>;

/** The filters of a query, both forms: {"name":{"x":true}} and {"name":["x"]}. */
export function readFilters(text: string | undefined): Filters {
  const out: Filters = {};
  if (!text) return out;
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return out;
  }
  for (const [name, values] of Object.entries((raw ?? {}) as Record<string, unknown>))
    out[name] = Array.isArray(values) ? values.map(String) : Object.keys((values ?? {}) as object);
  return out;
}

/** A reference without its tag. */
const untagged = (name: string): string => name.replace(/:[^/:]*$/, '');

export function eventMatches(e: DockerEvent, filters: Filters): boolean {
  const any = (name: string, test: (value: string) => boolean): boolean => !filters[name] || filters[name].some(test);
  const a = e.Actor.Attributes;
  const of =
    (type: string) =>
    (v: string): boolean =>
      (e.Type === type && (e.Actor.ID.startsWith(v) || a.name === v)) || a[type] === v;
  return (
    any('type', (v) => v === e.Type) &&
    any('event', (v) => e.Action === v || e.Action.startsWith(`${v}:`)) &&
    any('container', of('container')) &&
    any('network', of('network')) &&
    any('volume', of('volume')) &&
    any('image', (v) => [e.Actor.ID, e.Type === 'image' ? a.name : a.image].some((n) => n === v || (n !== undefined && untagged(n) === v))) &&
    (filters.label ?? []).every((l) => (l.includes('=') ? a[l.slice(0, l.indexOf('='))] === l.slice(l.indexOf('=') + 1) : l in a))
  );
}
