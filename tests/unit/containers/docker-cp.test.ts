/** docker cp by the rules of cp -a as docker/cli and moby's pkg/archive have them; logs that rotate, that carry attributes, of driver local. */
import { beforeAll, expect, it } from 'vitest';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab();
  sh(m, `mkdir -p /w/d/e; cd /w; echo one > one; echo two > d/two; ln -s one lnk; ln -s nowhere dangling; chown 1000:1000 d/two
    docker run --name cc busybox sh -c 'mkdir -p /made/in; ln -s /etc /made/etc; mkfifo /made/p; echo m > /made/m; ln /made/m /made/m2'
    docker run -d --name ro -v vol:/data -v /w:/host:ro --tmpfs /t --read-only busybox sleep 100000`);
});

const CASES: readonly (readonly [string, string, string])[] = [
  ['docker cp cc:/made/. - | tar -xvf - -C /tmp | sort', './\n./etc\n./in/\n./m\n./m2\n./p\n', ''],
  ['docker cp cc:/made/etc /w/e1; readlink /w/e1', '/etc\n', ''],
  ['docker cp -L cc:/made/etc /w/e2; ls -d /w/e2/passwd', '/w/e2/passwd\n', ''],
  ['docker cp /w/d cc:/; docker cp -a cc:/d /w/back; stat -c "%u %n" /w/back/two', '0 /w/back/two\n', ''],
  ['docker cp /w/lnk cc:/l1; docker cp -L /w/lnk cc:/l2; docker cp cc:/l1 - | tar -t; docker cp cc:/l2 /w/l2; cat /w/l2', 'l1\none\n', ''],
  ['docker cp -L /w/dangling cc:/l4', '', 'lstat /w/nowhere: no such file or directory\n'],
  ['docker cp /w/one nosuch:/', '', 'no such directory\n'],
  ['docker cp /w/one nosuch:/x', '', 'Error response from daemon: No such container: nosuch\n'],
  ['docker cp /w/nosuch nosuch:/x', '', 'lstat /w/nosuch: no such file or directory\n'],
  ['docker cp cc:/d /w/one/', '', 'stat /w/one/: not a directory\n'],
  ['docker cp nosuch:/d /nowhere/x', '', 'invalid output path: directory "/nowhere" does not exist\n'],
  ['docker cp /w/one ro:/data/one; docker exec ro cat /data/one', 'one\n', ''],
  ['docker cp /w/one ro:/t/', '', 'Error response from daemon: container rootfs is marked read-only\n'],
  ['docker cp /w/one ro:/host/two', '', 'Error response from daemon: mounted volume is marked read-only\n'],
  ['docker cp /w/one cc:/made/in', '', ''],
  ['docker cp cc:/made/m - | tar -t; docker export cc | tar -tv | grep -c " link to "', 'm\n1\n', ''],
  ['cd /w && docker cp cc:/made/in/. here && ls here', 'one\n', ''],
  ['docker cp cc:/made/m /dev/null', '', 'invalid output path: "/dev/null" must be a directory or a regular file: got a device\n'],
];

it.each(CASES)('%s', (command, stdout, stderr) => {
  const done = sh(m, command);
  expect({ stdout: done.stdout, stderr: done.stderr }).toEqual({ stdout, stderr });
});

const LOGS: readonly (readonly [string, string, string])[] = [
  ['docker run --name rot --log-opt max-size=1k --log-opt max-file=3 busybox sh -c "seq -f \'line number %g\' 60" > /dev/null; docker logs rot | wc -l; docker logs -n 1 rot; ls $(dirname $(docker inspect -f "{{.LogPath}}" rot)) | grep -c json.log', '36\nline number 60\n3\n', ''],
  ['docker run --name at --label x=1 -e F=bar --log-opt labels=x --log-opt env=F --log-opt tag="{{.Name}}/{{.ImageName}}" busybox echo hi > /dev/null; docker logs --details at', 'F=bar,tag=at/busybox,x=1 hi\n', ''],
  ['docker run --name loc --log-driver local busybox sh -c "echo a; echo b >&2; echo -n c" > /dev/null 2>&1; docker logs loc; docker inspect -f "{{.LogPath}}|" loc', 'a\nc|\n', 'b\n'],
  ['docker create --log-opt bogus=1 busybox; docker create --log-driver local --log-opt env=F busybox', '', "Error response from daemon: unknown log opt 'bogus' for json-file log driver\nError response from daemon: unknown log opt 'env' for local log driver\n"],
  ['docker run --rm --log-opt max-file=0 busybox true 2>&1 | head -1', 'docker: Error response from daemon: failed to create task for container: failed to initialize logging driver: max-file cannot be less than 1.\n', ''],
];

it.each(LOGS)('%s', (command, stdout, stderr) => {
  const done = sh(m, command);
  expect({ stdout: done.stdout, stderr: done.stderr }).toEqual({ stdout, stderr });
});

it('a task goes on where its cpuset lets it', () => {
  const done = sh(m, 'docker run -d --name cs busybox sleep 100000 > /dev/null; docker update --cpuset-cpus 1 cs; before=$(date +%s); docker exec cs cat /sys/fs/cgroup/cpuset.cpus; echo $(($(date +%s) - before < 10))');
  expect(done.stdout).toBe('cs\n1\n1\n');
});
