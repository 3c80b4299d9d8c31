export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median milliseconds of some runs. */
export function time(runs: number, work: () => void): number {
  const all: number[] = [];
  for (let n = 0; n < runs; n++) {
    const began = performance.now();
    work();
    all.push(performance.now() - began);
  }
  return median(all);
}
