/**
 * System-level programs of every mode as bochs ran them: descriptors, gates, rings, paging, control registers, step by step. Made by
 * `node tests/differential/system.mjs --count 2000 --seed 7000000 --record tests/recorded/cpu/system.json.gz`.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { checkOf, DUMP, follow, memoryCheck } from '../../differential/system/lockstep.ts';
import { machineOf, selectorOf, stateOf } from '../../differential/system/modelled.ts';
import { module } from '../../unit/cpu/bench.ts';

interface Recorded { world: string; image: string; first: string[]; checks: string; memory: number }
const recorded = JSON.parse(gunzipSync(readFileSync(new URL('system.json.gz', import.meta.url))).toString()) as Recorded[];

describe('system-level programs as bochs ran them', () => {
  it('holds every world', () => {
    expect([...new Set(recorded.map((r) => r.world))].sort()).toEqual(['legacy', 'long', 'none', 'pae', 'real']);
  });

  it.each(recorded.map((r, n): [number, string, Recorded] => [n, r.world, r]))('image %i, %s', (_n, _world, r) => {
    const machine = machineOf(module, new Uint8Array(gunzipSync(Buffer.from(r.image, 'base64'))), 0, r.first.map(BigInt));
    const checks = Buffer.from(r.checks, 'base64');
    expect(checks.length).toBeGreaterThan(5000);
    const differs = follow(machine, checks.length, (n) => checkOf({ registers: stateOf(machine), cs: selectorOf(machine) }) === checks[n]);
    expect(differs).toBe(-1);
    expect(memoryCheck(machine.memory.subarray(DUMP[0], DUMP[0] + DUMP[1]))).toBe(r.memory);
  });
});
