/**
 * `nestbox grade`: replays learners' recordings and says what each really reached: per lab and step, when, after how many
 * hints, how the question was answered. A recording is never trusted: its own hash must come out of the replay.
 */
import { basename } from 'node:path';
import type { Input, Recording } from '../bridge/protocol.ts';
import { SECOND } from '../engine/sim/units.ts';
import { BadRecording, parseRecording } from '../engine/world/recording.ts';
import { BadScenario } from '../engine/world/scenario.ts';
import { advance, openRecording, worldHash } from '../engine/world/world.ts';
import { BadLab, type Lab } from '../labs/format.ts';
import { options, textOf, Usage } from './arguments.ts';
import { loadAssets } from './assets.ts';
import { filesBelow, isFolder, labById, passes } from './lesson.ts';

interface Grade {
  file: string;
  lab: string;
  step: string;
  passed: boolean;
  /** Simulated seconds, when passed. */
  at: number | null;
  hints: number;
  answer: string;
  /** null: the step asks nothing, or was not answered. */
  right: boolean | null;
  /** What is wrong with the recording, or empty. */
  problem: string;
}

/** How often checks are asked while replaying: as the page does. */
const EVERY = 0.5 * SECOND;

export function grade(args: string[]): number {
  const { values, positionals } = options(
    args,
    { csv: { type: 'boolean', default: false }, format: { type: 'string' }, labs: { type: 'string', multiple: true } },
    { min: 1, max: 10_000, name: 'DIR or FILE' },
  );
  const format = values.format ?? (values.csv ? 'csv' : 'text');
  if (!['text', 'csv', 'json'].includes(format)) throw new Usage(`--format is text, csv or json, not '${format}'`);
  const files = positionals.flatMap((path) => (isFolder(path) ? filesBelow(path, '.json') : [path]));
  if (files.length === 0) throw new Usage('no recordings (*.json) there');
  const grades = files.flatMap((file) => gradeFile(file, values.labs ?? []));
  print(grades, format);
  return grades.some((one) => one.problem !== '') ? 1 : 0;
}

const broken = (file: string, lab: string, problem: string): Grade[] => [{ file: basename(file), lab, step: '', passed: false, at: null, hints: 0, answer: '', right: null, problem }];

function gradeFile(file: string, folders: readonly string[]): Grade[] {
  let recording: Recording;
  try {
    recording = parseRecording(textOf(file));
  } catch (error) {
    if (error instanceof BadRecording) return broken(file, '', `broken: ${error.message}`);
    throw error;
  }
  const id = recording.lab ?? '';
  if (id === '') return broken(file, '', 'names no lab');
  try {
    const lab = labById(id, recording.seed, folders);
    if (!lab) return broken(file, id, `no lab '${id}'`);
    if (lab.scenario !== recording.scenario) return broken(file, id, `forged: the lab's scenario is ${lab.scenario}, the recording's ${recording.scenario.slice(0, 40)}`);
    return replay(basename(file), lab, recording);
  } catch (error) {
    if (error instanceof BadScenario || error instanceof BadLab) return broken(file, id, error.message);
    return broken(file, id, `does not replay: ${error instanceof Error ? error.message : error}`);
  }
}

function replay(file: string, lab: Lab, recording: Recording): Grade[] {
  const world = openRecording(loadAssets(), recording);
  const when = new Map<string, number>();
  const look = (): void => {
    for (const step of lab.steps) if (step.check.length > 0 && !when.has(step.id) && passes(world, step)) when.set(step.id, world.timeline.now);
  };
  const stops = [...new Set(recording.inputs.map((input) => input.t))];
  for (let t = 0, i = 0; t < recording.until; ) {
    while (i < stops.length && stops[i]! <= t) i++;
    t = Math.min(t + EVERY, stops[i] ?? Number.POSITIVE_INFINITY, recording.until);
    advance(world, t);
    look();
  }
  const problem = recording.hash !== undefined && recording.hash !== worldHash(world) ? 'forged or of another version: the replay does not give its hash' : '';
  return lab.steps.map((step) => {
    const { hints, answer } = saidOf(recording.inputs, lab.id, step.id);
    const passed = step.check.length > 0 ? when.has(step.id) : answer !== '';
    return {
      file, lab: lab.id, step: step.id, passed: passed && problem === '', at: when.has(step.id) ? when.get(step.id)! / SECOND : null, hints, answer,
      right: step.predict && answer !== '' ? answer === step.predict.answer : null, problem,
    };
  });
}

function saidOf(inputs: readonly Input[], lab: string, step: string): { hints: number; answer: string } {
  let hints = 0;
  let answer = '';
  for (const input of inputs) {
    if (input.do === 'hint' && input.lab === lab && input.step === step) hints++;
    if (input.do === 'answer' && input.lab === lab && input.step === step && answer === '') answer = input.answer;
  }
  return { hints, answer };
}

const HEAD = ['file', 'lab', 'step', 'passed', 'at', 'hints', 'answer', 'right', 'problem'] as const;

function print(grades: readonly Grade[], format: string): void {
  if (format === 'json') {
    for (const one of grades) console.log(JSON.stringify(one));
    return;
  }
  const rows = [[...HEAD], ...grades.map((g) => HEAD.map((name) => cell(g[name])))] as string[][];
  if (format === 'csv') {
    for (const row of rows) console.log(row.map((text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(','));
    return;
  }
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  for (const row of rows) console.log(row.map((text, i) => text.padEnd(widths[i]!)).join('  ').trimEnd());
}

function cell(value: string | number | boolean | null): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(3) : String(value);
}
