/**
 * Programs that come later: no boot needs one, and when they come changes nothing. A session in which something is typed
 * before they are there has the hash of one that had all from the beginning.
 */
import { describe, expect, it } from 'vitest';
import type { Calls, Frame, Recording, ToPage } from '../../../src/bridge/protocol.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { AT_BOOT } from '../../../src/engine/userland/atboot.ts';
import { nameOf, supplied } from '../../../src/engine/userland/supply.ts';
import { PROGRAMS } from '../../../src/engine/userland/table.ts';
import { advance, createWorld, openRecording, worldHash } from '../../../src/engine/world/world.ts';
import { createServer } from '../../../src/worker/server.ts';

const all = loadAssets();
const fresh = (scenario: string): Recording => ({ nestbox: 1, scenario, seed: 1, inputs: [], until: 0 });
/** Rounds in which the server's callbacks are called. */
const ROUNDS = 4000;

describe('the programs of a boot', () => {
  it('are those of the areas, under their own names', () => {
    expect(PROGRAMS.installed).toEqual(expect.arrayContaining(Object.keys(AT_BOOT)));
    for (const [path, program] of Object.entries(AT_BOOT)) expect(PROGRAMS.byName.get(nameOf(path)), path).toBe(program);
    expect(Object.keys(AT_BOOT).length).toBeLessThan(PROGRAMS.installed.length / 8);
  });

  it.each(['lab', 'empty-host', 'one-host', 'cluster-3', 'big-cluster-20-5'])('are enough for %s until somebody types', (scenario) => {
    const programs = supplied(AT_BOOT, PROGRAMS.installed);
    const [early, whole] = [programs, PROGRAMS].map((given) => {
      const world = createWorld({ ...all, programs: given }, scenario, 1);
      advance(world, 3 * SECOND);
      return worldHash(world);
    });
    expect(programs.missed()).toBe(null);
    expect(early).toBe(whole);
  });

  it('tell of one that is not there', () => {
    const programs = supplied(AT_BOOT, PROGRAMS.installed);
    expect(() => programs.byName.get('ls')!(['ls'], {})).toThrow('ls was run before it was there');
    expect(programs.missed()).toBe('ls');
    programs.complete(PROGRAMS);
    expect(programs.missed()).toBe(null);
    expect(programs.byName.get('ls')).toBe(PROGRAMS.byName.get('ls'));
  });
});

/** A session whose rest of the programs comes when `arrive` is called, or never (`fail`). */
function session(recording: Recording) {
  const programs = supplied(AT_BOOT, PROGRAMS.installed);
  const sent: ToPage[] = [];
  const soon: (() => void)[] = [];
  const asked: { arrive(): void; fail(): void }[] = [];
  let clock = 0;
  let serial = 0;
  const server = createServer({
    assets: { ...all, programs }, post: (message) => void sent.push(message), now: () => (clock += 0.5), soon: (f) => void soon.push(f), later: (f) => void soon.push(f),
    rest: {
      missed: programs.missed,
      load: () => new Promise((resolve, reject) => asked.push({ arrive: () => { programs.complete(PROGRAMS); resolve(); }, fail: () => reject(new Error('no network')) })),
    },
  });
  const call = <K extends keyof Calls>(name: K, input: Calls[K]['in']): number => {
    server.receive({ type: 'call', id: ++serial, name, in: input });
    return serial;
  };
  const frames = (): Frame[] => sent.filter((message) => message.type === 'frame');
  const shown = (): string => {
    let text = '';
    for (const { tty, data, reset } of frames().flatMap((frame) => frame.term)) if (tty === 'tty1') text = reset ? data : text + data;
    return text;
  };
  const pump = (until: () => boolean = () => false): void => {
    for (let n = 0; n < ROUNDS && !until(); n++) {
      soon.shift()?.();
      server.receive({ type: 'ack' });
    }
  };
  call('open', { recording });
  return { call, pump, shown, frames, asked, sent, typed: (data: string) => call('act', { do: 'type', tty: 'tty1', data }) };
}

const recordingOf = (s: ReturnType<typeof session>): Recording => {
  const id = s.call('recording', {});
  return s.sent.map((message) => (message.type === 'reply' && message.id === id ? (message.out as Recording) : null)).find((one) => one !== null)!;
};
const replayed = (recording: Recording): string => {
  const world = openRecording(all, recording);
  advance(world, recording.until);
  return worldHash(world);
};
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

describe('a session whose programs come later', () => {
  it('asks for them when the prompt has gone out, and never again', async () => {
    const s = session(fresh('empty-host'));
    expect(s.asked).toHaveLength(0);
    s.pump(() => s.shown().includes('# '));
    s.pump();
    expect(s.asked).toHaveLength(1);
    s.asked[0]!.arrive();
    await settled();
    s.typed('ls /\r');
    s.pump(() => s.shown().includes('usr'));
    expect(s.asked).toHaveLength(1);
    const recording = recordingOf(s);
    expect(replayed(recording)).toBe(recording.hash);
  });

  it('stands still at a command typed too early and is told the same once they are there', async () => {
    const s = session(fresh('empty-host'));
    s.pump(() => s.shown().includes('# '));
    s.typed('x=1; ls /\r');
    s.pump();
    const { length } = s.frames();
    const { t } = s.frames().at(-1)!;
    s.typed('echo $x\r');
    s.pump();
    expect(s.frames()).toHaveLength(length);
    expect(s.shown()).not.toContain('usr');
    s.asked[0]!.arrive();
    await settled();
    s.pump(() => s.shown().includes('\x071\r\n'));
    expect(s.shown()).toMatch(/ls \/[\s\S]*usr[\s\S]*echo \$x[\s\S]*\x071\r\n/);
    expect(s.frames().at(-1)!.t).toBeGreaterThan(t);
    const recording = recordingOf(s);
    expect(recording.inputs.map((input) => input.do === 'type' && input.data)).toEqual(['x=1; ls /\r', 'echo $x\r']);
    expect(replayed(recording)).toBe(recording.hash);
  });

  it('replays a session only with all of them', async () => {
    const kept: Recording = { ...fresh('empty-host'), inputs: [{ t: 1e8, do: 'type', tty: 'tty1', data: 'ls /usr\r' }], until: SECOND };
    const s = session(kept);
    s.pump();
    expect(s.frames()).toHaveLength(0);
    s.asked[0]!.arrive();
    await settled();
    s.pump(() => s.shown().includes('share'));
    expect(s.shown()).toContain('share');
  });

  it('says when they cannot be had', async () => {
    const s = session(fresh('empty-host'));
    s.pump(() => s.shown().includes('# '));
    s.typed('ls\r');
    s.pump();
    s.asked[0]!.fail();
    await settled();
    s.pump();
    expect(s.frames().at(-1)!.fault?.message).toBe('programs of the lab could not be loaded, reload the page: no network');
  });
});
