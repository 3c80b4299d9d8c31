/**
 * /proc: processes by the pids of the namespace that mounted it, the machine's own files, parameters. The files stand in proc/*.ts,
 * by what they tell of. Source: proc(5). Left out: files whose mechanism is not modelled (interrupts, kcore, vmstat, keys, …).
 */
import type { Kernel, PidNamespace, Task } from '../records.ts';
import { pidIn } from '../task.ts';
import { createPseudo, fixed, type Node, shownBy } from './pseudo.ts';
import { type Hiding, hidden, hidingText, nothingHidden, takeHiding, visible } from './proc/hiding.ts';
import { machineFiles } from './proc/machine.ts';
import { processDir } from './proc/process.ts';
import { sysDir } from './proc/sysctl.ts';
import { sysvipcDir } from './proc/sysvipc.ts';
import type { SuperBlock } from './types.ts';

/** A mount of proc with its options. Throws EINVAL. */
export function mountProc(kernel: Kernel, task: Task, source: string, data: string, types: Types): SuperBlock {
  const hiding = nothingHidden();
  const sb = createPseudo(kernel, 'proc', source, procRoot(task.ns.pid, types, hiding));
  sb.reconfigure = (writer, options) => {
    takeHiding(hiding, writer, options);
    sb.options = hidingText(hiding);
    sb.bars = hiding.hidepid === 0 ? null : (looker, entry, how) => {
      const shown = entry.parent === sb.root ? shownBy(entry) : null;
      return shown ? hidden(hiding, looker, shown as Task, how) : null;
    };
  };
  sb.reconfigure(task, data);
  return sb;
}

type DirNode = Extract<Node, { kind: 'dir' }>;

/** A link whose target depends on who asks; it leads nowhere for who has no pid here. */
function self(ns: PidNamespace, text: (pid: number, task: Task) => string): Node {
  return {
    kind: 'link',
    target(_kernel, task) {
      const pid = pidIn(ns, task.leader);
      return pid === 0 ? '' : text(pid, task);
    },
  };
}

type Types = () => readonly string[];
const noTypes: Types = () => ['proc'];

const link = (target: string): Node => ({ kind: 'link', target: () => target });

/** What every mount shows alike. */
function shared(types: Types): Record<string, Node> {
  let entries = made.get(types);
  if (!entries) {
    entries = {
      ...machineFiles(types), mounts: link('self/mounts'), net: link('self/net'), self: link(''), 'thread-self': link(''), fs: fixed({}), bus: fixed({}), irq: fixed({}), driver: fixed({}), sys: sysDir(), sysvipc: sysvipcDir(),
    };
    made.set(types, entries);
  }
  return entries;
}
const made = new WeakMap<Types, Record<string, Node>>();

/** What a mount of proc shows: the tasks of one pid namespace. `types` are the file systems that mount(2) knows. */
export function procRoot(ns: PidNamespace, types: Types = noTypes, hiding: Hiding = nothingHidden()): DirNode {
  const entries = shared(types);
  /** In their place: whose they are depends on the mount. */
  const own: Record<string, Node> = { self: self(ns, (pid) => String(pid)), 'thread-self': self(ns, (pid, task) => `${pid}/task/${pidIn(ns, task)}`) };
  const processes = (looker: Task | null): (readonly [string, Node])[] =>
    [...ns.tasks].filter(([, task]) => task.leader === task && (hiding.hidepid < 2 || !looker || visible(hiding, looker, task))).sort(([a], [b]) => a - b).map(([pid, task]) => [String(pid), processDir(ns, task)] as const);
  return {
    kind: 'dir', mode: 0o555,
    *list(_kernel: Kernel, looker: Task | null) {
      for (const [name, node] of Object.entries(hiding.pidsOnly ? own : entries)) yield [name, own[name] ?? node] as const;
      yield* processes(looker);
    },
    get(_kernel: Kernel, name: string) {
      const first = name.charCodeAt(0);
      if (first < 0x31 || first > 0x39) return Object.hasOwn(own, name) ? own[name]! : !hiding.pidsOnly && Object.hasOwn(entries, name) ? entries[name]! : null;
      const task = /^[1-9]\d{0,9}$/.test(name) ? ns.tasks.get(Number(name)) : undefined;
      return task ? processDir(ns, task) : null;
    },
  };
}
