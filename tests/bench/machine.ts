/**
 * What a picture and a debugger ask of the processor: references of page walks recorded a second, under a guest whose every access
 * misses the TLB through both dimensions, and one instruction back after ten million, which is the machine built anew and run to there.
 */
import { loadAssets } from '../../src/cli/assets.ts';
import * as at from '../../src/cpu/layout.ts';
import { assemble } from '../../src/engine/machine/isa/assemble.ts';
import * as m from '../../src/engine/machine/machine.ts';
import { median } from './median.ts';

const RUNS = 5;
const FAR = 10_000_000n;
const CODE = 0x100000;

export function machine(): Record<string, unknown> {
  const walks = Array.from({ length: RUNS }, thrash);
  const back = Array.from({ length: RUNS }, stepBack);
  return {
    walkEntriesPerSecond: Math.round(median(walks.map((one) => one.entries))), referencesPerWalk: median(walks.map((one) => one.each)),
    stepBackMs: Number(median(back).toPrecision(3)),
  };
}

function put(memory: DataView, offset: number, value: bigint): void {
  memory.setBigUint64(offset, value, true);
}

function longMode(source: string): m.Machine {
  const { bytes, errors } = assemble(`bits 64\norg ${CODE}\n${source}`, 'bench.asm');
  if (errors.length > 0) throw new Error(errors[0]!.text);
  const machine = m.createMachine(loadAssets().cpu, 32 << 20);
  m.load(machine, CODE, bytes);
  return machine;
}

const SEGMENT = { selector: 16, base: 0n, limit: 0xffffffff, rights: 0xc093 };
function start(machine: m.Machine): void {
  for (const [name, value] of [['efer', 0x500n], ['cr4', 0x20n], ['cr3', 0x1000n], ['cr0', 0x80000011n], ['rsp', 0x90000n], ['rip', BigInt(CODE)]] as const) m.setRegister(machine, name, value);
  m.setSegment(machine, 'cs', { ...SEGMENT, selector: 8, rights: 0xa09b });
  m.setSegment(machine, 'ss', SEGMENT);
}

/** 4 KiB pages of the guest over 4 KiB pages of EPT: 24 references a miss. The EPT is entered by hand: only the walker is measured. */
function thrash(): { entries: number; each: number } {
  const machine = longMode('again:\n mov eax, [rsi]\n add rsi, 0x1000\n cmp rsi, 0x800000\n jb again\n mov esi, 0x400000\n jmp again');
  const { physical } = machine;
  const tables = (root: number, rights: bigint): void => {
    put(physical, root, BigInt(root + 0x1000) | rights);
    put(physical, root + 0x1000, BigInt(root + 0x2000) | rights);
    for (let n = 0; n < 8; n++) {
      put(physical, root + 0x2000 + 8 * n, BigInt(root + 0x3000 + 0x1000 * n) | rights);
      for (let k = 0; k < 512; k++) put(physical, root + 0x3000 + 0x1000 * n + 8 * k, BigInt(n * 0x200000 + k * 4096) | rights | (root === 0x1000 ? 0n : 0x30n));
    }
  };
  tables(0x1000, 7n);
  tables(0x1000000, 7n);
  start(machine);
  m.setRegister(machine, 'rsi', 0x400000n);
  m.clearVmcs(machine);
  m.vmwrite(machine, 0x201a, 0x100001en);
  m.vmwrite(machine, 0x4002, 0x80000000n);
  m.vmwrite(machine, 0x401e, 2n);
  machine.state.setUint32(at.VMX, 1, true);
  m.run(machine, 1n << 60n, 100_000n);
  const before = m.slot(machine, at.REFERENCES);
  const walksBefore = m.slot(machine, at.WALKS);
  const began = performance.now();
  m.run(machine, 1n << 60n, 2_000_000n);
  const ms = performance.now() - began;
  const entries = Number(m.slot(machine, at.REFERENCES) - before);
  return { entries: (entries / ms) * 1000, each: entries / Number(m.slot(machine, at.WALKS) - walksBefore) };
}

/** Milliseconds. */
function stepBack(): number {
  const build = (): m.Machine => {
    const machine = longMode('mov esi, 0x200000\nagain:\n add eax, [rsi]\n lea ebx, [rax+rcx*2+7]\n xor eax, ebx\n mov [rsi], eax\n rol eax, 3\n call leaf\n dec ecx\n jmp again\nleaf: add edx, 3\n ret');
    put(machine.physical, 0x1000, 0x2003n);
    put(machine.physical, 0x2000, 0x83n);
    start(machine);
    return machine;
  };
  const there = build();
  m.run(there, 1n << 60n, FAR - 1n);
  const want = [...Array.from({ length: 16 }, (_, n) => m.general(there, n)), m.register(there, 'rip'), m.register(there, 'rflags'), m.cycles(there)];
  m.run(there, 1n << 60n, 1n);
  const began = performance.now();
  const back = build();
  m.run(back, 1n << 60n, FAR - 1n);
  const ms = performance.now() - began;
  const got = [...Array.from({ length: 16 }, (_, n) => m.general(back, n)), m.register(back, 'rip'), m.register(back, 'rflags'), m.cycles(back)];
  if (got.some((value, n) => value !== want[n])) throw new Error('one step back is another state');
  return ms;
}
