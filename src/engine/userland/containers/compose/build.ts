/** Images of services built by the daemon, each step told with the service's name. Source: docker/compose pkg/compose/build.go, build_buildkit.go. */
import { writeTar, entry } from '../tar.ts';
import { statOf } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { bytes } from '../../../sim/text.ts';
import { contextOf, follow } from '../docker/cli/build.ts';
import { stream } from '../docker/cli/client.ts';
import { Stop } from '../docker/cli/client.ts';
import { imageOf, LABEL } from './body.ts';
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
  const entries = yield* contextOf(context, inline === undefined && b.dockerfile !== 'Dockerfile' ? String(b.dockerfile) : undefined);
  const all = inline === undefined ? entries : [...entries.filter((e) => e.name !== 'Dockerfile'), entry('Dockerfile', { data: bytes(inline) })];
  const args = Object.fromEntries(Object.entries({ ...(b.args ?? {}), ...(o.args ?? {}) } as Dict).map(([k, v]) => [k, v ?? p.environment[k] ?? '']));
  const image = imageOf(p, name);
  const query = {
    version: '2', t: [image, ...((b.tags ?? []) as string[])].join(','), dockerfile: String(b.dockerfile ?? 'Dockerfile').split('/').pop(), target: b.target, nocache: o.noCache || b.no_cache ? 1 : undefined, buildargs: JSON.stringify(args), title: name,
    labels: JSON.stringify({ ...(b.labels ?? {}), [LABEL.project]: p.name, [LABEL.service]: name, [LABEL.version]: '2.26.1' }),
  };
  try {
    yield* follow(yield* stream(s.client, 'POST', '/build', { raw: writeTar(all), query }), { classic: false, quiet: o.quiet === true, live: s.mode === 'tty' });
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    throw new ComposeError(error.message.replace(/^ERROR: /, ''), BUILD_FAILED);
  }
}
