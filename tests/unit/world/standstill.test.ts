/** A clock that stands still is found by counting events, is said with the names of who goes on, and stops the world. */
import { expect, it } from 'vitest';
import type { ToPage } from '../../../src/bridge/protocol.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { compute, touch } from '../../../src/engine/kernel/sys.ts';
import { after, createTimeline, handle, runTo, schedule, step, type Timeline } from '../../../src/engine/sim/timeline.ts';
import { MS, SECOND } from '../../../src/engine/sim/units.ts';
import { VIEWS } from '../../../src/engine/views/views.ts';
import { createServer } from '../../../src/worker/server.ts';
import { machine, run } from '../kernel/harness.ts';

/** An event that comes again after `delay` ns. */
function loop(timeline: Timeline, delay: number, kind = 'loop'): void {
  handle(timeline, kind, (event) => void after(timeline, delay, event));
  after(timeline, 0, { kind, who: 'test', arg: { n: 7 } });
}

it.each([['none', 0], ['less than a nanosecond ever', 1e-13]])('events that come again after %s', (_name, delay) => {
  const timeline = createTimeline();
  timeline.patience = 10_000;
  handle(timeline, 'once', () => {});
  schedule(timeline, 5 * SECOND, { kind: 'once', who: 'test' });
  runTo(timeline, 5 * SECOND);
  loop(timeline, delay);
  expect(() => runTo(timeline, 6 * SECOND)).toThrow(/^time stands still at 5\.000000000 s: 12000 events and no nanosecond has passed; what goes on: loop of test: \{"n":7\} \(2000 of the last 2000\)$/);
});

it('is found after the same number of events however the world is advanced', () => {
  const counts = [1, 17].map((slices) => {
    const timeline = createTimeline();
    timeline.patience = 5000;
    loop(timeline, 0);
    try {
      for (;;) for (let n = 0; n < slices; n++) if (!step(timeline, SECOND)) break;
    } catch {}
    return timeline.handled;
  });
  expect(counts[0]).toBe(counts[1]);
});

it('leaves alone what comes again after a nanosecond, and many events at one instant', () => {
  const timeline = createTimeline();
  timeline.patience = 50_000;
  let left = 200_000;
  handle(timeline, 'tick', (event) => {
    if (left-- > 0) after(timeline, 1, event);
  });
  after(timeline, 0, { kind: 'tick', who: 'test' });
  handle(timeline, 'herd', () => {});
  for (let n = 0; n < 40_000; n++) schedule(timeline, SECOND, { kind: 'herd', who: 'test' });
  runTo(timeline, 2 * SECOND);
  expect(left).toBe(-1);
});

it('names the task behind a processor that never gets on', () => {
  const m = machine({ programs: { *init() { for (;;) yield* compute(MS); } } });
  runTo(m.timeline, 3 * MS);
  m.timeline.patience = 1000;
  const original = m.timeline.handlers.get('kernel.cpu')!;
  m.timeline.handlers.set('kernel.cpu', (event) => {
    original(event);
    after(m.timeline, 0, event);
  });
  expect(() => runTo(m.timeline, SECOND)).toThrow(/kernel\.cpu of test: processor 0, last init\[1\]/);
});

it.each([
  ['spends none in user mode', function* () { yield* compute(0); }],
  ['touches no memory', function* () { yield* touch(4096, 0, 'r'); }],
] as const)('a program that asks again and again and %s costs time', (_name, nothing) => {
  let turns = 0;
  const ran = run(function* () {
    for (; turns < 20_000; turns++) yield* nothing();
    return 0;
  });
  expect(ran.status).toBe(0);
  expect(ran.took).toBeGreaterThan(turns * 5);
});

it('stops the session in the worker: the fault is told, the recording is there', () => {
  const sent: ToPage[] = [];
  const soon: (() => void)[] = [];
  let clock = 0;
  const server = createServer({ assets: loadAssets(), post: (message) => void sent.push(message), now: () => (clock += 1), soon: (f) => void soon.push(f), later: (f) => void soon.push(f) });
  const views = VIEWS as Record<string, (typeof VIEWS)[string]>;
  views.standstill = {
    ...VIEWS.hosts!,
    rows(world) {
      world.timeline.patience = 2000;
      loop(world.timeline, 0, 'artificial');
      return [];
    },
  };
  try {
    server.receive({ type: 'call', id: 1, name: 'open', in: { recording: { nestbox: 1, scenario: 'empty-host', seed: 1, inputs: [], until: 0 } } });
    server.receive({ type: 'call', id: 2, name: 'rows', in: { view: 'standstill' } });
    for (let n = 0; n < 500; n++) {
      soon.shift()?.();
      server.receive({ type: 'ack' });
    }
  } finally {
    delete views.standstill;
  }
  const faults = sent.flatMap((message) => (message.type === 'frame' && message.fault ? [message.fault.message] : []));
  expect(faults[0]).toMatch(/time stands still at .*artificial of test/);
  server.receive({ type: 'call', id: 3, name: 'recording', in: null });
  expect(JSON.stringify(sent.at(-1))).toContain('"scenario":"empty-host"');
});
