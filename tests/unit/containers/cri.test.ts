import { describe, expect, it } from 'vitest';
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from '../../../src/engine/kernel/abi.ts';
import { type Body, type Program, sys } from '../../../src/engine/kernel/sys.ts';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { fromBase64, text } from '../../../src/engine/sim/text.ts';
import type { Message } from '../../../src/engine/userland/containers/cri/state.ts';
import { CONTAINERD, preloadedImages } from '../../../src/engine/userland/containers/store.ts';
import { exists, fork, list, readText, tryRead } from '../../../src/engine/userland/lib/files.ts';
import { type Call, request } from '../../../src/engine/userland/lib/http.ts';
import { print } from '../../../src/engine/userland/lib/io.ts';
import { onHost } from './host.ts';

/** Stands in for the applets of the image: what a test needs of a shell. */
const busybox: Program = function* (argv): Body {
  const [name, ...args] = argv;
  if (name === 'sleep') yield* sys('nanosleep', Number(args[0]) * 1e9);
  else if (name === 'echo') yield* print(`${args.join(' ')}\n`);
  else if (name === 'cat') yield* print((yield* tryRead(args[0]!)) ?? '');
  else if (name === 'hostname') yield* print(`${(yield* sys('uname')).nodename}\n`);
  else if (name === 'false') return 1;
  return 0;
};

const CNI = {
  cniVersion: '1.0.0', name: 'pods', type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.244.1.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
};
const tree: Tree = {
  ...preloadedImages(['busybox', 'registry.k8s.io/pause', 'stress', 'nginx', 'redis'], CONTAINERD),
  '/etc/cni/net.d/10-bridge.conf': { type: 'file', data: JSON.stringify(CNI) },
  ...Object.fromEntries(['bridge', 'host-local', 'loopback'].map((n) => [`/opt/cni/bin/${n}`, { type: 'program' as const, name: `cni-${n}` }])),
};

function* daemon(): Call<void> {
  yield* fork(function* (): Body {
    const log = yield* sys('openat', AT_FDCWD, '/tmp/containerd.log', O_WRONLY | O_CREAT | O_TRUNC, 0o644);
    yield* sys('dup3', log, 2, 0);
    yield* sys('execve', '/usr/bin/containerd', ['/usr/bin/containerd'], {});
    return 127;
  });
  for (let i = 0; i < 100 && !(yield* exists('/run/containerd/containerd.sock')); i++) yield* sys('nanosleep', 10e6);
}

function* cri(method: string, body: object): Call<Message> {
  const service = /Image/.test(method) ? 'ImageService' : 'RuntimeService';
  const r = yield* request({ family: 'unix', path: '/run/containerd/containerd.sock' }, { method: 'POST', path: `/runtime.v1.${service}/${method}`, body: JSON.stringify(body) });
  return JSON.parse(r.body);
}

const POD = {
  metadata: { name: 'web', namespace: 'default', uid: 'u1', attempt: 0 }, hostname: 'web', logDirectory: '/var/log/pods/web', labels: { app: 'web' },
  linux: { cgroupParent: '/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podu1.slice', securityContext: { namespaceOptions: { network: 'POD', pid: 'CONTAINER', ipc: 'POD' } } },
};

function* container(podSandboxId: string, name: string, config: object): Call<Message> {
  const made = yield* cri('CreateContainer', { podSandboxId, sandboxConfig: POD, config: { metadata: { name, attempt: 0 }, image: { image: 'busybox' }, logPath: `${name}/0.log`, ...config } });
  if (made.containerId === undefined) return made;
  const begun = yield* cri('StartContainer', { containerId: made.containerId });
  return begun.message === undefined ? made : { ...made, ...begun };
}

function* ended(containerId: string): Call<Message> {
  for (let i = 0; i < 200; i++) {
    const { status } = yield* cri('ContainerStatus', { containerId });
    if (status.state === 'CONTAINER_EXITED') return status;
    yield* sys('nanosleep', 50e6);
  }
  return null;
}

const host = <T>(script: () => Call<T>): T => onHost(function* () {
  yield* daemon();
  return yield* script();
}, { programs: { busybox }, tree, limit: 300e9 });

