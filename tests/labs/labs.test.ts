/** Every built-in lab, in order: nothing passes before it is done, the solution passes each step, every wrong answer fails. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkLab } from '../../src/cli/check.ts';
import { builtIn } from '../../src/cli/lesson.ts';
import { BadLab, parseLab } from '../../src/labs/format.ts';

const files = builtIn();

it('finds the labs', () => expect(files.length).toBeGreaterThanOrEqual(3));

describe.each(files)('%s', (path) => {
  const source = readFileSync(path, 'utf8');

  it('is solved by its solution and refuses its wrong answers', () => {
    expect(checkLab(parseLab(source))).toEqual([]);
  });

  it('is named after its id and says something about every step', () => {
    const lab = parseLab(source);
    expect(basename(path, '.md')).toBe(lab.id);
    for (const step of lab.steps) expect(step.text.length, step.id).toBeGreaterThan(40);
  });
});

const LAB = `---
id: x
title: X
track: t
steps:
  - id: one
    goal: g
    check: [{view: hosts}]
---
## one
text
`;

describe('a lab file', () => {
  it('parses', () => expect(parseLab(LAB).steps[0]!.text).toBe('text'));

  it.each([
    ['no front matter', '# hello', 1, /front matter/],
    ['YAML that is none', LAB.replace('title: X', 'title: [X'), 4, /./],
    ['an unknown field', LAB.replace('track: t', 'track: t\ncode: 1'), 5, /code/],
    ['a check without a view', LAB.replace('{view: hosts}', '{where: {}}'), 8, /view/],
    ['a step without text', LAB.replace('## one', '## two'), 10, /no step|no text/],
    ['no steps', LAB.replace(/steps:[\s\S]*?---/, 'steps: []\n---'), 5, /./],
  ])('with %s is refused with its place', (_, source, line, message) => {
    let thrown: unknown;
    try {
      parseLab(source);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(BadLab);
    expect((thrown as BadLab).message).toMatch(message);
    expect(Math.abs((thrown as BadLab).line - line)).toBeLessThanOrEqual(1);
  });

  it('that asks for a view, a column or a scene that is not there is told so', () => {
    expect(checkLab(parseLab(LAB.replace('view: hosts', 'view: hots')))).toEqual([expect.stringContaining("view 'hots'")]);
    expect(checkLab(parseLab(LAB.replace('{view: hosts}', '{view: hosts, where: {nam: lab}}')))).toEqual([expect.stringContaining("no column 'nam'")]);
    expect(checkLab(parseLab(LAB.replace('goal: g', 'goal: g\n    show: moon')))).toEqual([expect.stringContaining("'moon'")]);
  });
});

it('a lab that is true from the start, or solved by a wrong answer, is told so', () => {
  const empty = LAB.replace('track: t', 'track: t\nscenario: empty-host');
  expect(checkLab(parseLab(empty))).toEqual(["step 'one' passes before it is done"]);
  const wrong = empty.replace('[{view: hosts}]', '[{view: processes, where: {comm: sleep}}]\n    solution: ["sleep 100 &"]\n    wrong: [["sleep 99 &"]]');
  expect(checkLab(parseLab(wrong))).toEqual(["step 'one': wrong answer 1 passes (sleep 99 &)"]);
});
