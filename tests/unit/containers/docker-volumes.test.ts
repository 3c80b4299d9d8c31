/** Volumes with options: what they name is mounted while a container that uses them runs. */
import { beforeAll, expect, it } from 'vitest';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab();
  sh(m, `docker volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,uid=1000 tv; mkdir -p /srv/data; echo host > /srv/data/f
docker volume create -o type=none -o device=/srv/data -o o=bind bv; docker volume create -o type=none -o device=/nosuch -o o=bind nv`);
});

const at = (volume: string): string => `/var/lib/docker/volumes/${volume}/_data`;

it('a tmpfs lives as long as somebody uses it', () => {
  sh(m, 'docker run -d --name t1 -v tv:/t busybox sleep 1000');
  expect(sh(m, `docker exec t1 sh -c 'echo hi > /t/x'; docker run --rm -v tv:/t busybox cat /t/x; ls ${at('tv')}; mount | grep " ${at('tv')} "`).stdout).toBe(`hi\nx\ntmpfs on ${at('tv')} type tmpfs (rw,relatime,size=1024k,uid=1000,inode64)\n`);
  expect(sh(m, `docker rm -f t1 > /dev/null; ls ${at('tv')}; mount | grep -c ${at('tv')}`).stdout).toBe('0\n');
});

it('its size is a limit', () => {
  expect(sh(m, "docker run --rm -v tv:/t busybox sh -c 'dd if=/dev/zero of=/t/big bs=1M count=2'").stderr).toContain("dd: error writing '/t/big': No space left on device\n");
});

it('a directory of the host by its name', () => {
  expect(sh(m, 'docker run --rm -v bv:/d busybox cat /d/f').stdout).toBe('host\n');
  expect(sh(m, `docker volume rm bv > /dev/null; cat /srv/data/f`).stdout).toBe('host\n');
});

it('what cannot be mounted is told, and nothing runs', () => {
  expect(sh(m, 'docker run --rm -v nv:/d busybox true')).toMatchObject({
    stdout: '', exit: 125,
    stderr: `docker: Error response from daemon: failed to populate volume: error while mounting volume '${at('nv')}': failed to mount local volume: mount /nosuch:${at('nv')}, flags: 0x1000: no such file or directory.\nSee 'docker run --help'.\n`,
  });
});
