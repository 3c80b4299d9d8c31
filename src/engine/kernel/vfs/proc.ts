/**
 * /proc: processes by the pids of the namespace that mounted it, the machine's own files, parameters. The files stand in proc/*.ts,
 * by what they tell of. Source: proc(5). Left out: files whose mechanism is not modelled (interrupts, kcore, vmstat, keys, …).
 */
import type { Kernel, PidNamespace, Task } from '../records.ts';
import { pidIn } from '../task.ts';
import { fixed, type Node } from './pseudo.ts';
import { machineFiles } from './proc/machine.ts';
import { processDir } from './proc/process.ts';
import { sysDir } from './proc/sysctl.ts';

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

/** What a mount of proc shows: the tasks of one pid namespace. `types` are the file systems that mount(2) knows. */
export function procRoot(ns: PidNamespace, types: () => readonly string[] = () => ['proc']): DirNode {
  const link = (target: string): Node => ({ kind: 'link', target: () => target });
  const entries: Record<string, Node> = {
    ...machineFiles(types),
    mounts: link('self/mounts'), net: link('self/net'),
    self: self(ns, (pid) => String(pid)), 'thread-self': self(ns, (pid, task) => `${pid}/task/${pidIn(ns, task)}`),
    fs: fixed({}), bus: fixed({}), irq: fixed({}), driver: fixed({}), sys: sysDir(),
  };
  const processes = (): (readonly [string, Node])[] =>
    [...ns.tasks].filter(([, task]) => task.leader === task).sort(([a], [b]) => a - b).map(([pid, task]) => [String(pid), processDir(ns, task)] as const);
  return {
    kind: 'dir', mode: 0o555,
    *list() {
      yield* Object.entries(entries);
      yield* processes();
    },
    get(_kernel: Kernel, name: string) {
      if (Object.hasOwn(entries, name)) return entries[name]!;
      const task = /^[1-9]\d{0,9}$/.test(name) ? ns.tasks.get(Number(name)) : undefined;
      return task ? processDir(ns, task) : null;
    },
  };
}
