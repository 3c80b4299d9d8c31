/** The file systems that mount(2) knows, by type: the table behind /proc/filesystems too. */
import { SysError } from '../abi.ts';
import type { Kernel, MakeFileSystem } from '../records.ts';
import { everyMount } from '../block.ts';
import { cgroupRoot } from './cgroupfs.ts';
import { createDevtmpfs } from './devtmpfs.ts';
import { mountDevpts } from './devpts.ts';
import { ext4 } from './ext4.ts';
import { createOverlay } from './overlay.ts';
import { createPseudo, fixed } from './pseudo.ts';
import { mountProc } from './proc.ts';
import { sysfsRoot } from './sysfs.ts';
import { mountOptions, sizeIn, tmpfsText } from './options.ts';
import { createTmpfs } from './tmpfs.ts';
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

/** What tmpfs(5) takes; of these size and mode have an effect. */
const TMPFS_OPTIONS = new Set(['size', 'nr_blocks', 'nr_inodes', 'mode', 'uid', 'gid', 'huge', 'mpol', 'inode32', 'inode64', 'noswap', 'quota', 'usrquota', 'grpquota']);

const tmpfs: MakeFileSystem = (kernel, task, source, data) => {
  const options = mountOptions(data);
  for (const name of options.keys()) if (!TMPFS_OPTIONS.has(name)) throw new SysError('EINVAL');
  const size = options.get('size');
  const parsed = size === undefined ? null : /^(\d+)([kmg%]?)$/i.exec(size);
  if (size !== undefined && !parsed) throw new SysError('EINVAL');
  const mode = options.get('mode');
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode)) throw new SysError('EINVAL');
  const sb = createTmpfs(kernel, 'tmpfs', source, tmpfsText(options), mode === undefined ? 0o1777 : Number.parseInt(mode, 8));
  if (parsed && Number(parsed[1]) > 0) {
    const bytes = parsed[2] === '%' ? (kernel.memory * Number(parsed[1])) / 100 : sizeIn(size!)!;
    sb.space = { pages: Math.ceil(bytes / 4096), used: 0, kept: 0 };
  }
  sb.root.inode.uid = task.cred.euid;
  sb.root.inode.gid = task.cred.egid;
  return sb;
};

const CGROUP2_OPTIONS = ['nsdelegate', 'favordynmods', 'memory_localevents', 'memory_recursiveprot', 'memory_hugetlb_accounting', 'pids_localevents'];

/** Options belong to the hierarchy: a mount in the first cgroup namespace sets them for every mount. */
const cgroup2: MakeFileSystem = (kernel, task, source, data) => {
  const options = mountOptions(data);
  for (const name of options.keys()) if (!CGROUP2_OPTIONS.includes(name)) throw new SysError('EINVAL');
  const sb = createPseudo(kernel, 'cgroup2', source, cgroupRoot(task.ns.cgroup.root), (kernel.drivers.get('cgroup2') as string | undefined) ?? '');
  if (task.ns.cgroup.root !== kernel.cgroups.root) return sb;
  const chosen = CGROUP2_OPTIONS.filter((name) => options.has(name)).join(',');
  if (chosen === sb.options) return sb;
  kernel.drivers.set('cgroup2', chosen);
  sb.options = chosen;
  for (const { sb: other } of everyMount(kernel)) if (other.type === 'cgroup2') other.options = chosen;
  return sb;
};

const fileSystemNames = (): readonly string[] => Object.keys(FILESYSTEMS);

export const FILESYSTEMS: Readonly<Record<string, MakeFileSystem>> = {
  tmpfs,
  devtmpfs: (kernel) => shared(kernel, 'devtmpfs', () => createDevtmpfs(kernel)),
  devpts: (kernel, task, source, data) => mountDevpts(kernel, task, source, data),
  proc: (kernel, task, source, data) => mountProc(kernel, task, source, data, fileSystemNames),
  sysfs: (kernel, task, source) => createPseudo(kernel, 'sysfs', source, sysfsRoot(kernel, task)),
  cgroup2,
  tracefs: (kernel, _task, source) => createPseudo(kernel, 'tracefs', source, tracefsRoot()),
  overlay: createOverlay,
  mqueue(kernel, _task, source) {
    const sb = createTmpfs(kernel, 'tmpfs', source, '', 0o1777);
    sb.type = 'mqueue';
    return sb;
  },
  securityfs: (kernel, _task, source) => createPseudo(kernel, 'securityfs', source, fixed({}, 0o755)),
  ext4,
};
