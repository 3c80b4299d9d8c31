/**
 * A lab worked through without a page: its world, its steps, whether each check holds. What `check`, `grade` and `lab`
 * share. A step passes when all its checks hold; its question, when it has one, is told apart.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Query } from '../bridge/protocol.ts';
import { SECOND } from '../engine/sim/units.ts';
import { answer, type Answer } from '../engine/views/match.ts';
import { VIEWS } from '../engine/views/views.ts';
import { createTypist, script, type Typist, wait, waitForPrompt } from '../engine/world/typist.ts';
import { createWorld, type World } from '../engine/world/world.ts';
import { type Lab, type LabStep, parseLab } from '../labs/format.ts';
import { questionsOf, SHOWN } from '../labs/question.ts';
import { loadAssets, root } from './assets.ts';

export interface Lesson {
  lab: Lab;
  world: World;
  typist: Typist;
}

/** The lab's world at its first prompt. `seconds` of real time are allowed. */
export function openLesson(lab: Lab, seconds = 600, show?: Typist['show']): Lesson {
  const ends = Date.now() + seconds * 1000;
  const world = createWorld(loadAssets(), lab.scenario, lab.seed);
  const typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER, expired: () => Date.now() > ends, ...(show ? { show } : {}) });
  waitForPrompt(typist);
  return { lab, world, typist };
}

export function ask(world: World, query: Query): Answer {
  const view = VIEWS[query.view];
  return view ? answer(query, view.rows(world, query.arg ?? {})) : { ok: false, seen: `no view '${query.view}'` };
}

export function passes(world: World, step: LabStep): boolean {
  return step.check.every((check) => ask(world, check).ok);
}

/** Types lines, then lets up to `patience` ns pass until the step's checks hold; says whether they do. */
export function attempt(lesson: Lesson, step: LabStep, lines: readonly string[], patience: number): boolean {
  const { typist, world } = lesson;
  script(typist, lines);
  const [crash] = world.crashes;
  if (crash) throw new Error(`${crash.who} was ended by a fault of its model: ${crash.text}`);
  const end = world.timeline.now + patience;
  while (!passes(world, step)) {
    if (world.timeline.now >= end) return false;
    wait(typist, 0.25 * SECOND);
  }
  return true;
}

/** What is wrong with a lab that parses: views, columns and scenes that do not exist. */
export function namesWrong(lab: Lab): string[] {
  const wrong: string[] = [];
  for (const step of lab.steps) {
    if (step.show !== undefined && !(SHOWN as readonly string[]).includes(step.show)) wrong.push(`step '${step.id}' shows '${step.show}': no such scene or view (${SHOWN.join(', ')})`);
    for (const query of questionsOf(step)) {
      const view = VIEWS[query.view];
      if (!view) {
        wrong.push(`step '${step.id}' asks for view '${query.view}': there is none of that name`);
        continue;
      }
      for (const name of Object.keys(query.where ?? {})) {
        if (name !== 'key' && !view.columns.some((c) => c.name === name)) wrong.push(`step '${step.id}': view '${query.view}' has no column '${name}'`);
      }
    }
  }
  return wrong;
}

/** Files of a folder and below with this ending, sorted. */
export function filesBelow(dir: string, ending: string): string[] {
  return readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) return filesBelow(path, ending);
      return entry.name.endsWith(ending) ? [path] : [];
    });
}

export const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** The built-in labs' files. */
export const builtIn = (): string[] => filesBelow(join(root(), 'src/labs'), '.md');

/** A built-in lab by its id, or null; for the seed of a recording. */
export function labById(id: string, seed: number, folders: readonly string[] = []): Lab | null {
  for (const path of [...folders.flatMap((dir) => filesBelow(dir, '.md')), ...builtIn()]) {
    const source = readFileSync(path, 'utf8');
    if (new RegExp(`^id:\\s*${id}\\s*$`, 'm').test(source)) return parseLab(source, seed);
  }
  return null;
}
