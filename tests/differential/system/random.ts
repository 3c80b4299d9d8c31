/** A small seeded generator (xorshift32), so that a case is known by its seed. */
export interface Random {
  /** 0..n-1 */
  below(n: number): number;
  word(): number;
  pick<T>(list: readonly T[]): T;
  /** True once in n. */
  once(n: number): boolean;
}

export function random(seed: number): Random {
  let x = (seed * 2654435761 + 0x9e3779b9) >>> 0 || 1;
  const word = (): number => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x;
  };
  for (let n = 0; n < 8; n++) word();
  const below = (n: number): number => word() % n;
  return { word, below, pick: (list) => list[below(list.length)]!, once: (n) => below(n) === 0 };
}
