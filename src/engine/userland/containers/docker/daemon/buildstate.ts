/**
 * An image in the making: configuration, layers, history, and the files that its layers come to. Pure, so that the lab's own
 * images are made by the same code before any machine runs. Source: moby image spec; OCI layer.md (whiteouts).
 */
import { text } from '../../../../sim/text.ts';
import { digestOf, type ImageConfig } from '../../oci.ts';
import { readTar, type TarEntry, writeTar } from '../../tar.ts';
import type { Any } from './state.ts';

export interface Layer {
  tar: Uint8Array;
  diffId: string;
}

export interface Built {
  config: ImageConfig['config'] & Any;
  layers: Layer[];
  history: ImageConfig['history'];
  /** What it was made from: the key of the cache. */
  key: string;
  /** An image of it in the store, or empty. */
  image: string;
  /** ARG of this stage and the stages below it, without a value too. */
  args: Map<string, string | undefined>;
  /** MAINTAINER. */
  author?: string;
  /** CMD was given after FROM. */
  cmdGiven?: true;
}

export const USUAL_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const scratch = (): Built => ({ config: { Env: [USUAL_PATH], WorkingDir: '/' }, layers: [], history: [], key: 'scratch', image: '', args: new Map() });

export const copyOf = (b: Built): Built => ({ ...b, config: { ...b.config }, layers: b.layers.slice(), history: b.history.slice(), args: new Map(b.args) });

/** ARG that have a value. */
export const valued = (built: Built): [string, string][] => [...built.args].flatMap(([k, v]): [string, string][] => (v === undefined ? [] : [[k, v]]));

/** Variables that words of the next instruction see: ENV over ARG. */
export const environment = (built: Built): Map<string, string> =>
  new Map([...valued(built), ...((built.config.Env ?? []) as string[]).map((e): [string, string] => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)])]);

export const shellOf = (built: Built): string[] => built.config.Shell ?? ['/bin/sh', '-c'];

/** Adds a step to the history, and its layer when it makes one. */
export function finishStep(built: Built, by: string, tar: Uint8Array | null, created: string, classic: boolean): void {
  built.history.push({ created, created_by: by, ...(classic ? {} : { comment: 'buildkit.dockerfile.v0' }), ...(tar === null ? { empty_layer: true } : {}) });
  if (tar) built.layers.push({ tar, diffId: digestOf(tar) });
}

const read = new WeakMap<Uint8Array, TarEntry[]>();

function entriesOf(tar: Uint8Array): TarEntry[] {
  const known = read.get(tar) ?? readTar(tar);
  read.set(tar, known);
  return known;
}

export type Files = ReadonlyMap<string, TarEntry>;

/** Every file of an image by its path, whiteouts applied. */
export function filesOf(built: Built): Files {
  const files = new Map<string, TarEntry>();
  const drop = (path: string): void => {
    for (const other of [...files.keys()]) if (other.startsWith(`${path}/`) || path === '') files.delete(other);
  };
  for (const layer of built.layers) {
    for (const e of entriesOf(layer.tar)) {
      const slash = e.name.lastIndexOf('/');
      const dir = e.name.slice(0, Math.max(0, slash));
      const base = e.name.slice(slash + 1);
      if (base === '.wh..wh..opq') drop(dir);
      else if (base.startsWith('.wh.')) {
        const path = dir === '' ? base.slice(4) : `${dir}/${base.slice(4)}`;
        files.delete(path);
        drop(path);
      } else {
        if (e.type !== 'dir' && files.get(e.name)?.type === 'dir') drop(e.name);
        files.set(e.name, e);
      }
    }
  }
  return files;
}

/** Where a path leads in an image, links on the way followed; its last part too when `last`. Without a leading slash. */
export function follow(files: Files, path: string, last: boolean): string {
  let parts = path.split('/').filter((p) => p !== '' && p !== '.');
  const at: string[] = [];
  for (let hops = 0; parts.length > 0; ) {
    const part = parts.shift()!;
    if (part === '..') {
      at.pop();
      continue;
    }
    const entry = files.get([...at, part].join('/'));
    if (entry?.type !== 'link' || (parts.length === 0 && !last) || ++hops > 40) at.push(part);
    else {
      parts = [...entry.target.split('/').filter((p) => p !== '' && p !== '.'), ...parts];
      if (entry.target.startsWith('/')) at.length = 0;
    }
  }
  return at.join('/');
}

export interface Owner {
  /** Null where the image does not know the name. */
  uid: number | null;
  gid: number | null;
  /** The user's own group. */
  usual: number | null;
}

/** "name", "name:group", numbers, as in the image's /etc/passwd and /etc/group. */
export function ownerOf(files: Files, owner: string): Owner {
  const [user = '', group] = owner.split(':');
  const find = (file: string, name: string, column: number): number | null => {
    const target = files.get(follow(files, file, true));
    const row = target && text(target.data).split('\n').find((l) => l.split(':')[0] === name);
    return row ? Number(row.split(':')[column]) : null;
  };
  const uid = /^\d+$/.test(user) ? Number(user) : find('etc/passwd', user, 2);
  const usual = /^\d+$/.test(user) ? uid : find('etc/passwd', user, 3);
  if (group === undefined) return { uid, gid: usual ?? 0, usual };
  return { uid, gid: /^\d+$/.test(group) ? Number(group) : find('etc/group', group, 2), usual };
}

export const layerOf = (entries: readonly TarEntry[]): Uint8Array => writeTar(entries);
