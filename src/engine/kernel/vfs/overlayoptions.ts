/**
 * Options of an overlay: which features are on, what they need of each other, what identity it has, and how /proc/mounts shows it.
 * Source: kernel doc filesystems/overlayfs, fs/overlayfs/params.c. Left out: verity; nfs_export is index=on that shows itself (single names are not indexed); xino has nothing to change, as inode numbers here are small.
 */
import { uint32 } from '../../sim/random.ts';
import { ContextRefused, SysError } from '../abi.ts';
import { logLine } from '../log.ts';
import type { Kernel, Task } from '../records.ts';
import type { Dentry } from './types.ts';

export interface Features {
  redirect: 'on' | 'follow' | 'nofollow';
  index: boolean;
  metacopy: boolean;
  userxattr: boolean;
  volatile: boolean;
  nfsExport: boolean;
  defaultPermissions: boolean;
  /** What is not shown: a mount's own choice that is the module's too. */
  redirectShown: boolean;
}

/** Parameters of the module: what a mount without options has, /sys/module/overlay/parameters. */
export interface OverlayParameters {
  redirect_dir: boolean;
  metacopy: boolean;
  index: boolean;
  nfs_export: boolean;
  xino_auto: boolean;
  redirect_always_follow: boolean;
  check_copy_up: boolean;
}

const parameters = new WeakMap<Kernel, OverlayParameters>();

export function overlayParameters(kernel: Kernel): OverlayParameters {
  let found = parameters.get(kernel);
  if (!found) parameters.set(kernel, (found = { redirect_dir: false, metacopy: false, index: false, nfs_export: false, xino_auto: false, redirect_always_follow: true, check_copy_up: false }));
  return found;
}

type Options = ReadonlyMap<string, string>;

const CHOICES: Readonly<Record<string, readonly string[] | null>> = {
  lowerdir: null, 'lowerdir+': null, 'datadir+': null, fsync: ['volatile', 'auto', 'strict'], verity: ['on', 'off', 'require'], upperdir: null, workdir: null, redirect_dir: ['on', 'off', 'follow', 'nofollow'], index: ['on', 'off'], metacopy: ['on', 'off'], nfs_export: ['on', 'off'],
  xino: ['on', 'off', 'auto'], uuid: ['off', 'null', 'auto', 'on'], userxattr: null, volatile: null, default_permissions: null,
};

/** What the kernel's log has about a refusal, and the refusal. */
function refused(kernel: Kernel, what: string): never {
  logLine(kernel, 3, `overlayfs: ${what}`);
  throw new SysError('EINVAL');
}

/** Throws what fsconfig(2) says about names and values that it does not know. */
export function checkOptions(options: Options): void {
  for (const [name, value] of options) {
    if (!Object.hasOwn(CHOICES, name)) throw new ContextRefused(`overlay: Unknown parameter '${name}'`);
    if (CHOICES[name]?.includes(value) === false) throw new ContextRefused(`overlay: Bad value for '${name}'`);
  }
}

/** What is on, after each feature has what it needs of the others. Throws EINVAL for what contradicts itself or is not modelled; the log says why. */
export function featuresOf(kernel: Kernel, options: Options, dataLayers: 'data-only layers' | 'none'): Features {
  const by = overlayParameters(kernel);
  const upper = options.has('upperdir');
  const says = (name: string, otherwise: boolean): boolean => (options.has(name) ? options.get(name) === 'on' : otherwise);
  if ((options.get('verity') ?? 'off') !== 'off') refused(kernel, 'not modelled: verity');
  const asked = options.get('redirect_dir');
  const mode: Features['redirect'] = asked === undefined ? (by.redirect_dir ? 'on' : follows(by)) : asked === 'off' ? follows(by) : (asked as Features['redirect']);
  let metacopy = says('metacopy', by.metacopy);
  if (dataLayers !== 'none' && !metacopy) refused(kernel, 'lower data-only dirs require metacopy support.');
  let index = upper && says('index', by.index);
  if (!upper && options.has('workdir')) logLine(kernel, 6, `overlayfs: option "workdir=${options.get('workdir')}" is useless in a non-upper mount, ignore`);
  if (!upper && options.get('index') === 'on') logLine(kernel, 6, 'overlayfs: option "index=on" is useless in a non-upper mount, ignore');
  const volatile = options.has('volatile') || options.get('fsync') === 'volatile';
  if (!upper && volatile) logLine(kernel, 6, 'overlayfs: option "volatile" is meaningless in a non-upper mount, ignoring it.');
  let redirect = !upper && mode === 'follow' ? 'on' : mode;
  if (metacopy && redirect !== 'on') {
    if (options.has('metacopy') && asked !== undefined) refused(kernel, `conflicting options: metacopy=on,redirect_dir=${redirect}`);
    if (asked !== undefined) metacopy = false;
    else redirect = 'on';
  }
  let nfsExport = says('nfs_export', by.nfs_export);
  if (nfsExport && !index) {
    if (!upper && redirect !== 'nofollow') {
      logLine(kernel, 6, 'overlayfs: NFS export requires "redirect_dir=nofollow" on non-upper mount, falling back to nfs_export=off.');
      nfsExport = false;
    } else if (options.has('nfs_export') && options.has('index')) refused(kernel, 'conflicting options: nfs_export=on,index=off');
    else index = upper;
  }
  if (nfsExport && metacopy) {
    if (options.has('nfs_export') && options.has('metacopy')) refused(kernel, 'conflicting options: nfs_export=on,metacopy=on');
    nfsExport = false;
  }
  const userxattr = options.has('userxattr');
  if (userxattr) {
    if (asked !== undefined && mode !== 'nofollow') refused(kernel, `conflicting options: userxattr,redirect_dir=${mode}`);
    if (options.get('metacopy') === 'on') refused(kernel, 'conflicting options: userxattr,metacopy=on');
    redirect = 'nofollow';
    metacopy = false;
  }
  return { redirect, index, metacopy, userxattr, volatile: upper && volatile, nfsExport, defaultPermissions: options.has('default_permissions'), redirectShown: redirect !== (by.redirect_dir ? 'on' : follows(by)) };
}

const follows = (by: OverlayParameters): Features['redirect'] => (by.redirect_always_follow ? 'follow' : 'nofollow');

export type UuidMode = 'off' | 'null' | 'auto' | 'on';

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
    ...dirs, ...(features.defaultPermissions ? ['default_permissions'] : []), ...(features.redirectShown ? [`redirect_dir=${redirect}`] : []), ...(index ? ['index=on'] : []), ...(uuid === 'auto' ? [] : [`uuid=${uuid}`]), ...(features.nfsExport ? ['nfs_export=on'] : []), ...(metacopy ? ['metacopy=on'] : []),
    ...(features.volatile ? ['fsync=volatile'] : []), ...(userxattr ? ['userxattr'] : []),
  ].join(',');
}
