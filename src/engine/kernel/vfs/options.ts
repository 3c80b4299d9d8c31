/** The data string of mount(2) as options, and a file system's change of them at a remount. */
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

/** Takes new options at a remount. Throws EINVAL. */
export function reconfigure(task: Task, sb: SuperBlock, data: string): void {
  if (sb.reconfigure) sb.reconfigure(task, data);
  else sb.options = data;
}
