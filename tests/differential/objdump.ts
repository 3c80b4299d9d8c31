/**
 * The lab's objdump against the one of this machine: random encodings of every row of the instruction table, three modes, two
 * syntaxes. Run: node tests/differential/objdump.mjs [COUNT] [SEED]. Prints what differs; exit status 1 then.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mode } from '../../src/engine/machine/isa/decode.ts';
import { print, type Syntax } from '../../src/engine/machine/isa/objdump.ts';
import { INSTRUCTIONS, LEGACY_ONLY } from '../../src/engine/machine/isa/table.ts';

const SLOT = 32;
const MACHINE: Readonly<Record<Mode, string>> = { 16: 'i8086', 32: 'i386', 64: 'i386:x86-64' };

export function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const key = (form: { opcode: readonly number[] }): string => form.opcode.map((b) => b.toString(16).padStart(2, '0')).join(' ');

/** Encodings of the table's forms with random registers, addresses and numbers; some with prefixes that mean nothing. */
export function encodings(count: number, mode: Mode, seed: number): Uint8Array[] {
  const random = generator(seed);
  const forms = [...INSTRUCTIONS.values(), ...(mode === 64 ? [] : LEGACY_ONLY)].flatMap(({ forms: list }) => list).filter((form) => (mode === 64 || !form.w) && !/^0f 1[ab]$/.test(key(form)));
  return Array.from({ length: count }, (_, n) => {
    const form = forms[n % forms.length]!;
    const out: number[] = [];
    const wants16 = form.o16 !== (mode === 16);
    if (wants16 ? !form.mandatory.includes(0x66) : random(24) === 0) out.push(0x66);
    if (random(8) === 0) out.push(0x67);
    if (random(10) === 0) out.push([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65][random(6)]!);
    if (random(16) === 0) out.push([0xf2, 0xf3, 0xf0][random(3)]!);
    // what objdump takes for other vendors' or later instructions has no row in the table
    if (/^(0f 78|0f 79|0f c7|0f 1a|0f 1b|0f b8|0f 01|0f 00|0f ae|9b)/.test(key(form)) || /^(f3 )?90$|^0f b[cd]$/.test(key(form)) && out.length > 1) while (out.some((b) => b !== 0x67 && b !== 0x64)) out.pop();
    if (mode === 64 && /^(0f 8|7|e[0-3,8-9b])/.test(key(form))) while (out.includes(0x66)) out.splice(out.indexOf(0x66), 1);
    out.push(...form.mandatory);
    const rex = mode === 64 && (form.w || random(3) === 0) ? 0x40 | (form.w ? 8 : 0) | random(form.w ? 8 : 16) : 0;
    if (rex) out.push(rex);
    out.push(...form.opcode.slice(0, -1), form.opcode.at(-1)! + (form.plus ? random(8) : 0));
    if (form.modrm !== null) {
      const memory = form.operands.some((o) => /^m\d*$/.test(o)) || form.opcode[1] === 0x0d || form.opcode[1] === 0x18;
      const registers = !form.operands.some((o) => /^(r\/)?m\d*$/.test(o));
      const mod = registers ? 3 : memory ? random(3) : random(4);
      out.push((mod << 6) | ((typeof form.modrm === 'number' ? form.modrm : random(8)) << 3) | random(8));
    }
    while (out.length < 15) out.push(random(6) === 0 ? (random(2) ? 0 : 0xff) : random(256));
    return Uint8Array.from(out);
  });
}

/** What objdump says the first instruction of each slot is. */
export function theirs(codes: readonly Uint8Array[], mode: Mode, syntax: Syntax): string[] {
  const image = new Uint8Array(codes.length * SLOT).fill(0x90);
  codes.forEach((code, n) => image.set(code, n * SLOT));
  const dir = mkdtempSync(join(tmpdir(), 'objdump-'));
  writeFileSync(join(dir, 'a.bin'), image);
  const listing = execFileSync('objdump', ['-D', '-b', 'binary', '-w', '-m', MACHINE[mode], '-M', syntax, join(dir, 'a.bin')], { encoding: 'utf8', maxBuffer: 2 ** 30 });
  const out: string[] = [];
  for (const [, at, bytes, text] of listing.matchAll(/^\s*([0-9a-f]+):\t([0-9a-f ]+)\t(.*)$/gm)) {
    const address = Number.parseInt(at!, 16);
    if (address % SLOT === 0) out[address / SLOT] = `${bytes!.trim()} | ${text}`;
  }
  return out;
}

export function ours(code: Uint8Array, n: number, mode: Mode, syntax: Syntax): string {
  const slot = new Uint8Array(SLOT).fill(0x90);
  slot.set(code);
  const one = print(slot, BigInt(n * SLOT), mode, syntax);
  const comment = one.target?.kind === 'data' ? `        # 0x${one.target.address.toString(16)}` : '';
  return `${[...slot.subarray(0, one.length)].map((b) => b.toString(16).padStart(2, '0')).join(' ')} | ${one.text}${comment}`;
}

function main(): void {
  const count = Number(process.argv[2] ?? 20_000);
  const seed = Number(process.argv[3] ?? 1);
  let wrong = 0;
  for (const mode of [64, 32, 16] as const) {
    const codes = encodings(count, mode, seed);
    for (const syntax of ['att', 'intel'] as const) {
      const said = theirs(codes, mode, syntax);
      let differing = 0;
      codes.forEach((code, n) => {
        const mine = ours(code, n, mode, syntax);
        if (mine === said[n]?.trimEnd()) return;
        if (differing++ < Number(process.argv[4] ?? 40)) console.log(`${mode} ${syntax}\n  objdump ${said[n]}\n  lab     ${mine}`);
      });
      console.log(`${mode} ${syntax}: ${codes.length - differing} of ${codes.length} agree`);
      wrong += differing;
    }
  }
  process.exit(wrong > 0 ? 1 : 0);
}

if (/objdump\.(ts|mjs)$/.test(process.argv[1] ?? '')) main();
