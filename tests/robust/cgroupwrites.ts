/**
 * Random writes to every interface file of control groups, a tree that is made and unmade meanwhile, and processes that are moved about
 * in it: each write has an effect or an errno, the books stay right, and the machine goes on. The whole run: `node scripts/differential.mjs cgroups [WRITES]`.
 */
import { AT_FDCWD, O_RDONLY, O_WRONLY, SysError } from '../../src/engine/kernel/abi.ts';
import { CGROUP_FILES } from '../../src/engine/kernel/cgroup/files.ts';
import type { Cgroup, Kernel } from '../../src/engine/kernel/records.ts';
import { type Body, sys } from '../../src/engine/kernel/sys.ts';
import { bytes } from '../../src/engine/sim/text.ts';
import { createRandom, type Random, uint32 } from '../../src/engine/sim/random.ts';
import { MiB } from '../../src/engine/sim/units.ts';
import { machine, until } from '../unit/kernel/harness.ts';

const VALUES = [
  '', '0', '1', '-1', 'max', '+1', '0x10', '010', '64m', '1G', '4095', '18446744073709551615', '99999999999999999999', 'abc', ' 5', '5 ', '1 2', '1.5', '\0', '\n', 'é',
  '+memory', '-memory', '+cpu +pids', '-cpu', '+cpuset +io', '+foo', '-pids -io', 'threaded', 'domain', 'root', 'isolated', 'member', '0-1', '0,3', '2-1', '1-', 'max 100000', '5000 100000',
  '999 1000', '100 50 3', '254:0 wbps=1048576', '254:0 rbps=max wiops=7', '1:1 rbps=1', '254:0', 'default 50', 'some 150000 1000000', 'full 1 2', '1M swappiness=60', 'x'.repeat(5000),
];
const NAMES = ['a', 'b', 'c', 'a/x', 'a/y', 'a/x/z', 'b/x', 'c/x'];
const ROOT = '/cg';

export interface Fuzzed {
  taken: number;
  refused: Map<string, number>;
  faults: string[];
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[uint32(random) % from.length]!;
}

export function fuzzCgroups(seed: number, writes: number): Fuzzed {
  const out: Fuzzed = { taken: 0, refused: new Map(), faults: [] };
  let done = false;
  const m = machine({ cpus: 4, memory: 256 * MiB, seed, programs: { init: () => churn(seed, writes, out, () => (done = true)) }, tree: { '/cg': { type: 'dir' } } });
  if (!until(m, () => done, 4000 * 1e9)) out.faults.push('the machine stopped');
  out.faults.push(...books(m.kernel));
  return out;
}

function* churn(seed: number, writes: number, out: Fuzzed, ended: () => void): Body {
  const random = createRandom(seed);
  yield* sys('mount', 'cgroup2', ROOT, 'cgroup2', 0, '');
  const pids: number[] = [];
  for (let i = 0; i < 6; i++) {
    pids.push(yield* sys('clone', {
      flags: 0,
      *run(): Body {
        for (;;) yield* sys('nanosleep', 50_000_000);
      },
    }));
  }
  for (let i = 0; i < writes; i++) {
    const dir = `${ROOT}/${pick(random, ['', ...NAMES])}`;
    const kind = uint32(random) % 12;
    try {
      if (kind === 0) yield* sys('mkdirat', AT_FDCWD, dir, 0o755);
      else if (kind === 1) yield* sys('unlinkat', AT_FDCWD, dir, 0x200);
      else {
        const file = kind === 2 ? 'cgroup.procs' : pick(random, CGROUP_FILES).name;
        const drawn = kind === 2 ? String(pick(random, pids)) : pick(random, VALUES);
        // It does not go itself into a group that it may freeze.
        const value = /^cgroup\.(procs|threads)$/.test(file) && /^\s*\+?0?x?[01]0?\s*$/.test(drawn) ? '2' : drawn;
        const fd = yield* sys('openat', AT_FDCWD, `${dir}/${file}`, kind === 3 ? O_RDONLY : O_WRONLY);
        try {
          if (kind === 3) yield* sys('read', fd, 65536);
          else yield* sys('write', fd, bytes(value));
        } finally {
          yield* sys('close', fd);
        }
      }
      out.taken++;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      out.refused.set(error.errno, (out.refused.get(error.errno) ?? 0) + 1);
    }
    yield* sys('nanosleep', 1_000_000);
  }
  ended();
  for (;;) yield* sys('pause');
}

/** What must be so whatever was written: sums add up, nothing is negative, every process is in a group that exists. */
function books(kernel: Kernel): string[] {
  const faults: string[] = [];
  // A zombie keeps its charge, also where its group has been removed meanwhile.
  const members = new Map<Cgroup, number>();
  for (const task of kernel.tasks.values()) for (let at: Cgroup | null = task.cgroup; at; at = at.parent) members.set(at, (members.get(at) ?? 0) + 1);
  const visit = (group: Cgroup): void => {
    for (const child of group.children.values()) visit(child);
    if (group.pids.current !== (members.get(group) ?? 0)) faults.push(`${group.name || '/'}: pids.current ${group.pids.current}, tasks ${members.get(group) ?? 0}`);
    const { anon, file, shmem, kernel: own, swap } = group.memory;
    for (const [name, n] of Object.entries({ anon, file, shmem, own, swap })) if (n < 0) faults.push(`${group.name || '/'}: ${name} ${n}`);
  };
  visit(kernel.cgroups.root);
  for (const task of kernel.tasks.values()) if (task.cgroup.removed && task.state !== 'zombie') faults.push(`${task.comm}: in a group that is gone`);
  return faults;
}
