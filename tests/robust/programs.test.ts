/** Any program with any words: each line comes back, no program's model fails, and the shell goes on. `NESTBOX_LINES` and `NESTBOX_SEED` for more. */
import { expect, it } from 'vitest';
import { loadAssets } from '../../src/cli/assets.ts';
import { createTypist, line, script, waitForPrompt } from '../../src/engine/world/typist.ts';
import { createRandom, below } from '../../src/engine/sim/random.ts';
import { createWorld } from '../../src/engine/world/world.ts';

/** They end the machine, wait for a person, or run for long. */
const LEFT_OUT = new Set(
  'poweroff reboot halt shutdown init telinit agetty login getty su sulogin bash sh dash ash yes watch top systemd dockerd containerd kubelet sshd switch_root qemu-system-x86_64 bare less more vi nano stress stress-ng wl'.split(' '),
);
const WORDS = [
  ...'-a -l -n -o -f -p -t -s -c -e -i -r -v -x -u -d -m -w -k -h -q --all -- - --nosuch --help --version --format --output --filter 5 -1 0 0x zz % %s%n /nosuch /etc/passwd / /proc /dev/null = [ * ( a=b 1- +1 1:2 a:b:c @ . ..'.split(' '),
  '', '99999999999999999999', '1e999', 'json', '{{', '{{.}}', '{}', 'é', 'lo', 'tiny', 'run', 'show', 'list', 'add', 'set', 'get', 'create', 'inspect', 'a,b', '\\', 'x'.repeat(300),
];
const INPUTS = ['/dev/null', '/etc/passwd', '/bin/ls', '/etc'];
const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

it.each([Number(process.env.NESTBOX_SEED ?? 1)])('lines of seed %i', (seed) => {
  const world = createWorld(loadAssets(), 'one-host', 1);
  const typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER });
  waitForPrompt(typist);
  let names: string[] = [];
  script(typist, ['ls -1 /usr/bin/* /usr/sbin/*'], ({ stdout }) => {
    names = stdout.split('\n').filter((path) => path.startsWith('/') && !LEFT_OUT.has(path.split('/').pop()!));
  });
  expect(names.length).toBeGreaterThan(250);
  const random = createRandom(seed);
  const any = <T>(list: readonly T[]): T => list[below(random, list.length)]!;
  for (let n = 0; n < Number(process.env.NESTBOX_LINES ?? 400); n++) {
    const words = Array.from({ length: below(random, 5) }, () => quote(any(WORDS)));
    const command = [any(names), ...words].join(' ');
    line(typist, `unshare -p -f --mount-proc timeout -s KILL 1 ${command} < ${any(INPUTS)} > /dev/null 2>&1`);
    expect(world.crashes, command).toEqual([]);
  }
  let said = '';
  script(typist, ['echo still here'], ({ stdout }) => {
    said = stdout;
  });
  expect(said).toBe('still here\n');
}, 600_000);
