/** Commands that change how much a domain gets: memory, limits, processors. */
import { attempt, type Command, type Context, table } from './command.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1024, b: 1, k: 1024, kib: 1024, kb: 1000, m: 2 ** 20, mib: 2 ** 20, mb: 1e6, g: 2 ** 30, gib: 2 ** 30, gb: 1e9, t: 2 ** 40, tib: 2 ** 40, tb: 1e12 };

/** KiB of "96M" or "80000"; null, having said so, when it is none. */
function scaled(c: Context, option: string, value: string): number | null {
  const m = /^(\d+)([a-z]*)$/i.exec(value);
  const unit = m && UNITS[m[2]!.toLowerCase()];
  if (!m || !unit) {
    c.error(`Scaled numeric value '${value}' for <${option}> option is malformed or out of range`);
    return null;
  }
  return Math.ceil((Number(m[1]) * unit) / 1024);
}

const WHERE = ['config', 'live', 'current'];

/** "0-1,3" as a list; null: not one. */
function cpuList(text: string): number[] | null {
  const out: number[] = [];
  for (const part of text.split(',')) {
    const m = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!m) return null;
    for (let n = Number(m[1]); n <= Number(m[2] ?? m[1]); n++) out.push(n);
  }
  return out;
}

/** A list given to vcpupin: what is wrong with it, or that it cannot be. */
function refusePin(c: Context, vcpu: string, list: string, live: boolean, vcpus: number): false {
  if (cpuList(list) === null) {
    c.error(`Invalid cpulist '${list}'`);
    c.error(`invalid argument: Failed to parse bitmap '${list}'`);
  } else if (Number(vcpu) >= vcpus) c.error(`invalid argument: vcpu ${vcpu} is out of range of ${live ? 'live' : 'persistent'} cpu count ${vcpus}`);
  else c.error('not modelled: pinning of processors');
  return false;
}

export const tuning: Readonly<Record<string, Command>> = {
  setmem: {
    words: ['domain', 'size'], numbers: ['size'], flags: WHERE, summary: 'change memory allocation',
    *run(c, p, d) {
      const kib = scaled(c, 'size', p.words[1]!);
      if (kib === null) return false;
      if (kib === 0) {
        c.error('memory in virDomainSetMemoryFlags must not be zero');
        return false;
      }
      return (yield* attempt(c, '', 'setmem', { domain: d.name, kib, config: p.flags.config === true })) !== undefined;
    },
  },
  setmaxmem: {
    words: ['domain', 'size'], numbers: ['size'], flags: WHERE, summary: 'change maximum memory limit',
    *run(c, p, d) {
      const kib = scaled(c, 'size', p.words[1]!);
      if (kib === null) return false;
      return (yield* attempt(c, 'Unable to change MaxMemorySize', 'setmaxmem', { domain: d.name, kib, config: p.flags.config === true })) !== undefined;
    },
  },
  memtune: {
    words: ['domain'], values: ['hard-limit', 'soft-limit', 'swap-hard-limit', 'min-guarantee'], flags: WHERE, summary: 'Get or set memory parameters',
    *run(c, p, d) {
      const set: Record<string, number> = {};
      for (const name of ['hard-limit', 'soft-limit'] as const) {
        const given = p.flags[name];
        if (typeof given !== 'string') continue;
        const kib = given === '-1' ? -1 : scaled(c, name, given);
        if (kib === null) return false;
        set[name] = kib;
      }
      const tuned = (yield* attempt(c, Object.keys(set).length > 0 ? 'Unable to change memory parameters' : 'Unable to get number of memory parameters', 'memtune', { domain: d.name, set })) as Record<string, number | null> | undefined;
      if (!tuned) return false;
      if (Object.keys(set).length > 0) return true;
      for (const name of ['hard_limit', 'soft_limit', 'swap_hard_limit']) c.print(`${name.padEnd(15)}: ${tuned[name] ?? 'unlimited'}\n`);
      return true;
    },
  },
  vcpupin: {
    words: ['domain', 'vcpu?', 'cpulist?'], flags: WHERE, numbers: ['vcpu'], summary: 'control or query domain vcpu affinity',
    *run(c, p, d) {
      const { cpus } = (yield* c.call('version')) as { cpus: number };
      const wanted = p.words[2] === undefined ? null : cpuList(p.words[2]);
      const beyond = wanted?.find((n) => n >= cpus);
      if (beyond !== undefined) {
        c.error(`CPU ${beyond} in cpulist '${p.words[2]}' exceed the maxcpu ${cpus}`);
        return false;
      }
      if (p.words[2] !== undefined) return refusePin(c, p.words[1]!, p.words[2], d.id !== null, d.vcpus);
      const rows = Array.from({ length: d.vcpus }, (_, n) => [String(n), cpus > 1 ? `0-${cpus - 1}` : '0']).filter((_, n) => p.words[1] === undefined || Number(p.words[1]) === n);
      c.print(table(['VCPU', 'CPU Affinity'], rows, c.quiet));
      return true;
    },
  },
  emulatorpin: {
    words: ['domain', 'cpulist?'], flags: WHERE, summary: 'control or query domain emulator affinity',
    *run(c, p) {
      const { cpus } = (yield* c.call('version')) as { cpus: number };
      if (p.words[1] !== undefined) {
        c.error('not modelled: pinning of processors');
        return false;
      }
      c.print(`emulator: CPU Affinity\n----------------------------------\n       *: ${cpus > 1 ? `0-${cpus - 1}` : '0'}\n`);
      return true;
    },
  },
};
