/**
 * A lab file: YAML front matter (what is asked and how it is checked, as data) and Markdown (what is read), one heading
 * a step. Students', instructors' and built-in labs are the same format. Nothing in a lab is code.
 *
 * Variants: `variants: {limit: [32, 64]}` gives each seed its own numbers; `{{limit}}` stands for one anywhere in the file.
 */
import * as v from 'valibot';
import { LineCounter, parseDocument } from 'yaml';
import type { Query } from '../bridge/protocol.ts';

export const MAX_LAB_BYTES = 200_000;

const cell = v.union([v.string(), v.number(), v.boolean(), v.null()]);
const condition = v.union([
  cell,
  v.strictObject({
    min: v.optional(cell), max: v.optional(cell), not: v.optional(cell), in: v.optional(v.array(cell)), match: v.optional(v.string()),
  }),
]);
const query = v.strictObject({
  view: v.string(),
  arg: v.optional(v.record(v.string(), cell)),
  where: v.optional(v.record(v.string(), condition)),
  count: v.optional(condition),
  /** What the check means, in words for the learner. */
  say: v.optional(v.string()),
});
const lines = v.array(v.string());
const step = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]*$/, 'small letters, digits and dashes')),
  show: v.optional(v.string()),
  goal: v.string(),
  check: v.optional(v.array(query), []),
  predict: v.optional(v.strictObject({ ask: v.string(), choices: v.pipe(v.array(v.string()), v.minLength(2)), answer: v.string() })),
  hints: v.optional(v.array(v.strictObject({ when: v.optional(query), say: v.string() })), []),
  solution: v.optional(lines, []),
  wrong: v.optional(v.array(lines), []),
});
const front = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]*$/, 'small letters, digits and dashes')),
  title: v.string(),
  track: v.string(),
  section: v.optional(v.string(), ''),
  minutes: v.optional(v.number(), 10),
  needs: v.optional(v.array(v.string()), []),
  scenario: v.optional(v.string(), 'lab'),
  seed: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 1),
  variants: v.optional(v.record(v.string(), v.pipe(v.array(v.union([v.string(), v.number()])), v.minLength(1))), {}),
  steps: v.pipe(v.array(step), v.minLength(1)),
});

export type LabCheck = Query & { say?: string };
export interface LabStep {
  id: string;
  /** The picture beside the terminal: a scene's name. */
  show?: string;
  goal: string;
  check: LabCheck[];
  predict?: { ask: string; choices: string[]; answer: string };
  hints: { when?: LabCheck; say: string }[];
  /** Lines typed at the first terminal; directives as in `nestbox run`. */
  solution: string[];
  wrong: string[][];
  /** Markdown. */
  text: string;
}
export interface Lab {
  id: string;
  title: string;
  track: string;
  section: string;
  minutes: number;
  needs: string[];
  scenario: string;
  seed: number;
  /** The numbers this seed was given. */
  values: Record<string, string | number>;
  steps: LabStep[];
  /** Markdown before the first step. */
  intro: string;
}

/** What is wrong with a lab file and where: line and column from 1 when they are known. */
export class BadLab extends Error {
  readonly line: number;
  readonly column: number;
  constructor(message: string, line = 1, column = 1) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

/** Parses a lab for a seed (the file's own when none is given). Throws BadLab. */
export function parseLab(source: string, seed?: number): Lab {
  if (source.length > MAX_LAB_BYTES) throw new BadLab(`larger than ${MAX_LAB_BYTES / 1000} kB`);
  const text = source.replaceAll('\r\n', '\n');
  const split = /^---\n([\s\S]*?)\n---(?:\n|$)/.exec(text);
  if (!split) throw new BadLab('a lab begins with front matter between two lines of ---');
  const first = readFront(split[1]!);
  const chosen = seed ?? first.seed;
  const values = Object.fromEntries(Object.entries(first.variants).map(([name, choices], i) => [name, choices[(chosen + i) % choices.length]!]));
  const filled = fill(split[1]!, values);
  const data = filled === split[1] ? first : readFront(filled);
  const body = fill(text.slice(split[0].length), values);
  const { intro, sections } = sectionsOf(body);
  const bodyLine = split[0].split('\n').length;
  for (const name of sections.keys()) {
    if (!data.steps.some((s) => s.id === name)) throw new BadLab(`'## ${name}' is no step of this lab`, bodyLine);
  }
  const seen = new Set<string>();
  const steps = data.steps.map((one): LabStep => {
    if (seen.has(one.id)) throw new BadLab(`two steps with the id '${one.id}'`);
    seen.add(one.id);
    if (one.predict && !one.predict.choices.includes(one.predict.answer)) throw new BadLab(`step '${one.id}': the answer is not among the choices`);
    if (one.check.length === 0 && !one.predict) throw new BadLab(`step '${one.id}' has neither a check nor a question`);
    const section = sections.get(one.id);
    if (section === undefined) throw new BadLab(`step '${one.id}' has no text: a heading '## ${one.id}' is missing`, bodyLine);
    return { ...one, text: section } as LabStep;
  });
  return { ...data, seed: chosen, values, steps, intro };
}

function readFront(yaml: string): v.InferOutput<typeof front> {
  const counter = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: counter, prettyErrors: false });
  const fault = document.errors[0];
  if (fault) {
    const { line, col } = counter.linePos(fault.pos[0]);
    throw new BadLab(fault.message, line + 1, col);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 50 });
  } catch (error) {
    throw new BadLab(error instanceof Error ? error.message : 'unreadable', 2);
  }
  const result = v.safeParse(front, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const keys = issue.path?.map((p) => p.key as string | number) ?? [];
  let node: unknown;
  for (let n = keys.length; n > 0 && !node; n--) node = document.getIn(keys.slice(0, n), true);
  const at = (node as { range?: [number, number, number] } | undefined)?.range?.[0] ?? 0;
  const { line, col } = counter.linePos(at);
  throw new BadLab(`${keys.join('.') || 'front matter'}: ${issue.message}`, line + 1, col);
}

function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

function sectionsOf(body: string): { intro: string; sections: Map<string, string> } {
  const sections = new Map<string, string>();
  const parts = body.split(/^## +(\S+)[ \t]*$/m);
  for (let i = 1; i < parts.length; i += 2) sections.set(parts[i]!, parts[i + 1]!.trim());
  return { intro: parts[0]!.trim(), sections };
}

/** A one-line statement of a check, for people, when the lab gives none. */
export function describeCheck(check: LabCheck): string {
  if (check.say) return check.say;
  const where = Object.entries(check.where ?? {}).map(([name, want]) => `${name} ${wordsFor(want)}`);
  const count = check.count === undefined ? '' : `${wordsFor(check.count)} `;
  return `${count}${check.view}${where.length > 0 ? `: ${where.join(', ')}` : ''}`;
}

function wordsFor(want: unknown): string {
  if (want === null || typeof want !== 'object') return `is ${want === null ? 'none' : String(want)}`;
  return Object.entries(want)
    .map(([word, value]) => ({ min: `at least ${value}`, max: `at most ${value}`, not: `is not ${value}`, in: `is one of ${String(value)}`, match: `has ${value}` })[word] ?? '')
    .join(' and ');
}
