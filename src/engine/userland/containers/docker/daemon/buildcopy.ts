/** COPY and ADD: which files a source names, where each comes to lie, whose it is, and archives that unpack. Source: buildkit solver/llbsolver/file, tonistiigi/fsutil copy; docs.docker.com. */
import { bytes } from '../../../../sim/text.ts';
import { digestOf, inflate } from '../../oci.ts';
import { entry, readTar, type TarEntry, TarError, writeTar } from '../../tar.ts';
import { filled, nop, type Scope } from './buildconfig.ts';
import { type Built, environment, type Files, filesOf, follow, ownerOf } from './buildstate.ts';
import { BadDockerfile, flagOf, type Instruction, words } from './dockerfile.ts';
import { fillIn } from './expand.ts';
import { Refused } from './state.ts';

/** A file or a directory with all below it; the first entry is what was named. */
export interface Source {
  name: string;
  entries: TarEntry[];
}

export interface Copied {
  entries: TarEntry[];
  by: string;
}

/** "*", "?", "[a-z]" within one part of a path, as Go's filepath.Match. */
export function globOf(pattern: string): RegExp {
  let out = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]!;
    const end = c === '[' ? pattern.indexOf(']', i + 2) : -1;
    if (c === '*') out += '[^/]*';
    else if (c === '?') out += '[^/]';
    else if (end > 0) {
      out += `[${pattern.slice(i + 1, end).replace(/\\/g, '\\\\')}]`;
      i = end;
    } else if (c === '\\' && i + 1 < pattern.length) out += pattern[++i]!.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    else out += c.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  }
  try {
    return new RegExp(`^${out}$`, 's');
  } catch {
    return /^(?!)/;
  }
}

const cleanPath = (path: string): string => {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
};

