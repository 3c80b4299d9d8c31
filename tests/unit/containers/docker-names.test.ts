/** Names of containers on networks that people make, asked of the daemon's server at 127.0.0.11. */
import { beforeAll, expect, it } from 'vitest';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab();
  sh(m, 'docker network create nn; docker run -d --name db --network nn --network-alias database busybox sleep 1000; docker run -d --name alone busybox sleep 1000');
});

const ask = (name: string) => sh(m, `docker run --rm --network nn busybox ping -c 1 ${name}`);

it.each(['db', 'database', 'DB', 'db.nn', 'database.nn'])('%s is found', (name) => {
  expect(ask(name).stdout).toContain(`PING ${name} (172.18.0.2): 56 data bytes\n64 bytes from 172.18.0.2`);
});

it.each(['alone', 'nosuch', 'db.mm', 'nn'])('%s is not', (name) => {
  expect(ask(name)).toMatchObject({ stderr: `ping: bad address '${name}'\n`, exit: 1 });
});

it('is no line of a file: the server is asked, through the rules of the namespace', () => {
  const { stdout } = sh(m, 'docker exec db cat /etc/hosts /etc/resolv.conf; nsenter -t $(docker inspect -f "{{.State.Pid}}" db) -n iptables -t nat -S DOCKER_OUTPUT; nsenter -t $(docker inspect -f "{{.State.Pid}}" db) -n ss -lnu');
  expect(stdout).toContain('nameserver 127.0.0.11\noptions ndots:0\n');
  const port = /--dport 53 -j DNAT --to-destination 127\.0\.0\.11:(\d+)/.exec(stdout)![1]!;
  expect(stdout).toContain(`127.0.0.11:${port} `);
});

it('comes with a network joined later, goes with the container', () => {
  expect(sh(m, 'docker exec alone ping -c 1 db').stderr).toBe("ping: bad address 'db'\n");
  expect(sh(m, 'docker network connect nn alone; docker exec alone ping -c 1 db > /dev/null; docker exec db ping -c 1 alone > /dev/null').exit).toBe(0);
  expect(sh(m, 'docker stop -t 0 db > /dev/null; docker exec alone ping -c 1 db').stderr).toBe("ping: bad address 'db'\n");
  expect(sh(m, 'docker start db > /dev/null; docker exec alone ping -c 1 db').exit).toBe(0);
});

it('of two networks', () => {
  expect(sh(m, 'docker network create mm > /dev/null; docker run -d --name both --network nn --network mm busybox sleep 1000 > /dev/null; docker exec db ping -c 1 both > /dev/null && docker run --rm --network mm busybox ping -c 1 both').stdout).toContain('64 bytes from 172.19.0.2');
});
