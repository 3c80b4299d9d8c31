/** runc events and update: a container's figures from its cgroup's files, and changes to its limits. Source: runc events.go, update.go. */
import { SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { MS } from '../../../sim/units.ts';
import { drain, poke, readText, tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { keyed, setResources, CgroupError } from './cgroup.ts';
import { Fatal, log, type Settings } from './log.ts';
import type { Resources } from './spec.ts';
import { load, save, statusOf } from './state.ts';

/** A flat keyed file as a record, keys sorted. */
export function* flat(path: string): Call<Record<string, number>> {
  const rows = ((yield* tryRead(path)) ?? '').split('\n').filter((l) => l !== '').map((l) => l.split(' '));
  return Object.fromEntries(rows.map(([k, v]) => [k!, Number(v)] as const).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A number, or null for "max" and for a file that is not there. */
export function* numberIn(path: string): Call<number | null> {
  const source = ((yield* tryRead(path)) ?? 'max').trim();
  return source === 'max' ? null : Number(source);
}

const UNLIMITED = 'unlimited';
const limitOf = (n: number | null): number | string => n ?? UNLIMITED;
const given = (entries: Record<string, number>): Record<string, number> => Object.fromEntries(Object.entries(entries).filter(([, n]) => n > 0));

function* statsOf(cgroup: string): Call<object> {
  const cpu = yield* flat(`${cgroup}/cpu.stat`);
  const usage = (yield* numberIn(`${cgroup}/memory.current`)) ?? 0;
  const max = (yield* numberIn(`${cgroup}/memory.peak`)) ?? 0;
  const limit = yield* numberIn(`${cgroup}/memory.max`);
  const swap = (yield* numberIn(`${cgroup}/memory.swap.current`)) ?? 0;
  const swapMax = yield* numberIn(`${cgroup}/memory.swap.max`);
  const failures = yield* keyed(`${cgroup}/memory.events`, 'max');
  const pids = (yield* numberIn(`${cgroup}/pids.current`)) ?? 0;
  const pidsMax = yield* numberIn(`${cgroup}/pids.max`);
  const nothing = { cpu_exclusive: 0, mem_hardwall: 0, mem_exclusive: 0, memory_migrate: 0, memory_spread_page: 0, memory_spread_slab: 0, memory_pressure: 0, sched_load_balance: 0, sched_relax_domain_level: 0 };
  return {
    cpu: {
      usage: { total: (cpu.usage_usec ?? 0) * 1000, kernel: (cpu.system_usec ?? 0) * 1000, user: (cpu.user_usec ?? 0) * 1000 },
      throttling: given({ periods: cpu.nr_periods ?? 0, throttledPeriods: cpu.nr_throttled ?? 0, throttledTime: (cpu.throttled_usec ?? 0) * 1000 }),
    },
    cpuset: nothing,
    memory: {
      usage: { limit: limitOf(limit), usage, max, failcnt: failures },
      swap: { limit: limitOf(limit === null || swapMax === null ? null : limit + swapMax), usage: usage + swap, failcnt: 0 },
      kernel: { limit: 0, failcnt: 0 }, kernelTCP: { limit: 0, failcnt: 0 }, raw: yield* flat(`${cgroup}/memory.stat`),
    },
    pids: { current: pids, ...(pidsMax === null ? {} : { limit: pidsMax }) },
    blkio: yield* blkio(cgroup), hugetlb: {}, intel_rdt: {}, network_interfaces: null,
  };
}

function* blkio(cgroup: string): Call<object> {
  const bytes: object[] = [];
  const counts: object[] = [];
  for (const line of ((yield* tryRead(`${cgroup}/io.stat`)) ?? '').split('\n').filter((l) => l !== '')) {
    const [device, ...pairs] = line.split(' ');
    const [major, minor] = device!.split(':').map(Number);
    for (const pair of pairs) {
      const [key, value] = pair.split('=');
      const op = { rbytes: 'Read', wbytes: 'Write', rios: 'Read', wios: 'Write' }[key!];
      if (op) (key!.endsWith('bytes') ? bytes : counts).push({ major, minor, op, value: Number(value) });
    }
  }
  return { ...(bytes.length > 0 ? { ioServiceBytesRecursive: bytes } : {}), ...(counts.length > 0 ? { ioServicedRecursive: counts } : {}) };
}

/** One line of `runc events`. An unlimited limit is 2^64-1, which is written, not counted. */
function eventLine(type: string, id: string, data?: object): string {
  return `${JSON.stringify(data ? { type, id, data } : { type, id }).replaceAll(`"${UNLIMITED}"`, '18446744073709551615')}\n`;
}

export function* events(settings: Settings, id: string, once: boolean, intervalNs: number): Call<number> {
  const saved = yield* load(settings, id);
  if ((yield* statusOf(settings, saved)) === 'stopped') throw new Fatal(`container with id ${id} is not running`);
  if (once) {
    yield* print(eventLine('stats', id, yield* statsOf(saved.cgroup)));
    return 0;
  }
  let kills = yield* keyed(`${saved.cgroup}/memory.events`, 'oom_kill');
  while ((yield* statusOf(settings, saved)) !== 'stopped') {
    yield* sys('nanosleep', intervalNs);
    yield* print(eventLine('stats', id, yield* statsOf(saved.cgroup)));
    const now = yield* keyed(`${saved.cgroup}/memory.events`, 'oom_kill');
    for (; kills < now; kills++) yield* print(eventLine('oom', id));
  }
  return 0;
}

/** units.RAMInBytes: "64m", "1.5g", "-1". */
function ramInBytes(source: string): number | null {
  const m = /^(\d+(?:\.\d+)?) ?([kmgtpe])?(i?b)?$/i.exec(source);
  if (!m) return source === '-1' ? -1 : null;
  return Math.floor(Number(m[1]) * 1024 ** (m[2] ? 'kmgtpe'.indexOf(m[2].toLowerCase()) + 1 : 0));
}

export function* update(settings: Settings, id: string, value: (name: string) => string | undefined): Call<number> {
  const saved = yield* load(settings, id);
  const file = value('resources');
  const r = file === undefined ? fromOptions(value) : yield* fromFile(file);
  try {
    yield* setResources(saved.cgroup, r, false);
  } catch (error) {
    if (!(error instanceof CgroupError)) throw error;
    // What was there before is to be set again; the refused value is among it already.
    yield* log(settings, 'warning', `Setting back cgroup configs failed due to error: ${error.message}, your state.json and actual configs might be inconsistent.`);
    throw new Fatal(error.message);
  }
  const { resources } = saved.spec.linux;
  saved.spec.linux.resources = { ...resources, ...r, memory: { ...resources?.memory, ...r.memory }, cpu: { ...resources?.cpu, ...r.cpu } };
  yield* save(settings, saved);
  return 0;
}

function fromOptions(value: (name: string) => string | undefined): Resources {
  const ram = (name: string): number | undefined => {
    const source = value(name);
    if (source === undefined || source === '') return undefined;
    const n = ramInBytes(source);
    if (n === null) throw new Fatal(`invalid value for ${name}: invalid size: '${source}'`);
    return n;
  };
  const number = (name: string): number | undefined => {
    const source = value(name);
    if (source === undefined || source === '') return undefined;
    if (!/^-?\d+$/.test(source)) throw new Fatal(`invalid value for ${name}: strconv.ParseUint: parsing ${JSON.stringify(source)}: invalid syntax`);
    return Number(source);
  };
  const limit = ram('memory');
  const swap = ram('memory-swap');
  const pids = number('pids-limit');
  const cpus = value('cpuset-cpus');
  const mems = value('cpuset-mems');
  const [shares, quota, period, idle, reservation] = [number('cpu-share'), number('cpu-quota'), number('cpu-period'), number('cpu-idle'), ram('memory-reservation')];
  return {
    memory: { ...(limit === undefined ? {} : { limit }), ...(swap === undefined ? {} : { swap }), ...(reservation === undefined ? {} : { reservation }) },
    cpu: {
      ...(shares === undefined ? {} : { shares }), ...(quota === undefined ? {} : { quota }), ...(period === undefined ? {} : { period }), ...(idle === undefined ? {} : { idle }),
      ...(cpus === undefined ? {} : { cpus }), ...(mems === undefined ? {} : { mems }),
    },
    pids: { limit: pids ?? 0 },
  };
}

function* fromFile(path: string): Call<Resources> {
  try {
    return JSON.parse(path === '-' ? text(yield* drain(0)) : yield* readText(path)) as Resources;
  } catch (error) {
    if (error instanceof SysError) throw new Fatal(`open ${path}: ${error.message.toLowerCase()}`);
    throw new Fatal('unexpected EOF');
  }
}

/** Suspends or lets go everything below the cgroup, and waits until it is so. */
export function* freeze(cgroup: string, frozen: 0 | 1): Call<void> {
  yield* poke(`${cgroup}/cgroup.freeze`, String(frozen));
  for (let tries = 0; tries < 1000 && (yield* keyed(`${cgroup}/cgroup.events`, 'frozen')) !== frozen; tries++) yield* sys('nanosleep', MS);
}
