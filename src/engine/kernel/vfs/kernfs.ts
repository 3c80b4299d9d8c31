/**
 * The order in which kernfs (cgroupfs, sysfs) lists a directory: by a hash of the name, so neither by name nor by age.
 * Source: kernfs_name_hash in fs/kernfs/dir.c, include/linux/stringhash.h, GOLDEN_RATIO_64 of include/linux/hash.h.
 */
const WORD = 64;
const GOLDEN = 0x61c8864680b583ebn;
const INT_MAX = 0x7fffffffn;

const known = new Map<string, number>();

/** 2 to 2^31-2: 0, 1 and 2^31-1 are taken. */
function nameHash(name: string): number {
  let hash = 0n;
  for (const letter of name) {
    const c = BigInt(letter.codePointAt(0)!);
    hash = BigInt.asUintN(WORD, (hash + (c << 4n) + (c >> 4n)) * 11n);
  }
  const short = (BigInt.asUintN(WORD, hash * GOLDEN) >> 32n) & INT_MAX;
  return Number(short < 2n ? short + 2n : short >= INT_MAX ? INT_MAX - 1n : short);
}

function hashOf(name: string): number {
  let hash = known.get(name);
  if (hash === undefined) known.set(name, (hash = nameHash(name)));
  return hash;
}

/** Entries in the order of kernfs. */
export function kernfsOrder<T extends { name: string }>(entries: readonly T[]): T[] {
  return [...entries].sort((a, b) => hashOf(a.name) - hashOf(b.name) || (a.name < b.name ? -1 : 1));
}
