/** What things are called in the pictures of containers, and how one is recognised as another. */
import type { ContainerRow, ProcessRow } from '../../../bridge/rows.ts';

/** The machine that the scene shows. */
export const HOST = 'lab';

/** Is this container meant by a name, an id or the beginning of one? */
export const same = (name: string, one: ContainerRow): boolean => name === one.name || name === one.id || (name.length >= 12 && one.id.startsWith(name));

/** docker-4f1d8a….scope */
export const shorten = (name: string): string => name.replace(/^((?:docker|cri-containerd)-)([0-9a-f]{6})[0-9a-f]{58}(\.scope)$/, '$1$2…$3').replace(/^([0-9a-f]{12})[0-9a-f]{52}$/, '$1…');

/** sha256:… to its first digits, as docker prints it. */
export const digest = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);

export const killer = (one: ProcessRow): string => (one.killedBy === 'oom' ? 'OOM' : /^\d+$/.test(one.killedBy) ? `by ${one.killedBy}` : one.killedBy);

/** Of those that ended, what is worth a row: killed for memory, or a container's own process that failed; not what runtimes leave behind. */
export const matters = (one: ProcessRow): boolean => one.exit !== null && (one.killedBy === 'oom' || (one.container !== '' && one.exit !== 0 && !/^runc/.test(one.comm)));

/** The last part of a path, and what stands before it. */
export function parts(path: string): { dir: string; base: string } {
  const slash = path.lastIndexOf('/');
  return { dir: path.slice(0, slash) || '/', base: path.slice(slash + 1) || '/' };
}
