/** The file systems that mount(2) knows, by type: the table behind /proc/filesystems too. */
import { ContextRefused, SysError } from '../abi.ts';
import { everyMount } from '../block.ts';
import { hierarchyOptions, readOptions } from '../cgroup/hierarchy.ts';
import type { Kernel, MakeFileSystem, Task } from '../records.ts';
import { cgroupRoot } from './cgroupfs.ts';
import { createDevtmpfs } from './devtmpfs.ts';
import { mountDevpts } from './devpts.ts';
import { ext4 } from './ext4.ts';
import { createOverlay } from './overlay.ts';
import { createPseudo, fixed } from './pseudo.ts';
import { mountProc } from './proc.ts';
import { sysfsRoot } from './sysfs.ts';
import { mountOptions } from './options.ts';
import { createTmpfs } from './tmpfs.ts';
import { tellTmpfs } from './tmpfsoptions.ts';
import { tracefsRoot } from './tracefs.ts';
import type { SuperBlock } from './types.ts';

/** One instance a kernel, mounted as often as wanted. */
function shared(kernel: Kernel, name: string, make: () => SuperBlock): SuperBlock {
  const key = `sb:${name}`;
  let sb = kernel.drivers.get(key) as SuperBlock | undefined;
  if (!sb) {
    sb = make();
    kernel.drivers.set(key, sb);
  }
  return sb;
}

const tmpfs: MakeFileSystem = (kernel, task, source, data) => {
  const sb = createTmpfs(kernel, 'tmpfs', source, '', 0o1777);
  tellTmpfs(kernel, task, sb, data);
  return sb;
};

const CGROUP1_OPTIONS = new Set(['cpuset', 'cpu', 'cpuacct', 'blkio', 'memory', 'devices', 'freezer', 'net_cls', 'perf_event', 'net_prio', 'hugetlb', 'pids', 'rdma', 'misc', 'all', 'none', 'name', 'xattr', 'noprefix', 'clone_children', 'cpuset_v2_mode', 'release_agent']);

function setOptions(kernel: Kernel, task: Task, options: string): void {
  if (task.ns.cgroup.root !== kernel.cgroups.root || options === hierarchyOptions(kernel)) return;
  kernel.drivers.set('cgroup2', options);
  for (const { sb } of everyMount(kernel)) if (sb.type === 'cgroup2') sb.options = options;
}

/** Options belong to the hierarchy: a mount in the first cgroup namespace sets them for every mount. */
const cgroup2: MakeFileSystem = (kernel, task, source, data) => {
  const options = readOptions(mountOptions(data).keys());
  const sb = createPseudo(kernel, 'cgroup2', source, cgroupRoot(task.ns.cgroup.root), hierarchyOptions(kernel));
  sb.reconfigure = (by, text) => setOptions(kernel, by, readOptions([...mountOptions(hierarchyOptions(kernel)).keys(), ...mountOptions(text).keys()]));
  setOptions(kernel, task, options);
  sb.options = hierarchyOptions(kernel);
  return sb;
};

const fileSystemNames = (): readonly string[] => Object.keys(FILESYSTEMS);

export const FILESYSTEMS: Readonly<Record<string, MakeFileSystem>> = {
  tmpfs,
  devtmpfs: (kernel) => shared(kernel, 'devtmpfs', () => createDevtmpfs(kernel)),
  devpts: (kernel, task, source, data) => mountDevpts(kernel, task, source, data),
  proc: (kernel, task, source, data) => mountProc(kernel, task, source, data, fileSystemNames),
  sysfs: (kernel, task, source) => createPseudo(kernel, 'sysfs', source, sysfsRoot(kernel, task)),
  /** The older hierarchies: every controller is bound to the one of version 2. */
  cgroup(_kernel, _task, _source, data) {
    const options = mountOptions(data);
    if ([...options.keys()].some((name) => !CGROUP1_OPTIONS.has(name))) throw new ContextRefused(`cgroup: Unknown subsys name '${[...options.keys()].find((name) => !CGROUP1_OPTIONS.has(name))}'`);
    if (options.has('none')) throw new SysError('EOPNOTSUPP');
    throw new SysError('EBUSY');
  },
  cgroup2,
  tracefs: (kernel, _task, source) => createPseudo(kernel, 'tracefs', source, tracefsRoot()),
  overlay: createOverlay,
  /** Without limits; of its options only mode has an effect, others are passed over. */
  ramfs(kernel, _task, source, data) {
    const mode = /^[0-7]+$/.exec(mountOptions(data).get('mode') ?? '');
    const bits = mode ? Number.parseInt(mode[0], 8) & 0o7777 : 0o755;
    const sb = createTmpfs(kernel, 'tmpfs', source, bits === 0o755 ? '' : `mode=${bits.toString(8)}`, bits);
    sb.type = 'ramfs';
    delete sb.space;
    return sb;
  },
  mqueue(kernel, _task, source) {
    const sb = createTmpfs(kernel, 'tmpfs', source, '', 0o1777);
    sb.type = 'mqueue';
    return sb;
  },
  securityfs: (kernel, _task, source) => createPseudo(kernel, 'securityfs', source, fixed({}, 0o755)),
  ext4,
};
