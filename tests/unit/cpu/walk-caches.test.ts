/** References of two-dimensional walks by page sizes, cold, and what paging-structure caches leave of them; what empties those. */
import { beforeAll, describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare, exit, finish, GUEST_BASE, PML4, type Program, smallTables, vm } from './bench.ts';

const EPT_ROOTS = { '4K': 0x800000, '2M': 0x900000, '1G': 0xa00000 } as const;
type Size = keyof typeof EPT_ROOTS;
const SHIFTS: Record<Size, number> = { '4K': 12, '2M': 21, '1G': 30 };
/** Linear addresses that the guest maps by a page of this size, all to gpa 0x150000, 0x600000 or their like. */
const ADDRESSES: Record<Size, number> = { '4K': 0x150000, '2M': 0x600000, '1G': 0x40150000 };
const IDENTITY = 0x77n;

/** EPT tables at `root` that map the first GiB (4K: 16 MiB) to itself by pages of one size. */
function identityEpt(memory: DataView, size: Size): void {
  const root = EPT_ROOTS[size];
  const put = (offset: number, value: bigint): void => memory.setBigUint64(offset, value, true);
  put(root, BigInt(root + 0x1007));
  if (size === '1G') return put(root + 0x1000, 0x80n | IDENTITY);
  put(root + 0x1000, BigInt(root + 0x2007));
  for (let n = 0; n < (size === '2M' ? 512 : 8); n++) {
    put(root + 0x2000 + 8 * n, size === '2M' ? BigInt(n * 0x200000) | 0x80n | IDENTITY : BigInt(root + 0x3007 + 0x1000 * n));
    if (size === '4K') for (let k = 0; k < 512; k++) put(root + 0x3000 + 0x1000 * n + 8 * k, BigInt(n * 0x200000 + k * 4096) | IDENTITY);
  }
}

/** A guest whose memory is the host's, under an EPT of one page size; 1 GiB at linear 0x40000000 is a page of that size. */
function nested(source: string, host: Size, options: m.MachineOptions = {}): Program {
  const program = vm(source, {}, { eptp: BigInt(EPT_ROOTS[host]) | 0x1en }, options);
  program.machine.memory.copyWithin(0, GUEST_BASE, GUEST_BASE + 0x200000);
  identityEpt(program.machine.physical, host);
  program.machine.physical.setBigUint64(PML4 + 0x1008, 0x87n, true);
  m.codeWritten(program.machine, 0, 0x200000);
  return program;
}

/** The newest walk of this address. */
function walkOf(program: Program, address: number): m.Walk {
  for (let back = 0; back < 64; back++) {
    const walk = m.walk(program.machine, back);
    if (walk?.gva === BigInt(address)) return walk;
  }
  throw new Error(`no walk of 0x${address.toString(16)}`);
}

describe('references of a walk, cold', () => {
  const TABLE: Record<Size, Record<Size, number>> = { '4K': { '4K': 24, '2M': 19, '1G': 14 }, '2M': { '4K': 19, '2M': 15, '1G': 11 }, '1G': { '4K': 14, '2M': 11, '1G': 8 } };
  for (const guest of Object.keys(TABLE) as Size[]) {
    for (const host of Object.keys(TABLE[guest]) as Size[]) {
      it(`${guest} over ${host}: ${TABLE[guest][host]}`, () => {
        const program = nested(`mov eax, [${ADDRESSES[guest]}]\n hlt`, host);
        expect(Number(exit(program).payload[0])).toBe(12);
        const walk = walkOf(program, ADDRESSES[guest]);
        expect([walk.references.length, walk.guestShift, walk.hostShift, walk.result]).toEqual([TABLE[guest][host], SHIFTS[guest], SHIFTS[host], 'ok']);
        const entry = m.tlbEntries(program.machine).find((one) => one.linear <= BigInt(ADDRESSES[guest]) && BigInt(ADDRESSES[guest]) < one.linear + (1n << BigInt(one.shift)));
        // the smaller of the two page sizes
        expect(entry?.shift).toBe(Math.min(SHIFTS[guest], SHIFTS[host]));
      });
    }
  }

  it('bare: 4, 3 and 2', () => {
    const program = bare('mov eax, [0x150000]\n mov eax, [0x600000]\n mov eax, [0x40150000]\n hlt');
    smallTables(program.machine.physical, 0);
    program.machine.physical.setBigUint64(PML4 + 0x1008, 0x87n, true);
    finish(program);
    expect([0x150000, 0x600000, 0x40150000].map((address) => walkOf(program, address).references.length)).toEqual([4, 3, 2]);
  });
});

