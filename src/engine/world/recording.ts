/**
 * Reading a recording from text: whatever a file, a link or a database hands us, checked field by field before anything
 * of it is used. Bounds keep a hostile link from filling memory. A recording is (scenario, seed, inputs): the truth.
 */
import * as v from 'valibot';
import type { Recording } from '../../bridge/protocol.ts';

/** Characters of a recording as JSON: room for one file of the largest size and what was typed. */
export const MAX_RECORDING_BYTES = 96 * 1024 * 1024;
/** Characters of a file's base64: 64 MiB of bytes, the most that the page takes. */
const MAX_BASE64 = 4 * Math.ceil((64 * 1024 * 1024) / 3);
const time = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(2 ** 52));
const short = v.pipe(v.string(), v.maxLength(200));
const tty = v.pipe(v.string(), v.regex(/^tty[1-4]$/, 'terminals are tty1 to tty4'));

const input = v.variant('do', [
  v.strictObject({ t: time, do: v.literal('open'), tty }),
  v.strictObject({ t: time, do: v.literal('type'), tty, data: v.pipe(v.string(), v.maxLength(1 << 20)) }),
  v.strictObject({
    t: time, do: v.literal('resize'), tty,
    cols: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)),
    rows: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)),
  }),
  v.strictObject({
    t: time, do: v.literal('file'),
    name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
    base64: v.pipe(v.string(), v.maxLength(MAX_BASE64)),
  }),
  v.strictObject({ t: time, do: v.literal('vm'), host: short, vm: short, cmd: v.picklist(['pause', 'resume', 'step', 'step-exit']) }),
  v.strictObject({ t: time, do: v.literal('answer'), lab: short, step: short, answer: v.pipe(v.string(), v.maxLength(2000)) }),
  v.strictObject({ t: time, do: v.literal('hint'), lab: short, step: short, index: v.number() }),
]);

const recording = v.strictObject({
  nestbox: v.literal(1, 'this recording is of another version'),
  scenario: v.pipe(v.string(), v.minLength(1), v.maxLength(200_000)),
  seed: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff)),
  inputs: v.pipe(v.array(input), v.maxLength(200_000)),
  until: time,
  hash: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{1,64}$/))),
  lab: v.optional(short),
});

export class BadRecording extends Error {}

/** Parses JSON text; throws BadRecording with the place of the first fault. */
export function parseRecording(text: string): Recording {
  if (text.length > MAX_RECORDING_BYTES) throw new BadRecording('the recording is larger than 96 MiB');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new BadRecording(`not JSON: ${error instanceof Error ? error.message : 'unreadable'}`);
  }
  return checkRecording(json);
}

/** Checks a value that claims to be a recording. */
export function checkRecording(json: unknown): Recording {
  const result = v.safeParse(recording, json);
  if (!result.success) {
    const issue = result.issues[0];
    const at = issue.path?.map((p) => String(p.key)).join('.') ?? 'the whole';
    throw new BadRecording(`${at}: ${issue.message}`);
  }
  const value = result.output as Recording;
  let last = 0;
  for (const [i, one] of value.inputs.entries()) {
    if (one.t < last) throw new BadRecording(`inputs.${i}.t: inputs must be in order of time`);
    last = one.t;
  }
  if (value.until < last) value.until = last;
  return value;
}
