/**
 * Replays a recorded transcript through the lab: the world of its scenario, its commands in order. The recordings ran
 * each command under `bash -c` without a terminal, so each is put on the modelled disk and run by the modelled bash at
 * the first terminal with its streams in files; `typed` types the line itself instead. What differs is returned, whole.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { loadAssets } from '../../src/cli/assets.ts';
import type { Kernel } from '../../src/engine/kernel/records.ts';
import { type Content, readContent } from '../../src/engine/kernel/vfs/content.ts';
import { childrenOf } from '../../src/engine/kernel/vfs/tmpfs.ts';
import type { SuperBlock } from '../../src/engine/kernel/vfs/types.ts';
import { bytes, text, toBase64 } from '../../src/engine/sim/text.ts';
import { afterEvents, createTypist, line, perform, TimeUp, type Typist, waitForPrompt } from '../../src/engine/world/typist.ts';
import { advance, createWorld, type World } from '../../src/engine/world/world.ts';

export interface Recorded {
  tool: string;
  scenario: string;
  cmd: string;
  stdout: string;
  stderr: string;
  exit: number;
  stdin?: string;
  note?: string;
}

export interface Difference {
  cmd: string;
  mine: { stdout: string; stderr: string; exit: number | null };
  theirs: { stdout: string; stderr: string; exit: number };
}

export interface Replayed {
  exact: number;
  differ: Difference[];
  /** Commands that were not run, by the reason given. */
  passedOver: { cmd: string; reason: string }[];
  world: World;
}

export interface ReplayOptions {
  scenario: string;
  lines: readonly Recorded[];
  /** Takes out of a text what no two runs share: ids, addresses, ages, times. */
  normal(text: string, line: Recorded): string;
  /** A reason not to run a line, or null. */
  pass?(line: Recorded): string | null;
  typed?: boolean;
  /** The recording had no controlling terminal either. */
  detached?: boolean;
  /** Simulated seconds that pass after each line: recordings were made on a slow machine. */
  pause?: number | ((line: Recorded, index: number) => number);
  /** What the recording's driver did before this line. */
  before?(line: Recorded, index: number, world: World): void;
}

/** The lines of a .jsonl or .jsonl.gz file beside the caller. */
export function readTranscript(url: URL): Recorded[] {
  const data = readFileSync(url);
  const source = url.pathname.endsWith('.gz') ? gunzipSync(data).toString() : data.toString();
  return source.trim().split('\n').map((one) => JSON.parse(one) as Recorded);
}

/** Events after which a line is taken never to come back: counted, not timed, so that a slow machine decides as a fast one. */
const LINE_EVENTS = 10_000_000;

export function replayTranscript(options: ReplayOptions): Replayed {
  const world = createWorld(loadAssets(), options.scenario);
  const typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER, expired: afterEvents(world, LINE_EVENTS) });
  const out: Replayed = { exact: 0, differ: [], passedOver: [], world };
  waitForPrompt(typist);
  // They ran from an init that had no shell to name.
  if (!options.typed) line(typist, 'unset SHELL');
  for (const [i, one] of options.lines.entries()) {
    const reason = options.pass?.(one) ?? null;
    if (reason !== null) {
      out.passedOver.push({ cmd: one.cmd, reason });
      continue;
    }
    options.before?.(one, i, world);
    let mine: Difference['mine'];
    typist.expired = afterEvents(world, LINE_EVENTS);
    try {
      mine = options.typed ? typedLine(typist, one) : scriptLine(typist, one, options.detached ? 'setsid -w ' : '');
    } catch (error) {
      if (!(error instanceof TimeUp)) throw error;
      mine = { stdout: '', stderr: `(never came back: ${error.message})`, exit: null };
      out.differ.push({ cmd: one.cmd, mine, theirs: one });
      if (typist.expired()) {
        for (const rest of options.lines.slice(i + 1)) out.passedOver.push({ cmd: rest.cmd, reason: 'a line before it never came back' });
        return out;
      }
      continue;
    }
    const { normal } = options;
    const same = mine.exit === one.exit && normal(mine.stdout, one) === normal(one.stdout, one) && normal(mine.stderr, one) === normal(one.stderr, one);
    if (same) out.exact++;
    else out.differ.push({ cmd: one.cmd, mine, theirs: { stdout: one.stdout, stderr: one.stderr, exit: one.exit } });
    const pause = typeof options.pause === 'function' ? options.pause(one, i) : (options.pause ?? 0);
    if (pause > 0) advance(world, world.timeline.now + pause * 1e9);
  }
  return out;
}

function typedLine(typist: Typist, one: Recorded): Difference['mine'] {
  const done = line(typist, one.cmd)!;
  return { stdout: done.stdout, stderr: done.stderr, exit: done.exit };
}

const AT = '/var/tmp';

function scriptLine(typist: Typist, one: Recorded, by: string): Difference['mine'] {
  perform(typist, { do: 'file', name: 'line.sh', base64: toBase64(bytes(`${one.cmd}\n`)) });
  perform(typist, { do: 'file', name: 'line.in', base64: toBase64(bytes(one.stdin ?? '')) });
  const done = line(typist, `${by}bash -c "$(cat /root/uploads/line.sh)" < /root/uploads/line.in > ${AT}/line.out 2> ${AT}/line.err`)!;
  return { stdout: fileText(typist.world.host, `${AT}/line.out`), stderr: fileText(typist.world.host, `${AT}/line.err`), exit: done.exit };
}

/** A file of the machine's disk as text; empty when it is not there. */
export function fileText(kernel: Kernel, path: string): string {
  let at = (kernel.drivers.get('rootfs') as SuperBlock).root;
  for (const part of path.split('/').filter(Boolean)) {
    const next = childrenOf(at.inode).get(part);
    if (!next) return '';
    at = next;
  }
  return text(readContent(at.inode.data as Content, at.inode.size, 0, at.inode.size));
}

/** One line for the log: what holds, and where asked (SHOW_DIFFERENCES=1) everything that does not. */
export function report(name: string, result: Replayed): void {
  const ran = result.exact + result.differ.length;
  console.log(`${name}: ${result.exact} of ${ran} exact, ${result.passedOver.length} passed over`);
  if (process.env.SHOW_DIFFERENCES) console.log(JSON.stringify({ differ: result.differ, passedOver: result.passedOver }, null, 1));
}

/**
 * What a table of known misses does not account for: commands that differ and are not in it, entries of it that differ no more.
 * An entry holds for every command that has its text in it; a command's text ends in a newline here.
 */
export function unexplained(result: Replayed, misses: readonly (readonly [string, string])[]): string[] {
  const differ = result.differ.map((one) => one.cmd);
  return [
    ...differ.filter((cmd) => !misses.some(([part]) => `${cmd}\n`.includes(part))).map((cmd) => `differs: ${cmd}`),
    ...misses.filter(([part]) => !differ.some((cmd) => `${cmd}\n`.includes(part))).map(([part]) => `differs no more: ${part}`),
    ...result.passedOver.map(({ cmd, reason }) => `not run: ${cmd}: ${reason}`),
  ];
}
