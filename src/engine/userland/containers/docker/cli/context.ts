/**
 * What goes to the daemon as a build's context: everything below a directory but what .dockerignore names, or a tar from
 * standard input. Source: moby patternmatcher; docs.docker.com, ".dockerignore file".
 */
import { text } from '../../../../sim/text.ts';
import { isDir, list, readBytes, statOf, tryRead } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { inflate } from '../../oci.ts';
import { entry, readTar, type TarEntry, TarError } from '../../tar.ts';
import { gather } from './copy.ts';
import { Stop } from './client.ts';

export interface BuildContext {
  entries: TarEntry[];
  /** Name of the Dockerfile among the entries. */
  dockerfile: string;
  /** The Dockerfile is none of the context's files. */
  hidden: boolean;
  /** Bytes of .dockerignore, or 2 for none, as BuildKit tells. */
  ignore: number;
  /** The context came as a tar. */
  remote: boolean;
}

export interface Ignore {
  test: RegExp;
  no: boolean;
}

/** Lines of .dockerignore; the last that fits a path decides. */
export function readIgnore(source: string): Ignore[] {
  return source.replace(/^\uFEFF/, '').split('\n').map((l) => l.trim()).filter((l) => l !== '' && !l.startsWith('#')).flatMap((line) => {
    const no = line.startsWith('!');
    const parts: string[] = [];
    for (const part of line.slice(no ? 1 : 0).trim().split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    const pattern = parts.join('/');
    return pattern === '' ? [] : [{ test: patternOf(pattern), no }];
  });
}

/** "**" is any number of directories, "*" and "?" stay in one; what is below a match matches. */
function patternOf(pattern: string): RegExp {
  let out = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]!;
    if (c === '*' && pattern[i + 1] === '*') {
      i++;
      if (pattern[i + 1] === '/') i++;
      out += i + 1 >= pattern.length ? '.*' : '(.*/)?';
    } else if (c === '*') out += '[^/]*';
    else if (c === '?') out += '[^/]';
    else if (c === '[' && pattern.indexOf(']', i + 2) > 0) {
      const end = pattern.indexOf(']', i + 2);
      out += pattern.slice(i, end + 1).replace(/\\/g, '\\\\');
      i = end;
    } else if (c === '\\' && i + 1 < pattern.length) out += pattern[++i]!.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    else out += c.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  }
  try {
    return new RegExp(`^${out}(/|$)`, 's');
  } catch {
    throw new Stop(`ERROR: failed to solve: syntax error in pattern: ${pattern}`);
  }
}

export function isIgnored(name: string, patterns: readonly Ignore[]): boolean {
  let out = false;
  for (const p of patterns) if (p.test.test(name)) out = !p.no;
  return out;
}

/** Everything below a path. A Dockerfile from elsewhere is put beside under its own name. */
export function* contextOf(path: string, dockerfile: string | undefined): Call<TarEntry[]> {
  return (yield* readContext(path, dockerfile)).entries;
}

export function* readContext(path: string, dockerfile: string | undefined): Call<BuildContext> {
  const name = dockerfile === undefined ? 'Dockerfile' : dockerfile.split('/').pop()!;
  const from = dockerfile === undefined ? `${path}/Dockerfile` : dockerfile.startsWith('/') ? dockerfile : (yield* statOf(`${path}/${dockerfile}`)) ? `${path}/${dockerfile}` : dockerfile;
  const source = (yield* tryRead(`${from}.dockerignore`)) ?? (yield* tryRead(`${path}/.dockerignore`));
  const patterns = readIgnore(source ?? '');
  const all: TarEntry[] = [];
  for (const one of yield* list(path)) yield* gather(`${path}/${one.name}`, one.name, all);
  const wanted = all.filter((e) => !isIgnored(e.name, patterns));
  const dirs = new Set(wanted.flatMap((e) => e.name.split('/').slice(0, -1).map((_, i, parts) => parts.slice(0, i + 1).join('/'))));
  const kept = all.filter((e) => wanted.includes(e) || dirs.has(e.name)).map((e) => ({ ...e, uid: 0, gid: 0 }));
  const ignore = source === null ? 2 : source.length + 31 + '.dockerignore'.length;
  const inside = kept.some((e) => e.name === name) && from === `${path}/${name}`;
  if (inside) return { entries: kept, dockerfile: name, hidden: false, ignore, remote: false };
  const stat = yield* statOf(from);
  const others = from === `${path}/${name}` ? kept : kept.filter((e) => e.name !== HIDDEN);
  if (!stat || isDir(stat)) return { entries: others.filter((e) => e.name !== name || from.startsWith(`${path}/`)), dockerfile: stat ? name : `${name}`, hidden: false, ignore, remote: false };
  return { entries: [...others, entry(`${HIDDEN}/${name}`, { mode: stat.mode & 0o777, data: yield* readBytes(from) })], dockerfile: `${HIDDEN}/${name}`, hidden: true, ignore, remote: false };
}

/** Where a Dockerfile lies that is not of the context. */
export const HIDDEN = '.dockerfile-of-the-build';

/** Standard input: a tar, gzipped or not, is the context; other text is a Dockerfile without one. */
export function inputContext(data: Uint8Array, dockerfile: string | undefined): BuildContext {
  try {
    const plain = inflate(data);
    if (plain !== data || text(plain.subarray(257, 262)) === 'ustar') return { entries: readTar(plain), dockerfile: dockerfile ?? 'Dockerfile', hidden: false, ignore: 2, remote: true };
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    throw new Stop(`ERROR: failed to solve: ${error.message}`);
  }
  if (dockerfile !== undefined) throw new Stop('ERROR: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles');
  return { entries: [entry(`${HIDDEN}/Dockerfile`, { data })], dockerfile: `${HIDDEN}/Dockerfile`, hidden: true, ignore: 2, remote: false };
}
