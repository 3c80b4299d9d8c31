/** What programs that only count and keep take of a machine: processor time that passes, memory that a control group limits. */
import { beforeAll, expect, test } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

let typist: Typist;
beforeAll(() => {
  typist = createTypist(createWorld(loadAssets(), 'one-host'), { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  waitForPrompt(typist);
  line(typist, "inside() { systemd-run --scope -q -p MemoryMax=20M \"$@\"; }");
});

test.each([
  ['a shell that doubles a value', "inside sh -c 'x=a; while :; do x=$x$x; done'"],
  ['a substitution that gathers', `inside bash -c 'x=$(head -c 50m /dev/zero | tr "\\0" a); echo \${#x}'`],
  ['an array of awk', "inside awk 'BEGIN { while (1) a[i++] = i }'"],
])('%s is killed at its group’s limit', (_, command) => {
  const kills = 'dmesg | grep -c "oom-kill:constraint=CONSTRAINT_MEMCG"';
  const before = Number(line(typist, kills)!.stdout);
  expect(line(typist, command)!.exit).toBe(137);
  expect(Number(line(typist, kills)!.stdout)).toBe(before + 1);
});

test('the memory of a long value shows in its shell, and RLIMIT_AS refuses it', () => {
  expect(Number(line(typist, `bash -c 'x=$(head -c 30m /dev/zero | tr "\\0" a); : ; awk "/^VmRSS/ { print \\$2 }" /proc/$$/status; :'`)!.stdout)).toBeGreaterThan(30 * 1024);
  const refused = line(typist, "bash -c 'ulimit -v 40000; x=a; while :; do x=$x$x; done'")!;
  expect([refused.exit, refused.stderr]).toEqual([2, expect.stringMatching(/^bash: (line 1: )?xrealloc: cannot allocate \d+ bytes\n$/)]);
});

test.each(["awk 'BEGIN { while (1); }'", "echo | sed ':a; ba'"])('%s goes on until it is stopped, and time passes', (command) => {
  const before = typist.world.timeline.now;
  expect(line(typist, `timeout 1 ${command.startsWith('echo') ? `sh -c "${command}"` : command}`)!.exit).toBe(124);
  expect(typist.world.timeline.now - before).toBeGreaterThanOrEqual(1e9);
});

test('sizes with small letters, where the tool takes them', () => {
  expect(line(typist, 'head -c 2k /dev/zero | wc -c; head -c 1m /dev/zero | tail -c 1k | wc -c; truncate -s 1g /tmp/g; stat -c %s /tmp/g')!.stdout).toBe('2048\n1024\n1073741824\n');
  expect(line(typist, 'head -c 1g /dev/zero')!.exit).toBe(1);
  expect(line(typist, 'dd if=/dev/zero of=/dev/null bs=1m count=1')!.exit).toBe(1);
});
