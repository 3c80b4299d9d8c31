/** `kubectl events`: sorted by time, of one object, followed. Source: kubectl pkg/cmd/events 1.32. */
import { findResource, kindNamed } from '../../../cluster/types/kinds.ts';
import { type KubeEvent, type KubeObject, saidAt } from '../../../cluster/types/objects.ts';
import { parseTime } from '../../../cluster/types/time.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, err, Fatal, listKind, nextEvent, now, out, watch } from './client.ts';
import { discover } from './custom.ts';
import { type Flags, on } from './flags.ts';
import { checkFormat, printAs } from './print.ts';
import { ageText } from './describe-parts.ts';
import { getTable } from './tabwriter.ts';

export const EVENTS_FLAGS = 'A/all-namespaces w/watch for= types=* o/output= no-headers chunk-size= allow-missing-template-keys template= show-managed-fields';

export function* events(client: Client, flags: Flags): Call<number> {
  const all = on(flags, 'all-namespaces');
  const format = flags.text.get('output') ?? '';
  if (flags.args.length > 0) throw new Fatal(`Error: unknown command "${flags.args[0]}" for "kubectl events"`);
  if (format !== '') checkFormat(format, false);
  const types = (flags.many.get('types') ?? []).flatMap((t) => t.split(','));
  for (const t of types) if (!/^(?:normal|warning)$/i.test(t)) throw new Fatal('error: valid --types are Normal or Warning');
  const about = yield* subject(client, flags.text.get('for'));
  const wanted = (e: KubeObject): boolean => types.length === 0 || types.some((t) => t.toLowerCase() === String(e.type).toLowerCase());
  const namespace = all ? undefined : client.namespace;
  const found = yield* listKind(client, kindNamed('Event'), namespace, { fieldSelector: about });
  const items = found.items.filter(wanted).sort((a, b) => (timeOf(a) ?? 0) - (timeOf(b) ?? 0));
  const watching = on(flags, 'watch');
  if (items.length === 0 && !watching) {
    yield* err(all ? 'No events found.\n' : `No events found in ${client.namespace} namespace.\n`);
    return 0;
  }
  const widths: number[] = [];
  if (format !== '') yield* printAs(format, items, false);
  else yield* out(getTable(yield* rows(items, all, !on(flags, 'no-headers')), watching ? widths : []));
  if (!watching) return 0;
  const w = yield* watch(client, kindNamed('Event'), namespace, found.revision, { fieldSelector: about });
  for (;;) {
    const event = yield* nextEvent(w);
    if (!event) return 0;
    if (event.type === 'DELETED' || !wanted(event.object)) continue;
    if (format !== '') yield* printAs(format, [event.object], true);
    else yield* out(getTable(yield* rows([event.object], all, false), widths));
  }
}

const timeOf = (e: KubeObject): number | null => parseTime(saidAt(e as KubeEvent));

/** "deploy/web" or "pod/a" as a selection of events. */
function* subject(client: Client, about: string | undefined): Call<string | undefined> {
  if (about === undefined) return undefined;
  const [kind = '', name, more] = about.split('/');
  if (!name || more !== undefined) throw new Fatal(`error: --for must be in resource/name form`);
  const found = findResource(kind) ?? (yield* discover(client, kind));
  if (!found) throw new Fatal(`error: the server doesn't have a resource type "${kind}"`);
  return `involvedObject.kind=${found.kind},involvedObject.name=${name}`;
}

function* rows(items: readonly KubeObject[], all: boolean, headers: boolean): Call<string[][]> {
  const t = yield* now();
  const cells = items.map((e) => [...(all ? [e.metadata.namespace ?? ''] : []), ageText(e as never, t), e.type, e.reason, `${e.involvedObject.kind}/${e.involvedObject.name}`, String(e.message).trim()]);
  return headers ? [[...(all ? ['NAMESPACE'] : []), 'LAST SEEN', 'TYPE', 'REASON', 'OBJECT', 'MESSAGE'], ...cells] : cells;
}
