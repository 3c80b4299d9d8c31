/**
 * A container's control group: where it is, and a spec's resources as writes to its interface files. The systemd driver
 * gives SLICE/PREFIX-ID.scope; both are made with mkdir and write here (there is no D-Bus and no systemd to ask).
 * Source: runc libcontainer/cgroups fs2; memory+swap in the spec is memory.swap.max plus the limit.
 */
import { AT_FDCWD, AT_REMOVEDIR, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { MS } from '../../../sim/units.ts';
import type { Call } from '../../lib/http.ts';
import { attempt, list, poke, tryRead } from '../../lib/files.ts';
import type { Resources } from './spec.ts';

export const CGROUP_ROOT = '/sys/fs/cgroup';

/** The directory for a cgroupsPath, or the driver's default: beside the group that runc is in. */
export function* cgroupDir(id: string, cgroupsPath: string | undefined, systemd: boolean): Call<string> {
  if (systemd) {
    const [slice = '', prefix = 'runc', name = id] = (cgroupsPath ?? 'system.slice:runc:').split(':');
    const parent = slice === '' ? 'system.slice' : slice;
    return `${CGROUP_ROOT}/${expandSlice(parent)}/${prefix}-${name || id}.scope`;
  }
  if (cgroupsPath) return `${CGROUP_ROOT}/${cgroupsPath.replace(/^\/+/, '')}`;
  const own = /^0::(.*)$/m.exec((yield* tryRead('/proc/self/cgroup')) ?? '')?.[1] ?? '/';
  return `${CGROUP_ROOT}${own.slice(0, own.lastIndexOf('/'))}/${id}`;
}

/** "kubepods-burstable.slice" is kubepods.slice/kubepods-burstable.slice. */
function expandSlice(slice: string): string {
  const parts = slice.replace(/\.slice$/, '').split('-');
  return parts.map((_, i) => `${parts.slice(0, i + 1).join('-')}.slice`).join('/');
}

/** Makes the directory, its parents with every controller that the root has passed down. */
export function* makeCgroup(dir: string): Call<void> {
  const controllers = ((yield* tryRead(`${CGROUP_ROOT}/cgroup.controllers`)) ?? '').trim().split(' ').filter(Boolean).map((name) => `+${name}`).join(' ');
  let at = CGROUP_ROOT;
  for (const part of dir.slice(CGROUP_ROOT.length + 1).split('/')) {
    yield* attempt(poke(`${at}/cgroup.subtree_control`, controllers), undefined);
    at += `/${part}`;
    yield* attempt(sys('mkdirat', AT_FDCWD, at, 0o755), 0, 'EEXIST');
  }
}

export class CgroupError extends Error {}

/** Of memory and swap together, what is swap; -1 without a limit, 0 when nothing is to be written or left. */
function swapOf(limit: number, both: number): number {
  if (both === 0) return limit < 0 ? -1 : 0;
  if (both < 0) return -1;
  if (limit === 0 || limit === -1) throw new CgroupError('unable to set swap limit without memory limit');
  if (limit < 0) throw new CgroupError(`invalid memory value: ${limit}`);
  if (both < limit) throw new CgroupError('memory+swap limit should be >= memory limit');
  return both - limit;
}

/** Writes the resources. Throws CgroupError in runc's words. */
export function* setResources(dir: string, r: Resources, systemd: boolean): Call<void> {
  const { memory, cpu, pids } = r;
  const swap = swapOf(memory?.limit ?? 0, memory?.swap ?? 0);
  if (memory?.limit) yield* put(dir, 'memory.max', memory.limit < 0 ? 'max' : String(memory.limit));
  if (swap !== 0 || memory?.swap) yield* put(dir, 'memory.swap.max', swap < 0 ? 'max' : String(swap));
  if (memory?.reservation) yield* put(dir, 'memory.low', String(memory.reservation));
  if (cpu?.shares) {
    if (systemd && cpu.shares < 2) throw new CgroupError('unable to set unit properties: Value specified in CPUWeight is out of range');
    yield* put(dir, 'cpu.weight', String(weightOf(cpu.shares)));
  }
  if (cpu?.quota || cpu?.period) {
    yield* put(dir, 'cpu.max', `${cpu.quota && cpu.quota > 0 ? cpu.quota : 'max'} ${cpu.period ?? 100000}`);
  }
  if (cpu?.idle) yield* put(dir, 'cpu.idle', String(cpu.idle));
  if (cpu?.cpus) yield* put(dir, 'cpuset.cpus', cpu.cpus);
  if (cpu?.mems) yield* put(dir, 'cpuset.mems', cpu.mems);
  if (r.blockIO) yield* setIo(dir, r.blockIO);
  if (pids && pids.limit !== 0) yield* put(dir, 'pids.max', pids.limit < 0 ? 'max' : String(pids.limit));
  else if (systemd) {
    const threads = Number(yield* tryRead('/proc/sys/kernel/threads-max'));
    if (threads > 0) yield* put(dir, 'pids.max', String(Math.floor(threads * 0.15)));
  }
  for (const [file, value] of Object.entries(r.unified ?? {})) {
    if (!/^[a-z0-9._]+$/.test(file)) throw new CgroupError(`unified resource "${file}" must be a file name (no slashes)`);
    yield* put(dir, file, value);
  }
}

const THROTTLES = [['throttleReadBpsDevice', 'rbps'], ['throttleWriteBpsDevice', 'wbps'], ['throttleReadIOPSDevice', 'riops'], ['throttleWriteIOPSDevice', 'wiops']] as const;

function* setIo(dir: string, io: NonNullable<Resources['blockIO']>): Call<void> {
  if (io.weight) yield* put(dir, 'io.weight', String(1 + Math.floor(((io.weight - 10) * 9999) / 990)));
  for (const [field, key] of THROTTLES) for (const { major, minor, rate } of io[field] ?? []) yield* put(dir, 'io.max', `${major}:${minor} ${key}=${rate}`);
}

/** cpu.shares to cpu.weight, the formula of runc 1.1. */
export function weightOf(shares: number): number {
  return Math.min(10000, Math.max(1, 1 + Math.floor(((shares - 2) * 9999) / 262142)));
}

function* put(dir: string, file: string, value: string): Call<void> {
  try {
    yield* poke(`${dir}/${file}`, value);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'ENOENT' && /^(io|cpuset|memory\.swap)/.test(file)) return;
    throw new CgroupError(`failed to write "${value}": write ${dir}/${file}: ${error.message.toLowerCase()}`);
  }
}

/** Pids in the group and below. */
export function* pidsIn(dir: string): Call<number[]> {
  const own = ((yield* tryRead(`${dir}/cgroup.procs`)) ?? '').split('\n').filter((l) => l !== '').map(Number);
  for (const e of yield* list(dir)) if (e.type === 'dir') own.push(...(yield* pidsIn(`${dir}/${e.name}`)));
  return own;
}

/** The value after a key in a flat keyed file; 0 when absent. */
export function* keyed(path: string, key: string): Call<number> {
  const line = ((yield* tryRead(path)) ?? '').split('\n').find((l) => l.startsWith(`${key} `));
  return line ? Number(line.slice(key.length + 1)) : 0;
}

/** Removes the group and those below, waiting a little for what is still leaving. */
export function* removeCgroup(dir: string): Call<void> {
  for (const e of yield* list(dir)) if (e.type === 'dir') yield* removeCgroup(`${dir}/${e.name}`);
  for (let tries = 0; tries < 10; tries++) {
    try {
      yield* sys('unlinkat', AT_FDCWD, dir, AT_REMOVEDIR);
      return;
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EBUSY') return;
      yield* sys('nanosleep', 10 * MS);
    }
  }
}

