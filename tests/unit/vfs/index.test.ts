/** Overlays with index=on: hard links of a lower file stay links of one file; what is said was compared with a 6.18 kernel. */
import { beforeAll, expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

let typist: Typist;
const say = (command: string): string => {
  const done = line(typist, command)!;
  return done.stdout + done.stderr;
};
const MOUNT = 'mount -t overlay ov -o lowerdir=l,upperdir=u,workdir=w,index=on m';
const nlink = (name: string): string => say(`getfattr -n trusted.overlay.nlink --only-values u/${name}`);

beforeAll(() => {
  typist = createTypist(createWorld(loadAssets(), 'empty-host'), { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  waitForPrompt(typist);
  say(`mkdir /tmp/o; cd /tmp/o; mkdir l u w m; echo one > l/a; ln l/a l/b; ln l/a l/c; echo x > l/solo; ${MOUNT}`);
});

it('shows it', () => {
  expect(say('grep " overlay " /proc/mounts')).toContain('lowerdir=l,upperdir=u,workdir=w,index=on,uuid=on 0 0');
});

it('copies a file of several names up once; all of them show the copy', () => {
  expect(say('echo two >> m/b; cat m/a m/c; stat -c "%n %h" m/a m/b m/c u/b; ls u')).toBe('one\ntwo\none\ntwo\nm/a 3\nm/b 3\nm/c 3\nu/b 2\nb\n');
  expect(say('ls -i m/a m/b m/c | cut -d" " -f1 | uniq | wc -l; ls w/index | wc -l; ls w/index | cut -c1-8')).toBe('1\n1\n00fb2100\n');
  expect(nlink('b')).toBe('U+1');
  expect(say('echo three >> m/c; tail -1 m/a; stat -c "%n %h" m/a u/b u/c')).toBe('three\nm/a 3\nu/b 3\nu/c 3\n');
  expect(nlink('c')).toBe('U+0');
});

it('counts names that come and go', () => {
  expect(say('rm m/a; ls m; stat -c "%n %h" m/b u/b')).toBe('b  c  solo\nm/b 2\nu/b 3\n');
  expect(nlink('b')).toBe('U-1');
  expect(say('ln m/b m/d; mv m/d m/e; stat -c "%n %h" m/b m/e')).toBe('m/b 3\nm/e 3\n');
});

it('knows them in a new mount, and has one mount at a time', () => {
  expect(say(`umount m; ${MOUNT}; stat -c "%n %h" m/b m/c m/e; tail -1 m/e`)).toBe('m/b 3\nm/c 3\nm/e 3\nthree\n');
  expect(say(`mkdir m2; ${MOUNT}2; echo $?`)).toBe('32\nmount: /tmp/o/m2: ov already mounted on /tmp/o/m.\n       dmesg(1) may have more information after failed mount system call.\n');
});

it('drops the copy with the last name, and refuses another lower directory', () => {
  expect(say('rm m/b m/c m/e; ls w/index | wc -l; ls m')).toBe('0\nsolo\n');
  expect(say(`umount m; mkdir l2; ${MOUNT.replace('lowerdir=l', 'lowerdir=l2')}; dmesg | tail -1`)).toMatch(/failed to verify upper root origin\n.*Stale file handle/s);
});
