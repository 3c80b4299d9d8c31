/** A session in the worker while a replay is on its way: nothing typed is lost, and steps back count from where it will arrive. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Calls, Recording, ToPage } from '../../../src/bridge/protocol.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, wait, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld, toRecording } from '../../../src/engine/world/world.ts';
import { createServer } from '../../../src/worker/server.ts';

const assets = loadAssets();
let recording: Recording;

beforeAll(() => {
  const world = createWorld(assets, 'empty-host', 3);
  const typist = createTypist(world);
  waitForPrompt(typist);
  for (const one of ['echo first > note', 'cat note', 'echo second']) line(typist, one);
  wait(typist, 1e9);
  recording = toRecording(world);
});

/** A page that asks; a call's slice of real time is as long as the test lets turns pass. */
function page() {
  const due: (() => void)[] = [];
  const replies = new Map<number, ToPage & { type: 'reply' }>();
  let now = 0;
  let id = 0;
  let at = 0;
  let screen = '';
  const server = createServer({
    assets, now: () => (now += 4),
    post(message) {
      if (message.type === 'reply') replies.set(message.id, message);
      if (message.type !== 'frame') return;
      at = message.t;
      for (const { data, reset } of message.term) screen = (reset ? '' : screen) + data;
      due.push(() => server.receive({ type: 'ack' }));
    },
    soon: (callback) => void due.push(callback),
    later: (callback) => void due.push(callback),
  });
  return {
    ask<K extends keyof Calls>(name: K, input: Calls[K]['in']): number {
      server.receive({ type: 'call', id: ++id, name, in: input } as never);
      return id;
    },
    pass(turns = 8000): void {
      for (let n = 0; n < turns && due.length > 0; n++) due.shift()!();
    },
    reply: (of: number) => replies.get(of),
    /** What the last call was answered. */
    said: () => replies.get(id)?.out,
    at: () => at,
    screen: () => screen,
  };
}

function opened() {
  const one = page();
  one.ask('open', { recording });
  one.ask('play', { running: false });
  one.pass();
  expect(one.at()).toBe(recording.until);
  return one;
}

describe('while a replay is on its way', () => {
  it('what is typed waits for it and is answered then', () => {
    const one = opened();
    one.ask('seek', { t: recording.until - 1e9 });
    const typed = one.ask('act', { do: 'type', tty: 'tty1', data: 'echo an$((40+2))swer\r' });
    one.pass(3);
    expect(one.reply(typed)).toBeUndefined();
    one.ask('play', { running: true });
    one.pass();
    expect(one.reply(typed)).toMatchObject({ out: null });
    expect(one.screen()).toContain('an42swer');
  });

  it('what is typed during the replay that opens a session follows what was typed before', () => {
    const one = page();
    one.ask('open', { recording });
    one.ask('act', { do: 'type', tty: 'tty1', data: 'echo th' });
    one.ask('act', { do: 'type', tty: 'tty1', data: 'ird; cat note\r' });
    one.pass();
    expect(one.screen()).toMatch(/second\r?\n[\s\S]*echo third; cat note[\s\S]*?third\r?\nfirst/);
  });

  it('a step back goes on from where the one before it will arrive', () => {
    const slow = opened();
    const quick = opened();
    const times = new Set<number>();
    for (let n = 0; n < 12; n++) {
      slow.ask('step', { by: -1 });
      slow.pass();
      times.add(slow.at());
      quick.ask('step', { by: -1 });
    }
    quick.pass();
    expect(times.size).toBe(12);
    expect(quick.at()).toBe(slow.at());
    expect(quick.at()).toBeLessThan(recording.until);
  });

  it('after acting in the past, steps go by what happened since', () => {
    const one = opened();
    one.ask('seek', { t: recording.inputs.find((input) => input.do === 'type')!.t });
    one.pass();
    one.ask('act', { do: 'type', tty: 'tty1', data: 'sleep 0.001; true\r' });
    one.ask('play', { running: true });
    one.pass(8);
    one.ask('play', { running: false });
    const other = page();
    one.pass();
    expect(one.at()).toBeLessThan(recording.until);
    one.ask('recording', {});
    other.ask('open', { recording: one.said() as Recording });
    other.ask('play', { running: false });
    other.pass();
    for (let n = 0; n < 3; n++) {
      for (const each of [one, other]) {
        each.ask('step', { by: -1 });
        each.pass();
      }
      expect(one.at()).toBe(other.at());
    }
  });

  it('a step on waits, and a step back after it keeps its turn', () => {
    const one = opened();
    one.ask('step', { by: -1 });
    one.pass();
    const before = one.at();
    one.ask('step', { by: -1 });
    one.ask('step', { by: 1 });
    one.ask('step', { by: -1 });
    one.pass();
    expect(one.at()).toBeLessThan(before);
  });

  it('another session answers what waited with an error', () => {
    const one = opened();
    one.ask('seek', { t: 0 });
    one.ask('seek', { t: recording.until });
    const typed = one.ask('act', { do: 'type', tty: 'tty1', data: 'x' });
    one.ask('open', { recording: { ...recording, inputs: [], until: 0 } });
    expect(one.reply(typed)).toMatchObject({ error: 'another session was opened' });
  });
});
