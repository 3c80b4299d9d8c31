/** Overlays with metacopy=on: attributes go up without data, data follows the first write, names lead back to it. */
import { beforeAll, expect, it, test } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

let typist: Typist;
const say = (command: string): string => {
  const done = line(typist, command)!;
  return done.stdout + done.stderr;
};
const MOUNT = 'mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w,metacopy=on m';

beforeAll(() => {
  typist = createTypist(createWorld(loadAssets(), 'empty-host'), { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  waitForPrompt(typist);
  say(`mkdir /tmp/o; cd /tmp/o; mkdir l u w m l/d; head -c 10000 /dev/zero | tr '\\0' x > l/f; echo data > l/d/g; ${MOUNT}`);
});

it('turns redirects on and shows both', () => {
  expect(say('grep overlay /proc/mounts')).toContain('lowerdir=l,upperdir=u,workdir=w,redirect_dir=on,uuid=on,metacopy=on 0 0');
});

it('copies attributes up, and no data', () => {
  expect(say('chmod 600 m/f; stat -c "%a %s %b" u/f m/f; getfattr -d -m metacopy u/f; head -c 3 m/f')).toBe('600 10000 0\n600 10000 24\n# file: u/f\ntrusted.overlay.metacopy=""\n\nxxx');
});

it('finds the data after renames, also in a new mount', () => {
  expect(say('mv m/f m/f2; getfattr -d -m redirect --only-values u/f2; mv m/f2 m/d/f3; getfattr -d -m redirect --only-values u/d/f3; head -c 3 m/d/f3')).toBe('f/fxxx');
  expect(say(`umount m; ${MOUNT}; tail -c 3 m/d/f3; ls m m/d`)).toBe('xxxm:\nd\n\nm/d:\nf3  g\n');
});

it('brings the data with the first write', () => {
  expect(say('echo y >> m/d/f3; stat -c "%s %b" u/d/f3; getfattr -d -m metacopy u/d/f3; tail -c 4 m/d/f3')).toBe('10002 24\nxxy\n');
});

it('needs no data that is thrown away', () => {
  expect(say('chown 5 m/d/g; > m/d/g; getfattr -d -m metacopy u/d/g; stat -c "%u %s" m/d/g')).toBe('5 0\n');
});

test.each([['metacopy=on,redirect_dir=off'], ['metacopy=on,redirect_dir=nofollow'], ['metacopy=on,userxattr']])('refuses %s', (options) => {
  expect(say(`mkdir -p u2 w2 m2; mount -t overlay overlay -o lowerdir=l,upperdir=u2,workdir=w2,${options} m2`)).toContain('wrong fs type, bad option');
});

it('refuses data elsewhere where it is off, and data that is gone', () => {
  expect(say('echo e > l/e; mkdir u3 w3 m3; mount -t overlay overlay -o lowerdir=l,upperdir=u3,workdir=w3,metacopy=on m3; chmod 600 m3/e; umount m3; mount -t overlay overlay -o lowerdir=l,upperdir=u3,workdir=w3 m3; cat m3/e; umount m3')).toBe('cat: m3/e: Operation not permitted\n');
  expect(say('rm l/e; mount -t overlay overlay -o lowerdir=l,upperdir=u3,workdir=w3,metacopy=on m3; cat m3/e; umount m3')).toBe('cat: m3/e: Input/output error\n');
});

it('refuses a value that is none of its own when it is set', () => {
  expect(say('mkdir -p u3 w3 m3; mount -t overlay overlay -o lowerdir=l,upperdir=u3,workdir=w3,metacopy=maybe m3')).toContain('m3: fsconfig() failed: ');
});
