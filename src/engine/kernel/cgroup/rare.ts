/**
 * The interface files of hugetlb, rdma and misc on a machine that has no huge page pool, no RDMA device and no resource that
 * misc counts: limits can be set where the kernel takes them, nothing is ever charged. Source: kernel doc cgroup-v2, mm/hugetlb_cgroup.c,
 * kernel/cgroup/rdma.c, kernel/cgroup/misc.c.
 */
import { SysError } from '../abi.ts';
import type { Kernel } from '../records.ts';
import type { CgroupFile } from './files.ts';
import { memorySize } from './numbers.ts';
import type { Cgroup, Controller } from './types.ts';

/** Sizes of huge pages that the processor has, as the files name them. */
const HUGE_SIZES: readonly (readonly [name: string, bytes: number])[] = [['1GB', 2 ** 30], ['2MB', 2 ** 21]];

/** A guest is mostly given a processor without pages of 1 GiB. */
const gigantic = (kernel: Kernel): boolean => / pdpe1gb( |$)/.test((kernel.drivers.get('processor') as (() => { flags: string }) | undefined)?.().flags ?? '');

const file = (controller: Controller, name: string, where: CgroupFile['where'], rest: Pick<CgroupFile, 'read' | 'write'>): CgroupFile => ({ name, controller, where, ...rest });

function setHuge(cgroup: Cgroup, key: string, bytes: number, text: string): void {
  const asked = memorySize(text);
  if (asked === null) cgroup.huge.delete(key);
  else cgroup.huge.set(key, Math.floor(asked / bytes) * bytes);
}

function hugeFiles([size, bytes]: readonly [string, number]): CgroupFile[] {
  const limit = (name: string): CgroupFile =>
    file('hugetlb', `hugetlb.${name}`, 'below', {
      read: (_k, c) => `${c.huge.get(name) ?? 'max'}\n`,
      write: (_k, c, text) => setHuge(c, name, bytes, text),
    });
  const says = (name: string, text: string): CgroupFile => file('hugetlb', `hugetlb.${size}.${name}`, 'below', { read: () => text });
  const files = [
    says('current', '0\n'), says('events', 'max 0\n'), says('events.local', 'max 0\n'), limit(`${size}.max`), says('numa_stat', 'total=0 N0=0\n'),
    says('rsvd.current', '0\n'), limit(`${size}.rsvd.max`),
  ];
  return size === '1GB' ? files.map((one) => ({ ...one, when: gigantic })) : files;
}

/** "DEVICE hca_handle=N hca_object=max": the form is looked at before the device, and no device is there. */
function writeRdmaMax(text: string): never {
  const [, ...settings] = text.trim().split(' ');
  for (const one of settings) if (!/^(hca_handle|hca_object)=(max|\d+)$/.test(one)) throw new SysError('EINVAL');
  throw new SysError('ENODEV');
}

const nothing = { read: (): string => '' };

export const RARE_FILES: readonly CgroupFile[] = [
  ...HUGE_SIZES.flatMap(hugeFiles),
  file('rdma', 'rdma.current', 'below', nothing),
  file('rdma', 'rdma.max', 'below', { ...nothing, write: (_k, _c, text) => writeRdmaMax(text) }),
  file('misc', 'misc.capacity', 'root', nothing),
  ...['misc.current', 'misc.peak'].map((name) => file('misc', name, 'everywhere', nothing)),
  ...['misc.events', 'misc.events.local'].map((name) => file('misc', name, 'below', nothing)),
  file('misc', 'misc.max', 'below', {
    ...nothing,
    write() {
      throw new SysError('EINVAL');
    },
  }),
];
