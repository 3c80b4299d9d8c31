import { expect, it } from 'vitest';
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from '../../../src/engine/kernel/abi.ts';
import { type Body, type Program, sys } from '../../../src/engine/kernel/sys.ts';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { CONTAINERD, preloadedImages } from '../../../src/engine/userland/containers/store.ts';
import { exists, fork, writeFile } from '../../../src/engine/userland/lib/files.ts';
import { complain, print } from '../../../src/engine/userland/lib/io.ts';
import { command, type Done, onHost } from './host.ts';

const busybox: Program = function* (argv): Body {
  if (argv[0] === 'sleep') yield* sys('nanosleep', Number(argv[1]) * 1e9);
  else if (argv[0] === 'sh') {
    yield* print('out\n');
    yield* complain('err\n');
    return 3;
  } else yield* print(`${argv.slice(1).join(' ')}\n`);
  return 0;
};

const labels = { 'io.kubernetes.pod.name': 'web', 'io.kubernetes.pod.namespace': 'default' };
const POD = { metadata: { name: 'web', namespace: 'default', uid: 'u1', attempt: 0 }, logDirectory: '/var/log/pods/web', labels, linux: { securityContext: { namespaceOptions: { network: 'NODE' } } } };
const CONTAINER = { metadata: { name: 'main', attempt: 2 }, image: { image: 'busybox' }, command: ['sleep', '1000'], logPath: 'main/2.log', labels };
const tree: Tree = { '/etc/crictl.yaml': { type: 'file', data: 'runtime-endpoint: unix:///run/containerd/containerd.sock\n' }, ...preloadedImages(['busybox', 'registry.k8s.io/pause'], CONTAINERD) };

