/** The data string of mount(2) as options, and a file system's change of them at a remount. */
import { PAGE } from '../../sim/units.ts';
import { SysError } from '../abi.ts';
import type { Task } from '../records.ts';
import type { SuperBlock } from './types.ts';

/** "size=64m,mode=755" as a map; a word without = has the value "". */
export function mountOptions(data: string): Map<string, string> {
  const options = new Map<string, string>();
  // a comma after a backslash is the value's own
  for (const one of (data.includes('\\,') ? data.split(/(?<!\\),/).map((part) => part.replace(/\\,/g, ',')) : data.split(','))) {
    if (one === '') continue;
    const at = one.indexOf('=');
    options.set(at < 0 ? one : one.slice(0, at), at < 0 ? '' : one.slice(at + 1));
  }
  return options;
}

const SIZE_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Bytes of "64m"; null for a share of memory or what is no size. */
export function sizeIn(text: string): number | null {
  const [, count, unit] = /^(\d+)([kmg]?)$/i.exec(text) ?? [];
  return count === undefined ? null : Number(count) * SIZE_UNITS[unit!.toLowerCase()]!;
}

/** A tmpfs's options as /proc/mounts shows them: what is not the default, in the kernel's order. */
export function tmpfsText(options: ReadonlyMap<string, string>): string {
  const shown: string[] = [];
  const size = sizeIn(options.get('size') ?? '');
  if (size !== null) shown.push(`size=${Math.ceil(size / 4096) * 4}k`);
  const inodes = options.get('nr_inodes');
  if (inodes !== undefined) shown.push(`nr_inodes=${sizeIn(inodes) ?? inodes}`);
  const mode = options.get('mode');
  if (mode !== undefined && Number.parseInt(mode, 8) !== 0o1777) shown.push(`mode=${mode.replace(/^0+(?=.)/, '')}`);
  for (const id of ['uid', 'gid']) if (Number(options.get(id) ?? 0) !== 0) shown.push(`${id}=${options.get(id)}`);
  shown.push('inode64');
  return shown.join(',');
}

/** Takes new options at a remount. Of a tmpfs only its limits change, and not below what is used. Throws EINVAL. */
export function reconfigure(task: Task, sb: SuperBlock, data: string): void {
  if (sb.reconfigure) {
    sb.reconfigure(task, data);
    return;
  }
  if (sb.type !== 'tmpfs') {
    sb.options = data;
    return;
  }
  const options = mountOptions(sb.options);
  const fresh = mountOptions(data);
  const size = sizeIn(fresh.get('size') ?? '');
  if (size !== null && sb.space) {
    const pages = Math.ceil(size / PAGE);
    if (pages < sb.space.used) throw new SysError('EINVAL');
    sb.space.pages = pages;
  }
  for (const name of ['size', 'nr_inodes']) if (fresh.has(name)) options.set(name, fresh.get(name)!);
  sb.options = tmpfsText(options);
}
