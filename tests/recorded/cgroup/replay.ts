/**
 * A recorded case through the terminal: the shell makes the groups and writes their files, starts the program wl with the recorded
 * scripts, and the machine's clock runs on as long as the recording's did. What came of it is read from the kernel's own books.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { loadAssets } from '../../../src/cli/assets.ts';
import type { Cgroup, Kernel } from '../../../src/engine/kernel/records.ts';
import { settleAll } from '../../../src/engine/kernel/sched.ts';
import { bytes, toBase64 } from '../../../src/engine/sim/text.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { createTypist, line, perform, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { advance, createWorld, type World } from '../../../src/engine/world/world.ts';
import { fileText } from '../transcripts.ts';

export interface Recorded {
  id: string; group: string; family: string; ncpu: number; controllers: string; swap?: boolean;
  setup: { cgroup: string; write: [string, string][] }[];
  workload: { cgroup: string; name: string; args: [string]; oom_score_adj?: number }[];
  duration_s: number; warmup_s?: number;
  measured: {
    cgroups: Record<string, Record<string, unknown>>;
    procs?: Record<string, { cpu_usec: number }>;
    exits: { proc: string; t: number; signal?: number; exit?: number }[];
    alive_at_end?: string[]; log: Record<string, string[]>; oom_log?: { kind: string; proc?: string; task?: string; oom_memcg?: string; task_memcg?: string }[];
  };
}

export function recorded(name: string): Recorded[] {
  const file = new URL(`./${name}.jsonl.gz`, import.meta.url);
  return gunzipSync(readFileSync(file)).toString().trim().split('\n').map((line) => JSON.parse(line) as Recorded);
}

export interface Outcome {
  kernel: Kernel;
  exits: { proc: string; signal?: number; exit?: number }[];
  alive: string[];
  log: Record<string, string[]>;
  group(path: string): Cgroup;
  /** cpu.stat's numbers within the window: ns. */
  cpu: Record<string, { usage: number; periods: number; throttled: number; throttledTime: number }>;
  window: number;
}

/** From the last command to the common start, ns; simulated time between looks at who is alive. */
const LEAD = SECOND * 0.03;
const LOOK = SECOND / 20;
const LOG = '/var/tmp/wl.log';

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function setupScript(one: Recorded): string {
  const lines = ['cd /sys/fs/cgroup', 'mkdir -p /mnt /var/tmp/cg', `head -c ${one.group === 'io' ? '16M' : 0} /dev/zero > /mnt/f`, 'sync; : > /mnt/g'];
  if (one.swap) lines.push('dd if=/dev/zero of=/var/tmp/swap bs=1M count=256 2>/dev/null', 'chmod 600 /var/tmp/swap', 'mkswap -q /var/tmp/swap', 'swapon /var/tmp/swap', 'sync');
  for (const { cgroup } of one.setup) {
    const parts = cgroup.split('/').filter(Boolean);
    for (let depth = 0; depth < parts.length; depth++) lines.push(`echo ${quoted(one.controllers)} > ./${parts.slice(0, depth).join('/')}/cgroup.subtree_control`);
    lines.push(`mkdir .${cgroup}`);
  }
  for (const { cgroup, write } of one.setup) for (const [file, value] of write) lines.push(`echo ${quoted(value)} > .${cgroup}/${file}`);
  return `${lines.join('\n')}\n`;
}

function startScript(one: Recorded, start: number): string {
  const lines = one.workload.map(({ cgroup, name, args, oom_score_adj: adj }) => {
    const command = `wl -n ${name} -c ${cgroup} -a ${adj ?? 0} -t ${(start / SECOND).toFixed(6)} ${quoted(args[0])}`;
    return `{ ( ${command}; echo "exit ${name} $?" ) 2>&1 | cat >> ${LOG}; } &`;
  });
  return `${lines.join('\n')}\n`;
}

function run(typist: Typist, script: string): void {
  perform(typist, { do: 'file', name: 'case.sh', base64: toBase64(bytes(script)) });
  line(typist, 'bash /root/uploads/case.sh');
}

export function replay(one: Recorded): Outcome {
  const world = createWorld(loadAssets(), one.ncpu === 1 ? 'recorded/cgroup2' : 'recorded/cgroup2-smp2');
  const kernel = world.host;
  const typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  waitForPrompt(typist);
  run(typist, setupScript(one));
  const start = world.timeline.now - kernel.bootedAt + LEAD;
  run(typist, startScript(one, start));
  const group = (path: string): Cgroup => {
    let at = kernel.cgroups.root;
    for (const part of path.split('/').filter(Boolean)) at = at.children.get(part)!;
    return at;
  };
  const snapshot = (): Outcome['cpu'] => {
    settleAll(kernel);
    return Object.fromEntries(one.setup.map(({ cgroup }) => {
      const { cpu } = group(cgroup);
      return [cgroup, { usage: cpu.usage.user + cpu.usage.system, periods: cpu.nrPeriods, throttled: cpu.nrThrottled, throttledTime: cpu.throttledTime }];
    }));
  };
  const from = kernel.bootedAt + start + (one.warmup_s ?? 0) * SECOND;
  advance(world, from);
  const before = snapshot();
  runOn(world, one, from + one.duration_s * SECOND);
  const after = snapshot();
  const cpu = Object.fromEntries(Object.entries(after).map(([path, now]) => {
    const was = before[path]!;
    return [path, { usage: now.usage - was.usage, periods: now.periods - was.periods, throttled: now.throttled - was.throttled, throttledTime: now.throttledTime - was.throttledTime }];
  }));
  return { kernel, ...readLog(one, kernel, fileText(kernel, LOG)), group, cpu, window: world.timeline.now - from };
}

/** To the end, or until nobody is left where that ends the case. */
function runOn(world: World, one: Recorded, end: number): void {
  const kernel = world.host;
  const names = new Set(one.workload.map((w) => w.name));
  const anybody = (): boolean => [...kernel.tasks.values()].some((task) => names.has(task.comm) && task.state !== 'zombie');
  while (world.timeline.now < end && (one.group === 'cpu' || anybody())) advance(world, Math.min(end, world.timeline.now + LOOK));
  // Who has just died has its line still on the way.
  if (one.group !== 'cpu') advance(world, world.timeline.now + SECOND / 100);
}

/** Who died within the same millisecond is told of in the order of starting, as by one parent that waits for all. */
function readLog(one: Recorded, kernel: Kernel, text: string): Pick<Outcome, 'exits' | 'alive' | 'log'> {
  const exits: Outcome['exits'] = [];
  const log: Outcome['log'] = {};
  for (const said of text.split('\n')) {
    const end = /^exit (\S+) (\d+)$/.exec(said);
    if (end) exits.push(Number(end[2]) > 128 ? { proc: end[1]!, signal: Number(end[2]) - 128 } : { proc: end[1]!, exit: Number(end[2]) });
    const step = /^(\S+): (\d+\.\d{3} .*)$/.exec(said);
    if (step) (log[step[1]!] ??= []).push(step[2]!);
  }
  const names = one.workload.map((w) => w.name);
  const diedAt = (name: string): number => Math.floor((kernel.ended.find((task) => task.comm === name)?.endedAt ?? 0) / 1e6);
  exits.sort((a, b) => diedAt(a.proc) - diedAt(b.proc) || names.indexOf(a.proc) - names.indexOf(b.proc));
  const alive = one.workload.map((w) => w.name).filter((name) => !exits.some((e) => e.proc === name));
  return { exits, alive, log };
}
