/** Options of a comparison: `--name value`, numbers; what is unknown ends it with 64. */
export function options<T extends Record<string, number>>(known: T): T {
  const words = process.argv.slice(2);
  const out: Record<string, number> = { ...known };
  for (let n = 0; n < words.length; n += 2) {
    const name = words[n]!.replace(/^--/, '');
    const value = Number(words[n + 1]);
    if (!words[n]!.startsWith('--') || !Object.hasOwn(known, name) || !Number.isInteger(value)) {
      console.error(`options: ${Object.entries(known).map(([one, usual]) => `--${one} ${usual}`).join(' ')}`);
      process.exit(64);
    }
    out[name] = value;
  }
  return out as T;
}
