/** The data string of mount(2) as options. */

/** "size=64m,mode=755" as a map; a word without = has the value "". */
export function mountOptions(data: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const one of data.split(',')) {
    if (one === '') continue;
    const at = one.indexOf('=');
    options.set(at < 0 ? one : one.slice(0, at), at < 0 ? '' : one.slice(at + 1));
  }
  return options;
}
