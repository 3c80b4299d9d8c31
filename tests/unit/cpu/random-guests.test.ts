/**
 * Random bytes run as code in every mode, in memory that is itself random: each ends in a stop that has a name, never in a trap of
 * WebAssembly, and nothing outside of the machine's memory changes. RANDOM_GUESTS=N runs N guests a mode.
 */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { identityTables, module, PML4 } from './bench.ts';

const BYTES = 0x200000;
const GUESTS = Number(process.env.RANDOM_GUESTS ?? '60');

function random(seed: number): () => number {
  let x = (seed * 2654435761) >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x;
  };
}

interface Mode {
  cr0: bigint;
  cr4: bigint;
  efer: bigint;
  code: number;
  data: number;
  limit: number;
}
const MODES: Readonly<Record<string, Mode>> = {
  real: { cr0: 0x10n, cr4: 0n, efer: 0n, code: 0x93, data: 0x93, limit: 0xffff },
  '16-bit protected': { cr0: 0x11n, cr4: 0n, efer: 0n, code: 0x9b, data: 0x93, limit: 0xffff },
  '32-bit': { cr0: 0x11n, cr4: 0n, efer: 0n, code: 0xc09b, data: 0xc093, limit: 0xffffffff },
  '32-bit paging': { cr0: 0x80010011n, cr4: 0x10n, efer: 0n, code: 0xc09b, data: 0xc093, limit: 0xffffffff },
  PAE: { cr0: 0x80010011n, cr4: 0x20n, efer: 0x800n, code: 0xc09b, data: 0xc093, limit: 0xffffffff },
  compatibility: { cr0: 0x80010011n, cr4: 0x20n, efer: 0xd00n, code: 0xc09b, data: 0xc093, limit: 0xffffffff },
  '64-bit': { cr0: 0x80010011n, cr4: 0x20n, efer: 0xd01n, code: 0xa09b, data: 0xc093, limit: 0xffffffff },
};

function tables(machine: m.Machine, mode: Mode): void {
  if ((mode.efer & 0x400n) !== 0n) return identityTables(machine.physical);
  if (mode.cr4 === 0x20n) {
    for (let n = 0; n < 4; n++) machine.physical.setBigUint64(PML4 + 8 * n, BigInt(PML4 + 0x1001), true);
    for (let n = 0; n < 512; n++) machine.physical.setBigUint64(PML4 + 0x1000 + 8 * n, BigInt(n * 0x200000 + 0x87), true);
  } else for (let n = 0; n < 1024; n++) machine.physical.setUint32(PML4 + 4 * n, n * 0x400000 + 0x87, true);
}

/** The machine as after a reset, with this seed's memory and registers. */
function prepare(machine: m.Machine, mode: Mode, seed: number): void {
  const next = random(seed);
  m.finishIo(machine, 0n);
  machine.cpu.reset();
  for (const offset of [at.ACTIVITY, at.INTERRUPTIBILITY, at.LINE, at.NMI_LINE]) machine.state.setUint32(offset, 0, true);
  const words = new Uint32Array(machine.memory.buffer, machine.memory.byteOffset, BYTES / 4);
  // tables of descriptors and gates are plausible half of the time: present, for all rings
  for (let n = 0; n < 0x8000; n++) words[n] = (n & 1) === 1 && n < 0x800 && (next() & 1) === 0 ? (next() & 0xffff00ff) | 0x8e00 | (next() & 0x7f00) : next();
  if ((mode.cr0 & 0x80000000n) !== 0n) tables(machine, mode);
  m.codeWritten(machine, 0, BYTES);
  for (const name of m.SEGMENT_NAMES) {
    const rights = name === 'cs' ? mode.code : name === 'tr' ? 0x8b : name === 'ldtr' ? 0x82 : name === 'gdtr' || name === 'idtr' ? 0 : mode.data;
    m.setSegment(machine, name, { selector: name === 'cs' ? 8 : 16, base: name === 'tr' ? 0x1800n : 0n, limit: name === 'tr' || name === 'ldtr' || name === 'gdtr' || name === 'idtr' ? 0xfff : mode.limit, rights });
  }
  for (let n = 0; n < 16; n++) m.setGeneral(machine, n, BigInt(next() % (next() % 3 === 0 ? 0xffffffff : 0x10000)));
  for (const [name, value] of [['cr3', BigInt(PML4)], ['cr4', mode.cr4], ['efer', mode.efer], ['cr0', mode.cr0], ['rsp', 0x7000n], ['rip', 0x8000n + BigInt(next() % 0x4000)], ['rflags', 2n]] as const) m.setRegister(machine, name, value);
}

/** Runs on through ports and halts; the name of the stop. */
function play(machine: m.Machine): string {
  for (let n = 0; n < 200; n++) {
    const stop = m.run(machine, 20_000n, 3000n);
    if (stop.reason === 'io') m.finishIo(machine, BigInt(n));
    else if (stop.reason === 'halt' && n < 5) m.setInterruptLine(machine, 32 + n);
    else if (stop.reason !== 'budget' || n > 3) return stop.reason;
  }
  return 'ports';
}

describe.each(Object.entries(MODES))('random bytes in %s code', (_, mode) => {
  it('end in a stop that has a name', () => {
    const met = new Set<string>();
    const machine = m.createMachine(module, BYTES);
    const room = new Uint8Array(machine.state.buffer, at.HOST + BYTES);
    for (let seed = 1; seed <= GUESTS; seed++) {
      prepare(machine, mode, seed);
      met.add(play(machine));
    }
    expect(room.every((byte) => byte === 0)).toBe(true);
    for (const reason of met) expect(['budget', 'halt', 'shutdown', 'ports']).toContain(reason);
  });
});