describe('with paging-structure caches', () => {
  it('a PDE leaves 1 reference, a PDPTE 2, a PML4E 3', () => {
    const program = bare('mov eax, [0x150000]\n mov eax, [0x151000]\n mov eax, [0x601000]\n mov eax, [0x40150000]\n mov edi, 0x80000000\n mov eax, [rdi]\n hlt', {}, { walkCaches: true });
    const memory = program.machine.physical;
    smallTables(memory, 0);
    memory.setBigUint64(PML4 + 0x2000 + 8 * 3, BigInt(PML4 + 0x4007), true); // 0x600000 by 4K pages
    for (let k = 0; k < 512; k++) memory.setBigUint64(PML4 + 0x4000 + 8 * k, BigInt(0x600007 + k * 4096), true);
    memory.setBigUint64(PML4 + 0x1008, 0x87n, true);
    memory.setBigUint64(PML4 + 0x1010, BigInt(PML4 + 0x2007), true); // the third GiB is the first again
    finish(program);
    // the fetch has filled all three for the first 2 MiB
    expect([0x150000, 0x151000, 0x601000, 0x40150000, 0x80000000].map((address) => walkOf(program, address).references.length)).toEqual([1, 1, 2, 1, 3]);
    expect(m.walkCaches(program.machine).filter((one) => one.kind === 'PDE').map((one) => one.address)).toEqual([0n, 0x600000n, 0x80000000n]);
    expect(m.walkCaches(program.machine).find((one) => one.kind === 'PML4E')).toMatchObject({ address: 0n, table: BigInt(PML4 + 0x1000), host: BigInt(PML4 + 0x1000) });
  });

  it('both dimensions warm: one entry of each', () => {
    const program = nested('mov eax, [0x150000]\n mov eax, [0x151000]\n hlt', '4K', { walkCaches: true });
    exit(program);
    expect(walkOf(program, 0x151000).references.map((one) => [one.table, one.level])).toEqual([['guest', 1], ['ept', 1]]);
    expect(new Set(m.walkCaches(program.machine).map((one) => one.kind))).toEqual(new Set(['PML4E', 'PDPTE', 'PDE', 'EPT PML4E', 'EPT PDPTE', 'EPT PDE']));
    expect(m.walkCaches(program.machine).every((one) => one.ept === (BigInt(EPT_ROOTS['4K']) | 0x1en))).toBe(true);
  });

  const counted = (between: string, options: m.MachineOptions = { walkCaches: true }): number => {
    const program = bare(`mov eax, [0x150000]\n ${between}\n mov eax, [0x152000]\n hlt`, {}, options);
    smallTables(program.machine.physical, 0);
    expect(finish(program).reason).toBe('halt');
    // code and data lie in one 2 MiB, so a fetch after a flush fills them again: its page is 4 KiB
    return walkOf(program, 0x152000).references.length + walkOf(program, 0x150000).references.length + Number(m.slot(program.machine, at.REFERENCES));
  };
  let quiet = 0;
  beforeAll(() => {
    quiet = counted('nop');
  });

  for (const [name, between] of [['INVLPG of any page', 'invlpg [0x700000]'], ['MOV CR3', 'mov rax, cr3\n mov cr3, rax'], ['INVPCID of a context', 'mov qword [0x180000], 0\n mov qword [0x180008], 0\n mov eax, 1\n invpcid rax, [0x180000]']] as const) {
    it(`${name} empties them`, () => {
      const program = bare(`mov eax, [0x150000]\n ${between}\n mov eax, [0x152000]\n hlt`, {}, { walkCaches: true });
      smallTables(program.machine.physical, 0);
      finish(program);
      const walks = Number(m.slot(program.machine, at.WALKS));
      // the walk after it began at the top again
      const all = Array.from({ length: walks }, (_, back) => m.walk(program.machine, back)!.references.length);
      expect(all.filter((n) => n === 4).length).toBe(2);
    });
  }

  it('without a flush the caches still serve, and none is used when off', () => {
    expect(counted('nop')).toBe(quiet);
    expect(counted('nop', {})).toBeGreaterThan(quiet);
  });

  it('a right that was given in an upper entry is seen: the fault is walked again in full', () => {
    const program = bare('mov eax, [0x150000]\n or qword [0x604000], 2\n mov dword [0x150000], 7\n hlt', {}, { walkCaches: true });
    smallTables(program.machine.physical, 0);
    // the page directory's entry of the first 2 MiB lets nobody write; the tables themselves are seen at 0x600000 too
    program.machine.physical.setBigUint64(PML4 + 0x2000, BigInt(PML4 + 0x3005), true);
    program.machine.physical.setBigUint64(PML4 + 0x2018, 0x87n, true);
    expect(finish(program).reason).toBe('halt');
    expect(program.machine.physical.getUint32(0x150000, true)).toBe(7);
    // what the cached entry led to, then all four
    expect(walkOf(program, 0x150000).references.map((one) => one.level)).toEqual([1, 4, 3, 2, 1]);
  });

  it('INVEPT drops what was cached under that root', () => {
    const program = nested('mov eax, [0x150000]\n hlt', '4K', { walkCaches: true });
    exit(program);
    expect(m.walkCaches(program.machine).length).toBeGreaterThan(0);
    m.invept(program.machine, BigInt(EPT_ROOTS['2M']));
    expect(m.walkCaches(program.machine).length).toBeGreaterThan(0);
    m.invept(program.machine, BigInt(EPT_ROOTS['4K']));
    expect(m.walkCaches(program.machine)).toEqual([]);
  });

  it('INVVPID drops those of its VPID, and leaves the guest-physical ones', () => {
    const program = nested('mov eax, [0x150000]\n hlt', '4K', { walkCaches: true });
    exit(program);
    m.invvpid(program.machine, 2);
    expect(m.walkCaches(program.machine).some((one) => one.vpid === 1)).toBe(true);
    m.invvpid(program.machine, 1);
    const left = m.walkCaches(program.machine);
    expect([left.some((one) => one.vpid === 1), left.some((one) => one.kind === 'EPT PDE')]).toEqual([false, true]);
  });
});
