/** wait: until a condition, a JSONPath's value, a deletion or a creation, or the time is up. Source: kubectl pkg/cmd/wait 1.32. */
import { type Kind, pathOf, qualified } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, failed, failureText, Fatal, listKind, now, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { find, PathError, show } from './jsonpath.ts';
import { printAs } from './print.ts';
import { seconds } from './query.ts';
import { display, targets } from './resources.ts';
import { manifests, NEED_RESOURCE } from './write.ts';

export const WAIT_FLAGS = 'for=* timeout= l/selector= field-selector= A/all-namespaces all local f/filename=* R/recursive o/output= allow-missing-template-keys template= show-managed-fields';

interface Wanted { what: 'delete' | 'create' | 'condition' | 'jsonpath'; path: string; value: string | undefined; spec: string }

/** One --for. Throws in kubectl's words. */
function wantedOf(spec: string): Wanted {
  const lower = spec.toLowerCase();
  if (lower === 'delete' || lower === 'create') return { what: lower, path: '', value: undefined, spec };
  if (lower.startsWith('condition=')) {
    const [type = '', value = 'true'] = spec.slice(10).split('=');
    return { what: 'condition', path: type, value, spec };
  }
  if (!lower.startsWith('jsonpath=')) throw new Fatal(`error: unrecognized condition: ${JSON.stringify(spec)}`);
  const whole = spec.slice(9).replace(/^(['"])(.*)\1$/s, '$2');
  const m = /^\{([\s\S]*?)\}(?:=([\s\S]*))?$/.exec(whole) ?? /^([^=]*)(?:=([\s\S]*))?$/.exec(whole);
  const [path, value] = [m?.[1] ?? '', m?.[2]];
  if (path === '') throw new Fatal('error: jsonpath expression cannot be empty');
  if (value === '') throw new Fatal('error: jsonpath wait has to have a value after equal sign');
  return { what: 'jsonpath', path: path.replace(/^([^.[$])/, '.$1'), value, spec };
}

export function* wait(client: Client, flags: Flags): Call<number> {
  const specs = flags.many.get('for') ?? [];
  if (specs.length === 0) throw new Fatal('error: unrecognized condition: ""');
  const conditions = specs.map(wantedOf);
  const given = seconds(flags.text.get('timeout'), 30);
  const deadline = (yield* now()) + (given < 0 ? 7 * 86400 : given);
  const errors: string[] = [];
  const files = flags.many.has('filename');
  if (flags.args.length === 0 && !files) throw new Fatal(NEED_RESOURCE);
  for (const one of conditions) {
    const found = yield* chosen(client, flags, one, errors, deadline);
    if (found.length === 0 && errors.length === 0) {
      if (one.what === 'delete') continue;
      throw new Fatal('error: no matching resources found');
    }
    for (const { kind, name, namespace, uid } of found) {
      const last = yield* until(client, kind, name, namespace, uid, one, deadline, errors);
      if (last === null) continue;
      if (flags.text.has('output')) yield* printAs(flags.text.get('output')!, [last], true);
      else yield* out(`${display(kind, name)} condition met\n`);
    }
  }
  for (const e of errors) yield* err(`${e}\n`);
  return errors.length > 0 ? 1 : 0;
}

interface Chosen { kind: Kind; name: string; namespace: string | undefined; uid: string | undefined }

function* chosen(client: Client, flags: Flags, one: Wanted, errors: string[], deadline: number): Call<Chosen[]> {
  const out_: Chosen[] = [];
  const named = function* (kind: Kind, name: string, namespace: string | undefined): Call<void> {
    const reply = yield* call(client, 'GET', pathOf(kind, namespace, name));
    if (!failed(reply)) out_.push({ kind, name, namespace, uid: reply.body.metadata.uid });
    else if (reply.status === 404 && one.what === 'create') out_.push({ kind, name, namespace, uid: undefined });
    else if (reply.status !== 404 || one.what !== 'delete') errors.push(failureText(reply.body));
  };
  if (flags.many.has('filename')) {
    for (const m of yield* manifests(client, flags)) yield* named(m.kind, m.name, m.namespace);
    return out_;
  }
  for (const t of yield* targets(client, flags.args)) {
    const home = t.kind.namespaced ? client.namespace : undefined;
    if (t.name !== null) {
      yield* named(t.kind, t.name, home);
      continue;
    }
    if (!on(flags, 'all') && !flags.text.has('selector') && !flags.text.has('field-selector')) throw new Fatal('error: resource(s) were provided, but no name was specified');
    const scope = on(flags, 'all-namespaces') ? undefined : home;
    for (;;) {
      const { items } = yield* listKind(client, t.kind, scope, { labelSelector: flags.text.get('selector'), fieldSelector: flags.text.get('field-selector') });
      for (const o of items) out_.push({ kind: t.kind, name: o.metadata.name, namespace: o.metadata.namespace, uid: o.metadata.uid });
      if (one.what !== 'create' || items.length > 0 || (yield* now()) >= deadline) break;
      yield* sys('nanosleep', 200_000_000);
    }
  }
  return out_;
}

/** The object that meets it; null after an error has been noted. */
function* until(client: Client, kind: Kind, name: string, namespace: string | undefined, uid: string | undefined, one: Wanted, deadline: number, errors: string[]): Call<KubeObject | null> {
  let last: Json = { metadata: { name } };
  for (;;) {
    const reply = yield* call(client, 'GET', pathOf(kind, namespace, name));
    const there = !failed(reply);
    const same = there && (uid === undefined || reply.body.metadata.uid === uid);
    if (there) last = reply.body;
    if (one.what === 'delete' ? !same : there && holds(reply.body, one)) return last;
    if (!there && uid !== undefined && one.what !== 'delete' && one.what !== 'create') {
      errors.push(`Error from server (NotFound): ${qualified(kind)} "${name}" not found`);
      return null;
    }
    if ((yield* now()) >= deadline) {
      errors.push(`error: timed out waiting for the condition on ${kind.plural}/${name}`);
      return null;
    }
    yield* sys('nanosleep', 200_000_000);
  }
}

function holds(object: KubeObject, { what, path, value }: Wanted): boolean {
  if (what === 'create') return true;
  if (what === 'condition') {
    const { generation } = object.metadata;
    return (object.status?.conditions ?? []).some((c: Json) => {
      if (c.type.toLowerCase() !== path.toLowerCase()) return false;
      if (c.observedGeneration !== undefined && generation !== undefined && c.observedGeneration < generation) return false;
      return String(c.status).toLowerCase() === value!.toLowerCase();
    });
  }
  let values: Json[];
  try {
    values = find(path, object);
  } catch (error) {
    if (error instanceof PathError) throw new Fatal(`error: ${error.message}`);
    throw error;
  }
  if (values.length === 0) return false;
  if (value === undefined) return true;
  if (values.length > 1) throw new Fatal('error: given jsonpath expression matches more than one value');
  if (values[0] !== null && typeof values[0] === 'object') throw new Fatal('error: jsonpath leads to a nested object or list which is not supported');
  return show(values[0]) === value;
}
