/** Sets up a recorded case on a modelled machine, runs its workload and gives what the recording measured. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { AT_FDCWD, SysError } from '../../../src/engine/kernel/abi.ts';
import type { Cgroup, Kernel } from '../../../src/engine/kernel/records.ts';
import { settleAll } from '../../../src/engine/kernel/sched.ts';
import { type Body, sys } from '../../../src/engine/kernel/sys.ts';
import { GiB, MiB, SECOND } from '../../../src/engine/sim/units.ts';
import { ENV, machine, until } from '../../unit/kernel/harness.ts';
import { CGROUPS, type Log, put, workload } from './workload.ts';

export interface Recorded {
  id: string; group: string; family: string; ncpu: number; controllers: string; swap?: boolean;
  setup: { cgroup: string; write: [string, string][] }[];
  workload: { cgroup: string; name: string; args: [string]; oom_score_adj?: number }[];
  duration_s: number; warmup_s?: number;
  measured: {
    cgroups: Record<string, Record<string, unknown>>;
    procs?: Record<string, { cpu_usec: number }>;
    exits: { proc: string; t: number; signal?: number; exit?: number }[];
    alive_at_end?: string[]; log: Record<string, string[]>; oom_log?: { kind: string; proc?: string; task?: string; oom_memcg?: string; task_memcg?: string }[];
  };
}

export function recorded(name: string): Recorded[] {
  const file = new URL(`./${name}.jsonl.gz`, import.meta.url);
  return gunzipSync(readFileSync(file)).toString().trim().split('\n').map((line) => JSON.parse(line) as Recorded);
}

export interface Outcome {
  kernel: Kernel;
  exits: { proc: string; signal?: number; exit?: number }[];
  alive: string[];
  log: Log['log'];
  group(path: string): Cgroup;
  /** cpu.stat's numbers within the window: ns. */
  cpu: Record<string, { usage: number; periods: number; throttled: number; throttledTime: number }>;
  window: number;
}

const LEAD = SECOND / 5;

export function replay(one: Recorded): Outcome {
  const log: Log['log'] = {};
  const exits: Outcome['exits'] = [];
  const names = new Map<number, string>();
  const m = machine({
    cpus: one.ncpu, memory: 2 * GiB, programs: { wl: workload(log), init: driver(one, names, exits) },
    tree: {
      '/cg': { type: 'dir' }, '/var/tmp/cg': { type: 'dir' }, '/mnt/f': { type: 'file', data: new Uint8Array(one.group === 'io' ? 16 * MiB : 0) },
      '/mnt/g': { type: 'file', data: new Uint8Array(0) },
    },
  });
  const { kernel } = m;
  const group = (path: string): Cgroup => {
    let at = kernel.cgroups.root;
    for (const part of path.split('/').filter(Boolean)) at = at.children.get(part)!;
    return at;
  };
  const snapshot = (): Outcome['cpu'] => {
    settleAll(kernel);
    return Object.fromEntries(one.setup.map(({ cgroup }) => {
      const { cpu } = group(cgroup);
      return [cgroup, { usage: cpu.usage.user + cpu.usage.system, periods: cpu.nrPeriods, throttled: cpu.nrThrottled, throttledTime: cpu.throttledTime }];
    }));
  };
  const wait = (ns: number): void => {
    const end = m.timeline.now + ns;
    until(m, () => one.group !== 'cpu' && exits.length === one.workload.length, ns);
    if (m.timeline.now < end && one.group === 'cpu') m.timeline.now = end;
  };
  wait(LEAD + (one.warmup_s ?? 0) * SECOND);
  const before = snapshot();
  const from = m.timeline.now;
  wait(one.duration_s * SECOND);
  const after = snapshot();
  const cpu = Object.fromEntries(Object.entries(after).map(([path, now]) => {
    const was = before[path]!;
    return [path, { usage: now.usage - was.usage, periods: now.periods - was.periods, throttled: now.throttled - was.throttled, throttledTime: now.throttledTime - was.throttledTime }];
  }));
  const alive = one.workload.map((w) => w.name).filter((name) => !exits.some((e) => e.proc === name));
  return { kernel, exits, alive, log, group, cpu, window: m.timeline.now - from };
}

/** An init that makes the groups, starts everybody, and notes who ends how. */
function driver(one: Recorded, names: Map<number, string>, exits: Outcome['exits']) {
  return function* (): Body {
    yield* sys('mount', 'cgroup2', CGROUPS, 'cgroup2', 0, '');
    yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
    yield* sys('mount', 'tmpfs', '/dev/shm', 'tmpfs', 0, '');
    for (const { cgroup } of one.setup) {
      const parts = cgroup.split('/').filter(Boolean);
      for (let depth = 0; depth < parts.length; depth++) {
        yield* put(`${CGROUPS}/${parts.slice(0, depth).join('/')}/cgroup.subtree_control`, one.controllers);
      }
      yield* sys('mkdirat', AT_FDCWD, `${CGROUPS}${cgroup}`, 0o755);
    }
    for (const { cgroup, write } of one.setup) for (const [file, value] of write) yield* put(`${CGROUPS}${cgroup}/${file}`, value);
    for (const { cgroup, name, args, oom_score_adj: adj } of one.workload) {
      const argv = ['wl', name, args[0], cgroup, String(adj ?? 0), String(LEAD)];
      const pid = yield* sys('clone', {
        flags: 0,
        *run(): Body {
          yield* sys('execve', '/bin/wl', argv, ENV);
          return 127;
        },
      });
      names.set(pid, name);
    }
    for (;;) {
      try {
        const { pid, status } = yield* sys('wait4', -1, 0);
        const proc = names.get(pid) ?? '';
        exits.push(status & 0x7f ? { proc, signal: status & 0x7f } : { proc, exit: status >> 8 });
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        yield* sys('pause');
      }
    }
  };
}
