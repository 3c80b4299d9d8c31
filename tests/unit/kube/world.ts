/** Machines with kernels and a terminal at their lab host: what tests type, and how long they wait. */
import { loadAssets } from '../../../src/cli/assets.ts';
import { putFile } from '../../../src/engine/kernel/vfs/build.ts';
import { bytes } from '../../../src/engine/sim/text.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { advance, createWorld, type World } from '../../../src/engine/world/world.ts';

export interface Desk {
  world: World;
  /** What a line printed, both streams. */
  run(command: string): string;
  wait(seconds: number): void;
  put(name: string, content: string): void;
  /** Waits, a second at a time, until a line prints what is asked for; how many seconds that took. */
  until(command: string, shows: RegExp, most: number): number;
}

export function desk(scenario: string, settle = 5): Desk {
  const world = createWorld(loadAssets(), scenario, 1);
  const typist: Typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  const wait = (seconds: number): void => advance(world, world.timeline.now + seconds * SECOND);
  waitForPrompt(typist);
  wait(settle);
  const run = (command: string): string => {
    const done = line(typist, command)!;
    return done.stdout + done.stderr;
  };
  const until = (command: string, shows: RegExp, most: number): number => {
    const from = world.timeline.now;
    let said = '';
    while (world.timeline.now - from <= most * SECOND) {
      said = run(command);
      if (shows.test(said)) return (world.timeline.now - from) / SECOND;
      wait(1);
    }
    throw new Error(`after ${most} s \`${command}\` still prints ${said}`);
  };
  return { world, run, wait, until, put: (name, content) => putFile(world.host, `/root/${name}`, bytes(content)) };
}
