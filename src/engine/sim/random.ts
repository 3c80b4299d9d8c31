/** Seeded chance (xoshiro128**, seeded by splitmix32). Every use of chance in the engine draws from one of these. */
export interface Random {
  s: [number, number, number, number];
}

export function createRandom(seed: number): Random {
  let x = seed >>> 0;
  const next = (): number => {
    x = (x + 0x9e3779b9) >>> 0;
    let z = x;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return { s: [next(), next(), next(), next()] };
}

/** An independent stream for a named part, so that one part's draws do not shift another's. */
export function forkRandom(seed: number, name: string): Random {
  let h = seed >>> 0;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return createRandom(h);
}

/** Uniform 32-bit unsigned integer. */
export function uint32(random: Random): number {
  const s = random.s;
  const r = Math.imul(s[1], 5);
  const result = Math.imul((r << 7) | (r >>> 25), 9) >>> 0;
  const t = s[1] << 9;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = (s[3] << 11) | (s[3] >>> 21);
  return result;
}

/** Uniform integer in [0, n). */
export function below(random: Random, n: number): number {
  return Math.floor((uint32(random) / 4294967296) * n);
}

const BYTES: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** Eight random lower-case hexadecimal digits. */
export function hex8(random: Random): string {
  const word = uint32(random);
  return BYTES[word >>> 24]! + BYTES[(word >>> 16) & 255]! + BYTES[(word >>> 8) & 255]! + BYTES[word & 255]!;
}

/** `digits` random lower-case hexadecimal digits. */
export function hex(random: Random, digits: number): string {
  const words: string[] = [];
  for (let have = 0; have < digits; have += 8) words.push(hex8(random));
  return words.join('').slice(0, digits);
}
