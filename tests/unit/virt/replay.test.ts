/** A session with a VM and its debugger, replayed: the same hash however the time is divided. */
import { expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { vms } from '../../../src/engine/views/vms.ts';
import { createTypist, line, perform, wait } from '../../../src/engine/world/typist.ts';
import { advance, createWorld, openRecording, toRecording, worldHash } from '../../../src/engine/world/world.ts';

it('replays steps of the debugger to the same state', () => {
  const world = createWorld(loadAssets(), 'one-host');
  const typist = createTypist(world);
  wait(typist, 100e6);
  expect(line(typist, 'virsh start tiny')?.stdout).toBe("Domain 'tiny' started\n\n");
  wait(typist, 300e6);
  for (const cmd of ['pause', 'step', 'step', 'step-exit', 'step', 'resume', 'step-exit', 'resume'] as const) {
    perform(typist, { do: 'vm', host: 'lab', vm: 'tiny', cmd });
    wait(typist, 70e6);
  }
  line(typist, 'virsh destroy tiny; virsh start tiny --paused; virsh resume tiny');
  wait(typist, 100e6);
  const recording = toRecording(world);
  const rows = vms.rows(world, {});
  expect(rows[0]!.instructions).toBeGreaterThan(1000);
  for (const part of [1e6, 37e6, 1e12]) {
    const again = openRecording(loadAssets(), recording);
    for (let t = part; t < recording.until; t += part) advance(again, t);
    advance(again, recording.until);
    expect(worldHash(again)).toBe(recording.hash);
    expect(vms.rows(again, {})).toEqual(rows);
  }
});
