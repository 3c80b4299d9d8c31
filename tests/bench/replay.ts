/** How fast a world opens and a session of every floor is replayed: simulated seconds a real one, medians. */
import type { Recording } from '../../src/bridge/protocol.ts';
import { loadAssets } from '../../src/cli/assets.ts';
import { createTypist, line, wait, waitForPrompt } from '../../src/engine/world/typist.ts';
import { advance, createWorld, openRecording, toRecording, worldHash } from '../../src/engine/world/world.ts';
import { time } from './median.ts';

const COMMANDS = ['virsh start tiny', 'docker run --name hog -m 64m busybox tail /dev/zero', 'kubectl apply -f web.yaml', 'ps aux', '# wait 5s'];

export function replay(): Record<string, unknown> {
  const assets = loadAssets();
  const world = createWorld(assets, 'lab', 1);
  const typist = createTypist(world);
  waitForPrompt(typist);
  for (const one of COMMANDS) line(typist, one);
  wait(typist, 1e9);
  const recording: Recording = toRecording(world);
  const open = time(5, () => {
    const fresh = createTypist(createWorld(assets, 'lab', 1));
    waitForPrompt(fresh);
  });
  const whole = time(5, () => {
    const again = openRecording(assets, recording);
    advance(again, recording.until);
    if (worldHash(again) !== recording.hash) throw new Error('the replay differs');
  });
  return { toFirstPromptMs: Math.round(open), replayMs: Math.round(whole), simulatedSeconds: recording.until / 1e9, speed: Number((recording.until / 1e6 / whole).toPrecision(3)) };
}