/** What a pattern names among files. Nothing when nothing is named so. */
export function sourcesIn(all: readonly TarEntry[], files: Files, pattern: string): Source[] {
  const clean = cleanPath(pattern);
  const below = (name: string): TarEntry[] => all.filter((e) => e.name.startsWith(`${name}/`));
  if (clean === '') return [{ name: '', entries: [entry('', { type: 'dir', mode: 0o755 }), ...all.filter((e) => e.name !== '')] }];
  if (!/[*?[\\]/.test(clean)) {
    const real = follow(files, clean, true);
    const found = files.get(real);
    if (!found && below(real).length === 0) return [];
    const head = found ?? entry(real, { type: 'dir', mode: 0o755 });
    const base = clean.split('/').pop()!;
    return [{ name: base, entries: [{ ...whole(head, files), name: base }, ...below(real).map((e) => ({ ...whole(e, files), name: `${base}${e.name.slice(real.length)}` }))] }];
  }
  const test = globOf(clean);
  return [...files.keys()].filter((name) => test.test(name)).sort().map((name) => {
    const base = name.split('/').pop()!;
    return { name: base, entries: [{ ...whole(files.get(name)!, files), name: base }, ...below(name).map((e) => ({ ...whole(e, files), name: `${base}${e.name.slice(name.length)}` }))] };
  });
}

/** A hard link by itself is a file. */
function whole(e: TarEntry, files: Files): TarEntry {
  const first = e.type === 'hardlink' ? files.get(cleanPath(e.target)) : undefined;
  return first ? { ...e, type: 'file', target: '', data: first.data } : e;
}

/** 25 letters and digits, as BuildKit names its layers. */
const layerName = (key: string): string => digestOf(key).slice(7, 32);

interface Target {
  /** Without a leading slash. */
  path: string;
  isDir: boolean;
}

function targetOf(built: Built, files: Files, text: string): Target {
  const absolute = text.startsWith('/') ? text : `${built.config.WorkingDir || ''}/${text}`;
  const path = follow(files, absolute, true);
  const there = files.get(path);
  return { path, isDir: path === '' || text === '.' || text.endsWith('/') || text.endsWith('/.') || there?.type === 'dir' };
}

const under = (dir: string, name: string): string => (dir === '' ? name : name === '' ? dir : `${dir}/${name}`);

function isArchive(data: Uint8Array): boolean {
  try {
    return data.length >= 512 && readTar(inflate(data)).length > 0;
  } catch (error) {
    if (error instanceof TarError) return false;
    throw error;
  }
}

function placed(s: Source, t: Target, files: Files, unpack: boolean): TarEntry[] {
  const head = s.entries[0]!;
  if (head.type === 'dir') {
    const there = files.get(t.path);
    const dir = t.path === '' || there?.type === 'dir' ? [] : [entry(t.path, { type: 'dir', mode: head.mode || 0o755, mtime: head.mtime })];
    return [...dir, ...s.entries.slice(1).map((e) => ({ ...e, name: under(t.path, s.name === '' ? e.name : e.name.slice(s.name.length + 1)) }))];
  }
  if (unpack && head.type === 'file' && isArchive(head.data)) return readTar(inflate(head.data)).filter((e) => e.name !== '' && !e.name.split('/').includes('..')).map((e) => ({ ...e, name: under(t.path, e.name), target: e.type === 'hardlink' ? under(t.path, e.target) : e.target }));
  return [{ ...head, name: t.isDir ? under(t.path, s.name) : t.path }];
}

/** The directories above: as they are below, since a layer says what its directories are like, or new. */
function parents(entries: readonly TarEntry[], files: Files): { there: TarEntry[]; made: TarEntry[] } {
  const have = new Set(entries.map((e) => e.name));
  const out: { there: TarEntry[]; made: TarEntry[] } = { there: [], made: [] };
  for (const e of entries) {
    const parts = e.name.split('/').slice(0, -1);
    for (let i = 1; i <= parts.length; i++) {
      const dir = parts.slice(0, i).join('/');
      if (have.has(dir)) continue;
      have.add(dir);
      const below = files.get(dir);
      if (below?.type === 'dir') out.there.push(below);
      else out.made.push(entry(dir, { type: 'dir', mode: 0o755 }));
    }
  }
  return out;
}

function modeOf(text: string, one: Instruction): number {
  if (!/^[0-7]{1,5}$/.test(text)) throw new BadDockerfile(`invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`, one.from);
  return Number.parseInt(text, 8);
}

/** The entries of the layer that a COPY or ADD makes. `find` gives what a source names. Throws BadDockerfile, Refused. */
export function copyEntries(scope: Scope, built: Built, one: Instruction, all: readonly string[], found: ReadonlyMap<string, Source[]>): Copied {
  const target = all.at(-1)!;
  const names = all.slice(0, -1);
  const files = filesOf(built);
  const t = targetOf(built, files, target);
  const unpack = one.word === 'ADD';
  const entries: TarEntry[] = [];
  for (const name of names) {
    const doc = heredocOf(one, name);
    const sources = doc ? [{ name: doc.name, entries: [entry(doc.name, { data: bytes(doc.expand ? fillIn(doc.content, environment(built), scope.escape) : doc.content) })] }] : (found.get(name) ?? []);
    for (const s of sources) {
      const there = entries.findLast((e) => e.name === t.path) ?? files.get(t.path);
      if (!scope.classic && s.entries[0]!.type === 'dir' && there && there.type !== 'dir') throw new Refused(400, `cannot copy to non-directory: /var/lib/docker/overlay2/${layerName(built.key)}/merged/${t.path}`);
      entries.push(...placed(s, sources.length > 1 || (scope.classic && names.length > 1) ? { ...t, isDir: true } : t, files, unpack));
    }
  }
  const owner = flagOf(one, 'chown') === undefined ? null : ownerIn(files, filled(flagOf(one, 'chown')!, built, one, scope.escape), scope.classic);
  const mode = flagOf(one, 'chmod') === undefined ? null : modeOf(filled(flagOf(one, 'chmod')!, built, one, scope.escape), one);
  const fromStage = flagOf(one, 'from') !== undefined;
  const own = (e: TarEntry, given: boolean): TarEntry => ({ ...e, ...(owner ? { uid: owner[0], gid: owner[1] } : fromStage || !given ? {} : { uid: 0, gid: 0 }), ...(mode !== null && given && e.type !== 'link' ? { mode } : {}) });
  const last = new Map(entries.map((e) => [e.name, e]));
  const kept = [...last.values()];
  const above = parents(kept, files);
  const owned = [...above.there, ...above.made.map((e) => own(e, false)), ...kept.map((e) => own(e, true))].sort((a, b) => (a.name < b.name ? -1 : 1));
  const shown = `${one.word} ${[...one.flags.filter((f) => !f.startsWith('--from=')), ...names.map((n) => (heredocOf(one, n) ? `<<${heredocOf(one, n)!.name}` : n))].join(' ')} ${target}`;
  const content = digestOf(writeTar(owned)).slice(7);
  return { entries: owned, by: nop(scope.classic, built, `${one.word} ${names.length > 1 ? 'multi' : entries.some((e) => e.type === 'dir') ? 'dir' : 'file'}:${content} in ${target} `, `${shown} # buildkit`) };
}

/** Names that the image does not know are root to BuildKit, a fault to the classic builder. */
function ownerIn(files: Files, owner: string, classic: boolean): [number, number] {
  const found = ownerOf(files, owner);
  const [user = '', group] = owner.split(':');
  if (classic && found.uid === null) throw new Refused(400, `unable to convert uid/gid chown string to host mapping: can't find uid for user ${user}: no such user: ${user}`);
  if (classic && found.gid === null) throw new Refused(400, `unable to convert uid/gid chown string to host mapping: can't find gid for group ${group}: no such group: ${group}`);
  return [found.uid ?? 0, found.gid ?? found.usual ?? 0];
}

export const heredocOf = (one: Instruction, name: string): Instruction['heredocs'][number] | undefined => {
  const m = /^<<-?["']?([A-Za-z_][\w.]*)["']?$/.exec(name);
  return m ? one.heredocs.find((h) => h.name === m[1]) : undefined;
};

/** Sources and target of a COPY or ADD, variables put in. */
export function copyWords(scope: Scope, built: Built, one: Instruction): string[] {
  return words(one.rest).map((w) => (heredocOf(one, w) ? w : filled(w, built, one, scope.escape)));
}
