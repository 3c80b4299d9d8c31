/**
 * The project's assembler against NASM over random lines of 16-, 32- and 64-bit code, bytes and messages:
 * `node scripts/differential.mjs forms [--count 6000] [--first 0] [--write FILE]`; the file gets what NASM made of the lines.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assemble } from '../../src/engine/machine/isa/assemble.ts';
import { type Bits, line } from './instructions.ts';

const ROOM = 32;
const option = (name: string, otherwise: string): string => process.argv[process.argv.indexOf(`--${name}`) + 1 || process.argv.length] ?? otherwise;
const count = Number(option('count', '6000'));
const first = Number(option('first', '0'));
const folder = mkdtempSync(join(tmpdir(), 'forms-'));

type Outcome = { bytes: string; told: string[] };

/** Of each line what NASM writes, and what it says. */
function theirs(lines: readonly string[], bits: Bits): Outcome[] {
  const source = (list: readonly string[]): string => `bits ${bits}\n${list.map((text) => `${text}\ndb 0xcc\nalign ${ROOM}, db 0xcc\n`).join('')}`;
  const out = lines.map((): Outcome => ({ bytes: '', told: [] }));
  const path = join(folder, 's.asm');
  let kept = lines.map((_, n) => n);
  for (let round = 0; round < 40; round++) {
    writeFileSync(path, source(kept.map((n) => lines[n]!)));
    const said = spawnSync('nasm', ['-f', 'bin', '-o', join(folder, 's.bin'), path], { encoding: 'utf8', timeout: 60_000 }).stderr.split('\n');
    const bad = new Set<number>();
    if (!said.some((one) => / error: |^panic/.test(one))) for (const n of kept) out[n]!.told = [];
    for (const one of said) {
      const m = /:(\d+): (error|warning): (.*)$/.exec(one);
      const fell = /^panic: .*?:(\d+): (.*)/.exec(one);
      if (fell) {
        const n = kept[Math.floor((Number(fell[1]) - 2) / 3)]!;
        out[n]!.told = ['panic'];
        bad.add(n);
      }
      if (!m) continue;
      const n = kept[Math.floor((Number(m[1]) - 2) / 3)]!;
      const message = `${m[2]}: ${m[3]}`;
      if (!out[n]!.told.includes(message)) out[n]!.told.push(message);
      if (m[2] !== 'warning') bad.add(n);
    }
    if (bad.size === 0) break;
    kept = kept.filter((n) => !bad.has(n));
  }
  const data = readFileSync(join(folder, 's.bin'));
  kept.forEach((n, at) => {
    out[n]!.bytes = data.subarray(at * ROOM, (at + 1) * ROOM).toString('hex').replace(/(cc)*$/, '');
  });
  return out;
}

/** What the assembler does not say: of prefixes that mean nothing, of displacements that are cut. */
const UNSAID = /^warning: (instruction is not lockable|.*\[-w\+(prefix|ea|obsolete|hle|regsize)|(byte|word|dword|signed dword|signed byte) .*exceeds bounds)/;

function ours(text: string, bits: Bits): Outcome {
  const { bytes, errors, warnings } = assemble(`bits ${bits}\n${text}\n`, 'x');
  return { bytes: Buffer.from(bytes).toString('hex').replace(/(cc)*$/, ''), told: [...errors, ...warnings].map((one) => one.text.replace('x:2: ', '')) };
}

let wrong = 0;
const record: [bits: number, text: string, bytes: string, told: string][] = [];
const plain = (list: readonly string[]): string => list.filter((one) => !UNSAID.test(one)).join('; ');
for (const bits of [16, 32, 64] as const) {
  const lines = Array.from({ length: Math.ceil(count / 3) }, (_, n) => line(first + n, bits));
  const real = theirs(lines, bits);
  lines.forEach((text, n) => {
    const want = real[n]!;
    if (want.told.includes('panic') || /^\w*\s*(j\w+|call|loop\w*) -?0x/.test(text)) return;
    const mine = ours(text, bits);
    if (mine.bytes === want.bytes && plain(mine.told) === plain(want.told)) {
      record.push([bits, text, want.bytes, plain(want.told)]);
      return;
    }
    if (wrong++ < 40) console.log(`${bits}: ${text}\n  nasm ${want.bytes} ${want.told.join('; ')}\n  ours ${mine.bytes} ${mine.told.join('; ')}`);
  });
}
rmSync(folder, { recursive: true });
const file = option('write', '');
if (file !== '') writeFileSync(file, `${JSON.stringify(record).replaceAll('],[', '],\n[')}\n`);
console.log(`${3 * Math.ceil(count / 3)} lines: ${wrong} differ (${execFileSync('nasm', ['-v'], { encoding: 'utf8' }).trim()})`);
process.exit(wrong > 0 ? 1 : 0);
