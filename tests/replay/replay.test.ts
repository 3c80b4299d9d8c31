/**
 * A session is (scenario, seed, inputs): replaying it gives the same hash, however time is divided, and seeking to t is
 * running to t. The recording below touches every floor.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Recording, Row, ToPage } from '../../src/bridge/protocol.ts';
import { loadAssets } from '../../src/cli/assets.ts';
import { VIEWS } from '../../src/engine/views/views.ts';
import { createTypist, line, wait, waitForPrompt } from '../../src/engine/world/typist.ts';
import { advance, createWorld, openRecording, toRecording, type World, worldHash } from '../../src/engine/world/world.ts';
import { createServer } from '../../src/worker/server.ts';

const COMMANDS = [
  'virsh start tiny', 'docker run --name hog -m 64m busybox tail /dev/zero', 'echo $? | tee /tmp/status', 'kubectl apply -f web.yaml', 'for i in 1 2 3; do echo $RANDOM; done',
  'ps aux | sort | head -5', 'unshare -m true', 'virsh list --all',
];

let recording: Recording;
const assets = loadAssets();

beforeAll(() => {
  const world = createWorld(assets, 'lab', 7);
  const typist = createTypist(world);
  waitForPrompt(typist);
  for (const one of COMMANDS) line(typist, one);
  wait(typist, 2e9);
  recording = toRecording(world);
});

const open = (seed = recording.seed): World => openRecording(assets, { ...recording, seed });
/** Every row of every view that takes no argument, as text. */
const everything = (world: World): string => JSON.stringify(Object.values(VIEWS).map((view) => view.rows(world, {})));

describe('a recording', () => {
  it('has its inputs and its hash', () => {
    expect(recording.inputs.length).toBeGreaterThanOrEqual(COMMANDS.length);
    expect(recording.hash).toMatch(/^[0-9a-f]{16}$/);
  });

  it('gives the same hash again, in one go and in steps of 1 ms', () => {
    const whole = open();
    advance(whole, recording.until);
    expect(worldHash(whole)).toBe(recording.hash);
    const steps = open();
    for (let t = 0; t < recording.until; t += 1e6) advance(steps, Math.min(recording.until, t));
    advance(steps, recording.until);
    expect(worldHash(steps)).toBe(recording.hash);
    expect(everything(steps)).toBe(everything(whole));
  });

  it('of another seed is another history', () => {
    const other = open(8);
    advance(other, recording.until);
    expect(worldHash(other)).not.toBe(recording.hash);
  });

  it('shows at t what a run to t shows', () => {
    const t = Math.floor(recording.until / 2);
    const direct = open();
    advance(direct, t);
    const { call } = session();
    call('open', { recording });
    call('seek', { t });
    const rows = (view: string): Row[] => call('rows', { view }) as Row[];
    expect(rows('processes')).toEqual(VIEWS.processes!.rows(direct, {}));
    expect(rows('pods')).toEqual(VIEWS.pods!.rows(direct, {}));
    expect(rows('vms')).toEqual(VIEWS.vms!.rows(direct, {}));
  });
});

/** A session of the worker's own code with a clock of the test's: what is due happens while a call is waited for. */
function session() {
  const due: (() => void)[] = [];
  const replies = new Map<number, ToPage>();
  let now = 0;
  let id = 0;
  const server = createServer({
    assets, now: () => now,
    post(message) {
      if (message.type === 'reply') replies.set(message.id, message);
      else due.push(() => server.receive({ type: 'ack' }));
    },
    soon: (callback) => void due.push(callback),
    later: (callback) => void due.push(callback),
  });
  const settle = (): void => {
    for (let n = 0; n < 200_000 && due.length > 0; n++) {
      now += 0.01;
      due.shift()!();
    }
  };
  return {
    call(name: 'open' | 'seek' | 'rows' | 'step', input: unknown): unknown {
      server.receive({ type: 'call', id: ++id, name, in: input });
      const reply = replies.get(id) as { out?: unknown; error?: string };
      if (reply.error) throw new Error(reply.error);
      if (name === 'open') server.receive({ type: 'call', id: ++id, name: 'play', in: { running: false } });
      settle();
      return reply.out;
    },
  };
}
