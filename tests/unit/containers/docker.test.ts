/** docker end to end on one machine: command line, daemon, containerd, shim, runc, kernel. Every line is typed as people do. */
import { beforeAll, describe, expect, it } from 'vitest';
import { file, type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab();
});

interface Case {
  run: string;
  exit?: number;
  out?: string | RegExp;
  err?: string | RegExp;
}

const JOURNEYS: Record<string, Case[]> = {
  'a container is killed at its memory limit': [
    { run: 'docker run --name hog -m 64m busybox tail /dev/zero', exit: 137, out: '' },
    { run: "docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' hog", out: 'true 137\n' },
    { run: 'dmesg | tail -1', out: /Memory cgroup out of memory: Killed process \d+ \(tail\)/ },
    { run: 'docker run --rm -m 64m stress --vm 1 --vm-bytes 128m', exit: 1, err: /<-- worker \d+ got signal 9[\s\S]*failed run completed/ },
    { run: 'docker rm hog', out: 'hog\n' },
  ],
  'statuses and streams come back': [
    { run: 'docker run --rm busybox sh -c "echo out; echo err >&2; exit 3"', exit: 3, out: 'out\n', err: 'err\n' },
    { run: 'echo hi | docker run -i --rm busybox cat', out: 'hi\n' },
    { run: 'docker run --rm busybox nosuch', exit: 127, err: /executable file not found in \$PATH: unknown\.\n$/ },
    { run: 'docker run --rm busybox /etc/passwd', exit: 126, err: /permission denied: unknown\.\n$/ },
    { run: 'docker run --bogus busybox', exit: 125, err: "unknown flag: --bogus\nSee 'docker run --help'.\n" },
    { run: 'docker ps -aq', out: '' },
  ],
  'a container lives, is asked, and goes': [
    { run: 'docker run -d --name web -p 8080:80 nginx', out: /^[0-9a-f]{64}\n$/ },
    { run: 'curl -s localhost:8080 | head -3 | tail -1', out: /Welcome to nginx!/ },
    { run: 'docker run -d --name web2 -p 8080:80 nginx', exit: 125, err: /Bind for 0\.0\.0\.0:8080 failed: port is already allocated\.\n$/ },
    { run: "docker ps --format '{{.Names}} {{.Ports}}'", out: 'web 0.0.0.0:8080->80/tcp, :::8080->80/tcp\n' },
    { run: 'docker exec web sh -c "exit 7"', exit: 7 },
    { run: 'docker exec web nosuch', exit: 126, out: /executable file not found/ },
    { run: 'docker stop web', out: 'web\n' },
    { run: 'curl -s localhost:8080', exit: 7 },
    { run: 'docker start web; docker restart -t 0 web', out: 'web\nweb\n' },
    { run: 'docker rm web', exit: 1, err: /container is running: stop the container before removing or force remove\n$/ },
    { run: 'docker rm -f web web2', out: 'web\nweb2\n' },
    { run: 'ps ax -o args | grep -c [d]ocker-proxy', exit: 1, out: '0\n' },
  ],
  'files: copy-up, diff, cp, commit, save and load': [
    { run: 'docker run --name fs busybox sh -c "echo x > /new; echo y >> /etc/passwd; rm /bin/wget"', exit: 0 },
    { run: 'docker diff fs', out: 'C /bin\nD /bin/wget\nC /etc\nC /etc/passwd\nA /new\n' },
    { run: 'docker cp fs:/new - | head -c 3', out: 'new' },
    { run: 'docker commit fs mine:1 > /dev/null; docker save mine:1 -o /root/mine.tar; docker rmi mine:1 > /dev/null; docker load -i /root/mine.tar', out: 'Loaded image: mine:1\n' },
    { run: 'docker run --rm mine:1 cat /new', out: 'x\n' },
    { run: 'docker run --rm mine:1 test -e /bin/wget', exit: 1 },
    { run: 'head -c 5000 /root/mine.tar > /root/cut.tar; docker load -i /root/cut.tar', exit: 1, err: 'unexpected EOF\n' },
    { run: 'docker rm fs', out: 'fs\n' },
  ],
  'networks of one\'s own': [
    { run: 'docker network create net1 > /dev/null; docker run -d --name aa --network net1 busybox sleep 100 > /dev/null', exit: 0 },
    { run: 'docker run --rm --network net1 busybox ping -c 1 aa', exit: 0, out: /1 packets transmitted, 1 (packets )?received/ },
    { run: 'docker run --rm busybox ping -c 1 -W 1 172.18.0.2', exit: 1 },
    { run: 'docker network rm net1', exit: 1, err: /has active endpoints\n$/ },
    { run: 'docker rm -f aa; docker network rm net1', out: 'aa\nnet1\n' },
  ],
  'volumes keep what containers write': [
    { run: 'docker run --rm -v vol1:/d busybox sh -c "echo kept > /d/f"; docker run --rm -v vol1:/d:ro busybox cat /d/f', out: 'kept\n' },
    { run: 'docker run --rm -v vol1:/d:ro busybox touch /d/g', exit: 1 },
    { run: 'docker volume ls -q; docker volume rm vol1', out: 'vol1\nvol1\n' },
  ],
  'restart policies and health': [
    { run: 'docker run -d --name re --restart on-failure:2 busybox sh -c "exit 3" > /dev/null; sleep 2', exit: 0 },
    { run: "docker inspect -f '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}' re", out: '2 exited 3\n' },
    { run: 'docker run -d --name he --health-cmd "test -f /ok" --health-interval 1s --health-retries 2 busybox sleep 100 > /dev/null; sleep 4', exit: 0 },
    { run: "docker ps --format '{{.Status}}' --filter name=he", out: /\(unhealthy\)\n$/ },
    { run: "docker exec he touch /ok; sleep 2; docker inspect -f '{{.State.Health.Status}}' he; docker rm -f he re", out: 'healthy\nhe\nre\n' },
  ],
  'a build': [
    { run: "mkdir -p /root/ctx; cd /root/ctx; printf 'FROM busybox\\nENV A=1\\nCOPY f /d/\\nRUN echo $A > /a\\nCMD [\"cat\",\"/a\",\"/d/f\"]\\n' > Dockerfile; echo text > f; docker build -q -t made:1 .; docker run --rm made:1", out: /^sha256:[0-9a-f]{64}\n1\ntext\n$/ },
    { run: 'cd /root/ctx; docker build -t made:1 . 2>&1 | grep -c CACHED', out: '2\n' },
    { run: "cd /root/ctx; printf 'FROM busybox\\nRUN exit 5\\n' > D2; docker build -f D2 .", exit: 1, err: /ERROR: failed to solve: process "\/bin\/sh -c exit 5" did not complete successfully: exit code: 5\n$/ },
  ],
};

describe.each(Object.entries(JOURNEYS))('%s', (_name, cases) => {
  it.each(cases)('$run', ({ run, exit = 0, out, err }) => {
    const done = sh(m, run);
    if (typeof out === 'string') expect(done.stdout).toBe(out);
    else if (out) expect(done.stdout).toMatch(out);
    if (typeof err === 'string') expect(done.stderr).toBe(err);
    else if (err) expect(done.stderr).toMatch(err);
    expect(done.exit).toBe(exit);
    expect(file(m, '/root/dockerd.log.err')).toBe('');
  });
});
