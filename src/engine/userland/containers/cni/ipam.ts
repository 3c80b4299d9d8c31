/** host-local: addresses of a range, each a file under the network's directory that says whose it is. Source: containernetworking/plugins ipam/host-local. */
import { AT_FDCWD, O_CREAT, O_EXCL, O_WRONLY } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt, list, mkdirAll, removeAll, tryRead, writeFile } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { CniError, plugin } from './plugin.ts';

interface Range {
  subnet: string;
  gateway?: string;
  rangeStart?: string;
  rangeEnd?: string;
}

export interface Ipam {
  type: string;
  ranges?: Range[][];
  /** The older form of one range. */
  subnet?: string;
  gateway?: string;
  rangeStart?: string;
  rangeEnd?: string;
  routes?: { dst: string; gw?: string }[];
  dataDir?: string;
}

export const num = (ip: string): number => ip.split('.').reduce((n, part) => n * 256 + Number(part), 0);
export const ip = (n: number): string => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');

export function subnetOf(cidr: string): { network: number; size: number; prefix: number } {
  const m = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr ?? '');
  if (!m || Number(m[2]) > 32 || m[1]!.split('.').some((p) => Number(p) > 255)) throw new CniError(999, `invalid CIDR address: ${cidr}`);
  const size = 2 ** (32 - Number(m[2]));
  return { network: Math.floor(num(m[1]!) / size) * size, size, prefix: Number(m[2]) };
}

export const hostLocal = plugin('host-local', function* (i) {
  const ipam = i.conf.ipam as Ipam | undefined;
  if (!ipam) throw new CniError(999, 'IPAM config missing \'ipam\' key');
  const range = ipam.ranges?.[0]?.[0] ?? (ipam.subnet ? (ipam as Range) : undefined);
  if (!range?.subnet) throw new CniError(999, 'no IP ranges specified');
  const dir = `${ipam.dataDir ?? '/var/lib/cni/networks'}/${i.conf.name}`;
  const owner = `${i.containerId}\r\n${i.ifname}`;
  if (i.command === 'DEL') {
    for (const { name } of yield* list(dir)) if ((yield* tryRead(`${dir}/${name}`)) === owner) yield* removeAll(`${dir}/${name}`);
    return null;
  }
  if (i.command === 'CHECK') {
    for (const { name } of yield* list(dir)) if ((yield* tryRead(`${dir}/${name}`)) === owner) return null;
    throw new CniError(999, `host-local: Failed to find address added by container ${i.containerId}`);
  }
  if (i.command !== 'ADD') return null;
  return yield* allocate(dir, owner, range, ipam, i.conf.cniVersion);
});

function* allocate(dir: string, owner: string, range: Range, ipam: Ipam, cniVersion: string): Call<{ cniVersion: string; ips: { address: string; gateway: string }[]; routes: { dst: string; gw?: string }[]; dns: object }> {
  const { network, size, prefix } = subnetOf(range.subnet);
  const gateway = range.gateway ? num(range.gateway) : network + 1;
  const first = range.rangeStart ? num(range.rangeStart) : network + 1;
  const last = range.rangeEnd ? num(range.rangeEnd) : network + size - 2;
  for (const { name } of yield* list(dir)) {
    if ((yield* tryRead(`${dir}/${name}`)) === owner) throw new CniError(999, `failed to allocate for range 0: ${name} has been allocated to ${owner.split('\r\n')[0]}, duplicate allocation is not allowed`);
  }
  const before = (yield* tryRead(`${dir}/last_reserved_ip.0`))?.trim();
  yield* mkdirAll(dir);
  const count = last - first + 1;
  const start = before ? num(before) + 1 - first : 0;
  for (let k = 0; k < count; k++) {
    const candidate = first + ((start + k) % count);
    if (candidate === gateway || !(yield* reserve(`${dir}/${ip(candidate)}`, owner))) continue;
    yield* writeFile(`${dir}/last_reserved_ip.0`, ip(candidate));
    return { cniVersion, ips: [{ address: `${ip(candidate)}/${prefix}`, gateway: ip(gateway) }], routes: ipam.routes ?? [], dns: {} };
  }
  throw new CniError(999, `failed to allocate for range 0: no IP addresses available in range set: ${ip(first)}-${ip(last)}`);
}

function* reserve(path: string, owner: string): Call<boolean> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0o644), -1, 'EEXIST');
  if (fd < 0) return false;
  yield* writeAll(fd, bytes(owner));
  yield* sys('close', fd);
  return true;
}
