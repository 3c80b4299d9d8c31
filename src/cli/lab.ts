/** `nestbox lab`: a lab worked through in this terminal, its world in real time; or its solution, typed and shown. */
import { SECOND } from '../engine/sim/units.ts';
import { text } from '../engine/sim/text.ts';
import { TimeUp } from '../engine/world/typist.ts';
import { act, advance, createWorld, takeOutput, type World } from '../engine/world/world.ts';
import { BadLab, describeCheck, type Lab, parseLab } from '../labs/format.ts';
import { options, textOf, Usage } from './arguments.ts';
import { loadAssets } from './assets.ts';
import { ask, attempt, openLesson, passes } from './lesson.ts';

export function lab(args: string[]): number | Promise<number> {
  const { values, positionals } = options(args, { solve: { type: 'boolean', default: false }, seed: { type: 'string' } }, { min: 1, max: 1, name: 'LAB.md' });
  const path = positionals[0]!;
  let parsed: Lab;
  try {
    parsed = parseLab(textOf(path), values.seed === undefined ? undefined : Number(values.seed));
  } catch (error) {
    if (error instanceof BadLab) throw new Usage(`${path}:${error.line}:${error.column}: ${error.message}`);
    throw error;
  }
  return values.solve ? solve(parsed) : work(parsed);
}

function say(lab: Lab, at: number): void {
  const step = lab.steps[at]!;
  process.stderr.write(`\r\n\x1b[1m${lab.title}, step ${at + 1} of ${lab.steps.length}: ${step.goal}\x1b[0m\r\n`);
}

function solve(lab: Lab): number {
  let failed = false;
  try {
    const lesson = openLesson(lab, 60, (_tty, data) => void process.stdout.write(data));
    for (const [at, step] of lab.steps.entries()) {
      say(lab, at);
      if (step.check.length === 0) continue;
      const ok = attempt(lesson, step, step.solution, 90 * SECOND);
      failed ||= !ok;
      for (const check of step.check) process.stderr.write(`\r\n${ask(lesson.world, check).ok ? 'yes' : 'no '} ${describeCheck(check)}`);
      process.stderr.write('\r\n');
    }
  } catch (error) {
    if (!(error instanceof TimeUp)) throw error;
    process.stderr.write(`\r\n${error.message}\r\n`);
    return 124;
  }
  return failed ? 1 : 0;
}

const FRAME_MS = 15;

/** Keys go to the world, its output comes here; Ctrl-] ends. */
async function work(lab: Lab): Promise<number> {
  if (!process.stdin.isTTY) throw new Usage('a lab is worked through at a terminal; use --solve to see its solution');
  const world = createWorld(loadAssets(), lab.scenario, lab.seed);
  const { columns = 80, rows = 24 } = process.stdout;
  act(world, { do: 'resize', tty: 'tty1', cols: columns, rows });
  process.stderr.write('Ctrl-] leaves.\r\n');
  say(lab, 0);
  process.stdin.setRawMode(true);
  process.stdin.setEncoding('utf8');
  return await new Promise<number>((resolve) => {
    let at = 0;
    const began = Date.now();
    const finish = (status: number): void => {
      clearInterval(timer);
      process.stdin.setRawMode(false);
      process.stdin.pause();
      resolve(status);
    };
    const timer = setInterval(() => {
      advance(world, (Date.now() - began) * 1e6);
      show(world);
      while (at < lab.steps.length && (lab.steps[at]!.check.length === 0 || passes(world, lab.steps[at]!))) {
        at++;
        if (at < lab.steps.length) say(lab, at);
      }
      if (at === lab.steps.length) {
        process.stderr.write('\r\nThe lab is done.\r\n');
        finish(0);
      }
    }, FRAME_MS);
    process.stdin.on('data', (data) => {
      if (String(data).includes('\x1d')) finish(1);
      else act(world, { do: 'type', tty: 'tty1', data: String(data) });
    });
  });
}

function show(world: World): void {
  for (const { tty, data } of takeOutput(world)) if (tty === 'tty1') process.stdout.write(text(data));
}
