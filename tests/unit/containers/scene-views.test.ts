/** The views that the Containers scene is drawn from: namespaces of a task, groups by resource, text of files, overlays, shared layers. */
import { beforeAll, expect, it } from 'vitest';
import type { CgroupCpuRow, CgroupResourceRow, ContainerRow, FileLineRow, IdMapRow, LayerSharingRow, OverlayEventRow, OverlayListRow, OverlayRow, PacketRow, PidLevelRow, ProcessRow, TaskNamespaceRow, WhyRow } from '../../../src/bridge/rows.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { VIEWS } from '../../../src/engine/views/views.ts';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;
let world: World;
const rows = <T>(view: string, arg: Record<string, string | number> = {}): T[] => VIEWS[view]!.rows(world, { host: 'lab', ...arg }) as unknown as T[];
const container = (name: string): ContainerRow => rows<ContainerRow>('containers').find((one) => one.name === name)!;

beforeAll(() => {
  m = lab();
  world = { kernels: new Map([['lab', m.kernel]]), trace: m.kernel.trace } as World;
  sh(m, 'docker run -d --name web busybox sleep 1000; docker run -d --name guest --network container:web --cpus 0.25 busybox sh -c "while true; do :; done"');
  sh(m, 'unshare -U -r -p -f sh -c "unshare -p -f sleep 900 & sleep 901" > /dev/null 2>&1 & sleep 0.5');
});

it('the eight namespaces of a task, and with whom it shares each', () => {
  const of = (name: string): Record<string, TaskNamespaceRow> => Object.fromEntries(rows<TaskNamespaceRow>('task-namespaces', { pid: container(name).pid }).map((row) => [row.type, row]));
  const web = of('web');
  expect(Object.keys(web)).toEqual(['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts']);
  expect(web.net!.shared).toBe('guest');
  expect(web.net!.processes).toBe(2);
  expect(web.pid).toMatchObject({ shared: '', first: false, processes: 1 });
  expect(web.user).toMatchObject({ first: true, owner: 0 });
  expect(web.user!.shared).toContain('the host');
  expect(web.pid!.link).toBe(`pid:[${web.pid!.ino}]`);
  expect(of('guest').net!.ino).toBe(web.net!.ino);
});

it('one process, a pid at every level; its id map', () => {
  const inner = rows<ProcessRow>('processes').find((one) => one.args === 'sleep 900' && one.comm === 'sleep')!;
  const levels = rows<PidLevelRow>('pid-levels', { pid: inner.pid });
  expect(levels.map((one) => one.level)).toEqual([0, 1, 2]);
  expect(levels.map((one) => one.pid).join(' ')).toBe(inner.nspids);
  expect(levels[2]).toMatchObject({ pid: 1, init: inner.pid, processes: 1 });
  const maps = rows<IdMapRow>('id-maps', { pid: inner.pid }).filter((one) => one.kind === 'uid');
  expect(maps.map(({ inside, outside, count }) => [inside, outside, count])).toContainEqual([0, 0, 1]);
  expect(maps).toHaveLength(2);
});

it('processor time over time, with what was throttled; looking changes nothing', () => {
  const { cgroup } = container('guest');
  sh(m, 'sleep 2');
  const before = m.kernel.trace.count;
  const cpu = rows<CgroupCpuRow>('cgroup-cpu', { path: cgroup });
  expect(cpu.length).toBeGreaterThan(10);
  expect(new Set(cpu.map((one) => one.key)).size).toBe(cpu.length);
  expect(cpu.every((one) => one.span > 0 && one.used >= 0)).toBe(true);
  const late = cpu.slice(-8);
  const used = late.reduce((sum, one) => sum + one.used, 0) / late.reduce((sum, one) => sum + one.span, 0);
  expect(used).toBeGreaterThan(0.2);
  expect(used).toBeLessThan(0.3);
  const held = late.reduce((sum, one) => sum + one.throttled, 0) / late.reduce((sum, one) => sum + one.span, 0);
  expect(held).toBeGreaterThan(0.6);
  expect(held).toBeLessThan(0.9);
  const more = rows<CgroupResourceRow>('cgroup-resources').find((one) => one.path === cgroup)!;
  expect(more).toMatchObject({ quota: 25_000, period: 100_000, weight: 100, cpus: 2 });
  expect(more.recent).toBeGreaterThan(0.15);
  expect(more.recent).toBeLessThan(0.35);
  expect(more.share).toBeLessThan(1);
  const total = (): string => JSON.stringify(rows<CgroupResourceRow>('cgroup-resources'));
  const first = total();
  for (const file of ['cpu.pressure', 'cpu.stat', 'memory.stat', 'io.pressure', 'cgroup.procs']) rows<FileLineRow>('file-text', { path: `/sys/fs/cgroup${cgroup}/${file}` });
  expect(total()).toBe(first);
  expect(m.kernel.trace.count).toBe(before);
});

