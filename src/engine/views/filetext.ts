/**
 * The text of one file as root of the machine would read it, line by line: of /proc, of /sys/fs/cgroup, or of the disk. Reading
 * changes nothing: files whose reading would settle an account (cpu.stat, *.pressure) are read from a copy of the group.
 */
import type { FileLineRow } from '../../bridge/rows.ts';
import { CGROUP_FILES } from '../kernel/cgroup/files.ts';
import type { Cgroup } from '../kernel/cgroup/types.ts';
import type { Kernel, Task } from '../kernel/records.ts';
import type { Node } from '../kernel/vfs/pseudo.ts';
import { procRoot } from '../kernel/vfs/proc.ts';
import { text } from '../sim/text.ts';
import { groupAt } from './cgroupresources.ts';
import { entriesOf, entryAt, textAt } from './disk.ts';
import { columns, kernelsOf, type View } from './view.ts';

const MOST = 400;
const CGROUP = '/sys/fs/cgroup';
const BY_NAME = new Map(CGROUP_FILES.map((file) => [file.name, file]));

export const fileText: View = {
  doc: 'The lines of a file (or the names in a directory) of /proc, /sys/fs/cgroup or the disk, as root of the machine reads them; none when it is not there. The first 400.',
  arg: 'host, path',
  columns: columns(`
    n [count]: line, from 1
    text: the line
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    const path = String(arg.path ?? '');
    const reader = kernel?.tasks.get(1);
    if (!kernel || !reader || !path.startsWith('/')) return [];
    const content = read(kernel, reader, path);
    if (content === null || content === '') return [];
    return content.replace(/\n$/, '').split('\n').slice(0, MOST).map((line, i): FileLineRow => ({ key: String(i + 1), n: i + 1, text: line }));
  },
};

function read(kernel: Kernel, reader: Task, path: string): string | null {
  try {
    if (path === '/proc' || path.startsWith('/proc/')) return nodeText(still(kernel), reader, path.slice(6));
    if (path.startsWith(`${CGROUP}/`)) return groupText(kernel, reader, path.slice(CGROUP.length));
    return textAt(kernel, path) ?? (entryAt(kernel, path) ? entriesOf(entryAt(kernel, path)).map((entry) => entry.name).join('\n') : null);
  } catch {
    return null;
  }
}

function nodeText(kernel: Kernel, reader: Task, path: string): string | null {
  let at: Node | null = procRoot(kernel.init.pid);
  for (const part of path.split('/')) {
    if (part === '') continue;
    if (at?.kind !== 'dir') return null;
    at = at.get?.(kernel, part, reader) ?? [...at.list(kernel, reader)].find(([name]) => name === part)?.[1] ?? null;
  }
  if (at?.kind === 'link') return `${at.target(kernel, reader)}\n`;
  if (at?.kind === 'dir') return listing(kernel, reader, at);
  const content = at?.read?.(kernel, reader);
  return content === undefined ? null : typeof content === 'string' ? content : text(content);
}

/** A directory as its names, links with where they lead. */
function listing(kernel: Kernel, reader: Task, dir: Extract<Node, { kind: 'dir' }>): string {
  return [...dir.list(kernel, reader)].map(([name, node]) => (node.kind === 'link' ? `${name} -> ${node.target(kernel, reader)}` : name)).sort().join('\n');
}

function groupText(kernel: Kernel, reader: Task, path: string): string | null {
  const slash = path.lastIndexOf('/');
  const cgroup = groupAt(kernel, path.slice(0, slash));
  const file = BY_NAME.get(path.slice(slash + 1));
  if (!cgroup || !file?.read) return null;
  return file.read(still(kernel), copyOf(cgroup), reader);
}

/** A group whose accounts may be settled without the real one noticing. */
function copyOf(cgroup: Cgroup): Cgroup {
  const line = (one: Cgroup['psi']['cpu']): Cgroup['psi']['cpu'] => ({ some: { ...one.some }, full: { ...one.full }, triggers: [] });
  return { ...cgroup, cpu: { ...cgroup.cpu, usage: { ...cgroup.cpu.usage } }, waiting: { ...cgroup.waiting }, psi: { cpu: line(cgroup.psi.cpu), memory: line(cgroup.psi.memory), io: line(cgroup.psi.io) } };
}

/** The kernel with nothing on its processors: nothing to settle. */
const still = (kernel: Kernel): Kernel => ({ ...kernel, sched: { ...kernel.sched, cpus: [] } });
