/**
 * Control groups by numbers: what a real 6.12 kernel measured, beside what the model does. Exact where the recording is
 * exact (who dies, in which order, by whose limit; counts of refused forks), within its stated noise where it is not.
 */
import { expect, test } from 'vitest';
import { PAGE } from '../../src/engine/sim/units.ts';
import { type Outcome, type Recorded, recorded, replay } from './cgroup/replay.ts';

const TIMES = /^\d+\.\d+ /;

function said(log: Record<string, string[]>, verbs: RegExp): string {
  return Object.keys(log).sort().map((name) => `${name}: ${log[name]!.map((line) => line.replace(TIMES, '').trimEnd()).filter((line) => verbs.test(line)).join('; ')}`).join('\n');
}

type Events = Record<string, number>;

function memoryFaults(one: Recorded, got: Outcome): string[] {
  const faults: string[] = [];
  const say = (what: string, real: unknown, ours: unknown): void => {
    if (JSON.stringify(real) !== JSON.stringify(ours)) faults.push(`${what}: real ${JSON.stringify(real)}, ours ${JSON.stringify(ours)}`);
  };
  say('exits', one.measured.exits.map(({ proc, signal, exit }) => [proc, signal ?? `exit ${exit}`]), got.exits.map(({ proc, signal, exit }) => [proc, signal ?? `exit ${exit}`]));
  say('alive', [...(one.measured.alive_at_end ?? [])].sort(), [...got.alive].sort());
  for (const [path, real] of Object.entries(one.measured.cgroups)) {
    const { memory } = got.group(path);
    for (const [key, ours] of [['events', memory.events], ['events.local', memory.eventsLocal]] as const) {
      const events = real[key] as Events;
      say(`${path} ${key} oom_kill`, [events.oom_kill, events.oom_group_kill], [ours.oomKill, ours.oomGroupKill]);
      say(`${path} ${key} any`, ['max', 'high', 'low', 'oom'].filter((name) => events[name]! > 0), (['max', 'high', 'low', 'oom'] as const).filter((name) => ours[name] > 0));
    }
    const slack = one.workload.length * 512 * 1024;
    const current = (memory.anon + memory.file + memory.shmem + memory.kernel) * PAGE;
    if (Math.abs(current - (real.current as number)) > slack) faults.push(`${path} current: real ${real.current as number}, ours ${current}`);
  }
  const victims = (one.measured.oom_log ?? []).filter((line) => line.kind === 'oom-kill').map((line) => [line.oom_memcg, line.task_memcg, line.task]);
  const ours = got.kernel.log.map((line) => /^oom-kill:.*oom_memcg=([^,]+),task_memcg=([^,]+),task=([^,]+)/.exec(line.text)).filter((hit) => hit !== null).map((hit) => hit.slice(1));
  say('victims', victims, ours);
  return faults;
}

/** Of one processor (or more): the share within 0.03, periods within 1 or 5 %. */
function cpuFaults(one: Recorded, got: Outcome): string[] {
  const faults: string[] = [];
  for (const [path, measured] of Object.entries(one.measured.cgroups)) {
    const real = measured as { share: number; nr_periods: number; nr_throttled: number };
    const ours = got.cpu[path]!;
    const share = ours.usage / got.window;
    if (Math.abs(share - real.share) > 0.03) faults.push(`${path} share: real ${real.share}, ours ${share.toFixed(4)}`);
    if (Math.abs(ours.periods - real.nr_periods) > Math.max(2, real.nr_periods * 0.05)) faults.push(`${path} nr_periods: real ${real.nr_periods}, ours ${ours.periods}`);
    if (Math.abs(ours.throttled - real.nr_throttled) > Math.max(2, real.nr_periods * 0.05)) faults.push(`${path} nr_throttled: real ${real.nr_throttled}, ours ${ours.throttled}`);
  }
  return faults;
}

function pidsFaults(one: Recorded, got: Outcome): string[] {
  const faults: string[] = [];
  for (const [path, measured] of Object.entries(one.measured.cgroups)) {
    const real = measured as { current: string; peak: string; events: Events; 'events.local': Events };
    const { pids } = got.group(path);
    const ours = [pids.current, pids.peak, pids.events, pids.eventsLocal].join(' ');
    const wanted = [real.current, real.peak, real.events.max, real['events.local'].max].join(' ');
    if (ours !== wanted) faults.push(`${path}: real ${wanted}, ours ${ours}`);
  }
  const verbs = /^(fork|thread|cat)/;
  if (said(one.measured.log, verbs) !== said(got.log, verbs)) faults.push(`log: real ${said(one.measured.log, verbs)}, ours ${said(got.log, verbs)}`);
  return faults;
}

/** Times within 4 % (siblings under one limit 8 %), bytes exact, requests within 10 % of what is buffered. */
function ioFaults(one: Recorded, got: Outcome): string[] {
  const faults: string[] = [];
  const number = (line: string, key: string): number => Number(new RegExp(`${key}=([0-9.]+)`).exec(line)?.[1] ?? Number.NaN);
  for (const [name, lines] of Object.entries(one.measured.log)) {
    for (const key of ['bytes', 'ios', 'secs', 'fsync_s']) {
      const real = number(lines[0]!, key);
      const ours = number(got.log[name]?.[0] ?? '', key);
      if (Number.isNaN(real)) continue;
      if (!(Math.abs(ours - real) <= real * (one.family === 'siblings' ? 0.08 : 0.04))) faults.push(`${name} ${key}: real ${real}, ours ${ours}`);
    }
  }
  for (const [path, measured] of Object.entries(one.measured.cgroups)) {
    const stat = got.group(path).io.stat.get('254:0');
    for (const key of ['wbytes', 'wios'] as const) {
      const real = number(measured['io.stat'] as string, key);
      if (Math.abs((stat?.[key] ?? 0) - real) > (key === 'wios' && one.family === 'buffered' ? real * 0.1 : 0)) faults.push(`${path} ${key}: real ${real}, ours ${stat?.[key] ?? 0}`);
    }
  }
  return faults;
}

function attempt(one: Recorded, compare: (one: Recorded, got: Outcome) => string[]): string[] {
  try {
    return compare(one, replay(one));
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('not modelled')) return [error.message];
    throw error;
  }
}

/** The cases that do not hold, each with its reason: one that comes to hold must leave this table. */
const KNOWN: Record<string, Readonly<Record<string, string>>> = {
  'pids-a': {},
  'io-a': {},
  'mem-a': {
    'mem-081': 'pages that a dead process had in the swap cache were still charged to its group at the end',
  },
  'cpu-a': {
    'cpu-038': 'which period a group asks for more quota in depends on where ticks cut its turns',
    'cpu-041': 'the fair share is exactly the quota, 0.3: whether a period runs out is decided by microseconds',
    'cpu-067': 'as cpu-038',
    'cpu-516': 'two processors share one queue here; on the real ones load is balanced between two',
  },
};

test.each([['pids-a', pidsFaults], ['mem-a', memoryFaults], ['cpu-a', cpuFaults], ['io-a', ioFaults]] as const)('%s', (name, compare) => {
  const wrong: string[] = [];
  const lines: string[] = [];
  const all = recorded(name);
  for (const one of all) {
    const faults = attempt(one, compare);
    if (faults.length === 0) continue;
    wrong.push(one.id);
    lines.push(`${one.id} ${one.family}: ${faults.slice(0, 3).join(' | ')}`);
  }
  console.log(`${name}: ${all.length - wrong.length} of ${all.length}\n${lines.join('\n')}`);
  expect(wrong).toEqual(Object.keys(KNOWN[name]!));
});
