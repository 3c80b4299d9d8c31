/**
 * uid_map, gid_map and setgroups of a user namespace: text, and the rules of writing them. A map is written once, whole; without
 * CAP_SETUID (CAP_SETGID) over the parent only the writer's own id can be mapped, and a group only after setgroups is "deny".
 * Source: user_namespaces(7).
 */
import { PAGE } from '../../../sim/units.ts';
import { SysError } from '../../abi.ts';
import { idInside, nsCapable } from '../../credentials.ts';
import type { IdMap, Task, UserNamespace } from '../../records.ts';

type Which = 'uidMap' | 'gidMap' | 'projidMap';

const MAX_LINES = 340;

/** As the reader's namespace sees it: outside ids of the namespace above when they are the same, else of the reader's. */
export function mapText(ns: UserNamespace, which: Which, viewer: Task): string {
  return (ns[which] ?? (ns.parent ? [] : WHOLE))
    .map((one) => {
      const outside = viewer.ns.user === ns || !ns.parent ? one.outside : outsideFor(ns.parent, one.outside, which, viewer);
      return `${String(one.inside).padStart(10)} ${String(outside).padStart(10)} ${String(one.count).padStart(10)}\n`;
    })
    .join('');
}

const WHOLE: readonly IdMap[] = [{ inside: 0, outside: 0, count: 4294967295 }];

function outsideFor(parent: UserNamespace, id: number, which: Which, viewer: Task): number {
  if (viewer.ns.user === parent) return id;
  return which === 'projidMap' ? id : (idInside(viewer.ns.user, id, which) ?? 4294967295);
}

function parse(text: string): IdMap[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0 || lines.length > MAX_LINES) throw new SysError('EINVAL');
  const maps = lines.map((line) => {
    const parts = line.trim().split(/\s+/);
    if (parts.length !== 3 || parts.some((part) => !/^\d+$/.test(part))) throw new SysError('EINVAL');
    const [inside, outside, count] = parts.map(Number) as [number, number, number];
    if (count === 0 || inside + count > 4294967295 || outside + count > 4294967295) throw new SysError('EINVAL');
    return { inside, outside, count };
  });
  for (const [i, a] of maps.entries()) {
    for (const b of maps.slice(i + 1)) {
      if (a.inside < b.inside + b.count && b.inside < a.inside + a.count) throw new SysError('EINVAL');
      if (a.outside < b.outside + b.count && b.outside < a.outside + a.count) throw new SysError('EINVAL');
    }
  }
  return maps;
}

/** Throws EPERM, EINVAL. */
export function writeMap(ns: UserNamespace, which: Which, writer: Task, text: string): void {
  const { parent } = ns;
  if (text.length >= PAGE) throw new SysError('EINVAL');
  if (!parent || ns[which]) throw new SysError('EPERM');
  if (writer.ns.user !== ns && writer.ns.user !== parent) throw new SysError('EPERM');
  if (which !== 'projidMap' && !nsCapable(writer, ns, 'sys_admin')) throw new SysError('EPERM');
  const maps = parse(text);
  if (which !== 'projidMap' && !nsCapable(writer, parent, which === 'uidMap' ? 'setuid' : 'setgid')) requireOwnId(ns, parent, which, writer, maps);
  for (const one of maps) if (parent.parent && !covered(parent, which, one)) throw new SysError('EPERM');
  ns[which] = maps;
}

function requireOwnId(ns: UserNamespace, parent: UserNamespace, which: 'uidMap' | 'gidMap', writer: Task, maps: readonly IdMap[]): void {
  const own = idInside(parent, which === 'uidMap' ? writer.cred.euid : writer.cred.egid, which);
  if (maps.length !== 1 || maps[0]!.count !== 1 || maps[0]!.outside !== own) throw new SysError('EPERM');
  if (which === 'gidMap' && ns.setgroups !== 'deny') throw new SysError('EPERM');
}

function covered(parent: UserNamespace, which: Which, one: IdMap): boolean {
  return (parent[which] ?? []).some((map) => one.outside >= map.inside && one.outside + one.count <= map.inside + map.count);
}

/** Refused at open(2) already. */
export function requireMaySetgroups(ns: UserNamespace, writer: Task): void {
  if (!nsCapable(writer, ns, 'sys_admin')) throw new SysError('EACCES');
}

/** "deny" only before the group map is written; "allow" only while it is allowed. */
export function writeSetgroups(ns: UserNamespace, writer: Task, text: string): void {
  const word = text.trim();
  if (word !== 'allow' && word !== 'deny') throw new SysError('EINVAL');
  if (word === 'deny' && ns.gidMap) throw new SysError('EPERM');
  if (word === 'allow' && ns.setgroups === 'deny') throw new SysError('EPERM');
  ns.setgroups = word;
}