describe('container runtime interface', () => {
  it('runs a pod from sandbox to removal', () => {
    const out = host(function* () {
      const { podSandboxId, message } = yield* cri('RunPodSandbox', { config: POD });
      if (message) throw new Error(message);
      const { status } = yield* cri('PodSandboxStatus', { podSandboxId });
      const { containerId } = yield* container(podSandboxId, 'main', { command: ['sleep'], args: ['1000'] });
      const exec = yield* cri('ExecSync', { containerId, cmd: ['cat', '/proc/self/cgroup'] });
      const name = yield* cri('ExecSync', { containerId, cmd: ['hostname'] });
      const missing = yield* cri('ExecSync', { containerId, cmd: ['nosuch'] });
      const hosts = yield* cri('ExecSync', { containerId, cmd: ['cat', '/etc/hosts'] });
      const echo = yield* container(podSandboxId, 'echo', { command: ['echo', 'to the log'] });
      const end = yield* ended(echo.containerId);
      const log = yield* readText('/var/log/pods/web/echo/0.log');
      const running = (yield* cri('ListContainers', { filter: { state: { state: 'CONTAINER_RUNNING' } } })).containers.length;
      const stats = (yield* cri('ListContainerStats', {})).stats;
      yield* cri('StopContainer', { containerId, timeout: '1' });
      const stopped = (yield* cri('ContainerStatus', { containerId })).status;
      for (const id of [containerId, echo.containerId]) yield* cri('RemoveContainer', { containerId: id });
      yield* cri('StopPodSandbox', { podSandboxId });
      yield* cri('RemovePodSandbox', { podSandboxId });
      return {
        ip: status.network.ip, state: status.state, cgroup: text(fromBase64(exec.stdout)), name: text(fromBase64(name.stdout)), missing: missing.message, hosts: text(fromBase64(hosts.stdout)),
        end: [end.exitCode, end.reason], log, running, stats: stats.length, stopped: [stopped.exitCode, stopped.reason],
        left: [(yield* cri('ListPodSandbox', {})).items.length, (yield* list('/run/netns')).length, (yield* list('/var/lib/cni/networks/pods')).map((e) => e.name).join()],
        tasks: (yield* list('/run/containerd/io.containerd.runtime.v2.task/k8s.io')).length,
      };
    });
    expect(out).toEqual({
      ip: '10.244.1.2', state: 'SANDBOX_READY', cgroup: '0::/\n', name: 'web\n',
      missing: expect.stringMatching(/^rpc error: code = Unknown desc = failed to exec in container: failed to start exec "[0-9a-f]{64}": OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in \$PATH: unknown$/),
      hosts: expect.stringContaining('10.244.1.2\tweb'), end: [0, 'Completed'], log: expect.stringMatching(/^2026-01-15T09:00:\d\d\.\d+Z stdout F to the log\n$/), running: 1, stats: 1,
      stopped: [137, 'Error'], left: [0, 0, 'last_reserved_ip.0'], tasks: 0,
    });
  });

  it('says what a container died of', () => {
    const out = host(function* () {
      const { podSandboxId } = yield* cri('RunPodSandbox', { config: POD });
      const hog = yield* container(podSandboxId, 'hog', {
        image: { image: 'stress' }, command: ['stress', '--vm', '1', '--vm-bytes', '128m'], linux: { resources: { memoryLimitInBytes: String(64 << 20), cpuShares: '2', cpuPeriod: '100000', cpuQuota: '0', oomScoreAdj: '1000' } },
      });
      const killed = yield* ended(hog.containerId);
      const log = (yield* tryRead('/var/log/pods/web/hog/0.log')) ?? '';
      const bad = yield* container(podSandboxId, 'bad', { command: ['nosuch'] });
      const status = (yield* cri('ContainerStatus', { containerId: bad.containerId })).status;
      const failed = yield* ended((yield* container(podSandboxId, 'false', { command: ['false'] })).containerId);
      const pull = yield* cri('PullImage', { image: { image: 'nosuch' } });
      return { killed: [killed.exitCode, killed.reason], log: log.split('\n').map((l) => l.slice(l.indexOf(' ') + 1)), bad: bad.message, badStatus: [status.exitCode, status.reason], failed: [failed.exitCode, failed.reason], pull: pull.message };
    });
    expect(out.killed).toEqual([1, 'OOMKilled']);
    expect(out.log).toContain('stdout F stress: info: [1] dispatching hogs: 0 cpu, 0 io, 1 vm, 0 hdd');
    expect(out.log.join('\n')).toMatch(/stderr F stress: FAIL: \[1\] \(415\) <-- worker \d+ got signal 9/);
    expect(out.bad).toBe('failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown');
    expect(out.badStatus).toEqual([128, 'StartError']);
    expect(out.failed).toEqual([1, 'Error']);
    expect(out.pull).toBe('rpc error: code = Unknown desc = failed to pull and unpack image "docker.io/library/nosuch:latest": failed to resolve reference "docker.io/library/nosuch:latest": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed');
  });

  it('serves from a pod over the bridge', () => {
    const out = host(function* () {
      const { podSandboxId } = yield* cri('RunPodSandbox', { config: POD });
      const { status } = yield* cri('PodSandboxStatus', { podSandboxId });
      const nginx = yield* container(podSandboxId, 'nginx', { image: { image: 'nginx' } });
      const redis = yield* container(podSandboxId, 'redis', { image: { image: 'redis' } });
      yield* sys('nanosleep', 500e6);
      const page = yield* request({ family: 'inet', address: status.network.ip, port: 80 }, { method: 'GET', path: '/' });
      const none = yield* request({ family: 'inet', address: status.network.ip, port: 80 }, { method: 'GET', path: '/nothing' });
      const incr = yield* cri('ExecSync', { containerId: redis.containerId, cmd: ['redis-cli', 'incr', 'n'] });
      const get = yield* cri('ExecSync', { containerId: redis.containerId, cmd: ['redis-cli', 'get', 'n'] });
      yield* cri('StopContainer', { containerId: nginx.containerId, timeout: '5' });
      const end = yield* ended(nginx.containerId);
      return { page: page.status, body: page.body.includes('Welcome to nginx!'), none: none.status, redis: [incr.stdout, get.stdout].map((s) => text(fromBase64(s))), end: end.exitCode, log: (yield* tryRead('/var/log/pods/web/nginx/0.log')) ?? '' };
    });
    expect(out).toMatchObject({ page: 200, body: true, none: 404, redis: ['1\n', '1\n'], end: 0 });
    expect(out.log).toMatch(/stdout F 10\.244\.1\.1 - - \[15\/Jan\/2026:09:00:\d\d \+0000\] "GET \/ HTTP\/1\.1" 200 \d+ "-" "-" "-"/);
  });
});
