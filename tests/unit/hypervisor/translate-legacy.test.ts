/**
 * Random bytes as kernel code outside long mode: 32 bits without and with paging, 16 bits, real mode. Translated or interpreted they
 * come to the same end as under VT-x: registers, flags, segments and memory when the guest shuts down (there is no IDT: every exception
 * does), halts, touches a port or a device, or has run long enough in vain.
 */
import { describe, expect, it } from 'vitest';
import { guestControl, guestRegister, guestSegment, setGuestControl, setGuestRegister, setGuestSegment, setGuestTable } from '../../../src/engine/hypervisor/state.ts';
import type { TechniqueName } from '../../../src/engine/hypervisor/vm.ts';
import { runVm } from '../../../src/engine/hypervisor/cpu/run.ts';
import { backPage, readGuest, resolvePage, writeGuest } from '../../../src/engine/hypervisor/memory/frames.ts';
import { type Bench, power } from './bench.ts';

const CODE = 0x100000;
const MODES = { flat: { code: 0xc09b, cr0: 0x11n }, paged: { code: 0xc09b, cr0: 0x8001_0011n }, wide16: { code: 0x9b, cr0: 0x11n }, real: { code: 0x9b, cr0: 0x10n } } as const;
type ModeName = keyof typeof MODES;
const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const;

function random(seed: number): () => number {
  let n = seed;
  return () => {
    n = (Math.imul(n, 1664525) + 1013904223) >>> 0;
    return n >>> 8;
  };
}

/** What kernels are made of comes more often than by chance. */
const OFTEN = [0x50, 0x58, 0x89, 0x8b, 0x01, 0x29, 0x83, 0x85, 0x40, 0x48, 0xb8, 0x9c, 0x9d, 0xfa, 0xfb, 0xe8, 0xc3, 0xeb, 0x74, 0x75, 0xe2, 0x0f, 0x66, 0x67, 0x8e, 0x8c, 0x1e, 0x1f, 0x06, 0x0e, 0x16, 0x60, 0x61, 0xff, 0xf7, 0xd1, 0xaa, 0xa4, 0xf3, 0xc8, 0xc9, 0x27, 0xd4, 0x91];

function boot(mode: ModeName, technique: TechniqueName, seed: number): Bench {
  const next = random(seed);
  const code = Uint8Array.from({ length: 256 }, () => (next() % 3 === 0 ? next() & 255 : OFTEN[next() % OFTEN.length]!));
  const b = power(code, { technique, memory: 2 * 2 ** 20 });
  const { vm } = b;
  const { code: rights, cr0 } = MODES[mode];
  setGuestControl(vm, 'efer', 0n);
  setGuestControl(vm, 'cr4', mode === 'paged' ? 0x10n : 0n);
  setGuestControl(vm, 'cr3', mode === 'paged' ? 0x2000n : 0n);
  setGuestControl(vm, 'cr0', cr0);
  for (const page of [0x2000, 0x3000]) backPage(vm, page);
  writeGuest(vm, 0x2000, Uint8Array.of(0x83, 0, 0, 0));
  // descriptors: null, code, data, code and data of 16 bits
  writeGuest(vm, 0x3000, Uint8Array.from([0, 0x00cf9a000000ffffn, 0x00cf92000000ffffn, 0x00009a100000ffffn, 0x000092000000ffffn].flatMap((d) => Array.from({ length: 8 }, (_, k) => Number((BigInt(d) >> BigInt(8 * k)) & 255n)))));
  const wide = mode === 'flat' || mode === 'paged';
  for (const name of ['cs', 'ss', 'ds', 'es', 'fs', 'gs'] as const) {
    const data = mode === 'real' ? 0x93 : wide ? 0xc093 : 0x93;
    setGuestSegment(vm, name, { selector: mode === 'real' ? 0 : name === 'cs' ? 8 : 16, base: !wide && name === 'cs' ? BigInt(CODE) : 0n, limit: wide ? 0xffff_ffff : 0xffff, rights: name === 'cs' ? rights : data });
  }
  setGuestTable(vm, 'gdt', { base: 0x3000n, limit: 39 });
  setGuestTable(vm, 'idt', { base: 0n, limit: 0 });
  GENERAL.forEach((name, n) => {
    setGuestRegister(vm, name, BigInt(name === 'rsp' ? 0x9000 : wide ? (n % 2 === 0 ? 0x8000 + n * 64 : next()) : (next() & 0x7fff)));
  });
  setGuestRegister(vm, 'rflags', 2n);
  setGuestRegister(vm, 'rip', BigInt(wide ? CODE : 0));
  return b;
}

function end(b: Bench): string {
  const { vm } = b;
  for (let n = 0; n < 400; n++) {
    const { exit, spent } = runVm(vm, b.now, 20_000);
    b.now += Math.ceil((spent.guest + spent.kernel + spent.user) / vm.ghz);
    if (exit.reason === 'page') resolvePage(vm, exit.gpa);
    else if (exit.reason !== 'budget') return exit.reason === 'io' ? `io ${exit.port} ${exit.size} ${exit.value}` : exit.reason === 'internal-error' ? `internal-error ${exit.text}` : exit.reason;
  }
  return 'budget';
}

const stateOf = (b: Bench): string[] => [
  ...[...GENERAL, 'rip', 'rflags'].map((name) => `${name} ${guestRegister(b.vm, name).toString(16)}`),
  ...(['cs', 'ss', 'ds', 'es', 'fs', 'gs'] as const).map((name) => { const s = guestSegment(b.vm, name); return `${name} ${s.selector.toString(16)} ${s.base.toString(16)} ${(s.rights & 0x10000) !== 0 ? 'unusable' : s.limit.toString(16)}`; }),
  `cr0 ${guestControl(b.vm, 'cr0').toString(16)}`, `cr2 ${guestControl(b.vm, 'cr2').toString(16)}`,
];

/** What has not ended, or can be interrupted, stands at different places; a string from a port meets its page sooner or later than the port. */
const comparable = (b: Bench, ended: string): boolean => !/budget|internal-error/.test(ended) && (guestRegister(b.vm, 'rflags') & 0x200n) === 0n;

const COUNT = Number(process.env.RANDOM_GUESTS ?? 12);
describe.each(Object.keys(MODES) as ModeName[])('random %s code', (mode) => {
  it('comes to the same end', () => {
    let compared = 0;
    const wrong: string[] = [];
    for (let seed = 1; seed <= COUNT; seed++) {
      const [plain, translated] = [boot(mode, 'vmx-ept', seed), boot(mode, 'binary-translation', seed)];
      const [one, other] = [end(plain), end(translated)];
      if (!comparable(plain, one) || !comparable(translated, other) || (one !== other && /^io/.test(one))) continue;
      compared++;
      const [a, c] = [[one, ...stateOf(plain)], [other, ...stateOf(translated)]];
      const [before, after] = [plain, translated].map(({ vm }) => Buffer.from(readGuest(vm, 0x4000, 0x8000)).toString('hex'));
      const memory = before !== after;
      const differs = a.filter((line, n) => line !== c[n]).map((line) => `${line} / ${c[a.indexOf(line)]}`);
      if (differs.length > 0 || memory) wrong.push(`${seed}: ${differs.join(', ')}${memory ? ' memory' : ''}`);
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(COUNT / 4);
  });
});
