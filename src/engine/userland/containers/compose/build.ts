/** Images of services built by the daemon, each step told with the service's name. Source: docker/compose pkg/compose/build.go, build_buildkit.go. */
import { entry, writeTar } from '../tar.ts';
import { statOf } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { bytes } from '../../../sim/text.ts';
import { follow } from '../docker/cli/build.ts';
import { HIDDEN, readContext } from '../docker/cli/context.ts';
import { Stop, stream } from '../docker/cli/client.ts';
import { imageOf, LABEL, VERSION } from './body.ts';
import { BUILD_FAILED, ComposeError, type Dict } from './document.ts';
import type { Project } from './project.ts';
import type { Session } from './session.ts';

export interface BuildOptions {
  noCache?: boolean;
  args?: Dict;
  quiet?: boolean;
}

/** In order of dependencies. Throws ComposeError. */
export function* buildServices(s: Session, p: Project, names: readonly string[], o: BuildOptions): Call<void> {
  for (const name of names) yield* buildOne(s, p, name, o);
}

function* buildOne(s: Session, p: Project, name: string, o: BuildOptions): Call<void> {
  const b: Dict = p.services[name]!.build;
  const context = String(b.context);
  if (/^(https?|git|ssh):/.test(context)) throw new ComposeError(`not modelled: building from ${context}`);
  if (!(yield* statOf(context))) throw new ComposeError(`unable to prepare context: path ${JSON.stringify(context)} not found`, BUILD_FAILED);
  const inline = b.dockerfile_inline === undefined ? undefined : String(b.dockerfile_inline);
  const found = yield* readContext(context, inline === undefined && b.dockerfile !== 'Dockerfile' ? String(b.dockerfile) : undefined);
  const all = inline === undefined ? found.entries : [...found.entries, entry(`${HIDDEN}/Dockerfile`, { data: bytes(inline) })];
  const args = Object.fromEntries(Object.entries({ ...(b.args ?? {}), ...(o.args ?? {}) } as Dict).map(([k, v]) => [k, v ?? p.environment[k] ?? '']));
  const image = imageOf(p, name);
  const query = {
    version: '2', t: [image, ...((b.tags ?? []) as string[])].join(','), dockerfile: inline === undefined ? found.dockerfile : `${HIDDEN}/Dockerfile`, hidden: inline !== undefined || found.hidden ? 1 : undefined, ignore: found.ignore, target: b.target, nocache: o.noCache || b.no_cache ? 1 : undefined, buildargs: JSON.stringify(args),
    labels: JSON.stringify({ ...(b.labels ?? {}), [LABEL.project]: p.name, [LABEL.service]: name, [LABEL.version]: VERSION }),
  };
  try {
    yield* follow(yield* stream(s.client, 'POST', '/build', { raw: writeTar(all), query }), { classic: false, quiet: o.quiet === true, live: s.mode === 'tty', prefix: name });
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    throw new ComposeError(error.message.replace(/^ERROR: /, ''), BUILD_FAILED);
  }
}
