/**
 * `docker run` as its system calls, beside a container made by hand: the calls with a purpose of every errand that somebody
 * at a terminal began (kernel/errands.ts), in order, each with who made it. What programs of the daemons did for a client is
 * the side "engine"; what a terminal's own programs did is the side "hand".
 */
import type { RunCallRow } from '../../bridge/rows.ts';
import { errandCalls, type Errand, type ErrandCall } from '../kernel/errands.ts';
import type { Kernel } from '../kernel/records.ts';
import { argsOf, resultOf } from '../kernel/strace.ts';
import { phrase } from './runphrase.ts';
import { columns, kernelsOf, type View } from './view.ts';

export const runCalls: View = {
  doc: 'The system calls that made containers, with their purposes: those of docker run across its daemons (side engine), and those of the user\'s own commands (side hand).',
  arg: 'host?, container?, side?, run?',
  columns: columns(`
    host: machine
    t [ns]: when the call returned
    side: engine (a client asked daemons), or hand (a terminal's own programs)
    run [count]: ordinal of the command at the terminal that began it
    command: that command
    container: id of the container it is about, 12 digits, or empty
    who: docker, dockerd, containerd, shim, runc, init (what becomes the container's program), or a program's name
    pid [count]: caller, as the host numbers it
    nspid [count]: in its own pid namespace
    comm: caller's short name
    purpose: namespaces, mounts, pivot_root, cgroup, network, capabilities, seccomp or exec
    name: system call
    args: arguments as strace writes them
    result: what it returned, or errno
    failed: it returned an errno
    path: what a descriptor among the arguments is open on
    what: the same in words
  `),
  rows: (world, arg) =>
    kernelsOf(world, arg).flatMap(of).filter((row) => {
      if ((arg.side ?? null) !== null && row.side !== arg.side) return false;
      if ((arg.run ?? null) !== null && row.run !== Number(arg.run)) return false;
      return (arg.container ?? null) === null || row.container === String(arg.container).slice(0, 12);
    }),
};

const ENGINES: ReadonlySet<string> = new Set(['dockerd', 'containerd', 'containerd-shim-runc-v2']);
const SHORT: Readonly<Record<string, string>> = { 'containerd-shim-runc-v2': 'shim' };

/** By hand only those programs count as exec that a maker of namespaces becomes, or the first of a pid namespace: a shell starts many others. */
function isCommand(call: ErrandCall, makers: ReadonlyMap<number, number>): boolean {
  return call.purpose === 'exec' && !(call.name === 'execve' && ((makers.get(call.pid) ?? call.n) < call.n || (call.nspid === 1 && call.pid !== 1)));
}

function whoMade(call: ErrandCall): string {
  if (call.comm.startsWith('runc:[2')) return 'init';
  if (call.comm.startsWith('runc:[')) return 'runc';
  return SHORT[call.exe] ?? call.exe;
}

/** The command that all of it goes back to: begun by a terminal's own shell, or the client of the daemons. */
function rootOf(kernel: Kernel, id: number, engines: ReadonlySet<number>): Errand | null {
  const { begun } = kernel.errands;
  let at = begun.get(id);
  while (at && !engines.has(at.id)) {
    const up = begun.get(at.from);
    if (!up || up.pid === up.sid) break;
    at = up;
  }
  return at ?? null;
}

function of(kernel: Kernel): RunCallRow[] {
  const calls = errandCalls(kernel);
  const engines = new Set(calls.filter((call) => ENGINES.has(call.exe)).map((call) => call.errand));
  const makers = new Map<number, number>();
  for (const call of calls) if (call.purpose !== 'exec' && !makers.has(call.pid)) makers.set(call.pid, call.n);
  const containers = new Map<number, string>();
  for (const call of calls) {
    if (!engines.has(call.errand) || containers.has(call.errand)) continue;
    const id = /(?:-id,|docker-|cri-containerd-|\/moby\/)([0-9a-f]{64})\b/.exec(`${call.path} ${call.name === 'execve' ? (call.args[1] as string[]).join(',') : call.args.join(' ')}`)?.[1];
    if (id) containers.set(call.errand, id.slice(0, 12));
  }
  return calls.flatMap((call): RunCallRow[] => {
    const engine = engines.has(call.errand);
    const root = rootOf(kernel, call.errand, engines);
    const foreign = !engine && root !== null && engines.has(root.id);
    if (foreign || (!engine && isCommand(call, makers))) return [];
    return [{
      key: `${kernel.name}/${call.n}`, host: kernel.name, t: call.t, side: engine ? 'engine' : 'hand', run: root?.id ?? call.errand, command: root?.argv.join(' ') ?? '',
      container: containers.get(call.errand) ?? '', who: whoMade(call), pid: call.pid, nspid: call.nspid, comm: call.comm, purpose: call.purpose, name: call.name,
      args: argsOf(call.name, call.args), result: resultOf(call.name, call.result, call.failed), failed: call.failed, path: call.path, what: phrase(call),
    }];
  });
}
