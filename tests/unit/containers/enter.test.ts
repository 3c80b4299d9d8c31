/** unshare and nsenter: subordinate ids, the parent's death, joining a control group, a target's environment, what is refused. */
import { beforeAll, expect, it } from 'vitest';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;
beforeAll(() => {
  m = lab();
  sh(m, 'docker run -d --name web -e A=b busybox sleep 1000');
});

const P = 'P=$(docker inspect -f "{{.State.Pid}}" web);';

it.each<[string, string]>([
  ['su student -c "unshare --map-auto -r cat /proc/self/uid_map"', '         0       1000          1\n         1     100000      65535\n'],
  ['su student -c "unshare --map-auto -U cat /proc/self/gid_map"', '         0     100000      65536\n'],
  ['su student -c "newuidmap 1 0 0 1"', 'newuidmap: uid range [0-1) -> [0-1) not allowed\n'],
  ['unshare --map-auto -r true', 'unshare: no line matching user "root" in /etc/subuid\n'],
  ['unshare -T --boottime 100000 cat /proc/self/timens_offsets', 'monotonic           0         0\nboottime       100000         0\n'],
  ['unshare -fp --kill-child sleep 900 & sleep 0.2; kill -9 $!; sleep 0.1; pgrep -fx "sleep 900" || echo gone', 'gone\n'],
  [`${P} nsenter -t $P -e -m env | grep A=`, 'A=b\n'],
  [`${P} nsenter -t $P -c cut -d/ -f3 /proc/self/cgroup | cut -c1-7`, 'docker-\n'],
  ['nsenter -n true', 'nsenter: no target PID specified\n'],
  ['nsenter -a true', 'nsenter: stat of /proc/0/ns/user failed: No such file or directory\n'],
  ['nsenter -c true', 'nsenter: --join-cgroup can only be used with --target\n'],
  ['prlimit --nofile=abc true', 'prlimit: failed to parse NOFILE limit\n'],
  ['prlimit --nproc=10:5 true', 'prlimit: the soft limit NPROC cannot exceed the hard limit\n'],
])('%s', (command, expected) => {
  const { stdout, stderr } = sh(m, command);
  expect((stdout + stderr).replace(/^\/root\/line\.sh.*\n/gm, '')).toBe(expected);
});

it.each<[string, string]>([
  ['setpriv --inh-caps +net_raw --ambient-caps +net_raw --reuid 1000 --regid 1000 --clear-groups grep -E "CapEff|CapAmb" /proc/self/status', 'CapEff:\t0000000000002000\nCapAmb:\t0000000000002000\n'],
  ['setpriv --reuid 1000 --clear-groups grep CapPrm /proc/self/status', 'CapPrm:\t0000000000000000\n'],
  ['capsh --caps=cap_net_raw+ep --print | head -1', 'Current: cap_net_raw=ep\n'],
  ['capsh --caps="cap_chown,cap_kill=eip" --addamb=cap_chown --print | sed -n "1p;3p"', 'Current: cap_chown,cap_kill=eip\nAmbient set =cap_chown\n'],
  ['capsh --caps=xx', 'capsh: unable to interpret [xx]\n'], ['capsh --caps=foo+e', 'capsh: cap[foo] not recognized by library\n'],
  ['docker run -d --name ngx nginx > /dev/null; sleep 0.3; docker exec ngx sh -c "sed -i \'s/listen .*;/listen 80; location \\/hi { return 200 hello; }/\' /etc/nginx/nginx.conf; nginx -t -q && nginx -s reload"; sleep 0.2; docker exec ngx wget -qO- localhost/hi', 'hello'],
  ['docker exec ngx nginx -s foo; docker exec ngx nginx', 'nginx: invalid option: "-s foo"\nnginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\n'],
  ['docker exec ngx sh -c "echo \'http {\' > /etc/nginx/nginx.conf; kill -HUP 1"; sleep 0.2; docker exec ngx wget -qO- localhost/hi', 'hello'],
])('%s', (command, expected) => {
  const { stdout, stderr } = sh(m, command);
  expect(stdout + stderr).toBe(expected);
});
