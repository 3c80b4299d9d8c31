/** docker given what nobody should: bad bodies, bad archives, bad flags. Errors come back, and the daemon answers afterwards. */
import { beforeAll, expect, it } from 'vitest';
import { putFile } from '../../../src/engine/kernel/vfs/build.ts';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab();
});

const API = "curl -s --unix-socket /var/run/docker.sock -X POST -H 'Content-Type: application/json'";
const BODIES = [
  '', '{', '[]', '5', '"x"', 'null', '{"Image":5}', '{"Image":"busybox","Cmd":5}', '{"Image":"busybox","Cmd":{"a":1}}', '{"Image":"busybox","Env":"x"}', '{"Image":"busybox","HostConfig":[]}',
  '{"Image":"busybox","HostConfig":{"PortBindings":{"x":1}}}', '{"Image":"busybox","HostConfig":{"PortBindings":{"80/tcp":5}}}', '{"Image":"busybox","HostConfig":{"Binds":[5]}}',
  '{"Image":"busybox","HostConfig":{"Mounts":[5]}}', '{"Image":"busybox","HostConfig":{"Memory":"x"}}', '{"Image":"busybox","NetworkingConfig":{"EndpointsConfig":5}}', '{"Image":"busybox","Healthcheck":{"Test":5}}',
  '{"Image":"__proto__"}', '{"Image":"busybox","Labels":{"__proto__":"x"},"Cmd":["true"]}',
];

it.each(BODIES)('create with %s', (body) => {
  const done = sh(m, `${API} -d '${body}' http://localhost/v1.45/containers/create; docker ps > /dev/null && echo alive`);
  expect(done.stdout).toMatch(/alive\n$/);
  expect(done.stdout).toMatch(/^\{"(message|Id)":/);
});

it.each(['/containers/x/start', '/exec/x/start', '/networks/create', '/volumes/create', '/images/load', '/build', '/commit', '/containers/%ff/kill', '/nothing'])('POST %s with noise', (path) => {
  const done = sh(m, `${API} -d '{"Name":[1],"x":' http://localhost/v1.45${path}; docker ps > /dev/null && echo alive`);
  expect(done.stdout).toMatch(/alive\n$/);
});

it('archives that are none, or cut', () => {
  let seed = 7;
  for (const size of [0, 1, 511, 512, 1024, 3000, 70000]) {
    const data = new Uint8Array(size).map(() => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 16);
    putFile(m.kernel, '/root/noise.tar', data);
    const done = sh(m, 'docker load -i /root/noise.tar; docker import /root/noise.tar x:1 > /dev/null; docker build - < /root/noise.tar; docker ps -q');
    expect(done.exit).toBe(0);
    expect(done.stderr).toMatch(/Error response from daemon: |open /);
  }
});

it.each([
  ['docker run', 1], ['docker run -m', 125], ['docker run --cpus= busybox', 125], ['docker run -p 1:2:3:4:5 busybox', 125], ['docker run -v : busybox true', 125], ['docker run -v /a:/b:/c:ro busybox true', 125],
  ['docker run --mount foo busybox true', 125], ['docker run --network "" busybox true', 0], ['docker run --pid container:nosuch busybox true', 125], ['docker run --user a:b:c busybox true', 125],
  ['docker run busybox ""', 127], ['docker exec', 1], ['docker inspect -f "{{" x', 64], ['docker ps --format "{{.X}}" -a', 1], ['docker ps -f', 125], ['docker logs --tail x busybox', 1], ['docker cp a b', 1],
  ['docker network create ""', 1], ['docker network connect a', 1], ['docker volume create "a/b"', 1], ['docker tag busybox UPPER', 1], ['docker rmi nosuch', 1], ['docker kill -s NOSUCH x', 1], ['docker build .', 1],
  ['docker -H tcp://127.0.0.1:1 ps', 1], ['docker -H bogus ps', 1], ['docker compose up', 14], ['docker swarm init', 1], ['docker save nosuch', 1],
] as const)('%s', (line, exit) => {
  const done = sh(m, `${line} < /dev/null`);
  expect(done.exit).toBe(exit);
  if (exit !== 0) expect(done.stderr).not.toBe('');
  expect(sh(m, 'docker ps -q > /dev/null; echo alive').stdout).toBe('alive\n');
});

it('older names of flags are those of run alone', () => {
  expect(sh(m, 'docker run --rm --net none busybox true').exit).toBe(0);
  expect(sh(m, 'docker ps --net none').stderr).toBe("unknown flag: --net\nSee 'docker ps --help'.\n");
});

it.each([
  ['docker run --rm --gpus all busybox true', 125, 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].\n'],
  ['docker run --rm --gpus some busybox true', 125, 'invalid argument "some" for "--gpus" flag: count must be an integer\nSee \'docker run --help\'.\n'],
  ['docker run --rm --link x busybox true', 125, "not modelled: --link (a network that people make has names)\nSee 'docker run --help'.\n"],
  ['mkdir -p /root/here; echo x > /root/here/f; docker run --rm -v ./here:/x -v .:/y busybox cat /x/f /y/here/f', 0, ''],
  ['docker run -d --name ends busybox sleep 1000 > /dev/null; (docker kill ends > /dev/null &); docker attach ends', 137, ''],
  ['docker attach ends', 1, 'You cannot attach to a stopped container, start it first\n'],
  ['docker cp ends:/nosuch .', 1, 'Error response from daemon: Could not find the file /nosuch in container ends\n'],
] as const)('%s says why', (line, exit, stderr) => {
  expect(sh(m, `cd /root; ${line}`)).toMatchObject({ exit, stderr });
});
