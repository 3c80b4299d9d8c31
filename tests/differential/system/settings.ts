/** The worlds by name: how a case is made, and an image of several. */
import { type Case, makeCase, sourceOf } from './cases.ts';
import { type LongCase, longSource, makeLongCase } from './cases-long.ts';
import { random } from './random.ts';
import { makeRealCase, realKernel, realSource, realTables } from './real.ts';
import { CODE, filled, GDT, kernel, type Paging, STACKS, tables, world } from './world.ts';
import { longKernel, longTables } from './world-long.ts';

export const WORLDS = ['none', 'legacy', 'pae', 'long', 'real'] as const;

export interface Setting {
  name: string;
  make(seed: number): Case;
  source(cases: readonly Case[]): string;
  tables(image: Uint8Array, handler: number): void;
}

export function setting(name: string): Setting {
  const join = (cases: readonly Case[], source: (c: Case, n: number) => string): string => cases.map(source).join('\n');
  if (name === 'long') {
    return { name, make: (seed) => makeLongCase(random(seed)), tables: longTables, source: (cases) => longKernel(join(cases, (c, n) => longSource(c as LongCase, n)), CODE) };
  }
  if (name === 'real') return { name, make: (seed) => makeRealCase(random(seed)), tables: realTables, source: (cases) => realKernel(join(cases, realSource)) };
  const w = world(name as Paging);
  return { name, make: (seed) => makeCase(random(seed), w), tables: (image, handler) => tables(image, w, handler), source: (cases) => kernel(w, join(cases, (c, n) => sourceOf(c, n, w))) };
}

/** From physical address 0 on, and where the cases begin (RIP). */
export interface Image {
  bytes: Uint8Array;
  starts: number[];
}

/** Where the handler and the cases begin is learned from markers that the source itself carries. */
export function imageOf(w: Setting, cases: readonly Case[], assemble: (source: string) => Uint8Array): Image {
  const code = assemble(`${w.source(cases)}\nalign 4\ndb 'STARTS'\ndd handler\n${cases.map((_, n) => `dd case_${n}`).join('\n')}\n`);
  const view = new DataView(code.buffer, code.byteOffset);
  const mark = Buffer.from(code).lastIndexOf('STARTS') + 6;
  const bytes = filled(Math.ceil((CODE + mark) / 512) * 512);
  bytes.fill(0, GDT, STACKS[3] - 0x1000);
  bytes.set(code.subarray(0, mark - 6), CODE);
  w.tables(bytes, view.getUint32(mark, true));
  // jmp 1000:0
  bytes.set([0xea, 0, 0, CODE >> 4 & 255, CODE >> 12], 0x7c00);
  return { bytes, starts: cases.map((_, n) => view.getUint32(mark + 4 + 4 * n, true)) };
}
