/** Capabilities of files, busy files, offsets of time namespaces, queues of real-time signals, averages of pressure: through the terminal. */
import { beforeAll, expect, test } from 'vitest';
import { createTree } from '../../../src/engine/kernel/cgroup/core.ts';
import { countWaiting, pressureText } from '../../../src/engine/kernel/cgroup/psi.ts';
import type { Kernel } from '../../../src/engine/kernel/records.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

let typist: Typist;
const say = (command: string): string => {
  const done = line(typist, command)!;
  return done.stdout + done.stderr;
};

beforeAll(() => {
  typist = createTypist(createWorld(loadAssets(), 'empty-host'), { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  waitForPrompt(typist);
  say('cp /usr/bin/cat /tmp/c; cd /tmp');
});

test.each<[command: string, says: string]>([
  ['setcap cap_dac_read_search=ep c; getcap c; getcap -r /tmp', 'c cap_dac_read_search=ep\n/tmp/c cap_dac_read_search=ep\n'],
  ['su student -c "/tmp/c /etc/shadow" | head -1; su student -c "cat /etc/shadow"', 'root:*:20468:0:99999:7:::\ncat: /etc/shadow: Permission denied\n'],
  ['su student -c "/tmp/c /proc/self/status" | grep -E "Cap(Prm|Eff|Amb)"', 'CapPrm:\t0000000000000004\nCapEff:\t0000000000000004\nCapAmb:\t0000000000000000\n'],
  ['setpriv --reuid student --clear-groups --no-new-privs /tmp/c /proc/self/status | grep CapEff', 'CapEff:\t0000000000000000\n'],
  ['capsh --drop=cap_dac_read_search -- -c "/tmp/c x; echo \\$?"', '126\n/bin/bash: line 1: /tmp/c: Operation not permitted\n'],
  ['setcap -v cap_net_raw=ep c', 'c differs in [pe]\n'],
  ['setcap cap_chown+ei c 2>&1 | head -1; setcap cap_chown=ep /tmp 2>&1 | head -1', "Failed to set capabilities on file '/tmp': Invalid argument\n"],
  ['su student -c "/usr/sbin/setcap -r /tmp/c"', 'unable to set CAP_SETFCAP effective capability: Operation not permitted\n'],
  ['setcap cap_chown=p c; echo >> c; getcap c; setcap cap_chown=p c; chown student c; getcap c', ''],
  ['setcap cap_net_raw=ep c; cp c d; cp -a c e; getcap d e', 'e cap_net_raw=ep\n'],
  ['unshare -Ur sh -c "cp /usr/bin/cat f; setcap cap_net_raw=p f; getcap f"; getfattr -d -m - -e hex f', 'f cap_net_raw=p\n# file: f\nsecurity.capability=0x0000000200200000000000000000000000000000\n\n'],
])('capabilities of files: %s', (command, says) => {
  expect(say(command)).toBe(says);
});

test('what is run is not written to, what is written to is not run', () => {
  expect(say('cp /usr/bin/sleep s; ./s 3 > /dev/null & sleep .1; cp /usr/bin/cat s; truncate -s 0 s; rm s; cp /usr/bin/true t; exec 5>>t; ./t; echo $?; exec 5>&-; ./t; echo $?')).toMatch(/126\n0\n[\s\S]*cp: cannot create regular file 's': Text file busy\ntruncate: cannot open 's' for writing: Text file busy\nbash: \.\/t: Text file busy\n/);
});

test.each<[command: string, says: string | RegExp]>([
  ['unshare -T --boottime 86400 --fork cat /proc/uptime', /^864\d\d\.\d\d /],
  ['unshare -T --monotonic 500 --fork cat /proc/self/timens_offsets', 'monotonic         500         0\nboottime            0         0\n'],
  ['unshare -T bash -c "echo boottime 5 0 > /proc/self/timens_offsets"', 'bash: line 1: echo: write error: Permission denied\n'],
  ['unshare --monotonic 5 true', 'unshare: options --monotonic and --boottime require unsharing of a time namespace (-T)\n'],
  ['unshare -T --boottime -864000 true', 'unshare: failed to write to /proc/self/timens_offsets: Numerical result out of range\n'],
  ['kill -l RTMIN+3 40 RTMAX', '37\nRTMIN+6\n64\n'],
  ["bash -c 'n=0; trap \"n=\\$((n+1))\" RTMIN+1; for i in 1 2 3; do kill -s RTMIN+1 $$; done; echo $n; trap -p'", "3\ntrap -- 'n=$((n+1))' SIGRTMIN+1\n"],
])('%s', (command, says) => {
  const said = say(command);
  if (typeof says === 'string') expect(said).toBe(says);
  else expect(said).toMatch(says);
});

test('pressure is the same however often it is read', () => {
  const after = (reads: readonly number[]): string => {
    const kernel = { timeline: { now: 0 } } as Kernel;
    const group = createTree().root;
    for (const at of [1, 5, 11, 12, ...reads, 30].sort((a, b) => a - b)) {
      kernel.timeline.now = at * 1e9;
      if (at === 1 || at === 11) countWaiting(kernel, group, 1);
      if (at === 5 || at === 12) countWaiting(kernel, group, -1);
      pressureText(kernel, group, 'cpu');
    }
    return pressureText(kernel, group, 'cpu');
  };
  const seldom = after([]);
  expect(seldom).toMatch(/^some avg10=4\.22 avg60=\d\.\d\d avg300=1\.\d\d total=5000000\n/);
  expect(after([2, 3, 6, 7, 13, 20, 21, 29])).toBe(seldom);
});
