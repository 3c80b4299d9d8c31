/**
 * The io controller: limits by device and what was read and written. One modelled disk, 254:0.
 * Source: kernel doc cgroup-v2 (io), block/blk-throttle.c. io.weight shares once
 * io.cost.qos is enabled (iocost.ts), as on a disk without BFQ. Left out: io.latency, io.cost.model, weights by device.
 */
import { SysError } from '../abi.ts';
import type { Cgroup } from './types.ts';

export const DISK = '254:0';
const KEYS = ['rbps', 'wbps', 'riops', 'wiops'] as const;

const UINT_MAX = 2 ** 32 - 1;

/** "254:0 wbps=1048576 wiops=max": numbers as sscanf reads them (digits, whatever follows); 1 is too little. */
export function writeIoMax(cgroup: Cgroup, text: string): void {
  const [device, ...settings] = text.trim().split(/\s+/);
  if (!/^\d+:\d+$/.test(device ?? '')) throw new SysError('EINVAL');
  if (device !== DISK) throw new SysError('ENODEV');
  const next = { rbps: null, wbps: null, riops: null, wiops: null, ...cgroup.io.max.get(DISK) } as Record<(typeof KEYS)[number], number | null>;
  for (const one of settings) {
    const match = /^([^=]*)=(?:max$|(\d+))/.exec(one);
    if (!match) throw new SysError('EINVAL');
    const key = KEYS.find((name) => name === match[1]);
    const value = match[2] === undefined ? null : Number(match[2]);
    if (value === 0 || (match[2] !== undefined && BigInt(match[2]) >= 2n ** 64n)) throw new SysError('ERANGE');
    if (!key || value === 1) throw new SysError('EINVAL');
    next[key] = value !== null && key.endsWith('iops') && value >= UINT_MAX ? null : value;
  }
  cgroup.io.seen = true;
  if (KEYS.every((key) => next[key] === null)) cgroup.io.max.delete(DISK);
  else cgroup.io.max.set(DISK, next);
}

export function ioMaxText(cgroup: Cgroup): string {
  return [...cgroup.io.max].map(([device, limits]) => `${device} ${KEYS.map((key) => `${key}=${limits[key] ?? 'max'}`).join(' ')}\n`).join('');
}

export function ioStatText(cgroup: Cgroup): string {
  // A group that has been given something to say of the disk is shown even before it has used it.
  if (cgroup.io.seen && cgroup.io.stat.size === 0) return `${DISK} \n`;
  return [...cgroup.io.stat]
    .map(([device, s]) => `${device} rbytes=${s.rbytes} wbytes=${s.wbytes} rios=${s.rios} wios=${s.wios} dbytes=${s.dbytes} dios=${s.dios}\n`)
    .join('');
}

/** Counts one transfer, here and above. */
export function countIo(cgroup: Cgroup, kind: 'read' | 'write', bytes: number): void {
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    const stat = at.io.stat.get(DISK) ?? { rbytes: 0, wbytes: 0, rios: 0, wios: 0, dbytes: 0, dios: 0 };
    at.io.stat.set(DISK, stat);
    if (kind === 'read') {
      stat.rbytes += bytes;
      stat.rios++;
    } else {
      stat.wbytes += bytes;
      stat.wios++;
    }
  }
}

/** "default N" or "N"; by device only with a scheduler that shares by weight. */
export function writeIoWeight(cgroup: Cgroup, text: string): void {
  const value = text.trim();
  if (value.includes(':')) {
    const device = /^(\d+:\d+)(?:\s|$)/.exec(value);
    if (!device) throw new SysError('EINVAL');
    throw new SysError(device[1] === DISK ? 'EOPNOTSUPP' : 'ENODEV');
  }
  const match = /^(?:default\s+)?(\d+)/.exec(value);
  const weight = match ? Number(match[1]) : 0;
  if (weight < 1 || weight > 10_000) throw new SysError('EINVAL');
  cgroup.io.weight = weight;
}
