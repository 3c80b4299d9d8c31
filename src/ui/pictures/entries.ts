/** The 64 bits of a page-table or EPT entry, field by field, with what each means here. SDM vol. 3, 4.5 and 29.3. */
export interface Field { hi: number; lo: number; name: string; value: string; means: string; zero: boolean; frame?: 'gpa' | 'hpa' }

const bits = (entry: bigint, hi: number, lo: number): bigint => (entry >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
const MEMORY: Record<number, string> = { 0: 'uncached', 1: 'write-combining', 4: 'write-through', 5: 'write-protected', 6: 'write-back' };

export function guestFields(entry: bigint, level: string, leaf: boolean, host: boolean): Field[] {
  const one = (bit: number, name: string, set: string, clear: string): Field => {
    const value = bits(entry, bit, bit);
    return { hi: bit, lo: bit, name, value: String(value), means: value ? set : clear, zero: value === 0n };
  };
  const large = leaf && level !== 'PTE';
  const low = large ? (level === 'PDE' ? 21 : 30) : 12;
  return [
    one(63, 'XD', 'not executable', 'executable, if CR4 and EFER let it'),
    { hi: 51, lo: low, name: 'frame', value: `0x${(bits(entry, 51, low) << BigInt(low)).toString(16)}`, means: leaf ? (large ? `a ${level === 'PDE' ? '2 MiB' : '1 GiB'} page` : 'the page') : 'the next table', zero: false, frame: host ? 'hpa' : 'gpa' },
    leaf ? one(8, 'G', 'global: stays when CR3 is loaded', 'not global') : one(8, 'ign', 'ignored here', 'ignored here'),
    level === 'PTE' ? one(7, 'PAT', 'PAT entry 4 to 7', 'write-back, with PCD and PWT') : one(7, 'PS', 'maps a large page', 'points to a table'),
    leaf ? one(6, 'D', 'was written', 'not written yet') : one(6, 'ign', 'ignored here', 'ignored here'),
    one(5, 'A', 'was used', 'not used yet'), one(4, 'PCD', 'not cached', 'cached'), one(3, 'PWT', 'write-through', 'write-back'),
    one(2, 'U/S', 'ring 3 may use it', 'rings 0 to 2 only'), one(1, 'R/W', 'writable', 'read only'), one(0, 'P', 'present', 'not present: a fault'),
  ];
}

export function eptFields(entry: bigint, leaf: boolean, level: string): Field[] {
  const one = (bit: number, name: string, set: string, clear: string): Field => {
    const value = bits(entry, bit, bit);
    return { hi: bit, lo: bit, name, value: String(value), means: value ? set : clear, zero: value === 0n };
  };
  const large = leaf && level !== 'PTE';
  const low = large ? (level === 'PDE' ? 21 : 30) : 12;
  const type = Number(bits(entry, 5, 3));
  return [
    ...(leaf ? [one(63, 'SVE', 'suppresses #VE', 'a violation may be #VE')] : []),
    { hi: 51, lo: low, name: 'frame', value: `0x${(bits(entry, 51, low) << BigInt(low)).toString(16)}`, means: leaf ? 'the host frame' : 'the next EPT table', zero: false, frame: 'hpa' },
    one(10, 'XU', 'user execute, with MBEC', 'no user execute, or no MBEC'),
    ...(leaf ? [one(9, 'D', 'was written', 'not written, or no A/D bits')] : []),
    one(8, 'A', 'was used', 'not used, or no A/D bits'), one(7, leaf && !large ? 'ign' : 'PS', leaf ? (large ? 'maps a large page' : 'ignored here') : 'maps a large page', leaf ? 'a 4 KiB page' : 'points to a table'),
    ...(leaf ? [one(6, 'IPAT', 'the guest’s PAT is ignored', 'the guest’s PAT counts'), { hi: 5, lo: 3, name: 'type', value: String(type), means: MEMORY[type] ?? 'reserved', zero: type === 0 }] : []),
    one(2, 'X', 'may be executed', 'no execution: EPT violation'), one(1, 'W', 'may be written', 'no writes: EPT violation'), one(0, 'R', 'may be read', 'no reads: EPT violation'),
  ];
}
