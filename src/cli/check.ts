/**
 * `nestbox check`: a lab file is valid; nothing in it passes before it is done; its solution passes each step in order; every
 * wrong answer fails. Exit 1 when one of the files is not so.
 */
import { SECOND } from '../engine/sim/units.ts';
import { TimeUp } from '../engine/world/typist.ts';
import { BadScenario } from '../engine/world/scenario.ts';
import { BadLab, type Lab, parseLab } from '../labs/format.ts';
import { options, textOf } from './arguments.ts';
import { attempt, type Lesson, namesWrong, openLesson, passes } from './lesson.ts';

/** Simulated time that a solution gets to take effect, and that a wrong answer gets to prove wrong. */
const PATIENCE = 90 * SECOND;
const DOUBT = 5 * SECOND;

export function check(args: string[]): number {
  const { positionals } = options(args, {}, { min: 1, max: 1000, name: 'LAB.md' });
  let failed = false;
  for (const path of positionals) {
    const wrong = checkFile(path, textOf(path));
    failed ||= wrong.length > 0;
    for (const one of wrong) console.log(one);
  }
  return failed ? 1 : 0;
}

function checkFile(path: string, source: string): string[] {
  let lab: Lab;
  try {
    lab = parseLab(source);
  } catch (error) {
    if (!(error instanceof BadLab)) throw error;
    return [`${path}:${error.line}:${error.column}: ${error.message}`];
  }
  const wrong = checkLab(lab);
  if (wrong.length === 0) console.log(`ok  ${path}: ${lab.title}, ${lab.steps.length} step${lab.steps.length === 1 ? '' : 's'}`);
  return wrong.map((one) => `${path}: ${one}`);
}

/** Everything that is wrong with a lab, in words; empty when it can be given to learners. */
export function checkLab(lab: Lab): string[] {
  const wrong = namesWrong(lab);
  if (wrong.length > 0) return wrong;
  try {
    return [...solve(lab), ...lab.steps.flatMap((_, i) => refuse(lab, i))];
  } catch (error) {
    if (error instanceof BadScenario) return [error.message];
    if (error instanceof TimeUp) return [`the terminal never came back: ${error.message}`];
    throw error;
  }
}

/** The solution, step by step: nothing passes early, everything passes in the end. */
function solve(lab: Lab): string[] {
  const wrong: string[] = [];
  const lesson = openLesson(lab);
  for (const step of lab.steps) {
    if (step.check.length === 0) continue;
    if (passes(lesson.world, step)) wrong.push(`step '${step.id}' passes before it is done`);
    if (!attempt(lesson, step, step.solution, PATIENCE)) {
      wrong.push(`step '${step.id}': its solution does not pass (within ${PATIENCE / SECOND} s simulated)`);
      break;
    }
  }
  return wrong;
}

/** The wrong answers of one step, each in a world where the steps before are done. */
function refuse(lab: Lab, at: number): string[] {
  const step = lab.steps[at]!;
  return step.wrong.flatMap((lines, n) => (attempt(upTo(lab, at), step, lines, DOUBT) ? [`step '${step.id}': wrong answer ${n + 1} passes (${lines.join('; ')})`] : []));
}

function upTo(lab: Lab, at: number): Lesson {
  const lesson = openLesson(lab);
  for (const step of lab.steps.slice(0, at)) if (step.check.length > 0) attempt(lesson, step, step.solution, PATIENCE);
  return lesson;
}
