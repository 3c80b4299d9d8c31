/** RUN --mount: cache, tmpfs, secret, and bind from the context or a stage; and the empty directories that mounting leaves. Source: docs.docker.com dockerfile reference, "RUN --mount". */
import { mkdirAll, removeAll, writeFile } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { hexOf } from '../../oci.ts';
import { findImage, unpack } from '../../store.ts';
import type { TarEntry } from '../../tar.ts';
import { filled, type Scope } from './buildconfig.ts';
import { builtFrom, type Context } from './buildcontext.ts';
import { sourcesIn } from './buildcopy.ts';
import { type Built, type Files, filesOf } from './buildstate.ts';
import { BadDockerfile, type Instruction, nearest } from './dockerfile.ts';
import { newId } from './record.ts';
import { type Any, type Daemon, Refused, ROOT } from './state.ts';

export interface Mounts {
  mounts: Any[];
  /** Where they lie, without the leading slash. */
  targets: string[];
  /** Takes away what was laid out for them. */
  done(): Call<void>;
}

const KEYS = ['type', 'from', 'source', 'src', 'target', 'dst', 'destination', 'readonly', 'ro', 'readwrite', 'rw', 'id', 'sharing', 'required', 'size', 'mode', 'uid', 'gid', 'env'];

function fieldsOf(spec: string, one: Instruction): Record<string, string> {
  const out: Record<string, string> = {};
  for (const part of spec.split(',')) {
    const cut = part.indexOf('=');
    const key = (cut < 0 ? part : part.slice(0, cut)).toLowerCase();
    if (!KEYS.includes(key)) throw new BadDockerfile(`unexpected key '${key}' in '${part}'`, one.from);
    out[{ src: 'source', dst: 'target', destination: 'target', ro: 'readonly', rw: 'readwrite' }[key] ?? key] = cut < 0 ? 'true' : part.slice(cut + 1);
  }
  return { type: 'bind', ...out };
}

const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];

/** The fields of each mount that a RUN asks for. Throws BadDockerfile. */
export function mountsOf(scope: Scope, built: Built, one: Instruction): { fields: Record<string, string>; target: string }[] {
  return one.flags.filter((f) => f.startsWith('--mount=')).map((flag) => {
    const fields = fieldsOf(filled(flag.slice(8), built, one, scope.escape), one);
    if (!TYPES.includes(fields.type!)) {
      const near = nearest(fields.type!, TYPES);
      throw new BadDockerfile(`unsupported mount type ${JSON.stringify(fields.type)}${near ? ` (did you mean ${near}?)` : ''}`, one.from);
    }
    const target = fields.target ?? (fields.type === 'secret' ? `/run/secrets/${fields.id ?? ''}` : fields.type === 'ssh' ? '' : undefined);
    if (target === undefined) throw new BadDockerfile('target is required', one.from);
    return { fields, target };
  });
}

export function* runMounts(daemon: Daemon, context: Context, built: Built, one: Instruction): Call<Mounts> {
  const scratchDirs: string[] = [];
  const out: Mounts = { mounts: [], targets: [], *done() { for (const dir of scratchDirs) yield* removeAll(dir); } };
  for (const { fields: m, target } of mountsOf(context, built, one)) {
    const absolute = target.startsWith('/') ? target : `${built.config.WorkingDir || ''}/${target}`;
    const add = (mount: Any): void => {
      out.mounts.push({ Target: absolute, ...mount });
      out.targets.push(absolute.split('/').filter((p) => p !== '').join('/'));
    };
    if (m.type === 'tmpfs') add({ Type: 'tmpfs' });
    else if (m.type === 'cache') {
      const dir = `${ROOT}/buildkit/cache/${hexOf(m.id ?? absolute)}`;
      yield* mkdirAll(dir);
      add({ Type: 'bind', Source: dir, ReadOnly: m.readonly === 'true' });
    } else if (m.type === 'secret') {
      const value = context.secrets[m.id ?? ''];
      if (value === undefined) {
        if (m.required === 'true') throw new Refused(400, `secret ${m.id ?? ''}: not found`);
        continue;
      }
      const dir = yield* room(scratchDirs);
      yield* writeFile(`${dir}/secret`, value, m.mode ? Number.parseInt(m.mode, 8) : 0o400);
      add({ Type: 'bind', Source: `${dir}/secret`, ReadOnly: true });
    } else if (m.type === 'bind') {
      const dir = yield* room(scratchDirs);
      add({ Type: 'bind', Source: yield* laidOut(daemon, context, m, dir), ReadOnly: m.readwrite !== 'true' });
    } else throw new BadDockerfile(m.type === 'ssh' ? 'not modelled: RUN --mount=type=ssh' : `dockerfile parse error on line ${one.from}: unsupported mount type ${JSON.stringify(m.type)}`, one.from);
  }
  return out;
}

function* room(dirs: string[]): Call<string> {
  const dir = `${ROOT}/buildkit/mounts/${yield* newId(16)}`;
  yield* mkdirAll(dir);
  dirs.push(dir);
  return dir;
}

/** Files of the context or a stage, in a directory; the path of what was named. */
function* laidOut(daemon: Daemon, context: Context, m: Record<string, string>, dir: string): Call<string> {
  let entries: readonly TarEntry[] = context.entries;
  if (m.from !== undefined) {
    const image = findImage(daemon.store, m.from);
    const stage = context.stages.get(m.from.toLowerCase()) ?? (image ? yield* builtFrom(daemon, image) : null);
    if (!stage) throw new Refused(404, `${m.from}: not found`);
    entries = [...filesOf(stage).values()];
  }
  const [found] = sourcesIn(entries, new Map(entries.map((e) => [e.name, e])), m.source ?? '/');
  if (!found) throw new Refused(404, `${JSON.stringify(m.source)}: not found`);
  yield* unpack(found.entries.filter((e) => e.name !== ''), dir);
  return found.name === '' ? dir : `${dir}/${found.name}`;
}

/** A layer without the empty directories and files that were made only to mount on. */
export function tidy(entries: readonly TarEntry[], targets: readonly string[], before: Files): TarEntry[] {
  let out = entries.slice();
  for (const target of targets) {
    const parts = target.split('/');
    for (let i = parts.length; i > 0; i--) {
      const path = parts.slice(0, i).join('/');
      if (before.has(path) || out.some((e) => e.name.startsWith(`${path}/`))) break;
      out = out.filter((e) => e.name !== path || e.data.length > 0);
    }
  }
  return out;
}