it('text of files as root reads them', () => {
  const { cgroup, pid } = container('guest');
  const text = (path: string): string[] => rows<FileLineRow>('file-text', { path }).map((one) => one.text);
  expect(text(`/sys/fs/cgroup${cgroup}/cpu.max`)).toEqual(['25000 100000']);
  expect(text(`/sys/fs/cgroup${cgroup}/cgroup.procs`)).toEqual([String(pid)]);
  expect(text(`/proc/${pid}/status`).find((one) => one.startsWith('NSpid'))).toBe(`NSpid:\t${pid}\t1`);
  expect(text(`/proc/${pid}/ns`)).toHaveLength(10);
  expect(text(`/proc/${pid}/ns`)[1]).toMatch(/^ipc -> ipc:\[\d+\]$/);
  expect(text('/etc/hostname')).toEqual(['lab']);
  expect(text('/no/such/file')).toEqual([]);
  expect(text('/proc/99999/status')).toEqual([]);
});

it('overlays of containers and by hand, directory by directory, with what happened to them', () => {
  sh(m, 'mkdir -p /tmp/l/d /tmp/u /tmp/w /tmp/m; echo a > /tmp/l/a; echo b > /tmp/l/d/b; mount -t overlay o -o lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w /tmp/m');
  sh(m, 'echo more >> /tmp/m/a; rm -r /tmp/m/d; mkdir /tmp/m/d; echo c > /tmp/m/d/c');
  const mount = rows<OverlayListRow>('overlays').find((one) => one.id.startsWith('mount:'))!;
  expect(mount).toMatchObject({ name: '/tmp/m', upper: '/tmp/u', layers: 2 });
  const of = (dir: string): string[] => rows<OverlayRow>('overlay', { container: mount.id, dir }).map((one) => `${one.layer} ${one.path} ${one.kind}${one.visible ? ' seen' : ''}${one.copiedUp ? ' copied' : ''}${one.opaque ? ' opaque' : ''}`);
  expect(of('/')).toEqual(['0 /a file seen copied', '1 /a file', '0 /d dir seen opaque', '1 /d dir']);
  expect(of('/d')).toEqual(['1 /d/b file', '0 /d/c file seen']);
  const events = rows<OverlayEventRow>('overlay-events').filter((one) => one.upper === '/tmp/u').map((one) => `${one.kind} ${one.path}`);
  expect(events).toContain('copied up /a');
  expect(events).toContain('whiteout /d');
  expect(events).toContain('opaque /d');
  expect(rows<OverlayListRow>('overlays').map((one) => one.name)).toEqual(expect.arrayContaining(['web', 'guest']));
});

it('images and the layers that they share', () => {
  const layers = rows<LayerSharingRow>('layer-sharing');
  const base = layers.find((one) => one.tag.startsWith('busybox') && one.index === 0)!;
  const shared = layers.filter((one) => one.chainId === base.chainId);
  expect(shared.length).toBe(base.images);
  expect(new Set(shared.map((one) => one.image)).size).toBe(base.images);
});

it('why: throttled goes back to the write of cpu.max; a refused call says what it lacked; a dropped packet says which rule', () => {
  const why = (kind: string, id: string): string[] => rows<WhyRow>('why', { kind, id }).map((one) => `${one.text} | ${one.figure}`);
  const { cgroup } = container('guest');
  const throttled = why('throttled', cgroup);
  expect(throttled[0]).toContain('was throttled: its quota was used up | 25000 of 100000');
  expect(throttled[1]).toContain('25000 100000 written to cpu.max');
  sh(m, 'docker exec web mount -t tmpfs t /mnt; docker exec -u 1000 web sh -c "echo x > /etc/passwd"; iptables -I FORWARD 1 -p icmp -j DROP; docker exec web ping -c 1 -W 1 10.0.0.1');
  const refused = m.kernel.trace.records.filter((one) => one.kind === 'call.refused');
  const of = (name: string): string => { const one = refused.find((entry) => entry.data.name === name); return one ? why('refusal', String(one.data.pid)).join('\n') : ''; };
  expect(of('mount')).toMatch(/mount of \S+ was refused: EPERM \| (seccomp: a filter|it needs CAP_SYS_ADMIN)/);
  expect(of('openat')).toContain('uid 1000, gid 0 may not write: mode 0644, owner 0:0');
  const dropped = rows<PacketRow>('packets').find((one) => one.action === 'drop' && one.proto === 'icmp')!;
  expect(why('packet', dropped.packet)[0]).toBe('the packet was dropped: dropped by a rule | filter FORWARD rule 1');
});