it('crictl shows what the runtime has, and says what it refuses', () => {
  const out = onHost(function* () {
    yield* fork(function* (): Body {
      const log = yield* sys('openat', AT_FDCWD, '/tmp/containerd.log', O_WRONLY | O_CREAT | O_TRUNC, 0o644);
      yield* sys('dup3', log, 2, 0);
      yield* sys('execve', '/usr/bin/containerd', ['/usr/bin/containerd'], {});
      return 127;
    });
    for (let i = 0; i < 100 && !(yield* exists('/run/containerd/containerd.sock')); i++) yield* sys('nanosleep', 10e6);
    yield* writeFile('/pod.json', JSON.stringify(POD));
    yield* writeFile('/c.json', JSON.stringify(CONTAINER));
    const did: Record<string, Done> = {};
    const crictl = (...args: string[]) => command(['/usr/bin/crictl', ...args]);
    did.runp = yield* crictl('runp', '/pod.json');
    const pod = did.runp.stdout.trim();
    did.create = yield* crictl('create', pod, '/c.json', '/pod.json');
    const id = did.create.stdout.trim();
    did.created = yield* crictl('ps', '-a');
    did.start = yield* crictl('start', id);
    did.ps = yield* crictl('ps');
    did.pods = yield* crictl('pods', '-q');
    did.images = yield* crictl('images');
    did.exec = yield* crictl('exec', id, 'echo', 'hi');
    did.sync = yield* crictl('exec', '-s', id, 'sh');
    did.fails = yield* crictl('exec', id, 'sh');
    did.inspect = yield* crictl('inspect', '-o', 'yaml', id.slice(0, 13));
    did.running = yield* crictl('rm', id);
    did.stop = yield* crictl('stop', id);
    did.rm = yield* crictl('rm', id);
    did.none = yield* crictl('inspect', 'nosuch');
    did.format = yield* crictl('ps', '-o', 'x');
    did.rmp = yield* crictl('rmp', '-f', pod);
    return { did, id, pod };
  }, { programs: { busybox }, tree, limit: 200e9 });
  const { did, id, pod } = out;
  const short = id.slice(0, 13);
  expect(did.created!.stdout).toContain('Created');
  expect(did.start!.stdout).toBe(`${id}\n`);
  expect(did.ps!.stdout).toMatch(new RegExp(
    `^CONTAINER           IMAGE               CREATED                  STATE               NAME                ATTEMPT             POD ID              POD                 NAMESPACE\n${short}       [0-9a-f]{13}       Less than a second ago   Running             main                2                   ${pod.slice(0, 13)}       web                 default\n$`,
  ));
  expect(did.pods!.stdout).toBe(`${pod}\n`);
  expect(did.images!.stdout).toMatch(/^IMAGE {23}TAG {17}IMAGE ID {12}SIZE\ndocker\.io\/library\/busybox {3}1\.37 {16}[0-9a-f]{13} {7}2\.02MB\n/);
  expect(did.exec).toEqual({ stdout: 'hi\n', stderr: '', exit: 0 });
  expect(did.sync).toEqual({ stdout: 'out\n', stderr: 'err\n', exit: 3 });
  expect(did.fails!.exit).toBe(1);
  expect(did.fails!.stderr).toContain('level=fatal msg="execing command in container: command terminated with exit code 3"');
  expect(did.inspect!.stdout).toContain('state: CONTAINER_RUNNING');
  expect(did.inspect!.stdout).toMatch(/createdAt: "?2026-01-15T09:00:\d\d/);
  expect(did.running!.stderr).toContain('is running, please stop it first');
  expect([did.stop!.stdout, did.rm!.stdout]).toEqual([`${id}\n`, `${id}\n`]);
  expect(did.none!.stderr).toContain('msg="getting the status of the container \\"nosuch\\": rpc error: code = NotFound desc = an error occurred when try to find container \\"nosuch\\": not found"');
  expect(did.format!.stderr).toContain('msg="unsupported output format \\"x\\""');
  expect(did.rmp!.stdout).toBe(`Removed sandbox ${pod}\n`);
});

const POD_YAML = `metadata:
  name: db
  namespace: default
  uid: u2
log_directory: /var/log/pods/db
labels: {io.kubernetes.pod.name: db, io.kubernetes.pod.namespace: default, my_label: x}
linux:
  security_context: {namespace_options: {network: 2}}
`;
const CONTAINER_YAML = 'metadata: {name: main}\nimage: {image: busybox}\ncommand: [sleep, "1000"]\nlog_path: main.log\nlabels: {io.kubernetes.pod.name: db, io.kubernetes.pod.namespace: default}\n';

it('crictl from YAML, pods as figures, endpoints', () => {
  const { did, id } = onHost(function* () {
    yield* fork(function* (): Body {
      const log = yield* sys('openat', AT_FDCWD, '/tmp/containerd.log', O_WRONLY | O_CREAT | O_TRUNC, 0o644);
      yield* sys('dup3', log, 2, 0);
      yield* sys('execve', '/usr/bin/containerd', ['/usr/bin/containerd'], {});
      return 127;
    });
    for (let i = 0; i < 100 && !(yield* exists('/run/containerd/containerd.sock')); i++) yield* sys('nanosleep', 10e6);
    yield* writeFile('/pod.yaml', POD_YAML);
    yield* writeFile('/c.yaml', CONTAINER_YAML);
    const did: Record<string, Done> = {};
    const crictl = (...args: string[]) => command(['/usr/bin/crictl', ...args]);
    did.run = yield* crictl('run', '/c.yaml', '/pod.yaml');
    const id = did.run.stdout.trim();
    did.pods = yield* crictl('pods', '-o', 'json');
    did.statsp = yield* crictl('statsp');
    did.update = yield* crictl('update', '--memory', '33554432', id);
    did.fs = yield* crictl('imagefsinfo', '-o', 'yaml');
    did.missing = yield* crictl('runp', '/nosuch.yaml');
    did.nowhere = yield* crictl('-r', 'unix:///nosuch.sock', 'ps');
    did.config = yield* crictl('config', '--get', 'runtime-endpoint');
    did.rmp = yield* crictl('rmp', '-f', '-a');
    yield* sys('unlinkat', AT_FDCWD, '/etc/crictl.yaml', 0);
    did.warned = yield* crictl('ps', '-q');
    did.images = yield* crictl('images', '-q');
    return { did, id };
  }, { programs: { busybox }, tree, limit: 200e9 });
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(JSON.parse(did.pods!.stdout).items[0].labels).toMatchObject({ my_label: 'x' });
  expect(did.statsp!.stdout).toMatch(/^POD {17}POD ID {14}CPU % {15}MEM\ndb {18}[0-9a-f]{13} {7}\d+\.\d\d {16}\S+\n$/);
  expect(did.update!.stdout).toBe(`${id}\n`);
  expect(did.fs!.stdout).toContain('imageFilesystems:');
  expect(did.missing!.stderr).toContain('msg="load podSandboxConfig: config at /nosuch.yaml not found"');
  expect(did.nowhere!.stderr).toContain('validate service connection: validate CRI v1 runtime API for endpoint \\"unix:///nosuch.sock\\": rpc error: code = Unavailable desc = connection error: desc = \\"transport: Error while dialing: dial unix /nosuch.sock: connect: no such file or directory\\""');
  expect(did.config!.stdout).toBe('unix:///run/containerd/containerd.sock\n');
  expect(did.rmp!.stdout).toMatch(/^Removed sandbox [0-9a-f]{64}\n$/);
  const DEFAULTS = 'connect using default endpoints: [unix:///run/containerd/containerd.sock unix:///run/crio/crio.sock unix:///var/run/cri-dockerd.sock]. As the default settings are now deprecated, you should set the endpoint instead."';
  expect(did.warned!.stderr.split('\n').map((l) => l.replace(/^.*msg="/, ''))).toEqual(['Config \\"/etc/crictl.yaml\\" does not exist, trying next: \\"/usr/bin/crictl.yaml\\""', `runtime ${DEFAULTS}`, `image ${DEFAULTS}`, '']);
  expect(did.images!.stderr).not.toContain('runtime connect');
});
