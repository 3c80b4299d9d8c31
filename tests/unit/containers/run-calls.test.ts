/** The views of how a container is made, by docker run and by hand, and of who died for want of memory. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { OomRow, RunCallRow } from '../../../src/bridge/rows.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { oom } from '../../../src/engine/views/oom.ts';
import { runCalls } from '../../../src/engine/views/runcalls.ts';
import { createTypist, script, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld, type World } from '../../../src/engine/world/world.ts';

let world: World;
const said: string[] = [];

beforeAll(() => {
  world = createWorld(loadAssets(), 'one-host', 1);
  const typist = createTypist(world);
  waitForPrompt(typist);
  script(typist, [
    'docker run -d --name web -m 64m -p 8080:80 nginx', 'docker run --rm busybox true',
    'mkdir /sys/fs/cgroup/demo', 'unshare -m -p -u --fork --mount-proc sh -c "hostname mine; mount -t tmpfs t /mnt; ls /mnt"',
    'docker run --name hog -m 32m busybox sh -c "sleep 100 & tail /dev/zero; true"',
    'docker run -d --name group -m 32m --oom-score-adj 500 busybox sh -c "sleep 100 & sleep 101 & sleep 1; exec tail /dev/zero"',
    'echo 1 > /sys/fs/cgroup/system.slice/docker-$(docker inspect -f {{.Id}} group).scope/memory.oom.group; sleep 5',
  ], (one) => said.push(one.stdout));
});

const rows = (arg: Record<string, string>): RunCallRow[] => runCalls.rows(world, arg) as RunCallRow[];

describe('docker run', () => {
  it('across its daemons, each purpose by the one whose work it is', () => {
    const web = rows({ container: said[0]!.trim(), side: 'engine' });
    const makers = (purpose: string): string => [...new Set(web.filter((row) => row.purpose === purpose).map((row) => row.who))].join();
    expect(makers('namespaces')).toBe('runc,init,dockerd');
    expect(makers('cgroup')).toBe('runc');
    expect(makers('pivot_root')).toBe('init');
    expect(makers('seccomp')).toBe('init');
    expect(makers('capabilities')).toBe('init');
    expect(makers('network')).toBe('init,dockerd,docker-proxy');
    expect(makers('mounts')).toBe('dockerd,init');
    expect(new Set(web.map((row) => row.command))).toEqual(new Set(['docker run -d --name web -m 64m -p 8080:80 nginx']));
  });

  it('in order, from the layers to the program, with arguments', () => {
    const web = rows({ container: said[0]!.trim() });
    const at = (test: (row: RunCallRow) => boolean): number => web.findIndex(test);
    const order = [
      at((row) => row.name === 'mount' && row.args.startsWith('"overlay"')), at((row) => row.who === 'shim' && row.name === 'execve'),
      at((row) => row.name === 'mkdirat' && row.args.includes('docker-')), at((row) => row.name === 'unshare' && row.args.includes('CLONE_NEWPID')),
      at((row) => row.what === 'memory.max = 67108864'), at((row) => row.name === 'pivot_root'), at((row) => row.name === 'seccomp'),
      at((row) => row.what.startsWith('eth0 has 172.17.0.2')), at((row) => row.who === 'init' && row.name === 'execve'),
    ];
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBeGreaterThanOrEqual(0);
    expect(web.every((row) => !row.what.includes('undefined'))).toBe(true);
  });

  it('is told from another run', () => {
    const runs = new Set(rows({ side: 'engine' }).map((row) => row.run));
    expect(runs.size).toBe(4);
    expect(rows({ side: 'engine' }).filter((row) => row.command.endsWith('true')).every((row) => row.container !== said[0]!.slice(0, 12))).toBe(true);
  });
});

it('by hand: the same purposes, made by the user\'s own programs', () => {
  expect(rows({ side: 'hand' }).map((row) => `${row.who} ${row.purpose} ${row.what}`)).toEqual([
    'mkdir cgroup control group demo',
    'unshare namespaces new namespaces: mount, pid, uts',
    'unshare mounts / and all below becomes private: mounts do not spread out',
    'unshare mounts /proc and all below becomes private: mounts do not spread out',
    'unshare mounts proc at /proc',
    'unshare exec becomes sh -c hostname mine; mount -t tmpfs t /mnt; ls /mnt',
    'hostname namespaces the host name is mine',
    'mount mounts tmpfs at /mnt',
    'bash cgroup memory.oom.group = 1',
  ]);
});

describe('out of memory', () => {
  it('the candidates of a kill, most points first, and their fates', () => {
    const first = (oom.rows(world, { kill: 0 }) as OomRow[]);
    expect(first.map((row) => `${row.comm} ${row.fate}`)).toEqual(['tail victim', 'sleep spared', 'sh spared'].sort((a, b) => order(first, a) - order(first, b)));
    for (const row of first) expect(row.points).toBe((row.rss + row.pageTables) / 4096 + row.adjPages);
    expect(first[0]).toMatchObject({ constraint: 'CONSTRAINT_MEMCG', limit: 32 << 20, invoker: 'tail', invoked: true });
  });
  it('oom_score_adj in thousandths of the limit, and the whole group', () => {
    const second = oom.rows(world, { kill: 1 }) as OomRow[];
    expect(second.map((row) => row.fate)).toEqual(['victim', 'group', 'group']);
    expect(second.map((row) => row.adjPages)).toEqual([4000, 4000, 4000]);
  });
});

function order(sorted: readonly OomRow[], name: string): number {
  return sorted.findIndex((row) => name.startsWith(`${row.comm} `));
}
