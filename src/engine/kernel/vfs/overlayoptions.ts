/**
 * Options of an overlay: which features are on, what they need of each other, what identity it has, and how /proc/mounts shows it.
 * Source: kernel doc filesystems/overlayfs, fs/overlayfs/params.c. Left out: nfs_export, verity, data-only layers; xino has nothing to change, as inode numbers here are small.
 */
import { uint32 } from '../../sim/random.ts';
import { ContextRefused, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { Dentry } from './types.ts';

export interface Features {
  redirect: 'on' | 'follow' | 'nofollow';
  index: boolean;
  metacopy: boolean;
  userxattr: boolean;
  volatile: boolean;
}

type Options = ReadonlyMap<string, string>;

const CHOICES: Readonly<Record<string, readonly string[] | null>> = {
  lowerdir: null, 'lowerdir+': null, 'datadir+': null, fsync: ['volatile', 'auto', 'strict'], verity: ['on', 'off', 'require'], upperdir: null, workdir: null, redirect_dir: ['on', 'off', 'follow', 'nofollow'], index: ['on', 'off'], metacopy: ['on', 'off'], nfs_export: ['on', 'off'],
  xino: ['on', 'off', 'auto'], uuid: ['off', 'null', 'auto', 'on'], userxattr: null, volatile: null,
};

/** Throws EINVAL for what is unknown, contradicts itself or is not modelled. */
export function featuresOf(options: Options): Features {
  for (const [name, value] of options) {
    if (!Object.hasOwn(CHOICES, name)) throw new ContextRefused(`overlay: Unknown parameter '${name}'`);
    if (CHOICES[name]?.includes(value) === false) throw new ContextRefused(`overlay: Bad value for '${name}'`);
  }
  if (options.get('nfs_export') === 'on' || (options.get('verity') ?? 'off') !== 'off') throw new SysError('EINVAL');
  const asked = options.get('redirect_dir');
  const metacopy = options.get('metacopy') === 'on';
  const userxattr = options.has('userxattr');
  if (userxattr && (asked === 'on' || asked === 'follow' || metacopy)) throw new SysError('EINVAL');
  // Data that stays below is found by redirects.
  if (metacopy && asked !== undefined && asked !== 'on' && !((asked === 'follow' || asked === 'off') && !options.has('upperdir'))) throw new SysError('EINVAL');
  const redirect = metacopy ? 'on' : redirectMode(asked, userxattr);
  return { redirect: redirect === 'follow' && !options.has('upperdir') ? 'on' : redirect, index: options.get('index') === 'on' && options.has('upperdir'), metacopy, userxattr, volatile: options.has('upperdir') && (options.has('volatile') || options.get('fsync') === 'volatile') };
}

/** off follows what is there, as this kernel is built; unprivileged mounts (userxattr) follow nothing. */
function redirectMode(asked: string | undefined, userxattr: boolean): Features['redirect'] {
  if (userxattr) return 'nofollow';
  return asked === 'on' || asked === 'nofollow' ? asked : 'follow';
}

type UuidMode = 'off' | 'null' | 'auto' | 'on';

/**
 * uuid=: what identity the mount has. auto gives a new upper directory one at its first mount, which shows as on; one that has
 * an identity keeps it and shows nothing; one that is in use without (impure) has none, null.
 */
export function uuidMode(kernel: Kernel, task: Task, options: Options, upper: Dentry | null, own: string): UuidMode {
  const asked = (options.get('uuid') ?? 'auto') as UuidMode;
  if (!upper) return asked === 'on' ? 'null' : asked;
  if (asked === 'off' || asked === 'null' || upper.inode.xattrs?.has(`${own}uuid`)) return asked;
  if (asked === 'auto' && upper.inode.xattrs?.has(`${own}impure`)) return 'null';
  if (own.startsWith('trusted.')) upper.sb.ops.setxattr?.(kernel, task, upper, `${own}uuid`, Uint8Array.from({ length: 16 }, () => uint32(kernel.random) & 255));
  return 'on';
}

/** What differs from the defaults, in the kernel's order. */
export function shownOptions(features: Features, uuid: UuidMode, dirs: readonly string[]): string {
  const { redirect, index, metacopy, userxattr } = features;
  return [
    ...dirs, ...(redirect === 'follow' ? [] : [`redirect_dir=${redirect}`]), ...(index ? ['index=on'] : []), ...(uuid === 'auto' ? [] : [`uuid=${uuid}`]), ...(metacopy ? ['metacopy=on'] : []),
    ...(features.volatile ? ['fsync=volatile'] : []), ...(userxattr ? ['userxattr'] : []),
  ].join(',');
}
