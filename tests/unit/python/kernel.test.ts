/** What python3 does to the kernel: memory that groups count and limits refuse, forks with memory of their own, signals, children. */
import { expect, test } from 'vitest';
import { runAll } from '../coreutils/machine.ts';

const RSS = "def rss(): return int(open('/proc/self/status').read().split('RssAnon:')[1].split()[0])\n";

const c = (source: string): readonly string[] => ['python3', '-c', source];
const CASES: readonly (readonly [string, readonly string[], { stdout?: string; stderr?: RegExp; exit: number }])[] = [
  ['a bytearray is memory of the task, and goes with its name', c(`${RSS}a = rss(); b = bytearray(50*1024*1024); c = rss(); del b\nd = rss()\nprint(c - a >= 51200, d - a < 1024)`), { stdout: 'True True\n', exit: 0 }],
  ['bytes(n) is not touched', c(`${RSS}a = rss(); b = bytes(50*1024*1024); print(rss() - a < 1024)`), { stdout: 'True\n', exit: 0 }],
  ['a long str is a run of its unit', c("a = ' ' * 10**8; print(len(a), type(a).__name__)"), { stdout: '100000000 str\n', exit: 0 }],
  ['a group with a limit ends it', ['sh', '-c', 'echo +memory > /sys/fs/cgroup/cgroup.subtree_control; mkdir -p /sys/fs/cgroup/g; echo 30M > /sys/fs/cgroup/g/memory.max; echo $$ > /sys/fs/cgroup/g/cgroup.procs; python3 -c "a = bytearray(100*1024*1024)"'], { exit: 137 }],
  ['a limit of its own gives MemoryError', ['sh', '-c', "ulimit -v 100000; python3 -c \"a = 'x' * 10**9\""], { stderr: /~\^~~~~~~\nMemoryError\n$/, exit: 1 }],
  ['fork copies', c("import os\nx = [1]\np = os.fork()\nif p == 0:\n    x.append(2)\n    os._exit(len(x))\nprint(os.waitpid(p, 0)[1] >> 8, x)"), { stdout: '2 [1]\n', exit: 0 }],
  ['a handler runs between statements', c("import os, signal\nsignal.signal(signal.SIGUSR1, lambda s, f: print('got', s))\nos.kill(os.getpid(), signal.SIGUSR1)\nprint('on')"), { stdout: 'got 10\non\n', exit: 0 }],
  ['an interrupt ends it by the signal', c('import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nx = 1'), { stderr: /KeyboardInterrupt\n$/, exit: 130 }],
  ['a child and its output', c("import subprocess as s\nprint(s.run(['echo', 'hi'], capture_output=True, text=True).stdout, s.call('exit 3', shell=True))"), { stdout: 'hi\n 3\n', exit: 0 }],
  ['a file that nothing holds is closed at once', c("open('f', 'w').write('x')\nprint(open('f').read())"), { stdout: 'x\n', exit: 0 }],
  ['what is not there says so', c('import ctypes'), { stderr: /ModuleNotFoundError: No module named 'ctypes'\n$/, exit: 1 }],
];

test('python3 on the kernel', () => {
  const { outcomes } = runAll(CASES.map(([, argv]) => ({ argv })), { fresh: true });
  for (const [i, [name, , want]] of CASES.entries()) {
    const mine = outcomes[i]!;
    expect([name, mine.exit, want.stdout ?? '', mine.stderr]).toEqual([name, want.exit, mine.stdout, want.stderr ? expect.stringMatching(want.stderr) : expect.any(String)]);
  }
});
