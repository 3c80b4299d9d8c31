/**
 * Random command lines over the tools that look into the machine, isolate and limit: every one ends, with whatever status, and the
 * machine goes on. FUZZ_LINES=10000 FUZZ_SEED=7 for more (node scripts/fuzz-tools.mjs).
 */
import { expect, it } from 'vitest';
import { SECOND } from '../../src/engine/sim/units.ts';
import { type Lab, lab, sh } from '../unit/containers/docker-lab.ts';

const LINES = Number(process.env.FUZZ_LINES ?? 120);
const SEED = Number(process.env.FUZZ_SEED ?? 1);
/** A fresh machine so often: what lines leave behind must not decide about others for ever. */
const FRESH = 400;

function random(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

const WORDS = (text: string): string[] => text.trim().split(/\s+/);
const TOOLS: Readonly<Record<string, string[]>> = {
  strace: WORDS('-f -ff -c -C -t -tt -ttt -r -T -y -v -x -xx -q -qq -z -Z -w -o/tmp/s -s -a -S -e -p -P -E -h -V -A -D -k --trace=%file --trace-path=/etc'),
  unshare: WORDS('-m -u -i -n -p -U -C -T -f -r -c --mount-proc --kill-child --map-auto --map-user --map-users --setgroups --propagation -R -w -S -G --keep-caps --mount-proc=/proc --kill-child=INT --map-user=7'),
  nsenter: WORDS('-t -a -m -u -i -n -p -U -C -r -w -W -S -G -e -c -F --preserve-credentials --net=/proc/1/ns/net -t1'),
  lsns: WORDS('-t -o -J -l -n -r -u -p -T -P -W --output-all -Q'), findmnt: WORDS('-t -o -J -l -n -r -D -M -S -T -R -i -P -A -f -c -a -e -b -u -v'),
  setpriv: WORDS('--dump --reuid --regid --clear-groups --keep-groups --init-groups --groups --inh-caps --ambient-caps --bounding-set --no-new-privs --pdeathsig --list-caps'),
  capsh: WORDS('--print --drop=cap_chown --decode=ff --has-p=cap_chown --user=nobody --uid=1000 --gid=5 --chroot=/ -- --current --drop=all'), getpcaps: WORDS('1 $$ 99999 x'),
  prlimit: WORDS('--nofile --nproc=10:20 --as --pid --raw --output --noheadings -n'), taskset: WORDS('-p -c -a -cp'), 'systemd-cgtop': WORDS('-b -n1 -1 -m -p -t -c -i --depth=1 -r -P --order=path -d'),
  'systemd-cgls': WORDS('-a -u --no-pager /system.slice -k'), 'systemd-run': WORDS('--scope -p --unit=x -q --slice=a-b.slice --wait'), systemctl: WORDS('status show list-units set-property is-active cat --type=slice'),
  stress: WORDS('-c -m -t --vm-bytes --vm -i -v -q -n --backoff'), dd: WORDS('if=/dev/zero of=/tmp/d bs=1k count=3 skip=1 seek=2 conv=notrunc conv=sync status=none iflag=fullblock bs=x'),
  curl: WORDS('-s -I -v -o/tmp/c -X -d -H localhost:9 http://localhost -w %{http_code} -m --max-time -L'), wget: WORDS('-q -O- -S localhost:9 -T --timeout=1 -t'), nc: WORDS('-z -v -w1 -l localhost 9 80 -u'),
  'docker run --rm': WORDS('--security-opt --cap-add --cap-drop --privileged -m --cpus --pids-limit --read-only --pid=host --net=host -u -e A=b busybox'), docker: WORDS('ps inspect top logs stats --no-stream events images exec web rm -f'),
  ctr: WORDS('c t ls version images -n moby'), runc: WORDS('list state spec --root x kill delete ps events --help features'), mount: WORDS('-t tmpfs a /mnt --bind / -o ro,remount /proc'), umount: WORDS('/mnt -l -f -R /proc/x'),
  ip: WORDS('-br a link netns add x exec ls addr show -j'), kill: WORDS('-0 -15 -l 99999 -CONT $!'), 'cat /proc/self': WORDS('/status /maps /mountinfo /ns/net /cgroup /limits'), 'sys keyctl': WORDS('0 1 x'), 'sys ptrace': WORDS('PTRACE_SEIZE PTRACE_CONT 1 $$ 0'),
  'sys seccomp': ['{"defaultAction":"allow","rules":[]}', '{"defaultAction":"errno","rules":[{"names":["write"],"action":"allow"}]}', '{"defaultAction":"x","rules":[]}'],
};
const VALUES = WORDS(`1 0 -1 7 99999 x %file openat,write all none inject=write:error=EIO fault=openat:when=2+ signal=none status=failed CLONE_NEWNS /etc/passwd /nope /tmp /proc nobody student 1000:1000 +all -all cap_chown chown SYS_ADMIN
  seccomp=unconfined no-new-privileges MemoryMax=8M CPUQuota=10% 8m 0.5 1s NS,TYPE,PID COMMAND net mnt user name "" '' "a b" $$ $! auto deny private slave 0:100000:10 {} * -- web docker.service 100:200 unlimited 2>&1 </dev/null`);
const ENDS = ['true', 'false', 'id', 'echo x', 'cat /etc/hostname', 'sh -c "exit 3"', 'sh -c "kill -9 \\$\\$"', 'ls /', 'sleep 0.01', '/nope', 'sh -c "(echo a | cat) & wait"', 'unshare -Ur id', 'strace -c true', ''];

function commandLine(next: (n: number) => number): string {
  const pick = <T>(list: readonly T[]): T => list[next(list.length)]!;
  const one = (): string => {
    const tool = pick(Object.keys(TOOLS));
    const words = [tool];
    for (let i = next(5); i > 0; i--) words.push(next(3) > 0 ? pick(TOOLS[tool]!) : pick(VALUES));
    if (next(3) > 0) words.push(pick(ENDS));
    return words.join(' ');
  };
  let line = one();
  while (next(5) === 0) line += ` ${pick(['|', '&&', ';', '||', '&'])} ${one()}`;
  return line;
}

it(`${LINES} lines: each ends, the machine lives`, () => {
  const next = random(SEED);
  let m: Lab | null = null;
  let ended = 0;
  for (let i = 0; i < LINES; i++) {
    if (!m || i % FRESH === 0) {
      m = lab();
      sh(m, 'docker run -d --name web busybox sleep 100000');
    }
    const line = commandLine(next);
    let exit: number | null;
    try {
      ({ exit } = sh(m, `timeout -s KILL 2 bash -c '${line.replaceAll("'", `'\\''`)}' > /tmp/fuzz.out 2>&1`, '', 60 * SECOND));
    } catch (error) {
      throw new Error(`line ${i} stops the world: ${line}\n${(error as Error).stack}`);
    }
    expect(exit, `line ${i} does not end: ${line}`).not.toBeNull();
    ended++;
    if (i % 20 === 19) expect(sh(m, 'echo alive').stdout, `after line ${i}: ${line}`).toBe('alive\n');
  }
  expect(ended).toBe(LINES);
}, 3_600_000);
